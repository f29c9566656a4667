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
---@field [2] "string"|"integer"|"duration"|"list"|"table"
---@field default? any
---@field required? boolean
---@field least? number  of an integer, or a duration in seconds
---@field most? number

--- Raises what is wrong with a config: "config.route: ...".
---@param text string  a format
function Settings.refuse(text, ...)
  error(text:format(...), 0)
end
local refuse = Settings.refuse

-- How many letters to add, leave out, change, or exchange with their neighbour.
local function distance(one, other)
  local rows = { [0] = {} }
  for j = 0, #other do rows[0][j] = j end
  for i = 1, #one do
    rows[i] = { [0] = i }
    for j = 1, #other do
      local same = one:byte(i) == other:byte(j)
      local best = math.min(rows[i - 1][j] + 1, rows[i][j - 1] + 1, rows[i - 1][j - 1] + (same and 0 or 1))
      if i > 1 and j > 1 and one:byte(i) == other:byte(j - 1) and one:byte(i - 1) == other:byte(j) then
        best = math.min(best, rows[i - 2][j - 2] + 1)
      end
      rows[i][j] = best
    end
  end
  return rows[#one][#other]
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

local function read(field, value, part)
  local kind = field[2]
  local got, expected = readers[kind](value)
  local outside = type(got) == "number"
    and ((field.least and got < field.least) or (field.most and got > field.most))
  if got == nil or outside then
    refuse("%s.%s: %s%s is expected, not %s", part, field[1], expected,
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
  if kind == "list" then
    local list = {}
    for item in text:gmatch("[^,]+") do table.insert(list, item) end
    return list
  end
  return text
end

local function check_name(name, known, names, part)
  if not known[name] then
    refuse("%s.%s: there is no such setting%s", part, tostring(name), Settings.hint(tostring(name), names))
  end
end

-- What stands on the command line for the actor of this name.
local function read_arguments(known, names)
  local found = {}
  for _, argument in ipairs(actor.args) do
    local owner, name, json_mark, text = argument:match("^([%w_.-]+)%.([%w_]+)(:?)=(.*)$")
    if owner == actor.name then
      check_name(name, known, names, "config")
      found[name] = value_of(known[name], text, json_mark == ":")
    end
  end
  return found
end

-- Of many mistakes the same one is told each time.
local function check_names(given, known, names, part)
  local unknown = {}
  for name in pairs(given) do
    if not known[name] then table.insert(unknown, tostring(name)) end
  end
  table.sort(unknown)
  if unknown[1] then check_name(unknown[1], known, names, part) end
end

---@param config table
---@param fields troupe.Setting[]
---@param part? string  a table within the config, as "config.restart"; then nothing of it
---  stands on the command line
---@return table<string, any> settings
function Settings.read(config, fields, part)
  local known, names = {}, {}
  for _, field in ipairs(fields) do
    known[field[1]] = field
    table.insert(names, field[1])
  end
  check_names(config, known, names, part or "config")
  local arguments, settings = part and {} or read_arguments(known, names), {}
  for _, field in ipairs(fields) do
    local name = field[1]
    local value = config[name]
    if value == nil then value = arguments[name] end
    if value ~= nil then
      settings[name] = read(field, value, part or "config")
    elseif field.required then
      refuse("%s.%s is missing", part or "config", name)
    else
      settings[name] = field.default
    end
  end
  return settings
end

return Settings
