--- A drawing of a topology in the language of Graphviz. Pure.
---
--- ```lua
--- print(dot.write(drawing.make(model)))   -- for: dot -Tsvg
--- ```
local drawing = require "troupe.topology.graph_drawing"
local graph_writer = require "troupe.topology.graph_writer"

local dot = {}

-- How things and edges are drawn, beside their texts.
local THINGS = {
  actor = "", group = ", peripheries=2", extra = ', style="rounded,filled"', external = ", shape=hexagon",
  outside = ", shape=oval", unknown = ', shape=note, style="dashed"',
}
local EDGES = {
  link = "", ref = ', penwidth=0.5, arrowhead=odot, color="#777777", fontcolor="#777777"', undeclared = ", style=dashed",
}
local STOPPED = ', color="#999999", fontcolor="#999999", fillcolor="#eeeeee"'

--- A text in quotes. Backslashes mean something in labels, and so do names of characters (&amp;).
---@param text string
---@return string
function dot.escape(text)
  return (text:gsub("&", "&amp;"):gsub('[\\"]', "\\%0"))
end

local LANGUAGE = { indent = "  ", escape = dot.escape, line_break = "\\n" }

local Writer = setmetatable({}, graph_writer)
Writer.__index = Writer

function Writer:thing(indent, thing)
  self.count = self.count + 1
  self.ids[thing] = "t" .. self.count
  self:say(indent, '%s [label="%s"%s%s];', self.ids[thing], self:label(thing.lines), THINGS[thing.kind],
           thing.stopped and STOPPED or "")
end

function Writer:node(node, number)
  self:say(1, "subgraph cluster_%d {", number)
  self:say(2, 'label="%s";', self:label(node.lines))
  self:say(2, node.stopped and 'style="rounded,dashed"; color="#999999"; fontcolor="#999999";' or "style=rounded;")
  for _, thing in ipairs(node.things) do self:thing(2, thing) end
  if #node.things == 0 then -- what is empty is not drawn
    self:say(2, 'empty_%d [label="", shape=none];', number)
  end
  self:say(1, "}")
end

function Writer:edge(edge)
  self:say(1, '%s -> %s [label="%s"%s];', self.ids[edge.from], self.ids[edge.to], self:label(edge.lines), EDGES[edge.kind])
end

---@param view graph.Drawing
---@return string
function dot.write(view)
  local self = graph_writer.new(Writer, LANGUAGE)
  self.count = 0
  self:say(0, 'digraph "%s" {', dot.escape(drawing.clean(view.name)))
  self:say(1, 'charset="UTF-8"; rankdir=LR; fontname="sans-serif";')
  if view.live then
    self:say(1, 'label="%s";', dot.escape(drawing.measured(view)))
  end
  self:say(1, 'node [shape=box, style=filled, fillcolor=white, fontname="sans-serif"];')
  self:say(1, 'edge [fontname="sans-serif", fontsize=11];')
  self:parts(view)
  self:say(0, "}")
  return self:text()
end

return dot
