-- Keeps lua/troupe/meta.lua true: what the editor offers is what a script finds,
-- name by name, and nothing is there that it does not offer.
local Stage = require "troupe.stage"

local META = "lua/troupe/meta.lua"

-- The names that meta.lua gives to each global or class: names.Ref.send == true.
-- A class's fields stand between its ---@class and the line that makes its table.
local function read_meta()
  local names, fields = {}, {}
  local function note(owner, name)
    names[owner] = names[owner] or {}
    names[owner][name] = true
  end
  for line in io.lines(META) do
    local field = line:match("^%-%-%-@field ([%w_]+)%??%s")
    local table_made = line:match("^local (%u%w*) = {}") or line:match("^(%l+) = {}")
    local owner, name = line:match("^function (%w+)[.:]([%w_]+)%(")
    if line:match("^%-%-%-@class") then
      fields = {}
    elseif field then
      table.insert(fields, field)
    elseif table_made then
      for _, each in ipairs(fields) do note(table_made, each) end
      fields = {}
    elseif owner then
      note(owner, name)
    end
  end
  return names
end

local function sorted(set)
  local list = {}
  for name in pairs(set) do table.insert(list, name) end
  table.sort(list)
  return list
end

-- Looks at one thing after the other, from inside an actor.
--   Names    { of }             replies Names { names }: what pairs() shows of it
--   Resolve  { of, names }      replies Missing { names }: those that are not there
--   Unknown  { of, name }       replies Answer { raised, value }: reading that name
local INSPECTOR = [[
  local Inspector = {}

  local function things(env)
    return {
      actor = actor, json = json, log = log,
      Ref = actor.self, Env = env, Timer = actor.after("1h", "Never"), Registry = actor.registry(),
      Stream = actor.stream(actor.process { "cat" }),
    }
  end

  local function thing(name, env)
    local all = things(env)
    all.Timer:cancel()
    all.Stream:close()
    return all[name]
  end

  function Inspector:on_names(msg, env)
    local names = {}
    for name in pairs(thing(msg.of, env)) do table.insert(names, name) end
    table.sort(names)
    env:reply("Names", { names = names })
  end

  function Inspector:on_resolve(msg, env)
    local it, missing = thing(msg.of, env), {}
    for _, name in ipairs(msg.names) do
      local found, value = pcall(function() return it[name] end)
      if not found or value == nil then table.insert(missing, name) end
    end
    env:reply("Missing", { names = missing })
  end

  function Inspector:on_unknown(msg, env)
    local it = thing(msg.of, env)
    local found, value = pcall(function() return it[msg.name] end)
    env:reply("Answer", { raised = not found, value = tostring(value) })
  end

  return Inspector
]]

describe("meta.lua", function()
  local meta = read_meta()
  local stage, inspector

  before_each(function()
    stage = Stage.new()
    inspector = assert(stage:spawn({ source = INSPECTOR, name = "inspector" }))
  end)
  after_each(function() stage:close() end)

  local function ask(type, msg)
    return assert(stage:ask(inspector, type, msg))
  end

  it("is read by this spec", function()
    assert.is_true(meta.actor.spawn and meta.Ref.send and meta.Env.reply and meta.Env.asked)
    assert.is_true(meta.Timer.cancel and meta.json.null and meta.log.info and meta.Stage.close)
  end)

  for _, owner in ipairs { "actor", "json", "log", "Ref", "Env", "Timer", "Registry", "Stream" } do
    it("names nothing of " .. owner .. " that is not there", function()
      assert.same({}, ask("Resolve", { of = owner, names = sorted(meta[owner]) }).names)
    end)
  end

  for _, owner in ipairs { "actor", "json", "log" } do
    it("names all that " .. owner .. " has", function()
      assert.same(sorted(meta[owner]), ask("Names", { of = owner }).names)
    end)
  end

  it("names all that a stage has, and nothing else", function()
    local public = {}
    for name, value in pairs(Stage) do
      if type(value) == "function" and name:sub(1, 1) ~= "_" then public[name] = true end
    end
    assert.same(sorted(public), sorted(meta.Stage))
  end)
end)

describe("actor", function()
  local stage, inspector

  before_each(function()
    stage = Stage.new()
    inspector = assert(stage:spawn({ source = INSPECTOR, name = "inspector" }))
  end)
  after_each(function() stage:close() end)

  it("raises when an unknown name is read, and suggests one", function()
    local answer = assert(stage:ask(inspector, "Unknown", { of = "actor", name = "spwan" }))
    assert.is_true(answer.raised)
    assert.matches("actor has no 'spwan' %(did you mean 'spawn'%?%)", answer.value)
  end)
end)
