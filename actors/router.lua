-- router: passes messages of whatever type on to actors that it is given. It is they who
-- answer. (A worker_pool makes its actors itself.) docs/shipped.md tells more.
--
--   any type       is passed on as `route` says; whoever asks is told when there is no target
--                  for it, and a message that nobody asked for becomes a dead letter
--   RouterAdd      { to = ref, keys = any[]? }   one more target, or other keys of one;
--                  replies RouterChanged { targets = count }
--   RouterRemove   { to = ref }   replies RouterChanged { targets = count }
--   RouterTargets  {}   replies RouterTargets { targets = { { ref, keys?, routed } }, routed,
--                  refused (copies of broadcasts that did not fit), failed, ended = integer }
--   RouterRace     sent by its own timers
--
-- RouterAdd and RouterRemove are for actors of this host. A target that ends, or whose host is
-- lost, is no target any more. Where a target's mailbox is full the next one is taken, or, where
-- there is no other for that message, the router waits, and lets its own mail wait.
--
-- Config: targets = { ref, or its text, or { to = ref, keys = any[] }, ... }, timeout = "5s" (how
-- long it waits for room, and for answers with "first"), route =
--   "round"        one after the other
--   "random"       any of them
--   "least"        the one with the least to do, as actor.backlog says; in turn where several have
--                  equally little. For targets of this host only
--   "hash:FIELD"   by the value of that field: the same value goes to the same target, while the
--                  targets are the same
--   "type"         to a target with the message's type among its keys; or else to one without keys
--   "field:FIELD"  to a target with the value of that field among its keys; or else likewise
--   "broadcast"    a copy to each, as far as there is room; asked, the router itself replies
--                  RouterSent { sent, refused = integer }
--   "first"        asks each, and the first answer is the answer; what is no question is broadcast
local config = require "troupe.config"
local Routes = require "troupe.routes"

local Router = {
  version = 1,
  interleave = { "Down", "RouterAdd", "RouterRace", "RouterRemove", "RouterTargets" },
}

local RETRY = 0.01 -- seconds: how often it looks whether there is room
local TARGETS_LIMIT = 10000
local PLACES_LIMIT = 1000 -- values that a router with "hash:FIELD" remembers
local KEPT_LENGTH = 64    -- longer texts it does not

local ROUTES = { round = false, random = false, least = false, hash = true, type = false, field = true,
                 broadcast = false, first = false }

local FIELDS = {
  targets = { kind = "list", default = {} },
  route = { kind = "route", routes = ROUTES, default = "round" },
  timeout = { kind = "duration", default = "5s", least = 0.001 },
}

actor.message("RouterAdd", { { "to", "ref" }, { "keys", "any[]?" } })
actor.message("RouterRemove", { { "to", "ref" } })

------------------------------------------------------------------ targets ----
-- A target: { ref, keys?, set?, routed }; set: its keys as Routes.key() writes them.

local function find(self, ref)
  for place, target in ipairs(self.targets) do
    if target.ref == ref then return target, place end
  end
end

local function is_elsewhere(ref)
  local count, why = actor.backlog(ref)
  return not count and why.reason == "failed"
end

-- Adds it, or changes its keys; or nil and why not.
local function add(self, ref, keys)
  local target = find(self, ref)
  if not target then
    if ref == actor.self then return nil, "a router cannot be its own target" end
    if #self.targets >= TARGETS_LIMIT then return nil, ("there are %d targets, the limit"):format(TARGETS_LIMIT) end
    if self.route == "least" and is_elsewhere(ref) then
      return nil, ("route = \"least\" is for targets of this host, and %s is elsewhere"):format(tostring(ref))
    end
    local watched, why = actor.watch(ref)
    if not watched then return nil, tostring(why) end
    target = { ref = ref, routed = 0 }
    table.insert(self.targets, target)
  end
  target.keys, target.set = keys, nil
  if keys then
    target.set = {}
    for _, key in ipairs(keys) do target.set[Routes.key(key)] = true end
  end
  return true
end

local function remove(self, ref)
  local _, place = find(self, ref)
  if place then table.remove(self.targets, place) end
  return place ~= nil
end

