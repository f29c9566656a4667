--- Whom a name means: in a topology's file, and in what its hosts say of their messages. Pure.
---
--- ```lua
--- local known = names.new(model)
--- known:key("book@feed")                         --> "book"
--- known:key("book@tcp://127.0.0.1:5001")         --> "book", if that is where its node is
--- known:node_at("tcp://localhost:5001").name     --> "feed"
--- ```
local names = {
  OUTSIDE = "@", -- the key of whoever is no part of the topology
}

---@class graph.Names
---@field private nodes table<string, table>         by name
---@field private at table<string, table>            nodes by endpoint
---@field private actors table<string, string>       the names of their nodes
---@field private groups table<string, boolean>
---@field private externals table<string, table>     by name
---@field private externals_at table<string, table>  by endpoint, each a list
local Names = {}
Names.__index = Names

--- An endpoint in the one spelling that two are compared in.
---@param endpoint string
---@return string
function names.normalise(endpoint)
  local port = endpoint:match("^:(%d+)$")
  return port and "tcp://127.0.0.1:" .. port or (endpoint:gsub("^tcp://localhost:", "tcp://127.0.0.1:"))
end

local function binds(node)
  return type(node.bind) == "table" and node.bind or { node.bind }
end

--- Where others find a node.
---@return string[]
function names.endpoints(node)
  return node.advertise and { node.advertise } or binds(node)
end

---@param model topology.Model
---@return graph.Names
function names.new(model)
  local self = setmetatable({ nodes = {}, at = {}, actors = {}, groups = {}, externals = {}, externals_at = {} }, Names)
  for _, node in ipairs(model.nodes) do
    self.nodes[node.name] = node
    for _, endpoint in ipairs(binds(node)) do self:add_endpoint(node, endpoint) end
    if node.advertise then self:add_endpoint(node, node.advertise) end
    for _, actor in ipairs(node.actors) do
      self.actors[actor.name], self.groups[actor.name] = node.name, actor.instances ~= nil
    end
  end
  for _, external in ipairs(model.externals) do
    self.externals[external.name] = external
    local endpoint = names.normalise(external.endpoint or "")
    self.externals_at[endpoint] = self.externals_at[endpoint] or {}
    table.insert(self.externals_at[endpoint], external)
  end
  return self
end

--- A host of that node says that it listens there.
---@param node table  of the model
---@param endpoint string
function Names:add_endpoint(node, endpoint)
  self.at[names.normalise(endpoint)] = node
end

---@return table? node  of the model
function Names:node_at(endpoint)
  return self.at[names.normalise(endpoint)]
end

--- Takes "book@feed" and "book@tcp://127.0.0.1:5001" apart. A question has a name of its own, under
--- which it is answered: that is cut off.
---@param name string
---@return string actor, string? where
function names.split(name)
  local actor, where = name:match("^([^@]*)@(.*)$")
  return ((actor or name):gsub("/ask#%d+$", "")), where
end

--- The group of which this is an instance ("limits.2"), or nil.
---@param name string
---@return string?
function Names:group_of(name)
  local group = name:match("^(.*)%.%d+$")
  return group and self.groups[group] and group or nil
end

--- Whether it is a group of instances.
function Names:is_group(key) return self.groups[key] == true end

--- The name of the node in which the file has this actor.
---@return string?
function Names:node_of(key) return self.actors[key] end

--- The external at an endpoint; if there are several, the one whose actor has that name.
---@return table? external
function Names:external_at(name, endpoint)
  local there = self.externals_at[names.normalise(endpoint)] or {}
  for _, external in ipairs(there) do
    if (external.actor or external.name) == name then
      return external
    end
  end
  return #there == 1 and there[1] or nil
end

--- The key of the actor or external that a name of the file means, or nil.
---@param text string
---@return string?
function Names:key(text)
  local name, where = names.split(text)
  if not where then
    return (self.actors[name] or self.externals[name]) and name or self:group_of(name)
  end
  local node = self.nodes[where] or self:node_at(where)
  if node then
    local actor = self.actors[name] and name or self:group_of(name)
    return actor and self.actors[actor] == node.name and actor or nil
  end
  local external = self:external_at(name, where)
  return external and external.name
end

return names
