-- For spec/account_spec.lua: says of each Work that it has begun and how it went,
-- and fails, waits, defers, receives and ends at random.
local Worker = {}

local function begin(msg) print("begin " .. msg.id) end

local function go_on(msg)
  local roll = math.random()
  if roll < 0.08 then print("fail " .. msg.id) error("at random") end
  if roll < 0.10 then print("fail " .. msg.id) local hog = {} while true do hog[#hog + 1] = ("x"):rep(1 << 16) .. #hog end end
  if roll < 0.12 then actor.exit("at random") end
  if roll < 0.35 then actor.sleep(math.random() / 100) end
  if roll > 0.9 then
    local other = actor.receive("Work", { timeout = "5ms" })
    if other then begin(other) end
  end
end

function Worker:on_start(msg)
  if math.random() < 0.1 then error("no start") end
  actor.join("workers")
  actor.every("4ms", "Tick", { life = msg.restarts })
  self.life = msg.restarts
  self.child = actor.spawn("spec/support/restarts", { name = actor.name .. "-child", failure = "stop" })
  if self.child then actor.watch(self.child) end
  if not self.child and self.config.alone then print("BROKEN no child") end
end

function Worker:on_tick(msg)
  if msg.life ~= self.life then print("BROKEN a tick of another life") end
end

function Worker:on_down() if math.random() < 0.3 then error("a child less") end end

function Worker:on_fail() self.child:send("Fail") end

function Worker:on_work(msg)
  begin(msg)
  go_on(msg)
end

function Worker:on_query(_, env)
  if math.random() < 0.1 then error("no answer") end
  if math.random() < 0.3 then actor.sleep("8ms") end
  if math.random() < 0.3 then self.kept = env:defer() return end
  env:reply("Done")
end

return Worker
