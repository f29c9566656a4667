--- Which topologies of this user are up: each says so in the folder of the control sockets.
---
--- ```lua
--- local held, why = presence.hold { topology = "market", file = "market.lua", nodes = { "feed" } }
--- for _, each in ipairs(presence.find("market.lua")) do print(each.topology, each.pid) end
--- ```
local json = require "troupe.json"
local processes = require "troupe.processes"
local tools = require "troupe.tools"

local presence = {}

---@class troupe.up.Presence
---@field topology string   its name
---@field file string?      absolute, without links; nil: it came from standard input
---@field node string?      only this node of it
---@field nodes string[]
---@field pid integer       of who has started it
---@field entry string      what presence.reach() takes

---@class troupe.up.Held
---@field private about table
---@field private raw any
local Held = {}
Held.__index = Held

local function text_of(about)
  return json.encode { v = 1, topology = about.topology, file = about.file, node = about.node, nodes = json.array(about.nodes),
                       since = about.since }
end

--- Says that a topology is up, until it is closed or this process ends.
---@param about { topology: string, file: string?, node: string?, nodes: string[] }
---@return troupe.up.Held? held, string? why
function presence.hold(about)
  about.since = os.date("!%Y-%m-%dT%H:%M:%SZ")
  about.file = about.file and tools.real_path(about.file)
  local raw, why = processes.hold(about.topology, text_of(about))
  if not raw then return nil, why end
  return setmetatable({ about = about, raw = raw }, Held)
end

--- It has these nodes now.
---@param names string[]
function Held:nodes(names)
  self.about.nodes = names
  self.raw:say(text_of(self.about))
end

function Held:close() self.raw:close() end
Held.__close = Held.close

--- All that are up.
---@return troupe.up.Presence[]? list, string? why
function presence.all()
  local found, why = processes.present()
  if not found then return nil, why end
  local list = {}
  for _, each in ipairs(found) do
    local about = json.decode(each.text)
    if type(about) == "table" and type(about.topology) == "string" then
      table.insert(list, {
        topology = about.topology, file = about.file ~= json.null and about.file or nil,
        node = about.node ~= json.null and about.node or nil, nodes = about.nodes, pid = each.pid, entry = each.file,
      })
    end
  end
  return list
end

--- Those of a file, or if there is no such file, of a topology that is called so.
---@param what string
---@return troupe.up.Presence[]? list, string? why
function presence.find(what)
  local list, why = presence.all()
  if not list then return nil, why end
  local file = what ~= "-" and tools.kind_of(what) ~= "folder" and tools.real_path(what)
  local found = {}
  for _, each in ipairs(list) do
    if file and each.file == file or not file and each.topology == what then table.insert(found, each) end
  end
  return found
end

--- A way to the process that has started it; nil if it has just ended.
---@param entry string
function presence.reach(entry)
  return processes.reach(entry)
end

return presence
