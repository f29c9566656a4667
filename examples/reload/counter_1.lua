-- counter, version 1 of 3: one number. session.md has it changed while it runs.
--
--   Add   {}    counts one more; replies Counted { count = integer }
--   Tick  {}    from its timer, each second: says what it has counted, if that is new
local Counter = {}

function Counter:on_start()
  self.count, self.said = 0, 0
  self.ticker = actor.every("1s", "Tick")
end

function Counter:on_add(_, env)
  self.count = self.count + 1
  env:reply("Counted", { count = self.count })
end

function Counter:on_tick()
  if self.count == self.said then return end
  self.said = self.count
  print("counted " .. self.count)
end

return Counter
