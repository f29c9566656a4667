--- What passes between the actors of a topology, made of what its running hosts tell:
--- whose host is which node, figures of actors, and traced messages, counted. Pure.
---
--- ```lua
--- local places = traffic.places(model, infos)       -- infos: what hosts answer to "info"
--- local count = traffic.new(model, places)
--- count:add(places[1], row)                         -- a row of its trace
--- local found, extras = count:finish()
--- ```
---
--- A message between two hosts is seen by both, and counted where it arrives. One to a group is
--- seen again on its way to an instance, and counted once.
local figures = require "troupe.cli.figures"
local names = require "troupe.topology.graph_names"

local EXTRAS = 8 -- actors of one host that the topology does not name; more are one thing

local traffic = {}

---@class graph.Place  a running host of the topology
---@field info table       what it says of itself
---@field node table?      of the model; nil: it has them all
---@field title string     the name of that node, or of the host
---@field count integer    messages that were traced
---@field part number      of how many each of these is one: 1, or more if it is a sample
---@field seconds number   how long it was traced
---@field rows table[]?    its actors, as ps shows them

---@class graph.Figures
---@field queue integer
---@field rate number
---@field errors integer
---@field instances integer?  of a group: how many run

---@class graph.Flow
---@field from string   key
---@field to string     key
---@field type string
---@field answer boolean
---@field rate number   messages a second
---@field lost number   of these, not handled
---@field sampled boolean  reckoned from a part of them

---@class graph.Live
---@field seconds number
---@field sampled boolean                    some of the traffic is reckoned from a part of it
---@field nodes table<string, table>         those that run, by name: { host = name, pid = number }
---@field actors table<string, graph.Figures>  those that run, by name
---@field extras table[]                     { key, name, node?, script?, figures? }
---@field traffic graph.Flow[]

------------------------------------------------------------------- places ----

