--- The text of a topology file, from its model.
local Values = require "troupe.topology.values"

local Write = {}

local LINE_LIMIT = 110
local RESERVED = {}
for word in ([[and break do else elseif end false for function goto if in local nil not or repeat return
               then true until while]]):gmatch("%a+") do
  RESERVED[word] = true
end

-- A text on one line, as Lua reads it.
local function quote(text)
  return (("%q"):format(text):gsub("\\\n", "\\n"):gsub("\r", "\\r"))
end

--- A name as a key of a table: `limit`, `["a b"]`.
---@param name string
---@return string
function Write.key(name)
  if name:find("^[%a_][%w_]*$") and not RESERVED[name] then return name end
  return ("[%s]"):format(quote(name))
end

-- The shortest that reads as the same number, and a float as a float.
local function number(given)
  if math.type(given) == "integer" then return ("%q"):format(given) end
  for digits = 15, 17 do
    local text = ("%%.%dg"):format(digits):format(given)
    if tonumber(text) == given then return text:find("[.e]") and text or text .. ".0" end
  end
end

-- A text of several lines, as it is, where that can be; in a table that is indented it stands out.
local function long_text(text)
  local plain = not text:gsub("[\n\t]", ""):find("[%c\127]")
  if not text:find("\n") or not plain or text:find("]]", 1, true) or text:find("]$") then return quote(text) end
  return ("[[\n%s]]"):format(text)
end

local value

-- "{ a, b = c }" on one line if there is room behind so many columns, else a member a line,
-- but for the first ones, which stay behind the brace.
local function braces(members, indent, column, first)
  if #members == 0 then return "{}" end
  local line = ("{ %s }"):format(table.concat(members, ", "))
  if column + #line < LINE_LIMIT and not line:find("\n") then return line end
  local inner = (" "):rep(indent + 2)
  local head = first and (" %s,"):format(table.concat(members, ", ", 1, first)) or ""
  local rest = table.concat(members, (",\n%s"):format(inner), (first or 0) + 1)
  return ("{%s\n%s%s,\n%s}"):format(head, inner, rest, (" "):rep(indent))
end

local function members_of(given, indent, left_out)
  local places, names = Values.keys(given)
  local members = {}
  for _, place in ipairs(places) do table.insert(members, value(given[place], indent, indent)) end
  for _, name in ipairs(names) do
    if name ~= left_out then
      local head = Write.key(name) .. " = "
      table.insert(members, head .. value(given[name], indent, indent + #head))
    end
  end
  return members
end

function value(given, indent, column)
  if type(given) == "string" then return quote(given) end
  if type(given) == "number" then return number(given) end
  if type(given) ~= "table" then return tostring(given) end
  if type(given["$ref"]) == "string" then return "ref " .. quote(given["$ref"]) end
  return braces(members_of(given, indent + 2), indent, column)
end

-- A declaration at this indentation: its head, and what stands in its table, of which so
-- many are short and come first.
local function declaration(head, members, indent, first)
  return head .. " " .. braces(members, indent, indent + #head + 1, #members > first and first > 0 and first or nil)
end

local function add(members, name, given, indent)
  if given ~= nil then
    local head = Write.key(name) .. " = "
    table.insert(members, head .. value(given, indent, indent + #head))
  end
end

local function write_actor(actor, indent)
  local members = {}
  if actor.script then table.insert(members, quote(actor.script)) end
  if actor.source then table.insert(members, "source = " .. long_text(actor.source)) end
  if next(actor.config) then add(members, "config", actor.config, indent + 2) end
  add(members, "instances", actor.instances, indent + 2)
  add(members, "route", actor.route, indent + 2)
  for _, member in ipairs(members_of(actor.options, indent + 2)) do table.insert(members, member) end
  return declaration("actor " .. quote(actor.name), members, indent, actor.script and 1 or 0)
end

local function write_node(node, indent)
  local members = {}
  add(members, "bind", node.bind, indent + 2)
  add(members, "advertise", node.advertise, indent + 2)
  add(members, "workers", node.workers, indent + 2)
  if #node.after == 1 then
    add(members, "after", node.after[1], indent + 2)
  elseif #node.after > 1 then
    add(members, "after", node.after, indent + 2)
  end
  for _, member in ipairs(members_of(node.options, indent + 2)) do table.insert(members, member) end
  local inner = (" "):rep(indent + 2)
  local text = ("node %s {%s"):format(quote(node.name), #members > 0 and " " .. table.concat(members, ", ") .. "," or "")
  for _, actor in ipairs(node.actors) do
    text = ("%s\n%s%s,"):format(text, inner, write_actor(actor, indent + 2))
  end
  return text .. (#node.actors > 0 and "\n" .. (" "):rep(indent) or " ") .. "}"
end

local function write_external(external, indent)
  local members = { quote(external.endpoint) }
  if external.actor ~= external.name then add(members, "actor", external.actor, indent + 2) end
  add(members, "from", external.from, indent + 2)
  return declaration("external " .. quote(external.name), members, indent, 1)
end

-- First those without fields, as a list; then those that have them.
local function type_members(types, indent, members)
  for _, type in ipairs(types) do
    if not type.fields then table.insert(members, quote(type.name)) end
  end
  for _, type in ipairs(types) do add(members, type.name, type.fields, indent) end
  return members
end

local function write_link(link, indent)
  local members = type_members(link.types, indent + 2, { quote(link.from), quote(link.to) })
  local answers = type_members(link.answers, indent + 4, {})
  if #answers == 1 and not link.answers[1].fields then
    table.insert(members, "answers = " .. answers[1])
  elseif #answers > 0 then
    table.insert(members, "answers = " .. braces(answers, indent + 2, indent + 12))
  end
  return declaration("link", members, indent, 2)
end

--- See topology.write.
---@param model troupe.topology.Model
---@return string
function Write.write(model)
  local lines = { ("return topology %s {"):format(quote(model.name)) }
  local function each(list, write)
    for _, part in ipairs(list) do table.insert(lines, ("  %s,"):format(write(part, 2))) end
  end
  each(model.nodes, write_node)
  each(model.externals, write_external)
  each(model.links, write_link)
  return table.concat(lines, "\n") .. "\n}\n"
end

return Write
