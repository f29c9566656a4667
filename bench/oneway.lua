-- oneway: SENDERS actors send COUNT messages in all to one; messages a second.
--   troupe run bench/oneway.lua -- [COUNT] [SENDERS] [BYTES]
--   BYTES 0: the payload is { count = i }; else { text = a string of so many bytes }
--
--   Go   {}   a sender: begin
--   Tick {}   to the sink;  Done {} from the sink when it has all
local Boss = {}

local support = dofile "bench/support.lua"

local SINK = [[
  return {
    on_tick = function(self)
      self.left = (self.left or self.config.count) - 1
      if self.left == 0 then self.config.boss:send("Done") end
    end,
  }
]]

local SOURCE = [[
  return {
    on_go = function(self)
      local sink, text = self.config.sink, ("x"):rep(self.config.bytes)
      for i = 1, self.config.count do
        sink:send("Tick", self.config.bytes > 0 and { text = text } or { count = i })
      end
    end,
  }
]]

function Boss:on_start()
  self.senders = tonumber(actor.args[2]) or 1
  self.bytes = tonumber(actor.args[3]) or 0
  local each = (tonumber(actor.args[1]) or 2000000) // self.senders
  self.count = each * self.senders
  local sink = support.spawn("sink", SINK, { count = self.count, boss = actor.self })
  local sources = {}
  for i = 1, self.senders do
    sources[i] = support.spawn("source", SOURCE, { sink = sink, count = each, bytes = self.bytes })
  end
  self.started = actor.now()
  for _, source in ipairs(sources) do source:send("Go") end
end

function Boss:on_done()
  local seconds = actor.now() - self.started
  local name = self.senders > 1 and "fanin" or "oneway"
  support.report(name .. (self.bytes > 0 and "1k" or ""), "rate", self.count / seconds, "msg/s")
  actor.stop_host(0)
end

return Boss
