--- A message's fields as they are written on the command line.
---
--- ```lua
--- fields.message({ "name=bob", "count:=1" })  --> '{"count": 1, "name": "bob"}'
--- fields.message({ "count:=1," })             --> nil, "count:=1,: bad JSON: ..."
---
--- local compose = fields.compose({ "n:={{n}}", "-", "last=word" })
--- compose(7, { n = 1, a = "x" })              --> '{"a": "x", "last": "word", "n": 1}'
--- ```
local json = require "troupe.json"

local NUMBER = "{{n}}" -- the message's number in its series, from 1

local fields = {}

--- The object in `text`; `what` is where it came from.
---@return table? object, string? why
function fields.object(text, what)
  local object, why = json.decode(text)
  if why then
    return nil, ("%s: bad JSON: %s"):format(what, why)
  end
  if type(object) ~= "table" or text:find("^%s*%[") then
    return nil, what .. ": a JSON object is expected"
  end
  return object
end

local function read_object(path)
  local file, why = io.open(path, "rb")
  if not file then
    return nil, "cannot read " .. why
  end
  local text, read_why = file:read("a")
  file:close()
  if not text then
    return nil, ("cannot read %s: %s"):format(path, read_why)
  end
  return fields.object(text, path)
end

--- What an argument other than `-` says, as a table of fields.
local function read_argument(argument)
  if argument:sub(1, 1) == "@" then
    return read_object(argument:sub(2))
  end
  if argument:find("^%s*{") then
    return fields.object(argument, argument)
  end
  local key, value = argument:match("^([^=]+):=(.*)$")
  if key then
    local decoded, why = json.decode(value)
    if why then
      return nil, ("%s: bad JSON: %s (for a text write %s=...)"):format(argument, why, key)
    end
    return { [key] = decoded }
  end
  key, value = argument:match("^([^=]*[^=:])=(.*)$")
  if not key then
    return nil, ("'%s' is no field: write key=text, key:=JSON, {JSON}, @FILE or -"):format(argument)
  end
  return { [key] = value }
end

local function numbered(argument, n)
  return (argument:gsub(NUMBER, tostring(n)))
end

--- Whether the fields come one object a line from standard input.
---@param arguments string[]
function fields.are_from_lines(arguments)
  for _, argument in ipairs(arguments) do
    if argument == "-" then
      return true
    end
  end
  return false
end

local function encode(message)
  local ok, text = pcall(json.encode, message)
  if not ok then
    return nil, (text:gsub("^value%.", ""))
  end
  return text
end

--- What makes the messages of a series: `compose(n, line)` is the JSON text of
--- number n, or nil and why not; `line` has the fields that stand in for `-`. What
--- comes later overrides.
---@param arguments string[]
---@return (fun(n: integer, line: table?): string?, string?)? compose, string? why
function fields.compose(arguments)
  local steps, changes = {}, false
  for i, argument in ipairs(arguments) do
    local is_template = argument:find(NUMBER, 1, true) and argument:sub(1, 1) ~= "@"
    changes = changes or is_template or argument == "-"
    if argument ~= "-" then
      local object, why = read_argument(is_template and numbered(argument, 1) or argument)
      if not object then
        return nil, why
      end
      steps[i] = not is_template and object or function(n) return read_argument(numbered(argument, n)) end
    else
      steps[i] = function(_, line) return line end
    end
  end

  local function compose(n, line)
    local message = {}
    for _, step in ipairs(steps) do
      local object, why = step, nil
      if type(step) == "function" then
        object, why = step(n, line)
        if not object then
          return nil, why
        end
      end
      for key, value in pairs(object) do message[key] = value end
    end
    return encode(message)
  end

  if changes then
    return compose
  end
  local text, why = compose(1)
  if not text then
    return nil, why
  end
  return function() return text end
end

--- The JSON text of one message; what comes later overrides.
---@param arguments string[]  without `-`
---@return string? text, string? why
function fields.message(arguments)
  local compose, why = fields.compose(arguments)
  if not compose then
    return nil, why
  end
  return compose(1, {})
end

return fields
