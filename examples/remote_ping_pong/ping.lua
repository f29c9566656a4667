-- ping: five pings to a pong in another process. In two terminals, pong first:
--
--   troupe run examples/remote_ping_pong/pong.lua --bind :5001
--   troupe run examples/remote_ping_pong/ping.lua --bind :5002
--
-- A pong that is elsewhere is named behind `--`:
--
--   troupe run examples/remote_ping_pong/ping.lua --bind :5002 -- tcp://10.0.0.7:5001
--
--   Pong    { count = integer }    sends the next Ping, or stops the host after the last
--   Reject  { reason = string }    there is no pong there: says so and ends with exit code 1
--
-- expect: Ping starting...
-- expect: Starting ping-pong
-- expect: Received pong 1
-- expect: Received pong 2
-- expect: Received pong 3
-- expect: Received pong 4
-- expect: Received pong 5
-- expect: Done!
local Ping = {}

local LAST = 5

function Ping:on_start()
  print("Ping starting...")
  self.pong = actor.ref("pong@" .. (actor.args[1] or "tcp://localhost:5001"))
  print("Starting ping-pong")
  assert(self.pong:send("Ping", { count = 1 }))
end

function Ping:on_pong(msg)
  print("Received pong " .. msg.count)
  if msg.count == LAST then
    print("Done!")
    actor.stop_host()
  else
    assert(self.pong:send("Ping", { count = msg.count + 1 }))
  end
end

function Ping:on_reject(msg)
  print("Rejected: " .. msg.reason)
  actor.stop_host(1)
end

return Ping
