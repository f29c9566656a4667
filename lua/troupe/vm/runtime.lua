--- Runs stack machines: many of them in one Lua state, which is in one actor, or in
--- none. The runtime owns the loop; the machines own none.
---
--- ```lua
--- local runtime = require("troupe.vm.runtime").ActorRuntime.new { turn = "Turn" }
--- runtime:register(machine)
--- runtime:start("fair", { messages_per_actor = 2 })    -- and in the actor's script:
--- function Machines:on_turn() self.runtime:turn() end
--- ```
---
--- A Lua state has no threads to run beside it. So start() returns, as it should, and
--- what is left to do is done in *turns*: each runs a bounded number of instructions
--- and asks for the next one, with a message of the type `turn` that the actor sends
--- itself, behind the mail that it has. While no machine has code there are no turns at
--- all; new code asks for one. With `blocking` start() runs the machines itself, and returns
--- when they have nothing to do: nobody could give them anything meanwhile.
---
--- A machine whose instruction fails is unregistered, and the error raised where it was
--- run: the others go on with the next turn. A loop function that fails stops the runtime.
local Machine = require "troupe.vm"

local SLICE = 1000 -- instructions in a turn

---------------------------------------------------------- ActorRuntime ----

---@alias troupe.vm.Loop fun(runtime: troupe.vm.ActorRuntime, machines: troupe.vm.Machine[]): number?

---@class troupe.vm.ActorRuntime
---@field machines troupe.vm.Machine[]  in the order of their registration
---@field running boolean
---@field private quantum number     how many messages a machine handles before it is another's turn
---@field private loop troupe.vm.Loop?  in the place of that
---@field private cursor integer     whose turn it is
---@field private used integer       how many messages that one has handled
---@field private scheduled boolean  a turn was asked for, and has not come yet
---@field private blocking boolean   start() runs the machines itself
---@field private after fun(seconds: number)?  asks for a turn
---@field private sleep fun(seconds: number)?
local ActorRuntime = {}
ActorRuntime.__index = ActorRuntime
ActorRuntime.__name = "runtime"

-- Asks for a turn by a message that this actor sends itself.
local function ask_by(type)
  return function(seconds)
    if seconds > 0 or not actor.self:try_send(type) then actor.after(seconds, type) end
  end
end

--- A runtime without machines.
---@param options? { turn?: string, after?: fun(seconds: number), sleep?: fun(seconds: number) }
---  turn: the type of the messages whose handler calls turn(); or, outside of an actor,
---  after: sees to it that turn() is called after so many seconds; sleep: waits, for loops
---  that want to, with `blocking`
---@return troupe.vm.ActorRuntime
function ActorRuntime.new(options)
  options = options or {}
  local turn = options.turn
  return setmetatable({
    machines = {}, running = false, quantum = 1, cursor = 1, used = 0,
    scheduled = false, blocking = false,
    after = turn and ask_by(turn) or options.after,
    sleep = turn and actor.sleep or options.sleep,
  }, ActorRuntime)
end

local function schedule(self, seconds)
  if self.running and self.after and not self.scheduled and not self.blocking then
    self.scheduled = true
    self.after(seconds)
  end
end

--- Adds a machine: it is run from now on.
---@param machine troupe.vm.Machine
function ActorRuntime:register(machine)
  if getmetatable(machine) ~= Machine then error("a machine is registered, not a " .. type(machine), 2) end
  if machine.running then error("this machine is registered already", 2) end
  table.insert(self.machines, machine)
  machine.running = true
  machine.wake = function() schedule(self, 0) end
  if machine:pending() > 0 then schedule(self, 0) end
end

--- Takes a machine out again; what it has not run stays with it.
---@param machine troupe.vm.Machine
function ActorRuntime:unregister(machine)
  for i, each in ipairs(self.machines) do
    if each == machine then
      table.remove(self.machines, i)
      machine.running, machine.wake = false, nil
      if i < self.cursor then
        self.cursor = self.cursor - 1
      elseif i == self.cursor then
        self.used = 0
      end
      return
    end
  end
end

local function has_work(self)
  for _, machine in ipairs(self.machines) do
    if machine:pending() > 0 then return true end
  end
  return false
end

-- Runs up to `limit` instructions of a machine; how many it ran.
local function run(self, machine, limit)
  local fine, count = pcall(machine.run, machine, limit)
  if fine then return count end
  self:unregister(machine)
  schedule(self, 0)
  error(count, 0)
end

-- One machine after the other, `quantum` messages each.
local function round_robin(self)
  local budget, idle = SLICE, 0
  while self.running and budget > 0 and idle < #self.machines do
    if self.cursor > #self.machines then self.cursor = 1 end
    local machine = self.machines[self.cursor]
    local count = run(self, machine, math.min(self.quantum - self.used, budget))
    budget = budget - count
    idle = count == 0 and idle + 1 or 0
    if self.machines[self.cursor] == machine then
      self.used = self.used + count
      if self.used >= self.quantum or machine:pending() == 0 then
        self.cursor, self.used = self.cursor + 1, 0
      end
    end
  end
end

-- Runs a bounded number of instructions; the seconds to wait before the next turn.
local function play(self)
  if not self.loop then
    round_robin(self)
    return 0
  end
  local fine, pause = pcall(self.loop, self, self.machines)
  if fine then return pause or 0 end
  self.running = false
  error(pause, 0)
