--- A stack machine that is an actor: its code is its mailbox. Whoever sends to it
--- appends instructions and their operands to its code, and it runs them in that
--- order, one at a time, when it is told to. Pure Lua, with no need of a host; the
--- shipped actor `vm` (actors/vm.lua) is one of these behind a mailbox, and
--- troupe.vm.runtime runs many of them in one actor. docs/vm.md is the manual.
---
--- ```lua
--- local Machine = require "troupe.vm"
--- local alice, bob = Machine.new(), Machine.new()
--- bob:define_new_instruction("OP_DOUBLE", function(vm) vm.stack:push(2 * vm.stack:pop()) end)
--- alice:send_to(bob, "OP_CONSTANT", 21, "OP_DOUBLE")
--- while bob:handle_message() do end
--- print(bob:top())                                     --> 42
--- ```
---
--- *Addresses* count from 0, from the first value that the machine was given, and
--- never change. Code that was loaded (load_bytecode) stays. Of code that was sent
--- and has been run at least the last `keep` values stay, and all from the first
--- place on to which an OP_RETURN will go back; the rest is trimmed.
---
--- A failing instruction raises. The machine then stands behind that instruction and
--- what it has read of its operands, and can go on.
local ops = require "troupe.vm.ops"
local sexpr = require "troupe.vm.sexpr"
local Stack = require "troupe.vm.stack"
local values = require "troupe.vm.values"

local KEEP = 4096          -- values of code that were run
local TRIM_AT_LEAST = 256  -- values at a time

---@class troupe.vm.Machine
---@field stack troupe.vm.Stack
---@field variables table<string, any>  by name; see set_variable for nil
---@field ip integer        the address of what is run, or read, next
---@field call_stack integer[]  where the OP_RETURNs to come go back to
---@field running boolean   whether a runtime runs it
---@field deliver? fun(target: any, ops: table)  sends a message of code, as of table.pack, to what is no
---  machine of this state; raises if it cannot
---@field wake? fun(vm: troupe.vm.Machine)  called when there is new code
---@field private code table       by address
---@field private length integer   behind the last value ever given
---@field private program integer  behind what was loaded
---@field private trimmed integer  all before this address, from `program` on, is gone
---@field private trim_at integer  trims when ip gets here
---@field private keep integer
---@field private own table<string, function>  its instructions, where they differ from troupe.vm.ops
---@field private at integer       the address of the instruction that runs
---@field private nils table<string, true>  variables that are nil
local Machine = {}
Machine.__index = Machine
Machine.__name = "machine"

--- A machine with nothing to do.
---@param options? { keep?: integer }  keep: how much of the code that was run can still be jumped to
---@return troupe.vm.Machine
function Machine.new(options)
  local keep = options and options.keep or KEEP
  if math.type(keep) ~= "integer" or keep < 0 then
    error(("keep is a number of values, not %s"):format(tostring(keep)), 2)
  end
  return setmetatable({
    stack = Stack.new(), variables = {}, nils = {}, call_stack = {}, running = false, own = {},
    code = {}, ip = 0, at = 0, length = 0, program = 0, trimmed = 0, keep = keep,
    trim_at = math.max(keep, TRIM_AT_LEAST),
  }, Machine)
end

------------------------------------------------------------------- code ----

local function append(self, count, list)
  local code, length = self.code, self.length
  for i = 1, count do code[length + i - 1] = list[i] end
  self.length = length + count
  if self.wake then self.wake(self) end
end

--- Appends instructions and operands to the code, all at once. nil may be among them.
function Machine:send(...)
  append(self, select("#", ...), { ... })
end

