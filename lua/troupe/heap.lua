--- A queue by time: what is due first comes first, and of equals what was put first.
---
--- ```lua
--- local heap = Heap.new()
--- heap:put(12.5, "later")
--- heap:put(3.0, "sooner")
--- local item, at = heap:first()  -- "sooner", 3.0
--- heap:take()
--- ```
---@class troupe.Heap
---@field count integer
local Heap = {}
Heap.__index = Heap

---@return troupe.Heap
function Heap.new()
  return setmetatable({ count = 0, number = 0, entries = {} }, Heap)
end

local function before(a, b)
  if a.at ~= b.at then return a.at < b.at end
  return a.number < b.number
end

---@param at number
---@param item any
function Heap:put(at, item)
  local entries, i = self.entries, self.count + 1
  self.count, self.number = i, self.number + 1
  local entry = { at = at, number = self.number, item = item }
  while i > 1 and before(entry, entries[i // 2]) do
    entries[i] = entries[i // 2]
    i = i // 2
  end
  entries[i] = entry
end

--- Looks at the first one.
---@return any item  nil: there is none
---@return number? at
function Heap:first()
  local first = self.entries[1]
  if first then return first.item, first.at end
end

--- Takes the first one out.
---@return any item  nil: there is none
function Heap:take()
  local entries, count = self.entries, self.count
  if count == 0 then return nil end
  local taken, last, i = entries[1], entries[count], 1
  entries[count] = nil
  self.count = count - 1
  while self.count > 0 do
    local child = 2 * i
    if child < self.count and before(entries[child + 1], entries[child]) then child = child + 1 end
    if child > self.count or not before(entries[child], last) then break end
    entries[i] = entries[child]
    i = child
  end
  if self.count > 0 then entries[i] = last end
  return taken.item
end

return Heap
