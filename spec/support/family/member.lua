-- For head.lua.
function on_start() print("+" .. actor.name) end
