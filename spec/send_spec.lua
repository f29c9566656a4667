-- Sending: which handler a message finds, in what order, and what becomes of
-- those that find none, or no room.
local Stage = require "troupe.stage"

describe("sending", function()
  local stage

  before_each(function() stage = Stage.new() end)
  after_each(function() stage:close() end)

  -- Puts an actor on the stage, from the text of its script.
  local function actor(name, source)
    return assert(stage:spawn({ name = name, source = source }))
  end

  -- What was printed since the last time, with tabs as blanks.
  local function printed()
    local lines = stage:output()
    for i, line in ipairs(lines) do lines[i] = line:gsub("\t", " ") end
    return lines
  end

  -- Runs `body` in a handler of a new actor; what was printed by all until idle.
  local function run(name, body, other_handlers)
    actor(name, "function on_go(self, msg, env) " .. body .. "\nend\n" .. (other_handlers or ""))
    stage:send(name, "Go")
    stage:run()
    return printed()
  end

  -- An actor with room for two messages that is busy for a second, and says
  -- what it has got once it is not.
  local function busy(name, overflow)
    actor(name, ([[
      local Busy = { mailbox = { limit = 2, overflow = "%s" } }
      function Busy:on_nap() actor.sleep("1s") end
      function Busy:on_note(msg) print("got " .. msg.n) end
      return Busy
    ]]):format(overflow or "wait"))
    stage:send(name, "Nap")
    stage:run()
  end

  describe("finds the handler of a type", function()
    for _, handler in ipairs { "on_marketdepth", "on_market_depth" } do
      for _, type in ipairs { "MarketDepth", "marketdepth", "market_depth", "MARKET_DEPTH" } do
        it(("called %s at %s"):format(type, handler), function()
          actor("desk", ("function %s(self, msg, env) print(env.type, msg.level) end"):format(handler))
          stage:send("desk", type, { level = 2 })
          stage:run()
          assert.same({ type .. " 2" }, printed())
        end)
      end
    end

    it("in a table that the script returns, or among its globals", function()
      actor("table", "return { on_ping = function() print('table') end }")
      actor("global", "function on_ping() print('global') end")
      for _, name in ipairs { "table", "global" } do stage:send(name, "Ping") end
      stage:run()
      assert.same({ "table", "global" }, printed())
    end)

    it("in the class that the script's table inherits from", function()
      actor("child", [[
        local Base = {}
        Base.__index = Base
        function Base:on_ping() print("base") end
        function Base:on_pong() print("base") end
        local Child = setmetatable({}, Base)
        function Child:on_pong() print("child") end
        return Child
      ]])
      stage:send("child", "Ping")
      stage:send("child", "Pong")
      stage:run()
      assert.same({ "base", "child" }, printed())
    end)

    it("and refuses a script with two handlers for one type", function()
      local none, why = stage:spawn({ name = "desk", source = [[
        local Desk = {}
        function Desk:on_market_depth() end
        function Desk:on_marketdepth() end
        return Desk
      ]] })
      assert.is_nil(none)
      assert.matches("desk%.lua: on_market_?depth and on_market_?depth are handlers of the same type", why)
    end)

    it("and refuses a script whose handler is no function", function()
      local none, why = stage:spawn({ name = "desk", source = "return { on_ping = 7 }" })
      assert.is_nil(none)
      assert.matches("desk%.lua: on_ping is a number, not a function", why)
    end)
  end)

  it("finds a handler once: one that has removed itself is still found", function()
    actor("once", [[
      local Once = {}
      function Once:on_ping() Once.on_ping = nil print("ping") end
      return Once
    ]])
    for _ = 1, 2 do stage:send("once", "Ping") end
    stage:run()
    assert.same({ "ping", "ping" }, printed())
  end)

  describe("on_any", function()
    before_each(function()
      actor("any", [[
        function on_ping() print("ping") end
        function on_any(self, msg, env) print("any", env.type, msg.n) end
      ]])
    end)

    it("takes what nothing else takes", function()
      stage:send("any", "Ping")
      stage:send("any", "Pong", { n = 1 })
      stage:send("any", "Other", { n = 2 })
      stage:run()
      assert.same({ "ping", "any Pong 1", "any Other 2" }, printed())
      assert.same({}, stage:dead_letters())
    end)

    it("does not take the built-in messages of its actor's life", function()
      stage:stop("any")
      stage:run()
      assert.same({}, printed())
    end)
  end)

  describe("keeps the order", function()
    it("of one sender's messages, whatever happens in between", function()
      actor("sink", "function on_item(self, msg) print(msg.n) end")
      local lines = run("source", [[
        for n = 1, 50 do
          assert(actor.ref("sink"):send("Item", { n = n }))
          if n % 7 == 0 then actor.sleep("1ms") end
        end
      ]])
      stage:advance("1s")
      for _, line in ipairs(printed()) do table.insert(lines, line) end
      local expected = {}
      for n = 1, 50 do expected[n] = tostring(n) end
      assert.same(expected, lines)
    end)

    it("of each sender's messages, under any interleaving of many", function()
      for seed = 1, 20 do
        local crowd = Stage.new { seed = seed }
        crowd:spawn({ name = "sink", source = "function on_item(self, msg, env) print(env.from, msg.n) end" })
        for i = 1, 4 do
          crowd:spawn({ name = "source" .. i, source = [[
            function on_go()
              for n = 1, 10 do
                actor.ref("sink"):send("Item", { n = n })
                actor.sleep(0)
              end
            end
          ]] })
          crowd:send("source" .. i, "Go")
        end
        crowd:advance("1s")
        local last = {}
        for _, line in ipairs(crowd:output()) do
          local from, n = line:match("^(%S+)\t(%d+)$")
          assert.equal((last[from] or 0) + 1, tonumber(n))
          last[from] = tonumber(n)
        end
        assert.same({ source1 = 10, source2 = 10, source3 = 10, source4 = 10 }, last)
        crowd:close()
      end
    end)

    it("of an actor's messages to itself", function()
      assert.same({ "1", "2", "3" }, run("self", [[
        for n = 1, 3 do actor.self:send("Item", { n = n }) end
      ]], "function on_item(self, msg) print(msg.n) end"))
    end)

    it("of messages with high priority, which overtake ordinary ones", function()
      actor("sink", "function on_item(self, msg) print(msg.n) end")
      assert.same({ "3", "4", "1", "2" }, run("source", [[
        local sink = actor.ref("sink")
        sink:send("Item", { n = 1 }, { priority = "normal" })
        sink:send("Item", { n = 2 })
        sink:send("Item", { n = 3 }, { priority = "high" })
        sink:try_send("Item", { n = 4 }, { priority = "high" })
      ]]))
    end)
  end)

  describe("to a full mailbox", function()
    it("waits for room, and goes on in order", function()
      busy("busy")
      assert.same({ "1 true", "2 true" }, run("sender", [[
        for n = 1, 5 do print(n, actor.ref("busy"):send("Note", { n = n })) end
      ]]))
      stage:advance("1s")
      local sent, got = {}, {}
      for _, line in ipairs(printed()) do
        table.insert(line:match("^got") and got or sent, line)
      end
      assert.same({ "got 1", "got 2", "got 3", "got 4", "got 5" }, got)
      assert.same({ "3 true", "4 true", "5 true" }, sent)
      assert.same({}, stage:dead_letters())
    end)

    it("lets those who wait have their room in the order they came", function()
      busy("busy")
      for i = 1, 6 do
        run("sender" .. i, ('actor.ref("busy"):send("Note", { n = %d })'):format(i))
      end
      stage:advance("1s")
      assert.same({ "got 1", "got 2", "got 3", "got 4", "got 5", "got 6" }, printed())
    end)

    it("handles nothing else meanwhile", function()
      busy("busy")
      run("sender", [[
        for n = 1, 3 do actor.ref("busy"):send("Note", { n = n }) end
        print("sent")
      ]], "function on_other() print('other') end")
      stage:send("sender", "Other")
      stage:run()
      assert.same({}, printed())
      stage:advance("1s")
      assert.same({ "got 1", "got 2", "got 3", "other", "sent" },
        (function(lines) table.sort(lines) return lines end)(printed()))
    end)

    it("gives up after 5 seconds: nil, why, timeout", function()
      actor("full", [[
        local Full = { mailbox = { limit = 1 } }
        function Full:on_nap() actor.sleep("1h") end
        function Full:on_note() end
        return Full
      ]])
      stage:send("full", "Nap")
      stage:run()
      run("sender", [[
        local full = actor.ref("full")
        print(full:send("Note", { n = 1 }))
        local before = actor.now()
        local sent, why = full:send("Note", { n = 2 })
        print(sent, why.reason, actor.now() - before)
        print(why)
      ]])
      stage:advance("10s")
      assert.same({ "nil timeout 5.0", "Note was not sent to full: no room in its mailbox for 5.0 s" },
        printed())
    end)

    it("gives up after opts.timeout, and the message is not delivered later", function()
      busy("busy")
      assert.same({ "1 true", "2 true" }, run("sender", [[
        for n = 1, 3 do print(n, actor.ref("busy"):send("Note", { n = n }, { timeout = "200ms" })) end
      ]]))
      stage:advance("200ms")
      assert.same({ "3 nil Note was not sent to busy: no room in its mailbox for 0.2 s" }, printed())
      stage:advance("1s")
      assert.same({ "got 1", "got 2" }, printed())
    end)

    it("does not wait at all with a timeout of 0", function()
      busy("busy")
      run("sender", [[
        for n = 1, 3 do
          local sent, why = actor.ref("busy"):send("Note", { n = n }, { timeout = 0 })
          if not sent then print(n, sent, why.reason) end
        end
      ]])
      stage:advance(0)
      assert.same({ "3 nil timeout" }, printed())
      stage:advance("1s")
      assert.same({ "got 1", "got 2" }, printed())
    end)

    it("never waits as try_send: nil, why, full", function()
      busy("busy")
      assert.same({ "true", "true", "nil full Note was not sent to busy: its mailbox is full" }, run("sender", [[
        local busy = actor.ref("busy")
        print(busy:try_send("Note", { n = 1 }))
        print(busy:try_send("Note", { n = 2 }))
        local sent, why = busy:try_send("Note", { n = 3 })
        print(sent, why.reason, why)
      ]]))
      stage:advance("1s")
      assert.same({ "got 1", "got 2" }, printed())
    end)

    it("is told at once when that actor ends: nil, why, down", function()
      busy("busy")
      assert.same({}, run("sender", [[
        local busy = actor.ref("busy")
        busy:send("Note", { n = 1 })
        busy:send("Note", { n = 2 })
        local sent, why = busy:send("Note", { n = 3 })
        print(sent, why.reason, why)
      ]]))
      stage:stop("busy")
      stage:run()
      assert.same({ "nil down Note was not sent: the actor has ended" }, printed())
      assert.equal(0, stage:now())
    end)

    it("waits no more when the sender is told to stop: nil, why, stopping", function()
      busy("busy")
      assert.same({}, run("sender", [[
        local busy = actor.ref("busy")
        busy:send("Note", { n = 1 })
        busy:send("Note", { n = 2 })
        local sent, why = busy:send("Note", { n = 3 })
        print(sent, why.reason, why)
      ]]))
      stage:stop("sender")
      stage:run()
      assert.same({ "nil stopping Note was not sent to busy: this actor is stopping" }, printed())
      stage:advance("1s")
      assert.same({ "got 1", "got 2" }, printed())
    end)

    it("returns full where waiting is impossible", function()
      busy("busy")
      assert.same({ "1 true", "2 true", "3 full" }, run("sender", [[
        ("123"):gsub("%d", function(n)
          local sent, why = actor.ref("busy"):send("Note", { n = n })
          print(n, sent or why.reason)
        end)
      ]]))
      stage:advance("1s")
      assert.same({ "got 1", "got 2" }, printed())
    end)
  end)

  describe("with opts.after", function()
    before_each(function()
      actor("sink", "function on_item(self, msg, env) print(msg.n, env.from) end")
    end)

    it("delivers later, from its sender", function()
      assert.same({}, run("source", [[
        actor.ref("sink"):send("Item", { n = 1 }, { after = "2s" })
        actor.ref("sink"):send("Item", { n = 2 }, { after = 1.5 })
      ]]))
      stage:advance("1499ms")
      assert.same({}, printed())
      stage:advance("1ms")
      assert.same({ "2 source" }, printed())
      stage:advance("500ms")
      assert.same({ "1 source" }, printed())
    end)

    it("and high priority overtakes ordinary mail when its time has come", function()
      actor("sleeper", [[
        function on_nap() actor.sleep("2s") end
        function on_item(self, msg) print(msg.n) end
      ]])
      stage:send("sleeper", "Nap")
      run("source", [[
        local sleeper = actor.ref("sleeper")
        sleeper:send("Item", { n = 1 })
        sleeper:send("Item", { n = 2 }, { after = "1s" })
        sleeper:send("Item", { n = 3 }, { after = "1s", priority = "high" })
      ]])
      stage:advance("2s")
      assert.same({ "3", "1", "2" }, printed())
    end)

    it("returns a timer that can be cancelled until then", function()
      run("source", [[
        self.timer = actor.ref("sink"):send("Item", { n = 1 }, { after = "2s" })
      ]], [[
        function on_cancel(self) print(self.timer:cancel()) end
      ]])
      stage:advance("1s")
      stage:send("source", "Cancel")
      stage:send("source", "Cancel")
      stage:advance("5s")
      assert.same({ "true", "false" }, printed())
    end)

    it("whose cancel() answers false once the message is queued elsewhere", function()
      actor("sleeper", [[
        function on_nap() actor.sleep("10s") end
        function on_item() print("item") end
      ]])
      stage:send("sleeper", "Nap")
      run("source", [[
        self.timer = actor.ref("sleeper"):send("Item", {}, { after = "2s" })
      ]], [[
        function on_cancel(self) print(self.timer:cancel()) end
      ]])
      stage:advance("3s")
      stage:send("source", "Cancel")
      stage:run()
      assert.same({ "false" }, printed())
      stage:advance("10s")
      assert.same({ "item" }, printed())
    end)

    it("to itself can be cancelled even when it lies in the mailbox", function()
      run("self", [[
        local timer = actor.self:send("Item", {}, { after = "1s" })
        actor.sleep("2s")
        print(timer:cancel())
      ]], "function on_item() print('item') end")
      stage:advance("5s")
      assert.same({ "true" }, printed())
    end)

    it("is forgotten when its sender ends", function()
      run("source", [[
        actor.ref("sink"):send("Item", { n = 1 }, { after = "2s" })
        actor.exit()
      ]])
      stage:advance("5s")
      assert.same({}, printed())
    end)
  end)

  describe("to an actor that has ended", function()
    it("answers nil, why, down", function()
      actor("brief", "function on_ping() end")
      run("sender", 'self.brief = actor.ref("brief")', [[
        function on_try(self)
          for _, how in ipairs { "send", "try_send" } do
            local sent, why = self.brief[how](self.brief, "Ping")
            print(how, sent, why.reason, why)
          end
          local timer, why = self.brief:send("Ping", {}, { after = "1s" })
          print("after", timer, why.reason)
        end
      ]])
      stage:stop("brief")
      stage:run()
      stage:send("sender", "Try")
      stage:run()
      assert.same({
        "send nil down Ping was not sent: the actor has ended",
        "try_send nil down Ping was not sent: the actor has ended",
        "after nil down",
      }, printed())
    end)

    it("or that never was, the same, with the name that may have been meant", function()
      actor("counter", "function on_ping() end")
      local lines = run("sender", [[
        local sent, why = actor.ref("conuter"):send("Ping")
        print(sent, why.reason, why)
      ]])
      assert.matches("^nil down Ping was not sent to conuter: no actor is named 'conuter' %(did you mean 'counter'%?%)$",
        lines[1])
    end)
  end)

  describe("raises, at the caller's line,", function()
    for _, case in ipairs {
      { "without a type", "actor.self:send()", "send: a message's type is a string, not a no value" },
      { "for a type that is no string", "actor.self:send(7)", "send: a message's type is a string, not a number" },
      { "for an empty type", "actor.self:send('')", "send: '' cannot be a message's type" },
      { "for a message that is no table", "actor.self:send('Ping', 'text')",
        "msg: a message is a table with string keys, not a string" },
      { "for an array", "actor.self:send('Ping', { 1, 2 })",
        "msg: a message has string keys, and this is an array" },
      { "called with a dot", "actor.self.send('Ping')",
        "send: a ref is expected, not a string (call it as ref:send(...))" },
      { "for options that are no table", "actor.self:send('Ping', {}, '1s')",
        "send: options are a table, not a string" },
      { "for an unknown option", "actor.self:send('Ping', {}, { timeuot = 1 })",
        "send: no option is called 'timeuot' (did you mean 'timeout'?)" },
      { "for an option that try_send does not have", "actor.self:try_send('Ping', {}, { timeout = 1 })",
        "try_send: no option is called 'timeout'" },
      { "for a priority that there is not", "actor.self:send('Ping', {}, { priority = 'low' })",
        'send: priority is "high" or "normal"' },
      { "for a duration that is none", "actor.self:send('Ping', {}, { timeout = 'soon' })",
        "send: timeout: a duration is \"250ms\", \"2s\", \"1m\", \"1h\" or a number of seconds (at most 1e9), not 'soon'" },
      { "for a negative duration", "actor.self:send('Ping', {}, { after = -1 })",
        "send: after: a duration is \"250ms\", \"2s\", \"1m\", \"1h\" or a number of seconds (at most 1e9), not -1" },
    } do
      it(case[1], function()
        assert.same({ "sender.lua:2: " .. case[3] }, run("sender", ([[
          print(select(2, pcall(function()
            %s
          end)))
        ]]):format(case[2])))
      end)
    end

    for _, type in ipairs { "Start", "Shutdown", "Timeout", "Down", "Reload", "start", "SHUT_DOWN", "Time_out" } do
      it("for the type " .. type .. ", which only the host sends", function()
        for _, how in ipairs { "send", "try_send", "ask", "start_ask" } do
          assert.same({ ("sender%s.lua:2: %s: only the host itself sends %s"):format(how, how, type) },
            run("sender" .. how, ([[
              print(select(2, pcall(function()
                actor.self:%s("%s")
              end)))
            ]]):format(how, type)))
        end
      end)
    end

    for _, call in ipairs {
      'actor.ref("x"):send("Ping")', 'actor.ref("x"):try_send("Ping")', 'actor.ref("x"):ask("Ping")',
      'actor.ref("x"):start_ask("Ping")', 'actor.spawn("x")', 'actor.sleep(1)', 'actor.receive("Ping")',
      'actor.after(1, "Ping")', 'actor.every(1, "Ping")', 'actor.ref("x"):stop()', 'actor.all {}', 'actor.any {}',
    } do
      it("while the script is being loaded: " .. call, function()
        local none, why = stage:spawn({ name = "early", source = "\n" .. call .. "\nreturn {}" })
        assert.is_nil(none)
        assert.matches("^early%.lua:2: %S+: a script's top level only defines; do this in a handler$", why)
      end)
    end
  end)

  describe("a type without a handler", function()
    before_each(function() actor("pong", "function on_ping() end") end)

    local function warnings()
      local texts = {}
      for _, line in ipairs(stage:log()) do
        if line.level == "warn" then table.insert(texts, line.text) end
      end
      return texts
    end

    it("is logged once, and says what may have been meant", function()
      for _ = 1, 3 do stage:send("pong", "Pinng") end
      stage:send("pong", "Else")
      stage:run()
      local texts = warnings()
      assert.equal(2, #texts)
      assert.matches("pong: no handler on_pinng for Pinng from stage %(pong%.lua%): did you mean on_ping%?", texts[1])
      assert.matches("pong: no handler on_else for Else from stage %(pong%.lua%)$", texts[2])
    end)

    it("goes to the dead letters, each time", function()
      for _ = 1, 2 do stage:send("pong", "Pinng") end
      stage:run()
      local letter = { type = "Pinng", to = "pong", from = "stage", reason = "rejected",
                       text = "Unknown message type: Pinng" }
      assert.same({ letter, letter }, stage:dead_letters())
      stage:log()
    end)

    it("is answered, when it was asked: nil, why, rejected", function()
      local none, why = stage:ask("pong", "Pinng")
      assert.is_nil(none)
      assert.same({ reason = "rejected", text = "Unknown message type: Pinng" }, why)
      assert.equal(0, stage:now())
      stage:log()
    end)

    it("is no matter when it is Start, Shutdown or Timeout", function()
      actor("bare", [[
        function on_go() actor.after(0, actor.next_timer_id()) end
      ]])
      stage:send("bare", "Go")
      stage:advance("1s")
      stage:stop("bare")
      stage:run()
      assert.same({}, stage:log())
      assert.same({}, stage:dead_letters())
    end)

    it("is logged when it is Reject, which says that a message of this actor came to nothing", function()
      actor("bare", "function on_go() end")
      stage:send("bare", "Reject", { message_type = "Ping", reason = "Actor 'pnog' not found", rejected_by = "pnog" })
      stage:run()
      assert.same({ { level = "warn", text = "bare: its Ping to pnog was rejected: Actor 'pnog' not found "
        .. "(and it has no on_reject: bare.lua)" } }, stage:log())
      assert.same({}, stage:dead_letters())
    end)
  end)
end)
