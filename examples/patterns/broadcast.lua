-- broadcast: one actor tells many the same. For settings, prices, "we are closing".
--
--   troupe run examples/patterns/broadcast.lua
--
-- A listener:
--   Announce  { value = integer }   keeps it
--   Heard     {}                    replies Announce: what it heard last
--
-- The broadcaster knows its listeners: a list of refs. Where listeners come and go by
-- themselves, put an event bus between them (event_bus.lua).
--
-- expect: listener 1 heard 999
-- expect: listener 2 heard 999
-- expect: listener 3 heard 999
-- expect: listener 4 heard 999
-- expect: listener 5 heard 999
local Broadcast = {}

local LISTENERS = 5

local function broadcast(listeners, type, msg)
  for _, listener in ipairs(listeners) do
    listener:send(type, msg)
  end
end

function Broadcast:on_start()
  if self.config.listens then return end
  local listeners = {}
  for i = 1, LISTENERS do
    listeners[i] = assert(actor.spawn("broadcast", { config = { listens = true } }))
  end
  broadcast(listeners, "Announce", { value = 999 })

  local questions = {}
  for i, listener in ipairs(listeners) do
    questions[i] = listener:start_ask("Heard")
  end
  for i, heard in ipairs(assert(actor.all(questions))) do
    print(("listener %d heard %d"):format(i, heard.value))
  end
  actor.stop_host()
end

function Broadcast:on_announce(msg)
  self.heard = msg.value
end

function Broadcast:on_heard(_, env)
  env:reply("Announce", { value = self.heard })
end

return Broadcast
