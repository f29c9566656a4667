-- What scripts may do and the host survives: runaways, memory, the engine's
-- holes, floods. Each case is a host of its own; see spec/hostile/judge.lua.
local program = require "spec.support.program"

-- Interrupts come as signals.
local function it_interrupts(name, check)
  if program.has_thread_sanitizer then
    it(name, function() pending("signals do not reach Lua under the thread sanitizer") end)
  else
    it(name, check)
  end
end

-- The cases that a script of spec/hostile has, in order: `way["..."] = function`.
local function cases_of(script)
  local cases = {}
  for line in io.lines("spec/hostile/" .. script .. ".lua") do
    local name = line:match('^%l+%["(.*)"%] = ')
    if name then table.insert(cases, name) end
  end
  assert(#cases > 0, script)
  return cases
end

local function assert_others_went_on(found, at_least)
  assert.equal("0", found.failed_probes)
  assert.is_true(tonumber(found.probes) >= at_least, "only " .. found.probes .. " probes")
end

-- The actor lives, and so do the others and the host.
local function judge(facts)
  local found, ended = program.judge(facts)
  assert.equal(0, ended.code, ended.err)
  assert.equal("pong", found.again, ended.err)
  assert_others_went_on(found, 0)
  return found, ended
end

describe("a handler that runs away", function()
  for _, case in ipairs(cases_of "loops") do
    it_interrupts("is stopped in " .. case, function()
      local found = judge { script = "loops", case = case, slice = "300ms", slow = "stop" }
      assert.equal("failed", found.outcome)
      assert.matches("ran longer than its slice of 0.3 s", found.reason, 1, true)
      assert.equal("false", found.escaped, "pcall caught it")
      assert.is_true(tonumber(found.seconds) < 5)
      assert_others_went_on(found, 10)
    end)
  end

  it_interrupts("ends its actor if failures do", function()
    local found, ended = program.judge {
      script = "loops", case = "while true", slice = "300ms", slow = "stop", failure = "stop",
    }
    assert.equal(0, ended.code)
    assert.equal("failed", found.outcome)
    assert.equal("silence", found.again)
  end)

  it_interrupts("is reported once, with its place and message, and goes on", function()
    for _, case in ipairs { "Lua", "Lua in a coroutine" } do
      local found, ended = judge { script = "stuck", case = case, slice = "300ms", slow = "report" }
      assert.equal("finished", found.note)
      assert_others_went_on(found, 10)
      local _, reports = ended.err:gsub("run for", "")
      assert.equal(1, reports, ended.err)
      assert.matches("victim: on_do has run for more than 0.3 s: at spec/hostile/stuck.lua:%d+, "
                     .. "for the message Do\n", ended.err)
    end
  end)

  for _, case in ipairs { "string.find", "string.gsub", "string.match", "os.execute", "file:read" } do
    it_interrupts("is reported by name in " .. case .. ", which goes on", function()
      local found, ended = judge { script = "stuck", case = case, slice = "300ms" }
      assert.equal("finished", found.note)
      assert_others_went_on(found, 10)
      local _, reports = ended.err:gsub("run for", "")
      assert.equal(1, reports, ended.err)
      local name = case:gsub("^file:", "io.")
      assert.matches("victim: a handler has run for %d+%.%d s, stuck in " .. name .. ", handling ", ended.err)
    end)
  end

  it("cannot hide in a finalizer: __gc is refused", function()
    local ended = program.run { "spec/hostile/refused.lua" }
    assert.equal(0, ended.code, ended.err)
    local found = program.findings(ended.out)
    assert.matches("__gc", found.gc, 1, true)
    assert.equal("nil", found.sethook)
    assert.equal("nil", found.setmetatable)
    assert.equal("nil", found.upvaluejoin)
  end)
end)

describe("a script whose top level does not end", function()
  it_interrupts("is not loaded: exit 1 after a second", function()
    local ended = program.run { "spec/hostile/loads_forever.lua" }
    assert.equal(1, ended.code)
    assert.matches("loads_forever.lua:2: its top level ran for more than 1 s", ended.err, 1, true)
    assert.is_true(ended.seconds < 10)
  end)

  it_interrupts("is nil and why to who spawns it, and others go on", function()
    local ended = program.run { "spec/hostile/loader.lua", args = { "loads_forever" } }
    assert.equal(0, ended.code, ended.err)
    local found = program.findings(ended.out)
    assert.equal("nil", found.child)
    assert.matches("loads_forever.lua:2: its top level ran for more than 1 s", found.why, 1, true)
    assert_others_went_on(found, 10)
  end)
end)

describe("a handler that fails", function()
  for _, case in ipairs(cases_of "errors") do
    it("is one report and no more, with " .. case, function()
      local found, ended = judge { script = "errors", case = case }
      assert.equal("failed", found.outcome)
      assert.matches("^victim failed at Do: .", found.reason)
      assert.is_nil(found.reason:find("no such case", 1, true))
      assert.matches("victim (spec/hostile/errors.lua), in on_do", ended.err, 1, true)
      assert.is_nil(ended.err:find("[\27\0]"))
      assert.is_true(#ended.err < 20000)
    end)
  end
end)

describe("a memory limit", function()
  local LIMIT_MIB = 16

  -- Shadows and quarantines make the process larger than what its actors hold.
  local function assert_bounded(found)
    if program.is_sanitized then return end
    local grown = tonumber(found.grown_mib)
    assert.is_true(grown <= LIMIT_MIB + 10, "grown by " .. grown .. " MiB")
  end

  -- A value that is too large is refused before it is made.
  local is_refused = {
    ["json of one table many times over"] = true,
    ["a message of one table many times over"] = true,
  }

  for _, case in ipairs(cases_of "hogs") do
    it("holds against " .. case, function()
      local found = judge { script = "hogs", case = case, memory = LIMIT_MIB .. "MiB" }
      assert_bounded(found)
      if is_refused[case] then return end
      assert.equal("failed", found.outcome)
      assert.matches("memory limit of 16 MiB reached", found.reason, 1, true)
      assert.equal("false", found.escaped, "pcall caught it")
    end)
  end
end)

describe("the engine", function()
  for _, case in ipairs(cases_of "depths") do
    it("survives " .. case, function()
      local found, ended = judge { script = "depths", case = case }
      assert.equal("survived", found.note, ended.err)
    end)

    it("survives " .. case .. ", with little memory", function()
      local found = judge { script = "depths", case = case, memory = "4MiB" }
      assert.is_true(found.outcome == "replied" or found.outcome == "failed", found.outcome)
    end)
  end

  it("runs no bytecode, wherever it comes from", function()
    local path = os.tmpname()
    local ended = program.run { "spec/hostile/bytecode.lua", args = { path } }
    local found = program.findings(ended.out)
    for _, way in ipairs { "load", "load_b", "load_bt", "load_reader", "loadfile", "loadfile_b" } do
      assert.matches("^nil attempt to load a binary chunk", found[way], 1, false)
    end
    assert.matches("^false .*binary chunk", found.dofile)
    assert.matches("^false .*binary chunk", found.require)
    assert.matches("^nil .*bytecode", found.spawn)
    assert.equal(0, ended.code, ended.err)

    ended = program.run { path }
    os.remove(path)
    assert.equal(1, ended.code)
    assert.matches("bytecode", ended.err, 1, true)
  end)
end)

describe("a million messages to a slow actor", function()
  it("meet a full mailbox, and cost no memory", function()
    local ended = program.run { "spec/hostile/flood.lua" }
    local found = program.findings(ended.out)
    assert.equal(0, ended.code, ended.err)
    assert.equal("0", found.other)
    assert.equal(1000000, tonumber(found.sent) + tonumber(found.full))
    assert.is_true(tonumber(found.full) > tonumber(found.sent))
    assert.is_true(found.waited == "timeout true" or found.waited == "full true", found.waited)
    assert.equal("true", found.room)
    -- 1000 messages of 1000 bytes, twice, and 64 MiB
    assert.is_true(tonumber(found.grown_mib) < (program.is_sanitized and 600 or 66), found.grown_mib)
  end)
end)

describe("actors that never rest", function()
  it("leave the others their share", function()
    local ended = program.run { "spec/hostile/busy.lua" }
    local found = program.findings(ended.out)
    assert.equal(0, ended.code, ended.err)
    local share = tonumber(found.beside) / tonumber(found.alone)
    -- Four that send to themselves and four pairs: a tenth is what is to be reached.
    assert.is_true(share > 0.02, ("a share of %.3f"):format(share))
  end)
end)
