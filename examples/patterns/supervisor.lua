-- supervisor: an actor that does no work itself: it has others do it, hears how they get
-- on, and decides what happens when one of them cannot. For whatever has to be finished.
--
--   troupe run examples/patterns/supervisor.lua
--
-- A worker (config = { id = integer, supervisor = ref }):
--   Work     { try = integer }                   computes, and sends its supervisor one of
--   Report   { id = integer, value = integer }
--   Trouble  { id = integer, why = string }
--   Result   {}                                  replies Result { value = integer }
--
-- The second worker is in trouble at its first try; its supervisor gives it the work again,
-- as often as it may. Reports come in any order, and each says whose it is.
--
-- expect: worker 2 is in trouble: out of ink
-- expect: worker 1 computed 0
-- expect: worker 2 computed 10
-- expect: worker 3 computed 20
-- expect: the supervisor has heard of 1, 2, 3
local Supervisor = {}

local WORKERS, TRIES = 3, 3

function Supervisor:on_start()
  if self.config.id then return end
  self.workers, self.tries, self.heard_of = {}, {}, {}
  for id = 1, WORKERS do
    self.workers[id] = assert(actor.spawn("supervisor", {
      name = "worker." .. id,
      config = { id = id, supervisor = actor.self },
    }))
    self.tries[id] = 1
    self.workers[id]:send("Work", { try = 1 })
  end
end

local function finish(self)
  for id, worker in ipairs(self.workers) do
    print(("worker %d computed %d"):format(id, assert(worker:ask("Result")).value))
  end
  table.sort(self.heard_of)
  print("the supervisor has heard of " .. table.concat(self.heard_of, ", "))
  actor.stop_host()
end

function Supervisor:on_report(msg)
  table.insert(self.heard_of, msg.id)
  if #self.heard_of == WORKERS then finish(self) end
end

function Supervisor:on_trouble(msg)
  print(("worker %d is in trouble: %s"):format(msg.id, msg.why))
  local try = self.tries[msg.id] + 1
  if try > TRIES then
    log.error("a worker could not do its work", { worker = msg.id, tries = TRIES })
    return actor.stop_host(1)
  end
  self.tries[msg.id] = try
  self.workers[msg.id]:send("Work", { try = try })
end

function Supervisor:on_work(msg)
  local id, supervisor = self.config.id, self.config.supervisor
  if id == 2 and msg.try == 1 then
    supervisor:send("Trouble", { id = id, why = "out of ink" })
    return
  end
  self.value = 10 * (id - 1)
  supervisor:send("Report", { id = id, value = self.value })
end

function Supervisor:on_result(_, env)
  env:reply("Result", { value = self.value })
end

return Supervisor
