-- lines: a stream's lines as messages, and a child process to write to.
--
--   troupe run examples/lines.lua                      reads this very file
--   troupe run examples/lines.lua -- FILE              or another, or "-"
--
-- Sends every word to `sort`, and counts what comes back in order. The window
-- makes the file wait for the words: it is read as fast as they are taken.
--
--   Line      { stream, text }     of the file
--   LineEnd   { stream, reason }   its end
--   Word      { stream, text }     of sort, whose own end is WordEnd { stream, reason, code }
--
-- expect: lines of examples/lines.lua
-- expect: the file has ended: normal
-- expect: sort has ended: normal, with 0
-- expect: most used: end
local Lines = {}

function Lines:on_start()
  self.words, self.counts = 0, {}
  self.sort = assert(actor.stream(actor.process { "sort" }, { as = "Word" }))
  self.file = assert(actor.stream(actor.lines(actor.args[1] or "examples/lines.lua"), { window = 16 }))
  print(self.file)
end

function Lines:on_line(msg)
  local words = {}
  for word in msg.text:gmatch("%a+") do table.insert(words, word .. "\n") end
  assert(self.sort:send(table.concat(words)))   -- waits while sort does not read
end

function Lines:on_line_end(msg)
  print("the file has ended: " .. msg.reason)
  self.sort:shutdown()                          -- now sort reads the end, and begins
end

function Lines:on_word(msg)
  self.counts[msg.text] = (self.counts[msg.text] or 0) + 1
end

function Lines:on_word_end(msg)
  local most
  for word, count in pairs(self.counts) do
    if not most or count > self.counts[most] then most = word end
  end
  print(("sort has ended: %s, with %d"):format(msg.reason, msg.code))
  print("most used: " .. tostring(most))
  actor.exit()
end

return Lines
