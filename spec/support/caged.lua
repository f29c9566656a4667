-- For spec/sandbox_spec.lua: would take its parent along, as its child does with it.
return {
  failure = "escalate",
  on_start = function() actor.spawn("leaf", { name = "leaf", failure = "escalate" }) end,
  on_fail = function() actor.ref("leaf"):send("Fail") end,
}
