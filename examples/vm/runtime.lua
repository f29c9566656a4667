-- runtime: many stack machines in one actor, each with its turn.
--
--   troupe run examples/vm/runtime.lua
--
--   Turn  {}   sent by the runtime to its actor, while there is something to run
--
-- A ring of three machines passes a number on, from 0 to 5: round robin, one instruction of
-- each machine per round. Here no actor is asked and nothing is sent; an instruction is
-- a Lua function, and a machine is a value in a variable.
--
-- expect: machine 1 has had 0, 3
-- expect: machine 2 has had 1, 4
-- expect: machine 3 has had 2, 5
local Machine = require "troupe.vm"
local ActorRuntime = require("troupe.vm.runtime").ActorRuntime

local Ring = {}

local LAST = 5

local function report(machines)
  for i, machine in ipairs(machines) do
    print(("machine %d has had %s"):format(i, table.concat(machine.stack:values(), ", ")))
  end
  actor.stop_host()
end

function Ring:on_start()
  self.runtime = ActorRuntime.new { turn = "Turn" }
  local machines = {}
  local function pass_on(vm)
    local value = vm.stack:top()
    if value == LAST then return report(machines) end
    vm:send_to(vm.variables.next, "OP_CONSTANT", value + 1, "OP_NEXT")
  end
  for i = 1, 3 do
    machines[i] = Machine.new()
    machines[i]:define_new_instruction("OP_NEXT", pass_on)
    self.runtime:register(machines[i])
  end
  for i, machine in ipairs(machines) do
    machine.variables.next = machines[i % 3 + 1]
  end
  machines[1]:send("OP_CONSTANT", 0, "OP_NEXT")
  self.runtime:start("simple")
end

function Ring:on_turn()
  self.runtime:turn()
end

return Ring
