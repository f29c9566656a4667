-- For spec/supervisor_spec.lua: says when it starts and ends, and ends, fails or
-- dawdles as it is told, by a message or by its config.
--   config: { fails = how often on_start fails, slow_start, slow_stop = seconds, exits = in on_start }
local Child = {}

-- How often the children of this name have failed in on_start is kept by an actor.
local function count(name)
  return actor.ref("counter"):ask("Count", { name = name }).n
end

function Child:on_start(msg)
  local config = self.config
  if config.slow_start then actor.sleep(config.slow_start) end
  if config.fails and count(actor.name) <= config.fails then error(actor.name .. " cannot start") end
  if config.exits then actor.exit() end
  self.restarts = msg.restarts
  print("+" .. actor.name)
end

function Child:on_get(_, env) env:reply("Got", { restarts = self.restarts }) end
function Child:on_fail() error(actor.name .. " failed") end
function Child:on_exit(msg) actor.exit(msg.reason) end
function Child:on_stop() actor.self:stop() end
function Child:on_spin() while true do end end
function Child:on_hog() local kept = {} while true do kept[#kept + 1] = { 1, 2, 3 } end end

function Child:on_shutdown()
  print("-" .. actor.name)
  if self.config.slow_stop then actor.sleep(self.config.slow_stop) end
end

return Child
