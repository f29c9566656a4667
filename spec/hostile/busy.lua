-- busy: actors that never rest, and whether a third pair gets its share.
-- Arguments: kind=alone | self | pair. Prints `key: value` lines.
--
--   Again {}   goes round for ever
--   Ping  {}   replies Pong
local Busy = {}

local SECONDS = 1

local function rounds(partner)
  local count, last = 0, actor.now() + SECONDS
  while actor.now() < last do
    assert(partner:ask("Ping"))
    count = count + 1
  end
  return count
end

function Busy:on_start()
  if self.config.busy then
    if self.config.to then
      self.to = self.config.to
      self.to:send("Meet", { to = actor.self })
      self.to:send("Again")
    else
      self.to = actor.self
      actor.self:send("Again")
    end
    return
  end
  if self.config.partner then return end
  local partner = assert(actor.spawn("busy", { config = { partner = true } }))
  print("alone: " .. rounds(partner))
  for _ = 1, 4 do
    assert(actor.spawn("busy", { config = { busy = true } }))
    local other = assert(actor.spawn("busy", { config = { partner = true } }))
    assert(actor.spawn("busy", { config = { busy = true, to = other } }))
  end
  print("beside: " .. rounds(partner))
  actor.stop_host(0)
end

function Busy:on_meet(msg) self.to = msg.to end

function Busy:on_again()
  self.to:try_send("Again")
end

function Busy:on_ping(_, env)
  env:reply("Pong")
end

return Busy
