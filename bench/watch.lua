-- watch: one actor ends, WATCHERS hear of it and say so; ms until the last has.
--   troupe run bench/watch.lua -- [WATCHERS]
--
--   Ready {}, Heard {}    from each watcher
local Boss = { mailbox = { limit = 100000 } }

local support = dofile "bench/support.lua"

local STAR = [[ return { on_quit = function() actor.exit() end } ]]

local WATCHER = [[
  return {
    on_start = function(self) actor.watch(self.config.star) self.config.boss:send("Ready") end,
    on_down = function(self, msg)
      assert(msg.who == self.config.star and msg.reason == "normal")
      self.config.boss:send("Heard")
    end,
  }
]]

function Boss:on_start()
  self.count = tonumber(actor.args[1]) or 10000
  self.ready, self.heard = 0, 0
  self.star = support.spawn("star", STAR)
  for _ = 1, self.count do support.spawn("watcher", WATCHER, { boss = actor.self, star = self.star }) end
end

function Boss:on_ready()
  self.ready = self.ready + 1
  if self.ready < self.count then return end
  self.started = actor.now()
  self.star:send("Quit")
end

function Boss:on_heard()
  self.heard = self.heard + 1
  if self.heard < self.count then return end
  support.report("watch", "all_told", (actor.now() - self.started) * 1e3, "ms")
  actor.stop_host(0)
end

return Boss
