--- What `top` shows, and what its keys do to it; pure: looks go in, lines come out.
---
--- ```lua
--- local view = top_view.new { sort = "rate", hosts = 1 }
--- view:update({ seen })             -- one cli.Seen for each host
--- local lines = view:frame(80, 24, paint)
--- local action = view:key("k")      -- nil, or what the caller is to do
--- ```
local actors = require "troupe.cli.actors"
local layout = require "troupe.cli.layout"
local show = require "troupe.cli.show"
local snapshot = require "troupe.cli.snapshot"

local ROWS_MOST = 300 -- that one can scroll through
local NOTE_S = 10     -- that a note stays

---@class cli.TopView
---@field sort string
---@field pattern string?      of names
---@field paused boolean
---@field rows table[]         actors of all hosts, in order
local View = {}
View.__index = View

local top_view = { ROWS_MOST = ROWS_MOST }

---@param options { sort: string, pattern: string?, no_peers: boolean? }
function top_view.new(options)
  return setmetatable({
    sort = options.sort, pattern = options.pattern, no_peers = options.no_peers,
    paused = false, rows = {}, seen = {}, selected = 1, offset = 0, page = 10,
  }, View)
end

local function identity(row) return ("%d %s"):format(row.pid, row.name) end

--- Keeps the same actor selected, wherever it is now.
local function select_again(view, who)
  for i, row in ipairs(view.rows) do
    if identity(row) == who then
      view.selected = i
      return
    end
  end
  view.selected = math.max(1, math.min(view.selected, #view.rows))
end

--- What the hosts tell now. Rows have `host` and `pid`.
---@param seen cli.Seen[]
function View:update(seen)
  local current = self.rows[self.selected]
  self.seen, self.rows = seen, {}
  for _, each in ipairs(seen) do
    for _, row in ipairs(each.actors) do
      row.host, row.pid = each.host.name, each.host.pid
      table.insert(self.rows, row)
    end
  end
  snapshot.sort(self.rows, self.sort)
  select_again(self, current and self.selected > 1 and identity(current) or nil)
end

---@return table? row  the selected actor
function View:current()
  return self.rows[self.selected]
end

--- Says something for a while.
---@param text string
---@param now number  seconds, of whatever clock frames are drawn by
function View:say(text, now)
  self.note, self.note_until = text, now + NOTE_S
end

--- ---- Keys ----

local function move(view, by)
  view.selected = math.max(1, math.min(view.selected + by, #view.rows))
end

local function next_sort(view, by)
  local sorts = snapshot.SORTS
  for i, sort in ipairs(sorts) do
    if sort == view.sort then
      view.sort = sorts[(i - 1 + by) % #sorts + 1]
      break
    end
  end
  view.selected = 1
  snapshot.sort(view.rows, view.sort)
  return "look"
end

local function ask_kill(view)
  local row = view:current()
  if row then
    view.mode, view.victim = "kill", row
  end
end

local KEYS = {
  q = function() return "quit" end,
  interrupted = function() return "interrupted" end,
  terminated = function() return "terminated" end,
  gone = function() return "gone" end,
  up = function(view) move(view, -1) end,
  down = function(view) move(view, 1) end,
  page_up = function(view) move(view, -view.page) end,
  page_down = function(view) move(view, view.page) end,
  home = function(view) move(view, -math.huge) end,
  ["end"] = function(view) move(view, math.huge) end,
  s = function(view) return next_sort(view, 1) end,
  S = function(view) return next_sort(view, -1) end,
  p = function(view)
    view.paused = not view.paused
    return not view.paused and "look" or nil
  end,
  [" "] = function() return "look" end,
  r = function(view) return view:current() and "reload" end,
  t = function(view) return view:current() and "trace" end,
  k = ask_kill,
  ["/"] = function(view) view.mode, view.edited = "filter", view.pattern or "" end,
  h = function(view) view.mode = "help" end,
  escape = function(view)
    local filtered = view.pattern ~= nil
    view.pattern = nil
    return filtered and "look" or nil
  end,
}
KEYS.j, KEYS.u, KEYS["?"] = KEYS.down, KEYS.up, KEYS.h

local MODES = {}

function MODES.filter(view, key)
  if key == "enter" then
    view.mode, view.selected = nil, 1
    view.pattern = view.edited ~= "" and view.edited or nil
    return "look"
  elseif key == "escape" then
    view.mode = nil
  elseif key == "backspace" then
    view.edited = view.edited:sub(1, (utf8.offset(view.edited, -1) or 1) - 1)
  elseif utf8.len(key) == 1 and not key:find("%c") then
    view.edited = view.edited .. key
  end
end

function MODES.kill(view, key)
  view.mode = nil
  return (key == "y" or key == "Y") and "kill" or nil
end

function MODES.help(view)
  view.mode = nil
end

local ALWAYS = { interrupted = true, terminated = true, gone = true, resized = true }

--- A key was pressed, or what else terminal:key() tells.
---@param key string
---@return string? action  "quit", "look", "reload", "trace", "kill" (view.victim), "interrupted", "terminated", "gone"
function View:key(key)
  local mode = not ALWAYS[key] and MODES[self.mode]
  if mode then
    return mode(self, key)
  end
  local action = KEYS[key]
  return action and action(self) or nil
end

--- ---- Drawing ----

local HELP = {
  "Keys of troupe top", "",
  "  up, down (u, j)      select an actor; page up, page down, home, end",
  "  s, S                 sort by the next figure, the one before",
  "  /                    show only names with this in them, * and ? as patterns",
  "  escape               all names again",
  "  r                    reload the script of the selected actor, everywhere in its host",
  "  t                    trace the messages to the selected actor; ^C comes back",
  "  k                    kill the selected actor, after a question",
  "  p                    pause: the picture stands still",
  "  space                look now",
  "  h, ?                 this help",
  "  q, ^C                end", "",
  "Any key goes on.",
}

local function help(lines, columns)
  for _, line in ipairs(HELP) do table.insert(lines, layout.cut(line, columns)) end
end

local function footer(view, columns, now, paint)
  if view.mode == "filter" then
    return layout.cut("names with: " .. show.printable(view.edited) .. "_   (enter, or escape)", columns)
  elseif view.mode == "kill" then
    return paint("red", layout.cut(("kill %s? y, or any other key"):format(show.printable(view.victim.name)), columns))
  elseif view.note and now < view.note_until then
    return paint("red", layout.cut(show.printable(view.note), columns))
  end
  local words = {
    view.paused and "PAUSED" or nil, ("by %s"):format(view.sort),
    view.pattern and ("names with %s"):format(show.printable(view.pattern)) or nil,
  }
  local state = {}
  for i = 1, 3 do
    if words[i] then table.insert(state, words[i]) end
  end
  return paint("dim", layout.cut(table.concat(state, ", ")
    .. "   q quit  s sort  / filter  r reload  t trace  k kill  p pause  h help", columns))
end

--- The connections to other hosts, in a quarter of the screen at most.
local function peers_of(view, columns, most, paint)
  local all = {}
  for _, each in ipairs(view.seen) do table.move(each.peers, 1, #each.peers, #all + 1, all) end
  if #all == 0 or view.no_peers or most < 3 then
    return {}
  end
  table.sort(all, function(a, b)
    if a.queued ~= b.queued then
      return a.queued > b.queued
    end
    return a.endpoint < b.endpoint
  end)
  for i = #all, most - 1, -1 do all[i] = nil end
  local titles, lines = actors.peers(all, columns, paint)
  table.insert(lines, 1, paint("dim", titles))
  table.insert(lines, 1, "")
  return lines
end

local function scroll(view, room)
  view.page = math.max(1, room - 1)
  if view.selected <= view.offset then
    view.offset = view.selected - 1
  elseif view.selected > view.offset + room then
    view.offset = view.selected - room
  end
  view.offset = math.max(0, math.min(view.offset, #view.rows - room))
end

local function actor_lines(view, lines, columns, room, paint, invert)
  scroll(view, room - 1)
  local shown = table.move(view.rows, view.offset + 1, view.offset + room - 1, 1, {})
  local marked = view.selected - view.offset
  local titles, rows = actors.table(shown, columns, paint, #view.seen > 1, function(i, line)
    return i == marked and invert(layout.fit(line, columns)) or nil
  end)
  table.insert(lines, paint("dim", titles))
  table.move(rows, 1, #rows, #lines + 1, lines)
  if #rows == 0 then
    table.insert(lines, view.pattern and "no actor's name has that in it" or "no actors")
  end
end

--- The picture: `rows` lines at most, of `columns` cells at most.
---@param columns integer
---@param rows integer
---@param now number      for notes
---@param paint fun(colour: string, text: string): string
---@param invert fun(text: string): string  marks the selected line
---@return string[]
function View:frame(columns, rows, now, paint, invert)
  local lines = {}
  if self.mode == "help" then
    help(lines, columns)
  else
    for _, each in ipairs(self.seen) do
      if #lines < math.max(1, rows // 3) then
        table.insert(lines, paint("bold", actors.host(each.host, columns)))
      end
    end
    local peers = peers_of(self, columns, rows // 4, paint)
    if #self.seen > 0 then
      actor_lines(self, lines, columns, math.max(2, rows - #lines - #peers - 1), paint, invert)
      table.move(peers, 1, #peers, #lines + 1, lines)
    else
      table.insert(lines, "no host of yours runs; one that is started will be seen here")
    end
  end
  for i = #lines, math.max(1, rows), -1 do lines[i] = nil end
  if rows > 1 then
    while #lines < rows - 1 do table.insert(lines, "") end
    table.insert(lines, footer(self, columns, now, paint))
  end
  return lines
end

return top_view
