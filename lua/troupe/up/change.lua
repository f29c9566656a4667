--- A topology that is up becomes another: what differs is started, stopped, and told to the
--- nodes that run on.
---
--- ```lua
--- session:begin(Change.job)    -- when its file was saved
--- ```
---
--- What cannot be done while it runs is refused as a whole, before anything is touched. What
--- fails on the way is said, with what was done and what was not; the next save is compared
--- with what really runs.
local hosts = require "troupe.cli.hosts"
local json = require "troupe.json"
local topology = require "troupe.topology"

local PATIENCE = 60 -- seconds for a node to do what it is told: an on_start may take long

local Change = {}

---@class troupe.up.Changes  of topology.diff
---@field start table[]                plans of new nodes
---@field stop string[]                names of nodes that are no more
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
        table.insert(reasons, ("actor '%s': its config cannot be changed while it runs: %s has no on_config"):format(
          each.name, script.path))
      end
    end
  end
  table.sort(reasons)
  return reasons
end

-- ---- What is said of it ----

local function names_of(list)
  local names = {}
  for i, each in ipairs(list) do names[i] = type(each) == "table" and (each.name or each.node) or each end
  return names
end

local function say_list(words, verb, names)
  if names[1] then table.insert(words, verb .. " " .. table.concat(names, ", ")) end
end

--- What a change of one node does, in a few words.
---@param change table
---@return string[] words
function Change.words(change)
  local words = {}
  say_list(words, "added", names_of(change.add or {}))
  say_list(words, "stopped", names_of(change.remove or {}))
  say_list(words, "Config to", names_of(change.config or {}))
  for _, each in ipairs(change.instances or {}) do
    table.insert(words, ("%s from %d to %d instances"):format(each.name, each.from, each.to))
  end
  return words
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
    local row, is_open = connection:next(0, true)
    answer = row or answer
    return row == nil and is_open ~= false
  end, PATIENCE)
  session.listening = nil
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

-- A node that runs becomes what its new plan says. Whether it did, or why not.
local function apply_to(session, node, plan, change)
  if node.state == "starting" then
    session:await(function() return node.state ~= "starting" end)
  end
  if node.state == "running" then
    local answer, why = ask(session, node, "NodeApply", {
      add = json.array(change.add), remove = json.array(change.remove), config = json.array(change.config),
      instances = json.array(change.instances), nodes = change.nodes,
    })
    if not answer then return false, why end
    node.plan = plan
    return true
  end
  node.plan = plan -- for its next start
  if node.state == "ended" and not session:start_node(node) then return false, node.failure end
  return true
end

-- Those that are new, in order. What was started; and why one could not be, then none is.
local function start_new(session, plans)
  local started = {}
  for _, plan in ipairs(plans) do
    local node = session:make_node(plan)
    session.lines:add { node.name }
    table.insert(session.nodes, node)
    table.insert(started, node)
    if not session:start_node(node) then
      session:stop_nodes(started)
      for _ = 1, #started do table.remove(session.nodes) end
      return nil, ("%s cannot start: %s"):format(node.name, node.failure)
    end
  end
  return started
end

local function stop_old(session, names)
  local leaving = {}
  for _, node in ipairs(session.nodes) do
    for _, name in ipairs(names) do
      if node.name == name then table.insert(leaving, node) end
    end
  end
  session:stop_nodes(leaving)
  for _, node in ipairs(leaving) do
    local _, place = find(session, node.name)
    table.remove(session.nodes, place)
  end
end

-- The nodes stand in the order of the new plans.
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

local function apply(session, plans, changes)
  local done, failed = {}, {}
  local started, why = start_new(session, changes.start)
  if not started then return done, { why } end
  say_list(done, #changes.start == 1 and "started node" or "started nodes", names_of(changes.start))
  for _, plan in ipairs(plans) do
    local change = changes.nodes[plan.node]
    if change then
      local applied, reason = apply_to(session, find(session, plan.node), plan, change)
      local words = Change.words(change)
      if applied then
        table.move(words, 1, #words, #done + 1, done)
      else
        table.insert(failed, ("%s: %s: not done: %s"):format(plan.node, reason,
          words[1] and table.concat(words, ", ") or "the ways to other nodes"))
      end
    end
  end
  stop_old(session, changes.stop)
  say_list(done, #changes.stop == 1 and "stopped node" or "stopped nodes", changes.stop)
  reorder(session, plans)
  return done, failed
end

local function refuse(session, reasons)
  for _, reason in ipairs(reasons) do session:say(reason, "error") end
  session:say(("%s: not applied: the old topology goes on"):format(session.options.path), "error")
end

--- The job of a session whose topology was saved.
---@param session troupe.up.Session
function Change.job(session)
  local file = session.options.path
  local plans, scripts = session.options.read()
  if not plans then return refuse(session, {}) end
  local changes, reasons = topology.diff(current_plans(session), plans)
  if changes then
    reasons = Change.deaf(changes, scripts)
    if reasons[1] then changes = nil end
  end
  if not changes then return refuse(session, reasons) end
  local done, failed = apply(session, plans, changes)
  for _, text in ipairs(failed) do session:say(text, "error") end
  if done[1] then
    session:say(("%s: %s"):format(file, table.concat(done, ", ")))
  elseif not failed[1] then
    session:say(("%s: nothing that runs has changed"):format(file))
  end
  local names = {}
  for i, node in ipairs(session.nodes) do names[i] = node.name end
  session.options.on_names(names)
end

return Change
