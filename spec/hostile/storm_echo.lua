-- For storm_prober.lua.
function on_ping(self, msg, env) env:reply("Pong") end
