--- A message's fields as they are written on the command line.
---
--- ```lua
--- fields.message({ "name=bob", "count:=1" })  --> '{"count": 1, "name": "bob"}'
--- fields.message({ "count:=1," })             --> nil, "count:=1,: bad JSON: ..."
--- ```
local json = require "troupe.json"

local fields = {}

--- Adds the fields of the object in `text`; `what` is where it came from.
local function add_object(message, text, what)
  local object, why = json.decode(text)
  if why then
    return nil, ("%s: bad JSON: %s"):format(what, why)
  end
  if type(object) ~= "table" or text:find("^%s*%[") then
    return nil, what .. ": a JSON object is expected"
  end
  for key, value in pairs(object) do
    message[key] = value
  end
  return true
end

local function add_file(message, path)
  local file, why = io.open(path, "rb")
  if not file then
    return nil, "cannot read " .. why
  end
  local text, read_why = file:read("a")
  file:close()
  if not text then
    return nil, ("cannot read %s: %s"):format(path, read_why)
  end
  return add_object(message, text, path)
end

local function add_field(message, argument)
  local key, value = argument:match("^([^=]+):=(.*)$")
  if key then
    local decoded, why = json.decode(value)
    if why then
      return nil, ("%s: bad JSON: %s (for a text write %s=...)"):format(argument, why, key)
    end
    message[key] = decoded
    return true
  end
  key, value = argument:match("^([^=]*[^=:])=(.*)$")
  if not key then
    return nil, ("'%s' is no field: write key=text, key:=JSON, @FILE or -"):format(argument)
  end
  message[key] = value
  return true
end

--- The JSON text of the message; what comes later overrides.
---@param arguments string[]
---@return string? text, string? why
function fields.message(arguments)
  local message = {}
  for _, argument in ipairs(arguments) do
    local ok, why
    if argument == "-" then
      ok, why = add_object(message, io.stdin:read("a") or "", "standard input")
    elseif argument:sub(1, 1) == "@" then
      ok, why = add_file(message, argument:sub(2))
    else
      ok, why = add_field(message, argument)
    end
    if not ok then
      return nil, why
    end
  end
  local ok, text = pcall(json.encode, message)
  if not ok then
    return nil, (text:gsub("^value%.", ""))
  end
  return text
end

return fields
