-- timers: COUNT one-shot timers between 0.5 and 2.5 s; µs to make one, and how
-- late they fire, in ms.
--   troupe run bench/timers.lua -- [COUNT]
--
--   Fired { due = number }   from its own timers
local Late = { mailbox = { limit = 1000000, bytes = "1GiB" } }

local support = dofile "bench/support.lua"

function Late:on_start()
  self.count = tonumber(actor.args[1]) or 100000
  self.late = {}
  math.randomseed(1)
  local after, now, random = actor.after, actor.now, math.random
  local started = now()
  for _ = 1, self.count do
    local delay = 0.499 + random(2001) / 1000
    after(delay, "Fired", { due = now() + delay })
  end
  self.made = actor.now() - started
end

function Late:on_fired(msg)
  local late = self.late
  late[#late + 1] = actor.now() - msg.due
  if #late < self.count then return end
  table.sort(late)
  support.report("timers", "create", self.made / self.count * 1e6, "us")
  support.report("timers", "late_p50", late[#late // 2] * 1e3, "ms")
  support.report("timers", "late_p99", late[#late * 99 // 100] * 1e3, "ms")
  support.report("timers", "late_min", late[1] * 1e3, "ms")
  actor.stop_host(0)
end

return Late
