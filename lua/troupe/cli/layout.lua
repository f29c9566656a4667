--- Columns for people: as many as fit the terminal, aligned whatever the script of
--- the words, long names cut in the middle. Pure.
---
--- ```lua
--- local columns = { { title = "ACTOR", least = 8, rank = 1 }, { title = "QUEUE", right = true, rank = 2 } }
--- layout.rows(columns, { { "pong", "12" }, { "a-very-long-name", "3" } }, 20)
--- --> { "ACTOR         QUEUE", "pong             12", "a-very…g-name     3" }, { 1, 2 }
--- ```
local layout = {}

local GAP = 2
local ELLIPSIS = "…"

-- Code points that take two cells, and none; first and last of each range.
local WIDE = { { 0x1100, 0x115F }, { 0x2E80, 0x303E }, { 0x3041, 0xA4CF }, { 0xAC00, 0xD7A3 }, { 0xF900, 0xFAFF },
               { 0xFE30, 0xFE6F }, { 0xFF00, 0xFF60 }, { 0xFFE0, 0xFFE6 }, { 0x1F300, 0x1F64F },
               { 0x1F680, 0x1FAFF }, { 0x20000, 0x3FFFD } }
local NARROW = { { 0x0300, 0x036F }, { 0x0483, 0x0489 }, { 0x0591, 0x05BD }, { 0x0610, 0x061A }, { 0x064B, 0x065F },
                 { 0x200B, 0x200F }, { 0x202A, 0x202E }, { 0x2060, 0x2064 }, { 0x20D0, 0x20FF }, { 0xFE00, 0xFE0F },
                 { 0xFE20, 0xFE2F } }

local function is_in(ranges, code)
  for _, range in ipairs(ranges) do
    if code < range[1] then
      return false
    end
    if code <= range[2] then
      return true
    end
  end
  return false
end

local function width_of(code)
  if code < 0x300 then
    return 1
  end
  return is_in(NARROW, code) and 0 or is_in(WIDE, code) and 2 or 1
end

--- How many cells of a terminal a text takes. One that is no UTF-8 is counted in bytes.
---@param text string
---@return integer
function layout.width(text)
  if not text:find("[\x80-\xFF]") or not utf8.len(text) then
    return #text
  end
  local width = 0
  for _, code in utf8.codes(text) do width = width + width_of(code) end
  return width
end

--- The first letters of a text that take at most `room` cells, and the last.
local function head(text, room)
  local width, stop = 0, 1
  for at, code in utf8.codes(text) do
    width = width + width_of(code)
    if width > room then
      break
    end
    stop = at + #utf8.char(code)
  end
  return text:sub(1, stop - 1)
end

local function tail(text, room)
  local width, start = 0, #text + 1
  while start > 1 do
    local at = utf8.offset(text, -1, start)
    width = width + width_of(utf8.codepoint(text, at))
    if width > room then
      break
    end
    start = at
  end
  return text:sub(start)
end

--- A text that takes at most `room` cells: cut in the middle, where names differ least.
---@param text string
---@param room integer
---@return string
function layout.cut(text, room)
  if layout.width(text) <= room then
    return text
  end
  if not utf8.len(text) then
    return text:sub(1, room)
  end
  if room < 3 then
    return head(text, room)
  end
  local front = room // 2
  return head(text, front) .. ELLIPSIS .. tail(text, room - 1 - front)
end

--- The text in `room` cells, cut or filled up.
---@param text string
---@param room integer
---@param right? boolean  filled up in front
---@return string
function layout.fit(text, room, right)
  text = layout.cut(text, room)
  local fill = (" "):rep(room - layout.width(text))
  return right and fill .. text or text .. fill
end

---@class cli.Column
---@field title string
---@field rank integer     the lower, the longer it stays when there is little room
---@field least? integer   it may be cut down to so many cells; else it never is
---@field most? integer    and never has more
---@field right? boolean   its words end at one edge

local function natural_widths(columns, rows)
  local widths = {}
  for i, column in ipairs(columns) do
    widths[i] = layout.width(column.title)
    for _, row in ipairs(rows) do widths[i] = math.max(widths[i], layout.width(row[i])) end
    if column.most then
      widths[i] = math.min(widths[i], math.max(column.most, #column.title))
    end
  end
  return widths
end

--- Which columns there is room for, the most important first, at their least width.
local function choose(columns, widths, room)
  local by_rank, chosen, used = {}, {}, -GAP
  for i in ipairs(columns) do by_rank[i] = i end
  table.sort(by_rank, function(a, b) return columns[a].rank < columns[b].rank end)
  for place, i in ipairs(by_rank) do
    local least = math.min(columns[i].least or widths[i], widths[i])
    if place == 1 then
      least = math.min(least, room)
    elseif used + GAP + least > room then
      break
    end
    used = used + GAP + least
    chosen[i] = least
  end
  return chosen, room - used
end

--- Which columns are shown, and how wide.
---@param columns cli.Column[]
---@param rows string[][]  a word for each column
---@param room integer     cells
---@return table<integer, integer> widths  by the number of the column
function layout.measure(columns, rows, room)
  local natural = natural_widths(columns, rows)
  local widths, left = choose(columns, natural, room)
  local by_rank = {}
  for i in pairs(widths) do table.insert(by_rank, i) end
  table.sort(by_rank, function(a, b) return columns[a].rank < columns[b].rank end)
  for _, i in ipairs(by_rank) do
    local more = math.max(0, math.min(left, natural[i] - widths[i]))
    widths[i], left = widths[i] + more, left - more
  end
  return widths
end

--- One row in these widths; `paint(i, text)` may colour a word once it has its width.
---@param columns cli.Column[]
---@param widths table<integer, integer>
---@param row string[]
---@param paint? fun(i: integer, text: string): string
---@return string
function layout.row(columns, widths, row, paint)
  local words, last = {}, 0
  for i in ipairs(columns) do
    if widths[i] then last = i end
  end
  for i, column in ipairs(columns) do
    if widths[i] then
      local text = layout.fit(row[i], widths[i], column.right)
      if i == last then text = text:gsub(" +$", "") end
      table.insert(words, paint and paint(i, text) or text)
    end
  end
  return table.concat(words, (" "):rep(GAP))
end

--- The titles, as a row.
---@param columns cli.Column[]
---@return string[]
function layout.titles(columns)
  local titles = {}
  for i, column in ipairs(columns) do titles[i] = column.title end
  return titles
end

--- A whole table: its titles, and a line for each row.
---@param columns cli.Column[]
---@param rows string[][]
---@param room number  cells; math.huge where nobody looks
---@param paint fun(colour: string, text: string): string
---@return string[] lines
function layout.lines(columns, rows, room, paint)
  local widths = layout.measure(columns, rows, room)
  local lines = { paint("dim", layout.row(columns, widths, layout.titles(columns))) }
  for _, row in ipairs(rows) do
    table.insert(lines, layout.row(columns, widths, row))
  end
  return lines
end

return layout
