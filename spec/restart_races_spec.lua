-- Restarts in races with sends, asks, stops and halts: the same promises hold in
-- whatever order the actors run. TROUPE_SEEDS=10000 tries as many interleavings.
local Stage = require "troupe.stage"
local program = require "spec.support.program"

local SEEDS = tonumber(os.getenv("TROUPE_SEEDS") or program.is_sanitized and 30 or 300)

-- Works, fails by itself now and then, and says how often it has begun.
local WORKER = [[
  local Worker = { failure = "restart", restart = { max = 1000, within = "1s", backoff = "1ms..20ms" } }
  function Worker:on_start(msg)
    if self.begun then print("BROKEN old state") end
    self.begun = true
    self.last = {}
    self.child = assert(actor.spawn("spec/support/restarts", { name = actor.name .. "-child", failure = "stop" }))
    actor.every("3ms", "Tick", { life = msg.restarts })
    self.life = msg.restarts
  end
  function Worker:on_tick(msg)
    if msg.life ~= self.life then print("BROKEN a tick of another life") end
    if math.random() < 0.05 then error("tick") end
  end
  function Worker:on_work(msg, env)
    print(("work %s %d"):format(msg.from, msg.n))
    local roll = math.random()
    if roll < 0.1 then error("work") end
    if roll < 0.15 then actor.sleep("2ms") error("work after a wait") end
    if roll < 0.3 then env:defer() self.kept = env return end
    env:reply("Done", { n = msg.n })
  end
  return Worker
]]

-- Asks and sends, and counts what comes of it.
local CLIENT = [[
  local Client = {}
  function Client:on_go()
    local got = { Done = 0, failed = 0, down = 0, timeout = 0, other = 0, sent = 0 }
    local worker = actor.ref(self.config.worker)
    for n = 1, 12 do
      if math.random() < 0.5 then
        if worker:send("Work", { from = actor.name, n = n }) then got.sent = got.sent + 1 end
      else
        local before = actor.now()
        local reply, why = worker:ask("Work", { from = actor.name, n = n }, { timeout = "100ms" })
        local what = reply and "Done" or why.reason
        got[got[what] and what or "other"] = got[got[what] and what or "other"] + 1
        if reply and reply.n ~= n then print("BROKEN an answer to another question") end
      end
      if math.random() < 0.3 then actor.sleep(math.random() / 200) end
    end
    print("over " .. actor.name .. " " .. got.other)
  end
  return Client
]]

local function check(lines, seed)
  local last, over = {}, 0
  for _, line in ipairs(lines) do
    assert.is_nil(line:match("^BROKEN"), ("seed %d: %s"):format(seed, line))
    local from, n = line:match("^work (%S+) (%d+)$")
    if from then
      n = tonumber(n)
      assert.is_true(n > (last[from] or 0), ("seed %d: %s after %d of %s"):format(seed, line, last[from] or 0, from))
      last[from] = n
    end
    if line:match("^over") then over = over + 1 end
  end
  return over
end

describe("a restart", function()
  it("keeps the order of mail, answers every question and leaves nothing behind, in any interleaving", function()
    for seed = 1, SEEDS do
      local stage = Stage.new { seed = seed }
      local worker = assert(stage:spawn { name = "worker", source = WORKER })
      for i = 1, 3 do
        assert(stage:spawn({ name = "client" .. i, source = CLIENT }, { worker = "worker" }))
        stage:send("client" .. i, "Go")
      end
      stage:advance("3s")
      assert.is_true(stage:alive(worker))
      assert.equal(3, check(stage:output(), seed), "seed " .. seed)
      stage:log()
      stage:close() -- which fails if a state, a message or a timer is left
    end
  end)

  it("may meet a stop at any moment, and then the actor is gone with all that it had", function()
    for seed = 1, SEEDS do
      local stage = Stage.new { seed = seed }
      local worker = assert(stage:spawn { name = "worker", source = WORKER })
      assert(stage:spawn({ name = "client1", source = CLIENT }, { worker = "worker" }))
      stage:send("client1", "Go")
      stage:advance(seed % 40 / 1000)
      stage:stop(worker)
      stage:advance("3s")
      assert.is_false(stage:alive("worker"))
      assert.is_false(stage:alive("worker-child"))
      assert.equal(1, check(stage:output(), seed))
      stage:log()
      stage:close()
    end
  end)

  it("may be ordered by a supervisor at any moment, and each end and each start is heard of once", function()
    for seed = 1, SEEDS do
      local stage = Stage.new { seed = seed }
      assert(stage:spawn({ name = "boss", source = [[
        local children = require "troupe.children"
        function on_start(self)
          self.child = assert(children.spawn("spec/support/racing_child", { name = "worker" }))
          children.start(self.child)
          actor.every("7ms", "Meddle")
          self.up, self.life = false, -1
        end
        function on_meddle(self)
          if math.random() < 0.5 and self.up then children.halt(self.child, math.random() / 100) end
        end
        function on_child_started(self, msg)
          if self.up or msg.restarts <= self.life then print("BROKEN started twice") end
          self.up, self.life = true, msg.restarts
        end
        function on_child_halted(self, msg)
          if self.up ~= msg.started and msg.restarts > self.life then print("BROKEN an end without a start") end
          self.up = false
          children.start(self.child)
        end
      ]] }))
      for i = 1, 2 do
        assert(stage:spawn({ name = "client" .. i, source = CLIENT }, { worker = "worker" }))
        stage:send("client" .. i, "Go")
      end
      stage:advance("10s")
      assert.equal(2, check(stage:output(), seed), "seed " .. seed)
      stage:log()
      stage:stop("boss")
      stage:advance("2s")
      assert.is_false(stage:alive("worker"))
      check(stage:output(), seed)
      stage:close()
    end
  end)
end)
