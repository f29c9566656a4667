-- feed: makes prices up, one for each symbol in turn, and the same ones whenever it begins.
--
--   Beat  {}    sent by its own timer: makes the next price
--
-- It sends Tick { symbol, price } to config.to: by default every 100 ms for ever, else every
-- config.every, and config.ticks of them; then it ends.
local Tick = actor.message("Tick", { symbol = "string", price = "number" })

local OPENING = { { symbol = "ACME", cents = 10000 }, { symbol = "IBEX", cents = 2500 }, { symbol = "ZETA", cents = 400 } }

local Feed = {}

function Feed:on_start()
  self.made = 0
  self.noise = 1
  self.cents = {}
  actor.every(self.config.every or "100ms", "Beat")
end

-- -2 to 2, in an order that repeats after 65,536 of them.
local function step(self)
  self.noise = (self.noise * 75 + 74) % 65537
  return self.noise % 5 - 2
end

function Feed:on_beat()
  local next_one = OPENING[self.made % #OPENING + 1]
  local cents = self.cents[next_one.symbol]
  cents = cents and math.max(1, cents + step(self)) or next_one.cents
  self.cents[next_one.symbol] = cents
  self.made = self.made + 1
  self.config.to:send(Tick{ symbol = next_one.symbol, price = cents / 100 })
  if self.made == self.config.ticks then actor.exit() end
end

return Feed
