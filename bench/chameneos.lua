-- chameneos: SIZE creatures of three colours meet two by two in a mall, MEETINGS times
-- in all; after each both have the colour that the two colours make. ns a meeting.
--   troupe run bench/chameneos.lua -- [MEETINGS] [SIZE]
--
--   Meet { color = integer }     a creature comes to the mall
--   Met { color = integer }      whom it has met;  Closed {} when the mall is
--   Count { met = integer }      how many a creature has met
local Mall = {}

local support = dofile "bench/support.lua"

-- Colours are 0, 1, 2: two different ones make the third, two alike stay as they are.
local CREATURE = [[
  return {
    on_start = function(self)
      self.color, self.met = self.config.color, 0
      self.config.mall:send("Meet", { color = self.color })
    end,
    on_met = function(self, msg)
      self.met = self.met + 1
      if msg.color ~= self.color then self.color = 3 - self.color - msg.color end
      self.config.mall:send("Meet", { color = self.color })
    end,
    on_closed = function(self) self.config.mall:send("Count", { met = self.met }) end,
  }
]]

function Mall:on_start()
  self.meetings = tonumber(actor.args[1]) or 500000
  self.left = self.meetings
  self.size = tonumber(actor.args[2]) or 100
  self.counted, self.met = 0, 0
  self.started = actor.now()
  for i = 1, self.size do
    support.spawn("creature", CREATURE, { mall = actor.self, color = i % 3 })
  end
end

function Mall:on_meet(msg, env)
  if self.left == 0 then
    env.from:send("Closed")
  elseif not self.first then
    self.first, self.first_color = env.from, msg.color
  else
    env.from:send("Met", { color = self.first_color })
    self.first:send("Met", { color = msg.color })
    self.first = nil
    self.left = self.left - 1
  end
end

function Mall:on_count(msg)
  self.counted, self.met = self.counted + 1, self.met + msg.met
  if self.counted < self.size then return end
  assert(self.met == 2 * self.meetings)
  support.report("chameneos", "meeting", (actor.now() - self.started) / self.meetings * 1e9, "ns")
  actor.stop_host(0)
end

return Mall
