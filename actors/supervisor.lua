-- supervisor: starts its children in order, restarts those that end, and stops them
-- in reverse order. What actor.supervise makes; see docs/supervision.md.
--
--   WhichChildren   {}         replies Children { children = { { name, ref, kind, status, supervisor }, ... } }, in
--                              order of their start; status: "running", "starting", "restarting", "stopping", "down"
--   CountChildren   {}         replies Count { specs, active, supervisors, workers = integer }
--   StartChild      { script or supervise, and what else a child may have }
--                              replies ChildRuns { name, ref } when it has started; a failing on_start is not
--                              tried again: it fails, and the child is forgotten
--   TerminateChild  { name }   replies Done {} when it is down, to stay so; a temporary one is forgotten
--   RestartChild    { name }   replies ChildRuns { name, ref }: one that is down is started
--   DeleteChild     { name }   replies Done {}: one that is down is forgotten
--
-- Those that change something are for actors of this host. To be heard while it
-- begins, they wait: on_start ends when all children have started.
--
--   ChildStarted, ChildHalted  notices of the host's
--   Due             {}         sent by its own timer
--   AwaitStart      {}         asked by actor.supervise: replies Started {} or NotStarted { name, why }
--
-- Config: strategy = "one_for_one", restart = { max = 3, within = "10s", backoff = "100ms..5s" },
-- children = { { script = "path" | supervise = { strategy, restart, children }, name, kind = "permanent",
-- shutdown = "5s", config and other options of actor.spawn }, ... }.
local children = require "troupe.children"
local Config = require "troupe.config"
local Decisions = require "troupe.supervisor"
local Options = require "troupe.supervisor_options"

local Supervisor = { version = 1, failure = "escalate" }

-- What may stand on the command line; it is checked with the rest of the config.
local FIELDS = { strategy = { kind = "text" }, restart = { kind = "table" }, children = { kind = "table" } }

local FOREVER = 1e9          -- seconds
local LEAST_DELAY = 0.001    -- of the timer
local PATIENCE = 0.1         -- between two looks whether the host has ended a child
local GONE_PATIENCE = 1      -- with children that are to be gone

------------------------------------------------------------------ children ----

-- The script, options and folder that children.spawn wants.
local function spawn_arguments(self, plan)
  local options = { name = plan.name }
  for name, value in pairs(plan.options) do options[name] = value end
  if not plan.supervise then return plan.script, options, self.config.beside end
  options.config = { strategy = plan.supervise.strategy, restart = plan.supervise.restart,
                     children = plan.supervise.children, beside = self.config.beside, planned = true }
  return "supervisor", options, nil
end

-- Makes a child, which is not started yet: its name; or nil and why.
local function make_child(self, plan)
  local fine, ref, why = pcall(children.spawn, spawn_arguments(self, plan))
  if not fine then return nil, tostring(ref) end
  if not ref then return nil, why.text end
  local name = tostring(ref):match("^[^@]+")
  self.made[name] = { ref = ref, plan = plan, halts = 0 }
  return name
end

-------------------------------------------------------------- carrying out ----

local carry = {}

function carry.start(self, action, again)
  local started, why = children.start(self.made[action.name].ref)
  if started then return end
  if why.reason == "down" then return again { is = "gone", name = action.name } end
  again { is = "halted", name = action.name, reason = why.text, failed = true, ordered = true }
end

-- Without a timer for the deadline, it is stopped without one.
function carry.halt(self, action, again)
  local made = self.made[action.name]
  local halted, why = children.halt(made.ref, made.plan.shutdown)
  if halted then
    made.halts = made.halts + 1
  elseif why.reason == "down" then
    again { is = "gone", name = action.name }
  else
    log.warn("a child is stopped without a deadline", { child = action.name, why = why.text })
    made.ref:stop()
  end
end

function carry.drop(self, action)
  local made = self.made[action.name]
  self.made[action.name] = nil
  children.drop(made.ref)
end

function carry.restarting(self, action)
  local restart = self.state.budget
  log.info(("restarts %s in %.3g s (%d of %d in %g s)"):format(action.name, action.wait, action.used, restart.max,
    restart.within))
end

