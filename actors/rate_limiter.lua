-- rate_limiter: passes messages on to a target, no more often than it is told.
--
--   any message   is passed on, from its sender: who asked is answered by the target. What comes
--                 too early waits, in order; what would have to wait too long is refused at once:
--                 who asked is told when to try again ("failed"), what was sent is a dead letter.
--   LimiterStats {}   replies LimiterStats { passed, delayed, refused, undelivered, waiting, keys }:
--                 messages that were passed on; of these, those that had to wait; that were refused;
--                 that the target could not be given; that wait now; buckets that are not full
--
-- A bucket holds `burst` tokens, and gets `rate` new ones each `per`; each message takes one. With
-- `key` each value of that field of the messages has a bucket of its own, and those without it
-- (or with a table there) share one. Messages of one key keep their order; those of another do not wait for them.
-- When the target's mailbox is full all wait, up to their time.
--
-- Config: target (a ref, or an address, looked up at each use; needed), rate (a number; needed),
-- per = "1s", burst (default: rate, at least 1), key (a field's name), keys = 10000 (buckets that
-- are not full; more keys are refused), queue = 1000 (messages that may wait), wait = "2s" (how
-- long each may; 0: what comes too early is refused).
local config = require "troupe.config"
local Heap = require "troupe.heap"
local Rate = require "troupe.rate"

local Limiter = { version = 1 }

local AGAIN = 0.02     -- seconds: then a full target is tried again
local KEY_LIMIT = 255  -- bytes that tell keys apart

local FIELDS = {
  target = { kind = "target", needed = true },
  rate = { kind = "number", needed = true, above = 0, most = 1e9 },
  per = { kind = "duration", default = "1s", above = 0 },
  burst = { kind = "count", least = 1, most = 1000000000 },
  key = { kind = "text" },
  keys = { kind = "count", default = 10000, least = 1, most = 10000000 },
  queue = { kind = "count", default = 1000, least = 0, most = 1000000 },
  wait = { kind = "duration", default = "2s", most = 3600 },
}

function Limiter:on_start()
  self.settings = config.read(self.config, FIELDS)
  local settings = self.settings
  if settings.queue == 0 then settings.wait = 0 end
  settings.burst = settings.burst or math.max(1, math.floor(settings.rate))
  self.rate = Rate.new { interval = settings.per / settings.rate, burst = settings.burst,
                         keys = settings.keys, wait = settings.wait }
  self.waiting = Heap.new() -- of { env, deadline }, by when they may go
  self.timer = nil          -- for the first of them
  self.timer_at = nil
  self.timer_id = actor.next_timer_id()
  self.passed, self.delayed, self.refused, self.undelivered = 0, 0, 0, 0
end

local function pass(self, env)
  local target = self.settings.target
  return env:forward(type(target) == "string" and actor.ref(target) or target)
end

local function drop(env, text)
  if env.asked then env:fail(text) else env:discard(text) end
end

local function count_undelivered(self, env, why)
  self.undelivered = self.undelivered + 1
  drop(env, tostring(why))
end

local function wake_at(self, at)
  if self.timer and self.timer_at <= at then return end
  if self.timer then self.timer:cancel() end
  self.timer_at = at
  self.timer = actor.after(math.max(0, at - actor.now()), self.timer_id)
end

-- Passes on what is due. False: the target has no room, and the rest waits for that.
local function release(self)
  local now, waiting = actor.now(), self.waiting
  local entry, at = waiting:first()
  while entry and at <= now + 1e-6 do
    local sent, why = pass(self, entry.env)
    if not sent and why.reason == "full" and now < entry.deadline then
      wake_at(self, now + AGAIN)
      return false
    end
    waiting:take()
    if sent then
      self.passed, self.delayed = self.passed + 1, self.delayed + 1
    else
      count_undelivered(self, entry.env, why)
    end
    entry, at = waiting:first()
  end
  if entry then wake_at(self, at) end
  return true
end

function Limiter:on_timeout(msg)
  if msg.id ~= self.timer_id then return end
  self.timer = nil
  release(self)
end

local function key_of(self, msg)
  local field = self.settings.key
  local value = field and msg[field]
  if value == nil or value == json.null or type(value) == "table" then return "" end
  return (math.type(value) or type(value)):sub(1, 1) .. tostring(value):sub(1, KEY_LIMIT)
end

local function refuse(self, env, why, after)
  local settings = self.settings
  self.refused = self.refused + 1
  drop(env, why == "keys" and ("%d keys are in use, which is the limit"):format(settings.keys)
    or why == "queue" and ("%d messages wait already, which is the limit"):format(settings.queue)
    or ("more than %g in %g s: try again in %.3g s"):format(settings.rate, settings.per, math.max(after, 0.001)))
end

local function enqueue(self, env, at, now)
  self.waiting:put(at, { env = env:defer(), deadline = now + self.settings.wait })
end

function Limiter:on_any(msg, env)
  local free = release(self)
  local now, settings = actor.now(), self.settings
  local has_room = self.waiting.count < settings.queue
  local at, why, after = self.rate:take(key_of(self, msg), now, has_room and settings.wait or 0)
  if not at then
    local full = why == "rate" and not has_room and settings.queue > 0 and after <= settings.wait
    return refuse(self, env, full and "queue" or why, after)
  end
  if at > now or not free then
    if not has_room then return refuse(self, env, "queue") end
    enqueue(self, env, at, now)
    if free then wake_at(self, at) end
    return
  end
  local sent, because = pass(self, env)
  if sent then
    self.passed = self.passed + 1
  elseif because.reason == "full" and has_room and settings.wait > 0 then
    enqueue(self, env, at, now)
    wake_at(self, now + AGAIN)
  else
    count_undelivered(self, env, because)
  end
end

function Limiter:on_limiter_stats(_, env)
  env:reply("LimiterStats", {
    passed = self.passed, delayed = self.delayed, refused = self.refused, undelivered = self.undelivered,
    waiting = self.waiting.count, keys = self.rate.count,
  })
end

function Limiter:on_shutdown()
  for entry in function() return self.waiting:take() end do
    count_undelivered(self, entry.env, "the rate limiter has ended")
  end
end

return Limiter
