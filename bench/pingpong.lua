-- pingpong: PAIRS pairs of actors, ROUNDS round trips each; ns a message.
--   troupe run bench/pingpong.lua -- [ROUNDS] [PAIRS]
--
--   Go   {}                    a ping: begin
--   Ping { count = integer }   to pong;  Pong the same, back
--   Done {}                    to this script: one pair has finished
local Boss = {}

local PONG = [[
  return { on_ping = function(self, msg, env) env.from:send("Pong", { count = msg.count }) end }
]]

local PING = [[
  return {
    on_start = function(self) self.peer, self.boss = self.config.peer, self.config.boss end,
    on_go = function(self) self.peer:send("Ping", { count = self.config.rounds }) end,
    on_pong = function(self, msg)
      if msg.count > 1 then self.peer:send("Ping", { count = msg.count - 1 }) else self.boss:send("Done") end
    end,
  }
]]

local support = dofile "bench/support.lua"

function Boss:on_start()
  self.rounds = tonumber(actor.args[1]) or 500000
  self.pairs = tonumber(actor.args[2]) or 1
  self.left = self.pairs
  local pings = {}
  for i = 1, self.pairs do
    local pong = support.spawn("pong", PONG)
    pings[i] = support.spawn("ping", PING, { peer = pong, boss = actor.self, rounds = self.rounds })
  end
  self.started = actor.now()
  for _, ping in ipairs(pings) do ping:send("Go") end
end

function Boss:on_done()
  self.left = self.left - 1
  if self.left > 0 then return end
  local seconds = actor.now() - self.started
  support.report("pingpong" .. (self.pairs > 1 and self.pairs or ""), "msg_cost",
    seconds / (2 * self.rounds * self.pairs) * 1e9, "ns")
  actor.stop_host(0)
end

return Boss
