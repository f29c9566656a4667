--- What a drawing of a topology consists of, whatever it is drawn with: nodes with
--- the things in them, other things, and edges; all with their texts. Pure.
---
--- ```lua
--- local view = drawing.make(model)
--- view.nodes[1].lines            --> { "feed", "tcp://127.0.0.1:5001" }
--- view.nodes[1].things[1].lines  --> { "feed", "actors/feed.lua" }
--- view.edges[1].lines            --> { "Tick" }
--- ```
---
--- Things are actors, groups of instances, externals, and what is met beside them: actors
--- that the topology does not name, somebody outside, names that lead nowhere. An edge is a
--- link, a ref in a config where there is no link, or traffic that no link declares.
local figures = require "troupe.cli.figures"
local names = require "troupe.topology.graph_names"

local LINE = 40 -- characters of a label's line, where it can be broken, and of an inline script
local ARROW, ABOUT = "→", "≈"

local drawing = {}

---@class graph.Thing
---@field key string      names it in this topology: that of an actor or external; "NAME@NODE" of others; "@" is outside
---@field name string
---@field kind string     "actor", "group", "extra", "external", "outside" or "unknown"
---@field lines string[]  what is written in it
---@field stopped boolean it does not run, though it was looked for
---@field node string?
---@field actor table?    of the model
---@field external table?
---@field figures graph.Figures?
---@field script string?  of an extra

---@class graph.Node
---@field name string
---@field lines string[]
---@field stopped boolean
---@field things graph.Thing[]
---@field node table  of the model
---@field running table?

---@class graph.EdgeType  a type of message, and how much of it passes
---@field name string
---@field rate number?  a second
---@field lost number?  of these, not handled
---@field sampled boolean?  reckoned from a part of the messages

---@class graph.Edge
---@field kind string  "link", "ref" or "undeclared"
---@field from graph.Thing
---@field to graph.Thing
---@field lines string[]
---@field types graph.EdgeType[]
---@field answers graph.EdgeType[]
---@field fields string[]  of a ref: where it stands in the config
---@field line integer?    of the file

---@class graph.Drawing
---@field name string
---@field file string?
---@field live graph.Live?
---@field nodes graph.Node[]
---@field externals graph.Thing[]
---@field others graph.Thing[]  in no node
---@field edges graph.Edge[]

-------------------------------------------------------------------- texts ----

--- Text that can be written anywhere: whole UTF-8, without control characters.
---@param text string
---@return string
function drawing.clean(text)
  local valid = utf8.len(text)
  while not valid do
    local _, at = utf8.len(text)
    text = text:sub(1, at - 1) .. "\u{FFFD}" .. text:sub(at + 1)
    valid = utf8.len(text)
  end
  return (text:gsub("[\0-\31\127]", " "):gsub("\xC2[\x80-\x9F]", " "))
end
local clean = drawing.clean

local function cut(text, most)
  if utf8.len(text) <= most then
    return text
  end
  return text:sub(1, utf8.offset(text, most) - 1) .. "…"
end

