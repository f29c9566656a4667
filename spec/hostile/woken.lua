-- woken: a timer wakes an actor while others compute. Prints `key: value` lines.
--
--   Compute {}
--   Tick    {}   counted
local Woken = {}

local SECONDS = 2

function Woken:on_start()
  self.count = 0
  if self.config.computes then return end
  for _ = 1, 4 do -- on two workers
    assert(actor.spawn("woken", { config = { computes = true } })):send("Compute")
  end
  self.last = actor.now() + SECONDS
  actor.every("10ms", "Tick")
end

function Woken:on_compute()
  local last = actor.now() + SECONDS + 1
  repeat
    for _ = 1, 10000 do end
  until actor.now() > last
end

function Woken:on_tick()
  self.count = self.count + 1
  if self.last and actor.now() > self.last then
    self.last = nil -- ticks go on until the host has ended
    print("woken: " .. self.count)
    actor.stop_host(0)
  end
end

return Woken
