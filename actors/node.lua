-- node: runs a node's part of a topology inside its host. `troupe up` starts a process with
-- one for each node, and `troupe up --one` one for all; see docs/topology.md.
--
--   NodeApply  { add = actors?, remove = names?, config = { { name, config }, ... }?,
--              instances = { { name, to }, ... }?, nodes = { NAME = endpoint }? }   changes what runs: all of
--              it, or fails, and all is as before. First what is new starts (an actor that is in `remove` as
--              well is replaced: it ends first); then each actor with a new config is sent a Config, and then
--              what goes is stopped, the last one first, its mail handled. Replies
--              NodeApplied { added, removed, configured, ending = names }; `ending`: of those that
--              were removed, the ones that took longer than 5 s and are still at it
--   NodeState  {}   replies NodeState { node, actors = { { name, script?, instances?, route?, status, reason? }, ... } }
--              in their order; status: "running", "starting", "ended"
--
-- Those that change something are for actors of this host. What an actor with a new config gets:
--
--   Config     its new config; `self.config` stays what it was. One that restarts is sent its Config again
--
--   ChildWaits, ChildStarted, Down   notices of the host's
--
-- It begins its actors in their order: all are made first, so that their names are known and
-- their mail is kept; then each starts when on_start of the one before has ended, or waits. Its
-- own on_start ends when all of theirs have; if one fails there the host ends with 1. Later an
-- actor's own `failure` says what comes of one. When the last actor has ended, so does the host:
-- with 1 if that was by an error.
--
-- An actor with `instances` is a group: limits.1, limits.2, ..., and a router of the name limits in
-- front of them. It shrinks as they end, and ends with the last one.
--
-- Config: node = its name, actors = { { name, script or source, config, options, instances, route, types },
-- ... }, options = { keep = true: the host stays when no actor is left }, status = the path of a
-- pipe, into which it writes {"ready":true,...} or {"failed":"why"}. What else a plan of
-- troupe.topology has is for who starts the host.
local children = require "troupe.children"
local Node = require "troupe.node"

local NodeActor = { version = 1 }

local FOREVER = 1e8       -- seconds
local PATIENCE = 5        -- with actors that are to end
local NOTICES = { "ChildWaits", "ChildStarted", "Down" }
local BESIDE = "./"       -- scripts are looked for from the current folder on

---------------------------------------------------------------- bookkeeping ----
-- A member: { actor = as planned, units = in the order of their start, changed? = its config is
-- a new one }. A unit: { name, role = "actor", "instance" or "router", member, ref, state =
-- "prepared", "starting", "waiting", "running" or "ended", reason?, leaving? = we have stopped
-- it, script?, source?, options }.

local function find(self, name)
  for place, member in ipairs(self.members) do
    if member.actor.name == name then return member, place end
  end
end

local function is_alive(member)
  for _, unit in ipairs(member.units) do
    if unit.state ~= "ended" then return true end
  end
  return false
end

local function has_instances(member)
  for _, unit in ipairs(member.units) do
    if unit.role == "instance" and unit.state ~= "ended" then return true end
  end
  return false
end

local function router_of(member)
  for _, unit in ipairs(member.units) do
    if unit.role == "router" and unit.state ~= "ended" then return unit end
  end
end

local function living(member, role)
  local units = {}
  for _, unit in ipairs(member.units) do
    if unit.state ~= "ended" and (unit.role == role or not role) then table.insert(units, unit) end
  end
  return units
end

-------------------------------------------------------------------- notices ----

local function send_config(self, unit)
  local config = Node.with_refs(unit.member.actor.config, actor.ref)
  local sent, why = unit.ref:send("Config", config)
  if not sent then log.warn("it did not get its new config", { actor = unit.name, why = tostring(why) }) end
  return sent
end

-- What the end of one means for its group.
local function shrink_group(member, unit)
  if unit.role == "actor" then return end
  if unit.role == "router" then
    for _, each in ipairs(living(member, "instance")) do each.ref:stop({ drain = true }) end
  elseif not has_instances(member) and router_of(member) then
    router_of(member).ref:stop({ drain = true })
  end
end

local on = {}

function on.ChildWaits(_, unit)
  if unit.state == "starting" then unit.state = "waiting" end
