--- Finds actors of a topology that may wait for each other in a circle.
---
--- ```lua
--- Cycles.find{ { from = "a", to = "b" }, { from = "b", to = "a" } } --> { { 1, 2 } }
--- ```
local Cycles = {}

--- Circles that are told of at most.
Cycles.LIMIT = 50

-- The numbers of the edges that leave each name.
local function leaving_of(edges)
  local leaving = {}
  for number, edge in ipairs(edges) do
    leaving[edge.from] = leaving[edge.from] or {}
    table.insert(leaving[edge.from], number)
  end
  return leaving
end

-- Numbers the names so that two have the same number if and only if each can be reached
-- from the other (Tarjan's way).
local function components_of(edges, leaving)
  local order, least, component, path, count = {}, {}, {}, {}, 0
  local function visit(name)
    count = count + 1
    order[name], least[name] = count, count
    path[#path + 1] = name
    for _, number in ipairs(leaving[name] or {}) do
      local to = edges[number].to
      if not order[to] then
        visit(to)
        least[name] = math.min(least[name], least[to])
      elseif not component[to] then
        least[name] = math.min(least[name], order[to])
      end
    end
    while least[name] == order[name] and not component[name] do
      component[table.remove(path)] = order[name]
    end
  end
  for _, edge in ipairs(edges) do
    if not order[edge.from] then visit(edge.from) end
  end
  return component
end

-- The numbers of the edges on a shortest way from `start` to `goal`, which there is.
local function way(leaving, edges, start, goal)
  local came_by, queue, at = { [start] = false }, { start }, 1
  while queue[at] ~= goal do
    for _, number in ipairs(leaving[queue[at]] or {}) do
      local to = edges[number].to
      if came_by[to] == nil then
        came_by[to] = number
        queue[#queue + 1] = to
      end
    end
    at = at + 1
  end
  local path, name = {}, goal
  while came_by[name] do
    table.insert(path, 1, came_by[name])
    name = edges[came_by[name]].from
  end
  return path
end

--- Circles such that each edge that lies in any is in one of these; each a list of the
--- numbers of its edges, beginning with the least that is in none before it.
---@param edges { from: string, to: string }[]
---@return integer[][]
function Cycles.find(edges)
  local leaving, covered, found = leaving_of(edges), {}, {}
  local component = components_of(edges, leaving)
  for number, edge in ipairs(edges) do
    if not covered[number] and component[edge.from] == component[edge.to] and #found < Cycles.LIMIT then
      local circle = way(leaving, edges, edge.to, edge.from)
      table.insert(circle, 1, number)
      for _, each in ipairs(circle) do covered[each] = true end
      found[#found + 1] = circle
    end
  end
  return found
end

return Cycles
