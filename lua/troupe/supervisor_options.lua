--- Reads what a supervisor is told: the options of actor.supervise, the config of
--- actors/supervisor.lua, and a StartChild. What is wrong is said with the child
--- and the field.
---
--- ```lua
--- local plan, wrong = Options.read { children = { { script = "feed", kind = "transient" } } }
--- -- plan: { strategy = "one_for_one", restart = { max = 3, within = 10, least = 0.1, most = 5 },
--- --         children = { { script = "feed", kind = "transient", shutdown = 5, options = {} } } }
--- ```
local Kinds = require "troupe.config_kinds"
local options = require "troupe.options"

local Options = {}

local STRATEGIES = { "one_for_one", "one_for_all", "rest_for_one" }
local KINDS = { "permanent", "transient", "temporary" }
local DEFAULT_RESTART = { max = 3, within = 10, least = 0.1, most = 5 }
local DEFAULT_SHUTDOWN = 5
local FOREVER = 1e9       -- seconds
local RESTARTS_LIMIT = 1000
local DEPTH_LIMIT = 16    -- supervisors in supervisors

---@class troupe.supervisor.ChildPlan
---@field script? string    of one that is no supervisor
---@field supervise? table  the plan of one that is
---@field name? string
---@field kind string
---@field shutdown number   seconds; 0: it is killed at once
---@field options table     of actor.spawn, but for the name

-- Raised by what follows and caught in read(): { text }.
local function refuse(text, ...)
  error({ text = select("#", ...) > 0 and text:format(...) or text }, 0)
end

local shown = Kinds.shown

local function check_table(value, what)
  if type(value) ~= "table" then refuse("%s is a table, not %s", what, shown(value)) end
end

-- Words of OTP's that are others here.
local OF_A_CHILD = { restart = "kind", id = "name", start = "script", type = "supervise", modules = "script" }
local OF_A_SUPERVISOR = { intensity = "restart.max", period = "restart.within", max_restarts = "restart.max",
                          max_seconds = "restart.within" }
local OF_RESTART = { intensity = "max", period = "within" }

-- Refuses words that are others here, by `translated`.
local function translate(given, translated)
  for key, meant in pairs(translated) do
    if given[key] ~= nil then refuse("there is no '%s': that is '%s' here", key, meant) end
  end
end

-- Refuses keys that are none of `names`.
local function check_keys(given, names, what)
  local known = {}
  for _, name in ipairs(names) do known[name] = true end
  local keys = {}
  for key in pairs(given) do
    if type(key) ~= "string" then refuse("%s has names, and this has a %s for a key", what, type(key)) end
    table.insert(keys, key)
  end
  table.sort(keys)
  for _, key in ipairs(keys) do
    if not known[key] then
      refuse("%s has no '%s'%s", what, key, options.hint(key, names))
    end
  end
end

