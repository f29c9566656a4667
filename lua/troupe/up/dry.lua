--- What `troupe up --dry-run` prints: what would be started, in order.
local json = require "troupe.json"
local show = require "troupe.cli.show"

local dry = {}

local function columns(...)
  return show.printable(("%-24s %-32s %s"):format(...):gsub("%s+$", ""))
end

local function what_of_node(plan)
  local words = {}
  if plan.workers then table.insert(words, plan.workers .. (plan.workers == 1 and " worker" or " workers")) end
  if plan.advertise then table.insert(words, "advertised as " .. plan.advertise) end
  return table.concat(words, ", ")
end

local function what_of_actor(actor)
  local words = {}
  if actor.instances then
    table.insert(words, ("%d instance%s, %s"):format(actor.instances, actor.instances == 1 and "" or "s", actor.route))
  end
  if actor.options.failure then table.insert(words, "on failure: " .. tostring(actor.options.failure)) end
  return table.concat(words, "; ")
end

local function for_people(plans)
  local lines = {}
  for i, plan in ipairs(plans) do
    table.insert(lines, columns(("%d. %s"):format(i, plan.node),
                                plan.bind[1] and table.concat(plan.bind, ", ") or "(does not listen)", what_of_node(plan)))
    for _, actor in ipairs(plan.actors) do
      table.insert(lines, columns("   " .. actor.name, actor.script or "(a script in the topology)", what_of_actor(actor)))
    end
  end
  return lines
end

local function text_or_null(text)
  return show.json_string(text)
end

local function object_of_actor(actor)
  return ('{"name": %s, "script": %s, "instances": %s, "route": %s}'):format(text_or_null(actor.name),
    text_or_null(actor.script), actor.instances and ("%d"):format(actor.instances) or "null", text_or_null(actor.route))
end

local function as_json(plans)
  local lines = {}
  for i, plan in ipairs(plans) do
    local actors = {}
    for j, actor in ipairs(plan.actors) do actors[j] = object_of_actor(actor) end
    lines[i] = ('{"v": 1, "topology": %s, "node": %s, "bind": %s, "advertise": %s, "workers": %s, "actors": [%s]}'):format(
      text_or_null(plan.topology), text_or_null(plan.node), show.json_text(json.encode(json.array(plan.bind))),
      text_or_null(plan.advertise), plan.workers and ("%d"):format(plan.workers) or "null", table.concat(actors, ", "))
  end
  return lines
end

--- Prints the plans.
---@param plans troupe.topology.Plan[]
---@param in_json boolean
function dry.show(plans, in_json)
  for _, line in ipairs((in_json and as_json or for_people)(plans)) do
    if not show.line(line) then return end
  end
end

return dry
