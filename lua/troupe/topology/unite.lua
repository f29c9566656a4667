--- One host in the place of several: what their options come to, together.
---
--- ```lua
--- local united, reasons = Unite.options { { node = "feed", bind = {}, options = { slice_ms = 100 } }, ... }
--- ```
local Unite = {}

-- What a host has that says nothing (host/host.h).
local DEFAULTS = {
  memory_bytes = 256 << 20, slice_ms = 5000,
  actors = 1000000, children = 100000, timers = 1000000, dead_letters = 1000, peers = 256, frame = 1 << 20,
  depth = 64, shutdown = 5000,
}
-- The most that a host may have of what is added up.
local MOST = { workers = 64, actors = 16000000, timers = 100000000, dead_letters = 10000000, peers = 800 }

local LEVELS = { "debug", "info", "warn", "error" }
local SECURITY = { "allow", "open", "reply_to", "curve_key", "curve_peers" }

-- What the plans have of `name`, and whether any says something; those that do not, the default.
local function gather(plans, name, get)
  local values, any = {}, false
  for _, plan in ipairs(plans) do
    local value = get(plan)[name]
    any = any or value ~= nil
    table.insert(values, value == nil and DEFAULTS[name] or value)
  end
  return values, any
end

-- The largest, of what each actor or message may have.
local function largest(plans, name, get)
  local values, any = gather(plans, name, get)
  return any and math.max(table.unpack(values)) or nil
end

-- The sum, of what a host has. Nothing, if one of them has no number to add.
local function sum(plans, name, get)
  local values, any = gather(plans, name, get)
  if not any or #values < #plans then return nil end
  local total = 0
  for _, value in ipairs(values) do total = total + value end
  return math.min(total, MOST[name] or total)
end

-- What all have to agree about.
local function same(plans, name, reasons)
  local first
  for _, plan in ipairs(plans) do
    if first and plan.options[name] ~= first.options[name] then
      table.insert(reasons, ("nodes '%s' and '%s' differ in %s, and one host has one of it"):format(first.node,
        plan.node, name == "log_format" and "log" or name))
      return nil
    end
    first = first or plan
  end
  return first and first.options[name]
end

local function of_plan(plan) return plan end
local function of_options(plan) return plan.options end
local function of_limits(plan) return plan.options.limits or {} end

-- The lowest: nothing is lost that one of them would have logged.
local function log_level(plans)
  local lowest, any = #LEVELS, false
  for _, plan in ipairs(plans) do
    any = any or plan.options.log_level ~= nil
    for place, level in ipairs(LEVELS) do
      if level == (plan.options.log_level or "info") then lowest = math.min(lowest, place) end
    end
  end
  return any and LEVELS[lowest] or nil
end

--- The options of a host that runs all of these, as in a plan; and its workers.
--- `sandbox` is left to the actors.
---@param plans troupe.topology.Plan[]
---@return table? options
---@return integer|string[]|nil workers_or_reasons
function Unite.options(plans)
  local reasons, listening = {}, {}
  for _, plan in ipairs(plans) do
    if plan.bind[1] then table.insert(listening, plan) end
  end
  local united = {
    memory_bytes = largest(plans, "memory_bytes", of_options),
    slice_ms = largest(plans, "slice_ms", of_options),
    log_format = same(plans, "log_format", reasons),
    log_level = log_level(plans),
  }
  for _, name in ipairs(SECURITY) do united[name] = same(listening, name, reasons) end
  local limits = {}
  for _, name in ipairs { "children", "frame", "depth", "shutdown" } do limits[name] = largest(plans, name, of_limits) end
  for _, name in ipairs { "actors", "timers", "dead_letters", "peers", "memory_total" } do
    limits[name] = sum(plans, name, of_limits)
  end
  united.limits = next(limits) and limits or nil
  if reasons[1] then return nil, reasons end
  return united, sum(plans, "workers", of_plan)
end

return Unite
