-- troupe up, troupe down: a topology as processes, from the first one's start to the last
-- one's end.
local json = require "troupe.json"
local process = require "spec.support.process"
local program = require "spec.support.program"
local tools = require "troupe.tools"
local topologies = require "spec.support.topologies"

-- Sends ticks to where its config says; says when it begins and ends.
local FEED = [[
  local Feed = {}
  function Feed:on_start()
    print("feed begins")
    self.count = 0
    actor.every("20ms", "Beat")
  end
  function Feed:on_beat()
    self.count = self.count + 1
    self.config.to:send("Tick", { n = self.count })
  end
  function Feed:on_shutdown() print("feed ends") end
  return Feed
]]

local BOOK = [[
  local Book = {}
  function Book:on_start() print("book begins") end
  function Book:on_tick(msg)
    if not self.seen then print("first tick") end
    self.seen = true
  end
  function Book:on_ping(_, env) env:reply("Pong", { from = "book" }) end
  function Book:on_shutdown() print("book ends") end
  return Book
]]

-- Written in the wrong order: `after` puts it right.
local MARKET = [[
  return topology "market" {
    node "feed" { bind = ":PORT1", after = "books", actor "feed" { "feed.lua", config = { to = ref "book" } } },
    node "books" { bind = ":PORT2", actor "book" { "book.lua" } },
    link { "feed", "book", Tick = { n = "integer" } },
  }
]]

local place
local function make(files)
  place = topologies.make(files)
  return place
end

local function make_market()
  return make { ["feed.lua"] = FEED, ["book.lua"] = BOOK, ["market.lua"] = MARKET }
end

local function lines_of(text)
  local lines = {}
  for line in text:gmatch("[^\n]+") do table.insert(lines, line) end
  return lines
end

after_each(function()
  process.end_all()
  if place then place:remove() end
  place = nil
end)

for _, way in ipairs(topologies.WAYS) do
  local what, flag = way[1], way[2]

  describe("a topology that is up " .. what, function()
    it("begins by `after`, speaks, answers from outside, ends the other way round", function()
      make_market()
      local up = place:up("market.lua", flag)
      up:line("book begins")
      topologies.await(up, { "feed begins", "market is up", "first tick" })
      assert.equal('Pong {"from": "book"}\n', place:ask("book", 2, "Ping").out)
      local ended = up:stop("INT")
      assert.equal(130, ended.code)
      assert.matches("feed ends.*book ends", ended.out)
      assert.matches("market is down\n$", ended.out)
    end)

    it("ends with 0 by SIGTERM, and is up again at once on the same ports", function()
      make_market()
      for _ = 1, 2 do
        local up = place:up("market.lua", flag)
        up:line("first tick")
        assert.equal(0, up:stop("TERM").code)
      end
    end)

    it("says which actor cannot start and why, and ends with 1", function()
      make_market()
      place:write("feed.lua", FEED:gsub('print%("feed begins"%)', 'error("no feed today", 0)'))
      local ended = process.run(place:words("up", "market.lua", flag))
      assert.equal(1, ended.code)
      assert.matches("up       | %l+ cannot start: .*feed.*no feed today", ended.err)
      assert.matches("book ends", ended.out, 1, true)
      assert.matches("market is down\n$", ended.err)
    end)

    it("says who has a port, and ends with 1", function()
      make_market()
      local holder = process.start(process.troupe { "run", place:at("book.lua"), "--bind", ":" .. place.ports[1] })
      holder:error_line("listening on")
      local ended = process.run(place:words("up", "market.lua", flag))
      assert.equal(1, ended.code)
      assert.matches(("up       | %%l+ cannot start: .*127.0.0.1:%d"):format(place.ports[1]), ended.err)
    end)

    it("ends with 0 when all its actors have ended", function()
      make { ["once.lua"] = 'return { on_start = function() print("done") actor.exit() end }',
             ["once_t.lua"] = [[return topology "once" { node "a" { actor "one" { "once.lua" } } }]] }
      local ended = process.run(place:words("up", "once_t.lua", flag))
      assert.same({ 0, true }, { ended.code, ended.out:find("| done", 1, true) ~= nil })
      assert.matches("once: all nodes have ended\n$", ended.err)
    end)
  end)
end

