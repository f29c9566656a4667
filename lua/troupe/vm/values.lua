--- What values mean to the stack machine: what is true, equal, a number, and how
--- a value is written. The machine was first written in Python, and programs for
--- it must give the same results here, so these are Python's meanings where Lua's
--- differ:
---
--- * false: `false`, nil, 0, 0.0, "" and tables without anything in them.
--- * `true` and `false` count as the numbers 1 and 0; so `true == 1`.
--- * A string is never a number by itself: "1" + 1 is an error. Strings and lists
---   are joined by +, and repeated by * with an integer.
--- * Integers are exact or an error: where Python's grow beyond 64 bits, and Lua's
---   wrap around, there is an error. Dividing by zero is one, too.
--- * `true`, nil and 2.0 are written `True`, `None` and `2.0`.
---
--- ```lua
--- local values = require "troupe.vm.values"
--- print(values.is_true(""), values.equal(1, 1.0), values.text(1 / 2))  --> false  true  0.5
--- ```
local values = {}

local OVERFLOW = "the result does not fit into 64 bits"

-- A table that is no plain data but a thing with methods: only equal to itself.
local function is_object(table_)
  local meta = getmetatable(table_)
  return type(meta) == "table" and meta.__index ~= nil
end

local function is_list(value)
  return type(value) == "table" and not is_object(value) and (#value > 0 or next(value) == nil)
end

--- What kind of value it is, for people.
---@return string
function values.kind(value)
  if type(value) == "userdata" then return "ref" end
  return is_list(value) and "list" or type(value)
end

--- Whether a condition holds.
---@return boolean
function values.is_true(value)
  if value == nil or value == false or value == 0 or value == "" then return false end
  return type(value) ~= "table" or is_object(value) or next(value) ~= nil
end

--- The number that a value is, or nil: numbers, and booleans as 1 and 0.
---@return number?
function values.number(value)
  if type(value) == "number" then return value end
  if value == true then return 1 end
  if value == false then return 0 end
end

---@return boolean
function values.equal(a, b)
  if rawequal(a, b) then return a == b end -- NaN is not itself
  local x, y = values.number(a), values.number(b)
  if x and y then return x == y end
  if type(a) ~= "table" or type(b) ~= "table" or is_object(a) or is_object(b) then return a == b end
  for key, value in pairs(a) do
    if not values.equal(value, b[key]) then return false end
  end
  for key in pairs(b) do
    if a[key] == nil then return false end
  end
  return true
end

------------------------------------------------------------------ texts ----

-- The shortest digits that read back as the same number, laid out as Python does.
local function float_text(x)
  if x ~= x then return "nan" end
  if x == math.huge or x == -math.huge then return x > 0 and "inf" or "-inf" end
  local written
  for digits = math.abs(x) < 2.3e-308 and 0 or 14, 16 do -- with few bits few digits do
    written = ("%." .. digits .. "e"):format(x)
    if tonumber(written) == x then break end
  end
  local sign, first, rest, power = written:match("^(%-?)(%d)%.?(%d*)e([+-]%d+)$")
  local digits, exponent = first .. rest:gsub("0+$", ""), math.tointeger(tonumber(power))
  if exponent < -4 or exponent >= 16 then
    local fraction = #digits > 1 and "." .. digits:sub(2) or ""
    return ("%s%s%se%s%02d"):format(sign, first, fraction, exponent < 0 and "-" or "+", math.abs(exponent))
  elseif exponent < 0 then
    return sign .. "0." .. ("0"):rep(-exponent - 1) .. digits
  elseif #digits <= exponent + 1 then
    return sign .. digits .. ("0"):rep(exponent + 1 - #digits) .. ".0"
  end
  return sign .. digits:sub(1, exponent + 1) .. "." .. digits:sub(exponent + 2)
end

local ESCAPES = { ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

local function quoted(text)
  local mark = text:find("'", 1, true) and not text:find('"', 1, true) and '"' or "'"
  text = text:gsub("[%c\\]", function(c) return ESCAPES[c] or ("\\x%02x"):format(c:byte()) end)
  if mark == "'" then text = text:gsub("'", "\\'") end
  return mark .. text .. mark
end

local function table_text(value)
  local items = {}
  if is_list(value) then
    for i, item in ipairs(value) do items[i] = values.shown(item) end
    return "[" .. table.concat(items, ", ") .. "]"
  end
  for key, item in pairs(value) do
    table.insert(items, values.shown(key) .. ": " .. values.shown(item))
  end
  table.sort(items)
  return "{" .. table.concat(items, ", ") .. "}"
end

--- A value as text: what OP_TO_STRING makes of it and OP_PRINT writes.
---@return string
function values.text(value)
  if value == nil then return "None" end
  if value == true then return "True" end
  if value == false then return "False" end
  if math.type(value) == "float" then return float_text(value) end
  if type(value) == "table" and not is_object(value) then return table_text(value) end
  return tostring(value)
end

--- The same as it stands inside of a list: strings in quotes.
---@return string
function values.shown(value)
  return type(value) == "string" and quoted(value) or values.text(value)
end

--- Reads a number: with a point it is a float, else an integer. nil if the text is
--- neither, as is "1e5". Raises if an integer has more than 64 bits.
---@param text string
---@return number?
function values.read_number(text)
  local digits = text:match("^%s*(.-)%s*$"):gsub("(%d)_%f[%d]", "%1")
  if digits:find("^[+-]?%d*%.%d*$") or digits:find("^[+-]?%d*%.%d*[eE][+-]?%d+$") then
    return tonumber(digits)
  end
  if not digits:find("^[+-]?%d+$") then return nil end
  local number = tonumber(digits)
  if math.type(number) ~= "integer" then error(("%s does not fit into 64 bits"):format(digits), 0) end
  return number
end

------------------------------------------------------------- arithmetic ----
-- Each returns the result, or nil and what is wrong; nil alone when these are
-- no operands for it.

local function both_integers(a, b)
  return math.type(a) == "integer" and math.type(b) == "integer"
end

-- Copies of lists, one behind the other.
local function joined(first, second)
  return table.move(second, 1, #second, #first + 1, table.move(first, 1, #first, 1, {}))
end

function values.add(a, b)
  if type(a) == "string" and type(b) == "string" then return a .. b end
  if is_list(a) and is_list(b) then return joined(a, b) end
  local x, y = values.number(a), values.number(b)
  if not (x and y) then return nil end
  local sum = x + y
  if both_integers(x, y) and (x ~ sum) & (y ~ sum) < 0 then return nil, OVERFLOW end
  return sum
end

function values.subtract(a, b)
  local x, y = values.number(a), values.number(b)
  if not (x and y) then return nil end
  local difference = x - y
  if both_integers(x, y) and (x ~ y) & (x ~ difference) < 0 then return nil, OVERFLOW end
  return difference
end

-- Integers only; nil if the product has more than 64 bits.
local function product_of(x, y)
  local product = x * y
  if x ~= 0 and (product // x ~= y or product % x ~= 0 or (x == -1 and y == math.mininteger)) then
    return nil
  end
  return product
end

local function repeated(what, times)
  if type(what) == "string" then return what:rep(times) end
  local list = {}
  for _ = 1, times do table.move(what, 1, #what, #list + 1, list) end
  return list
end

function values.multiply(a, b)
  local x, y = values.number(a), values.number(b)
  if x and y then
    if not both_integers(x, y) then return x * y end
    local product = product_of(x, y)
    if not product then return nil, OVERFLOW end
    return product
  end
  if x then a, b, y = b, a, x end -- 3 * "ab"
  if math.type(y) == "integer" and (type(a) == "string" or is_list(a)) then return repeated(a, y) end
end

function values.divide(a, b)
  local x, y = values.number(a), values.number(b)
  if not (x and y) then return nil end
  if y == 0 then return nil, "division by zero" end
  return x / y
end

--- The remainder has the sign of the divisor, in both languages.
function values.modulo(a, b)
  local x, y = values.number(a), values.number(b)
  if not (x and y) then return nil end
  if y == 0 then return nil, "modulo by zero" end
  return x % y
end

-- By squaring; nil if the result has more than 64 bits.
local function integer_power(base, exponent)
  local result = 1
  while true do
    if exponent & 1 == 1 then
      result = product_of(result, base)
      if not result then return nil end
    end
    exponent = exponent >> 1
    if exponent == 0 then return result end
    base = product_of(base, base)
    if not base then return nil end
  end
end

function values.power(a, b)
  local x, y = values.number(a), values.number(b)
  if not (x and y) then return nil end
  if both_integers(x, y) and y >= 0 then
    local result = integer_power(x, y)
    if not result then return nil, OVERFLOW end
    return result
  end
  if x == 0 and y < 0 then return nil, "0 cannot be raised to a negative power" end
  local result = x ^ y
  if result ~= result and x == x and y == y then
    return nil, "a negative number has no real power with a fraction"
  end
  return result
end

--- Whether a < b, of two numbers or two strings.
function values.less(a, b)
  local x, y = values.number(a), values.number(b)
  if x and y then return x < y end
  if type(a) == "string" and type(b) == "string" then return a < b end
end

return values
