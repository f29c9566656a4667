--- Compares the fields that two places declare for one message type.
---
--- ```lua
--- Shapes.differences({ symbol = "string" }, { { "symbol", "string" }, { "price", "number?" } })
--- -- { "price is missing" }
--- ```
local Write = require "troupe.topology.write"
local samples = require "troupe.topology.samples"
local tables = require "troupe.tables"

local Shapes = {}

local function shown(field)
  return field.kind .. (field.optional and "?" or "")
end

-- `fits` says whether a field of the one side may be that of the other.
local function compare(wanted, found, path, fits, differences)
  local names = {}
  for _, fields in ipairs { wanted, found } do
    for name in pairs(fields) do names[name] = true end
  end
  for _, name in ipairs(tables.names(names)) do
    local one, other = wanted[name], found[name]
    local place = path .. name
    if not other then
      if fits.missing(one) then differences[#differences + 1] = ("%s is missing"):format(place) end
    elseif not one then
      differences[#differences + 1] = ("%s is unknown"):format(place)
    elseif not fits.kind(one.kind, other.kind) or not fits.optional(one.optional, other.optional) then
      differences[#differences + 1] = ("%s is %s, not %s"):format(place, shown(other), shown(one))
    elseif one.fields and other.fields then
      compare(one.fields, other.fields, place .. ".", fits, differences)
    elseif (one.fields or other.fields) and fits == Shapes.equal then
      differences[#differences + 1] = ("%s is a table %s fields, not %s"):format(
        place, other.fields and "with" or "without", one.fields and "with" or "without")
    end
  end
  return differences
end

-- Of a link and of a script: the same, in whatever order.
Shapes.equal = {
  missing = function() return true end,
  kind = function(one, other) return one == other end,
  optional = function(one, other) return one == other end,
}

-- Of a receiver and of a sender: what the sender may send is taken.
local NEAR = { integer = { number = true }, number = { integer = true } } -- 1.0 is taken as 1
Shapes.accepting = {
  missing = function(one) return not one.optional end,
  kind = function(one, other)
    local base, arrays = one:match("^(%l+)(.*)$")
    local other_base, other_arrays = other:match("^(%l+)(.*)$")
    if base == "any" or other_base == "any" then return true end
    if base == "table" and arrays == "" and other_arrays ~= "" then return true end
    return arrays == other_arrays and (base == other_base or (NEAR[base] or {})[other_base] == true)
  end,
  optional = function(one, other) return one or not other end,
}

--- What the second declaration has that contradicts the first, in the order of the names;
--- none: they go together.
---@param wanted troupe.Fields
---@param found troupe.Fields
---@param fits? table  Shapes.equal (the default) or Shapes.accepting
---@return string[]
function Shapes.differences(wanted, found, fits)
  return compare(samples.shape(wanted), samples.shape(found), "", fits or Shapes.equal, {})
end

--- Whether the message itself has that field.
---@param fields troupe.Fields
---@param name string
---@return boolean
function Shapes.has(fields, name)
  return samples.shape(fields)[name] ~= nil
end

--- The declaration as one writes it in a topology: `{ price = "number", symbol = "string" }`.
---@param fields troupe.Fields
---@return string
function Shapes.written(fields)
  local function write(found, suffix)
    local parts = { suffix ~= "" and ("%q"):format(suffix) or nil }
    for _, name in ipairs(tables.names(found)) do
      local field = found[name]
      local value = field.fields and write(field.fields, shown(field):sub(#"table" + 1)) or ("%q"):format(shown(field))
      parts[#parts + 1] = ("%s = %s"):format(Write.key(name), value)
    end
    return parts[1] and ("{ %s }"):format(table.concat(parts, ", ")) or "{}"
  end
  return write(samples.shape(fields), "")
end

return Shapes
