-- placed: where the threads of some actors run, and how urgently. Prints a line
-- `name: CPUs policy priority` for each, as the kernel has it.
-- Argument: case=cpu | priority | group | group_priority | missing
--
--   Where {}   replies Here { place = string }
local Placed = {}

-- Policy 1 is SCHED_FIFO. Fields 41 and 40 of stat, whose 2nd may have blanks in it.
local function place(task)
  local status <close> = assert(io.open("/proc/" .. task .. "/status"))
  local cpus = status:read("a"):match("Cpus_allowed_list:%s*(%S+)")
  local stat <close> = assert(io.open("/proc/" .. task .. "/stat"))
  local fields = {}
  for field in stat:read("a"):match("%) (.*)"):gmatch("%S+") do table.insert(fields, field) end
  return ("%s %s %s"):format(cpus, fields[39], fields[38])
end

-- That of the host's own thread which has that name.
local function own_thread(name)
  local file <close> = assert(io.open("/proc/self/stat"))
  local pid = file:read("a"):match("^(%d+)")
  local pipe <close> = assert(io.popen(("grep -slx '%s' /proc/%s/task/*/comm"):format(name, pid)))
  local path = pipe:read("l")
  return path and place(path:match("^/proc/(.*)/comm$"))
end

local cases = {}

function cases.cpu(spawn)
  spawn("pinned", { thread = "own", cpu = { 0 } })
  spawn("free", { thread = "own" })
  spawn("pooled", {})
  spawn("maker", { thread = "own", cpu = { 0 }, config = { makes = true } })
end

function cases.priority(spawn)
  spawn("urgent", { thread = "own", priority = 20 })
  spawn("group1", { thread = "group:red", priority = 30 })
  spawn("group2", { thread = "group:red" })
  spawn("plain", { thread = "own" })
  spawn("most", { thread = "own", priority = 99 })
  spawn("maker", { thread = "own", priority = 10, config = { makes = true } })
end

function cases.group(spawn)
  spawn("first", { thread = "group:red" })
  spawn("second", { thread = "group:red", cpu = { 0 } })
  spawn("third", { thread = "group:red", cpu = { 0 } })
  spawn("fourth", { thread = "group:red", cpu = { 1 } })
  spawn("fifth", { thread = "group:blue", cpu = { 1 } })
end

function cases.group_priority(spawn)
  spawn("first", { thread = "group:red", priority = 5 })
  spawn("second", { thread = "group:red", priority = 6 })
end

function cases.missing(spawn)
  spawn("nowhere", { thread = "own", cpu = { 0, 1023 } })
  spawn("again", { thread = "own" })
end

function Placed:on_start()
  if self.config.makes then
    self.made = assert(actor.spawn("placed", { name = "made", thread = "own", config = { place = true } }))
  end
  if self.config.place or self.config.makes then return end

  local names = {}
  local case = actor.args[1]:match("^case=(.*)$")
  cases[case](function(name, options)
    options.name = name
    options.config = options.config or { place = true }
    local ref, why = actor.spawn("placed", options)
    if not ref then
      print(name .. ": " .. tostring(why))
    else
      table.insert(names, name)
      if options.config.makes then table.insert(names, "made") end
    end
  end)
  for _, name in ipairs(names) do
    print(name .. ": " .. assert(actor.ref(name):ask("Where")).place)
  end
  for _, name in ipairs { "watchdog", "timers", "gateway" } do print(name .. ": " .. tostring(own_thread(name))) end
  print("all: " .. place("self"))
  actor.stop_host(0)
end

function Placed:on_where(_, env)
  local child <close> = assert(io.popen("cat /proc/self/stat"))
  local fields = {}
  for field in child:read("a"):match("%) (.*)"):gmatch("%S+") do table.insert(fields, field) end
  env:reply("Here", { place = place("thread-self") .. (fields[39] ~= "0" and " and its children" or "") })
end

return Placed
