-- ping_pong: two actors of this one script, and a ball that goes over the net
-- five times. Start here.
--
--   troupe run examples/ping_pong.lua
--
--   Ping  { count = integer }   replies Pong with the same count
--   Pong  { count = integer }   replies Ping with the next, or stops the host after the last
--
-- expect: Received ping 1
-- expect: Received pong 1
-- expect: Received ping 2
-- expect: Received pong 2
-- expect: Received ping 3
-- expect: Received pong 3
-- expect: Received ping 4
-- expect: Received pong 4
-- expect: Received ping 5
-- expect: Received pong 5
local PingPong = {}

local LAST = 5

function PingPong:on_start()
  if self.config.waits then
    return -- for the first Ping
  end
  local pong = assert(actor.spawn("ping_pong", { name = "pong", config = { waits = true } }))
  pong:send("Ping", { count = 1 })
end

function PingPong:on_ping(msg, env)
  print("Received ping " .. msg.count)
  env:reply("Pong", { count = msg.count })
end

function PingPong:on_pong(msg, env)
  print("Received pong " .. msg.count)
  if msg.count == LAST then
    actor.stop_host()
  else
    env:reply("Ping", { count = msg.count + 1 })
  end
end

return PingPong
