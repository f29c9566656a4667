-- For supervised_stillborn.lua.
function on_start() error("no disk") end
