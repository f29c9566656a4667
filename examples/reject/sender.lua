-- sender: sends something that is not understood, and hears of it. In two
-- terminals, the receiver first:
--
--   troupe run examples/reject/receiver.lua --bind :5001
--   troupe run examples/reject/sender.lua --bind :5002
--
-- A receiver that is elsewhere is named behind `--`. It may as well be one of
-- the family in Python, C++ or Rust; then the reason is worded as it does.
--
--   Reject  { message_type, reason, rejected_by }   a message of ours was not taken
--   Pong    { count = integer }                     stops the host
--
-- The host keeps the order: the Reject, then the Pong.
--
-- expect: SenderActor: Starting test...
-- expect: SenderActor: Sending UnknownMessage (should be rejected)...
-- expect: SenderActor: Sending Ping (should succeed)...
-- expect: SenderActor: Received Reject!
-- expect:   - Message type: UnknownMessage
-- expect:   - Reason: Unknown message type: UnknownMessage
-- expect:   - Rejected by: receiver
-- expect: SenderActor: Received Pong 1 - normal message worked!
-- expect: SenderActor: Test complete!
local Sender = {}

function Sender:on_start()
  local receiver = actor.ref("receiver@" .. (actor.args[1] or "tcp://localhost:5001"))
  print("SenderActor: Starting test...")
  print("SenderActor: Sending UnknownMessage (should be rejected)...")
  assert(receiver:send("UnknownMessage", { data = 42 }))
  print("SenderActor: Sending Ping (should succeed)...")
  assert(receiver:send("Ping", { count = 1 }))
end

function Sender:on_reject(msg)
  print("SenderActor: Received Reject!")
  print("  - Message type: " .. msg.message_type)
  print("  - Reason: " .. msg.reason)
  print("  - Rejected by: " .. msg.rejected_by)
end

function Sender:on_pong(msg)
  print("SenderActor: Received Pong " .. msg.count .. " - normal message worked!")
  print("SenderActor: Test complete!")
  actor.stop_host()
end

return Sender
