-- Time: messages that come later, once or again and again; durations; waits that
-- nobody cuts short; and a clock that only the spec moves.
local Stage = require "troupe.stage"

describe("time", function()
  local stage

  before_each(function() stage = Stage.new() end)
  after_each(function() stage:close() end)

  -- An actor whose on_start is `body`, whose helper at() is the time since then,
  -- and which prints each Tick, Timeout and Note with it.
  local function clock(body, options)
    local script = { name = "clock", source = ([[
      local born
      local function at() return ("%%.3f"):format(actor.now() - born) end
      function on_start(self, msg, env)
        born = actor.now()
        %s
      end
      function on_tick(self, msg)
        print("tick", at(), msg.missed)
        if self.on_tick then self.on_tick(msg) end
      end
      function on_timeout(self, msg) print("timeout", at(), math.type(msg.id), msg.id) end
      function on_note(self, msg) print("note", at(), msg.text) end
      function on_cancel(self, msg, env)
        local prevented = self.timer:cancel()
        print("cancel", at(), prevented)
        if env.asked then env:reply("Cancelled", { prevented = prevented }) end
      end
      function on_sleep(self, msg) print("slept", actor.sleep(msg.long), at()) end
      function on_hold(self) coroutine.wrap(function() actor.receive("Release", { timeout = "1h" }) end)() end
      function on_release() end
      function on_ping(self, msg, env) env:reply("Pong") end
    ]]):format(body) }
    for key, value in pairs(options or {}) do script[key] = value end
    local ref = assert(stage:spawn(script))
    stage:run()
    return ref
  end

  local function printed_by(body)
    clock(body)
    return stage:output()
  end

  describe("a duration", function()
    for text, seconds in pairs {
      ['"250ms"'] = 0.25, ['"2s"'] = 2, ['"1.5s"'] = 1.5, ['"1m"'] = 60, ['"1h"'] = 3600,
      ['"4.0ms"'] = 0.004, ["0.125"] = 0.125, ["3"] = 3, ['"0s"'] = 0, ["0"] = 0, ["1e9"] = 1e9,
    } do
      it("may be " .. text, function()
        clock(("actor.after(%s, 'Tick')"):format(text))
        if seconds > 0 then
          stage:advance(seconds - 0.0001)
          assert.same({}, stage:output())
          stage:advance("0.1ms")
        end
        stage:advance(0)
        assert.same({ ("tick\t%.3f\tnil"):format(seconds) }, stage:output())
      end)
    end

    for _, bad in ipairs {
      '"2 parsecs"', '""', '"s"', '"2"', '"-1s"', '"1e3s"', '" 2s"', '"2s "', '"1.s"', '".5s"', '"1.2.3s"',
      '"2d"', '"0x10s"', '"infs"', '"nans"', "-1", "-0.001", "1/0", "-1/0", "0/0", "1e300", "2e9", '"1e300"',
      '"99999999999h"', "{}", "true", "print", "nil", '"1s\\0"',
    } do
      it("cannot be " .. bad, function()
        local lines = printed_by(([[
          print(pcall(function() actor.after(%s, "Tick") end))
          print(pcall(function() actor.sleep(%s) end))
          print(pcall(function() actor.self:ask("Ping", nil, { timeout = %s or {} }) end))
        ]]):format(bad, bad, bad))
        for i, what in ipairs { "actor.after", "sleep" } do
          local wanted = ("false\tclock.lua:%d: %s: a duration is \"250ms\", \"2s\", \"1m\", \"1h\" or a number"):format(
            i + 4, what)
          assert.equal(wanted, lines[i]:sub(1, #wanted))
        end
        assert.matches("^false\tclock.lua:7: ask: ", lines[3])
      end)
    end

    it("of the spec's own may not be endless or nonsense either", function()
      for _, bad in ipairs { math.huge, -1, 0 / 0, 1e300, "2 parsecs", "-1s", {}, true } do
        local ok, why = pcall(stage.advance, stage, bad)
        assert.is_false(ok)
        assert.matches("a duration is", why)
      end
    end)
  end)

  describe("actor.after", function()
    it("brings one message when its time has come, not before", function()
      clock [[actor.after("2s", "Tick")]]
      stage:advance("1.999s")
      assert.same({}, stage:output())
      stage:advance("1ms")
      assert.same({ "tick\t2.000\tnil" }, stage:output())
      stage:advance("1h")
      assert.same({}, stage:output())
    end)

    it("carries a message, as it was when the timer was made", function()
      clock [[
        local msg = { text = "first" }
        actor.after("1s", "Note", msg)
        msg.text = "changed"
      ]]
      stage:advance("1s")
      assert.same({ "note\t1.000\tfirst" }, stage:output())
    end)

    it("of 0 comes after this handler", function()
      assert.same({ "handler ends", "tick\t0.000\tnil" }, (function()
        clock [[actor.after(0, "Tick") print("handler ends")]]
        stage:advance(0)
        return stage:output()
      end)())
    end)

    it("with a number brings the family's Timeout with that id", function()
      clock [[
        local first, second = actor.next_timer_id(), actor.next_timer_id()
        print(first, second)
        actor.after("2s", second)
        actor.after("1s", first)
        actor.after("3s", -7)
      ]]
      stage:advance("3s")
      assert.same({
        "1\t2", "timeout\t1.000\tinteger\t1", "timeout\t2.000\tinteger\t2", "timeout\t3.000\tinteger\t-7",
      }, stage:output())
    end)

    it("sends to another actor with `to`, in the name of who made it", function()
      assert(stage:spawn({ name = "other", source = [[
        function on_tick(self, msg, env) print("other", env.from, msg.n, env.asked) end
      ]] }))
      clock [[actor.after("1s", "Tick", { n = 5 }, { to = actor.ref("other") })]]
      stage:advance("1s")
      assert.same({ "other\tclock\t5\tfalse" }, stage:output())
    end)

    it("says who it comes from when it is one's own", function()
      assert(stage:spawn({ name = "me", source = [[
        function on_start() actor.after("1s", "Tick") end
        function on_tick(self, msg, env) print(env.from == actor.self, env.type, env.asked) end
      ]] }))
      stage:advance("1s")
      assert.same({ "true\tTick\tfalse" }, stage:output())
    end)

    for call, expected in pairs {
      ['actor.after("1s")'] = "actor.after: ",
      ['actor.after("1s", {})'] = "actor.after: ",
      ['actor.after("1s", "")'] = "actor.after: ",
      ['actor.after("1s", "Start")'] = "actor.after: ",
      ['actor.after("1s", 1.5)'] = "actor.after: a timer's id is an integer, not 1.5",
      ['actor.after("1s", 1, { a = 1 })'] =
        "actor.after: with an id the message is Timeout{id}, and carries nothing else",
      ['actor.after("1s", "Tick", 5)'] = "",
      ['actor.after("1s", "Tick", { f = print })'] = "msg.f: a function cannot be sent",
      ['actor.after("1s", "Tick", nil, 5)'] = "actor.after: options are a table, not a number",
      ['actor.after("1s", "Tick", nil, { two = 1 })'] = "actor.after: no option is called 'two'; there is 'to'",
      ['actor.after("1s", "Tick", nil, { to = "me" })'] = "actor.after: option 'to' is a ref, not a string",
      ['actor.after("1s", "Tick", nil, { to = actor.ref("x@:5001") })'] =
        "actor.after: option 'to' is for actors of this host",
      ['actor.every(0, "Tick")'] = "actor.every: the interval must be more than 0",
      ['actor.every("0ms", "Tick")'] = "actor.every: the interval must be more than 0",
      ['actor.every(-1, "Tick")'] = "actor.every: a duration is",
      ['actor.every(0/0, "Tick")'] = "actor.every: a duration is",
      ['actor.every(1/0, "Tick")'] = "actor.every: a duration is",
      ['actor.every(1e300, "Tick")'] = "actor.every: a duration is",
      ['actor.every(1e-12, "Tick")'] = "actor.every: the interval must be more than 0",
    } do
      it("and its like refuse " .. call, function()
        local line = printed_by("print(pcall(function() " .. call .. " end))")[1]
        local wanted = "false\tclock.lua:5: " .. expected
        assert.equal(wanted, line:sub(1, #wanted))
        stage:advance("1h")
        assert.same({}, stage:output())
      end)
    end

    it("to a name that nobody has is nil and why", function()
      local line = printed_by([[
        local timer, why = actor.after("1s", "Tick", nil, { to = actor.ref("nobody") })
        print(timer, why.reason, why)
      ]])[1]
      assert.matches("^nil\tdown\t.*nobody", line)
    end)

    it("fires in order of time, and of making where the time is the same", function()
      clock [[
        actor.after("2s", "Note", { text = "c" })
        actor.after("1s", "Note", { text = "a" })
        actor.after("2s", "Note", { text = "d" })
        actor.after("1s", "Note", { text = "b" })
        actor.after("3s", "Note", { text = "e" })
      ]]
      stage:advance("1h")
      local texts = {}
      for _, line in ipairs(stage:output()) do table.insert(texts, line:sub(-1)) end
      assert.equal("abcde", table.concat(texts))
    end)

    it("made by a message of a timer counts from that message's time", function()
      clock [[
        self.on_tick = function() if actor.now() - born < 2.5 then actor.after("1s", "Tick") end end
        actor.after("1s", "Tick")
      ]]
      stage:advance("1h")
      assert.same({ "tick\t1.000\tnil", "tick\t2.000\tnil", "tick\t3.000\tnil" }, stage:output())
    end)
  end)

  describe("a delayed send", function()
    it("comes when it is time, and answers a timer", function()
      clock [[
        local timer = actor.self:send("Note", { text = "later" }, { after = "2s" })
        print(timer)
      ]]
      stage:advance("2s")
      assert.same({ "timer Note", "note\t2.000\tlater" }, stage:output())
    end)

    it("can be cancelled until it is queued elsewhere", function()
      assert(stage:spawn({ name = "other", source = [[function on_note(self, msg) print(msg.text) end]] }))
      clock [[
        local one = actor.ref("other"):send("Note", { text = "one" }, { after = "1s" })
        local two = actor.ref("other"):send("Note", { text = "two" }, { after = "1s" })
        print(two:cancel(), two:cancel())
        self.timer = one
      ]]
      stage:advance("1s")
      assert.same({ "true\tfalse", "one" }, stage:output())
      assert.same({ prevented = false }, (stage:ask("clock", "Cancel")))
      stage:output()
    end)
  end)

  describe("actor.every", function()
    it("ticks at each interval, and says how many ticks were missed", function()
      clock [[actor.every("1s", "Tick")]]
      stage:advance("3s")
      assert.same({ "tick\t1.000\t0", "tick\t2.000\t0", "tick\t3.000\t0" }, stage:output())
    end)

    it("with a number ticks as Timeout", function()
      clock [[actor.every("1s", 4)]]
      stage:advance("2s")
      assert.same({ "timeout\t1.000\tinteger\t4", "timeout\t2.000\tinteger\t4" }, stage:output())
    end)

    it("does not drift in a thousand ticks, however late each is handled", function()
      assert(stage:spawn({ name = "metronome", source = [[
        function on_start(self)
          self.born, self.count, self.worst = actor.now(), 0, 0
          actor.every("7ms", "Tick")
        end
        function on_tick(self)
          self.count = self.count + 1
          local late = actor.now() - self.born - self.count * 0.007
          self.worst = math.max(self.worst, math.abs(late))
          actor.sleep("3ms")
        end
        function on_get(self, msg, env) env:reply("Got", { count = self.count, worst = self.worst }) end
      ]] }))
      stage:advance("7.005s")
      local got = stage:ask("metronome", "Get")
      assert.equal(1000, got.count)
      assert.is_true(got.worst < 1e-6, got.worst)
    end)

    it("is never queued twice: a busy actor finds one tick, with the missed ones counted", function()
      clock [[
        actor.every("1s", "Tick")
        actor.self:send("Sleep", { long = "10.5s" })
      ]]
      stage:advance("12s")
      local lines = stage:output()
      assert.matches("^slept\t.*10.500$", lines[1])
      assert.same({ "tick\t10.500\t9", "tick\t11.000\t0", "tick\t12.000\t0" }, { table.unpack(lines, 2) })
    end)

    it("never has more than one message in another's mailbox either", function()
      assert(stage:spawn({ name = "sleeper", source = [[
        function on_start() actor.sleep("10.5s") end
        function on_tick(self, msg) print("tick", msg.missed) end
      ]] }))
      clock [[actor.every("1s", "Tick", nil, { to = actor.ref("sleeper") })]]
      stage:advance("12s")
      assert.same({ "tick\t9", "tick\t0", "tick\t0" }, stage:output())
    end)

    it("does not touch a field of the message that is called otherwise", function()
      clock [[actor.every("1s", "Note", { text = "same each time" })]]
      stage:advance("2s")
      assert.same({ "note\t1.000\tsame each time", "note\t2.000\tsame each time" }, stage:output())
    end)

    it("ticks on when a handler fails", function()
      clock [[
        self.on_tick = function() error("each time") end
        actor.every("1s", "Tick")
      ]]
      stage:advance("3s")
      assert.equal(3, #stage:output())
      assert.equal(3, #stage:log())
      stage:dead_letters()
    end)

    it("gets through when the mailbox is full: a timer's message has its own room", function()
      assert(stage:spawn({ name = "tiny", source = [[
        local Tiny = { mailbox = { limit = 1, overflow = "fail" } }
        function Tiny:on_start() actor.every("1s", "Tick") actor.sleep("2.5s") end
        function Tiny:on_note() print("note") end
        function Tiny:on_tick(msg) print("tick", msg.missed) end
        return Tiny
      ]] }))
      stage:run()
      assert.is_true(stage:send("tiny", "Note"))
      assert.is_nil(stage:send("tiny", "Note"))
      stage:advance("2.5s")
      assert.same({ "note", "tick\t1" }, stage:output())
      stage:dead_letters()
    end)
  end)

  describe("timer:cancel()", function()
    it("says whether it prevented a delivery: the first time yes, then no", function()
      assert.same({ "true\tfalse\tfalse" }, printed_by [[
        local timer = actor.after("1s", "Tick")
        print(timer:cancel(), timer:cancel(), timer:cancel())
      ]])
      stage:advance("1h")
      assert.same({}, stage:output())
    end)

    it("is false when the message has been handled", function()
      clock [[self.timer = actor.after("1s", "Tick")]]
      stage:advance("1s")
      assert.same({ prevented = false }, (stage:ask("clock", "Cancel")))
      assert.same({ "tick\t1.000\tnil", "cancel\t1.000\tfalse" }, stage:output())
    end)

    it("takes back one's own message, even if it is in the mailbox already", function()
      clock [[
        self.timer = actor.after("1s", "Tick")
        actor.after("2s", "Note", { text = "behind" })
        actor.self:send("Sleep", { long = "3s" })
        actor.self:send("Cancel")
      ]]
      stage:advance("1h")
      assert.same({ "slept\ttrue\t3.000", "cancel\t3.000\ttrue", "note\t3.000\tbehind" }, stage:output())
    end)

    it("takes back a periodic tick that is queued, and ends the timer", function()
      clock [[
        self.timer = actor.every("1s", "Tick")
        actor.self:send("Sleep", { long = "3.5s" })
        actor.self:send("Cancel")
      ]]
      stage:advance("1h")
      assert.same({ "slept\ttrue\t3.500", "cancel\t3.500\ttrue" }, stage:output())
    end)

    it("from the timer's own handler ends a periodic one", function()
      clock [[
        local timer = actor.every("1s", "Tick")
        self.on_tick = function() print(timer:cancel()) end
      ]]
      stage:advance("1h")
      assert.same({ "tick\t1.000\t0", "true" }, stage:output())
    end)

    it("is false when the message lies in another's mailbox, where it is handled", function()
      assert(stage:spawn({ name = "sleeper", source = [[
        function on_start() actor.sleep("5s") end
        function on_tick() print("tick") end
      ]] }))
      clock [[self.timer = actor.after("1s", "Tick", nil, { to = actor.ref("sleeper") })]]
      stage:advance("2s")
      assert.same({ prevented = false }, (stage:ask("clock", "Cancel", nil, "1s")))
      stage:advance("5s")
      assert.same({ "cancel\t2.000\tfalse", "tick" }, stage:output())
    end)

    it("holds against receive, too", function()
      assert(stage:spawn({ name = "me", source = [[
        function on_start()
          local timer = actor.after("1s", "Tick")
          actor.sleep("2s")
          print(timer:cancel())
          local none, why = actor.receive("Tick", { timeout = "1s" })
          print(none, why and why.reason)
        end
      ]] }))
      stage:advance("1h")
      assert.same({ "true", "nil\ttimeout" }, stage:output())
    end)

    it("is not needed for a timer nobody holds: it goes on when its handle is collected", function()
      clock [[
        actor.after("1s", "Tick")
        collectgarbage()
        collectgarbage()
      ]]
      stage:advance("1s")
      assert.same({ "tick\t1.000\tnil" }, stage:output())
    end)

    it("refuses what is no timer", function()
      local lines = printed_by [[
        local timer = actor.after("1s", "Tick")
        print(pcall(timer.cancel))
        print(pcall(timer.cancel, io.stdout))
        print(pcall(timer.cancel, {}))
        print(pcall(function() return timer.x end))
        print(pcall(function() timer.x = 1 end))
        print(tostring(timer), tostring(actor.every("500ms", "Tick")))
        timer:cancel()
      ]]
      for i = 1, 3 do assert.matches("^false\tcancel: a timer is expected, not a ", lines[i]) end
      assert.matches("^false\t", lines[5])
      assert.equal("timer Tick\ttimer Tick every 0.5 s", lines[6])
    end)
  end)

  describe("receive", function()
    it("gets a timer's message like any other", function()
      assert(stage:spawn({ name = "me", source = [[
        function on_start()
          actor.after("1s", "Tick", { n = 4 })
          local tick, env = actor.receive("Tick", { timeout = "2s" })
          print(tick.n, env.type)
        end
      ]] }))
      stage:advance("1s")
      assert.same({ "4\tTick" }, stage:output())
    end)

    it("is told of missed ticks as a handler is", function()
      assert(stage:spawn({ name = "me", source = [[
        function on_start()
          local timer = actor.every("1s", "Tick")
          actor.sleep("3.5s")
          print(actor.receive("Tick").missed, actor.receive("Tick").missed)
          timer:cancel()
        end
      ]] }))
      stage:advance("5s")
      assert.same({ "2\t0" }, stage:output())
    end)
  end)

  describe("actor.sleep", function()
    it("waits that long, and holds up nobody else", function()
      clock [[actor.self:send("Sleep", { long = "2s" })]]
      assert(stage:spawn({ name = "other", source = [[function on_ping(self, msg, env) env:reply("Pong") end]] }))
      stage:advance("1s")
      assert.truthy(stage:ask("other", "Ping"))
      assert.same({}, stage:output())
      stage:advance("1s")
      assert.same({ "slept\ttrue\t2.000" }, stage:output())
    end)

    it("lets no other message of its actor through meanwhile", function()
      clock [[
        actor.self:send("Sleep", { long = "2s" })
        actor.self:send("Note", { text = "waited" })
      ]]
      stage:advance("2s")
      assert.same({ "slept\ttrue\t2.000", "note\t2.000\twaited" }, stage:output())
    end)

    it("of 0 ends at once", function()
      clock [[actor.self:send("Sleep", { long = 0 })]]
      stage:advance(0)
      assert.same({ "slept\ttrue\t0.000" }, stage:output())
    end)

    it("works in a coroutine, a pcall and an iterator, and says where it does not", function()
      clock [[
        coroutine.wrap(function() actor.sleep("1s") end)()
        print(pcall(actor.sleep, "1s"))
        for _ in function(_, i) actor.sleep("1s") return not i and 1 or nil end do end
        print(at())
        print(pcall(table.sort, { 2, 1 }, function() actor.sleep("1s") end))
      ]]
      stage:advance("1h")
      local lines = stage:output()
      assert.same({ "true\ttrue", "4.000" }, { lines[1], lines[2] })
      assert.matches("^false\t.*sleep cannot wait inside table.sort", lines[3])
    end)
  end)

  describe("the clock", function()
    it("is actor.now, which stands while handlers run, and stage:now from its opening", function()
      assert.equal(0, stage:now())
      clock [[
        local before = actor.now()
        for _ = 1, 10000 do end
        print(actor.now() == before, math.type(before))
      ]]
      stage:advance("1m")
      assert.equal(60, stage:now())
      assert.same({ "true\tfloat" }, stage:output())
    end)

    it("is actor.time, which moves with it and begins on the stage in 2000", function()
      clock [[
        print(os.date("!%Y-%m-%d", math.floor(actor.time())))
        self.then_ = actor.time()
        actor.after("90s", "Tick")
        self.on_tick = function() print(actor.time() - self.then_) end
      ]]
      stage:advance("90s")
      local lines = stage:output()
      assert.equal("2000-01-01", lines[1])
      assert.equal("90.0", lines[3])
    end)

    it("shows each timer the time at which it was due, in one advance", function()
      clock [[
        actor.after("1s", "Tick")
        actor.after("20m", "Tick")
        actor.after("2h", "Tick")
      ]]
      stage:advance("3h")
      assert.same({ "tick\t1.000\tnil", "tick\t1200.000\tnil", "tick\t7200.000\tnil" }, stage:output())
      assert.equal(3 * 3600, stage:now())
    end)

    it("may be moved by days without a tick being lost or doubled", function()
      assert(stage:spawn({ name = "counter", source = [[
        function on_start(self) self.count = 0 actor.every("1m", "Tick") end
        function on_tick(self, msg) self.count = self.count + 1 + msg.missed end
        function on_get(self, msg, env) env:reply("Got", { count = self.count }) end
      ]] }))
      stage:advance(7 * 86400)
      assert.same({ count = 7 * 1440 }, (stage:ask("counter", "Get")))
    end)
  end)

  describe("many timers", function()
    it("a hundred thousand at once fire in order", function()
      assert(stage:spawn({ name = "crowd", source = [[
        function on_start(self)
          self.count, self.last, self.disorder = 0, 0, 0
          for i = 1, 100000 do
            assert(actor.after((i * 7919 % 100000) / 1000, "Tick", { due = i * 7919 % 100000 }))
          end
        end
        function on_tick(self, msg)
          self.count = self.count + 1
          if msg.due < self.last then self.disorder = self.disorder + 1 end
          self.last = msg.due
        end
        function on_get(self, msg, env) env:reply("Got", { count = self.count, disorder = self.disorder }) end
      ]] }))
      stage:advance("100s")
      assert.same({ count = 100000, disorder = 0 }, (stage:ask("crowd", "Get")))
    end)

    it("are all gone when they are cancelled, or their actor ends", function()
      local crowd = assert(stage:spawn({ name = "crowd", source = [[
        function on_start(self)
          self.timers = {}
          for i = 1, 20000 do self.timers[i] = actor.every(i, "Tick") end
          for i = 1, 20000, 2 do assert(self.timers[i]:cancel()) end
        end
        function on_tick() print("tick") end
      ]] }))
      stage:advance("2s")
      assert.same({ "tick" }, stage:output())
      stage:stop(crowd)
      stage:advance("1h")
      assert.same({}, stage:output())
    end)

    it("beyond the host's limit are nil and why, and leave room when they are gone", function()
      stage:close()
      stage = Stage.new { timers = 10 }
      assert(stage:spawn({ name = "greedy", source = [[
        function on_start()
          local timers = {}
          local why
          for i = 1, 11 do timers[i], why = actor.after("1s", "Tick") end
          print(#timers, why.reason, why)
          timers[1]:cancel()
          print(actor.after("1s", "Tick") ~= nil)
        end
        function on_tick() end
      ]] }))
      stage:run()
      assert.same({ "10\tfull\tthe host has its limit of 10 timers", "true" }, stage:output())
    end)
  end)

  describe("a timer's actor", function()
    it("takes its timers along when it ends, fails to start, or exits", function()
      assert(stage:spawn({ name = "target", source = [[function on_tick(self, msg, env) print(env.from) end]] }))
      local ARM = [[
        function on_start()
          actor.every("1s", "Tick")
          actor.every("1s", "Tick", nil, { to = actor.ref("target") })
          %s
        end
        function on_tick() print("own") end
      ]]
      assert(stage:spawn({ name = "failing", source = ARM:format('error("no")') }))
      assert(stage:spawn({ name = "leaving", source = ARM:format("actor.exit()") }))
      assert(stage:spawn({ name = "stopped", source = ARM:format("actor.self:stop()") }))
      stage:advance("1h")
      assert.same({}, stage:output())
      stage:log()
    end)

    it("has nothing left to send when its target has ended", function()
      assert(stage:spawn({ name = "target", source = [[function on_tick() print("tick") end]] }))
      clock [[actor.every("1s", "Tick", nil, { to = actor.ref("target") })]]
      stage:advance("1s")
      stage:stop("target")
      stage:advance("1h")
      assert.same({ "tick" }, stage:output())
      stage:dead_letters()
    end)
  end)
end)