function carry.answer(self, action)
  local asked = self.asked[action.to]
  self.asked[action.to] = nil
  if action.wrong then return asked.env:fail(("child '%s': %s"):format(asked.name, action.wrong)) end
  local made = self.made[asked.name]
  if asked.reply == "Done" then
    asked.env:reply("Done")
  else
    asked.env:reply("ChildRuns", { name = asked.name, ref = made.ref })
  end
end

function carry.ready() end

function carry.over() end

local function arm_timer(self)
  local due = Decisions.due(self.state)
  if due == self.due then return end
  if self.timer then self.timer:cancel() end
  self.timer, self.due = nil, nil
  local now = actor.now()
  if not due or due <= now then return end -- what it waits for else brings a message
  self.timer = actor.after(math.max(due - now, LEAST_DELAY), "Due")
  self.due = self.timer and due
  return self.timer == nil and due
end

-- Takes an event in and carries out what follows, which may be more events.
local function take(self, event)
  local events = { event }
  local function again(another) table.insert(events, another) end
  local now = actor.now()
  local place = 1
  repeat
    while events[place] do
      for _, action in ipairs(Decisions.step(self.state, events[place], now)) do
        carry[action.is](self, action, again)
      end
      place = place + 1
    end
    local late = arm_timer(self) -- there is no timer left: at once, then
    if late then
      now = late
      again { is = "tick" }
    end
  until not events[place]
end

-- One that was stopped by somebody before it had begun may begin when it is
-- forgotten already.
local function end_forgotten(notice, env)
  if env.type == "ChildStarted" then
    children.halt(notice.who, 0)
  else
    children.drop(notice.who)
  end
end

-- What the host tells of a child.
local function hear(self, notice, env)
  local made = self.made[notice.name]
  if not made or made.ref ~= notice.who then
    end_forgotten(notice, env)
  elseif env.type == "ChildStarted" then
    take(self, { is = "started", name = notice.name })
  else
    take(self, { is = "halted", name = notice.name, reason = notice.reason, failed = notice.failed,
                 ordered = notice.halts >= made.halts })
  end
end

