-- For storm.lua: pings its own child all the time, and knows the longest wait.
local Prober = {}

function Prober:on_start()
  self.echo = assert(actor.spawn("storm_echo"))
  self.worst = 0
  actor.self:send("Probe")
end

function Prober:on_probe()
  local before = actor.now()
  assert(self.echo:ask("Ping"))
  self.worst = math.max(self.worst, actor.now() - before)
  actor.after("1ms", "Probe")
end

function Prober:on_worst(msg, env) env:reply("Worst", { seconds = self.worst }) end

return Prober
