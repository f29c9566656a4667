-- receiver: knows Ping and nothing else; see sender.lua. Runs until Ctrl-C.
--
--   troupe run examples/reject/receiver.lua --bind :5001
--
--   Ping  { count = integer }   replies Pong with the same count
--
-- Nothing here says what happens to other types: the host sends a Reject back,
-- and warns here, once for each type.
--
-- expect: ReceiverActor: Received Ping 1
-- expect: ReceiverActor: Sent Pong 1 back
local Receiver = {}

function Receiver:on_ping(msg, env)
  print("ReceiverActor: Received Ping " .. msg.count)
  env:reply("Pong", { count = msg.count })
  print("ReceiverActor: Sent Pong " .. msg.count .. " back")
end

return Receiver