end

function on.ChildStarted(self, unit, notice)
  unit.state = "running"
  if notice.restarts > 0 and unit.member.changed and unit.role ~= "router" then send_config(self, unit) end
end

function on.Down(self, unit, notice)
  unit.failed_at_start = unit.state ~= "running" and notice.reason ~= "normal"
  unit.state, unit.reason = "ended", notice.reason
  self.units[unit.ref] = nil
  if unit.leaving then return end
  self.may_be_done = true
  if unit.role ~= "router" then self.last_failed = notice.reason ~= "normal" end
  shrink_group(unit.member, unit)
end

local function hear(self, notice, env)
  local unit = self.units[notice.who]
  if unit then on[env.type](self, unit, notice) end
end

-- Hears notices until it is so. False: not in time; nil: this actor is to end.
local function await(self, is_so, seconds)
  local deadline = actor.now() + (seconds or FOREVER)
  while not is_so() do
    local notice, env = actor.receive(NOTICES, { timeout = math.max(deadline - actor.now(), 0) })
    if notice then
      hear(self, notice, env)
    elseif env.reason ~= "timeout" then
      return nil
    elseif actor.now() >= deadline then
      return false
    end
  end
  return true
end

------------------------------------------------------------- starting, ending ----

-- Registers it; its mail is kept from now on. Or nil and why not.
local function make(self, unit)
  local options = { name = unit.name }
  for name, value in pairs(unit.options) do options[name] = value end
  local fine, ref, why = pcall(children.prepare, unit.script, options, unit.role ~= "router" and BESIDE or nil)
  if not fine then return nil, (tostring(ref):gsub("^[^ ]+:%d+: ", "")) end
  if not ref then return nil, why.text end
  unit.ref, unit.state = ref, "prepared"
  self.units[ref] = unit
  actor.watch(ref)
  return true
end

local function config_of(unit)
  if unit.role ~= "router" then return Node.with_refs(unit.member.actor.config, actor.ref) end
  local targets = {}
  for _, each in ipairs(living(unit.member, "instance")) do table.insert(targets, each.ref) end
  return { route = unit.member.actor.route, targets = targets }
end

-- Makes them all, then begins each when the one before has begun, and waits until all have
-- started. Or nil and why not: then some are there.
local function start(self, units)
  for _, unit in ipairs(units) do
    local made, why = make(self, unit)
    if not made then return nil, ("actor '%s' could not be made: %s"):format(unit.name, why) end
  end
  local culprit
  local function failed()
    for _, unit in ipairs(units) do
      if unit.failed_at_start then culprit = culprit or unit end
    end
    return culprit ~= nil
  end
  local function outcome(went_on)
    if went_on and not failed() then return true end
    if not went_on then return nil, "the host is to end" end
    return nil, ("actor '%s' could not start: %s"):format(culprit.name, (culprit.reason:gsub("^error: ", "")))
  end
  for _, unit in ipairs(units) do
    if unit.state == "prepared" then
      unit.state = "starting"
      children.begin(unit.ref, config_of(unit))
    end
    local went_on = await(self, function() return failed() or unit.state ~= "starting" end)
    if not went_on or failed() then return outcome(went_on) end
  end
  return outcome(await(self, function()
    if failed() then return true end
    for _, unit in ipairs(units) do
      if unit.state == "starting" or unit.state == "waiting" then return false end
    end
    return true
  end))
end

local function new_member(planned)
  local member = { actor = planned, units = Node.units(planned) }
  for _, unit in ipairs(member.units) do unit.member = member end
  return member
end

-- Stops them, the last one first, and waits until they have ended: true, or those that have not.
local function stop(self, units, drain)
  local function have_ended()
    for _, unit in ipairs(units) do
      if unit.ref and unit.state ~= "ended" then return false end
    end
    return true
  end
  for place = #units, 1, -1 do
    local unit = units[place]
    unit.leaving = true
    if unit.ref and unit.state ~= "ended" then unit.ref:stop({ drain = drain }) end
  end
  return await(self, have_ended, PATIENCE) or false
end

