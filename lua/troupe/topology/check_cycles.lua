--- Finds actors of a topology that may wait for each other in a circle.
---
--- ```lua
--- Cycles.find{ { from = "a", to = "b" }, { from = "b", to = "a" } } --> { { 1, 2 } }
--- ```
local Cycles = {}

-- The numbers of the edges on a shortest way from `start` to `goal`; nil: there is none.
local function way(leaving, edges, start, goal)
  local came_by, queue, at = { [start] = false }, { start }, 1
  while queue[at] do
    local name = queue[at]
    if name == goal then
      local path = {}
      while came_by[name] do
        table.insert(path, 1, came_by[name])
        name = edges[came_by[name]].from
      end
      return path
    end
    for _, number in ipairs(leaving[name] or {}) do
      local to = edges[number].to
      if came_by[to] == nil then
        came_by[to] = number
        queue[#queue + 1] = to
      end
    end
    at = at + 1
  end
end

--- Circles such that each edge that lies in any is in one of these; each a list of the
--- numbers of its edges, beginning with the least.
---@param edges { from: string, to: string }[]
---@return integer[][]
function Cycles.find(edges)
  local leaving, covered, found = {}, {}, {}
  for number, edge in ipairs(edges) do
    leaving[edge.from] = leaving[edge.from] or {}
    table.insert(leaving[edge.from], number)
  end
  for number, edge in ipairs(edges) do
    local back = not covered[number] and way(leaving, edges, edge.to, edge.from)
    if back then
      table.insert(back, 1, number)
      for _, each in ipairs(back) do covered[each] = true end
      local least = 1
      for i = 2, #back do
        if back[i] < back[least] then least = i end
      end
      found[#found + 1] = table.move(back, 1, least - 1, #back - least + 2, table.move(back, least, #back, 1, {}))
    end
  end
  return found
end

return Cycles
