--- A topology as a drawing: Mermaid, DOT, JSON. Pure.
---
--- ```lua
--- local model = topology.load("market.lua")
--- print(graph.mermaid(model))          -- as it is written
--- print(graph.dot(model, live))        -- and as it runs: live is what troupe.topology.graph_traffic found
--- ```
local dot = require "troupe.topology.graph_dot"
local drawing = require "troupe.topology.graph_drawing"
local json = require "troupe.topology.graph_json"
local mermaid = require "troupe.topology.graph_mermaid"

local graph = {}

--- How many edges it has: some programs draw no more than 500.
---@param model topology.Model
---@param live? graph.Live
---@return integer
function graph.edges(model, live)
  return #drawing.make(model, live).edges
end

--- A flowchart of [Mermaid](https://mermaid.js.org), with its newline at the end.
---@param model topology.Model
---@param live? graph.Live
---@return string
function graph.mermaid(model, live)
  return mermaid.write(drawing.make(model, live))
end

--- A digraph in Graphviz's language, with its newline at the end.
---@param model topology.Model
---@param live? graph.Live
---@return string
function graph.dot(model, live)
  return dot.write(drawing.make(model, live))
end

--- One JSON object on one line, whose keys are always there.
---@param model topology.Model
---@param live? graph.Live
---@return string
function graph.json(model, live)
  return json.write(drawing.make(model, live))
end

return graph
