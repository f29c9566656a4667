--- How the parts of a model fit together: names and endpoints that are there once, links, refs
--- and `after` that lead somewhere, and no type with two shapes for one actor.
local Planning = require "troupe.topology.plan"
local Settings = require "troupe.topology.settings"
local Shapes = require "troupe.topology.shapes"
local Words = require "troupe.topology.words"
local options = require "troupe.options"

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
local function check_made_names(model, first, tell)
  for name, each in pairs(first) do
    local group, number = name:match("^(.+)%.(%d+)$")
    local of = first[group]
    number = math.tointeger(tonumber(number))
    if of and of.instances and of ~= each and number and number >= 1 and number <= of.instances
        and name == ("%s.%d"):format(group, number) then
      tell.error(each.line, ("the name '%s' is that of an instance of '%s' in line %d"):format(name, group, of.line))
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

-- Whether what is bound to one of them keeps the other from being bound.
local function overlap(a, b)
  if a == b then return true end
  local any = a:find("^tcp://%*:") or b:find("^tcp://%*:") or a:find("^tcp://0%.0%.0%.0:") or b:find("^tcp://0%.0%.0%.0:")
  return any and port_of(a) == port_of(b)
end

local function check_endpoints(model, tell)
  local bound = {}
  for _, node in ipairs(model.nodes) do
    local endpoint = endpoint_of(node.bind, true)
    if endpoint and port_of(endpoint) ~= "0" then
      for _, other in ipairs(bound) do
        if overlap(endpoint, other.endpoint) then
          tell.error(node.line, ("node '%s': the endpoint %s is used twice: first by node '%s' in line %d"):format(
            node.name or "?", endpoint, other.name, other.line))
          break
        end
      end
      table.insert(bound, { endpoint = endpoint, name = node.name or "?", line = node.line })
    end
  end
  local there = {}
  for _, external in ipairs(model.externals) do
    local endpoint = endpoint_of(external.endpoint, false)
    for _, other in ipairs(endpoint and bound or {}) do
      if overlap(endpoint, other.endpoint) then
        tell.error(external.line, ("external '%s': the endpoint %s is used twice: first by node '%s' in line %d"):format(
          external.name or "?", endpoint, other.name, other.line))
      end
    end
    local place = endpoint and ("%s@%s"):format(external.actor or "?", endpoint)
    if place and there[place] then
      tell.error(external.line, ("external '%s': the actor %s is there twice: first in line %d"):format(
        external.name or "?", place, there[place]))
    elseif place then
      there[place] = external.line
    end
  end
end

local function names_in(list)
  local names = {}
  for _, each in ipairs(list) do
    if each.name then table.insert(names, each.name) end
  end
  return names
end

local function check_after(model, nodes, tell)
  local names = names_in(model.nodes)
  for _, node in ipairs(model.nodes) do
    for _, name in ipairs(node.after) do
      if not nodes[name] then
        tell.error(node.line, ("node '%s': after names no node: there is no %s"):format(node.name or "?", shown(name)),
          Settings.hint(name, names))
      end
    end
  end
  for _, ring in ipairs(Planning.rings(model)) do
    tell.error(nodes[ring[1]].line, ("after goes in a circle: %s: none of them could be the first"):format(
      table.concat(ring, " after ")))
  end
end

-- All names that a ref may lead to.
local function known_names(model)
  local names = names_in(all_actors(model))
  return table.move(names_in(model.externals), 1, #model.externals, #names + 1, names)
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

local function check_refs(model, refs, tell)
  local names = known_names(model)
  for _, ref in ipairs(refs) do
    local name, place = ref.target:match("^(.*)@([^@]*)$")
    local line, what = ref.line, ("actor '%s': %s: ref %s"):format(ref.actor.name or "?", ref.path, shown(ref.target))
    local found, node = Planning.where(model, ref.target)
    if name and place:find(":", 1, true) then
      local fine, why = options.endpoint(place:gsub("^flat:", ""), false)
      if name == "" or not fine then
        tell.error(line, ("%s: %s"):format(what, fine and "it names no actor" or why))
      end
    elseif found then
      check_way(select(2, Planning.where(model, ref.actor.name)), node, line, what, tell)
    elseif name and not Planning.node(model, place) then
      tell.error(line, ("%s: there is no node %s"):format(what, shown(place)),
        Settings.hint(place, names_in(model.nodes)))
    elseif name then
      tell.error(line, ("%s: there is no actor %s on node '%s'"):format(what, shown(name), place),
        Settings.hint(name, names_in(Planning.node(model, place).actors)))
    else
      tell.error(line, ("%s: there is no actor or external %s"):format(what, shown(ref.target)),
        Settings.hint(ref.target, names))
    end
  end
end

local function check_ends(model, tell)
  local names = known_names(model)
  for _, link in ipairs(model.links) do
    local nodes = {}
    for _, key in ipairs { "from", "to" } do
      local name = link[key]
      local found, node = nil, nil
      if name then found, node = Planning.where(model, name) end
      nodes[key] = node
      if name and not found then
        tell.error(link.line, ("link: there is no actor or external %s"):format(shown(name)), Settings.hint(name, names))
      end
    end
    local what = ("link from '%s' to '%s'"):format(tostring(link.from), tostring(link.to))
    check_way(nodes.from, nodes.to, link.line, what, tell)
  end
end

-- One type has one shape for an actor, whichever link says it.
local function check_shapes(model, tell)
  local seen = {} -- by actor: by folded type: { text, line, name }
  local function look(actor, type, line)
    if not actor or not type.fields then return end
    local of_actor = seen[actor] or {}
    seen[actor] = of_actor
    local key, text = Shapes.fold(type.name), Shapes.canonical(type.fields)
    local before = of_actor[key]
    if not before then
      of_actor[key] = { text = text, line = line, name = type.name }
    elseif before.text ~= text then
      tell.error(line, ("link: %s has other fields for '%s' than in line %d: one type has one shape for an actor"):format(
        type.name, actor.name, before.line))
    elseif before.name ~= type.name then
      tell.error(line, ("link: %s is called %s for '%s' in line %d"):format(type.name, before.name, actor.name, before.line))
    end
  end
  for _, link in ipairs(model.links) do
    for _, list in ipairs { link.types, link.answers } do
      for _, type in ipairs(list) do
        for _, name in ipairs { link.from or "", link.to or "" } do
          look(Planning.where(model, name), type, link.line)
        end
      end
    end
  end
end

--- Tells of all that does not fit together.
---@param model table  may lack what was wrong by itself
---@param refs table[]  of Declarations
---@param tell { error: fun(line: integer, text: string, hint: string?) }
function Resolve.check(model, refs, tell)
  local nodes = check_names(model.nodes, "nodes", tell)
  local everybody = all_actors(model)
  table.move(model.externals, 1, #model.externals, #everybody + 1, everybody)
  local first = check_names(everybody, "actors and externals", tell)
  check_made_names(model, first, tell)
  check_endpoints(model, tell)
  check_after(model, nodes, tell)
  check_refs(model, refs, tell)
  check_ends(model, tell)
  check_shapes(model, tell)
end

return Resolve
