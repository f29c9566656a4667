-- The language of topologies: what a file may say, what becomes of it, and what is said of
-- mistakes: all of them at once, each with its line. Beginning: docs/topology.md.
local Market = require "spec.support.market"
local program = require "spec.support.program"
local topology = require "troupe.topology"

local ABOUT = { name = "t.lua", folder = "." }

-- The problems of a text, as they are printed.
local function problems_of(text, about)
  local model, problems = topology.read(text, about or ABOUT)
  local lines = {}
  for _, problem in ipairs(problems) do table.insert(lines, topology.line(problem)) end
  assert.equal(#lines > 0, model == nil)
  return lines
end

local function read(text, about)
  local model, problems = topology.read(text, about or ABOUT)
  assert.same({}, { problems[1] and topology.line(problems[1]) })
  return model
end

-- The single problem of an actor with these options, which stand in line 2.
local function of_actor(options)
  local lines = problems_of(Market.of(('actor "a" { "a.lua", %s }'):format(options)))
  assert.equal(1, #lines, table.concat(lines, "\n"))
  return (lines[1]:gsub("^t%.lua:2: ", ""))
end

-- The single problem of a node with these options.
local function of_node(options)
  local lines = problems_of(Market.of(('%s, actor "a" { "a.lua" }'):format(options)))
  assert.equal(1, #lines, table.concat(lines, "\n"))
  return (lines[1]:gsub("^t%.lua:2: ", ""))
end

-- The single problem of what stands behind a node with actors a and b, in line 3.
local function beside(text)
  local lines = problems_of(Market.of('bind = ":5001", actor "a" { "a.lua" }, actor "b" { "b.lua" }', text))
  assert.equal(1, #lines, table.concat(lines, "\n"))
  return (lines[1]:gsub("^t%.lua:3: ", ""))
end

describe("a topology file", function()
  it("becomes a model, in the order of the file", function()
    assert.same({
      name = "market", file = "t.lua", folder = ".", line = 1,
      nodes = {
        { name = "feed", line = 2, bind = "tcp://127.0.0.1:5001", after = {}, options = {}, actors = {
          { name = "feed", line = 3, node = "feed", script = "actors/feed.lua", config = { to = { ["$ref"] = "book" } },
            options = {} },
          { name = "book", line = 4, node = "feed", script = "actors/book.lua", config = {},
            options = { mailbox = { limit = 10000, overflow = "drop_old" } } },
        } },
        { name = "risk", line = 5, bind = "tcp://127.0.0.1:5002", workers = 2, after = { "feed" }, options = {}, actors = {
          { name = "limits", line = 6, node = "risk", script = "actors/limits.lua", config = {}, instances = 4,
            route = "hash:symbol", options = { failure = "restart" } },
        } },
      },
      externals = { { name = "pricer", line = 7, endpoint = "tcp://localhost:5010", from = "python", actor = "pricer" } },
      links = {
        { line = 8, from = "feed", to = "book", answers = {},
          types = { { name = "Tick", fields = { symbol = "string", price = "number" } } } },
        { line = 9, from = "limits", to = "pricer", types = { { name = "PriceReq", fields = { symbol = "string" } } },
          answers = { { name = "Price" } } },
      },
    }, read(Market.TEXT))
  end)

  it("may make its parts with what Lua has", function()
    local model = read [[
      local nodes = {}
      local function worker(number) return actor("worker" .. number) { "worker.lua", config = { number = number } } end
      for i = 1, 3 do nodes[#nodes + 1] = node("n" .. i) { worker(i) } end
      if os.getenv "SURELY_NOT_SET" then nodes = nil end
      return topology "t" (nodes)]]
    assert.equal(3, #model.nodes)
    assert.same({ name = "worker3", line = 2, node = "n3", script = "worker.lua", config = { number = 3 }, options = {} },
                model.nodes[3].actors[1])
  end)

  it("may begin with a byte order mark and a line for the shell", function()
    assert.equal(3, read("\xEF\xBB\xBF#!/usr/bin/env -S troupe up\n\n" .. Market.TEXT).line)
  end)

  it("may name types alone, with fields, and with answers in three ways", function()
    local model = read(Market.of('actor "a" { "a.lua" }, actor "b" { "b.lua" }', [[
      link { "a", "b", "Quote", Tick = {}, Again = { { "z", "ref[]?" }, { "y", "any" } } },
      link { "a", "b", answers = { "No", "Yes" } },
      link { "b", "a", answers = { Price = { price = "number" }, "NoPrice" } },
      link { "b@n", "a" }]]))
    assert.same({ { name = "Again", fields = { { "z", "ref[]?" }, { "y", "any" } } }, { name = "Quote" },
                  { name = "Tick", fields = {} } }, model.links[1].types)
    assert.same({ { name = "No" }, { name = "Yes" } }, model.links[2].answers)
    assert.same({ { name = "NoPrice" }, { name = "Price", fields = { price = "number" } } }, model.links[3].answers)
  end)

  it("may write a script into the file", function()
    local actor = read(Market.of('actor "a" { source = "function on_x() end" }')).nodes[1].actors[1]
    assert.equal("function on_x() end", actor.source)
    assert.is_nil(actor.script)
  end)

  it("may lead a ref to an actor, one of many, an external, a node, an endpoint", function()
    local model = read [[return topology "t" {
      node "n" { bind = ":5001", actor "a" { "a.lua", config = { a = ref "a", b = { ref "group", ref "group.2" },
        c = ref "py", d = ref "group@m", e = ref "x@tcp://10.0.0.7:5001", f = ref "registry@flat::5555" } } },
      node "m" { bind = ":5002", actor "group" { "g.lua", instances = 2, route = "least" } },
      external "py" { "tcp://localhost:5010" } }]]
    assert.same({ a = { ["$ref"] = "a" }, b = { { ["$ref"] = "group" }, { ["$ref"] = "group.2" } },
                  c = { ["$ref"] = "py" }, d = { ["$ref"] = "group@m" }, e = { ["$ref"] = "x@tcp://10.0.0.7:5001" },
                  f = { ["$ref"] = "registry@flat::5555" } }, model.nodes[1].actors[1].config)
  end)

  it("that is open may lead to what is yet to come", function()
    local open = { name = "t.lua", folder = ".", open = true }
    local model = read([[return topology "t" { node "n" { after = "m", actor "a" { "a.lua", config = { to = ref "b" } } },
      link { "a", "c" } }]], open)
    assert.same({ to = { ["$ref"] = "b" } }, model.nodes[1].actors[1].config)
    assert.same({}, read('return topology "t" {}', open).nodes)
    assert.same({}, read('return topology "t" { node "n" {} }', open).nodes[1].actors)
  end)
end)

describe("the examples of docs/topology.md", function()
  it("can be read", function()
    local file <close> = assert(io.open "docs/topology.md")
    local count = 0
    for text in file:read("a"):gmatch("```lua\n(.-)```") do
      if text:find("topology \"", 1, true) then
        count = count + 1
        read(text)
      end
    end
    assert.equal(2, count)
  end)
end)

describe("words", function()
  it("are all that there is, and each that is not is told once, with what may be meant", function()
    assert.same({
      "t.lua:1: there is no word 'toplogy' (did you mean 'topology'?)",
      "t.lua:2: there is no word 'nod' (did you mean 'node'?)",
      "t.lua:2: there is no word 'print' (there are topology, node, actor, external, link, ref and os.getenv)",
    }, problems_of 'return toplogy "t" {\n nod "n" { actor "a" { "a.lua", config = { x = print("x").y .. 1 } } } }')
  end)

  it("are the only globals: others are neither read nor set", function()
    assert.same({
      "t.lua:1: 'x' cannot be set: write local in front of it",
      "t.lua:2: 'node' cannot be set: write local in front of it",
      "t.lua:3: os cannot be changed",
      "t.lua:4: os has only getenv here",
    }, problems_of('x = 1\nnode = 2\nos.getenv = 3\nlocal y = os.execute("true")\n' .. Market.of 'actor "a" { "a.lua" }'))
  end)

  it("leave strings without methods, and what they have made as it is", function()
    assert.same({ "t.lua:1: attempt to index a string value (constant 'x')" },
                problems_of 'local y = ("x"):rep(1000000000)')
    assert.same({ "t.lua:1: attempt to index a string value (local 's')" },
                problems_of 'local s = "x" return s:upper()')
    assert.equal("X", ("x"):upper())
    read 'local n = node "n" local made = n { actor "a" { "a.lua" } } return topology "t" { made }'
  end)

  it("that are Lua that cannot be read are told as Lua tells them", function()
    assert.same({ "t.lua:3: '}' expected (to close '{' at line 1) near <eof>" }, problems_of 'return topology "t" { 1\n\n')
    assert.same({ "t.lua:2: '}' expected (to close '{' at line 1) near 'node' (is a comma missing before 'node'?)" },
                problems_of 'return topology "t" { node "a" {}\nnode "b" {} }')
    assert.same({ "t.lua:2: attempt to perform arithmetic on a nil value (local 'x')" },
                problems_of 'local x\nreturn x + 1')
  end)

  it("are told by the line of their topology also where it has no name", function()
    assert.same({ 't.lua:3: topology needs a name: write topology "NAME" { ... }' },
                problems_of '-- mine\n\nreturn topology { node "a" { actor "b" { "b.lua" } } }')
  end)

  it("come in the form NAME, table; what stands elsewhere is told", function()
    assert.same({
      "t.lua:1: topology 't': number 5 in it is 7, where a node, an external or a link is expected",
      "t.lua:1: node 'n': number 2 in it is a table, where an actor is expected",
      "t.lua:1: topology 't' has no option 'bind'",
      "t.lua:2: node needs a name: write node \"NAME\" { ... }",
      "t.lua:3: topology 't': actor 'loose' cannot stand in it: a node, an external or a link is expected",
      "t.lua:4: node 'half': its table is missing: write node \"half\" { ... }",
      "t.lua:5: 'a b' cannot be the name of an actor: it has letters, digits, '_', '.' and '-', at most 255",
    }, problems_of [[return topology "t" { bind = ":5001", node "n" { actor "a" { "a.lua" }, {} },
      node { actor "b" { "b.lua" } },
      actor "loose" { "l.lua" },
      node "half", 7,
      node "m" { actor "a b" { "c.lua" } } }]])
  end)

  it("that stand in no topology, or in a second one, are told", function()
    assert.same({
      "t.lua:1: node 'lost': it stands in no topology: put it into the table of one",
      "t.lua:2: topology 'other': it is not what the file returns: a file has one topology",
    }, problems_of('node "lost" { actor "l" { "l.lua" } }\ntopology "other" {}\n' .. Market.of 'actor "a" { "a.lua" }'))
    assert.same({ 't.lua:1: the file returns no topology: write return topology "NAME" { ... }' },
                problems_of 'topology "t" { node "n" { actor "a" { "a.lua" } } }')
    assert.same({ 't.lua:1: the file returns no topology: write return topology "NAME" { ... }' }, problems_of "")
    assert.same({ 't.lua:1: topology \'t\': it has no node: write node "NAME" { actor "NAME" { "script.lua" } }' },
                problems_of 'return topology "t" {}')
    assert.same({ 't.lua:1: node \'n\': it has no actor: write actor "NAME" { "script.lua" } in it' },
                problems_of 'return topology "t" { node "n" {} }')
  end)
end)

describe("an actor's options", function()
  it("are those of actor.spawn, instances, route, config and source", function()
    assert.equal("actor 'a' has no option 'thraed' (did you mean 'thread'?)", of_actor 'thraed = "own"')
    assert.equal("actor 'a' has no option 'colour'", of_actor "colour = 1")
    assert.equal("actor 'a' has no option 'name'", of_actor 'name = "b"')
    read(Market.of [[actor "a" { "a.lua", mailbox = { bytes = "1MiB" }, failure = "restart", thread = "group:x",
      restart = { max = 2, within = "1m", backoff = "1s..2s" }, cpu = { 0 }, priority = 1, memory = 1 << 20, slice = 0.5,
      slow = "stop", interleave = { "Query" }, sandbox = true, children = 5, trap_exit = true }]])
    assert.same({ interleave = false, sandbox = false, trap_exit = false },
      read(Market.of 'actor "a" { "a.lua", interleave = false, sandbox = false, trap_exit = false }').nodes[1].actors[1].options)
  end)

  for options, said in pairs {
    ['slice = "5 s"'] = "slice is a duration of more than 0, as \"5s\", not '5 s'",
    ["slice = {}"] = 'slice is a duration of more than 0, as "5s", not a table',
    ['memory = "1TiB"'] = "memory is \"256MiB\", \"1GiB\" or a number of bytes, not '1TiB'",
    ['failure = "restrt"'] = 'failure is "continue", "stop", "restart" or "escalate", not \'restrt\'',
    ["mailbox = 5"] = "mailbox is a table of limit, bytes and overflow, not 5",
    ["mailbox = { 5 }"] = "mailbox is a table of limit, bytes and overflow",
    ["mailbox = { limt = 5 }"] = "mailbox has no option 'limt' (did you mean 'limit'?)",
    ["mailbox = { limit = 0 }"] = "mailbox.limit is a number of messages from 1 to 4000000, not 0",
    ["restart = { max = 0 }"] = "restart.max is a number of restarts from 1 to 1000, not 0",
    ['restart = { backoff = "5s..1s" }'] =
      "restart.backoff is the shortest and the longest wait, as \"100ms..5s\", of at least 1ms, not '5s..1s'",
    ['thread = "group:"'] = 'thread is "pool", "own" or "group:NAME", not \'group:\'',
    ['interleave = { [2] = "x" }'] = "interleave is true, false or a list of message types as {\"Query\"}, not a table with other keys",
    ['cpu = "0"'] = "cpu is a list of CPU numbers as {0, 1}, not '0'",
    ["priority = 100"] = "priority is an integer from 1 to 99, not 100",
    ["sandbox = 1"] = "sandbox is true or false, not 1",
    ['slice = node "x"'] = 'slice is a duration of more than 0, as "5s", not a function',
    ["instances = 0, route = 'round'"] = "instances is a whole number from 1 to 10000, not 0",
    ["instances = -1, route = 'round'"] = "instances is a whole number from 1 to 10000, not -1",
    ["instances = 2.5, route = 'round'"] = "instances is a whole number from 1 to 10000, not 2.5",
    ["instances = 2"] = 'it has instances and no route: write route = "round", "least", "broadcast" or "hash:FIELD"',
    ["route = 'round'"] = "it has a route and no instances: write instances = 4, or leave the route out",
    ["instances = 2, route = 'hsh:x'"] = "route is one of round, least, broadcast, hash:FIELD, not 'hsh:x' (did you mean 'hash'?)",
    ["instances = 2, route = 'hash'"] = 'route "hash" needs the field that it looks at, as "hash:symbol"',
    ["instances = 2, route = 'hash:'"] = 'route "hash" needs the field that it looks at, as "hash:symbol"',
    ["instances = 2, route = 'round:x'"] = "route is one of round, least, broadcast, hash:FIELD, not 'round:x' (did you mean 'round'?)",
    ["instances = 2, route = {}"] = "route is one of round, least, broadcast, hash:FIELD, not a table",
    ["source = 'x'"] = "it has the path of a script and a source: one of them is enough",
    ["7"] = "number 2 in it is 7: one path of a script is expected",
  } do
    it(("that are wrong are told: %s"):format(options), function()
      local lines = problems_of(Market.of(('actor "a" { "a.lua", %s }'):format(options)))
      assert.equal("t.lua:2: actor 'a': " .. said, lines[1])
    end)
  end

  it("do not lack a script", function()
    assert.same({ "t.lua:2: actor 'a': its script is missing: write its path first, as { \"actors/feed.lua\" }" },
                problems_of(Market.of 'actor "a" {}'))
    assert.same({ "t.lua:2: actor 'a': the path of its script is a text, not 3" }, problems_of(Market.of 'actor "a" { 3 }'))
    assert.same({ "t.lua:2: actor 'a': source is the text of a script, in UTF-8 and of at most 1 MiB, not 3" },
                problems_of(Market.of 'actor "a" { source = 3 }'))
  end)

  it("are told all at once, each in its line", function()
    assert.same({
      "t.lua:2: actor 'a': slow is \"report\" or \"stop\", not 'fast'",
      "t.lua:4: actor 'a': mailbox has no option 'limt' (did you mean 'limit'?)",
      "t.lua:5: actor 'a': mailbox.overflow is \"wait\", \"fail\", \"drop_old\" or \"drop_new\", not 'drop'",
      "t.lua:6: actor 'a': config.f[1] is a function, and that cannot be a message",
      "t.lua:6: actor 'a' has no option 'pririty' (did you mean 'priority'?)",
    }, problems_of(Market.of [[actor "a" { "a.lua", slow = "fast", -- slow = { { "x" } }
      mailbox = {
        ["limt"] = 10,
        overflow = "drop", },
      pririty = 1, config = { f = { function() end } } }]]))
  end)
end)

describe("a config", function()
  for given, said in pairs {
    ["config = 5"] = "config is a table, not 5",
    ["config = { 1 }"] = "config has names, and this is a list",
    ["config = ref 'a'"] = "config is a table, not a declared ref",
    ["config = { f = function() end }"] = "config.f is a function, and that cannot be a message",
    ["config = { a = { b = { 1, 0/0 } } }"] = "config.a.b%[2%] is %-?nan, and there is no JSON for that",
    ["config = { x = 1/0 }"] = "config.x is inf, and there is no JSON for that",
    ["config = { x = '\\xFF' }"] = "config.x is a text that is no UTF%-8",
    ["config = { ['\\xFF'] = 1 }"] = "config has a name that is no UTF%-8",
    ["config = { x = { 1, nil, 3 } }"] = "config.x is a list with holes",
    ["config = { x = { 1, y = 2 } }"] = "config.x is a list and has names, too %('y'%): make it one of both",
    ["config = { x = { [1.5] = 2 } }"] = "config.x has a number for a key: keys are names",
    ["config = { ['$ref'] = 'a' }"] = "config has a '$ref', which is kept for refs: write ref \"NAME\"",
    ["config = { x = node 'q' }"] = "config.x is a declared node: write ref \"NAME\" for a ref to it",
    ["config = { ['odd key'] = print }"] = "there is no word 'print'",
    ["config = { x = ref(5) }"] = "config.x: ref needs a name, as in ref \"book\", not 5",
    ["config = { x = ref 'nobody' }"] = "config.x: ref 'nobody': there is no actor or external 'nobody'",
    ["config = { x = ref 'a@m' }"] = "config.x: ref 'a@m': there is no node 'm'",
    ["config = { x = ref 'alpa@n' }"] = "config.x: ref 'alpa@n': there is no actor 'alpa' on node 'n' %(did you mean 'alpha'%?%)",
    ["config = { x = ref 'b@tcp://x' }"] = "config.x: ref 'b@tcp://x': 'tcp://x' has no port",
    ["config = { x = ref '@:5001' }"] = "config.x: ref '@:5001': it names no actor",
  } do
    it("that cannot be a message is told with the place: " .. given, function()
      local lines = problems_of(Market.of(('actor "a" { "a.lua", %s }, actor "alpha" { "a.lua" }'):format(given)))
      assert.matches("^t.lua:2: .*" .. said:gsub("%$", "%%$"), lines[1])
    end)
  end

  it("that is inside of itself, or very deep, is told", function()
    assert.same({ "t.lua:2: actor 'a': config.to[1] is inside of itself, and that cannot be a message" },
                problems_of('local c = {} c.to = { c } ' .. Market.of 'actor "a" { "a.lua", config = c }'))
    local lines = problems_of('local c = {} local d = c for i = 1, 100 do d.x = {} d = d.x end '
                              .. Market.of 'actor "a" { "a.lua", config = c }')
    assert.equal(1, #lines)
    assert.matches("x%.x is more than 48 tables deep$", lines[1])
  end)
end)

describe("a node's options", function()
  it("are those of troupe run that are of a host", function()
    local node = read(Market.of [[bind = "tcp://*:5001", advertise = "tcp://10.0.0.7:5001", workers = 2, memory = "64MiB",
      slice = "100ms", sandbox = true, log = "json", log_level = "debug", allow = "10.0.0.0/8,fd00::1", reply_to = "private",
      actors = 10, children = 10, timers = 10, dead_letters = 10, peers = 10, depth = 8, memory_total = "1GiB",
      frame = 65536, shutdown = 1.5, actor "a" { "a.lua" }]]).nodes[1]
    assert.equal("64MiB", node.options.memory)
    assert.equal(1.5, node.options.shutdown)
    assert.equal(2, node.workers)
  end)

  for options, said in pairs {
    ["wrkers = 1"] = "node 'n' has no option 'wrkers' (did you mean 'workers'?)",
    ["workers = 0"] = "node 'n': workers is a whole number from 1 to 64, not 0",
    ["workers = '2'"] = "node 'n': workers is a whole number from 1 to 64, not '2'",
    ["memory = '1 MiB'"] = "node 'n': memory is a size, as \"64MiB\", \"1GiB\" or a number of bytes, not '1 MiB'",
    ["shutdown = 0"] = "node 'n': shutdown is a duration of at least 1ms, as \"250ms\" or \"5s\", not 0",
    ["log_level = 'inof'"] = "node 'n': log_level is one of debug, info, warn, error, not 'inof' (did you mean 'info'?)",
    ["open = 'yes'"] = "node 'n': open is true or false, not 'yes'",
    ["allow = 'risk'"] = "node 'n': allow: 'risk' is a name: write addresses (10.0.0.7) and networks (10.0.0.0/8)",
    ["reply_to = '10.0.0.0/99'"] = "node 'n': reply_to: '10.0.0.0/99' is no network: write 10.0.0.0/8 or fd00::/8",
    ["bind = 5001"] = "node 'n': bind is an endpoint, as \"tcp://127.0.0.1:5001\", not 5001",
    ["bind = 'tcp:/x'"] = "node 'n': bind: 'tcp:/x' is no endpoint: write tcp://HOST:PORT or :PORT",
    ["bind = ':70000'"] = "node 'n': bind: ':70000' needs a port from 0 to 65535",
    ["advertise = 'tcp://*:5001'"] = "node 'n': advertise: '*' is no address that can be reached",
    ["bind = 'tcp://*:5001'"] = "node 'n': bind: beyond loopback (tcp://*:5001), say who may connect: curve_key and "
      .. 'curve_peers, allow = "ADDR,..." or open = true',
    ["open = true, allow = '10.0.0.1'"] = "node 'n': open lets everybody in: it makes no sense together with allow",
    ["curve_key = 'a.key'"] = "node 'n': curve_key and curve_peers go together: one has its own key, the other those of the peers",
    ["after = 5"] = "node 'n': after is the name of a node, or a list of them, as { \"feed\", \"risk\" }",
    ["after = { x = 'y' }"] = "node 'n': after is the name of a node, or a list of them, as { \"feed\", \"risk\" }",
    ["after = 'm'"] = "node 'n': after names no node: there is no 'm'",
    ["[5.5] = 1"] = "node 'n': it has a number for a key: options have names",
  } do
    it("that are wrong are told: " .. options, function()
      assert.equal(said, of_node(options):gsub("^t%.lua:1: ", ""):gsub("^t%.lua:2: ", ""), nil)
    end)
  end

  it("do not go in circles with after", function()
    assert.same({ "t.lua:1: after goes in a circle: a after b after c after a: none of them could be the first",
                  "t.lua:4: after goes in a circle: d after d: none of them could be the first" },
                problems_of [[return topology "t" { node "a" { after = "b", actor "x1" { "x" } },
      node "b" { after = { "c" }, actor "x2" { "x" } },
      node "c" { after = "a", actor "x3" { "x" } },
      node "d" { after = "d", actor "x4" { "x" } } }]])
  end)
end)

describe("an external", function()
  it("has an endpoint, may have a language, and may be called otherwise there", function()
    assert.equal("external 'x': its endpoint is missing: write it first, as { \"tcp://127.0.0.1:5010\" }",
                 beside 'external "x" { from = "python" }')
    assert.equal("external 'x': its endpoint: ':0' needs a port from 1 to 65535", beside 'external "x" { ":0" }')
    assert.equal("external 'x': its endpoint is an endpoint, as \"tcp://127.0.0.1:5001\", not 5", beside 'external "x" { 5 }')
    assert.equal("external 'x': number 2 in it is one too many: it has one endpoint", beside 'external "x" { ":1", ":2" }')
    assert.equal("external 'x' has no option 'form' (did you mean 'from'?)", beside 'external "x" { ":1", form = "python" }')
    assert.equal("external 'x': from is the name of a language, as \"python\", not 5", beside 'external "x" { ":1", from = 5 }')
    assert.equal("external 'x': actor is what it is called there, not ''", beside 'external "x" { ":1", actor = "" }')
    assert.equal("Straße", read(Market.of('actor "a" { "a" }', 'external "x" { ":1", actor = "Straße" }')).externals[1].actor)
  end)
end)

describe("a link", function()
  it("has two ends that are there", function()
    assert.equal("link: there is no actor or external 'bb' (did you mean 'b'?)", beside 'link { "a", "bb", "Tick" }')
    assert.equal("link: its second element, who gets it, is the name of an actor or an external, not nothing", beside 'link { "a" }')
    assert.equal("link: its first element, who sends, is the name of an actor or an external, not 5", beside 'link { 5, "b" }')
    assert.equal('link: its table is missing: write link { "FROM", "TO", Type = { field = "string" } }', beside 'link "a"')
  end)

  for given, said in pairs {
    ["Tick = 5"] = "Tick: a table of fields is expected, as { symbol = \"string\" }, not 5",
    ["Tick = { x = 'strng' }"] = "Tick.x: no type is called 'strng' (did you mean 'string'?)",
    ["Tick = { x = { y = 5 } }"] = "Tick.x.y: a type is a text such as \"integer\" or a table of fields, not a number",
    ["Tick = { { 'x' } }"] = "Tick: element 1 of a list is {name, type}",
    ["Tick = { { 'x', 'any' }, { 'x', 'any' } }"] = "Tick: two fields are called 'x'",
    ["'Tick', Tick = {}"] = "Tick stands in it twice",
    ["market_depth = {}, MarketDepth = {}"] = "MarketDepth and market_depth are the same type",
    ["'Start'"] = "'Start': only the host itself sends Start",
    ["'a b\\n'"] = "'a b?': this cannot be a message's type",
    ["7"] = "a type of message is a text, not 7",
    ["[1.5] = 7"] = "it has a number for a key: types of messages have names",
    ["answers = 5"] = "answers is a type of message, a list of them, or a table of them with their fields, not 5",
    ["answers = { Price = { p = 'nmber' } }"] = "Price.p: no type is called 'nmber' (did you mean 'number'?)",
  } do
    it("has types with fields as of actor.message: " .. given, function()
      local got = beside(('link { "a", "b", %s }'):format(given))
      if said:find("are the same type") then -- whichever stands first
        assert.matches("market_depth", got, 1, true)
        assert.matches("are the same type", got, 1, true)
      else
        assert.equal("link: " .. said, got)
      end
    end)
  end

  it("gives a type one shape for each actor", function()
    assert.equal("link: Tick has other fields for 'b' than in line 3: one type has one shape for an actor",
                 beside 'link { "a", "b", Tick = { x = "any" } }, link { "b", "a", Tick = { y = "any" } }')
    assert.equal("link: tick is called Tick for 'b' in line 3",
                 beside 'link { "a", "b", Tick = {} }, link { "b", "a", answers = { tick = {} } }')
    read(Market.of('actor "a" { "a" }, actor "b" { "b" }', [[
      link { "a", "b", Tick = { { "y", "any" }, { "x", "any" } } },
      link { "b", "a", answers = { Tick = { x = "any", y = "any" } } }, link { "a", "b", "Tick" }]]))
  end)
end)

describe("names and endpoints", function()
  it("are there once, and the first is told", function()
    assert.same({
      "t.lua:2: the name 'a' is used twice for actors and externals: first in line 1",
      "t.lua:2: node 'm': the endpoint tcp://127.0.0.1:5001 is used twice: first by node 'n' in line 1",
      "t.lua:3: the name 'n' is used twice for nodes: first in line 1",
      "t.lua:4: the name 'a' is used twice for actors and externals: first in line 1",
      "t.lua:4: external 'a': the endpoint tcp://127.0.0.1:5001 is used twice: first by node 'n' in line 1",
      "t.lua:6: external 'y': p@tcp://127.0.0.1:7 is declared twice: first in line 5",
    }, problems_of [[return topology "t" { node "n" { bind = "tcp://localhost:5001", actor "a" { "a" } },
      node "m" { bind = ":5001", actor "a" { "b" } },
      node "n" { actor "c" { "c" } },
      external "a" { "tcp://127.0.0.1:5001" },
      external "x" { ":7", actor = "p" }, external "z" { ":7", actor = "q" },
      external "y" { "tcp://localhost:7", actor = "p" } }]])
  end)

  it("may be those of all addresses", function()
    assert.same({ "t.lua:2: node 'm': the endpoint tcp://127.0.0.1:5001 is used twice: first by node 'n' in line 1" },
      problems_of [[return topology "t" { node "n" { bind = "tcp://*:5001", open = true, actor "a" { "a" } },
      node "m" { bind = ":5001", actor "b" { "b" } } }]])
  end)

  it("may be made by a host, and are taken then", function()
    assert.same({
      "t.lua:2: the name 'g.2' is that of an instance of 'g' in line 1",
      "t.lua:3: the name 'node.n' is that of the actor that runs the node 'n': take another",
    }, problems_of [[return topology "t" { node "n" { actor "g" { "g", instances = 2, route = "round" },
      actor "g.2" { "x" }, actor "g.3" { "x" },
      actor "node.n" { "x" } } }]])
  end)

  it("lead to other nodes only where those listen", function()
    assert.same({
      "t.lua:1: actor 'a': config.to: ref 'b' leads from node 'n' to node 'm', which has no bind: give it one, as bind = \":5001\"",
      "t.lua:3: link from 'a' to 'c' leads from node 'n' to node 'o', whose port is any: give it one in its bind",
    }, problems_of [[return topology "t" { node "n" { actor "a" { "a", config = { to = ref "b" } } },
      node "m" { actor "b" { "b" } }, node "o" { bind = ":0", actor "c" { "c", config = { to = ref "c" } } },
      link { "a", "c", "Tick" } }]])
  end)
end)

describe("a hostile file", function()
  local LIMIT = program.is_sanitized and 120 or 20 -- seconds; what is meant is that it ends

  local function ends(text)
    local start = os.clock()
    local lines = problems_of(text)
    assert.is_true(os.clock() - start < LIMIT)
    return lines
  end

  it("cannot go on for ever", function()
    for text, line in pairs {
      ["\nwhile true do end"] = 2,
      ["local function f()\n return f() end return f()"] = 2,
      ["\n::a:: goto a"] = 2,
      ["local t = {}\nfor i = 1, 1e18 do t[i % 10] = node 'n' end"] = 2,
      ["local s = 'xxxxxxxxxxxxxxxx' for i = 1, 18 do s = s .. s end local t = s .. '1'\nwhile s .. '1' == t do end"] = 2,
    } do
      assert.same({ ("t.lua:%d: it does not come to an end: a topology is a table, and not a program"):format(line) },
                  ends(text))
    end
  end)

  it("cannot use up the memory", function()
    for text, line in pairs {
      ["local s = 'x'\nwhile true do s = s .. s end"] = 2,
      ["local s = 'x'\nwhile true do s = s .. s .. s .. s .. s .. s .. s .. s .. s .. s .. s end"] = 2,
      ["local t = {}\nfor i = 1, 1e9 do t[i] = { i } end"] = 2,
      ["local function f() return 1 + f() end\nreturn f()"] = 1,
      ["local t = {}\nfor i = 1, 1e9 do t = { t, function() return t end, {}, {}, {}, {}, {}, {} } end"] = 2,
    } do
      assert.same({ ("t.lua:%d: it needs more than 32 MiB of memory"):format(line) }, ends(text))
    end
  end)

  it("cannot be larger in effect than it is", function()
    local doubled = "local t = { x = 1 } for i = 1, 40 do t = { a = t, b = t } end "
    assert.same({ "t.lua:1: it is too large: all its tables together hold more than 300000 values or 8 MiB of text" },
                ends(doubled .. 'return topology "t" { node "n" { actor "a" { "a", config = t } } }'))
    for _, key in ipairs { "i", "'x' .. i" } do
      assert.matches("it is too large", table.concat(ends(([[local big, nodes = {}, {}
        for i = 1, 50000 do big[%s] = i end
        for i = 1, 900 do nodes[i] = node("n" .. i)(big) end
        return topology "t" (nodes)]]):format(key)), "\n"))
    end
    assert.matches("it has 5000 nodes, and at most 1000 are possible", table.concat(ends [[local nodes = {}
      for i = 1, 5000 do nodes[i] = node("n" .. i) { after = "n" .. i - 1, actor("a" .. i) { "a" } } end
      return topology "t" (nodes)]], "\n"))
  end)

  it("is told of shortly, whatever is in it", function()
    for _, lines in ipairs {
      ends [[local s = 'x' for i = 1, 20 do s = s .. s end
        return topology(s) { node(s) { [s] = s, bind = s, memory = s, allow = s, after = s,
          actor(s) { s, [s] = s, slice = s, mailbox = { [s] = s }, route = s, instances = 1, config = { [s] = ref(s), x = s } } },
          external(s) { s, from = s }, link { s, s, [s] = { [s] = s }, answers = s } }]],
      ends [[return topology "\27[31m\n" { node "\0" { actor "\xFF" { "\7" } }, link { "\r", "\0", "\8" } }]],
    } do
      assert.is_true(#lines > 3)
      for _, line in ipairs(lines) do
        assert.is_true(#line < 700, line)
        assert.is_nil(line:find("%c"), line)
      end
    end
  end)

  it("may be no text at all", function()
    assert.same({ 't.lua:1: the file returns no topology: write return topology "NAME" { ... }' }, problems_of "\xEF\xBB\xBF")
    assert.matches("^t.lua:1: unexpected symbol", problems_of(("\0"):rep(100))[1])
    assert.matches("^t.lua:1: attempt to load a binary chunk", problems_of(string.dump(function() end))[1])
    assert.same({ "t.lua:1: it is larger than 1024 KiB" }, problems_of((" "):rep(2 << 20)))
    assert.matches("^t.lua:1: ", problems_of("return " .. ("{"):rep(100000))[1])
    assert.matches("^t.lua:1: ", problems_of("return " .. ("("):rep(100000))[1])
    for number = 1, 50 do
      assert.matches("^t.lua:", problems_of(("x\0" .. string.char(number)):rep(number))[1])
    end
  end)

  -- Any value, as Lua text.
  local VALUES = {
    "nil", "{}", "0", "-1", "1.5", "1e999", "1 << 40", "true", "false", "'x'", "''", "'a b'", "'\\0'", "'\\xFF'", "':5001'",
    "'book@feed'", "'limits.2'", "'@'", "'node.feed'", "function() end", "ref", "ref 'book'", "ref {}", "ref(nil)", "node",
    "node 'feed'", "node 'q' { actor 'r' { 's' } }", "actor 'feed' {}", "actor {}", "external 'x' { ':1' }", "link {}",
    "topology 't' {}", "nobody", "nobody.x.y", "round_and_round", "{ round_and_round }", "{ 1, nil, 3 }", "{ [1.5] = 1 }",
    "{ x = { y = { 'z' } } }", "{ [true] = 1, x = 2, 3 }", "{ Tick = { x = 'any' } }", "deep", "wide",
  }
  local BEFORE = [[local round_and_round = { "a" } round_and_round.to = round_and_round
    local deep = { "x" } for i = 1, 200 do deep = { x = deep, deep } end
    local wide = {} for i = 1, 400 do wide[i], wide["x" .. i] = "any", "any" end
  ]]

  it("that is Lua with any value anywhere never raises", function()
    local seed = tonumber(os.getenv "TOPOLOGY_SEED") or os.time()
    math.randomseed(seed)
    local random = math.random
    local function any() return VALUES[random(#VALUES)] end
    for _ = 1, program.is_sanitized and 50 or 500 do
      local chance = random() * 0.3
      local text = BEFORE .. Market.TEXT:gsub('"[^"]*"', function(literal)
        if random() < chance then return ("(%s)"):format(any()) end
        return literal
      end):gsub("{", function()
        if random() >= chance then return nil end
        return random() < 0.5 and ("{ %s, "):format(any()) or ("{ [%s or 1] = %s, "):format(any(), any())
      end):gsub("[%w_]+ = ", function(key)
        if random() >= chance then return nil end
        local names = { "bind", "config", "instances", "mailbox", "restart", "cpu", "after", "source", "allow", "answers", "from" }
        return ("%s = %s, %s"):format(names[random(#names)], any(), key)
      end)
      local held, model, problems = pcall(topology.read, text, ABOUT)
      assert(held, ("seed %d: %s\n%s"):format(seed, tostring(model), text))
      for _, problem in ipairs(problems) do
        assert.is_true(problem.line > 0, text)
        assert.is_nil(topology.line(problem):find("%c"), text)
      end
    end
  end)

  it("tells 200 mistakes, and no more", function()
    assert.equal(200, #ends [[local actors = {}
      for i = 1, 5000 do actors[i] = actor("a" .. i) { "x", wrong = 1 } end
      return topology "t" { node "n" (actors) }]])
  end)

  -- A text with some bytes left out, doubled, moved, or put in.
  local function mutate(text, random)
    for _ = 1, random(1, 6) do
      local at = random(1, #text)
      local length = random(1, 12)
      local part = text:sub(at, at + length - 1)
      local kind = random(1, 5)
      if kind == 1 then
        text = text:sub(1, at - 1) .. text:sub(at + length)
      elseif kind == 2 then
        text = text:sub(1, at) .. part .. text:sub(at + 1)
      elseif kind == 3 then
        text = text:sub(1, at - 1) .. string.char(random(0, 255)) .. text:sub(at + 1)
      elseif kind == 4 then
        local words = { " nil ", " {} ", '""', " 0 ", " -1 ", " ref ", " node ", "{", "}", "[[", "1e999", "--", "\n", "actor",
                        "function() end", " topology ", '"@"', "..", "#", "'" }
        text = text:sub(1, at - 1) .. words[random(1, #words)] .. text:sub(at)
      else
        local to = random(1, #text)
        text = text:sub(1, to) .. part .. text:sub(to + 1)
      end
    end
    return text
  end

  it("that is the example with mistakes in it never raises, and what is fine is planned and written", function()
    local seed = tonumber(os.getenv "TOPOLOGY_SEED") or os.time()
    math.randomseed(seed)
    local fine = 0
    for _ = 1, program.is_sanitized and 300 or 3000 do
      local text = mutate(Market.TEXT, math.random)
      local held, model, problems = pcall(topology.read, text, ABOUT)
      assert(held, ("seed %d: %s\n%s"):format(seed, tostring(model), text))
      assert.equal(#problems > 0, model == nil)
      if model then
        fine = fine + 1
        topology.plan(model)
        topology.plan(model, { one = true })
        assert.same({}, problems_of(topology.write(model)), text)
      end
    end
    assert.is_true(fine > 0)
  end)
end)

describe("a file", function()
  local path

  before_each(function() path = os.tmpname() end)
  after_each(function() os.remove(path) end)

  it("is read from where it is, which is where its scripts are", function()
    local file <close> = assert(io.open(path, "w"))
    file:write(Market.TEXT)
    file:flush()
    local model, problems, code = topology.load(path)
    assert.same({}, { problems[1] })
    assert.is_nil(code)
    assert.equal(path, model.file)
    assert.equal(path:match("^(.*)/"), model.folder)
  end)

  it("that cannot be read is a wrong use of the command", function()
    for name, why in pairs { ["no/such/market.lua"] = "No such file or directory", ["."] = "Is a directory" } do
      local model, problems, code = topology.load(name)
      assert.is_nil(model)
      assert.equal(2, code)
      assert.equal(("%s: it cannot be read: %s"):format(name, why), topology.line(problems[1]))
    end
  end)

  it("that cannot be read may be meant for one that is near", function()
    assert.truthy(os.execute(("mkdir -p '%s.d/shop' && touch '%s.d/shop/shop.lua' '%s.d/market.lua'"):format(path, path, path)))
    for given, meant in pairs { market = "market.lua", shop = "shop/shop.lua", ["shop/"] = "shop/shop.lua" } do
      local _, problems = topology.load(path .. ".d/" .. given)
      assert.equal(("did you mean '%s.d/%s'?"):format(path, meant), problems[1].hint)
    end
    os.execute(("rm -r '%s.d'"):format(path))
  end)

  it("that has errors has a partial model, of what could be made sense of", function()
    local _, problems = topology.read([[return topology "t" { node "n" { bind = "nonsense", actor "a" { "a.lua", slice = 0 },
      actor "b" {}, actor { "c.lua" } }, link { "a", "b", Tick = {} }, link { "a" }, external "x" {} }]], ABOUT)
    local partial = problems.partial
    assert.same({ "a" }, { partial.nodes[1].actors[1].name, partial.nodes[1].actors[2] })
    assert.equal(1, #partial.links)
    assert.same({}, partial.externals)
  end)
end)
