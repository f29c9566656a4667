-- actor.backlog: how much an actor of this host has still to do.
local Stage = require "troupe.stage"

-- Takes work, and waits in the middle of it.
local WORKER = [[
  local Worker = { mailbox = { limit = 2 } }
  function Worker:on_work() actor.sleep("1s") end
  return Worker
]]

-- Prints the backlog of whom it is asked about.
local OBSERVER = [[
  function on_look(self, msg)
    local count, why = actor.backlog(msg.at)
    print(count or why.reason .. ": " .. why)
  end
  function on_look_for(self, msg)
    local count, why = actor.backlog(actor.ref(msg.name))
    print(count or why.reason .. ": " .. why)
  end
  function on_misuse(self, msg) print(select(2, pcall(function() actor.backlog(msg.at) end))) end
]]

describe("the backlog of an actor", function()
  local stage, worker

  before_each(function()
    stage = Stage.new()
    worker = assert(stage:spawn { name = "worker", source = WORKER })
    assert(stage:spawn { name = "observer", source = OBSERVER })
    stage:run()
  end)
  after_each(function()
    stage:dead_letters()
    stage:close()
  end)

  local function look(type, msg)
    stage:send("observer", type or "Look", msg or { at = worker })
    stage:run()
    return stage:output()
  end

  it("is 0 when it has nothing to do", function()
    assert.same({ "0" }, look())
  end)

  it("counts the message in hand, also while its handler waits", function()
    stage:send(worker, "Work")
    assert.same({ "1" }, look())
    stage:advance("1s")
    assert.same({ "0" }, look())
  end)

  it("counts what is in the mailbox, and whoever waits for room there", function()
    for _ = 1, 3 do stage:send(worker, "Work") stage:run() end
    assert(stage:spawn { name = "sender", source = [[
      function on_start() actor.ref("worker"):send("Work", nil, { timeout = "1h" }) end
    ]] })
    stage:run()
    assert.same({ "4" }, look())
    stage:advance("1s")
    assert.same({ "3" }, look())
    stage:advance("10s")
    assert.same({ "0" }, look())
  end)

  it("of one that is halted is what waits there", function()
    assert(stage:spawn { name = "failing", failure = "restart", source = [[
      function on_work() error("as asked") end
      function on_rest() end
    ]] })
    stage:send("failing", "Work")
    stage:send("failing", "Rest")
    stage:run()
    assert.same({ "1" }, look("LookFor", { name = "failing" }))
    stage:advance("1s")
    assert.same({ "0" }, look("LookFor", { name = "failing" }))
    stage:log()
  end)

  it("is known by name, too", function()
    stage:send(worker, "Work")
    stage:run()
    assert.same({ "1" }, look("LookFor", { name = "worker" }))
    stage:advance("1s")
  end)

  it("is nil for one that has ended, that never was, or that is elsewhere", function()
    stage:stop(worker)
    stage:run()
    assert.same({ "down: the actor has ended" }, look())
    assert.same({ "down: nobody is not running" }, look("LookFor", { name = "nobody" }))
    assert.same({ "failed: far is elsewhere: what waits there is not known here" },
                look("LookFor", { name = "far@tcp://10.0.0.7:5001" }))
  end)

  it("is asked for with a ref", function()
    assert.same({ "observer.lua:9: actor.backlog: a ref is expected, not a string" },
                look("Misuse", { at = "worker" }))
  end)
end)
