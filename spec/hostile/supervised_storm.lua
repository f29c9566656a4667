-- Twenty thousand messages for a supervised actor that fails at each, beside two
-- that ping. Prints what it costs.
local function resident_mb()
  for line in io.lines("/proc/self/status") do
    local kb = line:match("^VmRSS:%s+(%d+)")
    if kb then return tonumber(kb) / 1024 end
  end
end

function on_start()
  local prober = assert(actor.spawn("storm_prober"))
  assert(actor.supervise { restart = { max = 1000, within = "1s", backoff = "1ms" },
                           children = { { script = "storm_victim", name = "victim" } } })
  local victim = actor.ref("victim")
  actor.sleep("100ms")
  local before, refused = resident_mb(), 0
  for _ = 1, 20000 do
    if not victim:try_send("Poke") then
      refused = refused + 1
      if refused % 100 == 0 then actor.sleep("1ms") end
    end
  end
  actor.sleep("100ms")
  local worst = assert(prober:ask("Worst"))
  print(("refused: %d"):format(refused))
  print(("growth_mb: %.1f"):format(resident_mb() - before))
  print(("worst_ping_s: %.3f"):format(worst.seconds))
  actor.stop_host(0)
end
