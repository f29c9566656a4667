-- cpu and priority: where an actor's own thread runs, and how urgently. Each case
-- is a host of its own, spec/hostile/placed.lua, and the kernel is asked.
local Stage = require "troupe.stage"
local program = require "spec.support.program"

local function works(command)
  return (os.execute(command .. " >/dev/null 2>&1"))
end

local has_cpus = works "taskset -c 0 true && taskset -c 1 true"
local is_privileged = works "chrt -f 50 true"
local can_drop = works "setpriv --bounding-set=-sys_nice true && prlimit --rtprio=0 true"

local function placed(case, before)
  local ended = program.run {
    "spec/hostile/placed.lua", flags = "--workers 1 --bind tcp://127.0.0.1:0", args = { "case=" .. case }, before = before,
  }
  assert.equal(0, ended.code, ended.err)
  return program.findings(ended.out), (ended.err:gsub("[^\n]*listening on[^\n]*\n", ""))
end

local function it_if(possible, why, name, check)
  it(name, possible and check or function() pending(why) end)
end

describe("cpu", function()
  it_if(has_cpus, "there are not two CPUs to choose from", "keeps an actor's own thread there, and no other", function()
    local found = placed "cpu"
    assert.equal("0 0 0", found.pinned)
    assert.equal(found.all, found.pooled)
    assert.equal(found.all, found.free)
    assert.not_equal(found.all, found.pinned)
  end)

  it_if(has_cpus, "there are not two CPUs to choose from", "is not inherited by threads that such a thread makes", function()
    local found = placed "cpu"
    assert.equal("0 0 0", found.maker)
    assert.equal(found.all, found.made)
  end)

  it_if(has_cpus, "there are not two CPUs to choose from", "of a group is what its first member with a wish says", function()
    local found = placed "group"
    assert.equal("0 0 0", found.first)
    assert.equal("0 0 0", found.third)
    assert.equal("1 0 0", found.fifth)
    assert.equal("cpu: the thread of group 'red' runs on CPUs {0}, as second wants it, and fourth wants {1}", found.fourth)
  end)

  it("that there is not is refused, and no thread is left behind", function()
    local found, err = placed "missing"
    assert.matches("^cpu: there is no CPU 1023: this machine has 0 to %d+$", found.nowhere)
    assert.equal(found.all, found.again)
    assert.equal("", err)
  end)
end)

describe("priority", function()
  it_if(is_privileged, "SCHED_FIFO is not allowed here", "is SCHED_FIFO for that thread, and the host's own outrank it", function()
    local found, err = placed "priority"
    local cpus = found.all:match("^%S+")
    assert.equal(cpus .. " 1 20", found.urgent)
    assert.equal(cpus .. " 1 30", found.group1)
    assert.equal(cpus .. " 1 30", found.group2)
    assert.equal(cpus .. " 1 98", found.most)
    for _, name in ipairs { "watchdog", "timers", "gateway" } do assert.equal(cpus .. " 1 99", found[name], name) end
    assert.equal("", err)
  end)

  it_if(is_privileged, "SCHED_FIFO is not allowed here", "is not inherited by threads and processes that such a thread makes", function()
    local found = placed "priority"
    assert.equal(found.all, found.plain)
    assert.matches(" 1 10$", found.maker)
    assert.equal(found.all, found.made)
  end)

  it("of a group cannot be two", function()
    local found = placed "group_priority"
    assert.equal("priority: the thread of group 'red' has 5, as first wants it, and second wants 6", found.second)
  end)

  it_if(can_drop, "no way to give up privileges", "that is refused is told once, with the remedy, and the actor runs without", function()
    local found, err = placed("priority", "prlimit --rtprio=0 setpriv --bounding-set=-sys_nice --inh-caps=-sys_nice")
    assert.equal(found.all, found.urgent)
    assert.equal(found.all, found.most)
    assert.equal(found.all, found.watchdog)
    local _, count = err:gsub("is refused", "")
    assert.equal(1, count, err)
    assert.matches("urgent: priority 20 is refused: Operation not permitted; it runs without. SCHED_FIFO needs RLIMIT_RTPRIO", err, 1, true)
    assert.matches("CAP_SYS_NICE", err, 1, true)
  end)
end)

describe("the settings of a thread", function()
  local stage

  before_each(function() stage = Stage.new() end)
  after_each(function() stage:close() end)

  local function refused(fields, options)
    local script = { name = "hero", source = ("return { on_ping = function() end, %s }"):format(fields) }
    for name, value in pairs(options or {}) do script[name] = value end
    local hero, why = stage:spawn(script)
    assert.is_nil(hero, fields)
    return why
  end

  it("are for actors with a thread of their own or of a group", function()
    assert.equal('cpu needs thread = "own" or "group:NAME"', refused "cpu = { 0 }")
    assert.equal('priority needs thread = "own" or "group:NAME"', refused "thread = 'pool', priority = 7")
    assert.equal('priority needs thread = "own" or "group:NAME"', refused("", { priority = 7 }))
  end)

  it("are accepted with it, on the stage too, where all actors have one thread", function()
    assert(stage:spawn { name = "a", source = "return { thread = 'own', cpu = { 0, 1 }, priority = 1, on_x = function() end }" })
    assert(stage:spawn { name = "b", source = "return { on_x = function() end }", thread = "group:g", cpu = { 3 }, priority = 99 })
  end)

  it("that are the script's own go with the thread that a spawner overrides", function()
    local own = "return { thread = 'own', cpu = { 0 }, priority = 5, on_x = function() end }"
    assert(stage:spawn { name = "a", source = own, thread = "pool" })
    assert(stage:spawn { name = "b", source = own, thread = "group:g" })
    local c, why = stage:spawn { name = "c", source = own, thread = "pool", priority = 7 }
    assert.is_nil(c)
    assert.equal('priority needs thread = "own" or "group:NAME"', why)
  end)

  it("are numbers that can be", function()
    local cpu, number = "cpu is a list of CPU numbers as {0, 1}, not ", "cpu: a CPU's number is an integer from 0 to 1023, not "
    for fields, why in pairs {
      ["cpu = 0"] = cpu .. "0", ["cpu = '0'"] = cpu .. "'0'", ["cpu = {}"] = cpu .. "an empty table",
      ["cpu = { first = 0 }"] = cpu .. "a table with other keys", ["cpu = true"] = cpu .. "a boolean",
      ["cpu = { -1 }"] = number .. "-1", ["cpu = { 0.5 }"] = number .. "0.5", ["cpu = { 1024 }"] = number .. "1024",
      ["cpu = { '0' }"] = number .. "'0'",
      ["priority = 0"] = "priority is an integer from 1 to 99, not 0",
      ["priority = 100"] = "priority is an integer from 1 to 99, not 100",
      ["priority = 'high'"] = "priority is an integer from 1 to 99, not 'high'",
    } do
      assert.matches(why, refused(fields), 1, true)
    end
  end)
end)
