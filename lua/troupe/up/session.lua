--- A topology that is up: the processes of its nodes, from the first one's start to the
--- last one's end.
---
--- ```lua
--- local session = Session.new { model = model, plans = plans, scripts = scripts, ... }
--- local code = session:run()    -- an exit code, when it is down
--- ```
---
--- One loop takes what happens (troupe.processes) and hands it to whom it concerns. What
--- takes more than one event is a *job*, a coroutine that awaits conditions: the start,
--- a change, the stop. There is one at a time.
local Change = require "troupe.up.change"
local Lines = require "troupe.up.lines"
local Node = require "troupe.up.node"
local hosts = require "troupe.cli.hosts"
local json = require "troupe.json"
local leftover = require "troupe.up.leftover"
local processes = require "troupe.processes"
local tools = require "troupe.tools"
local tables = require "troupe.tables"

local EXIT_OK, EXIT_FAILED = 0, 1
local CODE_OF = { INT = 130, TERM = 0 }
local CODE_AT_ONCE = { INT = 130, TERM = 143 }

local SLOW_START = 10  -- seconds, after which it is said that a node is still starting
local SHARE = 0.4      -- of the budget: who has not been told to end by then is told now
local HURRY = 0.5      -- seconds for nodes that have been told twice
local LOOK = 0.05      -- seconds, from one look at a port that is taken to the next

---@class troupe.up.Options
---@field model troupe.topology.Model
---@field plans troupe.topology.Plan[]
---@field path string         of the topology; "-"
---@field text string?        what it held when it was read; nil for "-"
---@field one boolean
---@field watch boolean
---@field budget number       seconds for a stop
---@field as_json boolean     the log is
---@field host table          what each node is started with besides its plan
---@field read fun(): (troupe.topology.Plan[]?, table?)  reads the topology again: its plans
---   and what is known of the scripts, by the names of actors; it says itself what is wrong
---@field on_names fun(names: string[])  which nodes there are now

---@class troupe.up.Session
---@field nodes troupe.up.Node[]  in the order of their start
---@field code integer?     the exit code, when all is over
---@field phase "starting"|"running"|"stopping"
---@field lines troupe.up.Lines
---@field listening integer?  a descriptor that the job waits for, too
local Session = {}
Session.__index = Session

---@param options troupe.up.Options
---@return troupe.up.Session? session, string? why
function Session.new(options)
  local family, why = processes.open()
  if not family then return nil, why end
  local self = setmetatable({ options = options, family = family, nodes = {}, by_child = {}, phase = "starting" }, Session)
  self.lines = Lines.new(family, tables.column(options.plans, "node"), options.as_json)
  for i, plan in ipairs(options.plans) do self.nodes[i] = self:make_node(plan) end
  return self
end

function Session:say(text, level)
  self.lines:say(text, level)
end

function Session:make_node(plan)
  local keeper = {}
  keeper.say = function(text, level) self:say(text, level) end
  keeper.kill = function(child, signal) return self.family:kill(child, signal) end
  keeper.spawn = function(node)
    local input = json.encode { plan = node.plan, options = self.options.host }
    local child, pid = self.family:spawn { processes.program, "node", input = input .. "\n" }
    if child then self.by_child[child] = node end
    return child, pid
  end
  return Node.new(plan, keeper)
end

-- ---- What happens ----

function Session:forward(signal)
  for _, node in ipairs(self.nodes) do
    if node.child and node.state == "running" then self.family:kill(node.child, signal) end
  end
end

--- Somebody wants it to end: in order, or if that was said before at once.
---@param signal "INT"|"TERM"
function Session:told_to_end(signal)
  if self.phase == "stopping" then
    self:say(("SIG%s once more: stopping at once"):format(signal), "warn")
    self:hurry(CODE_AT_ONCE[signal])
  else
    self:say(("SIG%s: stopping, the last node first"):format(signal))
    self:stop(CODE_OF[signal])
  end
end

local take = {}

function take.line(self, event)
  local node = self.by_child[event.child]
  if event.stream == "status" then
    node:heard(event.text, tools.now())
  else
    self.lines:of_node(node.name, event.stream, event.text)
  end
end

function take.exit(self, event)
  self.by_child[event.child]:exited(event, tools.now())
end

