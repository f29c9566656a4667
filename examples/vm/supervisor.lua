-- supervisor: three stack machines work, and report to one that supervises them.
--
--   troupe run examples/vm/supervisor.lua
--
-- A report is the worker's number, which is in its variable `id`. What it computed stays on
-- its stack.
--
-- expect: worker 1 computed 0
-- expect: worker 2 computed 10
-- expect: worker 3 computed 20
-- expect: the supervisor has heard of 1, 2, 3
local Supervisor = {}

local REPORT = [[function(vm)
  vm:send_to(vm.variables.supervisor, "OP_CONSTANT", vm.variables.id)
end]]

function Supervisor:on_start()
  local supervisor = assert(actor.spawn("vm"))
  for id = 1, 3 do
    local worker = assert(actor.spawn("vm", {
      name = "worker." .. id,
      config = {
        variables = { id = id, supervisor = supervisor },
        instructions = { OP_REPORT = REPORT },
      },
    }))
    local done = assert(worker:ask("Bytecode", { ops = { "OP_CONSTANT", 10 * (id - 1), "OP_REPORT" } }))
    print(("worker %d computed %d"):format(id, done.top))
  end
  print("the supervisor has heard of " .. table.concat(assert(supervisor:ask("Stack")).values, ", "))
  actor.stop_host()
end

return Supervisor
