-- actors/node.lua on the stage: how a node's actors begin and end, groups of instances, and
-- what NodeApply changes.
local Stage = require "troupe.stage"

local SCRIPT = "spec/support/noded"

local function ref(name) return { ["$ref"] = name } end

describe("a node", function()
  local stage

  before_each(function() stage = Stage.new() end)
  after_each(function()
    if stage:alive "node.n" then stage:stop "node.n" end
    stage:advance "1m"
    stage:output()
    stage:log()
    stage:dead_letters()
    stage:close()
  end)

  -- One actor of a plan, of that script.
  local function planned(name, config, more)
    local actor = { name = name, script = SCRIPT, config = config }
    for field, value in pairs(more or {}) do actor[field] = value end
    return actor
  end

  local function run(actors, more)
    local config = { node = "n", actors = actors }
    for field, value in pairs(more or {}) do config[field] = value end
    assert(stage:spawn({ path = "actors/node.lua", name = "node.n" }, config))
    stage:run()
  end

  local function ask(to, type, msg)
    local answer, why = stage:ask(to, type, msg, "1m")
    return assert(answer, why.text)
  end

  local function refusal(to, type, msg)
    local answer, why = stage:ask(to, type, msg, "1m")
    assert.is_nil(answer)
    return why.text
  end

  local function output()
    stage:run()
    return stage:output()
  end

  local function logged()
    local texts = {}
    for _, line in ipairs(stage:log()) do table.insert(texts, (line.text:gsub("^node.n %(actors/node.lua%): ", ""))) end
    return table.concat(texts, "\n")
  end

  local function apply(changes) return ask("node.n", "NodeApply", changes) end

  local function states()
    local list = {}
    for _, actor in ipairs(ask("node.n", "NodeState").actors) do
      table.insert(list, actor.name .. " " .. actor.status .. (actor.instances and " " .. actor.instances or ""))
    end
    return list
  end

  describe("begins", function()
    it("its actors in their order, each when the one before has started", function()
      run { planned "c", planned "a", planned "b" }
      assert.same({ "c starts", "a starts", "b starts" }, output())
      assert.same({ "c running", "a running", "b running" }, states())
    end)

    it("the next when the one before waits: so that it may wait for one behind it", function()
      run { planned("first", { asks = ref "last" }), planned("looks", { looks_for = "last" }), planned "last" }
      local lines = output()
      table.sort(lines)
      assert.same({ "first starts", "last starts", "looks starts" }, lines)
      assert.equal(0, stage:now())
    end)

    it("with refs in their configs to actors themselves, also to those behind them", function()
      run { planned("a", { to = ref "b" }), planned("b", { to = ref "a" }) }
      assert.same({ by = "b", n = 1, to = "a", same = true }, ask("a", "Call", { n = 1 }))
      assert.same({ by = "a", n = 2, to = "b", same = true }, ask("b", "Call", { n = 2 }))
    end)

    it("and is not ready before the last on_start has ended", function()
      local path = os.tmpname()
      run({ planned("slow", { sleeps = "3s" }), planned "quick" }, { status = path })
      local function status()
        local file <close> = assert(io.open(path))
        return file:read("a")
      end
      assert.equal("", status())
      stage:advance("2s")
      assert.equal("", status())
      stage:advance("1s")
      assert.matches('^{"pid": %d+, "ready": true}\n$', status())
      os.remove(path)
    end)

    it("and fails if one does not start, with who and why", function()
      local path = os.tmpname()
      run({ planned "a", planned("b", { fails = "no disk" }), planned "c" }, { status = path })
      assert.is_false(stage:alive "node.n" or stage:alive "a" or stage:alive "c")
      local file <close> = assert(io.open(path))
      assert.equal([[{"failed": "actor 'b' could not start: no disk"}]] .. "\n", file:read("a"))
      os.remove(path)
      assert.same({ "a starts", "a stops" }, output())
      assert.matches("\nactor 'b' could not start: no disk$", logged())
    end)

    it("and fails if one cannot be made, and then none has begun", function()
      run { planned "a", { name = "b", script = "spec/support/nodded" } }
      assert.matches("^actor 'b' could not be made: no script 'spec/support/nodded': .*did you mean spec/support/noded.lua%?$",
                     logged())
      assert.same({}, output())
      run { planned("a", nil, { options = { mailbx = {} } }) }
      assert.matches("^actor 'a' could not be made: .*options have no 'mailbx' %(did you mean 'mailbox'%?%)$", logged())
    end)

    it("and says what is wrong with its plan", function()
      local function wrong(actor)
        run { actor }
        return logged()
      end
      local base = "^the node's plan: actor 'a'"
      assert.matches("^the node's plan: actors%[1%]%.name: the name of an actor is expected, not 'a b'$", wrong { name = "a b" })
      assert.matches(base .. " has a script, or else a source$", wrong { name = "a" })
      assert.matches(base .. " has no 'sript' %(did you mean 'script'%?%)$", wrong { name = "a", sript = SCRIPT })
      assert.matches(base .. ": instances is a whole number from 1 to 1000, not 0$",
                     wrong(planned("a", nil, { instances = 0, route = "round" })))
      assert.matches(base .. ": route: one of .*is expected, not 'rond' %(did you mean 'round'%?%)$",
                     wrong(planned("a", nil, { instances = 2, route = "rond" })))
      assert.matches(base .. " has a route, and no instances$", wrong(planned("a", nil, { route = "round" })))
      assert.matches(base .. ": config has string keys, and this is a list$", wrong(planned("a", { 1, 2 })))
      assert.matches("^actor 'a': config: actor.ref: 'nowhere:' is no endpoint",
                     wrong(planned("a", { to = ref "x@nowhere:" })))
      run { planned "a", planned "a" }
      assert.matches("^the node's plan: two actors are named 'a'$", logged())
    end)
  end)

  it("declares the message types that its actors are given, in the texts they are given, too", function()
    run { { name = "a", source = 'function on_note(_, msg) print(msg.n) end', types = { Note = { n = "integer" } } },
          planned("g", nil, { instances = 2, route = "round", types = { Ping = { n = "integer?" }, Pong = {
            by = "string", n = "integer?", same = "boolean" } } }) }
    output()
    stage:send("a", "Note", { n = 7 })
    assert.same({ "7" }, output())
    assert.matches("Bad field 'm' in Note: ", refusal("a", "Note", { m = 7 }))
    assert.equal("g.1", ask("g", "Ping").by)
    assert.matches("Bad field 'n' in Ping: ", refusal("g", "Ping", { n = "seven" }))
  end)

  it("says where a text is wrong", function()
    run { { name = "bad", source = "function on_note() en", types = {} } }
    assert.matches("^actor 'bad' could not be made: bad:1: ", logged())
  end)

  describe("ends", function()
    it("its actors in reverse order when it is stopped", function()
      run { planned "a", planned "b", planned("g", nil, { instances = 2, route = "round" }) }
      output()
      stage:stop "node.n"
      assert.same({ "g.2 stops", "g.1 stops", "b stops", "a stops" }, output())
    end)

    it("the host with 1 when an actor escalates, and says the chain", function()
      run { planned("a", nil, { options = { failure = "escalate" } }), planned "b" }
      stage:send("a", "Fail")
      stage:run()
      assert.is_false(stage:alive "node.n" or stage:alive "b")
      assert.matches("a failure has come to the top of its chain:\na ended: error: as asked\nnode.n ended with it", logged())
    end)

    it("not with an actor that ends by itself, and remembers why that one did", function()
      run { planned("a", nil, { options = { failure = "stop" } }), planned "b" }
      stage:send("a", "Fail")
      stage:run()
      assert.same({ "a ended", "b running" }, states())
      assert.equal("error: as asked", ask("node.n", "NodeState").actors[1].reason)
    end)
  end)

  describe("sends to a group of instances", function()
    local function group(route, config, options, count)
      run { planned("g", config, { instances = count or 3, route = route, options = options }),
            planned("caller", { to = ref "g" }) }
      output()
    end

    local function by(msg) return ask("g", "Ping", msg or {}).by end

    it("in turn, and it is an instance that answers", function()
      group "round"
      assert.same({ "g.1", "g.2", "g.3", "g.1" }, { by(), by(), by(), by() })
      assert.equal("g.2", ask("caller", "Call").by)
    end)

    it("by the value of a field", function()
      group "hash:user"
      local of, used = {}, {}
      for n = 0, 59 do
        local user = "user " .. n % 20
        local name = by { user = user }
        assert.equal(of[user] or name, name)
        of[user], used[name] = name, true
      end
      assert.same({ ["g.1"] = true, ["g.2"] = true, ["g.3"] = true }, used)
    end)

    it("to who has the least to do", function()
      group "least"
      stage:send("g.1", "Note", { takes = "1s" })
      stage:send("g.3", "Note", { takes = "1s" })
      stage:run()
      assert.same({ "g.2", "g.2", "g.2" }, { by(), by(), by() })
    end)

    it("a copy to each", function()
      group "broadcast"
      stage:send("g", "Note", { n = 1 })
      local lines = output()
      table.sort(lines)
      assert.same({ "g.1 notes 1", "g.2 notes 1", "g.3 notes 1" }, lines)
      assert.same({ sent = 3, refused = 0 }, ask("g", "Note", { n = 2 }))
    end)

    it("without those that have ended, and ends with the last one", function()
      group("round", nil, { failure = "stop" })
      stage:send("g.2", "Fail")
      stage:run()
      assert.same({ "g.1", "g.3", "g.1" }, { by(), by(), by() })
      assert.same({ "g running 2", "caller running" }, states())
      stage:send("g.1", "Leave")
      stage:send("g.3", "Leave")
      stage:run()
      assert.is_false(stage:alive "g")
      assert.same({ "g ended 0", "caller running" }, states())
      assert.matches("no answer .*: the actor has ended$", refusal("caller", "Call"))
    end)

    it("and one that restarts stays in it", function()
      group("round", nil, { failure = "restart" })
      stage:send("g.1", "Fail")
      stage:advance("1s")
      assert.same({ "g.1 stops", "g.1 starts again" }, output())
      assert.same({ "g.1", "g.2", "g.3" }, { by(), by(), by() })
    end)

    it("as fast as its instances are, when their mailboxes are full", function()
      group("round", nil, { mailbox = { limit = 2 } }, 1)
      assert(stage:spawn { name = "sender", source = [[
        function on_start()
          for n = 1, 20 do assert(actor.ref("g"):send("Note", { n = n, takes = "100ms" })) end
          print "sent"
        end
      ]] })
      stage:run()
      assert.same({}, output())
      stage:advance("10s")
      local lines = output()
      assert.equal(21, #lines)
      assert.is_true(lines[21] == "g.1 notes 20" and lines[10] ~= "sent", "the sender has waited")
      assert.same({}, stage:dead_letters())
    end)
  end)

  describe("is changed:", function()
    it("what is new starts, who has a new config is told, what goes is stopped", function()
      run { planned("a", { limit = 1, to = ref "b" }), planned "b", planned "c" }
      output()
      assert.same({ added = { "d" }, removed = { "b", "c" }, configured = { "a" }, ending = {} },
                  apply { add = { planned "d" }, remove = { "b", "c" },
                          config = { { name = "a", config = { limit = 2, to = ref "d" } } } })
      assert.same({ "d starts", "a gets limit 2, to d", "c stops", "b stops" }, output())
      assert.same({ "a running", "d running" }, states())
    end)

    it("all or nothing: what was added is stopped again when one of it does not start", function()
      run { planned("a", { limit = 1 }), planned "x", planned("g", nil, { instances = 1, route = "round" }) }
      output()
      assert.matches("actor 'c' could not start: no disk$", refusal("node.n", "NodeApply", {
        add = { planned "b", planned("c", { fails = "no disk" }) }, remove = { "x" },
        config = { { name = "a", config = { limit = 2 } } }, instances = { { name = "g", to = 3 } } }))
      assert.same({ "b starts", "b stops" }, output())
      assert.same({ "a running", "x running", "g running 1" }, states())
      apply { add = { planned "b" } }
      assert.same({ "b starts" }, output())
    end)

    it("all or nothing: also when it is an instance that does not start", function()
      run { planned("g", nil, { instances = 1, route = "round" }) }
      output()
      assert.matches("actor 'g.2' could not start: no disk$", refusal("node.n", "NodeApply", {
        add = { planned "b" }, config = { { name = "g", config = { fails = "no disk" } } },
        instances = { { name = "g", to = 2 } } }))
      assert.same({ "b starts", "b stops" }, output())
      assert.same({ "g running 1" }, states())
      apply { instances = { { name = "g", to = 2 } } }
      assert.same({ "g.2 starts" }, output())
    end)

    it("a group grows, and shrinks when what its last instances had is handled", function()
      run { planned("g", nil, { instances = 1, route = "round" }) }
      apply { instances = { { name = "g", from = 1, to = 3 } } }
      assert.same({ "g.1 starts", "g.2 starts", "g.3 starts" }, output())
      assert.same({ "g running 3" }, states())
      stage:send("g.3", "Note", { n = 1, takes = "1s" })
      stage:send("g.3", "Note", { n = 2 })
      stage:run()
      apply { instances = { { name = "g", from = 3, to = 1 } } }
      assert.same({ "g.3 notes 1", "g.2 stops", "g.3 notes 2", "g.3 stops" }, output())
      assert.same({ "g.1", "g.1" }, { ask("g", "Ping").by, ask("g", "Ping").by })
    end)

    it("an instance that has ended is made again by the number of them", function()
      run { planned("g", nil, { instances = 3, route = "round" }) }
      stage:send("g.2", "Leave")
      output()
      apply { instances = { { name = "g", to = 3 } } }
      assert.same({ "g.2 starts" }, output())
      local used = {}
      for _ = 1, 6 do used[ask("g", "Ping").by] = true end
      assert.same({ ["g.1"] = true, ["g.2"] = true, ["g.3"] = true }, used)
    end)

    it("a new config is told again to one that restarts, and each instance has it", function()
      run { planned("a", { limit = 1 }, { options = { failure = "restart" } }),
            planned("g", nil, { instances = 2, route = "broadcast" }) }
      output()
      apply { config = { { name = "a", config = { limit = 2 } }, { name = "g", config = { limit = 3 } } } }
      assert.same({ "a gets limit 2, to nil", "g.1 gets limit 3, to nil", "g.2 gets limit 3, to nil" }, output())
      stage:send("a", "Fail")
      stage:advance("1s")
      assert.same({ "a stops", "a starts again", "a gets limit 2, to nil" }, output())
    end)

    it("an actor is replaced that is added and removed; if that fails the old one is back", function()
      run { planned("a", { limit = 1 }), planned "b" }
      output()
      assert.same({ added = { "a" }, removed = { "a" }, configured = {}, ending = {} },
                  apply { remove = { "a" }, add = { planned("a", { to = ref "b" }) } })
      assert.same({ "a stops", "a starts" }, output())
      assert.equal("b", ask("a", "Call").by)
      assert.matches("actor 'a' could not start: no disk$",
                     refusal("node.n", "NodeApply", { remove = { "a" }, add = { planned("a", { fails = "no disk" }) } }))
      assert.equal("b", ask("a", "Call").by)
    end)

    it("who is removed and does not end is told of, and ends when it can", function()
      run { planned("a", { lingers = "1m" }), planned "b" }
      assert.same({ "a" }, apply({ remove = { "a" } }).ending)
      assert.same({ "b running" }, states())
      stage:advance("1m")
      assert.is_false(stage:alive "a")
      assert.is_true(stage:alive "node.n")
    end)

    it("with where the other nodes are", function()
      run({ planned("a", { to = ref "x@risk" }) }, { nodes = { n = "", risk = "tcp://127.0.0.1:5002" } })
      local function place()
        assert(stage:spawn { source = [[function on_start() print(require("troupe.nodes").find "risk") actor.exit() end]] })
        stage:run()
        return stage:output()
      end
      output()
      assert.same({ "tcp://127.0.0.1:5002" }, place())
      apply { nodes = { n = "", risk = "tcp://127.0.0.1:6002" } }
      assert.same({ "tcp://127.0.0.1:6002" }, place())
      refusal("node.n", "NodeApply", { nodes = { n = "" }, add = { planned("b", { fails = "no disk" }) } })
      output()
      assert.same({ "tcp://127.0.0.1:6002" }, place())
      apply { nodes = { n = "" } }
      assert.same({ "nil" }, place())
    end)

    it("not by what is wrong, and says why", function()
      run { planned "actor", planned("group", nil, { instances = 1, route = "round" }) }
      local function wrong(changes) return refusal("node.n", "NodeApply", changes) end
      assert.matches("NodeApply has no 'remov' %(did you mean 'remove'%?%)$", wrong { remov = {} })
      assert.matches("remove: there is no actor 'acter' here %(did you mean 'actor'%?%)$", wrong { remove = { "acter" } })
      assert.matches("remove is a list, and this has 'name'$", wrong { remove = { name = "actor" } })
      assert.matches("add: there is an actor 'actor' here already$", wrong { add = { planned "actor" } })
      assert.matches("config%[1%]: there is no actor 'x' here$", wrong { config = { { name = "x", config = {} } } })
      assert.matches("config%[1%]: 'actor' is removed as well$",
                     wrong { remove = { "actor" }, config = { { name = "actor", config = {} } } })
      assert.matches("config%[1%]%.config is a table, not 7$", wrong { config = { { name = "actor", config = 7 } } })
      assert.matches("instances%[1%]: 'actor' has no instances$", wrong { instances = { { name = "actor", to = 2 } } })
      assert.matches("instances%[1%]%.to is a whole number from 1 to 1000, not 0$",
                     wrong { instances = { { name = "group", to = 0 } } })
      assert.matches("nodes: names and their endpoints are expected, not 7$", wrong { nodes = { risk = 7 } })
      assert.matches("'nowhere' is no endpoint", wrong { nodes = { risk = "nowhere" } })
      assert.same({ "actor running", "group running 1" }, states())
    end)
  end)
end)
