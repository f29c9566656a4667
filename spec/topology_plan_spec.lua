-- What of a topology each host has to run, where its refs lead, and what order hosts start in.
local Market = require "spec.support.market"
local topology = require "troupe.topology"

local function plan(text, options)
  return assert(topology.plan(Market.read(text), options))
end

local function names_of(plans)
  local names = {}
  for _, each in ipairs(plans) do table.insert(names, each.node) end
  return table.concat(names, " ")
end

describe("a plan", function()
  it("is a node's part of the topology, with all that its host needs", function()
    local tick = { symbol = "string", price = "number" }
    assert.same({
      { topology = "market", node = "feed", bind = { "tcp://127.0.0.1:5001" }, options = {},
        nodes = { feed = "", risk = "tcp://127.0.0.1:5002" }, actors = {
          { name = "feed", script = "actors/feed.lua", config = { to = { ["$ref"] = "book" } }, options = {},
            types = { Tick = tick } },
          { name = "book", script = "actors/book.lua", config = {},
            options = { mailbox = { limit = 10000, overflow = "drop_old" } }, types = { Tick = tick } } } },
      { topology = "market", node = "risk", bind = { "tcp://127.0.0.1:5002" }, workers = 2, options = {},
        nodes = { feed = "tcp://127.0.0.1:5001", risk = "" }, actors = {
          { name = "limits", script = "actors/limits.lua", config = {}, instances = 4, route = "hash:symbol",
            options = { failure = "restart" }, types = { PriceReq = { symbol = "string" } } } } },
    }, plan(Market.TEXT))
  end)

  it("survives being JSON", function()
    local json = require "troupe.json"
    local plans = plan(Market.TEXT)
    assert.same(plans, json.decode(json.encode(plans)))
  end)

  it("has refs that lead from this host: a bare name at home, the endpoint elsewhere", function()
    local plans = plan [[return topology "t" {
      node "n" { bind = ":5001", actor "a" { "a.lua", config = { a = ref "a", b = { ref "group", ref "group.2" },
        c = ref "py", d = ref "group@m", e = ref "x@tcp://10.0.0.7:5001", f = ref "flat", g = ref "a@n" } } },
      node "m" { bind = "tcp://*:5002", advertise = "tcp://10.0.0.5:5002", open = true,
        actor "group" { "g.lua", instances = 2, route = "least", config = { back = { to = ref "a" }, self = ref "group" } } },
      external "py" { "tcp://localhost:5010", actor = "pricer" }, external "flat" { "flat::5555" } }]]
    local function ref(text) return { ["$ref"] = text } end
    assert.same({ a = ref "a", b = { ref "group@tcp://10.0.0.5:5002", ref "group.2@tcp://10.0.0.5:5002" },
                  c = ref "pricer@tcp://127.0.0.1:5010", d = ref "group@tcp://10.0.0.5:5002", e = ref "x@tcp://10.0.0.7:5001",
                  f = ref "flat@flat:tcp://127.0.0.1:5555", g = ref "a" }, plans[1].actors[1].config)
    assert.same({ back = { to = ref "a@tcp://127.0.0.1:5001" }, self = ref "group" }, plans[2].actors[1].config)
    assert.same({ n = "tcp://127.0.0.1:5001", m = "" }, plans[2].nodes)
    assert.same({ "tcp://*:5002" }, plans[2].bind)
    assert.equal("tcp://10.0.0.5:5002", plans[2].advertise)
  end)

  it("of a node on all addresses leads to this machine, and of one that does not listen nowhere", function()
    local plans = plan [[return topology "t" { node "n" { bind = "tcp://*:5001", open = true, actor "a" { "a" } },
      node "m" { actor "b" { "b", config = { to = ref "a" } } } }]]
    assert.same({ n = "tcp://127.0.0.1:5001", m = "" }, plans[2].nodes)
    assert.same({ n = "" }, plans[1].nodes)
    assert.same({ ["$ref"] = "a@tcp://127.0.0.1:5001" }, plans[2].actors[1].config.to)
    assert.same({}, plans[2].bind)
  end)

  it("has the options of its host as numbers", function()
    assert.same({ memory_bytes = 64 << 20, slice_ms = 100, sandbox = true, log_format = "json", log_level = "debug",
                  allow = "10.0.0.0/8", reply_to = "private", curve_key = "a.key", curve_peers = "/b.pub",
                  limits = { actors = 10, shutdown = 1500, frame = 65536, memory_total = 1 << 30 } },
      plan(Market.of [[memory = "64MiB", slice = "100ms", sandbox = true, log = "json", log_level = "debug",
        allow = "10.0.0.0/8", reply_to = "private", curve_key = "a.key", curve_peers = "/b.pub", actors = 10,
        shutdown = 1.5, frame = 65536, memory_total = "1GiB", actor "a" { "a.lua" }]])[1].options)
  end)

  it("has the paths of scripts and keys beside the topology, if they are there", function()
    local text = Market.of [[curve_key = "own.key", curve_peers = "own.pub", actor "a" { "market" },
      actor "b" { "no_such.lua" }, actor "c" { "/etc/c.lua" }, actor "d" { source = "return {}" }]]
    local planned = topology.plan(Market.read(text, { name = "t.lua", folder = "spec/support" }))[1]
    assert.same({ "spec/support/market", "no_such.lua", "/etc/c.lua" },
                { planned.actors[1].script, planned.actors[2].script, planned.actors[3].script })
    assert.is_nil(planned.actors[4].script)
    assert.equal("return {}", planned.actors[4].source)
    assert.equal("spec/support/own.key", planned.options.curve_key)
  end)

  it("comes behind those that its node is after, and else in the order of the file", function()
    local text = [[return topology "t" { node "a" { after = { "c", "b" }, actor "1" { "x" } },
      node "b" { actor "2" { "x" } }, node "c" { after = "d", actor "3" { "x" } }, node "d" { actor "4" { "x" } },
      node "e" { actor "5" { "x" } } }]]
    assert.equal("d c b a e", names_of(plan(text)))
  end)

  it("has the fields of all types that an actor sends and gets, answers too", function()
    local actors = plan(Market.of('actor "a" { "a" }, actor "b" { "b" }, actor "c" { "c" }', [[
      link { "a", "b", Ask = { x = "any" }, answers = { Answer = { y = "any" } } },
      link { "b@n", "c", Tell = {}, "Plain" }]]))[1].actors
    assert.same({ Ask = { x = "any" }, Answer = { y = "any" } }, actors[1].types)
    assert.same({ Ask = { x = "any" }, Answer = { y = "any" }, Tell = {} }, actors[2].types)
    assert.same({ Tell = {} }, actors[3].types)
  end)

  it("of an open model leaves refs to what is not there as they are", function()
    local model = assert(topology.read([[return topology "t" { node "n" { actor "a" { "a", config = { to = ref "b" } } } }]],
      { name = "t.lua", folder = ".", open = true }))
    assert.same({ ["$ref"] = "b" }, topology.plan(model)[1].actors[1].config.to)
  end)

  it("does not change with the model that it was made of", function()
    local model = Market.read(Market.TEXT)
    local plans = topology.plan(model)
    plans[1].actors[2].options.mailbox.limit = 1
    plans[1].actors[1].types.Tick.symbol = "any"
    assert.same(Market.read(Market.TEXT), model)
  end)
end)

