-- worker_pool: shares messages of whatever type out among workers of one script. Who sends
-- or asks need not know: it is the worker that handles, and answers. docs/shipped.md tells more.
--
--   any type     is forwarded to a worker, with its sender and its question
--   PoolStats    {}   replies PoolStats { workers = { { name, ref, state, backlog, routed, restarts } },
--                min, max, queued, routed, grown, shrunk, restarts, failed (questions that no worker
--                could be given), lost (other messages, now dead letters) = integer }
--   PoolResize   { min = integer?, max = integer? }   for actors of this host; replies PoolResized
--                { min, max }
--   PoolTick, PoolDue   sent by its own timers
--
-- The pool grows by a worker, up to `max`, when more than `grow_at` messages wait for each, and
-- shrinks again, down to `min`, when one has had nothing to do for `idle`. A worker that is to
-- go handles what it has first.
--
-- A worker that ends, by a failure or otherwise, starts again with a fresh state, and with the
-- mail that it had not handled. More often than `restart` allows, all of them together, and the
-- pool fails: it ends with its workers, and its parent fails with it.
--
-- When the mailboxes of all workers that may have a message are full, the pool keeps it, up to
-- `queue` of them; and then handles no more mail until there is room, so that senders wait.
--
-- Config: script = the workers' (a path from the current folder), config = {} (theirs), options = {}
-- (of actor.spawn, for them), min = 1, max = 8, grow_at = 4, idle = "30s", queue = 1000,
-- restart = { max = 10, within = "10s", backoff = "100ms..5s" }, drain = "5s" (what the workers
-- have to handle what is left when the pool stops), route =
--   "round"        one after the other
--   "least"        who has least to do
--   "hash:FIELD"   by the value of that field: the same value goes to the same worker, while the
--                  pool's size is the same. Without the field all go to one.
local Budget = require "troupe.budget"
local children = require "troupe.children"
local config = require "troupe.config"
local Routes = require "troupe.routes"

local WorkerPool = {
  version = 1,
  failure = "escalate",
  interleave = { "ChildHalted", "ChildStarted", "PoolDue", "PoolResize", "PoolStats", "PoolTick" },
}

local LOOK, RETRY = 0.1, 0.01 -- seconds: between two looks at the workers; with messages queued
local SLACK = 0.001           -- a timer may be early by less: clocks count in other units
local LOOKS_IN_IDLE = 4
local GROWTH_PAUSE = 1   -- seconds, after a worker could not be made
local SIZE_LIMIT = 1000

local ROUTES = { round = false, least = false, hash = true }

local FIELDS = {
  script = { kind = "text", needed = true },
  config = { kind = "table", default = {} },
  options = { kind = "table", default = {} },
  min = { kind = "count", default = 1, least = 1, most = SIZE_LIMIT },
  max = { kind = "count", least = 1, most = SIZE_LIMIT },
  grow_at = { kind = "count", default = 4, least = 1, most = 1000000 },
  idle = { kind = "duration", default = "30s", least = 0.01 },
  queue = { kind = "count", default = 1000, least = 1, most = 1000000 },
  restart = { kind = "table", default = {}, fields = {
    max = { kind = "count", default = 10, least = 0, most = 1000 },
    within = { kind = "duration", default = "10s", least = 0.001 },
    backoff = { kind = "waits", default = "100ms..5s" },
  } },
  drain = { kind = "duration", default = "5s" },
  route = { kind = "route", routes = ROUTES, default = "round" },
}
local MAX = 8

actor.message("PoolResize", { { "min", "integer?" }, { "max", "integer?" } })

----------------------------------------------------------------- workers ----
-- A worker: { ref, name, state, routed, restarts, idle_since?, due? }. self.workers are those that
-- messages go to, in the order of their birth: "starting", "running", or "halted" until they
-- start again. One that is "leaving" is only in self.by_ref.

-- Makes one more and starts it; or nil and why not.
local function new_worker(self)
  self.last_number = self.last_number + 1
  local options = { name = ("%s.%d"):format(actor.name, self.last_number), config = self.settings.config }
  for name, value in pairs(self.settings.options) do options[name] = value end
  local fine, ref, why = pcall(children.spawn, self.settings.script, options)
  if not fine then return nil, "config.options: " .. tostring(ref):gsub("^[^ ]+:%d+: ", "") end
  if not ref then return nil, "config.script: " .. why end
  local worker = { ref = ref, name = options.name, state = "starting", routed = 0, restarts = 0 }
  table.insert(self.workers, worker)
  self.by_ref[ref] = worker
  self.blocked = {} -- a key may have another place now
  children.start(ref)
  return worker
