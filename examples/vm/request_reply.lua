-- request_reply: a stack machine as a client, and one as a server that answers it.
--
--   troupe run examples/vm/request_reply.lua
--
-- Between machines an answer is a message like any other: the server sends it to the machine in
-- its variable `client`.
--
-- expect: the client asks for: 21
-- expect: and is sent: 42
local RequestReply = {}

local ASK = [[function(vm)
  vm:send_to(vm.variables.server, "OP_CONSTANT", vm.stack:pop(), "OP_REQUEST")
end]]

local REQUEST = [[function(vm)
  vm:send_to(vm.variables.client, "OP_CONSTANT", 2 * vm.stack:pop())
end]]

function RequestReply:on_start()
  local client = assert(actor.spawn("vm", { name = "client", config = { instructions = { OP_ASK = ASK } } }))
  local server = assert(actor.spawn("vm", {
    name = "server",
    config = { variables = { client = client }, instructions = { OP_REQUEST = REQUEST } },
  }))
  print("the client asks for: 21")
  assert(client:ask("Bytecode", {
    ops = { "OP_CONSTANT", server, "OP_DEFINE_VARIABLE", "server", "OP_CONSTANT", 21, "OP_ASK" },
  }))
  assert(server:ask("Stack")) -- answered behind the request: the reply has been sent
  print("and is sent: " .. assert(client:ask("Top")).value)
  actor.stop_host()
end

return RequestReply