--- Words with ", " between them, broken into lines where they get long.
local function wrap(words)
  local lines = {}
  for i, word in ipairs(words) do
    word = word .. (i < #words and "," or "")
    local last = lines[#lines]
    if last and utf8.len(last) + 1 + utf8.len(word) <= LINE then
      lines[#lines] = last .. " " .. word
    else
      table.insert(lines, word)
    end
  end
  return lines
end

local function script_text(actor)
  if actor.source then
    local line = clean(actor.source:match("[^\r\n]*%S[^\r\n]*") or ""):gsub("^%s+", "")
    return "inline: " .. cut(line, LINE)
  end
  return clean(actor.script or "")
end

local function figures_text(of)
  local words = { "queue " .. figures.count(of.queue), figures.rate(of.rate) .. "/s" }
  if of.errors > 0 then
    table.insert(words, of.errors == 1 and "1 error" or figures.count(of.errors) .. " errors")
  end
  return table.concat(words, ", ")
end

local function type_text(type)
  local text = clean(type.name)
  if not type.rate then
    return text
  end
  local about = type.sampled and ABOUT or ""
  text = ("%s %s%s/s"):format(text, about, figures.rate(type.rate))
  return type.lost > 0 and ("%s (%s%s/s lost)"):format(text, about, figures.rate(type.lost)) or text
end

local function types_text(types)
  local words = {}
  for i, type in ipairs(types) do words[i] = type_text(type) end
  return wrap(words)
end

local function edge_text(edge)
  if edge.kind == "ref" then
    return wrap(edge.fields)
  end
  local lines, answers = types_text(edge.types), types_text(edge.answers)
  if #answers > 0 then
    answers[1] = ARROW .. " " .. answers[1]
  end
  if #lines == 1 and #answers == 1 then
    return { lines[1] .. " " .. answers[1] }
  end
  return table.move(answers, 1, #answers, #lines + 1, lines)
end

------------------------------------------------------------------- things ----

---@class graph.Maker
---@field view graph.Drawing
---@field live graph.Live?
---@field names graph.Names
---@field things table<string, graph.Thing>  by key
---@field nodes table<string, graph.Node>    by name
local Maker = {}
Maker.__index = Maker

local function state_lines(self, thing, list)
  if self.live then
    thing.figures = self.live.actors[thing.key]
    thing.stopped = thing.figures == nil
    table.insert(list, thing.stopped and "not running" or figures_text(thing.figures))
  end
  thing.lines = list
end

function Maker:add_actor(actor, node)
  local thing = { key = actor.name, name = actor.name, actor = actor, node = node.name, stopped = false,
                  kind = actor.instances and "group" or "actor" }
  local lines = { clean(actor.name), script_text(actor) }
  if actor.instances then
    local found, count = self.live and self.live.actors[actor.name], "x" .. actor.instances
    if found and found.instances ~= actor.instances then
      count = ("%d of %s"):format(found.instances, count)
    end
    table.insert(lines, count .. (actor.route and ", " .. clean(actor.route) or ""))
  end
  state_lines(self, thing, lines)
  self.things[thing.key] = thing
  return thing
end

function Maker:add_node(node)
  local running = self.live and self.live.nodes[node.name]
  local stopped = self.live ~= nil and not running
  local drawn = { name = node.name, node = node, running = running, stopped = stopped, things = {},
                  lines = { clean(node.name) } }
  for _, endpoint in ipairs(names.endpoints(node)) do table.insert(drawn.lines, clean(endpoint)) end
  if stopped then
    table.insert(drawn.lines, "not running")
  end
  for _, actor in ipairs(node.actors) do table.insert(drawn.things, self:add_actor(actor, node)) end
  self.nodes[node.name] = drawn
  table.insert(self.view.nodes, drawn)
end

function Maker:add_external(external)
  local lines = { clean(external.name) }
  if external.from then table.insert(lines, clean(external.from)) end
  if external.endpoint then table.insert(lines, clean(external.endpoint)) end
  local thing = { key = external.name, name = external.name, kind = "external", external = external, stopped = false,
                  lines = lines }
  self.things[thing.key] = thing
  table.insert(self.view.externals, thing)
end

--- An actor that was met, and is none of the topology's.
function Maker:add_extra(extra)
  local thing = { key = extra.key, name = extra.name, kind = "extra", node = extra.node, figures = extra.figures,
                  script = extra.script, stopped = false, lines = { clean(extra.name) } }
  if extra.script then table.insert(thing.lines, clean(extra.script)) end
  if extra.figures then
    table.insert(thing.lines, figures_text(extra.figures))
  end
  self.things[thing.key] = thing
  local node = extra.node and self.nodes[extra.node]
  table.insert(node and node.things or self.view.others, thing)
end

--- Where a name of the file leads, or a key of the traffic; for what is nowhere there is a
--- thing that says so.
function Maker:find(name)
  local key = self.things[name] and name or self.names:key(name) or name
  if not self.things[key] then
    local actor, endpoint = key:match("^([^@]+)@(.*:.*)$")
    local thing = { key = key, name = key, stopped = false, kind = key == names.OUTSIDE and "outside" or "unknown",
                    lines = { clean(actor or key), endpoint and clean(endpoint) or "not in the topology" } }
    if thing.kind == "outside" then
      thing.name, thing.lines = "outside", { "outside" }
    end
    self.things[key] = thing
    table.insert(self.view.others, thing)
  end
  return self.things[key]
end

-------------------------------------------------------------------- edges ----

function Maker:add_edge(edge)
  edge.types, edge.answers, edge.fields = edge.types or {}, edge.answers or {}, edge.fields or {}
  table.insert(self.view.edges, edge)
  return edge
end

local function named(list)
  local types = {}
  for i, type in ipairs(list or {}) do types[i] = { name = type.name } end
  return types
end

function Maker:add_link(link)
  local from, to = self:find(link.from), self:find(link.to)
  self.linked[from.key .. "\0" .. to.key] = true
  self:add_edge { kind = "link", from = from, to = to, types = named(link.types), answers = named(link.answers),
                  line = link.line }
end

--- Calls `body(path, text)` for each ref in a config, in the order of its keys.
local function each_ref(value, path, body)
  if type(value) ~= "table" then
    return
  end
  if type(value["$ref"]) == "string" then
    return body(path, value["$ref"])
  end
  local keys = {}
  for key in pairs(value) do table.insert(keys, key) end
  table.sort(keys, function(a, b)
    if type(a) ~= type(b) then
      return type(a) < type(b)
    end
    return type(a) == "boolean" and not a or type(a) ~= "boolean" and a < b
  end)
  for _, key in ipairs(keys) do
    local step = type(key) ~= "string" and ("[%s]"):format(key) or (path == "" and "" or ".") .. clean(key)
    each_ref(value[key], path .. step, body)
  end
end

function Maker:add_refs(actor)
  local from, edges = self.things[actor.name], {}
  each_ref(actor.config, "", function(path, text)
    local to = self:find(text)
    if to == from or self.linked[from.key .. "\0" .. to.key] then
      return
    end
    edges[to] = edges[to] or self:add_edge { kind = "ref", from = from, to = to, line = actor.line }
    table.insert(edges[to].fields, path)
  end)
end

------------------------------------------------------------------ traffic ----

local function same_way(traffic, from, to) return traffic.from == from.key and traffic.to == to.key end

--- Gives a declared type the traffic that nobody has had yet; how much of it passes stays
--- unknown where another link of the two declares it, too, and has it.
local function take(self, type, matches)
  local had
  for _, traffic in ipairs(self.live.traffic) do
    if traffic.type == type.name and matches(traffic) then
      if self.had[traffic] then
        had = true
      else
        self.had[traffic] = true
        type.rate, type.lost = (type.rate or 0) + traffic.rate, (type.lost or 0) + traffic.lost
        type.sampled = type.sampled or traffic.sampled
      end
    end
  end
  if not type.rate and not had then
    type.rate, type.lost, type.sampled = 0, 0, self.live.sampled
  end
end

function Maker:measure_links()
  self.had = {}
  for _, edge in ipairs(self.view.edges) do
    for _, type in ipairs(edge.types) do
      take(self, type, function(traffic) return not traffic.answer and same_way(traffic, edge.from, edge.to) end)
    end
  end
  for _, edge in ipairs(self.view.edges) do -- an answer may come as a message of its own, too
    for _, type in ipairs(edge.answers) do
      take(self, type, function(traffic) return same_way(traffic, edge.to, edge.from) end)
    end
  end
end

--- What passes without being declared, an edge for two; an answer belongs to who asked.
function Maker:add_undeclared()
  local edges = {}
  for _, traffic in ipairs(self.live.traffic) do
    if not self.had[traffic] then
      local from, to = traffic.from, traffic.to
      if traffic.answer then from, to = to, from end
      local way = from .. "\0" .. to
      edges[way] = edges[way] or self:add_edge { kind = "undeclared", from = self:find(from), to = self:find(to) }
      table.insert(traffic.answer and edges[way].answers or edges[way].types,
                   { name = traffic.type, rate = traffic.rate, lost = traffic.lost, sampled = traffic.sampled })
    end
  end
end

--- What is said of the measuring, in a drawing with figures.
---@param view graph.Drawing
---@return string
function drawing.measured(view)
  return ("%s, measured for %s%s"):format(clean(view.name), figures.duration(view.live.seconds),
                                          view.live.sampled and ", ≈ is reckoned from a part of the messages" or "")
end

---@param model topology.Model
---@param live? graph.Live  what was measured
---@return graph.Drawing
function drawing.make(model, live)
  local view = { name = model.name, file = model.file, live = live, nodes = {}, externals = {}, others = {}, edges = {} }
  local self = setmetatable({ view = view, live = live, names = names.new(model), things = {}, nodes = {}, linked = {} },
                            Maker)
  for _, node in ipairs(model.nodes) do self:add_node(node) end
  for _, external in ipairs(model.externals) do self:add_external(external) end
  for _, extra in ipairs(live and live.extras or {}) do self:add_extra(extra) end
  for _, link in ipairs(model.links) do self:add_link(link) end
  if live then
    self:measure_links()
  end
  for _, node in ipairs(model.nodes) do
    for _, actor in ipairs(node.actors) do self:add_refs(actor) end
  end
  if live then
    self:add_undeclared()
  end
  for _, edge in ipairs(view.edges) do edge.lines = edge_text(edge) end
  return view
end

return drawing