end

local function place_of(self, worker)
  for place, each in ipairs(self.workers) do
    if each == worker then return place end
  end
end

-- It gets nothing more, and ends when it has handled what it has.
local function let_go(self, worker)
  table.remove(self.workers, place_of(self, worker))
  self.blocked = {}
  worker.state = "leaving"
  worker.ref:stop({ drain = true })
end

-- One that has ended begins again.
local function start_again(self, worker)
  if worker.state ~= "leaving" then worker.state = "starting" end
  worker.restarts = worker.restarts + 1
  self.counts.restarts = self.counts.restarts + 1
  children.start(worker.ref)
end

local function forget(self, worker)
  children.drop(worker.ref)
  self.by_ref[worker.ref] = nil
  local place = place_of(self, worker)
  if place then table.remove(self.workers, place) end
end

-- One that was leaving has ended: for good, unless it has failed with mail left.
local function leave(self, worker)
  local unhandled = actor.backlog(worker.ref) or 0
  if unhandled == 0 or not Budget.spend(self.budget, actor.now()) then return forget(self, worker) end
  start_again(self, worker)
  worker.ref:stop({ drain = true })
end

------------------------------------------------------------------ routing ----
-- An item: { env, key? }. Giving it to somebody answers "sent", "full" (there may be room
-- later), or why not.

local function offer(self, item, worker)
  local sent, why = item.env:forward(worker.ref)
  if not sent then return why.reason == "full" and "full" or tostring(why) end
  worker.routed = worker.routed + 1
  worker.idle_since = nil
  self.counts.routed = self.counts.routed + 1
  return "sent"
end

local give = {}

-- To the next that takes it; to those that are halted, where it has to wait, only after all others.
function give.round(self, item)
  local count, answer = #self.workers, "no worker is left"
  for _, halted in ipairs { false, true } do
    for step = 1, count do
      local place = (self.turn + step - 1) % count + 1
      local worker = self.workers[place]
      if (worker.state == "halted") == halted then
        local answered = offer(self, item, worker)
        if answered == "sent" then
          self.turn = place
          return answered
        end
        if answer ~= "full" then answer = answered end
      end
    end
  end
  return answer
end

function give.least(self, item)
  local best, least
  for _, worker in ipairs(self.workers) do
    local waiting = worker.state ~= "halted" and actor.backlog(worker.ref)
    if waiting and (not least or waiting < least) then best, least = worker, waiting end
  end
  local answer = best and offer(self, item, best)
  return answer == "sent" and answer or give.round(self, item)
end

-- Nothing passes what is queued for the same worker.
function give.hash(self, item)
  local count = #self.workers
  if count == 0 then return "no worker is left" end
  local worker = self.workers[Routes.place(item.key, count)]
  if self.blocked[worker] then return "full" end
  local answer = offer(self, item, worker)
  if answer == "full" then self.blocked[worker] = true end
  return answer
end

local function fail(self, item, why)
  if item.env.asked then
    self.counts.failed = self.counts.failed + 1
    item.env:fail(why)
    return
  end
  item.env:discard(why)
  self.counts.lost = self.counts.lost + 1
  if self.counts.lost == 1 then
    log.warn("a message could not be given to any worker; more of them are counted (PoolStats)",
             { type = item.env.type, why = why })
  end
end

