-- circuit_breaker: stands before an actor that may fail, and spares it and its askers
-- what would only fail again. Whoever would ask the target asks the breaker instead.
--
--   any message, asked   asks the target, and answers what that does. If it fails, who asked
--                        is told why ("failed"). When the circuit is open it is told so at once.
--   any message, sent    is passed on, from its sender; a dead letter when the circuit is open
--   BreakerStats {}      replies BreakerStats { state, opened, failures, asked, answered, failed,
--                        refused, sent, discarded, under_way, opens_in?, reason? }
--   BreakerTrip  { open_for = duration? }   opens it by hand; replies BreakerState { state }
--   BreakerReset {}      closes it by hand; replies BreakerState { state }
--   BreakerSubscribe {}  the sender is told of each change from now on; replies BreakerState { state }
--   BreakerUnsubscribe {}   replies BreakerState { state }
--   BreakerChanged { breaker = string, from = string, to = string, reason? }   what those and the
--                        members of `group` are sent
--
-- closed: all is passed on. `failures` in a row (or `within` so long) open it. open: nothing is,
-- for `open_for`; twice as long after each trial that failed, up to `open_at_most`. half_open:
-- the next message finds it so when that time is over; it and others up to `trials` are passed on. When
-- all of these succeed the circuit is closed, when one fails it is open again. A message that was
-- sent has succeeded when the target's mailbox took it; this counts for trials only.
--
-- Trip and Reset are refused from other hosts.
--
-- Config: target (a ref, or an address, looked up at each use; needed), timeout = "5s" (of each
-- question), failures = 5, within (a duration; default: in a row), open_for = "10s", open_at_most
-- (default: open_for), trials = 1, counts = { "timeout", "failed", "down", "unreachable", "full",
-- "no_reply" } (what is a failure; "rejected" may be, too, as which an env:fail arrives from
-- another host), group (is told of changes, too).
local Circuit = require "troupe.circuit"
local config = require "troupe.config"

local Breaker = { version = 1, interleave = true }

local SUBSCRIBERS = 1000

local FIELDS = {
  target = { kind = "target", needed = true },
  timeout = { kind = "duration", default = "5s", above = 0 },
  failures = { kind = "count", default = 5, least = 1, most = 10000 },
  within = { kind = "duration", above = 0 },
  open_for = { kind = "duration", default = "10s", above = 0 },
  open_at_most = { kind = "duration", above = 0 },
  trials = { kind = "count", default = 1, least = 1, most = 100 },
  counts = {
    kind = "words",
    words = { "timeout", "failed", "down", "unreachable", "full", "no_reply", "rejected" },
    default = { "timeout", "failed", "down", "unreachable", "full", "no_reply" },
  },
  group = { kind = "group" },
}

local function target_of(self)
  local target = self.settings.target
  return type(target) == "string" and actor.ref(target) or target
end

local function publish(self, from, to)
  local reason = to == "open" and self.circuit.reason or nil
  local msg = { breaker = actor.name, from = from, to = to, reason = reason }
  local show = to == "open" and log.warn or log.info
  show(("the circuit is %s"):format(to), { target = tostring(self.settings.target), reason = reason })
  for subscriber in pairs(self.subscribers) do subscriber:try_send("BreakerChanged", msg) end
  if self.settings.group then actor.publish(self.settings.group, "BreakerChanged", msg) end
end

function Breaker:on_start()
  self.settings = config.read(self.config, FIELDS)
  self.subscribers, self.subscribed = {}, 0
  self.counters = { asked = 0, answered = 0, failed = 0, refused = 0, sent = 0, discarded = 0, under_way = 0 }
  local settings = self.settings
  self.circuit = Circuit.new({
    failures = settings.failures, within = settings.within, open_for = settings.open_for,
    open_at_most = settings.open_at_most, trials = settings.trials, patience = 2 * settings.timeout,
  }, function(from, to) publish(self, from, to) end)
end

local function bump(self, name, by)
  self.counters[name] = self.counters[name] + (by or 1)
end

