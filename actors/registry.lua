-- registry: knows at which endpoint an actor is, as the family's GlobalRegistry does.
-- `troupe registry` runs it behind a REQ/REP port, where a message is flat JSON.
--
-- A manager is a process that has registered actors. It sends a heartbeat every
-- 2 s; one that is silent for longer than 6 s is offline, and so are its actors.
-- They are not forgotten: with its next heartbeat they are online again.
--
--   RegisterActor    { manager_id = string, actor_name = string, actor_endpoint = string }
--                    replies RegistrationOk { actor_name },
--                    or RegistrationFailed { actor_name, reason }
--   LookupActor      { actor_name = string }
--                    replies LookupResult { actor_name, endpoint = string or null, online = boolean }
--   Heartbeat        { manager_id = string }   replies HeartbeatAck {}
--   UnregisterActor  { actor_name = string }   replies RegistrationOk { actor_name },
--                    also if nobody had that name
--   Sweep            {}                        sent by its own timer
--
-- A name belongs to who registered it first, while that manager is online. The
-- same manager, or another one for the same endpoint (a process that was started
-- again), may register it anew; so may anybody once its manager is offline. When all
-- places are taken, the name that has been offline longest gives way.
--
-- Config: silence = "6s", limit = 10000 (names).
local config = require "troupe.config"

local Registry = { version = 1 }

local TEXT_LIMIT = 255 -- bytes of a name or a manager's id

local FIELDS = {
  silence = { kind = "duration", default = "6s", above = 0 },
  limit = { kind = "count", default = 10000, least = 1, most = 10000000 },
}

function Registry:on_start()
  local settings = config.read(self.config, FIELDS)
  self.silence, self.limit = settings.silence, settings.limit
  self.names = {}    -- name -> { endpoint, manager = id }
  self.count = 0
  self.managers = {} -- id -> { heard = time, count = names, offline = true or nil }; has at least one name
  actor.every("1s", "Sweep")
end

-- What is wrong with a text from elsewhere, or nil.
local function fault(field, value)
  if value == nil or value == json.null then return field .. " is missing" end
  if type(value) ~= "string" then return field .. " is no string" end
  if value == "" then return field .. " is empty" end
  if #value > TEXT_LIMIT then return ("%s is longer than %d bytes"):format(field, TEXT_LIMIT) end
  if value:find("%c") then return field .. " has a control character" end
end

-- Fails the question if one of the fields is not right.
local function is_right(msg, env, ...)
  for _, field in ipairs { ... } do
    local wrong = fault(field, msg[field])
    if wrong then
      env:fail(("Bad field '%s' in %s: %s"):format(field, env.type, wrong))
      return false
    end
  end
  return true
end

-- Why nobody could reach an actor by this name at this endpoint, or nil.
local function unreachable(name, endpoint)
  local fine, why = pcall(actor.ref, name .. "@" .. endpoint)
  if not fine then return (tostring(why):gsub("^.-actor%.ref: ", "")) end
  if not endpoint:find("^tcp://") then return ("'%s' is no endpoint: write tcp://HOST:PORT"):format(endpoint) end
end

local function is_online(self, id)
  return actor.now() - self.managers[id].heard <= self.silence
end

-- A sign of life.
local function hear(self, id)
  local manager = self.managers[id]
  manager.heard = actor.now()
  if manager.offline then
    manager.offline = nil
    log.info("a manager is online again", { manager = id, actors = manager.count })
  end
end

local function forget(self, name)
  local place = self.names[name]
  if not place then return end
  local manager = self.managers[place.manager]
  manager.count = manager.count - 1
  if manager.count == 0 then self.managers[place.manager] = nil end
  self.names[name] = nil
  self.count = self.count - 1
end

-- The name that has been offline longest, or nil.
local function longest_offline(self)
  local oldest, since
  for name, place in pairs(self.names) do
    local heard = self.managers[place.manager].heard
    if not is_online(self, place.manager) and (not since or heard < since) then
      oldest, since = name, heard
    end
  end
  return oldest
end

-- Whether there is room for one more name; made if need be.
local function has_room(self)
  if self.count < self.limit then return true end
  local name = longest_offline(self)
  if not name then return false end
  log.warn("all places are taken: forgetting an offline actor", { actor = name, limit = self.limit })
  forget(self, name)
  return true
end

local function remember(self, name, endpoint, id)
  self.managers[id] = self.managers[id] or { count = 0 }
  self.managers[id].count = self.managers[id].count + 1
  self.names[name] = { endpoint = endpoint, manager = id }
  self.count = self.count + 1
  hear(self, id)
end

function Registry:on_register_actor(msg, env)
  if not is_right(msg, env, "manager_id", "actor_name", "actor_endpoint") then return end
  local name, endpoint, id = msg.actor_name, msg.actor_endpoint, msg.manager_id
  local reason = unreachable(name, endpoint)
  local place = self.names[name]
  if not reason and place and place.manager ~= id and place.endpoint ~= endpoint
      and is_online(self, place.manager) then
    reason = "Name already registered"
  end
  if not reason then
    forget(self, name)
    if not has_room(self) then
      reason = ("Registry full: %d names are registered and online"):format(self.limit)
    end
  end
  if reason then
    env:reply("RegistrationFailed", { actor_name = name, reason = reason })
    return
  end
  remember(self, name, endpoint, id)
  env:reply("RegistrationOk", { actor_name = name })
end

function Registry:on_lookup_actor(msg, env)
  if not is_right(msg, env, "actor_name") then return end
  local place = self.names[msg.actor_name]
  env:reply("LookupResult", {
    actor_name = msg.actor_name,
    endpoint = place and place.endpoint or json.null,
    online = place ~= nil and is_online(self, place.manager),
  })
end

function Registry:on_heartbeat(msg, env)
  if not is_right(msg, env, "manager_id") then return end
  if self.managers[msg.manager_id] then hear(self, msg.manager_id) end
  env:reply("HeartbeatAck")
end

function Registry:on_unregister_actor(msg, env)
  if not is_right(msg, env, "actor_name") then return end
  forget(self, msg.actor_name)
  env:reply("RegistrationOk", { actor_name = msg.actor_name })
end

function Registry:on_sweep(_, env)
  if env.remote then return env:fail("Unknown message type: Sweep") end
  for id, manager in pairs(self.managers) do
    if not manager.offline and not is_online(self, id) then
      manager.offline = true
      log.warn("a manager is silent: its actors are offline", { manager = id, actors = manager.count })
    end
  end
end

return Registry
