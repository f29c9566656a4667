--- What of a topology each host has to run, and in which order hosts start.
local Settings = require "troupe.topology.settings"
local Unite = require "troupe.topology.unite"
local options = require "troupe.options"
local tables = require "troupe.tables"

local RINGS_LIMIT = 10

local Planning = {}

-- By name: nodes; externals; actors as { actor, node }, and those of each node.
local function index(model)
  local all = { nodes = {}, externals = {}, actors = {}, of_node = {} }
  for _, node in ipairs(model.nodes) do
    local first = node.name and not all.nodes[node.name]
    if first then all.nodes[node.name], all.of_node[node.name] = node, {} end
    for _, actor in ipairs(node.actors) do
      local found = { actor, node }
      if actor.name then
        all.actors[actor.name] = all.actors[actor.name] or found
        if first then all.of_node[node.name][actor.name] = all.of_node[node.name][actor.name] or found end
      end
    end
  end
  for _, external in ipairs(model.externals) do
    if external.name then all.externals[external.name] = all.externals[external.name] or external end
  end
  return all
end

-- The actor that has this name, or an instance that has it.
local function find_actor(actors, name)
  if actors[name] then return actors[name] end
  local group, number = name:match("^(.+)%.([1-9]%d*)$")
  local found = group and actors[group]
  number = math.tointeger(tonumber(number))
  return found and found[1].instances and number and number <= found[1].instances and found or nil
end

--- Finds names in a model that does not change meanwhile, as topology.where does; and with
--- `node(name)` nodes.
---@param model troupe.topology.Model
---@return { where: fun(name: string?): table?, troupe.topology.Node?, node: fun(name: string?): troupe.topology.Node? }
function Planning.finder(model)
  local all = index(model)
  return {
    node = function(name) return name and all.nodes[name] end,
    where = function(name)
      if not name then return nil end
      local bare, place = name:match("^(.*)@([^@]*)$")
      local actors = all.actors
      if place then actors = all.of_node[place] or {} end
      local found = find_actor(actors, bare or name)
      if found then return found[1], found[2] end
      return all.externals[name]
    end,
  }
end

--- See topology.where.
---@param model troupe.topology.Model
---@param name string
---@return (troupe.topology.Actor|troupe.topology.External)? found
---@return troupe.topology.Node? node
function Planning.where(model, name)
  return Planning.finder(model).where(name)
end

----------------------------------------------------------------- order ----

-- Visits nodes so that each comes behind those that it comes after; `ring(path)` is told
-- of circles.
local function walk(model, visit, ring)
  local state, path, find = {}, {}, Planning.finder(model)
  local function go(node)
    state[node] = "under way"
    table.insert(path, node.name)
    for _, name in ipairs(node.after) do
      local before = find.node(name)
      if before and not state[before] then
        go(before)
      elseif before and state[before] == "under way" then
        ring(path, name)
      end
    end
    table.remove(path)
    state[node] = "done"
    visit(node)
  end
  for _, node in ipairs(model.nodes) do
    if not state[node] and node.name then go(node) end
  end
end

--- The nodes in the order of their start: by `after`, and then by the file.
---@param model troupe.topology.Model
---@return troupe.topology.Node[]
function Planning.order(model)
  local order = {}
  walk(model, function(node) table.insert(order, node) end, function() end)
  return order
end

--- Circles of `after`, not more than a few: the names of their nodes, each after the next,
--- the last being the first.
---@param model troupe.topology.Model
---@return string[][]
function Planning.rings(model)
  local rings = {}
  walk(model, function() end, function(path, name)
    if #rings >= RINGS_LIMIT then return end
    local ring, inside = {}, false
    for _, each in ipairs(path) do
      inside = inside or each == name
      if inside then table.insert(ring, each) end
    end
    table.insert(ring, name)
    table.insert(rings, ring)
  end)
  return rings
end

----------------------------------------------------------------- parts ----

-- Where others reach the node, if it listens at a port that is known.
local function endpoint_of(node)
  local text = node.advertise or node.bind
  if not text then return nil end
  return (options.endpoint((text:gsub("^tcp://%*:", ":")), false))
end

-- An endpoint of an external in its one spelling.
local function external_endpoint(text)
  local flat, rest = text:match("^(flat:)(.*)$")
  return (flat or "") .. (options.endpoint(rest or text, false) or rest or text)
end

-- What a ref in the file is for an actor of a node that has these others in its host.
local function resolve_ref(find, target, is_here)
  if target:find("@[^@]*:[^@]*$") then return target end
  local found, node = find.where(target)
  local bare = target:match("^(.*)@[^@]*$") or target
  if not found then return target end
  if not node then return ("%s@%s"):format(found.actor, external_endpoint(found.endpoint)) end
  local endpoint = endpoint_of(node)
  if is_here[node.name] or not endpoint then return bare end
  return ("%s@%s"):format(bare, endpoint)
