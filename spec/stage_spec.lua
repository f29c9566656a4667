-- The stage's own promises: a clock that stands still, runs that replay, loops
-- that end, and a close that finds what was left behind.
local Stage = require "troupe.stage"

describe("the stage", function()
  local stage

  before_each(function() stage = Stage.new() end)
  after_each(function() stage:close() end)

  local ECHO = [[
    function on_ping(self, msg, env) env:reply("Pong", msg) end
    function on_say(self, msg) print(msg.text) end
  ]]

  local function spawn(name, source, config)
    return assert(stage:spawn({ name = name, source = source }, config))
  end

  describe("runs", function()
    it("nothing until it is told", function()
      local it = spawn("hero", [[function on_start() print("start") end]] .. ECHO)
      stage:send(it, "Say", { text = "said" })
      assert.same({}, stage:output())
      stage:run()
      assert.same({ "start", "said" }, stage:output())
    end)

    it("until nobody has anything to do, and says how often actors ran", function()
      spawn("hero", [[
        function on_start() actor.self:send("Count", { n = 3 }) end
        function on_count(self, msg)
          print(msg.n)
          if msg.n > 1 then actor.self:send("Count", { n = msg.n - 1 }) end
        end
      ]])
      assert.is_true(stage:run() > 0)
      assert.same({ "3", "2", "1" }, stage:output())
      assert.equal(0, stage:run())
    end)

    it("without its clock: what takes time waits for advance", function()
      spawn("hero", [[
        function on_start() actor.sleep("1s") print("later") end
      ]])
      stage:run()
      stage:run()
      assert.equal(0, stage:now())
      assert.same({}, stage:output())
      stage:advance("1s")
      assert.same({ "later" }, stage:output())
      assert.equal(1, stage:now())
    end)
  end)

  describe("asks", function()
    it("and answers message and env, with the clock where it was", function()
      local it = spawn("hero", ECHO)
      local msg, env = stage:ask(it, "Ping", { n = 1, list = { 1, 2 } })
      assert.same({ n = 1, list = { 1, 2 } }, msg)
      assert.equal("Pong", env.type)
      assert.equal(0, stage:now())
    end)

    it("by name as well as by ref", function()
      spawn("hero", ECHO)
      assert.truthy(stage:ask("hero", "Ping"))
      assert.is_true(stage:send("hero", "Say", { text = "by name" }))
      assert.is_true(stage:alive("hero"))
      stage:run()
      assert.same({ "by name" }, stage:output())
    end)

    it("and moves the clock, if the answer needs it", function()
      local it = spawn("hero", [[function on_ping(self, msg, env) actor.sleep("2s") env:reply("Pong") end]])
      assert.truthy(stage:ask(it, "Ping"))
      assert.equal(2, stage:now())
    end)

    it("no longer than it is told: 5 s of its clock", function()
      local it = spawn("hero", [[function on_ping(self, msg, env) env:defer() self.kept = env end]])
      local none, why = stage:ask(it, "Ping")
      assert.is_nil(none)
      assert.equal("timeout", why.reason)
      assert.equal(5, stage:now())
      none, why = stage:ask(it, "Ping", nil, "500ms")
      assert.is_nil(none)
      assert.equal("timeout", why.reason)
      assert.equal(5.5, stage:now())
    end)

    it("and takes no late answer for that of the next question", function()
      local it = spawn("hero", [[
        function on_ping(self, msg, env) actor.sleep(msg.long) env:reply("Pong", { n = msg.n }) end
      ]])
      assert.is_nil((stage:ask(it, "Ping", { n = 1, long = "2s" }, "1s")))
      assert.same({ n = 2 }, (stage:ask(it, "Ping", { n = 2, long = 0 })))
    end)

    it("and hears at once that there is no answer", function()
      local it = spawn("hero", [[
        function on_mute() end
        function on_fail() error("no") end
        function on_refuse(self, msg, env) env:fail("not today") end
        function on_leave() actor.exit("bye") end
      ]])
      for type, reason in pairs { Mute = "no_reply", Fail = "failed", Refuse = "failed", Nothing = "rejected" } do
        local none, why = stage:ask(it, type)
        assert.is_nil(none)
        assert.equal(reason, why.reason)
      end
      local _, why = stage:ask(it, "Leave")
      assert.equal("down", why.reason)
      stage:run()
      _, why = stage:ask(it, "Mute")
      assert.equal("down", why.reason)
      assert.equal(0, stage:now())
      stage:log()
    end)
  end)

  describe("keeps what happens:", function()
    it("messages to other hosts and answers to itself, in the outbox", function()
      local it = spawn("hero", [[
        function on_go(self, msg, env)
          actor.ref("pong@:5001"):send("Ping", { n = 1 })
          env:reply("Gone", { n = 2 })
        end
      ]])
      stage:send(it, "Go")
      stage:run()
      assert.same({
        { to = "pong@tcp://127.0.0.1:5001", from = "hero", type = "Ping", msg = { n = 1 } },
        { to = "stage", from = "hero", type = "Gone", msg = { n = 2 } },
      }, stage:outbox())
      assert.same({}, stage:outbox())
    end)

    it("lines that were printed, with tabs and all, until they are taken", function()
      spawn("hero", [[function on_start() print(1, nil, "x\ty", true) end]])
      stage:run()
      local lines = stage:output()
      assert.equal("1\tnil\tx\ty\ttrue", lines[1])
      assert.same({}, stage:output())
    end)

    it("dead letters, once", function()
      local it = spawn("hero", ECHO)
      stage:send(it, "Weather", { n = 1 })
      stage:run()
      assert.same({
        { type = "Weather", to = "hero", from = "stage", reason = "rejected", text = "Unknown message type: Weather" },
      }, stage:dead_letters())
      assert.same({}, stage:dead_letters())
      stage:log()
    end)

    it("a trace of who handled what", function()
      spawn("hero", ECHO)
      stage:send("hero", "Say", { text = "x" })
      stage:run()
      local trace = table.concat(stage:trace(), "\n")
      assert.matches("hero Start", trace)
      assert.matches("hero Say", trace)
      stage:output()
    end)
  end)

  describe("refuses", function()
    it("nil for an actor, and asks whether the spawn failed", function()
      for _, use in ipairs { "send", "ask", "stop" } do
        local ok, why = pcall(stage[use], stage, nil, "Ping")
        assert.is_false(ok)
        assert.matches("an actor of this stage or its name is expected, not nil %(did the spawn fail%?%)", why)
      end
    end)

    it("names that nobody has", function()
      local ok, why = pcall(stage.send, stage, "nobody", "Ping")
      assert.is_false(ok)
      assert.matches("no actor on this stage is named 'nobody'", why)
      assert.is_false(stage:alive("nobody"))
    end)

    it("types and messages that cannot be sent", function()
      spawn("hero", ECHO)
      for _, call in ipairs {
        function() stage:send("hero", "") end,
        function() stage:send("hero", "Ping", { f = print }) end,
        function() stage:send("hero", "Ping", { 1, nil, 3 }) end,
        function() stage:send("hero", "Ping", 7) end,
        function() stage:ask("hero", "Ping", nil, "soon") end,
      } do
        assert.is_false((pcall(call)))
      end
    end)

    it("options that it does not know, of its own and of a spawn", function()
      for call, expected in pairs {
        [function() Stage.new { sede = 1 } end] = "a stage has no option 'sede'",
        [function() stage:spawn { source = ECHO, nmae = "x" } end] = "spawn: options have no 'nmae'",
        [function() stage:spawn { source = ECHO, config = {} } end] = "the config is the second argument",
        [function() stage:spawn({ source = ECHO }, 5) end] = "config is a table, not a number",
        [function() stage:spawn({ source = ECHO }, { f = print }) end] = "config.f: a function",
        [function() stage:spawn { name = "x" } end] = "spawn takes a path or a table with a source",
        [function() stage:spawn { source = ECHO, failure = "panic" } end] = "failure is",
      } do
        local ok, why = pcall(call)
        assert.is_false(ok)
        assert.is_truthy(tostring(why):find(expected, 1, true), why)
      end
    end)

    it("everything but close when it is closed", function()
      local other = Stage.new()
      other:close()
      other:close()
      local ok, why = pcall(other.run, other)
      assert.is_false(ok)
      assert.matches("this stage is closed", why)
    end)
  end)

  -- Four actors that send to each other by chance and by the clock: an
  -- interleaving to be replayed.
  local GOSSIP = [[
    local NAMES = { "ann", "bob", "cid", "dan" }
    function on_start(self)
      self.heard = {}
      actor.every(math.random(5, 20) / 1000, "Tick")
    end
    function on_tick(self)
      local to = NAMES[math.random(#NAMES)]
      actor.ref(to):try_send("Rumour", { n = math.random(1000), left = 3 })
    end
    function on_rumour(self, msg)
      self.heard["n" .. msg.n] = true
      local all = ""
      for name in pairs(self.heard) do all = all .. name end
      print(actor.name, #all, all:sub(1, 12), math.random(100))
      if msg.left > 0 then
        actor.ref(NAMES[math.random(#NAMES)]):try_send("Rumour", { n = msg.n + 1, left = msg.left - 1 })
      end
    end
  ]]

  local function replay(seed)
    local play = Stage.new { seed = seed }
    for _, name in ipairs { "ann", "bob", "cid", "dan" } do
      assert(play:spawn({ name = name, source = GOSSIP }))
    end
    play:advance("200ms")
    local trace, output = table.concat(play:trace(), "\n"), table.concat(play:output(), "\n")
    play:close()
    return trace, output
  end

  describe("replays", function()
    for seed = 1, 10 do
      it("seed " .. seed .. " with the same trace and the same output", function()
        local trace, output = replay(seed)
        local again, output_again = replay(seed)
        assert.is_true(#trace > 1000)
        assert.equal(trace, again)
        assert.equal(output, output_again)
      end)
    end

    it("another seed in another way", function()
      local seen, kinds = {}, 0
      for seed = 1, 10 do
        local trace = replay(seed)
        if not seen[trace] then kinds = kinds + 1 end
        seen[trace] = true
      end
      assert.equal(10, kinds)
    end)

    it("who runs next: without a seed who was ready first, with seeds any order", function()
      local function order(seed)
        local play = Stage.new { seed = seed }
        for _, name in ipairs { "a", "b", "c" } do
          assert(play:spawn({ name = name, source = "function on_start() print(actor.name) end" }))
        end
        play:run()
        local text = table.concat(play:output())
        play:close()
        return text
      end
      assert.equal("abc", order())
      local seen, kinds = {}, 0
      for seed = 1, 100 do
        local text = order(seed)
        if not seen[text] then kinds = kinds + 1 end
        seen[text] = true
      end
      assert.equal(6, kinds)
    end)

    it("math.random, which each actor has for itself", function()
      local function numbers(seed)
        local play = Stage.new { seed = seed }
        for _, name in ipairs { "a", "b" } do
          assert(play:spawn({ name = name, source = [[
            function on_start() print(math.random(1 << 30), math.random(1 << 30)) end
          ]] }))
        end
        play:run()
        local lines = play:output()
        play:close()
        return lines
      end
      local first = numbers(7)
      assert.same(first, numbers(7))
      assert.not_equal(first[1], first[2])
      assert.not_same(first, numbers(8))
    end)

    it("pairs, which visits names in order", function()
      spawn("hero", [[
        function on_start()
          local t = { zeta = 1, alpha = 2, mid = 3, [2] = "two", [1] = "one" }
          for i = 1, 20 do t["k" .. i] = i end
          for i = 1, 20 do t["k" .. i] = nil end
          local names = {}
          for k in pairs(t) do table.insert(names, tostring(k)) end
          print(table.concat(names, " "))
          for k in pairs(t) do t[k] = nil end
          print(next(t))
        end
      ]])
      stage:run()
      assert.same({ "1 2 alpha mid zeta", "nil" }, stage:output())
    end)

    it("pairs with a __pairs of the script's own", function()
      spawn("hero", [[
        function on_start()
          local t = setmetatable({}, { __pairs = function() return function(_, k) if not k then return 1, 2 end end end })
          for k, v in pairs(t) do print(k, v) end
        end
      ]])
      stage:run()
      assert.same({ "1\t2" }, stage:output())
    end)
  end)

  describe("ends an endless handler", function()
    for what, body in pairs {
      ["a loop"] = "while true do end",
      ["a goto"] = "::again:: goto again",
      ["a loop in pcall"] = "pcall(function() while true do end end)",
      ["pcalls in a loop"] = "while true do pcall(function() while true do end end) end",
      ["a loop in xpcall, whose handler loops"] =
        "while true do xpcall(function() while true do end end, function() while true do end end) end",
      ["a coroutine"] = "coroutine.wrap(function() while true do end end)()",
      ["coroutines in a loop"] =
        "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
      ["a __close that loops, too"] =
        "local c <close> = setmetatable({}, { __close = function() while true do end end }) while true do end",
      ["an __index"] =
        "local t = setmetatable({}, { __index = function() while true do end end }) return t.x",
      ["a comparison in table.sort"] = "table.sort({ 1, 2, 3 }, function() while true do end end)",
      ["an iterator"] = "for _ in function() return 1 end do end",
      ["a load"] = "load(function() while true do end end)",
    } do
      it("as a failure of that handler: " .. what, function()
        local it = spawn("hero", ([[
          function on_loop()
            %s
          end
        ]]):format(body) .. ECHO)
        local none, why = stage:ask(it, "Loop")
        assert.is_nil(none)
        assert.equal("failed", why.reason)
        assert.matches("stopped: used up its instruction budget", why.text)
        assert.truthy(stage:ask(it, "Ping"))
        assert.equal(1, #stage:log())
        stage:dead_letters()
      end)
    end

    it("and the stage does not close as if nothing had been, unless the log was taken", function()
      local own = Stage.new()
      own:send(assert(own:spawn { name = "hero", source = "function on_loop() while true do end end" }), "Loop")
      own:run()
      own:dead_letters()
      assert.error_matches(function() own:close() end, "used up their instruction budget")
    end)

    it("and leaves a long one alone that ends", function()
      local it = spawn("hero", [[
        function on_work(self, msg, env)
          local sum = 0
          for i = 1, 5000000 do sum = sum + i end
          env:reply("Worked", { sum = sum })
        end
      ]])
      for _ = 1, 3 do assert.same({ sum = 12500002500000 }, (stage:ask(it, "Work"))) end
    end)
  end)

  describe("closes cleanly", function()
    local function close_and_open()
      stage:close()
      stage = Stage.new()
    end

    it("with nothing on it, and twice", function()
      stage:close()
      stage:close()
    end)

    it("with actors that have not started, and mail that nobody has seen", function()
      local it = spawn("hero", ECHO)
      stage:send(it, "Ping")
      spawn("second", [[function on_ping() end]])
      stage:stop("second")
      close_and_open()
    end)

    it("after failures, with their reports taken", function()
      local it = spawn("hero", [[
        function on_fail() error({ deep = { 1, 2, 3 } }) end
        function on_loop() while true do end end
      ]])
      for _ = 1, 3 do stage:send(it, "Fail") end
      stage:send(it, "Loop")
      spawn("stillborn", [[function on_start() error("no") end]])
      stage:run()
      stage:log()
      close_and_open()
    end)

    it("with questions that nobody has answered", function()
      spawn("keeper", [[
        function on_start(self) self.kept = {} end
        function on_ping(self, msg, env) env:defer() table.insert(self.kept, env) end
      ]])
      spawn("asker", [[
        function on_start(self)
          self.open = actor.ref("keeper"):start_ask("Ping")
          actor.ref("keeper"):ask("Ping", nil, { timeout = "1h" })
        end
      ]])
      spawn("many", [[
        function on_start()
          actor.all({ actor.ref("keeper"):start_ask("Ping"), actor.ref("keeper"):start_ask("Ping") }, { timeout = "1h" })
        end
      ]])
      stage:run()
      close_and_open()
    end)

    it("with a question of its own that was put off", function()
      local it = spawn("keeper", [[function on_ping(self, msg, env) env:defer() self.kept = env end]])
      stage:ask(it, "Ping", nil, "1s")
      close_and_open()
    end)

    it("with timers armed, for oneself and for others, held and not held", function()
      spawn("target", [[function on_tick() end]])
      spawn("hero", [[
        function on_start(self)
          self.one = actor.every("1s", "Tick")
          actor.every("1s", "Tick", nil, { to = actor.ref("target") })
          actor.after("1h", actor.next_timer_id())
          actor.ref("target"):send("Tick", nil, { after = "1h" })
        end
        function on_tick() end
      ]])
      stage:advance("2500ms")
      close_and_open()
    end)

    it("with actors that wait: for time, for mail, for room", function()
      spawn("full", [[
        local Full = { mailbox = { limit = 1 } }
        function Full:on_start() actor.sleep("1h") end
        function Full:on_note() end
        return Full
      ]])
      spawn("sleeper", [[function on_start() actor.sleep("1h") end]])
      spawn("reader", [[function on_start() actor.receive("Never", { timeout = "1h" }) end]])
      spawn("sender", [[
        function on_start() for i = 1, 3 do actor.ref("full"):send("Note", nil, { timeout = "1h" }) end end
      ]])
      stage:run()
      stage:dead_letters()
      close_and_open()
    end)

    it("with an outbox, output and letters that nobody took", function()
      local it = spawn("hero", [[
        function on_go(self, msg, env) actor.ref("pong@:5001"):send("Ping") env:reply("Gone") end
      ]])
      stage:send(it, "Go")
      stage:run()
      close_and_open()
    end)

    it("with a family of actors, and on_shutdown for all of them", function()
      spawn("root", [[
        function on_shutdown() actor.ref("root"):try_send("Note") end
        function on_note() end
      ]])
      stage:run()
      stage:log()
      close_and_open()
    end)

    it("in whatever order two stages are closed", function()
      local other = Stage.new()
      assert(other:spawn({ name = "hero", source = ECHO }))
      spawn("hero", ECHO)
      other:run()
      stage:run()
      assert.truthy(other:ask("hero", "Ping"))
      assert.truthy(stage:ask("hero", "Ping"))
      other:close()
      assert.truthy(stage:ask("hero", "Ping"))
      assert.is_true(stage:alive("hero"))
    end)
  end)
end)
