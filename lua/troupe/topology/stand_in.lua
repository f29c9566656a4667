--- What an external of a topology takes, answers and sends, as far as its links tell. Pure.
---
--- ```lua
--- local external = stand_in.new(model, scripts, "pricer")
--- external:hear("PriceReq", { symbol = "ACME" })
--- --> { answer = "Price", message = { price = 1.5, symbol = "ACME" } }
--- external:hear("PriceReq", { symbl = "ACME" })
--- --> { reason = "Bad field 'symbl' in PriceReq: unknown field ...", notes = { "a python peer would have died ..." } }
--- ```
local options = require "troupe.options"
local samples = require "troupe.topology.samples"
local tables = require "troupe.tables"

-- What a peer does about a field, by its language: tried with each (docs/interop.md).
local DIES, IGNORES = "would have died of this", "would have ignored this"
local DEFAULT = "would have put a default in its place"
local EFFECTS = {
  python = { unknown = DIES, missing = DIES, wrong = "would have taken this as it is" },
  ["c++"] = { unknown = IGNORES, missing = "would have aborted", wrong = "would have dropped this without a word" },
  rust = { unknown = IGNORES, missing = DIES, wrong = DIES },
  java = { unknown = IGNORES, missing = DEFAULT, wrong = DEFAULT },
}
EFFECTS.cpp, EFFECTS.cxx = EFFECTS["c++"], EFFECTS["c++"]

---@class topology.StandIn
---@field external troupe.topology.External
---@field language string?
---@field takes table<string, { name: string, shape: topology.Shape?, answers: string[] }>  by type
---@field shapes table<string, topology.Shape>  of all types that are known, by type
---@field sends { type: string, to: string }[]  what it sends by itself
---@field ref string  itself, as it may stand in a message
---@field chosen table<string, boolean>  the answers to be preferred
---@field set table  fields and values that messages get
local StandIn = {}
StandIn.__index = StandIn

local stand_in = {}

local function note_shape(shapes, name, fields)
  if fields and not shapes[name] then
    shapes[name] = samples.shape(fields)
  end
end

-- The links' answers say it first, then any other link, then the scripts' own declarations.
local function shapes_of(model, scripts, of_external)
  local shapes = {}
  for _, link in ipairs(of_external) do
    for _, answer in ipairs(link.answers) do note_shape(shapes, answer.name, answer.fields) end
    for _, each in ipairs(link.types) do note_shape(shapes, each.name, each.fields) end
  end
  for _, link in ipairs(model.links) do
    for _, list in ipairs { link.types, link.answers } do
      for _, each in ipairs(list) do note_shape(shapes, each.name, each.fields) end
    end
  end
  local function declared_by(name)
    for type_name, fields in pairs(scripts[name] and scripts[name].types or {}) do note_shape(shapes, type_name, fields) end
  end
  for _, link in ipairs(of_external) do declared_by(link.from) end
  return shapes
end

local function add_once(list, value)
  for _, each in ipairs(list) do
    if each == value then return end
  end
  table.insert(list, value)
end

---@param model troupe.topology.Model
---@param scripts table<string, topology.Inspection>  by the names of actors
---@param external troupe.topology.External
---@return topology.StandIn
function stand_in.new(model, scripts, external)
  local of_external, takes, sends = {}, {}, {}
  for _, link in ipairs(model.links) do
    if link.to == external.name then table.insert(of_external, link) end
  end
  local shapes = shapes_of(model, scripts, of_external)
  for _, link in ipairs(of_external) do
    for _, each in ipairs(link.types) do
      local taken = takes[each.name] or { name = each.name, shape = shapes[each.name], answers = {} }
      for _, answer in ipairs(link.answers) do add_once(taken.answers, answer.name) end
      takes[each.name] = taken
    end
  end
  for _, link in ipairs(model.links) do
    if link.from == external.name then
      for _, each in ipairs(link.types) do table.insert(sends, { type = each.name, to = link.to }) end
    end
  end
  return setmetatable({
    external = external, language = external.from and external.from:lower(), takes = takes, shapes = shapes,
    sends = sends, ref = external.actor, chosen = {}, set = {},
  }, StandIn)
end

--- The types it takes, sorted.
---@return string[]
function StandIn:types()
  return tables.names(self.takes)
end

