--- What the words of a topology file have declared, made into the model: one declaration
--- after the other, each by itself. How they fit together is for resolve.lua.
local Places = require "troupe.topology.places"
local Shapes = require "troupe.topology.shapes"
local Settings = require "troupe.topology.settings"
local Values = require "troupe.topology.values"
local Words = require "troupe.topology.words"
local options = require "troupe.options"
local tables = require "troupe.tables"

local INSTANCES_LIMIT = 10000
local NODES_LIMIT, AFTER_LIMIT = 1000, 1000
local ENDPOINT_LIMIT, END_LIMIT, ROUTE_LIMIT, PATH_LIMIT, SOURCE_LIMIT = 300, 600, 300, 4096, 1 << 20 -- bytes
local ROUTES = { "round", "least", "broadcast", "hash:FIELD" }
local ROUTE_WORDS = { "round", "least", "broadcast", "hash" }
local TABLE_OPTIONS = { mailbox = { "limit", "bytes", "overflow" }, restart = { "max", "within", "backoff" } }

---@class troupe.topology.Declarations
---@field refs table[]  in configs: { ref, target, line, path, actor }, for resolve.lua
local Declarations = {}
Declarations.__index = Declarations

local shown = Words.shown

---@param text string  that was run
---@param noted troupe.topology.Noted
---@param tell { error: fun(line: integer, text: string, hint: string?), is_full: fun(): boolean, any: fun(): boolean,
--- last: fun(line: integer, text: string) }  last: also if it is full
---@param open boolean  see topology.read
---@return troupe.topology.Declarations
function Declarations.new(text, noted, tell, open)
  return setmetatable({
    noted = noted, of = noted.of, places = Places.new(text), tell = tell, open = open, refs = {},
    budget = Values.budget(),
  }, Declarations)
end

-- "node 'feed'", and "a node" where it has no name that could be said.
local function who(declared)
  if declared.kind == "link" then return "link" end
  if type(declared.name) ~= "string" then return (declared.kind:find "^[ae]" and "an " or "a ") .. declared.kind end
  return ("%s %s"):format(declared.kind, shown(declared.name))
end

-- `keys` lead to what is wrong, in the declaration's table.
function Declarations:wrong(declared, text, keys, hint)
  if self.tell.is_full() then return end
  self.tell.error(self.places:line(declared, keys or {}), ("%s: %s"):format(who(declared), text), hint)
end

-- Whether it stands for what was not there, which has been told.
function Declarations:is_unknown(value)
  return self.of[value] ~= nil and self.of[value].kind == "unknown"
end

-- The name, if it can be one.
function Declarations:read_name(declared)
  local name = declared.name
  if type(name) ~= "string" then
    if not self:is_unknown(name) then
      self.tell.error(declared.line, ("%s needs a name: write %s \"NAME\" { ... }"):format(declared.kind, declared.kind))
    end
  elseif #name > 255 or not name:find("^[%w_.-]+$") then
    self.tell.error(declared.line, ("%s cannot be the name of %s: it has letters, digits, '_', '.' and '-', at most 255")
      :format(shown(name), who { kind = declared.kind }))
  else
    return name
  end
end

-- The table behind the name; an empty one if there is none.
function Declarations:read_body(declared)
  local body = declared.body
  if type(body) == "table" and not self.of[body] then
    if declared.again then self:wrong(declared, "it has two tables: one is enough") end
    return body
  end
  if not self:is_unknown(body) then
    local name = type(declared.name) == "string" and shown(declared.name):gsub("'", '"') or '"NAME"'
    if type(body) == "string" and (declared.kind == "actor" or declared.kind == "external") then
      self:wrong(declared, ('its table is missing: write %s %s { "%s" }'):format(declared.kind, name,
        shown(body):sub(2, -2)))
      return { body }
    end
    self:wrong(declared, ("its table is missing: write %s %s { ... }"):format(declared.kind, name))
  end
  return {}
end

-- The declared things that stand in a table as a list, each of `kinds`; what else stands there is refused.
function Declarations:read_list(declared, body, kinds)
  local places, _, strange = Values.keys(body, self.budget)
  local found = {}
  for _, place in ipairs(places) do
    local value = body[place]
    local member = self.of[value]
    if not member then
      self:wrong(declared, ("number %d in it is %s, where %s is expected"):format(place, shown(value),
        kinds.expected))
    elseif kinds[member.kind] then
      member.used = true
      table.insert(found, member)
    elseif member.kind ~= "unknown" then
      member.used = true
      self.tell.error(member.line, ("%s: %s cannot stand in it: %s is expected"):format(who(declared), who(member),
        kinds.expected))
    end
  end
  if strange[1] ~= nil then
    self:wrong(declared, ("it has a %s for a key: options have names"):format(type(strange[1])))
  end
  return found
