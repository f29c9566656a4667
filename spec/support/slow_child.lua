-- For spec/restart_spec.lua: takes its time to end.
--   config: n, a number that it says; takes, in seconds (1)
local Child = {}

function Child:on_start() print(("child %d starts"):format(self.config.n)) end

function Child:on_shutdown()
  print(("child %d stops"):format(self.config.n))
  actor.sleep(self.config.takes or 1)
  print(("child %d ended"):format(self.config.n))
end

return Child
