-- Waiting inside a handler for the next message of a type, and for time to pass.
local Stage = require "troupe.stage"

describe("receive", function()
  local stage

  before_each(function() stage = Stage.new() end)
  after_each(function() stage:close() end)

  local function printed()
    local lines = stage:output()
    for i, line in ipairs(lines) do lines[i] = line:gsub("\t", " ") end
    return lines
  end

  -- Starts `body` as the handler of Go of an actor called "hero", whose other
  -- messages are printed; what was printed until nobody has anything to do.
  local function run(body, other_handlers)
    assert(stage:spawn({
      name = "hero",
      source = "function on_go(self, msg, env) " .. body ..
        "\nend\nfunction on_any(self, msg, env) print('handled', env.type, msg.n) end\n" .. (other_handlers or ""),
    }))
    stage:send("hero", "Go")
    stage:run()
    return printed()
  end

  local function send(type, n)
    stage:send("hero", type, { n = n })
  end

  it("returns the next message of a type, and its env", function()
    assert.same({}, run [[
      local msg, env = actor.receive("Note")
      print(msg.n, env.type, env.from, env.asked)
    ]])
    send("Note", 1)
    stage:run()
    assert.same({ "1 Note stage false" }, printed())
  end)

  it("finds one that is in the mailbox already", function()
    assert.same({ "1" }, run [[
      actor.self:send("Note", { n = 1 })
      print(actor.receive("Note").n)
    ]])
  end)

  it("takes the oldest of several, and leaves the others", function()
    assert.same({ "1", "2", "handled Note 3" }, run [[
      for n = 1, 3 do actor.self:send("Note", { n = n }) end
      print(actor.receive("Note").n)
      print(actor.receive("Note").n)
    ]])
  end)

  it("takes a message of any type in a list, in the order they came", function()
    assert.same({ "Hello 1", "Bye 2", "Hello 3" }, run [[
      actor.self:send("Hello", { n = 1 })
      actor.self:send("Bye", { n = 2 })
      actor.self:send("Hello", { n = 3 })
      for _ = 1, 3 do
        local msg, env = actor.receive { "Bye", "Hello" }
        print(env.type, msg.n)
      end
    ]])
  end)

  it("leaves all others queued, in their order", function()
    run [[
      print("received", actor.receive("Wanted").n)
      print("received", actor.receive("Wanted").n)
    ]]
    for n, type in ipairs { "Other", "Wanted", "Another", "Other", "Wanted", "Another" } do send(type, n) end
    stage:run()
    assert.same({ "received 2", "received 5", "handled Other 1", "handled Another 3", "handled Other 4",
                  "handled Another 6" }, printed())
  end)

  it("leaves them in their order also when it gives up", function()
    run [[print(select(2, actor.receive("Wanted", { timeout = "1s" })))]]
    for n = 1, 3 do send("Other", n) end
    stage:advance("1s")
    assert.same({ "no Wanted in 1.0 s", "handled Other 1", "handled Other 2", "handled Other 3" }, printed())
  end)

  it("finds types as handlers are found: case and underscores do not matter", function()
    assert.same({ "market_depth 1", "MarketDepth 2" }, run [[
      actor.self:send("market_depth", { n = 1 })
      actor.self:send("MarketDepth", { n = 2 })
      for _, type in ipairs { "MarketDepth", "MARKETDEPTH" } do
        local msg, env = actor.receive(type)
        print(env.type, msg.n)
      end
    ]])
  end)

  it("takes messages that have no handler", function()
    assert(stage:spawn({ name = "bare", source = [[
      function on_go() print(actor.receive("Unheard").n) end
    ]] }))
    stage:send("bare", "Go")
    stage:send("bare", "Unheard", { n = 1 })
    stage:run()
    assert.same({ "1" }, printed())
    assert.same({}, stage:log())
  end)

  it("takes messages of high priority first", function()
    assert.same({ "2", "1" }, run [[
      actor.self:send("Note", { n = 1 })
      actor.self:send("Note", { n = 2 }, { priority = "high" })
      print(actor.receive("Note").n)
      print(actor.receive("Note").n)
    ]])
  end)

  it("takes what the actor's timers send", function()
    run [[
      actor.after("1s", "Alarm", { n = 1 })
      local id = actor.next_timer_id()
      actor.after("2s", id)
      local msg, env = actor.receive("Alarm")
      print(msg.n, env.type, env.from)
      print(actor.receive("Timeout").id == id)
    ]]
    stage:advance("2s")
    assert.same({ "1 Alarm hero", "true" }, printed())
  end)

  it("does not take what a cancelled timer has sent", function()
    run [[
      local timer = actor.after("1s", "Alarm")
      actor.sleep("2s")
      print(timer:cancel())
      print(select(2, actor.receive("Alarm", { timeout = "1s" })))
    ]]
    stage:advance("5s")
    assert.same({ "true", "no Alarm in 1.0 s" }, printed())
  end)

  it("takes a question, which can be answered at once", function()
    run [[
      local msg, env = actor.receive("Ask")
      print(env.asked, env:reply("Answer", { n = msg.n + 1 }))
    ]]
    assert.same({ n = 2 }, (stage:ask("hero", "Ask", { n = 1 })))
    assert.same({ "true true" }, printed())
  end)

  it("takes a question, which is answered with no_reply when the handler ends without one", function()
    run [[actor.receive("Ask")]]
    local none, why = stage:ask("hero", "Ask")
    assert.is_nil(none)
    assert.equal("no_reply", why.reason)
    assert.equal(0, stage:now())
  end)

  it("takes a question, which fails when the handler does", function()
    run [[actor.receive("Ask") error("boom", 0)]]
    local none, why = stage:ask("hero", "Ask")
    assert.is_nil(none)
    assert.same({ "failed", "boom" }, { why.reason, why.text })
    stage:log()
  end)

  it("takes a question, which can be deferred", function()
    run([[
      local _
      _, self.question = actor.receive("Ask")
      self.question:defer()
    ]], [[function on_later(self) self.question:reply("Answer", { n = 7 }) end]])
    assert(stage:spawn({ name = "asker", source = 'function on_go() print(actor.ref("hero"):ask("Ask").n) end' }))
    stage:send("asker", "Go")
    stage:run()
    send("Later")
    stage:run()
    assert.same({ "7" }, printed())
  end)

  it("leaves the question in hand open meanwhile", function()
    assert(stage:spawn({ name = "hero", source = [[
      function on_price(self, msg, env)
        local rate = actor.receive("Rate")
        env:reply("Price", { n = msg.n * rate.n })
      end
    ]] }))
    assert(stage:spawn({ name = "asker", source = 'function on_go() print(actor.ref("hero"):ask("Price", { n = 3 }).n) end' }))
    stage:send("asker", "Go")
    stage:run()
    send("Rate", 2)
    stage:run()
    assert.same({ "6" }, printed())
  end)

  it("does not take an answer, whatever its type: that is for who asked", function()
    assert(stage:spawn({ name = "pong", source = 'function on_ping(self, msg, env) env:reply("Note", { n = 1 }) end' }))
    assert.same({ "answer 1", "note 2" }, run [[
      local pong = actor.ref("pong")
      actor.self:send("Note", { n = 2 })
      print("answer", pong:ask("Ping").n)
      print("note", actor.receive("Note").n)
    ]])
  end)

  it("between start_ask and actor.all loses no answer", function()
    assert(stage:spawn({ name = "pong", source = 'function on_ping(self, msg, env) env:reply("Pong", { n = 1 }) end' }))
    assert.same({ "note 2", "answer 1" }, run [[
      local question = actor.ref("pong"):start_ask("Ping")
      actor.self:send("Note", { n = 2 })
      print("note", actor.receive("Note").n)
      print("answer", actor.all({ question })[1].n)
    ]])
  end)

  it("works between questions, message by message", function()
    assert(stage:spawn({ name = "pong", source = [[
      function on_ping(self, msg, env)
        env.from:send("Detail", { n = msg.n * 10 })
        env:reply("Pong", { n = msg.n })
      end
    ]] }))
    assert.same({ "1 10", "2 20", "3 30" }, run [[
      for n = 1, 3 do
        local answer = actor.ref("pong"):ask("Ping", { n = n })
        local detail = actor.receive("Detail")
        print(answer.n, detail.n)
      end
    ]])
  end)

  it("works in coroutines and in pcall, as asking does", function()
    assert.same({ "true 1", "2" }, run [[
      actor.self:send("Note", { n = 1 })
      actor.self:send("Note", { n = 2 })
      print(pcall(function() return actor.receive("Note").n end))
      print(coroutine.wrap(function() return actor.receive("Note").n end)())
    ]])
  end)

  describe("has a deadline:", function()
    it("5 seconds, then nil, why, timeout", function()
      run [[
        local none, why = actor.receive("Never")
        print(none, why.reason, why)
      ]]
      stage:advance("4999ms")
      assert.same({}, printed())
      stage:advance("1ms")
      assert.same({ "nil timeout no Never in 5.0 s" }, printed())
    end)

    it("or opts.timeout, and names the first of a list", function()
      run [[print(select(2, actor.receive({ "One", "Two" }, { timeout = "200ms" })))]]
      stage:advance("200ms")
      assert.same({ "no One (or another of the types) in 0.2 s" }, printed())
    end)

    it("with 0 it takes only what is there", function()
      assert.same({ "1" }, run [[
        actor.self:send("Note", { n = 1 })
        print(actor.receive("Note", { timeout = 0 }).n)
        print(select(2, actor.receive("Note", { timeout = 0 })))
      ]])
      stage:advance(0)
      assert.same({ "no Note in 0.0 s" }, printed())
    end)

    it("is cut when the actor is told to stop: nil, why, stopping", function()
      run [[
        local none, why = actor.receive("Never")
        print(none, why.reason, why)
      ]]
      stage:stop("hero")
      stage:run()
      assert.same({ "nil stopping the wait was cut: this actor is stopping" }, printed())
    end)
  end)

  describe("raises, at the caller's line,", function()
    for _, case in ipairs {
      { "without a type", "actor.receive()", "receive: a message's type or a list of types is expected, not a nil" },
      { "for an empty list", "actor.receive {}", "receive: the list of types is empty" },
      { "for a list of something else", "actor.receive { 7 }", "receive: a message's type is a string, not a number" },
      { "for an empty type", 'actor.receive ""', "receive: '' cannot be a message's type" },
      { "for an option that it does not have", 'actor.receive("A", { priority = "high" })',
        "receive: no option is called 'priority'" },
    } do
      it(case[1], function()
        assert.same({ "hero.lua:2: " .. case[3] }, run(([[
          print(select(2, pcall(function()
            %s
          end)))
        ]]):format(case[2])))
      end)
    end

    it("where waiting is impossible", function()
      assert.same({ "hero.lua:1: receive cannot wait inside string.gsub: collect first, then receive" }, run(
        [[print(select(2, pcall(string.gsub, "x", "x", function() actor.receive("Note") end)))]]))
    end)
  end)
end)

