--- S-expressions for the stack machine: `(+ 1 (* x 2))` becomes code. Compiling
--- runs nothing and knows no machine.
---
---   1  -2.5  "text"  true  false      a constant
---   name                              the variable of that name
---   (define name e)  (set! name e)    sets a variable
---   (+ a b)                           + - * / % ** > < >= <= = != and or: of two
---   (not a)
---   (f a b)                           the arguments, then OP_CALL_f: see defun
---
--- Arguments are computed from left to right, those of `and` and `or` always both.
---
--- ```lua
--- local sexpr = require "troupe.vm.sexpr"
--- sexpr.compile("(+ 1 x)")  --> { "OP_CONSTANT", 1, "OP_GET_VARIABLE", "x", "OP_ADD" }
--- ```
local values = require "troupe.vm.values"

local sexpr = {}

local BINARY = {
  ["+"] = "OP_ADD", ["-"] = "OP_SUBTRACT", ["*"] = "OP_MULTIPLY", ["/"] = "OP_DIVIDE",
  ["%"] = "OP_MODULO", ["**"] = "OP_POWER",
  [">"] = "OP_GREATER", ["<"] = "OP_LESS", [">="] = "OP_GREATER_EQUAL", ["<="] = "OP_LESS_EQUAL",
  ["="] = "OP_EQUAL", ["!="] = "OP_NOT_EQUAL", ["and"] = "OP_AND", ["or"] = "OP_OR",
}
local UNARY = { ["not"] = "OP_NOT" }
local SETTERS = { ["define"] = "OP_DEFINE_VARIABLE", ["set!"] = "OP_SET_VARIABLE" }

-- Errors blame the text, not a line of Lua.
local function fail(text, ...)
  error(text:format(...), 0)
end

-- The text's tokens: "(", ")", and what stands between them and white space.
local function tokens_of(text)
  local tokens, position = {}, text:find("%S")
  while position do
    local first = text:sub(position, position)
    local last = position
    if first == '"' then
      last = text:find('"', position + 1, true) or fail("Unclosed string literal")
    elseif first ~= "(" and first ~= ")" then
      last = select(2, text:find('^[^%s()"]+', position))
    end
    table.insert(tokens, text:sub(position, last))
    position = text:find("%S", last + 1)
  end
  return tokens
end

-- A parsed expression: a number, a symbol as a string, { text = ... }, or { list = {...} }.
local function atom(token)
  local text = token:match('^"(.*)"$')
  if text then return { text = text } end
  return values.read_number(token) or token
end

-- Parses the expression that begins at a token; it, and the index behind it.
local function parse(tokens, index)
  local token = tokens[index] or fail("Unexpected end of expression")
  if token == ")" then fail("Unexpected closing parenthesis") end
  if token ~= "(" then return atom(token), index + 1 end
  local list = {}
  index = index + 1
  while tokens[index] ~= ")" do
    if not tokens[index] then fail("Unmatched opening parenthesis") end
    list[#list + 1], index = parse(tokens, index)
  end
  return { list = list }, index + 1
end

local function written(expression)
  if type(expression) ~= "table" then return tostring(expression) end
  return expression.text and '"' .. expression.text .. '"' or "(...)"
end

local function expect_arguments(what, list, count)
  if #list - 1 ~= count then
    fail("%s requires exactly %d argument%s, got %d", what, count, count == 1 and "" or "s", #list - 1)
  end
end

local function emit(code, ...)
  for _, value in ipairs { ... } do code[#code + 1] = value end
end

local compile

local function compile_list(list, code)
  local operator = list[1]
  if operator == nil then fail("Empty expression ()") end
  if type(operator) ~= "string" then fail("Unknown operator or special form: %s", written(operator)) end
  if SETTERS[operator] then
    expect_arguments(operator, list, 2)
    local name = list[2]
    if type(name) ~= "string" then fail("%s name must be a symbol, got %s", operator, written(name)) end
    compile(list[3], code)
    return emit(code, SETTERS[operator], name)
  end
  if BINARY[operator] then expect_arguments("Binary operator " .. operator, list, 2) end
  if UNARY[operator] then expect_arguments("Unary operator " .. operator, list, 1) end
  for i = 2, #list do compile(list[i], code) end
  emit(code, BINARY[operator] or UNARY[operator] or "OP_CALL_" .. operator)
end

function compile(expression, code)
  if type(expression) == "number" then
    emit(code, "OP_CONSTANT", expression)
  elseif expression == "true" then
    emit(code, "OP_TRUE")
  elseif expression == "false" then
    emit(code, "OP_FALSE")
  elseif type(expression) == "string" then
    emit(code, "OP_GET_VARIABLE", expression)
  elseif expression.text then
    emit(code, "OP_CONSTANT", expression.text)
  else
    compile_list(expression.list, code)
  end
end

--- The code of one expression. Raises what is wrong with the text, and where there
--- is more than one expression.
---@param text string
---@return any[] code
function sexpr.compile(text)
  local tokens = tokens_of(text)
  local expression, behind = parse(tokens, 1)
  if tokens[behind] == ")" then fail("Unexpected closing parenthesis") end
  if tokens[behind] then fail("Unexpected text behind the expression: %s", tokens[behind]) end
  local code = {}
  compile(expression, code)
  return code
end

return sexpr
