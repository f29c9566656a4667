-- pipeline: what comes in is worked on in stages, all of them at the same time. For streams
-- of data: while one item is squared, the next is doubled already.
--
--   troupe run examples/patterns/pipeline.lua
--
-- A stage (config = { stage = "double" | "square" | "print", next = ref }):
--   Item  { value = integer }   works on it, and sends the result to the next stage
--   End   {}                    passes it on; at the last stage the host stops
--
-- Each stage has a bounded mailbox, so a slow one slows down those before it, and nothing
-- piles up: `send` waits for room.
--
-- expect: into the pipeline: 5
-- expect: doubled: 10
-- expect: squared: 100
-- expect: out of the pipeline: 100
local Pipeline = { mailbox = { limit = 10 } }

local Stage = {}

function Stage.double(value)
  print("doubled: " .. 2 * value)
  return 2 * value
end

function Stage.square(value)
  print("squared: " .. value * value)
  return value * value
end

function Stage.print(value)
  print("out of the pipeline: " .. value)
end

local function stage(name, next_one)
  return assert(actor.spawn("pipeline", { name = name, config = { stage = name, next = next_one } }))
end

function Pipeline:on_start()
  if self.config.stage then return end
  local first = stage("double", stage("square", stage("print")))
  print("into the pipeline: 5")
  first:send("Item", { value = 5 })
  first:send("End")
end

function Pipeline:on_item(msg)
  local result = Stage[self.config.stage](msg.value)
  if self.config.next then
    self.config.next:send("Item", { value = result })
  end
end

function Pipeline:on_end()
  if self.config.next then
    self.config.next:send("End")
  else
    actor.stop_host()
  end
end

return Pipeline