describe("sleep", function()
  local stage

  before_each(function() stage = Stage.new() end)
  after_each(function() stage:close() end)

  local function run(body, other_handlers)
    assert(stage:spawn({
      name = "hero", source = "function on_go(self) " .. body .. "\nend\n" .. (other_handlers or ""),
    }))
    stage:send("hero", "Go")
    stage:run()
  end

  local function printed()
    local lines = stage:output()
    for i, line in ipairs(lines) do lines[i] = line:gsub("\t", " ") end
    return lines
  end

  it("waits that long, and answers true", function()
    run [[
      local before = actor.now()
      print(actor.sleep("1500ms"), actor.now() - before)
    ]]
    stage:advance("1499ms")
    assert.same({}, printed())
    stage:advance("1ms")
    assert.same({ "true 1.5" }, printed())
  end)

  it("keeps all messages for afterwards, in order", function()
    run([[actor.sleep("1s") print("awake")]], "function on_note(self, msg) print(msg.n) end")
    for n = 1, 3 do stage:send("hero", "Note", { n = n }) end
    stage:run()
    assert.same({}, printed())
    stage:advance("1s")
    assert.same({ "awake", "1", "2", "3" }, printed())
  end)

  it("sleeps again and again", function()
    run [[
      for n = 1, 3 do
        actor.sleep("1s")
        print(n)
      end
    ]]
    stage:advance("2s")
    assert.same({ "1", "2" }, printed())
    stage:advance("1s")
    assert.same({ "3" }, printed())
  end)

  it("lets other actors go on", function()
    run [[actor.sleep("1h")]]
    assert(stage:spawn({ name = "other", source = 'function on_ping(self, msg, env) env:reply("Pong") end' }))
    assert.same({}, (stage:ask("other", "Ping")))
    assert.equal(0, stage:now())
  end)

  it("is cut when the actor is told to stop: nil, why, stopping", function()
    run [[
      local slept, why = actor.sleep("1h")
      print(slept, why.reason, why)
    ]]
    stage:stop("hero")
    stage:run()
    assert.same({ "nil stopping the wait was cut: this actor is stopping" }, printed())
  end)

  it("and does not sleep again then", function()
    run [[
      while actor.sleep("1h") do end
      print((actor.sleep("1h")))
    ]]
    stage:stop("hero")
    stage:run()
    assert.same({ "nil" }, printed())
    assert.equal(0, stage:now())
  end)

  it("raises for what is no duration, at the caller's line", function()
    run [[
      for _, duration in ipairs { "soon", -1, 1e10, 0 / 0, "1", "1 s", "-1s", true } do
        print(select(2, pcall(function()
          actor.sleep(duration) end)))
      end
    ]]
    local lines = printed()
    assert.equal(8, #lines)
    for _, line in ipairs(lines) do assert.matches("^hero%.lua:3: sleep: a duration is .*, not ", line) end
  end)
end)