end

local function resolve_config(find, value, is_here)
  if type(value) ~= "table" then return value end
  if type(value["$ref"]) == "string" then return { ["$ref"] = resolve_ref(find, value["$ref"], is_here) } end
  local copy = {}
  for key, each in pairs(value) do copy[key] = resolve_config(find, each, is_here) end
  return copy
end

-- A path in the file, as it is from the current folder.
local function beside(model, path)
  if path:find("^/") or model.folder == "" or model.folder == "." then return path end
  return ("%s/%s"):format(model.folder, path)
end

local function is_file(path)
  local file = io.open(path, "rb")
  if not file then return false end
  local size = file:seek("end") -- of a folder: none, or the largest number
  file:close()
  return size ~= nil and size < math.maxinteger
end

-- A script beside the topology; or else found as actor.spawn finds it.
local function script_path(model, script)
  local path = beside(model, script)
  return (is_file(path) or is_file(path .. ".lua")) and path or script
end

-- By actor: the declared fields of all that it sends and gets.
local function types_of_links(model, find)
  local all = {}
  local function add(actor, type)
    if not actor or not type.fields then return end
    all[actor] = all[actor] or {}
    all[actor][type.name] = all[actor][type.name] or tables.copy(type.fields)
  end
  for _, link in ipairs(model.links) do
    for _, list in ipairs { link.types, link.answers } do
      for _, type in ipairs(list) do
        add((find.where(link.from)), type)
        add((find.where(link.to)), type)
      end
    end
  end
  return all
end

-- What planning one model needs: its names, and its types by actor.
local function look_over(model)
  local find = Planning.finder(model)
  return { model = model, find = find, types = types_of_links(model, find) }
end

local function plan_actor(over, actor, is_here)
  return {
    name = actor.name,
    script = actor.script and script_path(over.model, actor.script),
    source = actor.source,
    config = resolve_config(over.find, actor.config, is_here),
    options = tables.copy(actor.options),
    instances = actor.instances,
    route = actor.route,
    types = over.types[actor] or {},
  }
end

-- Where NAME@node leads, for a host with the nodes that are `here`.
local function ways(model, is_here)
  local nodes = {}
  for _, node in ipairs(model.nodes) do
    nodes[node.name] = is_here[node.name] and "" or endpoint_of(node)
  end
  return nodes
end

local function host_options(model, node)
  local fields = Settings.for_host(node.options)
  for _, name in ipairs { "curve_key", "curve_peers" } do
    fields[name] = fields[name] and beside(model, fields[name])
  end
  return fields
end

local function plan_node(over, node)
  local model, is_here = over.model, { [node.name] = true }
  local plan = {
    topology = model.name, node = node.name, workers = node.workers,
    bind = node.bind and { (options.endpoint(node.bind, true)) } or {},
    advertise = node.advertise and options.endpoint(node.advertise, false) or nil,
    options = host_options(model, node), nodes = ways(model, is_here), actors = {},
  }
  for _, actor in ipairs(node.actors) do table.insert(plan.actors, plan_actor(over, actor, is_here)) end
  return plan
end

-- All of them in one host. What only some actors are kept from stays theirs.
local function unite(over, order, plans)
  local model = over.model
  local united, more = Unite.options(plans)
  if not united then return nil, more end
  local is_here = {}
  for _, node in ipairs(order) do is_here[node.name] = true end
  local one = { topology = model.name, node = model.name, bind = {}, workers = more, options = united,
                nodes = ways(model, is_here), actors = {} }
  for place, node in ipairs(order) do
    one.advertise = one.advertise or plans[place].advertise
    table.move(plans[place].bind, 1, #plans[place].bind, #one.bind + 1, one.bind)
    for _, actor in ipairs(node.actors) do
      local planned = plan_actor(over, actor, is_here)
      if node.options.sandbox and planned.options.sandbox == nil then planned.options.sandbox = true end
      table.insert(one.actors, planned)
    end
  end
  return { one }
end

--- See topology.plan.
---@param model troupe.topology.Model
---@param how? { one?: boolean }
---@return troupe.topology.Plan[]? plans
---@return string[]? reasons
function Planning.plan(model, how)
  local order, plans, over = Planning.order(model), {}, look_over(model)
  for _, node in ipairs(order) do table.insert(plans, plan_node(over, node)) end
  if how and how.one then return unite(over, order, plans) end
  return plans
end

return Planning
