-- For supervised_tree.lua.
function on_start() end
function on_shutdown() print("-" .. actor.name) end
