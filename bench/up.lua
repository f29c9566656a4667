-- up: from `troupe up` to the first answer of the last of NODES nodes, each a process with
-- one actor that listens on a port of its own. Milliseconds, of one round each:
--   answer   each node comes `after` the one before: the longest way there is
--   apart    no node waits for another
--   one      the same file with --one: one process, as many actors
--   node     the first of these, divided by the nodes
--   down     from `troupe down` until all have ended
-- It asks as soon as `up` has said that the topology is up, over TCP.
--   troupe run bench/up.lua --bind :0 -- TROUPE [NODES [BARE]]
--
-- BARE: what `node` is compared with.
--
--   Begin {}   to itself: the next round
local Bench = { failure = "escalate" } -- so that nothing stays behind

local support = dofile "bench/support.lua"

local PONG = [[ return { on_ping = function(self, msg, env) env:reply("Pong") end } ]]

local ROUNDS = {
  { metric = "answer", chained = true },
  { metric = "apart" },
  { metric = "one", chained = true, flag = "--one" },
}

-- Ports that are free now: of listeners that are closed again.
local function free_ports(count)
  local listeners, ports = {}, {}
  for i = 1, count do
    listeners[i] = assert(actor.stream(actor.listen "tcp://127.0.0.1:0"))
    ports[i] = listeners[i]:address():match ":(%d+)$"
  end
  for _, listener in ipairs(listeners) do listener:close() end
  return ports
end

local function write_topology(path, ports, chained)
  local lines = { 'return topology "bench" {' }
  for i, port in ipairs(ports) do
    local after = chained and i > 1 and (' after = "n%d",'):format(i - 1) or ""
    table.insert(lines, ('  node "n%d" { bind = "tcp://127.0.0.1:%s",%s actor "pong%d" { %q } },')
      :format(i, port, after, i, support.script(PONG)))
  end
  table.insert(lines, "}\n")
  local file <close> = assert(io.open(path, "w"))
  assert(file:write(table.concat(lines, "\n")))
end

local function finish(self)
  local function report(metric, seconds, peer)
    support.report("up" .. self.nodes, metric, seconds * 1e3, "ms", peer)
  end
  for _, round in ipairs(ROUNDS) do report(round.metric, self.took[round.metric]) end
  report("node", self.took.answer / self.nodes, tonumber(actor.args[3]))
  report("down", self.took.down)
  os.remove(self.path)
  actor.stop_host(0)
end

function Bench:on_start()
  self.program = assert(actor.args[1], "the path of troupe is missing")
  self.nodes = math.tointeger(actor.args[2]) or 5
  self.path, self.rounds, self.took, self.said = os.tmpname(), table.move(ROUNDS, 1, #ROUNDS, 1, {}), {}, {}
  actor.self:send "Begin"
end

function Bench:on_begin()
  local round = table.remove(self.rounds, 1)
  if not round then return finish(self) end
  local ports = free_ports(self.nodes)
  write_topology(self.path, ports, round.chained)
  self.round, self.last = round, actor.ref(("pong%d@tcp://127.0.0.1:%s"):format(self.nodes, ports[self.nodes]))
  self.began = actor.now()
  self.up = assert(actor.stream(actor.process { self.program, "up", self.path, round.flag, stderr = "lines" }, { as = "Up" }))
end

function Bench:on_up(msg)
  table.insert(self.said, msg.text)
  if not msg.text:find "^up +| bench is up" then return end
  assert(self.last:ask("Ping", nil, { timeout = "10s" }))
  self.took[self.round.metric] = actor.now() - self.began
  local before = actor.now()
  assert(os.execute(("%s down %s >/dev/null"):format(self.program, self.path)))
  self.took.down = self.took.down or actor.now() - before
end

function Bench:on_up_end()
  if not self.took[self.round.metric] then error("it was never up: " .. table.concat(self.said, "\n")) end
  self.said = {}
  actor.self:send "Begin"
end

return Bench
