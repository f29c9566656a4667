--- The scripts of a topology: each is loaded once, however many actors run it, and what
--- it says of itself is compared with what the topology says of those actors.
---
--- ```lua
--- local seen = Scripts.look(model, report)
--- -- seen[actor]: { name = "actors/book.lua", inspection = {...}, mentions = fn }
--- ```
local options = require "troupe.options"
local port = require "troupe.port"
local Mentions = require "troupe.topology.check_mentions"
local fold = require("troupe.topology.shapes").fold

local Scripts = {}

---@class topology.Seen  an actor's script
---@field name string                       as messages call it: "actors/book.lua", "actor 'book'"
---@field inspection topology.Inspection?   nil: it does not load
---@field mentions fun(): topology.Mentions[]  of its text and its modules' texts

-- Handlers that the host itself calls.
local HOOKS = { on_start = true, on_shutdown = true, on_reload = true, on_any = true }
local SHOWN_HANDLERS = 8
local SHOWN_FILES = 4

local function read(path)
  local file <close> = io.open(path, "rb")
  return file and file:read("a") or ""
end

-- What stands in the files: looked at when it is first asked for.
local function mentions_in(actor, inspection)
  local found
  return function()
    if not found then
      found = { Mentions.of(actor.source or read(inspection.path)) }
      for _, path in ipairs(inspection.modules) do found[#found + 1] = Mentions.of(read(path)) end
    end
    return found
  end
end

-- What an inspection depends on; actors with the same need one.
local function request(model, node, actor)
  local memory = actor.options.memory or node.options.memory
  return {
    text = actor.source,
    beside = model.folder .. "/.",
    sandbox = actor.options.sandbox or node.options.sandbox or false,
    memory_bytes = memory and options.bytes(memory) or nil,
  }
end

-- Lua says of a module that it did not find where it looked, at length.
local function shorten(why)
  local text, list = why:match("^(.-module '[^']*' not found):(.*)$")
  if not text then return why end
  local files = {}
  for file in list:gmatch "no file '([^']*%.lua)'" do
    if #files < SHOWN_FILES and not file:find "/init%.lua$" then files[#files + 1] = file end
  end
  return text, ("looked for %s, ..."):format(table.concat(files, ", "))
end

local function inspect(actor, asked)
  local called = actor.source and actor.name or actor.script
  local inspection, why = port.inspect(called, asked)
  if not inspection then
    local text, hint = shorten(why)
    return { why = text, hint = hint }
  end
  table.sort(inspection.handlers)
  table.sort(inspection.warnings)
  return {
    name = actor.source and ("actor '%s'"):format(actor.name) or inspection.path,
    inspection = inspection,
    mentions = mentions_in(actor, inspection),
  }
end

--- The name of the script's handler for a type; nil: it has none.
---@param inspection topology.Inspection
---@param type_name string
---@return string?
function Scripts.handler(inspection, type_name)
  local folded = fold(type_name)
  for _, handler in ipairs(inspection.handlers) do
    if fold(handler:sub(4)) == folded then return handler end
  end
  return inspection.any and "on_any" or nil
end

--- What the script declares for a type; nil: nothing.
---@param inspection topology.Inspection
---@param type_name string
---@return troupe.Fields?
function Scripts.declared(inspection, type_name)
  local folded = fold(type_name)
  for name, fields in pairs(inspection.types) do
    if fold(name) == folded then return fields end
  end
end

--- That a handler is not there, and which are.
---@param seen topology.Seen
---@param type_name string
---@return string text, string hint
function Scripts.lacks(seen, type_name)
  local wanted, own = "on_" .. fold(type_name), {}
  for _, handler in ipairs(seen.inspection.handlers) do
    if not HOOKS[handler] then own[#own + 1] = handler end
  end
  local text = ("%s has no %s"):format(seen.name, wanted)
  local meant = options.nearest(wanted, own)
  if meant then return text, ("did you mean %s?"):format(meant) end
  if #own == 0 then return text, "it has no handlers" end
  local more = #own > SHOWN_HANDLERS and (" and %d more"):format(#own - SHOWN_HANDLERS) or ""
  return text, ("it has %s%s"):format(table.concat(own, ", ", 1, math.min(#own, SHOWN_HANDLERS)), more)
end

--- What an actor is to interleave: as the topology says, or else its script.
---@return boolean|string[]|nil
function Scripts.interleave(actor, seen)
  local given = actor.options.interleave
  if given == nil and seen and seen.inspection then given = seen.inspection.settings.interleave end
  return given
end

-- What a spawn would refuse only once it has the script.
local function compare_settings(actor, seen, report)
  local given, own = actor.options, seen.inspection.settings
  if given.restart ~= nil and (given.failure or own.failure) ~= "restart" then
    report(actor.line, "error", ("actor '%s': restart says how failure = \"restart\" goes about it, and failure is not that")
      :format(actor.name))
  end
  if type(given.interleave) == "table" then
    for _, type_name in ipairs(given.interleave) do
      if type(type_name) == "string" and not Scripts.handler(seen.inspection, type_name) then
        local text, hint = Scripts.lacks(seen, type_name)
        report(actor.line, "error", ("actor '%s': interleave names %s, but %s"):format(actor.name, type_name, text), hint)
      end
    end
  end
end

-- Tells why it does not load, or what is odd about it.
local function tell(actor, seen, report)
  if not seen.inspection then
    report(actor.line, "error", ("actor '%s': %s"):format(actor.name or "?", seen.why), seen.hint)
    return
  end
  for _, warning in ipairs(seen.inspection.warnings) do report(actor.line, "warning", warning) end
  compare_settings(actor, seen, report)
end

--- Loads the scripts of all actors. Tells of those that do not load.
---@param model troupe.topology.Model
---@param report fun(line: integer, severity: string, text: string, hint: string?)
---@return table<troupe.topology.Actor, topology.Seen> seen  without those that do not load
function Scripts.look(model, report)
  local known, by_actor = {}, {}
  for _, node in ipairs(model.nodes) do
    for _, actor in ipairs(node.actors) do
      if actor.script or actor.source then
        local asked = request(model, node, actor)
        local key = actor.script and ("%s\0%s\0%s"):format(actor.script, asked.sandbox, asked.memory_bytes) or actor
        local seen = known[key] or inspect(actor, asked)
        known[key] = seen
        by_actor[actor] = seen.inspection and seen
        tell(actor, seen, report)
      end
    end
  end
  return by_actor
end

return Scripts
