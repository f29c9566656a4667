-- event_bus: who has news publishes it under a topic; who has subscribed to a pattern
-- that the topic matches gets it. Topics and patterns are words with dots between, as
-- AMQP's: in a pattern * is one word, # any number of words. docs/shipped.md tells more.
--
--   Subscribe    { topic = pattern, retained = boolean?, to = ref? }
--                the sender, or `to`, gets the events from now on, and first the retained
--                values (unless retained = false); replies Subscribed { topic, retained = count }
--   Unsubscribe  { topic = pattern?, to = ref? }   without a pattern: all of them;
--                replies Unsubscribed { patterns = count }
--   Publish      { topic = string, value = any?, retain = boolean? }
--                replies Published { subscribers, refused = integer }; with `retain` the value
--                is kept as the topic's last one, for those who come later; retaining
--                nothing (or null) forgets it
--   Subscribers  { topic = string? }   all of them, or those that this topic reaches; replies
--                SubscriberList { subscribers = { { ref, patterns, delivered, refused } } }
--   Stats        {}   replies Stats { subscribers, patterns, retained, published, delivered,
--                refused, ended }
--   Retry        {}   sent by its own timer
--
-- What a subscriber gets:
--   Event        { topic, value?, retained = true?, from = ref? }   from: the publisher
--   Missed       { count, topic }   before its next Event, or when it has room again: so many
--                events were refused there, the first of them of this topic
--
-- A subscriber gets one Event of each Publish, however many of its patterns match, and those
-- of one publisher in their order. The bus never waits: where there is no room (in the
-- mailbox, or on the way to another host) the event is refused, counted, and told by a Missed.
-- A subscriber that ends, or whose host is lost, is forgotten.
--
-- Actors of other hosts may subscribe and unsubscribe themselves only.
--
-- Config: subscribers = 10000, patterns = 100 (of each), retained = 1000 (topics): how many
-- there may be.
local config = require "troupe.config"
local tables = require "troupe.tables"
local Topics = require "troupe.topics"

local EventBus = { version = 1 }

local RETRY = "100ms"
local ROUTES_LIMIT = 1000 -- topics whose subscribers are remembered

local FIELDS = {
  subscribers = { kind = "count", default = 10000, least = 1, most = 1000000 },
  patterns = { kind = "count", default = 100, least = 1, most = 10000 },
  retained = { kind = "count", default = 1000, least = 0, most = 1000000 },
}

actor.message("Subscribe", { { "topic", "string" }, { "retained", "boolean?" }, { "to", "ref?" } })
actor.message("Unsubscribe", { { "topic", "string?" }, { "to", "ref?" } })
actor.message("Publish", { { "topic", "string" }, { "value", "any?" }, { "retain", "boolean?" } })
actor.message("Subscribers", { { "topic", "string?" } })

function EventBus:on_start()
  self.limits = config.read(self.config, FIELDS)
  self.topics = Topics.new()
  self.subscribers = {} -- ref -> { ref, number, patterns = { pattern = true }, count, delivered, refused, missed? }
  self.retained = {}    -- topic -> { value, from }
  self.last_number = 0
  self.routes, self.routes_count = {}, 0 -- topic -> subscribers in order, until somebody comes or goes
  self.counts = { subscribers = 0, patterns = 0, retained = 0, published = 0, delivered = 0, refused = 0, ended = 0 }
end

------------------------------------------------------------------ helpers ----

-- Who asked, or sent from elsewhere, is told; else the handler fails, so that it is a dead letter.
local function refuse(env, why)
  if not env.asked and not env.remote then error(why, 0) end
  env:fail(why)
end

-- The sender; of a question from elsewhere the actor that asks, not the name for its answer.
local function sender_of(env)
  if not env.from or not env.remote then return env.from end
  local name, rest = tostring(env.from):match("^(.-)/ask#%d+(@.*)$")
  if not name then return env.from end
  local fine, ref = pcall(actor.ref, name .. rest)
  return fine and ref or nil
end