-- The circuit lets nothing through: "the circuit to shop is open for another 3.2 s: no answer ...".
local function refuse(self, env, opens)
  local text = ("the circuit to %s is %s%s%s"):format(
    tostring(self.settings.target), self.circuit.state == "open" and "open" or "half open, and being tried",
    opens and (" for another %.1f s"):format(opens - actor.now()) or "",
    self.circuit.reason and ": " .. self.circuit.reason or "")
  if env.asked then
    bump(self, "refused")
    env:fail(text)
  else
    bump(self, "discarded")
    env:discard(text)
  end
end

-- What went wrong. Another host can only say it with a Reject, which begins with these words
-- when the handler there has failed, or ended without an answer.
local function reason_of(why)
  if why.reason ~= "rejected" then return why.reason end
  local word = why.text:match("^.- rejected [^:]*: (%u%l+ ?%l*): ")
  return word == "Failed" and "failed" or word == "No reply" and "no_reply" or "rejected"
end

local function failed(self, ticket, why)
  local counts = self.settings.counts[reason_of(why)] == true
  self.circuit:settle(ticket, not counts, actor.now(), tostring(why))
end

local function ask(self, msg, env, ticket)
  bump(self, "asked")
  bump(self, "under_way")
  local answer, more = target_of(self):ask(env.type, msg, { timeout = self.settings.timeout })
  bump(self, "under_way", -1)
  if answer then
    bump(self, "answered")
    self.circuit:settle(ticket, true, actor.now())
    env:reply(more.type, answer)
  else
    bump(self, "failed")
    failed(self, ticket, more)
    env:fail(tostring(more))
  end
end

local function pass(self, env, ticket)
  local sent, why = env:forward(target_of(self))
  if not sent then
    bump(self, "discarded")
    failed(self, ticket, why)
    env:discard(tostring(why))
    return
  end
  bump(self, "sent")
  if self.circuit.state == "half_open" then self.circuit:settle(ticket, true, actor.now()) end
end

function Breaker:on_any(msg, env)
  local ticket, opens = self.circuit:admit(actor.now())
  if not ticket then return refuse(self, env, opens) end
  if env.asked then ask(self, msg, env, ticket) else pass(self, env, ticket) end
end

---------------------------------------------------------- of the breaker ----

local function reply_state(self, env)
  env:reply("BreakerState", { state = self.circuit.state })
end

function Breaker:on_breaker_stats(_, env)
  local stats = { state = self.circuit.state, opened = self.circuit.opened,
                  failures = self.circuit:failures(), reason = self.circuit.reason }
  for name, value in pairs(self.counters) do stats[name] = value end
  if self.circuit.opens then stats.opens_in = math.max(0, self.circuit.opens - actor.now()) end
  env:reply("BreakerStats", stats)
end

local function is_ours(env)
  if not env.remote then return true end
  env:fail(("%s is refused from other hosts"):format(env.type))
  return false
end

function Breaker:on_breaker_trip(msg, env)
  if not is_ours(env) then return end
  local open_for, wrong
  if msg.open_for ~= nil then open_for, wrong = config.value(msg.open_for, FIELDS.open_for) end
  if wrong then return env:fail("Bad field 'open_for' in BreakerTrip: " .. wrong) end
  self.circuit:open(actor.now(), "it was opened by hand", open_for)
  reply_state(self, env)
end

function Breaker:on_breaker_reset(_, env)
  if not is_ours(env) then return end
  self.circuit:close()
  reply_state(self, env)
end

function Breaker:on_breaker_subscribe(_, env)
  local who = env.from
  if not who then return env:fail("nobody to tell: it has no sender") end
  if not self.subscribers[who] then
    if self.subscribed >= SUBSCRIBERS then
      return env:fail(("%d actors have subscribed, which is the limit"):format(SUBSCRIBERS))
    end
    self.subscribers[who] = true
    self.subscribed = self.subscribed + 1
    actor.watch(who)
  end
  reply_state(self, env)
end

local function unsubscribe(self, who)
  if not who or not self.subscribers[who] then return end
  self.subscribers[who] = nil
  self.subscribed = self.subscribed - 1
end

function Breaker:on_breaker_unsubscribe(_, env)
  if env.from then
    actor.unwatch(env.from)
    unsubscribe(self, env.from)
  end
  reply_state(self, env)
end

function Breaker:on_down(msg)
  unsubscribe(self, msg.who)
end

return Breaker
