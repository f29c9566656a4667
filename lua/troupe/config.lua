--- Reads what an actor was configured with: checks each field, fills in what is not
--- said, and names the field that is wrong. What durations and sizes are written as
--- becomes seconds and bytes.
---
--- ```lua
--- local config = require "troupe.config"
--- local settings = config.read(self.config, {
---   target = { kind = "target", needed = true },
---   timeout = { kind = "duration", default = "5s", above = 0 },
---   queue = { kind = "count", default = 1000, least = 0, most = 100000 },
--- })
--- local seconds = settings.timeout  -- 5.0
--- ```
local Config = {}

---@class troupe.config.Field
---@field kind "target"|"count"|"number"|"duration"|"bytes"|"text"|"group"|"boolean"|"table"|"word"|"words"
---@field default? any      as it would be written
---@field needed? boolean   it has to be there
---@field least? number     of numbers, in seconds or bytes
---@field above? number
---@field most? number
---@field words? string[]   of "word" and "words": those that there are
---@field example? string   of "target": how it might be written

local SECONDS = { ms = 1e-3, s = 1, m = 60, h = 3600 }
local BYTES = { [""] = 1, KiB = 1 << 10, MiB = 1 << 20, GiB = 1 << 30 }
local LONGEST = 1e9 -- seconds

-- How many letters must be put in, left out, changed or swapped to make one of the other.
local function distance(a, b)
  local before, last, row = {}, {}, {}
  for j = 0, #b do last[j] = j end
  for i = 1, #a do
    row = { [0] = i }
    for j = 1, #b do
      local same = a:byte(i) == b:byte(j)
      row[j] = math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (same and 0 or 1))
      if i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
        row[j] = math.min(row[j], before[j - 2] + 1)
      end
    end
    before, last = last, row
  end
  return last[#b]
end

--- The word that may have been meant.
---@param wrong string
---@param words string[]
---@return string? meant
function Config.nearest(wrong, words)
  local best, least = nil, math.max(1, #wrong // 3) + 1
  if #wrong > 100 then return nil end
  for _, word in ipairs(words) do
    local longer = #word >= 3 and wrong:lower():sub(1, #word) == word -- "warning" for "warn"
    local d = longer and 1 or distance(wrong:lower(), word)
    if d < least then best, least = word, d end
  end
  return best
end

local function did_you_mean(wrong, words)
  local meant = Config.nearest(wrong, words)
  return meant and (" (did you mean '%s'?)"):format(meant) or ""
end

local function shown(value)
  if type(value) == "string" then return ("'%s'"):format(value) end
  if type(value) == "number" or type(value) == "boolean" then return tostring(value) end
  if value == json.null then return "null" end
  return "a " .. type(value)
end

local function in_units(text, pattern, units)
  local value, unit = text:match(pattern)
  value = tonumber(value)
  return value and units[unit] and value * units[unit]
end

-- Each gives the value, or nil and what is expected.
local KINDS = {}

function KINDS.count(value)
  return math.type(value) == "integer" and value or nil, "a whole number"
end

function KINDS.number(value)
  return type(value) == "number" and value == value and value or nil, "a number"
end

function KINDS.duration(value)
  if type(value) == "string" then value = in_units(value, "^([%d.]+)(%a+)$", SECONDS) end
  local fine = type(value) == "number" and value >= 0 and value <= LONGEST
  return fine and value + 0.0 or nil, 'a duration such as "250ms", "2s" or a number of seconds'
end

function KINDS.bytes(value)
  if type(value) == "string" then value = in_units(value, "^([%d.]+)(%a*)$", BYTES) end
  return type(value) == "number" and value >= 0 and math.tointeger(value // 1) or nil,
    'a size such as "64KiB" or a number of bytes'
end

function KINDS.text(value)
  return type(value) == "string" and value ~= "" and value or nil, "a text"
end

function KINDS.group(value)
  local fine = type(value) == "string" and #value <= 255 and value:find("^[%w_.-]+$")
  return fine and value or nil, "a group's name, of letters, digits, '_', '.' and '-',"
end

function KINDS.boolean(value)
  if type(value) == "boolean" then return value end
  return nil, "true or false"
end

function KINDS.table(value)
  return type(value) == "table" and value or nil, "a table"
end

function KINDS.target(value, field)
  local expected = ("a ref, or an actor's address such as %q"):format(field.example or "shop@tcp://10.0.0.7:5001")
  if type(value) == "userdata" and value ~= json.null then return value end
  if type(value) ~= "string" then return nil, expected end
  local fine, why = pcall(actor.ref, value)
  if fine then return value end
  return nil, expected, (tostring(why):gsub("^.-actor%.ref: ", ""))
end

local function has(words, wanted)
  for _, word in ipairs(words) do
    if word == wanted then return true end
  end
  return false
end

function KINDS.word(value, field)
  local expected = "one of " .. table.concat(field.words, ", ")
  if type(value) ~= "string" then return nil, expected end
  if has(field.words, value) then return value end
  return nil, expected, ("'%s' is none%s"):format(value, did_you_mean(value, field.words))
end

function KINDS.words(value, field)
  local set, expected = {}, "a list of some of " .. table.concat(field.words, ", ")
  if type(value) ~= "table" then return nil, expected end
  for key, word in pairs(value) do
    if math.type(key) ~= "integer" or type(word) ~= "string" then return nil, expected end
    if not has(field.words, word) then
      return nil, expected, ("'%s' is none%s"):format(word, did_you_mean(word, field.words))
    end
    set[word] = true
  end
  return set
end

local function refuse(name, text)
  error(("config.%s: %s"):format(name, text), 0)
end

local function read_field(name, value, field)
  local read, expected, detail = KINDS[field.kind](value, field)
  if read == nil then
    refuse(name, ("%s is expected%s"):format(expected, detail and ": " .. detail or ", not " .. shown(value)))
  end
  if field.least and read < field.least then refuse(name, ("%s is less than %s"):format(shown(value), field.least)) end
  if field.above and read <= field.above then refuse(name, ("%s is not more than %s"):format(shown(value), field.above)) end
  if field.most and read > field.most then refuse(name, ("%s is more than %s"):format(shown(value), field.most)) end
  return read
end

--- What `given` says, or else the defaults; raises for what is wrong, at no line.
---@param given table  self.config
---@param fields table<string, troupe.config.Field>
---@return table settings  by the names of the fields
function Config.read(given, fields)
  local names, settings = {}, {}
  for name in pairs(fields) do table.insert(names, name) end
  table.sort(names)
  local wrong = {}
  for name in pairs(given) do
    if not fields[name] then table.insert(wrong, tostring(name)) end
  end
  table.sort(wrong)
  if wrong[1] then error(("config has no '%s'%s"):format(wrong[1], did_you_mean(wrong[1], names)), 0) end
  for _, name in ipairs(names) do
    local field, value = fields[name], given[name]
    if value == nil then value = field.default end
    if value ~= nil then
      settings[name] = read_field(name, value, field)
    elseif field.needed then
      local _, expected = KINDS[field.kind](nil, field)
      refuse(name, ("is missing: %s is expected"):format(expected))
    end
  end
  return settings
end

return Config
