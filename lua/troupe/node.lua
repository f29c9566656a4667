--- What a node of a topology runs, and how that may be changed, for actors/node.lua: read
--- and refused with a sentence where it is wrong. Pure.
---
--- ```lua
--- local plan = Node.plan { node = "risk", actors = { { name = "limits", script = "limits.lua",
---                                                      instances = 2, route = "hash:symbol" } } }
--- Node.units(plan.actors[1])   --> limits.1 and limits.2, and limits, which is a router to them
--- Node.changes({ remove = { "limts" } }, { limits = plan.actors[1] })
---                              --> nil, "remove: there is no actor 'limts' here (did you mean 'limits'?)"
--- ```
local Kinds = require "troupe.config_kinds"
local options = require "troupe.options"
local tables = require "troupe.tables"

local Node = {}

local INSTANCES_LIMIT = 1000

---@class troupe.node.Actor  as troupe.topology plans it
---@field name string
---@field script? string     its path; or:
---@field source? string     its text
---@field config? table      a ref in it is a ref, or { ["$ref"] = its text }
---@field options? table     of actor.spawn
---@field instances? integer
---@field route? string      with instances: of a router
---@field types? table<string, table>  message types that are declared for it

local ACTOR = { name = true, script = true, source = true, config = true, options = true, instances = true,
                route = true, types = true }
local CHANGES = { add = true, remove = true, config = true, instances = true, nodes = true }
local ROUTES = { round = false, least = false, broadcast = false, hash = true }

-- Raised by what follows and caught at the door: { text }.
local function refuse(text, ...)
  error({ text = text:format(...) }, 0)
end

-- A field that may be missing, or null.
local function given(value)
  if value ~= json.null then return value end
end

local function check_table(value, what)
  if type(value) ~= "table" then refuse("%s is a table, not %s", what, Kinds.shown(value)) end
  return value
end

local function check_list(value, what)
  if given(value) == nil then return {} end
  for key in pairs(check_table(value, what)) do
    if math.type(key) ~= "integer" then refuse("%s is a list, and this has '%s'", what, tostring(key)) end
  end
  return value
end

local function check_keys(value, known, what)
  for _, name in ipairs(tables.names(check_table(value, what))) do
    if not known[name] then refuse("%s has no '%s'%s", what, name, options.hint(name, tables.names(known))) end
  end
end

-- With string keys: a list that is empty may stand for one without fields.
local function check_config(value, what)
  local config = {}
  for key, each in pairs(check_table(given(value) or {}, what)) do
    if type(key) ~= "string" then refuse("%s has string keys, and this is a list", what) end
    config[key] = each
  end
  return config
end

local function check_name(value, what)
  if type(value) ~= "string" or not value:find("^[%w_.-]+$") then
    refuse("%s: the name of an actor is expected, not %s", what, Kinds.shown(value))
  end
  return value
end

local function check_nodes(value)
  local nodes = {}
  for name, endpoint in pairs(check_table(given(value) or {}, "nodes")) do
    if type(name) ~= "string" or type(endpoint) ~= "string" then
      refuse("nodes: names and their endpoints are expected, not %s", Kinds.shown(endpoint))
    end
    nodes[name] = endpoint
  end
  return nodes
end

local function check_count(value, what)
  if math.type(value) ~= "integer" or value < 1 or value > INSTANCES_LIMIT then
    refuse("%s is a whole number from 1 to %d, not %s", what, INSTANCES_LIMIT, Kinds.shown(value))
  end
  return value
end

local function check_text(value, what)
  if given(value) ~= nil and type(value) ~= "string" then refuse("%s is a text, not %s", what, Kinds.shown(value)) end
  return given(value)
end

local function read_actor(actor, place)
  check_table(actor, ("actors[%d]"):format(place))
  local name = check_name(actor.name, ("actors[%d].name"):format(place))
  local what = ("actor '%s'"):format(name)
  check_keys(actor, ACTOR, what)
  local read = {
    name = name,
    script = check_text(actor.script, what .. ": script"),
    source = check_text(actor.source, what .. ": source"),
    config = check_config(actor.config, what .. ": config"),
    options = check_table(given(actor.options) or {}, what .. ": options"),
    types = given(actor.types) and check_table(actor.types, what .. ": types"),
    route = check_text(actor.route, what .. ": route"),
  }
  if (read.script == nil) == (read.source == nil) then refuse("%s has a script, or else a source", what) end
  if given(actor.instances) == nil then
    if read.route then refuse("%s has a route, and no instances", what) end
    return read
  end
  read.instances = check_count(actor.instances, what .. ": instances")
  local route, wrong = Kinds.read(read.route, { kind = "route", routes = ROUTES })
  if not route then
    refuse("%s: route: %s is expected, not %s%s", what, wrong.expected, Kinds.shown(wrong.value), wrong.hint or "")
  end
  return read
end

