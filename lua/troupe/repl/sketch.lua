--- The topology that is typed at the prompt of `troupe repl`, as far as it has come: each
--- declaration makes a new one of it, so that one that does not start is forgotten again.
---
--- ```lua
--- local sketch = Sketch.new("market")
--- local edit, problems = sketch:declare { word = "actor", text = 'actor "book" { "book.lua" }' }
--- edit.sketch:plan().actors[1].name   --> "book"
--- edit.named                          --> { "book" }
--- sketch = edit.sketch
--- sketch:text("market.lua")           --> what topology.write() makes of it
--- ```
---
--- All actors run in one host, whatever nodes they are declared in.
local check = require "troupe.topology.check"
local files = require "troupe.cli.files"
local tables = require "troupe.tables"
local topology = require "troupe.topology"

local NODE = "main" -- where actors are put as long as no node is declared
local FILE = "prompt"

---@class repl.Sketch
---@field model troupe.topology.Model
---@field has_name boolean  it was loaded, or saved: it is not called after the prompt
local Sketch = {}
Sketch.__index = Sketch

---@class repl.Edit
---@field sketch repl.Sketch
---@field actors string[]     that were declared
---@field replaced table<string, boolean>  those of them that were there before
---@field said string[]       what else has become of it

local function node_named(name)
  return { name = name, line = 1, after = {}, options = {}, actors = {} }
end

---@param name string
---@return repl.Sketch
function Sketch.new(name)
  local model = { name = name, file = FILE, folder = ".", line = 1, nodes = {}, externals = {}, links = {} }
  return setmetatable({ model = model, has_name = false }, Sketch)
end

