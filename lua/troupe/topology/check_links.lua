--- The links of a topology, compared with the scripts at both ends.
---
--- ```lua
--- Links.check(model, seen, report)  -- seen: of check_scripts.lua
--- ```
local Cycles = require "troupe.topology.check_cycles"
local Mentions = require "troupe.topology.check_mentions"
local Planning = require "troupe.topology.plan"
local Scripts = require "troupe.topology.check_scripts"
local Shapes = require "troupe.topology.check_shapes"
local fold = require("troupe.topology.shapes").fold

local Links = {}

-- What becomes of a peer in this language when a message has not the fields that it wants
-- (docs/interop.md). Java's leave them at 0 or null.
local PYTHON = "a field that is missing or unknown ends a Python peer's receiver"
local CPP = "a field that is missing ends a C++ peer's process"
local RUST = "a field that is missing ends a Rust peer's receiver"
local DELICATE = { python = PYTHON, cpp = CPP, ["c++"] = CPP, cxx = CPP, rust = RUST }

---@class topology.check.End
---@field name string
---@field actor troupe.topology.Actor?        or:
---@field external troupe.topology.External?
---@field seen topology.Seen?                 of an actor whose script loads

-- Who is called that in a link; nil: nobody.
local function find(finder, seen, name)
  local found, node = finder.where(name)
  if not found then return nil end
  if node then return { name = found.name, actor = found, seen = seen[found] } end
  return { name = found.name, external = found }
end

