-- Failures in a host of its own: what ends it and with which code, kills of what
-- runs away on a real thread, and what a storm of failures costs.
local program = require "spec.support.program"
local process = require "spec.support.process"

local function it_interrupts(name, check)
  if program.has_thread_sanitizer then
    it(name, function() pending("signals do not reach Lua under the thread sanitizer") end)
  else
    it(name, check)
  end
end

local function evaluate(source)
  return process.run(process.troupe { "-e", source })
end

describe("the host", function()
  after_each(process.end_all)

  it("ends with 1 and a report when its root fails too often", function()
    local ended = evaluate [[
      return {
        failure = "restart", restart = { max = 2, backoff = "1ms" },
        on_start = function(self, msg) print("start " .. msg.restarts) actor.self:send("Go") end,
        on_go = function() error("no way on") end,
      }
    ]]
    assert.equal(1, ended.code)
    assert.equal("start 0\nstart 1\nstart 2\n", ended.out)
    assert.matches("the actor restarts (2 of 2 in 10 s), the message is a dead letter", ended.err, 1, true)
    assert.matches("2 restarts in 10 s were not enough: the actor ends and the host with it", ended.err, 1, true)
    assert.matches("the host ends, for a failure has come to the top of its chain:\nmain ended: error: ", ended.err, 1, true)
  end)

  it("ends with 1 when a failure of a child climbs to the root, though others live", function()
    local ended = program.run { "spec/support/branch.lua", "spec/hostile/storm_echo.lua", "spec/hostile/pokes_leaf.lua" }
    assert.equal(1, ended.code)
    assert.matches("leaf ended: error: spec/support/leaf.lua:4: leaf failed\nbranch ended with it\n", ended.err, 1, true)
    assert.equal("middle up\nleaf up\n", ended.out:sub(1, 18))
  end)

  it("goes on when an actor restarts, and ends with 0 when it has done its work", function()
    local ended = evaluate [[
      return {
        failure = "restart", restart = { backoff = "1ms" },
        on_start = function(self, msg)
          if msg.restarts == 2 then actor.exit() end
          error("once more", actor.self:send("Go") and 0)
        end,
        on_go = function() end,
      }
    ]]
    assert.equal(1, ended.code) -- what has never started is not started again
    ended = evaluate [[
      return {
        failure = "restart", restart = { backoff = "1ms" },
        on_start = function(self, msg) if msg.restarts == 2 then actor.exit() end actor.self:send("Go") end,
        on_go = function() error("once more") end,
      }
    ]]
    assert.equal(0, ended.code)
  end)

  it("runs the next incarnation on the same thread, if it is the actor's own", function()
    local ended = program.run { "spec/hostile/own_thread.lua" }
    assert.equal(0, ended.code, ended.err)
    local threads = {}
    for thread in ended.out:gmatch("%d+") do table.insert(threads, thread) end
    assert.equal(4, #threads)
    for _, thread in ipairs(threads) do assert.equal(threads[1], thread) end
  end)

  it("does not wait for an actor that is halted when it is to end", function()
    local ended = program.run { "spec/hostile/halted.lua", "spec/hostile/stops_host.lua" }
    assert.equal(0, ended.code)
  end)
end)

describe("an actor that does not end", function()
  local found, ended

  setup(function()
    if not program.has_thread_sanitizer then
      ended = program.run { "spec/hostile/killed.lua" }
      found = program.findings(ended.out)
    end
  end)

  for _, case in ipairs { "loop", "coroutine", "pcall", "sleeps", "close", "thread" } do
    it_interrupts("is killed past its supervisor's deadline: " .. case, function()
      assert.equal(0, ended.code, ended.err)
      assert.equal("killed", found[case], ended.err)
      assert.is_true(tonumber(found[case .. "_seconds"]) >= 0.3)
      assert.equal("yes", found[case .. "_again"])
    end)
  end
end)

describe("a storm of failures", function()
  local function storm(...)
    local ended = program.run { "spec/hostile/storm.lua", args = { ... } }
    return ended, program.findings(ended.out)
  end

  local function check(ended, found)
    assert.equal(0, ended.code, ended.err:sub(1, 4000))
    assert.is_true(#ended.err <= 5 * 1024 * 1024)
    if program.is_sanitized then return end
    assert.is_true(tonumber(found.growth_mb) <= 64, found.growth_mb)
    assert.is_true(tonumber(found.worst_ping_s) <= 0.5, found.worst_ping_s)
  end

  it("costs little memory, little log and nobody's time while the actor goes on", function()
    check(storm "failure=continue")
  end)

  it("and while it restarts", function()
    check(storm("failure=restart", "max=1000"))
  end)

  it("and when it gives up, which takes its parent along", function()
    local ended = storm "failure=restart"
    assert.equal(1, ended.code)
    assert.is_true(#ended.err <= 64 * 1024)
    assert.matches("victim ended: error: ", ended.err, 1, true)
  end)
end)
