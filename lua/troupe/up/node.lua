--- One node of a topology as `troupe up` sees it: a process that starts, lives, dies and is
--- started again.
---
--- ```lua
--- local node = Node.new(plan, keeper)
--- node:start(now)               -- "starting"
--- node:heard('{"ready":true}')  -- "running"
--- node:exited({ signal = "KILL" }, now)  -- "pausing": node.due says until when
--- ```
---
--- It decides, and speaks through its keeper: `spawn(node)` -> child, pid or nil, why;
--- `kill(child, signal)`; `say(text, level)`.
local json = require "troupe.json"

local BACKOFF_LEAST, BACKOFF_MOST = 0.1, 5 -- seconds
local STEADY = 10                          -- who lived so long begins with the least again
local KILLED_MOST = 3                      -- times that it may be killed before it was ever ready

local SIGNAL_NAMES = { KILL = "was killed", TERM = "was ended by SIGTERM" }

---@class troupe.up.Node
---@field name string
---@field plan table         troupe.topology.Plan: for its next start, too
---@field state "waiting"|"starting"|"running"|"pausing"|"ending"|"ended"
---@field child integer?     while it has a process
---@field pid integer?
---@field endpoint string?   where it listens
---@field due number?        pausing: when it is started again
---@field failure string?    why it could not be started, at first
---@field done boolean?      it has ended by itself, and well
---@field code integer?      it ended with, when it was told to
---@field killed boolean?    it had to be
---@field private keeper table
---@field private was_ready boolean
---@field private reason string?
---@field private backoff number
---@field private since number?
---@field private deaths integer
local Node = {}
Node.__index = Node

---@param plan table
---@param keeper table
---@return troupe.up.Node
function Node.new(plan, keeper)
  return setmetatable({ name = plan.node, plan = plan, state = "waiting", keeper = keeper, was_ready = false,
                        backoff = BACKOFF_LEAST, deaths = 0 }, Node)
end

--- Starts its process.
---@param now number  seconds
function Node:start(now)
  self.done, self.killed, self.code, self.failure = false, false, nil, nil
  self.state, self.since, self.reason, self.due = "starting", now, nil, nil
  local child, pid = self.keeper.spawn(self)
  if not child then
    self.reason = pid
    self:failed(now)
    return
  end
  self.child, self.pid = child, pid
end

local function milliseconds(seconds)
  return seconds < 1 and ("%.0f ms"):format(seconds * 1000) or ("%.1f s"):format(seconds)
end

--- What it says of itself on its status stream.
---@param text string  a JSON object
---@param now number
function Node:heard(text, now)
  local status = json.decode(text)
  if type(status) ~= "table" or self.state ~= "starting" then return end
  if status.failed then
    self.reason = tostring(status.failed)
  elseif status.ready then
    self.state, self.since, self.was_ready = "running", now, true
    self.endpoint = type(status.endpoint) == "string" and status.endpoint ~= "" and status.endpoint or nil
    self.keeper.say(("%s is ready%s (process %d)"):format(self.name, self.endpoint and ", " .. self.endpoint or "",
                                                          self.pid))
  end
end

--- Why it has no process any more, in words.
local function because(event, reason)
  if reason then return reason end
  if event.signal then
    return SIGNAL_NAMES[event.signal] or ("was ended by signal %s"):format(
      math.type(event.signal) and event.signal or "SIG" .. event.signal)
  end
  return ("ended with %d"):format(event.code)
end

-- It could not be started, or has died: once more, later.
function Node:pause(why, now)
  if self.since and self.was_ready and self.state == "running" and now - self.since >= STEADY then
    self.backoff = BACKOFF_LEAST
  end
  self.state, self.due = "pausing", now + self.backoff
  self.keeper.say(("%s; it is started again in %s"):format(why, milliseconds(self.backoff)), "warn")
  self.backoff = math.min(self.backoff * 2, BACKOFF_MOST)
end

-- There is no process.
function Node:failed(now)
  if self.was_ready then
    self:pause(("%s cannot start: %s"):format(self.name, self.reason), now)
  else
    self.state, self.failure = "ended", self.reason
  end
end

--- Its process has ended.
---@param event { code: integer?, signal: string|integer|nil }
---@param now number
function Node:exited(event, now)
  local was = self.state
  self.child, self.endpoint = nil, nil
  if was == "ending" then -- at the signal itself, if that came before it was a host
    self.state, self.code = "ended", event.code or event.signal == "TERM" and 0 or 1
  elseif event.code == 0 then
    self.state, self.done = "ended", true
    self.keeper.say(("%s has ended"):format(self.name))
  elseif was == "running" then
    self:pause(("%s %s"):format(self.name, because(event)), now)
  elseif event.signal and not self.reason and (self.was_ready or self.deaths < KILLED_MOST) then
    self.deaths = self.deaths + 1
    self:pause(("%s %s while it started"):format(self.name, because(event)), now)
  else
    self.reason = because(event, self.reason)
    self:failed(now)
  end
end

--- Whether its start is over: it runs, or has ended.
---@return boolean
function Node:is_settled() return self.state == "running" or self.state == "ended" end

--- Tells it to end; it does so in its own time.
function Node:stop()
  if self.child then
    if self.state ~= "ending" then self.keeper.kill(self.child, "TERM") end
    self.state = "ending"
  else
    self.state, self.due = "ended", nil
  end
end

--- Ends it at once.
function Node:kill()
  self:stop()
  if self.child then
    self.killed = true
    self.keeper.kill(self.child, "KILL")
  end
end

return Node
