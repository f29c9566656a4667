-- reload: new versions, ROUNDS of them, for a script that ACTORS actors run, with a
-- state each that on_reload changes; how long a reload takes, and how long the actors
-- are held. Beside it somebody asks one of them all the time: the longest round trip of
-- each reload, and p99 and maximum of all, with those of as long a time without reloads.
--   troupe run bench/reload.lua -- [ACTORS [ROUNDS]]
--
--   Ping {}     to the actors: replies Pong {}
--   Begin {}    to the asker: asks until it is told to stop
--   Note { as = "reloads"|"rest" }   from now on round trips are noted as that; replies
--               Longest { seconds }, of those since the last Note
--   Sum { as }  replies Figures { p99, max }, in seconds
local Boss = {}

local support = dofile "bench/support.lua"

local WORKER = [[
  local Worker = { version = %d }
  function Worker:on_start() self.list = {} for i = 1, 20 do self.list[i] = { i } end end
  function Worker:on_ping(_, env) env:reply("Pong") end
  function Worker:on_reload() self.seen = Worker.version end
  return Worker
]]

-- Asks at once again, and answers the boss in between.
local ASKER = [[
  local Asker = { thread = "own", interleave = { "Note", "Sum" } }
  function Asker:on_start() self.noted = { reloads = {}, rest = {} } end
  function Asker:on_begin()
    local worker = self.config.worker
    while true do
      local before = actor.now()
      if not worker:ask("Ping", nil, { timeout = "60s" }) then return end -- the host ends
      local took = actor.now() - before
      self.longest = math.max(self.longest or 0, took)
      if self.as then table.insert(self.noted[self.as], took) end
    end
  end
  function Asker:on_note(msg, env)
    env:reply("Longest", { seconds = self.longest or 0 })
    self.as, self.longest = msg.as, 0
  end
  function Asker:on_sum(msg, env)
    local list = self.noted[msg.as]
    table.sort(list)
    env:reply("Figures", { p99 = list[math.ceil(#list * 0.99)], max = list[#list] })
  end
  return Asker
]]

local SHORTEST = 0.005 -- seconds in which round trips are noted: a reload of one takes less

local function write(path, version)
  local file <close> = assert(io.open(path, "w"))
  assert(file:write(WORKER:format(version)))
end

local function median(list)
  table.sort(list)
  return list[#list // 2 + 1]
end

function Boss:on_start()
  self.actors = math.tointeger(actor.args[1]) or 100
  self.rounds = math.tointeger(actor.args[2]) or 20
  self.path = os.tmpname()
  write(self.path, 1)
  local first
  for _ = 1, self.actors do
    local worker = assert(actor.spawn(self.path))
    first = first or worker
  end
  self.asker = support.spawn("asker", ASKER, { worker = first })
  self.asker:send("Begin")
  actor.self:send("Go")
end

function Boss:on_go()
  local function note(as)
    return assert(self.asker:ask("Note", { as = as })).seconds
  end
  local took, held, pauses = {}, {}, {}
  for i = 1, self.rounds do
    write(self.path, i + 1)
    note "reloads"
    local before = actor.now()
    local done, report = actor.reload { script = self.path }
    if not done then error(report) end
    local seconds = actor.now() - before
    if seconds < SHORTEST then actor.sleep(SHORTEST - seconds) end
    pauses[i] = note "rest" * 1e3
    took[i] = seconds * 1e3
    held[i] = report.held_ms
    actor.sleep(math.max(seconds, SHORTEST))
  end
  note(nil)
  local name = "reload" .. self.actors
  local during = assert(self.asker:ask("Sum", { as = "reloads" }))
  local rest = assert(self.asker:ask("Sum", { as = "rest" }))
  os.remove(self.path)
  support.report(name, "time", median(took), "ms")
  support.report(name, "held", median(held), "ms")
  support.report(name, "pause", median(pauses), "ms")
  support.report(name, "rtt_p99", during.p99 * 1e6, "us", rest.p99 * 1e6)
  support.report(name, "rtt_max", during.max * 1e6, "us", rest.max * 1e6)
  actor.stop_host(0)
end

return Boss
