-- remote_oneway: sends to an actor in another process over loopback TCP; messages a second.
--   troupe run bench/remote_server.lua --name server --bind :PORT &
--   troupe run bench/remote_oneway.lua --bind :PORT2 -- COUNT server@:PORT
--
--   Tick { count = integer }   what is sent, COUNT times
--   Done { seconds = number }  from the server when it has all: between the first and the last
local Source = {}

local support = dofile "bench/support.lua"

function Source:on_start()
  self.count = tonumber(actor.args[1]) or 1000000
  self.server = actor.ref(actor.args[2] or "server@:5801")
  assert(self.server:ask("Expect", { count = self.count, boss = actor.self }, { timeout = "10s" }))
  local server, patience = self.server, { timeout = "10s" }
  for i = 1, self.count do
    -- The queue to another host is bounded: only with a time-out send waits for room.
    if not server:send("Tick", { count = i }) then
      assert(server:send("Tick", { count = i }, patience))
    end
  end
end

function Source:on_done(msg)
  support.report("remote_oneway", "rate", (self.count - 1) / msg.seconds, "msg/s")
  self.server:send("Quit")
  actor.stop_host(0)
end

return Source
