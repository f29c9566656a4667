-- pipeline: a number goes through three stack machines: doubled, squared, printed.
--
--   troupe run examples/vm/pipeline.lua
--
-- All three know OP_PROCESS, and each has another one.
--
-- expect: Pipeline output: 100
-- expect: the doubler made 10
-- expect: the squarer made 100
local Pipeline = {}

local function stage(computation)
  return ([[function(vm)
    local value = vm.stack:pop()
    local result = %s
    vm.stack:push(result)
    vm:send_to(vm.variables.next, "OP_CONSTANT", result, "OP_PROCESS")
  end]]):format(computation)
end

local PRINT = [[function(vm)
  print("Pipeline output: " .. vm.stack:top())
end]]

local function machine(name, process, next_one)
  return assert(actor.spawn("vm", {
    name = name,
    config = { variables = { next = next_one }, instructions = { OP_PROCESS = process } },
  }))
end

function Pipeline:on_start()
  local printer = machine("printer", PRINT)
  local squarer = machine("squarer", stage "value * value", printer)
  local doubler = machine("doubler", stage "2 * value", squarer)
  doubler:send("Bytecode", { ops = { "OP_CONSTANT", 5, "OP_PROCESS" } })
  local doubled = assert(doubler:ask("Top")).value
  local squared = assert(squarer:ask("Top")).value
  assert(printer:ask("Top")) -- it has printed
  print("the doubler made " .. doubled)
  print("the squarer made " .. squared)
  actor.stop_host()
end

return Pipeline
