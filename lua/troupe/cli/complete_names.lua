--- Names that may stand in a command line now: of running hosts, their actors and the
--- types those know, of what a topology has. Never waits long, never complains.
---
--- ```lua
--- complete_names.of("actor", "po", {})             --> { { text = "pong", what = "pong (process 4711)" } }
--- complete_names.of("type", "", { ref = "pong" })  --> { { text = "Ping", what = "" } }
--- ```
local hosts = require "troupe.cli.hosts"
local tables = require "troupe.tables"
local tools = require "troupe.tools"
local whereabouts = require "troupe.cli.whereabouts"

local PATIENCE = 0.3          -- seconds for all hosts together
local HOSTS_MOST = 100        -- that are asked
local SCRIPT_MOST = 1 << 18   -- bytes of a script that are read
local TOPOLOGIES_MOST = 30    -- files of the current folder that are looked at

-- What every script may have; nobody sends it by hand.
local BUILT_IN = { start = true, shutdown = true, timeout = true, reject = true, down = true, any = true,
                   reload = true, deadletter = true, config = true }

-- What is something else to a shell than the character that it is. A name with one of these
-- is not offered: put into the command line as it is, it would be run.
local TO_A_SHELL = "[%c%s\"'`$\\;&|<>(){}%[%]*?!~]"

local complete_names = {}

--- Whether a process has been stopped (SIGSTOP, ^Z): it would not answer.
local function is_stopped(pid)
  local file <close> = io.open(("/proc/%d/stat"):format(pid))
  local state = file and (file:read("a") or ""):match("%) (%a)")
  return state == "T" or state == "t"
end

--- The hosts that may answer; those that `node` means, if it is given.
local function awake(node)
  local list = (node and hosts.matching(node) or not node and hosts.list()) or {}
  local found = {}
  for _, host in ipairs(list) do
    if #found < HOSTS_MOST and not is_stopped(host.pid) then
      table.insert(found, host)
    end
  end
  return found
end

--- Asks hosts all at once; hands out the first line of those that answer in time.
---@return { host: cli.Host, row: table }[]
local function ask(list, request)
  local asked, answers, until_s = {}, {}, tools.now() + PATIENCE
  for _, host in ipairs(list) do
    local connection = tools.now() < until_s and hosts.open(host)
    if connection then
      connection:begin(request)
      table.insert(asked, connection)
    end
  end
  for _, connection in ipairs(asked) do
    local row = connection:next(math.max(0, until_s - tools.now()))
    if row then
      table.insert(answers, { host = connection.host, row = row })
    end
    connection:close()
  end
  return answers
end

local KINDS = {}

function KINDS.host(add)
  for _, host in ipairs(hosts.list() or {}) do
    add(host.name, ("process %d"):format(host.pid))
  end
end

function KINDS.actor(add, _, given)
  for _, answer in ipairs(ask(awake(given.node or given["--node"]), { ["do"] = "attach.actors" })) do
    for _, name in ipairs(answer.row.actors or {}) do add(name, hosts.title(answer.host)) end
  end
end

--- NAME; NAME@NODE, once there is an @ or where several hosts have that name.
function KINDS.ref(add, current, given)
  local wanted = current:match("^(.*)@")
  local where, order = {}, {}
  for _, answer in ipairs(ask(awake(given["--node"]), { ["do"] = "attach.actors" })) do
    for _, name in ipairs(answer.row.actors or {}) do
      if not where[name] then
        where[name] = {}
        table.insert(order, name)
      end
      table.insert(where[name], answer.host)
    end
  end
  for _, name in ipairs(order) do
    for _, host in ipairs(where[name]) do
      local bare = not wanted and #where[name] == 1
      add(bare and name or ("%s@%s"):format(name, host.name), hosts.title(host))
    end
  end
end

--- Where a running actor's script lies.
local function script_of(name, node)
  local request = { ["do"] = "ps", actors = name, limit = 1, sort = "name" }
  for _, host in ipairs(awake(node)) do
    local connection = hosts.open(host)
    if connection then
      connection:begin(request)
      local until_s, row = tools.now() + PATIENCE, nil
      repeat
        row = connection:next(math.max(0, until_s - tools.now()))
      until not row or row.kind == "actor"
      connection:close()
      if row and row.script then
        return row.script:sub(1, 1) == "/" and row.script or ("/proc/%d/cwd/%s"):format(host.pid, row.script)
      end
    end
  end
end

--- on_market_depth as the script itself spells it somewhere, else MarketDepth.
local function spelt(text, handler)
  local key = handler:gsub("_", ""):lower()
  for word in text:gmatch("%f[%w_](%u[%w_]*)%f[^%w_]") do
    if word:gsub("_", ""):lower() == key then
      return word
    end
  end
  return (handler:gsub("^%l", string.upper):gsub("_(%w)", string.upper))
end

--- The types that the handlers in a script's text take.
---@param text string
---@return string[]
function complete_names.types_in(text)
  local types, known = {}, {}
  for handler in text:gmatch("%f[%w_]on_([%w_]+)%f[^%w_]") do
    local key = handler:gsub("_", ""):lower()
    if not BUILT_IN[key] and not known[key] then
      known[key] = true
      table.insert(types, spelt(text, handler))
    end
  end
  return types
end

function KINDS.type(add, _, given)
  local name, node = whereabouts.parse(given.ref or given.peer or "")
  local path = name and script_of(name, node)
  local file <close> = path and tools.kind_of(path) == "file" and io.open(path, "rb") or nil
  for _, type in ipairs(complete_names.types_in(file and file:read(SCRIPT_MOST) or "")) do add(type, "") end
end

--- The topologies that are meant: the one given, or those that lie here.
local function topologies(path)
  local topology = require "troupe.topology"
  local function model_of(file) -- one with errors has names, too
    local model, problems = topology.load(file)
    return model or problems.partial
  end
  if path then
    return { tools.kind_of(path) == "file" and model_of(path) or nil }
  end
  local models, names = {}, tools.names_in(".") or {}
  table.sort(names)
  for i = 1, math.min(#names, TOPOLOGIES_MOST) do
    local file <close> = names[i]:find("%.lua$") and tools.kind_of(names[i]) == "file" and io.open(names[i]) or nil
    if file and (file:read(SCRIPT_MOST) or ""):find("topology%s*%(?%s*[\"'%[]") then
      models[#models + 1] = model_of(names[i])
    end
  end
  return models
end

function KINDS.node(add, _, given)
  for _, model in ipairs(topologies(given.topology)) do
    for _, node in ipairs(model.nodes) do add(node.name, model.name) end
  end
end

function KINDS.external(add, _, given)
  for _, model in ipairs(topologies(given.topology)) do
    for _, external in ipairs(model.externals) do add(external.name, external.endpoint or "") end
  end
end

--- The kinds of names, sorted.
---@return string[]
function complete_names.kinds()
  return tables.names(KINDS)
end

--- The names of a kind that begin with `current`, sorted, each once.
---@param kind string
---@param current string
---@param given table<string, string>  other words of the line: ref, node, --node, topology
---@return { text: string, what: string }[]
function complete_names.of(kind, current, given)
  local found, known = {}, {}
  local function add(text, what)
    if text:sub(1, #current) == current and not known[text] and not text:find(TO_A_SHELL) then
      known[text] = true
      table.insert(found, { text = text, what = what })
    end
  end
  if KINDS[kind] then
    KINDS[kind](add, current, given)
  end
  table.sort(found, function(a, b) return a.text < b.text end)
  return found
end

return complete_names
