--- `troupe node`: runs one node of a topology. It is not for people but what `troupe up`
--- starts for each node, and so no --help speaks of it. On its standard input it gets one line,
--- {"plan": as of topology.plan, "options": as of troupe.up.host}; into the pipe that it has as
--- descriptor 3, if there is one, its actor writes {"ready":true,"endpoint":...} when all
--- has started, or {"failed":"why"}.
local json = require "troupe.json"

local EXIT_FAILED, EXIT_USAGE = 1, 2
local STATUS = "/proc/self/fd/3"

local node = {}

-- What is to be run, or nil and what is wrong with it.
local function read_order(text)
  if not text then return nil, "a line of JSON with a plan is expected on the standard input: this is what 'troupe up' starts" end
  local order, why = json.decode(text)
  if order == nil then return nil, "the plan is no JSON: " .. why end
  if type(order) ~= "table" or type(order.plan) ~= "table" or type(order.plan.node) ~= "string" then
    return nil, "the plan is missing"
  end
  order.plan.options = order.plan.options or {}
  order.options = order.options or {}
  return order
end

-- So that a pipe is told from a file of somebody's, which would be written over. With "r+"
-- nobody waits for a reader that has gone.
local function has_status_pipe()
  local pipe <close> = io.open(STATUS, "r+")
  return pipe ~= nil and pipe:seek() == nil
end

---@param arguments string[]  what stands behind `troupe node`
---@return integer code
function node.run(arguments)
  local order, wrong = read_order(not arguments[1] and io.read("l"))
  if not order then
    io.stderr:write("troupe node: ", wrong, "\n")
    return EXIT_USAGE
  end
  local has_pipe = has_status_pipe()
  order.options.status = has_pipe and STATUS or nil
  local code, why = require("troupe.up.host").run(order.plan, order.options)
  if why and why ~= "" then
    io.stderr:write("troupe: ", why, "\n")
    local pipe <close> = has_pipe and io.open(STATUS, "r+") or nil
    if pipe then pipe:write(json.encode { failed = why }, "\n") end
    return code == EXIT_USAGE and EXIT_FAILED or code -- it is no usage of this command's
  end
  return code
end

return node
