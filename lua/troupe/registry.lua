--- What `actor.registry(endpoint)` gives: the family's registry of actors, seen
--- from an actor of this host. All of it waits, and must be called in a handler.
---
--- ```lua
--- local registry = actor.registry(":5555")
--- assert(registry:register("pong"))                        -- heartbeats follow by themselves
--- local ping = assert(registry:lookup("ping", { timeout = "10s" }))
--- ping:send("Hello")
--- ```
---
--- Questions go to the registry itself, over flat JSON. What has to go on while
--- this actor is busy is left to the *keeper*: lua/troupe/registry_keeper.lua, a
--- hidden actor of the host, one for each registry.
local TIMEOUT = 5        -- seconds, unless the caller says otherwise
local FIRST_PATIENCE = 1 -- with one question, which may have got lost; then twice as long
local FIRST_PAUSE, LAST_PAUSE = 0.05, 1 -- between two looks for a name
local FRESH = 2          -- what the registry said so many seconds ago is still worth telling

local SECONDS = { ms = 0.001, s = 1, m = 60, h = 3600 }

---@class troupe.Registry
---@field private ref troupe.Ref        the registry
---@field private keeper troupe.Ref
---@field private endpoint string       where the registry is
---@field private failure fun(reason: string, text: string): nil, troupe.Why
local Registry = {}
Registry.__index = Registry
Registry.__name = "registry"

-- Blames whoever called the method whose helper this is.
local function misuse(what, text, ...)
  error(("%s: %s"):format(what, text:format(...)), 4)
end

local function check_name(name, what)
  if type(name) ~= "string" then misuse(what, "the name of an actor is expected, not a %s", type(name)) end
  if name == "" or #name > 255 or name:find("%c") or name:find("@", 1, true) then
    misuse(what, "'%s' is no actor's name", name)
  end
end

-- The deadline that { timeout = duration } means.
local function check_deadline(options, what)
  if options == nil then return actor.now() + TIMEOUT end
  if type(options) ~= "table" then misuse(what, "options are a table, not a %s", type(options)) end
  for key in pairs(options) do
    if key ~= "timeout" then misuse(what, "there is no option '%s', only timeout", tostring(key)) end
  end
  local timeout = options.timeout
  local seconds = timeout or TIMEOUT
  if type(timeout) == "string" then
    local number, unit = timeout:match("^(%d+%.?%d*)(%a+)$")
    seconds = SECONDS[unit] and tonumber(number) * SECONDS[unit]
  end
  if type(seconds) ~= "number" or not (seconds >= 0 and seconds <= 1e9) then
    misuse(what, "timeout is a duration, as \"5s\", not %s", tostring(timeout))
  end
  return actor.now() + seconds
end

-- Whether it makes sense to ask again.
local function may_pass(why)
  return why.reason == "timeout" or why.reason == "unreachable" or why.reason == "full"
end

-- Asks the registry until it answers: the answer and its env, or nil and why.
local function ask(self, type, msg, deadline)
  local patience = FIRST_PATIENCE
  repeat
    local left = math.max(deadline - actor.now(), 0)
    local answer, env = self.ref:ask(type, msg, { timeout = math.min(patience, left) })
    if answer or not may_pass(env) then return answer, env end
    if env.reason ~= "timeout" and not actor.sleep(math.min(FIRST_PAUSE, left)) then
      return self.failure("stopping", "this actor is stopping")
    end
    patience = 2 * patience
  until actor.now() >= deadline
  return self.failure("unreachable", ("the registry at %s does not answer"):format(self.endpoint))
end

-- An answer of a type that the question does not have.
local function strange(self, env)
  return self.failure("failed", ("the registry at %s answered with %s"):format(self.endpoint, env.type))
end

local function own_endpoint()
  return tostring(actor.self):match("@(tcp://.+)$")
end

-- The name and the ref of an actor of this host, from either; or nil and why.
local function find_here(self, name_or_ref, endpoint)
  local name = name_or_ref
  if type(name) == "userdata" then
    name = tostring(name_or_ref):match("^(.*)@tcp://") or tostring(name_or_ref)
    if actor.ref(name) ~= name_or_ref then
      misuse("register", "an actor of this host is registered by its own host, and %s is none",
             tostring(name_or_ref))
    end
  end
  check_name(name, "register")
  local ref = actor.ref(name)
  if tostring(ref) ~= name .. "@" .. endpoint then
    return self.failure("down", ("no actor of this host is named '%s'"):format(name))
  end
  return name, ref
