-- `troupe reload`: new code from the command line, in one host, or in all of a person's
-- hosts or none. Hosts and commands are processes of their own.
local json = require "troupe.json"
local process = require "spec.support.process"

local OK, USAGE, TIMED_OUT, UNREACHABLE, REFUSED, INTERRUPTED = 0, 2, 3, 5, 6, 130

local COUNTER = [[
  return {
    version = %d,
    on_start = function(self) self.n = 0 print "up" end,
    on_get = function(self, msg, env)
      self.n = self.n + 1
      env:reply("Got", { n = self.n, version = %d })
    end,
    on_fail = function() error("as asked") end,
  }
]]
local BROKEN = "return {\n  on_get = function(\n"

describe("troupe reload", function()
  local folder

  before_each(function()
    folder = process.make_folder()
    assert(os.execute("mkdir " .. folder .. "/run"))
  end)
  after_each(function()
    process.end_all()
    process.remove_folder(folder)
  end)

  local function words(arguments)
    return table.move(process.troupe(arguments), 1, #arguments + 1, 3,
                      { "env", "XDG_RUNTIME_DIR=" .. folder .. "/run" })
  end

  local function troupe(...)
    return process.run(words { ... })
  end

  local function start(...)
    return process.start(words { ... }, 120)
  end

  local function write(name, text)
    return process.write_file(folder .. "/" .. name, text)
  end

  local function counter(name, version)
    return write(name, COUNTER:format(version, version))
  end

  -- A host that runs a file as an actor of this name.
  local function serve(file, name)
    local host = start("run", folder .. "/" .. file, "--name", name)
    host:line("up")
    return host
  end

  local function get(name)
    local ended = troupe("ask", name, "Get", "--json")
    assert.same({ OK, "" }, { ended.code, ended.err })
    return json.decode(ended.out).message
  end

  -- Until an actor is held, and so answers nothing.
  local function await_held(name)
    for _ = 1, 500 do
      if troupe("ask", name, "Get", "--timeout", "200ms").code == TIMED_OUT then
        return
      end
    end
    error(name .. " is not held")
  end

  local function results(ended)
    local found = {}
    for line in ended.out:gmatch("[^\n]+") do
      local row = json.decode(line)
      found[row.host] = row.result
    end
    return found
  end

  describe("in one host", function()
    it("puts changed code in the place of the old, and keeps the state", function()
      counter("count.lua", 1)
      serve("count.lua", "count")
      assert.same({ n = 1, version = 1 }, get "count")
      assert.same({ code = OK, out = "nothing changed\n", err = "" }, troupe("reload"))
      local path = counter("count.lua", 2)
      local ended = troupe("reload", path)
      assert.same({ OK, "" }, { ended.code, ended.err })
      assert.matches("count%.lua: #1 %-> #2 %(version 2%), 1 actor, held for [%d.]+ ms\n$", ended.out)
      assert.same({ n = 2, version = 2 }, get "count")
    end)

    it("finds the file by a path from wherever it was asked, or the script by its name", function()
      counter("count.lua", 1)
      serve("count.lua", "count")
      counter("count.lua", 2)
      local ended = process.run { "sh", "-c", 'cd "$0" && exec "$@"', folder, table.unpack(words { "reload", "./count.lua" }) }
      assert.same({ OK, "" }, { ended.code, ended.err })
      counter("count.lua", 3)
      assert.equal(OK, troupe("reload", "count").code)
      assert.same({ n = 1, version = 3 }, get "count")
      assert(os.execute("cd " .. folder .. " && mv count.lua gone.lua"))
      ended = troupe("reload", folder .. "/count.lua")
      assert.equal(REFUSED, ended.code)
      assert.matches("No such file or directory", ended.err, 1, true)
      assert.same({ n = 2, version = 3 }, get "count")
    end)

    it("ends with 6 and one message with file and line when it is refused; the old code goes on", function()
      counter("count.lua", 1)
      serve("count.lua", "count")
      local path = write("count.lua", BROKEN)
      local ended = troupe("reload")
      assert.same({ REFUSED, "" }, { ended.code, ended.out })
      assert.equal(1, select(2, ended.err:gsub("\n", "")))
      assert.matches("^" .. path:gsub("%p", "%%%0") .. ":3: .*; the old code goes on\n$", ended.err)
      assert.same({ n = 1, version = 1 }, get "count")
      local row = json.decode(troupe("reload", "--json").out)
      assert.same({ 1, "count", "refused", REFUSED, false }, { row.v, row.host, row.result, row.code, row.report.ok })
      assert.matches(":3: ", row.report.error, 1, true)
    end)

    it("goes back with --undo, and by itself when a handler fails within --trial", function()
      counter("count.lua", 1)
      local host = serve("count.lua", "count")
      counter("count.lua", 2)
      assert.equal(OK, troupe("reload").code)
      assert.equal(OK, troupe("reload", "--undo").code)
      assert.same({ n = 1, version = 1 }, get "count")
      counter("count.lua", 3)
      local ended = troupe("reload", "--trial", "60s")
      assert.equal(OK, ended.code)
      assert.matches("\non trial for 60 s\n", ended.out, 1, true)
      assert.equal(3, get("count").version)
      troupe("send", "count", "Fail")
      host:error_line("trial")
      for _ = 1, 200 do
        if get("count").version == 1 then break end
      end
      assert.equal(1, get("count").version)
    end)

    it("says what is not in use, and which host is meant", function()
      counter("count.lua", 1)
      assert.equal(UNREACHABLE, troupe("reload").code)
      serve("count.lua", "count")
      local ended = troupe("reload", "pong.lua")
      assert.same({ USAGE, "" }, { ended.code, ended.out })
      assert.matches("no script 'pong.lua' is in use here; there are: ", ended.err, 1, true)
      serve("count.lua", "other")
      ended = troupe("reload")
      assert.same({ USAGE, "" }, { ended.code, ended.out })
      assert.matches("which host? give --node with a name or process: count (process ", ended.err, 1, true)
      assert.matches("; or --all", ended.err, 1, true)
      assert.equal(OK, troupe("reload", "--node", "other").code)
      assert.equal(USAGE, troupe("reload", "--undo", "--trial", "1s").code)
    end)
  end)

  describe("in all hosts", function()
    it("commits when all have prepared, and passes over those that do not run the script", function()
      counter("count.lua", 1)
      counter("other.lua", 1)
      serve("count.lua", "one")
      serve("count.lua", "two")
      serve("other.lua", "other")
      assert.equal(1, get("one").n)
      local path = counter("count.lua", 2)
      local ended = troupe("reload", path, "--all")
      assert.same({ OK, "" }, { ended.code, ended.err })
      assert.matches("^HOST +PROCESS +SCRIPT +VERSION +ACTORS +HELD +RESULT\n", ended.out)
      for _, line in ipairs { "\none +%d+ +%S+count%.lua +#1 %-> #2 +1 +[%d.]+ ms +committed\n",
                              "\ntwo +%d+ +%S+count%.lua +#1 %-> #2 +1 +[%d.]+ ms +committed\n",
                              "\nother +%d+ +%- .* not in use\n" } do
        assert.matches(line, ended.out)
      end
      assert.same({ { n = 2, version = 2 }, { n = 1, version = 2 } }, { get "one", get "two" })
      assert.same({ one = "nothing changed", two = "nothing changed", other = "nothing changed" },
                  results(troupe("reload", "--all", "--json")))
      assert.same({ one = "committed", two = "committed", other = "not in use" },
                  results(troupe("reload", "--all", "--json", "--undo")))
      assert.equal(1, get("two").version)
      assert.equal(USAGE, troupe("reload", "--all", "nobody.lua").code)
    end)

    it("changes nothing anywhere when one refuses", function()
      counter("count.lua", 1)
      counter("other.lua", 1)
      serve("count.lua", "one")
      serve("other.lua", "other")
      counter("count.lua", 2)
      write("other.lua", BROKEN)
      local ended = troupe("reload", "--all")
      assert.equal(REFUSED, ended.code)
      assert.matches("other%.lua:3: .*, in other %(process %d+%); the old code goes on everywhere\n$", ended.err)
      assert.matches("\none +.* called off\n", ended.out)
      assert.same({ 1, 1 }, { get("one").version, get("other").version })
      counter("other.lua", 2)
      assert.equal(OK, troupe("reload", "--all").code)
      assert.same({ 2, 2 }, { get("one").version, get("other").version })
    end)

    it("changes nothing when a host dies before all have prepared", function()
      counter("count.lua", 1)
      serve("count.lua", "one")
      local two = serve("count.lua", "two")
      counter("count.lua", 2)
      two:hold()
      local command = start("reload", "--all")
      await_held "one"
      two:kill()
      local ended = command:wait()
      assert.equal(REFUSED, ended.code)
      assert.matches("two +%d+ .* has ended", ended.out)
      assert.matches("one +%d+ .* called off", ended.out)
      assert.equal(1, get("one").version)
    end)

    it("changes nothing when a host does not answer in time", function()
      counter("count.lua", 1)
      serve("count.lua", "one")
      local two = serve("count.lua", "two")
      counter("count.lua", 2)
      two:hold()
      local ended = troupe("reload", "--all")
      assert.equal(REFUSED, ended.code)
      assert.matches("two %(process %d+%) does not answer: is it stopped%?; the old code goes on everywhere\n$", ended.err)
      two:go_on()
      assert.same({ 1, 1 }, { get("one").version, get("two").version })
    end)

    it("commits in the others while one that has prepared does not answer", function()
      local BUSY = [[
        return {
          version = %d,
          on_start = function() print "up" end,
          on_spin = function() print "spins" local till = actor.now() + 4 repeat until actor.now() > till end,
          on_get = function(_, _, env) env:reply("Got", { version = %d }) end,
        }
      ]]
      counter("count.lua", 1)
      write("busy.lua", BUSY:format(1, 1))
      local one = serve("count.lua", "one")
      serve("count.lua", "three")
      local two = serve("busy.lua", "two")
      counter("count.lua", 2)
      write("busy.lua", BUSY:format(2, 2))
      assert.equal(OK, troupe("send", "two", "Spin").code)
      two:line "spins"
      local command = start("reload", "--all")
      await_held "one"
      one:hold()
      assert.same({ 2, 2 }, { get("two").version, get("three").version })
      one:go_on()
      command:wait()
    end)

    it("is called off at once when the command is killed, or interrupted", function()
      counter("count.lua", 1)
      local one = serve("count.lua", "one")
      local two = serve("count.lua", "two")
      counter("count.lua", 2)
      two:hold()
      local command = start("reload", "--all")
      await_held "one"
      command:kill()
      assert.equal(1, get("one").version) -- sooner than it would have been given up
      command = start("reload", "--all")
      await_held "one"
      assert.equal(INTERRUPTED, command:stop("INT").code)
      assert.equal(1, get("one").version)
      two:go_on()
      assert.same({ 1, 1 }, { get("one").version, get("two").version })
      assert.equal(OK, troupe("reload", "--all").code)
      assert.same({ 2, 2 }, { get("one").version, get("two").version })
      assert.equal(OK, one:stop("TERM").code)
    end)

    it("is over soon when a host of it shuts down", function()
      counter("count.lua", 1)
      local one = serve("count.lua", "one")
      local two = serve("count.lua", "two")
      counter("count.lua", 2)
      two:hold()
      local command = start("reload", "--all")
      await_held "one"
      assert.equal(OK, one:stop("TERM").code)
      two:go_on()
      local ended = command:wait()
      assert.equal(REFUSED, ended.code)
      assert.matches("one +%d+ .* the host is ending", ended.out)
      assert.equal(1, get("two").version)
    end)
  end)
end)
