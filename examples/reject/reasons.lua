-- reasons: every reason for which another host sends a Reject. In two terminals:
--
--   troupe run examples/reject/receiver.lua examples/reject/busy.lua --bind :5001
--   troupe run examples/reject/reasons.lua --bind :5002
--
-- Who asks gets the Reject as `nil, why`, with why.reason "rejected"; who only
-- sends gets it as on_reject, as in sender.lua. A host elsewhere is named behind `--`.
--
--   Finished  {}   asked by `busy`, which is idle again once this is answered
--   Pong      {}   `busy` has handled the message that did fit: stops the host
--
-- expect: no such actor: Actor 'nobody' not found
-- expect: no handler: Unknown message type: UnknownMessage
-- expect: no room: Mailbox full: busy
-- expect: the one that did fit was handled
local Reasons = {}

local function show(what, ref, type, msg)
  local answer, why = ref:ask(type, msg)
  assert(not answer and why.reason == "rejected", why)
  print(what .. ": " .. tostring(why):match("rejected " .. type .. ": (.*)"))
end

function Reasons:on_start()
  local where = "@" .. (actor.args[1] or "tcp://localhost:5001")
  self.busy = actor.ref("busy" .. where)

  show("no such actor", actor.ref("nobody" .. where), "Ping", { count = 1 })
  show("no handler", actor.ref("receiver" .. where), "UnknownMessage")
  assert(self.busy:send("Hold"))
end

function Reasons:on_finished(msg, env)
  assert(self.busy:send("Ping")) -- fits: it holds what it handles in hand, not in its mailbox
  show("no room", self.busy, "Ping")
  env:reply("Yes")
end

function Reasons:on_pong()
  print("the one that did fit was handled")
  actor.stop_host()
end

return Reasons
