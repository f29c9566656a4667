--- Reads Mermaid's flowcharts, as far as we write them, and refuses what its grammar does,
--- and what it would read as something else than text: for specs.
---
--- ```lua
--- local chart = flowchart.read('flowchart LR\n    a1["feed<br/>x#35;1"]\n    a2["book"]\n    a1 -.->|"Tick"| a2\n')
--- chart.things   --> { { id = "a1", shape = "box", lines = { "feed", "x#1" } }, ... }; `box` is the id of a subgraph
--- chart.edges    --> { { from = "a1", arrow = "-.->", to = "a2", lines = { "Tick" } } }
--- chart.boxes    --> the subgraphs, as things
--- chart.classes  --> { stopped = { "a1" } }
--- chart.thin     --> the numbers of edges from 0 that linkStyle speaks of
--- ```
local flowchart = {}

local SHAPES = { -- a longer bracket before one that it begins with
  { "%[%[", "%]%]", "double box" }, { "%(%[", "%]%)", "oval" }, { "{{", "}}", "hexagon" }, { "%[", "%]", "box" },
  { "%(", "%)", "round box" }, { ">", "%]", "flag" },
}
local ARROWS = { "-.->", "-->", "--o" }

-- Words that begin a statement, or end one, and what would join an arrow ("--o", "--x").
local KEYWORDS = { ["end"] = true, subgraph = true, graph = true, flowchart = true, style = true, linkstyle = true,
                   classdef = true, class = true, click = true, call = true, href = true, direction = true,
                   default = true, interpolate = true, o = true, x = true }

-- What Markdown would make of a line of a label, or Mermaid of it before.
local MEANINGS = {
  ['["`#;&$|\\{}%[%]*~<>@=+!^%%]'] = "a character that means something",
  ["^%d*[.)]"] = "a numbered list", ["^[-]"] = "a list", ["^%s"] = "space in front", ["%s$"] = "space behind",
  ["%f[%w_]_"] = "emphasis begins", ["_%f[^%w_]"] = "emphasis ends", ["__"] = "strong emphasis",
  ["www%."] = "a link", ["https?:"] = "a link", ["ftp:"] = "a link", [":fa%-"] = "an icon",
  ["[\0-\31\127]"] = "a control character",
}

local function text_of(written, number)
  local plain = written:gsub("#%d+;", "\u{2022}")
  for pattern, what in pairs(MEANINGS) do
    assert(not plain:lower():find(pattern), ("line %d: %s in a text: %s"):format(number, what, written))
  end
  assert(utf8.len(written), ("line %d is no UTF-8"):format(number))
  return (written:gsub("#(%d+);", function(code) return utf8.char(tonumber(code)) end))
end

local function lines_of(written, number)
  local lines = {}
  for line in (written .. "<br/>"):gmatch("(.-)<br/>") do table.insert(lines, text_of(line, number)) end
  return lines
end

local function check_id(id, number)
  assert(id:find("^%a%w*$") and not KEYWORDS[id:lower()] and not id:find("^[ox]"),
         ("line %d: '%s' is not good as an id"):format(number, id))
  return id
end

local function read_thing(line, number)
  for _, shape in ipairs(SHAPES) do
    local id, text = line:match('^(%w+)' .. shape[1] .. '"([^"]*)"' .. shape[2] .. "$")
    if id then
      return { id = check_id(id, number), shape = shape[3], lines = lines_of(text, number) }
    end
  end
end

local function read_edge(line, number)
  local from, rest = line:match("^(%w+) (.*)$")
  for _, arrow in ipairs(ARROWS) do
    if rest and rest:sub(1, #arrow) == arrow then
      local text, to = rest:sub(#arrow + 1):match('^|"([^"]*)"| (%w+)$')
      to = to or rest:sub(#arrow + 1):match("^ (%w+)$")
      assert(to, ("line %d: no receiver behind %s: %s"):format(number, arrow, line))
      return { from = from, arrow = arrow, to = to, lines = text and lines_of(text, number) or {} }
    end
  end
end

local function read_style(chart, line, number)
  local numbers = line:match("^linkStyle ([%d,]+) [%w:,#-]+$")
  for place in (numbers or ""):gmatch("%d+") do
    assert(tonumber(place) < #chart.edges, ("line %d: there is no edge %s"):format(number, place))
    table.insert(chart.thin, tonumber(place))
  end
  local ids, class = line:match("^class ([%w,]+) (%w+)$")
  if ids then
    assert(chart.defined[class], ("line %d: there is no class %s"):format(number, class))
    chart.classes[class] = {}
    for id in ids:gmatch("%w+") do table.insert(chart.classes[class], id) end
  end
  local defined = line:match("^classDef (%w+) [%w:,#]+$")
  if defined then chart.defined[defined] = true end
  assert(numbers or ids or defined, ("line %d is no statement: %s"):format(number, line))
end

---@param text string
---@return table chart
function flowchart.read(text)
  local chart = { boxes = {}, things = {}, edges = {}, classes = {}, thin = {}, comments = {}, defined = {}, ids = {} }
  local number, box = 0, nil
  local function add(list, thing)
    assert(not chart.ids[thing.id], "twice: " .. thing.id)
    chart.ids[thing.id] = thing
    table.insert(list, thing)
  end
  assert(text:sub(-1) == "\n", "the last line has no end")
  for line in text:gmatch("([^\n]*)\n") do
    number = number + 1
    line = line:gsub("^%s+", "")
    local id, title = line:match('^subgraph (%w+)%["([^"]*)"%]$')
    local thing = not id and read_thing(line, number)
    local edge = not id and not thing and read_edge(line, number)
    if number == 1 then
      assert(line == "flowchart LR", "it begins with: " .. line)
    elseif line:find("^%%%% %S") then
      assert(not line:find("[{}]"), "a comment that is a directive: " .. line)
      table.insert(chart.comments, line:sub(4))
    elseif id then
      assert(not box, ("line %d: a box in a box"):format(number))
      box = { id = check_id(id, number), lines = lines_of(title, number) }
      add(chart.boxes, box)
    elseif line == "end" then
      assert(box, ("line %d ends nothing"):format(number))
      box = nil
    elseif thing then
      thing.box = box and box.id
      add(chart.things, thing)
    elseif edge then
      assert(chart.ids[edge.from] and chart.ids[edge.to], ("line %d: an end is nowhere: %s"):format(number, line))
      table.insert(chart.edges, edge)
    else
      read_style(chart, line, number)
    end
  end
  assert(not box, "a box has no end")
  return chart
end

return flowchart
