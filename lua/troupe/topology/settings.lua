--- The options of nodes and actors: which there are, what each may be, and what a node's
--- become for the host that is started. Values stay as they were written in the model.
---
--- ```lua
--- Settings.check_node("workers", 0)     --> "workers is a whole number from 1 to 64, not 0"
--- Settings.check_actor("slice", "5s")   --> nil: it is fine
--- Settings.for_host { memory = "64MiB", actors = 10 }
--- --> { memory_bytes = 67108864, limits = { actors = 10 } }
--- ```
local Words = require "troupe.topology.words"
local options = require "troupe.options"
local tools = require "troupe.tools"

local Settings = {}

local MS = 1000
local TEXT_LIMIT = 4096  -- bytes of a text
local CLIPPED = 300      -- bytes of one that can only be short: more of it is not looked at
local NAMES_LIMIT = 1000 -- among which one is looked for that may have been meant
local WEEKS_MS = 1000000000 * MS -- the longest duration there is

local function count(most) return { kind = "count", most = most } end
local SIZE, DURATION, TEXT, FLAG = { kind = "size" }, { kind = "duration" }, { kind = "text" }, { kind = "flag" }

-- By the names of the flags of `troupe run`; `limit`: the host takes it among its limits.
local NODE = {
  workers = count(64),
  memory = SIZE, slice = DURATION, sandbox = FLAG,
  log = { kind = "word", words = { "text", "json" } },
  log_level = { kind = "word", words = { "debug", "info", "warn", "error" } },
  allow = { kind = "hosts" }, open = FLAG, reply_to = { kind = "hosts", words = true },
  curve_key = TEXT, curve_peers = TEXT,
  actors = count(16000000), children = count(16000000), timers = count(100000000), dead_letters = count(10000000),
  peers = count(800), depth = count(64), memory_total = SIZE, frame = SIZE, shutdown = DURATION,
}
local LIMITS = { "actors", "children", "timers", "dead_letters", "peers", "depth", "memory_total", "frame", "shutdown" }
local AS_THEY_ARE = { "sandbox", "log_level", "allow", "open", "reply_to", "curve_key", "curve_peers" }

local function clip(value)
  return type(value) == "string" and value:sub(1, CLIPPED) or value
end

-- How each kind is read: the value for a host; or nil and what is expected, which words
-- there are, and, in place of both, why not.
local readers = {}

function readers.count(value, option)
  local number = math.type(value) and math.tointeger(value)
  return number and number >= 1 and number <= option.most and number or nil,
    ("a whole number from 1 to %d"):format(option.most)
end

function readers.size(value)
  local bytes = (type(value) == "string" or type(value) == "number") and options.bytes(clip(value))
  return bytes and bytes >= 1 and bytes or nil, 'a size, as "64MiB", "1GiB" or a number of bytes'
end

function readers.duration(value)
  local seconds = options.seconds(clip(value))
  local ms = seconds and math.floor(seconds * MS + 0.5)
  return ms and ms >= 1 and ms <= WEEKS_MS and ms or nil, 'a duration of at least 1ms, as "250ms" or "5s"'
end

function readers.text(value)
  local fine = type(value) == "string" and value ~= "" and #value <= TEXT_LIMIT and not value:find("%c")
  return fine and value or nil, "a text on one line"
end

function readers.hosts(value, option)
  local text, expected = readers.text(value)
  if not text then return nil, expected end
  local fine, why = tools.hosts(text, option.words or false)
  return fine and text or nil, nil, nil, why
end

function readers.flag(value)
  if type(value) == "boolean" then return value end
  return nil, "true or false"
end

function readers.word(value, option)
  for _, word in ipairs(option.words) do
    if value == word then return word end
  end
  return nil, "one of " .. table.concat(option.words, ", "), option.words
end

local function sorted(names)
  table.sort(names)
  return names
end

local function names_of(known, more)
  local names = { table.unpack(more) }
  for name in pairs(known) do table.insert(names, name) end
  return sorted(names)
end

--- What a node may say, but for its actors.
Settings.NODE_NAMES = names_of(NODE, { "bind", "advertise", "after" })

-- Not for a topology to say so: the name stands before the table, config and source are read
-- by themselves, links say the types.
local NOT_OF_ACTORS = { name = true, config = true, if_absent = true, source = true, types = true }

--- Those of actor.spawn that a topology may set.
Settings.SPAWN_NAMES = {}
for _, name in ipairs(options.spawn()) do
  if not NOT_OF_ACTORS[name] then table.insert(Settings.SPAWN_NAMES, name) end
end
sorted(Settings.SPAWN_NAMES)

--- What an actor may say.
Settings.ACTOR_NAMES = sorted { "config", "source", "instances", "route", table.unpack(Settings.SPAWN_NAMES) }

--- "did you mean 'limit'?", or nil.
---@param name string
---@param names string[]
---@return string?
function Settings.hint(name, names)
  local meant = #name <= 40 and #names <= NAMES_LIMIT and options.nearest(name, names)
  return meant and ("did you mean '%s'?"):format(meant) or nil
end

--- What is wrong with a node's option, which is one of NODE_NAMES but none of bind, advertise and after.
---@param name string
---@param value any
---@return string? wrong
---@return string? hint
function Settings.check_node(name, value)
  local read, expected, words, why = readers[NODE[name].kind](value, NODE[name])
  if read ~= nil then return nil end
  if why then return ("%s: %s"):format(name, why) end
  return ("%s is %s, not %s"):format(name, expected, Words.shown(value)),
    words and type(value) == "string" and Settings.hint(value, words) or nil
end

--- What is wrong with the options of a node taken together: who may connect to it.
---@param node troupe.topology.Node
---@return string? wrong
---@return string? name  of the option
function Settings.check_security(node)
  local given = node.options
  if (given.curve_key ~= nil) ~= (given.curve_peers ~= nil) then
    return "curve_key and curve_peers go together: one has its own key, the other those of the peers",
      given.curve_key and "curve_key" or "curve_peers"
  end
  if given.open and (given.curve_key or given.allow) then
    return ("open lets everybody in: it makes no sense together with %s"):format(given.curve_key and "curve_key" or "allow"),
      "open"
  end
  local endpoint, is_loopback
  if node.bind then endpoint, is_loopback = options.endpoint(node.bind, true) end
  if endpoint and not is_loopback and not (given.open or given.allow or given.curve_key) then
    return ("bind: beyond loopback (%s), say who may connect: curve_key and curve_peers, allow = \"ADDR,...\" or "
      .. "open = true"):format(endpoint), "bind"
  end
end

--- Whether actor.spawn takes an option of this value.
---@param name string  one of SPAWN_NAMES
---@param value any
---@return string? wrong
function Settings.check_actor(name, value)
  return options.check(name, clip(value))
end

--- What a node's options are for port.run.
---@param given table<string, any>
---@return table
function Settings.for_host(given)
  local function read(name)
    if given[name] == nil then return nil end
    return (readers[NODE[name].kind](given[name], NODE[name]))
  end
  local fields, limits = {}, {}
  fields.memory_bytes, fields.slice_ms, fields.log_format = read "memory", read "slice", read "log"
  for _, name in ipairs(AS_THEY_ARE) do fields[name] = given[name] end
  for _, name in ipairs(LIMITS) do limits[name] = read(name) end
  if next(limits) then fields.limits = limits end
  return fields
end

return Settings
