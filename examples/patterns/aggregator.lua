-- aggregator: many actors send their part of a result to one, which puts it together.
-- For work that was split (the other half of a worker pool), and for collecting readings.
--
--   troupe run examples/patterns/aggregator.lua
--
-- The aggregator, which is told how many parts there will be (config = { parts = 4 }):
--   Part   { worker = integer, value = integer }   keeps it
--   Total  {}   replies Total { parts = {integer, ...}, sum = integer } when all parts are there
-- A worker:
--   Work   { worker = integer, to = ref }   computes, and sends a Part to the aggregator
--
-- Parts come in any order; each says whose it is. Who asks for the total too early is not
-- refused: the question is kept (env:defer), and answered with the last part.
--
-- expect: worker 1 computed 10
-- expect: worker 2 computed 20
-- expect: worker 3 computed 30
-- expect: worker 4 computed 40
-- expect: the sum is 100
local Aggregator = {}

local WORKERS = 4

function Aggregator:on_start()
  self.parts, self.missing = {}, self.config.parts
  if self.config.parts or self.config.works then return end

  local aggregator = assert(actor.spawn("aggregator", { config = { parts = WORKERS } }))
  for i = 1, WORKERS do
    local worker = assert(actor.spawn("aggregator", { config = { works = true } }))
    worker:send("Work", { worker = i, to = aggregator })
  end

  local total = assert(aggregator:ask("Total"))
  for i, value in ipairs(total.parts) do
    print(("worker %d computed %d"):format(i, value))
  end
  print("the sum is " .. total.sum)
  actor.stop_host()
end

local function answer(self)
  local sum = 0
  for _, value in ipairs(self.parts) do
    sum = sum + value
  end
  self.asker:reply("Total", { parts = self.parts, sum = sum })
end

function Aggregator:on_part(msg)
  self.parts[msg.worker] = msg.value
  self.missing = self.missing - 1
  if self.missing == 0 and self.asker then answer(self) end
end

function Aggregator:on_total(_, env)
  self.asker = env:defer()
  if self.missing == 0 then answer(self) end
end

function Aggregator:on_work(msg)
  msg.to:send("Part", { worker = msg.worker, value = 10 * msg.worker })
end

return Aggregator
