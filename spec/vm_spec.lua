-- The stack machine, in one Lua state: the patterns that machines make with send_to, and
-- how code is run. spec/vm_code_spec.lua has its instructions, one by one, and s-expressions,
-- spec/vm_actor_spec.lua the machine as an actor, spec/vm_runtime_spec.lua the loops.
local Machine = require "troupe.vm"

local function machines(count)
  local list = {}
  for i = 1, count do list[i] = Machine.new() end
  return table.unpack(list)
end

local function packed(...)
  return table.pack(...)
end

describe("machines that send to each other", function()
  it("send code, which the other one runs", function()
    local one, two = machines(2)
    one:send_to(two, "OP_CONSTANT", 42)
    two:execute()
    assert.equal(42, two:top())
    assert.equal(0, #one.stack)
  end)

  it("do not wait for it to be run", function()
    local one, two = machines(2)
    one:send_to(two, "OP_CONSTANT", 100)
    one:send("OP_CONSTANT", 50)
    one:execute()
    assert.equal(50, one:top())
    assert.equal(2, two:pending())
    two:execute()
    assert.equal(100, two:top())
  end)

  it("send several times, and keep the order", function()
    local sender, receiver = machines(2)
    sender:send_to(receiver, "OP_CONSTANT", 10)
    sender:send_to(receiver, "OP_CONSTANT", 20)
    sender:send_to(receiver, "OP_ADD")
    sender:send_to(receiver, "OP_CONSTANT", 5)
    sender:send_to(receiver, "OP_MULTIPLY")
    receiver:execute()
    assert.equal(150, receiver:top())
  end)

  it("send both ways", function()
    local one, two = machines(2)
    one:send_to(two, "OP_CONSTANT", 10)
    two:send_to(one, "OP_CONSTANT", 20)
    one:execute()
    two:execute()
    assert.same({ 20, 10 }, { one:top(), two:top() })
  end)

  it("forward along a chain, by an instruction of their own", function()
    local function forward(vm)
      local result = vm.stack:pop() + 10
      vm.stack:push(result)
      if vm.variables.next then vm:send_to(vm.variables.next, "OP_CONSTANT", result, "OP_FORWARD") end
    end
    local chain = { machines(3) }
    for i, vm in ipairs(chain) do
      vm:define_new_instruction("OP_FORWARD", forward)
      vm.variables.next = chain[i + 1]
    end
    chain[1]:send("OP_CONSTANT", 5, "OP_FORWARD")
    local tops = {}
    for i, vm in ipairs(chain) do
      vm:execute()
      tops[i] = vm:top()
    end
    assert.same({ 15, 25, 35 }, tops)
  end)

  -- An instruction that sends the topmost value to every machine in a variable.
  local function to_all(variable)
    return function(vm)
      local value = vm.stack:pop()
      for _, target in ipairs(vm.variables[variable]) do vm:send_to(target, "OP_CONSTANT", value) end
    end
  end

  it("broadcast to many", function()
    local broadcaster = Machine.new()
    local listeners = { machines(5) }
    broadcaster:define_new_instruction("OP_BROADCAST", to_all("listeners"))
    broadcaster.variables.listeners = listeners
    broadcaster:send("OP_CONSTANT", 42, "OP_BROADCAST")
    broadcaster:execute()
    for _, listener in ipairs(listeners) do
      listener:execute()
      assert.same({ 42, n = 1 }, listener.stack:values())
    end
  end)

  it("are aggregated by one", function()
    local aggregator = Machine.new()
    for i, worker in ipairs { machines(3) } do
      worker:send_to(aggregator, "OP_CONSTANT", 10 * i)
    end
    aggregator:send("OP_ADD", "OP_ADD")
    aggregator:execute()
    assert.equal(60, aggregator:top())
  end)

  it("process in a pipeline", function()
    local function stage(compute, ...)
      local behind = { ... }
      return function(vm)
        local result = compute(vm.stack:pop())
        vm.stack:push(result)
        vm:send_to(vm.variables.next, "OP_CONSTANT", result, table.unpack(behind))
      end
    end
    local source, doubler, squarer, sink = machines(4)
    doubler:define_new_instruction("OP_PROCESS", stage(function(x) return 2 * x end, "OP_PROCESS"))
    squarer:define_new_instruction("OP_PROCESS", stage(function(x) return x * x end))
    doubler.variables.next, squarer.variables.next = squarer, sink
    source:send_to(doubler, "OP_CONSTANT", 5, "OP_PROCESS")
    doubler:execute()
    squarer:execute()
    sink:execute()
    assert.same({ 10, 100, 100 }, { doubler:top(), squarer:top(), sink:top() })
  end)

  it("request and reply", function()
    local requester, responder = machines(2)
    responder.variables.reply_to = requester
    responder:define_new_instruction("OP_REPLY", function(vm)
      vm:send_to(vm.variables.reply_to, "OP_CONSTANT", 2 * vm.stack:pop())
    end)
    requester:send_to(responder, "OP_CONSTANT", 21, "OP_REPLY")
    responder:execute()
    requester:execute()
    assert.equal(42, requester:top())
  end)

  it("report to a supervisor", function()
    local supervisor = Machine.new()
    for i, worker in ipairs { machines(3) } do
      worker.variables.id, worker.variables.supervisor = i - 1, supervisor
      worker:define_new_instruction("OP_REPORT", function(vm)
        vm:send_to(vm.variables.supervisor, "OP_CONSTANT", vm.variables.id)
      end)
      worker:send("OP_CONSTANT", 10 * i, "OP_REPORT")
      worker:execute()
    end
    supervisor:execute()
    assert.same({ 0, 1, 2, n = 3 }, supervisor.stack:values())
  end)

  it("publish to subscribers over a bus", function()
    local bus = Machine.new()
    local subscribers = { machines(4) }
    bus:define_new_instruction("OP_PUBLISH", to_all("subscribers"))
    bus.variables.subscribers = subscribers
    bus:send("OP_CONSTANT", 999, "OP_PUBLISH")
    bus:execute()
    for _, subscriber in ipairs(subscribers) do
      subscriber:execute()
      assert.equal(999, subscriber:top())
    end
  end)

  it("keep their own stack, variables and place when they send", function()
    local sender, receiver = machines(2)
    sender:send("OP_CONSTANT", 100, "OP_CONSTANT", 7, "OP_DEFINE_VARIABLE", "x")
    sender:execute()
    local before = { sender.stack:values(), sender.variables.x, sender.ip }
    sender:send_to(receiver, "OP_CONSTANT", 42, "OP_ADD")
    assert.same(before, { sender.stack:values(), sender.variables.x, sender.ip })
  end)

  it("send to one at the same time, and no operand is parted from its instruction", function()
    local target, threads = Machine.new(), {}
    for i, sender in ipairs { machines(10) } do
      threads[i] = coroutine.create(function()
        sender:send_to(target, "OP_CONSTANT", i)
        coroutine.yield()
        sender:send_to(target, "OP_CONSTANT", 10 * i)
      end)
    end
    for _ = 1, 2 do
      for _, thread in ipairs(threads) do assert(coroutine.resume(thread)) end
    end
    assert.equal(40, target:code_length())
    target:execute()
    assert.equal(20, #target.stack)
  end)

  it("pass round a ring, a message each per round", function()
    local ring = { machines(3) }
    for i, vm in ipairs(ring) do
      vm.variables.next = ring[i % 3 + 1]
      vm:define_new_instruction("OP_NEXT", function(self)
        local value = self.stack:pop()
        if value < 5 then self:send_to(self.variables.next, "OP_CONSTANT", value + 1, "OP_NEXT") end
        self.stack:push(value)
      end)
    end
    ring[1]:send("OP_CONSTANT", 0, "OP_NEXT")
    for _ = 1, 12 do
      for _, vm in ipairs(ring) do vm:handle_message() end
    end
    assert.same({ { 0, 3, n = 2 }, { 1, 4, n = 2 }, { 2, 5, n = 2 } },
                { ring[1].stack:values(), ring[2].stack:values(), ring[3].stack:values() })
  end)

  it("share out work over a pool", function()
    local coordinator, pool = Machine.new(), { machines(4) }
    coordinator:define_new_instruction("OP_DISTRIBUTE", function(vm)
      for i, work in ipairs { 10, 20, 30, 40 } do
        vm:send_to(vm.variables.pool[(i - 1) % #vm.variables.pool + 1], "OP_CONSTANT", work)
      end
    end)
    coordinator.variables.pool = pool
    coordinator:send("OP_DISTRIBUTE")
    coordinator:execute()
    local tops = {}
    for i, worker in ipairs(pool) do
      worker:execute()
      tops[i] = worker:top()
    end
    assert.same({ 10, 20, 30, 40 }, tops)
  end)

  it("send to themselves", function()
    local vm = Machine.new()
    vm:send_to(vm, "OP_CONSTANT", 100)
    vm:execute()
    assert.equal(100, vm:top())
  end)

  it("send s-expressions", function()
    local one, two = machines(2)
    one:send_to(two, table.unpack(one:s_expression_to_bytecode("(+ 10 20)")))
    two:execute()
    assert.equal(30, two:top())
  end)

  it("are told what is no machine", function()
    assert.error_matches(function() Machine.new():send_to(nil, "OP_ADD") end,
                         "^send_to sends to a machine, not to a nil$")
  end)
end)

describe("a machine", function()
  it("runs one instruction at a time, with its operands", function()
    local vm = Machine.new()
    vm:send("OP_CONSTANT", 5, "OP_CONSTANT", 10, "OP_ADD")
    assert.is_true(vm:handle_message())
    assert.same({ 5, n = 1 }, vm.stack:values())
    vm:step()
    assert.equal(1, vm:run(10))
    assert.equal(15, vm:top())
    assert.is_false(vm:handle_message())
    assert.error_matches(function() vm:step() end, "there is no instruction at ip=5$")
  end)

  it("can stop when a value is there, and go on", function()
    local vm = Machine.new()
    vm:send("OP_CONSTANT", 10, "OP_CONSTANT", 5, "OP_ADD", "OP_CONSTANT", 3, "OP_MULTIPLY")
    while vm:handle_message() and vm:top() ~= 15 do end
    assert.equal(15, vm:top())
    vm:execute()
    assert.equal(45, vm:top())
  end)

  it("takes lists of code, and a program", function()
    local vm = Machine.new()
    vm:receive_list_of_bytecode { "OP_CONSTANT", 1 }
    vm:receive_list_of_bytecode { "OP_CONSTANT", nil, n = 2 }
    vm:execute()
    assert.same({ 1, nil, n = 2 }, vm.stack:values())
    vm:load_bytecode { "OP_CONSTANT", 7 }
    assert.same({ 0, 2 }, { vm.ip, vm:pending() })
    vm:execute()
    assert.equal(7, vm:top())
  end)

  it("waits for code that it has jumped ahead to", function()
    local vm = Machine.new()
    vm:send("OP_JUMP", 4)
    vm:execute()
    assert.same({ 4, 0, false }, { vm.ip, vm:pending(), vm:handle_message() })
    vm:send("OP_CONSTANT", 1, "OP_CONSTANT", 2)
    vm:execute()
    assert.same(packed(2), vm.stack:values())
  end)

  it("stands behind an instruction that failed, and can go on", function()
    local vm = Machine.new()
    vm:send("OP_NONE", "OP_CONSTANT", 1)
    assert.has_error(function() vm:execute() end)
    assert.equal(1, vm.ip)
    vm:execute()
    assert.equal(1, vm:top())
  end)
end)

describe("the instructions of a machine", function()
  local function double(vm) vm.stack:push(2 * vm.stack:pop()) end

  it("can be added to, for this machine only", function()
    local one, two = machines(2)
    one:define_new_instruction("OP_DOUBLE", double)
    one:send("OP_CONSTANT", 5, "OP_DOUBLE")
    one:execute()
    assert.equal(10, one:top())
    two:send("OP_CONSTANT", 5, "OP_DOUBLE")
    assert.has_error(function() two:execute() end, "No handler for instruction 'OP_DOUBLE' (at address 2)")
  end)

  it("can be replaced", function()
    local vm = Machine.new()
    vm:replace_existing_instruction("OP_ADD", function(self)
      self.stack:push(self.stack:pop() * self.stack:pop())
    end)
    vm:send("OP_CONSTANT", 5, "OP_CONSTANT", 10, "OP_ADD")
    vm:execute()
    assert.equal(50, vm:top())
  end)

  it("read operands, move on in the code, send to their own machine, and keep what they like", function()
    local vm, calls = Machine.new(), 0
    vm:define_new_instruction("OP_PUSH_N", function(self)
      local n, value = self:read_constant(), self:read_constant()
      for _ = 1, n do self.stack:push(value) end
    end)
    vm:define_new_instruction("OP_SKIP", function(self) self.ip = self.ip + 2 end)
    vm:define_new_instruction("OP_EXPLODE", function(self)
      calls = calls + 1
      for digit in tostring(self.stack:pop()):gmatch("%d") do self:send("OP_CONSTANT", tonumber(digit)) end
    end)
    vm:send("OP_PUSH_N", 2, 7, "OP_SKIP", "OP_CONSTANT", 99, "OP_CONSTANT", 123, "OP_EXPLODE")
    vm:execute()
    assert.same({ 7, 7, 1, 2, 3, n = 5 }, vm.stack:values())
    assert.equal(1, calls)
  end)

  it("are callable tables, too", function()
    local vm = Machine.new()
    vm:define_new_instruction("OP_DOUBLE", setmetatable({}, { __call = function(_, self) double(self) end }))
    vm:send("OP_CONSTANT", 4, "OP_DOUBLE")
    vm:execute()
    assert.equal(8, vm:top())
  end)

  it("are not defined twice", function()
    assert.error_matches(function() Machine.new():define_new_instruction("OP_ADD", double) end,
      "^instruction with the same name already exists, "
      .. "use another name or use the replace_existing_instruction function$")
    local vm = Machine.new()
    vm:defun("f", double)
    assert.error_matches(function() vm:defun("f", double) end,
                         "^instruction with the same name already exists")
  end)

  it("are not replaced when they are not there", function()
    assert.error_matches(function() Machine.new():replace_existing_instruction("OP_NONE", double) end,
      "^instruction with the name does not exists, "
      .. "use the name of an existing instruction or use the define_new_instruction function$")
  end)

  it("and what is wrong with them is said of the caller's line", function()
    local _, why = pcall(function() Machine.new():define_new_instruction("OP_ADD", double) end)
    assert.matches("^%S*vm_spec.lua:%d+: instruction with the same name", why)
  end)

  it("are functions with a name", function()
    assert.error_matches(function() Machine.new():define_new_instruction("OP_X", 5) end,
                         "^instruction OP_X is a function of the machine, not a number$")
    assert.error_matches(function() Machine.new():define_new_instruction(5, double) end,
                         "^the name of an instruction is a string, not a number$")
  end)
end)

describe("code that was run", function()
  it("is trimmed, so that a machine can run for ever", function()
    local vm = Machine.new()
    local function run(count)
      for i = 1, count do
        vm:send("OP_CONSTANT", i, "OP_POP")
        vm:execute()
      end
      collectgarbage()
      return collectgarbage("count")
    end
    local before = run(10000)
    local more = run(200000) - before -- 600,000 values, of at least 16 bytes
    assert.is_true(more < 2000, ("%.0f KiB more"):format(more))
    assert.equal(630000, vm:code_length())
  end)

  it("can still be jumped to for a while, and then says that it cannot", function()
    local vm = Machine.new { keep = 1000 }
    vm:define_new_instruction("OP_NOTHING", function() end)
    local function jump_back_after(count)
      for _ = 1, count do vm:send("OP_NOTHING") end
      vm:execute()
      vm:send("OP_JUMP", 0)
      vm:run(1)
    end
    jump_back_after(900)
    assert.equal(0, vm.ip)
    vm:skip_to(vm:code_length())
    assert.error_matches(function() jump_back_after(5000) end, "^address 0 is trimmed, .* %(at address 5902%)$")
  end)

  it("stays as long as a call will come back to it", function()
    local vm = Machine.new { keep = 0 }
    vm:define_new_instruction("OP_NOTHING", function() end)
    vm:send("OP_CALL", 2005, 0, "OP_JUMP", 4000)       -- comes back to 3
    for _ = 1, 2000 do vm:send("OP_NOTHING") end       -- 5 to 2004
    for _ = 1, 1000 do vm:send("OP_NOTHING") end
    vm:send("OP_RETURN")
    vm:execute()
    assert.equal(4000, vm.ip)
  end)

  it("stays if it was loaded", function()
    local vm = Machine.new { keep = 0 }
    vm:load_bytecode { "OP_JUMP", 4, "OP_ADD", "OP_RETURN" }
    for i = 1, 3000 do
      vm:send("OP_CONSTANT", i, "OP_CONSTANT", 1, "OP_CALL", 2, 2, "OP_POP")
      vm:execute()
    end
    vm:send("OP_CONSTANT", 1, "OP_CONSTANT", 1, "OP_CALL", 2, 2)
    vm:execute()
    assert.same(packed(2), vm.stack:values())
  end)
end)
