-- `interleave`: an actor that handles other messages while a handler of its waits.
local Stage = require "troupe.stage"

describe("an actor that interleaves", function()
  local stage

  before_each(function() stage = Stage.new() end)
  after_each(function() stage:close() end)

  local function spawn(name, source, options)
    local script = { name = name, source = source }
    for option, value in pairs(options or {}) do script[option] = value end
    return assert(stage:spawn(script))
  end

  local function printed()
    local lines = stage:output()
    for i, line in ipairs(lines) do lines[i] = line:gsub("\t", " ") end
    return lines
  end

  local function send(type, msg)
    assert(stage:send("hero", type, msg))
  end

  -- What the hero printed after each of the messages: {type, msg}.
  local function tell(...)
    for _, message in ipairs { ... } do send(message[1], message[2]) end
    stage:run()
    return printed()
  end

  -- Answers Get { n =, after = } with Got { n = 10 n } after that time; several at once.
  local BACKEND = [[
    return {
      interleave = true,
      on_get = function(self, msg, env)
        if msg.after then actor.sleep(msg.after) end
        env:reply("Got", { n = 10 * msg.n })
      end,
    }
  ]]

  -- A cache in front of it.
  local CACHE = [[
    return {
      interleave = %s,
      on_start = function(self) self.values = {} end,
      on_load = function(self, msg, env)
        local got = assert(actor.ref("backend"):ask("Get", msg))
        self.values[tostring(msg.n)] = got.n
        print("loaded", msg.n, got.n)
      end,
      on_query = function(self, msg, env) env:reply("Value", { value = self.values[tostring(msg.n)] }) end,
    }
  ]]

  local function query(n)
    local msg = assert(stage:ask("hero", "Query", { n = n }))
    return msg.value
  end

  describe("while a handler waits", function()
    it("handles the next message, with the same self", function()
      spawn("backend", BACKEND)
      spawn("hero", CACHE:format "true")
      send("Load", { n = 1, after = "1s" })
      assert.is_nil(query(1))
      assert.equal(0, stage:now())
      stage:advance "1s"
      assert.equal(10, query(1))
      assert.same({ "loaded 1 10" }, printed())
    end)

    it("gives each handler the answer to its own question, in whatever order they come", function()
      spawn("backend", BACKEND)
      spawn("hero", CACHE:format "true")
      send("Load", { n = 1, after = "3s" })
      send("Load", { n = 2, after = "1s" })
      send("Load", { n = 3, after = "2s" })
      stage:advance "4s"
      assert.same({ "loaded 2 20", "loaded 3 30", "loaded 1 10" }, printed())
    end)

    it("keeps to the order of the mailbox in beginning them", function()
      spawn("hero", [[
        return {
          interleave = true,
          on_step = function(self, msg) print("begin", msg.n) actor.sleep(msg.n) print("end", msg.n) end,
        }
      ]])
      assert.same({ "begin 2", "begin 1", "begin 3" },
        tell({ "Step", { n = 2 } }, { "Step", { n = 1 } }, { "Step", { n = 3 } }))
      stage:advance "1s"
      assert.same({ "end 1" }, printed())
      stage:advance "5s"
      assert.same({ "end 2", "end 3" }, printed())
    end)

    it("lets each wait have a deadline of its own", function()
      spawn("mute", "function on_get(self, msg, env) self.kept = self.kept or {} table.insert(self.kept, env:defer()) end")
      spawn("hero", [[
        return {
          interleave = true,
          on_go = function(self, msg)
            local _, why = actor.ref("mute"):ask("Get", nil, { timeout = msg.timeout })
            print(msg.timeout, why.reason, actor.now() - self.begun)
          end,
          on_start = function(self) self.begun = actor.now() end,
        }
      ]])
      tell({ "Go", { timeout = 3 } }, { "Go", { timeout = 1 } }, { "Go", { timeout = 2 } }, { "Go", { timeout = 1 } })
      stage:advance "0.5s"
      assert.same({}, printed())
      stage:advance "0.5s"
      assert.same({ "1 timeout 1.0", "1 timeout 1.0" }, printed())
      stage:advance "1s"
      assert.same({ "2 timeout 2.0" }, printed())
      stage:advance "1s"
      assert.same({ "3 timeout 3.0" }, printed())
    end)

    it("keeps the deadlines of the others when one wait ends before its own", function()
      spawn("backend", BACKEND)
      spawn("hero", [[
        return {
          interleave = true,
          on_go = function(self, msg)
            local got, why = actor.ref("backend"):ask("Get", { n = 1, after = msg.after }, { timeout = msg.timeout })
            print(msg.timeout, got and got.n or why.reason)
          end,
        }
      ]])
      tell({ "Go", { timeout = 2, after = "1s" } }, { "Go", { timeout = 3, after = "9s" } },
        { "Go", { timeout = 4, after = "9s" } })
      stage:advance "1s"
      assert.same({ "2 10" }, printed())
      stage:advance "1.5s"
      assert.same({}, printed())
      stage:advance "2s"
      assert.same({ "3 timeout", "4 timeout" }, printed())
      stage:advance "9s"
    end)

    it("does so in every kind of wait: all, any, sleep, receive, and for room", function()
      spawn("backend", BACKEND)
      spawn("narrow", "function on_item(self, msg) actor.sleep(1) print('item', msg.n) end", { mailbox = { limit = 1 } })
      spawn("hero", [[
        local backend = actor.ref("backend")
        local function questions()
          return { a = backend:start_ask("Get", { n = 1, after = "1s" }), b = backend:start_ask("Get", { n = 2, after = "2s" }) }
        end
        return {
          interleave = true,
          on_all = function() local got = actor.all(questions()) print("all", got.a.n, got.b.n) end,
          on_any = function() local name, got = actor.any(questions()) print("any", name, got.n) end,
          on_wait = function() actor.sleep("1.5s") print("slept") end,
          on_hear = function() print("heard", actor.receive("Word").text) end,
          on_fill = function()
            for n = 1, 3 do print("sent", n, actor.ref("narrow"):send("Item", { n = n })) end
          end,
          on_ping = function() print("ping") end,
        }
      ]])
      stage:run()
      assert.same({ "sent 1 true", "sent 2 true", "ping" }, tell({ "All" }, { "Wait" }, { "Hear" }, { "Fill" }, { "Ping" }))
      assert.same({ "heard hello" }, tell { "Word", { text = "hello" } })
      stage:advance "5s"
      local lines = printed()
      table.sort(lines)
      assert.same({ "all 10 20", "item 1", "item 2", "item 3", "sent 3 true", "slept" }, lines)
    end)

    it("goes on with all or any when the last answer they need has come, whoever waits besides", function()
      spawn("backend", BACKEND)
      spawn("hero", [[
        local backend = actor.ref("backend")
        return {
          interleave = true,
          on_go = function(self, msg)
            local questions, options = {}, { timeout = 20 }
            for i = 1, 3 do questions[i] = backend:start_ask("Get", { n = msg.n + i, after = msg.n / 10 * i }) end
            if msg.any then
              local key, got = actor.any(questions, options)
              print("any", key, got.n)
            end
            local got = assert(actor.all(msg.any and { questions[2], questions[3] } or questions, options))
            print("all", got[1].n, got[2].n)
          end,
        }
      ]])
      tell({ "Go", { n = 20 } }, { "Go", { n = 10, any = true } }, { "Go", { n = 30 } })
      stage:advance "1s"
      assert.same({ "any 1 110" }, printed())
      stage:advance "9s"
      assert.same({ "all 120 130", "all 210 220", "all 310 320" }, printed())
    end)

    it("is a mailbox of its own for nobody: what the handlers do not take stays counted", function()
      spawn("hero", [[
        return {
          interleave = { "Ping" },
          mailbox = { limit = 2, overflow = "fail" },
          on_wait = function() actor.sleep(1) end,
          on_ping = function() print("ping") end,
          on_note = function() print("note") end,
        }
      ]])
      tell { "Wait" }
      send("Note")
      send("Note")
      local sent, why = stage:send("hero", "Note")
      assert.is_nil(sent)
      assert.matches("full", tostring(why))
      stage:advance "1s"
      assert.same({ "note", "note" }, printed())
    end)
  end)

  describe("that lists types", function()
    it("handles only those meanwhile, and the others afterwards, in their order", function()
      spawn("backend", BACKEND)
      spawn("hero", CACHE:format '{ "Query" }')
      send("Load", { n = 1, after = "1s" })
      send("Load", { n = 2, after = "1s" })
      assert.is_nil(query(1))
      stage:advance "1s"
      assert.equal(10, query(1))
      assert.is_nil(query(2))
      stage:advance "1s"
      assert.equal(20, query(2))
      assert.same({ "loaded 1 10", "loaded 2 20" }, printed())
    end)

    it("compares them as handlers are: without case and underscores", function()
      spawn("hero", [[
        return {
          interleave = { "market_depth" },
          on_wait = function() actor.sleep(1) print("waited") end,
          on_marketdepth = function() print("depth") end,
        }
      ]])
      assert.same({ "depth" }, tell({ "Wait" }, { "MarketDepth" }))
      stage:advance "1s"
      assert.same({ "waited" }, printed())
    end)

    it("lets those wait too, and keeps the others out as long as any waits", function()
      spawn("hero", [[
        return {
          interleave = { "Query" },
          on_work = function(self, msg) print("work", msg.n) actor.sleep(1) print("worked", msg.n) end,
          on_query = function() print("query") actor.sleep(3) print("answered") end,
        }
      ]])
      assert.same({ "work 1", "query" }, tell({ "Work", { n = 1 } }, { "Work", { n = 2 } }, { "Query" }))
      stage:advance "1s"
      assert.same({ "worked 1" }, printed())
      stage:advance "2s"
      assert.same({ "answered", "work 2" }, printed())
      stage:advance "1s"
      assert.same({ "worked 2" }, printed())
    end)

    it("takes them out of the middle of the mail, those of its timers too", function()
      spawn("hero", [[
        return {
          interleave = { "Tick", "Query" },
          on_start = function() actor.every(1, "Tick") end,
          on_tick = function(self, msg) print("tick", actor.now() - self.begun) end,
          on_begin = function(self) self.begun = actor.now() actor.sleep("2.5s") print("over") end,
          on_note = function(self, msg) print("note", msg.n) end,
          on_query = function(self, msg) print("query", msg.n) end,
        }
      ]])
      stage:run()
      assert.same({ "query 1", "query 2" }, tell({ "Begin" }, { "Note", { n = 1 } }, { "Query", { n = 1 } },
        { "Note", { n = 2 } }, { "Query", { n = 2 } }))
      stage:advance "2.5s"
      assert.same({ "tick 1.0", "tick 2.0", "over", "note 1", "note 2" }, printed())
      stage:stop("hero")
      stage:run()
    end)
  end)

  describe("with receive", function()
    it("gives a message that both could take to the receive", function()
      spawn("hero", [[
        return {
          interleave = true,
          on_go = function() print("received", actor.receive("Note").n) end,
          on_note = function(self, msg) print("handled", msg.n) end,
        }
      ]])
      assert.same({ "received 1", "handled 2" }, tell({ "Go" }, { "Note", { n = 1 } }, { "Note", { n = 2 } }))
    end)

    it("gives it to the one that has waited longest", function()
      spawn("hero", [[
        return {
          interleave = true,
          on_go = function(self, msg)
            for _ = 1, 2 do print(msg.name, actor.receive { "Note", msg.other }.n) end
          end,
        }
      ]])
      assert.same({}, tell({ "Go", { name = "a", other = "A" } }, { "Go", { name = "b", other = "B" } }))
      assert.same({ "a 1", "b 2", "a 3", "b 4" },
        tell({ "Note", { n = 1 } }, { "B", { n = 2 } }, { "Note", { n = 3 } }, { "Note", { n = 4 } }))
    end)

    it("keeps to that when what came was not for anybody", function()
      spawn("hero", [[
        actor.message("Note", { n = "integer" })
        return {
          interleave = true,
          on_go = function(self, msg) print(msg.name, actor.receive("Note").n) end,
        }
      ]])
      assert.same({}, tell({ "Go", { name = "a" } }, { "Go", { name = "b" } }, { "Note", { n = "none" } }))
      assert.same({ "a 1", "b 2" }, tell({ "Note", { n = 1 } }, { "Note", { n = 2 } }))
      stage:dead_letters()
      stage:log()
    end)

    it("takes what is listed for no handler", function()
      spawn("hero", [[
        return {
          interleave = { "Query" },
          on_go = function() print("received", actor.receive("Note").n) end,
          on_note = function(self, msg) print("handled", msg.n) end,
          on_query = function() print("query") end,
          on_other = function() print("other") end,
        }
      ]])
      assert.same({ "query", "received 1", "other", "handled 2" },
        tell({ "Go" }, { "Other" }, { "Query" }, { "Note", { n = 1 } }, { "Note", { n = 2 } }))
    end)

    it("finds what came before it began", function()
      spawn("hero", [[
        return {
          interleave = { "Hear" },
          on_wait = function() actor.sleep(1) print("waited") end,
          on_hear = function() print("received", actor.receive("Note").n) end,
        }
      ]])
      assert.same({ "received 1" }, tell({ "Wait" }, { "Note", { n = 1 } }, { "Hear" }))
      stage:advance "1s"
      assert.same({ "waited" }, printed())
    end)
  end)

  describe("when a handler fails", function()
    local WORKER = [[
      return {
        interleave = true, failure = %s,
        on_work = function(self, msg, env)
          local ok, why = actor.sleep(msg.n)
          print(msg.n, ok and "slept" or why.reason)
          if msg.fail then error("as asked: " .. msg.n) end
          if env.asked then env:reply("Done", { n = msg.n }) end
        end,
        on_quit = function() actor.exit("enough") end,
        on_shutdown = function() print("shutdown") end,
      }
    ]]

    it("reports that one, and the others go on", function()
      spawn("hero", WORKER:format '"continue"')
      tell({ "Work", { n = 1 } }, { "Work", { n = 2, fail = true } }, { "Work", { n = 3 } })
      stage:advance "2s"
      assert.same({ "1 slept", "2 slept" }, printed())
      local log = stage:log()
      assert.equal(1, #log)
      assert.matches("as asked: 2", log[1].text, 1, true)
      assert.matches('Work {"fail": true, "n": 2}', log[1].text, 1, true)
      assert.same("failed", stage:dead_letters()[1].reason)
      stage:advance "1s"
      assert.same({ "3 slept" }, printed())
      stage:stop("hero")
      stage:run()
      assert.same({ "shutdown" }, printed())
    end)

    it("tells the one who asked, at once, and nobody else", function()
      spawn("hero", WORKER:format '"continue"')
      for n = 1, 3 do
        spawn("asker" .. n, ([[
          function on_start()
            local done, why = actor.ref("hero"):ask("Work", { n = %d, fail = %s })
            print("told", done and done.n or why.reason)
          end
        ]]):format(n, n == 2))
      end
      stage:advance "2s"
      assert.same({ "1 slept", "told 1", "2 slept", "told failed" }, printed())
      stage:advance "1s"
      assert.same({ "3 slept", "told 3" }, printed())
      stage:log()
      stage:dead_letters()
      stage:stop("hero")
      stage:run()
      assert.same({ "shutdown" }, printed())
    end)

    it("with failure = \"stop\", cuts the waits of the others, then shuts down", function()
      spawn("hero", WORKER:format '"stop"')
      tell({ "Work", { n = 2 } }, { "Work", { n = 1, fail = true } }, { "Work", { n = 3 } })
      stage:advance "1s"
      assert.same({ "1 slept", "2 stopping", "3 stopping", "shutdown" }, printed())
      assert.is_false(stage:alive("hero"))
      stage:log()
      stage:dead_letters()
    end)

    it("as when it calls actor.exit", function()
      spawn("hero", WORKER:format '"continue"')
      assert.same({ "2 stopping", "1 stopping", "shutdown" },
        tell({ "Work", { n = 2 } }, { "Work", { n = 1 } }, { "Quit" }, { "Work", { n = 4 } }))
      assert.is_false(stage:alive("hero"))
      assert.same("down", stage:dead_letters()[1].reason)
    end)
  end)

  describe("when it is stopped", function()
    local SLEEPER = [[
      return {
        interleave = true,
        on_work = function(self, msg, env)
          local ok, why = actor.sleep(msg.n)
          print(msg.n, ok and "slept" or why.reason)
          if msg.again then print("again", actor.sleep(1)) end
          if env.asked then env:reply("Done") end
        end,
        on_note = function(self, msg) print("note", msg.n) end,
        on_shutdown = function() print("shutdown", actor.sleep(1)) end,
      }
    ]]

    it("ends the waits of all, the longest first, and then runs on_shutdown", function()
      spawn("hero", SLEEPER)
      tell({ "Work", { n = 3, again = true } }, { "Work", { n = 1 } }, { "Work", { n = 2 } })
      send("Note", { n = 1 })
      stage:stop("hero")
      stage:run()
      local lines = printed()
      for i, line in ipairs(lines) do lines[i] = line:gsub(" nil.*", " nil") end
      assert.same({ "3 stopping", "again nil", "1 stopping", "2 stopping" }, lines)
      stage:advance "1s"
      assert.same({ "shutdown true" }, printed())
      assert.same("down", stage:dead_letters()[1].reason)
      assert.is_false(stage:alive("hero"))
    end)

    it("with drain handles first what is there; of that the handlers may wait side by side", function()
      spawn("hero", SLEEPER)
      tell { "Work", { n = 5 } }
      for n = 1, 3 do send("Work", { n = n }) end
      stage:stop("hero", { drain = true })
      stage:run()
      assert.same({ "5 stopping" }, printed())
      send("Note", { n = 1 })
      stage:run()
      stage:advance "2s"
      assert.same({ "1 slept", "2 slept" }, printed())
      assert.is_true(stage:alive("hero"))
      stage:advance "2s"
      assert.same({ "3 slept", "shutdown true" }, printed())
      assert.is_false(stage:alive("hero"))
      assert.equal(1, #stage:dead_letters())
    end)

    it("answers those who asked what their handlers say", function()
      spawn("hero", SLEEPER)
      spawn("asker", [[
        function on_start() print("told", actor.ref("hero"):ask("Work", { n = 4 })) end
      ]])
      stage:run()
      stage:stop("hero")
      stage:run()
      assert.matches("^4 stopping|told table", table.concat(printed(), "|"))
      stage:advance "1s"
      assert.same({ "shutdown true" }, printed())
    end)

    it("gives back what it was waiting to send", function()
      spawn("narrow", "function on_item(self, msg) actor.sleep(1) print('item', msg.n) end", { mailbox = { limit = 1 } })
      spawn("hero", [[
        return {
          interleave = true,
          on_fill = function(self, msg)
            local sent, why = actor.ref("narrow"):send("Item", { n = msg.n })
            if not sent then print(msg.n, why.reason) end
          end,
        }
      ]])
      tell({ "Fill", { n = 1 } }, { "Fill", { n = 2 } }, { "Fill", { n = 3 } }, { "Fill", { n = 4 } })
      stage:stop("hero")
      stage:run()
      assert.same({ "3 stopping", "4 stopping" }, printed())
      stage:advance "9s"
      assert.same({ "item 1", "item 2" }, printed())
    end)
  end)

  describe("begins", function()
    it("with on_start, and handles nothing before that has ended", function()
      spawn("hero", [[
        return {
          interleave = true,
          on_start = function() actor.sleep(1) print("started") end,
          on_note = function() print("note") end,
        }
      ]])
      assert.same({}, tell { "Note" })
      stage:advance "1s"
      assert.same({ "started", "note" }, printed())
    end)
  end)

  describe("in a circle", function()
    it("is never refused: it answers while it waits, itself too", function()
      spawn("hero", [[
        return {
          interleave = true,
          on_go = function(self, msg, env) print(actor.self:ask("Double", { n = 4 }).n) end,
          on_double = function(self, msg, env) env:reply("Result", { n = msg.n * 2 }) end,
        }
      ]])
      assert.same({ "8" }, tell { "Go" })
    end)

    it("lets another ask it that it has asked", function()
      spawn("other", [[
        function on_go(self, msg, env) env:reply("Went", actor.ref("hero"):ask("Get")) end
      ]])
      spawn("hero", [[
        return {
          interleave = { "Get" },
          on_go = function(self, msg, env) print(actor.ref("other"):ask("Go").n) end,
          on_get = function(self, msg, env) env:reply("Got", { n = 7 }) end,
        }
      ]])
      assert.same({ "7" }, tell { "Go" })
    end)

    it("is found as any other while on_start waits, which nothing interleaves with", function()
      spawn("hero", [[
        return {
          interleave = true,
          on_start = function() print(actor.ref("other"):ask("Go").text) end,
          on_get = function(self, msg, env) env:reply("Got") end,
        }
      ]])
      spawn("other", [[
        function on_go(self, msg, env)
          local got, why = actor.ref("hero"):ask("Get")
          env:reply("Went", { text = tostring(why) })
        end
      ]])
      stage:run()
      assert.same({ "deadlock: other -> hero -> other" }, printed())
      assert.equal(0, stage:now())
    end)

    it("of types that it does not list lasts until the deadline", function()
      spawn("other", [[
        function on_go(self, msg, env)
          local got, why = actor.ref("hero"):ask("Get", nil, { timeout = 2 })
          env:reply("Went", { text = why.reason })
        end
      ]])
      spawn("hero", [[
        return {
          interleave = { "Query" },
          on_go = function(self, msg, env) print(actor.ref("other"):ask("Go").text) end,
          on_get = function(self, msg, env) env:reply("Got") end,
          on_query = function() end,
        }
      ]])
      assert.same({}, tell { "Go" })
      stage:advance "2s"
      assert.same({ "timeout" }, printed())
    end)
  end)

  describe("keeps apart", function()
    it("the envs of its handlers", function()
      spawn("hero", [[
        return {
          interleave = true,
          on_work = function(self, msg, env)
            actor.sleep(msg.n)
            env:reply("Done", { n = msg.n, type = env.type })
          end,
        }
      ]])
      for n = 1, 3 do
        spawn("asker" .. n, ([[
          function on_start() local done = actor.ref("hero"):ask("Work", { n = 4 - %d }) print(%d, done.n, done.type) end
        ]]):format(n, n))
      end
      stage:advance "4s"
      assert.same({ "3 1 Work", "2 2 Work", "1 3 Work" }, printed())
    end)

    it("a question that one has deferred, which another may answer", function()
      spawn("hero", [[
        return {
          interleave = true,
          on_ask = function(self, msg, env)
            self.env = env:defer()
            print("slept", actor.sleep(2))
            print(pcall(env.reply, env, "Late"))
          end,
          on_answer = function(self, msg) self.env:reply("Answer", { n = msg.n }) end,
          on_pass = function(self, msg) self.env:forward(actor.ref("other")) end,
        }
      ]])
      spawn("other", "function on_ask(self, msg, env) env:reply('Answer', { n = msg.n + 1 }) end")
      spawn("asker", "function on_ask(self, msg) print('told', actor.ref('hero'):ask('Ask', msg).n) end")
      stage:send("asker", "Ask", { n = 1 })
      stage:run()
      assert.same({ "told 5" }, tell { "Answer", { n = 5 } })
      stage:advance "2s"
      assert.matches("^slept true|false .*already answered", table.concat(printed(), "|"))
      stage:send("asker", "Ask", { n = 1 })
      stage:run()
      assert.same({ "told 2" }, tell { "Pass" })
      stage:advance "2s"
      printed()
    end)

    it("an env that was not deferred: it says so", function()
      spawn("hero", [[
        return {
          interleave = true,
          on_ask = function(self, msg, env) self.env = env actor.sleep(1) end,
          on_answer = function(self) print(pcall(self.env.reply, self.env, "Answer")) end,
        }
      ]])
      assert.matches("reply: this message belongs to another handler of this actor: keep it with env:defer()",
        table.concat(tell({ "Ask" }, { "Answer" })), 1, true)
      stage:advance "1s"
      assert.matches("this message was handled already", table.concat(tell { "Answer" }), 1, true)
    end)

    it("what they were answered", function()
      spawn("backend", BACKEND)
      spawn("hero", [[
        return {
          interleave = true,
          on_go = function(self, msg)
            local _, env = actor.ref("backend"):ask("Get", { n = 1, after = msg.n })
            actor.sleep(3)
            print(msg.n, env.type, tostring(env.from):match("^%w+"))
          end,
        }
      ]])
      tell({ "Go", { n = 1 } }, { "Go", { n = 2 } })
      stage:advance "9s"
      assert.same({ "1 Got backend", "2 Got backend" }, printed())
    end)

    it("the questions they have started", function()
      spawn("backend", BACKEND)
      spawn("hero", [[
        return {
          interleave = true,
          on_begin = function(self)
            self.question = actor.ref("backend"):start_ask("Get", { n = 1 })
            actor.sleep(1)
            print("mine", actor.all { self.question }[1].n)
          end,
          on_steal = function(self) print(pcall(actor.all, { self.question })) end,
        }
      ]])
      assert.matches("false .*belongs to another handler", table.concat(tell({ "Begin" }, { "Steal" })))
      stage:advance "1s"
      assert.same({ "mine 10" }, printed())
    end)

    it("their messages, in reports and on a slow handler's budget", function()
      spawn("hero", [[
        return {
          interleave = true,
          on_work = function(self, msg)
            for _ = 1, 4 do
              for _ = 1, 3e6 do end
              actor.sleep(1)
            end
            print("worked", msg.n)
          end,
          on_wild = function() actor.sleep(2) while true do end end,
        }
      ]])
      for n = 1, 8 do send("Work", { n = n }) end
      send("Wild")
      stage:advance "9s"
      assert.equal(8, #printed())
      local log = stage:log()
      assert.equal(1, #log)
      assert.matches("on_wild", log[1].text)
      assert.matches("instruction budget", log[1].text)
      stage:dead_letters()
    end)
  end)

  describe("is bounded", function()
    it("to 1,000 handlers in hand; then mail waits", function()
      spawn("hero", [[
        return {
          interleave = true,
          on_work = function(self, msg)
            self.now = (self.now or 0) + 1
            self.most = math.max(self.most or 0, self.now)
            actor.sleep(msg.n == 500 and 1 or 2)
            self.now = self.now - 1
          end,
          on_most = function(self) print(self.most, self.now) end,
        }
      ]], { mailbox = { limit = 2000 } })
      for n = 1, 1100 do send("Work", { n = n }) end
      send("Most")
      stage:run()
      assert.same({}, printed())
      stage:advance "1s"
      assert.same({}, printed())
      stage:advance "1s"
      assert.same({ "1000 999" }, printed())
      stage:advance "9s"
      assert.same({ "1000 0" }, tell { "Most" })
    end)

    it("by its memory: those that have none for a coroutine wait their turn, or fail alone", function()
      spawn("hero", [[
        return {
          interleave = true, memory = "256KiB",
          on_work = function(self, msg)
            actor.sleep(1)
            self.done = (self.done or 0) + 1
          end,
          on_done = function(self) print("done", self.done) end,
        }
      ]])
      for n = 1, 600 do send("Work", { n = n }) end
      for _ = 1, 30 do stage:advance "1s" end
      local failed = #stage:dead_letters()
      stage:log()
      local done = tonumber((tell { "Done" })[1]:match("done (%d+)"))
      assert.equal(600, done + failed)
      assert.is_true(done > 100, done)
    end)
  end)

  describe("is asked for", function()
    local PLAIN = [[
      return {
        %s
        on_wait = function() actor.sleep(1) print("waited") end,
        on_ping = function() print("ping") end,
      }
    ]]

    it("by the script, or whoever spawns it, who is right", function()
      spawn("hero", PLAIN:format(""), { interleave = true })
      assert.same({ "ping" }, tell({ "Wait" }, { "Ping" }))
      stage:advance "1s"
      assert.same({ "waited" }, printed())
      spawn("other", PLAIN:format("interleave = true,"), { interleave = false })
      stage:send("other", "Wait")
      stage:send("other", "Ping")
      stage:run()
      assert.same({}, printed())
      stage:advance "1s"
      assert.same({ "waited", "ping" }, printed())
    end)

    local function refused(value)
      local it, why = stage:spawn { name = "hero", source = PLAIN:format("interleave = " .. value .. ",") }
      assert.is_nil(it)
      return why
    end

    it("with true, false or a list of types, and nothing else", function()
      assert.matches('interleave is true, false or a list of message types as {"Query"}', refused('"Query"'), 1, true)
      assert.matches("not 'Query'", refused('"Query"'), 1, true)
      assert.matches("not a number", refused("1"), 1, true)
      assert.matches("not an empty table", refused("{}"), 1, true)
      assert.matches("not a table with other keys", refused("{ 'Ping', extra = true }"), 1, true)
      assert.matches("number 2 is a boolean", refused("{ 'Ping', true }"), 1, true)
      assert.matches("'' cannot be a message's type", refused("{ '' }"), 1, true)
    end)

    it("with types that it has handlers for", function()
      assert.matches("interleave names Pin, but .* has no on_pin %(did you mean on_ping%?%)", refused("{ 'Pin' }"))
      assert.matches("interleave names Query, but .* has no on_query$", refused("{ 'Ping', 'Query' }"))
      spawn("hero", PLAIN:format("interleave = { 'Query' }, on_any = function() print('any') end,"))
      assert.same({ "any" }, tell({ "Wait" }, { "Query" }))
      stage:advance "1s"
      assert.same({ "waited" }, printed())
    end)
  end)

  it("does the same in any interleaving of the actors: each question its answer, each handler once", function()
    for seed = 1, 300 do
      local it = Stage.new { seed = seed }
      assert(it:spawn { name = "slow", source = [[
        return {
          interleave = true,
          on_get = function(self, msg, env)
            if math.random(2) == 1 then actor.sleep(math.random(3)) end
            if math.random(9) == 1 then return end
            env:reply("Got", { n = msg.n * 7 })
          end,
        }
      ]] })
      assert(it:spawn { name = "middle", source = [[
        return {
          interleave = { "Sum" },
          on_sum = function(self, msg, env)
            self.now = (self.now or 0) + 1
            local slow = actor.ref("slow")
            local sum, why = 0, nil
            if math.random(2) == 1 then
              local questions = {}
              for i = 1, 3 do questions[i] = slow:start_ask("Get", { n = msg.n + i }, { priority = i == 2 and "high" or nil }) end
              local got, failure, some = actor.all(questions, { timeout = 2 })
              for i, each in pairs(got or some) do assert(each.n == (msg.n + i) * 7) end
            else
              local got, failure = slow:ask("Get", { n = msg.n }, { timeout = 2 })
              assert(got == nil and (failure.reason == "timeout" or failure.reason == "no_reply") or got.n == msg.n * 7)
            end
            self.now = self.now - 1
            env:reply("Sum", { n = msg.n })
          end,
        }
      ]] })
      for i = 1, 3 do
        assert(it:spawn({ name = "asker" .. i, source = [[
          return { interleave = true, on_go = function(self, msg)
            local sum, why = actor.ref("middle"):ask("Sum", { n = msg.n }, { timeout = 60 })
            assert(sum and sum.n == msg.n, why)
            self.done = (self.done or 0) + 1
            if self.done == 5 then print("all of them") end
          end }
        ]] }))
        for n = 1, 5 do it:send("asker" .. i, "Go", { n = 10 * i + n }) end
      end
      it:advance "30s"
      assert.same({ "all of them", "all of them", "all of them" }, it:output(), "seed " .. seed)
      assert.same({}, it:log(), "seed " .. seed)
      it:close()
    end
  end)

  describe("and may be started again", function()
    local HERO = [[
      return {
        interleave = { "Wait", "Look", "Fail", "Say" }, failure = "restart",
        on_start = function(self, msg) print("start", msg.restarts) end,
        on_wait = function(self, msg, env)
          local _, why = actor.receive("Never", { timeout = "1s" })
          env:reply("Waited", { why = why.reason })
        end,
        on_look = function(self, msg) print(msg.name, actor.lookup(msg.name, { wait = msg.wait })) end,
        on_fail = function() error("spoilt") end,
        on_say = function(self, msg) print("said", msg.n) end,
      }
    ]]
    local ASKER = [[
      return { on_go = function(self, msg)
        local answer, why = actor.ref("hero"):ask("Wait", { n = msg.n })
        print(msg.n, answer.why)
      end }
    ]]

    it("cuts the waits of the others when a handler's failure ends its incarnation", function()
      spawn("hero", HERO)
      for i = 1, 3 do
        spawn("asker" .. i, ASKER)
        assert(stage:send("asker" .. i, "Go", { n = i }))
      end
      stage:run()
      assert.same({ "start 0" }, printed())
      assert.same({ "1 stopping", "2 stopping", "3 stopping" }, tell { "Fail" })
      send("Say", { n = 1 })
      stage:advance "6s"
      assert.same({ "start 1", "said 1" }, printed())
      assert(stage:send("asker1", "Go", { n = 4 }))
      stage:advance "2s"
      assert.same({ "4 timeout" }, printed())
      assert.equal(1, #stage:log())
    end)

    it("waits for several names at once, each in its own time", function()
      spawn("hero", HERO)
      stage:run()
      printed()
      tell({ "Look", { name = "a", wait = "1s" } }, { "Look", { name = "b", wait = "5s" } },
        { "Look", { name = "c", wait = "5s" } })
      spawn("c", "return {}")
      stage:run()
      assert.same({ "c c" }, printed())
      stage:advance "2s"
      assert.matches("^a nil no actor is named 'a', nor was in 1.0 s", printed()[1])
      spawn("b", "return {}")
      stage:run()
      assert.same({ "b b" }, printed())
    end)

    it("waits for no name any more when its incarnation has ended", function()
      spawn("hero", HERO)
      tell({ "Look", { name = "a", wait = "1m" } }, { "Look", { name = "b", wait = "1m" } }, { "Fail" })
      stage:advance "6s"
      spawn("a", "return {}")
      stage:run()
      assert.same({ "start 1" }, printed())
      assert.equal(1, #stage:log())
    end)
  end)
end)
