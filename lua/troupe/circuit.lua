--- Whether calls may be made, as a circuit breaker decides it. Pure bookkeeping: the
--- caller brings the time, and says how each call went.
---
--- ```lua
--- local circuit = Circuit.new { failures = 3, open_for = 10, trials = 1, patience = 5 }
--- local ticket, opens = circuit:admit(now)      -- nil, and when it may be tried again
--- if ticket then circuit:settle(ticket, succeeded, now, "no answer") end
--- ```
---
--- * *closed*: calls are made. So many failures in a row, or within a time, open it.
--- * *open*: none are made, until its time is over. That grows with each trial that fails,
---   to at most `open_at_most`.
--- * *half_open*: so many are made to see. If all succeed it is closed; if one fails, open.
---
--- A call that was admitted before the last change says nothing any more.
---@class troupe.Circuit
---@field state "closed"|"open"|"half_open"
---@field opened integer     how many times
---@field opens? number      when it is open: until then
---@field reason? string     the last failure, or who opened it
local Circuit = {}
Circuit.__index = Circuit

---@param options { failures: integer, within?: number, open_for: number, open_at_most?: number,
---  trials: integer, patience: number }  within: seconds, else failures in a row;
---  patience: seconds after which trials that were not settled are made again
---@param changed? fun(from: string, to: string)  called after each change
---@return troupe.Circuit
function Circuit.new(options, changed)
  return setmetatable({
    options = options, changed = changed or function() end,
    state = "closed", era = 1, opened = 0,
    failed = {},  -- closed: when those were that count, oldest first
    closing = options.open_for, -- for how long it opens the next time
  }, Circuit)
end

local function change(self, state, opens)
  local from = self.state
  self.state, self.era = state, self.era + 1
  self.failed, self.opens = {}, opens
  if from ~= state then self.changed(from, state) end
end

local function half_open(self, now)
  self.admitted, self.succeeded, self.since = 0, 0, now
  change(self, "half_open")
end

--- Opens it, for the time that is due now or for so long.
---@param now number
---@param reason string
---@param open_for? number
function Circuit:open(now, reason, open_for)
  self.opened, self.reason = self.opened + 1, reason
  change(self, "open", now + (open_for or self.closing))
end

function Circuit:close()
  self.closing = self.options.open_for
  change(self, "closed")
end

--- A ticket for one call; or nil, and when to try again (as far as can be said).
---@param now number
---@return integer? ticket
---@return number? opens
function Circuit:admit(now)
  if self.state == "open" then
    if now < self.opens then return nil, self.opens end
    half_open(self, now)
  end
  if self.state == "half_open" then
    if now - self.since > self.options.patience then half_open(self, now) end
    if self.admitted == self.options.trials then return nil end
    self.admitted = self.admitted + 1
  end
  return self.era
end

local function count(self, now)
  local failed, within = self.failed, self.options.within
  while within and failed[1] and failed[1] < now - within do table.remove(failed, 1) end
  table.insert(failed, now)
  return #failed
end

--- How many failures count now.
---@return integer
function Circuit:failures()
  return #self.failed
end

--- How an admitted call went.
---@param ticket integer
---@param succeeded boolean
---@param now number
---@param reason? string  of a failure
function Circuit:settle(ticket, succeeded, now, reason)
  if ticket ~= self.era then return end
  local options = self.options
  if self.state == "half_open" then
    if not succeeded then
      self.closing = math.min(self.closing * 2, math.max(options.open_at_most or 0, options.open_for))
      return self:open(now, reason)
    end
    self.succeeded = self.succeeded + 1
    if self.succeeded == options.trials then self:close() end
  elseif succeeded then
    if not options.within then self.failed = {} end
  else
    self.reason = reason
    if count(self, now) >= options.failures then self:open(now, reason) end
  end
end

return Circuit
