-- room: where people hear each other. What it writes, all members get in the same
-- order; it writes to their connections itself, and never waits for one.
--
-- From the clients:
--
--   Enter  { nick, stream }   from now on its stream gets what is said
--   Say    { text }           all others hear it; replies Said, or No { why }
--   Rename { nick }
--   List   {}                 replies Names { names = {nick, ...} }
--   Leave  { why }            "has gone to kitchen"
--
-- A client that has ended is heard of by a Down: its reason is what the others are
-- told. When a handler of the room fails the room starts again; who is in it, it then
-- learns from the server, and what was said meanwhile has waited in its mailbox.
local Room = { failure = "restart", restart = { max = 20, within = "1m" } }

-- Who does not read is dropped: the client hears that its stream was closed, and ends,
-- of which we hear.
local function write(self, text, but)
  for who, member in pairs(self.members) do
    if who ~= but then
      local sent, why = member.stream:try_send(text)
      if not sent and why.reason == "full" then member.stream:close() end
    end
  end
end

local function admit(self, who, nick, stream)
  self.members[who] = { nick = nick, stream = stream }
  actor.watch(who)
end

function Room:on_start(msg)
  self.members = {}
  if msg.restarts == 0 then return end
  local books = assert(self.config.server:ask("ListMembers", { room = self.config.name }))
  for _, member in ipairs(books.members) do
    admit(self, member.who, member.nick, member.stream)
  end
  log.warn("a room has started again", { room = self.config.name, members = #books.members })
end

function Room:on_enter(msg, env)
  admit(self, env.from, msg.nick, msg.stream)
  write(self, ("* %s has come in.\n"):format(msg.nick), env.from)
end

function Room:on_say(msg, env)
  local member = self.members[env.from]
  if not member then return env:reply("No", { why = "You are not in this room any more." }) end
  write(self, member.nick .. ": " .. msg.text .. "\n", env.from)
  env:reply("Said")
end

function Room:on_rename(msg, env)
  local member = self.members[env.from]
  if not member then return end
  write(self, ("* %s is %s now.\n"):format(member.nick, msg.nick), env.from)
  member.nick = msg.nick
end

function Room:on_list(_, env)
  local names = json.array {}
  for _, member in pairs(self.members) do table.insert(names, member.nick) end
  table.sort(names)
  env:reply("Names", { names = names })
end

local function remove(self, who, why)
  local member = self.members[who]
  if not member then return end
  self.members[who] = nil
  if why then write(self, ("* %s %s.\n"):format(member.nick, why)) end
end

function Room:on_leave(msg, env)
  actor.unwatch(env.from)
  remove(self, env.from, msg.why)
end

-- When the server stops all end, with the reason "normal", and nobody need be told.
function Room:on_down(msg)
  local why = msg.reason:find("^[hw]as ") and msg.reason or "has vanished"
  remove(self, msg.who, msg.reason ~= "normal" and why or nil)
end

return Room
