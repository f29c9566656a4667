--- How often something may be restarted before one gives up, and how long to wait
--- before each restart. Pure bookkeeping: the caller brings the time. A budget is
--- plain data, so that it survives a reload.
---
--- ```lua
--- local budget = Budget.new { max = 3, within = 10, least = 0.1, most = 5 }
--- local wait = Budget.spend(budget, now)        -- seconds, or nil: that was one too many
--- ```
---
--- It decides as the host does for `failure = "restart"`: at most `max` in any span
--- of `within`; each wait is twice as long as the one before, from `least` to
--- `most`, varied by up to a quarter; after a span without any it is short again.
local Budget = {}

---@class troupe.Budget
---@field max integer      restarts in any span of `within`
---@field within number    seconds
---@field least number     the first wait, in seconds
---@field most number      the longest
---@field spent number[]   when each restart of the last span was due, oldest first
---@field streak integer   restarts since it was last quiet for a whole span

---@param limits { max: integer, within: number, least: number, most: number }
---@return troupe.Budget
function Budget.new(limits)
  return { max = limits.max, within = limits.within, least = limits.least, most = limits.most,
           spent = {}, streak = 0 }
end

local function wait_of(budget, random)
  local wait = math.min(budget.least * 2.0 ^ (budget.streak - 1), budget.most)
  local low = math.max(wait * 0.75, budget.least)
  local high = math.min(wait * 1.25, budget.most)
  return low + (high - low) * random()
end

--- Spends a restart if one is left.
---@param budget troupe.Budget
---@param now number         seconds; never earlier than in the previous call
---@param random? fun(): number  from 0 to 1; default math.random
---@return number? wait      seconds; nil: there were too many already
function Budget.spend(budget, now, random)
  local spent = budget.spent
  if #spent > 0 and now - spent[#spent] >= budget.within then budget.streak = 0 end
  while spent[1] and now - spent[1] >= budget.within do table.remove(spent, 1) end
  if #spent >= budget.max then return nil end
  table.insert(spent, now)
  budget.streak = budget.streak + 1
  return wait_of(budget, random or math.random)
end

--- Says that it was too little, for whom, and why that one ended.
---@param budget troupe.Budget
---@param name string
---@param reason string
---@return string
function Budget.gave_out(budget, name, reason)
  local one = budget.max == 1
  return ("%s ended (%d restart%s in %g s %s not enough): %s"):format(
    name, budget.max, one and "" or "s", budget.within, one and "was" or "were", reason)
end

return Budget
