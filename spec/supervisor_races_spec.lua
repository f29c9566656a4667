-- A supervisor whose children fail, end, dawdle and are commanded at random, in as
-- many interleavings as TROUPE_SEEDS says: in the end all is as it should be, or all is gone.
local Stage = require "troupe.stage"
local program = require "spec.support.program"

local SEEDS = tonumber(os.getenv("TROUPE_SEEDS") or program.is_sanitized and 30 or 300)

local WILD = 0.3 -- seconds in which anything may happen
local STRATEGIES = { "one_for_one", "one_for_all", "rest_for_one" }
local KINDS = { "permanent", "permanent", "transient", "temporary" }

local PARENT = [[
  local Parent = { failure = "stop" }
  function Parent:on_start()
    self.supervisor, self.why = actor.supervise(self.config.options)
    if not self.supervisor then print("none " .. self.why.text) actor.exit() end
    print("supervised")
  end
  function Parent:on_down(msg) print("down", msg.reason) end
  function Parent:on_command(msg)
    local answer, why = self.supervisor:ask(msg.type, msg.msg, { timeout = "1h" })
    if not answer and why.reason ~= "failed" and why.reason ~= "down" and why.reason ~= "stopping" then
      print("BROKEN " .. tostring(why))
    end
  end
  function Parent:on_which(_, env) env:reply("Children", assert(self.supervisor:ask("WhichChildren"))) end
  return Parent
]]

local function child(name, random)
  return { script = "spec/support/storm_child", name = name, kind = KINDS[random(#KINDS)],
           shutdown = random(4) == 1 and "brutal" or "20ms", config = { wild_until = 1 + WILD } }
end

local function family(prefix, random)
  local list = {}
  for i = 1, random(4) do list[i] = child(prefix .. i, random) end
  return list
end

-- Within a group one starts after the other, and no child runs twice.
local function check(lines, seed)
  local up = {}
  for _, line in ipairs(lines) do
    local sign, name = line:match("^([+-])(%S+)$")
    assert.is_nil(line:match("^BROKEN"), ("seed %d: %s"):format(seed, line))
    if sign == "+" then up[name] = true end
    if sign == "-" then up[name] = nil end
  end
  return up
end

local function names_of(list, into)
  for _, each in ipairs(list) do
    table.insert(into, each.name)
    if each.supervise then names_of(each.supervise.children, into) end
  end
  return into
end

local function run(seed)
  local state = seed * 2654435761 & 0xffffffff
  local function random(n)
    state = (state * 6364136223846793005 + 1442695040888963407) & 0x7fffffffffffffff
    return (state >> 33) % n + 1
  end
  local stage = Stage.new { seed = seed }
  local children = family("c", random)
  if random(2) == 1 then
    table.insert(children, random(#children), { name = "inner", supervise = {
      strategy = STRATEGIES[random(3)], restart = { max = random(8), within = "100ms", backoff = "1ms..10ms" },
      children = family("x", random) } })
  end
  local all = names_of(children, { "supervisor" })
  assert(stage:spawn({ name = "parent", source = PARENT }, { options = {
    name = "supervisor", strategy = STRATEGIES[random(3)], children = children,
    restart = { max = random(30), within = "100ms", backoff = "1ms..10ms" } } }))
  local lines = {}
  local function collect()
    for _, line in ipairs(stage:output()) do table.insert(lines, line) end
  end
  for n = 1, 20 do
    stage:advance(WILD / 20)
    local name = all[random(#all)]
    local commands = { "TerminateChild", "RestartChild", "DeleteChild", "StartChild", "StartChild" }
    local type = commands[random(#commands)]
    local msg = type == "StartChild" and child("n" .. n, random) or { name = name }
    if type == "StartChild" then table.insert(all, msg.name) end
    if stage:alive("parent") and random(3) == 1 then stage:send("parent", "Command", { type = type, msg = msg }) end
    if name ~= "supervisor" and random(4) == 1 and stage:alive(name) then stage:stop(name) end
    if name ~= "supervisor" and random(3) == 1 and stage:alive(name) then stage:send(name, "Tick") end
    collect()
  end
  stage:advance("5s")
  collect()
  check(lines, seed)

  local outcome = "gave up"
  if stage:alive("parent") then
    outcome = "runs"
    local list = assert(stage:ask("parent", "Which")).children
    for _, each in ipairs(list) do
      assert.is_true(each.status == "running" or each.status == "down",
        ("seed %d: %s is %s"):format(seed, each.name, each.status))
      if each.status == "running" and not each.supervisor then
        assert.is_truthy(stage:ask(each.name, "Get"), ("seed %d: %s does not answer"):format(seed, each.name))
      end
    end
    stage:output()
    stage:stop("supervisor")
    stage:run()
    local ended, expected = {}, {}
    for _, line in ipairs(stage:output()) do
      local name = line:match("^%-([cn]%d+)$")
      if name then table.insert(ended, name) end
    end
    for i = #list, 1, -1 do
      if list[i].status == "running" and not list[i].supervisor then table.insert(expected, list[i].name) end
    end
    local brutal = {} -- they do not say that they end
    for _, name in ipairs(ended) do brutal[name] = false end
    for i = #expected, 1, -1 do
      if brutal[expected[i]] == nil then table.remove(expected, i) end
    end
    assert.same(expected, ended, "seed " .. seed)
  end
  for _, name in ipairs(all) do
    assert.is_false(stage:alive(name), ("seed %d: %s has outlived its supervisor"):format(seed, name))
  end
  if stage:alive("parent") then stage:stop("parent") end
  stage:advance("1s")
  stage:output()
  stage:log()
  stage:close() -- which fails if a state, a message or a timer is left
  return outcome
end

describe("a supervisor", function()
  it("has its children as it wants them when a storm is over, or has given up and left nothing", function()
    local outcomes = { runs = 0, ["gave up"] = 0 }
    for seed = 1, SEEDS do
      local outcome = run(seed)
      outcomes[outcome] = outcomes[outcome] + 1
    end
    assert.is_true(outcomes.runs > SEEDS / 10 and outcomes["gave up"] > SEEDS / 10,
      ("%d ran, %d gave up: the storm is too weak or too strong"):format(outcomes.runs, outcomes["gave up"]))
  end)
end)
