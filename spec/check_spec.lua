-- troupe check: what it says of a topology whose scripts and links do not go together, word
-- by word, and what it leaves alone. What the file alone shows is in check_file_spec.lua.
local checking = require "spec.support.checking"
local process = require "spec.support.process"
local program = require "spec.support.program"

local USAGE, CHECK = 2, 6

-- Interrupts come as signals.
local function it_interrupts(name, check)
  if program.has_thread_sanitizer then
    it(name, function() pending("signals do not reach Lua under the thread sanitizer") end)
  else
    it(name, check)
  end
end

local folder, write, command, expect_check = checking.folder, checking.write, checking.command, checking.expect

before_each(checking.open)
after_each(checking.close)

local IDLE = "function on_idle() end"
local ASKS = "function on_go(self) self.config.to:ask('Query') end function on_query(self, msg, env) env:reply('Result') end"

-- A node of actors; each on its line.
local function node(...)
  return ('node "here" {\n%s\n},'):format(table.concat({ ... }, "\n"))
end

local FEED_AND_BOOK = node('actor "feed" { "feed.lua" },', 'actor "book" { "book.lua" },')

describe("troupe check", function()
  it("says what there is when nothing is wrong", function()
    expect_check({
      node('actor "feed" { "feed.lua", config = { to = ref "book" } },', 'actor "book" { "book.lua", instances = 4, route = "round" },'),
      'node "there" { actor "clerk" { "clerk.lua" } },',
      'external "pricer" { "tcp://127.0.0.1:5010", from = "python" },',
      'link { "feed", "book", Tick = { price = "number" } },',
      'link { "clerk", "pricer", PriceReq = { symbol = "string" }, answers = "Price" },',
    }, {
      ["clerk.lua"] = "function on_order(self) return self.pricer:ask('PriceReq', { symbol = 'X' }) end",
      ["feed.lua"] = "local Tick = actor.message('Tick', { price = 'number' }) function on_go(self) self.config.to:send(Tick{ price = 1 }) end",
      ["book.lua"] = "function on_tick() end",
    }, {
      "market.lua: ok: 2 nodes, 3 actors, 1 external, 2 links",
    })
  end)

  it("counts no externals, links and warnings where there are none", function()
    expect_check({ node 'actor "idle" { "idle.lua" }' }, { ["idle.lua"] = IDLE },
      { "market.lua: ok: 1 node, 1 actor" })
  end)

  it("tells all problems at once, by their lines: of the file, of scripts and of links", function()
    expect_check({
      'node "feed" { bnid = "tcp://127.0.0.1:5001",',
      '  actor "feed" { "feed.lua", config = { to = ref "bok" } },',
      '  actor "book" { "book.lua", slice = "soon" } },',
      'node "risk" { after = "fed",',
      '  actor "limits" { "limits.lua", instances = 4 } },',
      'external "pricer" { "tcp://localhost:5010", from = "python" },',
      'link { "feed", "book", Tick = { symbol = "string" } },',
      'link { "feed", "pricer", "PriceReq" },',
      'link { "feed", "nobody", "Note" },',
    }, {
      ["feed.lua"] = "function on_go(self) self.config.to:send('Tick') end",
      ["book.lua"] = "function on_trade() end",
      ["limits.lua"] = "function on_price() end end",
    }, {
      "market.lua:2: node 'feed' has no option 'bnid' (did you mean 'bind'?)",
      "market.lua:3: actor 'feed': config.to: ref 'bok': there is no actor or external 'bok' (did you mean 'book'?)",
      "market.lua:4: actor 'book': slice is a duration of more than 0, as \"5s\", not 'soon'",
      "market.lua:5: node 'risk': after names no node: there is no 'fed' (did you mean 'feed'?)",
      "market.lua:6: actor 'limits': it has instances and no route: write route = \"round\", \"least\", \"broadcast\" or \"hash:FIELD\"",
      "market.lua:6: actor 'limits': limits.lua:1: <eof> expected near 'end'",
      "market.lua:8: book.lua has no on_tick (it has on_trade)",
      "market.lua:9: warning: feed.lua never sends PriceReq",
      "market.lua:9: PriceReq goes to 'pricer' without a shape, and a field that is missing or unknown ends a Python peer's receiver"
        .. " (write PriceReq = { FIELD = \"TYPE\", ... })",
      "market.lua:10: link: there is no actor or external 'nobody'",
    })
  end)

  it("reads standard input, and finds scripts in the current folder", function()
    local ended = process.run(process.troupe { "check", "-" }, {
      input = 'return topology "t" { node "n" { actor "pong" { "examples/ping_pong.lua" }, actor "x" { "nobody" } } }',
    })
    assert.equal("(standard input):1: actor 'x': no script 'nobody': looked for nobody.lua in ., SHARE/actors/\n", checking.plain(ended.out))
    assert.equal(CHECK, ended.code)
  end)

  it("takes several files, and tells of one that is not there", function()
    write("idle.lua", IDLE)
    local one = write("one.lua", 'return topology "one" { node "n" { actor "a" { "idle.lua" } } }')
    local two = write("two.lua", 'return topology "two" { node "n" { actor "a" { "idel.lua" } } }')
    local ended = command(one, folder() .. "/three.lua", two)
    assert.equal("one.lua: ok: 1 node, 1 actor\n"
      .. "two.lua:1: actor 'a': no script 'idel.lua': looked for idel.lua in FOLDER, ., SHARE/actors/; did you mean idle.lua?\n", ended.out)
    assert.equal("three.lua: it cannot be read: No such file or directory\n", ended.err)
    assert.equal(USAGE, ended.code)
    assert.equal(CHECK, command(one, two).code)
    assert.equal(USAGE, command().code)
  end)

  it("says the same to machines, one object a line", function()
    write("book.lua", "function on_trade() end")
    local path = write("market.lua", 'return topology "market" {\n node "n" { actor "book" { "book.lua" } },\n'
      .. 'external "x" { "tcp://127.0.0.1:5010" },\nlink { "x", "book", "Tick" } }')
    local ended = command("--json", path)
    assert.equal('{"v": 1, "kind": "problem", "file": "market.lua", "line": 4, "severity": "error", '
      .. '"text": "book.lua has no on_tick", "hint": "it has on_trade"}\n'
      .. '{"v": 1, "kind": "topology", "file": "market.lua", "name": "market", "ok": false, "errors": 1, "warnings": 0, '
      .. '"nodes": 1, "actors": 1, "externals": 1, "links": 1}\n', ended.out)
    assert.equal(CHECK, ended.code)
    write("book.lua", "error('\\xff\\27[31mred')")
    assert.equal('"text": "actor \'book\': book.lua:1: \\\\xff\\\\027[31mred"', command("--json", path).out:match('"text": "[^"]*"'))
    write("market.lua", "return topology 'market' { nod {} }")
    assert.equal('{"v": 1, "kind": "problem", "file": "market.lua", "line": 1, "severity": "error", '
      .. '"text": "there is no word \'nod\'", "hint": "did you mean \'node\'?"}\n', command("--json", path).out:match("^.-\n"))
  end)
end)

