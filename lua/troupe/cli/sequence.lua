--- Messages as a Mermaid sequence diagram. Pure.
---
--- ```lua
--- local diagram = sequence.new()
--- diagram:add { n = 1, from = "ping", to = "pong", kind = "ask", type = "Ping", message = {},
---               outcome = "handled" }
--- print(diagram:text())
--- ```
---
--- Who takes part stands there in the order in which they come up, under an id of its own
--- (p1, p2, ...), so that any name will do. An ask is a solid arrow and its reply a dashed one, a
--- plain send an open one, what does not arrive ends in a cross; timers and what streams
--- bring come from the actor itself. What else the host does is a note.
local json = require "troupe.json"

local ARROWS = 500
local TEXT = 60 -- characters of a payload, or of a reason

---@class cli.Sequence
---@field private limit integer
---@field private rows table<integer, table>  by number: the last that was said of it
---@field private first integer[]             numbers, as they came
---@field private left_out integer
local Sequence = {}
Sequence.__index = Sequence

local sequence = {}

---@param limit? integer  messages that are shown
function sequence.new(limit)
  return setmetatable({ limit = limit or ARROWS, rows = {}, first = {}, left_out = 0 }, Sequence)
end

--- Takes a line of the trace; one with the number of an earlier one takes its place.
---@param row table
function Sequence:add(row)
  if self.rows[row.n] then
    self.rows[row.n] = row
  elseif #self.first < self.limit then
    self.rows[row.n] = row
    table.insert(self.first, row.n)
  else
    self.left_out = self.left_out + 1
  end
end

--- How many messages there was no room for.
function Sequence:missing() return self.left_out end

-- Mermaid reads #35; as "#", also where that character would begin or end something.
local function escape(text)
  return (text:gsub("[^%w _.,:/@+=*()'\128-\255-]", function(char)
    return ("#%d;"):format(char:byte())
  end))
end

local function cut(text)
  if utf8.len(text) and utf8.len(text) > TEXT then
    return text:sub(1, utf8.offset(text, TEXT + 1) - 1) .. "..."
  end
  return text
end

local function label(row)
  local words = { row.type or "" }
  if row.kind == "failure" then
    words = { row.detail or "failure" }
  elseif next(row.message or {}) ~= nil then
    table.insert(words, cut(json.encode(row.message)))
  end
  return escape(table.concat(words, " "))
end

local LOST = { ["dead letter"] = true, refused = true }
local NOTED = { start = true, stop = true, down = true, notice = true }
local OF_ITSELF = { timer = true, stream = true }
local ARROW = { send = "-)", ask = "->>", reply = "-->>", failure = "--x", timer = "->>", stream = "->>" }

-- What a line says beside the arrow, or nil.
local function remark(row)
  if row.kind == "failure" or row.outcome == "handled" or row.outcome == "sent away" then
    return nil
  elseif row.outcome == "waiting" or row.outcome == "running" then
    return "still " .. row.outcome
  end
  return row.outcome .. (row.detail and ": " .. cut(row.detail) or "")
end

--- The diagram, with its newline at the end.
---@return string
function Sequence:text()
  local ids, participants, lines = {}, {}, {}
  local function id_of(name)
    name = name:gsub("/ask#%d+", "", 1) -- under which one question of it is answered
    if not ids[name] then
      table.insert(participants, name)
      ids[name] = "p" .. #participants
    end
    return ids[name]
  end
  local function say(format, ...)
    table.insert(lines, "    " .. format:format(...))
  end

  table.sort(self.first)
  for _, n in ipairs(self.first) do
    local row = self.rows[n]
    local note = remark(row)
    local drawn = not NOTED[row.kind]
    local from = drawn and (row.from or not OF_ITSELF[row.kind]) and id_of(row.from or "nobody")
    local to = id_of(row.to or "nobody")
    if not drawn then
      say("Note over %s: %s", to, label(row))
    else
      local arrow = LOST[row.outcome] and "-x" or ARROW[row.kind]
      say("%s%s%s: %s", from or to, arrow, to, label(row))
    end
    if note then
      say("Note over %s: %s", to, escape(note))
    end
  end
  if self.left_out > 0 then
    say("Note over p1: %d more messages are not shown", self.left_out)
  end

  local head = { "sequenceDiagram" }
  for i, name in ipairs(participants) do
    table.insert(head, ("    participant p%d as %s"):format(i, escape(name)))
  end
  return table.concat(head, "\n") .. "\n" .. table.concat(lines, "\n") .. (#lines > 0 and "\n" or "")
end

return sequence
