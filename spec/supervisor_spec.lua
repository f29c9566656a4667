-- actor.supervise and the supervisor that it makes (actors/supervisor.lua): how its
-- children are started, restarted and stopped, and what happens past its limits.
-- What it decides when is looked at in spec/supervisor_decisions_spec.lua.
local Stage = require "troupe.stage"

-- Supervises what its config says, and tells what came of it.
--   Ask { type, msg }   asks its supervisor, and replies what that replies
local PARENT = [[
  local Parent = {}
  function Parent:on_start()
    if self.config.crooked then return end
    local why
    self.supervisor, why = actor.supervise(self.config.options)
    print(self.supervisor and "supervised" or "not supervised: " .. tostring(why))
    self.why = why
  end
  function Parent:on_why(_, env) env:reply("Why", { reason = self.why.reason, name = self.why.name }) end
  function Parent:on_ask(msg, env)
    local answer, why = self.supervisor:ask(msg.type, msg.msg, { timeout = "1h" })
    if answer then env:reply("Answer", answer) else env:reply("No", { reason = why.reason, text = why.text }) end
  end
  function Parent:on_supervise(msg, env)
    local fine, why = pcall(actor.supervise, msg)
    env:reply("Answer", { fine = fine, why = tostring(why) })
  end
  function Parent:on_fail() error("the parent failed") end
  return Parent
]]

local COUNTER = [[
  function on_start(self) self.counts = {} end
  function on_count(self, msg, env)
    self.counts[msg.name] = (self.counts[msg.name] or 0) + 1
    env:reply("Count", { n = self.counts[msg.name] })
  end
]]

local CHILD = "spec/support/supervised"

