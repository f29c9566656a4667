-- spawn: COUNT actors are made, each loads its script and runs on_start; then
-- all are stopped. µs each, and resident bytes of an idle one.
--   troupe run bench/spawn.lua -- [COUNT]
--
--   Get {}   replies Got { count = integer }
local Boss = {}

local support = dofile "bench/support.lua"

local IDLE = [[
  return {
    on_start = function(self) self.count = self.config.start end,
    on_tick = function(self, msg) self.count = self.count + msg.count end,
    on_get = function(self, msg, env) env:reply("Got", { count = self.count }) end,
  }
]]

local function spawn_all(count)
  local refs = {}
  local config = { start = 1 }
  for i = 1, count do refs[i] = support.spawn("idle", IDLE, config) end
  assert(refs[count]:ask("Get").count == 1)
  return refs
end

local function stop_all(refs)
  for _, ref in ipairs(refs) do ref:stop() end
  local last = refs[#refs]
  repeat
    local reply = last:ask("Get")
  until reply == nil
end

function Boss:on_start()
  local count = tonumber(actor.args[1]) or 10000
  support.spawn("idle", IDLE, { start = 1 }):stop()
  local before = support.resident()
  local started = actor.now()
  local refs = spawn_all(count)
  local spawned = actor.now() - started
  for _, ref in ipairs(refs) do ref:ask("Get") end
  local resident = (support.resident() - before) / count
  started = actor.now()
  stop_all(refs)
  local killed = actor.now() - started
  started = actor.now()
  spawn_all(count)
  local warm = actor.now() - started
  support.report("spawn", "create", spawned / count * 1e6, "us")
  support.report("spawn", "create_warm", warm / count * 1e6, "us")
  support.report("spawn", "resident", resident, "B")
  support.report("kill", "stop", killed / count * 1e6, "us")
  actor.stop_host(0)
end

return Boss
