-- What comes of a failure: the four policies, restarts within their limits, what
-- a restart keeps and what it ends.
local Stage = require "troupe.stage"

describe("an actor that fails", function()
  local stage

  before_each(function() stage = Stage.new() end)
  after_each(function()
    stage:output()
    stage:log()
    stage:close()
  end)

  local function spawn(name, source, options, config)
    local script = { name = name, source = source }
    for option, value in pairs(options or {}) do script[option] = value end
    return assert(stage:spawn(script, config))
  end

  -- Counts its starts and its work; fails in whatever callback it is told to.
  local WORKER = [[
    local Worker = {}
    function Worker:on_start(msg)
      print(("start %d%s"):format(msg.restarts, self.count and " with old state" or ""))
      self.count = 0
      if self.config.fails_at and msg.restarts >= self.config.fails_at then error("cannot start") end
      if self.config.timer then actor.after("50ms", "Tick", { fail = self.config.timer == "fails" }) end
    end
    function Worker:on_work(msg) self.count = self.count + 1 print("work " .. msg.n) end
    function Worker:on_get(msg, env) env:reply("Got", { count = self.count, me = actor.self, name = actor.name }) end
    function Worker:on_fail(msg) error(msg.why or "as asked") end
    function Worker:on_tick(msg) print("tick") if msg.fail then error("tick failed") end end
    function Worker:on_shutdown() print("shutdown") if self.config.fails_last then error("at last") end end
    return Worker
  ]]

  local function worker(options, config)
    return spawn("worker", WORKER, options or { failure = "restart" }, config)
  end

  -- The last lines of the reports since the last call: what became of the actor.
  local function outcomes()
    local list = {}
    for _, line in ipairs(stage:log()) do
      table.insert(list, line.text:match("([^\n]+)%s*$"):match("^%s*(.*)$"))
    end
    return list
  end

  local function dead()
    local list = {}
    for _, letter in ipairs(stage:dead_letters()) do
      table.insert(list, letter.type .. " " .. letter.reason .. ": " .. letter.text)
    end
    return list
  end

  describe("with failure = \"restart\"", function()
    it("begins again with a fresh state after a short wait, and says so", function()
      local it = worker()
      stage:send(it, "Work", { n = 1 })
      stage:send(it, "Fail")
      stage:run()
      assert.same({ "start 0", "work 1", "shutdown" }, stage:output())
      assert.same({ "the actor restarts (1 of 3 in 10 s), the message is a dead letter" }, outcomes())
      stage:advance("125ms")
      assert.same({ "start 1" }, stage:output())
      assert.same({ "Fail failed: worker.lua:10: as asked" }, dead())
    end)

    it("is counted", function()
      local it = worker()
      for _ = 1, 3 do
        stage:send(it, "Fail")
        stage:advance("1s")
      end
      stage:output()
      spawn("reader", [[function on_start() print(actor.metrics().restarts) end]])
      stage:run()
      assert.same({ "3" }, stage:output())
    end)

    it("keeps its ref, its name and its config", function()
      local it = worker(nil, { timer = false })
      local before = stage:ask(it, "Get")
      stage:send(it, "Fail")
      stage:advance("1s")
      local after = stage:ask("worker", "Get")
      assert.equal(it, before.me)
      assert.same(before, after)
      outcomes()
    end)

    it("handles the mail that waited, in its order, but not the message that failed", function()
      local it = worker()
      for n = 1, 3 do stage:send(it, "Work", { n = n }) end
      stage:send(it, "Fail")
      for n = 4, 6 do stage:send(it, "Work", { n = n }) end
      stage:run()
      stage:send(it, "Work", { n = 7 })
      stage:advance("1s")
      assert.same({ "start 0", "work 1", "work 2", "work 3", "shutdown",
                    "start 1", "work 4", "work 5", "work 6", "work 7" }, stage:output())
      assert.equal(4, stage:ask(it, "Get").count)
      outcomes()
    end)

    it("tells who asked at once, with the error", function()
      local it = worker()
      local none, why = stage:ask(it, "Fail", { why = "no luck" })
      assert.is_nil(none)
      assert.equal("failed", why.reason)
      assert.matches("no luck", why.text)
      assert.equal(0, stage:now())
      outcomes()
    end)

    it("tells those whose questions it has deferred", function()
      local it = spawn("worker", [[
        function on_keep(self, msg, env) self.kept = env env:defer() end
        function on_fail() error("lost all") end
      ]], { failure = "restart" })
      spawn("asker", [[
        function on_go(self, msg)
          local none, why = actor.ref("worker"):ask("Keep")
          print(none, why.reason, why.text:match("lost all"))
        end
      ]])
      stage:send("asker", "Go")
      stage:run()
      stage:send(it, "Fail")
      stage:run()
      assert.same({ "nil\tfailed\tlost all" }, stage:output())
      assert.equal(0, stage:now())
      outcomes()
    end)

    it("answers a question that came while it was halted", function()
      local it = worker()
      stage:send(it, "Fail")
      stage:run()
      assert.equal(0, stage:ask(it, "Get").count)
      assert.is_true(stage:now() > 0)
      outcomes()
    end)

    for _, case in ipairs {
      { "a timer's handler", { timer = "fails" }, function() stage:advance("60ms") end },
      { "on_shutdown of the end", { fails_last = true }, function() stage:send("worker", "Fail") stage:run() end },
    } do
      it("does so for " .. case[1], function()
        worker(nil, case[2])
        stage:run()
        case[3]()
        assert.matches("^the actor restarts %(1 of 3 in 10 s%)", outcomes()[1])
        stage:advance("125ms")
        local lines = stage:output()
        assert.equal("start 1", lines[#lines])
        stage:stop("worker")
        stage:run()
        stage:log()
      end)
    end

    it("does so for an on_start that fails in a restart, within the same limits", function()
      local it = worker(nil, { fails_at = 1 })
      stage:send(it, "Fail")
      stage:advance("10s")
      assert.same({ "start 0", "shutdown", "start 1", "start 2", "start 3" }, stage:output())
      assert.is_false(stage:alive(it))
      local said = outcomes()
      assert.equal("the actor restarts (1 of 3 in 10 s), the message is a dead letter", said[1])
      assert.equal("the actor restarts (3 of 3 in 10 s)", said[3])
      assert.equal("3 restarts in 10 s were not enough: the actor ends and the host with it", said[4])
    end)

    it("does so for a script that does not load again", function()
      local flag = os.tmpname()
      local it = spawn("worker", ([[
        if not io.open(%q) then error("the disk is gone") end
        function on_fail() error("once") end
        function on_get(self, msg, env) env:reply("Got") end
      ]]):format(flag), { failure = "restart" })
      stage:run()
      os.remove(flag)
      stage:send(it, "Fail")
      stage:advance("125ms")
      assert.matches("worker: it could not be started again: worker.lua:1: the disk is gone: " ..
                     "the actor restarts %(2 of 3 in 10 s%)", stage:log()[2].text)
      io.open(flag, "w"):close()
      assert.truthy(stage:ask(it, "Get"))
      os.remove(flag)
    end)

    it("ends when its first on_start fails, for it has never worked", function()
      local it = worker(nil, { fails_at = 0 })
      stage:advance("1h")
      assert.is_false(stage:alive(it))
      assert.same({ "start 0" }, stage:output())
      assert.same({ "the actor ends: it could not start" }, outcomes())
    end)

    it("replaces a state that is full", function()
      local it = spawn("hog", [[
        function on_start(self, msg) self.kept = {} end
        function on_hog(self) while true do self.kept[#self.kept + 1] = { 1, 2, 3 } end end
        function on_shutdown() print("not for a full state") end
        function on_get(self, msg, env) env:reply("Got", { count = #self.kept }) end
      ]], { failure = "restart", memory = "1MiB" })
      local none, why = stage:ask(it, "Hog")
      assert.is_nil(none)
      assert.matches("memory limit of 1 MiB reached", why.text)
      assert.equal(0, stage:ask(it, "Get").count)
      assert.same({}, stage:output())
      outcomes()
    end)

    it("replaces one whose handler has run for too long", function()
      local it = spawn("loop", [[
        function on_start(self, msg) self.restarts = msg.restarts end
        function on_loop() while true do end end
        function on_get(self, msg, env) env:reply("Got", { restarts = self.restarts }) end
      ]], { failure = "restart" })
      stage:send(it, "Loop")
      stage:run()
      assert.equal(1, stage:ask(it, "Get").restarts)
      assert.matches("instruction", stage:log()[1].text)
    end)

    it("ends its timers, even those whose message was in the mailbox", function()
      local it = spawn("worker", [[
        function on_start(self, msg)
          if msg.restarts > 0 then return end
          actor.every("100ms", "Tick")
          actor.after("1s", "Tick")
          actor.every("100ms", "Tick", nil, { to = actor.ref("other") })
        end
        function on_wait() actor.sleep("1s") error("now") end
        function on_tick() print("tick") end
      ]], { failure = "restart" })
      spawn("other", [[function on_tick() print("other tick") end]])
      stage:send(it, "Wait")
      stage:advance("999ms")
      stage:output()
      stage:advance("1h")
      assert.same({}, stage:output())
      outcomes()
    end)

    it("ends its children, and waits for that: the next ones may have their names", function()
      local it = spawn("parent", [[
        function on_start(self, msg)
          local child, why = actor.spawn("spec/support/slow_child", { name = "child", config = { n = msg.restarts } })
          print(child and "made" or why)
        end
        function on_fail() error("parent failed") end
      ]], { failure = "restart", restart = { backoff = "1ms" } })
      stage:run()
      stage:send(it, "Fail")
      stage:run()
      assert.is_true(stage:alive("child"))
      stage:advance("999ms")
      assert.same({ "made", "child 0 starts", "child 0 stops" }, stage:output())
      stage:advance("2ms")
      assert.same({ "child 0 ended", "made", "child 1 starts" }, stage:output())
      outcomes()
    end)

    it("kills children that do not end in five seconds", function()
      local it = spawn("parent", [[
        function on_start(self, msg)
          actor.spawn("spec/support/slow_child", { name = "child", config = { n = msg.restarts, takes = 3600 } })
        end
        function on_fail() error("parent failed") end
      ]], { failure = "restart" })
      stage:run()
      stage:send(it, "Fail")
      stage:advance("4.9s")
      assert.same({ "child 0 starts", "child 0 stops" }, stage:output())
      stage:advance("200ms")
      assert.same({ "child 1 starts" }, stage:output())
      assert.matches("children that do not end keep it from restarting; 1 were killed", stage:log()[2].text)
    end)

    it("drops the answers to what its last incarnation asked", function()
      local it = spawn("asker", [[
        function on_start(self, msg) self.restarts = msg.restarts end
        function on_go()
          actor.ref("slow"):start_ask("Question")
          error("gone before the answer")
        end
        function on_again(self, msg, env)
          local reply = assert(actor.ref("slow"):ask("Question", { n = 2 }))
          print("answer " .. reply.n)
        end
      ]], { failure = "restart" })
      spawn("slow", [[
        function on_question(self, msg, env) actor.sleep("1s") env:reply("Answer", { n = msg.n or 1 }) end
      ]])
      stage:send(it, "Go")
      stage:send(it, "Again")
      stage:advance("5s")
      assert.same({ "answer 2" }, stage:output())
      outcomes()
    end)

    it("takes mail under its limits while it is halted, and lets senders wait for room", function()
      local it = worker({ failure = "restart", mailbox = { limit = 2 } })
      stage:run()
      stage:send(it, "Fail")
      stage:run()
      spawn("sender", [[
        function on_go()
          for n = 1, 4 do print(actor.ref("worker"):send("Work", { n = n }, { timeout = n < 4 and "5s" or "10ms" })) end
        end
      ]])
      stage:output()
      stage:send("sender", "Go")
      stage:run()
      assert.same({ "true", "true" }, stage:output())
      stage:advance("1s")
      local worked, sent = {}, 0
      for _, line in ipairs(stage:output()) do
        if line == "true" then sent = sent + 1 else table.insert(worked, line) end
      end
      assert.same({ "start 1", "work 1", "work 2", "work 3", "work 4" }, worked)
      assert.equal(2, sent)
      outcomes()
    end)

    it("ends at once when it is stopped while it is halted", function()
      local it = worker()
      stage:send(it, "Fail")
      stage:send(it, "Work", { n = 1 })
      stage:run()
      stage:stop(it)
      stage:run()
      assert.is_false(stage:alive(it))
      assert.same({ "start 0", "shutdown" }, stage:output())
      assert.equal("Work down: the actor has ended", dead()[2])
      outcomes()
    end)

    it("does not restart when it was told to stop already", function()
      local it = worker()
      stage:run()
      stage:send(it, "Fail")
      stage:send(it, "Work", { n = 1 })
      stage:stop(it, { drain = true })
      stage:advance("1m")
      assert.is_false(stage:alive(it))
      assert.same({ "start 0", "shutdown" }, stage:output())
      assert.same({ "the actor ends, the message is a dead letter" }, outcomes())
    end)

    it("waits twice as long each time, up to its limit, and is quick again after a quiet span", function()
      local it = worker { failure = "restart",
                          restart = { max = 100, within = "1m", backoff = "1s..4s" } }
      local function wait_of_restart()
        stage:run()
        local before = stage:now()
        stage:send(it, "Fail")
        stage:ask(it, "Get", {}, "1m")
        return stage:now() - before
      end
      for i, expected in ipairs { 1, 2, 4, 4, 4 } do
        local wait = wait_of_restart()
        assert.is_true(wait >= expected * 0.75 and wait <= math.min(4, expected * 1.25), i .. ": " .. wait)
      end
      stage:advance("1m")
      assert.is_true(wait_of_restart() <= 1.25)
      outcomes()
    end)

    it("may restart for ever if it fails seldom enough", function()
      local it = worker { failure = "restart", restart = { max = 1, within = "1s" } }
      for _ = 1, 20 do
        stage:send(it, "Fail")
        stage:advance("1s")
      end
      assert.is_true(stage:alive(it))
      stage:send(it, "Fail")
      stage:advance("500ms")
      stage:send(it, "Fail")
      stage:run()
      assert.is_false(stage:alive(it))
      local said = outcomes()
      assert.equal("1 restart in 1 s was not enough: the actor ends and the host with it, " ..
                   "the message is a dead letter", said[#said - 1])
    end)
  end)

  describe("takes its settings", function()
    local function refusal(script, config)
      local none, why = stage:spawn(script, config)
      assert.is_nil(none)
      return why
    end

    it("from its script, which a spawner overrides one by one", function()
      local it = spawn("worker", [[
        local Worker = { failure = "restart", restart = { max = 2, within = "1s" } }
        function Worker:on_fail() error("as asked") end
        return Worker
      ]], { restart = { max = 5 } })
      stage:send(it, "Fail")
      stage:advance("1s")
      assert.same({ "the actor restarts (1 of 5 in 1 s), the message is a dead letter" }, outcomes())
    end)

    for option, expected in pairs {
      ["restart = 3"] = "restart is a table of max, within and backoff, not 3",
      ["restart = { max = 0 }"] = "restart.max is a number of restarts from 1 to 1000, not 0",
      ["restart = { max = 1001 }"] = "restart.max is a number of restarts from 1 to 1000, not 1001",
      ["restart = { max = 1.5 }"] = "restart.max is a number of restarts from 1 to 1000, not 1.5",
      ["restart = { within = 'soon' }"] = "restart.within is a duration of more than 0, as \"10s\", not 'soon'",
      ["restart = { backoff = '0s..1s' }"] = "restart.backoff is the shortest and the longest wait, as " ..
        "\"100ms..5s\", of at least 1ms, not '0s..1s'",
      ["restart = { backoff = '5s..1s' }"] = "restart.backoff is the shortest and the longest wait, as " ..
        "\"100ms..5s\", of at least 1ms, not '5s..1s'",
      ["restart = { backoff = '1s..' }"] = "restart.backoff is the shortest and the longest wait, as " ..
        "\"100ms..5s\", of at least 1ms, not '1s..'",
      ["restart = { witin = '1s' }"] = "options of restart have no 'witin' (did you mean 'within'?)",
    } do
      it("and refuses " .. option, function()
        assert.equal("worker.lua: " .. expected, refusal {
          name = "worker", source = "return { on_x = print, failure = 'restart', " .. option .. " }" })
      end)
    end

    it("and refuses restart without failure = \"restart\"", function()
      local said = "restart says how failure = \"restart\" goes about it, and failure is not that"
      assert.equal("worker.lua: " .. said,
        refusal { name = "worker", source = "return { on_x = print, restart = { max = 3 } }" })
      assert.equal(said, refusal { name = "worker", source = "return { on_x = print, failure = 'restart' }",
                                   failure = "stop", restart = { max = 3 } })
      assert.truthy(stage:spawn { name = "worker", failure = "stop",
                                  source = "return { on_x = print, failure = 'restart', restart = { max = 3 } }" })
    end)
  end)
end)
