-- limits: says whether an order may be placed. What is held of a symbol, and what is ordered,
-- may together not be worth more than config.most.
--
--   Check   { symbol = string, count = integer }   asks config.pricer for the price; replies
--              Accepted { symbol, held, worth }: it counts as placed, or
--              Refused { symbol, worth, most };
--              fails if there is no price
--   Config  { most, pricer }                        the topology has changed while it is up
--
-- It sends PriceReq { symbol } to the pricer, which replies Price { symbol, price }.
--
-- Several of them share the symbols out (hash:symbol): what is held of one symbol is known to
-- one of them. It is known as long as that one lives: when its handler fails, or its process
-- dies, it begins with nothing held. Who must not forget writes down what was placed.
local PriceReq = actor.message("PriceReq", { symbol = "string" })
actor.message("Price", { symbol = "string", price = "number" })
actor.message("Check", { symbol = "string", count = "integer" })
local Accepted = actor.message("Accepted", { symbol = "string", held = "integer", worth = "number" })
local Refused = actor.message("Refused", { symbol = "string", worth = "number", most = "number" })

local PATIENCE = "3s" -- for a price; who asks for a check waits 5 s

local Limits = {}

function Limits:on_start()
  self.pricer, self.most = self.config.pricer, self.config.most
  self.held = {}
end

function Limits:on_config(msg)
  self.pricer, self.most = msg.pricer, msg.most
end

function Limits:on_check(msg, env)
  local answer, why = self.pricer:ask(PriceReq{ symbol = msg.symbol }, { timeout = PATIENCE })
  if not answer then
    env:fail(("no price for %s: %s"):format(msg.symbol, why))
    return
  end
  local held = (self.held[msg.symbol] or 0) + msg.count
  local worth = math.abs(held) * answer.price
  if worth > self.most then
    env:reply(Refused{ symbol = msg.symbol, worth = worth, most = self.most })
    return
  end
  self.held[msg.symbol] = held
  print(("%s: %d held"):format(msg.symbol, held))
  env:reply(Accepted{ symbol = msg.symbol, held = held, worth = worth })
end

return Limits
