-- For spec/node_spec.lua and spec/node_process_spec.lua: an actor of a node. Says what
-- happens to it, and does what its config or a message says.
local Noded = { mailbox = { limit = 4 } }

function Noded:on_start(msg)
  local config = self.config
  if config.sleeps then actor.sleep(config.sleeps) end
  if config.awaits then
    print(actor.name .. " awaits " .. config.awaits)
    assert(actor.receive(config.awaits, { timeout = "1h" }))
  end
  if config.looks_for then assert(actor.lookup(config.looks_for, { wait = "1s" })) end
  if config.asks then assert(config.asks:ask("Ping")) end
  if config.fails then error(config.fails, 0) end
  print(actor.name .. " starts" .. (msg.restarts > 0 and " again" or ""))
  if config.leaves then actor.exit(config.leaves) end
end

function Noded:on_ping(msg, env)
  if msg.takes then actor.sleep(msg.takes) end
  env:reply("Pong", { by = actor.name, n = msg.n, to = self.config.to and tostring(self.config.to),
                      same = env.from ~= nil and env.from == self.config.to })
end

function Noded:on_note(msg)
  if msg.takes then actor.sleep(msg.takes) end
  print(actor.name .. " notes " .. tostring(msg.n))
end

function Noded:on_call(msg, env)
  local answer, why = self.config.to:ask("Ping", { n = msg.n })
  if not answer then return env:fail(tostring(why)) end
  env:reply("Called", answer)
end

function Noded:on_config(msg) print(("%s gets limit %s, to %s"):format(actor.name, tostring(msg.limit), tostring(msg.to))) end

function Noded:on_fail() error("as asked", 0) end

function Noded:on_leave(msg) actor.exit(msg.reason) end

function Noded:on_shutdown()
  if self.config.lingers then actor.sleep(self.config.lingers) end
  print(actor.name .. " stops")
end

return Noded
