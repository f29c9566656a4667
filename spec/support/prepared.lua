-- For spec/children_spec.lua: says whom it knows; waits for that one or fails if told so.
local Prepared = {}

function Prepared:on_start()
  local kin = self.config.kin
  if self.config.asks then assert(kin:ask("Hello")) end
  if self.config.fails then error("as told") end
  print(actor.name .. " has " .. tostring(kin))
end

function Prepared:on_hello(_, env)
  print("hello " .. tostring(env.from))
  if env.asked then env:reply("Hello") end
end

function Prepared:on_fail() error("as asked") end

return Prepared
