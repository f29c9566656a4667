-- remote_rtt: asks an actor in another process over loopback TCP; µs a round trip.
--   troupe run bench/remote_server.lua --name server --bind :PORT &
--   troupe run bench/remote_rtt.lua --bind :PORT2 -- ROUNDS server@:PORT
--
--   Pong { count = integer }   the answer to a Ping
local Client = {}

local support = dofile "bench/support.lua"

function Client:on_start()
  local rounds = tonumber(actor.args[1]) or 20000
  local server = actor.ref(actor.args[2] or "server@:5801")
  for i = 1, 500 do assert(server:ask("Ping", { count = i }, { timeout = "10s" })) end
  local started = actor.now()
  for i = 1, rounds do
    local reply = assert(server:ask("Ping", { count = i }))
    assert(reply.count == i)
  end
  support.report("remote_rtt", "rtt", (actor.now() - started) / rounds * 1e6, "us")
  server:send("Quit")
  actor.stop_host(0)
end

return Client