--- The types it may answer with.
---@return string[]
function StandIn:answers()
  local names = {}
  for _, name in ipairs(self:types()) do
    for _, answer in ipairs(self.takes[name].answers) do add_once(names, answer) end
  end
  return names
end

--- Prefers an answer where there are several. nil and why not.
---@param name string
---@return true?, string? why
function StandIn:choose(name)
  local names = self:answers()
  for _, each in ipairs(names) do
    if each == name then
      self.chosen[name] = true
      return true
    end
  end
  local hint = options.hint(name, names)
  return nil, ("no link has %s among the answers of '%s'%s"):format(name, self.external.name, hint ~= "" and hint
    or #names > 0 and (": there are " .. table.concat(names, ", ")) or ", nor any other")
end

--- Fixes values of fields, in all messages that have them. nil and why not.
---@param set table<string, any>
---@return true?, string? why
function StandIn:fix(set)
  local said = self:answers()
  for _, sent in ipairs(self.sends) do add_once(said, sent.type) end
  local names, fits, faults, takes_all = {}, {}, {}, false
  for _, type_name in ipairs(said) do
    for name, field in pairs(self.shapes[type_name] or {}) do
      table.insert(names, name)
      local found = set[name] ~= nil and samples.faults({ [name] = field }, { [name] = set[name] })[1]
      if found then faults[name] = ("%s of %s: %s"):format(found.field, type_name, found.text) end
      fits[name] = fits[name] or found == nil
    end
    takes_all = takes_all or not self.shapes[type_name]
  end
  for name in pairs(set) do
    if not fits[name] and (faults[name] or not takes_all) then
      return nil, faults[name] or ("'%s' answers with no field '%s'%s"):format(self.external.name, name,
        options.hint(name, names))
    end
  end
  self.set = set
  return true
end

--- A message of a type that it says.
---@param type_name string
---@param known table  what was asked
---@return table message
function StandIn:sample(type_name, known)
  local shape = self.shapes[type_name]
  if not shape then
    return self.set
  end
  local message = samples.message(shape, known, self.ref)
  for name, value in pairs(self.set) do
    if shape[name] and #samples.faults({ [name] = shape[name] }, { [name] = value }) == 0 then message[name] = value end
  end
  return message
end

-- What the real one would have made of a fault.
function StandIn:effect(type_name, fault)
  local place = ("%s '%s' in %s"):format(fault.kind == "unknown" and "unknown field" or "field", fault.field, type_name)
  local what = fault.kind == "unknown" and place or ("%s: %s"):format(place, fault.text)
  local effects = EFFECTS[self.language or ""]
  if not effects then
    return ("a peer of the family may die of this: %s"):format(what)
  end
  return ("a %s peer %s: %s"):format(self.language, effects[fault.kind], what)
end

--- What there is to say of a message that is to be answered, and names no sender.
---@return string
function StandIn:nobody()
  if EFFECTS[self.language or ""] == EFFECTS["c++"] then
    return "a c++ peer would have aborted: it replies, and the message has no sender"
  end
  return "it has no sender: nobody is answered"
end

local function unknown_type(self, type_name)
  return {
    reason = ("Unknown message type: %s%s"):format(type_name,
      self.language == "python" and ". Did you register it with @register_message?" or ""),
    notes = { ("no link sends %s to '%s'%s"):format(type_name, self.external.name,
      options.hint(type_name, self:types())) },
  }
end

--- What comes of a message: an answer, a Reject, or nothing.
---@param type_name string
---@param message table
---@return { answer: string?, message: table?, reason: string?, notes: string[] }  reason: of the Reject;
---  notes: what else there is to say, a sentence each
function StandIn:hear(type_name, message)
  local taken = self.takes[type_name]
  if not taken then
    return unknown_type(self, type_name)
  end
  local faults = taken.shape and samples.faults(taken.shape, message) or {}
  if #faults > 0 then
    local notes = {}
    for i, fault in ipairs(faults) do notes[i] = self:effect(type_name, fault) end
    return { reason = ("Bad field '%s' in %s: %s"):format(faults[1].field, type_name, faults[1].text), notes = notes }
  end
  local answer = taken.answers[1]
  for _, name in ipairs(taken.answers) do
    if self.chosen[name] then
      answer = name
      break
    end
  end
  return { answer = answer, message = answer and self:sample(answer, message), notes = {} }
end

return stand_in
