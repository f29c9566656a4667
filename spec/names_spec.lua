-- Names of actors on this host: taken by one, looked for by many, waited for, and
-- listed.
local program = require "spec.support.program"
local Stage = require "troupe.stage"

local SEEDS = 60

-- A script that does nothing, in a file, for those who spawn.
local function make_script(text)
  local path = os.tmpname()
  local file = assert(io.open(path, "w"))
  file:write(text)
  file:close()
  return path
end

-- Says its name when asked, and ends when told.
local IDLE = [[
  function on_who(self, msg, env) env:reply("Me", { name = actor.name, n = self.config.n }) end
  function on_quit() actor.exit() end
]]

describe("names", function()
  local stage, idle

  before_each(function()
    stage = Stage.new()
    idle = make_script(IDLE)
  end)
  after_each(function()
    stage:close()
    os.remove(idle)
  end)

  local function spawn(name, source, config)
    return assert(stage:spawn({ name = name, source = source or IDLE }, config))
  end

  -- Runs `body` as the on_start of an actor called "hero", in which IDLE is the path
  -- of a script; what was printed.
  local function run(body)
    body = body:gsub("IDLE", ("%q"):format(idle))
    spawn("hero", "function on_start(self, msg, env)\n" .. body .. "\nend")
    stage:run()
    return stage:output()
  end

  -- The reason in the report of hero's failure.
  local function failure(body)
    run(body)
    local reported = stage:log()[1]
    return reported and reported.text:match("^[^\n]*")
  end

  describe("spawning what is absent", function()
    it("makes the actor and says so, when nobody has the name", function()
      assert.same({ "x true x 7" }, run [[
        local ref, made = actor.spawn(IDLE, { name = "x", if_absent = true, config = { n = 7 } })
        local me = ref:ask("Who")
        print(ref .. " " .. tostring(made) .. " " .. me.name .. " " .. me.n)
      ]])
    end)

    it("returns the one that is there, as it is, when somebody has it", function()
      assert.same({ "true", "false", "1" }, run [[
        local first = actor.spawn(IDLE, { name = "x", config = { n = 1 } })
        local ref, made = actor.spawn(IDLE, { name = "x", if_absent = true, config = { n = 2 } })
        print(ref == first)
        print(made)
        print(ref:ask("Who").n)
      ]])
    end)

    it("does not load the script then", function()
      assert.same({ "true" }, run [[
        actor.spawn(IDLE, { name = "x" })
        print((actor.spawn("there_is_no_such_script", { name = "x", if_absent = true })) ~= nil)
      ]])
    end)

    it("leaves it the child of whoever made it", function()
      spawn("other", ([[
        function on_start() actor.spawn(%q, { name = "x" }) end
      ]]):format(idle))
      stage:run()
      run [[
        actor.spawn(IDLE, { name = "x", if_absent = true })
        actor.exit()
      ]]
      assert.is_true(stage:alive("x"))
    end)

    it("fails as any spawn does", function()
      assert.same({ "failed", "table" }, run [[
        local ref, why = actor.spawn("there_is_no_such_script", { name = "x", if_absent = true })
        print(why.reason)
        print(type(why))
      ]])
    end)

    it("makes one actor, whoever of many is first", function()
      for seed = 1, SEEDS do
        local each = Stage.new { seed = seed }
        local maker = ([[
          function on_go(self)
            local ref, made = actor.spawn(%q, { name = "x", if_absent = true, config = { n = self.config.n } })
            if made then print("made") end
            assert(ref:ask("Who").name == "x")
            print("asked")
          end
        ]]):format(idle)
        for n = 1, 4 do
          assert(each:spawn({ name = "maker" .. n, source = maker }, { n = n }))
          each:send("maker" .. n, "Go")
        end
        each:run()
        local lines = each:output()
        table.sort(lines)
        assert.same({ "asked", "asked", "asked", "asked", "made" }, lines, "seed " .. seed)
        each:close()
      end
    end)

    it("needs a name, and yes or no", function()
      assert.matches("if_absent needs a name", failure [[actor.spawn(IDLE, { if_absent = true })]])
      assert.matches("if_absent is true or false, not 'yes'",
        failure [[actor.spawn(IDLE, { name = "x", if_absent = "yes" })]])
      assert.matches("did you mean 'if_absent'", failure [[actor.spawn(IDLE, { name = "x", if_absnt = true })]])
    end)
  end)

  it("a name that is taken is refused to any other spawn", function()
    assert.same({ "an actor named 'x' exists already" }, run [[
      actor.spawn(IDLE, { name = "x" })
      print(select(2, actor.spawn(IDLE, { name = "x" })))
    ]])
  end)

  it("belongs to a successor as soon as it has it, however its predecessor goes", function()
    for seed = 1, SEEDS do
      local each = Stage.new { seed = seed }
      -- Takes the name whenever it is free, three times, and looks whether it keeps it.
      local taker = ([[
        function on_go(self)
          local taken = 0
          while taken < 3 do
            local ref = actor.spawn(%q, { name = "x", config = { n = self.config.n } })
            if ref then
              taken = taken + 1
              actor.sleep("1ms") -- whoever had it before has ended by then
              assert(actor.lookup("x") == ref)
              assert(actor.lookup("x"):ask("Who").n == self.config.n)
              ref:send("Quit")
            end
            actor.sleep("1ms")
          end
          print("done")
        end
      ]]):format(idle)
      for n = 1, 3 do
        assert(each:spawn({ name = "taker" .. n, source = taker }, { n = n }))
        each:send("taker" .. n, "Go")
      end
      each:advance("5s")
      assert.same({ "done", "done", "done" }, each:output(), "seed " .. seed)
      assert.same({}, each:log())
      each:close()
    end
  end)

  describe("lookup", function()
    it("finds the actor of that name", function()
      local it = spawn("counter")
      stage:run()
      assert.same({ "true", "counter" }, run [[
        print(actor.lookup("counter") == actor.ref("counter"))
        print(actor.lookup("counter"))
      ]])
      assert.is_truthy(it)
    end)

    it("says at once that there is none, and which one is near", function()
      spawn("counter")
      assert.same({ "down", "no actor is named 'conter' (did you mean 'counter'?)" }, run [[
        local ref, why = actor.lookup("conter")
        print(why.reason)
        print(why)
      ]])
    end)

    it("waits until somebody takes the name", function()
      assert.same({}, run [[
        local ref = actor.lookup("late", { wait = "2s" })
        print(ref:ask("Who").name)
      ]])
      stage:advance("1.9s")
      assert.same({}, stage:output())
      spawn("late")
      stage:run()
      assert.same({ "late" }, stage:output())
    end)

    it("does not wait when it is there", function()
      spawn("there")
      assert.same({ "there" }, run [[print(actor.lookup("there", { wait = "2s" }))]])
    end)

    it("gives up when its time is over", function()
      run [[
        local ref, why = actor.lookup("late", { wait = "2s" })
        print(why.reason, why)
      ]]
      stage:advance("1.9s")
      assert.same({}, stage:output())
      stage:advance("0.2s")
      assert.same({ "timeout\tno actor is named 'late', nor was in 2.0 s" }, stage:output())
    end)

    it("that gave up, or waits for another name, is not woken later", function()
      run [[
        print(actor.lookup("a", { wait = "1s" }))
        print(actor.lookup("b", { wait = "1s" }))
      ]]
      stage:advance("1s")
      stage:output()
      spawn("a")
      stage:run()
      assert.same({}, stage:output())
      spawn("b")
      stage:run()
      assert.same({ "b" }, stage:output())
    end)

    it("goes on waiting when the one that came is gone before it looks", function()
      local found = { first = 0, second = 0 }
      for seed = 1, SEEDS do
        local each = Stage.new { seed = seed }
        assert(each:spawn({ name = "waiter", source = [[
          function on_go() print(actor.lookup("x", { wait = "10s" }):ask("Who") and "second" or "first") end
        ]] }))
        each:send("waiter", "Go")
        each:run()
        assert(each:spawn({ name = "x", source = "function on_start() actor.exit() end" }))
        each:run()
        assert(each:spawn { name = "x", source = IDLE })
        each:run()
        local said = each:output()[1]
        found[said] = found[said] + 1
        each:close()
      end
      -- Some looked while the first one lived; the others have waited for the second.
      assert.is_true(found.first > 0 and found.second > 0)
      assert.equal(SEEDS, found.first + found.second)
    end)

    it("of many waiters wakes all", function()
      for n = 1, 50 do
        spawn("waiter" .. n, [[
          function on_start() actor.lookup("x", { wait = "1m" }):send("Hello") end
        ]])
      end
      stage:run()
      spawn("x", [[
        function on_hello(self) self.n = (self.n or 0) + 1 if self.n == 50 then print("all") end end
      ]])
      stage:run()
      assert.same({ "all" }, stage:output())
    end)

    it("leaves nothing behind of a waiter that ends", function()
      run [[actor.lookup("late", { wait = "1h" })]]
      stage:stop("hero")
      stage:run()
      assert.is_false(stage:alive("hero"))
      spawn("late")
      stage:run() -- and the stage's close finds no message of it
    end)

    it("that waits is cut when its actor is told to stop", function()
      run [[
        print(select(2, actor.lookup("late", { wait = "1h" })).reason)
        print(select(2, actor.lookup("late", { wait = "1h" })).reason)
      ]]
      stage:stop("hero")
      stage:run()
      assert.same({ "stopping", "stopping" }, stage:output())
    end)

    it("finds nothing of the host's own, and suggests none of it", function()
      assert.same({ "down", "false" }, run [[
        actor.registry("tcp://127.0.0.1:5999")
        local ref, why = actor.lookup("registry_keeper")
        print(why.reason)
        print(tostring(why):find("did you mean") ~= nil)
      ]])
    end)

    it("is for names of this host, in letters, digits, '_', '.' and '-'", function()
      assert.matches("'a@tcp://127.0.0.1:5001' is elsewhere", failure [[actor.lookup("a@tcp://127.0.0.1:5001")]])
      assert.matches("'a b' is no name", failure [[actor.lookup("a b")]])
      assert.matches("'' is no name", failure [[actor.lookup("")]])
      assert.matches("an actor's name is expected, not a number", failure [[actor.lookup(7)]])
      assert.matches("no option is called 'wiat' %(did you mean 'wait'%?%)", failure [[actor.lookup("a", { wiat = 1 })]])
      assert.matches("actor.lookup: no option is called 'timeout' %(did you mean 'wait'%?%)",
                     failure [[actor.lookup("a", { timeout = 1 })]])
      assert.matches("lookup.*wait.*soon", failure [[actor.lookup("a", { wait = "soon" })]])
      assert.matches("top level only defines",
        select(2, stage:spawn { name = "eager", source = [[actor.lookup("a") function on_x() end]] }))
    end)

    it("that would have to wait inside table.sort says so", function()
      assert.matches("lookup.*sort", failure [[
        table.sort({ 2, 1, 3 }, function(a, b) actor.lookup("late", { wait = 1 }) return a < b end)
      ]])
    end)
  end)

  describe("listed", function()
    it("are sorted", function()
      for _, name in ipairs { "b", "a.10", "z", "a.9", "B" } do spawn(name) end
      assert.same({ "B a.10 a.9 b hero stage z" }, run [[print(table.concat(actor.names(), " "))]])
    end)

    it("are those that begin as asked", function()
      for _, name in ipairs { "room.a", "room.b", "roof", "lobby" } do spawn(name) end
      assert.same({ "room.a room.b", "" }, run [[
        print(table.concat(actor.names("room."), " "))
        print(table.concat(actor.names("attic"), " "))
      ]])
    end)

    it("are those of living actors, and only what somebody has named", function()
      run [[
        actor.spawn(IDLE)
        actor.registry("tcp://127.0.0.1:5999")
        actor.spawn(IDLE, { name = "kept" })
        actor.spawn(IDLE, { name = "gone" }):send("Quit")
        actor.sleep("1s")
        print(table.concat(actor.names(), " "))
      ]]
      stage:advance("2s")
      assert.same({ "hero kept stage" }, stage:output()) -- the stage's own actor has a name too
    end)

    it("are all there, when they are many", function()
      assert.same({ "1000 n0001 n1000" }, run [[
        for n = 1, 1000 do actor.spawn(IDLE, { name = ("n%04d"):format(n) }) end
        local names = actor.names("n")
        print(#names .. " " .. names[1] .. " " .. names[1000])
      ]])
    end)

    it("begin with a string that names can begin with", function()
      assert.matches("actor.names: no name begins with 'a b'", failure [[actor.names("a b")]])
      assert.matches("actor.names: .* a string, not a table", failure [[actor.names({})]])
    end)
  end)

  it("hold while rivals on many threads take them, lose them and wait for them", function()
    local ended = program.run { "spec/hostile/names.lua", flags = "--workers 4" }
    assert.equal(0, ended.code, ended.err)
    assert.equal("made true\nmembers 20, names 20\n", ended.out)
  end)
end)
