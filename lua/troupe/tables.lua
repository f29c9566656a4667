--- Plain tables: their names in order, copies, and whether two are the same. Pure.
---
--- ```lua
--- tables.names { limit = 3, book = 1 }                     --> { "book", "limit" }
--- tables.column({ { name = "a" }, { name = "b" } }, "name")  --> { "a", "b" }
--- tables.equal({ x = { 1 } }, { x = { 1 } })               --> true
--- ```
local tables = {}

--- The names that a table has, as texts and sorted.
---@param of table
---@return string[]
function tables.names(of)
  local names = {}
  for name in pairs(of) do table.insert(names, tostring(name)) end
  table.sort(names)
  return names
end

--- What the elements of a list have in one field, in their order; those without it are passed over.
---@param list table[]
---@param field string
---@return any[]
function tables.column(list, field)
  local values = {}
  for _, each in ipairs(list) do
    if each[field] ~= nil then table.insert(values, each[field]) end
  end
  return values
end

--- A copy of plain values that have no cycles.
---@generic T
---@param value T
---@return T
function tables.copy(value)
  if type(value) ~= "table" then return value end
  local copy = {}
  for key, each in pairs(value) do copy[key] = tables.copy(each) end
  return copy
end

--- Whether two plain values without cycles are the same, a float and an integer being two things.
---@param a any
---@param b any
---@return boolean
function tables.equal(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then return a == b and math.type(a) == math.type(b) end
  for key, each in pairs(a) do
    if not tables.equal(each, b[key]) then return false end
  end
  for key in pairs(b) do
    if a[key] == nil then return false end
  end
  return true
end

return tables
