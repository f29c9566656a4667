-- troupe graph --live: what the running hosts of a topology do, drawn into it. The hosts are
-- processes of their own, with a folder for sockets that is this spec's alone.
local Market = require "spec.support.market"
local flowchart = require "spec.support.flowchart"
local graph = require "troupe.topology.graph"
local json = require "troupe.json"
local process = require "spec.support.process"
local topologies = require "spec.support.topologies"
local traffic = require "troupe.topology.graph_traffic"

local OK, UNREACHABLE, INTERRUPTED = 0, 5, 130

local SHOP = [[
  return topology "shop" {
    node "front" { bind = "tcp://127.0.0.1:5001",
      actor "till" { "till.lua" }, actor "shelf" { "shelf.lua" } },
    node "back" { bind = "tcp://127.0.0.1:5002",
      actor "store" { "store.lua", instances = 2, route = "round" } },
    external "bank" { "tcp://localhost:5010", from = "go" },
    link { "till", "shelf", "Take", "Put" },
    link { "till", "store", "Order", answers = "Goods" },
    link { "store", "bank", "Pay", answers = "Paid" },
  }]]

local function host(name, more)
  local info = { name = name, pid = 1 }
  for key, value in pairs(more or {}) do info[key] = value end
  return info
end

local function titles(places)
  local list = {}
  for i, place in ipairs(places) do list[i] = place.title end
  return list
end

describe("the hosts of a topology", function()
  it("are those that say so, whatever they are called", function()
    local places = traffic.places(Market.read(SHOP), {
      host("x", { topology = "shop", node = "back" }), host("front", { topology = "other", node = "front" }),
      host("back"),
    })
    assert.same({ "back" }, titles(places))
    assert.equal("x", places[1].info.name)
  end)

  it("are else those that are called like its nodes, and belong to no topology", function()
    local places = traffic.places(Market.read(SHOP), { host "front", host "other", host("back", { topology = "else" }) })
    assert.same({ "front" }, titles(places))
  end)

  it("may be one, which has all of it", function()
    for _, info in ipairs { host "shop", host("x", { topology = "shop", node = "shop" }) } do
      local places = traffic.places(Market.read(SHOP), { info })
      assert.same({ "shop" }, titles(places))
      assert.is_nil(places[1].node)
    end
  end)

  it("are one of those that run the same node; the others are said", function()
    local places, surplus = traffic.places(Market.read(SHOP), { host "front", host("front", { pid = 2 }) })
    assert.same({ "front" }, titles(places))
    assert.equal(2, surplus[1].pid)
  end)
end)