-- Whom a Subscribe or Unsubscribe is about; or nil and why not.
local function subject_of(msg, env)
  local sender = sender_of(env)
  if env.remote and msg.to and msg.to ~= sender then
    return nil, ("%s from another host is for its sender only"):format(env.type)
  end
  local subject = msg.to or sender
  if not subject then return nil, ("%s has no sender that could be sent events: name it in 'to'"):format(env.type) end
  if subject == actor.self then return nil, "the bus cannot subscribe itself" end
  return subject
end

local function forget_routes(self)
  self.routes, self.routes_count = {}, 0
end

-- The subscribers that a topic reaches, in the order in which they came.
local function route(self, topic)
  local list = self.routes[topic]
  if list then return list end
  list = {}
  for subscriber in pairs(self.topics:match(topic)) do table.insert(list, subscriber) end
  table.sort(list, function(one, other) return one.number < other.number end)
  if self.routes_count >= ROUTES_LIMIT then forget_routes(self) end
  self.routes[topic] = list
  self.routes_count = self.routes_count + 1
  return list
end

----------------------------------------------------------------- delivery ----

-- Tells it what it has missed, if anything; false: there is still no room.
local function tell_missed(subscriber)
  if not subscriber.missed then return true end
  if not subscriber.ref:try_send("Missed", subscriber.missed) then return false end
  subscriber.missed = nil
  return true
end

local function note_refusal(self, subscriber, topic)
  subscriber.refused = subscriber.refused + 1
  self.counts.refused = self.counts.refused + 1
  if subscriber.missed then
    subscriber.missed.count = subscriber.missed.count + 1
    return
  end
  subscriber.missed = { count = 1, topic = topic }
  self.retry = self.retry or actor.after(RETRY, "Retry")
end

local function deliver(self, subscriber, event)
  local sent = tell_missed(subscriber) and subscriber.ref:try_send("Event", event)
  if sent then
    subscriber.delivered = subscriber.delivered + 1
    self.counts.delivered = self.counts.delivered + 1
  else
    note_refusal(self, subscriber, event.topic)
  end
  return sent
end

local function deliver_retained(self, subscriber, pattern)
  local chosen, count = Topics.new(), 0
  chosen:add(pattern, true)
  for _, topic in ipairs(tables.names(self.retained)) do
    if chosen:match(topic)[true] then
      local last = self.retained[topic]
      deliver(self, subscriber, { topic = topic, value = last.value, from = last.from, retained = true })
      count = count + 1
    end
  end
  return count
end

-------------------------------------------------------------- subscribing ----

local function new_subscriber(self, ref)
  local watched, why = actor.watch(ref)
  if not watched then return nil, tostring(why) end
  self.last_number = self.last_number + 1
  local subscriber = { ref = ref, number = self.last_number, patterns = {}, count = 0, delivered = 0, refused = 0 }
  self.subscribers[ref] = subscriber
  self.counts.subscribers = self.counts.subscribers + 1
  return subscriber
end

local function remove_pattern(self, subscriber, pattern)
  self.topics:remove(pattern, subscriber)
  subscriber.patterns[pattern] = nil
  subscriber.count = subscriber.count - 1
  self.counts.patterns = self.counts.patterns - 1
  forget_routes(self)
end

local function remove_subscriber(self, subscriber)
  for _, pattern in ipairs(tables.names(subscriber.patterns)) do remove_pattern(self, subscriber, pattern) end
  self.subscribers[subscriber.ref] = nil
  self.counts.subscribers = self.counts.subscribers - 1
end

-- The subscriber, with the pattern among its own; or nil and why not.
local function subscribe(self, ref, pattern)
  local subscriber = self.subscribers[ref]
  if subscriber and subscriber.patterns[pattern] then return subscriber end
  if subscriber and subscriber.count >= self.limits.patterns then
    return nil, ("%s has %d patterns, the limit"):format(tostring(ref), subscriber.count)
  end
  if not subscriber then
    if self.counts.subscribers >= self.limits.subscribers then
      return nil, ("the bus has %d subscribers, its limit"):format(self.counts.subscribers)
    end
    local why
    subscriber, why = new_subscriber(self, ref)
    if not subscriber then return nil, why end
  end
  subscriber.patterns[pattern] = true
  subscriber.count = subscriber.count + 1
  self.counts.patterns = self.counts.patterns + 1
  self.topics:add(pattern, subscriber)
  forget_routes(self)
  return subscriber