--- Appends a list of them.
---@param bytecode any[]  `n` is its length, if there are nils in it
function Machine:receive_list_of_bytecode(bytecode)
  append(self, bytecode.n or #bytecode, bytecode)
end

--- Sends instructions and operands to a machine, as one message: nothing comes
--- between them there, and what one sender sends to one receiver stays in order.
---@param target any  a machine of this Lua state; or what `deliver` takes
function Machine:send_to(target, ...)
  if getmetatable(target) == Machine then
    target:send(...)
  elseif self.deliver and target ~= nil then
    self.deliver(target, table.pack(...))
  else
    error(("send_to sends to a machine, not to a %s"):format(values.kind(target)), 2)
  end
end

--- Puts this in the place of all code there is, to be run from its beginning. It is
--- the machine's program: however much is sent later, its addresses can be jumped to.
---@param bytecode any[]  `n` is its length, if there are nils in it
function Machine:load_bytecode(bytecode)
  self.code, self.length, self.ip, self.call_stack = {}, 0, 0, {}
  self.program = bytecode.n or #bytecode
  self.trimmed = self.program
  self.trim_at = self.program + math.max(self.keep, TRIM_AT_LEAST)
  append(self, self.program, bytecode)
end

--- The code of an s-expression, to be sent: see troupe.vm.sexpr.
---@param text string
---@return any[] bytecode
function Machine:s_expression_to_bytecode(text)
  if type(text) ~= "string" then error("an s-expression is a string, not a " .. type(text), 2) end
  return sexpr.compile(text)
end

--- How many values it was ever given: the address of what is sent next.
---@return integer
function Machine:code_length()
  return self.length
end

--- How many values wait to be run. Behind a jump they may be run again, or left out.
---@return integer
function Machine:pending()
  return math.max(self.length - self.ip, 0)
end

--- Fetches the next operand of the instruction that runs. Raises at the code's end.
function Machine:read_constant()
  local ip = self.ip
  if ip >= self.length then error(("No constant available at ip=%d"):format(ip), 0) end
  self.ip = ip + 1
  return self.code[ip]
end

--- Goes on at an address. It may lie behind the end of the code: then the machine
--- waits until so much has come.
---@param address integer
function Machine:jump(address)
  local to = type(address) == "number" and math.tointeger(address)
  if not to or to < 0 then
    self:fail(("an address is an integer from 0 on, not %s"):format(values.shown(address)))
  end
  if to >= self.program and to < self.trimmed then
    self:fail(("address %d is trimmed, for that code was run long ago: load what is jumped to, "
      .. "or make the machine keep more"):format(to))
  end
  self.ip = to
end

--- Leaves out what lies before an address, and the calls that are under way.
---@param address integer
function Machine:skip_to(address)
  self.ip, self.call_stack = address, {}
end

-- Forgets code that was run and is too old to be jumped to.
local function trim(self)
  local from = self.at - self.keep
  for _, back in ipairs(self.call_stack) do from = math.min(from, back) end
  for address = self.trimmed, from - 1 do self.code[address] = nil end
  self.trimmed = math.max(self.trimmed, from)
  self.trim_at = self.at + math.max(self.keep, TRIM_AT_LEAST)
end

---------------------------------------------------------------- running ----

--- Raises an error that names the place in the code; for instructions.
---@param text string
function Machine:fail(text)
  error(("%s (at address %d)"):format(text, self.at), 0)
end

--- Runs one instruction with its operands.
---@return boolean handled  false if there is none
function Machine:handle_message()
  local at = self.ip
  if at >= self.length then return false end
  local instruction = self.code[at]
  self.ip, self.at = at + 1, at
  if at >= self.trim_at then trim(self) end
  local handler = self.own[instruction] or ops[instruction]
  if not handler then self:fail("No handler for instruction " .. values.shown(instruction)) end
  handler(self)
  return true
end

--- The same; but raises if there is no instruction.
function Machine:step()
  if not self:handle_message() then error(("there is no instruction at ip=%d"):format(self.ip), 2) end
end

--- Runs all that there is to run.
function Machine:execute()
  while self:handle_message() do end
end

--- Runs some of it.
---@param limit integer  at most so many instructions
---@param address? integer  only as long as it stands before this address
---@return integer count  how many it ran
function Machine:run(limit, address)
  local count = 0
  while count < limit and (not address or self.ip < address) and self:handle_message() do
    count = count + 1
  end
  return count
end

--- The topmost value of the stack. Raises when there is none.
function Machine:top()
  if #self.stack == 0 then error("the stack is empty", 2) end
  return self.stack:top()
end

-------------------------------------------------------------- variables ----

--- Sets a variable. One that is nil is not the same as one that is not defined;
--- only this method and the instructions can make one.
---@param name string
---@param value any
function Machine:set_variable(name, value)
  self.variables[name] = value
  self.nils[name] = value == nil or nil
end

---@param name string
---@return boolean
function Machine:has_variable(name)
  return self.variables[name] ~= nil or self.nils[name] == true
end

--- The names of all variables, sorted.
---@return string[]
function Machine:variable_names()
  local names = {}
  for name in pairs(self.variables) do names[#names + 1] = name end
  for name in pairs(self.nils) do
    if self.variables[name] == nil then names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

----------------------------------------------------------- instructions ----

--- Whether there is an instruction of that name.
---@param name string
---@return boolean
function Machine:has_instruction(name)
  return (self.own[name] or ops[name]) ~= nil
end

-- Whether fn may become an instruction of that name. Blames the caller of the caller.
local function check_instruction(name, fn)
  if type(name) ~= "string" then error("the name of an instruction is a string, not a " .. type(name), 3) end
  local meta = getmetatable(fn)
  if type(fn) ~= "function" and not (type(meta) == "table" and meta.__call) then
    error(("instruction %s is a function of the machine, not a %s"):format(name, type(fn)), 3)
  end
end

local ALREADY = "instruction with the same name already exists, "
  .. "use another name or use the replace_existing_instruction function"
local MISSING = "instruction with the name does not exists, "
  .. "use the name of an existing instruction or use the define_new_instruction function"

--- Gives this machine one more instruction. Raises if it has one of that name.
---@param name string
---@param fn fun(vm: troupe.vm.Machine)
function Machine:define_new_instruction(name, fn)
  check_instruction(name, fn)
  if self:has_instruction(name) then error(ALREADY, 2) end
  self.own[name] = fn
end

--- Changes what an instruction of this machine does. Raises if it has none of that name.
---@param name string
---@param fn fun(vm: troupe.vm.Machine)
function Machine:replace_existing_instruction(name, fn)
  check_instruction(name, fn)
  if not self:has_instruction(name) then error(MISSING, 2) end
  self.own[name] = fn
end

--- Defines what `(name ...)` calls in s-expressions: the instruction OP_CALL_name.
---@param name string
---@param fn fun(vm: troupe.vm.Machine)
function Machine:defun(name, fn)
  local instruction = "OP_CALL_" .. tostring(name)
  check_instruction(instruction, fn)
  if self:has_instruction(instruction) then error(ALREADY, 2) end
  self.own[instruction] = fn
end

return Machine
