--- A host in this process for a node of a topology, or for all of them: what `troupe node`
--- runs, `troupe up --one` and `troupe up --node NAME`.
---
--- ```lua
--- local code, why = host.run(topology.plan(model, { one = true })[1], { watch = true })
--- ```
local port = require "troupe.port"

local host = {}

-- What the actor that runs the node is told of its plan: see actors/node.lua.
local OF_THE_ACTOR = { "node", "nodes", "actors" }

--- Runs it until its last actor has ended, or somebody stops it.
---@param plan troupe.topology.Plan
---@param options? { watch?: boolean, trial_ms?: integer, log_format?: string, log_level?: string,
---  arguments?: string[], status?: string }  the log's go over what the plan says of it;
---  status: the path of a pipe that the node's start is told to
---@return integer code
---@return string? why
function host.run(plan, options)
  options = options or {}
  local config = { status = options.status, options = { keep = plan.options.keep } }
  for _, field in ipairs(OF_THE_ACTOR) do config[field] = plan[field] end
  local fields = {}
  for name, value in pairs(plan.options) do
    if name ~= "keep" then fields[name] = value end
  end
  fields.scripts = { { path = port.share .. "/actors/node.lua", name = "node." .. plan.node, config = config } }
  fields.arguments = options.arguments or {}
  fields.bind = plan.bind or {}
  fields.advertise, fields.workers = plan.advertise, plan.workers
  fields.control, fields.topology, fields.node = plan.node, plan.topology, plan.node
  fields.watch, fields.trial_ms = options.watch, options.trial_ms
  fields.log_format = options.log_format or fields.log_format
  fields.log_level = options.log_level or fields.log_level
  return port.run(fields)
end

return host
