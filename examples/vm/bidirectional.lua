-- bidirectional: two stack machines that send to each other, beside their own work.
--
--   troupe run examples/vm/bidirectional.lua
--
-- Alice tells Bob 100 and pushes a 10 of her own; then Bob tells Alice 200 and pushes 20.
-- What Alice sent was there before: so Bob has hers at the bottom.
--
-- expect: alice has 10, 200
-- expect: bob has 100, 20
local Bidirectional = {}

local TELL = [[function(vm)
  vm:send_to(vm.variables.peer, "OP_CONSTANT", vm.stack:pop())
end]]

local function machine(name)
  return assert(actor.spawn("vm", { name = name, config = { instructions = { OP_TELL = TELL } } }))
end

local function play(ref, peer, tell, own)
  assert(ref:ask("Bytecode", {
    ops = {
      "OP_CONSTANT", peer, "OP_DEFINE_VARIABLE", "peer",
      "OP_CONSTANT", tell, "OP_TELL",
      "OP_CONSTANT", own,
    },
  }))
end

function Bidirectional:on_start()
  local alice, bob = machine "alice", machine "bob"
  play(alice, bob, 100, 10)
  play(bob, alice, 200, 20)
  print("alice has " .. table.concat(assert(alice:ask("Stack")).values, ", "))
  print("bob has " .. table.concat(assert(bob:ask("Stack")).values, ", "))
  actor.stop_host()
end

return Bidirectional
