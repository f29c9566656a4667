-- Threads: who runs where, that nobody waits for a runaway, and that a host
-- ends when it is told to. Each case is a host of its own, in spec/hostile.
local program = require "spec.support.program"

-- Interrupts come as signals.
local function it_interrupts(name, check)
  if program.has_thread_sanitizer then
    it(name, function() pending("signals do not reach Lua under the thread sanitizer") end)
  else
    it(name, check)
  end
end

describe("an actor's thread", function()
  local threads, ended

  setup(function()
    ended = program.run { "spec/hostile/threads.lua", flags = "--workers 1" }
    threads = {}
    for name, id in ended.out:gmatch("(%w+): (%d+)\n") do
      threads[name] = threads[name] or {}
      threads[name][id] = true
    end
    for name, ids in pairs(threads) do threads[name] = next(ids, next(ids)) == nil and next(ids) end
  end)

  it("stays the same", function()
    assert.equal(0, ended.code, ended.err)
    for _, name in ipairs { "own1", "own2", "red1", "red2", "blue", "pool1", "pool2", "default" } do
      assert.is_string(threads[name], name)
    end
  end)

  it("is its own with thread = \"own\"", function()
    for name, id in pairs(threads) do
      assert.is_true(name == "own1" or id ~= threads.own1, name)
      assert.is_true(name == "own2" or id ~= threads.own2, name)
    end
  end)

  it("is shared by a group, and by nobody else", function()
    assert.equal(threads.red1, threads.red2)
    assert.not_equal(threads.red1, threads.blue)
    assert.not_equal(threads.red1, threads.pool1)
    assert.not_equal(threads.blue, threads.pool1)
  end)

  it("is one of the pool's workers by default", function()
    assert.equal(threads.pool1, threads.pool2)
    assert.equal(threads.pool1, threads.default)
    assert.not_equal(threads.pool1, threads.host)
  end)

  it("cannot be anything else", function()
    assert.matches('thread is "pool", "own" or "group:NAME", not \'mine\'', ended.out, 1, true)
  end)
end)

-- Runs spec/hostile/crowd.lua; every ask has to be answered before its 5 s are over.
local function crowd(facts)
  local args = {}
  for key, value in pairs(facts) do table.insert(args, key .. "=" .. value) end
  local ended = program.run { "spec/hostile/crowd.lua", args = args }
  local found = program.findings(ended.out)
  assert.equal(0, ended.code, ended.err)
  assert.equal("0", found.failed_probes)
  assert.is_true(tonumber(found.probes) >= 3, "only " .. found.probes .. " probes")
  assert.equal("true", found.right, "a sum was wrong")
  assert.equal("false", found.together, "two handlers of one actor ran at a time")
  return found, ended
end

describe("a handler that is preempted", function()
  it_interrupts("lets others answer, if all workers run one", function()
    crowd { count = "2", seconds = "3" }
  end)

  it_interrupts("lets others answer, if there are many more of them than workers", function()
    crowd { count = "6", seconds = "1" }
  end)

  it_interrupts("goes on where it stood, in nested coroutines", function()
    crowd { count = "3", seconds = "1", kind = "coroutine" }
  end)

  it_interrupts("goes on where it stood, in pcall and xpcall", function()
    crowd { count = "3", seconds = "1", kind = "pcall" }
  end)

  it_interrupts("makes way in a group as well", function()
    local found = crowd { count = "1", seconds = "1", thread = "group:one" }
    assert.is_true(tonumber(found.slowest_ms) < 900, found.slowest_ms)
  end)

  it_interrupts("still makes way when it has been reported", function()
    -- In a group there is no spare worker that could stand in.
    local found, ended = crowd { count = "1", seconds = "2", slice = "100ms", thread = "group:one" }
    assert.matches("has run for more than 0.1 s", ended.err, 1, true)
    assert.is_true(tonumber(found.slowest_ms) < 1500, found.slowest_ms)
    crowd { count = "12", seconds = "1", slice = "100ms" }
  end)

  -- Timers wake actors from outside the pool, behind what its workers queue themselves.
  it_interrupts("lets those in whom a timer wakes", function()
    local ended = program.run { "spec/hostile/woken.lua" }
    local found = program.findings(ended.out)
    assert.equal(0, ended.code, ended.err)
    assert.is_true(tonumber(found.woken) > 40, "woken only " .. found.woken .. " times")
  end)
end)