describe("a script, to troupe check,", function()
  local function expect_refusal(text, expected)
    expect_check({ node 'actor "hero" { "hero.lua" },' }, { ["hero.lua"] = text },
      { "market.lua:3: actor 'hero': " .. expected })
  end

  it("is found beside the topology, then in the current folder, then among the shipped actors", function()
    expect_check({ node('actor "a" { "idle" },', 'actor "b" { "examples/ping_pong.lua" },', 'actor "c" { "router" },') },
      { ["idle.lua"] = IDLE }, { "market.lua: ok: 1 node, 3 actors" })
  end)

  it("may be missing", function()
    expect_check({ node('actor "a" { "idel.lua" },', 'actor "b" { "actors/none" },') }, { ["idle.lua"] = IDLE }, {
      "market.lua:3: actor 'a': no script 'idel.lua': looked for idel.lua in FOLDER, ., SHARE/actors/; did you mean idle.lua?",
      "market.lua:4: actor 'b': no script 'actors/none': looked for actors/none.lua in FOLDER, ., SHARE/actors/; did you mean actors/node.lua?",
    })
  end)

  it("may be no Lua", function()
    expect_refusal("local x =\n= 3", "hero.lua:2: unexpected symbol near '='")
  end)

  it("may be bytecode", function()
    expect_refusal(string.dump(load("function on_ping() end")),
      "hero.lua: compiled Lua (bytecode) is never loaded; give its source")
  end)

  it("may raise whatever it likes", function()
    expect_refusal("\nerror('broken')", "hero.lua:2: broken")
    expect_refusal("error { code = 3 }", "hero.lua:1: (error object is a table: {code = 3})")
    expect_refusal("error(setmetatable({}, { __tostring = function() os.exit(3) end }))",
      "hero.lua:1: (error object is a table: {})")
  end)

  it("may define nothing", function()
    expect_refusal("return 3", "hero.lua: returns no table of on_<type> functions and defines none")
    expect_refusal("return { on_ping = 3 }", "hero.lua: on_ping is a number, not a function")
    expect_refusal("return { on_ping = print, on_Ping = print }", "hero.lua: on_Ping and on_ping are handlers of the same type")
  end)

  it("may have settings that it cannot have", function()
    expect_refusal("return { memory = 'lots', on_ping = print }",
      "hero.lua: memory is \"256MiB\", \"1GiB\" or a number of bytes, not 'lots'")
    expect_refusal("return { interleave = { 'Qery' }, on_query = print }",
      "interleave names Qery, but hero.lua has no on_qery (did you mean on_query?)")
  end)

  it("may require what is not there", function()
    expect_refusal("require 'prices'", "hero.lua:1: module 'prices' not found (looked for prices.lua, lua/prices.lua,"
      .. " actors/prices.lua, SHARE/lua/prices.lua, ...)")
  end)

  it("may call os.exit, which ends nothing", function()
    expect_refusal("\nos.exit(0, true)", "hero.lua:2: its top level calls os.exit")
  end)

  it("may spawn and send at its top level, which is refused there as by a host", function()
    expect_refusal("actor.spawn('router')", "hero.lua:1: actor.spawn: a script's top level only defines; do this in a handler")
  end)

  it_interrupts("may never come to an end", function()
    expect_refusal("\nwhile true do pcall(function() while true do end end) end",
      "hero.lua:2: its top level ran for more than 1 s")
  end)

  it("has the memory that the actor has", function()
    local hog = "local list = {} for i = 1, 100 do list[i] = ('x'):rep(100000) .. i end function on_ping() end"
    expect_check({ 'node "n" { memory = "4MiB",', 'actor "a" { "hog.lua" },', 'actor "b" { "hog.lua", memory = "5MiB" },',
      'actor "c" { "hog.lua", memory = "1GiB" } },' }, { ["hog.lua"] = hog }, {
      "market.lua:3: actor 'a': hog.lua:1: its top level needs more than its memory limit of 4 MiB",
      "market.lua:4: actor 'b': hog.lua:1: its top level needs more than its memory limit of 5 MiB",
    })
  end)

  it("is in a sandbox if the actor is, or the whole node", function()
    local opener = "local file <close> = io.open('/dev/null') function on_ping() end"
    expect_check({ 'node "n" {', 'actor "a" { "opener.lua", sandbox = true },', 'actor "b" { "opener.lua" } },',
      'node "m" { sandbox = true,', 'actor "c" { "opener.lua" } },' }, { ["opener.lua"] = opener }, {
      "market.lua:3: actor 'a': opener.lua:1: 'io' is not available in a sandbox",
      "market.lua:6: actor 'c': opener.lua:1: 'io' is not available in a sandbox",
    })
  end)

  it("is told of for each actor that runs it, as each is a line to look at", function()
    expect_check({ node('actor "a" { "bad.lua" },', 'actor "b" { "bad.lua" },') }, { ["bad.lua"] = "x x" }, {
      "market.lua:3: actor 'a': bad.lua:1: syntax error near 'x'",
      "market.lua:4: actor 'b': bad.lua:1: syntax error near 'x'",
    })
  end)

  it("may stand in the topology itself, and is called by its actor's name", function()
    expect_check({ node('actor "a" { source = "x x" },', 'actor "b" { source = [[\nfunction on_tick() end]] },'),
      'link { "b", "b", "Tock" },' }, {}, {
      "market.lua:3: actor 'a': a:1: syntax error near 'x'",
      "market.lua:7: actor 'b' has no on_tock (did you mean on_tick?)",
      "market.lua:7: warning: actor 'b' never sends Tock",
    })
  end)

  it("is warned of as by a host", function()
    expect_check({ node 'actor "hero" { "hero.lua" },' },
      { ["hero.lua"] = "local Hero = { memroy = 3 } function Hero:on_strat() end return Hero" }, {
      "market.lua:3: warning: hero.lua: memroy is no setting: did you mean memory?",
      "market.lua:3: warning: hero.lua: on_strat is a handler of another type: did you mean on_start?",
      "market.lua: ok: 1 node, 1 actor, 2 warnings",
    })
  end)

  it("must have what the topology says of its actor", function()
    expect_check({ node('actor "a" { "idle.lua", interleave = { "Qery" } },', 'actor "b" { "idle.lua", restart = { max = 3 } },',
      'actor "c" { "idle.lua", failure = "restart", restart = { max = 3 } },', 'actor "d" { "again.lua", restart = { max = 3 } },') },
      { ["idle.lua"] = IDLE, ["again.lua"] = "return { failure = 'restart', on_idle = print }" }, {
      "market.lua:3: actor 'a': interleave names Qery, but idle.lua has no on_qery (it has on_idle)",
      "market.lua:4: actor 'b': restart says how failure = \"restart\" goes about it, and failure is not that",
    })
  end)

  it("is run by nobody: no handler, no actor, no socket, also where the port is taken", function()
    local trace = folder() .. "/ran"
    local held = process.start(process.troupe { "-e", "function on_ping() end", "--name", "holder", "--bind", "tcp://127.0.0.1:0" })
    local endpoint = held:error_line("listening on"):match("tcp://%S+")
    expect_check({ ('node "n" { bind = %q,'):format(endpoint), 'actor "a" { "a.lua", config = { to = ref "a" } } },' }, {
      ["a.lua"] = ([[
        print("loaded")
        local path = %q
        local function leave() io.open(path, "w"):close() end
        function on_start() leave() end
        function on_shutdown() leave() end
        function on_reload() leave() end
        function on_any() leave() end
      ]]):format(trace),
    }, { "market.lua: ok: 1 node, 1 actor" })
    assert.is_nil(io.open(trace))
    assert.equal(0, held:stop("TERM").code)
    process.end_all()
  end)
end)

