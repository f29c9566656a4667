-- broadcast: one stack machine sends a number to five.
--
--   troupe run examples/vm/broadcast.lua
--
-- The refs of the listeners are a list in a variable of the broadcaster.
--
-- expect: listener 1: 999
-- expect: listener 2: 999
-- expect: listener 3: 999
-- expect: listener 4: 999
-- expect: listener 5: 999
local Broadcast = {}

local BROADCAST = [[function(vm)
  local value = vm.stack:pop()
  for _, listener in ipairs(vm.variables.listeners) do
    vm:send_to(listener, "OP_CONSTANT", value)
  end
end]]

function Broadcast:on_start()
  local listeners = {}
  for i = 1, 5 do
    listeners[i] = assert(actor.spawn("vm", { name = "listener." .. i }))
  end
  local broadcaster = assert(actor.spawn("vm", {
    name = "broadcaster",
    config = { variables = { listeners = listeners }, instructions = { OP_BROADCAST = BROADCAST } },
  }))
  assert(broadcaster:ask("Bytecode", { ops = { "OP_CONSTANT", 999, "OP_BROADCAST" } }))
  for i, listener in ipairs(listeners) do
    print(("listener %d: %d"):format(i, assert(listener:ask("Top")).value))
  end
  actor.stop_host()
end

return Broadcast
