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
-- Config: node = its name, nodes = { NAME = endpoint, ... } (where refs as book@risk lead; "": here),
-- actors = { { name, script or source, config, options, instances, route, types }, ... }, options =
-- { keep = true: the host stays when no actor is left }, status = the path of a pipe, into which it
-- writes {"ready":true,...} or {"failed":"why"}.
local children = require "troupe.children"
local Members = require "troupe.node_members"
local Node = require "troupe.node"
local nodes = require "troupe.nodes"

local NodeActor = { version = 1 }

local FOREVER = 1e8       -- seconds
local PATIENCE = 5        -- with actors that are to end
local NOTICES = { "ChildWaits", "ChildStarted", "Down" }
local BESIDE = "./"       -- scripts are looked for from the current folder on

local NOT_BEGUN = { prepared = true, starting = true }
local NOT_STARTED = { prepared = true, starting = true, waiting = true }

-------------------------------------------------------------------- notices ----

local function send_config(unit)
  local config = Node.with_refs(unit.member.actor.config, actor.ref)
  local sent, why = unit.ref:send("Config", config)
  if not sent then log.warn("it did not get its new config", { actor = unit.name, why = tostring(why) }) end
  return sent
end

-- What the end of one means for its group.
local function shrink_group(member, unit)
  local instances = Members.living(member, "instance")
  if unit.role == "router" then
    for _, each in ipairs(instances) do each.ref:stop({ drain = true }) end
  elseif unit.role == "instance" and not instances[1] then
    for _, router in ipairs(Members.living(member, "router")) do router.ref:stop({ drain = true }) end
  end
end

local on = {}

function on.ChildWaits(_, unit)
  if unit.state == "starting" then unit.state = "waiting" end
end

function on.ChildStarted(self, unit, notice)
  unit.state = "running"
  if notice.restarts > 0 and unit.member.changed and unit.role ~= "router" then send_config(unit) end
end

function on.Down(self, unit, notice)
  local had_started = unit.state == "running"
  unit.state, unit.reason = "ended", notice.reason
  self.units[unit.ref] = nil
  if unit.leaving then return end
  if not had_started and notice.reason ~= "normal" then self.culprit = self.culprit or unit end
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
  local options = { name = unit.name, types = unit.types, source = unit.source }
  for name, value in pairs(unit.options) do options[name] = value end
  local script = unit.script or unit.member.actor.name -- of a text, what reports call it
  local fine, ref, why = pcall(children.prepare, script, options, unit.role ~= "router" and BESIDE or nil)
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
  for _, each in ipairs(Members.living(unit.member, "instance")) do table.insert(targets, each.ref) end
  return { route = unit.member.actor.route, targets = targets }
end

-- Makes them all, then begins each when the one before has begun, and waits until all have
-- started. Or nil and why not (then some are there), and whether it is because the node ends.
local function start(self, units)
  for _, unit in ipairs(units) do
    local made, why = make(self, unit)
    if not made then return nil, ("actor '%s' could not be made: %s"):format(unit.name, why) end
  end
  self.culprit = nil
  for _, pending in ipairs { NOT_BEGUN, NOT_STARTED } do
    for _, unit in ipairs(units) do
      if unit.state == "prepared" then
        unit.state = "starting"
        children.begin(unit.ref, config_of(unit))
      end
      if not await(self, function() return self.culprit or not pending[unit.state] end) then
        return nil, ("the node was ended while actor '%s' was starting"):format(unit.name), true
      end
      local culprit = self.culprit
      if culprit then
        return nil, ("actor '%s' could not start: %s"):format(culprit.name, (culprit.reason:gsub("^error: ", "")))
      end
    end
  end
  return true
end

-- Stops them, the last one first, and waits until they have ended: true, or those that have not.
local function stop(self, units, drain)
  local deadline = actor.now() + PATIENCE
  for place = #units, 1, -1 do
    local unit = units[place]
    unit.leaving = true
    if unit.ref and unit.state ~= "ended" then unit.ref:stop({ drain = drain }) end
  end
  for _, unit in ipairs(units) do
    local function has_ended() return not unit.ref or unit.state == "ended" end
    if not await(self, has_ended, math.max(deadline - actor.now(), 0)) then return false end
  end
  return true
end

