-- aggregator: four stack machines send what they have to one, which adds it up.
--
--   troupe run examples/vm/aggregator.lua
--
-- expect: worker 1: 10
-- expect: worker 2: 20
-- expect: worker 3: 30
-- expect: worker 4: 40
-- expect: the aggregator: 100
local Aggregator = {}

local REPORT = [[function(vm)
  vm:send_to(vm.variables.aggregator, "OP_CONSTANT", vm.stack:top())
end]]

function Aggregator:on_start()
  local aggregator = assert(actor.spawn("vm"))
  for i = 1, 4 do
    local worker = assert(actor.spawn("vm", {
      name = "worker." .. i,
      config = { variables = { aggregator = aggregator }, instructions = { OP_REPORT = REPORT } },
    }))
    local done = assert(worker:ask("Bytecode", { ops = { "OP_CONSTANT", 10 * i, "OP_REPORT" } }))
    print(("worker %d: %d"):format(i, done.top))
  end
  -- All four have reported, so there are four numbers on its stack.
  local sum = assert(aggregator:ask("Bytecode", { ops = { "OP_ADD", "OP_ADD", "OP_ADD" } }))
  print("the aggregator: " .. sum.top)
  actor.stop_host()
end

return Aggregator
