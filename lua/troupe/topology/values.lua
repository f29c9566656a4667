--- The values in a topology file that are copied from it: a config, the fields of a
--- message type. They may be as wrong as anything that somebody has written.
---
--- ```lua
--- local config, wrong = Values.config(given, noted.of, budget)
--- -- wrong: { { text = "config.to.f is a function, and that cannot be a message", keys = { "config", "to", "f" } } }
--- ```
local Words = require "troupe.topology.words"

local Values = {}

local DEPTH_LIMIT = 48       -- tables in a config: plans are JSON, of at most 64, with configs in them
local REF_LIMIT = 600        -- bytes: a name and an endpoint
local WRONG_LIMIT = 20       -- that are told of one config

-- What is read of a file, all in all: it may hold one table or text many times, and so in
-- effect more than there is memory.
local KEYS_LIMIT = 300000
local BYTES_LIMIT = 8 << 20

local CONFIG = { key = "config" }

--- What may be read of a file.
---@return { keys: integer, bytes: integer, spent: boolean }
function Values.budget() return { keys = KEYS_LIMIT, bytes = BYTES_LIMIT, spent = false } end

--- What is said when the budget is spent.
Values.TOO_MUCH = ("it is too large: all its tables together hold more than %d values or %d MiB of text"):format(
  KEYS_LIMIT, BYTES_LIMIT >> 20)

-- Whether there is room for one more key or value.
local function spend(budget, value)
  budget.keys = budget.keys - 1
  if type(value) == "string" then budget.bytes = budget.bytes - #value end
  budget.spent = budget.spent or budget.keys < 0 or budget.bytes < 0
  return not budget.spent
end

--- The keys of a table in a steady order: 1, 2, ... and then texts. Others are in `strange`.
---@param given table
---@param budget? table  of Values.budget(); when it is spent there are none
---@return integer[] places, string[] names, any[] strange
function Values.keys(given, budget)
  local places, names, strange = {}, {}, {}
  for key in next, given do
    if budget and not spend(budget, key) then return {}, {}, {} end
    if math.type(key) == "integer" and key >= 1 then
      places[#places + 1] = key
    elseif type(key) == "string" then
      names[#names + 1] = key
    else
      strange[#strange + 1] = key
    end
  end
  table.sort(places)
  table.sort(names)
  return places, names, strange
end

-- A place in a config: { above = PLACE, key = "to" }; the config itself has no place above.
local function keys_of(place)
  local keys = {}
  while place do
    table.insert(keys, 1, place.key)
    place = place.above
  end
  return keys
end

-- "config.to.f", "config.list[2]".
local function text_of(place)
  local parts = {}
  for number, key in ipairs(keys_of(place)) do
    local plain = type(key) == "string" and #key <= 40 and key:find("^[%a_][%w_]*$")
    table.insert(parts, plain and (number > 1 and "." or "") .. key or ("[%s]"):format(Words.shown(key)))
  end
  return table.concat(parts)
end

local function complain(reading, place, text)
  table.insert(reading.wrong, { text = text_of(place) .. text, keys = keys_of(place) })
end

local copy_value

local function copy_ref(declared, place, reading)
  local target = declared.body
  if type(target) ~= "string" or target == "" or #target > REF_LIMIT then
    complain(reading, place, (": ref needs a name, as in ref \"book\", not %s"):format(Words.shown(target)))
    return nil
  end
  local ref = { ["$ref"] = target }
  table.insert(reading.refs, { ref = ref, target = target, line = declared.line, path = text_of(place) })
  return ref
end

local function copy_table(given, place, depth, reading)
  local function wrong(text) complain(reading, place, " " .. text) end
  if reading.inside[given] then return wrong "is inside of itself, and that cannot be a message" end
  if depth > DEPTH_LIMIT then return wrong(("is more than %d tables deep"):format(DEPTH_LIMIT)) end
  local places, names, strange = Values.keys(given, reading.budget)
  if strange[1] ~= nil then return wrong(("has a %s for a key: keys are names"):format(type(strange[1]))) end
  if places[1] and names[1] then
    return wrong(("is a list and has names, too (%s): make it one of both"):format(Words.shown(names[1])))
  end
  if #places > 0 and places[#places] ~= #places then return wrong "is a list with holes" end
  if given["$ref"] ~= nil then return wrong "has a '$ref', which is kept for refs: write ref \"NAME\"" end
  reading.inside[given] = true
  local copy = {}
  for _, keys in ipairs { places, names } do
    for _, key in ipairs(keys) do
      if type(key) == "string" and not utf8.len(key) then wrong "has a name that is no UTF-8" end
      copy[key] = copy_value(given[key], { above = place, key = key }, depth + 1, reading)
    end
  end
  reading.inside[given] = nil
  return copy
end

function copy_value(value, place, depth, reading)
  local function wrong(text) complain(reading, place, " " .. text) end
  if not spend(reading.budget, value) or #reading.wrong >= WRONG_LIMIT then return nil end
  local declared = type(value) == "table" and reading.of[value]
  if declared then
    if declared.kind == "ref" then return copy_ref(declared, place, reading) end
    if declared.kind ~= "unknown" then
      wrong(("is a declared %s: write ref \"NAME\" for a ref to it"):format(declared.kind))
    end
    return nil
  end
  if type(value) == "table" then return copy_table(value, place, depth, reading) end
  if type(value) == "function" then return wrong "is a function, and that cannot be a message" end
  if type(value) == "string" and not utf8.len(value) then return wrong "is a text that is no UTF-8" end
  if math.type(value) == "float" and (value ~= value or value == math.huge or value == -math.huge) then
    return wrong(("is %s, and there is no JSON for that"):format(tostring(value)))
  end
  return value
end

--- A copy of a config in which refs are { ["$ref"] = "book" }; and what is wrong with it.
---@param given any
---@param of table<any, troupe.topology.Declared>
---@param budget table  of Values.budget()
---@return table config
---@return { text: string, keys: any[] }[] wrong  keys: where it stands
---@return { ref: table, target: string, line: integer, path: string }[] refs  those in it
function Values.config(given, of, budget)
  local reading = { of = of, inside = {}, wrong = {}, refs = {}, budget = budget }
  if type(given) ~= "table" or of[given] then
    if not (of[given] and of[given].kind == "unknown") then
      complain(reading, CONFIG, " is a table, not " ..
        (of[given] and "a declared " .. of[given].kind or Words.shown(given)))
    end
    return {}, reading.wrong, {}
  end
  if #given > 0 then
    complain(reading, CONFIG, " has names, and this is a list")
    return {}, reading.wrong, {}
  end
  local config = copy_table(given, CONFIG, 1, reading) or {}
  return config, reading.wrong, reading.refs
end

--- Counts a value, and what is in it if it is a table, against the budget. What is deeper
--- than `depth` tables is not looked at.
---@param given any
---@param budget table
---@param depth integer
---@return boolean enough
function Values.count(given, budget, depth)
  if type(given) ~= "table" then return spend(budget, given) end
  if depth == 0 then return not budget.spent end
  for key, value in next, given do
    if not spend(budget, key) or not Values.count(value, budget, depth - 1) then return false end
  end
  return true
end

return Values
