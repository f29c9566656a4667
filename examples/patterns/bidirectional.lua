-- bidirectional: two actors that send to each other, without a question and an answer. For
-- peers: players of a game, two sides of a negotiation, neighbours.
--
--   troupe run examples/patterns/bidirectional.lua
--
-- A peer, which keeps every number that it gets, in order:
--   Meet   { peer = ref }                       from now on that is its peer
--   Play   { own = integer, tell = integer }    keeps its own number, and sends the other
--                                               one to its peer; replies Played {}
--   Number { n = integer }                      keeps it
--   Kept   {}                                   replies Kept { numbers = {integer, ...} }
--
-- Neither can be made with the other's ref, for one of them is made first: so they are told.
-- They send and do not ask: two that ask each other at once would wait for each other,
-- which is found and refused (`deadlock: alice -> bob -> alice`).
--
-- expect: alice has 10, 200
-- expect: bob has 100, 20
local Bidirectional = {}

local function peer(name)
  return assert(actor.spawn("bidirectional", { name = name, config = { plays = true } }))
end

local function tell_of(name, ref)
  print(name .. " has " .. table.concat(assert(ref:ask("Kept")).numbers, ", "))
end

function Bidirectional:on_start()
  self.numbers = json.array {}
  if self.config.plays then return end

  local alice, bob = peer "alice", peer "bob"
  alice:send("Meet", { peer = bob })
  bob:send("Meet", { peer = alice })
  assert(alice:ask("Play", { own = 10, tell = 100 }))
  assert(bob:ask("Play", { own = 20, tell = 200 }))
  tell_of("alice", alice)
  tell_of("bob", bob)
  actor.stop_host()
end

function Bidirectional:on_meet(msg)
  self.peer = msg.peer
end

function Bidirectional:on_play(msg, env)
  table.insert(self.numbers, msg.own)
  self.peer:send("Number", { n = msg.tell })
  env:reply("Played")
end

function Bidirectional:on_number(msg)
  table.insert(self.numbers, msg.n)
end

function Bidirectional:on_kept(_, env)
  env:reply("Kept", { numbers = self.numbers })
end

return Bidirectional