describe("a link, to troupe check,", function()
  it("needs a handler at its target, which is told with those that it has", function()
    expect_check({ FEED_AND_BOOK, 'link { "feed", "book", "Tick", "MarketDepth", "Trades" },' }, {
      ["feed.lua"] = "function on_go(self) self.to:send('Tick') self.to:send('MarketDepth') self.to:send('Trades') end",
      ["book.lua"] = "function on_start() end function on_trade() end function on_level_2() end",
    }, {
      "market.lua:6: book.lua has no on_marketdepth (it has on_level_2, on_trade)",
      "market.lua:6: book.lua has no on_tick (it has on_level_2, on_trade)",
      "market.lua:6: book.lua has no on_trades (did you mean on_trade?)",
    })
    expect_check({ FEED_AND_BOOK, 'link { "feed", "book", "Tick" },' },
      { ["book.lua"] = "function on_start() end", ["feed.lua"] = "local x = 'Tick' function on_go() end" },
      { "market.lua:6: book.lua has no on_tick (it has no handlers)" })
    local many = {}
    for i = 1, 11 do many[i] = ("function on_a%02d() end"):format(i) end
    expect_check({ FEED_AND_BOOK, 'link { "feed", "book", "Zoo" },' },
      { ["book.lua"] = table.concat(many, "\n"), ["feed.lua"] = "local x = 'Zoo' function on_go() end" },
      { "market.lua:6: book.lua has no on_zoo (it has on_a01, on_a02, on_a03, on_a04, on_a05, on_a06, on_a07, on_a08 and 3 more)" })
  end)

  it("finds it in whatever spelling, in a class, and in on_any", function()
    local sends = { ["feed.lua"] = "local x = 'MarketDepth' function on_go() end" }
    for _, book in ipairs {
      "function on_marketdepth() end", "function on_market_depth() end", "function on_Market_Depth() end", "function on_any() end",
      "local Base = { on_market_depth = print } Base.__index = Base return setmetatable({}, Base)",
    } do
      sends["book.lua"] = book
      expect_check({ FEED_AND_BOOK, 'link { "feed", "book", "MarketDepth" },' }, sends, { "market.lua: ok: 1 node, 2 actors, 1 link" })
    end
  end)

  it("may lead to a group, or to one of its instances", function()
    expect_check({ node('actor "feed" { "feed.lua" },', 'actor "book" { "book.lua", instances = 3, route = "round" },'),
      'link { "feed", "book", "Tick" },', 'link { "feed", "book.2", "Tock" },' },
      { ["feed.lua"] = "local x, y = 'Tick', 'Tock' function on_go() end", ["book.lua"] = "function on_trade() end" }, {
      "market.lua:6: book.lua has no on_tick (it has on_trade)",
      "market.lua:7: book.lua has no on_tock (it has on_trade)",
    })
  end)

  it("is warned of if its sender never sends it", function()
    local book = "function on_any() end"
    expect_check({ FEED_AND_BOOK, 'link { "feed", "book", "Tick" },' }, { ["book.lua"] = book,
      ["feed.lua"] = "function on_go(self) -- sends no 'Tick'\n self.to:send('Tock', { tick = 1 }) end" }, {
      "market.lua:6: warning: feed.lua never sends Tick",
      "market.lua: ok: 1 node, 2 actors, 1 link, 1 warning",
    })
    write("ticks.lua", "return { kind = 'Tick' }")
    for _, feed in ipairs {
      "function on_go(self) self.to:send('Tick') end",
      "local Tick = actor.message('Tick', {}) function on_go(self) self.to:send(Tick{}) end",
      "function on_go(self) actor.after('1s', \"\\84ick\", nil, { to = self.to }) end",
      "local types = { Tick = 1 } function on_go(self) for each in pairs(types) do self.to:send(each) end end",
      "local ticks = require 'ticks' function on_go(self) self.to:send(ticks.kind) end",
      "function on_any(self, msg, env) env:forward(self.to) end",
      "function on_any(self, msg, env) self.to:send(env.type, msg) end",
      "function on_start(self) self.child = actor.spawn('ticker', { config = { to = self.to } }) end",
    } do
      expect_check({ FEED_AND_BOOK, 'link { "feed", "book", "Tick" },' }, { ["book.lua"] = book, ["feed.lua"] = feed },
        { "market.lua: ok: 1 node, 2 actors, 1 link" })
    end
  end)

  it("may be of a type that the sender is told by its config; shipped actors pass on what they get", function()
    expect_check({ node('actor "feed" { "feed.lua", config = { kinds = { "tick" } } },', 'actor "book" { "router" },'),
      'link { "feed", "book", "Tick" },', 'link { "book", "feed", "Tock" },' },
      { ["feed.lua"] = "function on_tock(self) self.to:send(self.config.kinds[1]) end" },
      { "market.lua: ok: 1 node, 2 actors, 2 links" })
  end)

  it("is warned of if its target never answers what it should, or nobody asks", function()
    expect_check({ FEED_AND_BOOK, 'link { "feed", "book", "Query", answers = { "Result", "NoResult" } },' },
      { ["feed.lua"] = "function on_go(self) self.to:send('Query') end function on_no_result() end",
        ["book.lua"] = "function on_query(self, msg, env) env:reply('Result') end" }, {
      "market.lua:6: warning: book.lua never answers NoResult",
      "market.lua:6: warning: feed.lua never asks, so Result comes to it as a message, and it has no on_result",
      "market.lua: ok: 1 node, 2 actors, 1 link, 2 warnings",
    })
  end)

  it("needs no handler of the answers at who asks", function()
    expect_check({ FEED_AND_BOOK, 'link { "feed", "book", "Query", answers = "Result" },' },
      { ["feed.lua"] = ASKS, ["book.lua"] = ASKS }, { "market.lua: ok: 1 node, 2 actors, 1 link" })
  end)

  it("is not looked at further where a script does not load", function()
    expect_check({ FEED_AND_BOOK, 'link { "feed", "book", "Query", answers = "Result" },' },
      { ["feed.lua"] = IDLE, ["book.lua"] = "x x" }, {
      "market.lua:4: actor 'book': book.lua:1: syntax error near 'x'",
      "market.lua:6: warning: feed.lua never sends Query",
    })
  end)
end)

