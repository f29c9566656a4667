--- What turns the hosts of one topology into those of another while they run.
local tables = require "troupe.tables"

local Diff = {}

-- What a host has for life.
local OF_A_NODE = { "bind", "advertise", "workers", "options" }
-- What an actor has for life. (What it is to be called is what it is.)
local OF_AN_ACTOR = { "script", "source", "options", "route" }

local function by_name(list, field)
  local found = {}
  for _, each in ipairs(list) do found[each[field]] = each end
  return found
end

local function diff_actor(old, new, changes, refuse)
  for _, field in ipairs(OF_AN_ACTOR) do
    if not tables.equal(old[field], new[field]) then
      refuse(("actor '%s': its %s cannot be changed while it runs"):format(new.name, field))
    end
  end
  if (old.instances == nil) ~= (new.instances == nil) then
    refuse(("actor '%s': it cannot become %s while it runs"):format(new.name,
      new.instances and "a group of instances" or "a single actor"))
  elseif old.instances ~= new.instances then
    table.insert(changes.instances, { name = new.name, from = old.instances, to = new.instances })
  end
  if not tables.equal(old.types, new.types) then
    refuse(("actor '%s': the fields of its message types cannot be changed while it runs"):format(new.name))
  end
  if not tables.equal(old.config, new.config) then
    table.insert(changes.config, { name = new.name, config = new.config })
  end
end

local function diff_node(old, new, refuse)
  for _, field in ipairs(OF_A_NODE) do
    if not tables.equal(old[field], new[field]) then
      refuse(("node '%s': its %s cannot be changed while it runs"):format(new.node, field))
    end
  end
  local changes = { add = {}, remove = {}, config = {}, instances = {} }
  local before, after = by_name(old.actors, "name"), by_name(new.actors, "name")
  for _, actor in ipairs(old.actors) do
    if not after[actor.name] then table.insert(changes.remove, actor.name) end
  end
  for _, actor in ipairs(new.actors) do
    if before[actor.name] then
      diff_actor(before[actor.name], actor, changes, refuse)
    else
      table.insert(changes.add, actor)
    end
  end
  changes.nodes = not tables.equal(old.nodes, new.nodes) and new.nodes or nil
  local any = changes.add[1] or changes.remove[1] or changes.config[1] or changes.instances[1] or changes.nodes
  return any and changes or nil
end

--- See topology.diff.
---@param old_plans troupe.topology.Plan[]
---@param new_plans troupe.topology.Plan[]
---@return table? changes
---@return string[]? reasons
function Diff.diff(old_plans, new_plans)
  local changes, reasons = { start = {}, stop = {}, nodes = {} }, {}
  local function refuse(text) table.insert(reasons, text) end
  local before, after = by_name(old_plans, "node"), by_name(new_plans, "node")
  for _, plan in ipairs(new_plans) do
    if before[plan.node] then
      changes.nodes[plan.node] = diff_node(before[plan.node], plan, refuse)
    else
      table.insert(changes.start, plan)
    end
  end
  for _, plan in ipairs(old_plans) do
    if not after[plan.node] then table.insert(changes.stop, 1, plan.node) end
  end
  if reasons[1] then return nil, reasons end
  return changes
end

return Diff
