-- What a supervisor decides (lua/troupe/supervisor.lua), without any actor: each
-- strategy against each kind of child and way of ending, what happens at the same
-- time, and a comparison with the rules of OTP in many thousand random cases.
local Budget = require "troupe.budget"
local Otp = require "spec.support.otp"
local program = require "spec.support.program"
local Supervisor = require "troupe.supervisor"

-- Of both properties; a sanitized build is slow.
local CASES = tonumber(os.getenv "SUPERVISOR_CASES") or program.is_sanitized and 10000 or 100000

local WAIT = 0.125 -- before each restart, unless told otherwise

-- "start a", "halt b", ...; of a restart that it was decided.
local function shown(actions)
  local list = {}
  for _, action in ipairs(actions) do
    local of = action.name or action.to
    local said = action.is .. (of and " " .. of or "")
    if action.wrong then said = said .. ": " .. action.wrong end
    table.insert(list, said)
  end
  return list
end

local function new(strategy, kinds, restart)
  restart = restart or {}
  local state = Supervisor.new { strategy = strategy, restart = { max = restart.max or 3, within = restart.within or 10,
                                 least = restart.least or WAIT, most = restart.most or WAIT } }
  for i, kind in ipairs(kinds) do Supervisor.add(state, { name = string.char(96 + i), kind = kind }) end
  return state
end

