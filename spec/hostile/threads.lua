-- threads: which thread everybody runs on. Prints a line `name: id` for each.
--
--   Where {}   replies Here { thread = string }
local Threads = {}

local function thread()
  local file <close> = assert(io.open("/proc/thread-self/stat"))
  return file:read("a"):match("^(%d+) %(")
end

local PLACES = {
  own1 = "own", own2 = "own", red1 = "group:red", red2 = "group:red", blue = "group:blue",
  pool1 = "pool", pool2 = "pool", default = false,
}

function Threads:on_start()
  if self.config.place then return end
  local refs = {}
  for name, place in pairs(PLACES) do
    refs[name] = assert(actor.spawn("threads", { name = name, thread = place or nil, config = { place = true } }))
  end
  for _ = 1, 3 do -- and it stays there
    for name, ref in pairs(refs) do print(name .. ": " .. assert(ref:ask("Where")).thread) end
  end
  print("bad: " .. tostring(select(2, pcall(actor.spawn, "threads", { thread = "mine" }))):gsub("\n", " "))
  print("host: " .. io.open("/proc/self/stat"):read("a"):match("^(%d+)"))
  actor.stop_host(0)
end

function Threads:on_where(_, env)
  env:reply("Here", { thread = thread() })
end

return Threads