--- Of a long name a host tells the beginning, and "~".
local function is_called(info, name)
  local cut = info.name:match("^(.*)~$")
  return info.name == name or cut ~= nil and name:sub(1, #cut) == cut
end

local function node_of(model, says)
  for _, node in ipairs(model.nodes) do
    if says(node.name) then
      return node
    end
  end
end

--- The hosts that run this topology: those that say so; or if none does, those that belong to
--- no topology and are called like a node, or like the topology, which then is all of it.
---@param model topology.Model
---@param infos table[]  what they answer to "info", without nulls
---@return graph.Place[] places, table[] surplus  those that run a node which another runs as well
function traffic.places(model, infos)
  local places, surplus, taken = {}, {}, {}
  local function add(info, says)
    local node = node_of(model, says)
    if not node and not says(model.name) then
      return
    end
    local title = node and node.name or model.name
    if taken[title] then
      table.insert(surplus, info)
      return
    end
    taken[title] = true
    table.insert(places, { info = info, node = node, title = title, count = 0, part = 1, seconds = 0 })
  end
  for _, info in ipairs(infos) do
    if info.topology == model.name then
      add(info, function(name) return info.node == name end)
    end
  end
  if #places == 0 then
    for _, info in ipairs(infos) do
      if not info.topology then
        add(info, function(name) return is_called(info, name) end)
      end
    end
  end
  return places, surplus
end

------------------------------------------------------------------ figures ----

local function has(place, known, key)
  local node = key and known:node_of(key)
  return node ~= nil and (not place.node or node == place.node.name)
end

--- The key of an actor of this host that the topology names, or nil.
local function key_in(place, known, name)
  if has(place, known, name) then
    return name
  end
  local group = known:group_of(name)
  return has(place, known, group) and group or nil
end

--- Those of an actor as ps shows it, or of nobody yet.
---@param row? table
---@return graph.Figures
function traffic.figures_of(row)
  if not row then
    return { queue = 0, rate = 0, errors = 0, instances = 0 }
  end
  return { queue = figures.in_mailbox(row) + row.parked, rate = row.rate, errors = row.errors, instances = 1 }
end

local function add_figures(to, row, known)
  local of = traffic.figures_of(row)
  to.queue, to.errors = to.queue + of.queue, to.errors + of.errors
  if not known:is_group(row.name) then -- what passes its router is counted at the instances
    to.rate, to.instances = to.rate + of.rate, to.instances + 1
  end
end

--- The figures of all that runs.
---@param model topology.Model
---@param places graph.Place[]  with their rows
---@return table<string, graph.Figures>
function traffic.figures(model, places)
  local known, found = names.new(model), {}
  for _, place in ipairs(places) do
    for _, row in ipairs(place.rows) do
      local key = key_in(place, known, row.name)
      if key then
        found[key] = found[key] or traffic.figures_of()
        add_figures(found[key], row, known)
      end
    end
  end
  return found
end

------------------------------------------------------------------ messages ----

---@class graph.Count
---@field private names graph.Names
---@field private at table<string, graph.Place>  by endpoint
---@field private flows table<graph.Place, table<string, table>>
---@field private extras table<string, table>    by key
---@field private unfinished table<graph.Place, table<integer, table>>
local Count = {}
Count.__index = Count

---@param model topology.Model
---@param places graph.Place[]
---@return graph.Count
function traffic.new(model, places)
  local self = setmetatable({ names = names.new(model), at = {}, flows = {}, extras = {}, unfinished = {} }, Count)
  for _, place in ipairs(places) do
    self.flows[place], self.unfinished[place] = {}, {}
    if place.info.endpoint then
      self.at[names.normalise(place.info.endpoint)] = place
    end
  end
  self.of = {} -- the places of nodes, by name
  for _, node in ipairs(model.nodes) do
    for _, place in ipairs(places) do
      if not place.node or place.node == node then self.of[node.name] = place end
    end
  end
  return self
end

--- The place that "tcp://127.0.0.1:5001", or "feed", is.
function Count:place_at(where)
  local node = self.names:node_at(where)
  return self.at[names.normalise(where)] or self.of[node and node.name or where]
end

function Count:local_key(place, name)
  if name:find("^%$") or name:find("^attach#%d+$") then
    return names.OUTSIDE -- who asks, or looks in, through the control socket
  elseif name == "node." .. place.title then
    return nil -- what starts the others
  end
  local key = key_in(place, self.names, name)
  if not key then
    key = name .. "@" .. place.title
    self.extras[key] = self.extras[key] or { key = key, name = name, place = place, node = place.node and place.node.name,
                                             count = 0 }
  end
  return key
end

--- The key of who is called `name` in this host, and the place where that is; nil: nobody to speak of.
function Count:who(place, name)
  if not name then
    return names.OUTSIDE
  end
  local actor, where = names.split(name)
  local there = place
  if where then there = self:place_at(where) end
  if there then
    return self:local_key(there, actor), there, actor
  end
  return self.names:key(actor .. "@" .. where) or names.OUTSIDE
end

local UNHANDLED = { ["dead letter"] = true, refused = true, ["no handler"] = true }

--- Counts a message. One that is not over yet comes again when it is.
---@param place graph.Place
---@param row table  of its trace, without nulls
function Count:add(place, row)
  local before = self.unfinished[place][row.n]
  local lost = UNHANDLED[row.outcome] and 1 or 0
  if before then
    before.lost = before.lost + lost
    return
  end
  local from = self:who(place, row.from)
  local to, there, actor = self:who(place, row.to)
  if not from or not to or from == to or row.outcome == "sent away" and there then
    return
  end
  local flows, answer = self.flows[place], row.kind == "reply"
  local inner = self.names:is_group(to) and actor ~= to
  local way = table.concat({ from, to, row.type or "?", answer and "answer" or "" }, "\0")
  flows[way] = flows[way] or { from = from, to = to, type = row.type or "?", answer = answer,
                               outer = { count = 0, lost = 0 }, inner = { count = 0, lost = 0 } }
  local counter = inner and flows[way].inner or flows[way].outer
  counter.count, counter.lost = counter.count + 1, counter.lost + lost
  place.count = place.count + 1
  for _, key in ipairs { from, to } do
    local extra = self.extras[key]
    if extra then extra.count = extra.count + 1 end
  end
  if row.outcome == "waiting" or row.outcome == "running" then
    self.unfinished[place][row.n] = counter
  end
end

--- Keeps those extras of each host that have most to say; the others become one.
local function choose_extras(self)
  local all, kept, count, renamed = {}, {}, {}, {}
  for _, extra in pairs(self.extras) do
    if extra.count > 0 then table.insert(all, extra) end
  end
  table.sort(all, function(a, b)
    if a.count ~= b.count then
      return a.count > b.count
    end
    return a.key < b.key
  end)
  for _, extra in ipairs(all) do
    local title = extra.place.title
    count[title] = (count[title] or 0) + 1
    if count[title] <= EXTRAS then
      table.insert(kept, { key = extra.key, name = extra.name, place = extra.place, node = extra.node })
    else
      renamed[extra.key] = "*@" .. title
      if count[title] == EXTRAS + 1 then
        table.insert(kept, { key = "*@" .. title, place = extra.place, node = extra.node, is_rest = true })
      end
    end
  end
  for _, extra in ipairs(kept) do
    if extra.is_rest then extra.name = ("%d more"):format(count[extra.place.title] - EXTRAS) end
  end
  table.sort(kept, function(a, b) return a.key < b.key end)
  return kept, renamed
end

--- In a host that has all nodes an extra is in that of the actors it speaks with, if these are in one.
local function find_nodes(self, extras)
  local of = {}
  local function note(key, other)
    local node = of[key] ~= false and self.names:node_of(other)
    if node then of[key] = (of[key] == nil or of[key] == node) and node end
  end
  for _, flows in pairs(self.flows) do
    for _, flow in pairs(flows) do
      note(flow.from, flow.to)
      note(flow.to, flow.from)
    end
  end
  for _, extra in ipairs(extras) do extra.node = extra.node or of[extra.key] or nil end
end

--- All flows, as rates, and the actors that were met beside the topology.
---@return graph.Flow[] flows, table[] extras  { key, name, place, node?, is_rest? }
function Count:finish()
  local extras, renamed = choose_extras(self)
  find_nodes(self, extras)
  local sums, list = {}, {}
  for place, flows in pairs(self.flows) do
    local factor = place.part / math.max(place.seconds, 0.001)
    for _, flow in pairs(flows) do
      local from, to = renamed[flow.from] or flow.from, renamed[flow.to] or flow.to
      local way = table.concat({ from, to, flow.type, flow.answer and "answer" or "" }, "\0")
      if not sums[way] then
        sums[way] = { from = from, to = to, type = flow.type, answer = flow.answer, rate = 0, lost = 0,
                      sampled = false, way = way }
        if from ~= to then table.insert(list, sums[way]) end
      end
      local seen = flow.outer.count > 0 and flow.outer or flow.inner
      sums[way].rate = sums[way].rate + seen.count * factor
      sums[way].lost = sums[way].lost + seen.lost * factor
      sums[way].sampled = sums[way].sampled or place.part > 1
    end
  end
  table.sort(list, function(a, b) return a.way < b.way end)
  return list, extras
end

return traffic
