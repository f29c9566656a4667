--- What `troupe init` and `troupe new` write: the files of a project as texts. Pure.
---
--- ```lua
--- for _, file in ipairs(project_files.project{ name = "shop", topology = "shop.lua", meta = path }) do
---   print(file.path, file.text, file.what)
--- end
--- project_files.actor(names)   --> the same for an actor and its spec
--- ```
local json = require "troupe.json"

local project_files = {}

---@class cli.NewFile
---@field path string  in the project's folder
---@field text string
---@field what string  what it is, in a few words

local GREETER = [[
-- greeter: greets who asks it, and counts.
--
--   Greet  { name = string }   replies Greeting { text = string, count = integer }
local Greeter = {}

function Greeter:on_start()
  self.count = 0
end

function Greeter:on_greet(msg, env)
  self.count = self.count + 1
  env:reply("Greeting", {
    text = ("%s, %s!"):format(self.config.word or "Hello", msg.name),
    count = self.count,
  })
end

return Greeter
]]

local VISITOR = [[
-- visitor: asks the greeter again and again, and prints what it says.
--
--   Visit   {}                        sent by its own timer
--   Config  { greeter, every, name }  what the topology says of it has changed
local Visitor = {}

-- From what the topology says: who is visited, how often, and in whose name.
local function begin(self, config)
  self.greeter = config.greeter or actor.ref("greeter")
  self.name = config.name or "world"
  if self.timer then self.timer:cancel() end
  self.timer = actor.every(config.every or "2s", "Visit")
end

function Visitor:on_start()
  actor.self:send("Visit")
  begin(self, self.config)
end

function Visitor:on_config(msg)
  begin(self, msg)
end

function Visitor:on_visit()
  local greeting, why = self.greeter:ask("Greet", { name = self.name })
  if greeting then
    print(("%s (greeting %d)"):format(greeting.text, greeting.count))
  else
    log.warn("no greeting: " .. tostring(why))
  end
end

return Visitor
]]

local TOPOLOGY = [[
-- $NAME: which actors there are, and who writes to whom.
--
--   troupe check $TOPOLOGY     looks it over, and runs nothing
--   troupe up $TOPOLOGY -w     runs it; what you save is taken over
return topology "$NAME" {
  node "$NAME" {
    actor "greeter" { "actors/greeter.lua" },
    actor "visitor" { "actors/visitor.lua", config = { greeter = ref "greeter", every = "2s" } },
  },
  link { "visitor", "greeter", Greet = { name = "string" },
         answers = { Greeting = { text = "string", count = "integer" } } },
}
]]

local SPEC = [[
-- What the greeter promises. `troupe test` runs it on a stage: the real host, with
-- a clock that moves only when told.
local Stage = require "troupe.stage"

describe("the greeter", function()
  local stage, greeter

  before_each(function()
    stage = Stage.new()
    greeter = stage:spawn({ path = "actors/greeter.lua", name = "greeter" }, { word = "Welcome" })
  end)
  after_each(function() stage:close() end)

  it("greets by name, and counts", function()
    assert.same({ text = "Welcome, Ann!", count = 1 }, (stage:ask(greeter, "Greet", { name = "Ann" })))
    assert.same({ text = "Welcome, Bob!", count = 2 }, (stage:ask(greeter, "Greet", { name = "Bob" })))
  end)

  it("is visited at once, and then every two seconds", function()
    stage:spawn("actors/visitor.lua", { name = "Zoe" })
    stage:run()
    assert.same({ "Welcome, Zoe! (greeting 1)" }, stage:output())
    stage:advance("4s")
    assert.same({ "Welcome, Zoe! (greeting 2)", "Welcome, Zoe! (greeting 3)" }, stage:output())
  end)
end)
]]

local GITIGNORE = [[
# Secret keys, as `troupe keys new` makes them.
*.key
*.log
]]

local README = [[
# $NAME

Actors written as Lua scripts, run by Troupe.

```
$COMMANDS
```

* `$TOPOLOGY` says which actors there are, and who writes to whom.
* `actors/` has one script for each kind of actor; the comment on top is its protocol.
* `spec/` has what they promise.
* `.luarc.json` lets editors (the Lua language server) know the API. It names a file of the
  Troupe that is installed here: mend the path where that is elsewhere.
]]

