-- worker_pool: a coordinator shares work out among workers, in turn. For work that may be
-- done at the same time, on as many cores as there are.
--
--   troupe run examples/patterns/worker_pool.lua
--
-- A worker:
--   Work   { item = integer }   adds it to its total
--   Total  {}                   replies Total { sum = integer }
--
-- In turn (round robin) is right for items of one size. A worker's mailbox is bounded, so
-- the coordinator cannot run away from them: it waits where it sends.
--
-- expect: worker 1: 60
-- expect: worker 2: 80
-- expect: worker 3: 100
-- expect: worker 4: 120
local WorkerPool = { mailbox = { limit = 10 } }

local WORKERS = 4
local ITEMS = { 10, 20, 30, 40, 50, 60, 70, 80 }

function WorkerPool:on_start()
  self.sum = 0
  if self.config.works then return end

  local pool = {}
  for i = 1, WORKERS do
    pool[i] = assert(actor.spawn("worker_pool", { name = "worker." .. i, config = { works = true } }))
  end
  for i, item in ipairs(ITEMS) do
    pool[(i - 1) % WORKERS + 1]:send("Work", { item = item })
  end

  local questions = {}
  for i, worker in ipairs(pool) do
    questions[i] = worker:start_ask("Total")
  end
  for i, total in ipairs(assert(actor.all(questions))) do
    print(("worker %d: %d"):format(i, total.sum))
  end
  actor.stop_host()
end

function WorkerPool:on_work(msg)
  self.sum = self.sum + msg.item
end

function WorkerPool:on_total(_, env)
  env:reply("Total", { sum = self.sum })
end

return WorkerPool
