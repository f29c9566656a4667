-- worker: the stage in the middle, as in examples/patterns/pipeline.lua: doubles a number, and
-- squares that. Knows nothing of what was done before, so it may be killed at any time.
--
--   Item  { number = integer }   sends Result { number, result } to config.sink, after config.takes
--   End   {}                     replies Ended, and ends
actor.message("Item", { number = "integer" })
local Result = actor.message("Result", { number = "integer", result = "integer" })

local Worker = {}

function Worker:on_item(msg)
  actor.sleep(self.config.takes) -- the work is hard
  self.config.sink:send(Result{ number = msg.number, result = (2 * msg.number) ^ 2 })
end

function Worker:on_end(_, env)
  env:reply("Ended")
  actor.exit()
end

return Worker
