-- What of a running topology has to change to become another, and what cannot be changed.
local Market = require "spec.support.market"
local topology = require "troupe.topology"

local function plans_of(text)
  local model, problems = topology.read(text, { name = "t.lua", folder = "." })
  return topology.plan((assert(model, problems[1] and topology.line(problems[1]))))
end

-- From one topology to the one in which `pattern` is something else.
local function change(text, pattern, by)
  local changed, count = text:gsub(pattern, by)
  assert.is_true(count > 0, pattern)
  return topology.diff(plans_of(text), plans_of(changed))
end

local function reasons(pattern, by)
  local changes, why = change(Market.TEXT, pattern, by)
  assert.is_nil(changes)
  return why
end

describe("the difference of two topologies", function()
  it("is nothing where nothing has changed, however it is written", function()
    assert.same({ start = {}, stop = {}, nodes = {} }, topology.diff(plans_of(Market.TEXT), plans_of(Market.TEXT)))
    assert.same({ start = {}, stop = {}, nodes = {} },
                change(Market.TEXT, '"tcp://127.0.0.1:5001",\n', '":5001", -- here\n\n'))
  end)

  it("is actors to be added and removed", function()
    local changes = change(Market.TEXT, 'actor "book" %b{} }', 'actor "tape" { "tape.lua" }, actor "book" { "book.lua" } }')
    assert.is_nil(changes) -- for book has another script now
    changes = change(Market.TEXT, 'actor "limits"', 'actor "bounds" { "bounds.lua" }, actor "limits"')
    assert.same({ start = {}, stop = {}, nodes = { risk = { remove = {}, config = {}, instances = {}, add = {
      { name = "bounds", script = "bounds.lua", config = {}, options = {}, types = {} } } } } }, changes)
    changes = topology.diff(plans_of(Market.of 'actor "a" { "a" }, actor "b" { "b" }'), plans_of(Market.of 'actor "a" { "a" }'))
    assert.same({ n = { add = {}, remove = { "b" }, config = {}, instances = {} } }, changes.nodes)
  end)

  it("is a changed config, whole", function()
    local changes = change(Market.TEXT, 'config = %b{}', 'config = { to = ref "book", rate = 5 }')
    assert.same({ feed = { add = {}, remove = {}, instances = {}, config = {
      { name = "feed", config = { to = { ["$ref"] = "book" }, rate = 5 } } } } }, changes.nodes)
    assert.same({ n = { add = {}, remove = {}, instances = {}, config = { { name = "a", config = { rate = 1.0 } } } } },
      change(Market.of 'actor "a" { "a", config = { rate = 1 } }', "rate = 1", "rate = 1.0").nodes)
  end)

  it("is a number of instances", function()
    assert.same({ risk = { add = {}, remove = {}, config = {}, instances = { { name = "limits", from = 4, to = 6 } } } },
                change(Market.TEXT, "instances = 4", "instances = 6").nodes)
  end)

  it("is nodes to be started and stopped, which the others are told of", function()
    local more = Market.TEXT:gsub('  external', '  node "log" { bind = ":5003", after = "risk", actor "log" { "log.lua" } },\n  external')
    local changes = topology.diff(plans_of(Market.TEXT), plans_of(more))
    assert.equal(1, #changes.start)
    assert.equal("log", changes.start[1].node)
    local nodes = { feed = "tcp://127.0.0.1:5001", risk = "", log = "tcp://127.0.0.1:5003" }
    assert.same({ add = {}, remove = {}, config = {}, instances = {}, nodes = nodes }, changes.nodes.risk)
    changes = topology.diff(plans_of(more), plans_of(Market.TEXT))
    assert.same({ {}, { "log" } }, { changes.start, changes.stop })
    assert.same({ feed = "", risk = "tcp://127.0.0.1:5002" }, changes.nodes.feed.nodes)
  end)

  it("is nodes to be stopped in the reverse of their order", function()
    local all = [[return topology "t" { node "a" { after = "b", actor "1" { "x" } }, node "b" { actor "2" { "x" } },
      node "c" { actor "3" { "x" } } }]]
    assert.same({ "a", "b" }, topology.diff(plans_of(all), plans_of 'return topology "t" { node "c" { actor "3" { "x" } } }').stop)
  end)

  it("is an actor that moves to another node: removed here, added there", function()
    local old = 'return topology "t" { node "n" { actor "a" { "a" }, actor "b" { "b" } }, node "m" { actor "c" { "c" } } }'
    local new = 'return topology "t" { node "n" { actor "a" { "a" } }, node "m" { actor "c" { "c" }, actor "b" { "b" } } }'
    local changes = topology.diff(plans_of(old), plans_of(new))
    assert.same({ "b" }, changes.nodes.n.remove)
    assert.equal("b", changes.nodes.m.add[1].name)
  end)

  it("reaches configs through other nodes' endpoints only if nothing has to begin anew", function()
    assert.same({ "node 'feed': its bind cannot be changed while it runs" }, reasons("5001", "5005"))
  end)

  for said, case in pairs {
    ["node 'risk': its workers cannot be changed while it runs"] = { "workers = 2", "workers = 3" },
    ["node 'risk': its options cannot be changed while it runs"] = { "workers = 2", 'workers = 2, slice = "1s"' },
    ["node 'risk': its advertise cannot be changed while it runs"] = { "workers = 2", 'workers = 2, advertise = ":6001"' },
    ["actor 'feed': its script cannot be changed while it runs"] = { "actors/feed.lua", "actors/food.lua" },
    ["actor 'book': its options cannot be changed while it runs"] = { "drop_old", "drop_new" },
    ["actor 'limits': its route cannot be changed while it runs"] = { "hash:symbol", "round" },
    ["actor 'limits': it cannot become a single actor while it runs"] = { 'instances = 4, route = "hash:symbol"', "sandbox = nil" },
  } do
    it("is refused: " .. said, function()
      assert.equal(said, reasons(case[1], case[2])[case[2] == "sandbox = nil" and 2 or 1])
    end)
  end

  it("is refused with all reasons", function()
    assert.same({
      "actor 'feed': the fields of its message types cannot be changed while it runs",
      "actor 'book': the fields of its message types cannot be changed while it runs",
    }, reasons('price = "number"', 'price = "integer"'))
  end)
end)
