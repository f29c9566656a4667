-- For storm.lua: fails at whatever it is told.
function on_poke() error("poked") end
