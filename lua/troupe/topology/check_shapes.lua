--- Compares the fields that two places declare for one message type.
---
--- ```lua
--- Shapes.differences({ symbol = "string" }, { { "symbol", "string" }, { "price", "number?" } })
--- -- { "price is missing" }
--- ```
local Shapes = {}

-- "string[]?" -> "string[]", true
local function split(text)
  local base = text:match("^(.*)%?$")
  return base or text, base ~= nil
end

-- The fields by their names, whatever spelling of troupe.Fields they came in.
local function read(fields, from)
  local found = {}
  local function add(name, kind)
    if type(kind) == "string" then
      local base, optional = split(kind)
      found[name] = { kind = base, optional = optional }
    else
      local suffix = type(kind[1]) == "string" and kind[1] or ""
      local base, optional = split(suffix)
      found[name] = { kind = "table" .. base, optional = optional, fields = read(kind, suffix ~= "" and 2 or 1) }
    end
  end
  for key, value in pairs(fields) do
    if type(key) == "string" then
      add(key, value)
    elseif key >= from then
      add(value[1], value[2])
    end
  end
  return found
end

local function names_of(one, other)
  local names = {}
  for name in pairs(one) do names[#names + 1] = name end
  for name in pairs(other) do
    if not one[name] then names[#names + 1] = name end
  end
  table.sort(names)
  return names
end

local function shown(field)
  return field.kind .. (field.optional and "?" or "")
end

-- `fits` says whether a field of the one side may be that of the other.
local function compare(wanted, found, path, fits, differences)
  for _, name in ipairs(names_of(wanted, found)) do
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
  return compare(read(wanted, 1), read(found, 1), "", fits or Shapes.equal, {})
end

--- Whether the message itself has that field.
---@param fields troupe.Fields
---@param name string
---@return boolean
function Shapes.has(fields, name)
  return read(fields, 1)[name] ~= nil
end

--- The declaration as one writes it in a topology: `{ price = "number", symbol = "string" }`.
---@param fields troupe.Fields
---@return string
function Shapes.written(fields)
  local function write(found, suffix)
    local parts = { suffix ~= "" and ("%q"):format(suffix) or nil }
    for _, name in ipairs(names_of(found, {})) do
      local field = found[name]
      local key = name:find("^[%a_][%w_]*$") and name or ("[%q]"):format(name)
      local value = field.fields and write(field.fields, shown(field):sub(#"table" + 1)) or ("%q"):format(shown(field))
      parts[#parts + 1] = ("%s = %s"):format(key, value)
    end
    return parts[1] and ("{ %s }"):format(table.concat(parts, ", ")) or "{}"
  end
  return write(read(fields, 1), "")
end

return Shapes
