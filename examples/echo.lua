-- echo: a TCP server, and a client of it in the same host. Each connection is a
-- stream that brings lines, and that can be sent text to.
--
--   troupe run examples/echo.lua             plays both sides, and ends
--   troupe run examples/echo.lua -- :7000    serves until it is stopped: try `nc localhost 7000`
--
-- The server's messages:
--   LineOpen  { stream, peer, listener }   somebody has connected
--   Line      { stream, text }             answered with the same line
--   LineEnd   { stream, reason }           the other side has ended
--
-- expect: the client hears: hello
-- expect: the client hears: goodbye
-- expect: the client's end: normal
-- expect: the server had 1 connection, 2 lines
local Echo = {}

local function serve(self, endpoint)
  self.listener = assert(actor.stream(actor.listen(endpoint)))
  return self.listener:address()
end

local function connect(self, endpoint)
  self.server = assert(actor.stream(actor.connect(endpoint), { as = "Answer" }))
  self.server:send("hello\ngoodbye\n")
  self.server:shutdown()   -- we have said all; the answers still come
end

function Echo:on_start()
  self.connections, self.lines = 0, 0
  if actor.args[1] then
    print("listening on " .. serve(self, actor.args[1]))
  else
    connect(self, serve(self, ":0"))
  end
end

function Echo:on_line_open(msg)
  self.connections = self.connections + 1
end

function Echo:on_line(msg)
  self.lines = self.lines + 1
  msg.stream:send(msg.text .. "\n")
end

function Echo:on_answer(msg)
  print("the client hears: " .. msg.text)
end

function Echo:on_answer_end(msg)
  print("the client's end: " .. msg.reason)
  print(("the server had %d connection, %d lines"):format(self.connections, self.lines))
  actor.exit()
end

return Echo
