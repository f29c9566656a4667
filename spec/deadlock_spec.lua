-- Actors of one host that wait for each other in a circle: found when it closes,
-- and never where there is none.
local Stage = require "troupe.stage"

describe("a circle of actors that wait for each other", function()
  local stage

  before_each(function() stage = Stage.new() end)
  after_each(function() stage:close() end)

  local function actor(name, source)
    return assert(stage:spawn({ name = name, source = source }))
  end

  -- Sends Go to all of them, runs until idle, and gives back what was printed,
  -- in alphabetical order, with tabs as blanks. The clock must not have moved.
  local function go(...)
    for _, name in ipairs { ... } do stage:send(name, "Go") end
    stage:run()
    assert.equal(0, stage:now())
    local lines = stage:output()
    for i, line in ipairs(lines) do lines[i] = line:gsub("\t", " ") end
    table.sort(lines)
    return lines
  end

  -- An actor that asks the next for Go, and answers when it was asked itself.
  local function link(name, next_name)
    actor(name, ([[
      function on_go(self, msg, env)
        local answer, why = actor.ref("%s"):ask("Go")
        print(actor.name, answer and "answered" or why.reason, why.text or why.type)
        if env.asked then env:reply("Done") end
      end
    ]]):format(next_name))
  end

  describe("by asking", function()
    it("is one actor that asks itself", function()
      link("a", "a")
      assert.same({ "a deadlock deadlock: a -> a" }, go("a"))
    end)

    it("is two that ask each other", function()
      link("a", "b")
      link("b", "a")
      assert.same({ "a answered Done", "b deadlock deadlock: b -> a -> b" }, go("a"))
    end)

    it("is three in a ring", function()
      link("a", "b")
      link("b", "c")
      link("c", "a")
      assert.same({ "a answered Done", "b answered Done", "c deadlock deadlock: c -> a -> b -> c" }, go("a"))
    end)

    it("is twenty in a ring, of which the first are named", function()
      for i = 1, 20 do link("a" .. i, "a" .. i % 20 + 1) end
      local lines = go("a1")
      assert.equal(20, #lines)
      local found = 0
      for _, line in ipairs(lines) do
        if line:find("deadlock", 1, true) then
          found = found + 1
          assert.matches("^a20 deadlock deadlock: a20 %-> a1 %-> a2 %-> .* %-> a20$", line)
        else
          assert.matches("answered Done$", line)
        end
      end
      assert.equal(1, found)
    end)

    it("is found also when all of them ask at the same time: by one, and the others are answered", function()
      for seed = 1, 20 do
        local ring = Stage.new { seed = seed }
        for i = 1, 3 do
          assert(ring:spawn({ name = "a" .. i, source = ([[
            function on_go()
              local answer, why = actor.ref("a%d"):ask("Ping")
              print(answer and "answered" or why.reason)
            end
            function on_ping(self, msg, env) env:reply("Pong") end
          ]]):format(i % 3 + 1) }))
        end
        for i = 1, 3 do ring:send("a" .. i, "Go") end
        ring:run()
        local lines = ring:output()
        ring:close()
        table.sort(lines)
        assert.same({ "answered", "answered", "deadlock" }, lines)
      end
    end)

    it("is found by who closes it, whoever started it", function()
      link("a", "b")
      link("b", "c")
      link("c", "b")
      assert.same({ "a answered Done", "b answered Done", "c deadlock deadlock: c -> b -> c" }, go("a"))
    end)

    it("lets the one that was told go on, and ask somebody else", function()
      actor("a", [[
        function on_go(self, msg, env) print("a", actor.ref("b"):ask("Go").n) end
      ]])
      actor("b", [[
        function on_go(self, msg, env)
          local _, why = actor.ref("a"):ask("Go")
          print("b", why)
          env:reply("Done", { n = actor.ref("c"):ask("Number").n })
        end
      ]])
      actor("c", [[function on_number(self, msg, env) env:reply("Number", { n = 7 }) end]])
      assert.same({ "a 7", "b deadlock: b -> a -> b" }, go("a"))
    end)

    it("is closed by an actor inside a coroutine as well", function()
      actor("a", [[function on_go(self, msg, env) print("a", (actor.ref("b"):ask("Go"))) end]])
      actor("b", [[
        function on_go(self, msg, env)
          print(coroutine.wrap(function() return pcall(function() return select(2, actor.ref("a"):ask("Go")) end) end)())
        end
      ]])
      assert.same({ "a nil", "true deadlock: b -> a -> b" }, go("a"))
    end)
  end)

  describe("by forwarding", function()
    it("is a question that comes back to who asked it: forward answers nil, why", function()
      actor("a", [[function on_go() print("a", select(2, actor.ref("b"):ask("Go"))) end]])
      actor("b", [[
        function on_go(self, msg, env)
          local passed, why = env:forward(env.from)
          print("b", passed, why.reason, why)
        end
      ]])
      assert.same({ "a no answer from b to Go: its handler ended without a reply", "b nil deadlock deadlock: a -> a" },
        go("a"))
    end)

    it("is a question forwarded to one who waits for who asked it", function()
      -- c asks a, and waits; a asks b; b passes that on to c.
      actor("a", [[function on_go() print("a", (actor.ref("b"):ask("Go"))) end]])
      actor("b", [[
        function on_go(self, msg, env)
          local passed, why = env:forward(actor.ref("c"))
          print("b", passed, why.reason, why)
        end
      ]])
      actor("c", [[function on_go() print("c", select(2, actor.ref("a"):ask("Go"))) end]])
      assert.same({ "a nil", "b nil deadlock deadlock: a -> c -> a",
                    "c no answer from a to Go: its handler ended without a reply" }, go("c"))
    end)

    it("moves the wait: who asks back the one that forwarded is no circle", function()
      actor("a", [[function on_go() print("a", actor.ref("b"):ask("Go").n) end]])
      actor("b", [[
        function on_go(self, msg, env) env:forward(actor.ref("c")) end
        function on_number(self, msg, env) env:reply("Number", { n = 7 }) end
      ]])
      actor("c", [[function on_go(self, msg, env) env:reply("Done", actor.ref("b"):ask("Number")) end]])
      assert.same({ "a 7" }, go("a"))
    end)

    it("moves the wait: who asks back the one that asked is a circle", function()
      actor("a", [[function on_go() print("a", (actor.ref("b"):ask("Go"))) end]])
      actor("b", [[function on_go(self, msg, env) env:forward(actor.ref("c")) end]])
      actor("c", [[function on_go(self, msg, env) print("c", select(2, actor.ref("a"):ask("Go"))) end]])
      assert.same({ "a nil", "c deadlock: c -> a -> c" }, go("a"))
    end)
  end)

  describe("by deferring", function()
    it("is a deferred question whose asker is asked back, in the same handler", function()
      actor("a", [[function on_go() print("a", (actor.ref("b"):ask("Go"))) end]])
      actor("b", [[
        function on_go(self, msg, env)
          self.question = env:defer()
          print("b", select(2, actor.ref("a"):ask("Back")))
          self.question:reply("Done")
        end
      ]])
      local lines = go("a")
      assert.equal("b deadlock: b -> a -> b", lines[2])
      assert.matches("^a table", lines[1])
    end)

    it("is a deferred question whose asker is asked back, in a later one", function()
      actor("a", [[function on_go() print("a", (actor.ref("b"):ask("Go"))) end]])
      actor("b", [[
        function on_go(self, msg, env) self.question = env:defer() actor.self:send("Later") end
        function on_later(self)
          print("b", select(2, actor.ref("a"):ask("Back")))
          self.question:reply("Done")
        end
      ]])
      local lines = go("a")
      assert.equal("b deadlock: b -> a -> b", lines[2])
      assert.matches("^a table", lines[1])
    end)
  end)

  describe("by full mailboxes", function()
    -- Sends the next actor more than it has room for.
    local function pusher(name, next_name)
      actor(name, ([[
        local Pusher = { mailbox = { limit = 2 } }
        function Pusher:on_go()
          for n = 1, 4 do
            local sent, why = actor.ref("%s"):send("Item", { n = n })
            if not sent then print(actor.name, why.reason, why) return end
          end
          print(actor.name, "has sent all")
        end
        function Pusher:on_item(msg) end
        return Pusher
      ]]):format(next_name))
    end

    it("is one actor that fills its own", function()
      pusher("a", "a")
      assert.same({ "a deadlock deadlock: a -> a" }, go("a"))
    end)

    it("is two that fill each other's", function()
      pusher("a", "b")
      pusher("b", "a")
      local lines = go("a", "b")
      assert.equal(2, #lines)
      local closed = table.concat(lines, "\n")
      assert.matches("deadlock: [ab] %-> [ab] %-> [ab]", closed)
      assert.matches("has sent all", closed)
    end)

    it("is three in a ring", function()
      pusher("a", "b")
      pusher("b", "c")
      pusher("c", "a")
      local lines = go("a", "b", "c")
      local found, sent = 0, 0
      for _, line in ipairs(lines) do
        if line:match("deadlock: %a %-> %a %-> %a %-> %a$") then found = found + 1 end
        if line:match("has sent all$") then sent = sent + 1 end
      end
      assert.same({ 1, 2 }, { found, sent })
    end)

    it("is not there where one of them can still make room", function()
      pusher("a", "b")
      actor("b", [[
        local B = { mailbox = { limit = 2 } }
        function B:on_item(msg) end
        return B
      ]])
      assert.same({ "a has sent all" }, go("a"))
    end)

    it("is not waited for by try_send", function()
      actor("a", [[
        local A = { mailbox = { limit = 1 } }
        function A:on_go()
          for n = 1, 3 do
            local sent, why = actor.self:try_send("Item")
            print(n, sent or why.reason)
          end
        end
        function A:on_item() end
        return A
      ]])
      assert.same({ "1 true", "2 full", "3 full" }, go("a"))
    end)
  end)

  describe("by both", function()
    it("is a question to one who waits for room in the asker's mailbox", function()
      actor("a", [[
        local A = { mailbox = { limit = 1 } }
        function A:on_go()
          print("a", (actor.ref("b"):ask("Fill")))
        end
        function A:on_item() end
        return A
      ]])
      actor("b", [[
        function on_fill(self, msg, env)
          for n = 1, 3 do
            local sent, why = actor.ref("a"):send("Item", { n = n })
            if not sent then print("b", n, why.reason, why) break end
          end
        end
      ]])
      assert.same({ "a nil", "b 2 deadlock deadlock: b -> a -> b" }, go("a"))
    end)

    it("is a question that waits for room itself", function()
      actor("a", [[
        local A = { mailbox = { limit = 1 } }
        function A:on_go()
          actor.self:send("Item")
          print("a", (actor.ref("b"):ask("Go")))
        end
        function A:on_item() end
        return A
      ]])
      actor("b", [[
        function on_go() print("b", select(2, actor.ref("a"):ask("Item"))) end
      ]])
      assert.same({ "a nil", "b deadlock: b -> a -> b" }, go("a"))
    end)
  end)

  describe("is not seen", function()
    it("in a question back to one that was answered already", function()
      actor("a", [[
        function on_go() print("a", actor.ref("b"):ask("Go").n) end
        function on_number(self, msg, env) env:reply("Number", { n = 2 }) end
      ]])
      actor("b", [[
        function on_go(self, msg, env)
          env:reply("Done", { n = 1 })
          print("b", actor.ref("a"):ask("Number").n)
        end
      ]])
      assert.same({ "a 1", "b 2" }, go("a"))
    end)

    it("in a question that was given up", function()
      actor("a", [[
        function on_go() print("a", select(2, actor.ref("b"):ask("Slow", {}, { timeout = "1s" }))) end
        function on_number(self, msg, env) env:reply("Number", { n = 2 }) end
      ]])
      actor("b", [[
        function on_slow() actor.sleep("2s") print("b", actor.ref("a"):ask("Number").n) end
      ]])
      go("a")
      stage:advance("2s")
      assert.same({ "a\tno answer from b to Slow in 1.0 s", "b\t2" }, stage:output())
    end)

    it("in plain messages back and forth", function()
      actor("a", [[
        function on_go() actor.ref("b"):send("Ball", { n = 5 }) end
        function on_ball(self, msg, env)
          if msg.n == 0 then print("done") return end
          env.from:send("Ball", { n = msg.n - 1 })
        end
      ]])
      actor("b", [[function on_ball(self, msg, env) env.from:send("Ball", { n = msg.n - 1 }) end]])
      assert.same({ "done" }, go("a"))
    end)

    it("in questions from two to one, or from one to two", function()
      link("a", "c")
      link("b", "c")
      actor("c", [[function on_go(self, msg, env) env:reply("Done") end]])
      actor("d", [[
        function on_go() actor.ref("a"):ask("Go") actor.ref("b"):ask("Go") print("d done") end
      ]])
      assert.same({ "a answered Done", "b answered Done", "d done" }, go("d"))
    end)

    -- What waits without saying for whom can be ended by anybody, so there is no circle.
    for _, wait in ipairs {
      { "receive", 'print("a", actor.receive("Note", { timeout = "1s" }).n)' },
      { "sleep", 'print("a", actor.sleep("1s"))' },
    } do
      it("in " .. wait[1] .. ", which waits for nobody in particular", function()
        actor("a", ([[
          function on_go(self, msg, env)
            actor.ref("b"):send("Go")
            %s
          end
          function on_number(self, msg, env) env:reply("Number", { n = 3 }) end
          function on_note() end
        ]]):format(wait[2]))
        actor("b", [[
          function on_go()
            actor.ref("a"):send("Note", { n = 1 })
            print("b", actor.ref("a"):ask("Number").n)
          end
        ]])
        stage:send("a", "Go")
        stage:advance("1s")
        local lines = stage:output()
        table.sort(lines)
        assert.matches("^a\t", lines[1])
        assert.equal("b\t3", lines[2])
      end)
    end

    it("in actor.any, which may be answered by another", function()
      actor("a", [[
        function on_go()
          local key, msg = actor.any { b = actor.ref("b"):start_ask("Go"), c = actor.ref("c"):start_ask("Go") }
          print("a", key, msg.n)
        end
        function on_number(self, msg, env) env:reply("Number", { n = 3 }) end
      ]])
      actor("b", [[function on_go(self, msg, env) print("b", actor.ref("a"):ask("Number").n) end]])
      actor("c", [[function on_go(self, msg, env) env:reply("Done", { n = 7 }) end]])
      assert.same({ "a c 7", "b 3" }, go("a"))
    end)

    it("where the asked one has ended meanwhile: that is told, not a deadlock", function()
      actor("a", [[function on_go() print("a", actor.ref("b"):ask("Go").reason) end]])
      actor("a2", [[function on_go() local _, why = actor.ref("b"):ask("Go") print("a2", why.reason) end]])
      actor("b", [[function on_go() actor.exit() end]])
      assert.same({ "a2 down" }, go("a2"))
    end)
  end)

  -- Actors that ask each other whatever the dice say, some after a sleep, some
  -- forwarding, some deferring: each question is told something before its time.
  local RANDOM = [[
    local Dice = { mailbox = { limit = 2 } }

    local function another()
      return actor.ref("n" .. math.random(8))
    end

    local function question()
      local before = actor.now()
      local to = another()
      local answer, why = to:ask("Question", {}, { timeout = "10s" })
      print("told", answer and "answer" or why.reason, actor.now() - before < 10)
    end

    function Dice:on_start() self.kept = {} end

    function Dice:on_go()
      print("asks")
      question()
    end

    function Dice:on_question(msg, env)
      local dice = math.random(10)
      if dice <= 4 then
        env:reply("Answer")
      elseif dice <= 6 then
        print("asks")
        question()
        env:reply("Answer")
      elseif dice == 7 then
        if not env:forward(another()) then env:reply("Answer") end
      elseif dice == 8 then
        table.insert(self.kept, env:defer())
        actor.after("10ms", "Later")
      elseif dice == 9 then
        for _ = 1, 3 do another():send("Note") end
        env:fail("dice")
      else
        actor.sleep("1ms")
      end
    end

    function Dice:on_later()
      table.remove(self.kept, 1):reply("Answer")
    end

    function Dice:on_note() end

    return Dice
  ]]

  -- What the actors print in the run of a seed, and what happened there.
  local function play(seed)
    local graph = Stage.new { seed = seed }
    for i = 1, 8 do assert(graph:spawn({ name = "n" .. i, source = RANDOM })) end
    for i = 1, 8 do graph:send("n" .. i, "Go") end
    graph:advance("60s")
    local lines, trace, errors = graph:output(), graph:trace(), graph:log()
    graph:close()
    return lines, trace, errors
  end

  it("never hangs anybody: in 200 random graphs everybody gets an answer or a reason in time", function()
    local reasons = {}
    for seed = 1, 200 do
      local asks, told = 0, 0
      local lines, _, errors = play(seed)
      assert.same({}, errors, "seed " .. seed)
      for _, line in ipairs(lines) do
        local reason, in_time = line:match("^told\t(%S+)\t(%S+)$")
        if reason then
          told = told + 1
          reasons[reason] = (reasons[reason] or 0) + 1
          assert.equal("true", in_time, "seed " .. seed)
        else
          asks = asks + 1
        end
      end
      assert.equal(asks, told, "seed " .. seed)
    end
    assert.is_true(reasons.answer > 500 and reasons.deadlock > 50, "the dice are dull")
    assert.is_nil(reasons.timeout)
  end)

  it("comes out the same with the same seed", function()
    for seed = 1, 10 do assert.same({ play(seed) }, { play(seed) }) end
  end)
end)
