-- interleaved: actors whose handlers interleave, on threads. Prints `key: value` lines.
-- Argument: case=mesh | spin
--
--   Go   { depth = integer }   asks somebody else the same, one less deep; replies Sum { n = integer }
--   Nap  { seconds = number }  sleeps, and sees whether another handler stands where it was preempted
--   Spin { seconds = number }  computes
--   Tell {}                    replies Told { naps = integer }
local Interleaved = { interleave = true }

local MEMBERS = 8

local function member(i)
  return actor.ref("member" .. i)
end

local function mesh()
  for i = 1, MEMBERS do assert(actor.spawn("interleaved", { name = "member" .. i, config = { member = true } })) end
  local questions = {}
  for round = 1, 25 do
    for i = 1, MEMBERS do table.insert(questions, member(i):start_ask("Go", { depth = round % 6 })) end
  end
  local sums, why = actor.all(questions, { timeout = "50s" })
  local right = 0
  for i, sum in ipairs(sums or {}) do
    if sum.n == ((i - 1) // MEMBERS + 1) % 6 + 1 then right = right + 1 end
  end
  print("asked: " .. #questions)
  print("right: " .. right)
  print("why: " .. tostring(why))
end

-- Asks `other` until that time; how often it was answered.
local function probe(other, last)
  local probes = 0
  while actor.now() < last do
    if other:ask("Tell") then probes = probes + 1 end
    actor.sleep("5ms")
  end
  return probes
end

local function spin()
  local hero = assert(actor.spawn("interleaved", { name = "hero", config = { member = true } }))
  local other = assert(actor.spawn("interleaved", { name = "other", config = { member = true } }))
  for _ = 1, 20 do hero:send("Nap", { seconds = 0.001 }) end
  hero:send("Spin", { seconds = 1 })
  print("probes: " .. probe(other, actor.now() + 0.7))
  repeat actor.sleep("5ms") until assert(hero:ask("Tell", nil, { timeout = "50s" })).naps == 20

  for _ = 1, 20 do hero:send("Nap", { seconds = 3600 }) end
  assert(hero:ask("Tell", nil, { timeout = "50s" }))
  hero:send("Spin", { seconds = 0.3 })
  actor.sleep("50ms")
  hero:stop()
end

function Interleaved:on_start()
  self.naps, self.inside, self.cut = 0, 0, 0
  if self.config.member then return end
  local case = actor.args[1]:match("^case=(.*)$")
  if case == "mesh" then mesh() else spin() end
  actor.stop_host(0)
end

function Interleaved:on_go(msg, env)
  if msg.depth == 0 then return env:reply("Sum", { n = 1 }) end
  if math.random(3) == 1 then actor.sleep("1ms") end
  local sum, why = member(math.random(MEMBERS)):ask("Go", { depth = msg.depth - 1 }, { timeout = "40s" })
  if not sum then return env:fail(tostring(why)) end
  env:reply("Sum", { n = sum.n + 1 })
end

function Interleaved:on_nap(msg)
  local slept = actor.sleep(msg.seconds)
  if self.spinning then self.inside = self.inside + 1 end
  if slept then self.naps = self.naps + 1 else self.cut = self.cut + 1 end
end

function Interleaved:on_spin(msg)
  local last = actor.now() + msg.seconds
  self.spinning = true
  repeat until actor.now() >= last
  self.spinning = false
end

function Interleaved:on_tell(_, env)
  env:reply("Told", { naps = self.naps })
end

function Interleaved:on_shutdown()
  if actor.name == "hero" then
    print("naps: " .. self.naps)
    print("cut: " .. self.cut)
    print("inside: " .. self.inside)
  end
end

return Interleaved