describe("a supervisor", function()
  local stage

  before_each(function()
    stage = Stage.new()
    assert(stage:spawn { name = "counter", source = COUNTER })
  end)
  after_each(function()
    if stage:alive("parent") then stage:stop("parent") end
    stage:advance("1m")
    stage:output()
    stage:log()
    stage:close()
  end)

  -- Children called a, b, c..., of the kinds or with the options given.
  local function family(list)
    local children = {}
    for i, each in ipairs(list) do
      local child = type(each) == "table" and each or { kind = each }
      child.name = child.name or string.char(96 + i)
      if not child.supervise then child.script = CHILD end
      table.insert(children, child)
    end
    return children
  end

  local function supervise(options, script)
    script = script or {}
    script.name, script.source = "parent", PARENT
    options.name = "supervisor"
    options.restart = options.restart or { backoff = "100ms" }
    assert(stage:spawn(script, { options = options }))
    stage:run()
  end

  -- What has been printed since, in one line.
  local function seen() return table.concat(stage:output(), " ") end

  local function ask(type, msg)
    local answer, env = stage:ask("parent", "Ask", { type = type, msg = msg }, "2h")
    assert(answer, env)
    return answer, env.type
  end

  -- "a running, b down": what WhichChildren says.
  local function children()
    local list = {}
    for _, child in ipairs(ask("WhichChildren").children) do
      table.insert(list, child.name .. " " .. child.status)
    end
    return table.concat(list, ", ")
  end

  local function tell(name, type, msg)
    assert(stage:send(name, type, msg))
    stage:advance("1s")
  end

  describe("begins", function()
    it("by starting its children in order, each when the one before has started", function()
      supervise { children = family { { config = { slow_start = 2 } }, "transient", { config = { slow_start = 1 } }, "temporary" } }
      assert.equal("", seen())
      stage:advance("2s")
      assert.equal("+a +b", seen())
      stage:advance("1s")
      assert.equal("+c +d supervised", seen())
      assert.equal("a running, b running, c running, d running", children())
    end)

    it("with children that can be sent to, and found by their names, before they have started", function()
      supervise { children = family { { config = { slow_start = 1 } }, "permanent" } }
      assert.is_true(stage:send("b", "Get"))
      stage:advance("1s")
      assert.equal(0, stage:outbox()[1].msg.restarts)
    end)

    it("and tries those again whose on_start fails, within its limits", function()
      supervise { children = family { "permanent", { config = { fails = 3 } }, "permanent" } }
      stage:advance("10s")
      assert.equal("+a +b +c supervised", seen())
      assert.equal(3, stage:ask("b", "Get").restarts)
    end)

    it("and may be tried again at once when it could not, under the same names", function()
      stage:close()
      stage = Stage.new()
      assert(stage:spawn { name = "counter", source = COUNTER })
      assert(stage:spawn { name = "parent", source = [[
        function on_start()
          local options = { name = "supervisor", restart = { max = 0 }, children = {
            { script = "spec/support/supervised", name = "a" },
            { script = "spec/support/supervised", name = "b", config = { fails = 2 } } } }
          for _ = 1, 3 do print(actor.supervise(options) and "yes" or "no") end
        end
      ]] })
      stage:advance("5s")
      assert.equal("+a -a no +a -a no +a +b yes", seen())
    end)

    it("or stops what it has started, in reverse order, and says which child and why", function()
      supervise { children = family { "permanent", "transient", { config = { fails = 4 } }, "permanent" } }
      stage:advance("10s")
      assert.equal("+a +b -b -a not supervised: c ended (3 restarts in 10 s were not enough): error: " .. CHILD ..
                   ".lua:14: c cannot start", seen())
      assert.same({ reason = "failed", name = "c" }, (stage:ask("parent", "Why")))
      assert.is_true(stage:alive("parent"))
      for _, name in ipairs { "supervisor", "a", "b", "c", "d" } do assert.is_false(stage:alive(name)) end
    end)

    it("with a temporary child only if that starts at once", function()
      supervise { children = family { "permanent", { kind = "temporary", config = { fails = 1 } } } }
      assert.equal("+a -a not supervised: b could not start: error: " .. CHILD .. ".lua:14: b cannot start", seen())
    end)

    it("without one that ends in its on_start, if that is fine for its kind", function()
      supervise { children = family { { kind = "transient", config = { exits = true } },
                                      { kind = "temporary", config = { exits = true } }, "permanent" } }
      assert.equal("-a -b +c supervised", seen())
      assert.equal("a down, c running", children())
    end)

    it("not at all if a child cannot be made, and starts none", function()
      supervise { children = { { script = CHILD, name = "a" }, { script = "spec/support/supervisd", name = "b" } } }
      assert.matches("^not supervised: child 'b' could not be made: no script 'spec/support/supervisd'", seen())
      assert.is_false(stage:alive("a"))
    end)

    it("not if a name is taken", function()
      supervise { children = family { "permanent", { name = "counter" } } }
      assert.matches("^not supervised: child 'counter' could not be made: .*counter", seen())
    end)

    it("with scripts beside the one that supervises, at any depth", function()
      assert(stage:spawn("spec/support/family/head.lua"))
      stage:run()
      assert.equal("+near +deep supervised", seen())
    end)

    it("and answers commands when it has", function()
      supervise { children = family { "permanent", { config = { slow_start = 2 } } } }
      stage:send("supervisor", "CountChildren")
      stage:advance("1s")
      assert.same({}, stage:outbox())
      stage:advance("1s")
      assert.equal(2, stage:outbox()[1].msg.active)
    end)

    it("without children", function()
      supervise {}
      assert.equal("supervised", seen())
    end)

    it("and is stopped while it does so", function()
      supervise { children = family { "permanent", { config = { slow_start = 3600 } } } }
      stage:stop("parent")
      stage:run()
      assert.is_false(stage:alive("parent"))
      stage:advance("10s")
      for _, name in ipairs { "supervisor", "a", "b" } do assert.is_false(stage:alive(name)) end
    end)
  end)

  describe("restarts", function()
    local ENDINGS = {
      { says = "by itself", type = "Exit" },
      { says = "by ref:stop()", type = "Stop" },
      { says = "with a reason", type = "Exit", msg = { reason = "no work" }, failed = true },
      { says = "by an error", type = "Fail", failed = true },
      { says = "for it used too much memory", type = "Hog", failed = true, silent = true },
    }
    local EXPECTED = { -- what follows the end of b, of four
      one_for_one = { restarts = "+b" },
      one_for_all = { restarts = "-d -c -a +a +b +c +d" },
      rest_for_one = { restarts = "-d -c +b +c +d" },
    }
    for strategy, expected in pairs(EXPECTED) do
      for _, kind in ipairs { "permanent", "transient", "temporary" } do
        for _, ending in ipairs(ENDINGS) do
          local restarts = kind == "permanent" or kind == "transient" and ending.failed
          it(("%s, %s: a %s child that ended %s"):format(restarts and "with " .. strategy or "with " .. strategy .. ", not",
              restarts and "yes" or "no", kind, ending.says), function()
            supervise { strategy = strategy, children = family { "permanent", { kind = kind, memory = "2MiB" }, "permanent", "transient" } }
            seen()
            tell("b", ending.type, ending.msg)
            assert.equal((ending.silent and "" or "-b ") .. (restarts and expected.restarts or ""),
                         seen() .. (restarts and "" or " "):sub(1, not ending.silent and 1 or 0))
            local left = kind == "temporary" and "a running, c running, d running"
            assert.equal(left or ("a running, b %s, c running, d running"):format(restarts and "running" or "down"), children())
          end)
        end
      end
    end

    it("in place: ref and mail stay, state and timers do not", function()
      supervise { children = family { "permanent" } }
      stage:send("a", "Fail")
      stage:send("a", "Get")
      stage:run()
      assert.same({}, stage:outbox())
      stage:advance("1s")
      assert.equal(1, stage:outbox()[1].msg.restarts)
    end)

    it("after a wait that grows, and says so", function()
      supervise { restart = { max = 10, within = "1m", backoff = "1s..4s" }, children = family { "permanent" } }
      stage:log()
      local waits = {}
      for _ = 1, 4 do
        stage:send("a", "Fail")
        stage:advance("5s")
        for _, line in ipairs(stage:log()) do
          local wait, used = line.text:match("restarts a in (%S+) s %((%d+) of 10 in 60 s%)")
          if wait then waits[tonumber(used)] = tonumber(wait) end
        end
      end
      for i, wait in ipairs { 1, 2, 4, 4 } do
        assert.is_true(waits[i] >= 0.75 * wait and waits[i] <= 1.25 * wait, i .. ": " .. waits[i])
      end
    end)

    it("temporary children of a group never: they are forgotten", function()
      supervise { strategy = "one_for_all", children = family { "permanent", "temporary", "permanent" } }
      seen()
      tell("a", "Fail")
      assert.equal("-a -c -b +a +c", seen())
      assert.equal("a running, c running", children())
      assert.is_false(stage:alive("b"))
    end)

    it("a child that did not stop in time, too, with one_for_all", function()
      supervise { strategy = "one_for_all", children = family { "permanent", { shutdown = "2s", config = { slow_stop = 3600 } } } }
      seen()
      stage:send("a", "Fail")
      stage:advance("1.9s")
      assert.equal("-a -b", seen())
      stage:advance("200ms")
      assert.equal("+a +b", seen())
    end)

    it("within one_for_one each child by itself, while another starts slowly", function()
      supervise { children = family { "permanent", "permanent" } }
      seen()
      stage:send("a", "Fail")
      stage:send("b", "Exit")
      stage:run()
      assert.equal("a restarting, b restarting", children())
      stage:advance("1s")
      assert.equal("a running, b running", children())
    end)
  end)

  describe("past its limits", function()
    local function exhaust(name, times)
      for _ = 1, times do tell(name, "Fail") end
    end

    it("stops the others in reverse order, and its parent fails with it", function()
      supervise({ restart = { max = 2, backoff = "100ms" }, children = family { "permanent", "permanent", "permanent" } },
                { failure = "stop" })
      seen()
      stage:log()
      exhaust("b", 3)
      assert.equal("-b +b -b +b -b -c -a", seen())
      assert.is_false(stage:alive("supervisor"))
      assert.is_false(stage:alive("parent"))
      local log = stage:log()
      assert.matches("parent: supervisor ended: error: b ended %(2 restarts in 10 s were not enough%): error: " ..
                     "spec/support/supervised.lua:%d+: b failed: the actor ends", log[#log].text)
    end)

    it("is made anew by a parent that restarts", function()
      supervise({ restart = { max = 0 }, children = family { "permanent", "permanent" } }, { failure = "restart" })
      seen()
      tell("b", "Fail")
      assert.equal("-b -a +a +b supervised", seen())
    end)

    it("ends the host when nobody above does anything about it", function()
      supervise { restart = { max = 0 }, children = family { "permanent" } }
      stage:log()
      tell("a", "Fail")
      local log = stage:log()
      assert.equal("the host ends, for a failure has come to the top of its chain:\n" ..
        "supervisor ended: error: a ended (0 restarts in 10 s were not enough): error: " ..
        "spec/support/supervised.lua:21: a failed\nparent ended with it", log[#log].text)
    end)

    it("counts the restarts of all its children, in a sliding window", function()
      supervise { restart = { max = 2, within = "10s", backoff = "100ms" }, children = family { "permanent", "permanent" } }
      for _ = 1, 10 do
        for _, name in ipairs { "a", "b" } do
          stage:send(name, "Fail")
          stage:advance("6s")
        end
      end
      assert.is_true(stage:alive("supervisor"))
      for _, name in ipairs { "a", "b" } do -- the last of before is the third
        stage:send(name, "Fail")
        stage:advance("1s")
      end
      assert.is_false(stage:alive("supervisor"))
    end)
  end)

  describe("ends", function()
    it("its children in reverse order when it is stopped", function()
      supervise { children = family { "permanent", "temporary", "transient" } }
      seen()
      stage:stop("supervisor")
      stage:run()
      assert.equal("-c -b -a", seen())
      for _, name in ipairs { "supervisor", "a", "b", "c" } do assert.is_false(stage:alive(name)) end
    end)

    it("each when the one behind it has ended, or its time is over", function()
      supervise { children = family { "permanent", { shutdown = "3s", config = { slow_stop = 3600 } },
                                      { config = { slow_stop = 2 } } } }
      seen()
      stage:stop("supervisor")
      stage:run()
      assert.equal("-c", seen())
      stage:advance("1.9s")
      assert.equal("", seen())
      stage:advance("200ms")
      assert.equal("-b", seen())
      stage:advance("2.8s")
      assert.equal("", seen())
      stage:advance("200ms")
      assert.equal("-a", seen())
      assert.is_false(stage:alive("supervisor"))
    end)

    it("at once those with shutdown = \"brutal\", without their on_shutdown", function()
      supervise { children = family { "permanent", { shutdown = "brutal" } } }
      seen()
      stage:stop("supervisor")
      stage:run()
      assert.equal("-a", seen())
    end)

    it("with its parent, when that fails", function()
      supervise({ children = family { "permanent", "permanent" } }, { failure = "stop" })
      seen()
      tell("parent", "Fail")
      stage:advance("10s")
      for _, name in ipairs { "supervisor", "a", "b" } do assert.is_false(stage:alive(name)) end
    end)

    it("while a child waits to be restarted", function()
      supervise { children = family { "permanent", "permanent" } }
      stage:send("a", "Fail")
      stage:run()
      stage:stop("supervisor")
      stage:run()
      for _, name in ipairs { "supervisor", "a", "b" } do assert.is_false(stage:alive(name)) end
    end)
  end)

  describe("in a supervisor", function()
    local function nested(restart, kind)
      return { { script = CHILD, name = "first" },
               { name = "inner", kind = kind, supervise = { strategy = "one_for_all", restart = restart,
                 children = { { script = CHILD, name = "x" }, { script = CHILD, name = "y" } } } },
               { script = CHILD, name = "last" } }
    end

    it("is started in its turn, with its children", function()
      supervise { children = nested() }
      assert.equal("+first +x +y +last supervised", seen())
      assert.same({ specs = 3, active = 3, supervisors = 1, workers = 2 }, (ask("CountChildren")))
    end)

    it("does its own restarts, of which the outer one hears nothing", function()
      supervise { strategy = "one_for_all", children = nested { backoff = "100ms" } }
      seen()
      tell("y", "Fail")
      assert.equal("-y -x +x +y", seen())
    end)

    it("is restarted when it gives up", function()
      supervise { strategy = "rest_for_one", children = nested { max = 0 } }
      seen()
      tell("y", "Fail")
      assert.equal("-y -x -last +x +y +last", seen())
      assert.is_true(stage:alive("parent"))
    end)

    it("makes the outer one give up when that goes on", function()
      supervise { restart = { max = 1, backoff = "100ms" }, children = nested { max = 0 } }
      seen()
      tell("y", "Fail")
      tell("x", "Fail")
      assert.equal("-y -x +x +y -x -y -last -first", seen())
      assert.is_false(stage:alive("supervisor"))
    end)

    it("is forgotten when it gives up and is temporary", function()
      supervise { children = nested({ max = 0 }, "temporary") }
      seen()
      tell("y", "Fail")
      assert.equal("-y -x", seen())
      assert.equal("first running, last running", children())
    end)

    it("is stopped in its turn, with all the time that its children need", function()
      local list = nested()
      list[2].supervise.children[1].shutdown = "30s"
      list[2].supervise.children[1].config = { slow_stop = 20 }
      supervise { children = list }
      seen()
      stage:stop("supervisor")
      stage:run()
      assert.equal("-last -y -x", seen())
      stage:advance("19s")
      assert.equal("", seen())
      stage:advance("2s")
      assert.equal("-first", seen())
    end)

    it("that cannot start makes the outer one not start", function()
      local list = nested { max = 0 }
      list[2].supervise.children[2].config = { fails = 100 }
      supervise { restart = { max = 1, backoff = "100ms" }, children = list }
      stage:advance("10s")
      assert.equal("+first +x -x +x -x -first not supervised: inner ended (1 restart in 10 s was not enough): error: " ..
        "y ended (0 restarts in 10 s were not enough): error: " .. CHILD .. ".lua:14: y cannot start", seen())
    end)
  end)

  describe("itself", function()
    local BIG = ("x"):rep(3 << 20)

    it("may fail: then its children end, the youngest first, and come again with it", function()
      supervise { children = { { script = CHILD, name = "first" },
        { name = "inner", memory = "2MiB", supervise = { children = { { script = CHILD, name = "x" }, { script = CHILD, name = "y" } } } } } }
      seen()
      stage:send("inner", "StartChild", { script = CHILD, config = { text = BIG } })
      stage:advance("1s")
      assert.equal("-y -x +x +y", seen())
      assert.matches("memory limit of 2 MiB reached", stage:log()[1].text)
      assert.equal("first running, inner running", children())
    end)

    it("may fail at the top: then its parent fails with it", function()
      supervise({ children = family { "permanent", "permanent" } }, { failure = "stop" })
      seen()
      stage:send("supervisor", "StartChild", { script = CHILD, config = { text = ("x"):rep(300 << 10) }, memory = "x" })
      stage:run()
      assert.is_true(stage:alive("supervisor")) -- what is merely wrong is refused
      assert.equal("", seen())
    end)

    it("may be killed by the one above it: nothing of it is left", function()
      supervise { children = { { script = CHILD, name = "first" },
        { name = "inner", shutdown = "brutal", supervise = { children = { { script = CHILD, name = "x" } } } } } }
      ask("TerminateChild", { name = "inner" })
      stage:run()
      assert.is_false(stage:alive("x"))
      assert.equal("first running, inner down", children())
      ask("RestartChild", { name = "inner" })
      assert.is_true(stage:alive("x"))
    end)
  end)

  describe("whose children are linked in a circle", function()
    local file

    before_each(function()
      file = os.tmpname()
      local handle <close> = assert(io.open(file, "w"))
      handle:write [[
        function on_start(self)
          actor.link(actor.ref(self.config.to))
          print("+" .. actor.name)
        end
        function on_fail() error(actor.name .. " failed") end
      ]]
    end)
    after_each(function() os.remove(file) end)

    local function circle()
      local list = {}
      for i, name in ipairs { "a", "b", "c" } do
        list[i] = { script = file, name = name, config = { to = ({ "b", "c", "a" })[i] } }
      end
      return list
    end

    it("restarts the one that fails: for the others it has not ended", function()
      supervise { children = circle() }
      seen()
      tell("b", "Fail")
      assert.equal("+b", seen())
      assert.equal("a running, b running, c running", children())
    end)

    it("ends with all of them when it gives up", function()
      supervise({ restart = { max = 0 }, children = circle() }, { failure = "stop" })
      stage:send("b", "Fail")
      stage:advance("1s")
      for _, name in ipairs { "parent", "supervisor", "a", "b", "c" } do assert.is_false(stage:alive(name)) end
    end)
  end)

  describe("takes commands:", function()
    before_each(function()
      supervise { children = family { "permanent", "transient" } }
      seen()
    end)

    local function refused(type, msg)
      local answer, is = ask(type, msg)
      assert.equal("No", is)
      return answer.text:match(": (.*)")
    end

    it("WhichChildren and CountChildren", function()
      local list = ask("WhichChildren").children
      assert.same({ "a", "permanent", "running", false }, { list[1].name, list[1].kind, list[1].status, list[1].supervisor })
      assert.same({ restarts = 0 }, (stage:ask(list[2].ref, "Get")))
      assert.same({ specs = 2, active = 2, supervisors = 0, workers = 2 }, (ask("CountChildren")))
    end)

    it("StartChild, which answers when it has started", function()
      local answer = ask("StartChild", { script = CHILD, name = "new", kind = "temporary", config = { slow_start = 1 } })
      assert.equal("new", answer.name)
      assert.same({ restarts = 0 }, (stage:ask(answer.ref, "Get")))
      assert.equal("+new", seen())
      assert.equal("a running, b running, new running", children())
      tell("new", "Fail")
      assert.equal("a running, b running", children())
    end)

    it("StartChild of one whose on_start fails, which is forgotten", function()
      assert.equal("child 'new': error: " .. CHILD .. ".lua:14: new cannot start",
        refused("StartChild", { script = CHILD, name = "new", config = { fails = 1 } }))
      assert.equal("a running, b running", children())
      assert.is_false(stage:alive("new"))
    end)

    it("StartChild of what is no child", function()
      assert.equal("child 'a': there is one of that name already", refused("StartChild", { script = CHILD, name = "a" }))
      assert.equal("child 'x': kind is \"permanent\", \"transient\" or \"temporary\", not 'permanant' (did you mean 'permanent'?)",
        refused("StartChild", { script = "x", kind = "permanant" }))
      assert.matches("^child 'y' could not be made: no script 'x'", refused("StartChild", { script = "x", name = "y" }))
      assert.matches("^child 'counter' could not be made", refused("StartChild", { script = CHILD, name = "counter" }))
    end)

    it("TerminateChild, RestartChild and DeleteChild", function()
      ask("TerminateChild", { name = "a" })
      assert.equal("-a", seen())
      assert.equal("a down, b running", children())
      stage:advance("1h")
      assert.equal("", seen())
      assert.same({ restarts = 1 }, (stage:ask(ask("RestartChild", { name = "a" }).ref, "Get")))
      assert.equal("+a", seen())
      assert.equal("child 'a': it is running", refused("RestartChild", { name = "a" }))
      assert.equal("child 'a': it is running", refused("DeleteChild", { name = "a" }))
      ask("TerminateChild", { name = "a" })
      ask("DeleteChild", { name = "a" })
      assert.equal("b running", children())
      assert.is_false(stage:alive("a"))
      assert.equal("child 'a': there is no such child", refused("RestartChild", { name = "a" }))
      assert.equal("Bad field 'name' in TerminateChild: the name of a child is expected", refused("TerminateChild"))
    end)

    it("mail of a child that is down waits for its restart", function()
      ask("TerminateChild", { name = "a" })
      assert.is_true(stage:send("a", "Get"))
      ask("RestartChild", { name = "a" })
      stage:run()
      assert.equal(1, stage:outbox()[1].msg.restarts)
    end)

    it("those that are under way when it gives up are answered", function()
      stage:stop("parent")
      stage:run()
      stage:output()
      stage:close()
      stage = Stage.new()
      assert(stage:spawn { name = "counter", source = COUNTER })
      supervise({ restart = { max = 0 }, children = family { { config = { slow_stop = 2 } }, "permanent" } }, { failure = "stop" })
      local asker = assert(stage:spawn { name = "asker", source = [[
        function on_go() print(select(2, actor.ref("supervisor"):ask("StartChild",
          { script = "spec/support/supervised", name = "new", config = { slow_start = 1 } }, { timeout = "1h" }))) end
      ]] })
      stage:run()
      seen()
      stage:send(asker, "Go")
      stage:run()
      stage:send("b", "Fail")
      stage:run()
      assert.matches("supervisor failed at StartChild: child 'new': the supervisor ends", seen())
      stage:advance("10s")
      assert.is_false(stage:alive("supervisor"))
    end)
  end)

  describe("refuses options, and names the child and the field:", function()
    before_each(function()
      assert(stage:spawn({ name = "parent", source = PARENT }, { crooked = true }))
    end)

    for options, expected in pairs {
      [ { stratgy = "one_for_one" } ] = "a supervisor has no 'stratgy' (did you mean 'strategy'?)",
      [ { strategy = "one_for_al" } ] = "strategy is \"one_for_one\", \"one_for_all\" or \"rest_for_one\", " ..
        "not 'one_for_al' (did you mean 'one_for_all'?)",
      [ { restart = 3 } ] = "restart is a table, not 3",
      [ { restart = { max = -1 } } ] = "restart.max is a number of restarts from 0 to 1000, not -1",
      [ { restart = { within = "0s" } } ] = "restart.within is a duration of more than 0, as \"10s\", not '0s'",
      [ { restart = { intensity = 3 } } ] = "there is no 'intensity': that is 'max' here",
      [ { restart = { wthin = "3s" } } ] = "restart has no 'wthin' (did you mean 'within'?)",
      [ { intensity = 3 } ] = "there is no 'intensity': that is 'restart.max' here",
      [ { strategy = "simple_one_for_one" } ] = "there is no 'simple_one_for_one': that is 'one_for_one' and " ..
        "StartChild with kind = \"temporary\" here",
      [ { restart = { backoff = "5s..1s" } } ] = "restart.backoff is the shortest and the longest wait, as " ..
        "\"100ms..5s\", of at least 1ms, not '5s..1s'",
      [ { children = { x = { script = "x" } } } ] = "children is an array of children, and this has 'x'",
      [ { children = { "x" } } ] = "child 1: a child is a table, not 'x'",
      [ { children = { { script = "x" }, { name = "y" } } } ] = "child 'y': script is the path of a script, not missing",
      [ { children = { { script = "x", nmae = "y" } } } ] = "child 'x': it has no 'nmae' (did you mean 'name'?)",
      [ { children = { { script = "x", restart = "permanent" } } } ] = "child 'x': there is no 'restart': that is 'kind' here",
      [ { children = { { script = "x", name = "y z" } } } ] =
        "child 'y z': name is made of letters, digits, '_', '.' and '-', not 'y z'",
      [ { children = { { script = "x", shutdown = "soon" } } } ] =
        "child 'x': shutdown is a duration of more than 0, as \"5s\", or \"brutal\" or \"infinity\", not 'soon'",
      [ { children = { { script = "x", failure = "restart" } } } ] =
        "child 'x': failure of a child is \"stop\" or \"continue\", not 'restart': its supervisor restarts it",
      [ { children = { { script = "x", mailbox = { limt = 3 } } } } ] =
        "child 'x': options of the mailbox have no 'limt' (did you mean 'limit'?)",
      [ { children = { { script = "x", supervise = {} } } } ] =
        "child 'x': it has a script or is a supervisor (supervise), not both",
      [ { children = { { name = "in", supervise = { children = { { script = "x", kind = 1 } } } } } } ] =
        "child 'in': child 'x': kind is \"permanent\", \"transient\" or \"temporary\", not 1",
      [ { children = { { script = "x", name = "n" }, { script = "y", name = "n" } } } ] = "two children are named 'n'",
    } do
      it(expected, function()
        local answer = assert(stage:ask("parent", "Supervise", options))
        assert.is_false(answer.fine)
        assert.equal("actor.supervise: " .. expected, (answer.why:gsub("^parent.lua:%d+: ", "")))
      end)
    end

    it("at the line of the script that asked for it", function()
      assert(stage:spawn { name = "crooked", source = "function on_start()\n actor.supervise { strategy = 1 }\n end" })
      stage:run()
      assert.matches("^crooked.lua:2: actor.supervise: strategy is", stage:log()[1].text)
    end)

    it("at that line also in the top level", function()
      local none, why = stage:spawn { name = "early", source = "local x\nactor.supervise {}\nreturn {}" }
      assert.is_nil(none)
      assert.equal("early.lua:2: actor.supervise: a script's top level only defines; do this in a handler", tostring(why))
    end)

    it("and cannot be made in a sandbox", function()
      assert(stage:spawn { name = "boxed", sandbox = true, source = "function on_start() actor.supervise {} end" })
      stage:run()
      assert.matches("boxed.lua:1: actor.supervise is not available in a sandbox", stage:log()[1].text, 1, true)
    end)

    it("and cannot be made while a script loads", function()
      local none, why = stage:spawn { name = "crooked", source = "actor.supervise {} return {}" }
      assert.is_nil(none)
      assert.matches("actor.supervise", why)
    end)
  end)
end)
