--- How often something may happen, for each of many keys: a token bucket each, that holds
--- `burst` tokens and gets a new one every `interval`. Pure bookkeeping: the caller
--- brings the time.
---
--- ```lua
--- local rate = Rate.new { interval = 0.1, burst = 5, keys = 10000, wait = 2 }
--- local at = rate:take("alice", now)  -- when it may happen: now, or up to 2 s later
--- ```
---
--- What a bucket holds is kept as one number: when it will be full again. One that is full is
--- as good as none; so those that were not used for as long as filling may take
--- are forgotten, all at once, and looking for them costs nothing.
---@class troupe.Rate
---@field count integer  keys that are remembered
local Rate = {}
Rate.__index = Rate

local HAIR = 1e-9 -- seconds; what adding up intervals may be wrong by

---@param options { interval: number, burst: integer, keys: integer, wait: number }  seconds
---@return troupe.Rate
function Rate.new(options)
  return setmetatable({
    options = options, span = options.interval * options.burst + options.wait,
    young = {}, old = {}, young_count = 0, count = 0, turned = 0,
  }, Rate)
end

-- Whoever was not seen since the last turn has a full bucket now.
local function turn(self, now)
  if now - self.turned < self.span then return end
  local stale = now - self.turned >= 2 * self.span
  self.old, self.count = stale and {} or self.young, stale and 0 or self.young_count
  self.young, self.young_count = {}, 0
  self.turned = now
end

local function put(self, key, full)
  if not self.young[key] then
    if self.old[key] then self.old[key] = nil else self.count = self.count + 1 end
    self.young_count = self.young_count + 1
  end
  self.young[key] = full
end

--- Takes a token, if there will be one soon enough.
---@param key string
---@param now number
---@param wait? number  less than `wait` of the options, which is the default
---@return number? at   when it may happen
---@return "rate"|"keys"|nil why
---@return number? after  "rate": how many seconds later it could be asked for again
function Rate:take(key, now, wait)
  local options = self.options
  turn(self, now)
  local full = self.young[key] or self.old[key]
  if not full and self.count >= options.keys then return nil, "keys" end
  full = math.max(full or now, now)
  local at = full - (options.burst - 1) * options.interval
  if at <= now + HAIR then at = now end
  local late = at - now - (wait or options.wait)
  if late > HAIR then return nil, "rate", late end
  put(self, key, full + options.interval)
  return at
end

return Rate
