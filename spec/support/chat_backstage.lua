-- chat_backstage: an actor in the chat's host for its spec, told by lines over TCP what to do.
--
--   spoil    puts somebody into the lobby who has no connection, which no handler of
--            the room expects; answers "spoilt"
--   memory   answers with the host's peak of resident KiB
local Backstage = {}

function Backstage:on_start()
  local listener = assert(actor.stream(actor.listen(":0")))
  print("backstage: " .. listener:address())
  io.stdout:flush()
end

function Backstage:on_line(msg)
  if msg.text == "spoil" then
    assert(actor.lookup("room.lobby.1")):send("Enter", { nick = "nobody" })
    msg.stream:send("spoilt\n")
  else
    local file <close> = assert(io.open("/proc/self/status"))
    msg.stream:send(file:read("a"):match("VmHWM:%s*(%d+)") .. "\n")
  end
end

return Backstage