local function refuse_target(place, expected, value, hint)
  config.refuse(("targets[%d]"):format(place), expected, value, hint)
end

-- The ref of a target in the config; raises for what is none.
local function read_ref(given, place)
  if type(given) == "userdata" and given ~= json.null then return given end
  if type(given) ~= "string" then
    refuse_target(place, "a ref, its text, or { to = ref, keys = {...} }", given)
  end
  if not given:find("@", 1, true) then
    local fine, ref, why = pcall(actor.lookup, given)
    if not fine then refuse_target(place, "an actor's name", given) end
    if not ref then refuse_target(place, "the name of an actor", given, (" (%s)"):format(why)) end
    return ref
  end
  local fine, ref = pcall(actor.ref, given)
  if not fine then refuse_target(place, "an actor's address", given) end
  return ref
end

local function read_target(self, given, place)
  local keys
  if type(given) == "table" then
    given, keys = given.to, given.keys
    if keys ~= nil and type(keys) ~= "table" then config.refuse(("targets[%d].keys"):format(place), "a list", keys) end
  end
  local added, why = add(self, read_ref(given, place), keys)
  if not added then error(("config.targets[%d]: %s"):format(place, why), 0) end
end

------------------------------------------------------------------- routes ----

-- Those that may have it, the place from which on they are tried, and how many of them (all).
local candidates = {}