local function names_of(types)
  local names = {}
  for _, each in ipairs(types) do names[#names + 1] = ("%q"):format(each.name) end
  return table.concat(names, ", ")
end

-- ---- What is handled, and what is sent -----------------------------------------

local function check_handlers(link, to, report)
  for _, each in ipairs(link.types) do
    if not Scripts.handler(to.seen.inspection, each.name) then
      report(link.line, "error", Scripts.lacks(to.seen, each.name))
    end
  end
end

local function config_names(value, type_name)
  if type(value) == "string" then return fold(value) == fold(type_name) end
  for _, each in pairs(type(value) == "table" and value or {}) do
    if config_names(each, type_name) then return true end
  end
  return false
end

-- Whether its messages may be of any type: it passes on what it gets, or has others send.
local function passes_on(seen)
  return seen.inspection.shipped or Mentions.use(seen.mentions(), "forward", "type", "spawn", "supervise")
end

local function may_send(from, type_name)
  return passes_on(from.seen) or Mentions.name(from.seen.mentions(), type_name) or
    config_names(from.actor.config, type_name)
end

local function check_sent(link, from, types, verb, report)
  for _, each in ipairs(types) do
    if not may_send(from, each.name) then
      report(link.line, "warning", ("%s never %s %s"):format(from.seen.name, verb, each.name))
    end
  end
end

-- An answer is a reply to an ask; where nobody asks it comes as any message does.
local function check_asker(link, from, report)
  local is_sent = false -- else that has been told
  for _, each in ipairs(link.types) do is_sent = is_sent or may_send(from, each.name) end
  if not is_sent or passes_on(from.seen) or Mentions.use(from.seen.mentions(), "ask", "start_ask") then return end
  for _, each in ipairs(link.answers) do
    if not Scripts.handler(from.seen.inspection, each.name) then
      report(link.line, "warning", ("%s never asks, so %s comes to it as a message, and it has no on_%s"):format(
        from.seen.name, each.name, fold(each.name)))
    end
  end
end

-- ---- Shapes ---------------------------------------------------------------------

local function compare_with_script(link, each, place, report)
  local declared = place.seen and Scripts.declared(place.seen.inspection, each.name)
  if not declared or not each.fields then return end
  for _, difference in ipairs(Shapes.differences(each.fields, declared)) do
    report(link.line, "error", ("%s declares %s otherwise than the link: %s"):format(
      place.seen.name, each.name, difference), ("it declares %s"):format(Shapes.written(declared)))
  end
end

-- Where the link does not say, the two scripts must agree.
local function compare_scripts(link, each, sender, receiver, report)
  local sent = sender.seen and Scripts.declared(sender.seen.inspection, each.name)
  local taken = receiver.seen and Scripts.declared(receiver.seen.inspection, each.name)
  if each.fields or not sent or not taken then return end
  for _, difference in ipairs(Shapes.differences(taken, sent, Shapes.accepting)) do
    report(link.line, "error", ("%s refuses the %s of %s: %s"):format(receiver.seen.name, each.name,
      sender.seen.name, difference), ("it declares %s"):format(Shapes.written(taken)))
  end
end

local function demand_shape(link, each, sender, receiver, report)
  local why = receiver.external and receiver.external.from and DELICATE[receiver.external.from:lower()]
  if not why or each.fields then return end
  local declared = sender.seen and Scripts.declared(sender.seen.inspection, each.name)
  report(link.line, "error", ("%s goes to '%s' without a shape, and %s"):format(each.name, receiver.name, why),
    ("write %s = %s"):format(each.name, declared and Shapes.written(declared) or "{ FIELD = \"TYPE\", ... }"))
end

-- A group that is divided by a field: what has it not goes to one and the same instance.
local function check_route(link, each, sender, receiver, report)
  local field = receiver.actor and (receiver.actor.route or ""):match("^hash:(.*)$")
  local fields = field and (each.fields or receiver.seen and Scripts.declared(receiver.seen.inspection, each.name)
    or sender.seen and Scripts.declared(sender.seen.inspection, each.name))
  if fields and not Shapes.has(fields, field) then
    report(link.line, "warning", ("'%s' is divided by %s, which %s does not have: all of these go to one instance"):format(
      receiver.name, field, each.name))
  end
end

local function check_shapes(link, types, sender, receiver, report)
  for _, each in ipairs(types) do
    demand_shape(link, each, sender, receiver, report)
    check_route(link, each, sender, receiver, report)
    compare_with_script(link, each, receiver, report)
    if sender ~= receiver then compare_with_script(link, each, sender, report) end
    compare_scripts(link, each, sender, receiver, report)
  end
end

-- ---- Circles ----------------------------------------------------------------------

-- Whether the actor goes on handling all of these while it waits.
local function interleaves(place, types)
  local given = Scripts.interleave(place.actor, place.seen)
  if type(given) ~= "table" then return given == true end
  local listed = {}
  for _, name in ipairs(given) do listed[fold(tostring(name))] = true end
  for _, each in ipairs(types) do
    if not listed[fold(each.name)] then return false end
  end
  return true
end

local function check_circles(linked, report)
  local edges = {}
  for _, each in ipairs(linked) do
    local link, from, to = each.link, each.from, each.to
    if #link.answers > 0 and from.actor and to.actor and not interleaves(to, link.types) then
      edges[#edges + 1] = { from = from.name, to = to.name, link = link }
    end
  end
  for _, circle in ipairs(Cycles.find(edges)) do
    local first = edges[circle[1]]
    local names = { first.from }
    for _, number in ipairs(circle) do names[#names + 1] = edges[number].to end
    local last = edges[circle[#circle]]
    report(first.link.line, "error", ("possible deadlock: %s: each may wait for the answer of the next"):format(
      table.concat(names, " -> ")), ("interleave = { %s } lets '%s' handle that while it waits"):format(
      names_of(last.link.types), last.to))
  end
end

-- ---- All of it ----------------------------------------------------------------------

local function check_link(link, from, to, report)
  if #link.types == 0 and #link.answers == 0 then
    report(link.line, "warning", ("the link from '%s' to '%s' names no type of message"):format(from.name, to.name))
  end
  if to.seen then
    check_handlers(link, to, report)
    check_sent(link, to, link.answers, "answers", report)
  end
  if from.seen then
    check_sent(link, from, link.types, "sends", report)
    check_asker(link, from, report)
  end
  check_shapes(link, link.types, from, to, report)
  check_shapes(link, link.answers, to, from, report)
end

local function check_externals(model, report)
  local is_linked = {}
  for _, link in ipairs(model.links) do
    is_linked[link.from or ""], is_linked[link.to or ""] = true, true
  end
  for _, external in ipairs(model.externals) do
    if external.name and not is_linked[external.name] then
      report(external.line, "warning", ("external '%s': no link says what is sent to it or comes from it"):format(
        external.name))
    end
  end
end

--- Tells what is wrong with the links.
---@param model troupe.topology.Model
---@param seen table<troupe.topology.Actor, topology.Seen>
---@param report fun(line: integer, severity: string, text: string, hint: string?)
function Links.check(model, seen, report)
  local finder, linked = Planning.finder(model), {}
  for _, link in ipairs(model.links) do
    local from, to = find(finder, seen, link.from), find(finder, seen, link.to)
    if from and to then
      linked[#linked + 1] = { link = link, from = from, to = to }
      check_link(link, from, to, report)
    end
  end
  check_circles(linked, report)
  check_externals(model, report)
end

return Links
