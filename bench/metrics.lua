-- metrics: what a call of actor.metrics() costs, with ACTORS actors in the host.
--   troupe run bench/metrics.lua -- [CALLS [ACTORS]]
local Boss = {}

local support = dofile "bench/support.lua"

local IDLE = [[ return { on_start = function() end } ]]

function Boss:on_start()
  local calls = tonumber(actor.args[1]) or 20000
  for _ = 1, tonumber(actor.args[2]) or 1000 do support.spawn("idle", IDLE) end
  local before = actor.now()
  for _ = 1, calls do actor.metrics() end
  support.report("metrics", "call", (actor.now() - before) / calls * 1e9, "ns")
  actor.stop_host(0)
end

return Boss