describe("handlers that interleave", function()
  it("are answered each its own, in a crowd of actors that all ask each other", function()
    local ended = program.run { "spec/hostile/interleaved.lua", args = { "case=mesh" }, flags = "--workers 3" }
    local found = program.findings(ended.out)
    assert.equal(0, ended.code, ended.err)
    assert.equal("", ended.err)
    assert.equal("nil", found.why)
    assert.equal(found.asked, found.right)
  end)

  it_interrupts("make way when they are preempted, but not to each other; and all end with their actor", function()
    local ended = program.run { "spec/hostile/interleaved.lua", args = { "case=spin" }, flags = "--workers 1" }
    local found = program.findings(ended.out)
    assert.equal(0, ended.code, ended.err)
    assert.is_true(tonumber(found.probes) >= 3, "only " .. found.probes .. " probes")
    assert.equal("20", found.naps)
    assert.equal("20", found.cut)
    assert.equal("0", found.inside)
  end)
end)

describe("a worker that is blocked in C", function()
  for _, count in ipairs { "2", "6" } do
    it_interrupts("has a spare one beside it, also if " .. count .. " actors sit there", function()
      local ended = program.run { "spec/hostile/blocked.lua", args = { count } }
      local found = program.findings(ended.out)
      assert.equal(0, ended.code, ended.err)
      assert.equal("0", found.failed_probes)
      assert.is_true(tonumber(found.probes) >= 5, "only " .. found.probes .. " probes")
      assert.equal("true", found.sat)
      assert.is_true(tonumber(found.probes_after) >= 1)
    end)
  end
end)

local function ending(how)
  local ended = program.run { "spec/hostile/ending.lua", args = { "how=" .. how } }
  return ended, program.findings(ended.out)
end

describe("a host that is to end", function()
  -- The budget is 5 s from the signal on, of which actors have the most; the rest is for a slow machine.
  local function assert_gave_up(how)
    local ended = ending(how)
    assert.equal(1, ended.code, ended.err)
    assert.matches("host: 1 actor had not ended in time and was given up (a shutdown may take 5.0 s): "
                   .. "bad (2 messages)\n", ended.err, 1, true)
    assert.is_true(ended.seconds >= 3 and ended.seconds < 15, ended.seconds .. " s")
    return ended
  end

  for _, how in ipairs { "pcall_pool", "close_own", "sort_own" } do
    it_interrupts("ends within its budget although a handler does not: " .. how, function()
      assert.matches("stopped: the host is shutting down", assert_gave_up(how).err, 1, true)
    end)
  end

  it("leaves a thread behind that is stuck in C", function()
    assert_gave_up "c_pool"
  end)

  for signal, code in pairs { TERM = 0, INT = 130 } do
    it(("handles its mail first after SIG%s, and exits with %d"):format(signal, code), function()
      local ended, found = ending(signal)
      assert.equal(code, ended.code, ended.err)
      for i = 1, 3 do assert.equal("1000", found["counter" .. i]) end
      assert.equal("", ended.err)
    end)
  end

  it("ends at once at the second signal, and says what is lost", function()
    local ended = ending("second")
    assert.equal(143, ended.code, ended.err)
    assert.matches("host: stopped at once; lost with their mail: .*ending %(%d+ message", ended.err)
    assert.is_true(ended.seconds < 4, ended.seconds .. " s")
  end)
end)