end

-- Calls read(name, value) for each option in the table; one that is none of `names` is refused.
function Declarations:read_options(declared, body, names, read)
  local _, given = Values.keys(body, self.budget)
  local known = {}
  for _, name in ipairs(names) do known[name] = true end
  for _, name in ipairs(given) do
    local value = body[name]
    if not known[name] and not self.tell.is_full() then
      self.tell.error(self.places:line(declared, { name }), ("%s has no option %s"):format(who(declared), shown(name)),
        Settings.hint(name, names))
    elseif known[name] and not self:is_unknown(value) then
      read(name, value)
    end
  end
end

-- An endpoint as it is written, if it is one.
function Declarations:read_endpoint(declared, name, value, for_bind)
  if type(value) ~= "string" or #value > ENDPOINT_LIMIT then
    self:wrong(declared, ('%s is an endpoint, as "tcp://127.0.0.1:5001", not %s'):format(name, shown(value)), { name })
    return nil
  end
  local endpoint = value
  if not for_bind and value:find("^flat:") then endpoint = value:sub(6) end
  local fine, why = options.endpoint(endpoint, for_bind)
  if not fine then
    self:wrong(declared, ("%s: %s"):format(name, why), { name })
    return nil
  end
  return value
end

function Declarations:read_after(declared, value)
  if type(value) == "string" then return { value } end
  local after = {}
  local list = type(value) == "table" and not self.of[value] and value or { false }
  local places, names, strange = Values.keys(list, self.budget)
  local fine = not names[1] and strange[1] == nil and #places <= AFTER_LIMIT
  for _, place in ipairs(places) do
    fine = fine and type(list[place]) == "string"
    table.insert(after, list[place])
  end
  if fine then return after end
  self:wrong(declared, 'after is the name of a node, or a list of them, as { "feed", "risk" }', { "after" })
  return {}
end

---------------------------------------------------------------- actors ----

function Declarations:read_instances(declared, value)
  local instances = math.type(value) and math.tointeger(value)
  if instances and instances >= 1 and instances <= INSTANCES_LIMIT then return instances end
  self:wrong(declared, ("instances is a whole number from 1 to %d, not %s"):format(INSTANCES_LIMIT, shown(value)),
    { "instances" })
end

function Declarations:read_route(declared, value)
  local name, field = value, nil
  if type(value) == "string" and #value <= ROUTE_LIMIT then name, field = value:match("^([^:]*):?(.*)$") end
  if field == "" then
    if value == "round" or value == "least" or value == "broadcast" then return value end
    if name == "hash" then
      self:wrong(declared, 'route "hash" needs the field that it looks at, as "hash:symbol"', { "route" })
      return nil
    end
  elseif name == "hash" then
    if not field:find("%c") then return value end
  end
  self:wrong(declared, ("route is one of %s, not %s"):format(table.concat(ROUTES, ", "), shown(value)),
    { "route" }, type(name) == "string" and Settings.hint(name, ROUTE_WORDS) or nil)
end

-- An option of actor.spawn: those that are tables member by member, so that each mistake is told.
function Declarations:read_spawn_option(declared, name, value)
  local members = TABLE_OPTIONS[name]
  if not members or type(value) ~= "table" or self.of[value] then
    if not Values.count(value, self.budget, 2) then return nil end
    local looked_at = value
    if self.of[value] then looked_at = print end -- no option is what a word has made
    local wrong = Settings.check_actor(name, looked_at)
    if wrong then
      self:wrong(declared, wrong, { name })
      return nil
    end
    return tables.copy(value)
  end
  local read, known = {}, {}
  for _, each in ipairs(members) do known[each] = true end
  local places, names, strange = Values.keys(value, self.budget)
  for _, key in ipairs(names) do
    local wrong = known[key] and Settings.check_actor(name, { [key] = value[key] })
    if not known[key] then
      self:wrong(declared, ("%s has no option %s"):format(name, shown(key)), { name, key },
        Settings.hint(key, members))
    elseif wrong then
      self:wrong(declared, wrong, { name, key })
    else
      read[key] = value[key]
    end
  end
  if places[1] or strange[1] ~= nil then
    self:wrong(declared, ("%s is a table of %s and %s"):format(name, table.concat(members, ", ", 1, 2), members[3]),
      { name })
  end
  return read
