-- vm: a stack machine that is an actor. What it is sent is appended to its code, and
-- run in order, a bounded slice at a time, so that others have their turn. The machine
-- is lua/troupe/vm.lua, and docs/vm.md is the manual.
--
--   Bytecode    { ops = any[], refs? }    runs these: instructions with their operands
--               asked, it replies Done { top? } when they have been run: what is then on top
--   Expression  { text = string }         runs an s-expression; replies the same
--   Define      { name, source, replace = boolean? }   gives it an instruction, in Lua: source
--               is an expression whose value is a function of the machine; replies Defined { name }
--   Defun       { name, source }          the same for what s-expressions call (name ...)
--   Top         {}                        replies Value { value }, or fails: the stack is empty
--   Stack       {}                        replies Values { values }, from the bottom
--   Variable    { name }                  replies Value { value }, or fails: it is not defined
--   Variables   {}                        replies Variables { variables }
--   Status      {}                        replies Status { ip, length, waiting, messages, stack }:
--               where it is, how much code it was ever given, how much waits to be run, of how
--               many messages; how many values the stack has
--   Interrupt   {}                        leaves out the rest of the message that it is running;
--               replies Interrupted { skipped = boolean }
--   Continue    { turn = integer }        sent by itself
--
-- All but the last three wait for their turn behind the code that came before them: what
-- one sender sends is done, and answered, in the order it was sent. nil is written
-- json.null, also in answers. `refs` says which of the ops are refs, so that they are refs
-- again after a way through the network: { at, item?, ref }, for ops[at], or ops[at][item].
--
-- An instruction that fails ends its message: the rest of that is left out. Who asked is
-- told; if nobody asked, the handler fails, and `failure` decides what follows.
--
-- In instructions vm:send_to(to, "OP_ADD", ...) sends a Bytecode; `to` is a ref, or its text.
-- Define and Defun are refused from other hosts, for they run Lua.
--
-- Config: program = any[] (loaded at the start and kept), variables = { name = value },
-- instructions = { name = source }, slice = 1000 (instructions), limit = 1000000 (values of
-- code that may wait; more is refused), keep = 4096 (values that were run and can still be
-- jumped to), trust = false (true: Define and Defun from anywhere).
local config = require "troupe.config"
local Machine = require "troupe.vm"

local Vm = { version = 1 }

local FIELDS = {
  program = { kind = "list", default = {} },
  variables = { kind = "table", default = {} },
  instructions = { kind = "table", default = {} },
  slice = { kind = "count", default = 1000, least = 1 },
  limit = { kind = "count", default = 1000000, least = 0 },
  keep = { kind = "count", least = 0 },
  trust = { kind = "boolean", default = false },
}

actor.message("Bytecode", {
  { "ops", "any[]" },
  { "refs", { "[]?", { "at", "integer" }, { "item", "integer?" }, { "ref", "ref" } } },
})
actor.message("Expression", { text = "string" })
actor.message("Define", { { "name", "string" }, { "source", "string" }, { "replace", "boolean?" } })
actor.message("Defun", { { "name", "string" }, { "source", "string" } })
actor.message("Variable", { name = "string" })

----------------------------------------------------- values on their way ----

local function incoming(value)
  if value == json.null then return nil end
  return value
end

local function outgoing(value)
  if value == nil then return json.null end
  return value
end

local function is_ref(value)
  return type(value) == "userdata" and value ~= json.null
end

-- Where the refs are in a list of values.
local function find_refs(ops)
  local refs = {}
  for at, value in ipairs(ops) do
    if is_ref(value) then
      table.insert(refs, { at = at, ref = value })
    elseif type(value) == "table" then
      for item, inner in ipairs(value) do
        if is_ref(inner) then table.insert(refs, { at = at, item = item, ref = inner }) end
      end
    end
  end
  return #refs > 0 and refs or nil
end

