-- Many stack machines in one Lua state: who runs when. Most of it needs no host: the
-- runtime asks for its turns, and the spec gives them.
local Machine = require "troupe.vm"
local Stage = require "troupe.stage"
local json = require "troupe.json"
local runtimes = require "troupe.vm.runtime"

local ActorRuntime, SimpleRuntime = runtimes.ActorRuntime, runtimes.SimpleRuntime

-- A runtime whose turns come when the spec says so; and the pauses that it asked for.
local function by_hand(count)
  local asked, machines = {}, {}
  local runtime = ActorRuntime.new { after = function(seconds) table.insert(asked, seconds) end }
  for i = 1, count do
    machines[i] = Machine.new()
    runtime:register(machines[i])
  end
  return runtime, machines, asked
end

-- Gives turns for as long as the runtime asks for them; how many it asked for.
local function play(runtime, asked)
  local turns = 0
  while table.remove(asked, 1) do
    turns = turns + 1
    assert(turns < 10000, "it never ends")
    runtime:turn()
  end
  return turns
end

-- Machines with an instruction that notes who ran; each is given `counts[i]` of them.
local function noted(machines, counts)
  local order = {}
  for i, machine in ipairs(machines) do
    machine:define_new_instruction("OP_NOTE", function() table.insert(order, i) end)
    for _ = 1, counts[i] do machine:send("OP_NOTE") end
  end
  return order
end

