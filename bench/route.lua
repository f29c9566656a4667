-- route: what passing a group's router adds: nanoseconds a message from one sender to four
-- instances, by route; beside each the same messages sent to the instances themselves,
-- in turn. For broadcast they are those that leave the sender, each handled four times.
--   troupe run bench/route.lua -- [MESSAGES]
local Boss = {}

local support = dofile "bench/support.lua"

local INSTANCES = 4
local KEYS = {}
for i = 1, 64 do KEYS[i] = "key" .. i end
local WINDOW = 10000 -- messages on their way at most

local SINK = [[
  return { on_item = function() end, on_sync = function(self, msg, env) env:reply("Synced") end }
]]

-- Until all that was sent has been handled.
local function settle(router, sinks)
  if router then assert(router:ask("RouterTargets", nil, { timeout = "60s" })) end
  for _, sink in ipairs(sinks) do assert(sink:ask("Sync", nil, { timeout = "60s" })) end
end

local function nanoseconds(count, sinks, router)
  settle(router, sinks)
  local before = actor.now()
  for i = 1, count do
    assert((router or sinks[i % INSTANCES + 1]):send("Item", { n = i, key = KEYS[i % #KEYS + 1] }))
    if i % WINDOW == 0 then settle(router, sinks) end
  end
  settle(router, sinks)
  return (actor.now() - before) / count * 1e9
end

function Boss:on_start()
  local count = math.tointeger(actor.args[1]) or 300000
  local sinks = {}
  for i = 1, INSTANCES do sinks[i] = support.spawn("sink", SINK) end
  local direct = nanoseconds(count, sinks)
  for _, route in ipairs { "round", "hash:key", "least", "broadcast" } do
    local router = assert(actor.spawn("actors/router.lua", { config = { targets = sinks, route = route } }))
    support.report("route", route:match "^%l+", nanoseconds(count, sinks, router), "ns", direct)
    router:stop()
  end
  actor.stop_host(0)
end

return Boss