function take.signal(self, event)
  if event.name == "HUP" then
    self:say("SIGHUP: the scripts are reloaded, and the topology is read again")
    self:forward("HUP")
    self.pending = self.options.text ~= nil
  else
    self:told_to_end(event.name)
  end
end

function take.hangup(self)
  if self.phase == "stopping" then return end
  self:say("the terminal has gone: stopping")
  self:stop(EXIT_OK)
end

function take.gone(self, event)
  if self.phase == "stopping" then return end
  self:say(("nobody reads standard %s any more: stopping"):format(event.stream == "out" and "output" or "error"))
  self:stop(EXIT_OK)
end

function take.lost(self, event)
  self:say(("standard %s: %s: lines are lost"):format(event.stream == "out" and "output" or "error", event.why), "error")
end

function take.file(self, event)
  if event.what == "changed" then
    self.pending = true
  elseif event.what == "missing" then
    self:say(("%s is gone: the topology goes on"):format(event.path), "warn")
  end
end

-- ---- Jobs ----

--- Inside a job: waits until it is so; false if that takes longer.
---@param condition fun(): any
---@param seconds? number
---@return boolean
function Session:await(condition, seconds)
  local deadline = seconds and tools.now() + seconds
  while not condition() do
    if deadline and tools.now() >= deadline then return false end
    self.wake_at = deadline
    coroutine.yield()
  end
  return true
end

-- The job that there was is given up.
function Session:begin(job)
  if self.job then
    self.listening = nil
    assert(coroutine.close(self.job))
  end
  self.job = coroutine.create(job)
end

function Session:go_on()
  if self.job then
    self.wake_at = nil
    local fine, why = coroutine.resume(self.job, self)
    if not fine then error(debug.traceback(self.job, why), 0) end
    if coroutine.status(self.job) == "dead" then self.job = nil end
  end
  if not self.job and self.phase == "running" then
    if self.pending then
      self.pending = false
      self:begin(Change.job)
      return self:go_on()
    elseif self:all_have_ended() then
      self:say(("%s: all nodes have ended"):format(self.options.model.name))
      self.code = EXIT_OK
    end
  end
end

-- Inside a job: waits until one of these nodes runs, or has ended.
function Session:await_one(nodes)
  local function is_any_settled()
    for _, node in ipairs(nodes) do
      if node:is_settled() then return true end
    end
    return false
  end
  if self:await(is_any_settled, SLOW_START) then return end
  for _, node in ipairs(nodes) do
    self:say(("%s is still starting: an on_start takes long"):format(node.name), "warn")
  end
  self:await(is_any_settled)
end

--- Starts a node and waits until it runs: whether it does (or has done its work already).
---@param node troupe.up.Node
---@return boolean
function Session:start_node(node)
  node:start(tools.now())
  self:await_one { node }
  return node.failure == nil
end

-- Whether none of the nodes with these names is still to start.
local function have_started(nodes, names)
  for _, node in ipairs(nodes) do
    if names[node.name] and not node:is_settled() then return false end
  end
  return true
end

-- Starts those whose turn it is: which are under way now; nil and the one that could not be started.
local function start_next(self, after)
  local under_way = {}
  for _, node in ipairs(self.nodes) do
    if node.state == "waiting" and have_started(self.nodes, after[node.name] or {}) then node:start(tools.now()) end
    if node.failure then return nil, node end
    if node.state ~= "waiting" and not node:is_settled() then table.insert(under_way, node) end
  end
  return under_way
end

-- By node, the names of those that it comes after.
local function order_of(model)
  local after = {}
  for _, node in ipairs(model.nodes) do
    after[node.name] = {}
    for _, name in ipairs(node.after) do after[node.name][name] = true end
  end
  return after
end

