-- How actors end: by a stop, by themselves, by a failure; and what becomes of
-- their mail, their waits, their timers and of those who hold their refs.
local Stage = require "troupe.stage"

describe("an actor's end", function()
  local stage

  before_each(function() stage = Stage.new() end)
  after_each(function() stage:close() end)

  local function spawn(name, source, options)
    local script = { name = name, source = source }
    for option, value in pairs(options or {}) do script[option] = value end
    return assert(stage:spawn(script))
  end

  -- Says what it does; answers Ping; waits, fails and ends as it is told.
  local WORKER = [[
    local Worker = {}
    function Worker:on_start() print("start") end
    function Worker:on_work(msg) print("work " .. msg.n) end
    function Worker:on_ping(msg, env) env:reply("Pong") end
    function Worker:on_fail() error("as asked") end
    function Worker:on_exit(msg) actor.exit(msg.reason) end
    function Worker:on_shutdown() print("shutdown") end
    return Worker
  ]]

  local function worker(options) return spawn("worker", WORKER, options) end

  -- The types and reasons of what went to the dead letters.
  local function dead()
    local list = {}
    for _, letter in ipairs(stage:dead_letters()) do
      table.insert(list, letter.type .. " " .. letter.reason)
    end
    return list
  end

  describe("by stop", function()
    it("finishes the message in hand, runs on_shutdown, and the rest are dead letters", function()
      spawn("worker", [[
        function on_work(self, msg)
          print("work " .. msg.n)
          if msg.n == 1 then actor.self:stop() end
          print("worked " .. msg.n)
        end
        function on_shutdown() print("shutdown") end
      ]])
      for n = 1, 3 do stage:send("worker", "Work", { n = n }) end
      stage:run()
      assert.same({ "work 1", "worked 1", "shutdown" }, stage:output())
      assert.same({ "Work down", "Work down" }, dead())
      assert.is_false(stage:alive("worker"))
    end)

    it("with drain handles first what is there, but nothing that comes later", function()
      local it = worker()
      stage:run()
      for n = 1, 3 do stage:send(it, "Work", { n = n }) end
      stage:stop(it, { drain = true })
      assert.is_true(stage:alive(it))
      stage:run()
      assert.same({ "start", "work 1", "work 2", "work 3", "shutdown" }, stage:output())
      assert.same({}, dead())
      local sent, why = stage:send(it, "Work", { n = 4 })
      assert.is_nil(sent)
      assert.equal("down", why.reason)
    end)

    it("with drain handles all of it, also if a timer's message lies among it", function()
      spawn("worker", [[
        function on_start() actor.after("1s", "Tick") end
        function on_tick() print("tick") end
        function on_wait() actor.receive("Go") print("went") end
        function on_work(self, msg) print("work " .. msg.n) end
      ]])
      stage:send("worker", "Wait")
      stage:advance("2s")
      for n = 1, 2 do stage:send("worker", "Work", { n = n }) end
      stage:stop("worker", { drain = true })
      stage:run()
      assert.same({ "went", "tick", "work 1", "work 2" }, stage:output())
      assert.same({}, dead())
    end)

    it("with drain ends even if each message brings another", function()
      spawn("worker", [[
        function on_work(self) actor.self:send("Work") end
        function on_shutdown() print("shutdown") end
      ]])
      stage:send("worker", "Work")
      stage:stop("worker", { drain = true })
      stage:run()
      assert.same({ "shutdown" }, stage:output())
      assert.is_false(stage:alive("worker"))
      stage:dead_letters()
    end)

    it("comes before the mail that waits, also before high priority", function()
      local it = worker()
      stage:run()
      for n = 1, 2 do stage:send(it, "Work", { n = n }) end
      stage:stop(it)
      stage:run()
      assert.same({ "start", "shutdown" }, stage:output())
      assert.same({ "Work down", "Work down" }, dead())
    end)

    it("before the start lets it start, and ends it then", function()
      local it = worker()
      stage:send(it, "Work", { n = 1 })
      stage:stop(it)
      stage:run()
      assert.same({ "start", "shutdown" }, stage:output())
      assert.same({ "Work down" }, dead())
      assert.is_false(stage:alive(it))
    end)

    it("runs on_shutdown once, however often it is asked for", function()
      local it = worker()
      stage:run()
      for _ = 1, 3 do stage:stop(it) end
      stage:stop(it, { drain = true })
      stage:run()
      assert.same({ "start", "shutdown" }, stage:output())
    end)

    it("from another actor answers whether there was somebody to stop", function()
      worker()
      spawn("boss", [[
        function on_start()
          local worker = actor.ref("worker")
          print(worker:stop())
        end
        function on_again()
          local done, why = actor.ref("worker"):stop()
          print(done, why and why.reason)
        end
      ]])
      stage:run()
      stage:send("boss", "Again")
      stage:run()
      assert.same({ "start", "true", "shutdown", "nil\tdown" }, stage:output())
    end)

    it("refuses options that it does not know", function()
      spawn("boss", [[
        function on_start()
          print(pcall(function() actor.self:stop({ drian = true }) end))
          print(pcall(function() actor.self:stop(5) end))
        end
      ]])
      stage:run()
      for _, line in ipairs(stage:output()) do assert.matches("^false\tboss.lua:%d+: stop: ", line) end
    end)

    it("tells those who asked what was still in its mailbox", function()
      local it = worker()
      stage:run()
      spawn("asker", [[
        function on_start()
          local none, why = actor.ref("worker"):ask("Work", { n = 1 })
          print(none, why.reason)
        end
      ]])
      stage:stop(it)
      stage:run()
      assert.same({ "start", "shutdown", "nil\tdown" }, stage:output())
      assert.equal(0, stage:now())
      stage:dead_letters()
    end)
  end)

  describe("by actor.exit", function()
    it("runs on_shutdown, and what is left becomes dead letters", function()
      local it = worker()
      stage:send(it, "Exit", {})
      stage:send(it, "Work", { n = 1 })
      stage:run()
      assert.same({ "start", "shutdown" }, stage:output())
      assert.same({ "Work down" }, dead())
      assert.same({}, stage:log())
    end)

    it("tells who asked, with the reason", function()
      local it = worker()
      local none, why = stage:ask(it, "Exit", { reason = "tired" })
      assert.is_nil(none)
      assert.equal("down", why.reason)
      assert.matches("tired", why.text)
      stage:output()
    end)

    it("is caught by no pcall, xpcall or coroutine", function()
      local STUBBORN = [[
        local function leave() actor.exit("now") end
        function on_one() pcall(leave) print("not reached") end
        function on_two() xpcall(leave, function() print("not reached") end) print("not reached") end
        function on_three()
          coroutine.wrap(function() pcall(leave) print("not reached") end)()
          print("not reached")
        end
        function on_shutdown() print("shutdown") end
      ]]
      for _, type in ipairs { "One", "Two", "Three" } do
        local it = spawn("worker", STUBBORN)
        stage:send(it, type)
        stage:run()
        assert.is_false(stage:alive(it))
        assert.same({ "shutdown" }, stage:output())
      end
    end)

    it("closes what the handler has open", function()
      spawn("worker", [[
        function on_work()
          local open <close> = setmetatable({}, { __close = function() print("closed") end })
          actor.exit()
        end
      ]])
      stage:send("worker", "Work")
      stage:run()
      assert.same({ "closed" }, stage:output())
    end)

    it("in on_start ends it before it handles anything", function()
      local it = spawn("worker", [[
        function on_start() actor.exit("nothing to do") end
        function on_work() print("not reached") end
        function on_shutdown() print("shutdown") end
      ]])
      stage:send(it, "Work")
      stage:run()
      assert.same({ "shutdown" }, stage:output())
      assert.same({ "Work down" }, dead())
      assert.same({}, stage:log())
    end)

    it("in on_shutdown just ends it", function()
      local it = spawn("worker", [[
        function on_shutdown() print("shutdown") actor.exit() end
        function on_ping() end
      ]])
      stage:stop(it)
      stage:run()
      assert.same({ "shutdown" }, stage:output())
      assert.is_false(stage:alive(it))
    end)

    it("leaves the reply that was given before it", function()
      local it = spawn("worker", [[
        function on_ping(self, msg, env) env:reply("Pong", { n = 1 }) actor.exit() end
      ]])
      assert.same({ n = 1 }, (stage:ask(it, "Ping")))
      stage:run()
      assert.is_false(stage:alive(it))
    end)
  end)

  describe("by os.exit", function()
    it("is the actor's only: the program and the others go on", function()
      worker()
      spawn("rash", [[
        function on_go() print("going") os.exit(1, true) print("not reached") end
        function on_shutdown() print("shutdown of rash") end
      ]])
      stage:run()
      stage:send("rash", "Go")
      stage:run()
      assert.same({ "start", "going", "shutdown of rash" }, stage:output())
      assert.is_false(stage:alive("rash"))
      assert.truthy(stage:ask("worker", "Ping"))
    end)
  end)

  describe("cuts a wait short", function()
    local WAITS = {
      sleep = 'actor.sleep("1h")',
      receive = 'actor.receive("Never", { timeout = "1h" })',
      ask = 'actor.ref("silent"):ask("Hush", nil, { timeout = "1h" })',
      ["send for room"] = 'actor.ref("full"):send("Note", nil, { timeout = "1h" })',
      all = 'actor.all({ actor.ref("silent"):start_ask("Hush") }, { timeout = "1h" })',
      any = 'actor.any({ actor.ref("silent"):start_ask("Hush") }, { timeout = "1h" })',
    }
    for what, wait in pairs(WAITS) do
      it("of " .. what .. ", which returns nil and why: stopping", function()
        spawn("silent", [[
          function on_hush(self, msg, env) env:defer() self.kept = env end
        ]])
        local full = spawn("full", [[
          local Full = { mailbox = { limit = 1 } }
          function Full:on_block() actor.receive("Never", { timeout = "1h" }) end
          function Full:on_note() end
          return Full
        ]])
        stage:send(full, "Block")
        stage:run()
        stage:send(full, "Note")
        spawn("waiter", ([[
          function on_wait()
            print("waiting")
            local done, why = %s
            print(done, why and why.reason)
            local again, why_again = %s
            print(again, why_again and why_again.reason)
          end
          function on_shutdown() print("shutdown") end
        ]]):format(wait, wait))
        stage:send("waiter", "Wait")
        stage:run()
        assert.same({ "waiting" }, stage:output())
        stage:stop("waiter")
        stage:run()
        assert.same({ "nil\tstopping", "nil\tstopping", "shutdown" }, stage:output())
        assert.equal(0, stage:now())
        stage:stop("full")
        stage:run()
        stage:dead_letters()
      end)
    end

    it("but not with drain, as long as it may still be answered", function()
      spawn("waiter", [[
        function on_wait() print(actor.sleep("1s")) end
        function on_shutdown() print("shutdown") end
      ]])
      stage:send("waiter", "Wait")
      stage:run()
      stage:stop("waiter", { drain = true })
      stage:advance("2s")
      local lines = stage:output()
      assert.equal("shutdown", lines[#lines])
      assert.is_false(stage:alive("waiter"))
    end)
  end)

  describe("leaves refs", function()
    it("that answer nil and why: down", function()
      spawn("holder", [[
        function on_hold(self, msg) self.ref = msg.ref end
        function on_try(self)
          local function show(what, done, why) print(what, done, why and why.reason, why) end
          show("send", self.ref:send("Work"))
          show("try_send", self.ref:try_send("Work"))
          show("ask", self.ref:ask("Work"))
          show("stop", self.ref:stop())
          show("after", actor.after("1s", "Work", nil, { to = self.ref }))
          show("delayed", self.ref:send("Work", nil, { after = "1s" }))
          show("name", actor.ref("worker"):send("Work"))
        end
      ]])
      local it = worker()
      stage:send("holder", "Hold", { ref = it })
      stage:run()
      stage:stop(it)
      stage:run()
      stage:output()
      stage:send("holder", "Try")
      stage:run()
      local lines = stage:output()
      assert.equal(7, #lines)
      for _, line in ipairs(lines) do assert.matches("^[%w_]+\tnil\tdown\t.", line) end
      assert.equal(0, stage:now())
      stage:dead_letters()
    end)

    it("and its name free for another, which old refs do not reach", function()
      spawn("holder", [[
        function on_hold(self, msg) self.ref = self.ref or msg.ref end
        function on_try(self)
          local sent, why = self.ref:send("Work", { n = 1 })
          print(sent, why and why.reason)
          print(actor.ref("worker"):send("Work", { n = 2 }))
        end
      ]])
      stage:send("holder", "Hold", { ref = worker() })
      stage:stop("worker")
      stage:run()
      worker()
      stage:run()
      stage:output()
      stage:send("holder", "Try")
      stage:run()
      assert.same({ "nil\tdown", "true", "work 2" }, stage:output())
      stage:dead_letters()
    end)

    it("and whoever waits for its answer is told at once", function()
      spawn("keeper", [[
        function on_hush(self, msg, env) env:defer() self.kept = env end
      ]])
      spawn("asker", [[
        function on_start()
          local none, why = actor.ref("keeper"):ask("Hush", nil, { timeout = "1h" })
          print(none, why.reason, actor.now())
        end
      ]])
      stage:run()
      stage:stop("keeper")
      stage:run()
      assert.matches("^nil\tdown\t", stage:output()[1])
      assert.equal(0, stage:now())
    end)
  end)

  describe("by failure", function()
    it("in on_start always comes, and on_shutdown does not run", function()
      local it = spawn("worker", [[
        function on_start() error("cannot") end
        function on_work() print("not reached") end
        function on_shutdown() print("not reached") end
      ]], { failure = "continue" })
      stage:send(it, "Work")
      stage:run()
      assert.is_false(stage:alive(it))
      assert.same({}, stage:output())
      assert.same({ "Work down" }, dead())
      assert.matches("the actor ends: it could not start\n?$", stage:log()[1].text)
    end)

    it("does not come with failure = continue: state is kept, the message is a dead letter", function()
      local it = spawn("worker", [[
        function on_start(self) self.count = 0 end
        function on_fail(self) self.count = self.count + 1 error("as asked") end
        function on_get(self, msg, env) env:reply("Got", { count = self.count }) end
      ]], { failure = "continue" })
      stage:send(it, "Fail")
      stage:send(it, "Fail")
      assert.same({ count = 2 }, (stage:ask(it, "Get")))
      assert.same({ "Fail failed", "Fail failed" }, dead())
      assert.matches("the actor goes on, the message is a dead letter\n?$", stage:log()[1].text)
    end)

    it("comes with failure = stop, with on_shutdown", function()
      local it = worker { failure = "stop" }
      stage:send(it, "Fail")
      stage:send(it, "Work", { n = 1 })
      stage:run()
      assert.is_false(stage:alive(it))
      assert.same({ "start", "shutdown" }, stage:output())
      assert.same({ "Fail failed", "Work down" }, dead())
      assert.matches("the actor ends, the message is a dead letter\n?$", stage:log()[1].text)
    end)

    it("tells who asked why, in both cases", function()
      for _, failure in ipairs { "continue", "stop" } do
        local it = worker { failure = failure }
        local none, why = stage:ask(it, "Fail")
        assert.is_nil(none)
        assert.equal("failed", why.reason)
        assert.matches("worker.lua:5: as asked", why.text)
        stage:stop(it)
        stage:run()
      end
      stage:output()
      stage:log()
    end)

    it("in on_shutdown does no harm: it is reported, and the actor has ended", function()
      worker()
      local it = spawn("clumsy", [[
        function on_ping() end
        function on_shutdown() print("shutdown") error("at the very end") end
      ]])
      stage:run()
      stage:stop(it)
      stage:run()
      assert.is_false(stage:alive(it))
      assert.same({ "start", "shutdown" }, stage:output())
      local report = stage:log()[1].text
      assert.matches("clumsy.lua:2: at the very end", report)
      assert.matches("in on_shutdown", report)
      assert.matches("the actor has ended\n?$", report)
      assert.truthy(stage:ask("worker", "Ping"))
    end)

    it("of on_shutdown after a failure, too", function()
      local it = spawn("clumsy", [[
        local Clumsy = { failure = "stop" }
        function Clumsy:on_fail() error("first") end
        function Clumsy:on_shutdown() error("second") end
        return Clumsy
      ]])
      stage:send(it, "Fail")
      stage:run()
      assert.is_false(stage:alive(it))
      local reports = stage:log()
      assert.matches("first", reports[1].text)
      assert.matches("second", reports[2].text)
    end)
  end)

  describe("takes along", function()
    it("its timers, also those for others", function()
      spawn("other", [[function on_tick() print("tick") end]])
      local it = spawn("owner", [[
        function on_start()
          actor.every("1s", "Tick")
          actor.every("1s", "Tick", nil, { to = actor.ref("other") })
          actor.after("5s", "Tick", nil, { to = actor.ref("other") })
        end
        function on_tick() print("own tick") end
      ]])
      stage:advance("1s")
      local first = stage:output()
      table.sort(first)
      assert.same({ "own tick", "tick" }, first)
      stage:stop(it)
      stage:advance("1h")
      assert.same({}, stage:output())
      stage:log()
    end)

    it("nothing of a delayed message that it has sent already", function()
      spawn("other", [[function on_note() print("note") end]])
      local it = spawn("sender", [[
        function on_start() actor.after(0, "Note", nil, { to = actor.ref("other") }) end
      ]])
      stage:run()
      stage:advance(0)
      stage:stop(it)
      stage:run()
      assert.same({ "note" }, stage:output())
    end)
  end)

  describe("on_shutdown", function()
    it("may still send, ask and wait", function()
      worker()
      local it = spawn("leaver", [[
        function on_ping() end
        function on_shutdown(self, msg, env)
          print(env.type, env.from, next(msg))
          local worker = actor.ref("worker")
          print(worker:send("Work", { n = 9 }))
          local _, answer = worker:ask("Ping")
          print(answer.type)
          actor.sleep("1s")
          print("slept", actor.self:send("Ping"))
        end
      ]])
      stage:run()
      stage:output()
      stage:stop(it)
      stage:run()
      assert.same({ "Shutdown\tnil\tnil", "true", "work 9", "Pong" }, stage:output())
      assert.is_true(stage:alive(it))
      stage:advance("1s")
      assert.is_false(stage:alive(it))
      assert.matches("^slept\t", stage:output()[1])
      stage:dead_letters()
    end)

    it("that waits too long is cut by the next stop", function()
      local it = spawn("leaver", [[
        function on_ping() end
        function on_shutdown(self, msg, env)
          local done, why = actor.sleep("1h")
          print(done, why and why.reason)
        end
      ]])
      stage:run()
      stage:stop(it)
      stage:run()
      assert.is_true(stage:alive(it))
      stage:stop(it)
      stage:run()
      assert.is_false(stage:alive(it))
      assert.same({ "nil\tstopping" }, stage:output())
      assert.equal(0, stage:now())
    end)

    it("ends a handler that goes on waiting in a loop, which no pcall hides", function()
      local it = spawn("heart", [[
        function on_beat() while true do pcall(actor.sleep, 1) self = nil end end
        function on_shutdown() print("ended") end
      ]])
      stage:send(it, "Beat")
      stage:run()
      stage:stop(it)
      stage:run()
      assert.same({ "ended" }, stage:output())
      assert.matches("heart: on_beat went on waiting after it was told to stop", stage:log()[1].text)
    end)

    it("that sends to itself leaves a dead letter or an answer, and no leak", function()
      local it = spawn("leaver", [[
        function on_ping() end
        function on_shutdown()
          local sent, why = actor.self:send("Ping")
          print(sent or why.reason)
        end
      ]])
      stage:stop(it)
      stage:run()
      local line = stage:output()[1]
      if line == "true" then
        assert.same({ "Ping down" }, dead())
      else
        assert.equal("down", line)
      end
    end)
  end)
end)
