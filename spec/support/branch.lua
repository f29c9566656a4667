-- For spec/escalation_spec.lua: has one child, a leaf, which fails as config.failure says.
function on_start(self)
  print("middle up")
  actor.spawn("leaf", { name = "leaf", failure = self.config.failure or "escalate" })
end

function on_shutdown() print("middle down") end
