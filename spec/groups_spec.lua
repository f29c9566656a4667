-- Groups: many actors of this host under one name, joined by themselves, listed in
-- the order of joining, and published to.
local Stage = require "troupe.stage"

local SEEDS = 60

-- Joins what its config says, prints what it hears, and does as it is told.
local MEMBER = [[
  function on_start(self)
    for _, group in ipairs(self.config.groups or {}) do assert(actor.join(group)) end
  end
  function on_news(self, msg) print(actor.name .. " " .. (msg.n or "")) end
  function on_join(self, msg) print(actor.join(msg.group)) end
  function on_leave(self, msg)
    local left, why = actor.leave(msg.group)
    print(left or why)
  end
  function on_fail() error("as told") end
  function on_quit() actor.exit() end
]]

describe("a group", function()
  local stage

  before_each(function() stage = Stage.new() end)
  after_each(function() stage:close() end)

  local function spawn(name, source, config, on)
    return assert((on or stage):spawn({ name = name, source = source or MEMBER }, config))
  end

  local function member(name, ...) return spawn(name, MEMBER, { groups = { ... } }) end

  -- Runs `body` in an actor called "hero", after all others; what was printed.
  local function run(body)
    stage:run()
    spawn("hero", "function on_start(self, msg, env)\n" .. body .. "\nend")
    stage:run()
    return stage:output()
  end

  local function failure(body)
    run(body)
    local reported = stage:log()[1]
    return reported and reported.text:match("^[^\n]*")
  end

  local function members(group)
    return run(("for _, ref in ipairs(actor.members(%q)) do print(ref) end actor.exit()"):format(group))
  end

  it("has its members in the order in which they joined", function()
    member("c", "workers")
    member("a", "workers", "others")
    member("b", "workers")
    assert.same({ "c", "a", "b" }, members "workers")
    assert.same({ "a" }, members "others")
  end)

  it("gives its members as refs", function()
    member("a", "workers")
    assert.same({ "true" }, run [[print(actor.members("workers")[1] == actor.ref("a"))]])
  end)

  it("that nobody is in has no members", function()
    assert.same({}, members "nobodys")
  end)

  it("counts whoever joins twice once, at his first place", function()
    member("a", "workers", "workers")
    member("b", "workers")
    stage:send("a", "Join", { group = "workers" })
    stage:run()
    stage:output()
    assert.same({ "a", "b" }, members "workers")
  end)

  it("loses who leaves, and has him at the end when he comes again", function()
    for _, name in ipairs { "a", "b", "c" } do member(name, "workers") end
    stage:send("a", "Leave", { group = "workers" })
    stage:run()
    assert.same({ "true" }, stage:output())
    assert.same({ "b", "c" }, members "workers")
    stage:send("a", "Join", { group = "workers" })
    stage:run()
    stage:output()
    assert.same({ "b", "c", "a" }, members "workers")
  end)

  it("says so to who leaves without being in it, and which one he may mean", function()
    member("a", "workers")
    stage:send("a", "Leave", { group = "wrokers" })
    stage:run()
    assert.same({ "this actor is not in the group 'wrokers' (did you mean 'workers'?)" }, stage:output())
    stage:send("a", "Leave", { group = "quite_another" })
    stage:run()
    assert.same({ "this actor is not in the group 'quite_another'" }, stage:output())
  end)

  it("loses who ends, whichever way", function()
    for _, name in ipairs { "exits", "is_stopped", "stays" } do member(name, "workers") end
    spawn("fails", "failure = 'stop'\n" .. MEMBER)
    stage:run()
    stage:send("exits", "Quit")
    stage:stop("is_stopped")
    stage:run()
    assert.same({ "stays" }, members "workers")
  end)

  it("keeps who fails and goes on", function()
    member("a", "workers")
    stage:send("a", "Fail")
    assert.same({ "a" }, members "workers")
    stage:log()
    stage:dead_letters()
  end)

  it("is not inherited by the next actor of a name", function()
    member("a", "workers")
    stage:run()
    stage:send("a", "Quit")
    stage:run()
    member("a")
    assert.same({}, members "workers")
  end)

  describe("publishing to it", function()
    it("sends to every member, and says how many took it", function()
      member("a", "workers")
      member("b", "workers")
      member("c", "others")
      local lines = run [[
        local took, refused = actor.publish("workers", "News", { n = 1 })
        print(took .. " " .. refused)
      ]]
      assert.same({ "2 0", "a 1", "b 1" }, lines)
    end)

    it("reaches the sender too, if it is a member", function()
      spawn("hero", [[
        function on_start() actor.join("workers") print(actor.publish("workers", "News", { n = 1 })) end
        function on_news(self, msg, env) print("heard " .. msg.n, env.from == actor.self) end
      ]])
      stage:run()
      assert.same({ "1\t0", "heard 1\ttrue" }, stage:output())
    end)

    it("reaches nobody where nobody is", function()
      assert.same({ "0\t0" }, run [[print(actor.publish("nobodys", "News"))]])
    end)

    it("names the sender, so that members can answer", function()
      spawn("a", [[
        function on_start() actor.join("workers") end
        function on_call(self, msg, env) env:reply("Here", { name = actor.name }) end
      ]])
      stage:run()
      spawn("hero", [[
        function on_start() actor.publish("workers", "Call") end
        function on_here(self, msg) print(msg.name) end
      ]])
      stage:run()
      assert.same({ "a" }, stage:output())
    end)

    it("never waits: what finds a full mailbox is a dead letter, and is counted", function()
      spawn("small", "return { mailbox = { limit = 2 }, on_start = function() actor.join('workers') end, " ..
        "on_news = function(self, msg) print('small ' .. msg.n) end }")
      member("large", "workers")
      local lines = run [[
        for n = 1, 3 do print(n .. ": " .. table.concat({ actor.publish("workers", "News", { n = n }) }, " ")) end
      ]]
      assert.same({ "1: 2 0", "2: 2 0", "3: 1 1" }, { lines[1], lines[2], lines[3] })
      local letters = stage:dead_letters()
      assert.equal(1, #letters)
      assert.same({ "News", "small", "full" }, { letters[1].type, letters[1].to, letters[1].reason })
    end)

    it("overtakes ordinary mail when its priority is high", function()
      member("a", "workers")
      local lines = run [[
        actor.publish("workers", "News", { n = 1 })
        actor.publish("workers", "News", { n = 2 }, { priority = "high" })
      ]]
      assert.same({ "a 2", "a 1" }, lines)
    end)

    it("takes declared messages, and checks them", function()
      member("a", "workers")
      assert.same({ "1", "a 5" }, run [[
        local News = actor.message("News", { n = "integer" })
        print((actor.publish("workers", News{ n = 5 })))
      ]])
      stage:stop("hero")
      assert.matches("integer expected", failure [[
        local News = actor.message("News", { n = "integer" })
        actor.publish("workers", News{ n = "five" })
      ]])
    end)

    it("keeps the order of each sender, for every member, whoever runs when", function()
      for seed = 1, SEEDS do
        local each = Stage.new { seed = seed }
        local listener = [[
          function on_start(self) actor.join("workers") self.last = {} self.heard = 0 end
          function on_news(self, msg)
            assert(msg.n == (self.last[msg.from] or 0) + 1)
            self.last[msg.from], self.heard = msg.n, self.heard + 1
            if self.heard == 12 then print("all") end
          end
        ]]
        for n = 1, 3 do spawn("listener" .. n, listener, nil, each) end
        each:run()
        for n = 1, 3 do
          spawn("publisher" .. n, [[
            function on_start() actor.self:send("Next", { n = 1 }) end
            function on_next(self, msg)
              assert(actor.publish("workers", "News", { from = actor.name, n = msg.n }) == 3)
              if msg.n < 4 then actor.self:send("Next", { n = msg.n + 1 }) end
            end
          ]], nil, each)
        end
        each:run()
        assert.same({ "all", "all", "all" }, each:output(), "seed " .. seed)
        assert.same({}, each:log())
        each:close()
      end
    end)

    it("reaches exactly those that are in it, however they come and go", function()
      for seed = 1, SEEDS do
        local each = Stage.new { seed = seed }
        -- Joins and leaves in turn; what it hears must have been said while it was in.
        local restless = [[
          function on_start(self) self.heard = 0 actor.self:send("Move", { left = 6 }) end
          function on_move(self, msg)
            if self.inside then assert(actor.leave("workers")) else assert(actor.join("workers")) end
            self.inside = not self.inside
            if msg.left > 0 then actor.self:send("Move", { left = msg.left - 1 }) end
          end
          function on_news(self) print("heard") end
        ]]
        for n = 1, 3 do spawn("restless" .. n, restless, nil, each) end
        spawn("publisher", [[
          function on_start(self) self.took = 0 actor.self:send("Next", { left = 10 }) end
          function on_next(self, msg)
            local members = #actor.members("workers")
            local took, refused = actor.publish("workers", "News")
            assert(took == members and refused == 0)
            for _ = 1, took do print("took") end
            if msg.left > 0 then actor.self:send("Next", { left = msg.left - 1 }) end
          end
        ]], nil, each)
        each:run()
        local heard, took = 0, 0
        for _, line in ipairs(each:output()) do
          if line == "heard" then heard = heard + 1 else took = took + 1 end
        end
        assert.equal(took, heard, "seed " .. seed)
        assert.same({}, each:log())
        each:close()
      end
    end)
  end)

  it("may be one of a thousand that an actor is in, and no more", function()
    assert.same({ "full", "this actor is in 1000 groups, its limit, and cannot join 'one_more'", "true" }, run [[
      for n = 1, 1000 do assert(actor.join("g" .. n)) end
      local joined, why = actor.join("one_more")
      print(why.reason)
      print(why)
      actor.leave("g1")
      print(actor.join("one_more"))
    ]])
  end)

  it("has a name as actors have", function()
    for _, call in ipairs { "join", "leave", "members", "publish" } do
      assert.matches(("actor.%s: 'a b' is no group's name"):format(call), failure(("actor.%s('a b', 'X')"):format(call)))
      assert.matches(("actor.%s: the name of a group is expected, not a nil"):format(call),
        failure(("actor.%s(nil, 'X')"):format(call)))
      assert.matches("top level only defines",
        select(2, stage:spawn { name = "eager", source = ("actor.%s('a', 'X') function on_x() end"):format(call) }))
    end
  end)

  it("is published to as ref:try_send sends", function()
    assert.matches("actor.publish: a message's type is a string, not a no value", failure [[actor.publish("workers")]])
    assert.matches("actor.publish: only the host itself sends Start", failure [[actor.publish("workers", "Start")]])
    assert.matches("msg.f", failure [[actor.publish("workers", "News", { f = print })]])
    assert.matches("actor.publish: no option is called 'prority' %(did you mean 'priority'%?%)",
      failure [[actor.publish("workers", "News", {}, { prority = "high" })]])
  end)
end)
