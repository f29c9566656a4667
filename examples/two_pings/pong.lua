-- pong: one pong for as many pings as there are; see ping.lua. Runs until Ctrl-C.
--
--   troupe run examples/two_pings/pong.lua --bind :5001
--
--   Ping  { count = integer, source = string }   replies Pong with the same
--
-- It keeps no list of who plays with it: a message says where it came from, so
-- `env:reply` goes to that ping, in that process.
--
-- expect: Received ping 1 from ping
-- expect: Received ping 2 from ping
-- expect: Received ping 3 from ping
local Pong = {}

function Pong:on_ping(msg, env)
  print("Received ping " .. msg.count .. " from " .. msg.source)
  env:reply("Pong", { count = msg.count, source = msg.source })
end

return Pong
