-- prober: asks a witness again and again, as long as the host lives.
--   Report {}   replies Probes { count, failed = integer, slowest, p99 = seconds }
local Prober = {}

function Prober:on_start()
  if self.config.witness then return end
  self.witness = assert(actor.spawn("prober", { config = { witness = true } }))
  self.count, self.failed, self.slowest, self.times = 0, 0, 0, {}
  actor.every("5ms", "Probe")
end

function Prober:on_probe()
  local began = actor.now()
  local pong = self.witness:ask("Ping")
  self.count = self.count + 1
  if not pong then self.failed = self.failed + 1 end
  local time = actor.now() - began
  self.slowest = math.max(self.slowest, time)
  table.insert(self.times, time)
end

function Prober:on_ping(_, env)
  env:reply("Pong")
end

function Prober:on_report(_, env)
  table.sort(self.times)
  env:reply("Probes", {
    count = self.count, failed = self.failed, slowest = self.slowest,
    p99 = self.times[math.ceil(#self.times * 0.99)] or 0,
  })
end

return Prober
