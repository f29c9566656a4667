--- Nodes that a `troupe up` has left behind which was killed. They have been told to end
--- and do, but until then they have their ports.
---
--- ```lua
--- local pid, endpoint = leftover.find { "tcp://127.0.0.1:5001" }
--- ```
local tools = require "troupe.tools"

local leftover = {}

local function text_of(pid, name)
  local file <close> = io.open(("/proc/%d/%s"):format(pid, name), "rb")
  return file and file:read("a") or ""
end

local function parent_of(pid)
  return math.tointeger(text_of(pid, "stat"):match(".*%) %a (%d+)"))
end

-- It is what `troupe up` starts, and who started it is no more: another program has it.
local function is_left(pid)
  if not text_of(pid, "cmdline"):find("^[^\0]*troupe[^\0]*\0node\0$") then return false end
  local parent = parent_of(pid)
  return parent ~= nil and text_of(parent, "comm") ~= text_of(pid, "comm")
end

-- Whether nobody listens there; who does is a long search. The quick look is at IPv4 alone.
local function is_free(endpoint, port)
  return not endpoint:find("[", 1, true) and not tools.port_is_taken(port)
end

--- Who listens at one of these endpoints, if it is such a node.
---@param endpoints string[]
---@return integer? pid
---@return string? endpoint
function leftover.find(endpoints)
  for _, endpoint in ipairs(endpoints) do
    local host, port = endpoint:match("^tcp://%[?([^%]]-)%]?:(%d+)$")
    port = math.tointeger(port)
    local pid = host and not is_free(endpoint, port) and tools.port_holder(host, port)
    if pid and is_left(pid) then return pid, endpoint end
  end
end

return leftover
