-- For spec/worker_pool_spec.lua: works, fails, waits and ends as it is told.
local Pooled = { mailbox = { limit = 3 } }

function Pooled:on_start(msg)
  if self.config.broken then error("cannot start") end
  self.restarts = msg.restarts
end

function Pooled:on_who(_, env) env:reply("Me", { name = actor.name, restarts = self.restarts }) end

function Pooled:on_work(msg, env)
  if msg.takes then actor.sleep(msg.takes) end
  print(("%s works at %s"):format(actor.name, tostring(msg.n)))
  if env.asked then env:reply("Done", { by = actor.name, from = env.from }) end
end

function Pooled:on_fail(msg)
  if msg.takes then actor.sleep(msg.takes) end
  error("as asked")
end
function Pooled:on_quit() actor.exit() end
function Pooled:on_shutdown() if self.config.says_bye then print(actor.name .. " ends") end end

return Pooled
