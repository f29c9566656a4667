-- ask: one actor asks another, ROUNDS times, WIDTH questions in flight; µs each.
--   troupe run bench/ask.lua -- [ROUNDS] [WIDTH]
--
--   Ping { count = integer }   replies Pong { count = integer }
local Asker = {}

local support = dofile "bench/support.lua"

local ECHO = [[
  return { on_ping = function(self, msg, env) env:reply("Pong", { count = msg.count }) end }
]]

local function one_by_one(echo, rounds)
  for i = 1, rounds do
    local reply = echo:ask("Ping", { count = i })
    assert(reply.count == i)
  end
end

local function side_by_side(echo, rounds, width)
  for i = 1, rounds, width do
    local questions = {}
    for k = 1, width do questions[k] = echo:start_ask("Ping", { count = i + k }) end
    local replies = assert(actor.all(questions))
    assert(replies[width].count == i + width)
  end
end

function Asker:on_start()
  local rounds = tonumber(actor.args[1]) or 300000
  local width = tonumber(actor.args[2]) or 1
  local echo = support.spawn("echo", ECHO)
  one_by_one(echo, 1000)
  local started = actor.now()
  if width == 1 then one_by_one(echo, rounds) else side_by_side(echo, rounds, width) end
  local seconds = actor.now() - started
  support.report("ask" .. (width > 1 and width or ""), "rtt", seconds / rounds * 1e6, "us")
  actor.stop_host(0)
end

return Asker
