--- A drawing of a topology as one JSON object: for programs. Pure.
---
--- ```lua
--- io.write(graph_json.write(drawing.make(model)))  --> {"v": 1, "topology": "market", ...
--- ```
---
--- The same keys always, in the same order; what is not known is null. Ends of edges are
--- "id"s of actors, externals and others.
local drawing = require "troupe.topology.graph_drawing"
local json = require "troupe.json"
local names = require "troupe.topology.graph_names"

local graph_json = {}

--- Values of Lua as JSON; a nil, and a hole, are null.
local function scalar(value)
  if value == nil then
    return "null"
  end
  return json.encode(type(value) == "string" and drawing.clean(value) or value)
end

--- A figure that was measured; more digits of it would mean nothing.
local function measured(number)
  return number and ("%.3f"):format(number):gsub("%.?0+$", "") or "null"
end

--- A list, each member written by `write` (default: as a text or number).
local function list(members, write)
  local texts = {}
  for i, member in ipairs(members or {}) do texts[i] = (write or scalar)(member) end
  return "[" .. table.concat(texts, ", ") .. "]"
end

--- An object of { key, its JSON } in this order.
local function object(fields)
  local texts = {}
  for i, field in ipairs(fields) do texts[i] = ('"%s": %s'):format(field[1], field[2]) end
  return "{" .. table.concat(texts, ", ") .. "}"
end

local function node_text(view)
  return function(node)
    local running = node.running or {}
    local is_running
    if view.live then is_running = not node.stopped end
    return object {
      { "name", scalar(node.name) }, { "endpoints", list(names.endpoints(node.node)) },
      { "after", list(node.node.after) }, { "running", scalar(is_running) }, { "host", scalar(running.host) },
      { "pid", scalar(running.pid) },
    }
  end
end

local function actor_text(view)
  return function(thing)
    local actor, found, running = thing.actor or {}, thing.figures or {}, nil
    if view.live then running = thing.kind == "extra" or not thing.stopped end
    return object {
      { "id", scalar(thing.key) }, { "name", scalar(thing.name) }, { "node", scalar(thing.node) },
      { "declared", scalar(thing.actor ~= nil) }, { "script", scalar(actor.script or thing.script) },
      { "source", scalar(actor.source) }, { "instances", scalar(actor.instances) }, { "route", scalar(actor.route) },
      { "running", scalar(running) }, { "instances_running", scalar(actor.instances and found.instances) },
      { "queue", scalar(found.queue) }, { "rate", measured(found.rate) }, { "errors", scalar(found.errors) },
    }
  end
end

local function external_text(thing)
  return object {
    { "id", scalar(thing.key) }, { "name", scalar(thing.name) }, { "endpoint", scalar(thing.external.endpoint) },
    { "from", scalar(thing.external.from) }, { "actor", scalar(thing.external.actor or thing.external.name) },
  }
end

local function other_text(thing)
  return object { { "id", scalar(thing.key) }, { "name", scalar(thing.name) }, { "kind", scalar(thing.kind) } }
end

local function type_text(type)
  return object { { "name", scalar(type.name) }, { "rate", measured(type.rate) }, { "lost", measured(type.lost) } }
end

local function edge_text(edge)
  return object {
    { "from", scalar(edge.from.key) }, { "to", scalar(edge.to.key) }, { "kind", scalar(edge.kind) },
    { "types", list(edge.types, type_text) }, { "answers", list(edge.answers, type_text) },
    { "fields", list(edge.fields) }, { "line", scalar(edge.line) },
  }
end

---@param view graph.Drawing
---@return string  with its newline at the end
function graph_json.write(view)
  local actors, others = {}, {}
  for _, node in ipairs(view.nodes) do table.move(node.things, 1, #node.things, #actors + 1, actors) end
  for _, thing in ipairs(view.others) do table.insert(thing.kind == "extra" and actors or others, thing) end
  local live = view.live and object {
    { "seconds", measured(view.live.seconds) }, { "sampled", scalar(view.live.sampled) },
  }
  return object {
    { "v", "1" }, { "topology", scalar(view.name) }, { "file", scalar(view.file) }, { "live", live or "null" },
    { "nodes", list(view.nodes, node_text(view)) }, { "actors", list(actors, actor_text(view)) },
    { "externals", list(view.externals, external_text) }, { "others", list(others, other_text) },
    { "edges", list(view.edges, edge_text) },
  } .. "\n"
end

return graph_json
