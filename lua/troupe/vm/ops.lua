--- The instructions of the stack machine: a table of functions by their names, as
--- they stand in the code. Each is called with the machine, takes its operands from
--- the code that follows (`vm:read_constant()`) and its values from the stack.
--- Addresses count from 0, from the first value that the machine was ever given.
---
--- ```lua
--- local ops = require "troupe.vm.ops"
--- ops.OP_ADD(vm)     -- takes two values, leaves their sum
--- ```
local values = require "troupe.vm.values"

---@type table<string, fun(vm: troupe.vm.Machine)>
local ops = {}

local function need(vm, name, count)
  if #vm.stack < count then
    vm:fail(("%s needs %d value%s on the stack, which has %d"):format(
      name, count, count == 1 and "" or "s", #vm.stack))
  end
end

local function define_unary(name, compute)
  ops[name] = function(vm)
    need(vm, name, 1)
    vm.stack:push(compute(vm.stack:pop(), vm))
  end
end

local function define_binary(name, compute)
  ops[name] = function(vm)
    need(vm, name, 2)
    local b = vm.stack:pop()
    local a = vm.stack:pop()
    vm.stack:push(compute(a, b, vm))
  end
end

-- One whose result may not exist.
local function define_partial(name, compute)
  define_binary(name, function(a, b, vm)
    local result, why = compute(a, b)
    if result == nil then
      vm:fail(why and name .. ": " .. why
        or ("%s does not work on a %s and a %s"):format(name, values.kind(a), values.kind(b)))
    end
    return result
  end)
end

------------------------------------------------------------- arithmetic ----

define_partial("OP_ADD", values.add)
define_partial("OP_SUBTRACT", values.subtract)
define_partial("OP_MULTIPLY", values.multiply)
define_partial("OP_DIVIDE", values.divide)
define_partial("OP_MODULO", values.modulo)
define_partial("OP_POWER", values.power)

define_unary("OP_NEGATE", function(value, vm)
  local number = values.number(value)
  if not number then vm:fail("OP_NEGATE does not work on a " .. values.kind(value)) end
  if number == math.mininteger and math.type(number) == "integer" then
    vm:fail("OP_NEGATE: the result does not fit into 64 bits")
  end
  return -number
end)

-------------------------------------------------- comparison and logic ----

define_partial("OP_LESS", values.less)
define_partial("OP_GREATER", function(a, b) return values.less(b, a) end)

-- Not `not (b < a)`, for NaN is neither less nor equal.
local function less_or_equal(a, b)
  local less = values.less(a, b)
  if less == nil then return nil end
  return less or values.equal(a, b)
end

define_partial("OP_LESS_EQUAL", less_or_equal)
define_partial("OP_GREATER_EQUAL", function(a, b) return less_or_equal(b, a) end)

define_binary("OP_EQUAL", values.equal)
define_binary("OP_NOT_EQUAL", function(a, b) return not values.equal(a, b) end)

define_unary("OP_NOT", function(value) return not values.is_true(value) end)

-- Both leave one of the two values, not a boolean. Both were computed before.
define_binary("OP_AND", function(a, b)
  if values.is_true(a) then return b end
  return a
end)
define_binary("OP_OR", function(a, b)
  if values.is_true(a) then return a end
  return b
end)

--------------------------------------------------- constants and stack ----

function ops.OP_CONSTANT(vm) vm.stack:push(vm:read_constant()) end
ops.OP_PUSH = ops.OP_CONSTANT
function ops.OP_FALSE(vm) vm.stack:push(false) end
function ops.OP_TRUE(vm) vm.stack:push(true) end
function ops.OP_NIL(vm) vm.stack:push(nil) end

function ops.OP_POP(vm)
  need(vm, "OP_POP", 1)
  vm.stack:pop()
end

function ops.OP_DUP(vm)
  need(vm, "OP_DUP", 1)
  vm.stack:push(vm.stack:top())
end

function ops.OP_SWAP(vm)
  need(vm, "OP_SWAP", 2)
  local b = vm.stack:pop()
  local a = vm.stack:pop()
  vm.stack:push(b)
  vm.stack:push(a)
end

-------------------------------------------------------------- variables ----

local function read_name(vm, name)
  local variable = vm:read_constant()
  if type(variable) ~= "string" then
    vm:fail(("%s: a variable's name is a string, not a %s"):format(name, values.kind(variable)))
  end
  return variable
end

local function define_setter(name)
  ops[name] = function(vm)
    local variable = read_name(vm, name)
    need(vm, name, 1)
    vm:set_variable(variable, vm.stack:pop())
  end
end

-- Two names of one thing: in the original, too, a variable need not exist to be set.
define_setter("OP_DEFINE_VARIABLE")
define_setter("OP_SET_VARIABLE")

function ops.OP_GET_VARIABLE(vm)
  local variable = read_name(vm, "OP_GET_VARIABLE")
  if not vm:has_variable(variable) then vm:fail(("variable '%s' is not defined"):format(variable)) end
  vm.stack:push(vm.variables[variable])
end

------------------------------------------------------------ control flow ----

function ops.OP_JUMP(vm) vm:jump(vm:read_constant()) end

function ops.OP_JUMP_IF_FALSE(vm)
  local address = vm:read_constant()
  need(vm, "OP_JUMP_IF_FALSE", 1)
  if not values.is_true(vm.stack:pop()) then vm:jump(address) end
end

-- Counts back from behind its operand.
function ops.OP_LOOP(vm)
  local back = vm:read_constant()
  if math.type(back) ~= "integer" then
    vm:fail("OP_LOOP goes back an integer number of places, not a " .. values.kind(back))
  end
  vm:jump(vm.ip - back)
end

-- The second operand, how many arguments there are, is for the reader: they are on
-- the stack, and variables are shared.
function ops.OP_CALL(vm)
  local address = vm:read_constant()
  vm:read_constant()
  local back = vm.ip
  vm:jump(address)
  table.insert(vm.call_stack, back)
end

-- Outside of a call it takes a value off the stack, if there is one.
function ops.OP_RETURN(vm)
  if #vm.call_stack > 0 then
    vm:jump(table.remove(vm.call_stack))
  elseif #vm.stack > 0 then
    vm.stack:pop()
  end
end

------------------------------------------------------ kinds and output ----

define_unary("OP_IS_NUMBER", function(value) return values.number(value) ~= nil end) -- booleans, too
define_unary("OP_IS_STRING", function(value) return type(value) == "string" end)
define_unary("OP_IS_BOOL", function(value) return type(value) == "boolean" end)
define_unary("OP_TO_STRING", values.text)

-- nil if it is none. What is no text becomes a float.
define_unary("OP_TO_NUMBER", function(value, vm)
  if type(value) == "string" then
    local fine, number = pcall(values.read_number, value)
    if not fine then vm:fail("OP_TO_NUMBER: " .. number) end
    return number
  end
  local number = values.number(value)
  return number and number + 0.0
end)

function ops.OP_PRINT(vm)
  local top = nil
  if #vm.stack > 0 then top = vm.stack:top() end
  print(values.text(top))
end

function ops.OP_PRINT_STACK(vm)
  local shown = {}
  for i = 1, #vm.stack do shown[i] = values.shown(vm.stack:at(i)) end
  print("Stack: [" .. table.concat(shown, ", ") .. "]")
end

return ops