-- As if they had never been.
local function discard(self, units)
  stop(self, units, false)
  self.members:forget(units)
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
    local member = self.members:add(planned)
    table.move(member.units, 1, #member.units, #units + 1, units)
  end
  local started, why, cut = start(self, units)
  if started then return units end
  discard(self, units)
  return nil, why, cut
end

-- The router of a group first, so that what it has reaches the instances.
local function retire(self, member)
  self.members:remove(member)
  local routed = stop(self, Members.living(member, "router"), true)
  return stop(self, Members.living(member), true) and routed
end

-------------------------------------------------------------------- its life ----

-- Tells who started the process.
local function say(self, status)
  local file <close> = self.config.status and io.open(self.config.status, "r+")
  if file then file:write(json.encode(status), "\n") end
end

local function own_pid()
  local file <close> = io.open("/proc/self/stat")
  return file and file:read("n")
end

local function not_started(self, why, cut)
  say(self, { failed = why })
  if cut then return end -- what it was ended for has been said
  log.error(why)
  actor.stop_host(1)
  actor.exit(why)
end

-- When the last one has ended, and nobody has removed it.
local function end_if_done(self)
  if self.keep or not self.may_be_done then return end
  self.may_be_done = false
  if not self.members:any_alive() then actor.stop_host(self.last_failed and 1 or 0) end
end

function NodeActor:on_start()
  self.members, self.units = Members.new(), {} -- units: by their refs
  local plan, wrong = Node.plan(self.config)
  if not plan then return not_started(self, "the node's plan: " .. wrong) end
  self.node, self.keep, self.nodes = plan.node, plan.keep, plan.nodes
  local set, why_not = nodes.set(plan.nodes)
  if not set then return not_started(self, tostring(why_not)) end
  local started, why, cut = start_members(self, plan.actors)
  if not started then return not_started(self, why, cut) end
  say(self, { ready = true, pid = own_pid(), endpoint = tostring(actor.self):match("@(.+)$") })
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
  local router = Members.living(member, "router")[1]
  if not router then return nil, ("the group '%s' has ended"):format(member.actor.name) end
  local answer, why = router.ref:ask(type, { to = unit.ref }, { priority = "high" })
  return answer ~= nil, tostring(why)
end

-- Starts those that are missing up to so many: their units; or nil and why not.
local function grow(self, member, to)
  local grown = Members.grow(member, to)
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
  local surplus = Members.surplus(member, to)
  for place = #surplus, 1, -1 do tell_router(member, "RouterRemove", surplus[place]) end
  local ended = stop(self, surplus, true)
  self.members:forget(surplus)
  return ended
end

------------------------------------------------------------------- NodeApply ----

-- From now on these are the nodes: true, or nil and why not.
local function set_nodes(self, new)
  local changed = {}
  for name in pairs(self.nodes) do changed[name] = false end
  for name, endpoint in pairs(new) do changed[name] = endpoint end
  local set, why = nodes.set(changed)
  if not set then return nil, tostring(why) end
  self.nodes = new
  return true
end

-- Does what may fail, and notes in `done` what there is to undo. Or nil and why not.
local function prepare_changes(self, changes, done)
  for _, name in ipairs(changes.remove) do
    if changes.replaced[name] then
      local member = self.members:find(name)
      table.insert(done.replaced, member.actor)
      if not retire(self, member) then return nil, ("actor '%s' does not end, and so cannot be replaced"):format(name) end
    end
  end
  if changes.nodes then
    done.nodes = self.nodes
    local set, why = set_nodes(self, changes.nodes)
    if not set then return nil, why end
  end
  for _, change in ipairs(changes.config) do
    local wrong = check_refs(change.name, change.config)
    if wrong then return nil, wrong end
    local member = self.members:find(change.name)
    table.insert(done.configs, { actor = member.actor, config = member.actor.config })
    member.actor.config = change.config
  end
  local units, why = start_members(self, changes.add)
  for _, change in ipairs(changes.instances) do
    if units then
      table.move(units, 1, #units, #done.new + 1, done.new)
      units, why = grow(self, self.members:find(change.name), change.to)
    end
  end
  if not units then return nil, why end
  table.move(units, 1, #units, #done.new + 1, done.new)
  return true
end

local function undo(self, done)
  discard(self, done.new)
  if done.nodes then set_nodes(self, done.nodes) end
  for _, change in ipairs(done.configs) do change.actor.config = change.config end
  local back, why = start_members(self, done.replaced)
  if not back then log.error("what was to be replaced could not be started again", { why = why }) end
end

-- Does the rest, which cannot fail; the names of those that are still at it.
local function finish_changes(self, changes, done)
  local is_new, configured, ending = {}, json.array {}, json.array {}
  for _, unit in ipairs(done.new) do is_new[unit] = true end
  for _, change in ipairs(changes.config) do
    local member = self.members:find(change.name)
    local all = true
    member.changed = true
    for _, unit in ipairs(Members.workers(member)) do
      if not is_new[unit] then all = send_config(unit) and all end
    end
    if all then table.insert(configured, change.name) end
  end
  for _, change in ipairs(changes.instances) do
    local member = self.members:find(change.name)
    member.actor.instances = change.to
    if not shrink(self, member, change.to) then table.insert(ending, change.name) end
  end
  local removed, members = {}, self.members:all()
  for _, name in ipairs(changes.remove) do removed[name] = not changes.replaced[name] end
  for place = #members, 1, -1 do
    local name = members[place].actor.name
    if removed[name] and not retire(self, members[place]) then table.insert(ending, name) end
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
  for _, member in ipairs(self.members:all()) do known[member.actor.name] = member.actor end
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

function NodeActor:on_node_state(_, env)
  local list = json.array {}
  for place, member in ipairs(self.members:all()) do list[place] = Members.state(member) end
  env:reply("NodeState", { node = self.node, actors = list })
end

return NodeActor