describe("the shape of a link, to troupe check,", function()
  local SENDS = "function on_go(self) self.to:ask('Tick') end"
  local TAKES = "function on_tick(self, msg, env) env:reply('Took') end"

  local function declares(fields) return ("actor.message('Tick', %s) "):format(fields) end

  it("is that which the script at either end declares", function()
    local shape = '{ symbol = "string", price = "number", at = { x = "integer", y = "integer?" }, tags = "string[]" }'
    expect_check({ FEED_AND_BOOK, ('link { "feed", "book", Tick = %s },'):format(shape) }, {
      ["feed.lua"] = declares "{ symbol = 'string', price = 'integer', tags = 'string[]?', at = 'table' }" .. SENDS,
      ["book.lua"] = declares "{ symbol = 'string', price = 'number', note = 'string', tags = 'string[]', at = { x = 'number' } }" .. TAKES,
    }, {
      "market.lua:6: book.lua declares Tick otherwise than the link: at.x is number, not integer (it declares"
        .. " { at = { x = \"number\" }, note = \"string\", price = \"number\", symbol = \"string\", tags = \"string[]\" })",
      "market.lua:6: book.lua declares Tick otherwise than the link: at.y is missing (it declares"
        .. " { at = { x = \"number\" }, note = \"string\", price = \"number\", symbol = \"string\", tags = \"string[]\" })",
      "market.lua:6: book.lua declares Tick otherwise than the link: note is unknown (it declares"
        .. " { at = { x = \"number\" }, note = \"string\", price = \"number\", symbol = \"string\", tags = \"string[]\" })",
      "market.lua:6: feed.lua declares Tick otherwise than the link: at is a table without fields, not with (it declares"
        .. " { at = \"table\", price = \"integer\", symbol = \"string\", tags = \"string[]?\" })",
      "market.lua:6: feed.lua declares Tick otherwise than the link: price is integer, not number (it declares"
        .. " { at = \"table\", price = \"integer\", symbol = \"string\", tags = \"string[]?\" })",
      "market.lua:6: feed.lua declares Tick otherwise than the link: tags is string[]?, not string[] (it declares"
        .. " { at = \"table\", price = \"integer\", symbol = \"string\", tags = \"string[]?\" })",
    })
  end)

  it("has the field by which a group is divided", function()
    expect_check({ node('actor "feed" { "feed.lua" },', 'actor "book" { "book.lua", instances = 3, route = "hash:symbol" },'),
      'link { "feed", "book", Tick = { price = "number" } },', 'link { "feed", "book", Trade = { symbol = "string" } },',
      'link { "feed", "book", "Close", "Note" },' }, {
      ["feed.lua"] = "local a, b, c, d = 'Tick', 'Trade', actor.message('Close', {}), 'Note' function on_go() end",
      ["book.lua"] = "function on_any() end",
    }, {
      "market.lua:6: warning: 'book' is divided by symbol, which Tick does not have: all of these go to one instance",
      "market.lua:8: warning: 'book' is divided by symbol, which Close does not have: all of these go to one instance",
      "market.lua: ok: 1 node, 2 actors, 3 links, 2 warnings",
    })
  end)

  it("may be written in another order or form", function()
    expect_check({ FEED_AND_BOOK, 'link { "feed", "book", Tick = { { "b", { "[]?", x = "ref" } }, { "a", "any" } } },' }, {
      ["feed.lua"] = declares "{ a = 'any', b = { '[]?', { 'x', 'ref' } } }" .. SENDS,
      ["book.lua"] = declares "{ { 'a', 'any' }, { 'b', { '[]?', x = 'ref' } } }" .. TAKES,
    }, { "market.lua: ok: 1 node, 2 actors, 1 link" })
  end)

  it("is one of the answers, too", function()
    expect_check({ FEED_AND_BOOK, 'link { "feed", "book", "Tick", answers = { Took = { count = "integer" } } },' }, {
      ["feed.lua"] = "actor.message('Took', { count = 'number' }) " .. SENDS,
      ["book.lua"] = "actor.message('Took', {}) " .. TAKES,
    }, {
      "market.lua:6: feed.lua declares Took otherwise than the link: count is number, not integer (it declares { count = \"number\" })",
      "market.lua:6: book.lua declares Took otherwise than the link: count is missing (it declares {})",
    })
  end)

  it("need not be there; then both scripts must agree, as far as the one sends what the other takes", function()
    expect_check({ FEED_AND_BOOK, 'link { "feed", "book", "Tick" },' }, {
      ["feed.lua"] = declares "{ a = 'string', c = 'integer?', d = 'boolean', n = 'integer', t = 'any' }" .. SENDS,
      ["book.lua"] = declares "{ a = 'number', b = 'string', c = 'integer', n = 'number', o = 'ref?', t = 'table' }" .. TAKES,
    }, {
      "market.lua:6: book.lua refuses the Tick of feed.lua: a is string, not number (it declares"
        .. " { a = \"number\", b = \"string\", c = \"integer\", n = \"number\", o = \"ref?\", t = \"table\" })",
      "market.lua:6: book.lua refuses the Tick of feed.lua: b is missing (it declares"
        .. " { a = \"number\", b = \"string\", c = \"integer\", n = \"number\", o = \"ref?\", t = \"table\" })",
      "market.lua:6: book.lua refuses the Tick of feed.lua: c is integer?, not integer (it declares"
        .. " { a = \"number\", b = \"string\", c = \"integer\", n = \"number\", o = \"ref?\", t = \"table\" })",
      "market.lua:6: book.lua refuses the Tick of feed.lua: d is unknown (it declares"
        .. " { a = \"number\", b = \"string\", c = \"integer\", n = \"number\", o = \"ref?\", t = \"table\" })",
    })
  end)
end)

