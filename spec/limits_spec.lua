-- The limits of a host: what whoever meets one is told, what is counted, and
-- that the others go on.
local json = require "troupe.json"
local process = require "spec.support.process"
local program = require "spec.support.program"
local Stage = require "troupe.stage"

-- What it prints can be looked at; Spawn { count } makes children, Stop ends one.
local PARENT = [[
  local Parent = { children = %s }
  function Parent:on_start() self.kids = {} end
  function Parent:on_spawn(msg, env)
    local why
    for _ = 1, msg.count do
      local kid
      kid, why = actor.spawn("spec/hostile/bombs", { config = { way = "nothing" } })
      table.insert(self.kids, kid)
    end
    env:reply("Spawned", { kids = #self.kids, reason = why and why.reason, text = why and tostring(why) })
  end
  function Parent:on_stop() table.remove(self.kids):stop() end
  function Parent:on_metrics(msg, env) env:reply("Metrics", actor.metrics()) end
  return Parent
]]

describe("a limit", function()
  local stage

  after_each(function() if stage then stage:close() end stage = nil end)

  local function parent(children, name)
    return assert(stage:spawn { name = name or "parent", source = PARENT:format(children) })
  end

  local function metrics() return (stage:ask("parent", "Metrics")) end

  it("of an actor's children is its own, or the host's", function()
    stage = Stage.new { children = 3 }
    parent("nil")
    parent("5", "other")
    local full = { kids = 3, reason = "full", text = "this actor has its limit of 3 children" }
    assert.same({ kids = 3 }, (stage:ask("parent", "Spawn", { count = 3 })))
    assert.same(full, (stage:ask("parent", "Spawn", { count = 2 })))
    assert.same({ kids = 5, reason = "full", text = "this actor has its limit of 5 children" },
                (stage:ask("other", "Spawn", { count = 6 })))
    assert.equal(3, metrics().limits.children)
    assert.equal(3, metrics().refused.children)
  end)

  it("of an actor's children counts those that live", function()
    stage = Stage.new { children = 2 }
    parent("nil")
    stage:ask("parent", "Spawn", { count = 2 })
    stage:send("parent", "Stop")
    stage:run()
    assert.is_nil((stage:ask("parent", "Spawn", { count = 1 })).reason)
    assert.equal("full", (stage:ask("parent", "Spawn", { count = 1 })).reason)
  end)

  it("of children is a number, and nothing else", function()
    stage = Stage.new()
    for _, wrong in ipairs { "0", "-1", "1.5", '"many"', "true", "1e9" } do
      local none, why = stage:spawn { name = "wrong", source = PARENT:format(wrong) }
      assert.is_nil(none)
      assert.matches("children is a number of actors from 1 to 16000000, not ", tostring(why), 1, true)
    end
  end)

  it("of actors is told to who spawns one more, before its script is looked at", function()
    stage = Stage.new { actors = 4 }
    parent("nil")
    local reply = stage:ask("parent", "Spawn", { count = 5 })
    assert.equal("full", reply.reason)
    assert.equal("the host has its limit of 4 actors", reply.text)
    assert.equal(4, metrics().limits.actors)
    assert.is_true(metrics().refused.actors >= 1)
  end)

  it("of timers is told to who wants another", function()
    stage = Stage.new { timers = 2 }
    stage:spawn { name = "parent", source = [[
      function on_wait(self, msg, env)
        actor.after("1h", "X") actor.after("1h", "X")
        local none, why = actor.after("1h", "X")
        env:reply("Why", { reason = why.reason, text = tostring(why) })
      end
      function on_metrics(self, msg, env) env:reply("Metrics", actor.metrics()) end
    ]] }
    assert.same({ reason = "full", text = "the host has its limit of 2 timers" }, (stage:ask("parent", "Wait")))
    assert.equal(2, metrics().timers)
    assert.equal(1, metrics().refused.timers)
  end)

  it("of memory refuses new actors, and those there are go on", function()
    stage = Stage.new { memory_total = 64 << 20 }
    stage:spawn { name = "hog", source = [[
      function on_start(self) self.kept = ("x"):rep(70 << 20) end
      function on_ping(self, msg, env) env:reply("Pong", { kept = #self.kept }) end
    ]] }
    stage:run()
    local none, why = stage:spawn { name = "late", source = "function on_ping() end" }
    assert.is_nil(none)
    assert.matches("the scripts of this host have their limit of 64 MiB of memory", tostring(why), 1, true)
    assert.same({ kept = 70 << 20 }, (stage:ask("hog", "Ping")))
    stage:stop("hog")
    stage:run()
    assert.truthy(stage:spawn { name = "late", source = "function on_ping() end" })
  end)
end)

describe("a host", function()
  local host
  after_each(function() process.end_all() end)

  local METRICS = [[
    function on_metrics(self, msg, env) env:reply("Metrics", actor.metrics()) end
    function on_echo(self, msg, env) env:reply("Echo", { size = #(msg.text or "") }) end
    function on_out(self, msg, env)
      local sent, why = actor.ref("x@tcp://127.0.0.1:1"):send("Big", { text = ("x"):rep(msg.size) })
      env:reply("Out", { sent = sent, text = why and tostring(why) })
    end
  ]]

  local function start(...)
    host = process.start(process.troupe { "-e", METRICS, "--name", "it", "--bind", ":0", ... })
    return "it@" .. host:error_line("listening on"):match("tcp://%S+")
  end

  local function ask(...)
    local asked = process.run(process.troupe { "ask", ... })
    local text = asked.out:match("^%w+ (.*)$")
    return text and json.decode(text), asked
  end

  it("says its limits, which are those of the command line", function()
    local it_is = start("--actors", "50", "--children", "7", "--timers", "60", "--dead-letters", "5",
                        "--memory-total", "2GiB", "--frame", "64KiB", "--depth", "10", "--peers", "9")
    local metrics = ask(it_is, "Metrics")
    assert.same({ actors = 50, children = 7, timers = 60, dead_letters = 5, memory = 2 << 30, frame = 65536, depth = 10 },
                metrics.limits)
    assert.same({ actors = 0, children = 0, timers = 0, memory = 0 }, metrics.refused)
  end)

  it("has defaults for all of them", function()
    local limits = ask(start(), "Metrics").limits
    assert.is_true(limits.memory > 1 << 20)
    limits.memory = nil
    assert.same({ actors = 1000000, children = 100000, timers = 1000000, dead_letters = 1000, frame = 1 << 20, depth = 64 },
                limits)
  end)

  it("sends and takes no frame that is larger than it may be", function()
    local it_is = start("--frame", "2KiB")
    assert.equal(1000, ask(it_is, "Echo", "text=" .. ("x"):rep(1000)).size)
    local out = ask(it_is, "Out", "size:=3000")
    assert.equal("Big is larger than a frame may be (2048 bytes)", out.text:match("Big is larger.*"))
    local none, asked = ask(it_is, "Echo", "text=" .. ("x"):rep(5000), "--timeout", "500ms")
    assert.is_nil(none)
    assert.is_true(asked.code == 3 or asked.code == 5, asked.code)
    assert.equal(1000, ask(it_is, "Echo", "text=" .. ("x"):rep(1000)).size)
  end)

  it("takes no message that is deeper than it may be", function()
    local it_is = start("--depth", "3")
    assert.equal(0, ask(it_is, "Echo", 'a:=[[1]]').size)
    local none, asked = ask(it_is, "Echo", 'a:=[[[[1]]]]', "--timeout", "300ms")
    assert.is_nil(none)
    assert.equal(3, asked.code)
    assert.equal(1, ask(it_is, "Metrics").wire.frames_bad)
  end)

  it("refuses limits that make no sense, as a usage error", function()
    for _, words in ipairs { { "--actors", "0" }, { "--depth", "65" }, { "--frame", "much" }, { "--shutdown", "soon" } } do
      local ended = process.run(process.troupe { "-e", METRICS, table.unpack(words) })
      assert.equal(2, ended.code)
      assert.matches("'" .. words[2] .. "'", ended.err, 1, true)
    end
  end)

  for _, case in ipairs { "a loop", "recursion", "a chain", "stillbirths" } do
    it("survives actors that spawn without end: " .. case, function()
      local ended = program.run { "spec/hostile/bombs.lua", flags = "--workers 2 --actors 2000 --shutdown 2s",
                                  args = { "case=" .. case, "seconds=1" } }
      local found = program.findings(ended.out)
      assert.is_true(ended.code == 0 or ended.code == 1, ended.err)
      assert.is_true(tonumber(found.most) <= 2000)
      assert.is_true(case == "stillbirths" or program.has_thread_sanitizer or tonumber(found.refused_actors) > 0)
      assert.equal("0", found.failed_probes)
      assert.is_true(tonumber(found.probes) >= 5, "only " .. found.probes .. " probes")
      if not program.is_sanitized then
        assert.is_true(tonumber(found.grown_mib) < 200, found.grown_mib)
      end
    end)
  end

  it("near the limit of its memory makes no new actors, and the old ones answer", function()
    local ended = program.run { "spec/hostile/bombs.lua", flags = "--workers 2 --memory-total 24MiB --shutdown 2s",
                                args = { "case=a loop", program.is_sanitized and "seconds=5" or "seconds=1" } }
    local found = program.findings(ended.out)
    assert.is_true(tonumber(found.refused_memory) > 0)
    assert.equal("0", found.failed_probes)
    if not program.is_sanitized then
      assert.is_true(tonumber(found.grown_mib) < 60, found.grown_mib)
    end
  end)
end)
