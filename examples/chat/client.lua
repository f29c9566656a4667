-- client: somebody's connection. It reads the lines one by one: what is said goes to
-- the room, the commands are done here, with the server's help.
--
-- It ends with the connection, and the connection with it: the reason that it ends
-- with ("has left", "has vanished") is for the others to read. It has no messages but
-- those of its stream, which the server hands to it.
local Client = {}

local LONGEST = 1000 -- bytes that can be said at once
local LAST_WORDS = 200
local NICK = "^%a[%w_%-]*$"
local ROOM = "^%l[%l%d_%-]*$"
local NAME_LENGTH = 16

---------------------------------------------------------------- text ----

-- What somebody typed, made fit for other people's terminals: without telnet's own
-- talk, and with ? for control characters and for what is no UTF-8.
local function clean(text)
  text = text:gsub("\255[\251-\254].", ""):gsub("\255[\240-\250]", ""):gsub("\t", " ")
  if not utf8.len(text) then text = text:gsub("[\128-\255]", "?") end
  text = text:gsub("\194[\128-\159]", "?"):gsub("%c", "?")
  return text:match("^ *(.-) *$")
end

-- How many letters one must change, put in, leave out or swap to make b of a.
local function distance(a, b)
  local rows = { [0] = {} }
  for j = 0, #b do rows[0][j] = j end
  for i = 1, #a do
    rows[i] = { [0] = i }
    for j = 1, #b do
      local same = a:byte(i) == b:byte(j)
      local least = math.min(rows[i - 1][j] + 1, rows[i][j - 1] + 1, rows[i - 1][j - 1] + (same and 0 or 1))
      if i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
        least = math.min(least, rows[i - 2][j - 2] + 1)
      end
      rows[i][j] = least
    end
  end
  return rows[#a][#b]
end

local function nearest(word, words)
  local best, least = nil, 3
  for _, candidate in ipairs(words) do
    local far = distance(word, candidate)
    if far < least and far < #candidate then best, least = candidate, far end
  end
  return best
end

-- Why a name will not do; nil if it will.
local function wrong_name(name, pattern, what)
  if #name > NAME_LENGTH then return ("%s has at most %d letters."):format(what, NAME_LENGTH) end
  if not name:find(pattern) then
    return ("%s is made of letters, digits, - and _, and begins with a letter: not '%s'."):format(what, name)
  end
end

------------------------------------------------------------- the work ----

-- Shows a line to whoever is connected. Who does not read is dropped: see on_line_end.
local function tell(self, text)
  local sent, why = self.stream:try_send("* " .. text .. "\n")
  if not sent and why.reason == "full" then self.stream:close() end
end

-- Asks the server, or the room; when that comes to nothing, says why and returns nil.
local function ask(self, whom, type, msg)
  local answer, its = whom:ask(type, msg)
  if not answer then
    log.warn(tostring(its))
    tell(self, "That went wrong. Please try again.")
  elseif its.type == "No" then
    tell(self, answer.why)
  else
    return answer
  end
end

-- Goes to another room; false if that cannot be.
local function move(self, name)
  local moved = ask(self, self.config.server, "Move", { room = name })
  if not moved then return false end
  if self.room then self.room:send("Leave", { why = "has gone to " .. name }) end
  self.room, self.room_name = moved.room, name
  self.room:send("Enter", { nick = self.nick, stream = self.stream })
  tell(self, ("You are in %s, %s."):format(name,
    #moved.others == 0 and "alone" or "with " .. table.concat(moved.others, ", ")))
  return true
end

local function say(self, text)
  if #text > LONGEST then
    return tell(self, ("That was not said: %d bytes, and %d are the most."):format(#text, LONGEST))
  end
  ask(self, self.room, "Say", { text = text })
end

-- Ends this actor, and the connection when all is written. Who is there reads why.
local function leave(self, why)
  tell(self, "Goodbye.")
  self.has_left = true
  actor.exit(why)
end

------------------------------------------------------------- commands ----

-- Each is { what it is called with, what it does, function(self, what stands behind it) }.
local commands = {}
local order = { "nick", "join", "leave", "rooms", "who", "msg", "help", "quit" }

commands.nick = { "/nick NAME", "be called NAME", function(self, name)
  local wrong = wrong_name(name, NICK, "A nickname")
  if wrong then return tell(self, wrong) end
  if not ask(self, self.config.server, "Rename", { nick = name }) then return end
  self.nick = name
  self.room:send("Rename", { nick = name })
  tell(self, ("You are %s now."):format(name))
end }

commands.join = { "/join ROOM", "go to a room; it is opened if there is none", function(self, name)
  name = name:lower():gsub("^#", "")
  local wrong = wrong_name(name, ROOM, "The name of a room")
  if wrong then return tell(self, wrong) end
  if name == self.room_name then return tell(self, ("You are in %s already."):format(name)) end
  move(self, name)
end }

commands.leave = { "/leave", "go back to the lobby", function(self)
  if self.room_name == self.config.room then
    return tell(self, "You are in the lobby; to leave the chat, /quit.")
  end
  move(self, self.config.room)
end }

local function list(self, whom, question)
  local answer = ask(self, whom, question)
  if answer then tell(self, table.concat(answer.names, ", ")) end
end

commands.rooms = { "/rooms", "which rooms there are, and how many people are there", function(self)
  list(self, self.config.server, "ListRooms")
end }

commands.who = { "/who", "who is in this room", function(self)
  list(self, self.room, "List")
end }

commands.msg = { "/msg NAME TEXT", "tell somebody alone, in whatever room", function(self, argument)
  local nick, text = argument:match("^(%S+) +(.+)$")
  if not nick then return tell(self, "Write it so: /msg NAME TEXT") end
  local found = ask(self, self.config.server, "FindNick", { nick = nick })
  if found and not found.stream:try_send(("[%s] %s\n"):format(self.nick, text)) then
    tell(self, ("%s was not told: no room for it, or gone."):format(found.nick))
  end
end }

commands.help = { "/help", "this list", function(self)
  tell(self, "What begins with no / is said to all in the room. Else:")
  for _, name in ipairs(order) do
    tell(self, ("%-16s %s"):format(commands[name][1], commands[name][2]))
  end
end }

commands.quit = { "/quit [TEXT]", "leave the chat, with a last word", function(self, text)
  if #text > LAST_WORDS then
    return tell(self, ("The last words have %d bytes, and %d are the most."):format(#text, LAST_WORDS))
  end
  leave(self, text == "" and "has left" or ("has left (%s)"):format(text))
end }

local function obey(self, name, argument)
  local command = commands[name:lower()]
  if not command then
    local near = nearest(name:lower(), order)
    return tell(self, ("There is no /%s%s. /help lists all."):format(name:sub(1, NAME_LENGTH),
      near and (" (did you mean /%s?)"):format(near) or ""))
  end
  command[3](self, argument)
end

------------------------------------------------------------ the stream ----

function Client:on_start()
  self.stream, self.nick = self.config.stream, self.config.nick
  tell(self, ("Welcome. You are %s. Try /help."):format(self.nick))
  if not move(self, self.config.room) then leave(self, "could not come in") end
end

function Client:on_line(msg)
  local text = clean(msg.text)
  local name, argument = text:match("^/(%S*) *(.*)$")
  if name then
    obey(self, name, argument)
  elseif text ~= "" then
    say(self, text)
  end
end

function Client:on_line_end(msg)
  if msg.reason == "normal" then
    leave(self, "has left")
  elseif msg.reason == "closed" then -- by whoever found that nobody reads
    leave(self, "was dropped: does not read")
  elseif msg.reason:find("longer than", 1, true) then
    leave(self, "was dropped: a line without an end")
  end
  leave(self, "has vanished")
end

function Client:on_shutdown()
  if not self.has_left then tell(self, "The server stops. Goodbye.") end
end

return Client
