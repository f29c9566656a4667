--- How shipped actors choose among others: where a key goes.
---
--- ```lua
--- Routes.place("bob", 4)    --> 1 to 4, always the same
--- ```
local Routes = {}

--- A value of a message as a text that is equal for equal values; a number is the same
--- number as an integer or a float.
---@param value any
---@return string
function Routes.key(value)
  if type(value) == "string" then return "string " .. value end
  if type(value) == "number" then return "number " .. tostring(math.tointeger(value) or value) end
  if type(value) == "table" then return "table " .. json.encode(value) end
  if value == nil or value == json.null then return "null" end
  return type(value) .. " " .. tostring(value)
end

-- FNV-1a of 64 bits.
local function hash(text)
  local sum = 0xcbf29ce484222325
  for i = 1, #text do sum = (sum ~ text:byte(i)) * 0x100000001b3 end
  return sum
end

--- The place from 1 to `count` of a value: always the same one, and when `count` grows
--- by one, only one key in so many moves, to the new place (jump consistent hashing).
---@param value any
---@param count integer
---@return integer
function Routes.place(value, count)
  local state, place, next_place = hash(Routes.key(value)), -1, 0
  while next_place < count do
    place = next_place
    state = state * 2862933555777941757 + 1
    next_place = math.floor((place + 1) * ((1 << 31) / ((state >> 33) + 1)))
  end
  return place + 1
end

return Routes