describe("a runtime", function()
  it("runs one message of each machine in turn: simple", function()
    local runtime, machines, asked = by_hand(3)
    local order = noted(machines, { 2, 3, 1 })
    runtime:start()
    play(runtime, asked)
    assert.same({ 1, 2, 3, 1, 2, 2 }, order)
  end)

  it("runs all that one has, then the next: greedy", function()
    local runtime, machines, asked = by_hand(3)
    local order = noted(machines, { 2, 3, 1 })
    runtime:start("greedy")
    play(runtime, asked)
    assert.same({ 1, 1, 2, 2, 2, 3 }, order)
  end)

  it("runs up to so many of each: fair", function()
    local runtime, machines, asked = by_hand(2)
    local order = noted(machines, { 5, 3 })
    runtime:start("fair", { messages_per_actor = 2 })
    play(runtime, asked)
    assert.same({ 1, 1, 2, 2, 1, 1, 2, 1 }, order)
  end)

  it("runs ten of each when it is fair and was not told how many", function()
    local runtime, machines, asked = by_hand(2)
    local order = noted(machines, { 11, 1 })
    runtime:start("fair")
    play(runtime, asked)
    assert.same({ 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 1 }, order)
  end)

  it("serves who has most waiting first: priority", function()
    local runtime, machines, asked = by_hand(3)
    local order = noted(machines, { 1, 3, 2 })
    runtime:start(runtimes.priority)
    play(runtime, asked)
    assert.same({ 2, 3, 1, 2, 3, 2 }, order)
  end)

  it("serves each with a batch: batched", function()
    local runtime, machines, asked = by_hand(2)
    local order = noted(machines, { 3, 3 })
    runtime:start(runtimes.batched(2))
    play(runtime, asked)
    assert.same({ 1, 1, 2, 2, 1, 2 }, order)
  end)

  it("handles so many messages a second: rate_limited", function()
    local runtime, machines, asked = by_hand(2)
    local order = noted(machines, { 2, 1 })
    runtime:start(runtimes.rate_limited(50))
    local pauses = {}
    while asked[1] do
      table.insert(pauses, table.remove(asked, 1))
      runtime:turn()
    end
    assert.same({ 1, 2, 1 }, order)
    assert.same({ 0, 0.02, 0.02, 0.02 }, pauses) -- the last one, so that the next message is not too early
  end)

  it("takes a loop of one's own", function()
    local runtime, machines, asked = by_hand(2)
    local order = noted(machines, { 4, 4 })
    runtime:start(function(its, list)
      assert.equal(runtime, its)
      list[1]:run(3)
      list[2]:handle_message()
    end)
    play(runtime, asked)
    assert.same({ 1, 1, 1, 2, 1, 2, 2, 2 }, order)
  end)

  it("asks for no turn while there is no code, and for one when there is", function()
    local runtime, machines, asked = by_hand(2)
    runtime:start()
    assert.same({}, asked)
    machines[2]:send("OP_CONSTANT", 1)
    machines[1]:send_to(machines[2], "OP_CONSTANT", 2)
    assert.same({ 0 }, asked) -- one, however much there is
    play(runtime, asked)
    assert.same({}, asked)
    assert.equal(2, #machines[2].stack)
  end)

  it("ends a turn when a machine runs for ever, and goes on with the others in the next", function()
    for _, loop_type in ipairs { "simple", "fair", "greedy" } do
      local runtime, machines, asked = by_hand(2)
      machines[1]:send("OP_LOOP", 2)
      machines[2]:send("OP_CONSTANT", 1)
      runtime:start(loop_type)
      for _ = 1, 5 do
        assert.same({ 0 }, asked)
        table.remove(asked)
        runtime:turn()
      end
      assert.equal(loop_type == "greedy" and 0 or 1, #machines[2].stack)
    end
  end)

  it("stops, and leaves what was not run with the machines", function()
    local runtime, machines, asked = by_hand(1)
    machines[1]:define_new_instruction("OP_STOP", function() runtime:stop() end)
    machines[1]:send("OP_STOP", "OP_CONSTANT", 1)
    runtime:start()
    assert.equal(1, play(runtime, asked))
    assert.same({ false, 2 }, { runtime.running, machines[1]:pending() })
    machines[1]:send("OP_ADD")
    assert.same({}, asked)
    runtime:start()
    machines[1]:send("OP_ADD")
    assert.same({ 0 }, asked)
  end)

  it("does not start twice", function()
    local runtime = by_hand(1)
    runtime:start()
    assert.error_matches(function() runtime:start() end, "^Runtime already running$")
  end)

  it("knows three loops by name", function()
    assert.error_matches(function() (by_hand(1)):start("lazy") end, "^Unknown loop_type: lazy$")
    assert.error_matches(function() (by_hand(1)):start("fair", { messages_per_actor = 0 }) end,
                         "messages_per_actor is an integer from 1 on, not 0")
  end)

  it("has to know who calls turn()", function()
    assert.error_matches(function() ActorRuntime.new():start() end, "^nobody calls turn%(%)")
  end)

  it("registers a machine once, and runs it only while it is registered", function()
    local runtime, machines, asked = by_hand(3)
    assert.error_matches(function() runtime:register(machines[1]) end, "registered already")
    assert.error_matches(function() runtime:register("x") end, "a machine is registered, not a string")
    local order = noted(machines, { 2, 2, 2 })
    runtime:unregister(machines[2])
    assert.is_false(machines[2].running)
    runtime:start()
    play(runtime, asked)
    assert.same({ 1, 3, 1, 3 }, order)
    runtime:register(machines[2])
    play(runtime, asked)
    assert.same({ 1, 3, 1, 3, 2, 2 }, order)
  end)

  it("skips nobody when a machine is unregistered by an instruction", function()
    local runtime, machines, asked = by_hand(3)
    local order = noted(machines, { 1, 1, 1 })
    machines[2]:define_new_instruction("OP_LEAVE", function() runtime:unregister(machines[1]) end)
    machines[2]:send("OP_LEAVE", "OP_NOTE")
    runtime:start()
    play(runtime, asked)
    assert.same({ 1, 2, 3, 2 }, order)
    assert.same({ machines[2], machines[3] }, runtime.machines)
  end)

  it("takes a machine out whose instruction fails, and goes on with the others", function()
    local runtime, machines, asked = by_hand(3)
    local order = noted(machines, { 1, 0, 2 })
    machines[2]:send("OP_NONE", "OP_NOTE")
    runtime:start()
    table.remove(asked)
    assert.has_error(function() runtime:turn() end, "No handler for instruction 'OP_NONE' (at address 0)")
    play(runtime, asked)
    assert.same({ 1, 3, 3 }, order)
    assert.is_false(machines[2].running)
    runtime:register(machines[2])
    play(runtime, asked)
    assert.same({ 1, 3, 3, 2 }, order)
  end)

  it("runs here and now when it is told to block, until there is nothing to do", function()
    local slept = {}
    local runtime = ActorRuntime.new { sleep = function(seconds) table.insert(slept, seconds) end }
    local one, two = Machine.new(), Machine.new()
    runtime:register(one)
    runtime:register(two)
    one:send_to(two, "OP_CONSTANT", 1)
    runtime:start("simple", { blocking = true })
    assert.same({ 1, false }, { two:top(), runtime.running })
    one:send("OP_CONSTANT", 1, "OP_POP")
    runtime:start(runtimes.rate_limited(4), { blocking = true })
    assert.same({ 0.25, 0.25 }, slept)
    one:send("OP_NONE")
    assert.error_matches(function() runtime:start("fair", { blocking = true }) end, "No handler")
    assert.is_false(runtime.running)
  end)

  it("says so when a blocking loop wants to wait and cannot", function()
    local runtime, machine = ActorRuntime.new(), Machine.new()
    runtime:register(machine)
    machine:send("OP_NIL", "OP_NIL")
    assert.error_matches(function() runtime:start(runtimes.rate_limited(), { blocking = true }) end,
                         "was not told how to sleep")
  end)
end)

describe("a runtime of one machine", function()
  it("runs it until it has nothing, or for some messages", function()
    local machine = Machine.new()
    local runtime = SimpleRuntime.new(machine)
    machine:send("OP_CONSTANT", 7, "OP_CONSTANT", 3, "OP_ADD", "OP_DUP")
    assert.equal(2, runtime:loop_n_messages(2))
    assert.equal(2, #machine.stack)
    runtime:loop_until_empty()
    assert.same({ 10, 10, n = 2 }, machine.stack:values())
    assert.equal(0, runtime:loop_n_messages(2))
  end)

  it("runs for ever, until an instruction stops it or there is nothing to run", function()
    local machine = Machine.new()
    local runtime = SimpleRuntime.new(machine)
    machine:define_new_instruction("OP_STOP", function() runtime:stop() end)
    machine:send("OP_STOP", "OP_CONSTANT", 1)
    runtime:loop_forever()
    assert.equal(2, machine:pending())
    runtime:start({ blocking = true })
    assert.equal(1, machine:top())
  end)

  it("runs it in turns", function()
    local machine, asked = Machine.new(), 0
    local runtime = SimpleRuntime.new(machine, { after = function() asked = asked + 1 end })
    runtime:start()
    assert.error_matches(function() runtime:start() end, "Runtime already running")
    machine:send("OP_CONSTANT", 42)
    runtime:turn()
    assert.same({ 42, 1 }, { machine:top(), asked })
  end)
end)

describe("a runtime in an actor", function()
  -- Three machines in one actor.
  --   Send   { machine, ops }   replies nothing
  --   Tops   {}                 replies Tops { tops }
  --   Turn   {}                 sent by its runtime
  local SCRIPT = [[
    local Machine = require "troupe.vm"
    local runtimes = require "troupe.vm.runtime"
    local Machines = {}

    function Machines:on_start()
      self.runtime = runtimes.ActorRuntime.new { turn = "Turn" }
      self.turns, self.machines = 0, {}
      for i = 1, 3 do
        self.machines[i] = Machine.new()
        self.runtime:register(self.machines[i])
      end
      self.runtime:start(self.config.rate and runtimes.rate_limited(self.config.rate) or "fair")
    end

    function Machines:on_turn()
      self.turns = self.turns + 1
      self.runtime:turn()
    end

    function Machines:on_send(msg)
      self.machines[msg.machine]:receive_list_of_bytecode(msg.ops)
    end

    function Machines:on_tops(_, env)
      local tops = json.array {}
      for i, machine in ipairs(self.machines) do
        tops[i] = #machine.stack > 0 and machine:top() or json.null
      end
      env:reply("Tops", { tops = tops, turns = self.turns })
    end

    return Machines
  ]]

  local stage, actor

  local function open(config)
    stage = Stage.new()
    actor = assert(stage:spawn({ source = SCRIPT, name = "machines" }, config))
    stage:run()
  end

  after_each(function() stage:close() end)

  it("gets its turns as messages, and none when there is nothing to do", function()
    open()
    assert.same({ tops = { json.null, json.null, json.null }, turns = 0 }, (stage:ask(actor, "Tops")))
    for i = 1, 3 do stage:send(actor, "Send", { machine = i, ops = { "OP_CONSTANT", i } }) end
    stage:run()
    assert.same({ tops = { 1, 2, 3 }, turns = 1 }, (stage:ask(actor, "Tops")))
    stage:advance("1h")
    assert.equal(1, stage:ask(actor, "Tops").turns)
  end)

  it("leaves the actor its mail while a machine runs for ever", function()
    open()
    stage:send(actor, "Send", { machine = 1, ops = { "OP_LOOP", 2 } })
    stage:send(actor, "Send", { machine = 2, ops = { "OP_CONSTANT", 7 } })
    local answers = 0
    repeat
      answers = answers + 1
      local top = stage:ask(actor, "Tops").tops[2]
    until top == 7 or answers == 100
    assert.is_true(answers < 100)
  end)

  it("waits by a timer when its loop wants to", function()
    open { rate = 2 }
    stage:send(actor, "Send", { machine = 1, ops = { "OP_CONSTANT", 1, "OP_CONSTANT", 2, "OP_CONSTANT", 3 } })
    stage:run()
    assert.equal(1, stage:ask(actor, "Tops").tops[1])
    stage:advance("0.5s")
    assert.equal(2, stage:ask(actor, "Tops").tops[1])
    stage:advance("10s")
    assert.equal(3, stage:ask(actor, "Tops").tops[1])
  end)
end)
