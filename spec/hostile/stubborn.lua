-- For supervised_stubborn.lua: does not end when it is told to.
local Stubborn = {}

function Stubborn:on_begin()
  if self.config.how == "loops" then
    while true do pcall(function() while true do end end) end
  elseif self.config.how == "waits" then
    while true do pcall(actor.receive, "Nothing", { timeout = "1h" }) end
  end
end

function Stubborn:on_shutdown()
  while true do end
end

return Stubborn
