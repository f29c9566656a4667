--- What runs on a node, for actors/node.lua: its members in their order, and the actors that
--- each is made of. Pure bookkeeping.
---
--- ```lua
--- local members = Members.new()
--- local member = members:add(planned)        -- limits, with 2 instances
--- member.units                               -- limits.1, limits.2, and their router limits
--- Members.living(member, "instance")         -- those of the two that have not ended
--- ```
local Node = require "troupe.node"

---@class troupe.node.Unit  one actor
---@field name string
---@field role "actor"|"instance"|"router"
---@field member troupe.node.Member
---@field number? integer    of an instance
---@field script? string
---@field source? string
---@field types? table
---@field options table
---@field ref? userdata      when it is made
---@field state? "prepared"|"starting"|"waiting"|"running"|"ended"
---@field reason? string     of its end
---@field leaving? boolean   it was stopped by the node

---@class troupe.node.Member
---@field actor troupe.node.Actor  as planned
---@field units troupe.node.Unit[]  in the order of their start; a router is the last
---@field changed? boolean  its config is a new one

---@class troupe.node.Members
---@field private list troupe.node.Member[]
local Members = {}
Members.__index = Members

---@return troupe.node.Members
function Members.new()
  return setmetatable({ list = {} }, Members)
end

--- Adds one behind the others.
---@param planned troupe.node.Actor
---@return troupe.node.Member
function Members:add(planned)
  local member = { actor = planned, units = Node.units(planned) }
  for _, unit in ipairs(member.units) do unit.member = member end
  table.insert(self.list, member)
  return member
end

---@param member troupe.node.Member
function Members:remove(member)
  for place, each in ipairs(self.list) do
    if each == member then return table.remove(self.list, place) end
  end
end

---@param name string
---@return troupe.node.Member?
function Members:find(name)
  for _, member in ipairs(self.list) do
    if member.actor.name == name then return member end
  end
end

--- All of them, in their order.
---@return troupe.node.Member[]
function Members:all()
  return table.move(self.list, 1, #self.list, 1, {})
end

--- Whether any actor of any of them has not ended.
---@return boolean
function Members:any_alive()
  for _, member in ipairs(self.list) do
    if Members.living(member)[1] then return true end
  end
  return false
end

--- Forgets actors, and the members that have none any more.
---@param units troupe.node.Unit[]
function Members:forget(units)
  for _, unit in ipairs(units) do
    local list = unit.member.units
    for place, each in ipairs(list) do
      if each == unit then table.remove(list, place) break end
    end
    if not list[1] then self:remove(unit.member) end
  end
end

--- The actors of a member that have not ended.
---@param member troupe.node.Member
---@param role? "actor"|"instance"|"router"  of these only
---@return troupe.node.Unit[]
function Members.living(member, role)
  local units = {}
  for _, unit in ipairs(member.units) do
    if unit.state ~= "ended" and (unit.role == role or not role) then table.insert(units, unit) end
  end
  return units
end

--- Those that stand for the member's script: all but a router.
---@param member troupe.node.Member
---@return troupe.node.Unit[]
function Members.workers(member)
  return Members.living(member, member.actor.instances and "instance" or "actor")
end

-- In the place of the one that has ended, or behind the others: before the router.
local function place_instance(units, unit)
  for place, each in ipairs(units) do
    if each.number == unit.number then
      units[place] = unit
      return
    end
  end
  table.insert(units, #units, unit)
end

--- New instances, of the numbers up to `to` that are free; they are the member's from now on.
---@param member troupe.node.Member
---@param to integer
---@return troupe.node.Unit[]
function Members.grow(member, to)
  local grown, taken = {}, {}
  for _, unit in ipairs(Members.living(member, "instance")) do taken[unit.number] = true end
  for number = 1, to do
    if not taken[number] then
      local unit = Node.instance(member.actor, number)
      unit.member = member
      table.insert(grown, unit)
      place_instance(member.units, unit)
    end
  end
  return grown
end

--- The instances beyond so many.
---@param member troupe.node.Member
---@param to integer
---@return troupe.node.Unit[]
function Members.surplus(member, to)
  local surplus = {}
  for _, unit in ipairs(Members.living(member, "instance")) do
    if unit.number > to then table.insert(surplus, unit) end
  end
  return surplus
end

--- What people are told of a member.
---@param member troupe.node.Member
---@return { name: string, script?: string, instances?: integer, route?: string, status: string, reason?: string }
function Members.state(member)
  local planned = member.actor
  local status, reason = "ended", nil
  for _, unit in ipairs(member.units) do
    if unit.state == "running" then
      status = "running"
    elseif unit.state == "ended" then
      reason = unit.reason
    elseif status ~= "running" then
      status = "starting"
    end
  end
  return { name = planned.name, script = planned.script, route = planned.route, status = status,
           instances = planned.instances and #Members.living(member, "instance"),
           reason = status == "ended" and reason or nil }
end

return Members
