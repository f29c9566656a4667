-- For spec/escalation_spec.lua: fails when it is told to, or with config.bad at once.
function on_start(self) if self.config.bad then error("bad from the start") end print("leaf up") end

function on_fail() error("leaf failed") end

function on_shutdown() print("leaf down") end
