-- ring: a token goes round SIZE actors, HOPS times on; ns a hop.
--   troupe run bench/ring.lua -- [HOPS] [SIZE]
--
--   Link { next = ref }        whom to pass the token to
--   Token { count = integer }  passed on with one less;  Done {} at 0
local Boss = {}

local support = dofile "bench/support.lua"

local MEMBER = [[
  return {
    on_link = function(self, msg) self.next = msg.next end,
    on_token = function(self, msg)
      if msg.count > 0 then self.next:send("Token", { count = msg.count - 1 })
      else self.config.boss:send("Done") end
    end,
  }
]]

function Boss:on_start()
  self.hops = tonumber(actor.args[1]) or 1000000
  local size = tonumber(actor.args[2]) or 503
  local members = {}
  for i = 1, size do members[i] = support.spawn("member", MEMBER, { boss = actor.self }) end
  for i = 1, size do members[i]:send("Link", { next = members[i % size + 1] }) end
  self.started = actor.now()
  members[1]:send("Token", { count = self.hops })
end

function Boss:on_done()
  support.report("ring", "hop", (actor.now() - self.started) / self.hops * 1e9, "ns")
  actor.stop_host(0)
end

return Boss
