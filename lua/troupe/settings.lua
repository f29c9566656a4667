--- What a shipped actor is told: its config, checked field by field, with defaults.
---
--- ```lua
--- local config = Settings.read(self.config, {
---   { "script", "string", required = true },
---   { "idle", "duration", default = 30, least = 0.1 },      -- in seconds, as it is read
---   { "max", "integer", default = 8, least = 1, most = 1000 },
--- })
--- ```
---
--- What the config leaves out may stand behind `--` on the command line, led by the
--- actor's name: `troupe run event_bus -- event_bus.retained=100`. There a table or a
--- list is written as JSON (`pool.options:={"memory": "64MiB"}`), a list also as `a,b,c`.
---
--- Whatever is wrong raises, naming the field; in on_start that ends the actor.
local Settings = {}

local UNITS = { ms = 0.001, s = 1, m = 60, h = 3600 }
local LONGEST = 1e9 -- seconds

---@class troupe.Setting
---@field [1] string   its name
---@field [2] "string"|"integer"|"boolean"|"duration"|"list"|"table"
---@field default? any
---@field required? boolean
---@field least? number  of an integer, or a duration in seconds
---@field most? number

local function refuse(text, ...)
  error(text:format(...), 0)
end

-- How many letters to add, leave out or change.
local function distance(one, other)
  local row = {}
  for j = 0, #other do row[j] = j end
  for i = 1, #one do
    local corner = row[0]
    row[0] = i
    for j = 1, #other do
      local cost = one:byte(i) == other:byte(j) and 0 or 1
      corner, row[j] = row[j], math.min(row[j] + 1, row[j - 1] + 1, corner + cost)
    end
  end
  return row[#other]
end

--- " (did you mean 'max'?)" for a word that is near one of these; else "".
---@param word string
---@param words string[]
---@return string
function Settings.hint(word, words)
  local best, least = nil, math.min(3, #word // 2 + 1)
  for _, each in ipairs(words) do
    local far = distance(word:lower(), each)
    if far < least then best, least = each, far end
  end
  return best and (" (did you mean '%s'?)"):format(best) or ""
end

local function shown(value)
  if type(value) == "string" then return ("'%s'"):format(value) end
  if type(value) == "number" or type(value) == "boolean" then return tostring(value) end
  return "a " .. type(value)
end

--- Seconds, of a duration as "250ms", "2s", "1m", "1h" or a number; else nil.
---@param value any
---@return number?
function Settings.seconds(value)
  local count, unit = value, "s"
  if type(value) == "string" then
    count, unit = value:match("^([%d.]+)(%a+)$")
    count = tonumber(count)
  end
  local length = type(count) == "number" and UNITS[unit] and count * UNITS[unit]
  return length and length >= 0 and length <= LONGEST and length or nil
end

local readers = {}

function readers.string(value)
  return type(value) == "string" and value ~= "" and value or nil, "a text"
end

function readers.integer(value)
  return math.tointeger(value), "an integer"
end

function readers.boolean(value)
  return type(value) == "boolean" and value or nil, "true or false"
end

function readers.duration(value)
  return Settings.seconds(value), "a duration (\"250ms\", \"2s\", a number of seconds)"
end

function readers.table(value)
  return type(value) == "table" and value or nil, "a table"
end

function readers.list(value)
  if type(value) ~= "table" then return nil, "a list" end
  local count = 0
  for _ in pairs(value) do count = count + 1 end
  return count == #value and value or nil, "a list"
end

local function range(field, unit)
  if field.least and field.most then return (" from %s%s to %s%s"):format(field.least, unit, field.most, unit) end
  if field.least then return (" of at least %s%s"):format(field.least, unit) end
  return ""
end

local function read(field, value)
  local name, kind = field[1], field[2]
  local got, expected = readers[kind](value)
  local outside = type(got) == "number"
    and ((field.least and got < field.least) or (field.most and got > field.most))
  if got == nil or outside then
    refuse("config.%s: %s%s is expected, not %s", name, expected,
           range(field, kind == "duration" and " s" or ""), shown(value))
  end
  return got
end

-- The value of a text from the command line.
local function value_of(field, text, is_json)
  local kind = field[2]
  if is_json or kind == "table" then
    local value, why = json.decode(text)
    if why then refuse("config.%s: bad JSON: %s", field[1], why) end
    return value
  end
  if kind == "integer" then return math.tointeger(text) or text end
  if kind == "boolean" then return ({ ["true"] = true, ["false"] = false })[text] == nil and text or text == "true" end
  if kind == "list" then
    local list = {}
    for item in text:gmatch("[^,]+") do table.insert(list, item) end
    return list
  end
  return text
end

local function check_name(name, known, names)
  if not known[name] then
    refuse("config.%s: there is no such setting%s", tostring(name), Settings.hint(tostring(name), names))
  end
end

-- What stands on the command line for the actor of this name.
local function read_arguments(known, names)
  local found = {}
  for _, argument in ipairs(actor.args) do
    local owner, name, json_mark, text = argument:match("^([%w_.-]+)%.([%w_]+)(:?)=(.*)$")
    if owner == actor.name then
      check_name(name, known, names)
      found[name] = value_of(known[name], text, json_mark == ":")
    end
  end
  return found
end

---@param config table
---@param fields troupe.Setting[]
---@return table<string, any> settings
function Settings.read(config, fields)
  local known, names = {}, {}
  for _, field in ipairs(fields) do
    known[field[1]] = field
    table.insert(names, field[1])
  end
  local given = {}
  for name in pairs(config) do table.insert(given, name) end
  table.sort(given)
  for _, name in ipairs(given) do check_name(name, known, names) end

  local arguments, settings = read_arguments(known, names), {}
  for _, field in ipairs(fields) do
    local name = field[1]
    local value = config[name]
    if value == nil then value = arguments[name] end
    if value ~= nil then
      settings[name] = read(field, value)
    elseif field.required then
      refuse("config.%s is missing", name)
    else
      settings[name] = field.default
    end
  end
  return settings
end

--- What a route is called, and the field that it looks at: "hash:user" is "hash", "user".
---@param text string
---@param routes table<string, boolean>  the names; true: with a field
---@return string route
---@return string? field
function Settings.read_route(text, routes)
  local name, field = text:match("^([^:]*):(.*)$")
  name = name or text
  if routes[name] == nil then
    local names = {}
    for each, has_field in pairs(routes) do table.insert(names, has_field and each .. ":FIELD" or each) end
    table.sort(names)
    local plain = {}
    for each in pairs(routes) do table.insert(plain, each) end
    table.sort(plain)
    refuse("config.route: there is no route '%s'%s: they are %s", name, Settings.hint(name, plain),
           table.concat(names, ", "))
  end
  if routes[name] and (not field or field == "") then
    refuse("config.route: '%s' needs the field that it looks at, as in \"%s:id\"", name, name)
  end
  if not routes[name] and field then
    refuse("config.route: '%s' looks at no field", name)
  end
  return name, field
end

return Settings
