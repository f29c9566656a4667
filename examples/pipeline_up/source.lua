-- source: offers the numbers 1 to config.count, until each has been confirmed by the sink.
--
--   Stored  { number = integer }   the sink has it for good: the next one may go
--   Look    {}                     sent by its own timer: what has waited too long goes again
--   Finish  {}                     sent by itself, when all is stored: ends the others, then itself
--
-- It sends Item { number } to config.group, of which config.window may be under way; then End
-- to config.workers and config.sink, which reply Ended.
local Item = actor.message("Item", { number = "integer" })
actor.message("Stored", { number = "integer" })

local PATIENCE = 1    -- seconds, until an item counts as lost
local END_TRIES = 20  -- of a second each: as long as one that was killed may need to be there again

local Source = {}

-- Never waits. An item that nobody takes now goes again as one that was lost.
local function offer(self, number)
  self.under_way[number] = actor.now()
  self.config.group:try_send(Item{ number = number })
end

local function fill(self)
  while self.room > 0 and self.next <= self.count do
    self.room = self.room - 1
    offer(self, self.next)
    self.next = self.next + 1
  end
  if self.next > self.count and not next(self.under_way) and not self.finished then
    self.finished = true
    actor.self:send("Finish")
  end
end

function Source:on_start()
  self.count = math.tointeger(tonumber(self.config.count)) -- a topology has it from the environment, as a text
  assert(self.count, "config.count is no integer")
  self.next = 1          -- the first that was never sent
  self.under_way = {}    -- [number] = when it was sent last
  self.room = self.config.window
  self.again = 0
  fill(self)
  actor.every("200ms", "Look")
end

function Source:on_look()
  local now = actor.now()
  for number, sent in pairs(self.under_way) do
    if now - sent > PATIENCE then
      offer(self, number)
      self.again = self.again + 1
    end
  end
end

function Source:on_stored(msg)
  if self.under_way[msg.number] then
    self.under_way[msg.number] = nil
    self.room = self.room + 1
    fill(self)
  end
end

local function end_all(refs)
  for _ = 1, END_TRIES do
    local questions = {}
    for who, ref in pairs(refs) do questions[who] = ref:start_ask("End") end
    local all, _, some = actor.all(questions, { timeout = "1s" })
    for who in pairs(all or some) do refs[who] = nil end
    if not next(refs) then return end
  end
  local _, ref = next(refs)
  log.warn(tostring(ref) .. " does not say that it has ended")
end

function Source:on_finish()
  print(("%d items are stored, %d were sent again"):format(self.count, self.again))
  end_all(self.config.workers)
  end_all { self.config.sink }
  actor.exit()
end

return Source
