-- pong: answers pings from another process; see ping.lua. Runs until Ctrl-C.
--
--   troupe run examples/remote_ping_pong/pong.lua --bind :5001
--   troupe run examples/remote_ping_pong/pong.lua --bind :6001 -- :6001    elsewhere
--
--   Ping  { count = integer }   replies Pong with the same count
--
-- The peer may as well be the Python, C++ or Rust one of the family.
--
-- expect: Pong ready on port 5001...
-- expect: Received ping 1
-- expect: Received ping 2
-- expect: Received ping 3
-- expect: Received ping 4
-- expect: Received ping 5
local Pong = {}

function Pong:on_start()
  local endpoint = actor.args[1] or ":5001"
  print("Pong ready on port " .. endpoint:match("%d+$") .. "...")
end

function Pong:on_ping(msg, env)
  print("Received ping " .. msg.count)
  env:reply("Pong", { count = msg.count })
end

return Pong
