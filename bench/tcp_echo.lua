-- tcp_echo: answers each line with the same line; ends when its standard input does.
--   troupe run bench/tcp_echo.lua -- PORT
local Echo = {}

function Echo:on_start()
  assert(actor.stream(actor.listen("tcp://127.0.0.1:" .. actor.args[1])))
  assert(actor.stream(actor.lines("-"), { as = "Input" }))
end

function Echo:on_line(msg)
  msg.stream:send(msg.text .. "\n")
end

function Echo:on_input() end

function Echo:on_input_end()
  actor.exit()
end

return Echo
