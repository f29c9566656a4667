-- big: SIZE actors, and every one talks to all: each sends a ping to one picked at
-- random (it may be itself), waits for its pong, and goes on, COUNT times; ns a message.
--   troupe run bench/big.lua -- [COUNT] [SIZE]
--
--   Go { all = ref[] }           whom to talk to: begin
--   Ping { count = integer }     replies Pong { count = integer };  Done {} at the last
local Boss = {}

local support = dofile "bench/support.lua"

local MEMBER = [[
  local random = math.random

  local function ping(self)
    local all = self.all
    all[random(#all)]:send("Ping", { count = self.left })
  end

  return {
    on_go = function(self, msg)
      self.all, self.left = msg.all, self.config.count
      ping(self)
    end,
    on_ping = function(self, msg, env) env:reply("Pong", { count = msg.count }) end,
    on_pong = function(self)
      self.left = self.left - 1
      if self.left > 0 then ping(self) else self.config.boss:send("Done") end
    end,
  }
]]

function Boss:on_start()
  self.count = tonumber(actor.args[1]) or 20000
  self.size = tonumber(actor.args[2]) or 64
  self.left = self.size
  local all = {}
  for i = 1, self.size do
    all[i] = support.spawn("member", MEMBER, { count = self.count, boss = actor.self })
  end
  self.started = actor.now()
  for i = 1, self.size do all[i]:send("Go", { all = all }) end
end

function Boss:on_done()
  self.left = self.left - 1
  if self.left > 0 then return end
  support.report("big", "msg_cost", (actor.now() - self.started) / (2 * self.size * self.count) * 1e9, "ns")
  actor.stop_host(0)
end

return Boss