-- What the README says can be typed.
local COMMANDS = {
  { "troupe test", "run the specs in spec/" },
  { "troupe check $TOPOLOGY", "look the topology over, run nothing" },
  { "troupe up $TOPOLOGY -w", "run it; save actors/greeter.lua, and see" },
  { "troupe ask greeter Greet name=Ann", "ask an actor of it, from another terminal" },
  { "troupe ps", "what its actors do" },
  { "troupe graph $TOPOLOGY", "draw it" },
  { "troupe new actor NAME", "one more actor, and its spec" },
}

local ACTOR = [[
-- $NAME: says here, in a sentence, what it is for.
--
--   Add  { n = integer }   adds n to the total
--   Get  {}                replies Total { n = integer }
local $CLASS = {}

function $CLASS:on_start()
  self.total = self.config.start or 0
end

function $CLASS:on_add(msg)
  self.total = self.total + msg.n
end

function $CLASS:on_get(msg, env)
  env:reply("Total", { n = self.total })
end

return $CLASS
]]

local ACTOR_SPEC = [[
-- What actors/$NAME.lua promises.
local Stage = require "troupe.stage"

describe("$NAME", function()
  local stage

  before_each(function() stage = Stage.new() end)
  after_each(function() stage:close() end)

  it("adds to what it starts with", function()
    local ref = stage:spawn("actors/$NAME.lua", { start = 2 })
    stage:send(ref, "Add", { n = 3 })
    assert.same({ n = 5 }, (stage:ask(ref, "Get")))
  end)
end)
]]

-- What no script, topology or spec has to declare.
local GLOBALS = { "topology", "node", "actor", "external", "link", "ref",
                  "describe", "it", "pending", "finally", "before_each", "after_each", "setup", "teardown" }

local function fill(text, values)
  return (text:gsub("%$(%u+)", values))
end

local function commands(values)
  local width, lines = 0, {}
  for i, command in ipairs(COMMANDS) do
    lines[i] = fill(command[1], values)
    width = math.max(width, #lines[i])
  end
  for i, command in ipairs(COMMANDS) do lines[i] = ("%-" .. width .. "s  %s"):format(lines[i], command[2]) end
  return table.concat(lines, "\n")
end

local function luarc(meta)
  local globals = {}
  for i, name in ipairs(GLOBALS) do globals[i] = json.encode(name) end
  return ([[
{
  "$schema": "https://raw.githubusercontent.com/LuaLS/vscode-lua/master/setting/schema.json",
  "runtime.version": "Lua 5.4",
  "runtime.path": ["?.lua", "?/init.lua", "lua/?.lua", "lua/?/init.lua"],
  "workspace.library": [%s],
  "workspace.checkThirdParty": false,
  "diagnostics.globals": [%s]
}
]]):format(json.encode(meta), table.concat(globals, ", "))
end

--- The files of a new project.
---@param project { name: string, topology: string, meta: string }  its name, as a topology may have
---  it; the topology's file; where lua/troupe/meta.lua of this installation lies
---@return cli.NewFile[]
function project_files.project(project)
  local values = { NAME = project.name, TOPOLOGY = project.topology }
  values.COMMANDS = commands(values)
  return {
    { path = project.topology, text = fill(TOPOLOGY, values), what = "which actors there are, and who writes to whom" },
    { path = "actors/greeter.lua", text = GREETER, what = "an actor that answers" },
    { path = "actors/visitor.lua", text = VISITOR, what = "an actor that asks" },
    { path = "spec/greeter_spec.lua", text = SPEC, what = "what they promise" },
    { path = ".luarc.json", text = luarc(project.meta), what = "tells editors of the API" },
    { path = ".gitignore", text = GITIGNORE, what = "keeps keys and logs out of git" },
    { path = "README.md", text = fill(README, values), what = "the commands to type" },
  }
end

--- The files of a new actor.
---@param names { file: string, class: string }  "order_book", "OrderBook"
---@return cli.NewFile[]
function project_files.actor(names)
  local values = { NAME = names.file, CLASS = names.class }
  return {
    { path = ("actors/%s.lua"):format(names.file), text = fill(ACTOR, values), what = "the actor" },
    { path = ("spec/%s_spec.lua"):format(names.file), text = fill(ACTOR_SPEC, values), what = "what it promises" },
  }
end

return project_files
