-- restart: ACTORS fail and are started again with a fresh state, ROUNDS times each;
-- restarts a second of all together. Each waits a millisecond before it starts again
-- (the shortest backoff), which many at once hide.
--   troupe run bench/restart.lua -- [ACTORS [ROUNDS]]
--
--   Ready {}    from each, when it has started
--   Fail {}     makes it fail
local Boss = { mailbox = { limit = 100000 } }

local support = dofile "bench/support.lua"

local WORKER = [[
  return {
    failure = "restart",
    restart = { max = 1000, within = "1s", backoff = "1ms" },
    on_start = function(self) self.config.boss:send("Ready") end,
    on_fail = function() error("again") end,
  }
]]

function Boss:on_start()
  local actors = tonumber(actor.args[1]) or 1000
  local rounds = tonumber(actor.args[2]) or 20
  self.actors, self.left = actors, actors * rounds
  self.starting = actors
  for _ = 1, actors do support.spawn("worker", WORKER, { boss = actor.self }) end
end

function Boss:on_ready(_, env)
  if self.starting > 0 then
    self.starting = self.starting - 1
    if self.starting == 0 then
      self.total, self.started = self.left, actor.now()
    end
  else
    self.left = self.left - 1
  end
  if self.left == 0 then
    support.report("restart", "rate", self.total / (actor.now() - self.started), "restarts/s")
    return actor.stop_host(0)
  end
  env.from:send("Fail")
end

return Boss
