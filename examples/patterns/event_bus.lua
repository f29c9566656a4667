-- event_bus: who has news publishes it, who wants it subscribes, and neither knows the
-- other. For logs, caches, statistics: whatever follows what happens elsewhere.
--
--   troupe run examples/patterns/event_bus.lua
--
-- The bus:
--   Subscribe  { topic = string }                   its sender gets the topic's events
--                                                   from now on; replies Subscribed {}
--   Publish    { topic = string, code = integer }   passes it on; replies Published
--                                                   { to = integer }: how many got it
-- A subscriber:
--   Follow     { bus = ref, topic = string }        subscribes; replies Following {}
--   Event      { topic = string, code = integer }   keeps it
--   Seen       {}                                   replies Seen { codes = {integer, ...} }
--
-- expect: published 404 to 3 subscribers
-- expect: published 500 to 0 subscribers
-- expect: analytics saw 404
-- expect: logger saw 404
-- expect: cache saw 404
local EventBus = {}

local SUBSCRIBERS = { "analytics", "logger", "cache" }

local function publish(bus, topic, code)
  local published = assert(bus:ask("Publish", { topic = topic, code = code }))
  print(("published %d to %d subscribers"):format(code, published.to))
end

function EventBus:on_start()
  self.topics, self.codes = {}, json.array {}
  if self.config.part then return end

  local bus = assert(actor.spawn("event_bus", { name = "bus", config = { part = "bus" } }))
  local subscribers = {}
  for i, name in ipairs(SUBSCRIBERS) do
    subscribers[i] = assert(actor.spawn("event_bus", { name = name, config = { part = "subscriber" } }))
    assert(subscribers[i]:ask("Follow", { bus = bus, topic = "errors" }))
  end
  publish(bus, "errors", 404)
  publish(bus, "weather", 500)
  for i, name in ipairs(SUBSCRIBERS) do
    print(name .. " saw " .. table.concat(assert(subscribers[i]:ask("Seen")).codes, ", "))
  end
  actor.stop_host()
end

function EventBus:on_subscribe(msg, env)
  local followers = self.topics[msg.topic] or {}
  self.topics[msg.topic] = followers
  table.insert(followers, env.from)
  env:reply("Subscribed")
end

function EventBus:on_publish(msg, env)
  local reached = 0
  for _, follower in ipairs(self.topics[msg.topic] or {}) do
    if follower:send("Event", msg) then reached = reached + 1 end
  end
  env:reply("Published", { to = reached })
end

function EventBus:on_follow(msg, env)
  assert(msg.bus:ask("Subscribe", { topic = msg.topic }))
  env:reply("Following")
end

function EventBus:on_event(msg)
  table.insert(self.codes, msg.code)
end

function EventBus:on_seen(_, env)
  env:reply("Seen", { codes = self.codes })
end

return EventBus