end

-- The ref of `name` at the endpoint that the registry gave; or nil and why.
local function ref_at(self, name, endpoint)
  local fine, ref = pcall(actor.ref, name .. "@" .. endpoint)
  if fine then return ref end
  return self.failure("failed", ("the registry at %s says that %s is at '%s', which is no endpoint")
    :format(self.endpoint, name, endpoint))
end

--- Registers an actor of this host, so that others find it, until it ends, the host
--- ends or unregister() is called: heartbeats are sent every 2 s, and a registry
--- that has forgotten it is told again.
function Registry:register(name_or_ref, options)
  local deadline = check_deadline(options, "register")
  local endpoint = own_endpoint()
  if not endpoint then
    return self.failure("failed", "nobody could reach an actor of this host, for it does not listen: use --bind")
  end
  local name, ref = find_here(self, name_or_ref, endpoint)
  if not name then return nil, ref end
  local manager, why = self.keeper:ask("Manager")
  if not manager then return nil, why end

  local answer, env = ask(self, "RegisterActor",
    { manager_id = manager.id, actor_name = name, actor_endpoint = endpoint }, deadline)
  if not answer then return nil, env end
  if env.type == "RegistrationFailed" then
    -- A process before this one may have registered it, at this very place.
    local found = ask(self, "LookupActor", { actor_name = name }, deadline)
    local here = found and type(found.endpoint) == "string" and ref_at(self, name, found.endpoint)
    if here ~= ref then
      return self.failure("rejected", ("the registry at %s does not take '%s': %s")
        :format(self.endpoint, name, tostring(answer.reason)))
    end
  elseif env.type ~= "RegistrationOk" then
    return strange(self, env)
  end
  local kept, not_kept = self.keeper:ask("Keep", { name = name, endpoint = endpoint, ref = ref })
  if not kept then return nil, not_kept end
  return true
end

--- Takes the name of an actor of this host out of the registry.
function Registry:unregister(name, options)
  check_name(name, "unregister")
  local deadline = check_deadline(options, "unregister")
  local dropped, why = self.keeper:ask("Drop", { name = name })
  if not dropped then return nil, why end
  if not dropped.kept then
    return self.failure("failed", ("'%s' was not registered by this host"):format(name))
  end
  local answer, env = ask(self, "UnregisterActor", { actor_name = name }, deadline)
  if not answer then return nil, env end
  if env.type ~= "RegistrationOk" then return strange(self, env) end
  return true
end

-- What a LookupResult means: a ref; or nil and why not yet.
local function read_result(self, name, result)
  if type(result.endpoint) ~= "string" then
    return self.failure("timeout", ("nobody has registered '%s' at %s"):format(name, self.endpoint))
  end
  if result.online == false then
    return self.failure("down", ("%s is offline: its host has not been heard of for some time")
      :format(name .. "@" .. result.endpoint))
  end
  return ref_at(self, name, result.endpoint)
end

--- Waits until an actor of that name is registered and online.
function Registry:lookup(name, options)
  check_name(name, "lookup")
  local deadline = check_deadline(options, "lookup")
  local pause, last, heard = FIRST_PAUSE, nil, nil
  repeat
    local result, env = ask(self, "LookupActor", { actor_name = name }, deadline)
    if not result then
      local told = last and env.reason == "unreachable" and actor.now() - heard < FRESH
      return nil, told and last or env
    end
    if env.type ~= "LookupResult" then return strange(self, env) end
    local ref, why = read_result(self, name, result)
    if ref then return ref end
    if why.reason == "failed" then return nil, why end
    last, heard = why, actor.now()
    if not actor.sleep(math.max(math.min(pause, deadline - actor.now()), 0)) then
      return self.failure("stopping", "this actor is stopping")
    end
    pause = math.min(2 * pause, LAST_PAUSE)
  until actor.now() >= deadline
  return nil, last
end

--- Called by actor.registry.
---@param keeper troupe.Ref
---@param endpoint string  of the registry
---@param failure fun(reason: string, text: string): nil, troupe.Why
---@return troupe.Registry
return function(keeper, endpoint, failure)
  return setmetatable({
    ref = actor.ref("registry@flat:" .. endpoint),
    keeper = keeper,
    endpoint = endpoint,
    failure = failure,
  }, Registry)
end
