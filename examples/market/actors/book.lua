-- book: knows the last price of each symbol.
--
--   Tick  { symbol = string, price = number }   is the last price of it from now on
--   Last  { symbol = string }                   replies Quote { symbol, price, ticks }: how many
--                                               there have been; fails if there was none
--
-- Its mailbox drops what is old when it is full: of prices only the newest are worth anything.
local Tick = actor.message("Tick", { symbol = "string", price = "number" })
actor.message("Last", { symbol = "string" })
local Quote = actor.message("Quote", { symbol = "string", price = "number", ticks = "integer" })

local Book = {}

function Book:on_start()
  self.quotes = {}
end

function Book:on_tick(msg)
  local quote = self.quotes[msg.symbol]
  if not quote then
    quote = { symbol = msg.symbol, ticks = 0 }
    self.quotes[msg.symbol] = quote
    print(("%s opens at %.2f"):format(msg.symbol, msg.price))
  end
  quote.price = msg.price
  quote.ticks = quote.ticks + 1
end

function Book:on_last(msg, env)
  local quote = self.quotes[msg.symbol]
  if not quote then
    env:fail(("%s: no %s yet"):format(msg.symbol, tostring(Tick)))
    return
  end
  env:reply(Quote(quote))
end

return Book