local function read_actors(list)
  local actors, taken = {}, {}
  for place, actor in ipairs(list) do
    local read = read_actor(actor, place)
    if taken[read.name] then refuse("two actors are named '%s'", read.name) end
    taken[read.name] = true
    actors[place] = read
  end
  return actors
end

-- Calls a reader: what it returns, or nil and the sentence.
local function caught(reader, ...)
  local fine, result = pcall(reader, ...)
  if fine then return result end
  if type(result) ~= "table" then error(result, 0) end
  return nil, result.text
end

--- A node's plan, checked.
---@param config table  { node, actors, keep?, ... }
---@return { node: string, actors: troupe.node.Actor[], nodes: table<string, string>, keep: boolean }? plan
---@return string? wrong
function Node.plan(config)
  return caught(function()
    local options = given(config.options) or {}
    return { node = check_name(config.node, "node"), actors = read_actors(check_list(config.actors, "actors")),
             nodes = check_nodes(config.nodes), keep = check_table(options, "options").keep == true }
  end)
end

--- An instance of a group.
---@param actor troupe.node.Actor
---@param number integer
---@return { name: string, role: string, script?: string, source?: string, options: table }
function Node.instance(actor, number)
  return { name = ("%s.%d"):format(actor.name, number), role = "instance", number = number,
           script = actor.script, source = actor.source, options = actor.options, types = actor.types }
end

--- What is spawned for an actor, in this order: itself; or its instances, and a router
--- under its name, whose targets are those.
---@param actor troupe.node.Actor
---@return table[] units
function Node.units(actor)
  if not actor.instances then
    return { { name = actor.name, role = "actor", script = actor.script, source = actor.source,
               options = actor.options, types = actor.types } }
  end
  local units = {}
  for number = 1, actor.instances do units[number] = Node.instance(actor, number) end
  -- What does not fit into the instances waits there, and then with its senders.
  local box = type(actor.options.mailbox) == "table" and actor.options.mailbox or {}
  table.insert(units, { name = actor.name, role = "router", script = "router",
                        options = { mailbox = { limit = box.limit, bytes = box.bytes } } })
  return units
end

---@class troupe.node.Changes
---@field add troupe.node.Actor[]
---@field remove string[]
---@field replaced table<string, true>  names that are in both
---@field config { name: string, config: table }[]
---@field instances { name: string, to: integer }[]
---@field nodes? table<string, string>

--- What a NodeApply wants, checked.
---@param msg table
---@param known table<string, troupe.node.Actor>  those that there are
---@return troupe.node.Changes? changes
---@return string? wrong
function Node.changes(msg, known)
  return caught(function()
    check_keys(msg, CHANGES, "NodeApply")
    local changes = { add = read_actors(check_list(msg.add, "add")), remove = {}, replaced = {}, config = {},
                      instances = {}, nodes = given(msg.nodes) and check_nodes(msg.nodes) }
    local gone = {}
    local function check_known(name, what)
      check_name(name, what)
      if not known[name] then
        refuse("%s: there is no actor '%s' here%s", what, name, options.hint(name, tables.names(known)))
      end
      if gone[name] then refuse("%s: '%s' is removed as well", what, name) end
      return name
    end

    for place, name in ipairs(check_list(msg.remove, "remove")) do
      changes.remove[place] = check_known(name, "remove")
      gone[name] = true
    end
    for _, actor in ipairs(changes.add) do
      if gone[actor.name] then
        changes.replaced[actor.name] = true
      elseif known[actor.name] then
        refuse("add: there is an actor '%s' here already", actor.name)
      end
    end
    for place, change in ipairs(check_list(msg.config, "config")) do
      local what = ("config[%d]"):format(place)
      check_keys(change, { name = true, config = true }, what)
      changes.config[place] = { name = check_known(change.name, what),
                                config = check_config(change.config, what .. ".config") }
    end
    for place, change in ipairs(check_list(msg.instances, "instances")) do
      local what = ("instances[%d]"):format(place)
      check_keys(change, { name = true, from = true, to = true }, what)
      local name = check_known(change.name, what)
      if not known[name].instances then refuse("%s: '%s' has no instances", what, name) end
      changes.instances[place] = { name = name, to = check_count(change.to, what .. ".to") }
    end
    return changes
  end)
end

--- A copy in which what stands for a ref is one.
---@param value any
---@param make_ref fun(text: string): userdata
---@return any
function Node.with_refs(value, make_ref)
  if type(value) == "userdata" and value ~= json.null then return make_ref(tostring(value)) end
  if type(value) ~= "table" then return value end
  local text = rawget(value, "$ref")
  if type(text) == "string" and next(value, next(value)) == nil then return make_ref(text) end
  local copy = setmetatable({}, getmetatable(value)) -- an array stays one
  for key, each in pairs(value) do copy[key] = Node.with_refs(each, make_ref) end
  return copy
end

return Node
