-- threads: where actors run. Most share the pool's workers; one that blocks in
-- C (a database, a device) gets a thread of its own, or shares one with its group.
--
--   troupe run examples/threads.lua
--
-- Spawned with config = { waits = true } it says where it is:
--   Where  {}   replies There { thread = integer }, the kernel's number of its thread
--
-- expect: blue.1 and blue.2 share a thread: true
-- expect: solo has a thread to itself: true
-- expect: pooled runs on neither of these: true
-- expect: and the pinned ones stay where they are: true
local Threads = {}

local function thread_number()
  local stat <close> = assert(io.open("/proc/thread-self/stat"))
  return stat:read("n")
end

local function spawn(name, thread)
  return assert(actor.spawn("threads", { name = name, thread = thread, config = { waits = true } }))
end

-- The threads of all actors in `refs`, asked at the same time.
local function where(refs)
  local questions = {}
  for name, ref in pairs(refs) do
    questions[name] = ref:start_ask("Where")
  end
  local threads = {}
  for name, there in pairs(actor.all(questions)) do
    threads[name] = there.thread
  end
  return threads
end

function Threads:on_start()
  if self.config.waits then
    return
  end
  local refs = {
    blue1 = spawn("blue.1", "group:blue"),
    blue2 = spawn("blue.2", "group:blue"),
    solo = spawn("solo", "own"),
    pooled = spawn("pooled", "pool"),
  }
  local before = where(refs)
  print("blue.1 and blue.2 share a thread: " .. tostring(before.blue1 == before.blue2))
  print("solo has a thread to itself: "
    .. tostring(before.solo ~= before.blue1 and before.solo ~= thread_number()))
  print("pooled runs on neither of these: "
    .. tostring(before.pooled ~= before.blue1 and before.pooled ~= before.solo))

  local after = where(refs)
  print("and the pinned ones stay where they are: "
    .. tostring(after.blue1 == before.blue1 and after.solo == before.solo))
  actor.stop_host()
end

function Threads:on_where(msg, env)
  env:reply("There", { thread = thread_number() })
end

return Threads
