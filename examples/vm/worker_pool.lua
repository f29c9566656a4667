-- worker_pool: a stack machine shares eight numbers out among four, which add theirs up.
--
--   troupe run examples/vm/worker_pool.lua
--
-- OP_DISTRIBUTE takes the list on top of the stack and sends its items to the machines in
-- `pool`, in turn.
--
-- expect: worker 1: 60
-- expect: worker 2: 80
-- expect: worker 3: 100
-- expect: worker 4: 120
local WorkerPool = {}

local DISTRIBUTE = [[function(vm)
  local pool = vm.variables.pool
  for i, item in ipairs(vm.stack:pop()) do
    vm:send_to(pool[(i - 1) % #pool + 1], "OP_CONSTANT", item)
  end
end]]

function WorkerPool:on_start()
  local pool = {}
  for i = 1, 4 do
    pool[i] = assert(actor.spawn("vm", { name = "worker." .. i }))
  end
  local coordinator = assert(actor.spawn("vm", {
    name = "coordinator",
    config = { variables = { pool = pool }, instructions = { OP_DISTRIBUTE = DISTRIBUTE } },
  }))
  assert(coordinator:ask("Bytecode", {
    ops = { "OP_CONSTANT", { 10, 20, 30, 40, 50, 60, 70, 80 }, "OP_DISTRIBUTE" },
  }))
  for i, worker in ipairs(pool) do
    local total = assert(worker:ask("Bytecode", { ops = { "OP_ADD" } }))
    print(("worker %d: %d"):format(i, total.top))
  end
  actor.stop_host()
end

return WorkerPool
