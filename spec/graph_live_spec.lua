-- troupe graph --live: what the running hosts of a topology do, drawn into it. The hosts are
-- processes of their own, with a folder for sockets that is this spec's alone.
local flowchart = require "spec.support.flowchart"
local graph = require "troupe.topology.graph"
local json = require "troupe.json"
local process = require "spec.support.process"
local topology = require "troupe.topology"
local traffic = require "troupe.topology.graph_traffic"

local OK, UNREACHABLE, INTERRUPTED = 0, 5, 130

local function read(text)
  local model, problems = topology.read(text, { name = "shop.lua", folder = "." })
  return assert(model, problems[1] and topology.line(problems[1]))
end

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
    local places = traffic.places(read(SHOP), {
      host("x", { topology = "shop", node = "back" }), host("front", { topology = "other", node = "front" }),
      host("back"),
    })
    assert.same({ "back" }, titles(places))
    assert.equal("x", places[1].info.name)
  end)

  it("are else those that are called like its nodes, and belong to no topology", function()
    local places = traffic.places(read(SHOP), { host "front", host "other", host("back", { topology = "else" }) })
    assert.same({ "front" }, titles(places))
  end)

  it("may be one, which has all of it", function()
    for _, info in ipairs { host "shop", host("x", { topology = "shop", node = "shop" }) } do
      local places = traffic.places(read(SHOP), { info })
      assert.same({ "shop" }, titles(places))
      assert.is_nil(places[1].node)
    end
  end)

  it("are one of those that run the same node; the others are said", function()
    local places, surplus = traffic.places(read(SHOP), { host "front", host("front", { pid = 2 }) })
    assert.same({ "front" }, titles(places))
    assert.equal(2, surplus[1].pid)
  end)
end)

