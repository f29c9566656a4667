--- A topology that is up becomes another: what differs is started, stopped, and told to the
--- nodes that run on.
---
--- ```lua
--- session:begin(Change.job)    -- when its file was saved
--- ```
---
--- What cannot be done while it runs is refused as a whole, before anything is touched. Else
--- it is done in steps; one that fails is the last, and it is said what was done and what was
--- not. The next save is compared with what really runs.
local hosts = require "troupe.cli.hosts"
local json = require "troupe.json"
local topology = require "troupe.topology"

local SIGNAL_OF = { [130] = "INT", [143] = "TERM" } -- that a connection has met
local PATIENCE = 60 -- seconds for a node to do what it is told: an on_start may take long

local Change = {}

---@class troupe.up.Changes  of topology.diff
---@field start table[]                plans of new nodes
---@field stop string[]                names of nodes that are no more, the last one first
---@field nodes table<string, table>   by node: add, remove, config, instances, nodes

-- ---- May it be? ----

--- Whether a script can take a new config while it runs.
local function takes_config(script)
  if not script or script.any then return true end -- one that is not known was not found wrong
  for _, handler in ipairs(script.handlers) do
    if handler:lower():gsub("_", "") == "onconfig" then return true end
  end
  return false
end

--- Why actors cannot be given their new config.
---@param changes troupe.up.Changes
---@param scripts table<string, table>  what is known of them, by actor
---@return string[] reasons
function Change.deaf(changes, scripts)
  local reasons = {}
  for _, node in pairs(changes.nodes) do
    for _, each in ipairs(node.config) do
      local script = scripts[each.name]
      if not takes_config(script) then
        table.insert(reasons, ("actor '%s': its config cannot be changed while it runs: %s has no on_config (write one)"):format(
          each.name, script.path))
      end
    end
  end
  table.sort(reasons)
  return reasons
end

-- ---- What there is to do ----

---@class troupe.up.Step
---@field kind "start"|"tell"|"stop"  a new node; one that runs; one that is no more
---@field plan table?       start, tell: the node's new plan
---@field name string       the node's
---@field message table?    tell: the NodeApply
---@field words string[]?   what it does, if anybody wants to know: "added", "book2"

local function names_of(list)
  local names = {}
  for i, each in ipairs(list) do names[i] = type(each) == "table" and each.name or each end
  return table.concat(names, ", ")
end

local function is_any(list) return list and list[1] ~= nil end

local function step_of_addition(plan, change)
  local words, any = {}, change.nodes ~= nil
  if is_any(change.add) then table.insert(words, { "added", names_of(change.add) }) end
  for _, each in ipairs(change.instances or {}) do
    table.insert(words, { "resized", ("%s from %d to %d instances"):format(each.name, each.from, each.to) })
  end
  if not (any or words[1]) then return nil end
  return { kind = "tell", name = plan.node, plan = plan, words = words,
           message = { add = json.array(change.add or {}), instances = json.array(change.instances or {}), nodes = change.nodes } }
end

local function step_of_config(plan, change)
  if not is_any(change.config) then return nil end
  return { kind = "tell", name = plan.node, plan = plan, words = { { "Config to", names_of(change.config) } },
           message = { config = json.array(change.config) } }
end

local function step_of_removal(plan, change)
  if not is_any(change.remove) then return nil end
  return { kind = "tell", name = plan.node, plan = plan, words = { { "stopped", names_of(change.remove) } },
           message = { remove = json.array(change.remove) } }
end

--- What to do, in order: what is new comes before anybody is told of it, and what goes
--- goes when nobody is told of it any more.
---@param plans table[]  the new ones, in the order of their start
---@param changes troupe.up.Changes
---@return troupe.up.Step[]
function Change.steps(plans, changes)
  local steps, is_new = {}, {}
  for _, plan in ipairs(changes.start) do is_new[plan.node] = true end
  for _, plan in ipairs(plans) do
    local change = changes.nodes[plan.node]
    if is_new[plan.node] then
      table.insert(steps, { kind = "start", name = plan.node, plan = plan, words = { { "started", "node " .. plan.node } } })
    elseif change then
      table.insert(steps, step_of_addition(plan, change))
    end
  end
  for _, plan in ipairs(plans) do
    local change = changes.nodes[plan.node]
    if change then table.insert(steps, step_of_config(plan, change)) end
  end
  for i = #plans, 1, -1 do
    local change = changes.nodes[plans[i].node]
    if change then table.insert(steps, step_of_removal(plans[i], change)) end
  end
  for _, name in ipairs(changes.stop) do
    table.insert(steps, { kind = "stop", name = name, words = { { "stopped", "node " .. name } } })
  end
  return steps
end

--- A node's plan after it has done what a NodeApply says.
---@param plan table
---@param message table
---@return table plan
function Change.applied(plan, message)
  local actors, removed, configs, sizes = {}, {}, {}, {}
  for _, name in ipairs(message.remove or {}) do removed[name] = true end
  for _, each in ipairs(message.config or {}) do configs[each.name] = each.config end
  for _, each in ipairs(message.instances or {}) do sizes[each.name] = each.to end
  for _, actor in ipairs(plan.actors) do
    if not removed[actor.name] then
      local copy = {}
      for key, value in pairs(actor) do copy[key] = value end
      copy.config = configs[actor.name] or copy.config
      copy.instances = sizes[actor.name] or copy.instances
      table.insert(actors, copy)
    end
  end
  for _, actor in ipairs(message.add or {}) do table.insert(actors, actor) end
  local result = {}
  for key, value in pairs(plan) do result[key] = value end
  result.actors, result.nodes = actors, message.nodes or plan.nodes
  return result