describe("actors that wait for each other, to troupe check,", function()
  local THREE = node('actor "a" { "asks.lua" },', 'actor "b" { "asks.lua" },', 'actor "c" { "asks.lua" },')
  local SCRIPTS = { ["asks.lua"] = ASKS, ["both.lua"] = "local Both = { interleave = { 'Query' } } "
    .. "function Both:on_query(msg, env) env:reply('Result', self.to:ask('Query')) end return Both" }

  it("are told of with the circle, each circle once", function()
    expect_check({ THREE, 'link { "b", "c", "Query", answers = "Result" },', 'link { "a", "b", "Query", answers = "Result" },',
      'link { "c", "a", "Query", answers = "Result" },', 'link { "c", "b", "Query", answers = "Result" },',
      'link { "a", "a", "Query", answers = "Result" },' }, SCRIPTS, {
      "market.lua:7: possible deadlock: b -> c -> b: each may wait for the answer of the next"
        .. " (interleave = { \"Query\" } lets 'b' handle that while it waits)",
      "market.lua:8: possible deadlock: a -> b -> c -> a: each may wait for the answer of the next"
        .. " (interleave = { \"Query\" } lets 'a' handle that while it waits)",
      "market.lua:11: possible deadlock: a -> a: each may wait for the answer of the next"
        .. " (interleave = { \"Query\" } lets 'a' handle that while it waits)",
    })
  end)

  it("do not if one of them interleaves, by the topology or by its script", function()
    local links = { 'link { "a", "b", "Query", answers = "Result" },', 'link { "b", "a", "Query", answers = "Result" },' }
    for _, b in ipairs { 'actor "b" { "asks.lua", interleave = true },', 'actor "b" { "asks.lua", interleave = { "Query" } },',
                         'actor "b" { "both.lua" },' } do
      expect_check({ node('actor "a" { "asks.lua" },', b), table.unpack(links) }, SCRIPTS, { "market.lua: ok: 1 node, 2 actors, 2 links" })
    end
    for _, b in ipairs { 'actor "b" { "asks.lua", interleave = { "Go" } },', 'actor "b" { "both.lua", interleave = false },' } do
      expect_check({ node('actor "a" { "asks.lua" },', b), table.unpack(links) }, SCRIPTS, {
        "market.lua:6: possible deadlock: a -> b -> a: each may wait for the answer of the next"
          .. " (interleave = { \"Query\" } lets 'a' handle that while it waits)",
      })
    end
  end)

  it("do not without an answer in between, nor over an external", function()
    expect_check({ THREE, 'external "x" { "tcp://127.0.0.1:5010" },', 'link { "a", "b", "Query", answers = "Result" },',
      'link { "b", "a", "Query" },', 'link { "c", "x", "Query", answers = "Result" },',
      'link { "x", "c", "Query", answers = "Result" },' }, SCRIPTS, { "market.lua: ok: 1 node, 3 actors, 1 external, 4 links" })
  end)
end)

