--- The scripts of a topology: each is loaded once, however many actors run it, and what
--- it says of itself is compared with what the topology says of those actors.
---
--- ```lua
--- local seen = Scripts.look(model, report)
--- -- seen.book: { name = "actors/book.lua", inspection = {...} or nil, mentions = fn }
--- ```
local options = require "troupe.options"
local port = require "troupe.port"
local Mentions = require "troupe.topology.check_mentions"

local Scripts = {}

---@class topology.Seen  an actor's script
---@field name string                       as messages call it: "actors/book.lua", "actor 'book'"
---@field inspection topology.Inspection?   nil: it does not load
---@field mentions fun(): topology.Mentions[]  of its text and its modules' texts

-- Handlers that the host itself calls.
local HOOKS = { on_start = true, on_shutdown = true, on_reload = true, on_any = true }
local SHOWN_HANDLERS = 8

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
local function request(model, actor)
  local given = actor.options or {}
  return {
    text = actor.source,
    beside = model.folder .. "/.",
    sandbox = given.sandbox == true,
    memory_bytes = given.memory and options.bytes(given.memory) or nil,
  }
end

local function inspect(model, actor)
  local asked = request(model, actor)
  local called = actor.source and actor.name or actor.script
  local inspection, why = port.inspect(called, asked)
  if not inspection then return { why = why } end
  table.sort(inspection.handlers)
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
  local folded = Mentions.fold(type_name)
  for _, handler in ipairs(inspection.handlers) do
    if Mentions.fold(handler:sub(4)) == folded then return handler end
  end
  return inspection.any and "on_any" or nil
end

--- What the script declares for a type; nil: nothing.
---@param inspection topology.Inspection
---@param type_name string
---@return troupe.Fields?
function Scripts.declared(inspection, type_name)
  local folded = Mentions.fold(type_name)
  for name, fields in pairs(inspection.types) do
    if Mentions.fold(name) == folded then return fields end
  end
end

--- That a handler is not there, and which are.
---@param seen topology.Seen
---@param type_name string
---@return string text, string hint
function Scripts.lacks(seen, type_name)
  local wanted, own = "on_" .. Mentions.fold(type_name), {}
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
  local given = (actor.options or {}).interleave
  if given == nil and seen and seen.inspection then given = seen.inspection.settings.interleave end
  return given
end

-- What a spawn would refuse only once it has the script.
local function compare_settings(actor, seen, report)
  local given, own = actor.options or {}, seen.inspection.settings
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

--- Loads the scripts of all actors. Tells of those that do not load.
---@param model topology.Model
---@param report fun(line: integer, severity: string, text: string, hint: string?)
---@return table<string, topology.Seen> seen  by the names of the actors
function Scripts.look(model, report)
  local known, by_actor = {}, {}
  for _, node in ipairs(model.nodes) do
    for _, actor in ipairs(node.actors) do
      local asked = request(model, actor)
      local key = actor.script and ("%s\0%s\0%s"):format(actor.script, asked.sandbox, asked.memory_bytes) or actor
      local seen = known[key]
      if not seen and (actor.script or actor.source) then
        seen = inspect(model, actor)
        known[key] = seen
        for _, warning in ipairs(seen.inspection and seen.inspection.warnings or {}) do
          report(actor.line, "warning", warning)
        end
      end
      if seen and seen.inspection then
        by_actor[actor.name] = seen
        compare_settings(actor, seen, report)
      elseif seen then
        report(actor.line, "error", ("actor '%s': %s"):format(actor.name, seen.why))
      end
    end
  end
  return by_actor
end

return Scripts
