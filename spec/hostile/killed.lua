-- A supervisor that halts children which do not end by themselves: in an endless
-- loop, in a coroutine, behind pcall, in a wait, in __close, on a thread of its own.
-- Prints "CASE: how it ended", "CASE_seconds: after so many", "CASE_again: yes".
local children = require "troupe.children"

local Supervisor = {}
local CASES = { "loop", "coroutine", "pcall", "sleeps", "close", "thread" }

function Supervisor:on_start()
  self.began, self.left = {}, #CASES
  for _, case in ipairs(CASES) do
    children.start(assert(children.spawn("runaway", {
      name = case, thread = case == "thread" and "own" or "pool", config = { case = case }, slice = "1h" })))
  end
end

function Supervisor:on_child_started(msg)
  if msg.restarts == 0 then
    msg.who:send("Run", { to = actor.self })
    return
  end
  print(msg.name .. "_again: yes")
  self.left = self.left - 1
  if self.left == 0 then actor.stop_host(0) end
end

function Supervisor:on_running(msg, env)
  self.began[tostring(env.from)] = actor.now()
  children.halt(env.from, "300ms")
end

function Supervisor:on_child_halted(msg)
  print(("%s: %s"):format(msg.name, msg.reason))
  print(("%s_seconds: %.3f"):format(msg.name, actor.now() - self.began[msg.name]))
  children.start(msg.who)
end

return Supervisor