end

-- The script: its path as the first element, or its text as `source`.
function Declarations:read_script(declared, body, actor)
  local path, source = body[1], body.source
  local places = Values.keys(body, self.budget)
  for _, place in ipairs(places) do
    local value = body[place]
    if place > 1 and not self:is_unknown(value) then
      self:wrong(declared, ("number %d in it is %s: one path of a script is expected"):format(place,
        self.of[value] and who(self.of[value]) or shown(value)))
      if self.of[value] then self.of[value].used = true end
    end
  end
  if path ~= nil and source ~= nil then
    self:wrong(declared, "it has the path of a script and a source: one of them is enough")
  elseif type(path) == "string" and path ~= "" and #path <= PATH_LIMIT and not path:find("%c") then
    actor.script = path
  elseif type(source) == "string" and source ~= "" and #source <= SOURCE_LIMIT and utf8.len(source) then
    actor.source = Values.count(source, self.budget, 1) and source or nil
  elseif source ~= nil then
    self:wrong(declared, ("source is the text of a script, in UTF-8 and of at most 1 MiB, not %s"):format(shown(source)), { "source" })
  elseif path == nil then
    if declared.body then self:wrong(declared, "its script is missing: write its path first, as { \"actors/feed.lua\" }") end
  elseif not self:is_unknown(path) then
    self:wrong(declared, ("the path of its script is a text, not %s"):format(shown(path)))
  end
end

function Declarations:read_config(declared, value, actor)
  local config, wrong, refs = Values.config(value, self.of, self.budget)
  for _, each in ipairs(wrong) do self:wrong(declared, each.text, each.keys) end
  for _, ref in ipairs(refs) do
    ref.actor = actor
    table.insert(self.refs, ref)
  end
  actor.config = config
end

function Declarations:actor(declared, node_name)
  local body = self:read_body(declared)
  local actor = { name = self:read_name(declared), line = declared.line, node = node_name, config = {}, options = {} }
  self:read_script(declared, body, actor)
  self:read_options(declared, body, Settings.ACTOR_NAMES, function(name, value)
    if name == "config" then
      self:read_config(declared, value, actor)
    elseif name == "instances" then
      actor.instances = self:read_instances(declared, value)
    elseif name == "route" then
      actor.route = self:read_route(declared, value)
    elseif name ~= "source" then
      actor.options[name] = self:read_spawn_option(declared, name, value)
    end
  end)
  if body.instances ~= nil and body.route == nil then
    self:wrong(declared, "it has instances and no route: write route = \"round\", \"least\", \"broadcast\" or \"hash:FIELD\"",
      { "instances" })
  elseif body.route ~= nil and body.instances == nil then
    self:wrong(declared, "it has a route and no instances: write instances = 4, or leave the route out", { "route" })
  end
  return actor
end

------------------------------------------------- nodes, externals, links ----

function Declarations:node(declared)
  local body = self:read_body(declared)
  local node = { name = self:read_name(declared), line = declared.line, after = {}, options = {}, actors = {} }
  for _, member in ipairs(self:read_list(declared, body, { actor = true, expected = "an actor" })) do
    table.insert(node.actors, self:actor(member, node.name))
  end
  self:read_options(declared, body, Settings.NODE_NAMES, function(name, value)
    if name == "bind" or name == "advertise" then
      node[name] = self:read_endpoint(declared, name, value, name == "bind")
    elseif name == "after" then
      node.after = self:read_after(declared, value)
    else
      local wrong, hint = Settings.check_node(name, value)
      if wrong then
        self:wrong(declared, wrong, { name }, hint)
      elseif name == "workers" then
        node.workers = math.tointeger(value)
      else
        node.options[name] = value
      end
    end
  end)
  if #node.actors == 0 and declared.body and not self.open and not self.tell.any() then
    self:wrong(declared, "it has no actor: write actor \"NAME\" { \"script.lua\" } in it")
  end
  local wrong, name = Settings.check_security(node)
  if wrong then self:wrong(declared, wrong, { name }) end
  return node
end

local EXTERNAL_NAMES = { "actor", "from" }