end

--- Steps in words: `added book2, stopped old, Config to feed`.
---@param steps troupe.up.Step[]
---@return string
function Change.words(steps)
  local verbs, objects = {}, {}
  for _, step in ipairs(steps) do
    for _, word in ipairs(step.words) do
      local verb, object = word[1], word[2]
      if not objects[verb] then
        objects[verb] = {}
        table.insert(verbs, verb)
      end
      table.insert(objects[verb], object)
    end
  end
  local words = {}
  for i, verb in ipairs(verbs) do words[i] = verb .. " " .. table.concat(objects[verb], ", ") end
  return table.concat(words, ", ")
end

-- ---- Doing it ----

local function host_of(pid)
  for _, host in ipairs(hosts.list() or {}) do
    if host.pid == pid then return host end
  end
end

-- The answer of a node to a question, without keeping anything else waiting: its row, or
-- nil and why there is none.
local function ask(session, node, message_type, message)
  local host = host_of(node.pid)
  if not host then return nil, "it has no control socket" end
  local connection <close>, why = hosts.open(host)
  if not connection then return nil, why end
  connection:begin { ["do"] = "ask", name = "node." .. node.name, type = message_type, json = json.encode(message) }
  session.listening = connection.raw:descriptor()
  local answer
  local over = session:await(function()
    local row, is_open
    repeat -- several lines may have come at once
      row, is_open = connection:next(0, true)
      answer = row or answer
    until not row
    return is_open ~= false
  end, PATIENCE)
  session.listening = nil
  if SIGNAL_OF[connection.code] then -- it was for us, and took its way
    session:told_to_end(SIGNAL_OF[connection.code])
    return nil, "all is to end"
  end
  if not over then return nil, ("it has not answered in %d s"):format(PATIENCE) end
  if connection.code ~= 0 then
    return nil, connection.why and connection.why ~= "" and connection.why or "it gave no answer"
  end
  return answer
end

local function find(session, name)
  for i, node in ipairs(session.nodes) do
    if node.name == name then return node, i end
  end
end

-- Each does a step: true, or nil and why not.
local act = {}

function act.start(session, step)
  local node = session:make_node(step.plan)
  session.lines:add { node.name }
  table.insert(session.nodes, node)
  if session:start_node(node) then return true end
  local _, place = find(session, node.name)
  table.remove(session.nodes, place)
  return nil, ("%s cannot start: %s"):format(node.name, node.failure)
end

function act.tell(session, step)
  local node = find(session, step.name)
  session:await(function() return node.state ~= "starting" end)
  if node.state == "running" then
    local answer, why = ask(session, node, "NodeApply", step.message)
    if not answer then return nil, ("%s: %s"):format(step.name, why) end
    node.plan = Change.applied(node.plan, step.message)
    return true
  end
  node.plan = Change.applied(node.plan, step.message) -- for its next start
  if node.state == "ended" and not session:start_node(node) then
    return nil, ("%s cannot start: %s"):format(step.name, node.failure)
  end
  return true
end

function act.stop(session, step)
  local node, place = find(session, step.name)
  session:stop_nodes { node }
  table.remove(session.nodes, place)
  return true
end

-- The nodes stand in the order of the new plans; what comes next is compared with that.
local function reorder(session, plans)
  local place = {}
  for i, plan in ipairs(plans) do place[plan.node] = i end
  table.sort(session.nodes, function(one, other)
    return (place[one.name] or math.huge) < (place[other.name] or math.huge)
  end)
end

local function current_plans(session)
  local plans = {}
  for i, node in ipairs(session.nodes) do plans[i] = node.plan end
  return plans
end

local function refuse(session, reasons)
  for _, reason in ipairs(reasons) do session:say(reason, "error") end
  session:say(("%s: not applied: the old topology goes on"):format(session.options.path), "error")
end

-- Until all are done, or one cannot be: why, and how many were.
local function take_steps(session, steps)
  for i, step in ipairs(steps) do
    local done, why = act[step.kind](session, step)
    if not done then return why, i - 1 end
  end
  return nil, #steps
end

local function say_done(session, steps, count)
  local words = Change.words(table.move(steps, 1, count, 1, {}))
  if words ~= "" then
    session:say(("%s: %s"):format(session.options.path, words))
  elseif count == #steps then
    session:say(("%s: nothing that runs has changed"):format(session.options.path))
  end
end

--- The job of a session whose topology was saved.
---@param session troupe.up.Session
function Change.job(session)
  local plans, scripts = session.options.read()
  if not plans then return refuse(session, {}) end
  local changes, reasons = topology.diff(current_plans(session), plans)
  if changes then
    reasons = Change.deaf(changes, scripts)
    if reasons[1] then changes = nil end
  end
  if not changes then return refuse(session, reasons) end
  local steps = Change.steps(plans, changes)
  local why, count = take_steps(session, steps)
  if why then
    session:say(why, "error")
    local words = Change.words(table.move(steps, count + 1, #steps, 1, {}))
    session:say(("%s: could not be applied as a whole; not done: %s"):format(session.options.path, words), "error")
  end
  say_done(session, steps, count)
  reorder(session, plans)
  local names = {}
  for i, node in ipairs(session.nodes) do names[i] = node.name end
  session.options.on_names(names)
end

return Change
