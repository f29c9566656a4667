-- ending: what a host has to do with when it is to end. Arguments: how=NAME.
-- Prints `key: value` lines.
--
--   Count {}   counted; the sum is printed by on_shutdown
local Ending = {}

local how = actor.args[1] and actor.args[1]:match("^how=(.*)$")

-- Comes to the whole host, as from a terminal or a service manager.
local function signal_host(name)
  assert(os.execute("kill -" .. name .. " $PPID"))
end

local function forever()
  while true do end
end

local ways = {}

-- What does not end by itself.
function ways.loop() forever() end

function ways.pcall() while true do pcall(forever) end end

function ways.close()
  local a <close> = setmetatable({}, { __close = forever })
  local b <close> = setmetatable({}, { __close = forever })
  local c <close> = setmetatable({}, { __close = forever })
  forever()
end

function ways.coroutine() coroutine.wrap(forever)() end

function ways.sort() table.sort({ 2, 1 }, forever) end

function ways.c() os.execute("exec sleep 20 >/dev/null 2>&1") end

function Ending:on_start()
  if self.config.counts then
    self.count = 0
    return
  end
  local name, thread = how:match("^(%a+)_(%a+)$")
  if ways[name] then
    local bad = assert(actor.spawn("ending", { name = "bad", thread = thread, config = { counts = true } }))
    bad:send("Loop", { way = name })
    bad:send("Count")
    bad:send("Count")
    actor.sleep("50ms")
    actor.stop_host(0)
    return
  end
  self.counters = {}
  for i = 1, 3 do
    local each = assert(actor.spawn("ending", { name = "counter" .. i, config = { counts = true } }))
    for _ = 1, 1000 do each:send("Count") end
    self.counters[i] = each
  end
  if how == "second" then
    actor.self:send("Loop", { way = "loop" })
    assert(os.execute("(sleep 0.2; kill -TERM $PPID; sleep 0.2; kill -TERM $PPID) & exit 0"))
    return
  end
  signal_host(how)
end

function Ending:on_loop(msg) ways[msg.way]() end

function Ending:on_count()
  self.count = self.count + 1
end

function Ending:on_shutdown()
  if self.config.counts then print(actor.name .. ": " .. self.count) end
end

return Ending