describe("what troupe up writes", function()
  it("has the name of the node in front: what is printed on the output, what is logged on standard error", function()
    make_market()
    local up = process.start(place:words("up", "market.lua"))
    assert.equal("books    | book begins", up:line("book begins"))
    assert.equal("feed     | feed begins", up:line("feed begins"))
    assert.matches("^up       | books is ready, tcp://127.0.0.1:%d+ %(process %d+%)$", up:error_line("books is ready"))
    local ended = up:stop("TERM")
    assert.is_nil(ended.out:find("up  ", 1, true))
    assert.is_nil((ended.out .. ended.err):find("\27", 1, true))
  end)

  it("is as wide as the longest name", function()
    make { ["book.lua"] = BOOK, ["wide.lua"] = [[
      return topology "wide" { node "a" { actor "book" { "book.lua" } },
                               node "a_long_name" { actor "other" { "book.lua" } } }]] }
    local up = place:up("wide.lua")
    topologies.await(up, { "a           | book begins", "a_long_name | book begins" })
    up:stop("TERM")
  end)

  it("is JSON objects with the node's name with --log json, on standard error", function()
    make_market()
    place:write("book.lua", 'io.stderr:write("a word\\n")\n' .. BOOK:gsub('print%("book begins"%)', 'log.info("in JSON", { n = 1 })'))
    local up = process.start(place:words("up", "market.lua", "--log", "json"))
    up:line("feed begins")
    up:error_line("market is up")
    local rows = {}
    for _, line in ipairs(lines_of(up:stop("TERM").err)) do
      local row = json.decode(line)
      assert.equal("table", type(row), line)
      table.insert(rows, row)
    end
    assert.equal("market is down", rows[#rows].text)
    assert.equal(json.null, rows[#rows].node)
    local again = process.start(place:words("up", "market.lua", "--log", "json"))
    local row = json.decode(again:error_line("in JSON"))
    assert.same({ "books", "book", 1 }, { row.node, row.actor, row.fields.n })
    again:stop("TERM")
  end)

  it("comes with a long last line that has no end, and any bytes", function()
    make { ["raw.lua"] = [[
             return { on_start = function()
               io.write("a\0b\255\n", ("x"):rep(300000))
               io.flush()
               actor.stop_host(0)
             end }]],
           ["raw_t.lua"] = [[return topology "raw" { node "a" { actor "raw" { "raw.lua" } } }]] }
    local ended = place:run("up", "raw_t.lua")
    assert.equal(0, ended.code)
    assert.equal("a        | a\0b\255\na        | " .. ("x"):rep(300000) .. "\n", ended.out)
  end)

  it("ends, and the topology with it, when nobody reads it any more", function()
    make_market()
    local ended = process.run({ "sh", "-c", '"$@" | head -n 1; echo "${PIPESTATUS:-over}"', "sh",
                                table.unpack(place:words("up", "market.lua")) })
    assert.equal("books    | book begins\nover\n", ended.out)
    assert.matches("nobody reads standard output any more: stopping", ended.err, 1, true)
    assert.matches("market is down\n$", ended.err)
  end)

  it("waits for a reader that stands still, and can be stopped all the same", function()
    make { ["flood.lua"] = [[
             local Flood = {}
             function Flood:on_start() actor.self:send("Go") end
             function Flood:on_go() while true do print(("x"):rep(99)) end end
             return Flood]],
           ["flood_t.lua"] = [[return topology "flood" { node "a" { slice = "1h", actor "flood" { "flood.lua" } } }]] }
    local up = process.start(place:words("up", "flood_t.lua", "--shutdown", "2s"))
    up:error_line("flood is up")
    up:line("xxx")
    up:signal("INT")
    up:error_line("SIGINT")
    assert.matches("flood is down", up:error_line("flood is down"), 1, true)
    assert.equal(130, up:wait().code)
  end)

  local function sit(how, text, ...)
    return process.run { "/usr/bin/python3", "-B", "spec/support/sitting.py", program.is_sanitized and "150" or "50", text, how,
                         ... }
  end

  it("is coloured on a terminal, where ^C ends it, and not with NO_COLOR", function()
    make_market()
    local coloured = sit("interrupt", "first tick", table.unpack(place:words("up", "market.lua")))
    assert.matches("^130 ", coloured.out)
    assert.matches([[\x1b[36mbooks    |\x1b[0m book begins\r\n]], coloured.out, 1, true)
    assert.matches([[market is down\r\n']], coloured.out, 1, true)
    local plain = sit("interrupt", "first tick", "env", "NO_COLOR=1", table.unpack(place:words("up", "market.lua")))
    assert.matches([[\nbooks    | book begins\r\n]], plain.out, 1, true)
    assert.is_nil(plain.out:find("x1b", 1, true))
  end)

  it("ends, and the topology with it, when its terminal goes away", function()
    make_market()
    local ended = sit("close", "first tick", table.unpack(place:words("up", "market.lua")))
    assert.matches("^0 ", ended.out)
    assert.equal(5, place:run("down", "market.lua").code)
    local pid = ended.out:match("books is ready[^(]*%(process (%d+)%)")
    topologies.await_end(pid)
  end)
end)

describe("troupe up", function()
  it("starts nothing that troupe check finds wrong, and ends with 6", function()
    make_market()
    place:write("market.lua", (MARKET:gsub("Tick", "Tack")))
    local ended = place:run("up", "market.lua")
    assert.equal(6, ended.code)
    assert.matches("market.lua:4: .*on_tack", ended.err)
    assert.equal("", ended.out)
  end)

  it("needs a file that is there", function()
    make_market()
    assert.equal(2, place:run("up", "nowhere.lua").code)
  end)

  it("shows with --dry-run no folder's name that would command the terminal", function()
    make_market()
    local folder = place:at("red\27[31m")
    assert(os.execute("mkdir '" .. folder .. "'"))
    process.write_file(folder .. "/a.lua", "return {}")
    process.write_file(folder .. "/t.lua", 'return topology "t" { node "n" { actor "a" { "a.lua" } } }')
    local ended = process.run(process.troupe { "up", folder .. "/t.lua", "--dry-run" })
    assert.equal(0, ended.code, ended.err)
    assert.matches("red\\x1b[31m/a.lua", ended.out, 1, true)
  end)

  it("shows with --dry-run what it would start, in order, and starts nothing", function()
    make_market()
    local ended = place:run("up", "market.lua", "--dry-run")
    assert.equal(0, ended.code)
    local lines = lines_of(ended.out)
    assert.matches("^1%. books +tcp://127.0.0.1:" .. place.ports[2], lines[1])
    assert.matches("^   book +.*/book.lua", lines[2])
    assert.matches("^2%. feed +tcp://127.0.0.1:" .. place.ports[1], lines[3])
    assert.matches("^   feed +.*/feed.lua", lines[4])
    assert.equal(5, place:run("down", "market.lua").code)
    local objects = lines_of(place:run("up", "market.lua", "--dry-run", "--json").out)
    local first = json.decode(objects[1])
    assert.same({ "books", "book", "market" }, { first.node, first.actors[1].name, first.topology })
    assert.equal(2, #objects)
    local one = lines_of(place:run("up", "market.lua", "--dry-run", "--json", "--one").out)
    assert.equal(1, #one)
    assert.equal(2, #json.decode(one[1]).actors)
  end)

  it("reads a topology from standard input", function()
    make_market()
    local text = ('return topology "typed" { node "a" { actor "book" { %q } } }'):format(place:at("book.lua"))
    local dry = process.run(place:words("up", "-", "--dry-run"), { input = text })
    assert.same({ 0, "" }, { dry.code, dry.err })
    process.write_file(place:at("typed.lua"), text)
    local up = process.start { "sh", "-c", 'exec "$@" <' .. place:at("typed.lua"), "sh", table.unpack(place:words("up", "-")) }
    up:line("book begins")
    up:error_line("typed is up")
    local down = process.run(process.troupe { "down", "typed" })
    assert.equal(0, down.code, down.err)
    assert.equal(0, up:wait().code)
  end)

  it("says what is wrong with a topology from standard input, and starts nothing", function()
    make_market()
    local ended = process.run(place:words("up", "-"), { input = 'return topology "typed" {\n  nod "a" {},\n}' })
    assert.equal(6, ended.code)
    assert.matches("(standard input):2: there is no word 'nod' (did you mean 'node'?)", ended.out .. ended.err, 1, true)
    assert.equal(5, process.run(process.troupe { "down", "typed" }).code)
  end)

  it("shows with --dry-run and --node what that node would be, and no other", function()
    make_market()
    local lines = lines_of(place:run("up", "market.lua", "--node", "feed", "--dry-run").out)
    assert.equal(2, #lines)
    assert.matches("^1%. feed +tcp://127.0.0.1:" .. place.ports[1], lines[1])
    assert.matches("^   feed +.*/feed.lua", lines[2])
  end)

  it("ends a single node of --node with troupe down", function()
    make_market()
    local up = place:up("market.lua", "--node", "books")
    up:line("book begins")
    local down = place:run("down", "market.lua")
    assert.equal(0, down.code, down.err)
    assert.matches("^market is down %(process %d+%): books\n$", down.out)
    local ended = up:wait()
    assert.equal(0, ended.code)
    assert.matches("book ends", ended.out, 1, true)
  end)

  it("reads a topology from a pipe, once", function()
    make_market()
    assert(os.execute("mkfifo " .. place:at("pipe")))
    local words = ('(exec cat %s >%s) & exec "$@" 2>&1'):format(place:at("market.lua"), place:at("pipe"))
    local up = process.start { "sh", "-c", words, "sh", table.unpack(place:words("up", "pipe")) }
    up:line("market is up")
    assert.equal(0, process.run(process.troupe { "down", "market" }).code)
    assert.equal(0, up:wait().code)
    local watched = place:run("up", "pipe", "-w")
    assert.equal(2, watched.code)
    assert.matches("-w watches a file; .*pipe is none", watched.err)
  end)

  it("runs a single node in its own process with --node", function()
    make_market()
    local up = place:up("market.lua", "--node", "books")
    up:line("book begins")
    assert.equal('Pong {"from": "book"}\n', place:ask("book", 2, "Ping").out)
    assert.equal(130, up:stop("INT").code)
    local ended = place:run("up", "market.lua", "--node", "bocks")
    assert.equal(2, ended.code)
    assert.matches("has no node 'bocks' (did you mean 'books'?); there are books, feed", ended.err, 1, true)
  end)

  it("says what does not go together", function()
    make_market()
    for flags, why in pairs { [{ "--trial", "1s" }] = "give -w", [{ "--json" }] = "--dry-run",
                              [{ "--one", "--node", "feed" }] = "give one of them" } do
      local ended = place:run("up", "market.lua", table.unpack(flags))
      assert.equal(2, ended.code)
      assert.matches(why, ended.err, 1, true)
    end
    assert.equal(2, process.run(place:words("up", "-", "-w"), { input = "" }).code)
  end)
end)

describe("the start of a topology", function()
  -- Starts only when somebody else answers.
  local ASKER = [[
    return { on_start = function(self)
      repeat local answer = self.config.other:ask("Ping", nil, { timeout = "1s" }) until answer
      print("asker begins")
    end }
  ]]

  it("is at the same time for nodes of which none comes after another", function()
    make { ["asker.lua"] = ASKER, ["book.lua"] = BOOK, ["pair.lua"] = [[
      return topology "pair" {
        node "first" { bind = ":PORT1", actor "asker" { "asker.lua", config = { other = ref "book" } } },
        node "second" { bind = ":PORT2", actor "book" { "book.lua" } },
      }
    ]] }
    local up = place:up("pair.lua")
    topologies.await(up, { "book begins", "asker begins", "pair is up: 2 nodes" })
    assert.equal(0, up:stop("TERM").code)
  end)

  it("is over for all when one of them cannot start", function()
    make { ["asker.lua"] = ASKER, ["book.lua"] = BOOK, ["broken.lua"] = [[return { on_start = function() error("no luck", 0) end }]], ["trio.lua"] = [[
      return topology "trio" {
        node "stuck" { bind = ":PORT1", actor "asker" { "asker.lua", config = { other = ref "silent" } } },
        node "broken" { bind = ":PORT2", actor "broken" { "broken.lua" } },
        node "later" { bind = ":PORT3", after = "stuck", actor "never" { "book.lua" } },
        external "silent" { "tcp://127.0.0.1:PORT4", from = "troupe" },
      }
    ]] }
    local ended = place:run("up", "trio.lua")
    assert.equal(1, ended.code)
    assert.matches("up       | broken cannot start: .*no luck", ended.err)
    assert.matches("trio is down\n$", ended.err)
    assert.is_nil(ended.out:find("begins", 1, true))
  end)
end)

describe("the end of a topology", function()
  it("is what troupe down brings, which waits for it and says what has ended", function()
    make_market()
    local up = place:up("market.lua")
    up:line("market is up")
    local twice = place:run("up", "market.lua")
    assert.equal(1, twice.code)
    assert.matches("market.lua is up already: process %d+ %('troupe down .*market.lua' ends it%)", twice.err)
    local down = place:run("down", "market.lua")
    assert.equal(0, down.code)
    assert.matches("^market is down %(process %d+%): books, feed\n$", down.out)
    local ended = up:wait()
    assert.equal(0, ended.code)
    assert.matches("market is down\n$", ended.out)
    local again = place:run("down", "market.lua")
    assert.equal(5, again.code)
    assert.matches("market.lua is not up", again.err, 1, true)
  end)

  it("may be asked for by name, also where a folder is called so", function()
    make_market()
    local up = place:up("market.lua")
    up:line("market is up")
    assert(os.execute(("mkdir '%s'"):format(place:at "market")))
    local words = process.troupe { "down", "market" }
    assert.equal(0, process.run({ "env", "-C", place.folder, table.unpack(words) }).code)
    assert.equal(0, up:wait().code)
  end)

  it("comes to the nodes when troupe up is killed", function()
    make_market()
    local up = place:up("market.lua")
    local pid = topologies.pid(up:line("books is ready"))
    up:line("market is up")
    up:kill()
    topologies.await_end(pid)
    assert.equal(5, place:run("down", "market.lua").code)
    local again = place:up("market.lua")
    again:line("first tick")
    assert.equal(0, again:stop("TERM").code)
  end)

  it("is in order also if somebody has told the nodes already, as who ends all processes of a service", function()
    make { ["slow.lua"] = [[
             local Slow = {}
             function Slow:on_shutdown()
               print("slow is told")
               local pipe <close> = io.open("PIPE")
               pipe:read("a")
               print("slow ends")
             end
             return Slow
           ]],
           ["slow_t.lua"] = [[return topology "slow" { node "a" { actor "slow" { "slow.lua" } } }]] }
    assert(os.execute("mkfifo " .. place:at("pipe")))
    place:write("slow.lua", (assert(io.open(place:at("slow.lua"))):read("a"):gsub("PIPE", place:at("pipe"))))
    local up = place:up("slow_t.lua")
    local pid = topologies.pid(up:line("a is ready"))
    up:line("slow is up")
    topologies.kill(pid, "TERM")
    up:line("slow is told")
    local down = place:run("down", "slow_t.lua", "--timeout", "500ms")
    assert.equal(3, down.code, down.out)
    assert(os.execute("echo >" .. place:at("pipe")))
    local ended = up:wait()
    assert.equal(0, ended.code, ended.out)
    assert.matches("slow ends", ended.out, 1, true)
  end)

  for _, way in ipairs(topologies.WAYS) do
    -- A topology whose troupe up has been killed, and with it a node that ends when it may.
    local function leave_behind()
      make_market()
      place:write("hold", "")
      place:write("book.lua", (BOOK:gsub('print%("book ends"%)', function()
        return ('while io.open(%q) do actor.sleep("10ms") end'):format(place:at("hold"))
      end)))
      local up = place:up("market.lua", way[2])
      local pid = topologies.pid(up:line("is ready"))
      topologies.await(up, { "market is up", "first tick" })
      up:kill()
      return pid
    end

    it("need not have come to the nodes of a killed troupe up before the next one begins, " .. way[1], function()
      local pid = leave_behind()
      local again = place:up("market.lua", way[2])
      assert.matches(("waiting for process %s, which still has tcp://127.0.0.1:%%d+: a node whose 'troupe up' has gone$"):format(pid),
                     again:line("waiting for"))
      os.remove(place:at("hold"))
      topologies.await(again, { "market is up", "first tick" })
      assert.equal(0, again:stop("TERM").code)
    end)

    it("is awaited by the next one as long as its own may take, " .. way[1], function()
      local pid = leave_behind()
      local again = place:run("up", "market.lua", "--shutdown", "1s", way[2])
      os.remove(place:at("hold"))
      assert.equal(1, again.code)
      assert.matches("cannot start: .*it is taken by process " .. pid, again.err)
      topologies.await_end(pid)
    end)
  end

  it("is awaited within the budget: what has not ended then is killed, and that is a failure", function()
    make_market()
    local up = place:up("market.lua", "--shutdown", "1s")
    local pid = topologies.pid(up:line("feed is ready"))
    up:line("market is up")
    topologies.kill(pid, "STOP")
    local ended = up:stop("TERM")
    assert.equal(1, ended.code)
    assert.matches("feed had not ended in 1.0 s and was killed", ended.out, 1, true)
    local socket = ("%s/troupe/feed.%s.sock"):format(program.runtime, pid)
    assert.is_nil(tools.kind_of(socket), "the control socket of who was killed")
    assert.matches("book ends", ended.out, 1, true)
  end)

  it("is at once when it is asked for twice", function()
    make_market()
    local up = place:up("market.lua", "--shutdown", "1h")
    local pid = topologies.pid(up:line("feed is ready"))
    up:line("market is up")
    topologies.kill(pid, "STOP")
    up:signal("INT")
    up:line("SIGINT: stopping")
    up:signal("TERM")
    assert.equal(143, up:wait().code)
    topologies.await_end(pid)
  end)
end)
