-- New code for actors that run: all of them or none, between two messages, with
-- all that they have and all that is under way.
local Stage = require "troupe.stage"

-- A counter in a version that says which it is. `rest`: what else is in it.
local function counter(version, rest)
  return ([[
    local Counter = { version = %d }
    function Counter:on_start() self.n = self.config.n or 0 end
    function Counter:on_add() self.n = self.n + 1 end
    function Counter:on_get(_, env) env:reply("State", { n = self.n, of = Counter.version }) end
    %s
    return Counter
  ]]):format(version, rest or "")
end

describe("a reload", function()
  local stage
  before_each(function() stage = Stage.new() end)
  after_each(function() stage:close() end)

  local function spawn(text, config, name)
    local actor = assert(stage:spawn({ source = text, name = name }, config))
    stage:run()
    return actor
  end

  -- Says nothing of what it had to say.
  local function reload(actor, text, options)
    local report, why = stage:reload(actor, text, options)
    stage:log()
    return report, why
  end

  it("keeps self, and handles what was queued with the new code", function()
    local one = spawn(counter(1), { n = 5 })
    stage:send(one, "Add")
    assert(reload(one, counter(2, "function Counter:on_add() self.n = self.n + 100 end")))
    assert.same({ n = 105, of = 2 }, (stage:ask(one, "Get")))
  end)

  it("reports the versions, the instances and how long they were held", function()
    local one = spawn(counter(1), nil, "one")
    local report = assert(stage:reload(one, counter(2)))
    local line = stage:log()[1]
    assert.is_true(report.ok)
    assert.is_true(report.changed)
    local row = report.scripts[1]
    assert.same({ script = "one.lua", from = 1, to = 2, version = "2", instances = 1, migrated = 0, hash = row.hash },
                row)
    assert.truthy(row.hash:match("^%x%x%x%x%x%x%x%x$"))
    assert.equal("info", line.level)
    assert.truthy(line.text:match("^reload: one%.lua: #1 %-> #2, 1 actor, [%d.]+ ms$"), line.text)
    assert.equal(3, assert(stage:reload(one, counter(3))).scripts[1].to)
    stage:log()
  end)

  it("of what has not changed does nothing", function()
    local one = spawn(counter(1))
    local report = assert(reload(one, counter(1)))
    assert.is_true(report.ok)
    assert.is_false(report.changed)
    assert.is_nil(report.scripts)
  end)

  it("lets on_reload change the state, of every instance", function()
    local path = os.tmpname()
    local function write(text)
      local file <close> = assert(io.open(path, "w"))
      assert(file:write(text))
    end
    write(counter(1))
    local all = {}
    for i = 1, 20 do all[i] = assert(stage:spawn(path, { n = i })) end
    stage:run()
    write(counter(2, "function Counter:on_reload(from) self.n = self.n * 10 + from end"))
    local report = assert(reload(all[1]))
    assert.equal(20, report.scripts[1].instances)
    assert.equal(20, report.scripts[1].migrated)
    for i = 1, 20 do assert.same({ n = i * 10 + 1, of = 2 }, (stage:ask(all[i], "Get"))) end
    -- Who is spawned from now on has the new code, and no history.
    local late = assert(stage:spawn(path, { n = 7 }))
    assert.same({ n = 7, of = 2 }, (stage:ask(late, "Get")))
    os.remove(path)
  end)

  it("keeps timers, names and watches, and does not run on_start again", function()
    local text = [[
      local Clock = { version = %d }
      function Clock:on_start() self.starts, self.ticks = (self.starts or 0) + 1, {} actor.every("1s", "Tick") end
      function Clock:on_tick() table.insert(self.ticks, %d) end
      function Clock:on_get(_, env) env:reply("State", { starts = self.starts, ticks = self.ticks }) end
      return Clock
    ]]
    local clock = spawn(text:format(1, 1), nil, "clock")
    stage:advance("2s")
    assert(reload(clock, text:format(2, 2)))
    stage:advance("2s")
    assert.same({ starts = 1, ticks = { 1, 1, 2, 2 } }, (stage:ask("clock", "Get")))
  end)

  it("lets a handler that waits finish on the old code, with the same self", function()
    local text = [[
      local Sleeper = { version = %d }
      function Sleeper:on_sleep(_, env)
        actor.sleep("1s")
        self.woken = (self.woken or 0) + 1
        env:reply("Woken", { by = %d, n = self.woken })
      end
      function Sleeper:on_reload() self.woken = 10 end
      function Sleeper:on_get(_, env) env:reply("State", { woken = self.woken }) end
      return Sleeper
    ]]
    local sleeper = spawn(text:format(1, 1))
    stage:send(sleeper, "Sleep")
    stage:run()
    assert(reload(sleeper, text:format(2, 2)))
    stage:advance("1s")
    assert.same({ by = 1, n = 11 }, stage:outbox()[1].msg)
    assert.same({ woken = 11 }, (stage:ask(sleeper, "Get")))
  end)

  it("delivers answers that came meanwhile, and sees deadlines that passed", function()
    local asker = spawn([[
      local Asker = {}
      function Asker:on_go(msg, env)
        local answer, why = actor.ref("pong"):ask("Ping", nil, { timeout = "2s" })
        env:reply("Gone", { answer = answer and answer.n, why = why and why.reason })
      end
      return Asker
    ]], nil, "asker")
    local pong = spawn([[
      local Pong = {}
      function Pong:on_ping(_, env) actor.sleep(self.config.delay) env:reply("Pong", { n = 1 }) end
      return Pong
    ]], { delay = "1s" }, "pong")
    stage:send(asker, "Go")
    stage:run()
    assert(reload(asker, "local Asker = {} function Asker:on_go() end return Asker"))
    assert(reload(pong, "local Pong = {} function Pong:on_ping() end return Pong"))
    stage:advance("1s")
    assert.same({ answer = 1 }, stage:outbox()[1].msg)
  end)

  it("holds an actor that handles several messages at once, in all of them", function()
    local text = [[
      local Busy = { version = %d, interleave = true }
      function Busy:on_work(msg) actor.sleep(msg.t) self.done = (self.done or "") .. msg.name .. %d end
      function Busy:on_get(_, env) env:reply("State", { done = self.done }) end
      return Busy
    ]]
    local busy = spawn(text:format(1, 1))
    for i, name in ipairs { "a", "b", "c" } do stage:send(busy, "Work", { name = name, t = i }) end
    stage:run()
    local report = assert(reload(busy, text:format(2, 2)))
    assert.equal(1, report.scripts[1].instances)
    stage:send(busy, "Work", { name = "d", t = 1.5 })
    stage:advance("5s")
    assert.same({ done = "a1d2b1c1" }, (stage:ask(busy, "Get")))
  end)

  it("lets one that has not begun begin in the new version", function()
    local one = assert(stage:spawn({ source = counter(1) }, { n = 3 }))
    stage:send(one, "Add")
    assert(reload(one, counter(2)))
    assert.same({ n = 4, of = 2 }, (stage:ask(one, "Get")))
  end)

  it("lets one that is between two lives begin again in the new version", function()
    local function failing(version)
      return counter(version, 'Counter.failure = "restart" ' ..
        'Counter.restart = { backoff = "1s..2s" } function Counter:on_fail() error("as asked") end')
    end
    local one = spawn(failing(1), { n = 3 })
    stage:send(one, "Fail")
    stage:run()
    stage:send(one, "Add")
    assert(reload(one, failing(2)))
    stage:advance("3s")
    assert.same({ n = 4, of = 2 }, (stage:ask(one, "Get")))
    -- And one that ran it begins again in what it ran last.
    stage:send(one, "Fail")
    stage:advance("5s")
    assert.same({ n = 3, of = 2 }, (stage:ask(one, "Get")))
    stage:log()
  end)

  describe("asked for by a script", function()
    local ASKER = [[
      local Asker = { version = %d }
      function Asker:on_go(msg, env)
        local done, report = actor.reload(msg.options)
        env:reply("Over", { done = done, text = not done and report.text, reason = not done and report.reason,
          changed = done and report.changed, of = Asker.version })
      end
      function Asker:on_get(_, env) env:reply("State", { of = Asker.version }) end
      return Asker
    ]]

    local path
    local function write(text)
      local file <close> = assert(io.open(path, "w"))
      assert(file:write(text))
    end
    before_each(function()
      path = os.tmpname()
      write(ASKER:format(1))
    end)
    after_each(function()
      stage:log()
      os.remove(path)
    end)

    it("waits for the outcome, on the code that asked", function()
      local asker = assert(stage:spawn(path))
      write(ASKER:format(2))
      assert.same({ done = true, changed = true, of = 1, text = false, reason = false },
                  (stage:ask(asker, "Go")))
      assert.same({ of = 2 }, (stage:ask(asker, "Get")))
      assert.is_false((stage:ask(asker, "Go")).changed)
    end)

    it("says why it was refused", function()
      local asker = assert(stage:spawn(path))
      write("not Lua")
      local answer = stage:ask(asker, "Go")
      assert.equal("reload", answer.reason)
      assert.truthy(answer.text:match(":1: "), answer.text)
      answer = stage:ask(asker, "Go", { options = { script = "nowhere.lua" } })
      assert.equal("reload", answer.reason)
      assert.truthy(answer.text:find("nowhere.lua", 1, true), answer.text)
    end)

    it("by two at once does one after the other", function()
      local one, two = assert(stage:spawn(path)), assert(stage:spawn(path))
      stage:run()
      write(ASKER:format(2))
      stage:send(one, "Go")
      stage:send(two, "Go")
      stage:run()
      local changed = {}
      for _, each in ipairs(stage:outbox()) do
        assert.is_true(each.msg.done)
        table.insert(changed, each.msg.changed)
      end
      assert.same({ true, false }, changed)
    end)

    for what, case in pairs {
      ["an option that there is not"] = { { scirpt = "x" }, "no option 'scirpt'" },
      ["a script that is no path"] = { { script = 1 }, "script is a path" },
      ["a trial of no time"] = { { trial = 0 }, "more than 0 s" },
      ["an undo on trial"] = { { trial = "1s", undo = true }, "not on trial" },
    } do
      it("raises for " .. what, function()
        local asker = assert(stage:spawn(path))
        stage:ask(asker, "Go", { options = case[1] })
        local text = {}
        for _, line in ipairs(stage:log()) do table.insert(text, line.text) end
        assert.truthy(table.concat(text, "\n"):find(case[2], 1, true), table.concat(text, "\n"))
      end)
    end
  end)

  describe("is undone", function()
    it("by hand: the code before, and the state that on_reload had replaced", function()
      local one = spawn(counter(1), { n = 5 })
      assert(reload(one, counter(2, "function Counter:on_reload() self.n = 1000 end")))
      stage:send(one, "Add")
      assert.same({ n = 1001, of = 2 }, (stage:ask(one, "Get")))
      local report = assert(reload(one, nil, { undo = true }))
      assert.is_true(report.undo)
      assert.same({ n = 5, of = 1 }, (stage:ask(one, "Get")))
    end)

    it("not if there is nothing before", function()
      local one = spawn(counter(1))
      local report, why = reload(one, nil, { undo = true })
      assert.is_nil(report)
      assert.equal("reload", why.reason)
      assert.same({ n = 0, of = 1 }, (stage:ask(one, "Get")))
    end)
  end)

  describe("on trial", function()
    local FAILS = "function Counter:on_fail() error('as asked') end"

    it("goes back at the first error of a handler, to self as it was", function()
      local one = spawn(counter(1, FAILS), { n = 5 })
      local report = assert(reload(one, counter(2, FAILS), { trial = "30s" }))
      assert.equal(30, report.trial_s)
      stage:send(one, "Add")
      stage:advance("29s")
      assert.same({ n = 6, of = 2 }, (stage:ask(one, "Get")))
      stage:send(one, "Fail")
      stage:run()
      assert.same({ n = 5, of = 1 }, (stage:ask(one, "Get")))
      local said = {}
      for _, line in ipairs(stage:log()) do
        if line.text:match("^reload: ") then table.insert(said, line.text) end
      end
      assert.truthy(said[1]:match("trial has failed after 29%.0 s.+as asked"), said[1])
      assert.truthy(said[2]:match("#2 %-> #1.+back to what was before.+%(trial%)"), said[2])
    end)

    it("stays when its time is over, and errors are but errors again", function()
      local one = spawn(counter(1, FAILS), { n = 5 })
      assert(reload(one, counter(2, FAILS), { trial = "30s" }))
      stage:advance("31s")
      local line = stage:log()[1]
      assert.truthy(line.text:match("^reload: .+: the trial of 30 s is passed$"), line.text)
      stage:send(one, "Fail")
      stage:run()
      assert.same({ n = 5, of = 2 }, (stage:ask(one, "Get")))
      stage:log()
    end)

    it("is over when another version comes", function()
      local one = spawn(counter(1, FAILS))
      assert(reload(one, counter(2, FAILS), { trial = "30s" }))
      assert(stage:reload(one, counter(3, FAILS)))
      stage:send(one, "Fail")
      stage:advance("1m")
      assert.same({ n = 0, of = 3 }, (stage:ask(one, "Get")))
      stage:log()
    end)
  end)
end)
