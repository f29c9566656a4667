-- event_bus: a stack machine that passes events on to all that have subscribed.
--
--   troupe run examples/vm/event_bus.lua
--
-- To subscribe is to run OP_SUBSCRIBE on the bus, with one's ref on its stack.
--
-- expect: analytics received 404
-- expect: logger received 404
-- expect: cache received 404
local EventBus = {}

local SUBSCRIBERS = { "analytics", "logger", "cache" }

local SUBSCRIBE = [[function(vm)
  table.insert(vm.variables.subscribers, vm.stack:pop())
end]]

local PUBLISH = [[function(vm)
  local event = vm.stack:pop()
  for _, subscriber in ipairs(vm.variables.subscribers) do
    vm:send_to(subscriber, "OP_CONSTANT", event)
  end
end]]

function EventBus:on_start()
  local bus = assert(actor.spawn("vm", {
    name = "bus",
    config = {
      variables = { subscribers = json.array {} },
      instructions = { OP_SUBSCRIBE = SUBSCRIBE, OP_PUBLISH = PUBLISH },
    },
  }))
  local subscribers = {}
  for i, name in ipairs(SUBSCRIBERS) do
    subscribers[i] = assert(actor.spawn("vm", { name = name }))
    bus:send("Bytecode", { ops = { "OP_CONSTANT", subscribers[i], "OP_SUBSCRIBE" } })
  end
  assert(bus:ask("Bytecode", { ops = { "OP_CONSTANT", 404, "OP_PUBLISH" } }))
  for i, name in ipairs(SUBSCRIBERS) do
    print(("%s received %d"):format(name, assert(subscribers[i]:ask("Top")).value))
  end
  actor.stop_host()
end

return EventBus
