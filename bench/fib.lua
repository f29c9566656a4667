-- fib: the NUMBERth Fibonacci number, by an actor for each call: one that is asked for
-- more than fib(1) spawns two others, adds what they say, and ends; us an actor.
--   troupe run bench/fib.lua -- [NUMBER]
--
--   Value { value = integer }   to whoever spawned it
local Boss = {}

local support = dofile "bench/support.lua"

local FIB = [[
  local Fib = {}

  local function finish(self, value)
    self.config.parent:send("Value", { value = value })
    actor.exit()
  end

  function Fib:on_start()
    local config = self.config
    local number = config.number
    if number < 2 then return finish(self, number) end
    for less = 1, 2 do
      assert(actor.spawn(config.script, {
        config = { number = number - less, script = config.script, parent = actor.self },
      }))
    end
  end

  function Fib:on_value(msg)
    if self.value then return finish(self, self.value + msg.value) end
    self.value = msg.value
  end

  return Fib
]]

local function fib(number) return number < 2 and number or fib(number - 1) + fib(number - 2) end
local function actors(number) return number < 2 and 1 or 1 + actors(number - 1) + actors(number - 2) end

function Boss:on_start()
  self.number = tonumber(actor.args[1]) or 18
  local script = support.script(FIB)
  self.started = actor.now()
  assert(actor.spawn(script, { config = { number = self.number, script = script, parent = actor.self } }))
end

function Boss:on_value(msg)
  local took = actor.now() - self.started
  assert(msg.value == fib(self.number))
  support.report("fib", "actor", took / actors(self.number) * 1e6, "us")
  actor.stop_host(0)
end

return Boss
