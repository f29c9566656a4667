-- chain: a message goes from actor to actor, and each does its part. For steps that
-- belong to different owners, and for passing on until somebody is responsible.
--
--   troupe run examples/patterns/chain.lua
--
-- A link of the chain, which knows the one behind it (config = { number, next = ref }):
--   Value  { value = integer }   adds ten, and passes it on
--
-- The chain is built from its end: so each link gets the ref of the next one when it is made. A
-- circle of actors that pass on needs a condition to stop; a chain has its end.
--
-- expect: link 1: 5 + 10 = 15
-- expect: link 2: 15 + 10 = 25
-- expect: link 3: 25 + 10 = 35
local Chain = {}

local LINKS = 3

function Chain:on_start()
  if self.config.number then return end
  local first
  for number = LINKS, 1, -1 do
    first = assert(actor.spawn("chain", { config = { number = number, next = first } }))
  end
  first:send("Value", { value = 5 })
end

function Chain:on_value(msg)
  local result = msg.value + 10
  print(("link %d: %d + 10 = %d"):format(self.config.number, msg.value, result))
  if self.config.next then
    self.config.next:send("Value", { value = result })
  else
    actor.stop_host()
  end
end

return Chain