local function one_of(value, words, what)
  for _, word in ipairs(words) do
    if value == word then return word end
  end
  refuse("%s is \"%s\" or \"%s\", not %s%s", what, table.concat(words, "\", \"", 1, #words - 1), words[#words],
         shown(value), type(value) == "string" and options.hint(value, words) or "")
end

local function read_backoff(value)
  local least, most = Kinds.waits(value)
  if not least then
    refuse("restart.backoff is the shortest and the longest wait, as \"100ms..5s\", of at least 1ms, not %s",
           shown(value))
  end
  return least, most
end

local function read_restart(given)
  local restart = { max = DEFAULT_RESTART.max, within = DEFAULT_RESTART.within,
                    least = DEFAULT_RESTART.least, most = DEFAULT_RESTART.most }
  if given == nil then return restart end
  check_table(given, "restart")
  translate(given, OF_RESTART)
  check_keys(given, { "max", "within", "backoff" }, "restart")
  if given.max ~= nil then
    restart.max = math.type(given.max) == "integer" and given.max or -1
    if restart.max < 0 or restart.max > RESTARTS_LIMIT then
      refuse("restart.max is a number of restarts from 0 to %d, not %s", RESTARTS_LIMIT, shown(given.max))
    end
  end
  if given.within ~= nil then
    restart.within = options.seconds(given.within)
    if not restart.within or restart.within <= 0 then
      refuse("restart.within is a duration of more than 0, as \"10s\", not %s", shown(given.within))
    end
  end
  if given.backoff ~= nil then restart.least, restart.most = read_backoff(given.backoff) end
  return restart
end

local function read_shutdown(value, default)
  if value == nil then return default end
  if value == "brutal" then return 0 end
  if value == "infinity" then return FOREVER end
  local seconds = options.seconds(value)
  if not seconds or seconds <= 0 then
    refuse("shutdown is a duration of more than 0, as \"5s\", or \"brutal\" or \"infinity\", not %s", shown(value))
  end
  return seconds
end

-- The options of actor.spawn that a child may have.
local function spawn_names()
  local names = {}
  for _, name in ipairs(options.spawn()) do
    if name ~= "restart" then table.insert(names, name) end
  end
  return names
end

local function check_spawn_option(name, value)
  local fine, wrong = pcall(options.check, name, value)
  if not fine or wrong then refuse("%s", (tostring(wrong):gsub("^[^ ]+:%d+: ", ""))) end
  if name == "failure" and value ~= "stop" and value ~= "continue" then
    refuse("failure of a child is \"stop\" or \"continue\", not %s: its supervisor restarts it", shown(value))
  end
end

local read_plan

local function read_child(given, depth)
  if given.script ~= nil and given.supervise ~= nil then
    refuse("it has a script or is a supervisor (supervise), not both")
  end
  translate(given, OF_A_CHILD)
  local own = { "script", "supervise", "kind", "shutdown" }
  local names = spawn_names()
  check_keys(given, table.move(names, 1, #names, #own + 1, table.move(own, 1, #own, 1, {})), "it")

  local child = { options = {} }
  for _, name in ipairs(names) do
    if given[name] ~= nil then
      check_spawn_option(name, given[name])
      child.options[name] = given[name]
    end
  end
  child.name = child.options.name
  child.options.name = nil
  if given.supervise ~= nil then
    check_table(given.supervise, "supervise")
    if given.config ~= nil then refuse("a supervisor's config is what stands in supervise") end
    child.supervise = read_plan(given.supervise, depth + 1)
  elseif type(given.script) ~= "string" or given.script == "" then
    refuse("script is the path of a script, not %s", given.script == nil and "missing" or shown(given.script))
  end
  child.script = given.script
  child.kind = given.kind == nil and "permanent" or one_of(given.kind, KINDS, "kind")
  child.shutdown = read_shutdown(given.shutdown, child.supervise and FOREVER or DEFAULT_SHUTDOWN)
  return child
end

-- Says of which child it is that something is wrong.
local function read_named_child(given, place, depth)
  local who = "child " .. place
  if type(given) ~= "table" then refuse("%s: a child is a table, not %s", who, shown(given)) end
  local label = given.name or given.script
  if type(label) == "string" then who = ("child '%s'"):format(label) end
  local fine, child = pcall(read_child, given, depth)
  if fine then return child end
  if type(child) ~= "table" then error(child, 0) end
  refuse("%s: %s", who, child.text)
end

function read_plan(given, depth)
  if depth > DEPTH_LIMIT then refuse("supervisors are nested to a depth of %d", DEPTH_LIMIT) end
  translate(given, OF_A_SUPERVISOR)
  check_keys(given, { "strategy", "restart", "children" }, "a supervisor")
  if given.strategy == "simple_one_for_one" then
    refuse("there is no 'simple_one_for_one': that is 'one_for_one' and StartChild with kind = \"temporary\" here")
  end
  local plan = { strategy = "one_for_one", restart = read_restart(given.restart), children = {} }
  if given.strategy ~= nil then plan.strategy = one_of(given.strategy, STRATEGIES, "strategy") end
  local children = given.children == nil and {} or given.children
  check_table(children, "children")
  local count = 0
  for key in pairs(children) do
    count = count + 1
    if math.type(key) ~= "integer" then refuse("children is an array of children, and this has '%s'", tostring(key)) end
  end
  if count ~= #children then refuse("children is an array, and this one has holes") end
  local taken = {}
  for place, each in ipairs(children) do
    local child = read_named_child(each, place, depth)
    if child.name and taken[child.name] then refuse("two children are named '%s'", child.name) end
    if child.name then taken[child.name] = true end
    plan.children[place] = child
  end
  return plan
end

local function catch(fine, result)
  if fine then return result end
  if type(result) ~= "table" then error(result, 0) end
  return nil, result.text
end

--- A supervisor's strategy, restart and children.
---@param given table
---@return table? plan
---@return string? wrong
function Options.read(given)
  return catch(pcall(read_plan, given, 1))
end

--- One child.
---@param given table
---@return troupe.supervisor.ChildPlan? child
---@return string? wrong
function Options.read_child(given)
  return catch(pcall(read_named_child, given, 1, 1))
end

return Options
