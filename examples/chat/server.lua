-- server: a chat over TCP, for which `nc` or `telnet` will do. People have
-- nicknames, and are in one room at a time.
--
--   troupe run examples/chat/server.lua                listens on :7000, for this machine
--   troupe run examples/chat/server.lua -- tcp://*:80  for everybody
--   troupe run examples/chat/server.lua -- :7000 20    for 20 people at once (default 500)
--
--   chat: listening on tcp://127.0.0.1:7000 (500 people at most)
--
-- Two windows, the second of which somebody opens a little later:
--
--   $ nc localhost 7000                    |
--   * Welcome. You are guest1. Try /help.  |
--   * You are in lobby, alone.             |
--   /nick alice                            |
--   * You are alice now.                   |
--                                          | $ nc localhost 7000
--                                          | * Welcome. You are guest2. Try /help.
--                                          | * You are in lobby, with alice.
--   * guest2 has come in.                  |
--                                          | /nick Alice
--                                          | * Somebody is called alice already.
--                                          | /nikc bob
--                                          | * There is no /nikc (did you mean /nick?). /help lists all.
--                                          | /nick bob
--                                          | * You are bob now.
--   * guest2 is bob now.                   |
--                                          | hello, alice
--   bob: hello, alice                      |
--   good morning                           |
--                                          | alice: good morning
--                                          | /join kitchen
--                                          | * You are in kitchen, alone.
--   * bob has gone to kitchen.             |
--   /msg bob what is for lunch?            |
--                                          | [alice] what is for lunch?
--   /rooms                                 |
--   * kitchen (1), lobby (1)               |
--                                          | /leave
--                                          | * You are in lobby, with alice.
--   * bob has come in.                     |
--                                          | /quit there is soup
--                                          | * Goodbye.
--   * bob has left (there is soup).        |
--
-- Who does what:
--
--   server  listens, and keeps the books: who has which nickname, and who is in which
--           room. It waits for nobody, so it always answers.
--   client  (client.lua) one for each connection: reads the lines, does the commands.
--           It ends with its connection; the reason that it ends with is what the
--           others are told.
--   room    (room.lua) one for each room: what is said there goes through it, so all
--           hear it in the same order. It watches those who are in it.
--
-- What keeps it going: a line is read only when the one before it has been said, so a
-- flood waits in the connection of who makes it. Who does not read what is said is
-- dropped when 256 KiB of it wait, and nobody else waits until then. A room that fails
-- starts again, with those who are in it; one that fails 20 times in a minute ends the
-- chat, with exit code 1.
--
-- Questions of the clients; the answer to each may also be No { why = text }:
--
--   Rename { nick }        Renamed {}
--   Move { room }          Moved   { room = ref, others = {nick, ...} }
--   FindNick { nick }      Found   { nick, stream }
--   ListRooms {}           Names   { names = {"lobby (3)", ...} }
--
-- and of a room that starts again:
--
--   ListMembers { room }   Members { members = { {who = ref, nick, stream}, ... } }
local Server = {}

local LOBBY = "lobby"          -- where everybody begins, the one room that does not end
local PEOPLE, ROOMS = 500, 100 -- at most

local STREAM = {
  limit = "16KiB",    -- no line is longer, or the connection ends
  window = 16,        -- lines that are read ahead of what is handled
  buffer = "256KiB",  -- what may wait to be read by the other side
}

-------------------------------------------------------------- the books ----

-- Everybody's entry: { who = ref of the client, nick, stream, room = an entry below }
--   self.people[ref], self.nicks[nick in small letters]
-- Each room's entry: { name, ref, people = how many }
--   self.rooms[name]

local function sorted(names)
  table.sort(names)
  return json.array(names)
end

local function names_in(self, room, but)
  local names = {}
  for _, person in pairs(self.people) do
    if person.room == room and person ~= but then table.insert(names, person.nick) end
  end
  return sorted(names)
end

local function free_nick(self)
  repeat self.guests = self.guests + 1 until not self.nicks["guest" .. self.guests]
  return "guest" .. self.guests
end

local function open_room(self, name)
  local count = 0
  for _ in pairs(self.rooms) do count = count + 1 end
  if count >= ROOMS then return nil, ("There are %d rooms, which is the limit."):format(ROOMS) end

  -- The number is there because the last room of this name may not have quite ended yet.
  self.opened = self.opened + 1
  local ref, why = actor.spawn("room", {
    name = ("room.%s.%d"):format(name, self.opened),
    config = { name = name, server = actor.self },
  })
  if not ref then return nil, ("The room cannot be opened: %s."):format(why) end
  self.rooms[name] = { name = name, ref = ref, people = 0 }
  return self.rooms[name]
