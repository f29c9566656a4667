-- chain: three stack machines pass a number on, and each adds ten.
--
--   troupe run examples/vm/chain.lua
--
-- OP_FORWARD sends the number with another OP_FORWARD behind it, in one message: the next
-- machine runs the same. The last one has no `next`, which ends it.
--
-- expect: machine 1: 15
-- expect: machine 2: 25
-- expect: machine 3: 35
local Chain = {}

local FORWARD = [[function(vm)
  local result = vm.stack:pop() + 10
  vm.stack:push(result)
  if vm.variables.next then
    vm:send_to(vm.variables.next, "OP_CONSTANT", result, "OP_FORWARD")
  end
end]]

function Chain:on_start()
  local machines = {}
  for i = 3, 1, -1 do
    machines[i] = assert(actor.spawn("vm", {
      config = { variables = { next = machines[i + 1] }, instructions = { OP_FORWARD = FORWARD } },
    }))
  end
  machines[1]:send("Bytecode", { ops = { "OP_CONSTANT", 5, "OP_FORWARD" } })
  -- A machine answers when it has run what it had before, so each is asked in its turn.
  for i, machine in ipairs(machines) do
    print(("machine %d: %d"):format(i, assert(machine:ask("Top")).value))
  end
  actor.stop_host()
end

return Chain