-- Puts the refs where they belong; or says what is wrong, for a message may say anything.
local function place_refs(ops, refs)
  for _, place in ipairs(refs or {}) do
    local list, index = ops, place.at
    if place.item then list, index = ops[place.at], place.item end
    if type(list) ~= "table" or list[index] == nil then
      return ("Bad field 'refs' in Bytecode: there is nothing at %d%s"):format(
        place.at, place.item and ", " .. place.item or "")
    end
    list[index] = place.ref
  end
end

-- For vm:send_to(): one message, so that no operand is parted from its instruction.
local function deliver(target, list)
  local ops = {}
  for i = 1, list.n do ops[i] = outgoing(list[i]) end
  local ref = type(target) == "string" and actor.ref(target) or target
  local sent, why = ref:send("Bytecode", { ops = json.array(ops), refs = find_refs(ops) })
  if not sent then error(tostring(why), 0) end
end

--------------------------------------------------------- the jobs in turn ----
-- A job is what a message asked for: code up to an address, or something to be done when
-- the machine has come to it.

local function add_job(self, job)
  self.last_job = self.last_job + 1
  self.jobs[self.last_job] = job
  return job
end

local function remove_job(self)
  self.jobs[self.first_job] = nil
  self.first_job = self.first_job + 1
end

-- Another slice, when the mail that is there has had its turn.
local function continue(self)
  self.turn = self.turn + 1
  self.continues = actor.self:try_send("Continue", { turn = self.turn })
    or actor.after(0, "Continue", { turn = self.turn })
end

local function fail_job(self, job, why)
  remove_job(self)
  if job.env then
    job.env:fail(tostring(why))
    return
  end
  if self.jobs[self.first_job] then continue(self) end
  error(why, 0)
end

local function finish_job(self, job)
  local fine, why = true, nil
  if job.act then
    fine, why = pcall(job.act, self, job.env)
  elseif job.env then
    local stack = self.vm.stack
    local done = #stack > 0 and { top = outgoing(stack:top()) } or {}
    fine, why = pcall(job.env.reply, job.env, "Done", done)
  end
  if fine then remove_job(self) else fail_job(self, job, why) end
end

-- Runs a slice, unless one is on its way.
local function work(self)
  if self.continues then return end
  local budget = self.slice
  for job in function() return self.jobs[self.first_job] end do
    if budget <= 0 then return continue(self) end
    local fine, count = pcall(self.vm.run, self.vm, budget, job.finish)
    if not fine then
      self.vm:skip_to(job.finish)
      fail_job(self, job, count)
    else
      budget = budget - math.max(count, 1)
      if self.vm.ip >= job.finish then finish_job(self, job) end
    end
  end
end

-- Who asked is told that it cannot be done; if nobody did, the handler fails.
local function refuse(env, why)
  if not env.asked then error(why, 0) end
  env:fail(why)
end

-- Does something when the code that is there now has been run. Asked, it is `act` that answers.
local function in_turn(self, env, act)
  add_job(self, { finish = self.vm:code_length(), env = env.asked and env:defer() or nil, act = act })
  work(self)
end