describe("a supervisor decides", function()
  local state, now

  local function step(event)
    return shown(Supervisor.step(state, event, now))
  end

  local function started(name) return step { is = "started", name = name } end

  local function ended(name, reason)
    return step { is = "halted", name = name, reason = reason or "normal", failed = reason ~= nil, ordered = true }
  end

  local function halted(name) return ended(name) end

  -- All children run.
  local function running(strategy, kinds, restart)
    now = 0
    state = new(strategy, kinds, restart)
    step { is = "begin" }
    for _, child in ipairs(table.move(state.children, 1, #state.children, 1, {})) do started(child.name) end
    assert.equal("running", state.phase)
  end

  local function later(seconds)
    now = now + seconds
    return step { is = "tick" }
  end

  describe("when it begins", function()
    for _, strategy in ipairs { "one_for_one", "one_for_all", "rest_for_one" } do
      it("to start the next child when the one before has started, with " .. strategy, function()
        now, state = 0, new(strategy, { "permanent", "transient", "temporary" })
        assert.same({ "start a" }, step { is = "begin" })
        assert.same({ "start b" }, started "a")
        assert.same({ "start c" }, started "b")
        assert.same({ "ready" }, started "c")
      end)
    end

    it("that it is ready at once without children", function()
      now, state = 0, new("one_for_one", {})
      assert.same({ "ready" }, step { is = "begin" })
    end)

    it("to try a child that cannot start again, before the next one", function()
      now, state = 0, new("one_for_one", { "permanent", "permanent" })
      step { is = "begin" }
      assert.same({ "restarting a" }, ended("a", "error: no disk"))
      assert.same({}, later(WAIT / 2))
      assert.same({ "start a" }, later(WAIT / 2))
      assert.same({ "start b" }, started "a")
    end)

    it("to halt what it has started and give up when that goes on", function()
      now, state = 0, new("rest_for_one", { "permanent", "permanent" }, { max = 1 })
      step { is = "begin" }
      started "a"
      ended("b", "error: no disk")
      assert.same({ "start b" }, later(WAIT))
      assert.same({ "halt a" }, ended("b", "error: no disk"))
      assert.same({ "over" }, halted "a")
      assert.equal("b ended (1 restart in 10 s was not enough): error: no disk", state.why)
      assert.equal("b", state.culprit)
    end)

    it("to give up at once when a temporary child cannot start", function()
      now, state = 0, new("one_for_one", { "permanent", "temporary" })
      step { is = "begin" }
      started "a"
      assert.same({ "drop b", "halt a" }, ended("b", "error: no disk"))
      assert.equal("b could not start: error: no disk", state.why)
    end)

    it("to go on behind one that ends well in its on_start, and is to stay down", function()
      now, state = 0, new("one_for_one", { "transient", "permanent" })
      step { is = "begin" }
      assert.same({ "start b" }, ended "a")
      assert.same({ "ready" }, started "b")
    end)

    it("to go on while one that had started is restarted", function()
      now, state = 0, new("one_for_one", { "permanent", "permanent", "permanent" })
      step { is = "begin" }
      started "a"
      assert.same({ "restarting a" }, ended("a", "error: oops"))
      assert.same({ "start c" }, started "b")
      assert.same({ "ready" }, started "c")
      assert.same({ "start a" }, later(WAIT))
    end)
  end)

  describe("that a child is restarted", function()
    for kind, restarts in pairs {
      permanent = { normal = true, failed = true },
      transient = { normal = false, failed = true },
      temporary = { normal = false, failed = false },
    } do
      for how, expected in pairs(restarts) do
        it(("or not: a %s one that ended %s"):format(kind, how == "normal" and "by itself" or "by a failure"), function()
          running("one_for_one", { "permanent", kind })
          local actions = ended("b", how == "failed" and "error: oops" or nil)
          if expected then
            assert.same({ "restarting b" }, actions)
            assert.same({ "start b" }, later(WAIT))
          else
            assert.same(kind == "temporary" and { "drop b" } or {}, actions)
            assert.same({}, later(3600))
          end
        end)
      end
    end
  end)

  describe("which children are restarted with it:", function()
    it("none, with one_for_one", function()
      running("one_for_one", { "permanent", "permanent", "permanent" })
      assert.same({ "restarting b" }, ended("b", "error: oops"))
      assert.same({ "start b" }, later(WAIT))
      assert.same({}, started "b")
    end)

    it("all of them, halted in reverse order and started in order, with one_for_all", function()
      running("one_for_all", { "permanent", "permanent", "permanent" })
      assert.same({ "restarting b", "halt c" }, ended("b", "error: oops"))
      assert.same({ "halt a" }, halted "c")
      assert.same({}, halted "a")
      assert.same({ "start a" }, later(WAIT))
      assert.same({ "start b" }, started "a")
      assert.same({ "start c" }, started "b")
      assert.same({}, started "c")
    end)

    it("those behind it, with rest_for_one", function()
      running("rest_for_one", { "permanent", "permanent", "permanent" })
      assert.same({ "restarting b", "halt c" }, ended("b", "error: oops"))
      assert.same({}, halted "c")
      assert.same({ "start b" }, later(WAIT))
      assert.same({ "start c" }, started "b")
    end)

    it("not before the last has been halted, however long that takes", function()
      running("one_for_all", { "permanent", "permanent" })
      ended("b", "error: oops")
      assert.same({}, later(100))
      assert.same({ "start a" }, halted "a")
    end)

    it("temporary ones are forgotten then", function()
      running("one_for_all", { "permanent", "temporary", "permanent" })
      assert.same({ "restarting c", "halt b" }, ended("c", "error: oops"))
      assert.same({ "drop b", "halt a" }, halted "b")
    end)

    it("transient ones are started again, also those that had ended well, or were terminated", function()
      running("one_for_all", { "permanent", "transient", "permanent" })
      ended "b"
      step { is = "terminate", name = "c", token = 1 }
      halted "c"
      assert.same({ "restarting a" }, ended("a", "error: oops"))
      assert.same({ "start a" }, later(WAIT))
      assert.same({ "start b" }, started "a")
      assert.same({ "start c" }, started "b")
    end)
  end)

  describe("what happens at the same time:", function()
    it("a child that ends while it is to be halted takes no restart", function()
      running("one_for_all", { "permanent", "permanent", "permanent" }, { max = 1 })
      ended("c", "error: oops")
      assert.same({}, ended("a", "error: it too")) -- while b is halted
      assert.same({}, halted "b")
      assert.same({ "start a" }, later(WAIT))
    end)

    it("one that ended just before the order to halt reached it is down when it has answered that", function()
      running("rest_for_one", { "permanent", "permanent", "permanent" })
      ended("b", "error: oops")
      local crossed = step { is = "halted", name = "c", reason = "error: it too", failed = true, ordered = false }
      assert.same({}, crossed)
      assert.same({}, later(WAIT))
      assert.same({ "start b" }, halted "c")
    end)

    it("a failure in front of those that are halted makes them more", function()
      running("rest_for_one", { "permanent", "permanent", "permanent" })
      ended("b", "error: oops")
      assert.same({ "restarting a" }, ended("a", "error: it too"))
      assert.same({}, halted "c")
      assert.same({ "start a" }, later(WAIT))
      assert.same({ "start b" }, started "a")
      assert.same({ "start c" }, started "b")
    end)

    it("a failure among those that are started makes it begin again from there", function()
      running("rest_for_one", { "permanent", "permanent", "permanent" })
      ended("a", "error: oops")
      halted "c"
      halted "b"
      later(WAIT)
      assert.same({ "start b" }, started "a")
      assert.same({ "restarting a", "halt b" }, ended("a", "error: oops"))
      assert.same({}, later(WAIT))
      assert.same({ "start a" }, halted "b")
    end)

    it("with one_for_one each waits by itself", function()
      running("one_for_one", { "permanent", "permanent" })
      ended("a", "error: oops")
      now = now + WAIT / 2
      ended("b", "error: oops")
      assert.same({ "start a" }, later(WAIT / 2))
      assert.same({ "start b" }, later(WAIT / 2))
    end)

    it("one that is told to stop before it had begun is taken for down, and then it is up", function()
      running("one_for_one", { "permanent" })
      ended("a", "error: oops")
      later(WAIT)
      assert.same({ "restarting a" }, ended "a")
      assert.same({}, started "a")
      assert.same({}, later(10))
      assert.equal("up", state.children[1].status)
    end)
  end)

  describe("that it gives up", function()
    it("when there are more restarts than `max` in a span of `within`", function()
      running("one_for_one", { "permanent", "permanent" }, { max = 2, within = 10 })
      for _ = 1, 2 do
        assert.same({ "restarting a" }, ended("a", "error: oops"))
        later(WAIT)
        started "a"
      end
      assert.same({ "halt b" }, ended("a", "error: oops"))
      assert.same({ "over" }, halted "b")
      assert.equal("a ended (2 restarts in 10 s were not enough): error: oops", state.why)
    end)

    it("counting those of all children together", function()
      running("one_for_one", { "permanent", "permanent" }, { max = 1 })
      ended("a", "error: oops")
      assert.same({ "over" }, ended("b", "error: it too"))
    end)

    it("but not when they are far enough from each other", function()
      running("one_for_one", { "permanent" }, { max = 2, within = 10 })
      for _ = 1, 50 do
        now = now + 5
        assert.same({ "restarting a" }, ended("a", "error: oops"))
        later(WAIT)
        started "a"
        now = now - WAIT
      end
    end)

    it("at the first failure with max = 0", function()
      running("one_for_one", { "permanent" }, { max = 0 })
      assert.same({ "over" }, ended("a", "error: oops"))
      assert.equal("a ended (0 restarts in 10 s were not enough): error: oops", state.why)
    end)

    it("and halts the others in reverse order, whatever they do meanwhile", function()
      running("one_for_one", { "permanent", "permanent", "permanent" }, { max = 0 })
      assert.same({ "halt c" }, ended("b", "error: oops"))
      assert.same({}, ended("a", "error: it too"))
      assert.same({ "over" }, halted "c")
    end)
  end)

  it("to halt all in reverse order when it is to stop", function()
    running("one_for_one", { "permanent", "temporary", "transient" })
    assert.same({ "halt c" }, step { is = "stop" })
    assert.same({ "halt b" }, halted "c")
    assert.same({ "halt a" }, halted "b")
    assert.same({ "over" }, halted "a")
    assert.is_nil(state.why)
  end)

  it("to halt one that is just being started, too", function()
    now, state = 0, new("one_for_one", { "permanent", "permanent" })
    step { is = "begin" }
    assert.same({ "halt a" }, step { is = "stop" })
    assert.same({}, started "a")
    assert.same({ "over" }, halted "a")
  end)

  describe("about commands:", function()
    it("a child that is added is started behind the others, and not tried again", function()
      running("one_for_one", { "permanent" })
      assert.same({ "start x" }, step { is = "add", name = "x", kind = "permanent", token = 1 })
      assert.same({ "answer 1" }, started "x")
      step { is = "add", name = "y", kind = "permanent", token = 2 }
      assert.same({ "answer 2: error: no disk", "drop y" }, ended("y", "error: no disk"))
    end)

    it("terminate halts a child, which stays down; restart starts it; delete forgets it", function()
      running("one_for_one", { "permanent" })
      assert.same({ "halt a" }, step { is = "terminate", name = "a", token = 1 })
      assert.same({ "answer 1" }, halted "a")
      assert.same({}, later(100))
      assert.same({ "answer 2" }, step { is = "terminate", name = "a", token = 2 })
      assert.same({ "start a" }, step { is = "restart", name = "a", token = 3 })
      assert.same({ "answer 3" }, started "a")
      assert.same({ "answer 4: it is running" }, step { is = "restart", name = "a", token = 4 })
      assert.same({ "answer 5: it is running" }, step { is = "delete", name = "a", token = 5 })
      step { is = "terminate", name = "a", token = 6 }
      halted "a"
      assert.same({ "drop a", "answer 7" }, step { is = "delete", name = "a", token = 7 })
      assert.same({ "answer 8: there is no such child" }, step { is = "restart", name = "a", token = 8 })
    end)

    it("a restart by command that fails is not tried again, and takes nothing from the budget", function()
      running("one_for_one", { "permanent" }, { max = 0 })
      step { is = "terminate", name = "a", token = 1 }
      halted "a"
      step { is = "restart", name = "a", token = 2 }
      assert.same({ "answer 2: error: no disk" }, ended("a", "error: no disk"))
      assert.equal("down", state.children[1].status)
    end)

    it("a child that waits to be restarted cannot be restarted or deleted, but terminated", function()
      running("one_for_one", { "permanent" })
      ended("a", "error: oops")
      assert.same({ "answer 1: it is being restarted" }, step { is = "restart", name = "a", token = 1 })
      assert.same({ "answer 2: it is being restarted" }, step { is = "delete", name = "a", token = 2 })
      assert.same({ "answer 3" }, step { is = "terminate", name = "a", token = 3 })
      assert.same({}, later(100))
    end)

    it("a temporary child that is terminated is forgotten", function()
      running("one_for_one", { "temporary" })
      step { is = "terminate", name = "a", token = 1 }
      assert.same({ "answer 1", "drop a" }, halted "a")
    end)

    it("they are refused while the supervisor ends", function()
      running("one_for_one", { "permanent", "permanent" }, { max = 0 })
      step { is = "terminate", name = "b", token = 1 }
      halted "b"
      ended("a", "error: oops")
      state.phase = "ending"
      assert.same({ "answer 2: the supervisor ends", "over" }, step { is = "restart", name = "b", token = 2 })
    end)
  end)
end)

describe("the waits before restarts", function()
  it("double from the shortest to the longest, varied by a quarter", function()
    for _ = 1, 100 do
      local budget = Budget.new { max = 100, within = 60, least = 1, most = 10 }
      for i, wait in ipairs { 1, 2, 4, 8, 10, 10 } do
        local got = Budget.spend(budget, i)
        assert.is_true(got >= math.max(wait * 0.75, 1) and got <= math.min(wait * 1.25, 10), i .. ": " .. got)
      end
    end
  end)

  it("are short again after a quiet span", function()
    local budget = Budget.new { max = 100, within = 10, least = 1, most = 60 }
    for i = 1, 6 do Budget.spend(budget, i) end
    assert.is_true(Budget.spend(budget, 16) <= 1.25)
  end)

  it("are never more than `max` in a span, however they fall", function()
    local random = math.random
    for _ = 1, 200 do
      local max, within = random(0, 5), random(1, 20)
      local budget = Budget.new { max = max, within = within, least = 0.1, most = 1 }
      local now, spent = 0, {}
      for _ = 1, 100 do
        now = now + random() * 6
        local recent = 0
        for _, at in ipairs(spent) do
          if now - at < within then recent = recent + 1 end
        end
        local wait = Budget.spend(budget, now)
        assert.equal(recent < max, wait ~= nil)
        if wait then table.insert(spent, now) end
      end
    end
  end)
end)

---------------------------------------------------------------- properties ----

local STRATEGIES = { "one_for_one", "one_for_all", "rest_for_one" }
local KINDS = { "permanent", "transient", "temporary" }

-- A generator of numbers of our own: a case is known by its number.
local function dice(seed)
  local state = seed * 2654435761 & 0xffffffff
  return function(n)
    state = (state * 6364136223846793005 + 1442695040888963407) & 0x7fffffffffffffff
    return (state >> 33) % n + 1
  end
end

describe("in every case", function()
  -- Carries actions out at once, as the model does, until nothing is left to do.
  local function runner(state, starts_well)
    local self = { now = 0, done = {}, answers = {} }
    function self.take(event)
      local events, place = { event }, 1
      while events[place] do
        for _, action in ipairs(Supervisor.step(state, events[place], self.now)) do
          if action.is == "start" then
            table.insert(self.done, "start " .. action.name)
            if starts_well(action.name) then
              table.insert(events, { is = "started", name = action.name })
            else
              table.insert(events, { is = "halted", name = action.name, reason = "cannot start", failed = true })
            end
          elseif action.is == "halt" then
            table.insert(self.done, "halt " .. action.name)
            table.insert(events, { is = "halted", name = action.name, reason = "normal", failed = false, ordered = true })
          elseif action.is == "drop" then
            table.insert(self.done, "drop " .. action.name)
          elseif action.is == "answer" then
            self.answers[action.to] = action.wrong or "done"
          end
        end
        place = place + 1
        local due = Supervisor.due(state)
        if not events[place] and due then
          self.now = math.max(self.now, due)
          events[place] = { is = "tick" }
        end
      end
    end
    return self
  end

  -- As assert.equal, which is slow.
  local function same(expected, got)
    if expected ~= got then assert.equal(expected, got) end
  end

  local function compare(seed)
    local roll = dice(seed)
    local strategy, max = STRATEGIES[roll(3)], roll(5) - 1
    local within, bad = roll(4), roll(8)
    local ours_roll, model_roll = dice(seed + 1), dice(seed + 1)
    local state = new(strategy, {}, { max = max, within = within })
    local ours = runner(state, function() return ours_roll(12) > bad end)
    local model = Otp.new { strategy = strategy, max = max, within = within, wait = WAIT,
                            starts_well = function() return model_roll(12) > bad end }
    for i = 1, roll(5) do
      local child = { name = "c" .. i, kind = KINDS[roll(3)] }
      Supervisor.add(state, child)
      model:add(child)
    end
    ours.take { is = "begin" }
    model:begin(0)
    local made = 5
    for token = 1, 12 do
      local what, victim = roll(10), roll(made)
      local name = "c" .. victim
      local expected
      same(#model.done, #ours.done)
      same(model.over, state.phase == "over")
      if model.over then break end
      same(model.now, ours.now)
      if what <= 5 then
        local place = model:place(name)
        if place and model.children[place].up then
          local failed = roll(2) == 1
          model:ended(name, failed, model.now)
          ours.take { is = "halted", name = name, reason = failed and "error: oops" or "normal", failed = failed }
        end
      elseif what == 6 then
        expected = model:terminate(name) or "done"
        ours.take { is = "terminate", name = name, token = token }
      elseif what == 7 then
        expected = model:restart_child(name) or "done"
        ours.take { is = "restart", name = name, token = token }
      elseif what == 8 then
        expected = model:delete(name) or "done"
        ours.take { is = "delete", name = name, token = token }
      elseif what == 9 then
        made = made + 1
        local child = { name = "c" .. made, kind = KINDS[roll(3)], token = token, is = "add" }
        expected = model:start_child(child) or "done"
        ours.take(child)
      else
        model.now = model.now + roll(3)
        ours.now = model.now
      end
      same(expected, ours.answers[token])
      ours.now = model.now
    end
    same(table.concat(model.done, ", "), table.concat(ours.done, ", "))
  end

  it("comes to what OTP's rules come to", function()
    for seed = 1, CASES // 10 * 9 do
      local fine, why = pcall(compare, seed)
      if not fine then error(("case %d: %s"):format(seed, tostring(why.message or why)), 0) end
    end
  end)

  -- Children as the host has them: orders reach them late, they end when they like,
  -- and what they tell arrives in its order, but that of others in between.
  local function storm(seed)
    local roll = dice(seed)
    local max, within = roll(6) - 1, roll(20)
    local strategy = STRATEGIES[roll(3)]
    local state = new(strategy, {}, { max = max, within = within, least = 0.1, most = 2 })
    local now, waits, over, asked, answered = 0, {}, false, 0, {}
    local world = {} -- name -> { is = "down", "starting", "up"; orders = {}, told = {}, obeyed = n, ordered = n }
    local random = function() return roll(1000) / 1000 end
    local calm = false

    local function make(name, kind)
      world[name] = { is = "down", orders = {}, told = {}, obeyed = 0, ordered = 0, kind = kind }
    end

    local function tell(child, is, reason)
      table.insert(child.told, { is = is, reason = reason or "normal", failed = reason ~= nil, obeyed = child.obeyed })
    end

    local function check_start(name)
      if strategy == "one_for_one" then return end
      for _, child in ipairs(state.children) do
        if child.name == name then return end
        assert(not child.wanted or child.status == "up", child.name .. " is not up when " .. name .. " is started")
      end
    end

    local function check_halt(name)
      local behind = false
      for _, child in ipairs(state.children) do
        if behind and (child.cycle or not child.wanted) then
          assert(child.status == "down", child.name .. " is not down when " .. name .. " is halted")
        end
        behind = behind or child.name == name
        assert(child.name == name or child.status ~= "halting", "two are halted at a time")
      end
    end

    local function take(event)
      for _, action in ipairs(Supervisor.step(state, event, now, random)) do
        local child = action.name and world[action.name]
        if action.is == "start" then
          check_start(action.name)
          table.insert(child.orders, "start")
        elseif action.is == "halt" then
          check_halt(action.name)
          table.insert(child.orders, "halt")
          child.ordered = child.ordered + 1
        elseif action.is == "drop" then
          local is_down = child.is == "down" and #child.orders == 0
          assert(is_down or child.was_stopped, action.name .. " is dropped while it is not down")
          child.dropped = true
          if is_down then world[action.name] = nil end
        elseif action.is == "restarting" then
          table.insert(waits, now)
        elseif action.is == "answer" then
          assert(not answered[action.to], "two answers")
          answered[action.to] = true
        elseif action.is == "over" then
          over = true
        end
      end
    end

    local function obey(child)
      local order = table.remove(child.orders, 1)
      if order == "start" then
        if child.is == "down" then child.is = "starting" end
      else
        child.obeyed = child.obeyed + 1
        child.is = "down" -- also if it was: that is told again
        tell(child, "halted")
      end
    end

    local function live(child)
      local chance = calm and 1 or roll(4)
      if child.is == "starting" then
        child.is = chance > 1 and chance == 2 and "down" or "up"
        tell(child, child.is == "up" and "started" or "halted", child.is == "down" and "error: no disk" or nil)
      elseif child.is == "up" and not calm and chance == 1 then
        child.is = "down"
        tell(child, "halted", roll(2) == 1 and "error: oops" or nil)
      elseif child.is == "down" and not calm and chance == 1 then
        tell(child, "halted") -- somebody has stopped it, and it was down
        child.was_stopped = true
      end
    end

    -- One that was stopped by somebody before it began may begin all the same. Then the
    -- actor around the decisions ends it.
    local function end_dropped(name, child, notice)
      if notice.is == "started" then
        table.insert(child.orders, "halt")
      elseif child.is == "down" and #child.orders == 0 then
        world[name] = nil
      end
    end

    local function hear(name, child)
      local notice = table.remove(child.told, 1)
      if child.dropped then return end_dropped(name, child, notice) end
      take { is = notice.is, name = name, reason = notice.reason, failed = notice.failed,
             ordered = notice.obeyed >= child.ordered }
    end

    local function names()
      local list = {}
      for name in pairs(world) do table.insert(list, name) end
      table.sort(list)
      return list
    end

    local function command()
      asked = asked + 1
      local list = names()
      local name = #list > 0 and list[roll(#list)] or "nobody"
      local what = roll(4)
      if what == 4 then
        name = "x" .. asked
        make(name)
        take { is = "add", name = name, kind = KINDS[roll(3)], token = asked }
      else
        take { is = ({ "terminate", "restart", "delete" })[what], name = name, token = asked }
      end
    end

    for i = 1, roll(5) do
      local child = { name = "c" .. i, kind = KINDS[roll(3)] }
      Supervisor.add(state, child)
      make(child.name)
    end
    take { is = "begin" }

    local function busy()
      if Supervisor.due(state) then return true end
      for _, child in pairs(world) do
        if #child.orders > 0 or #child.told > 0 or child.is == "starting" then return true end
      end
    end

    local turns = 0
    repeat
      turns = turns + 1
      calm = turns > 60
      local list = names()
      local name = #list > 0 and list[roll(#list)]
      local child = name and world[name]
      local what = roll(8)
      if what <= 3 and child and #child.orders > 0 then
        obey(child)
      elseif what <= 5 and child and #child.told > 0 then
        hear(name, child)
      elseif what == 6 and child then
        live(child)
      elseif what == 7 then
        now = now + (calm and 1 or random())
        take { is = "tick" }
      elseif not calm and state.phase == "running" and roll(3) == 1 then
        command()
      end
    until calm and not busy() or turns > 10000

    assert(turns <= 10000, "it never comes to rest")
    for i = 1, #waits - max do
      assert(waits[i + max] - waits[i] >= within, "too many restarts in a span")
    end
    for token = 1, asked do assert(answered[token], "a command without an answer") end
    assert(over == (state.phase == "over") and (over or state.phase == "running"), "it is stuck: " .. state.phase)
    for _, child in ipairs(state.children) do
      local real = world[child.name].is
      if not (over and world[child.name].was_stopped) then -- that one the host ends with its parent
        assert(real == (child.wanted and "up" or "down"), child.name .. " is " .. real)
        assert(child.status == real, child.name .. " is taken for " .. child.status)
      end
    end
    assert(#names() == #state.children, "a child was forgotten, and lives")
  end

  it("comes to rest with all children as they are wanted, in whatever order things happen", function()
    for seed = 1, CASES // 10 do
      local fine, why = pcall(storm, seed)
      if not fine then error(("case %d: %s"):format(seed, tostring(why)), 0) end
    end
  end)
end)
