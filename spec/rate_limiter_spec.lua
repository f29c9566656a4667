-- actors/rate_limiter.lua: what passes, when, in which order, and what is refused.
local Stage = require "troupe.stage"

local SHOP = [[
  function on_order(self, msg, env) print(("%.2f %s%d from %s"):format(actor.now() - self.begun, msg.who or "", msg.n, tostring(env.from))) end
  function on_start(self) self.begun = actor.now() end
  function on_price(self, msg, env) env:reply("Costs", { euro = 3 }) end
  function on_busy() actor.sleep("1s") end
  function on_rest() actor.sleep("10s") end
]]

describe("a rate limiter", function()
  local stage, limiter

  before_each(function() stage = Stage.new() end)
  after_each(function()
    stage:log()
    stage:output()
    stage:close()
  end)

  local function open(config, mailbox)
    assert(stage:spawn { name = "shop", source = SHOP, mailbox = mailbox })
    config.target = config.target or "shop"
    limiter = assert(stage:spawn({ path = "actors/rate_limiter.lua", name = "limiter" }, config))
    stage:run()
  end

  -- So many orders at once, numbered.
  local function order(count, who, first)
    for n = first or 1, (first or 1) + count - 1 do stage:send(limiter, "Order", { who = who, n = n }) end
    stage:run()
  end

  -- What the shop got since the last call: "0.00 1" is number 1, at once.
  local function got()
    local lines = stage:output()
    for i, line in ipairs(lines) do lines[i] = line:gsub(" from .*", "") end
    return lines
  end

  local function stats() return (assert(stage:ask(limiter, "LimiterStats"))) end

  it("passes on a burst at once, and then so many each second, in order", function()
    open { rate = 2, burst = 3 }
    order(6)
    assert.same({ "0.00 1", "0.00 2", "0.00 3" }, got())
    stage:advance("10s")
    assert.same({ "0.50 4", "1.00 5", "1.50 6" }, got())
  end)

  it("fills its bucket again, and no further", function()
    open { rate = 2, burst = 3, wait = 0 }
    order(3)
    stage:advance("1s")
    order(3)
    stage:advance("1h")
    order(5)
    assert.same({ "0.00 1", "0.00 2", "0.00 3", "1.00 1", "1.00 2", "3601.00 1", "3601.00 2", "3601.00 3" }, got())
  end)

  it("counts by other spans than a second", function()
    open { rate = 60, per = "1m", burst = 1 }
    order(3)
    stage:advance("5s")
    assert.same({ "0.00 1", "1.00 2", "2.00 3" }, got())
  end)

  it("lets the target answer, and keeps the sender", function()
    open { rate = 1, burst = 1 }
    assert(stage:spawn { name = "asker", source = [[
      function on_start()
        for _ = 1, 2 do print(actor.ref("limiter"):ask("Price").euro) end
        actor.ref("limiter"):send("Order", { n = 7 })
      end]] })
    stage:advance("5s")
    assert.same({ "3", "3", "2.00 7 from asker" }, stage:output())
  end)

  it("refuses at once what would have to wait too long", function()
    open { rate = 1, burst = 1, wait = "2s" }
    order(5)
    assert.equal(2, #stage:dead_letters())
    local _, why = stage:ask(limiter, "Price")
    assert.equal("failed", why.reason)
    assert.matches("more than 1 in 1 s: try again in 1 s", why.text, 1, true)
    assert.equal(0, stage:now())
    stage:advance("5s")
    assert.same({ "0.00 1", "1.00 2", "2.00 3" }, got())
    assert.same({ passed = 3, delayed = 2, refused = 3, undelivered = 0, waiting = 0, keys = 1 }, stats())
  end)

  it("without a queue refuses all that comes too early", function()
    open { rate = 1, burst = 1, queue = 0 }
    order(2)
    local letter = stage:dead_letters()[1]
    assert.equal("Order", letter.type)
    assert.equal("more than 1 in 1 s: try again in 1 s", letter.text)
  end)

  it("has a queue of so many", function()
    open { rate = 1, burst = 1, queue = 2, wait = "1h" }
    order(4)
    assert.equal("2 messages wait already, which is the limit", stage:dead_letters()[1].text)
    stage:advance("5s")
    assert.same({ "0.00 1", "1.00 2", "2.00 3" }, got())
  end)

  describe("with keys", function()
    it("has a bucket for each, and one for the rest", function()
      open { rate = 1, burst = 1, key = "who" }
      order(2, "a")
      order(2, "b")
      order(2)
      assert.same({ "0.00 a1", "0.00 b1", "0.00 1" }, got())
      stage:advance("5s")
      assert.same({ "1.00 a2", "1.00 b2", "1.00 2" }, got())
    end)

    it("takes no number for a text", function()
      open { rate = 1, burst = 1, key = "n", queue = 0 }
      stage:send(limiter, "Order", { n = 1 })
      stage:send(limiter, "Order", { n = "1" })
      stage:run()
      assert.equal(2, stats().passed)
    end)

    it("lets none wait for another", function()
      open { rate = 1, burst = 1, key = "who", wait = "1h" }
      order(4, "a")
      stage:advance("1.5s")
      order(1, "b")
      stage:advance("5s")
      assert.same({ "0.00 a1", "1.00 a2", "1.50 b1", "2.00 a3", "3.00 a4" }, got())
    end)

    it("remembers so many, until their buckets are full", function()
      open { rate = 1, burst = 2, key = "who", keys = 3, wait = "1s" }
      for i = 1, 4 do order(1, "k" .. i) end
      assert.equal("3 keys are in use, which is the limit", stage:dead_letters()[1].text)
      assert.equal(3, stats().keys)
      stage:advance("10s")
      order(1, "k4")
      assert.equal(1, stats().keys)
      assert.equal(0, #stage:dead_letters())
    end)

    it("forgets nothing of one who asks all the time", function()
      open { rate = 1, burst = 2, key = "who", wait = 0 }
      for i = 1, 100 do
        order(3, "a", 3 * i)
        order(1, "k" .. i)
        stage:advance("1s")
      end
      local passed = 0
      for _, line in ipairs(got()) do if line:find(" a") then passed = passed + 1 end end
      assert.equal(101, passed)
    end)
  end)

  describe("whose target", function()
    it("is full waits, and keeps the order", function()
      open({ rate = 100, burst = 100, wait = "5s" }, { limit = 2 })
      stage:send("shop", "Busy")
      stage:run()
      order(5)
      assert.same({}, got())
      assert.equal(3, stats().waiting)
      stage:advance("2s")
      local lines = got()
      for i, line in ipairs(lines) do lines[i] = line:match("%d$") end
      assert.same({ "1", "2", "3", "4", "5" }, lines)
    end)

    it("stays full says so when the time is over", function()
      open({ rate = 100, burst = 100, wait = "3s" }, { limit = 1 })
      stage:send("shop", "Rest")
      stage:run()
      order(3)
      stage:advance("4s")
      assert.equal(2, #stage:dead_letters())
      assert.equal(2, stats().undelivered)
    end)

    it("has ended says so at once", function()
      open { rate = 10 }
      stage:stop("shop")
      stage:run()
      local _, why = stage:ask(limiter, "Price")
      assert.equal("failed", why.reason)
      assert.matches("no actor is named 'shop'", why.text)
      order(1)
      assert.equal(1, #stage:dead_letters())
    end)
  end)

  it("loses nothing in silence when it ends", function()
    open { rate = 1, burst = 1, wait = "1h" }
    order(3)
    stage:stop(limiter)
    stage:run()
    assert.equal("the rate limiter has ended", stage:dead_letters()[2].text)
  end)

  it("is spawned by scripts", function()
    assert(stage:spawn { name = "shop", source = SHOP })
    assert(stage:spawn { name = "hero", source = [[
      function on_start()
        local limiter = assert(actor.spawn("rate_limiter", { config = { target = actor.ref("shop"), rate = 10 } }))
        print(limiter:ask("Price").euro)
      end]] })
    stage:run()
    assert.same({ "3" }, stage:output())
  end)

  it("says what is wrong with its config", function()
    for text, config in pairs {
      ["config.rate: a number of more than 0 and at most 1000000000 is expected, but it is missing"] = { target = "shop" },
      ["config.rate: a number of more than 0 and at most 1000000000 is expected, not 0"] = { target = "shop", rate = 0 },
      ["config.burst: a whole number from 1 to 1000000000 is expected, not 'many'"] = { target = "shop", rate = 1, burst = "many" },
      ["config has no 'keyed'"] = { target = "shop", rate = 1, keyed = "who" },
      ["config has no 'qeue' (did you mean 'queue'?)"] = { target = "shop", rate = 1, qeue = 3 },
      ["config.wait: a duration (\"250ms\", \"2s\", a number of seconds) of at most 3600 s is expected, not 4000"] = { target = "shop", rate = 1, wait = 4000 },
    } do
      local made = assert(stage:spawn("actors/rate_limiter.lua", config))
      stage:run()
      assert.is_false(stage:alive(made), text)
      assert.matches(text, stage:log()[1].text, 1, true)
    end
  end)
end)