describe("the traffic of a topology", function()
  local model, places, count, n

  before_each(function()
    model, n = Market.read(SHOP), 0
    places = traffic.places(model, {
      host("front", { endpoint = "tcp://127.0.0.1:5001" }), host("back", { endpoint = "tcp://127.0.0.1:5002" }),
    })
    for _, place in ipairs(places) do place.seconds, place.rows = 2, {} end
    count = traffic.new(model, places)
  end)

  local function sees(place, from, to, type, more)
    n = n + 1
    local row = { n = n, from = from, to = to, type = type, kind = "send", outcome = "handled" }
    for key, value in pairs(more or {}) do row[key] = value end
    count:add(places[place], row)
  end

  local function flows()
    local list = {}
    for i, flow in ipairs((count:finish())) do
      list[i] = ("%s %s%s %s %g %g"):format(flow.from, flow.answer and "=" or "-", flow.to, flow.type, flow.rate, flow.lost)
    end
    return list
  end

  it("is counted where it arrives, if that is seen, and else where it leaves", function()
    sees(1, "till", "store@tcp://127.0.0.1:5002", "Order", { outcome = "sent away" })
    sees(2, "till@tcp://127.0.0.1:5001", "store", "Order")
    sees(2, "store.1", "bank@tcp://127.0.0.1:5010", "Pay", { outcome = "sent away" })
    sees(2, "bank@tcp://localhost:5010", "store.1/ask#4", "Paid", { kind = "reply" })
    assert.same({ "bank =store Paid 0.5 0", "store -bank Pay 0.5 0", "till -store Order 0.5 0" }, flows())
  end)

  it("to a group is counted once, also where every instance has a copy of it", function()
    for _ = 1, 4 do
      sees(2, "till@tcp://127.0.0.1:5001", "store", "Order")
      sees(2, "till@tcp://127.0.0.1:5001", "store.1", "Order")
      sees(2, "till@tcp://127.0.0.1:5001", "store.2", "Order")
    end
    sees(2, "store", "store.2", "RouterRace")
    sees(2, "store.1", "store.2", "Help")
    assert.same({ "till -store Order 2 0" }, flows())
  end)

  it("that was not handled is lost, and one that takes long is counted once", function()
    sees(1, "till", "shelf", "Take", { n = 7, outcome = "waiting" })
    sees(1, "till", "shelf", "Take", { n = 7, outcome = "no handler" })
    sees(1, "till", "shelf", "Take")
    sees(1, "till", "nobody", "Take", { outcome = "dead letter" })
    assert.same({ "till -nobody@front Take 0.5 0.5", "till -shelf Take 1 0.5" }, flows())
  end)

  it("with others is with somebody outside; what an actor says to itself, and the host to it, is none", function()
    sees(1, "$ask#1/ask#1@tcp://127.0.0.1:40000", "till", "Pay")
    sees(1, "till", "$ask#3/ask#1", "Paid", { kind = "reply" })
    sees(1, nil, "till", "Pay")
    sees(1, "till", "till", "Next")
    sees(1, "node.front", "till", "Config")
    assert.same({ "@ -till Pay 1 0", "till =@ Paid 0.5 0" }, flows())
  end)

  it("is reckoned from a part of it where there is too much", function()
    places[1].part = 7
    sees(1, "till", "shelf", "Take")
    sees(2, "bank@tcp://127.0.0.1:5010", "store", "Hint")
    local found = count:finish()
    assert.same({ "Hint", 0.5, false }, { found[1].type, found[1].rate, found[1].sampled })
    assert.same({ "Take", 3.5, true }, { found[2].type, found[2].rate, found[2].sampled })
  end)

  it("of many actors that the topology does not name is that of the eight that say most, and of the rest", function()
    for i = 1, 12 do
      for _ = 1, 14 - i do sees(1, "till", ("clerk#%d"):format(i), "Do") end
    end
    local found, extras = count:finish()
    assert.equal(9, #extras)
    assert.same({ "*@front", "4 more", "front" }, { extras[1].key, extras[1].name, extras[1].node })
    assert.equal("clerk#8@front", extras[9].key)
    local rates = {}
    for _, flow in ipairs(found) do rates[flow.to] = flow.rate end
    assert.same({ (5 + 4 + 3 + 2) / 2, 13 / 2, nil }, { rates["*@front"], rates["clerk#1@front"], rates["clerk#9@front"] })
  end)

  it("of an actor beside the topology tells its node, where one host has them all", function()
    places = traffic.places(model, { host("shop", { topology = "shop", node = "shop", endpoint = "tcp://127.0.0.1:5001" }) })
    places[1].seconds, places[1].rows = 2, {}
    count = traffic.new(model, places)
    sees(1, "till", "store", "Order")
    sees(1, "clerk", "till", "Help")
    sees(1, "clerk", "shelf@tcp://127.0.0.1:5002", "Take")
    sees(1, "guard", "till", "Look")
    sees(1, "guard", "store.1", "Look")
    sees(1, "node.shop", "till", "Config")
    local _, extras = count:finish()
    assert.same({ "clerk@shop", "front", "guard@shop" }, { extras[1].key, extras[1].node, extras[2].key })
    assert.is_nil(extras[2].node)
    assert.same({ "clerk@shop -shelf Take 0.5 0", "clerk@shop -till Help 0.5 0", "guard@shop -store Look 0.5 0",
                  "guard@shop -till Look 0.5 0", "till -store Order 0.5 0" }, flows())
  end)

  it("is drawn into the links that declare it; what none declares is dashed", function()
    sees(1, "till", "shelf", "Take")
    sees(1, "till", "shelf", "Smash", { outcome = "no handler" })
    sees(2, "till@tcp://127.0.0.1:5001", "store", "Order", { kind = "ask" })
    sees(1, "store.1@tcp://127.0.0.1:5002", "till/ask#1", "Goods", { kind = "reply" })
    sees(1, "store.2@tcp://127.0.0.1:5002", "till/ask#2", "Sorry", { kind = "reply" })
    sees(1, "boss#1", "till", "Hurry", { kind = "ask" })
    sees(1, "till", "boss#1", "Yes", { kind = "reply" })
    local live = { seconds = 2, sampled = false, nodes = { front = { host = "front", pid = 1 } }, actors = {
      till = { queue = 3, rate = 12, errors = 2 }, shelf = { queue = 0, rate = 0.25, errors = 0 } } }
    live.traffic, live.extras = count:finish()
    local chart = flowchart.read(graph.mermaid(model, live))
    local edges = {}
    for i, edge in ipairs(chart.edges) do
      edges[i] = ("%s %s %s %s"):format(chart.ids[edge.from].lines[1], edge.arrow, chart.ids[edge.to].lines[1],
                                       table.concat(edge.lines, " "))
    end
    assert.same({
      "till --> shelf Put 0/s, Take 0.5/s",
      "till --> store Order 0.5/s → Goods 0.5/s",
      "store --> bank Pay 0/s → Paid 0/s",
      "boss#1 -.-> till Hurry 0.5/s → Yes 0.5/s",
      "till -.-> store → Sorry 0.5/s",
      "till -.-> shelf Smash 0.5/s (0.5/s lost)",
    }, edges)
    assert.same({ "till", "till.lua", "queue 3, 12/s, 2 errors" }, chart.things[1].lines)
    assert.same({ "store", "store.lua", "x2, round", "not running" }, chart.ids.a4.lines)
    assert.same({ "back", "tcp://127.0.0.1:5002", "not running" }, chart.boxes[2].lines)
    assert.same({ "a4", "n2" }, chart.classes.stopped)
    assert.same({ "shop, measured for 2.0 s" }, chart.comments)
    assert.matches('"boss#1", style="rounded,filled"', graph.dot(model, live):gsub("label=", ""), 1, true)
    assert.matches("Smash 0.5/s (0.5/s lost)\", style=dashed", graph.dot(model, live), 1, true)
  end)
end)

local SCRIPTS = {
  ["shelf.lua"] = "function on_take() end\nfunction on_put() end",
  ["bank.lua"] = "function on_pay(self, msg, env) env:reply('Paid') end",
  ["store.lua"] = [[
    function on_order(self, msg, env)
      self.config.bank:ask("Pay", {}, { timeout = "20s" })
      env:reply("Goods")
    end]],
  ["till.lua"] = [[
    function on_start(self)
      self.clerk = actor.spawn("shelf.lua", { name = "clerk" })
      actor.after("1ms", "Next")
    end
    function on_next(self)
      self.config.shelf:send("Take")
      self.config.shelf:send("Smash")
      self.clerk:send("Take")
      if not self.told then print("sold") end
      self.told = true
      self.config.store:ask("Order", {}, { timeout = "20s" })
      actor.after("10ms", "Next")
    end
    function on_hello() end]],
}

-- The same shop, with what its scripts need, at ports that are free.
local OPEN_SHOP = SHOP:gsub('"till.lua"', '"till.lua", config = { shelf = ref "shelf", store = ref "store@back" }')
  :gsub('"store.lua"', '"store.lua", config = { bank = ref "bank" }')
  :gsub('bind = "tcp://127.0.0.1:5001",', '%0 after = "back",')
  :gsub("5001", "PORT1"):gsub("5002", "PORT2"):gsub("5010", "PORT3")

local function by_id(list)
  local found = {}
  for _, thing in ipairs(list) do found[thing.id] = thing end
  return found
end

describe("troupe graph --live", function()
  local place, up

  before_each(function()
    place = topologies.make(SCRIPTS)
    place:write("shop.lua", OPEN_SHOP)
  end)
  after_each(function()
    process.end_all()
    place:remove()
  end)

  local function open_shop(flag)
    local bank = process.start(process.troupe { "run", place:at "bank.lua", "--bind", ":" .. place.ports[3] }, 120)
    bank:error_line("listening on")
    up = place:up("shop.lua", flag)
    up:line("sold")
  end

  local function graph_of(...) return place:run("graph", "shop.lua", "--live", ...) end

  --- Looks until all of these pass; a machine may be so slow that one look does not see them.
  local function look(wanted)
    local drawn, edges
    for _ = 1, 10 do
      local ended = graph_of("--json", "--for", "1s")
      assert.equal(OK, ended.code, ended.err)
      drawn, edges = assert(json.decode(ended.out)), {}
      for _, edge in ipairs(drawn.edges) do
        local way = ("%s %s %s "):format(edge.kind, edge.from, edge.to)
        for _, type in ipairs(edge.types) do edges[way .. type.name] = type end
        for _, type in ipairs(edge.answers) do edges[way .. "-> " .. type.name] = type end
      end
      local missing = false
      for _, key in ipairs(wanted) do missing = missing or not edges[key] or edges[key].rate == 0 end
      if not missing then
        return drawn, edges
      end
    end
    error("not seen, but: " .. json.encode(edges))
  end

  for _, way in ipairs(topologies.WAYS) do
    it("shows rates, queues, and what passes without being declared, " .. way[1], function()
      open_shop(way[2])
      local host = way[2] and "shop" or "front"
      local drawn, edges = look {
        "link till shelf Take", "link till store Order", "link till store -> Goods", "link store bank Pay",
        "link store bank -> Paid", "undeclared till shelf Smash", ("undeclared till clerk@%s Take"):format(host),
      }
      assert.equal(0, edges["link till shelf Put"].rate)
      assert.equal(edges["undeclared till shelf Smash"].rate, edges["undeclared till shelf Smash"].lost)
      assert.same({ true, true }, { drawn.nodes[1].running, drawn.nodes[2].running })
      assert.equal(way[2] ~= nil, drawn.nodes[1].pid == drawn.nodes[2].pid)
      assert.equal(host, drawn.nodes[1].host)
      local actors = by_id(drawn.actors)
      assert.is_true(actors.till.running and actors.till.rate > 0 and actors.till.queue >= 0)
      assert.equal(2, actors.store.instances_running)
      local clerk = actors["clerk@" .. host]
      assert.same({ false, "clerk", "front", "shelf.lua" }, { clerk.declared, clerk.name, clerk.node, clerk.script })
      assert.is_true(drawn.live.seconds >= 0.9)

      local ended = graph_of("--for", "500ms")
      assert.matches("^looking at .*%(process %d+%) for 500 ms\n$", ended.err)
      local chart = flowchart.read(ended.out)
      assert.matches("^shop, measured for ", chart.comments[1])
      assert.matches("^queue %d+, [%d.]+/s", chart.things[1].lines[3])
      assert.equal("x2, round", chart.ids.a4.lines[3])
    end)
  end

  it("shows somebody outside", function()
    open_shop()
    process.start(process.troupe { "bench", "send", "till@:" .. place.ports[1], "Hello", "-n", "100000", "--rate", "50" }, 120)
    look { "undeclared @ till Hello" }
  end)

  it("shows what does not run", function()
    open_shop()
    up:stop("INT")
    local front = process.start(process.troupe { "up", place:at "shop.lua", "--node", "front" }, 120)
    front:line("sold")
    local drawn = look {} -- till waits for goods that nobody sends
    assert.same({ true, false }, { drawn.nodes[1].running, drawn.nodes[2].running })
    assert.same({ false, json.null }, { by_id(drawn.actors).store.running, by_id(drawn.actors).store.rate })
    assert.matches('not running"', graph_of("--for", "100ms", "--format", "dot").out, 1, true)
  end)

  it("says that nothing of it runs", function()
    local function look_alone() -- where no other host is known
      return process.run { "env", "XDG_RUNTIME_DIR=" .. place.folder, table.unpack(place:words("graph", "shop.lua", "--live")) }
    end
    local ended = look_alone()
    assert.same({ UNREACHABLE, "", "troupe: nothing of the topology 'shop' runs; no host of yours does\n" },
                { ended.code, ended.out, ended.err })
    local bank = process.start { "env", "XDG_RUNTIME_DIR=" .. place.folder,
                                 table.unpack(process.troupe { "run", place:at "bank.lua", "--bind", ":0" }) }
    bank:error_line("listening on")
    ended = look_alone()
    assert.equal(UNREACHABLE, ended.code)
    assert.matches("nothing of the topology 'shop' runs; running hosts are bank %(process %d+%)", ended.err)
  end)

  it("draws nothing when it is interrupted", function()
    open_shop()
    local drawing = process.start(place:words("graph", "shop.lua", "--live", "--for", "10m", "-o", place:at "x.mmd"), 120)
    drawing:error_line("looking at ")
    local ended = drawing:stop("INT")
    assert.same({ INTERRUPTED, "" }, { ended.code, ended.out })
    assert.is_nil(io.open(place:at "x.mmd"))
  end)

  it("draws what it has seen when a host ends meanwhile", function()
    open_shop()
    local drawing = process.start(place:words("graph", "shop.lua", "--live", "--for", "3s", "--json"), 120)
    local pid = topologies.pid(drawing:error_line("looking at "))
    topologies.kill(pid, "KILL")
    local ended = drawing:wait()
    assert.equal(OK, ended.code, ended.err)
    assert.matches("back %(process %d+%)", ended.err)
    assert.same({ true, false }, { json.decode(ended.out).nodes[1].running, json.decode(ended.out).nodes[2].running })
  end)
end)