end

function EventBus:on_subscribe(msg, env)
  local wrong = Topics.pattern_fault(msg.topic)
  if wrong then return refuse(env, wrong) end
  local ref, why = subject_of(msg, env)
  if not ref then return refuse(env, why) end
  local subscriber
  subscriber, why = subscribe(self, ref, msg.topic)
  if not subscriber then return refuse(env, why) end
  local retained = msg.retained == false and 0 or deliver_retained(self, subscriber, msg.topic)
  if env.asked then env:reply("Subscribed", { topic = msg.topic, retained = retained }) end
end

function EventBus:on_unsubscribe(msg, env)
  local ref, why = subject_of(msg, env)
  if not ref then return refuse(env, why) end
  local subscriber, removed = self.subscribers[ref], 0
  for _, pattern in ipairs(subscriber and tables.names(subscriber.patterns) or {}) do
    if not msg.topic or msg.topic == pattern then
      remove_pattern(self, subscriber, pattern)
      removed = removed + 1
    end
  end
  if subscriber and subscriber.count == 0 then
    actor.unwatch(ref)
    remove_subscriber(self, subscriber)
  end
  if env.asked then env:reply("Unsubscribed", { patterns = removed }) end
end

function EventBus:on_down(msg)
  local subscriber = self.subscribers[msg.who]
  if not subscriber then return end
  remove_subscriber(self, subscriber)
  self.counts.ended = self.counts.ended + 1
end

--------------------------------------------------------------- publishing ----

-- Keeps the value as the topic's last one; or nil and why not.
local function retain(self, topic, value, from)
  local known = self.retained[topic]
  if value == nil or value == json.null then
    self.retained[topic] = nil
    if known then self.counts.retained = self.counts.retained - 1 end
    return true
  end
  if not known and self.counts.retained >= self.limits.retained then
    return nil, ("values of %d topics are retained, the limit, and none of %s"):format(self.counts.retained, topic)
  end
  if not known then self.counts.retained = self.counts.retained + 1 end
  self.retained[topic] = { value = value, from = from }
  return true
end

function EventBus:on_publish(msg, env)
  local wrong = Topics.topic_fault(msg.topic)
  if wrong then return refuse(env, wrong) end
  local from = sender_of(env)
  if msg.retain then
    local kept, why = retain(self, msg.topic, msg.value, from)
    if not kept then return refuse(env, why) end
  end
  self.counts.published = self.counts.published + 1
  local reached, refused = route(self, msg.topic), 0
  local event = { topic = msg.topic, value = msg.value, from = from }
  for _, subscriber in ipairs(reached) do
    if not deliver(self, subscriber, event) then refused = refused + 1 end
  end
  if env.asked then env:reply("Published", { subscribers = #reached, refused = refused }) end
end

-- Those that were full: whether there is room to tell them what they have missed.
function EventBus:on_retry(_, env)
  if env.remote then return env:fail("Unknown message type: Retry") end
  self.retry = nil
  local left = false
  for _, subscriber in pairs(self.subscribers) do
    left = not tell_missed(subscriber) or left
  end
  if left then self.retry = actor.after(RETRY, "Retry") end
end

---------------------------------------------------------------- questions ----

function EventBus:on_subscribers(msg, env)
  local wrong = msg.topic and Topics.topic_fault(msg.topic)
  if wrong then return refuse(env, wrong) end
  local chosen = msg.topic and route(self, msg.topic)
  if not chosen then
    chosen = {}
    for _, subscriber in pairs(self.subscribers) do table.insert(chosen, subscriber) end
    table.sort(chosen, function(one, other) return one.number < other.number end)
  end
  local list = json.array {}
  for i, subscriber in ipairs(chosen) do
    list[i] = { ref = subscriber.ref, patterns = json.array(tables.names(subscriber.patterns)),
                delivered = subscriber.delivered, refused = subscriber.refused }
  end
  env:reply("SubscriberList", { subscribers = list })
end

function EventBus:on_stats(_, env)
  env:reply("Stats", self.counts)
end

return EventBus