-- As if they had never been.
local function forget(self, units)
  for _, unit in ipairs(units) do
    for place, each in ipairs(unit.member.units) do
      if each == unit then table.remove(unit.member.units, place) break end
    end
    for place, member in ipairs(self.members) do
      if member == unit.member and not member.units[1] then table.remove(self.members, place) break end
    end
  end
end

local function discard(self, units)
  stop(self, units, false)
  forget(self, units)
end

-- The sentence about a config whose refs are none.
local function check_refs(name, config)
  local fine, wrong = pcall(Node.with_refs, config, actor.ref)
  if not fine then return ("actor '%s': config: %s"):format(name, (wrong:gsub("^[^ ]+:%d+: ", ""))) end
end

-- Adds them behind those that there are: their units; or nil and why not.
local function start_members(self, list)
  for _, planned in ipairs(list) do
    local wrong = check_refs(planned.name, planned.config)
    if wrong then return nil, wrong end
  end
  local units = {}
  for _, planned in ipairs(list) do
    local member = new_member(planned)
    table.insert(self.members, member)
    table.move(member.units, 1, #member.units, #units + 1, units)
  end
  local started, why = start(self, units)
  if started then return units end
  discard(self, units)
  return nil, why
end

-- The router of a group first, so that what it has reaches the instances.
local function retire(self, member)
  local _, place = find(self, member.actor.name)
  table.remove(self.members, place)
  local router = router_of(member)
  return (not router or stop(self, { router }, true)) and stop(self, living(member), true)
end

-------------------------------------------------------------------- its life ----

-- Tells who started the process.
local function say(self, status)
  local file <close> = self.config.status and io.open(self.config.status, "r+")
  if file then file:write(json.encode(status), "\n") end
end

local function not_started(self, why)
  say(self, { failed = why })
  log.error(why)
  actor.stop_host(1)
  actor.exit(why)
end

-- When the last one has ended, and nobody has removed it.
local function end_if_done(self)
  if self.keep or not self.may_be_done then return end
  self.may_be_done = false
  for _, member in ipairs(self.members) do
    if is_alive(member) then return end
  end
  actor.stop_host(self.last_failed and 1 or 0)
end

function NodeActor:on_start()
  self.members, self.units = {}, {} -- units: by their refs
  local plan, wrong = Node.plan(self.config)
  if not plan then return not_started(self, "the node's plan: " .. wrong) end
  self.node, self.keep = plan.node, plan.keep
  local started, why = start_members(self, plan.actors)
  if not started then return not_started(self, why) end
  say(self, { ready = true, endpoint = tostring(actor.self):match("@(.+)$") })
  end_if_done(self)
end

function NodeActor:on_child_waits(msg, env) hear(self, msg, env) end

function NodeActor:on_child_started(msg, env) hear(self, msg, env) end

function NodeActor:on_down(msg, env)
  hear(self, msg, env)
  end_if_done(self)
end

------------------------------------------------------------------ instances ----

local function tell_router(member, type, unit)
  local router = router_of(member)
  if not router then return nil, ("the group '%s' has ended"):format(member.actor.name) end
  local answer, why = router.ref:ask(type, { to = unit.ref }, { priority = "high" })
  return answer ~= nil, tostring(why)
end

-- Starts those that are missing up to so many: their units; or nil and why not.
local function grow(self, member, to)
  local grown, taken = {}, {}
  for _, unit in ipairs(living(member, "instance")) do taken[unit.number] = true end
  for number = 1, to do
    if not taken[number] then
      local unit = Node.instance(member.actor, number)
      unit.member = member
      table.insert(grown, unit)
      table.insert(member.units, #member.units, unit) -- the router stays the last
    end
  end
  local started, why = start(self, grown)
  for _, unit in ipairs(grown) do
    if started then started, why = tell_router(member, "RouterAdd", unit) end
  end
  if started then return grown end
  discard(self, grown)
  return nil, why
end

-- Stops those beyond so many, when nothing more comes to them: true, or some are still at it.
local function shrink(self, member, to)
  local surplus = {}
  for _, unit in ipairs(living(member, "instance")) do
    if unit.number > to then table.insert(surplus, unit) end
  end
  for place = #surplus, 1, -1 do tell_router(member, "RouterRemove", surplus[place]) end
  local ended = stop(self, surplus, true)
  forget(self, surplus)
  return ended
end

------------------------------------------------------------------- NodeApply ----

-- Does what may fail, and notes in `done` what there is to undo. Or nil and why not.
local function prepare_changes(self, changes, done)
  for _, name in ipairs(changes.remove) do
    if changes.replaced[name] then
      local member = find(self, name)
      table.insert(done.replaced, member.actor)
      if not retire(self, member) then return nil, ("actor '%s' does not end, and so cannot be replaced"):format(name) end
    end
  end
  for _, change in ipairs(changes.config) do
    local wrong = check_refs(change.name, change.config)
    if wrong then return nil, wrong end
    local member = find(self, change.name)
    table.insert(done.configs, { actor = member.actor, config = member.actor.config })
    member.actor.config = change.config
  end
  local units, why = start_members(self, changes.add)
  for _, change in ipairs(changes.instances) do
    if units then
      table.move(units, 1, #units, #done.new + 1, done.new)
      units, why = grow(self, find(self, change.name), change.to)
    end
  end
  if not units then return nil, why end
  table.move(units, 1, #units, #done.new + 1, done.new)
  return true
end

local function undo(self, done)
  discard(self, done.new)
  for _, change in ipairs(done.configs) do change.actor.config = change.config end
  local back, why = start_members(self, done.replaced)
  if not back then log.error("what was to be replaced could not be started again", { why = why }) end
end

-- Does the rest, which cannot fail; the names of those that are still at it.
local function finish_changes(self, changes, done)
  local is_new, configured, ending = {}, json.array {}, json.array {}
  for _, unit in ipairs(done.new) do is_new[unit] = true end
  for _, change in ipairs(changes.config) do
    local member = find(self, change.name)
    local all = true
    member.changed = true
    for _, unit in ipairs(living(member)) do
      if unit.role ~= "router" and not is_new[unit] then all = send_config(self, unit) and all end
    end
    if all then table.insert(configured, change.name) end
  end
  for _, change in ipairs(changes.instances) do
    local member = find(self, change.name)
    member.actor.instances = change.to
    if not shrink(self, member, change.to) then table.insert(ending, change.name) end
  end
  for place = #self.members, 1, -1 do
    local member = self.members[place]
    for _, name in ipairs(changes.remove) do
      if name == member.actor.name and not changes.replaced[name] and not retire(self, member) then
        table.insert(ending, name)
      end
    end
  end
  return configured, ending
end

-- Who asked is told; else the handler fails, so that it is a dead letter.
local function refuse(env, why)
  if not env.asked then error(why, 0) end
  env:fail(why)
end

function NodeActor:on_node_apply(msg, env)
  if env.remote then return env:fail("NodeApply is for actors of its host") end
  local known = {}
  for _, member in ipairs(self.members) do known[member.actor.name] = member.actor end
  local changes, wrong = Node.changes(msg, known)
  if not changes then return refuse(env, wrong) end
  local done = { new = {}, replaced = {}, configs = {} }
  local prepared, why = prepare_changes(self, changes, done)
  if not prepared then
    undo(self, done)
    return refuse(env, why)
  end
  local configured, ending = finish_changes(self, changes, done)
  local added = json.array {}
  for place, actor in ipairs(changes.add) do added[place] = actor.name end
  if env.asked then
    env:reply("NodeApplied", { added = added, removed = json.array(changes.remove), configured = configured,
                               ending = ending })
  end
  end_if_done(self)
end

local function status_of(member)
  local status, reason = "ended", nil
  for _, unit in ipairs(member.units) do
    if unit.state == "running" then return "running" end
    if unit.state == "ended" then reason = unit.reason else status = "starting" end
  end
  return status, status == "ended" and reason or nil
end

function NodeActor:on_node_state(_, env)
  local list = json.array {}
  for place, member in ipairs(self.members) do
    local planned = member.actor
    local status, reason = status_of(member)
    list[place] = { name = planned.name, script = planned.script, instances = planned.instances and
                    #living(member, "instance"), route = planned.route, status = status, reason = reason }
  end
  env:reply("NodeState", { node = self.node, actors = list })
end

return NodeActor
