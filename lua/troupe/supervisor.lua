--- What a supervisor does, as pure decisions: (state, event, now) -> actions. The
--- actor around it (actors/supervisor.lua) only carries them out.
---
--- ```lua
--- local state = Supervisor.new { strategy = "one_for_one", restart = { max = 3, within = 10, least = 0.1, most = 5 } }
--- Supervisor.add(state, { name = "feed", kind = "permanent" })
--- local actions = Supervisor.step(state, { is = "begin" }, 0)             -- { { is = "start", name = "feed" } }
--- actions = Supervisor.step(state, { is = "started", name = "feed" }, 1)  -- { { is = "ready" } }
--- ```
---
--- The rules are OTP's:
---
--- * `one_for_one` restarts the child that has ended; `one_for_all` halts all the
---   others, in reverse order, and starts all of them, in order; `rest_for_one` does
---   so with those behind the one that has ended. Halted or started is one child at a
---   time (with one_for_one, only while the supervisor begins).
--- * A `permanent` child is always restarted, a `transient` one if it has failed, a
---   `temporary` one never: it is forgotten when it has ended, or is halted.
--- * Each restart is taken from the budget; the one that is not left makes the supervisor
---   give up. A child that ends while it is to be halted anyway takes none.
--- * A restart of a group starts all of its children, also those that had been
---   terminated, or had ended and were to stay down.
---
--- Two things are ours. A restart waits first, longer each time. And a child whose
--- first on_start fails is tried again within the budget, where OTP gives up at once
--- (as is done here for a temporary one, which nothing restarts).
---
--- A failure while a group is halted, waits or is started does not have to wait
--- until that is done, but makes it begin again from the foremost child concerned.
local Budget = require "troupe.budget"

local Supervisor = {}

---@class troupe.supervisor.Child
---@field name string
---@field kind "permanent"|"transient"|"temporary"
---@field status "down"|"starting"|"up"|"halting"
---@field wanted boolean    it is to be up
---@field cycle? boolean    it is to be halted before it is started again
---@field begun? boolean    it has started at least once, or has had its chance
---@field due? number       not to be started before
---@field asker? any        who waits for the start of this child alone
---@field stoppers? any[]   who wait until it is down

---@class troupe.supervisor.State
---@field strategy "one_for_one"|"one_for_all"|"rest_for_one"
---@field budget troupe.Budget
---@field phase "new"|"beginning"|"running"|"ending"|"over"
---@field children troupe.supervisor.Child[]  in order of their start
---@field due? number      a group is not to be started before
---@field why? string      it ends because it gave up
---@field culprit? string  the child that made it give up

--- Something to be done:
---   start { name }, halt { name }, drop { name }: to a child. What is dropped is down.
---   restarting { name, wait, used }: it was decided so, and that many restarts are spent.
---   ready {}: all children have started.
---   answer { to, wrong? }: the command of that token has been carried out, or cannot be.
---   over { why?, culprit? }: all children are down; the supervisor ends, as it gave up if there is a why.
---@class troupe.supervisor.Action
---@field is "start"|"halt"|"drop"|"restarting"|"ready"|"answer"|"over"
---@field name? string
---@field wait? number      seconds
---@field used? integer
---@field to? any
---@field wrong? string
---@field why? string
---@field culprit? string

---@param options { strategy: string, restart: { max: integer, within: number, least: number, most: number } }
---@return troupe.supervisor.State
function Supervisor.new(options)
  return { strategy = options.strategy, budget = Budget.new(options.restart), phase = "new", children = {} }
end

---@return troupe.supervisor.Child? child
---@return integer? place
function Supervisor.find(state, name)
  for place, child in ipairs(state.children) do
    if child.name == name then return child, place end
  end
end

--- Adds a child behind the others, to be started in its turn.
---@param spec { name: string, kind: string }
function Supervisor.add(state, spec)
  local child = { name = spec.name, kind = spec.kind, status = "down", wanted = true }
  table.insert(state.children, child)
  return child
end

--- When something is to be done even if nothing happens: a `tick` is due then.
---@return number? due
function Supervisor.due(state)
  if state.phase == "ending" or state.phase == "over" then return nil end
  local due = state.due
  for _, child in ipairs(state.children) do
    if child.due and (not due or child.due < due) then due = child.due end
  end
  return due
