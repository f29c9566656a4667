-- loader: spawns what cannot be loaded, and prints why not; others go on.
--   troupe run spec/hostile/loader.lua -- PATH
local Loader = {}

function Loader:on_start()
  local prober = assert(actor.spawn("prober", { name = "prober" }))
  local began = actor.now()
  local child, why = actor.spawn(actor.args[1])
  print("child: " .. tostring(child))
  print("why: " .. tostring(why):gsub("\n", " "))
  print("seconds: " .. actor.now() - began)
  local probes = assert(prober:ask("Report"))
  print("probes: " .. probes.count)
  print("failed_probes: " .. probes.failed)
  actor.stop_host(0)
end

return Loader
