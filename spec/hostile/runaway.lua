-- For killed.lua: does not end by itself, in the way that config.case says.
local Runaway = {}

local function forever() while true do end end

local ways = {
  loop = forever,
  thread = forever,
  coroutine = function() coroutine.wrap(forever)() end,
  pcall = function() while true do pcall(forever) end end,
  sleeps = function() while true do pcall(actor.sleep, 3600) end end,
  close = function() local it <close> = setmetatable({}, { __close = forever }) end,
}

function Runaway:on_run(msg)
  msg.to:send("Running")
  ways[self.config.case]()
end

function Runaway:on_shutdown() if self.config.case == "sleeps" then actor.sleep(3600) end end

return Runaway
