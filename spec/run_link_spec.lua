-- troupe run --link: an actor of the command line has a ref to another in its config.
local links = require "troupe.cli.links"
local process = require "spec.support.process"

local OK, USAGE = 0, 2

-- Says what it has in its config, and what those answer to Who.
local ASKER = [[
local Asker = {}
function Asker:on_start()
  local fields = {}
  for field in pairs(self.config) do table.insert(fields, field) end
  table.sort(fields)
  for _, field in ipairs(fields) do
    print(field, self.config[field]:ask("Who").name)
  end
  actor.stop_host()
end
return Asker
]]

local NAMED = [[
local Named = {}
function Named:on_who(_, env) env:reply("Name", { name = actor.name }) end
return Named
]]

describe("troupe run --link", function()
  local folder

  local function write(name, text)
    return process.write_file(("%s/%s.lua"):format(folder, name), text)
  end

  -- asker.lua and named.lua, linked so.
  local function run(...)
    local words = { "run", write("asker", ASKER), write("b", NAMED), write("c", NAMED) }
    for _, text in ipairs { ... } do
      table.insert(words, "--link")
      table.insert(words, text)
    end
    return process.run(process.troupe(words))
  end

  local function assert_refused(sentence, ...)
    local ended = run(...)
    assert.equal("troupe: " .. sentence .. "\n", ended.err)
    assert.equal(USAGE, ended.code)
    assert.equal("", ended.out)
  end

  before_each(function()
    folder = process.make_folder()
  end)
  after_each(function()
    process.end_all()
    process.remove_folder(folder)
  end)

  it("puts a ref into self.config.to", function()
    assert.same({ code = OK, out = "to\tb\n", err = "" }, run("asker:b"))
  end)

  it("puts it into the field that is named, and may be given again", function()
    assert.same({ code = OK, out = "first\tb\nsecond\tc\nto\tc\n", err = "" },
                run("asker:b:first", "asker:c:second", "asker:c"))
  end)

  it("takes the address of an actor elsewhere", function()
    local host = process.start(process.troupe { "run", write("far", NAMED), "--bind", ":0" })
    local port = host:error_line("listening on"):match(":(%d+)$")
    assert.same({ code = OK, out = "home\tb\nto\tfar\nweb\tfar\n", err = "" },
                run("asker:far@:" .. port, "asker:far@tcp://127.0.0.1:" .. port .. ":web", "asker:b:home"))
    assert.equal(0, host:stop("TERM").code)
  end)

  it("says which names there are, and which may have been meant", function()
    assert_refused("--link 'askr:b': no actor here is named 'askr' (did you mean 'asker'?); there are asker, b, c",
                   "askr:b")
    assert_refused("--link 'asker:elsewhere': no actor here is named 'elsewhere'; there are asker, b, c",
                   "asker:elsewhere")
  end)

  it("refuses a field that is taken, and says that another may be named", function()
    assert_refused("--link 'asker:b' and 'asker:c' both want asker's self.config.to:"
                   .. " name a field, such as --link asker:c:c", "asker:b", "asker:c")
    assert_refused("--link 'asker:b:c' and 'asker:c:c' both want asker's self.config.c:"
                   .. " name a field, such as --link asker:c:c_2", "asker:b:c", "asker:c:c")
  end)

  it("refuses what is no link", function()
    assert_refused("--link 'asker': write FROM:TO or FROM:TO:FIELD, such as ping:pong", "asker")
    assert_refused("--link 'asker:': write FROM:TO or FROM:TO:FIELD, such as ping:pong", "asker:")
    assert_refused("--link 'asker:b:2nd': ':2nd' is no field of self.config: a colon and a name is expected behind b",
                   "asker:b:2nd")
    assert_refused("--link 'asker:b@risk': 'b@risk' is no address: write NAME@:PORT or NAME@tcp://HOST:PORT",
                   "asker:b@risk")
  end)

  describe("takes an address apart:", function()
    local function parsed(text)
      local link = assert(links.parse(text))
      return { link.from, link.to, link.field }
    end

    it("its colons are its own", function()
      assert.same({ "a", "b@:5001", "to" }, parsed "a:b@:5001")
      assert.same({ "a", "b@:5001", "web" }, parsed "a:b@:5001:web")
      assert.same({ "a", "b@tcp://10.0.0.5:5001", "to" }, parsed "a:b@tcp://10.0.0.5:5001")
      assert.same({ "a", "b@tcp://10.0.0.5:5001", "web" }, parsed "a:b@tcp://10.0.0.5:5001:web")
      assert.same({ "a", "b@tcp://[::1]:5001", "web" }, parsed "a:b@tcp://[::1]:5001:web")
    end)

    it("tcp:// may be left out, as for troupe ask", function()
      assert.same({ "a", "b@tcp://far.example:5001", "web" }, parsed "a:b@far.example:5001:web")
    end)

    it("a port is not taken for a field, nor a field for a port", function()
      assert.is_nil(links.parse "a:b@:5001:5002")
      assert.is_nil(links.parse "a:b@:web")
    end)
  end)
end)
