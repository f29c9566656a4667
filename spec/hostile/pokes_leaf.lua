-- For spec/failures_spec.lua: has the leaf of spec/support/branch.lua escalate.
function on_start()
  actor.after("20ms", "Poke")
end

function on_poke()
  if not actor.ref("leaf"):try_send("Fail") then actor.after("20ms", "Poke") end
end
