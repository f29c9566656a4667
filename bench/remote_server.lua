-- remote_server: the other end of bench/remote_rtt.lua.
--   Ping { count = integer }   replies Pong { count = integer }
--   Quit {}                    ends this host
return {
  on_ping = function(self, msg, env) env:reply("Pong", { count = msg.count }) end,
  on_quit = function() actor.stop_host(0) end,
}