function candidates.round(self)
  self.turn = self.turn % math.max(#self.targets, 1) + 1
  return self.targets, self.turn
end

function candidates.random(self)
  return self.targets, #self.targets > 0 and math.random(#self.targets) or 1
end

function candidates.least(self)
  local _, turn = candidates.round(self)
  local first, least = turn, math.huge
  for step = 0, #self.targets - 1 do
    local place = (turn + step - 1) % #self.targets + 1
    local waiting = actor.backlog(self.targets[place].ref)
    if waiting and waiting < least then first, least = place, waiting end
    if least == 0 then break end -- nobody has less
  end
  return self.targets, first
end

local function is_kept(value)
  return math.type(value) == "integer" or type(value) == "string" and #value <= KEPT_LENGTH
end

-- Values come again and again: where they go is kept, as long as there are the same targets.
function candidates.hash(self, msg)
  local count, value = #self.targets, msg[self.field]
  if count == 0 then return self.targets, 1, 0 end
  local known = self.places
  if known.count ~= count or known.values >= PLACES_LIMIT then
    known = { count = count, values = 0, of = {} }
    self.places = known
  end
  local place = value ~= nil and known.of[value]
  if not place then
    place = Routes.place(value, count)
    if is_kept(value) then known.of[value], known.values = place, known.values + 1 end
  end
  return self.targets, place, 1
end

local function with_key(self, key)
  local chosen, others = {}, {}
  for _, target in ipairs(self.targets) do
    if not target.set then
      table.insert(others, target)
    elseif target.set[key] then
      table.insert(chosen, target)
    end
  end
  self.turn = self.turn + 1
  if #chosen == 0 then chosen = others end
  return chosen, (self.turn - 1) % math.max(#chosen, 1) + 1
end

function candidates.type(self, _, env)
  return with_key(self, Routes.key(env.type))
end

function candidates.field(self, msg)
  return with_key(self, Routes.key(msg[self.field]))
end

-- Tries them one after the other: "sent", "full", or why not.
local function offer(self, env, list, first, count)
  local answer
  for step = 0, (count or #list) - 1 do
    local target = list[(first + step - 1) % #list + 1]
    local sent, why = env:forward(target.ref)
    if sent then
      target.routed = target.routed + 1
      self.counts.routed = self.counts.routed + 1
      return "sent"
    end
    if answer ~= "full" then answer = why.reason == "full" and "full" or tostring(why) end
  end
  return answer or ("the router has no target for %s"):format(env.type)
end

-- Who asked, or sent from elsewhere, is told; else the handler fails, so that it is a dead letter.
local function refuse(self, env, why)
  self.counts.failed = self.counts.failed + 1
  if not env.asked and not env.remote then error(why, 0) end
  env:fail(why)
end

local function pass_on(self, msg, env)
  local choose = candidates[self.route]
  local answer = offer(self, env, choose(self, msg, env))
  local deadline = answer == "full" and actor.now() + self.settings.timeout
  while answer == "full" do
    if actor.now() >= deadline then
      answer = ("no target for %s had room in %g s"):format(env.type, self.settings.timeout)
    elseif not actor.sleep(RETRY) then
      answer = "the router is stopping"
    else
      answer = offer(self, env, choose(self, msg, env))
    end
  end
  if answer ~= "sent" then refuse(self, env, answer) end
end

local function broadcast(self, msg, env)
  local sent, refused = 0, 0
  for _, target in ipairs(self.targets) do
    local took
    if env.asked then took = target.ref:try_send(env.type, msg) else took = env:forward(target.ref) end
    if took then
      sent = sent + 1
      target.routed = target.routed + 1
    else
      refused = refused + 1
    end
  end
  self.counts.routed = self.counts.routed + sent
  self.counts.refused = self.counts.refused + refused
  if env.asked then env:reply("RouterSent", { sent = sent, refused = refused }) end
end

-- Answers wait in a handler of their own, so that the next message need not.
local function begin_race(self, msg, env)
  self.last_race = self.last_race + 1
  local timer, why = actor.after(0, "RouterRace", { race = self.last_race })
  if not timer then return refuse(self, env, tostring(why)) end
  self.races[self.last_race] = { env = env:defer(), msg = msg, type = env.type }
end

----------------------------------------------------------------- handlers ----

function Router:on_start()
  self.settings = config.read(self.config, FIELDS)
  self.route, self.field = self.settings.route.name, self.settings.route.field
  self.targets, self.turn = {}, 0
  self.places = { count = 0 }
  self.races, self.last_race = {}, 0
  self.counts = { routed = 0, refused = 0, failed = 0, ended = 0 }
  for place, given in ipairs(self.settings.targets) do read_target(self, given, place) end
end

function Router:on_any(msg, env)
  if #self.targets == 0 then return refuse(self, env, ("the router has no target for %s"):format(env.type)) end
  if self.route == "first" and env.asked then return begin_race(self, msg, env) end
  if self.route == "first" or self.route == "broadcast" then return broadcast(self, msg, env) end
  pass_on(self, msg, env)
end

function Router:on_router_race(msg, env)
  if env.remote then return env:fail("Unknown message type: RouterRace") end
  local race = self.races[msg.race]
  if not race then return end
  self.races[msg.race] = nil
  local questions = {}
  for i, target in ipairs(self.targets) do
    questions[i] = target.ref:start_ask(race.type, race.msg)
    target.routed = target.routed + 1
  end
  if #questions == 0 then return refuse(self, race.env, ("the router has no target for %s"):format(race.type)) end
  self.counts.routed = self.counts.routed + #questions
  local first, answer, answer_env = actor.any(questions, { timeout = self.settings.timeout })
  if first then
    race.env:reply(answer_env.type, answer)
  else
    refuse(self, race.env, tostring(answer))
  end
end

local function change(self, env, done, why)
  if not done then return refuse(self, env, why) end
  if env.asked then env:reply("RouterChanged", { targets = #self.targets }) end
end

function Router:on_router_add(msg, env)
  if env.remote then return refuse(self, env, "RouterAdd is for actors of its host") end
  change(self, env, add(self, msg.to, msg.keys))
end

function Router:on_router_remove(msg, env)
  if env.remote then return refuse(self, env, "RouterRemove is for actors of its host") end
  local removed = remove(self, msg.to)
  if removed then actor.unwatch(msg.to) end
  change(self, env, removed, ("%s is no target"):format(tostring(msg.to)))
end

function Router:on_router_targets(_, env)
  local list = json.array {}
  for i, target in ipairs(self.targets) do
    list[i] = { ref = target.ref, keys = target.keys and json.array(target.keys), routed = target.routed }
  end
  env:reply("RouterTargets", { targets = list, routed = self.counts.routed, refused = self.counts.refused,
                               failed = self.counts.failed, ended = self.counts.ended })
end

function Router:on_down(msg)
  if not remove(self, msg.who) then return end
  self.counts.ended = self.counts.ended + 1
  log.info("a target has ended", { target = msg.name, reason = msg.reason, left = #self.targets })
end

return Router
