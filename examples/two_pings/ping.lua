-- ping: one of two pings, each a process of its own, that share a pong. In
-- three terminals, in any order (who comes first waits):
--
--   troupe run examples/two_pings/pong.lua --bind :5001
--   troupe run examples/two_pings/ping.lua --bind :5002
--   troupe run examples/two_pings/ping.lua --bind :5003 --name ping2
--
-- Each listens on a port of its own, and each gets the pongs for its own pings:
-- an actor is known by its name *and* its endpoint, so both might even be called
-- `ping`. A pong that is elsewhere is named behind `--`, as in `-- tcp://10.0.0.7:5001`;
-- it, or any of the pings, may as well be a Python, C++ or Rust one of the family.
--
--   Pong    { count = integer, source = string }   sends the next Ping, or stops the host
--   Reject  { reason = string }                    there is no pong there
--
-- expect: ping: Starting ping-pong with the pong elsewhere
-- expect: ping: Received pong 1
-- expect: ping: Received pong 2
-- expect: ping: Received pong 3
-- expect: ping: Done!
local Ping = {}

local LAST = 3

local function say(text)
  print(actor.name .. ": " .. text)
end

local function send_next(self)
  self.count = self.count + 1
  assert(self.pong:send("Ping", { count = self.count, source = actor.name }))
end

function Ping:on_start()
  self.count = 0
  self.pong = actor.ref("pong@" .. (actor.args[1] or "tcp://localhost:5001"))
  say("Starting ping-pong with the pong elsewhere")
  send_next(self)
end

function Ping:on_pong(msg)
  assert(msg.count == self.count and msg.source == actor.name, "this is a pong for somebody else")
  say("Received pong " .. msg.count)
  if msg.count < LAST then
    send_next(self)
  else
    say("Done!")
    actor.stop_host()
  end
end

function Ping:on_reject(msg)
  say("Rejected: " .. msg.reason)
  actor.stop_host(1)
end

return Ping