end

------------------------------------------------------------- what follows ----

local function act(actions, is, action)
  action.is = is
  table.insert(actions, action)
end

local function answer(actions, to, wrong)
  if to ~= nil then act(actions, "answer", { to = to, wrong = wrong }) end
end

local function answer_asker(child, actions, wrong)
  local asker = child.asker
  child.asker = nil
  answer(actions, asker, wrong)
end

local function remove(state, child, actions)
  local _, place = Supervisor.find(state, child.name)
  table.remove(state.children, place)
  act(actions, "drop", { name = child.name })
end

-- The last of those that are up and are not to be. One is halted at a time.
local function next_to_halt(state)
  local found
  for _, child in ipairs(state.children) do
    if child.status == "halting" then return nil end
    local is_up = child.status == "up" or child.status == "starting"
    if is_up and (child.cycle or not child.wanted) then found = child end
  end
  return found
end

local function start(child, actions)
  child.status = "starting"
  child.due = nil
  act(actions, "start", { name = child.name })
end

-- Each by itself; but the first time in their order.
local function start_each(state, now, actions)
  for _, child in ipairs(state.children) do
    local is_due = not child.due or now >= child.due
    if child.wanted and child.status == "down" and is_due then start(child, actions) end
    if child.wanted and not child.begun and state.phase == "beginning" then return end
  end
end

-- The first that is to be up and is not, when none is to be halted any more.
local function start_next(state, now, actions)
  if state.due and now < state.due then return end
  for _, child in ipairs(state.children) do
    if child.cycle then return end
  end
  state.due = nil
  for _, child in ipairs(state.children) do
    if child.wanted and child.status ~= "up" then
      if child.status == "down" then start(child, actions) end
      return
    end
  end
end

local function note_ready(state, actions)
  for _, child in ipairs(state.children) do
    if child.wanted and not child.begun then return end
  end
  state.phase = "running"
  act(actions, "ready", {})
end

local function note_over(state, actions)
  for _, child in ipairs(state.children) do
    if child.status ~= "down" then return end
  end
  state.phase = "over"
  act(actions, "over", { why = state.why, culprit = state.culprit })
end

-- Orders what the state asks for now.
local function settle(state, now, actions)
  if state.phase == "new" or state.phase == "over" then return end
  local child = next_to_halt(state)
  if child then
    child.status = "halting"
    act(actions, "halt", { name = child.name })
  end
  if state.phase == "ending" then return note_over(state, actions) end
  if state.strategy == "one_for_one" then
    start_each(state, now, actions)
  else
    start_next(state, now, actions)
  end
  if state.phase == "beginning" then note_ready(state, actions) end
end

------------------------------------------------------------------ endings ----

local function end_all(state, actions)
  state.phase = "ending"
  state.due = nil
  for _, child in ipairs(state.children) do
    child.wanted, child.cycle, child.due = false, nil, nil
    answer_asker(child, actions, "the supervisor ends")
  end
end

local function give_up(state, child, why, actions)
  state.why, state.culprit = why, child.name
  end_all(state, actions)
end

-- Which children a restart of the one at `place` concerns.
local function first_of_group(state, place)
  if state.strategy == "one_for_all" then return 1 end
  return place
end

local function restart_group(state, place, due)
  for i = first_of_group(state, place), #state.children do
    local child = state.children[i]
    child.wanted = true
    child.cycle = child.status ~= "down" or nil
  end
  state.due = due
end