end

local function leave_room(self, person)
  local room = person.room
  if not room then return end
  person.room = nil
  room.people = room.people - 1
  if room.people == 0 and room.name ~= LOBBY then
    self.rooms[room.name] = nil
    room.ref:stop({ drain = true })
  end
end

---------------------------------------------------- coming and going ----

local function endpoint_of(argument)
  return argument:match("^%d+$") and ":" .. argument or argument
end

function Server:on_start()
  self.people, self.nicks, self.rooms = {}, {}, {}
  self.count, self.guests, self.opened = 0, 0, 0
  self.most = math.tointeger(tonumber(actor.args[2] or PEOPLE))
  assert(self.most and self.most > 0, "the second argument is how many people there may be, such as 500")
  assert(open_room(self, LOBBY))

  local listener, why = actor.stream(actor.listen(endpoint_of(actor.args[1] or ":7000")), STREAM)
  if not listener then
    log.error(tostring(why))
    return actor.stop_host(1)
  end
  print(("chat: listening on %s (%d people at most)"):format(listener:address(), self.most))
  io.stdout:flush()
end

function Server:on_line_open(msg)
  if self.count >= self.most then
    msg.stream:try_send(("* There are %d people here, which is the limit. Try again later.\n"):format(self.most))
    return msg.stream:close()
  end
  local person = { nick = free_nick(self), stream = msg.stream }
  local client, why = actor.spawn("client", {
    config = { server = actor.self, stream = msg.stream, nick = person.nick, room = LOBBY },
  })
  if not client then
    if why.reason ~= "stopping" then log.error(tostring(why)) end
    return msg.stream:close()
  end
  person.who = client
  self.count = self.count + 1
  self.people[client], self.nicks[person.nick] = person, person
  actor.watch(client)
  if not msg.stream:hand_to(client) then client:stop() end -- it has ended already
end

-- Those who were refused; all others' streams are their clients'.
function Server:on_line_end() end

function Server:on_down(msg)
  local person = self.people[msg.who]
  leave_room(self, person)
  self.count = self.count - 1
  self.people[msg.who], self.nicks[person.nick:lower()] = nil, nil
end

--------------------------------------------------------- the questions ----

-- A question of somebody in the books. Of others there may be one, too: a Down overtakes
-- what was sent before it, so a client that has ended may still ask; it needs no answer.
local function of_person(answer)
  return function(self, msg, env)
    local person = self.people[env.from]
    if person then answer(self, person, msg, env) end
  end
end

Server.on_rename = of_person(function(self, person, msg, env)
  local other = self.nicks[msg.nick:lower()]
  if other and other ~= person then
    return env:reply("No", { why = ("Somebody is called %s already."):format(other.nick) })
  end
  self.nicks[person.nick:lower()] = nil
  person.nick = msg.nick
  self.nicks[person.nick:lower()] = person
  env:reply("Renamed")
end)

Server.on_move = of_person(function(self, person, msg, env)
  local room, why = self.rooms[msg.room]
  if not room then
    room, why = open_room(self, msg.room)
    if not room then return env:reply("No", { why = why }) end
  end
  room.people = room.people + 1
  leave_room(self, person)
  person.room = room
  env:reply("Moved", { room = room.ref, others = names_in(self, room, person) })
end)

function Server:on_findnick(msg, env)
  local person = self.nicks[msg.nick:lower()]
  if not person then return env:reply("No", { why = ("Nobody is called %s."):format(msg.nick) }) end
  env:reply("Found", { nick = person.nick, stream = person.stream })
end

function Server:on_listrooms(_, env)
  local names = {}
  for name, room in pairs(self.rooms) do
    table.insert(names, ("%s (%d)"):format(name, room.people))
  end
  env:reply("Names", { names = sorted(names) })
end

function Server:on_listmembers(msg, env)
  local members = json.array {}
  for _, person in pairs(self.people) do
    if person.room and person.room.name == msg.room then
      table.insert(members, { who = person.who, nick = person.nick, stream = person.stream })
    end
  end
  env:reply("Members", { members = members })
end

return Server
