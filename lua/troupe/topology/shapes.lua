--- The message types of a link, with their declared fields.
---
--- ```lua
--- local shapes = Shapes.new(noted.of, Values.budget(), function(wrong) print(wrong) end)
--- shapes:types { "a", "b", "Quote", Tick = { symbol = "string" } }
--- --> { { name = "Quote" }, { name = "Tick", fields = { symbol = "string" } } }
--- Shapes.canonical { b = "string", a = "integer" } == Shapes.canonical { { "b", "string" }, { "a", "integer" } }
--- ```
local Values = require "troupe.topology.values"
local Words = require "troupe.topology.words"
local options = require "troupe.options"
local tables = require "troupe.tables"

local FIRST_TYPE = 3   -- in a link, behind who sends and who gets it
local DEPTH_LIMIT = 20 -- tables in tables; actor.message takes fewer

local Shapes = {}
Shapes.__index = Shapes

---@param of table<any, troupe.topology.Declared>
---@param budget table  of Values.budget()
---@param wrong fun(text: string, type: string?)  type: the key of what is wrong
function Shapes.new(of, budget, wrong)
  return setmetatable({ of = of, budget = budget, wrong = wrong }, Shapes)
end

local shown = Words.shown

function Shapes:is_unknown(value)
  return self.of[value] ~= nil and self.of[value].kind == "unknown"
end

-- What messages call alike names: handlers do, too.
function Shapes.fold(name)
  return (name:lower():gsub("_", ""))
end

-- Fields as the file has them, which are fine: options.message has looked at them.
function Shapes:fields(name, given)
  if type(given) ~= "table" or self.of[given] then
    if not self:is_unknown(given) then
      self.wrong(("%s: a table of fields is expected, as { symbol = \"string\" }, not %s"):format(name,
        self.of[given] and "a declared " .. self.of[given].kind or shown(given)), name)
    end
    return nil
  end
  if not Values.count(given, self.budget, DEPTH_LIMIT) then return nil end
  local fine, why = pcall(options.message, name, given)
  if fine then return tables.copy(given) end
  self.wrong((tostring(why):gsub("^actor%.message: ", "")), name)
  return nil
end

function Shapes:add(list, name, given)
  if type(name) ~= "string" or #name > 255 then
    if not self:is_unknown(name) then self.wrong(("a type of message is a text, not %s"):format(shown(name))) end
    return
  end
  local why = options.type(name)
  if why then
    self.wrong(("%s: %s"):format(shown(name), why), name)
    return
  end
  for _, each in ipairs(list) do
    if Shapes.fold(each.name) == Shapes.fold(name) then
      self.wrong(each.name == name and ("%s stands in it twice"):format(name)
        or ("%s and %s are the same type"):format(each.name, name), name)
      return
    end
  end
  table.insert(list, { name = name, fields = given ~= nil and self:fields(name, given) or nil })
end

local function by_name(a, b) return a.name < b.name end

-- From `first` on types without fields, and by name those that have them.
function Shapes:list(given, first, left_out)
  local list = {}
  local places, names, strange = Values.keys(given, self.budget)
  for _, place in ipairs(places) do
    if place >= first then self:add(list, given[place]) end
  end
  for _, name in ipairs(names) do
    if name ~= left_out then self:add(list, name, given[name]) end
  end
  if strange[1] ~= nil then
    self.wrong(("it has a %s for a key: types of messages have names"):format(type(strange[1])))
  end
  table.sort(list, by_name)
  return list
end

--- The types that a link's table says.
---@param body table
---@return { name: string, fields: table? }[]
function Shapes:types(body)
  return self:list(body, FIRST_TYPE, "answers")
end

--- What `answers` says: "Price", { "Price", "NoPrice" } or { Price = { price = "number" } }.
---@param given any
---@return { name: string, fields: table? }[]
function Shapes:answers(given)
  if type(given) == "string" then given = { given } end
  if type(given) ~= "table" or self.of[given] then
    if not self:is_unknown(given) then
      self.wrong(("answers is a type of message, a list of them, or a table of them with their fields, not %s")
        :format(self.of[given] and "a declared " .. self.of[given].kind or shown(given)), "answers")
    end
    return {}
  end
  return self:list(given, 1)
end

-- { name, type } of each field, sorted by name; and what stands behind the table's type.
local function listed(given)
  local list, suffix = {}, ""
  local places, names = Values.keys(given)
  for _, place in ipairs(places) do
    if type(given[place]) == "string" then
      suffix = given[place]
    else
      table.insert(list, given[place])
    end
  end
  for _, name in ipairs(names) do table.insert(list, { name, given[name] }) end
  table.sort(list, function(a, b) return a[1] < b[1] end)
  return list, suffix
end

local function add_canonical(given, parts)
  local list, suffix = listed(given)
  table.insert(parts, "{")
  for _, field in ipairs(list) do
    table.insert(parts, ("%q="):format(field[1]))
    if type(field[2]) == "table" then
      add_canonical(field[2], parts)
    else
      table.insert(parts, field[2])
    end
    table.insert(parts, ",")
  end
  table.insert(parts, "}" .. suffix)
end

--- A text that is the same for fields that declare the same, in whatever order.
---@param fields table  as actor.message takes them
---@return string
function Shapes.canonical(fields)
  local parts = {}
  add_canonical(fields, parts)
  return table.concat(parts)
end

return Shapes
