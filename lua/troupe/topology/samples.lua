--- Messages by their declared fields: what is wrong with one, and what one may look like. Pure.
---
--- ```lua
--- local shape = samples.shape { symbol = "string", price = "number" }
--- samples.faults(shape, { symbol = "ACME", note = "x" })
--- --> { { field = "note", kind = "unknown", text = "unknown field" },
---       { field = "price", kind = "missing", text = "missing, number expected" } }
--- samples.message(shape, { symbol = "ACME" })  --> { symbol = "ACME", price = 1.5 }
--- ```
--- Values are as troupe.json reads them. An array of a declared type is a list, "ref" a text.
local json = require "troupe.json"
local options = require "troupe.options"
local tables = require "troupe.tables"

local samples = {}

---@class topology.Shape  fields by name: { kind = "integer[]", optional = true, fields = Shape? }

-- "string[]?" -> "string[]", true
local function split(text)
  local base = text:match("^(.*)%?$")
  return base or text, base ~= nil
end

--- The fields by their names, whatever spelling of troupe.Fields they came in.
---@param fields troupe.Fields
---@return topology.Shape
function samples.shape(fields)
  local shape = {}
  local function add(name, kind)
    if type(kind) == "string" then
      local base, optional = split(kind)
      shape[name] = { kind = base, optional = optional }
    else
      local base, optional = split(type(kind[1]) == "string" and kind[1] or "")
      shape[name] = { kind = "table" .. base, optional = optional, fields = samples.shape(kind) }
    end
  end
  for key, value in pairs(fields) do
    if type(key) == "string" then
      add(key, value)
    elseif type(value) == "table" then
      add(value[1], value[2])
    end
  end
  return shape
end

----------------------------------------------------------------- faults ----

local function is_list(value)
  local count = 0
  for _ in pairs(value) do count = count + 1 end
  return count == #value
end

local function kind_of(value)
  if value == json.null then
    return "null"
  end
  return math.type(value) == "float" and ("%.14g"):format(value) or math.type(value)
    or type(value) == "table" and (#value > 0 and "array" or "table") or type(value)
end

local FITS = {
  any = function() return true end,
  boolean = function(value) return type(value) == "boolean" end,
  integer = function(value) return math.tointeger(value) ~= nil and type(value) == "number" end,
  number = function(value) return type(value) == "number" end,
  string = function(value) return type(value) == "string" end,
  ref = function(value) return type(value) == "string" and value:find("^[^@]+") ~= nil end,
  table = function(value) return type(value) == "table" end,
}

local look -- at the members of a table

local function look_at(field, kind, value, path, faults)
  local element = kind:match("^(.*)%[%]$")
  if element and type(value) == "table" and is_list(value) then
    for i, each in ipairs(value) do look_at(field, element, each, ("%s[%d]"):format(path, i), faults) end
  elseif element or not FITS[kind](value) then
    table.insert(faults, { field = path, kind = "wrong",
                           text = ("%s expected, not %s"):format(kind, kind_of(value)) })
  elseif field.fields then
    look(field.fields, value, path .. ".", faults)
  end
end

function look(shape, message, path, faults)
  for _, name in ipairs(tables.names(message)) do
    if not shape[name] then
      table.insert(faults, { field = path .. name, kind = "unknown",
                             text = "unknown field" .. options.hint(name, tables.names(shape)) })
    end
  end
  for _, name in ipairs(tables.names(shape)) do
    local field, value = shape[name], message[name]
    if value == json.null and field.kind ~= "any" then value = nil end
    if value ~= nil then
      look_at(field, field.kind, value, path .. name, faults)
    elseif not field.optional then
      table.insert(faults, { field = path .. name, kind = "missing", text = ("missing, %s expected"):format(field.kind) })
    end
  end
  return faults
end

--- What is wrong with a message, unknown fields first; nothing: it is as declared.
---@param shape topology.Shape
---@param message table
---@return { field: string, kind: "unknown"|"missing"|"wrong", text: string }[]
function samples.faults(shape, message)
  return look(shape, message, "", {})
end

---------------------------------------------------------------- samples ----

local function value_of(field, kind, name, ref)
  local element = kind:match("^(.*)%[%]$")
  if element then
    return { value_of(field, element, name, ref) }
  end
  if kind == "table" then
    return samples.message(field.fields or {}, {}, ref)
  end
  return ({ any = 1, boolean = true, integer = 1, number = 1.5, string = name, ref = ref })[kind]
end

--- A message of these fields. What `known` has of them, and fits, is taken from there; what may be
--- missing is left out; the rest has a value that is typical of its type: a text says its field's name.
---@param shape topology.Shape
---@param known table   fields of another message
---@param ref string    what stands where a ref is wanted
---@return table message
function samples.message(shape, known, ref)
  local message = {}
  for name, field in pairs(shape) do
    local value = known[name]
    if value ~= nil and value ~= json.null and #samples.faults({ [name] = field }, { [name] = value }) == 0 then
      message[name] = value
    elseif not field.optional then
      message[name] = value_of(field, field.kind, name, ref)
    end
  end
  return message
end

return samples
