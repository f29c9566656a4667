-- For spec/children_spec.lua: fails, ends, waits and sleeps as it is told.
local Child = {}

function Child:on_start(msg)
  print(("child starts %d with %d"):format(msg.restarts, self.config.n))
  if actor.ref("saboteur"):try_send("Look") then error("cannot start") end
end

function Child:on_ping() print("ping") end
function Child:on_fail() error("as asked") end
function Child:on_keep(msg, env) self.kept = env env:defer() end
function Child:on_exit(msg) actor.exit(msg.reason) end
function Child:on_sleep() self.sleeps = true actor.sleep("1h") end
function Child:on_stubborn() self.sleeps = true while true do pcall(actor.receive, "Nothing", { timeout = "1h" }) end end

function Child:on_shutdown()
  print("child stops")
  if self.sleeps then actor.sleep("1h") end
end

return Child