describe("the traffic of a topology", function()
  local model, places, count, n

  before_each(function()
    model, n = read(SHOP), 0
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

-- The hosts of a small shop, each an actor of its node's name that makes the others.
local SHELF = "function on_take() end"
local STORE = [[
  function on_order(self, msg, env)
    self.bank = self.bank or actor.ref("bank@" .. self.config.bank)
    self.bank:ask("Pay", {}, { timeout = "20s" })
    env:reply("Goods")
  end]]
local BACK = [[
  function on_start(self)
    local targets = {}
    for i = 1, 2 do
      targets[i] = actor.spawn(actor.args[1] .. "/store.lua", { name = "store." .. i, config = { bank = actor.args[2] } })
    end
    actor.spawn("router.lua", { name = "store", config = { targets = targets, route = "round" } })
    print("up")
  end]]
local FRONT = [[
  function on_start(self)
    local shelf = actor.spawn(actor.args[1] .. "/shelf.lua", { name = "shelf" })
    actor.spawn(actor.args[1] .. "/till.lua", { name = "till", config = { store = actor.args[2], shelf = shelf } })
    print("up")
  end]]
local TILL = [[
  function on_start(self)
    self.store, self.clerk = actor.ref("store@" .. self.config.store), actor.spawn(actor.args[1] .. "/shelf.lua", { name = "clerk" })
    actor.after("1ms", "Next")
  end
  function on_next(self)
    self.config.shelf:send("Take")
    self.config.shelf:send("Smash")
    self.clerk:send("Take")
    self.store:ask("Order", {}, { timeout = "20s" })
    if not self.told then print("sold") self.told = true end
    actor.after("10ms", "Next")
  end
  function on_hello() end]]
local BANK = "function on_pay(self, msg, env) env:reply('Paid') end"

describe("troupe graph --live", function()
  local folder, running

  before_each(function()
    folder, running = process.make_folder(), {}
    for name, text in pairs { shelf = SHELF, store = STORE, till = TILL } do
      process.write_file(("%s/%s.lua"):format(folder, name), text)
    end
  end)
  after_each(function()
    process.end_all()
    process.remove_folder(folder)
  end)

  local function words(...)
    return table.move(process.troupe { ... }, 1, select("#", ...) + 1, 3, { "env", "XDG_RUNTIME_DIR=" .. folder })
  end

  local function troupe(...) return process.run(words(...)) end

  local function start(name, text, ...)
    running[name] = process.start(words("-e", text, "--name", name, "--bind", ":0", "--", folder, ...), 120)
    return assert(running[name]:error_line("listening on"):match("tcp://%S+"))
  end

  --- The shop, open: all hosts, and a file of the topology with their endpoints.
  local function open_shop()
    local bank = start("bank", BANK)
    local back = start("back", BACK, bank)
    running.back:line("up")
    local front = start("front", FRONT, back)
    running.front:line("sold")
    local text = SHOP:gsub("5001", front:match("%d+$")):gsub("5002", back:match("%d+$")):gsub("5010", bank:match("%d+$"))
    process.write_file(folder .. "/shop.lua", text)
    return front
  end

  --- Looks until it has seen all of these; a machine may be so slow that one look does not.
  local function look(wanted, ...)
    local drawn, edges
    for _ = 1, 10 do
      local ended = troupe("graph", folder .. "/shop.lua", "--live", "--json", "--for", "1s", ...)
      assert.same({ OK, true }, { ended.code, ended.err:find("looking at ") ~= nil }, ended.err)
      drawn, edges = assert(json.decode(ended.out)), {}
      for _, edge in ipairs(drawn.edges) do
        for _, type in ipairs(edge.types) do
          edges[("%s %s %s %s"):format(edge.kind, edge.from, edge.to, type.name)] = type
        end
        for _, type in ipairs(edge.answers) do
          edges[("%s %s %s -> %s"):format(edge.kind, edge.from, edge.to, type.name)] = type
        end
      end
      local missing = false
      for _, key in ipairs(wanted) do missing = missing or not edges[key] or edges[key].rate == 0 end
      if not missing then
        return drawn, edges
      end
    end
    error("not seen, but: " .. json.encode(edges))
  end

  local function by_id(list, key)
    local found = {}
    for _, thing in ipairs(list) do found[thing[key]] = thing end
    return found
  end

  it("shows rates, queues, and what passes without being declared", function()
    open_shop()
    local drawn, edges = look {
      "link till shelf Take", "link till store Order", "link till store -> Goods", "link store bank Pay",
      "link store bank -> Paid", "undeclared till shelf Smash", "undeclared till clerk@front Take",
    }
    assert.equal(0, edges["link till shelf Put"].rate)
    assert.equal(edges["undeclared till shelf Smash"].rate, edges["undeclared till shelf Smash"].lost)
    assert.same({ true, "front" }, { drawn.nodes[1].running, drawn.nodes[1].host })
    local actors = by_id(drawn.actors, "id")
    assert.is_true(actors.till.running and actors.till.rate > 0 and actors.till.queue >= 0)
    assert.equal(2, actors.store.instances_running)
    assert.same({ false, "clerk", "front" }, { actors["clerk@front"].declared, actors["clerk@front"].name,
                                              actors["clerk@front"].node })
    assert.is_true(drawn.live.seconds >= 0.9)

    local chart = flowchart.read(troupe("graph", folder .. "/shop.lua", "--live", "--for", "500ms").out)
    assert.matches("^shop, measured for ", chart.comments[1])
    assert.matches("^queue %d+, [%d.]+/s", chart.things[1].lines[3])
    assert.equal("x2, round", chart.ids.a4.lines[3])
  end)

  it("shows somebody outside, and what does not run", function()
    local front = open_shop()
    local asking = process.start(words("bench", "send", "till@" .. front, "Hello", "-n", "100000", "--rate", "50"), 120)
    look { "undeclared @ till Hello" }
    asking:stop("INT")
    running.back:kill()
    local drawn = look {}
    assert.same({ true, false }, { drawn.nodes[1].running, drawn.nodes[2].running })
    assert.same({ false, json.null }, { by_id(drawn.actors, "id").store.running, by_id(drawn.actors, "id").store.rate })
    local ended = troupe("graph", folder .. "/shop.lua", "--live", "--for", "100ms", "--format", "dot")
    assert.matches('not running"', ended.out, 1, true)
  end)

  it("says that nothing of it runs", function()
    process.write_file(folder .. "/shop.lua", SHOP)
    local ended = troupe("graph", folder .. "/shop.lua", "--live")
    assert.same({ UNREACHABLE, "", "troupe: nothing of the topology 'shop' runs; no host of yours does\n" },
                { ended.code, ended.out, ended.err })
    start("bank", BANK)
    ended = troupe("graph", folder .. "/shop.lua", "--live")
    assert.equal(UNREACHABLE, ended.code)
    assert.matches("nothing of the topology 'shop' runs; running hosts are bank %(process %d+%)", ended.err)
  end)

  it("draws nothing when it is interrupted", function()
    open_shop()
    local drawing = process.start(words("graph", folder .. "/shop.lua", "--live", "--for", "10m", "-o", folder .. "/x.mmd"), 120)
    drawing:error_line("looking at ")
    local ended = drawing:stop("INT")
    assert.same({ INTERRUPTED, "" }, { ended.code, ended.out })
    assert.is_nil(io.open(folder .. "/x.mmd"))
  end)

  it("draws what it has seen when a host ends meanwhile", function()
    open_shop()
    local drawing = process.start(words("graph", folder .. "/shop.lua", "--live", "--for", "3s", "--json"), 120)
    drawing:error_line("looking at ")
    running.back:kill()
    local ended = drawing:wait()
    assert.equal(OK, ended.code, ended.err)
    assert.matches("back %(process %d+%)", ended.err)
    assert.same({ true, false }, { json.decode(ended.out).nodes[1].running, json.decode(ended.out).nodes[2].running })
  end)
end)
