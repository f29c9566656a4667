-- Asking: an answer, or a reason at once; from wherever a script may wait.
local Stage = require "troupe.stage"

-- What the actor called "pong" understands.
local PONG = [[
  local Pong = {}
  function Pong:on_ping(msg, env) env:reply("Pong", { count = msg.count }) end
  function Pong:on_slow(msg, env) actor.sleep(msg.for_seconds) env:reply("Pong", { count = msg.count }) end
  function Pong:on_silent() end
  function Pong:on_naps() actor.sleep("1h") end
  function Pong:on_fails() error("boom") end
  function Pong:on_refuses(msg, env) env:fail("sold out") end
  function Pong:on_quits() actor.exit("enough") end
  return Pong
]]

describe("asking", function()
  local stage

  before_each(function()
    stage = Stage.new()
    assert(stage:spawn({ name = "pong", source = PONG }))
  end)
  after_each(function() stage:close() end)

  local function printed()
    local lines = stage:output()
    for i, line in ipairs(lines) do lines[i] = line:gsub("\t", " ") end
    return lines
  end

  local started = 0

  -- Starts `body` as a handler of a new actor, in which `pong` is the ref of
  -- pong; what was printed by all until nobody has anything to do.
  local function run(body, other_handlers)
    started = started + 1
    local name = "asker" .. started
    assert(stage:spawn({
      name = name,
      source = 'function on_go(self, msg, env) local pong = actor.ref("pong") ' .. body .. "\nend\n" ..
        (other_handlers or ""),
    }))
    stage:send(name, "Go")
    stage:run()
    return printed(), name
  end

  before_each(function() started = 0 end)

  -- The one error report in the log.
  local function report()
    local texts = {}
    for _, line in ipairs(stage:log()) do
      if line.level == "error" then table.insert(texts, line.text) end
    end
    assert.equal(1, #texts)
    return texts[1]
  end

  describe("returns", function()
    it("the answer, and its env", function()
      assert.same({ "1 Pong pong false false" }, run [[
        local msg, env = pong:ask("Ping", { count = 1 })
        print(msg.count, env.type, env.from, env.asked, env.remote)
      ]])
    end)

    it("an answer without a payload as an empty table", function()
      assert.same({ "table nil" }, run [[
        local msg = pong:ask("Ping")
        print(type(msg), next(msg))
      ]])
    end)

    it("each answer to its own question, one after the other", function()
      assert.same({ "1", "2", "3" }, run [[
        for count = 1, 3 do print(pong:ask("Ping", { count = count }).count) end
      ]])
    end)

    it("the answer of an actor that waits itself for another's", function()
      assert(stage:spawn({ name = "middle", source = [[
        function on_ping(self, msg, env)
          local answer = actor.ref("pong"):ask("Ping", msg)
          env:reply("Pong", { count = answer.count + 1 })
        end
      ]] }))
      assert.same({ "8" }, run [[print(actor.ref("middle"):ask("Ping", { count = 7 }).count)]])
    end)

    it("an env whose sender can be sent to", function()
      assert.same({ "2" }, run [[
        local _, env = pong:ask("Ping", { count = 1 })
        print(env.from:ask("Ping", { count = 2 }).count)
      ]])
    end)

    it("an answer before mail that came earlier, which is handled afterwards", function()
      assert.same({ "answer 1", "note" }, run([[
        actor.self:send("Note")
        print("answer", pong:ask("Ping", { count = 1 }).count)
      ]], "function on_note() print('note') end"))
    end)

    it("the answer to a question with high priority first", function()
      run([[pong:ask("Slow", { for_seconds = 1 })]])
      run([[print("normal", pong:ask("Ping", { count = 1 }).count)]])
      run([[print("high", pong:ask("Ping", { count = 2 }, { priority = "high" }).count)]])
      stage:advance("1s")
      assert.same({ "high 2", "normal 1" }, printed())
    end)
  end)

  describe("has a deadline:", function()
    it("5 seconds", function()
      run [[
        local before = actor.now()
        local none, why = pong:ask("Slow", { for_seconds = 60 })
        print(none, why.reason, actor.now() - before)
        print(why)
      ]]
      stage:advance("4999ms")
      assert.same({}, printed())
      stage:advance("1ms")
      assert.same({ "nil timeout 5.0", "no answer from pong to Slow in 5.0 s" }, printed())
    end)

    it("or opts.timeout", function()
      run [[print(select(2, pong:ask("Slow", { for_seconds = 60 }, { timeout = "2s" })))]]
      stage:advance("1999ms")
      assert.same({}, printed())
      stage:advance("1ms")
      assert.same({ "no answer from pong to Slow in 2.0 s" }, printed())
    end)

    it("longer than 5 seconds, too", function()
      run [[print(pong:ask("Slow", { for_seconds = 60, count = 1 }, { timeout = "2m" }).count)]]
      stage:advance("59s")
      assert.same({}, printed())
      stage:advance("1s")
      assert.same({ "1" }, printed())
    end)

    it("also in a mailbox that has no room for the question, which is then never handled", function()
      assert(stage:spawn({ name = "full", source = [[
        local Full = { mailbox = { limit = 1 } }
        function Full:on_nap() actor.sleep("10s") end
        function Full:on_ping(msg, env) print("asked", msg.count) env:reply("Pong") end
        return Full
      ]] }))
      stage:send("full", "Nap")
      stage:run()
      stage:send("full", "Ping", { count = 0 })
      run [[
        local none, why = actor.ref("full"):ask("Ping", { count = 1 }, { timeout = "2s" })
        print(none, why.reason, why)
      ]]
      stage:advance("2s")
      assert.same({ "nil timeout no answer from full to Ping in 2.0 s: no room in its mailbox" }, printed())
      stage:advance("20s")
      assert.same({ "asked 0" }, printed())
    end)

    it("and an answer after it is dropped, and not taken for that to the next question", function()
      run [[
        print(select(2, pong:ask("Slow", { for_seconds = 2, count = 1 }, { timeout = "1s" })))
        print(pong:ask("Ping", { count = 2 }).count)
        actor.sleep("1s")
        print(pong:ask("Ping", { count = 3 }).count)
      ]]
      stage:advance("10s")
      assert.same({ "no answer from pong to Slow in 1.0 s", "2", "3" }, printed())
      assert.same({}, stage:dead_letters())
    end)

    it("and an answer after its asker has ended is dropped", function()
      run [[pong:ask("Slow", { for_seconds = 2 }, { timeout = "1s" }) actor.exit()]]
      stage:advance("10s")
      assert.same({}, stage:log())
      assert.same({}, stage:dead_letters())
    end)
  end)

  describe("is told at once, with a reason,", function()
    local function told(body)
      local lines = run(body)
      assert.equal(0, stage:now())
      return lines
    end

    it("that the handler ended without a reply", function()
      assert.same({ "nil no_reply no answer from pong to Silent: its handler ended without a reply" }, told [[
        local none, why = pong:ask("Silent")
        print(none, why.reason, why)
      ]])
    end)

    it("that the handler failed", function()
      assert.same({ "nil failed pong failed at Fails: pong.lua:6: boom" }, told [[
        local none, why = pong:ask("Fails")
        print(none, why.reason, why)
      ]])
      assert.matches("pong%.lua:6: boom", report())
    end)

    for _, error_value in ipairs {
      { "{ code = 7 }", "(error object is a table: {code = 7})" },
      { "nil", "(error object is nil)" },
      { "setmetatable({}, { __tostring = function() error('again') end })", "(error object is a table: {})" },
      { "print", "(error object is a function: function)" },
    } do
      it("that the handler failed, also with error(" .. error_value[1] .. ")", function()
        assert(stage:spawn({ name = "bad", source = ("function on_ping() error(%s) end"):format(error_value[1]) }))
        assert.same({ "failed bad failed at Ping: " .. error_value[2] }, told [[
          local _, why = actor.ref("bad"):ask("Ping")
          print(why.reason, why)
        ]])
        report()
      end)
    end

    it("that the handler failed, by its first error, whatever fails in __close afterwards", function()
      assert(stage:spawn({ name = "bad", source = [[
        function on_ping()
          local guard <close> = setmetatable({}, { __close = function() error("second", 0) end })
          error("first", 0)
        end
        function on_pong(self, msg, env) env:reply("Fine") end
      ]] }))
      assert.same({ "bad failed at Ping: first", "Fine" }, told [[
        print(select(2, actor.ref("bad"):ask("Ping")))
        print(select(2, actor.ref("bad"):ask("Pong")).type)
      ]])
      report()
    end)

    it("that the actor fails and ends by it", function()
      assert(stage:spawn({ name = "bad", failure = "stop", source = 'function on_ping() error("boom", 0) end' }))
      assert.same({ "failed true" }, told [[
        local _, why = actor.ref("bad"):ask("Ping")
        print(why.reason, why.text:find("boom") ~= nil)
      ]])
      report()
    end)

    it("that there will be no answer, in the words of env:fail", function()
      assert.same({ "nil failed pong failed at Refuses: sold out" }, told [[
        local none, why = pong:ask("Refuses")
        print(none, why.reason, why)
      ]])
      assert.same({}, stage:log())
    end)

    it("that there is no handler", function()
      assert.same({ "nil rejected pong rejected Pinng: Unknown message type: Pinng" }, told [[
        local none, why = pong:ask("Pinng")
        print(none, why.reason, why)
      ]])
      assert.matches("did you mean on_ping%?", stage:log()[1].text)
    end)

    it("that the actor exits in the handler", function()
      assert.same({ "nil down no answer to Quits: pong has ended: enough" }, told [[
        local none, why = pong:ask("Quits")
        print(none, why.reason, why)
      ]])
    end)

    it("that the actor is stopped while it works on the answer", function()
      run [[
        local none, why = pong:ask("Naps")
        print(none, why.reason, why)
      ]]
      stage:stop("pong")
      stage:run()
      assert.equal(0, stage:now())
      assert.same({ "nil no_reply no answer to Naps: its handler ended without a reply" }, printed())
    end)

    it("that the actor is stopped before it came to the question", function()
      run [[pong:ask("Slow", { for_seconds = 60 })]]
      run [[
        local none, why = pong:ask("Ping")
        print(none, why.reason, why)
      ]]
      stage:stop("pong")
      stage:run()
      assert.equal(0, stage:now())
      assert.same({ "nil down no answer to Ping: the actor has ended" }, printed())
    end)

    it("that the actor had ended before", function()
      run([[self.pong = pong]], [[
        function on_later(self)
          local none, why = self.pong:ask("Ping")
          print(none, why.reason, why)
        end
      ]])
      stage:stop("pong")
      stage:run()
      stage:send("asker1", "Later")
      stage:run()
      assert.equal(0, stage:now())
      assert.same({ "nil down no answer to Ping: the actor has ended" }, printed())
    end)

    it("that nobody has the name, and who may have been meant", function()
      assert.same({ "nil down no answer from pogn to Ping: no actor is named 'pogn' (did you mean 'pong'?)" }, told [[
        local none, why = actor.ref("pogn"):ask("Ping")
        print(none, why.reason, why)
      ]])
    end)

    it("that it is to stop itself", function()
      run [[
        local none, why = pong:ask("Slow", { for_seconds = 60 })
        print(none, why.reason, why)
        none, why = pong:ask("Ping")
        print(none, why.reason, why)
      ]]
      stage:stop("asker1")
      stage:run()
      assert.equal(0, stage:now())
      assert.same({ "nil stopping no answer from pong to Slow: this actor is stopping",
                    "nil stopping no answer from pong to Ping: this actor is stopping" }, printed())
    end)
  end)

  it("gives a why that is a table with reason and text, and reads as its text", function()
    assert.same({ "table no_reply", "true true true" }, run [[
      local _, why = pong:ask("Silent")
      print(type(why), why.reason)
      print(tostring(why) == why.text, "why: " .. why == "why: " .. why.text, ("%s"):format(why) == why.text)
    ]])
  end)

  it("lets a why be raised by assert, and reported as its text", function()
    run [[assert(pong:ask("Silent"))]]
    assert.matches("no answer from pong to Silent: its handler ended without a reply", report(), 1, true)
  end)

  describe("works wherever a script may wait:", function()
    for _, place in ipairs {
      { "in pcall", 'print(pcall(function() return pong:ask("Ping", { count = 1 }).count end))', "true 1" },
      { "as what pcall calls", 'local ok, msg = pcall(pong.ask, pong, "Ping", { count = 1 }) print(ok, msg.count)', "true 1" },
      { "in a pcall in a pcall", [[
          print(pcall(pcall, function() return pong:ask("Ping", { count = 1 }).count end))]], "true true 1" },
      { "in a pcall that catches an error afterwards", [[
          print(pcall(function() pong:ask("Ping") error("late", 0) end))
          print(pong:ask("Ping", { count = 1 }).count)]], "false late", "1" },
      { "in the body of xpcall", [[
          print(xpcall(function(n) return pong:ask("Ping", { count = n }).count end, debug.traceback, 1))]], "true 1" },
      { "in the body of an xpcall whose handler is called afterwards", [[
          print(xpcall(function() pong:ask("Ping") error("late", 0) end, function(e) return e .. "!" end))]], "false late!" },
      { "in __index", [[
          local remote = setmetatable({}, { __index = function(_, name) return pong:ask("Ping", { count = 1 }).count end })
          print(remote.anything)]], "1" },
      { "in __newindex", [[
          local remote = setmetatable({}, { __newindex = function(_, name, v) print(pong:ask("Ping", { count = v }).count) end })
          remote.anything = 1]], "1" },
      { "in __call", [[
          print(setmetatable({}, { __call = function(_, n) return pong:ask("Ping", { count = n }).count end })(1))]], "1" },
      { "in operators", [[
          local mt = {}
          mt.__add = function(a, b) return pong:ask("Ping", { count = 1 }).count end
          mt.__concat = function(a, b) return pong:ask("Ping", { count = 2 }).count end
          mt.__lt = function(a, b) return pong:ask("Ping", { count = 3 }).count == 3 end
          mt.__eq = function(a, b) return pong:ask("Ping", { count = 4 }).count == 4 end
          mt.__len = function(a) return pong:ask("Ping", { count = 5 }).count end
          mt.__unm = function(a) return pong:ask("Ping", { count = 6 }).count end
          local a, b = setmetatable({}, mt), setmetatable({}, mt)
          print(a + b, a .. b, a < b, a == b, #a, -a)]], "1 2 true true 5 6" },
      { "in __close", [[
          do
            local guard <close> = setmetatable({}, { __close = function() print("closed", pong:ask("Ping", { count = 1 }).count) end })
            print("body")
          end
          print("after")]], "body", "closed 1", "after" },
      { "in __close after an error", [[
          print(pcall(function()
            local guard <close> = setmetatable({}, { __close = function() print("closed", pong:ask("Ping", { count = 1 }).count) end })
            error("boom", 0)
          end))]], "closed 1", "false boom" },
      { "in the iterator of a for loop", [[
          for count in function(_, last) if (last or 0) < 3 then return pong:ask("Ping", { count = (last or 0) + 1 }).count end end do
            print(count)
          end]], "1", "2", "3" },
      { "in a coroutine of the script", [[
          local co = coroutine.create(function(n) return pong:ask("Ping", { count = n }).count end)
          print(coroutine.resume(co, 1))
          print(coroutine.status(co))]], "true 1", "dead" },
      { "in coroutine.wrap", [[
          print(coroutine.wrap(function(n) return pong:ask("Ping", { count = n }).count end)(1))]], "1" },
      { "in a coroutine that also yields, between its yields", [[
          local co = coroutine.wrap(function(n)
            n = coroutine.yield(pong:ask("Ping", { count = n }).count)
            n = coroutine.yield(pong:ask("Ping", { count = n }).count)
            return pong:ask("Ping", { count = n }).count
          end)
          print(co(1), co(2), co(3))]], "1 2 3" },
      { "in a generator that asks, used by a for loop", [[
          for count in coroutine.wrap(function()
            for n = 1, 3 do coroutine.yield(pong:ask("Ping", { count = n }).count) end
          end) do print(count) end]], "1", "2", "3" },
      { "in coroutines, ten deep", [[
          local function dive(depth)
            if depth == 0 then return pong:ask("Ping", { count = 7 }).count end
            return coroutine.wrap(dive)(depth - 1)
          end
          print(dive(10))]], "7" },
      { "in a pcall in a coroutine in a pcall", [[
          print(pcall(function()
            return coroutine.wrap(function() return pcall(function() return pong:ask("Ping", { count = 1 }).count end) end)()
          end))]], "true true 1" },
      { "in code made by load", 'print(load("return ...")(pong:ask("Ping", { count = 1 })).count)', "1" },
    } do
      it(place[1], function()
        assert.same({ table.unpack(place, 3) }, (run(place[2])))
        assert.same({}, stage:log())
      end)
    end

    it("and other coroutines of the script stay as they are", function()
      assert.same({ "true 1", "suspended", "1", "true 2" }, run [[
        local other = coroutine.create(function() coroutine.yield(1) return 2 end)
        print(coroutine.resume(other))
        local co = coroutine.wrap(function() return pong:ask("Ping", { count = 1 }).count end)
        print(coroutine.status(other))
        print(co())
        print(coroutine.resume(other))
      ]])
    end)
  end)

  describe("where waiting is impossible raises, and names what is in the way:", function()
    for _, place in ipairs {
      { "table.sort", 'table.sort({ 2, 1 }, function(a, b) pong:ask("Ping") return a < b end)' },
      { "string.gsub", '("x"):gsub("x", function() pong:ask("Ping") end)' },
      { "tostring", 'tostring(setmetatable({}, { __tostring = function() pong:ask("Ping") return "" end }))' },
      { "table.concat", [[table.concat(setmetatable({}, { __index = function() pong:ask("Ping") return "" end,
                                                          __len = function() return 1 end }))]] },
      { "table.sort", [[coroutine.wrap(function()
                          table.sort({ 2, 1 }, function(a, b) pong:ask("Ping") return a < b end)
                        end)()]] },
      { "table.sort", [[table.sort({ 2, 1 }, function(a, b)
                          coroutine.wrap(function() pong:ask("Ping") end)()
                          return a < b
                        end)]] },
    } do
      it(place[1] .. " in " .. place[2]:gsub("%s+", " "), function()
        local lines = run(([[
          local before = actor.now()
          print(select(2, pcall(function()
            %s
          end)))
        ]]):format(place[2]))
        assert.matches(("ask cannot wait inside %s: collect first, then ask"):format(place[1]), lines[1], 1, true)
        assert.matches("^asker1%.lua:%d", lines[1])
      end)
    end

    it("require", function()
      assert.same({ "true" }, run [[
        package.preload.asking = function() pong:ask("Ping") end
        local ok, why = pcall(require, "asking")
        print(why:find("ask cannot wait inside require: collect first, then ask", 1, true) ~= nil)
      ]])
    end)

    it("and nothing was sent", function()
      run [[pcall(table.sort, { 2, 1 }, function(a, b) pong:ask("Quits") return a < b end)]]
      assert.is_true(stage:alive("pong"))
    end)
  end)

  describe("by coroutine.yield", function()
    it("is no way to wait: it is an error in a handler", function()
      run [[
        coroutine.yield()
      ]]
      assert.matches("asker1%.lua:1: .*yield", report())
      assert.is_true(stage:alive("asker1"))
    end)

    it("is an error that pcall catches, or not, but that leaves the actor able to go on", function()
      run([[pcall(coroutine.yield, 1) print("went on")]], "function on_next() print('next') end")
      stage:send("asker1", "Next")
      stage:run()
      local lines = printed()
      assert.equal("next", lines[#lines])
      stage:log()
    end)

    it("does not let a coroutine that waits be resumed or closed by another", function()
      assert.same({ "false false", "1" }, run [[
        local asking
        asking = coroutine.create(function()
          local closer = coroutine.create(function()
            local guard <close> = setmetatable({}, { __close = function() end })
            print((coroutine.resume(asking)), (pcall(coroutine.close, asking)))
          end)
          coroutine.resume(closer)
          print(pong:ask("Ping", { count = 1 }).count)
        end)
        coroutine.resume(asking)
      ]])
    end)
  end)

  describe("many at a time with start_ask and actor.all", function()
    it("gives the messages under the keys of their questions", function()
      assert.same({ "1 2 nil" }, run [[
        local answers, why = actor.all {
          left = pong:start_ask("Ping", { count = 1 }), right = pong:start_ask("Ping", { count = 2 }) }
        print(answers.left.count, answers.right.count, why)
      ]])
    end)

    it("takes an array as well", function()
      assert.same({ "3 1 2 3" }, run [[
        local answers = actor.all { pong:start_ask("Ping", { count = 1 }), pong:start_ask("Ping", { count = 2 }),
                                    pong:start_ask("Ping", { count = 3 }) }
        print(#answers, answers[1].count, answers[2].count, answers[3].count)
      ]])
    end)

    it("answers no question at all with an empty table", function()
      assert.same({ "table nil" }, run [[
        local answers, why = actor.all {}
        print(type(answers), why)
      ]])
    end)

    it("lets them be answered at the same time", function()
      for i = 1, 3 do assert(stage:spawn({ name = "slow" .. i, source = PONG })) end
      run [[
        local questions = {}
        for i = 1, 3 do questions[i] = actor.ref("slow" .. i):start_ask("Slow", { for_seconds = i, count = i }) end
        local before = actor.now()
        local answers = actor.all(questions)
        print(answers[1].count, answers[2].count, answers[3].count, actor.now() - before)
      ]]
      stage:advance("5s")
      assert.same({ "1 2 3 3.0" }, printed())
    end)

    it("has answers that came before it was called", function()
      run [[
        local question = pong:start_ask("Ping", { count = 1 })
        actor.sleep("1s")
        print(actor.all({ question })[1].count)
      ]]
      stage:advance("1s")
      assert.same({ "1" }, printed())
    end)

    it("when one fails: nil, why with its key as why.name, and the other answers", function()
      assert.same({ "nil failed bad pong failed at Refuses: sold out", "1 nil" }, run [[
        local answers, why, some = actor.all {
          good = pong:start_ask("Ping", { count = 1 }), bad = pong:start_ask("Refuses") }
        print(answers, why.reason, why.name, why)
        print(some.good.count, some.bad)
      ]])
    end)

    it("when several fail, tells of the one that failed first", function()
      run [[
        local _, why = actor.all { late = pong:start_ask("Slow", { for_seconds = 9 }),
                                   never_sent = actor.ref("nobody"):start_ask("Ping") }
        print(why.name, why.reason)
      ]]
      stage:advance("9s")
      assert.same({ "never_sent down" }, printed())
      assert.same({ "first", "earlier" }, run [[
        local questions = {}
        questions.second = pong:start_ask("Refuses")
        questions.third = pong:start_ask("Silent")
        questions.first = actor.ref("nobody"):start_ask("Ping")
        print(select(2, actor.all(questions)).name)
        questions = {}
        questions.earlier = pong:start_ask("Refuses")
        questions.later = pong:start_ask("Refuses")
        print(select(2, actor.all(questions)).name)
      ]])
    end)

    it("has one deadline for all of them, 5 seconds", function()
      for i = 1, 2 do assert(stage:spawn({ name = "slow" .. i, source = PONG })) end
      run [[
        local before = actor.now()
        local _, why, some = actor.all {
          a = actor.ref("slow1"):start_ask("Slow", { for_seconds = 4, count = 1 }),
          b = actor.ref("slow2"):start_ask("Slow", { for_seconds = 6 }) }
        print(why.reason, why.name, some.a.count, actor.now() - before)
        print(why)
      ]]
      stage:advance("10s")
      assert.same({ "timeout b 1 5.0", "no answer from slow2 to Slow in 5.0 s" }, printed())
    end)

    it("or that of opts.timeout", function()
      run [[
        local _, why = actor.all({ pong:start_ask("Slow", { for_seconds = 9 }) }, { timeout = "100ms" })
        print(why)
      ]]
      stage:advance("100ms")
      assert.same({ "no answer from pong to Slow in 0.1 s" }, printed())
    end)

    it("is told at once when all have failed, without waiting for the deadline", function()
      assert.same({ "nil no_reply", "nil down" }, run [[
        local none, why = actor.all { pong:start_ask("Silent"), pong:start_ask("Silent") }
        print(none, why.reason)
        none, why = actor.all { pong:start_ask("Quits") }
        print(none, why.reason)
      ]])
      assert.equal(0, stage:now())
    end)

    it("handles no other message meanwhile", function()
      run([[
        actor.self:send("Note")
        actor.all { pong:start_ask("Slow", { for_seconds = 1 }) }
        print("all")
      ]], "function on_note() print('note') end")
      stage:advance("1s")
      assert.same({ "all", "note" }, printed())
    end)

    it("drops the answers of questions that nobody awaits", function()
      run [[
        pong:start_ask("Ping")
        pong:start_ask("Slow", { for_seconds = 1 })
      ]]
      stage:advance("5s")
      assert.same({}, stage:log())
      assert.same({}, stage:dead_letters())
    end)

    it("is cut when the asker is told to stop: nil, why, stopping", function()
      run [[
        local none, why = actor.all { a = pong:start_ask("Slow", { for_seconds = 60 }) }
        print(none, why.reason, why.name)
      ]]
      stage:stop("asker1")
      stage:run()
      assert.same({ "nil stopping a" }, printed())
    end)

    it("refuses what is no question", function()
      assert.same({
        "asker1.lua:3: all: a table of questions is expected, not a userdata",
        "asker1.lua:4: all: values are questions of ref:start_ask, not a number",
        "asker1.lua:5: all: values are questions of ref:start_ask, not a userdata",
        "asker1.lua:7: all: a question was awaited already, or belongs to a handler that has ended",
        "asker1.lua:9: all: a question stands there twice",
      }, run [[
        local function try(f) print(select(2, pcall(f))) end
        try(function()
          actor.all(pong:start_ask("Ping")) end)
        try(function() actor.all { 7 } end)
        try(function() actor.all { pong } end)
        local question = pong:start_ask("Ping") actor.all { question }
        try(function() actor.all { question } end)
        question = pong:start_ask("Ping")
        try(function() actor.all { a = question, b = question } end)
      ]])
      assert.equal(0, stage:now())
    end)

    it("refuses a question of a handler that has ended", function()
      run([[self.question = pong:start_ask("Slow", { for_seconds = 1 })]], [[
        function on_later(self) print(select(2, pcall(actor.all, { self.question }))) end
      ]])
      stage:send("asker1", "Later")
      stage:run()
      assert.same({ "all: a question was awaited already, or belongs to a handler that has ended" }, printed())
      stage:advance("1s")
    end)
  end)

  describe("many at a time with actor.any", function()
    before_each(function()
      for i = 1, 3 do assert(stage:spawn({ name = "slow" .. i, source = PONG })) end
    end)

    it("gives key, message and env of the first answer", function()
      run [[
        local key, msg, env = actor.any {
          a = actor.ref("slow1"):start_ask("Slow", { for_seconds = 3, count = 3 }),
          b = actor.ref("slow2"):start_ask("Slow", { for_seconds = 1, count = 1 }) }
        print(key, msg.count, env.type, env.from)
      ]]
      stage:advance("1s")
      assert.same({ "b 1 Pong slow2" }, printed())
      stage:advance("5s")
    end)

    it("passes over failures as long as another may answer", function()
      run [[
        local key, msg = actor.any { a = pong:start_ask("Silent"),
                                     b = actor.ref("slow2"):start_ask("Slow", { for_seconds = 1, count = 1 }) }
        print(key, msg.count)
      ]]
      stage:advance("1s")
      assert.same({ "b 1" }, printed())
    end)

    it("lets the others be awaited afterwards", function()
      run [[
        local questions = {}
        for i = 1, 3 do
          questions["q" .. i] = actor.ref("slow" .. i):start_ask("Slow", { for_seconds = 4 - i, count = i })
        end
        while next(questions) do
          local key, msg = actor.any(questions)
          print(key, msg.count)
          questions[key] = nil
        end
      ]]
      stage:advance("5s")
      assert.same({ "q3 3", "q2 2", "q1 1" }, printed())
    end)

    it("is told at once when none can be answered: nil, why", function()
      assert.same({ "nil no_reply" }, run [[
        local key, why = actor.any { pong:start_ask("Silent"), pong:start_ask("Silent") }
        print(key, why.reason)
      ]])
      assert.equal(0, stage:now())
    end)

    it("has a deadline: nil, why, timeout", function()
      run [[
        local key, why = actor.any({ actor.ref("slow1"):start_ask("Slow", { for_seconds = 9 }) }, { timeout = "1s" })
        print(key, why.reason, why)
      ]]
      stage:advance("1s")
      assert.same({ "nil timeout no answer from slow1 to Slow in 1.0 s" }, printed())
    end)

    it("of no questions: nil, why, no_reply", function()
      assert.same({ "nil no_reply" }, run [[
        local key, why = actor.any {}
        print(key, why.reason)
      ]])
    end)
  end)

  describe("raises, at the caller's line,", function()
    for _, case in ipairs {
      { "for options that it does not have", 'pong:ask("Ping", {}, { after = "1s" })', "ask: no option is called 'after'" },
      { "for an option that start_ask does not have", 'pong:start_ask("Ping", {}, { timeout = "1s" })',
        "start_ask: no option is called 'timeout'" },
      { "for a deadline that is none", 'pong:ask("Ping", {}, { timeout = "soon" })',
        "ask: timeout: a duration is \"250ms\", \"2s\", \"1m\", \"1h\" or a number of seconds (at most 1e9), not 'soon'" },
      { "called with a dot", 'pong.ask("Ping")', "ask: a ref is expected, not a string (call it as ref:ask(...))" },
      { "for reading an answer from a question", 'local _ = pong:start_ask("Ping").count',
        "start_ask has no answer yet: await it with actor.all or actor.any" },
    } do
      it(case[1], function()
        assert.same({ "asker1.lua:2: " .. case[3] }, (run(([[
          print(select(2, pcall(function()
            %s
          end)))
        ]]):format(case[2]))))
      end)
    end
  end)
end)
