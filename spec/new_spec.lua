-- troupe new actor NAME: an actor and its spec, in the project where one stands.
local new = require "troupe.cli.new"
local process = require "spec.support.process"

local OK, FAILED, USAGE = 0, 1, 2

describe("troupe new actor", function()
  local folder

  local function troupe(at, ...)
    return process.run(process.troupe_in(folder .. at, { ... }))
  end

  before_each(function() folder = process.make_folder() end)
  after_each(function() process.remove_folder(folder) end)

  it("writes an actor with its protocol, and a spec that passes", function()
    local ended = troupe("", "new", "actor", "OrderBook")
    assert.same({ OK, "" }, { ended.code, ended.err })
    assert.matches("^actors/order_book%.lua .*\nspec/order_book_spec%.lua ", ended.out)
    local script = process.read_file(folder .. "/actors/order_book.lua")
    assert.matches("^%-%- order_book: .*replies Total { n = integer }\nlocal OrderBook = {}\n", script)
    assert.matches("function OrderBook:on_start()", script, 1, true)
    ended = troupe("", "test")
    assert.equal(OK, ended.code)
    assert.matches("1 success / 0 failures", ended.out, 1, true)
  end)

  it("adds to a project of troupe init", function()
    troupe("", "init", "shop")
    assert.equal(OK, troupe("/shop", "new", "actor", "till").code)
    assert.matches("3 successes / 0 failures", troupe("/shop", "test").out, 1, true)
  end)

  it("finds the project around actors/ and spec/", function()
    troupe("", "init", "shop")
    for at, name in pairs { ["/shop/actors"] = "till", ["/shop/spec"] = "cart" } do
      local ended = troupe(at, "new", "actor", name)
      assert.equal(OK, ended.code)
      assert.matches("^%.%./actors/" .. name .. "%.lua ", ended.out)
      assert.matches("\n  cd ..\n", ended.out, 1, true)
      assert.is_true(#process.read_file(("%s/shop/spec/%s_spec.lua"):format(folder, name)) > 0)
    end
  end)

  it("says how the topology gets the actor", function()
    assert.matches('\n  actor "order_book" { "actors/order_book.lua" },\n', troupe("", "new", "actor", "OrderBook").out, 1, true)
  end)

  it("takes names as people write them", function()
    for given, expected in pairs {
      pong = { file = "pong", class = "Pong" },
      OrderBook = { file = "order_book", class = "OrderBook" },
      ["order-book"] = { file = "order_book", class = "OrderBook" },
      order_book = { file = "order_book", class = "OrderBook" },
      ["order_book.lua"] = { file = "order_book", class = "OrderBook" },
      HTTPServer = { file = "http_server", class = "HttpServer" },
      feed2 = { file = "feed2", class = "Feed2" },
      Level2Feed = { file = "level2_feed", class = "Level2Feed" },
      ["end"] = { file = "end", class = "End" },
    } do
      assert.same(expected, new.names(given))
    end
  end)

  it("makes a script that loads whatever the name", function()
    for _, name in ipairs { "end", "string", "Actor", "self", "ref" } do
      assert.equal(OK, troupe("", "new", "actor", name).code)
    end
    assert.matches("5 successes / 0 failures", troupe("", "test").out, 1, true)
  end)

  it("refuses what is no name", function()
    for _, name in ipairs { "", "3d", "_", "x/y", "..", "a b", "tür", ".lua" } do
      local ended = troupe("", "new", "actor", name)
      assert.same({ USAGE, "" }, { ended.code, ended.out })
      assert.equal(("troupe: '%s' cannot be an actor's name here: letters, digits, '_' and '-', the first a letter\n")
                   :format(name), ended.err)
    end
    assert.equal(USAGE, troupe("", "new", "actor", ("x"):rep(101)).code)
    assert.is_nil(io.open(folder .. "/actors"))
  end)

  it("refuses names whose files are there, and touches neither", function()
    troupe("", "new", "actor", "till")
    local path = folder .. "/actors/till.lua"
    assert(os.remove(path))
    assert.same({ code = FAILED, out = "",
                  err = "troupe: this folder has spec/till_spec.lua already: nothing was written\n" },
                troupe("", "new", "actor", "Till"))
    assert.is_nil(io.open(path))
  end)

  it("makes nothing but actors", function()
    local ended = troupe("", "new", "host", "x")
    assert.equal(USAGE, ended.code)
    assert.matches("must be one of 'actor'", ended.err, 1, true)
  end)
end)
