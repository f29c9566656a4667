-- request_reply: a client asks, a server answers. For everything that has a result.
--
--   troupe run examples/patterns/request_reply.lua
--
-- The server:
--   Double  { n = integer }   replies Doubled { n = integer }; fails if it is too large
--
-- `ask` waits, without holding up a thread, and never for ever: there is a deadline (5 s
-- unless told otherwise), and a server that fails, refuses or ends is heard of at once.
--
-- expect: twice 21 is 42
-- expect: no answer: that is too large
local RequestReply = {}

local LARGEST = 1000000

local function double(server, n)
  local answer, why = server:ask("Double", { n = n }, { timeout = "2s" })
  if answer then
    print(("twice %d is %d"):format(n, answer.n))
  else
    print("no answer: " .. tostring(why):match("Double: (.*)$"))
  end
end

function RequestReply:on_start()
  if self.config.serves then return end
  local server = assert(actor.spawn("request_reply", { config = { serves = true } }))
  double(server, 21)
  double(server, LARGEST + 1)
  actor.stop_host()
end

function RequestReply:on_double(msg, env)
  if msg.n > LARGEST then return env:fail("that is too large") end
  env:reply("Doubled", { n = 2 * msg.n })
end

return RequestReply
