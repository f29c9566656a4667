-- point_to_point: one actor tells another something, and does not wait for it to be
-- handled. For events and commands whose sender needs no answer.
--
--   troupe run examples/patterns/point_to_point.lua
--
-- The receiver:
--   Number  { n = integer }   keeps it
--   Last    {}                replies Number: what it was told last
--
-- `send` returns when the message is in the mailbox. Messages from one actor to another
-- stay in order: the question Last finds the number there.
--
-- expect: the sender goes on with its own work: 100
-- expect: the receiver was told: 42
local PointToPoint = {}

function PointToPoint:on_start()
  if self.config.receives then return end
  local receiver = assert(actor.spawn("point_to_point", { config = { receives = true } }))
  receiver:send("Number", { n = 42 })
  print("the sender goes on with its own work: " .. 10 * 10)
  print("the receiver was told: " .. assert(receiver:ask("Last")).n)
  actor.stop_host()
end

function PointToPoint:on_number(msg)
  self.last = msg.n
end

function PointToPoint:on_last(_, env)
  env:reply("Number", { n = self.last })
end

return PointToPoint