-- Gives away what is queued, as far as there is room now.
local function flush(self)
  local left = {}
  self.blocked = {}
  for i, item in ipairs(self.queue) do
    local answer = give[self.route](self, item)
    if answer == "full" then
      table.insert(left, item)
      if self.route ~= "hash" then
        table.move(self.queue, i + 1, #self.queue, #left + 1, left)
        break
      end
    elseif answer ~= "sent" then
      fail(self, item, answer)
    end
  end
  self.queue = left
end

--------------------------------------------------------------------- size ----

local function grow(self)
  if actor.now() < self.no_growth_until then return end
  local worker, why = new_worker(self)
  if worker then
    self.counts.grown = self.counts.grown + 1
  else
    log.warn("the pool cannot grow", { why = why })
    self.no_growth_until = actor.now() + GROWTH_PAUSE
  end
end

-- Who has had nothing to do for long enough; by hash only the last may go, or all keys would move.
local function find_idle(self, now)
  local last = #self.workers
  for place = last, self.route == "hash" and last or 1, -1 do
    local worker = self.workers[place]
    if worker.idle_since and now - worker.idle_since >= self.settings.idle then return worker end
  end
end

-- Looks at who has how much to do; whether anybody has.
local function look(self)
  local total, now = #self.queue, actor.now()
  for _, worker in ipairs(self.workers) do
    local waiting = actor.backlog(worker.ref) or 0
    total = total + waiting
    if waiting > 0 then
      worker.idle_since = nil
    elseif worker.state == "running" then
      worker.idle_since = worker.idle_since or now
    end
  end
  self.since_look = 0
  if total > self.settings.grow_at * #self.workers and #self.workers < self.max then grow(self) end
  local idle = #self.workers > self.min and #self.queue == 0 and find_idle(self, now)
  if idle then
    let_go(self, idle)
    self.counts.shrunk = self.counts.shrunk + 1
  end
  return total > 0
end

-- The next PoolTick, in so many seconds or before.
local function arm(self, delay)
  if self.timer then
    if self.timer_at <= actor.now() + delay then return end
    self.timer:cancel()
  end
  self.timer, self.timer_at = actor.after(delay, "PoolTick"), actor.now() + delay
end

local function arm_if_needed(self, busy)
  if #self.queue > 0 then
    arm(self, RETRY)
  elseif busy and #self.workers < self.max then
    arm(self, LOOK)
  elseif #self.workers > self.min then
    arm(self, busy and LOOK or math.max(self.settings.idle / LOOKS_IN_IDLE, 0.01))
  end
end

----------------------------------------------------------------- restarts ----

-- A worker has ended: what comes now. Raises when that was one too many.
local function take_halted(self, msg)
  local worker = self.by_ref[msg.who]
  if not worker then return end
  if worker.state == "leaving" then return leave(self, worker) end
  local wait = Budget.spend(self.budget, actor.now())
  if not wait then
    self.gave_up = true
    error(Budget.gave_out(self.budget, worker.name, msg.reason), 0)
  end
  worker.state = "halted"
  worker.idle_since = nil
  worker.due = actor.now() + wait
  if not msg.failed then log.info("a worker has ended and starts again", { worker = worker.name }) end
  actor.after(wait, "PoolDue")
end

local function start_due(self)
  local now = actor.now() + SLACK
  for _, worker in ipairs(self.workers) do
    if worker.state == "halted" and worker.due <= now then start_again(self, worker) end
  end
end

-- Waits for room in the pool's queue. It does itself what goes on meanwhile, for a pool that
-- drains begins no other handlers.
local function await_room(self)
  while #self.queue >= self.settings.queue do
    local halted, why = actor.receive("ChildHalted", { timeout = RETRY })
    if not halted and why.reason ~= "timeout" then return end
    if halted then take_halted(self, halted) end
    start_due(self)
    flush(self)
  end
end

----------------------------------------------------------------- handlers ----

local function check_sizes(min, max)
  if min > max then config.refuse("max", ("a whole number of at least min, which is %d,"):format(min), max) end
end

function WorkerPool:on_start()
  self.settings = config.read(self.config, FIELDS)
  self.min, self.max = self.settings.min, self.settings.max or math.max(self.settings.min, MAX)
  check_sizes(self.min, self.max)
  self.route, self.field = self.settings.route.name, self.settings.route.field
  local restart = self.settings.restart
  self.budget = Budget.new { max = restart.max, within = restart.within,
                             least = restart.backoff.least, most = restart.backoff.most }
  for _, name in ipairs { "name", "config", "if_absent" } do
    if self.settings.options[name] ~= nil then
      error(("config.options.%s: that is for the pool to say"):format(name), 0)
    end
  end
  self.workers, self.by_ref, self.last_number = {}, {}, 0
  self.queue, self.blocked = {}, {} -- items; workers for which some are queued
  self.turn, self.since_look, self.no_growth_until = 0, 0, 0
  self.counts = { routed = 0, failed = 0, lost = 0, grown = 0, shrunk = 0, restarts = 0 }
  for _ = 1, self.min do
    local worker, why = new_worker(self)
    if not worker then error(why, 0) end
  end
end

function WorkerPool:on_any(msg, env)
  local item = { env = env, key = self.field and msg[self.field] }
  local answer = #self.queue > 0 and self.route ~= "hash" and "full" or give[self.route](self, item)
  if answer == "full" then
    env:defer()
    table.insert(self.queue, item)
  elseif answer ~= "sent" then
    fail(self, item, answer)
  end
  self.since_look = self.since_look + 1
  arm_if_needed(self, self.since_look < #self.workers or look(self))
  await_room(self)
end

function WorkerPool:on_pool_tick(_, env)
  if env.remote then return env:fail("Unknown message type: PoolTick") end
  self.timer = nil
  flush(self)
  arm_if_needed(self, look(self))
end

function WorkerPool:on_child_started(msg)
  local worker = self.by_ref[msg.who]
  if worker and worker.state == "starting" then worker.state = "running" end
end

function WorkerPool:on_child_halted(msg)
  take_halted(self, msg)
end

function WorkerPool:on_pool_due(_, env)
  if env.remote then return env:fail("Unknown message type: PoolDue") end
  start_due(self)
end

function WorkerPool:on_pool_resize(msg, env)
  local min, max = msg.min or self.min, msg.max or self.max
  local wrong = env.remote and "PoolResize is for actors of its host"
    or (min < 1 or max < min or max > SIZE_LIMIT)
      and ("1 <= min <= max <= %d is expected, not %d and %d"):format(SIZE_LIMIT, min, max)
  if wrong then
    if not env.asked and not env.remote then log.warn(wrong) end
    env:fail(wrong)
    return
  end
  self.min, self.max = min, max
  while #self.workers > max do let_go(self, self.workers[#self.workers]) end
  while #self.workers < min and new_worker(self) do end
  arm_if_needed(self, look(self))
  if env.asked then env:reply("PoolResized", { min = min, max = max }) end
end

function WorkerPool:on_pool_stats(_, env)
  local workers = json.array {}
  for i, worker in ipairs(self.workers) do
    workers[i] = { name = worker.name, ref = worker.ref, state = worker.state, routed = worker.routed,
                   restarts = worker.restarts, backlog = actor.backlog(worker.ref) or 0 }
  end
  local stats = { workers = workers, min = self.min, max = self.max, queued = #self.queue }
  for name, count in pairs(self.counts) do stats[name] = count end
  env:reply("PoolStats", stats)
end

-- A worker has ended while the pool stops: it begins again if there is more for it to do.
local function end_or_go_on(self, worker)
  if worker.state == "leaving" then
    leave(self, worker)
  elseif not self.gave_up and Budget.spend(self.budget, actor.now()) then
    start_again(self, worker)
  else
    forget(self, worker)
  end
end

-- When the host stops, it may have ended workers for good before the pool.
local function forget_gone(self)
  for ref, worker in pairs(self.by_ref) do
    if not actor.backlog(ref) then forget(self, worker) end
  end
end

-- Hands out what is queued, lets the workers handle what they have, and waits for them.
function WorkerPool:on_shutdown()
  if not self.budget then return end -- it could not start
  local deadline = actor.now() + self.settings.drain
  for _, worker in pairs(self.by_ref) do
    if worker.state == "halted" then end_or_go_on(self, worker) end
  end
  while next(self.by_ref) and actor.now() < deadline do
    flush(self)
    while #self.queue == 0 and #self.workers > 0 do let_go(self, self.workers[#self.workers]) end
    local halted, why = actor.receive("ChildHalted", { timeout = RETRY })
    if halted and self.by_ref[halted.who] then end_or_go_on(self, self.by_ref[halted.who]) end
    if not halted and why.reason ~= "timeout" then break end
    forget_gone(self)
  end
  for _, item in ipairs(self.queue) do fail(self, item, "the pool has stopped") end
  if self.counts.lost > 0 then log.warn("messages were lost", { count = self.counts.lost }) end
end

return WorkerPool
