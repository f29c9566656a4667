--- A drawing of a topology as a flowchart of [Mermaid](https://mermaid.js.org). Pure.
---
--- ```lua
--- print(mermaid.write(drawing.make(model)))
--- ```
---
--- Everything has an id of our own (n1, a1, e1), so that no name can be a word of the language,
--- and its texts are in quotes, with all that could mean something written as a number.
local drawing = require "troupe.topology.graph_drawing"
local graph_writer = require "troupe.topology.graph_writer"

local mermaid = {}

-- How a thing is drawn: the brackets around its text.
local SHAPES = {
  actor = { '["', '"]' }, group = { '[["', '"]]' }, extra = { '("', '")' }, external = { '{{"', '"}}' },
  outside = { '(["', '"])' }, unknown = { '>"', '"]' },
}
local ID = { external = "e", outside = "u", unknown = "u" } -- of the others: "a"
local ARROWS = { link = "-->", ref = "--o", undeclared = "-.->" }

-- Whether a character that mostly means nothing does there, where its text is read as Markdown, and
-- looked through for icons: "fa:fa-bell", "https://...", "www.x.org", "1. first", "_loud_".
local MEANS = {
  ["_"] = function(before, after) return not (before:find("%w$") and after:find("^%w")) end,
  ["-"] = function(before) return before == "" end,
  [":"] = function(before, after) return after:find("^fa%-") or before:find("https?$") or before:find("ftp$") end,
  ["."] = function(before) return before:find("^%d*$") or before:lower():find("www$") end,
  [")"] = function(before) return before:find("^%d*$") end,
}

--- A text in a label. In Mermaid "#35;" is "#".
---@param text string
---@return string
function mermaid.escape(text)
  text = text:match("^ *(.-) *$")
  return (text:gsub("()([\0-\127])", function(at, char)
    local may_mean = MEANS[char]
    local plain = char:find("[%w ,/(']")
    if may_mean then
      plain = not may_mean(text:sub(1, at - 1), text:sub(at + 1))
    end
    return not plain and ("#%d;"):format(char:byte()) or nil
  end))
end

local LANGUAGE = { indent = "    ", escape = mermaid.escape, line_break = "<br/>" }

local Writer = setmetatable({}, graph_writer)
Writer.__index = Writer

function Writer:new_id(letter)
  self.last[letter] = (self.last[letter] or 0) + 1
  return letter .. self.last[letter]
end

function Writer:mark(class, id)
  self.marked[class] = self.marked[class] or {}
  table.insert(self.marked[class], id)
end

function Writer:thing(indent, thing)
  local shape, id = SHAPES[thing.kind], self:new_id(ID[thing.kind] or "a")
  self.ids[thing] = id
  self:say(indent, "%s%s%s%s", id, shape[1], self:label(thing.lines), shape[2])
  if thing.stopped then
    self:mark("stopped", id)
  end
end

function Writer:node(node)
  local id = self:new_id "n"
  self:say(1, 'subgraph %s["%s"]', id, self:label(node.lines))
  for _, thing in ipairs(node.things) do self:thing(2, thing) end
  self:say(1, "end")
  if node.stopped then
    self:mark("stopped", id)
  end
end

function Writer:edge(edge)
  local text = #edge.lines > 0 and ('|"%s"|'):format(self:label(edge.lines)) or ""
  self:say(1, "%s %s%s %s", self.ids[edge.from], ARROWS[edge.kind], text, self.ids[edge.to])
end

--- What the marks look like.
function Writer:styles(view)
  local thin = {}
  for i, edge in ipairs(view.edges) do
    if edge.kind == "ref" then table.insert(thin, tostring(i - 1)) end
  end
  if #thin > 0 then
    self:say(1, "linkStyle %s stroke-width:1px", table.concat(thin, ","))
  end
  if self.marked.stopped then
    self:say(1, "classDef stopped fill:#eee,stroke:#999,color:#999")
    self:say(1, "class %s stopped", table.concat(self.marked.stopped, ","))
  end
end

---@param view graph.Drawing
---@return string
function mermaid.write(view)
  local self = graph_writer.new(Writer, LANGUAGE)
  self.last, self.marked = {}, {}
  self:say(0, "flowchart LR")
  if view.live then
    self:say(1, "%%%% %s", mermaid.escape(drawing.measured(view)))
  end
  self:parts(view)
  self:styles(view)
  return self:text()
end

return mermaid
