-- busy: has room for one message, and takes its time; see reasons.lua.
--
--   Hold  {}   asks its sender Finished, and is busy until that is answered
--   Ping  {}   replies Pong
local Busy = { mailbox = { limit = 1 } }

function Busy:on_hold(msg, env)
  assert(env.from:ask("Finished", nil, { timeout = "1m" }))
end

function Busy:on_ping(msg, env)
  env:reply("Pong")
end

return Busy
