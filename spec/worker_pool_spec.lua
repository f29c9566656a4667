-- The shipped worker pool: who gets what, who answers, and that nothing is lost when
-- workers fail, come and go.
local Stage = require "troupe.stage"

local WORKER = "spec/support/pooled"
local SEEDS = 60

describe("a worker pool", function()
  local stage, pool

  local function open(config, options, script)
    if stage then stage:close() end
    stage = Stage.new(options)
    local full = { script = WORKER, min = 2, max = 2 }
    for name, value in pairs(config or {}) do full[name] = value end
    local spawned = { path = "actors/worker_pool.lua", name = "pool" }
    for name, value in pairs(script or {}) do spawned[name] = value end
    pool = assert(stage:spawn(spawned, full))
    stage:run()
  end

  before_each(function() open() end)
  after_each(function()
    stage:log()
    stage:output()
    stage:close()
    stage = nil
  end)

  local function send(type, msg) assert(stage:send(pool, type, msg)) end

  local function ask(type, msg)
    local answer, why = stage:ask(pool, type, msg)
    return assert(answer, why.text), why
  end

  local function who() return ask("Who").name end

  local function stats() return ask("PoolStats") end

  local function sizes()
    local now = stats()
    return { #now.workers, grown = now.grown, shrunk = now.shrunk }
  end

  local function printed()
    stage:run()
    return stage:output()
  end

  describe("passes messages on", function()
    it("of any type, to one worker after the other", function()
      for n = 1, 4 do send("Work", { n = n }) end
      assert.same({ "pool.1 works at 1", "pool.1 works at 3", "pool.2 works at 2", "pool.2 works at 4" },
                  (function(list) table.sort(list) return list end)(printed()))
    end)

    it("with their question: it is the worker that answers, and that sees who asked", function()
      assert(stage:spawn { name = "client", source = [[
        function on_start()
          local answer, env = actor.ref("pool"):ask("Work", { n = 1 })
          print(answer.by, env.from, answer.from)
        end
      ]] })
      assert.same({ "pool.1 works at 1", "pool.1\tpool.1\tclient" }, printed())
    end)

    it("and whoever asks is told when the worker has no handler, or fails", function()
      local _, why = stage:ask(pool, "Unknown")
      assert.equal("rejected", why.reason)
      _, why = stage:ask(pool, "Fail")
      assert.equal("failed", why.reason)
      stage:advance("1s")
      stage:log()
      stage:dead_letters()
    end)
  end)

  it("by least backlog goes to who has least to do", function()
    open { route = "least", min = 3, max = 3 }
    send("Work", { n = 1, takes = "1s" })
    stage:run()
    send("Work", { n = 2, takes = "1s" })
    stage:run()
    for n = 3, 5 do
      send("Work", { n = n })
      assert.same({ "pool.3 works at " .. n }, printed())
    end
    stage:advance("1s")
  end)

  it("by hash gives the same value to the same worker, whatever else it gives away", function()
    open { route = "hash:user", min = 4, max = 4 }
    local by, used = {}, {}
    for n = 1, 60 do
      local user = "user " .. n % 20
      local worker = ask("Work", { user = user, n = n }).by
      by[user] = by[user] or worker
      assert.equal(by[user], worker)
      used[worker] = true
    end
    for place = 1, 4 do assert.is_true(used["pool." .. place]) end
    assert.equal(ask("Work", { user = 7 }).by, ask("Work", { user = 7.0 }).by)
    assert.equal(ask("Work", {}).by, ask("Work", {}).by)
  end)

  it("moves few keys when it grows by one, and these to the new worker", function()
    local Routes = require "troupe.routes"
    local moved = 0
    for n = 1, 1000 do
      local before, after = Routes.place("key " .. n, 4), Routes.place("key " .. n, 5)
      if before ~= after then
        moved = moved + 1
        assert.equal(5, after)
      end
    end
    assert.is_true(moved > 100 and moved < 300, moved .. " of 1000 keys have moved")
  end)

  describe("grows", function()
    it("when more waits than it should, up to its limit, and shrinks when there is nothing to do", function()
      open { min = 1, max = 3, grow_at = 2, idle = "10s" }
      for n = 1, 20 do send("Work", { n = n, takes = "1s" }) end
      stage:advance("500ms")
      assert.same({ 3, grown = 2, shrunk = 0 }, sizes())
      stage:advance("15s")
      assert.equal(20, #printed())
      assert.equal(3, sizes()[1])
      stage:advance("30s")
      assert.same({ 1, grown = 2, shrunk = 2 }, sizes())
      assert.equal("pool.1", who())
    end)

    it("no more than its limit, and is quiet when it has its least size", function()
      stage:advance("1h")
      local steps = #stage:trace()
      stage:advance("1h")
      assert.equal(steps, #stage:trace())
    end)

    it("and shrinks as it is told", function()
      assert.same({ min = 4, max = 5 }, ask("PoolResize", { min = 4, max = 5 }))
      assert.equal(4, sizes()[1])
      for n = 1, 8 do send("Work", { n = n, takes = "1s" }) end
      stage:run()
      ask("PoolResize", { min = 1, max = 1 })
      stage:advance("5s")
      assert.equal(1, sizes()[1])
      assert.equal(8, #printed())
      local _, why = stage:ask(pool, "PoolResize", { min = 3, max = 2 })
      assert.matches("1 <= min <= max <= 1000 is expected, not 3 and 2", why.text)
    end)
  end)

  describe("whose worker fails", function()
    it("starts it again in its place, with the mail that it had", function()
      send("Fail", { takes = "1s" })
      send("Work", { n = 1 })
      send("Work", { n = 2 })
      stage:advance("1050ms")
      assert.same({ "pool.2 works at 1" }, stage:output())
      assert.equal("halted", stats().workers[1].state)
      stage:advance("1s")
      assert.same({ "pool.1 works at 2" }, stage:output())
      assert.equal(1, stats().restarts)
      assert.equal("Fail", stage:dead_letters()[1].type)
    end)

    it("gives its share to the others meanwhile", function()
      send("Fail")
      stage:run()
      assert.equal("pool.2", who())
      assert.equal("pool.2", who())
      stage:advance("1s")
      assert.equal("pool.1", who())
      stage:dead_letters()
    end)

    it("answers a question that waited for the restart", function()
      open { min = 1, max = 1 }
      send("Fail")
      assert.same({ name = "pool.1", restarts = 1 }, ask("Who"))
      stage:dead_letters()
    end)

    it("starts it again as well when it has ended by itself", function()
      open { min = 1, max = 1 }
      send("Quit")
      assert.same({ name = "pool.1", restarts = 1 }, ask("Who"))
    end)

    it("too often fails itself: its workers end, and what they had is in the dead letters", function()
      open { min = 1, max = 1, restart = { max = 2, within = "1m" } }
      for _ = 1, 3 do send("Fail") end
      send("Work", { n = 9 })
      stage:advance("1m")
      assert.is_false(stage:alive(pool))
      local types = {}
      for _, letter in ipairs(stage:dead_letters()) do types[letter.type] = (types[letter.type] or 0) + 1 end
      assert.equal(3, types.Fail)
      assert.equal(1, types.Work)
      local told = false
      for _, line in ipairs(stage:log()) do
        told = told or line.text:find("pool.1 ended (2 restarts in 60 s were not enough): error: ", 1, true)
      end
      assert.is_truthy(told)
    end)
  end)

  describe("whose workers are full", function()
    it("keeps what they cannot take, and hands it out when there is room", function()
      for n = 1, 20 do send("Work", { n = n, takes = "1s" }) end
      stage:run()
      assert.is_true(stats().queued > 0)
      stage:advance("15s")
      local lines = printed()
      assert.equal(20, #lines)
      assert.equal(0, stats().queued)
    end)

    it("keeps the order of each key", function()
      open { route = "hash:user" }
      for n = 1, 24 do send("Work", { user = n % 2, n = n, takes = "100ms" }) end
      stage:advance("10s")
      local last, count = {}, 0
      for _, line in ipairs(printed()) do
        local n = tonumber(line:match("%d+$"))
        assert.is_true(n > (last[n % 2] or 0), line)
        last[n % 2] = n
        count = count + 1
      end
      assert.equal(24, count)
    end)

    it("lets senders wait when its own queue is full", function()
      open({ queue = 2 }, nil, { mailbox = { limit = 8 } })
      assert(stage:spawn { name = "sender", source = [[
        function on_start()
          for n = 1, 100 do
            assert(actor.ref("pool"):send("Work", { n = n, takes = "100ms" }, { timeout = "1h" }))
          end
          print("all sent")
        end
      ]] })
      stage:advance("1s")
      for _, line in ipairs(stage:output()) do assert.not_equal("all sent", line) end
      stage:advance("20s")
      local done = 0
      for _, line in ipairs(stage:output()) do done = done + (line:find("works", 1, true) and 1 or 0) end
      assert.is_true(done > 70, done .. " were done")
      local now = stats()
      assert.same({ 100, 0, 0 }, { now.routed, now.queued, now.lost })
    end)

    it("still answers for itself", function()
      open { queue = 2 }
      for n = 1, 14 do send("Work", { n = n, takes = "1s" }) end
      stage:run()
      assert.equal(2, stats().queued)
      stage:advance("20s")
      assert.equal(14, stats().routed)
    end)
  end)

  it("that stops lets its workers handle what they have", function()
    open { config = { says_bye = true } }
    for n = 1, 12 do send("Work", { n = n, takes = "100ms" }) end
    stage:run()
    stage:stop(pool, { drain = true })
    stage:advance("10s")
    local lines = printed()
    assert.equal(14, #lines)
    assert.same({}, stage:dead_letters())
    assert.is_false(stage:alive(pool))
    assert.is_false(stage:alive("pool.1"))
  end)

  it("loses nothing in silence, whatever fails, grows and stops meanwhile", function()
    for seed = 1, SEEDS do
      local route = ({ "round", "least", "hash:user" })[seed % 3 + 1]
      open({ route = route, min = 1 + seed % 2, max = 3, grow_at = 2, idle = "200ms", queue = 4,
             restart = { max = 1000, within = "10s", backoff = "1ms..20ms" } }, { seed = seed })
      for n = 1, 40 do
        if n % 7 == 0 then
          send("Fail", { user = n % 5, takes = n % 2 == 0 and "2ms" or nil })
        elseif n % 11 == 0 then
          send("Quit", { user = n % 5 })
        else
          send("Work", { user = n % 5, n = n, takes = n % 3 == 0 and "3ms" or nil })
        end
        if n % 10 == 0 then stage:advance("1ms") end
      end
      if seed % 2 == 0 then stage:advance("1s") end
      stage:stop(pool, { drain = true })
      stage:advance("10s")
      local seen, kinds = {}, { Work = 0, Fail = 0, Quit = 0 }
      for _, line in ipairs(stage:output()) do
        local n = tonumber(line:match("%d+$"))
        assert.is_nil(seen[n], ("seed %d: %d was handled twice"):format(seed, n))
        seen[n] = true
        kinds.Work = kinds.Work + 1
      end
      for _, letter in ipairs(stage:dead_letters()) do kinds[letter.type] = kinds[letter.type] + 1 end
      assert.same({ seed = seed, work = 32 }, { seed = seed, work = kinds.Work })
      assert.is_true(kinds.Fail == 5, ("seed %d: %d of 5 failures are known"):format(seed, kinds.Fail))
      assert.is_false(stage:alive(pool))
      stage:log()
    end
  end)

  it("answers or fails every question, by seeds", function()
    for seed = 1, SEEDS do
      open({ min = 2, max = 4, grow_at = 2, restart = { max = 1000, backoff = "1ms..20ms" } }, { seed = seed })
      assert(stage:spawn { name = "client", source = [[
        function on_start()
          local questions = {}
          for n = 1, 30 do
            questions[n] = actor.ref("pool"):start_ask(n % 6 == 0 and "Fail" or "Work", { n = n, takes = n % 4 == 0 and "2ms" or nil })
          end
          local all, why, some = actor.all(questions, { timeout = "10s" })
          local count = 0
          for _ in pairs(some) do count = count + 1 end
          print("answered " .. count .. ", " .. why.reason)
        end
      ]] })
      stage:advance("20s")
      local last
      for _, line in ipairs(stage:output()) do last = line:find("answered", 1, true) and line or last end
      assert.same({ seed, "answered 25, failed" }, { seed, last })
      stage:log()
      stage:dead_letters()
    end
  end)

  it("makes dead letters of what it cannot give to anybody any more", function()
    open { min = 1, max = 1, drain = "1s" }
    for n = 1, 8 do send("Work", { n = n, takes = "1h" }) end
    stage:run()
    assert.equal(4, stats().queued)
    stage:stop(pool)
    stage:advance("10s")
    local letters = stage:dead_letters()
    assert.equal(8 - #stage:output(), #letters)
    for _, letter in ipairs(letters) do assert.equal("Work", letter.type) end
    assert.is_false(stage:alive(pool))
  end)

  it("gives its workers their config and options, and shows what they do", function()
    ask("Work", { n = 1 })
    local now = stats()
    assert.same({ 2, 2, 2, 0 }, { #now.workers, now.min, now.max, now.queued })
    local first = now.workers[1]
    assert.same({ "pool.1", "running", 0, 1, 0 },
                { first.name, first.state, first.backlog, first.routed, first.restarts })
  end)

  describe("does not start", function()
    local function failure(config)
      assert(stage:spawn({ path = "actors/worker_pool.lua", name = "other" }, config))
      stage:run()
      stage:dead_letters()
      return stage:log()[1].text:match("^[^\n]*")
    end

    it("without a script, or with one that is not there", function()
      assert.matches("config%.script: a text is expected, but it is missing$", failure {})
      assert.matches("config%.script: .*spec/support/poold.*did you mean", failure { script = "spec/support/poold" })
    end)

    it("with a setting that is wrong, and says which", function()
      local function wrong(setting, value) return failure { script = WORKER, [setting] = value } end
      assert.matches("config has no 'mni' %(did you mean 'min'%?%)$", wrong("mni", 1))
      assert.matches("config%.max: a whole number from 1 to 1000 is expected, not 'many'$", wrong("max", "many"))
      assert.matches("config%.idle: a duration %(.*%) of at least 0.01 s is expected, not 'soon'$", wrong("idle", "soon"))
      assert.matches("config%.route: one of hash:FIELD, least, round is expected, not 'leest' %(did you mean 'least'%?%)$",
                     wrong("route", "leest"))
      assert.matches("config%.route: 'hash' with the field that it looks at, as \"hash:id\", is expected, not 'hash'$", wrong("route", "hash"))
      assert.matches("config%.route: 'round' without a field is expected, not 'round:id'$", wrong("route", "round:id"))
      assert.matches("config%.restart has no 'mux' %(did you mean 'max'%?%)$", wrong("restart", { mux = 1 }))
      assert.matches("config%.restart%.backoff: .*not 'slow'$", wrong("restart", { backoff = "slow" }))
      assert.matches("config%.options: .*memroy", wrong("options", { memroy = "1MiB" }))
      assert.matches("config%.options%.name: that is for the pool to say$", wrong("options", { name = "x" }))
      assert.matches("config%.max: a whole number of at least min, which is 3, is expected, not 2$",
                     failure { script = WORKER, min = 3, max = 2 })
    end)
  end)
end)
