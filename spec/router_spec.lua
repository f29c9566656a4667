-- The shipped router: which target gets what, who answers, and what becomes of messages
-- that no target takes.
local Stage = require "troupe.stage"

local SEEDS = 60

local TARGET = [[
  local Target = { mailbox = { limit = 3 } }
  function Target:on_order(msg, env)
    if msg.takes then actor.sleep(msg.takes) end
    print(("%s: %s from %s"):format(actor.name, tostring(msg.n), tostring(env.from)))
    if env.asked then env:reply("Done", { by = actor.name }) end
  end
  function Target:on_refuse(_, env) env:fail(actor.name .. " refuses") end
  function Target:on_maybe(msg, env)
    if msg.by ~= actor.name then return env:fail("not me") end
    env:reply("Done", { by = actor.name })
  end
  return Target
]]

describe("a router", function()
  local stage, router, targets

  -- With the targets a, b and c, unless the config says otherwise.
  local function open(config, options)
    if stage then stage:close() end
    stage, targets = Stage.new(options), {}
    for _, name in ipairs { "a", "b", "c" } do
      targets[name] = assert(stage:spawn { name = name, source = TARGET })
    end
    local full = { targets = { "a", "b", "c" } }
    for name, value in pairs(config or {}) do full[name] = value end
    router = assert(stage:spawn({ path = "actors/router.lua", name = "router" }, full))
    stage:run()
  end

  before_each(function() open() end)
  after_each(function()
    stage:log()
    stage:output()
    stage:dead_letters()
    stage:close()
    stage = nil
  end)

  local function ask(type, msg)
    local answer, why = stage:ask(router, type, msg)
    return assert(answer, why.text), why
  end

  local function refusal(type, msg)
    local answer, why = stage:ask(router, type, msg)
    assert.is_nil(answer)
    return why.text
  end

  local function by(msg) return ask("Order", msg).by end

  local function printed()
    stage:run()
    local lines = stage:output()
    table.sort(lines)
    return lines
  end

  it("passes on to one after the other, with the question and who asked", function()
    assert.same({ "a", "b", "c", "a" }, { by(), by(), by(), by() })
    assert(stage:spawn { name = "client", source = [[
      function on_start() actor.ref("router"):send("Order", { n = 1 }) end
    ]] })
    stage:output()
    assert.same({ "b: 1 from client" }, printed())
  end)

  it("tells who asks what the target says: that it fails, or has no handler", function()
    assert.matches("a refuses", refusal("Refuse"))
    assert.matches("^Unknown message type: Unknown$", refusal("Unknown"))
  end)

  it("chooses at random, all of them in the long run", function()
    open { route = "random" }
    local count = { a = 0, b = 0, c = 0 }
    for _ = 1, 60 do
      local name = by()
      count[name] = count[name] + 1
    end
    for _, each in pairs(count) do assert.is_true(each > 5) end
  end)

  describe("by least", function()
    before_each(function() open { route = "least" } end)

    it("gives to who has the least to do, and in turn while that is equally little", function()
      assert.same({ "a", "b", "c", "a" }, { by(), by(), by(), by() })
      stage:send(targets.b, "Order", { takes = "1s" })
      stage:send(targets.c, "Order", { takes = "2s" })
      stage:send(targets.c, "Order", { takes = "2s" })
      stage:run()
      assert.same({ "a", "a", "a" }, { by(), by(), by() })
      stage:send(targets.a, "Order", { takes = "10s" })
      stage:send(targets.a, "Order")
      stage:send(targets.a, "Order")
      stage:run()
      assert.equal("b", by()) -- one in hand; c has two, a three
      stage:advance("20s")
    end)

    it("takes another when that one has ended", function()
      stage:stop(targets.b)
      stage:run()
      assert.same({ "a", "c", "a" }, { by(), by(), by() })
    end)

    it("wants its targets on this host, for it cannot look at others", function()
      assert(stage:spawn({ path = "actors/router.lua", name = "other" },
                         { route = "least", targets = { "x@tcp://127.0.0.1:5001" } }))
      stage:run()
      assert.matches('config%.targets%[1%]: route = "least" is for targets of this host, and '
                     .. "x@tcp://127%.0%.0%.1:5001 is elsewhere\n", stage:log()[1].text)
    end)
  end)

  it("by hash gives the same value to the same target", function()
    open { route = "hash:user" }
    local of, used = {}, {}
    for n = 1, 60 do
      local user = "user " .. n % 20
      local name = by { user = user }
      of[user] = of[user] or name
      assert.equal(of[user], name)
      used[name] = true
    end
    assert.same({ a = true, b = true, c = true }, used)
  end)

  it("by hash goes on so when there are more values than it remembers, and of any type", function()
    open { route = "hash:user" }
    local values, of = { "early", 7, 7.5, true, ("long"):rep(50) }, {}
    for i, value in ipairs(values) do of[i] = by { user = value } end
    assert.equal(of[2], by { user = 7.0 })
    for n = 1, 1200 do by { user = "user " .. n } end
    for i, value in ipairs(values) do assert.equal(of[i], by { user = value }) end
    assert.equal(by {}, by {})
  end)

  it("by hash forgets where values went when a target has gone", function()
    open { route = "hash:user" }
    for n = 1, 20 do by { user = n } end
    ask("RouterRemove", { to = targets.b })
    for n = 1, 20 do assert.not_equal("b", by { user = n }) end
    ask("RouterRemove", { to = targets.a })
    for n = 1, 20 do assert.equal("c", by { user = n }) end
  end)

  it("by type gives to who has that key, and the rest to who has none", function()
    open { route = "type", targets = { { to = "a", keys = { "Order", "Bill" } }, { to = "b", keys = { "Order" } }, "c" } }
    assert.same({ "a", "b", "a" }, { by(), by(), by() })
    assert.matches("c refuses", refusal("Refuse"))
    ask("RouterRemove", { to = targets.c })
    assert.matches("the router has no target for Refuse$", refusal("Refuse"))
  end)

  it("by field gives to who has its value among the keys", function()
    open { route = "field:kind", targets = { { to = "a", keys = { "tea", 1 } }, { to = "b", keys = { true } } } }
    assert.same({ "a", "a", "a", "b" }, { by { kind = "tea" }, by { kind = 1 }, by { kind = 1.0 }, by { kind = true } })
    assert.matches("the router has no target for Order$", refusal("Order", { kind = "1" }))
    assert.matches("the router has no target for Order$", refusal("Order"))
  end)

  describe("broadcasts", function()
    before_each(function() open { route = "broadcast" } end)

    it("a copy to each, with its sender", function()
      assert(stage:spawn { name = "client", source = [[
        function on_start() actor.ref("router"):send("Order", { n = 1 }) end
      ]] })
      assert.same({ "a: 1 from client", "b: 1 from client", "c: 1 from client" }, printed())
    end)

    it("and says itself how many took it; a full one holds nobody up", function()
      stage:send(targets.b, "Order", { takes = "1s" })
      stage:run()
      for n = 1, 4 do
        assert.same({ sent = n > 3 and 2 or 3, refused = n > 3 and 1 or 0 }, ask("Order", { n = n }))
      end
      stage:advance("2s")
      assert.equal(1, ask("RouterTargets").refused)
    end)
  end)

  describe("gives the first answer", function()
    before_each(function() open { route = "first" } end)

    it("of those that it asks, and not a refusal while there may be an answer", function()
      assert.same({ by = "b" }, ask("Maybe", { by = "b" }))
      assert.same({ by = "c" }, ask("Maybe", { by = "c" }))
    end)

    it("or a failure, when none answers", function()
      assert.matches("not me", refusal("Maybe", { by = "nobody" }))
    end)

    it("and takes the next question meanwhile", function()
      open { route = "first", targets = { "a" } }
      assert(stage:spawn { name = "client", source = [[
        function on_start()
          local slow = actor.ref("router"):start_ask("Order", { n = 1, takes = "1s" })
          local targets = actor.ref("router"):ask("RouterTargets", {}, { timeout = "100ms" })
          print(#targets.targets, actor.all({ slow })[1].by)
        end
      ]] })
      stage:advance("2s")
      assert.same({ "1\ta", "a: 1 from router" }, printed())
    end)
  end)

  it("has targets added, changed and removed", function()
    open { targets = {}, route = "type" }
    assert.matches("the router has no target for Order$", refusal("Order"))
    assert.same({ targets = 1 }, ask("RouterAdd", { to = targets.a, keys = { "Order" } }))
    assert.same({ targets = 2 }, ask("RouterAdd", { to = targets.b, keys = { "Bill" } }))
    assert.equal("a", by())
    assert.same({ targets = 2 }, ask("RouterAdd", { to = targets.b, keys = { "Order" } }))
    assert.same({ targets = 1 }, ask("RouterRemove", { to = targets.a }))
    assert.equal("b", by())
    assert.matches("a is no target$", refusal("RouterRemove", { to = targets.a }))
    assert.matches("a router cannot be its own target$", refusal("RouterAdd", { to = router }))
    local known = ask("RouterTargets")
    assert.same({ { { ref = targets.b, keys = { "Order" }, routed = 1 } }, 2 }, { known.targets, known.routed })
  end)

  it("drops a target that has ended, and fails clearly when none is left", function()
    stage:stop(targets.a)
    stage:run()
    assert.same({ "b", "c", "b" }, { by(), by(), by() })
    assert.equal(1, ask("RouterTargets").ended)
    stage:stop(targets.b)
    stage:stop(targets.c)
    stage:run()
    assert.matches("the router has no target for Order$", refusal("Order"))
    stage:log()
    stage:send(router, "Order", { n = 1 })
    stage:run()
    assert.matches("the router has no target for Order\n", stage:log()[1].text)
    local letters = stage:dead_letters()
    assert.same({ "Order", "router" }, { letters[#letters].type, letters[#letters].to })
  end)

  describe("whose targets are full", function()
    local function fill(name)
      for _ = 1, 4 do
        stage:send(targets[name], "Order", { takes = "1s" })
        stage:run()
      end
    end

    it("takes the next", function()
      fill "a"
      stage:send(router, "Order", { n = 1 })
      stage:run()
      assert.same({ "b: 1 from stage" }, stage:output())
      stage:advance("5s")
    end)

    it("waits for room, keeps the order, and still answers for itself", function()
      open { targets = { "a" } }
      fill "a"
      for n = 1, 6 do stage:send(router, "Order", { n = n }) end
      stage:run()
      assert.equal(0, ask("RouterTargets").routed)
      stage:advance("10s")
      local numbers = {}
      for _, line in ipairs(stage:output()) do table.insert(numbers, line:match(": (%d) ")) end
      assert.same({ "1", "2", "3", "4", "5", "6" }, numbers)
    end)

    it("fails the message when there is none in time", function()
      open { targets = { "a" }, timeout = "500ms" }
      fill "a"
      assert.matches("no target for Order had room in 0%.5 s$", refusal("Order", { n = 1 }))
      stage:advance("10s")
    end)
  end)

  it("keeps the order of each sender to each target, by seeds", function()
    for seed = 1, SEEDS do
      open({ route = "hash:user" }, { seed = seed })
      for _, name in ipairs { "x", "y" } do
        assert(stage:spawn { name = name, source = [[
          function on_start() for n = 1, 20 do
            assert(actor.ref("router"):send("Order", { user = n % 4, n = n, takes = n % 5 == 0 and "1ms" or nil })) end end
        ]] })
      end
      stage:advance("5s")
      local last, count = {}, 0
      for _, line in ipairs(stage:output()) do
        local target, n, sender = line:match("^(%w): (%d+) from (%w)")
        local key = target .. sender
        assert.is_true(tonumber(n) > (last[key] or 0), ("seed %d: %s"):format(seed, line))
        last[key], count = tonumber(n), count + 1
      end
      assert.same({ seed, 40 }, { seed, count })
    end
  end)

  it("does not start with a setting that is wrong, and says which", function()
    local function failure(config)
      assert(stage:spawn({ path = "actors/router.lua", name = "other" }, config))
      stage:run()
      stage:dead_letters()
      return stage:log()[1].text:match("^[^\n]*")
    end
    assert.matches("config%.targets%[1%]: the name of an actor is expected, not 'aa' %(no actor is named 'aa'", failure { targets = { "aa" } })
    assert.matches("config%.targets%[1%]: a ref, its text, or { to = ref, keys = {...} } is expected, not 7$", failure { targets = { 7 } })
    assert.matches("config%.targets%[1%]: an actor's address is expected, not 'x@nowhere:'$", failure { targets = { "x@nowhere:" } })
    assert.matches("config%.targets%[1%]%.keys: a list is expected, not 'Order'$",
                   failure { targets = { { to = "a", keys = "Order" } } })
    assert.matches("config%.targets: a list is expected, not 'a'", failure { targets = "a" })
    assert.matches("config%.route: one of .* is expected, not 'brodcast' %(did you mean 'broadcast'%?%)",
                   failure { route = "brodcast" })
    assert.matches("config%.timeout: a duration", failure { timeout = "soon" })
    assert.matches("config has no 'rout' %(did you mean 'route'%?%)", failure { rout = "round" })
  end)
end)
