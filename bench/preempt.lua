-- preempt: runaway handlers on all workers, and a third actor that is asked
-- every 10 ms for SECONDS; ms until it has answered.
--   troupe run bench/preempt.lua -- [SECONDS] [RUNAWAYS]
--
--   Ping {}   replies Pong
local Preempt = { thread = "own" } -- so that only the answerer waits for its turn

local support = dofile "bench/support.lua"

-- Runs as long as it is told, so that the host can end.
local RUNAWAY = [[
  return { slice = "1h", on_run = function(self, msg)
    repeat for _ = 1, 100000 do end until actor.now() > msg.until_now
  end }
]]

local ECHO = [[
  return { on_ping = function(self, msg, env) env:reply("Pong") end }
]]

local function cores()
  local count = 0
  for line in io.lines("/proc/cpuinfo") do
    if line:find("^processor") then count = count + 1 end
  end
  return math.max(count, 1)
end

function Preempt:on_start()
  local last = actor.now() + (tonumber(actor.args[1]) or 5)
  local echo = support.spawn("echo", ECHO)
  for _ = 1, tonumber(actor.args[2]) or cores() do
    support.spawn("runaway", RUNAWAY):send("Run", { until_now = last })
  end

  local times = {}
  while actor.now() < last - 0.1 do
    local began = actor.now()
    assert(echo:ask("Ping"))
    table.insert(times, actor.now() - began)
    actor.sleep("10ms")
  end
  table.sort(times)
  support.report("preempt", "ask_p99", times[math.ceil(#times * 0.99)] * 1000, "ms")
  actor.stop_host(0)
end

return Preempt
