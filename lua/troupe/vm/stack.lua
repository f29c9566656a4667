--- The stack of a stack machine. nil is a value like any other.
---
--- ```lua
--- local stack = require("troupe.vm.stack").new()
--- stack:push(1)
--- stack:push(nil)
--- print(#stack, stack:pop(), stack:top())  --> 2  nil  1
--- ```
---@class troupe.vm.Stack
---@field private size integer
local Stack = {}
Stack.__index = Stack
Stack.__name = "stack"

---@return troupe.vm.Stack
function Stack.new()
  return setmetatable({ size = 0 }, Stack)
end

function Stack:__len()
  return self.size
end

function Stack:push(value)
  self.size = self.size + 1
  self[self.size] = value
end

--- Takes the topmost value off. Raises when there is none.
function Stack:pop()
  local size = self.size
  if size == 0 then error("the stack is empty", 2) end
  local value = self[size]
  self[size] = nil
  self.size = size - 1
  return value
end

--- The topmost value. Raises when there is none.
function Stack:top()
  if self.size == 0 then error("the stack is empty", 2) end
  return self[self.size]
end

--- The value at a place, counted from 1 at the bottom; nil where there is none.
---@param place integer
function Stack:at(place)
  return self[place]
end

function Stack:clear()
  for i = self.size, 1, -1 do self[i] = nil end
  self.size = 0
end

--- Its values, from the bottom; as many as `n` says.
---@return table values  as of table.pack
function Stack:values()
  return table.move(self, 1, self.size, 1, { n = self.size })
end

return Stack