describe("a plan for one host", function()
  local function one(text)
    return topology.plan(Market.read(text), { one = true })
  end

  it("has all actors and all endpoints, in the order of the start, and refs by name", function()
    local plans = one [[return topology "t" {
      node "n" { bind = ":5001", after = "m", actor "a" { "a", config = { to = ref "b", py = ref "py", at = ref "b@m" } } },
      node "m" { bind = "tcp://*:5002", advertise = "tcp://10.0.0.5:5002", open = true, actor "b" { "b", config = { to = ref "a" } } },
      node "o" { actor "c" { "c" } },
      external "py" { ":5010" } }]]
    assert.is_nil(plans) -- for one is open, and the other is not
    plans = one [[return topology "t" {
      node "n" { bind = ":5001", after = "m", actor "a" { "a", config = { to = ref "b", py = ref "py", at = ref "b@m" } } },
      node "m" { bind = ":5002", advertise = "tcp://10.0.0.5:5002", actor "b" { "b", config = { to = ref "a" } } },
      node "o" { open = true, actor "c" { "c" } },
      external "py" { ":5010" } }]]
    local function ref(text) return { ["$ref"] = text } end
    assert.same({ { topology = "t", node = "t", bind = { "tcp://127.0.0.1:5002", "tcp://127.0.0.1:5001" },
      advertise = "tcp://10.0.0.5:5002", options = {}, nodes = { n = "", m = "", o = "" }, actors = {
        { name = "b", script = "b", config = { to = ref "a" }, options = {}, types = {} },
        { name = "a", script = "a", config = { to = ref "b", py = ref "py@tcp://127.0.0.1:5010", at = ref "b" }, options = {},
          types = {} },
        { name = "c", script = "c", config = {}, options = {}, types = {} } } } }, plans)
  end)

  it("unites what the nodes say: the larger bound, the sum, the lower level", function()
    local plans = one [[return topology "t" {
      node "n" { workers = 2, memory = "64MiB", slice = "10s", log_level = "warn", actors = 10, memory_total = "1GiB",
        depth = 8, sandbox = true, actor "a" { "a" }, actor "b" { "b", sandbox = false } },
      node "m" { workers = 3, memory = "128MiB", log_level = "debug", peers = 700, memory_total = "1GiB", depth = 9,
        actor "c" { "c" } } }]]
    assert.equal(5, plans[1].workers)
    assert.same({ memory_bytes = 128 << 20, slice_ms = 10000, log_level = "debug",
                  limits = { actors = 1000010, peers = 800, memory_total = 2 << 30, depth = 9 } }, plans[1].options)
    assert.same({ true, false }, { plans[1].actors[1].options.sandbox, plans[1].actors[2].options.sandbox })
    assert.is_nil(plans[1].actors[3].options.sandbox)
  end)

  it("leaves to the host what not all nodes say", function()
    local plans = one [[return topology "t" { node "n" { workers = 2, memory = "1MiB", memory_total = "1GiB", actor "a" { "a" } },
      node "m" { actor "b" { "b" } } }]]
    assert.is_nil(plans[1].workers)
    assert.same({ memory_bytes = 256 << 20 }, plans[1].options)
  end)

  it("is refused where one host cannot do as the nodes say", function()
    local plans, reasons = one [[return topology "t" {
      node "n" { bind = ":5001", allow = "10.0.0.1", log = "json", actor "a" { "a" } },
      node "m" { bind = ":5002", actor "b" { "b" } } }]]
    assert.is_nil(plans)
    assert.same({ "nodes 'n' and 'm' differ in log, and one host has one of it",
                  "nodes 'n' and 'm' differ in allow, and one host has one of it" }, reasons)
  end)
end)

describe("where a name leads", function()
  it("is an actor and its node, also for an instance and with the node behind it; or an external", function()
    local model = Market.read(Market.TEXT)
    local function where(name)
      local found, node = topology.where(model, name)
      return found and found.name, node and node.name
    end
    assert.same({ "book", "feed" }, { where "book" })
    assert.same({ "book", "feed" }, { where "book@feed" })
    assert.same({ "limits", "risk" }, { where "limits.4" })
    assert.same({ "limits", "risk" }, { where "limits.1@risk" })
    assert.same({ "pricer" }, { where "pricer" })
    for _, nobody in ipairs { "limits.5", "limits.0", "limits.01", "book@risk", "book@nowhere", "book.1", "pricer@feed", "" } do
      assert.is_nil((where(nobody)), nobody)
    end
  end)
end)