-- Inside a job: waits until no node that was left behind has a port of ours; but not longer than
-- one may take to end.
function Session:await_ports()
  local endpoints, deadline = {}, tools.now() + self.options.budget
  for _, node in ipairs(self.nodes) do table.move(node.plan.bind or {}, 1, #(node.plan.bind or {}), #endpoints + 1, endpoints) end
  local pid, endpoint = leftover.find(endpoints)
  if not pid then return end
  self:say(("waiting for process %d, which still has %s: a node whose 'troupe up' has gone"):format(pid, endpoint))
  local function is_over() return tools.now() >= deadline end
  while leftover.find(endpoints) and not self:await(is_over, LOOK) do end
end

-- Each node starts when those that it comes after run; who waits for nobody at once.
local function start_all(self)
  self:await_ports()
  local began, after = tools.now(), order_of(self.options.model)
  while true do
    local under_way, failed = start_next(self, after)
    if failed then
      self:say(("%s cannot start: %s"):format(failed.name, failed.failure), "error")
      self:stop(EXIT_FAILED)
      return
    end
    if not under_way[1] then break end
    self:await_one(under_way)
  end
  self.phase = "running"
  local count = #self.options.model.nodes
  self:say(("%s is up: %d node%s%s in %.1f s"):format(self.options.model.name, count, count == 1 and "" or "s",
    self.options.one and " in one process" or "", tools.now() - began))
end

function Session:all_have_ended()
  for _, node in ipairs(self.nodes) do
    if node.state ~= "ended" and node.state ~= "waiting" then return false end
  end
  return true
end

--- Inside a job: ends nodes, the last first, each when the one after it has ended, as long
--- as there is time.
---@param nodes troupe.up.Node[]  in the order of their start
function Session:stop_nodes(nodes)
  local budget = self.options.budget
  local began = tools.now()
  local function left(share) return began + budget * share - tools.now() end
  for i = #nodes, 1, -1 do
    nodes[i]:stop()
    self:await(function() return nodes[i].state == "ended" end, left(SHARE))
  end
  local function have_ended()
    for _, node in ipairs(nodes) do
      if node.state ~= "ended" then return false end
    end
    return true
  end
  if self:await(have_ended, left(1)) then return end
  for _, node in ipairs(nodes) do
    if node.state ~= "ended" then
      self:say(("%s had not ended in %.1f s and was killed"):format(node.name, budget), "error")
      node:kill()
    end
  end
  self:await(have_ended, budget)
end

-- Exit code 0 is only for nodes that ended as they should.
function Session:verdict(code)
  if code ~= EXIT_OK then return code end
  for _, node in ipairs(self.nodes) do
    if node.killed or node.code and node.code ~= EXIT_OK then return EXIT_FAILED end
  end
  return EXIT_OK
end

--- Ends all, in order.
---@param code integer  exit code, if nothing goes wrong
function Session:stop(code)
  self.phase = "stopping"
  self.stop_job = function()
    self:stop_nodes(self.nodes)
    for _, node in ipairs(self.nodes) do
      if node.code and node.code ~= EXIT_OK and not node.killed then
        self:say(("%s ended with %d"):format(node.name, node.code), "warn")
      end
    end
    self:say(("%s is down"):format(self.options.model.name))
    self.code = self:verdict(code)
  end
end

--- Ends all at once.
function Session:hurry(code)
  local nodes = {}
  for _, node in ipairs(self.nodes) do
    if node.child then
      self.family:kill(node.child, "TERM") -- the second one, for who was told
      node:stop()
      table.insert(nodes, node)
    end
  end
  self.stop_job = function()
    self:await(function()
      for _, node in ipairs(nodes) do
        if node.state ~= "ended" then return false end
      end
      return true
    end, HURRY)
    self.code = code -- and the family is closed, which kills what is left
  end
end

-- ---- The loop ----

-- Seconds until something is due.
function Session:patience()
  local due = self.wake_at
  for _, node in ipairs(self.nodes) do
    if node.due and (not due or node.due < due) then due = node.due end
  end
  return due and math.max(due - tools.now(), 0)
end

function Session:start_due()
  for _, node in ipairs(self.nodes) do
    if node.due and node.due <= tools.now() then node:start(tools.now()) end
  end
end

--- Runs it until it is down.
---@return integer code
function Session:run()
  local options = self.options
  if options.watch then
    local watched, why = self.family:watch(options.path, options.text)
    if not watched then self:say(("%s cannot be watched: %s"):format(options.path, why), "error") end
  end
  self:begin(start_all)
  while true do
    if self.stop_job then
      self:begin(self.stop_job)
      self.stop_job = nil
    end
    self:go_on()
    if self.code then break end
    if not self.stop_job then -- a job may have asked for it
      local event = self.family:next(self:patience(), self.listening)
      if event and event.kind ~= "ready" then take[event.kind](self, event) end
      self:start_due()
    end
  end
  self.family:close()
  hosts.list() -- takes away the control sockets of nodes that were killed
  return self.code
end

return Session
