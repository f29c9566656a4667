-- judge: has an actor do its worst, and prints what became of everybody, as
-- lines `key: value`. Arguments: script=FILE case=NAME, and any of slice, slow,
-- memory, failure for the spawn.
--
-- The script understands
--   Prepare {}                  replies anything
--   Do      { case = string }   the worst; may reply anything
--   Ping    {}                  replies Pong { escaped = boolean, note = string? }
local Judge = {}

local function arguments()
  local given = {}
  for _, argument in ipairs(actor.args) do
    local key, value = argument:match("^(%w+)=(.*)$")
    given[key] = value
  end
  return given
end

local function memory_kib()
  local file <close> = assert(io.open("/proc/self/status"))
  local text = file:read("a")
  return tonumber(text:match("VmRSS:%s*(%d+)")), tonumber(text:match("VmHWM:%s*(%d+)"))
end

local function say(key, value)
  print(("%s: %s"):format(key, (tostring(value):gsub("\n", " "))))
end

function Judge:on_start()
  local given = arguments()
  local victim = assert(actor.spawn(given.script, {
    name = "victim", slice = given.slice, slow = given.slow, memory = given.memory, failure = given.failure,
  }))
  local prober = assert(actor.spawn("prober", { name = "prober" }))
  assert(victim:ask("Prepare"))
  local before = memory_kib()

  local began = actor.now()
  local reply, why = victim:ask("Do", { case = given.case }, { timeout = "30s" })
  say("seconds", actor.now() - began)
  say("outcome", reply and "replied" or why.reason)
  say("reason", reply and "" or why)
  if reply then say("note", reply.note) end

  local pong = victim:ask("Ping")
  say("again", pong and "pong" or "silence")
  say("escaped", pong and pong.escaped)

  local _, peak = memory_kib()
  say("grown_mib", (peak - before) / 1024)
  local probes = assert(prober:ask("Report"))
  say("probes", probes.count)
  say("failed_probes", probes.failed)
  say("slowest_probe_ms", probes.slowest * 1000)
  actor.stop_host(0)
end

return Judge
