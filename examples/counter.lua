-- counter: state that nobody shares, behind a handle that hides the messages.
-- (The actor lesson: a task that owns its state and a bounded mailbox.)
--
--   troupe run examples/counter.lua
--
-- Spawned with config = { start = 0, tell = ref } it is the counter:
--   Increment  {}   adds one
--   Decrement  {}   takes one away
--   GetValue   {}   replies Value { value = integer }
-- and when it has stopped it sends `tell`
--   Stopped    { value = integer }
--
-- Run by itself it spawns such a counter, uses it, and ends it gracefully:
-- what is in the mailbox is counted before the counter ends.
--
-- expect: three up, one down: 2
-- expect: a thousand more, through a mailbox of 100: 1002
-- expect: stopped, with nothing left behind: 1052
local Counter = { mailbox = { limit = 100 } }

-- What the users of a counter hold: the messages are its own affair.
local Handle = {}
Handle.__index = Handle

function Handle.new(start, tell)
  local ref = assert(actor.spawn("counter", { config = { start = start, tell = tell } }))
  return setmetatable({ ref = ref }, Handle)
end

-- Waits while the mailbox is full, so a fast sender cannot flood a counter.
function Handle:increment()
  return self.ref:send("Increment")
end

function Handle:decrement()
  return self.ref:send("Decrement")
end

function Handle:value()
  return assert(self.ref:ask("GetValue")).value
end

function Handle:stop()
  return self.ref:stop({ drain = true })
end

local function demonstrate()
  local counter = Handle.new(0, actor.self)
  for _ = 1, 3 do
    counter:increment()
  end
  counter:decrement()
  print("three up, one down: " .. counter:value())

  for _ = 1, 1000 do
    counter:increment()
  end
  print("a thousand more, through a mailbox of 100: " .. counter:value())

  for _ = 1, 50 do
    counter:increment()
  end
  counter:stop()
end

function Counter:on_start()
  self.value = self.config.start
  if not self.value then
    demonstrate()
  end
end

function Counter:on_increment()
  self.value = self.value + 1
end

function Counter:on_decrement()
  self.value = self.value - 1
end

function Counter:on_getvalue(msg, env)
  env:reply("Value", { value = self.value })
end

function Counter:on_stopped(msg)
  print("stopped, with nothing left behind: " .. msg.value)
  actor.stop_host()
end

function Counter:on_shutdown()
  if self.config.tell then
    self.config.tell:send("Stopped", { value = self.value })
  end
end

return Counter
