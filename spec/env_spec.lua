-- env: what a handler knows of the message in hand, and how it answers.
local Stage = require "troupe.stage"

describe("env", function()
  local stage

  before_each(function() stage = Stage.new() end)
  after_each(function() stage:close() end)

  local function actor(name, source)
    return assert(stage:spawn({ name = name, source = source }))
  end

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

  -- Asks `to` from a new actor, and prints what comes of it.
  local function ask(name, to, type, fields)
    return run(name, ([[
      local msg, env = actor.ref("%s"):ask("%s", { %s })
      if msg then print(env.from, env.type, msg.n) else print(env.reason, env) end
    ]]):format(to, type, fields or ""))
  end

  describe("knows", function()
    before_each(function()
      actor("clerk", [[
        function on_start(self, msg, env) print(env.type, env.from, env.asked, env.remote) end
        function on_paper(self, msg, env) print(env.type, env.from, env.asked, env.remote) end
        function on_any(self, msg, env) print(env.type, env.from, env.asked, env.remote) end
        function on_timeout(self, msg, env) print(env.type, env.from, env.asked, env.remote) end
        function on_alarm_clock()
          actor.after(0, "Paper")
          actor.after(0, 7)
        end
      ]])
      stage:run()
      printed()
    end)

    it("the type as it was sent, and the sender", function()
      assert.same({ "PAPER sender false false" }, run("sender", 'actor.ref("clerk"):send("PAPER")'))
    end)

    it("whether the sender waits for an answer", function()
      assert.same({ "Paper sender true false" }, run("sender", 'actor.ref("clerk"):ask("Paper")'))
    end)

    it("all of that in on_any too", function()
      assert.same({ "Other sender false false" }, run("sender", 'actor.ref("clerk"):send("Other")'))
    end)

    it("that a timer's message is from the actor itself", function()
      stage:send("clerk", "AlarmClock")
      stage:advance("1s")
      assert.same({ "Paper clerk false false", "Timeout clerk false false" }, printed())
    end)

    it("that nobody sent the beginning and the end", function()
      actor("other", [[
        function on_start(self, msg, env) print(env.type, env.from, env.asked, env.remote) end
        function on_shutdown(self, msg, env) print(env.type, env.from, env.asked, env.remote) end
      ]])
      stage:run()
      stage:stop("other")
      stage:run()
      assert.same({ "Start nil false false", "Shutdown nil false false" }, printed())
    end)

    it("nothing else: what it does not have is nil", function()
      assert.same({ "nil" }, run("me", "print(env.whatever)"))
    end)
  end)

  it("is not needed by handlers that do not declare it", function()
    actor("quiet", [[
      function on_none() print("none") end
      function on_self(self) print("self", type(self.config)) end
      function on_msg(self, msg) print("msg", msg.n) end
      function on_dots(...) print("dots", select("#", ...), (select(3, ...)).type) end
    ]])
    for _, type in ipairs { "None", "Self", "Msg", "Dots" } do stage:send("quiet", type, { n = 1 }) end
    stage:run()
    assert.same({ "none", "self table", "msg 1", "dots 3 Dots" }, printed())
  end)

  describe("reply", function()
    it("answers a question", function()
      actor("echo", 'function on_ping(self, msg, env) print(env:reply("Pong", msg)) end')
      assert.same({ "true", "echo Pong 1" }, ask("asker", "echo", "Ping", "n = 1"))
    end)

    it("sends a message to whom sent one without asking", function()
      actor("echo", 'function on_ping(self, msg, env) print(env:reply("Pong", msg)) end')
      assert.same({ "true", "got 1 echo false" }, run("sender", 'actor.ref("echo"):send("Ping", { n = 1 })',
        'function on_pong(self, msg, env) print("got", msg.n, env.from, env.asked) end'))
    end)

    it("sends any number of them", function()
      actor("echo", 'function on_ping(self, msg, env) env:reply("Pong", { n = 1 }) env:reply("Pong", { n = 2 }) end')
      assert.same({ "1", "2" }, run("sender", 'actor.ref("echo"):send("Ping")',
        'function on_pong(self, msg) print(msg.n) end'))
    end)

    it("to whom has ended: nil, why, down", function()
      actor("echo", [[
        function on_ping(self, msg, env)
          actor.sleep("1s")
          local sent, why = env:reply("Pong")
          print(sent, why.reason, why)
        end
      ]])
      run("sender", 'actor.ref("echo"):send("Ping") actor.exit()')
      stage:advance("1s")
      assert.same({ "nil down Pong was not sent: the actor has ended" }, printed())
    end)

    it("to nobody: nil, why, down", function()
      assert.same({ "nil down nobody to reply to" }, run("me", "", [[
        function on_start(self, msg, env)
          local sent, why = env:reply("Pong")
          print(sent, why.reason, why)
        end
      ]]))
    end)

    it("lets the handler go on, and its failure afterwards is its own", function()
      actor("echo", 'function on_ping(self, msg, env) env:reply("Pong", msg) error("later") end')
      assert.same({ "echo Pong 1" }, ask("asker", "echo", "Ping", "n = 1"))
      assert.matches("echo%.lua:1: later", stage:log()[1].text)
    end)

    it("a second time to one question raises, and so does any other answer", function()
      actor("echo", [[
        function on_ping(self, msg, env)
          env:reply("Pong", { n = 1 })
          print(select(2, pcall(function()
            env:reply("Pong", { n = 2 }) end)))
          print(select(2, pcall(function() env:fail("no") end)))
          print(select(2, pcall(function() env:forward(actor.self) end)))
        end
      ]])
      assert.same({
        "echo.lua:4: reply: this question was already answered",
        "echo.lua:5: fail: this question was already answered",
        "echo.lua:6: forward: this question was already answered",
        "echo Pong 1",
      }, ask("asker", "echo", "Ping"))
    end)

    it("raises for what cannot be sent, and the question stays open", function()
      actor("echo", [[
        function on_ping(self, msg, env)
          print(select(2, pcall(function() env:reply("Pong", { fn = print }) end)))
          print(select(2, pcall(function() env:reply("Start") end)))
          print(select(2, pcall(function() env.reply("Pong") end)))
          env:reply("Pong", { n = 1 })
        end
      ]])
      assert.same({
        "echo.lua:2: msg.fn: a function cannot be sent",
        "echo.lua:3: reply: only the host itself sends Start",
        "echo.lua:4: reply: an env is expected, not a string (call it as env:reply(...))",
        "echo Pong 1",
      }, ask("asker", "echo", "Ping"))
    end)

    it("to an answer sends a message to whom answered", function()
      actor("pong", [[
        function on_ping(self, msg, env) env:reply("Pong", { n = 1 }) end
        function on_thanks(self, msg, env) print("thanks from", env.from) end
      ]])
      assert.same({ "thanks from asker" }, run("asker", [[
        local _, env = actor.ref("pong"):ask("Ping")
        env:reply("Thanks")
      ]]))
    end)

    it("waits for room in the sender's mailbox, if it was not asked", function()
      actor("echo", 'function on_ping(self, msg, env) print("replied", (env:reply("Pong", msg))) end')
      actor("sender", [[
        local Sender = { mailbox = { limit = 1 } }
        function Sender:on_go()
          actor.ref("echo"):send("Ping", { n = 1 })
          actor.ref("echo"):send("Ping", { n = 2 })
          actor.sleep("1s")
        end
        function Sender:on_pong(msg) print("got", msg.n) end
        return Sender
      ]])
      stage:send("sender", "Go")
      stage:run()
      assert.same({ "replied true" }, printed())
      stage:advance("1s")
      local lines = printed()
      table.sort(lines)
      assert.same({ "got 1", "got 2", "replied true" }, lines)
    end)
  end)

  describe("forward", function()
    it("keeps the priority that the message was sent with", function()
      actor("busy", [[
        function on_wait() actor.sleep("1s") end
        function on_ping(self, msg) print(msg.n) end
      ]])
      actor("desk", 'function on_any(self, msg, env) env:forward(actor.ref("busy")) end')
      run("sender", [[
        local desk = actor.ref("desk")
        desk:send("Wait")
        desk:send("Ping", { n = 1 })
        actor.sleep("10ms")
        desk:send("Ping", { n = 2 }, { priority = "high" })
      ]])
      stage:advance("2s")
      assert.same({ "2", "1" }, printed())
    end)

    before_each(function()
      actor("pong", 'function on_ping(self, msg, env) print(env.from, env.asked) env:reply("Pong", msg) end')
    end)

    it("passes a question on: the asker gets the other's answer", function()
      actor("desk", 'function on_ping(self, msg, env) print(env:forward(actor.ref("pong"))) end')
      assert.same({ "true", "asker true", "pong Pong 1" }, ask("asker", "desk", "Ping", "n = 1"))
    end)

    it("passes a message on: it is from its first sender", function()
      actor("desk", 'function on_ping(self, msg, env) env:forward(actor.ref("pong")) end')
      assert.same({ "sender false", "got 1 pong" }, run("sender", 'actor.ref("desk"):send("Ping", { n = 1 })',
        'function on_pong(self, msg, env) print("got", msg.n, env.from) end'))
    end)

    it("passes it on again and again", function()
      actor("desk4", 'function on_ping(self, msg, env) env:forward(actor.ref("pong")) end')
      for i = 3, 1, -1 do
        actor("desk" .. i, ('function on_ping(self, msg, env) env:forward(actor.ref("desk%d")) end'):format(i + 1))
      end
      assert.same({ "asker true", "pong Pong 1" }, ask("asker", "desk1", "Ping", "n = 1"))
    end)

    it("passes it on as it came, whatever the handler did to its copy", function()
      actor("desk", [[
        function on_ping(self, msg, env)
          msg.n = 2
          env:forward(actor.ref("pong"))
        end
      ]])
      assert.same({ "asker true", "pong Pong 1" }, ask("asker", "desk", "Ping", "n = 1"))
    end)

    it("to another host leaves with its first sender", function()
      actor("desk", 'function on_ping(self, msg, env) print(env:forward(actor.ref("pong@tcp://10.0.0.7:5001"))) end')
      assert.same({ "true" }, run("sender", 'actor.ref("desk"):send("Ping", { n = 1 })'))
      assert.same({ { to = "pong@tcp://10.0.0.7:5001", from = "sender", type = "Ping", msg = { n = 1 } } },
        stage:outbox())
    end)

    it("to one who fails, or has no handler: the asker is told", function()
      actor("bad", 'function on_ping() error("boom", 0) end')
      actor("blank", 'function on_other() end')
      for _, name in ipairs { "bad", "blank" } do
        actor("desk_" .. name, ('function on_ping(self, msg, env) env:forward(actor.ref("%s")) end'):format(name))
      end
      assert.matches("^failed .*boom$", ask("asker1", "desk_bad", "Ping")[1])
      assert.matches("^rejected .*Unknown message type: Ping$", ask("asker2", "desk_blank", "Ping")[1])
      assert.equal(0, stage:now())
      stage:log()
    end)

    it("to one who has ended: nil, why, down, and the question is still here", function()
      actor("desk", [[
        function on_ping(self, msg, env)
          local sent, why = env:forward(actor.ref("nobody"))
          print(sent, why.reason)
          env:reply("Pong", { n = 7 })
        end
      ]])
      assert.same({ "nil down", "desk Pong 7" }, ask("asker", "desk", "Ping"))
    end)

    it("to a full mailbox: nil, why, full, and the question is still here", function()
      actor("full", [[
        local Full = { mailbox = { limit = 1 } }
        function Full:on_nap() actor.sleep("1s") end
        function Full:on_note() end
        return Full
      ]])
      stage:send("full", "Nap")
      stage:run()
      stage:send("full", "Note")
      actor("desk", [[
        function on_ping(self, msg, env)
          local sent, why = env:forward(actor.ref("full"))
          print(sent, why.reason)
          env:reply("Pong", { n = 7 })
        end
      ]])
      assert.same({ "nil full", "desk Pong 7" }, ask("asker", "desk", "Ping"))
    end)

    it("of an answer raises", function()
      assert.same({ "asker.lua:2: forward: an answer cannot be forwarded" }, { run("asker", [[
        local _, env = actor.ref("pong"):ask("Ping")
        print(select(2, pcall(function() env:forward(actor.self) end)))
      ]])[2] })
    end)
  end)

  describe("fail", function()
    it("tells the asker why there is no answer", function()
      actor("shop", 'function on_buy(self, msg, env) print(env:fail("sold out")) end')
      assert.same({ "true", "failed shop failed at Buy: sold out" }, ask("asker", "shop", "Buy"))
    end)

    it("takes any value for a reason, or none", function()
      actor("shop", 'function on_buy(self, msg, env) env:fail(7) end function on_sell(self, msg, env) env:fail() end')
      assert.same({ "failed shop failed at Buy: 7" }, ask("asker1", "shop", "Buy"))
      assert.same({ "failed shop failed at Sell: no reason given" }, ask("asker2", "shop", "Sell"))
    end)

    it("passes on a why that it has got itself", function()
      actor("shop", [[
        function on_buy(self, msg, env)
          local _, why = actor.ref("store"):ask("Buy")
          env:fail(why)
        end
      ]])
      assert.same({ "failed shop failed at Buy: no answer from store to Buy: no actor is named 'store'" },
        ask("asker", "shop", "Buy"))
    end)

    it("is no error: nothing is logged, and there is no dead letter", function()
      actor("shop", 'function on_buy(self, msg, env) env:fail("sold out") end')
      ask("asker", "shop", "Buy")
      assert.same({}, stage:log())
      assert.same({}, stage:dead_letters())
    end)

    it("where nobody asked: nil, why", function()
      actor("shop", 'function on_buy(self, msg, env) local ok, why = env:fail("no") print(ok, why) end')
      assert.same({ "nil nobody waits for an answer" }, run("sender", 'actor.ref("shop"):send("Buy")'))
    end)
  end)

  describe("defer", function()
    before_each(function()
      actor("barber", [[
        function on_cut(self, msg, env)
          self.customer = env:defer()
          print("deferred", self.customer == env)
        end
        function on_finish(self, msg, env)
          print("finish", self.customer:reply("Done", { n = 1 }))
        end
        function on_refuse(self, msg, env) self.customer:fail("closed") end
        function on_send_home(self, msg, env) self.customer:forward(actor.ref("other")) end
        function on_look(self) print(self.customer.type, self.customer.from, self.customer.asked) end
        function on_lose(self) self.customer = nil collectgarbage() collectgarbage() end
        function on_forget(self, msg, env) env:defer() env = nil collectgarbage() collectgarbage() end
        function on_forgotten(self, msg, env) env:defer() end
        function on_break(self, msg, env) self.customer = env:defer() error("scissors", 0) end
      ]])
    end)

    local function tell(type)
      stage:send("barber", type)
      stage:run()
      return printed()
    end

    it("keeps a question open after its handler, to be answered by a later one", function()
      assert.same({ "deferred true" }, ask("asker", "barber", "Cut"))
      assert.same({ "finish true", "barber Done 1" }, tell("Finish"))
    end)

    it("lets other messages be handled meanwhile", function()
      ask("asker", "barber", "Cut")
      assert.same({ "Cut asker true" }, tell("Look"))
      assert.same({ "finish true", "barber Done 1" }, tell("Finish"))
    end)

    it("lets it be refused later", function()
      ask("asker", "barber", "Cut")
      assert.same({ "failed barber failed at Cut: closed" }, tell("Refuse"))
    end)

    it("lets it be forwarded later", function()
      actor("other", 'function on_cut(self, msg, env) env:reply("Done", { n = 2 }) end')
      ask("asker", "barber", "Cut")
      assert.same({ "other Done 2" }, tell("SendHome"))
    end)

    it("answers a question once", function()
      ask("asker", "barber", "Cut")
      tell("Finish")
      tell("Finish")
      assert.matches("reply: this question was already answered", stage:log()[1].text, 1, true)
    end)

    it("lets the asker's deadline go on", function()
      ask("asker", "barber", "Cut")
      stage:advance("5s")
      assert.same({ "timeout no answer from barber to Cut in 5.0 s" }, printed())
      assert.same({ "finish true" }, tell("Finish")) -- and the late answer is dropped
    end)

    it("lets the asker be told when the actor ends", function()
      ask("asker", "barber", "Cut")
      stage:stop("barber")
      stage:run()
      assert.same({ "down no answer to Cut: barber has ended" }, printed())
      assert.equal(0, stage:now())
    end)

    it("lets the asker be told when the env is lost", function()
      ask("asker", "barber", "Cut")
      assert.same({ "no_reply no answer from barber to Cut: its handler ended without a reply" }, tell("Lose"))
      assert.equal(0, stage:now())
    end)

    it("and when it was lost in its own handler", function()
      assert.same({ "no_reply no answer from barber to Forget: its handler ended without a reply" },
        ask("asker", "barber", "Forget"))
      assert.equal(0, stage:now())
    end)

    it("and when it was never kept, as soon as it is collected", function()
      assert.same({}, ask("asker", "barber", "Forgotten"))
      assert.same({ "no_reply no answer from barber to Forgotten: its handler ended without a reply" }, tell("Lose"))
    end)

    it("keeps it open even if the handler fails afterwards", function()
      assert.same({}, ask("asker", "barber", "Break"))
      assert.matches("scissors", stage:log()[1].text)
      assert.same({ "finish true", "barber Done 1" }, tell("Finish"))
    end)

    it("keeps a message that was not a question, too", function()
      run("sender", 'actor.ref("barber"):send("Cut")', 'function on_done(self, msg) print("done", msg.n) end')
      assert.same({ "finish true", "done 1" }, tell("Finish"))
    end)

    it("may be said twice", function()
      actor("twice", 'function on_cut(self, msg, env) self.e = env:defer():defer() self.e:reply("Done", { n = 1 }) end')
      assert.same({ "twice Done 1" }, ask("asker", "twice", "Cut"))
    end)

    it("keeps many, to be answered in any order", function()
      actor("queue", [[
        function on_cut(self, msg, env) self[msg.n] = env:defer() end
        function on_finish(self) for n = 3, 1, -1 do self[n]:reply("Done", { n = n * 10 }) end end
      ]])
      for n = 1, 3 do ask("asker" .. n, "queue", "Cut", "n = " .. n) end
      stage:send("queue", "Finish")
      stage:run()
      local lines = printed()
      table.sort(lines)
      assert.same({ "queue Done 10", "queue Done 20", "queue Done 30" }, lines)
    end)
  end)

  describe("is over when its handler has ended:", function()
    it("every use of it raises, at the caller's line", function()
      actor("keeper", [[
        function on_keep(self, msg, env) self.env = env end
        function on_use(self)
          for _, use in ipairs {
            function() self.env:reply("Pong") end,
            function() self.env:fail("no") end,
            function() self.env:forward(actor.self) end,
            function() self.env:defer() end,
            function() return self.env.from end,
          } do print(select(2, pcall(use))) end
        end
      ]])
      stage:send("keeper", "Keep")
      stage:send("keeper", "Use")
      stage:run()
      local text = "this message was handled already: keep it with env:defer()"
      assert.same({ "keeper.lua:4: reply: " .. text, "keeper.lua:5: fail: " .. text, "keeper.lua:6: forward: " .. text,
                    "keeper.lua:7: defer: " .. text, "keeper.lua:8: from: " .. text }, printed())
    end)

    it("also that of a message which a handler has received, and that of an answer", function()
      actor("pong", 'function on_ping(self, msg, env) env:reply("Pong") end')
      run("keeper", [[
        actor.self:send("Note")
        local _
        _, self.note = actor.receive("Note")
        _, self.answer = actor.ref("pong"):ask("Ping")
      ]], [[
        function on_use(self)
          print(select(2, pcall(self.note.reply, self.note, "X")))
          print(select(2, pcall(self.answer.reply, self.answer, "X")))
        end
      ]])
      stage:send("keeper", "Use")
      stage:run()
      local text = "reply: this message was handled already: keep it with env:defer()"
      assert.same({ text, text }, printed())
    end)

    it("but lives on while its handler waits", function()
      actor("slow", 'function on_ping(self, msg, env) actor.sleep("1s") env:reply("Pong", { n = 1 }) end')
      ask("asker", "slow", "Ping")
      stage:advance("1s")
      assert.same({ "slow Pong 1" }, printed())
    end)

    it("and works in a coroutine that outlives it no better", function()
      actor("co", [[
        function on_keep(self, msg, env)
          self.co = coroutine.wrap(function() coroutine.yield() print(select(2, pcall(env.reply, env, "Pong"))) end)
          self.co()
        end
        function on_use(self) self.co() end
      ]])
      stage:send("co", "Keep")
      stage:send("co", "Use")
      stage:run()
      assert.same({ "reply: this message was handled already: keep it with env:defer()" }, printed())
    end)
  end)
end)