local function restart(state, child, reason, now, random, actions)
  local wait = Budget.spend(state.budget, now, random)
  if not wait then
    return give_up(state, child, Budget.gave_out(state.budget, child.name, reason), actions)
  end
  if state.strategy == "one_for_one" then
    child.due = now + wait
  else
    local _, place = Supervisor.find(state, child.name)
    restart_group(state, place, now + wait)
  end
  act(actions, "restarting", { name = child.name, wait = wait, used = #state.budget.spent })
end

local function is_restarted(child, event)
  return child.kind == "permanent" or child.kind == "transient" and event.failed
end

-- The child of a StartChild or RestartChild, which is not tried again.
local function not_started(state, child, event, actions)
  answer_asker(child, actions, event.reason)
  child.wanted = false
  if not child.begun or child.kind == "temporary" then remove(state, child, actions) end
end

-- A child has ended, and nobody wanted it to.
local function ended(state, child, event, now, random, actions)
  if child.asker ~= nil then return not_started(state, child, event, actions) end
  if is_restarted(child, event) then return restart(state, child, event.reason, now, random, actions) end
  local could_not_begin = not child.begun and event.failed
  child.wanted, child.begun = false, true
  if child.kind ~= "temporary" then return end
  remove(state, child, actions)
  if could_not_begin then
    give_up(state, child, ("%s could not start: %s"):format(child.name, event.reason), actions)
  end
end

-- A child is down, as it was to be.
local function put_down(state, child, actions)
  child.cycle = nil
  for _, stopper in ipairs(child.stoppers or {}) do answer(actions, stopper) end
  local asked_for = child.stoppers ~= nil
  child.stoppers = nil
  if child.kind == "temporary" and state.phase ~= "ending" and (child.begun or asked_for) then
    remove(state, child, actions)
  end
end

------------------------------------------------------------------- events ----

local on = {}

function on.begin(state)
  state.phase = "beginning"
end

function on.tick() end

function on.stop(state, _, _, _, actions)
  if state.phase ~= "ending" and state.phase ~= "over" then end_all(state, actions) end
end

-- One that was taken for down (somebody stopped it before it had begun) is up.
function on.started(_, event, _, _, actions, child)
  if child.status ~= "starting" and child.status ~= "down" then return end
  child.status, child.begun, child.due = "up", true, nil
  answer_asker(child, actions)
end

-- { name, reason, failed, ordered = it obeyed the halt that was last ordered }
function on.halted(state, event, now, random, actions, child)
  local status = child.status
  if status == "down" or status == "halting" and not event.ordered then return end
  child.status = "down"
  if status == "halting" or child.cycle or not child.wanted then
    put_down(state, child, actions)
  else
    ended(state, child, event, now, random, actions)
  end
end

-- It has ended for good, and nobody can have it back: the host stops.
function on.gone(state, _, _, _, actions, child)
  child.status = "down"
  answer_asker(child, actions, "it has ended")
  put_down(state, child, actions)
  if Supervisor.find(state, child.name) then remove(state, child, actions) end
end

-- { name, kind, token }
function on.add(state, event, _, _, actions)
  if state.phase == "ending" then
    act(actions, "drop", { name = event.name })
    return answer(actions, event.token, "the supervisor ends")
  end
  Supervisor.add(state, event).asker = event.token
end

function on.terminate(state, event, _, _, actions, child)
  answer_asker(child, actions, "it was terminated")
  if child.status == "down" then
    child.wanted, child.due = false, nil
    if child.kind == "temporary" then remove(state, child, actions) end
    return answer(actions, event.token)
  end
  child.wanted = false
  child.stoppers = child.stoppers or {}
  table.insert(child.stoppers, event.token)
end

local function wrong_for(state, child)
  if state.phase == "ending" then return "the supervisor ends" end
  if child.status ~= "down" then return "it is running" end
  if child.wanted then return "it is being restarted" end
end

function on.restart(state, event, _, _, actions, child)
  local wrong = wrong_for(state, child)
  if wrong then return answer(actions, event.token, wrong) end
  child.wanted, child.begun = true, true
  child.asker = event.token
end

function on.delete(state, event, _, _, actions, child)
  local wrong = wrong_for(state, child)
  if wrong then return answer(actions, event.token, wrong) end
  remove(state, child, actions)
  answer(actions, event.token)
end

--- Takes an event in: begin, tick, stop; started, halted, gone { name } of a child;
--- add, terminate, restart, delete { name, token }, which are commands and get an
--- `answer` each, at once or later.
---@param state troupe.supervisor.State  is changed
---@param event table
---@param now number      seconds; never earlier than in the previous call
---@param random? fun(): number  for the waits before restarts; default math.random
---@return troupe.supervisor.Action[] actions  to be carried out in this order
function Supervisor.step(state, event, now, random)
  local actions = {}
  local child
  if event.name and event.is ~= "add" then
    child = Supervisor.find(state, event.name)
    if not child then
      answer(actions, event.token, "there is no such child")
      return actions
    end
  end
  on[event.is](state, event, now, random, actions, child)
  settle(state, now, actions)
  return actions
end

return Supervisor