local function append(self, ops, env)
  if self.vm:pending() + #ops > self.limit then
    return refuse(env, ("too much code waits already: %d values, of at most %d"):format(
      self.vm:pending(), self.limit))
  end
  local list = { n = #ops }
  for i = 1, list.n do list[i] = incoming(ops[i]) end
  self.vm:receive_list_of_bytecode(list) -- makes the job
  self.jobs[self.last_job].env = env.asked and env:defer() or nil
  work(self)
end

------------------------------------------------------------ instructions ----

local function compile(name, source)
  local chunk, why = load("return " .. source, "=" .. name, "t", _ENV)
  if not chunk then error(why, 0) end
  local fn = chunk()
  if type(fn) ~= "function" then
    error(("the source of %s is a %s, not a function of the machine"):format(name, type(fn)), 0)
  end
  return fn
end

local function define(vm, name, source, replace)
  local fn = compile(name, source)
  local method = replace and vm.replace_existing_instruction or vm.define_new_instruction
  local fine, why = pcall(method, vm, name, fn)
  if not fine then error(why, 0) end
end

-- Defines it when its turn has come.
local function define_in_turn(self, msg, env, name)
  if env.remote and not self.trust then
    return env:fail(("%s is refused from other hosts: it would run their Lua here"):format(env.type))
  end
  in_turn(self, env, function(_, asker)
    define(self.vm, name, msg.source, msg.replace)
    if asker then asker:reply("Defined", { name = msg.name }) end
  end)
end

---------------------------------------------------------------- handlers ----

function Vm:on_start()
  local settings = config.read(self.config, FIELDS)
  self.slice, self.limit, self.trust = settings.slice, settings.limit, settings.trust
  self.jobs, self.first_job, self.last_job = {}, 1, 0
  self.turn = 0
  self.continues = nil -- true, or a timer, while a Continue is on its way
  self.vm = Machine.new { keep = settings.keep }
  self.vm.deliver = deliver
  self.vm.wake = function(vm) add_job(self, { finish = vm:code_length() }) end
  for name, value in pairs(settings.variables) do self.vm:set_variable(name, incoming(value)) end
  for name, source in pairs(settings.instructions) do
    define(self.vm, name, source, self.vm:has_instruction(name))
  end
  local program = { n = #settings.program }
  for i = 1, program.n do program[i] = incoming(settings.program[i]) end
  self.vm:load_bytecode(program)
  work(self)
end

function Vm:on_bytecode(msg, env)
  local wrong = place_refs(msg.ops, msg.refs)
  if wrong then return refuse(env, wrong) end
  append(self, msg.ops, env)
end

function Vm:on_expression(msg, env)
  local fine, code = pcall(self.vm.s_expression_to_bytecode, self.vm, msg.text)
  if not fine then return refuse(env, code) end
  append(self, code, env)
end

function Vm:on_define(msg, env)
  define_in_turn(self, msg, env, msg.name)
end

function Vm:on_defun(msg, env)
  define_in_turn(self, msg, env, "OP_CALL_" .. msg.name)
end

-- The answers to questions: nothing to do for a message that is none.
local function answer(type, look)
  return function(self, msg, env)
    in_turn(self, env, function(_, asker)
      if asker then asker:reply(type, look(self.vm, msg)) end
    end)
  end
end

Vm.on_top = answer("Value", function(vm)
  if #vm.stack == 0 then error("the stack is empty", 0) end
  return { value = outgoing(vm.stack:top()) }
end)

Vm.on_stack = answer("Values", function(vm)
  local values = json.array {}
  for i = 1, #vm.stack do values[i] = outgoing(vm.stack:at(i)) end
  return { values = values }
end)

Vm.on_variable = answer("Value", function(vm, msg)
  if not vm:has_variable(msg.name) then error(("variable '%s' is not defined"):format(msg.name), 0) end
  return { value = outgoing(vm.variables[msg.name]) }
end)

Vm.on_variables = answer("Variables", function(vm)
  local variables = {}
  for _, name in ipairs(vm:variable_names()) do variables[name] = outgoing(vm.variables[name]) end
  return { variables = variables }
end)

function Vm:on_status(_, env)
  env:reply("Status", {
    ip = self.vm.ip,
    length = self.vm:code_length(),
    waiting = self.vm:pending(),
    messages = self.last_job - self.first_job + 1,
    stack = #self.vm.stack,
  })
end

function Vm:on_interrupt(_, env)
  local job = self.jobs[self.first_job]
  if job then
    self.vm:skip_to(math.max(job.finish, self.vm.ip))
    remove_job(self)
    if job.env then job.env:fail("interrupted") end
  end
  env:reply("Interrupted", { skipped = job ~= nil })
end

function Vm:on_continue(msg)
  if msg.turn ~= self.turn then return end
  self.continues = nil
  work(self)
end

function Vm:on_shutdown()
  local waiting = self.vm:pending()
  if waiting > 0 then log.warn("code was not run", { values = waiting }) end
end

return Vm