local function copy(from)
  return table.move(from, 1, #from, 1, {})
end

--- The same once more, to be changed: its lists are new, what is in them is shared.
function Sketch:again()
  local model = {}
  for key, value in pairs(self.model) do model[key] = value end
  model.nodes, model.externals, model.links = {}, copy(model.externals), copy(model.links)
  for i, node in ipairs(self.model.nodes) do
    local new = {}
    for key, value in pairs(node) do new[key] = value end
    new.actors = copy(node.actors)
    model.nodes[i] = new
  end
  return setmetatable({ model = model, has_name = self.has_name }, Sketch)
end

-- ---- What is in it --------------------------------------------------------------------------

local function index_of(list, matches)
  for i, item in ipairs(list) do
    if matches(item) then
      return i
    end
  end
end

local function named(name)
  return function(item) return item.name == name end
end

local function between(from, to)
  return function(link) return link.from == from and link.to == to end
end

--- An actor, its node and its place there.
---@param name string
function Sketch:actor(name)
  for _, node in ipairs(self.model.nodes) do
    local at = index_of(node.actors, named(name))
    if at then
      return node.actors[at], node, at
    end
  end
end

---@param name string
---@return troupe.topology.External?
function Sketch:external(name)
  local at = index_of(self.model.externals, named(name))
  return at and self.model.externals[at]
end

--- The names of its actors and externals, in their order.
---@return string[] names
function Sketch:names()
  local names = {}
  for _, node in ipairs(self.model.nodes) do
    for _, actor in ipairs(node.actors) do table.insert(names, actor.name) end
  end
  return table.move(tables.column(self.model.externals, "name"), 1, #self.model.externals, #names + 1, names)
end

function Sketch:has_actors()
  for _, node in ipairs(self.model.nodes) do
    if #node.actors > 0 then
      return true
    end
  end
  return false
end

function Sketch:is_empty()
  return #self:names() == 0 and #self.model.links == 0
end

-- ---- Declaring ------------------------------------------------------------------------------

local function drop_actor(sketch, name)
  local actor, node, at = sketch:actor(name)
  if actor then table.remove(node.actors, at) end
  return actor ~= nil
end

local function drop_external(sketch, name)
  local at = index_of(sketch.model.externals, named(name))
  if at then table.remove(sketch.model.externals, at) end
  return at ~= nil
end

--- The node that is called so, or a new one.
local function node_of(sketch, name)
  local at = index_of(sketch.model.nodes, named(name))
  if not at then
    table.insert(sketch.model.nodes, node_named(name))
    at = #sketch.model.nodes
  end
  return sketch.model.nodes[at]
end

--- In `node`, or where it was, or in the first one.
local function add_actor(edit, actor, node)
  local sketch = edit.sketch
  local before, its_node, at = sketch:actor(actor.name)
  if drop_external(sketch, actor.name) then
    table.insert(edit.said, ("%s was an external, and is an actor now"):format(actor.name))
  end
  node = node or its_node or sketch.model.nodes[1] or node_of(sketch, NODE)
  if before and node == its_node then
    node.actors[at] = actor
  else
    drop_actor(sketch, actor.name)
    table.insert(node.actors, actor)
  end
  actor.node = node.name
  edit.replaced[actor.name] = before ~= nil
  table.insert(edit.actors, actor.name)
end

local function add_node(edit, declared)
  local node = node_of(edit.sketch, declared.name)
  node.bind, node.advertise, node.workers = declared.bind, declared.advertise, declared.workers
  node.options, node.after = declared.options, declared.after
  for _, actor in ipairs(declared.actors) do add_actor(edit, actor, node) end
  if declared.bind then
    table.insert(edit.said, ("%s listens on %s when it is up; at this prompt it does not"):format(
      declared.name, type(declared.bind) == "table" and table.concat(declared.bind, ", ") or declared.bind))
  end
end

local function add_external(edit, external)
  local sketch, name = edit.sketch, external.name
  local was_actor = drop_actor(sketch, name)
  local at = index_of(sketch.model.externals, named(name))
  sketch.model.externals[at or #sketch.model.externals + 1] = external
  table.insert(edit.said, ("%s is at %s%s"):format(name, external.endpoint,
                                                   was_actor and ", and no actor here any more" or ""))
end

local function type_names(list)
  local names = {}
  for i, item in ipairs(list) do names[i] = item.name end
  return table.concat(names, ", ")
end

local function add_link(edit, link)
  local links = edit.sketch.model.links
  local at = index_of(links, between(link.from, link.to))
  links[at or #links + 1] = link
  table.insert(edit.said, ("%s -> %s: %s%s%s"):format(link.from, link.to, type_names(link.types),
    #link.answers > 0 and ", answers " .. type_names(link.answers) or "", at and " (was another)" or ""))
end

--- The text of a topology in which the declaration stands where it may.
local function around(declaration)
  if declaration.word == "actor" then
    return ('return topology "%s" { node "%s" { %s\n} }'):format(FILE, NODE, declaration.text)
  end
  local node = declaration.word ~= "node" and ('node "%s" {},'):format(NODE) or "" -- a topology has one
  return ('return topology "%s" { %s %s\n}'):format(FILE, node, declaration.text)
end

--- What becomes of it by a declaration.
---@param declaration { word: string, text: string }
---@return repl.Edit? edit
---@return troupe.topology.Problem[] problems
function Sketch:declare(declaration)
  local model, problems = topology.read(around(declaration), { name = FILE, folder = ".", open = true })
  if not model then
    return nil, problems
  end
  local edit = { sketch = self:again(), actors = {}, replaced = {}, said = {} }
  for _, node in ipairs(model.nodes) do
    if declaration.word == "node" then
      add_node(edit, node)
    else
      for _, actor in ipairs(node.actors) do add_actor(edit, actor) end
    end
  end
  for _, external in ipairs(model.externals) do add_external(edit, external) end
  for _, link in ipairs(model.links) do add_link(edit, link) end
  return edit, problems
end

--- Without an actor or external of that name, and the links that it is in.
---@param name string
---@return repl.Edit? edit  nil: there is none
function Sketch:without(name)
  local edit = { sketch = self:again(), actors = {}, replaced = {}, said = {} }
  if not drop_actor(edit.sketch, name) and not drop_external(edit.sketch, name) then
    return nil
  end
  local links = edit.sketch.model.links
  for i = #links, 1, -1 do
    if links[i].from == name or links[i].to == name then
      table.insert(edit.said, ("the link %s -> %s went with it"):format(links[i].from, links[i].to))
      table.remove(links, i)
    end
  end
  return edit
end

--- Without the link between the two.
---@return repl.Edit? edit  nil: there is none
function Sketch:unlinked(from, to)
  local edit = { sketch = self:again(), actors = {}, replaced = {}, said = {} }
  local at = index_of(edit.sketch.model.links, between(from, to))
  if not at then
    return nil
  end
  table.remove(edit.sketch.model.links, at)
  return edit
end

-- ---- Running ---------------------------------------------------------------------------------

--- What is to run: the one plan of all. How its host listens is for who has the host.
---@return troupe.topology.Plan? plan
---@return string? why
function Sketch:plan()
  local plans, reasons = topology.plan(self.model, { one = true })
  if not plans then
    return nil, table.concat(reasons, "; ")
  end
  local plan = plans[1] or { topology = self.model.name, options = {}, nodes = {}, actors = {} }
  plan.advertise = nil -- what its nodes listen on, and how, is for when they are up
  return plan
end

--- Whether an actor that was started as the one need not be started again as the other. A
--- shape that is declared no more does no harm until there is another.
local function goes_on(old, new)
  for type, shape in pairs(new.types) do
    if not tables.equal(old.types[type], shape) then
      return false
    end
  end
  for key, value in pairs(new) do
    if key ~= "types" and not tables.equal(old[key], value) then
      return false
    end
  end
  for key in pairs(old) do
    if new[key] == nil then
      return false
    end
  end
  return true
end

---@class repl.Changes
---@field remove string[]
---@field add troupe.topology.PlannedActor[]
---@field nodes table<string, string>?  where NAME@node leads, if that has changed
---@field again string[]  those in both though nobody has declared them anew

--- What makes a host with the actors of one plan one with those of another.
---@param old troupe.topology.Plan
---@param new troupe.topology.Plan
---@param declared table<string, boolean>  actors that are started anew in any case
---@return repl.Changes
function Sketch.changes(old, new, declared)
  local changes = { remove = {}, add = {}, again = {}, nodes = not tables.equal(old.nodes, new.nodes) and new.nodes or nil }
  local before, is_new = {}, {}
  for _, actor in ipairs(old.actors) do before[actor.name] = actor end
  for _, actor in ipairs(new.actors) do
    is_new[actor.name] = true
    local was = before[actor.name]
    if not was or declared[actor.name] or not goes_on(was, actor) then
      table.insert(changes.add, actor)
      if was then table.insert(changes.remove, actor.name) end
      if was and not declared[actor.name] then table.insert(changes.again, actor.name) end
    end
  end
  for _, actor in ipairs(old.actors) do
    if not is_new[actor.name] then table.insert(changes.remove, actor.name) end
  end
  return changes
end

-- ---- Texts --------------------------------------------------------------------------------

--- The model without a node that nobody has declared, and that is empty again.
local function written(model)
  local nodes = {}
  for _, node in ipairs(model.nodes) do
    if #node.actors > 0 or node.name ~= NODE then table.insert(nodes, node) end
  end
  local copy_of = {}
  for key, value in pairs(model) do copy_of[key] = value end
  copy_of.nodes = nodes
  return copy_of
end

--- All that is wrong with it, as `troupe check` would find in its file; and what its
--- scripts say of themselves, by the names of actors.
---@return troupe.topology.Problem[] problems
---@return table<string, topology.Inspection> scripts
function Sketch:problems()
  if not self:has_actors() then -- that a file needs some is no news
    return {}, {}
  end
  local model, problems = topology.read(topology.write(written(self.model)), { name = FILE, folder = "." })
  return check.model(model or self.model, problems)
end

--- A path from one folder, relative to where we are, as it is seen from another.
local function seen_from(folder, path)
  if path:sub(1, 1) == "/" or folder == "." then
    return path
  end
  if path:sub(1, #folder + 1) == folder .. "/" then
    return path:sub(#folder + 2)
  end
  local here = os.getenv("PWD") or ""
  if folder:sub(1, 1) == "/" or folder:find("..", 1, true) then
    return here ~= "" and here .. "/" .. path or path
  end
  local up = folder:gsub("/+$", ""):gsub("[^/]+", ".."):gsub("/+", "/")
  return up .. "/" .. path
end

--- The same with other paths of scripts: `change(script)`, of those that are files.
local function with_scripts(model, change)
  local changed = setmetatable({ model = model }, Sketch):again().model
  for _, node in ipairs(changed.nodes) do
    for i, actor in ipairs(node.actors) do
      if actor.script then
        local new = {}
        for key, value in pairs(actor) do new[key] = value end
        new.script = change(actor.script)
        node.actors[i] = new
      end
    end
  end
  return changed
end

local function folder_of(path)
  return path:match("^(.+)/[^/]*$") or path:find("^/") and "/" or "."
end

--- Called after its file, unless it has a name already.
---@param path string
function Sketch:name_after(path)
  local stem = path:match("([^/]*)$"):gsub("%.lua$", "")
  if not self.has_name and stem:find("^[%w_.-]+$") then
    self.model.name, self.has_name = stem, true
  end
end

--- The text of a topology file at `path`; scripts are found from there.
---@param path string
---@return string text
function Sketch:text(path)
  local folder = folder_of(path)
  local model = with_scripts(self.model, function(script)
    local is_here = files.is_there(script) or files.is_there(script .. ".lua")
    return is_here and seen_from(folder, script) or script
  end)
  return topology.write(written(model))
end

--- The sketch that a topology file is.
---@param model troupe.topology.Model
---@return repl.Sketch
function Sketch.of(model)
  local folder = model.folder
  local loaded = with_scripts(model, function(script)
    local path = folder .. "/" .. script
    local is_there = folder ~= "." and script:sub(1, 1) ~= "/" and (files.is_there(path) or files.is_there(path .. ".lua"))
    return is_there and path or script
  end)
  loaded.folder = "."
  return setmetatable({ model = loaded, has_name = true }, Sketch)
end

return Sketch
