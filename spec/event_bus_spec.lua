-- The shipped event bus: who gets what, in which order, and what becomes of those
-- who are slow, or gone.
local Stage = require "troupe.stage"
local json = require "troupe.json"

local SEEDS = 60

-- Subscribes as its config says, and prints what it gets.
local SUBSCRIBER = [[
  local Subscriber = { mailbox = { limit = 4 } }
  function Subscriber:on_start()
    for _, topic in ipairs(self.config.topics or {}) do
      local done, why = actor.ref("bus"):ask("Subscribe", { topic = topic, retained = self.config.retained })
      if not done then print(why) end
    end
  end
  function Subscriber:on_event(msg)
    print(("%s: %s %s%s"):format(actor.name, msg.topic, json.encode(msg.value or json.null),
          msg.retained and " (retained)" or ""))
  end
  function Subscriber:on_missed(msg) print(("%s: missed %d from %s on"):format(actor.name, msg.count, msg.topic)) end
  function Subscriber:on_sleep() actor.sleep("1s") end
  function Subscriber:on_unsubscribe(msg)
    print("unsubscribed " .. actor.ref("bus"):ask("Unsubscribe", { topic = msg.topic }).patterns)
  end
  return Subscriber
]]

describe("the event bus", function()
  local stage, bus

  local function open(config, options)
    stage = Stage.new(options)
    bus = assert(stage:spawn({ path = "actors/event_bus.lua", name = "bus" }, config))
  end

  before_each(function() open() end)
  after_each(function()
    stage:dead_letters()
    stage:close()
  end)

  local function subscriber(name, topics, retained)
    local made = assert(stage:spawn({ name = name, source = SUBSCRIBER }, { topics = topics, retained = retained }))
    stage:run()
    return made
  end

  local function ask(type, msg)
    local answer, env = stage:ask(bus, type, msg)
    return assert(answer, tostring(env.text)), env
  end

  local function refusal(type, msg)
    local answer, why = stage:ask(bus, type, msg)
    assert.is_nil(answer)
    return why.text:match("failed at %w+: (.*)$") or why.text
  end

  local function publish(topic, value, retain)
    return ask("Publish", { topic = topic, value = value, retain = retain })
  end

  local function printed()
    stage:run()
    return stage:output()
  end

  it("gives an event to whoever has subscribed to a pattern that its topic matches", function()
    subscriber("paid", { "orders.*.paid" })
    subscriber("all", { "orders.#" })
    subscriber("bills", { "bills.#" })
    assert.same({ subscribers = 2, refused = 0 }, publish("orders.7.paid", 12))
    assert.same({ "paid: orders.7.paid 12", "all: orders.7.paid 12" }, printed())
    assert.same({ subscribers = 1, refused = 0 }, publish("orders.7", { id = 7 }))
    assert.same({ 'all: orders.7 {"id": 7}' }, printed())
    assert.same({ subscribers = 0, refused = 0 }, publish("weather"))
    assert.same({}, printed())
  end)

  it("gives it once, however many patterns match", function()
    subscriber("a", { "orders.#", "orders.paid", "*.paid", "orders.#" })
    assert.same({ subscribers = 1, refused = 0 }, publish("orders.paid", 1))
    assert.same({ "a: orders.paid 1" }, printed())
  end)

  it("says who has published it, and takes plain messages", function()
    assert(stage:spawn { name = "listener", source = [[
      function on_start() actor.ref("bus"):send("Subscribe", { topic = "news" }) end
      function on_event(self, msg, env) print(msg.from, env.from, msg.value) end
    ]] })
    stage:run()
    assert(stage:spawn { name = "reporter", source = [[
      function on_start() actor.ref("bus"):send("Publish", { topic = "news", value = "rain" }) end
    ]] })
    assert.same({ "reporter\tbus\train" }, printed())
  end)

  it("subscribes another when told so", function()
    local a = subscriber("a")
    assert.same({ topic = "news", retained = 0 }, ask("Subscribe", { topic = "news", to = a }))
    publish("news", 1)
    assert.same({ "a: news 1" }, printed())
  end)

  it("takes a pattern out again, or all of them", function()
    local a = subscriber("a", { "x", "y", "z" })
    stage:send(a, "Unsubscribe", { topic = "x" })
    assert.same({ "unsubscribed 1" }, printed())
    publish("x", 1)
    publish("y", 1)
    assert.same({ "a: y 1" }, printed())
    stage:send(a, "Unsubscribe", { topic = "never" })
    stage:send(a, "Unsubscribe", {})
    assert.same({ "unsubscribed 0", "unsubscribed 2" }, printed())
    assert.same({ subscribers = 0, refused = 0 }, publish("y", 2))
    assert.same({ subscribers = json.array {} }, ask("Subscribers"))
  end)

  it("forgets a subscriber that has ended", function()
    local a = subscriber("a", { "x", "y" })
    subscriber("b", { "x" })
    stage:stop(a)
    stage:run()
    assert.same({ subscribers = 1, refused = 0 }, publish("x", 1))
    assert.same({ "b: x 1" }, printed())
    local stats = ask("Stats")
    assert.same({ 1, 1, 1 }, { stats.subscribers, stats.patterns, stats.ended })
  end)

  it("forgets at once whoever was gone before", function()
    local a = subscriber("a")
    stage:stop(a)
    stage:run()
    ask("Subscribe", { topic = "x", to = a })
    stage:run()
    assert.equal(0, ask("Stats").subscribers)
  end)

  describe("with a slow subscriber", function()
    it("gives the others theirs, and tells the slow one what it has missed", function()
      local slow = subscriber("slow", { "x" })
      subscriber("quick", { "x" })
      stage:send(slow, "Sleep")
      stage:run()
      for n = 1, 7 do
        assert.same({ subscribers = 2, refused = n > 4 and 1 or 0 }, publish("x", n))
      end
      local quick = {}
      for n = 1, 7 do quick[n] = "quick: x " .. n end
      assert.same(quick, printed())
      stage:advance("2s")
      assert.same({ "slow: x 1", "slow: x 2", "slow: x 3", "slow: x 4", "slow: missed 3 from x on" }, printed())
      publish("x", 8)
      assert.same({ "slow: x 8", "quick: x 8" }, printed())
      assert.equal(3, ask("Stats").refused)
    end)

    it("tells it so before the next event that it gets", function()
      local slow = subscriber("slow", { "x" })
      stage:send(slow, "Sleep")
      stage:run()
      for n = 1, 5 do publish("x", n) end
      stage:advance("1s")
      publish("x", 6)
      stage:advance("1s")
      assert.same({ "slow: x 1", "slow: x 2", "slow: x 3", "slow: x 4", "slow: missed 1 from x on", "slow: x 6" },
                  printed())
    end)

    it("has no timer left when nobody has missed anything", function()
      local slow = subscriber("slow", { "x" })
      stage:send(slow, "Sleep")
      stage:run()
      for n = 1, 5 do publish("x", n) end
      stage:advance("10s")
      local steps = #stage:trace()
      stage:advance("1h")
      assert.equal(steps, #stage:trace())
      printed()
    end)
  end)

  describe("retains the last value", function()
    it("of a topic when asked to, for those who come later", function()
      publish("price.tea", 1, true)
      publish("price.tea", 2, true)
      publish("price.tea", 3)
      publish("price.gold", 9, true)
      subscriber("a", { "price.*" })
      assert.same({ "a: price.gold 9 (retained)", "a: price.tea 2 (retained)" }, printed())
      publish("price.tea", 4, true)
      assert.same({ "a: price.tea 4" }, printed())
    end)

    it("but spares those who do not want it", function()
      publish("price.tea", 1, true)
      subscriber("a", { "price.*" }, false)
      assert.same({}, printed())
    end)

    it("until nothing is retained in its place", function()
      publish("price.tea", 1, true)
      publish("price.tea", nil, true)
      publish("price.never", json.null, true)
      subscriber("a", { "price.*" })
      assert.same({}, printed())
      assert.equal(0, ask("Stats").retained)
    end)

    it("of so many topics as it may, and refuses the next", function()
      stage:close()
      open { retained = 1 }
      publish("a", 1, true)
      assert.equal("values of 1 topics are retained, the limit, and none of b",
                   refusal("Publish", { topic = "b", value = 1, retain = true }))
      publish("a", 2, true)
      assert.equal(1, ask("Stats").published - 1)
    end)
  end)

  it("forgets a subscriber of another host when that cannot be reached", function()
    assert(stage:spawn { name = "friend", source = [[
      function on_start()
        local bus = actor.ref("bus")
        print(bus:ask("Subscribe", { topic = "x", to = actor.ref("far@tcp://10.0.0.7:5001") }).topic)
      end
    ]] })
    assert.same({ "x" }, printed())
    stage:advance("1m")
    local stats = ask("Stats")
    assert.same({ 0, 1 }, { stats.subscribers, stats.ended })
  end)

  it("says who is subscribed to what, and what they got", function()
    local a = subscriber("a", { "x", "y.#" })
    local b = subscriber("b", { "y.*" })
    publish("y.1", 1)
    publish("x", 1)
    local of_a = { ref = a, patterns = { "x", "y.#" }, delivered = 2, refused = 0 }
    local of_b = { ref = b, patterns = { "y.*" }, delivered = 1, refused = 0 }
    assert.same({ subscribers = { of_a, of_b } }, ask("Subscribers"))
    assert.same({ subscribers = { of_a } }, ask("Subscribers", { topic = "x" }))
    assert.same({ subscribers = 2, patterns = 3, retained = 0, published = 2, delivered = 3, refused = 0, ended = 0 },
                ask("Stats"))
    printed()
  end)

  it("refuses what is no topic, with the reason", function()
    assert.equal("the topic 'a.*' has a wildcard: those are for subscribers", refusal("Publish", { topic = "a.*" }))
    assert.equal("the pattern 'a..b' has an empty word", refusal("Subscribe", { topic = "a..b" }))
    assert.equal("the topic 'a.' has an empty word", refusal("Subscribers", { topic = "a." }))
    assert.matches("Bad field 'topic' in Publish: string expected, not integer$", refusal("Publish", { topic = 7 }))
    stage:log()
    stage:send(bus, "Publish", { topic = "a." })
    stage:run()
    assert.matches("^.*the topic 'a%.' has an empty word", stage:log()[1].text)
    assert.equal("Publish", stage:dead_letters()[1].type)
  end)

  it("has at most so many subscribers, and patterns of each, as its config says", function()
    stage:close()
    open { subscribers = 1, patterns = 2 }
    subscriber("a", { "x", "y", "z" })
    assert.matches("a has 2 patterns, the limit", printed()[1])
    subscriber("b", { "x" })
    assert.matches("the bus has 1 subscribers, its limit", printed()[1])
    publish("x", 1)
    assert.same({ "a: x 1" }, printed())
  end)

  it("says which setting is wrong, and does not start", function()
    local function failure(config)
      assert(stage:spawn({ path = "actors/event_bus.lua", name = "other" }, config))
      stage:run()
      stage:dead_letters()
      return stage:log()[1].text:match("^[^\n]*")
    end
    assert.matches("config has no 'retaind' %(did you mean 'retained'%?%)$",
                   failure { retaind = 7 })
    assert.matches("config%.subscribers: a whole number from 1 to 1000000 is expected, not 'many'$",
                   failure { subscribers = "many" })
    assert.matches("config%.patterns: a whole number from 1 to 10000 is expected, not 0$", failure { patterns = 0 })
  end)

  it("keeps the order of each publisher, whoever else publishes, slow ones with gaps but never turned round", function()
    local PUBLISHER = [[
      function on_start(self)
        for n = 1, 10 do actor.ref("bus"):send("Publish", { topic = "t." .. n % 2, value = { by = actor.name, n = n } }) end
      end
    ]]
    local READER = [[
      local Reader = { mailbox = { limit = 3 } }
      function Reader:on_start() self.last, self.got, self.missed = {}, 0, 0 actor.ref("bus"):ask("Subscribe", { topic = "t.*" }) end
      function Reader:on_event(msg)
        local by, n = msg.value.by, msg.value.n
        if n <= (self.last[by] or 0) then print("turned round: " .. by .. " " .. n) end
        self.last[by] = n
        self.got = self.got + 1
        if self.config.slow then actor.sleep("3ms") end
      end
      function Reader:on_missed(msg) self.missed = self.missed + msg.count end
      function Reader:on_total(_, env) env:reply("Total", { sum = self.got + self.missed }) end
      return Reader
    ]]
    for seed = 1, SEEDS do
      stage:close()
      open(nil, { seed = seed })
      assert(stage:spawn({ name = "quick", source = READER }))
      assert(stage:spawn({ name = "slow", source = READER }, { slow = true }))
      stage:run()
      for _, name in ipairs { "a", "b", "c" } do assert(stage:spawn { name = name, source = PUBLISHER }) end
      stage:advance("2s")
      assert.same({}, stage:output())
      for _, name in ipairs { "quick", "slow" } do
        assert.same({ seed, name, 30 }, { seed, name, stage:ask(name, "Total").sum })
      end
    end
  end)
end)
