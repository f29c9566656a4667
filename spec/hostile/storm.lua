-- Twenty thousand messages for an actor that fails at each, beside two that
-- ping. args: failure=..., and max=N restarts in a second. Prints what it costs.
local facts = {}
for _, argument in ipairs(actor.args) do
  local key, value = argument:match("^(%w+)=(.*)$")
  facts[key] = value
end

local function resident_mb()
  for line in io.lines("/proc/self/status") do
    local kb = line:match("^VmRSS:%s+(%d+)")
    if kb then return tonumber(kb) / 1024 end
  end
end

function on_start(self)
  local prober = assert(actor.spawn("storm_prober"))
  local victim = assert(actor.spawn("storm_victim", {
    name = "victim", failure = facts.failure,
    restart = facts.max and { max = tonumber(facts.max), within = "1s", backoff = "1ms" } or nil,
  }))
  actor.sleep("100ms")
  local before, refused = resident_mb(), 0
  for _ = 1, 20000 do
    if not victim:try_send("Poke") then
      refused = refused + 1
      if refused % 100 == 0 then actor.sleep("1ms") end
    end
  end
  actor.sleep(facts.failure == "restart" and not facts.max and "30s" or "100ms")
  local worst = assert(prober:ask("Worst"))
  print(("refused: %d"):format(refused))
  print(("growth_mb: %.1f"):format(resident_mb() - before))
  print(("worst_ping_s: %.3f"):format(worst.seconds))
  actor.stop_host(0)
end
