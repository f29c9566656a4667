-- The shipped actors in real hosts: asked from other ones, on threads, and killed.
local process = require "spec.support.process"

describe("in a real host", function()
  local folder

  before_each(function() folder = process.make_folder() end)
  after_each(function()
    process.end_all()
    process.remove_folder(folder)
  end)

  local SHOP = [[
    function on_price(self, msg, env) env:reply("Costs", { euro = 3, asked = env.asked }) end
    function on_hang() end
    function on_hang_up(self, msg, env) self.kept = env:defer() end
  ]]

  -- Starts a host with `source` as its first actor, and listens: the host, and where it is.
  local function start(name, source)
    local path = process.write_file(("%s/%s.lua"):format(folder, name), source)
    local host = process.start(process.troupe { "run", path, "--bind", ":0" }, 120)
    return host, (host:error_line("listening on"):match("tcp://%S+"))
  end

  local function ask(address, type)
    return process.run(process.troupe { "ask", address, type, "--timeout", "20s" })
  end

  it("a breaker and a limiter are asked by others, about others", function()
    local shop, shop_at = start("shop", SHOP)
    local _, front_at = start("front", ([[
      function on_start()
        actor.spawn("rate_limiter", { name = "limiter", config = { target = "shop@%s", rate = 1000 } })
        actor.spawn("circuit_breaker", { name = "breaker",
          config = { target = "shop@%s", timeout = "1s", failures = 2, open_for = "1h" } })
      end]]):format(shop_at, shop_at))
    assert.equal('Costs {"asked": true, "euro": 3}\n', ask("breaker@" .. front_at, "Price").out)
    assert.equal('Costs {"asked": true, "euro": 3}\n', ask("limiter@" .. front_at, "Price").out)

    assert.matches("No reply", ask("breaker@" .. front_at, "Hang").err)
    shop:kill()
    assert.equal(4, ask("breaker@" .. front_at, "Price").code)
    local refused = ask("breaker@" .. front_at, "Price")
    assert.equal(4, refused.code)
    assert.matches("the circuit to shop@tcp://%S+ is open for another %d+", refused.err)
    assert.matches('BreakerTrip is refused from other hosts', ask("breaker@" .. front_at, "BreakerTrip").err)
    assert.matches('"state": "open"', ask("breaker@" .. front_at, "BreakerStats").out)
  end)

  it("what dies on many threads at once is counted to the last one", function()
    local path = process.write_file(folder .. "/crowd.lua", [[
      local Crowd = {}
      local COUNT, EACH = 20, 500
      function Crowd:on_start()
        if self.config.victim then return end
        self.letters = assert(actor.spawn("dead_letters", { config = { every = 0 },
                                          mailbox = { limit = 50, overflow = self.config.overflow } }))
        self.letters:ask("Stats")
        for i = 1, COUNT do
          local victim = assert(actor.spawn("crowd", { config = { victim = true }, mailbox = { limit = 10000 } }))
          for _ = 1, EACH do victim:send("Nobody") end
        end
        actor.self:send("Look")
      end
      function Crowd:on_look()
        if actor.metrics().dead_letters < COUNT * EACH then return actor.after("10ms", "Look") end
        -- One more, so that what was missed is told.
        actor.spawn("crowd", { config = { victim = true } }):send("Nobody")
        actor.after("10ms", "Sum")
      end
      function Crowd:on_sum()
        local stats = self.letters:ask("Stats")
        local told = 0
        for _, number in pairs(stats.by_reason) do told = told + number end
        if told + stats.missed < COUNT * EACH + 1 then
          actor.spawn("crowd", { config = { victim = true } }):send("Nobody")
          return actor.after("10ms", "Sum")
        end
        print(stats.total == told + stats.missed, told > 0)
        actor.stop_host()
      end
      return Crowd ]])
    local ended = process.run(process.troupe { "run", path, "--workers", "4" })
    assert.equal("true\ttrue\n", ended.out)
    assert.equal(0, ended.code)
  end)

  it("what a logger has flushed is there when the host is killed", function()
    local path = process.write_file(folder .. "/writer.lua", ([[
      function on_start()
        local logger = assert(actor.spawn("logger", { config = { path = %q, flush = "1h" } }))
        for n = 1, 1000 do logger:send("Log", { text = "line " .. n }) end
        assert(logger:ask("Flush"))
        print "flushed"
      end]]):format(folder .. "/app.log"))
    local writer = process.start(process.troupe { "run", path }, 60)
    writer:line("flushed")
    writer:kill()
    local count = 0
    for line in io.lines(folder .. "/app.log") do
      count = count + 1
      assert.matches("line " .. count .. "$", line)
    end
    assert.equal(1000, count)
  end)
end)
