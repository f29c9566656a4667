-- For spec/restart_races_spec.lua: works, waits, fails and takes its time to end.
local Child = {}

function Child:on_start()
  if math.random() < 0.1 then error("no start") end
  if math.random() < 0.2 then actor.sleep("3ms") end
end

function Child:on_work(msg, env)
  print(("work %s %d"):format(msg.from, msg.n))
  local roll = math.random()
  if roll < 0.1 then error("work") end
  if roll < 0.2 then actor.sleep("20ms") end
  if roll < 0.25 then actor.exit() end
  env:reply("Done", { n = msg.n })
end

function Child:on_shutdown() if math.random() < 0.3 then actor.sleep("1s") end end

return Child