end

--- One turn: to be called when the runtime has asked for it.
function ActorRuntime:turn()
  self.scheduled = false
  if not self.running then return end
  local pause = play(self)
  if pause > 0 or has_work(self) then schedule(self, pause) end
end

-- Turn after turn, here and now.
local function run_here(self)
  self.blocking = true
  local fine, why = pcall(function()
    while self.running and has_work(self) do
      local pause = play(self)
      if pause > 0 then
        if not self.sleep then error("this loop waits, and the runtime was not told how to sleep", 0) end
        self.sleep(pause)
      end
    end
  end)
  self.blocking, self.running = false, false
  if not fine then error(why, 0) end
end

local QUANTA = { simple = 1, greedy = math.huge }

--- Starts to run the machines.
---@param loop_type? "simple"|"greedy"|"fair"|troupe.vm.Loop  simple (the default): round robin, one message
---  of each machine per round; greedy: all that a machine has, then the next; fair: up to
---  `messages_per_actor` of each per round. Or a function that is called for each round, with
---  the runtime and its machines; it may return how many seconds to wait before the next
---@param options? { blocking?: boolean, messages_per_actor?: integer }  default: not blocking, 10
function ActorRuntime:start(loop_type, options)
  options = options or {}
  if self.running then error("Runtime already running", 2) end
  loop_type = loop_type or "simple"
  local each = options.messages_per_actor or 10
  if type(loop_type) ~= "function" and not QUANTA[loop_type] and loop_type ~= "fair" then
    error("Unknown loop_type: " .. tostring(loop_type), 2)
  end
  if math.type(each) ~= "integer" or each < 1 then
    error("messages_per_actor is an integer from 1 on, not " .. tostring(each), 2)
  end
  if not options.blocking and not self.after then
    error("nobody calls turn(): make the runtime with `turn`, or start it with blocking = true", 2)
  end
  self.running = true
  self.loop = type(loop_type) == "function" and loop_type or nil
  self.quantum = QUANTA[loop_type] or each
  self.used = 0
  if options.blocking then
    run_here(self)
  elseif has_work(self) then
    schedule(self, 0)
  end
end

--- Stops: what the machines have not run stays with them.
function ActorRuntime:stop()
  self.running = false
end

--------------------------------------------------------- SimpleRuntime ----

--- The same for a single machine.
---@class troupe.vm.SimpleRuntime
---@field machine troupe.vm.Machine
---@field private runtime troupe.vm.ActorRuntime
local SimpleRuntime = {}
SimpleRuntime.__index = SimpleRuntime
SimpleRuntime.__name = "runtime"

---@param machine troupe.vm.Machine
---@param options? table  as of ActorRuntime.new
---@return troupe.vm.SimpleRuntime
function SimpleRuntime.new(machine, options)
  local runtime = ActorRuntime.new(options)
  runtime:register(machine)
  return setmetatable({ machine = machine, runtime = runtime }, SimpleRuntime)
end

--- Runs all that there is.
function SimpleRuntime:loop_until_empty()
  self.machine:execute()
end

--- Runs `n` instructions, or what there is.
---@param n integer
---@return integer count
function SimpleRuntime:loop_n_messages(n)
  return self.machine:run(n)
end

--- Runs until there is nothing to run, or stop() is called by an instruction.
function SimpleRuntime:loop_forever()
  self.runtime:start("simple", { blocking = true })
end

---@param options? { blocking?: boolean }
function SimpleRuntime:start(options)
  self.runtime:start("simple", options)
end

function SimpleRuntime:turn()
  self.runtime:turn()
end

function SimpleRuntime:stop()
  self.runtime:stop()
end

------------------------------------------------------------ more loops ----

--- A loop: one message of each machine per round, who has most waiting first.
---@type troupe.vm.Loop
local function priority(_, machines)
  local waiting, place, order = {}, {}, {}
  for i, machine in ipairs(machines) do
    waiting[machine], place[machine], order[i] = machine:pending(), i, machine
  end
  table.sort(order, function(a, b)
    if waiting[a] ~= waiting[b] then return waiting[a] > waiting[b] end
    return place[a] < place[b]
  end)
  for _, machine in ipairs(order) do machine:handle_message() end
end

--- Makes a loop: `size` messages of each machine per round.
---@param size? integer  default 5
---@return troupe.vm.Loop
local function batched(size)
  size = size or 5
  return function(_, machines)
    for _, machine in ipairs { table.unpack(machines) } do machine:run(size) end
  end
end

--- Makes a loop: in all at most so many messages a second, machine by machine.
---@param messages_per_second? number  default 100
---@return troupe.vm.Loop
local function rate_limited(messages_per_second)
  local pause, next_one = 1 / (messages_per_second or 100), 1
  return function(_, machines)
    for _ = 1, #machines do
      local machine = machines[(next_one - 1) % #machines + 1]
      next_one = next_one % #machines + 1
      if machine:handle_message() then return pause end
    end
  end
end

return {
  ActorRuntime = ActorRuntime,
  SimpleRuntime = SimpleRuntime,
  priority = priority,
  batched = batched,
  rate_limited = rate_limited,
}