describe("an external, to troupe check,", function()
  local DESK = node 'actor "desk" { "desk.lua" },'

  it("that may die of a message needs a shape of what it is sent: a suggestion is what the sender declares", function()
    local function external(name, from) return ('external %q { "tcp://127.0.0.1:%d", from = %q },'):format(name, 6000 + #name, from) end
    expect_check({ DESK, external("p", "python"), external("cc", "C++"), external("rus", "rust"), external("java", "java"),
      external("troup", "troupe"), 'external "unsaid" { "tcp://127.0.0.1:6006" },',
      'link { "desk", "p", "Order" },', 'link { "desk", "cc", "Order" },', 'link { "desk", "rus", "Note" },',
      'link { "desk", "java", "Order" },', 'link { "desk", "troup", "Order" },', 'link { "desk", "unsaid", "Order" },',
      'link { "desk", "p", Note = { text = "string" } },',
      'link { "p", "desk", "Query", answers = "Result" },',
    }, { ["desk.lua"] = "actor.message('Order', { id = 'integer', legs = { '[]', side = 'string' } }) " .. ASKS .. " local note = 'Note'" }, {
      "market.lua:11: Order goes to 'p' without a shape, and a field that is missing or unknown ends a Python peer's receiver"
        .. " (write Order = { id = \"integer\", legs = { \"[]\", side = \"string\" } })",
      "market.lua:12: Order goes to 'cc' without a shape, and a field that is missing ends a C++ peer's process"
        .. " (write Order = { id = \"integer\", legs = { \"[]\", side = \"string\" } })",
      "market.lua:13: Note goes to 'rus' without a shape, and a field that is missing ends a Rust peer's receiver"
        .. " (write Note = { FIELD = \"TYPE\", ... })",
      "market.lua:18: Result goes to 'p' without a shape, and a field that is missing or unknown ends a Python peer's receiver"
        .. " (write Result = { FIELD = \"TYPE\", ... })",
    })
  end)

  it("is warned of if no link says what it is for", function()
    expect_check({ DESK, 'external "pricer" { "tcp://127.0.0.1:6000" },' }, { ["desk.lua"] = IDLE }, {
      "market.lua:5: warning: external 'pricer': no link says what is sent to it or comes from it",
      "market.lua: ok: 1 node, 1 actor, 1 external, 1 warning",
    })
  end)

  it("is not looked into: what it sends must be handled, and what it gets may be anything", function()
    expect_check({ DESK, 'external "pricer" { "tcp://127.0.0.1:6000" },', 'link { "pricer", "desk", "Price" },' },
      { ["desk.lua"] = ASKS }, { "market.lua:6: desk.lua has no on_price (it has on_go, on_query)" })
  end)
end)
