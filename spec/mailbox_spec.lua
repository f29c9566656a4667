-- Mailboxes are bounded, and what a full one does is its owner's to say.
local Stage = require "troupe.stage"

describe("a mailbox", function()
  local stage

  before_each(function() stage = Stage.new() end)
  after_each(function() stage:close() end)

  local function printed()
    local lines = stage:output()
    for i, line in ipairs(lines) do lines[i] = line:gsub("\t", " ") end
    return lines
  end

  -- Runs `body` in a handler of a new actor; what was printed by all until idle.
  local function run(name, body, other_handlers)
    assert(stage:spawn({
      name = name,
      source = "function on_go(self, msg, env) " .. body .. "\nend\n" .. (other_handlers or ""),
    }))
    stage:send(name, "Go")
    stage:run()
    return printed()
  end

  -- An actor called "busy" with that mailbox, which sleeps for a second now and
  -- then prints the numbers it gets.
  local function busy(mailbox)
    assert(stage:spawn({ name = "busy", source = ([[
      local Busy = { mailbox = %s }
      function Busy:on_nap() actor.sleep("1s") end
      function Busy:on_note(msg) print(msg.n) end
      function Busy:on_ask_me(msg, env) env:reply("Answer", { n = msg.n }) end
      function Busy:on_question(msg, env)
        local answer, why = actor.ref("other"):ask("Ping")
        print(answer and "answer" or why)
      end
      return Busy
    ]]):format(mailbox) }))
    stage:send("busy", "Nap")
    stage:run()
  end

  -- Sends the numbers 1 to `count`, and prints what became of those not sent.
  local function send_notes(count, fields)
    return run("sender", ([[
      for n = 1, %d do
        local sent, why = actor.ref("busy"):send("Note", { n = n, %s })
        if not sent then print(n, why.reason, why) end
      end
      print("done")
    ]]):format(count, fields or ""))
  end

  local function dropped()
    local notes = {}
    for i, letter in ipairs(stage:dead_letters()) do
      notes[i] = ("%s from %s to %s: %s, %s"):format(letter.type, letter.from, letter.to, letter.reason, letter.text)
    end
    return notes
  end

  local A_DROPPED_NOTE = "Note from sender to busy: full, dropped: the mailbox was full"

  describe("is bounded", function()
    it("in messages", function()
      busy "{ limit = 3, overflow = 'fail' }"
      assert.same({ "4 full Note was not sent to busy: its mailbox is full",
                    "5 full Note was not sent to busy: its mailbox is full", "done" }, send_notes(5))
      stage:advance("1s")
      assert.same({ "1", "2", "3" }, printed())
    end)

    it("in bytes", function()
      busy "{ bytes = '64KiB', overflow = 'fail' }"
      local lines = send_notes(6, "text = ('x'):rep(20 * 1024)")
      assert.same({ "4 full", "5 full", "6 full", "done" }, {
        lines[1]:sub(1, 6), lines[2]:sub(1, 6), lines[3]:sub(1, 6), lines[4] })
      stage:advance("1s")
      assert.same({ "1", "2", "3" }, printed())
    end)

    it("at 1024 messages, if nobody says otherwise", function()
      busy "{ overflow = 'fail' }"
      assert.same({ "1025 full Note was not sent to busy: its mailbox is full", "done" }, send_notes(1025))
      stage:advance("1s")
      assert.equal(1024, #printed())
    end)

    it("and has room again for each message that is taken out", function()
      busy "{ limit = 2, overflow = 'fail' }"
      run("sender", [[
        local busy = actor.ref("busy")
        print(busy:try_send("Note", { n = 1 }), busy:try_send("Note", { n = 2 }), (busy:try_send("Note", { n = 3 })))
        actor.sleep("2s")
        print(busy:try_send("Note", { n = 4 }), busy:try_send("Note", { n = 5 }), (busy:try_send("Note", { n = 6 })))
      ]])
      stage:advance("3s")
      assert.same({ "1", "2", "true true nil", "4", "5" }, printed())
    end)

    for _, overflow in ipairs { "wait", "fail", "drop_new" } do
      it("but takes one message that is larger than all its bytes when it is empty (" .. overflow .. ")", function()
        busy(("{ bytes = '1KiB', overflow = '%s' }"):format(overflow))
        send_notes(1, "text = ('x'):rep(5000)")
        stage:advance("1s")
        assert.same({ "1" }, printed())
      end)
    end
  end)

  describe("that is full", function()
    it("makes senders wait (overflow = 'wait', the default)", function()
      busy "{ limit = 2 }"
      assert.same({}, send_notes(4))
      stage:advance("1s")
      local lines = printed()
      table.sort(lines)
      assert.same({ "1", "2", "3", "4", "done" }, lines)
      assert.same({}, dropped())
    end)

    it("refuses at once with overflow = 'fail': nil, why, full", function()
      busy "{ limit = 2, overflow = 'fail' }"
      assert.same({ "3 full Note was not sent to busy: its mailbox is full", "done" }, send_notes(3))
      assert.same({}, dropped())
      stage:advance("1s")
      assert.same({ "1", "2" }, printed())
    end)

    it("refuses questions too with overflow = 'fail'", function()
      busy "{ limit = 1, overflow = 'fail' }"
      assert.same({ "nil full no answer from busy to AskMe: its mailbox is full" }, run("asker", [[
        actor.ref("busy"):send("Note", { n = 1 })
        local none, why = actor.ref("busy"):ask("AskMe")
        print(none, why.reason, why)
      ]]))
      stage:advance("1s")
      assert.same({ "1" }, printed())
    end)

    it("drops the oldest with overflow = 'drop_old'", function()
      busy "{ limit = 3, overflow = 'drop_old' }"
      assert.same({ "done" }, send_notes(10))
      local letters = dropped()
      stage:advance("1s")
      local got = printed()
      assert.equal(10, #letters + #got)
      assert.is_true(#letters > 0 and #got >= 3)
      for i, n in ipairs(got) do assert.equal(tostring(10 - #got + i), n) end
      for _, letter in ipairs(letters) do assert.equal(A_DROPPED_NOTE, letter) end
    end)

    it("drops the new with overflow = 'drop_new', and tells the sender true", function()
      busy "{ limit = 3, overflow = 'drop_new' }"
      assert.same({ "done" }, send_notes(5))
      assert.same({ A_DROPPED_NOTE, A_DROPPED_NOTE }, dropped())
      stage:advance("1s")
      assert.same({ "1", "2", "3" }, printed())
    end)

    it("tells the asker of a question that it drops, old or new", function()
      for _, overflow in ipairs { "drop_old", "drop_new" } do
        busy(("{ limit = 1, overflow = '%s' }"):format(overflow))
        run("asker", [[
          local none, why = actor.all { actor.ref("busy"):start_ask("AskMe"), actor.ref("busy"):start_ask("AskMe") }
          print(none, why.reason, why)
        ]])
        stage:advance("1s")
        assert.same({ "nil full no answer from busy to AskMe: its mailbox is full" }, printed())
        assert.equal(1, #stage:dead_letters())
        stage:stop("busy")
        stage:stop("asker")
        stage:run()
      end
    end)

    it("does not let high priority pass its bound", function()
      busy "{ limit = 2, overflow = 'fail' }"
      assert.same({ "true true nil" }, run("sender", [[
        local busy, high = actor.ref("busy"), { priority = "high" }
        print(busy:send("Note", { n = 1 }), busy:send("Note", { n = 2 }), (busy:send("Note", { n = 3 }, high)))
      ]]))
      stage:advance("1s")
      assert.same({ "1", "2" }, printed())
    end)

    for _, overflow in ipairs { "wait", "fail", "drop_new", "drop_old" } do
      it("never refuses a stop (" .. overflow .. ")", function()
        busy(("{ limit = 1, overflow = '%s' }"):format(overflow))
        run("filler", 'actor.ref("busy"):try_send("Note", { n = 1 })')
        stage:stop("busy")
        stage:run()
        assert.is_false(stage:alive("busy"))
        assert.same({ "Note from filler to busy: down, the actor has ended" }, dropped())
      end)

      it("never refuses an answer to its actor's own question (" .. overflow .. ")", function()
        assert(stage:spawn({ name = "other", source = [[
          function on_ping(self, msg, env)
            actor.sleep("3s")
            env:reply("Pong")
          end
        ]] }))
        busy(("{ limit = 1, overflow = '%s' }"):format(overflow))
        stage:send("busy", "Question")
        stage:advance("1s")
        run("filler", [[
          actor.ref("busy"):try_send("Note", { n = 1 })
          actor.ref("busy"):try_send("Note", { n = 1 })
        ]])
        stage:advance("3s")
        assert.same("answer", printed()[1])
        stage:dead_letters()
      end)

      it("never refuses its actor's timers (" .. overflow .. ")", function()
        assert(stage:spawn({ name = "clock", source = ([[
          local Clock = { mailbox = { limit = 1, overflow = "%s" } }
          function Clock:on_go()
            self.ticker = actor.every("100ms", "Tick")
            actor.after("100ms", "Alarm")
            actor.sleep("1s")
          end
          function Clock:on_tick(msg) print("tick", msg.missed) self.ticker:cancel() end
          function Clock:on_alarm() print("alarm") end
          function Clock:on_note() print("note") end
          return Clock
        ]]):format(overflow) }))
        stage:send("clock", "Go")
        stage:run()
        stage:send("clock", "Note")
        stage:advance("1s")
        assert.same({ "note", "tick 9", "alarm" }, printed())
        assert.same({}, dropped())
      end)
    end
  end)

  describe("keeps what it could not deliver as a dead letter:", function()
    it("with its type, sender, target, reason and why", function()
      busy "{ limit = 1, overflow = 'drop_new' }"
      send_notes(2)
      assert.same({ { type = "Note", from = "sender", to = "busy", reason = "full",
                      text = "dropped: the mailbox was full" } }, stage:dead_letters())
      stage:advance("1s")
      printed()
    end)

    it("the mail of an actor that has ended", function()
      busy "{}"
      send_notes(2)
      stage:stop("busy")
      stage:run()
      assert.same({ "Note from sender to busy: down, the actor has ended",
                    "Note from sender to busy: down, the actor has ended" }, dropped())
    end)

    it("nothing of what it delivered", function()
      busy "{}"
      send_notes(2)
      stage:stop("busy")
      stage:advance("1s")
      stage:dead_letters()
      assert.same({}, dropped())
    end)
  end)

  describe("that is described wrongly is refused when its script is loaded:", function()
    for _, case in ipairs {
      { "7", "mailbox is a table" },
      { "{ limit = 0 }", "limit" },
      { "{ limit = -1 }", "limit" },
      { "{ limit = 1.5 }", "limit" },
      { "{ limit = 4000001 }", "limit" },
      { "{ limit = '10' }", "limit" },
      { "{ bytes = 0 }", "bytes" },
      { "{ bytes = 'many' }", "bytes" },
      { "{ bytes = '10XiB' }", "bytes" },
      { "{ bytes = {} }", "bytes" },
      { "{ overflow = 'drop' }", "overflow" },
      { "{ overflow = true }", "overflow" },
      { "{ limits = 10 }", "no 'limits' (did you mean 'limit'?)" },
    } do
      it(case[1], function()
        local none, why = stage:spawn({ name = "wrong", source = ("return { mailbox = %s }"):format(case[1]) })
        assert.is_nil(none)
        assert.matches("^wrong%.lua: .*mailbox", why)
        assert.matches(case[2], why, 1, true)
      end)
    end

    it("and by a spawner, at its line", function()
      local lines = run("parent", [[
        print(pcall(actor.spawn, "counter", { mailbox = { limit = 0 } }))
        print(select(2, pcall(function()
          actor.spawn("counter", { mailbox = { overfow = "wait" } })
        end)))
      ]])
      assert.matches("^false actor%.spawn: .*limit", lines[1])
      assert.matches("^parent%.lua:3: actor%.spawn: .*overfow", lines[2])
    end)
  end)
end)
