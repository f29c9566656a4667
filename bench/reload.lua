-- reload: new versions, ROUNDS of them, for a script that ACTORS actors run, with a
-- state each that on_reload changes; how long a reload takes, how long the actors are
-- held, and the longest that one who asks one of them all the time had to wait.
--   troupe run bench/reload.lua -- [ACTORS [ROUNDS]]
--
--   Ping {}     to the actors: replies Pong {}
--   Begin {}    to the asker: asks until it is told to stop
--   Mark {}     replies Pause { longest }, of an answer since the last mark
local Boss = {}

local support = dofile "bench/support.lua"

local WORKER = [[
  local Worker = { version = %d }
  function Worker:on_start() self.list = {} for i = 1, 20 do self.list[i] = { i } end end
  function Worker:on_ping(_, env) env:reply("Pong") end
  function Worker:on_reload() self.seen = Worker.version end
  return Worker
]]

-- Asks at once again, and answers marks in between.
local ASKER = [[
  local Asker = { thread = "own", interleave = { "Mark" } }
  function Asker:on_begin()
    local worker = self.config.worker
    while true do
      local before = actor.now()
      if not worker:ask("Ping", nil, { timeout = "60s" }) then return end -- the host ends
      self.longest = math.max(self.longest or 0, actor.now() - before)
    end
  end
  function Asker:on_mark(_, env)
    env:reply("Pause", { longest = self.longest or 0 })
    self.longest = 0
  end
  return Asker
]]

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
  local took, held, pauses = {}, {}, {}
  for i = 1, self.rounds do
    actor.sleep("10ms")
    assert(self.asker:ask("Mark"))
    write(self.path, i + 1)
    local before = actor.now()
    local done, report = actor.reload { script = self.path }
    if not done then error(report) end
    took[i] = (actor.now() - before) * 1e3
    held[i] = report.held_ms
    pauses[i] = assert(self.asker:ask("Mark")).longest * 1e3
  end
  os.remove(self.path)
  local name = "reload" .. self.actors
  support.report(name, "time", median(took), "ms")
  support.report(name, "held", median(held), "ms")
  support.report(name, "pause", median(pauses), "ms")
  support.report(name, "pause_max", pauses[#pauses], "ms")
  actor.stop_host(0)
end

return Boss
