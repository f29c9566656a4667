-- troupe check: what it says of a topology file by itself, word by word. Each row is a line
-- of the file, and what is said of it.
local checking = require "spec.support.checking"

before_each(checking.open)
after_each(checking.close)

local SCRIPTS = { ["a.lua"] = "function on_any(self, msg, env) env:forward(self.to) end" }
local FIRST, LAST = { 'return topology "market" {' }, { "}" }

local function expect(rows)
  table.insert(rows, 1, FIRST)
  rows[#rows + 1] = LAST
  checking.expect_rows(rows, SCRIPTS)
end

local function expect_text(text, ...)
  checking.expect_text(text, SCRIPTS, { ... })
end

describe("a topology file, to troupe check,", function()
  it("may be no Lua, or no topology", function()
    expect_text("return topology 'market' {", "market.lua:1: unexpected symbol near <eof>")
    for _, text in ipairs { "", "return 3", "local x = 3" } do
      expect_text(text, "market.lua:1: the file returns no topology: write return topology \"NAME\" { ... }")
    end
    expect_text("topology 'market' { node 'n' { actor 'a' { 'a.lua' } } }",
      "market.lua:1: the file returns no topology: write return topology \"NAME\" { ... }")
    expect_text("return topology 'market' {}",
      "market.lua:1: topology 'market': it has no node: write node \"NAME\" { actor \"NAME\" { \"script.lua\" } }")
    expect_text("\nlocal x = nil + 1", "market.lua:2: attempt to perform arithmetic on a nil value")
  end)

  it("is not evaluated for ever", function()
    expect_text("\nwhile true do end",
      "market.lua:2: it does not come to an end: a topology is a table, and not a program")
    expect_text("local t = 'x'\nfor i = 1, 40 do\nt = t .. t\nend", "market.lua:3: it needs more than 32 MiB of memory")
  end)

  it("has its own words, and nothing else", function()
    expect {
      { 'nod "a" { actor "a" { "a.lua" } },',
        "there is no word 'nod' (did you mean 'node'?)" },
      { 'node "b" { actor "b" { "a.lua" } }, external "e" { print() },',
        "there is no word 'print' (there are topology, node, actor, external, link, ref and os.getenv)" },
    }
  end)

  it("has parts in their places", function()
    expect {
      { 'node "a" { actor "a" { "a.lua" }, link { "a", "a", "X" } },',
        "node 'a': link cannot stand in it: an actor is expected" },
      { 'actor "b" { "a.lua" },',
        "topology 'market': actor 'b' cannot stand in it: a node, an external or a link is expected" },
      { 'colour = "red",',
        "topology 'market' has no option 'colour'" },
      { 'node { actor "c" { "a.lua" } },',
        'node needs a name: write node "NAME" { ... }' },
      { 'node "d d" { actor "d" { "a.lua" } },',
        "'d d' cannot be the name of a node: it has letters, digits, '_', '.' and '-', at most 255" },
      { 'node "e" { actor "e", actor "f" { "a.lua" } },',
        [[actor 'e': its table is missing: write actor "e" { ... }]] },
      { 'node "f" { actor "g" "a.lua" },',
        [[actor 'g': its table is missing: write actor "g" { "a.lua" }]] },
    }
    expect_text("return topology 'market' { 'text', node 'n' { 3, actor 'a' { 'a.lua' } } }",
      "market.lua:1: topology 'market': number 1 in it is 'text', where a node, an external or a link is expected",
      "market.lua:1: node 'n': number 1 in it is 3, where an actor is expected")
  end)
end)

describe("names, to troupe check,", function()
  it("are used once", function()
    expect {
      { 'node "a" { actor "a" { "a.lua", instances = 3, route = "round" } },' },
      { 'node "a" { actor "a" { "a.lua" } },',
        "the name 'a' is used twice for nodes: first in line 2",
        "the name 'a' is used twice for actors and externals: first in line 2" },
      { 'node "b" { actor "a.2" { "a.lua" } },',
        "the name 'a.2' is that of an instance of 'a' in line 2" },
      { 'node "c" { actor "node.b" { "a.lua" } },',
        "the name 'node.b' is that of the actor that runs the node 'b': take another" },
      { 'external "a" { "tcp://127.0.0.1:6000" },',
        "the name 'a' is used twice for actors and externals: first in line 2" },
      { 'link { "a", "a", "T" },' },
    }
  end)

  it("are known: in links, refs and `after`", function()
    expect {
      { 'node "feed" { bind = ":5001", after = { "fed", "nobody" },',
        "node 'feed': after names no node: there is no 'fed' (did you mean 'feed'?)",
        "node 'feed': after names no node: there is no 'nobody'" },
      { '  actor "clerk" { "a.lua", config = { to = ref "clark", list = { ref "clerk@fed", ref "clark@feed" } } },',
        "actor 'clerk': config.list[1]: ref 'clerk@fed': there is no node 'fed' (did you mean 'feed'?)",
        "actor 'clerk': config.list[2]: ref 'clark@feed': there is no actor 'clark' on node 'feed' (did you mean 'clerk'?)",
        "actor 'clerk': config.to: ref 'clark': there is no actor or external 'clark' (did you mean 'clerk'?)" },
      { '  actor "desk" { "a.lua", config = { to = ref "x@tcp://nowhere", at = ref(3) } } },',
        [[actor 'desk': config.at: ref needs a name, as in ref "book", not 3]],
        "actor 'desk': config.to: ref 'x@tcp://nowhere': 'tcp://nowhere' has no port" },
      { 'node "mute" { actor "mute" { "a.lua", config = { to = ref "clerk" } } },' },
      { 'node "deaf" { bind = "tcp://127.0.0.1:*", actor "deaf" { "a.lua", config = { to = ref "mute" } } },',
        "node 'deaf': bind: 'tcp://127.0.0.1:*' needs a port from 0 to 65535",
        [[actor 'deaf': config.to: ref 'mute' leads from node 'deaf' to node 'mute', which has no bind: give it one, as bind = ":5001"]] },
      { 'link { "clerk", "mute", "T" }, link { "clerc", "nobody", "T" },',
        [[link from 'clerk' to 'mute' leads from node 'feed' to node 'mute', which has no bind: give it one, as bind = ":5001"]],
        "link: there is no actor or external 'clerc' (did you mean 'clerk'?)",
        "link: there is no actor or external 'nobody'" },
    }
  end)

  it("of nodes do not come after each other in a circle", function()
    expect {
      { 'node "a" { after = "b", actor "a" { "a.lua" } },',
        "after goes in a circle: a after b after c after a: none of them could be the first" },
      { 'node "b" { after = { "c" }, actor "b" { "a.lua" } },' },
      { 'node "c" { after = "a", actor "c" { "a.lua" } },' },
      { 'node "d" { after = 3, actor "d" { "a.lua" } },',
        [[node 'd': after is the name of a node, or a list of them, as { "feed", "risk" }]] },
    }
  end)
end)

describe("endpoints, to troupe check,", function()
  it("can be parsed, and are used once", function()
    expect {
      { 'node "a" { bind = ":5001", actor "a" { "a.lua" } },' },
      { 'node "b" { bind = "tcp://127.0.0.1:5001", actor "b" { "a.lua" } },',
        "node 'b': the endpoint tcp://127.0.0.1:5001 is used twice: first by node 'a' in line 2" },
      { 'node "c" { bind = "tcp://*:5001", advertise = "tcp://*:5001", actor "c" { "a.lua" } },',
        "node 'c': advertise: '*' is no address that can be reached",
        [[node 'c': bind: beyond loopback (tcp://*:5001), say who may connect: curve_key and curve_peers, allow = "ADDR,..." or open = true]],
        "node 'c': the endpoint tcp://*:5001 is used twice: first by node 'a' in line 2" },
      { 'node "d" { bind = "tcp://127.0.0.1:70000", actor "d" { "a.lua" } },',
        "node 'd': bind: 'tcp://127.0.0.1:70000' needs a port from 0 to 65535" },
      { 'node "e" { bind = 5001, actor "e" { "a.lua" } },',
        [[node 'e': bind is an endpoint, as "tcp://127.0.0.1:5001", not 5001]] },
      { 'external "x" { "tcp://127.0.0.1:5001" }, link { "x", "a", "T" },',
        "external 'x': the endpoint tcp://127.0.0.1:5001 is used twice: first by node 'a' in line 2" },
      { 'external "y" { "ipc://y" }, link { "y", "a", "T" },',
        "external 'y': its endpoint: 'ipc://y' is no endpoint: write tcp://HOST:PORT or :PORT" },
      { 'external "z" { from = "python", colour = "red" }, link { "z", "a", "T" },',
        [[external 'z': its endpoint is missing: write it first, as { "tcp://127.0.0.1:5010" }]],
        "external 'z' has no option 'colour'" },
      { 'external "v" { "tcp://127.0.0.1:6000", actor = "v" }, link { "v", "a", "T" },' },
      { 'external "w" { "tcp://127.0.0.1:6000", actor = "v", from = 3 }, link { "w", "a", "T" },',
        [[external 'w': from is the name of a language, as "python", not 3]],
        "external 'w': v@tcp://127.0.0.1:6000 is declared twice: first in line 10" },
    }
  end)
end)

describe("options, to troupe check,", function()
  it("of nodes are those of troupe run", function()
    expect {
      { 'node "a" { wrokers = 2, actor "a" { "a.lua" } },',
        "node 'a' has no option 'wrokers' (did you mean 'workers'?)" },
      { 'node "b" { workers = 0, memory = "lots", slice = "soon", actor "b" { "a.lua" } },',
        [[node 'b': memory is a size, as "64MiB", "1GiB" or a number of bytes, not 'lots']],
        [[node 'b': slice is a duration of at least 1ms, as "250ms" or "5s", not 'soon']],
        "node 'b': workers is a whole number from 1 to 64, not 0" },
      { 'node "c" { log_level = "inf", log = "xml", open = 3, allow = "", actor "c" { "a.lua" } },',
        "node 'c': allow is a text on one line, not ''",
        "node 'c': log is one of text, json, not 'xml'",
        "node 'c': log_level is one of debug, info, warn, error, not 'inf' (did you mean 'info'?)",
        "node 'c': open is true or false, not 3" },
    }
  end)

  it("of actors are those of a spawn, but for what the topology says otherwise", function()
    expect {
      { 'node "n" {' },
      { 'actor "a" { "a.lua", mailbox = { limt = 3, overflow = "drop" }, mailbx = 3 },',
        "actor 'a': mailbox has no option 'limt' (did you mean 'limit'?)",
        [[actor 'a': mailbox.overflow is "wait", "fail", "drop_old" or "drop_new", not 'drop']],
        "actor 'a' has no option 'mailbx' (did you mean 'mailbox'?)" },
      { 'actor "b" { "a.lua", failure = "restrat", thread = 3, slice = "5x", memory = 0 },',
        [[actor 'b': failure is "continue", "stop", "restart" or "escalate", not 'restrat']],
        [[actor 'b': memory is "256MiB", "1GiB" or a number of bytes, not 0]],
        [[actor 'b': slice is a duration of more than 0, as "5s", not '5x']],
        [[actor 'b': thread is "pool", "own" or "group:NAME", not 3]] },
      { 'actor "c" { "a.lua", restart = { max = 0, backof = "1s" }, failure = "restart" },',
        "actor 'c': restart has no option 'backof' (did you mean 'backoff'?)",
        "actor 'c': restart.max is a number of restarts from 1 to 1000, not 0" },
      { 'actor "d" { "a.lua", name = "e", if_absent = true, types = {} },',
        "actor 'd' has no option 'if_absent'",
        "actor 'd' has no option 'name'",
        "actor 'd' has no option 'types'" },
      { 'actor "e" { "a.lua", interleave = 3, cpu = "first", priority = 100, slow = "never" },',
        "actor 'e': cpu is a list of CPU numbers as {0, 1}, not 'first'",
        [[actor 'e': interleave is true, false or a list of message types as {"Query"}, not a number]],
        "actor 'e': priority is an integer from 1 to 99, not 100",
        [[actor 'e': slow is "report" or "stop", not 'never']] },
      { "}," },
    }
  end)

  it("of groups go together", function()
    expect {
      { 'node "n" {' },
      { 'actor "a" { "a.lua", instances = 4 },',
        [[actor 'a': it has instances and no route: write route = "round", "least", "broadcast" or "hash:FIELD"]] },
      { 'actor "b" { "a.lua", route = "round" },',
        "actor 'b': it has a route and no instances: write instances = 4, or leave the route out" },
      { 'actor "c" { "a.lua", instances = 0, route = "rund" },',
        "actor 'c': instances is a whole number from 1 to 10000, not 0",
        "actor 'c': route is one of round, least, broadcast, hash:FIELD, not 'rund' (did you mean 'round'?)" },
      { 'actor "d" { "a.lua", instances = 2, route = "hash" },',
        [[actor 'd': route "hash" needs the field that it looks at, as "hash:symbol"]] },
      { 'actor "e" { "a.lua", instances = 2.5, route = "random" },',
        "actor 'e': instances is a whole number from 1 to 10000, not 2.5",
        "actor 'e': route is one of round, least, broadcast, hash:FIELD, not 'random'" },
      { "}," },
    }
  end)

  it("of actors have a script, and a config that can be a message", function()
    expect {
      { 'node "n" {' },
      { 'actor "a" {},',
        [[actor 'a': its script is missing: write its path first, as { "actors/feed.lua" }]] },
      { 'actor "b" { "a.lua", source = "function on_x() end" },',
        "actor 'b': it has the path of a script and a source: one of them is enough" },
      { 'actor "c" { source = 3 },',
        "actor 'c': source is the text of a script, in UTF-8 and of at most 1 MiB, not 3" },
      { 'actor "d" { 3 },',
        "actor 'd': the path of its script is a text, not 3" },
      { 'actor "e" { "a.lua", "a.lua" },',
        "actor 'e': number 2 in it is 'a.lua': one path of a script is expected" },
      { 'actor "f" { "a.lua", config = 3 },',
        "actor 'f': config is a table, not 3" },
      { 'actor "g" { "a.lua", config = { f = function() end, list = { 1, nil, 3 }, both = { 1, a = 2 } } },',
        "actor 'g': config.both is a list and has names, too ('a'): make it one of both",
        "actor 'g': config.f is a function, and that cannot be a message",
        "actor 'g': config.list is a list with holes" },
      { "}," },
    }
  end)
end)

describe("links, to troupe check,", function()
  it("have two ends, and types with shapes", function()
    expect {
      { 'node "n" { actor "a" { "a.lua" }, actor "b" { "a.lua" } },' },
      { 'link { "a" }, link { "a", 3, "T" }, link "a",',
        "link: its second element, who gets it, is the name of an actor or an external, not nothing",
        "link: its second element, who gets it, is the name of an actor or an external, not 3",
        'link: its table is missing: write link { "FROM", "TO", Type = { field = "string" } }' },
      { 'link { "a", "b", Tick = { price = "nummber" } },',
        "link: Tick.price: no type is called 'nummber' (did you mean 'number'?)" },
      { 'link { "a", "b", "Timeout", Bad = 3, [true] = 3, "Tick", Tick = {} },',
        "link: 'Timeout': only the host itself sends Timeout",
        'link: Bad: a table of fields is expected, as { symbol = "string" }, not 3',
        "link: Tick stands in it twice",
        "link: it has a boolean for a key: types of messages have names" },
      { 'link { "a", "b", "Query", answers = 3 },',
        "link: answers is a type of message, a list of them, or a table of them with their fields, not 3" },
      { 'link { "a", "b" },',
        "warning: the link from 'a' to 'b' names no type of message" },
    }
  end)

  it("give a type one shape for one actor", function()
    expect {
      { 'node "n" { actor "a" { "a.lua" }, actor "b" { "a.lua" }, actor "c" { "a.lua" }, actor "d" { "a.lua" } },' },
      { 'link { "a", "b", Tick = { price = "number" } },' },
      { 'link { "c", "b", Tick = { price = "string" } },',
        "link: Tick has other fields for 'b' than in line 3: one type has one shape for an actor" },
      { 'link { "d", "a", tick = { price = "number" } },',
        "link: tick is called Tick for 'a' in line 3" },
      { 'link { "c", "d", Tick = { price = "string" } },',
        "link: Tick has other fields for 'd' than in line 5: one type has one shape for an actor" },
    }
  end)
end)
