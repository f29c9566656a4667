-- For spec/supervisor_races_spec.lua: until a time that its config says it fails,
-- ends and dawdles at random; from then on it does what it should.
local Child = {}

local function is_wild(self) return actor.now() < self.config.wild_until end

function Child:on_start()
  if is_wild(self) then
    if math.random() < 0.1 then actor.sleep(math.random() / 100) end
    if math.random() < 0.05 then error("cannot start") end
    if math.random() < 0.02 then actor.exit() end
    self.ticks = actor.every("4ms", "Tick")
  end
  print("+" .. actor.name)
end

function Child:on_tick()
  if not is_wild(self) then return self.ticks and self.ticks:cancel() end
  local roll = math.random()
  if roll < 0.02 then error("failed") end
  if roll < 0.03 then actor.exit() end
  if roll < 0.04 then actor.exit("tired") end
  if roll < 0.05 then actor.self:stop() end
  if roll < 0.08 then actor.sleep(math.random() / 50) end
end

function Child:on_get(_, env) env:reply("Got") end

function Child:on_shutdown()
  print("-" .. actor.name)
  if is_wild(self) and math.random() < 0.2 then actor.sleep(math.random() / 20) end
end

return Child
