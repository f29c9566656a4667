-- crowd: many actors that compute at once, and one that is asked meanwhile.
-- Arguments: count=N (how many compute), seconds=S (how long each), thread=...
-- (theirs and the asked one's), slice=..., kind=plain | coroutine | pcall.
-- Prints `key: value` lines.
--
--   Compute {}
--   Report  {}   replies Sum { count = integer, right = boolean, together = boolean }
--   Ping    {}   replies Pong
local Crowd = { thread = "own" } -- of the one that asks

local ROUND = 200000

-- The sum of 1 .. ROUND, again and again, until it is time.
local function compute(seconds)
  local last, right = actor.now() + seconds, true
  repeat
    local sum = 0
    for i = 1, ROUND do sum = sum + i end
    right = right and sum == ROUND * (ROUND + 1) // 2
  until actor.now() >= last
  return right
end

local ways = { plain = compute }

-- Each level's coroutine hands the answer out through a yield.
function ways.coroutine(seconds)
  local function level(depth)
    local inner = coroutine.wrap(function()
      coroutine.yield(depth == 0 and compute(seconds) or depth > 0 and level(depth - 1))
      return "after"
    end)
    local right = inner()
    return right and inner() == "after"
  end
  return level(4)
end

function ways.pcall(seconds)
  local done, right = pcall(function()
    local inner_done, inner_right = xpcall(compute, debug.traceback, seconds)
    local failed, why = pcall(error, "on purpose", 0)
    return inner_done and inner_right and not failed and why == "on purpose"
  end)
  return done and right
end

local function arguments()
  local given = { count = "2", seconds = "2", kind = "plain", thread = "pool" }
  for _, argument in ipairs(actor.args) do
    local key, value = argument:match("^(%w+)=(.*)$")
    given[key] = value
  end
  return given
end

-- Asks `answerer` every few milliseconds until `over()`; all times, sorted.
local function probe(answerer, over)
  local times, failed = {}, 0
  while not over() do
    local began = actor.now()
    if not answerer:ask("Ping") then failed = failed + 1 end
    table.insert(times, actor.now() - began)
    actor.sleep("10ms")
  end
  table.sort(times)
  return times, failed
end

function Crowd:on_start()
  if self.config.kind then return end
  local given = arguments()
  local answerer = assert(actor.spawn("crowd", {
    name = "answerer", thread = given.thread, config = { kind = "none" },
  }))
  local crowd = {}
  for i = 1, tonumber(given.count) do
    local each = assert(actor.spawn("crowd", {
      thread = given.thread, slice = given.slice,
      config = { kind = given.kind, seconds = tonumber(given.seconds) },
    }))
    each:send("Compute")
    each:send("Compute") -- waits for the first
    crowd[i] = each
  end

  local last = actor.now() + tonumber(given.seconds)
  local times, failed = probe(answerer, function() return actor.now() >= last end)
  print("probes: " .. #times)
  print("failed_probes: " .. failed)
  print("p50_ms: " .. times[#times // 2 + 1] * 1000)
  print("p99_ms: " .. times[math.ceil(#times * 0.99)] * 1000)
  print("slowest_ms: " .. times[#times] * 1000)

  local questions = {}
  for i, each in ipairs(crowd) do questions[i] = each:start_ask("Report") end
  local sums = assert(actor.all(questions, { timeout = "50s" }))
  local right, together = true, false
  for _, sum in ipairs(sums) do
    right = right and sum.right and sum.count == 2
    together = together or sum.together
  end
  print("right: " .. tostring(right))
  print("together: " .. tostring(together))
  actor.stop_host(0)
end

function Crowd:on_compute()
  self.together = self.together or self.inside or false -- two handlers of one actor at a time
  self.inside = true
  self.right = self.right ~= false and ways[self.config.kind](self.config.seconds)
  self.count = (self.count or 0) + 1
  self.inside = false
end

function Crowd:on_report(_, env)
  env:reply("Sum", { count = self.count, right = self.right, together = self.together })
end

function Crowd:on_ping(_, env)
  env:reply("Pong")
end

return Crowd
