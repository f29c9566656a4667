--- How the parts of a model fit together: names and endpoints that are there once, links, refs
--- and `after` that lead somewhere, and no type with two shapes for one actor.
local Planning = require "troupe.topology.plan"
local Settings = require "troupe.topology.settings"
local Shapes = require "troupe.topology.shapes"
local Words = require "troupe.topology.words"
local options = require "troupe.options"
local tables = require "troupe.tables"

local RING_SHOWN = 10 -- names of a long circle

local Resolve = {}

local shown = Words.shown

-- Tells of each name that stands in `list` again; returns the first of each.
local function check_names(list, what, tell)
  local first = {}
  for _, each in ipairs(list) do
    if each.name and first[each.name] then
      tell.error(each.line, ("the name '%s' is used twice for %s: first in line %d"):format(each.name, what,
        first[each.name].line))
    elseif each.name then
      first[each.name] = each
    end
  end
  return first
end

local function all_actors(model)
  local actors = {}
  for _, node in ipairs(model.nodes) do
    table.move(node.actors, 1, #node.actors, #actors + 1, actors)
  end
  return actors
end

-- The names that hosts make up: those of instances, and of the actor that runs a node.
local function check_made_names(model, list, first, tell)
  for _, each in ipairs(list) do
    local group, number = (each.name or ""):match("^(.+)%.([1-9]%d*)$")
    local of = group and first[group]
    number = math.tointeger(tonumber(number))
    if of and of.instances and of ~= each and number and number <= of.instances then
      tell.error(each.line, ("the name '%s' is that of an instance of '%s' in line %d"):format(each.name, group, of.line))
    end
  end
  for _, node in ipairs(model.nodes) do
    local taken = node.name and first["node." .. node.name]
    if taken then
      tell.error(taken.line, ("the name '%s' is that of the actor that runs the node '%s': take another"):format(
        taken.name, node.name))
    end
  end
end

local function endpoint_of(text, for_bind)
  if not text then return nil end
  local flat, rest = text:match("^(flat:)(.*)$")
  local endpoint = options.endpoint(rest or text, for_bind)
  return endpoint and (flat or "") .. endpoint
end

local function port_of(endpoint) return endpoint:match(":(%d+)$") end

local function is_any(endpoint)
  return endpoint:find("^tcp://%*:") or endpoint:find("^tcp://0%.0%.0%.0:") or endpoint:find("^tcp://%[::%]:")
end

-- What is bound so far, by port. `find(endpoint)` gives what keeps that from being bound.
local function make_ports()
  local ports = {}
  return {
    find = function(endpoint)
      for _, other in ipairs(ports[port_of(endpoint)] or {}) do
        if other.endpoint == endpoint or is_any(other.endpoint) or is_any(endpoint) then return other end
      end
    end,
    add = function(endpoint, node)
      local port = port_of(endpoint)
      ports[port] = ports[port] or {}
      table.insert(ports[port], { endpoint = endpoint, name = node.name or "?", line = node.line })
    end,
  }
end

local function check_endpoints(model, tell)
  local bound = make_ports()
  for _, node in ipairs(model.nodes) do
    local endpoint = endpoint_of(node.bind, true)
    if endpoint and port_of(endpoint) ~= "0" then
      local other = bound.find(endpoint)
      if other then
        tell.error(node.line, ("node '%s': the endpoint %s is used twice: first by node '%s' in line %d"):format(
          node.name or "?", endpoint, other.name, other.line))
      end
      bound.add(endpoint, node)
    end
  end
  local there = {}
  for _, external in ipairs(model.externals) do
    local endpoint = endpoint_of(external.endpoint, false)
    local other = endpoint and bound.find(endpoint)
    local place = endpoint and ("%s@%s"):format(external.actor or "?", endpoint)
    if other then
      tell.error(external.line, ("external '%s': the endpoint %s is used twice: first by node '%s' in line %d"):format(
        external.name or "?", endpoint, other.name, other.line))
    elseif place and there[place] then
      tell.error(external.line, ("external '%s': %s is declared twice: first in line %d"):format(external.name or "?",
        place, there[place]))
    elseif place then
      there[place] = external.line
    end
  end
end

local function check_after(model, find, tell)
  local names = tables.column(model.nodes, "name")
  for _, node in ipairs(model.nodes) do
    for _, name in ipairs(tell.is_full() and {} or node.after) do
      if not find.node(name) then
        tell.error(node.line, ("node '%s': after names no node: there is no %s"):format(node.name or "?", shown(name)),
          Settings.hint(name, names))
      end
    end
  end
end

local function check_rings(model, find, tell)
  for _, ring in ipairs(Planning.rings(model)) do
    local line = find.node(ring[1]).line
    if #ring > RING_SHOWN then ring = { table.concat(ring, " after ", 1, RING_SHOWN), "..." } end
    tell.error(line, ("after goes in a circle: %s: none of them could be the first"):format(
      table.concat(ring, " after ")))
  end
end

-- All names that a ref may lead to.
local function known_names(model)
  local names = tables.column(all_actors(model), "name")
  return table.move(tables.column(model.externals, "name"), 1, #model.externals, #names + 1, names)
end

-- Tells why one of the model's hosts cannot reach an actor on another.
local function check_way(from_node, to_node, line, what, tell)
  if not from_node or not to_node or from_node == to_node or not from_node.name or not to_node.name then return end
  if not to_node.bind then
    tell.error(line, ("%s leads from node '%s' to node '%s', which has no bind: give it one, as bind = \":5001\""):format(
      what, from_node.name, to_node.name))
  elseif not to_node.advertise and port_of(endpoint_of(to_node.bind, true) or "") == "0" then
    tell.error(line, ("%s leads from node '%s' to node '%s', whose port is any: give it one in its bind"):format(
      what, from_node.name, to_node.name))
  end
end

-- Says why a ref cannot be: it has no node or actor of that name.
local function tell_missing(model, find, ref, what, names, tell)
  local name, place = ref.target:match("^(.*)@([^@]*)$")
  if name and not find.node(place) then
    tell.error(ref.line, ("%s: there is no node %s"):format(what, shown(place)),
      Settings.hint(place, tables.column(model.nodes, "name")))
  elseif name then
    tell.error(ref.line, ("%s: there is no actor %s on node '%s'"):format(what, shown(name), place),
      Settings.hint(name, tables.column(find.node(place).actors, "name")))
  else
    tell.error(ref.line, ("%s: there is no actor or external %s"):format(what, shown(ref.target)),
      Settings.hint(ref.target, names))
  end
end

local function check_refs(model, find, refs, tell, open)
  local names = known_names(model)
  for _, ref in ipairs(refs) do
    if tell.is_full() then return end
    local name, place = ref.target:match("^(.*)@([^@]*)$")
    local what = ("actor '%s': %s: ref %s"):format(ref.actor.name or "?", ref.path, shown(ref.target))
    local found, node = find.where(ref.target)
    if name and place:find(":", 1, true) then
      local fine, why = options.endpoint((place:gsub("^flat:", "")), false)
      if name == "" or not fine then
        tell.error(ref.line, ("%s: %s"):format(what, fine and "it names no actor" or why))
      end
    elseif found then
      check_way(find.node(ref.actor.node), node, ref.line, what, tell)
    elseif not open then
      tell_missing(model, find, ref, what, names, tell)
    end
  end
end

local function check_ends(model, find, tell, open)
  local names = known_names(model)
  for _, link in ipairs(model.links) do
    if tell.is_full() then return end
    local nodes = {}
    for _, key in ipairs { "from", "to" } do
      local found, node = find.where(link[key])
      nodes[key] = node
      if link[key] and not found and not open then
        tell.error(link.line, ("link: there is no actor or external %s"):format(shown(link[key])),
          Settings.hint(link[key], names))
      end
    end
    check_way(nodes.from, nodes.to, link.line, ("link from %s to %s"):format(shown(link.from), shown(link.to)), tell)
  end
end

-- What is wrong with a type of this line for an actor, which has `known` types by their folded names.
local function check_shape(known, type, line, name)
  local key, text = Shapes.fold(type.name), Shapes.canonical(type.fields)
  local before = known[key]
  if not before then
    known[key] = { text = text, line = line, name = type.name }
  elseif before.text ~= text then
    return ("link: %s has other fields for '%s' than in line %d: one type has one shape for an actor"):format(
      type.name, name, before.line)
  elseif before.name ~= type.name then
    return ("link: %s is called %s for '%s' in line %d"):format(type.name, before.name, name, before.line)
  end
end

-- One type has one shape for an actor, whichever link says it.
local function check_shapes(model, find, tell)
  local known = {} -- by actor
  for _, link in ipairs(model.links) do
    for _, type in ipairs(table.move(link.answers, 1, #link.answers, #link.types + 1, { table.unpack(link.types) })) do
      local wrong
      for _, name in ipairs(type.fields and { link.from or "", link.to or "" } or {}) do
        local actor = find.where(name)
        if actor then
          known[actor] = known[actor] or {}
          wrong = wrong or check_shape(known[actor], type, link.line, name)
        end
      end
      if wrong then tell.error(link.line, wrong) end
    end
  end
end

--- Tells of all that does not fit together.
---@param model table  may lack what was wrong by itself
---@param refs table[]  of Declarations
---@param tell { error: fun(line: integer, text: string, hint: string?), is_full: fun(): boolean }
---@param open boolean  what is not there may be declared later
function Resolve.check(model, refs, tell, open)
  local find = Planning.finder(model)
  local everybody = all_actors(model)
  table.move(model.externals, 1, #model.externals, #everybody + 1, everybody)
  check_names(model.nodes, "nodes", tell)
  check_made_names(model, everybody, check_names(everybody, "actors and externals", tell), tell)
  check_endpoints(model, tell)
  if not open then check_after(model, find, tell) end
  check_rings(model, find, tell)
  check_refs(model, find, refs, tell, open)
  check_ends(model, find, tell, open)
  check_shapes(model, find, tell)
end

return Resolve
