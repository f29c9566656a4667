-- bombs: actors that spawn without end, and one that is asked meanwhile.
-- Arguments: case=NAME, seconds=S. Prints `key: value` lines.
--
--   Again {}   a bomb tries once more
local Bombs = { failure = "stop" }

local SECONDS = 3

local function arguments()
  local given = {}
  for _, argument in ipairs(actor.args) do
    local key, value = argument:match("^(%w+)=(.*)$")
    given[key] = value
  end
  return given
end

local function rss_mib()
  local file <close> = assert(io.open("/proc/self/status"))
  return tonumber(file:read("a"):match("VmRSS:%s*(%d+)")) / 1024
end

local ways = {}

-- One that never stops trying, in one handler.
ways["a loop"] = function(_, config)
  while true do actor.spawn("bombs", { config = { way = "nothing", case = config.case } }) end
end

-- Each makes two more, and tries again for ever.
ways["recursion"] = function(_, config)
  for _ = 1, 2 do actor.spawn("bombs", { config = config }) end
  actor.self:send("Again")
end

-- Each makes one more and ends.
ways["a chain"] = function(_, config)
  actor.spawn("bombs", { config = config })
  actor.self:send("Again")
end

-- They fail as they begin, and are made anew.
ways["stillbirths"] = function()
  while true do actor.spawn("bombs", { config = { way = "dead" } }) end
end

ways["dead"] = function() actor.exit() end
ways["nothing"] = function() end

function Bombs:on_start()
  if self.config.way then
    ways[self.config.way](self, self.config)
    return
  end
  local given = arguments()
  local prober = assert(actor.spawn("prober", { name = "prober" }))
  local before = rss_mib()
  assert(actor.spawn("bombs", { name = "bomb", config = { way = given.case } }))
  local last, most = actor.now() + (tonumber(given.seconds) or SECONDS), 0
  repeat
    actor.sleep("20ms")
    most = math.max(most, actor.metrics().actors)
  until actor.now() > last
  local refused = actor.metrics().refused
  print("most: " .. most)
  print("refused_actors: " .. refused.actors)
  print("refused_children: " .. refused.children)
  print("refused_memory: " .. refused.memory)
  print("grown_mib: " .. rss_mib() - before)
  local probes = assert(prober:ask("Report"))
  print("probes: " .. probes.count)
  print("failed_probes: " .. probes.failed)
  print("p99_ms: " .. probes.p99 * 1000)
  print("slowest_ms: " .. probes.slowest * 1000)
  print("stopped_at: " .. actor.time())
  actor.stop_host(0)
end

function Bombs:on_again()
  ways[self.config.way](self, self.config)
end

return Bombs
