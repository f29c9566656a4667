-- basic: one stack machine sends code to another, and goes on with its own.
--
--   troupe run examples/vm/basic.lua
--
-- Each machine is an actor: the shipped `vm` (docs/vm.md). OP_TELL is an instruction that
-- these have in addition: it sends what is on top of the stack to the machine in `peer`.
--
-- expect: the sender has done its own work: 100
-- expect: the receiver was sent: 42
local Basic = {}

local TELL = [[function(vm)
  vm:send_to(vm.variables.peer, "OP_CONSTANT", vm.stack:pop())
end]]

function Basic:on_start()
  local receiver = assert(actor.spawn("vm", { name = "receiver" }))
  local sender = assert(actor.spawn("vm", {
    name = "sender",
    config = { variables = { peer = receiver }, instructions = { OP_TELL = TELL } },
  }))
  local done = assert(sender:ask("Bytecode", {
    ops = { "OP_CONSTANT", 42, "OP_TELL", "OP_CONSTANT", 100 },
  }))
  print("the sender has done its own work: " .. done.top)
  print("the receiver was sent: " .. assert(receiver:ask("Top")).value)
  actor.stop_host()
end

return Basic
