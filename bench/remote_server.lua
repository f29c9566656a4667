-- remote_server: the other end of bench/remote_rtt.lua, bench/remote_oneway.lua and remote_pong.
--   Ping { count = integer }   replies Pong { count = integer }
--   Expect { count = integer, boss = ref }  replies Expecting {}: so many Ticks will come
--   Tick { count = integer }   the last one sends Done { seconds = number } to the boss
--   Quit {}                    ends this host
return {
  mailbox = { limit = 100000, bytes = "64MiB" },

  on_ping = function(self, msg, env) env:reply("Pong", { count = msg.count }) end,

  on_expect = function(self, msg, env)
    self.left, self.boss = msg.count, actor.ref(msg.boss)
    env:reply("Expecting")
  end,

  on_tick = function(self)
    if not self.started then self.started = actor.now() end
    self.left = self.left - 1
    if self.left == 0 then self.boss:send("Done", { seconds = actor.now() - self.started }) end
  end,

  on_quit = function() actor.stop_host(0) end,
}
