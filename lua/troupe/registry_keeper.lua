-- registry_keeper: keeps the actors of this host registered at one registry of the
-- family. A hidden actor, made by actor.registry, one for each registry; it never
-- waits for anybody, so that heartbeats go out whatever others do.
--
--   Manager  {}                          replies Manager { id }: who we are there
--   Keep     { name, endpoint, ref }     replies Kept {}: heartbeats from now on
--   Drop     { name }                    replies Dropped { kept = boolean }: not any more
--   Beat     {}                          sent by its own timer
--
-- The registry's answers to what it is sent: HeartbeatAck, RegistrationOk,
-- RegistrationFailed, LookupResult and Reject.
--
-- A registry that was started again knows nobody, and the family's own forgets
-- whoever was silent for 6 s; but both acknowledge heartbeats as before. So with
-- each heartbeat one of our names, in turn, is looked up. If that one is gone, all
-- are registered anew; as they are when the registry is heard again after a silence.
local Keeper = { version = 1 }

local BEAT = 2       -- seconds between two heartbeats
local UNANSWERED = 3 -- heartbeats after which the registry is believed gone
local AT_ONCE = 100  -- names registered anew in one go
local MODULUS = 1 << 32

function Keeper:on_start()
  self.registry = actor.ref("registry@flat:" .. self.config.endpoint)
  self.id = ("troupe-%08x%08x"):format(math.random(0, MODULUS - 1), math.random(0, MODULUS - 1))
  self.kept = {}   -- name -> { name, endpoint, ref, lost = to be registered anew, told = it leads elsewhere }
  self.turn = nil  -- the name that was looked up last
end

-- Only actors of this host may ask for anything.
local function is_for_others(env)
  if env.remote then env:fail(("Actor '%s' not found"):format(actor.name)) end
  return env.remote
end

function Keeper:on_manager(_, env)
  if is_for_others(env) then return end
  env:reply("Manager", { id = self.id })
end

function Keeper:on_keep(msg, env)
  if is_for_others(env) then return end
  self.kept[msg.name] = { name = msg.name, endpoint = msg.endpoint, ref = msg.ref }
  actor.watch(msg.ref)
  if not self.timer then
    self.timer = actor.every("500ms", "Beat")
    self.unanswered, self.silent = 0, false -- heartbeats since it was last heard; that is too many
    self.next_beat = actor.now() + BEAT
  end
  env:reply("Kept")
end

local function drop(self, name)
  local kept = self.kept[name] ~= nil
  if kept then actor.unwatch(self.kept[name].ref) end
  self.kept[name] = nil
  if self.timer and next(self.kept) == nil then
    self.timer:cancel()
    self.timer = nil
  end
  return kept
end

function Keeper:on_drop(msg, env)
  if is_for_others(env) then return end
  env:reply("Dropped", { kept = drop(self, msg.name) })
end

-- What cannot be sent now is said again at the next beat.
local function tell(self, type, msg)
  return self.registry:try_send(type, msg)
end

-- One of ours has ended; a later one of that name is another's business.
function Keeper:on_down(msg)
  for name, entry in pairs(self.kept) do
    if entry.ref == msg.who then
      drop(self, name)
      tell(self, "UnregisterActor", { actor_name = name })
      return
    end
  end
end

local function register_lost(self)
  local count = 0
  for name, entry in pairs(self.kept) do
    if entry.lost and count < AT_ONCE then
      count = count + 1
      entry.lost = not tell(self, "RegisterActor",
        { manager_id = self.id, actor_name = name, actor_endpoint = entry.endpoint })
    end
  end
end

local function lose_all(self)
  for _, entry in pairs(self.kept) do entry.lost = true end
end

local function look_up_next(self)
  self.turn = next(self.kept, self.kept[self.turn] and self.turn or nil) or next(self.kept)
  tell(self, "LookupActor", { actor_name = self.turn })
end

local function notice_silence(self)
  if self.silent or self.unanswered < UNANSWERED then return end
  self.silent = true
  log.warn("the registry does not answer; our actors will be registered again when it does",
           { registry = self.config.endpoint })
end

function Keeper:on_beat(_, env)
  if is_for_others(env) then return end
  local now = actor.now()
  register_lost(self)
  if now < self.next_beat then return end
  notice_silence(self)
  self.next_beat = math.max(self.next_beat + BEAT, now + BEAT / 2)
  self.unanswered = self.unanswered + 1
  tell(self, "Heartbeat", { manager_id = self.id, timestamp_ms = math.floor(actor.time() * 1000) })
  look_up_next(self)
end

-- Whether it is the registry that says so; then it lives.
local function hear(self, env)
  if env.from ~= self.registry then return false end
  self.unanswered = 0
  if self.silent then
    self.silent = false
    log.info("the registry answers again", { registry = self.config.endpoint })
    lose_all(self)
  end
  return true
end

function Keeper:on_heartbeat_ack(_, env) hear(self, env) end

function Keeper:on_registration_ok(_, env) hear(self, env) end

-- Ours still, or somebody else's: the next look at that name tells.
function Keeper:on_registration_failed(_, env) hear(self, env) end

function Keeper:on_reject(msg, env)
  if hear(self, env) then
    log.debug("the registry rejects", { type = msg.message_type, reason = msg.reason })
  end
end

function Keeper:on_lookup_result(msg, env)
  if not hear(self, env) then return end
  local entry = self.kept[msg.actor_name]
  if not entry then return end
  if type(msg.endpoint) ~= "string" then
    lose_all(self)
    return
  end
  local fine, ref = pcall(actor.ref, entry.name .. "@" .. msg.endpoint)
  local elsewhere = not (fine and ref == entry.ref)
  if elsewhere and not entry.told then
    log.warn("another host has taken a name of ours at the registry",
             { registry = self.config.endpoint, name = entry.name, endpoint = msg.endpoint })
  end
  entry.told = elsewhere
end

function Keeper:on_shutdown()
  if self.silent then return end
  local questions = {}
  for name in pairs(self.kept) do
    questions[name] = self.registry:start_ask("UnregisterActor", { actor_name = name })
  end
  if next(questions) then actor.all(questions, { timeout = "1s" }) end
end

return Keeper
