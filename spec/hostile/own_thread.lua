-- For spec/failures_spec.lua: says at each start on which thread it runs.
local Own = { thread = "own", failure = "restart", restart = { backoff = "1ms" } }

function Own:on_start(msg)
  local stat <close> = assert(io.open("/proc/thread-self/stat"))
  print(stat:read("n"))
  if msg.restarts == 3 then actor.exit() end
  actor.self:send("Fail")
end

function Own:on_fail() error("again") end

return Own
