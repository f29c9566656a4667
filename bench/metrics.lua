-- metrics: what a call of actor.metrics() costs who asks.
--   troupe run bench/metrics.lua -- [CALLS]
local Meter = {}

local support = dofile "bench/support.lua"

function Meter:on_start()
  local calls = tonumber(actor.args[1] or 100000)
  local began = actor.now()
  for _ = 1, calls do actor.metrics() end
  support.report("metrics", "call", (actor.now() - began) / calls * 1e6, "us")
  actor.exit()
end

return Meter
