-- actors/circuit_breaker.lua: what it lets through, when it does not, and who hears of it.
local Stage = require "troupe.stage"

-- Answers, fails, rejects or keeps silent, as its last Be said.
local SHOP = [[
  function on_be(self, msg) self.mood = msg.mood end
  function on_price(self, msg, env)
    print("asked " .. (msg.n or ""))
    if self.mood == "failing" then return env:fail("sold out") end
    if self.mood == "silent" then
      self.kept = self.kept or {}
      table.insert(self.kept, env:defer())
      return
    end
    env:reply("Costs", { euro = 3, n = msg.n })
  end
  function on_speak(self)
    for _, env in ipairs(self.kept) do env:reply("Costs", { euro = 4 }) end
    self.kept = {}
  end
  function on_news(self, msg, env) print("news from " .. tostring(env.from)) end
]]

describe("a circuit breaker", function()
  local stage, breaker

  before_each(function()
    stage = Stage.new()
    assert(stage:spawn { name = "shop", source = SHOP })
  end)
  after_each(function()
    stage:log()
    stage:output()
    stage:close()
  end)

  local function open(config)
    config = config or {}
    config.target = config.target or "shop"
    breaker = assert(stage:spawn({ path = "actors/circuit_breaker.lua", name = "breaker" }, config))
    stage:run()
  end

  local function be(mood)
    stage:send("shop", "Be", { mood = mood })
    stage:run()
  end

  -- The answer to a question through the breaker; or nil, and why not.
  local function ask(type, msg, timeout) return stage:ask(breaker, type or "Price", msg, timeout) end

  local function fail(count)
    be "failing"
    for _ = 1, count do assert.is_nil((ask())) end
  end

  local function stats()
    return (assert(ask "BreakerStats"))
  end

  local function state() return stats().state end

  -- How many questions have reached the shop since the last call.
  local function reached() return #stage:output() end

  -- An actor that asks through the breaker `count` times at once, and prints what comes of each.
  local function crowd(count)
    for n = 1, count do
      assert(stage:spawn { name = "asker" .. n, source = ([[
        function on_start()
          local answer, why = actor.ref("breaker"):ask("Price", { n = %d }, { timeout = "20s" })
          print(answer and "answer" or tostring(why))
          actor.exit()
        end]]):format(n) })
    end
    stage:run()
  end

  describe("that is closed", function()
    it("asks the target, and answers what that does", function()
      open()
      local answer, env = ask("Price", { n = 7 })
      assert.same({ euro = 3, n = 7 }, answer)
      assert.equal("Costs", env.type)
      assert.equal("closed", state())
    end)

    it("says why there is no answer", function()
      open()
      be "failing"
      local _, why = ask()
      assert.equal("failed", why.reason)
      assert.matches("shop failed at Price: sold out", why.text, 1, true)
    end)

    it("has many questions under way at a time", function()
      open()
      be "silent"
      crowd(50)
      assert.equal(50, reached())
      assert.equal(50, stats().under_way)
      stage:send("shop", "Speak")
      stage:run()
      assert.same({ "answer" }, { stage:output()[50] })
      assert.equal(0, stats().under_way)
    end)

    it("passes on what is not asked, from its sender", function()
      open()
      assert(stage:spawn { name = "paper", source = 'function on_start() actor.ref("breaker"):send("News") end' })
      stage:run()
      assert.same({ "news from paper" }, stage:output())
    end)

    it("stays so while failures are not in a row", function()
      open { failures = 3 }
      for _ = 1, 5 do
        fail(2)
        be "well"
        assert(ask())
      end
      assert.equal("closed", state())
    end)
  end)

  describe("opens", function()
    it("after so many failures in a row, and then fails at once", function()
      open { failures = 3, open_for = "10s" }
      fail(3)
      assert.equal("open", state())
      reached()
      stage:advance("4s")
      local _, why = ask()
      assert.equal(0, reached())
      assert.equal("failed", why.reason)
      assert.matches("the circuit to shop is open for another 6.0 s: shop failed at Price: sold out", why.text, 1, true)
    end)

    it("after so many failures within a time, whatever lies between", function()
      open { failures = 3, within = "10s" }
      for _ = 1, 2 do
        fail(1)
        be "well"
        assert(ask())
      end
      stage:advance("11s")
      fail(2)
      assert.equal("closed", state())
      fail(1)
      assert.equal("open", state())
    end)

    it("when there is no answer in time", function()
      open { failures = 1, timeout = "2s" }
      be "silent"
      local _, why = ask("Price", {}, "10s")
      assert.matches("no answer from shop to Price in 2.0 s", why.text, 1, true)
      assert.equal(2, stage:now())
      assert.equal("open", state())
    end)

    it("when the target is gone", function()
      open { failures = 1 }
      stage:stop("shop")
      stage:run()
      assert.is_nil((ask()))
      assert.equal("open", state())
    end)

    it("at what counts as a failure only", function()
      open { failures = 1, counts = { "timeout" } }
      fail(3)
      assert.equal("closed", state())
      assert.is_nil((ask "Weather"))
      assert.equal("closed", state())
    end)

    it("at what is rejected, if told so", function()
      open { failures = 1, counts = { "rejected" } }
      assert.is_nil((ask "Weather"))
      assert.equal("open", state())
    end)

    it("when a message cannot be passed on", function()
      open { failures = 1 }
      stage:stop("shop")
      stage:run()
      stage:send(breaker, "News")
      stage:run()
      assert.equal("open", state())
      assert.equal("News", stage:dead_letters()[1].type)
    end)

    it("and what is sent then is a dead letter that says so", function()
      open { failures = 1 }
      fail(1)
      stage:dead_letters()
      stage:send(breaker, "News")
      stage:run()
      local letter = stage:dead_letters()[1]
      assert.equal("News", letter.type)
      assert.matches("the circuit to shop is open for another 10.0 s", letter.text, 1, true)
      assert.equal(1, stats().discarded)
    end)

    it("without regard to those that were under way", function()
      open { failures = 2, timeout = "15s", open_for = "1s" }
      be "silent"
      crowd(10)
      fail(2)
      assert.equal("open", state())
      stage:advance("1s")
      be "well"
      assert(ask())
      assert.equal("closed", state())
      stage:advance("20s") -- the ten have had no answer, but that was another time
      assert.equal("closed", state())
    end)
  end)

  describe("that was open long enough", function()
    before_each(function()
      open { failures = 1, open_for = "10s", open_at_most = "30s", trials = 2, timeout = "3s" }
      fail(1)
      stage:advance("10s")
      reached()
    end)

    it("lets so many through to see, and no more", function()
      be "silent"
      crowd(5)
      assert.equal("half_open", state())
      local lines, asked = stage:output(), 0
      for _, line in ipairs(lines) do
        if line:find("^asked") then asked = asked + 1
        else assert.matches("is half open, and being tried", line) end
      end
      assert.equal(2, asked)
      stage:send("shop", "Speak")
      stage:run()
      assert.equal("closed", state())
    end)

    it("closes when all of these succeed", function()
      be "well"
      assert(ask())
      assert.equal("half_open", state())
      assert(ask())
      assert.equal("closed", state())
    end)

    it("opens again when one fails, for longer each time, to a limit", function()
      local times = {}
      for _ = 1, 4 do
        fail(1)
        table.insert(times, stats().opens_in)
        stage:advance(stats().opens_in)
      end
      assert.same({ 20, 30, 30, 30 }, times)
      be "well"
      assert(ask())
      assert(ask())
      fail(1)
      assert.equal(10, stats().opens_in)
    end)

    it("takes a message that was delivered for a success", function()
      stage:send(breaker, "News")
      stage:send(breaker, "News")
      stage:run()
      assert.equal("closed", state())
    end)
  end)

  describe("tells of its changes", function()
    local LISTENER = [[
      function on_start(self)
        if self.config.group then actor.join(self.config.group)
        else assert(actor.ref("breaker"):ask("BreakerSubscribe")) end
      end
      function on_breaker_changed(self, msg)
        print(msg.breaker, msg.from, msg.to, msg.reason)
      end
      function on_enough() assert(actor.ref("breaker"):ask("BreakerUnsubscribe")) end
    ]]

    local function listen(config)
      assert(stage:spawn({ name = "listener", source = LISTENER }, config))
      stage:run()
    end

    -- What was told, of what the shop was not asked.
    local function told()
      local lines = {}
      for _, line in ipairs(stage:output()) do
        if line:find("^breaker") then table.insert(lines, line) end
      end
      return lines
    end

    local function change_all()
      fail(1)
      stage:advance("10s")
      be "well"
      assert(ask())
    end

    local ALL = {
      "breaker\tclosed\topen\tshop failed at Price: sold out", "breaker\topen\thalf_open\tnil",
      "breaker\thalf_open\tclosed\tnil",
    }

    it("those who subscribe", function()
      open { failures = 1 }
      listen()
      change_all()
      assert.same(ALL, told())
      stage:send("listener", "Enough")
      stage:run()
      change_all()
      assert.same({}, told())
    end)

    it("a group", function()
      open { failures = 1, group = "circuits" }
      listen { group = "circuits" }
      change_all()
      assert.same(ALL, told())
    end)

    it("the log", function()
      open { failures = 1 }
      change_all()
      local lines = stage:log()
      assert.matches("the circuit is open {reason=", lines[1].text, 1, true)
      assert.equal("warn", lines[1].level)
      assert.matches("the circuit is closed", lines[3].text, 1, true)
    end)

    it("and forgets who has ended", function()
      open { failures = 1 }
      listen()
      stage:stop("listener")
      stage:run()
      fail(1)
      assert.same({}, told())
      assert.equal("open", state())
    end)
  end)

  it("can be opened and closed by hand", function()
    open()
    assert.same({ state = "open" }, (ask("BreakerTrip", { open_for = "1m" })))
    assert.is_true(stats().opens_in == 60)
    local _, why = ask()
    assert.matches("it was opened by hand", why.text)
    assert.same({ state = "closed" }, (ask "BreakerReset"))
    assert(ask())
    _, why = ask("BreakerTrip", { open_for = "soon" })
    assert.matches("Bad field 'open_for' in BreakerTrip: a duration .* of more than 0 s is expected, not 'soon'", why.text)
  end)

  it("counts what it does", function()
    open { failures = 2 }
    assert(ask())
    stage:send(breaker, "News")
    fail(2)
    assert.is_nil((ask()))
    local got = stats()
    got.opens_in = nil
    assert.same({
      state = "open", opened = 1, failures = 0, asked = 3, answered = 1, failed = 2, refused = 1, sent = 1,
      discarded = 0, under_way = 0, reason = "shop failed at Price: sold out",
    }, got)
  end)

  it("finds a target by its name each time", function()
    open { failures = 5 }
    stage:stop("shop")
    stage:run()
    assert.is_nil((ask()))
    assert(stage:spawn { name = "shop", source = SHOP })
    stage:run()
    assert(ask())
  end)

  it("is spawned by scripts, with a ref", function()
    assert(stage:spawn { name = "hero", source = [[
      function on_start()
        local breaker = assert(actor.spawn("circuit_breaker", { config = { target = actor.ref("shop") } }))
        print(breaker:ask("Price").euro)
      end]] })
    stage:run()
    assert.same({ "asked ", "3" }, stage:output())
  end)

  it("says what is wrong with its config", function()
    for text, config in pairs {
      ["config has no 'tagret' (did you mean 'target'?)"] = { tagret = "shop" },
      ["config.target: a ref, or an actor's address such as \"shop@tcp://10.0.0.7:5001\", is expected, but it is missing"] = {},
      ["config.target: a ref, or an actor's address such as \"shop@tcp://10.0.0.7:5001\", is expected, not '' ("] = { target = "" },
      ["config.timeout: a duration (\"250ms\", \"2s\", a number of seconds) of more than 0 s is expected, not 'soon'"] = {
        target = "shop", timeout = "soon" },
      ["config.timeout: a duration (\"250ms\", \"2s\", a number of seconds) of more than 0 s is expected, not 0"] = { target = "shop", timeout = 0 },
      ["config.failures: a whole number from 1 to 10000 is expected, not 0"] = { target = "shop", failures = 0 },
      ["config.trials: a whole number from 1 to 100 is expected, not 1.5"] = { target = "shop", trials = 1.5 },
      ["config.counts: a list of some of"] = { target = "shop", counts = "failed" },
      ["is expected, not 'faild' (did you mean 'failed'?)"] = { target = "shop", counts = { "faild" } },
      ["config.group: a group's name"] = { target = "shop", group = "a b" },
    } do
      local made = assert(stage:spawn("actors/circuit_breaker.lua", config))
      stage:run()
      assert.is_false(stage:alive(made), text)
      assert.matches(text, stage:log()[1].text, 1, true)
    end
  end)
end)
