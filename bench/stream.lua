-- stream: adds up the numbers in the lines of a file; lines a second.
--   troupe run bench/stream.lua -- FILE
--
-- The same in plain Lua, for comparison: bench/stream_plain.lua.
local Stream = {}

local support = dofile "bench/support.lua"

function Stream:on_start()
  self.sum, self.count, self.started = 0, 0, actor.now()
  assert(actor.stream(actor.lines(actor.args[1])))
end

function Stream:on_line(msg)
  self.sum, self.count = self.sum + tonumber(msg.text), self.count + 1
end

function Stream:on_line_end(msg)
  assert(msg.reason == "normal" and self.sum == self.count * (self.count + 1) // 2)
  support.report("stream", "lines", self.count / (actor.now() - self.started), "1/s")
  actor.exit()
end

return Stream