-- The host stops, and has ended children that we would wait for.
local function look_for_the_gone(self)
  for _, child in ipairs(table.move(self.state.children, 1, #self.state.children, 1, {})) do
    local made = self.made[child.name]
    if made and child.status ~= "down" and actor.ref(child.name) ~= made.ref then
      take(self, { is = "gone", name = child.name })
    end
  end
end

-- Ends the children for good, all of which are down, so that whoever hears of our
-- end finds their names free.
local function drop_all(self)
  local count, deadline = 0, actor.now() + GONE_PATIENCE
  for _, made in pairs(self.made) do
    count = count + 1
    actor.watch(made.ref)
    children.drop(made.ref)
  end
  while count > 0 and actor.receive("Down", { timeout = math.max(deadline - actor.now(), 0) }) do count = count - 1 end
  self.made = {}
end

-------------------------------------------------------------- its beginning ----

local function not_started(self, name, why)
  drop_all(self)
  if not self.config.awaited then error(why, 0) end
  local env = self.awaiting or select(2, actor.receive("AwaitStart", { timeout = FOREVER }))
  if env.reply then env:reply("NotStarted", { name = name, why = why }) end
  actor.exit(why)
end

-- The plan, checked by whoever made it, or by us.
local function read_config(self)
  local config = self.config
  if config.planned then return config end
  local given = Config.arguments(FIELDS)
  for name, value in pairs(config) do
    if name ~= "beside" and name ~= "awaited" then given[name] = value end
  end
  return Options.read(given)
end

local function make_all(self, plan)
  for place, child in ipairs(plan.children) do
    local name, why = make_child(self, child)
    if not name then
      local label = child.name or child.script or tostring(place)
      return not_started(self, label, ("child '%s' could not be made: %s"):format(label, why))
    end
    Decisions.add(self.state, { name = name, kind = child.kind })
  end
end

-- Waits for what is told until the beginning is over. False: it is to stop.
local function await_beginning(self)
  local state = self.state
  while state.phase == "beginning" or state.phase == "ending" do
    local msg, env = actor.receive({ "ChildStarted", "ChildHalted", "Due", "AwaitStart" }, { timeout = FOREVER })
    if not msg then
      if env.reason ~= "timeout" then return false end
    elseif env.type == "AwaitStart" then
      self.awaiting = env
    elseif env.type == "Due" then
      self.due = nil
      take(self, { is = "tick" })
    else
      hear(self, msg, env)
    end
  end
  return true
end

function Supervisor:on_start()
  local plan, wrong = read_config(self)
  if not plan then error(wrong, 0) end
  self.state = Decisions.new(plan)
  self.made = {}  -- name -> { ref, plan, halts = how many were ordered }
  self.asked = {} -- token -> { env, name, reply }: commands that are being carried out
  self.tokens = 0
  make_all(self, plan)
  take(self, { is = "begin" })
  if not await_beginning(self) then return end
  if self.state.phase == "over" then not_started(self, self.state.culprit, self.state.why) end
  if self.awaiting then self.awaiting:reply("Started") end
  self.awaiting = nil
end

function Supervisor:on_await_start(_, env) env:reply("Started") end

---------------------------------------------------------------- its running ----

-- All children are down, because too many restarts were asked of it.
local function end_if_over(self)
  if self.state.phase == "over" then error(self.state.why, 0) end
end

function Supervisor:on_child_started(msg, env)
  hear(self, msg, env)
end

function Supervisor:on_child_halted(msg, env)
  hear(self, msg, env)
  end_if_over(self)
end

function Supervisor:on_due()
  self.due = nil
  take(self, { is = "tick" })
  end_if_over(self)
end

function Supervisor:on_shutdown()
  if not self.state then return end
  take(self, { is = "stop" })
  while self.state.phase ~= "over" do
    local msg, env = actor.receive({ "ChildStarted", "ChildHalted" }, { timeout = PATIENCE })
    if msg then
      hear(self, msg, env)
    elseif env.reason == "timeout" then
      look_for_the_gone(self)
    else
      return
    end
  end
  drop_all(self)
end

------------------------------------------------------------------ commands ----

local STATUS = { up = "running", starting = "starting", halting = "stopping" }

local function status_of(child)
  return STATUS[child.status] or child.wanted and "restarting" or "down"
end

function Supervisor:on_which_children(_, env)
  local list = json.array {}
  for _, child in ipairs(self.state.children) do
    local made = self.made[child.name]
    table.insert(list, { name = child.name, ref = made.ref, kind = child.kind, status = status_of(child),
                         supervisor = made.plan.supervise ~= nil })
  end
  env:reply("Children", { children = list })
end

function Supervisor:on_count_children(_, env)
  local count = { specs = 0, active = 0, supervisors = 0, workers = 0 }
  for _, child in ipairs(self.state.children) do
    local kind = self.made[child.name].plan.supervise and "supervisors" or "workers"
    count.specs = count.specs + 1
    count[kind] = count[kind] + 1
    if child.status ~= "down" then count.active = count.active + 1 end
  end
  env:reply("Count", count)
end

local function is_for_others(env)
  if env.remote then env:fail("a supervisor is commanded by actors of its own host") end
  return env.remote
end

-- Keeps the question until the decisions answer it.
local function command(self, is, name, env, reply, kind)
  self.tokens = self.tokens + 1
  self.asked[self.tokens] = { env = env:defer(), name = name, reply = reply }
  take(self, { is = is, name = name, kind = kind, token = self.tokens })
  end_if_over(self)
end

local function check_name(msg, env)
  if type(msg.name) == "string" then return true end
  env:fail(("Bad field 'name' in %s: the name of a child is expected"):format(env.type))
end

function Supervisor:on_start_child(msg, env)
  if is_for_others(env) then return end
  local plan, wrong = Options.read_child(msg)
  if not plan then return env:fail(wrong) end
  if plan.name and Decisions.find(self.state, plan.name) then
    return env:fail(("child '%s': there is one of that name already"):format(plan.name))
  end
  local name, why = make_child(self, plan)
  if not name then return env:fail(("child '%s' could not be made: %s"):format(plan.name or plan.script, why)) end
  command(self, "add", name, env, "ChildRuns", plan.kind)
end

function Supervisor:on_terminate_child(msg, env)
  if is_for_others(env) or not check_name(msg, env) then return end
  command(self, "terminate", msg.name, env, "Done")
end

function Supervisor:on_restart_child(msg, env)
  if is_for_others(env) or not check_name(msg, env) then return end
  command(self, "restart", msg.name, env, "ChildRuns")
end

function Supervisor:on_delete_child(msg, env)
  if is_for_others(env) or not check_name(msg, env) then return end
  command(self, "delete", msg.name, env, "Done")
end

return Supervisor
