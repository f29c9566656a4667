-- pipeline: numbers go from a source through workers to a sink, each in a process of its own,
-- and the sink has each exactly once, whoever of them is killed while there is work to do.
--
--   troupe up examples/pipeline_up/pipeline.lua
--   kill -9 PID          another terminal: of any `... is ready, ... (process PID)`
--   sort -n results.txt
--
-- It ends by itself, with 0, when all is done. What is in results.txt need not be done again:
-- remove it to begin anew.
--
-- How it comes that nothing is lost, and nothing there twice:
--
-- * The source sends an item again and again until the *sink* has confirmed it. It does not
--   matter where on the way it was lost. A reliable ref from source to workers would promise
--   less: that the group has taken the item, which then is in the memory of one of them.
-- * The sink confirms what it has written to its file, and writes nothing twice: what comes
--   once more is only confirmed once more. When it begins it reads what it wrote in a former life.
-- * The source makes the same items each time, so one that begins anew may offer all of them.
-- * At most 16 items are under way (`window`), so nothing piles up if the workers are slow.
--
-- Not promised: the order, that an item is worked on only once, and that the file is whole after
-- a power cut. Who is killed just while the source says that all is over may begin anew and wait
-- for work that never comes: `troupe down` ends it.
local function at(name, port)
  return os.getenv("PIPELINE_" .. name) or "tcp://127.0.0.1:" .. port
end

local COUNT = os.getenv "PIPELINE_ITEMS" or "200"
local WORKERS = 3

local workers = {}
for i = 1, WORKERS do workers[i] = ref("workers." .. i) end

return topology "pipeline" {
  node "sink" { bind = at("SINK", 5003),
    actor "sink" { "sink.lua", config = { source = ref "source", file = os.getenv "PIPELINE_FILE" or "results.txt" } } },
  node "work" { bind = at("WORK", 5002), after = "sink",
    actor "workers" { "worker.lua", instances = WORKERS, route = "least", config = { sink = ref "sink", takes = "50ms" } } },
  node "source" { bind = at("SOURCE", 5001), after = "work",
    actor "source" { "source.lua", config = {
      count = COUNT, window = 16, group = ref "workers", workers = workers, sink = ref "sink" } } },

  link { "source", "workers", Item = { number = "integer" } },
  link { "source", "workers", "End", answers = "Ended" },
  link { "workers", "sink", Result = { number = "integer", result = "integer" } },
  link { "sink", "source", Stored = { number = "integer" } },
  link { "source", "sink", "End", answers = "Ended" },
}
