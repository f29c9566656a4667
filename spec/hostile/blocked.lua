-- blocked: as many actors as there are workers sit in C, and others go on.
-- Arguments: how many sit. Prints `key: value` lines.
--
--   Sit {}   blocks its thread for two seconds
local Blocked = { thread = "own" } -- of the one that asks

function Blocked:on_start()
  if self.config.sits then return end
  local prober = assert(actor.spawn("prober", { name = "prober", thread = "pool" }))
  local sitting = {}
  for i = 1, tonumber(actor.args[1]) do
    local each = assert(actor.spawn("blocked", { thread = "pool", slice = "500ms", config = { sits = true } }))
    sitting[i] = each:start_ask("Sit")
  end
  actor.sleep("50ms")
  local before = assert(prober:ask("Report"))
  actor.sleep("1s")
  local after = assert(prober:ask("Report"))
  print("probes: " .. after.count - before.count)
  print("failed_probes: " .. after.failed)
  print("sat: " .. tostring(actor.all(sitting) ~= nil))

  local again = assert(prober:ask("Report")) -- the spare workers rest; nothing is lost
  actor.sleep("300ms")
  print("probes_after: " .. assert(prober:ask("Report")).count - again.count)
  actor.stop_host(0)
end

function Blocked:on_sit(_, env)
  os.execute("sleep 2")
  env:reply("Sat")
end

return Blocked
