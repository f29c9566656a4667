-- Supervisors in hosts of their own: what a storm costs, what ends the host and
-- with which code, and children that do not want to end.
local process = require "spec.support.process"
local program = require "spec.support.program"

local function it_interrupts(name, check)
  if program.has_thread_sanitizer then
    it(name, function() pending("signals do not reach Lua under the thread sanitizer") end)
  else
    it(name, check)
  end
end

local function run(name)
  local ended = program.run { ("spec/hostile/%s.lua"):format(name) }
  return ended, program.findings(ended.out)
end

describe("a supervisor", function()
  after_each(process.end_all)

  it("restarts a child that fails at every message at little cost, and at nobody else's", function()
    local ended, found = run "supervised_storm"
    assert.equal(0, ended.code, ended.err:sub(1, 4000))
    assert.is_true(#ended.err <= 5 * 1024 * 1024)
    if program.is_sanitized then return end
    assert.is_true(tonumber(found.growth_mb) <= 64, found.growth_mb)
    assert.is_true(tonumber(found.worst_ping_s) <= 0.5, found.worst_ping_s)
  end)

  it("gives up a child that fails in on_start for ever, after three more tries that cost next to nothing", function()
    local ended, found = run "supervised_stillborn"
    assert.equal(0, ended.code, ended.err:sub(1, 4000))
    assert.equal("nil", found.supervised)
    assert.equal("child", found.child)
    assert.matches("child ended (3 restarts in 10 s were not enough): error: spec/hostile/stillborn.lua:2: no disk",
      found.why, 1, true)
    assert.is_true(tonumber(found.took_s) >= 0.5)
    if not program.is_sanitized then assert.is_true(tonumber(found.cpu_share) <= 0.05, found.cpu_share) end
  end)

  it("that gives up while it runs ends the host with 1 and a report of the chain", function()
    local ended = run "supervised_chain"
    assert.equal(1, ended.code)
    assert.matches("the host ends, for a failure has come to the top of its chain:\n" ..
      "outer ended: error: inner ended (1 restart in 10 s was not enough): error: victim ended (1 restart in 10 s was " ..
      "not enough): error: spec/hostile/storm_victim.lua:2: poked\nsupervised_chain ended with it",
      ended.err, 1, true)
  end)

  it_interrupts("kills children that do not end, when the time of each is over", function()
    local ended, found = run "supervised_stubborn"
    assert.equal(0, ended.code, ended.err:sub(1, 4000))
    assert.is_true(tonumber(found.took_s) >= 1.4, found.took_s)
    assert.is_true(tonumber(found.took_s) <= 5, found.took_s)
    assert.equal("supervised_stubborn", found.left)
  end)

  it("is asked by other hosts how its children are, but not commanded", function()
    local child = process.start(process.troupe { "run", "spec/hostile/supervised_tree.lua", "--bind", ":0" })
    local supervisor = "outer@" .. child:error_line("listening on"):match("tcp://%S+")
    child:line("ready")
    local function ask(...) return process.run(process.troupe { "ask", supervisor, ... }) end
    assert.equal('Count {"active": 3, "specs": 3, "supervisors": 1, "workers": 2}\n', ask("CountChildren").out)
    assert.matches('{"kind": "permanent", "name": "first", "ref": "first@tcp://', ask("WhichChildren").out, 1, true)
    for _, command in ipairs { "StartChild", "TerminateChild", "RestartChild", "DeleteChild" } do
      local ended = ask(command, "name=first", "script=spec/support/leaf.lua")
      assert.equal(4, ended.code)
      assert.matches("a supervisor is commanded by actors of its own host", ended.err, 1, true)
    end
    assert.equal(0, child:stop("TERM").code)
  end)

  it("ends with the host, in reverse order of the starts", function()
    local child = process.start(process.troupe { "run", "spec/hostile/supervised_tree.lua" })
    child:line("ready")
    local ended = child:stop("TERM")
    assert.equal(0, ended.code)
    assert.equal("-last\n-y\n-x\n-first\n", ended.out:match("(%-.*)$"))
  end)
end)