function Declarations:external(declared)
  local body = self:read_body(declared)
  local name = self:read_name(declared)
  local external = { name = name, line = declared.line, actor = name }
  local endpoint = body[1]
  if endpoint == nil then
    if declared.body then
      self:wrong(declared, "its endpoint is missing: write it first, as { \"tcp://127.0.0.1:5010\" }")
    end
  elseif not self:is_unknown(endpoint) then
    external.endpoint = self:read_endpoint(declared, "its endpoint", endpoint, false)
  end
  for _, place in ipairs((Values.keys(body, self.budget))) do
    if place > 1 then self:wrong(declared, ("number %d in it is one too many: it has one endpoint"):format(place)) end
  end
  self:read_options(declared, body, EXTERNAL_NAMES, function(key, value)
    if type(value) ~= "string" or value == "" or #value > 255 or value:find("[%c@]") or not utf8.len(value) then
      self:wrong(declared, ("%s is %s, not %s"):format(key, key == "from" and "the name of a language, as \"python\""
        or "what it is called there", shown(value)), { key })
    else
      external[key] = value
    end
  end)
  return external
end

function Declarations:link(declared)
  local body, link = declared.body, { line = declared.line, types = {}, answers = {} }
  if type(body) ~= "table" or self.of[body] then
    if not self:is_unknown(body) then
      self:wrong(declared, "its table is missing: write link { \"FROM\", \"TO\", Type = { field = \"string\" } }")
    end
    return link
  end
  for place, key in ipairs { "from", "to" } do
    local value = body[place]
    if type(value) == "string" and value ~= "" and #value <= END_LIMIT then
      link[key] = value
    elseif not self:is_unknown(value) then
      self:wrong(declared, ("%s is the name of an actor or an external, not %s"):format(
        place == 1 and "its first element, who sends," or "its second element, who gets it,", shown(value)))
    end
  end
  local shapes = Shapes.new(self.of, self.budget, function(text, type) self:wrong(declared, text, { type }) end)
  link.types = shapes:types(body)
  if body.answers ~= nil then link.answers = shapes:answers(body.answers) end
  return link
end

-------------------------------------------------------------- topology ----

local PARTS = { node = true, external = true, link = true, expected = "a node, an external or a link" }

function Declarations:read_topology(declared)
  local model = { name = self:read_name(declared), line = declared.line, nodes = {}, externals = {}, links = {} }
  local body = self:read_body(declared)
  for _, member in ipairs(self:read_list(declared, body, PARTS)) do
    if member.kind == "node" then
      table.insert(model.nodes, self:node(member))
    elseif member.kind == "external" then
      table.insert(model.externals, self:external(member))
    else
      table.insert(model.links, self:link(member))
    end
  end
  self:read_options(declared, body, {}, function() end)
  if #model.nodes > NODES_LIMIT then
    self:wrong(declared, ("it has %d nodes, and at most %d are possible"):format(#model.nodes, NODES_LIMIT))
    model.nodes = table.move(model.nodes, 1, NODES_LIMIT, 1, {})
  end
  if #model.nodes == 0 and declared.body and not self.open and not self.tell.any() then
    self:wrong(declared, "it has no node: write node \"NAME\" { actor \"NAME\" { \"script.lua\" } }")
  end
  return model
end

-- What was declared and stands in nothing is read, so that its mistakes are told, too.
function Declarations:read_rest(ended)
  for _, declared in ipairs(self.noted.all) do
    if not declared.used and not (ended and declared.body == nil) then
      if declared.kind ~= "topology" then
        self[declared.kind](self, declared)
        if not ended then self:wrong(declared, "it stands in no topology: put it into the table of one") end
      elseif not ended then
        self:wrong(declared, "it is not what the file returns: a file has one topology")
      end
    end
  end
end

-- The topology that the file returns; or, if it returns none, the only one that it has.
function Declarations:find_topology(ended)
  local result = self.of[self.noted.result]
  if result and result.kind == "topology" then
    if result.line == 0 then result.line = self.places:line_of_return() end
    return result
  end
  local found
  for _, declared in ipairs(self.noted.all) do
    if declared.kind == "topology" then found = declared end
  end
  if not ended and not (result and result.kind == "unknown") then
    self.tell.error(found and found.line or 1, "the file returns no topology: write return topology \"NAME\" { ... }")
  end
  return found
end

--- The model of the file, as far as it can be told.
---@return table? model
function Declarations:topology()
  local last = self.noted.wrong[#self.noted.wrong]
  local ended = last and last.ended
  local declared = self:find_topology(ended)
  local model
  if declared then
    declared.used = true
    model = self:read_topology(declared)
  end
  self:read_rest(ended)
  if self.budget.spent then self.tell.last(declared and declared.line or 1, Values.TOO_MUCH) end
  return model
end

return Declarations
