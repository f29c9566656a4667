-- Links: two actors that share one fate. What ends one badly ends the other, unless
-- that one traps exits: then it is told.
local Stage = require "troupe.stage"

-- Links and unlinks as it is told; ends as it is told.
local PARTNER = [[
  local Partner = {}
  function Partner:on_link(msg)
    local done, why = actor.link(msg.ref)
    if done ~= true then print(tostring(done), why) end
  end
  function Partner:on_watch(msg) actor.watch(msg.ref) end
  function Partner:on_unlink(msg) print("unlinked " .. tostring(actor.unlink(msg.ref))) end
  function Partner:on_fail() error("as asked") end
  function Partner:on_exit(msg) actor.exit(msg.reason) end
  function Partner:on_down(msg) print(("%s hears of %s: %s"):format(actor.name, msg.name, msg.reason)) end
  function Partner:on_wait() print(tostring(select(2, actor.receive("Go", { timeout = "1h" })))) end
  function Partner:on_shutdown() print(actor.name .. " shuts down") end
  return Partner
]]

describe("a link", function()
  local stage

  before_each(function() stage = Stage.new() end)
  after_each(function() stage:close() end)

  local function partner(name, options)
    local script = { name = name, source = PARTNER, failure = "stop" }
    for key, value in pairs(options or {}) do script[key] = value end
    return assert(stage:spawn(script))
  end

  local function link(one, other)
    stage:send(one, "Link", { ref = other })
    stage:run()
  end

  local function fail(who)
    stage:send(who, "Fail")
    stage:run()
    stage:dead_letters()
  end

  -- A third, who is told how `who` ended.
  local function told_of(who)
    partner("third")
    stage:send("third", "Watch", { ref = who })
    stage:run()
  end

  it("takes the other down when one fails, and says who it was", function()
    local a, b = partner("a"), partner("b")
    link(a, b)
    told_of(b)
    fail(a)
    assert.is_false(stage:alive(a))
    assert.is_false(stage:alive(b))
    local output = stage:output()
    assert.same({ "a shuts down", "b shuts down" }, { output[1], output[2] })
    assert.matches("^third hears of b: error: linked a ended: error: .*as asked$", output[3])
    local log = stage:log()
    assert.matches("^b: it ends: error: linked a ended: error: .*as asked$", log[#log].text)
  end)

  it("works in both directions", function()
    local a, b = partner("a"), partner("b")
    link(a, b)
    fail(b)
    assert.is_false(stage:alive(a))
    stage:output()
    stage:log()
  end)

  it("leaves the other alone when the end is normal", function()
    local a, b = partner("a"), partner("b")
    link(a, b)
    stage:stop(a)
    stage:run()
    assert.is_true(stage:alive(b))
    assert.same({ "a shuts down" }, stage:output())
  end)

  it("counts an exit with a reason of its own as abnormal", function()
    local a, b = partner("a"), partner("b")
    link(a, b)
    stage:send(a, "Exit", { reason = "had enough" })
    stage:run()
    assert.is_false(stage:alive(b))
    assert.matches("b: it ends: error: linked a ended: had enough", stage:log()[1].text)
    stage:output()
  end)

  it("is one, from whichever side and however often it is begun", function()
    local a, b = partner("a"), partner("b")
    link(a, b)
    link(b, a)
    link(a, b)
    stage:send(a, "Unlink", { ref = b })
    stage:send(b, "Unlink", { ref = a })
    stage:run()
    assert.same({ "unlinked true", "unlinked false" }, stage:output())
    fail(a)
    assert.is_true(stage:alive(b))
    stage:output()
    stage:log()
  end)

  it("ends a handler that waits", function()
    local a, b = partner("a"), partner("b")
    link(a, b)
    stage:send(b, "Wait")
    stage:run()
    fail(a)
    assert.is_false(stage:alive(b))
    assert.same({ "a shuts down", "the wait was cut: this actor is stopping", "b shuts down" }, stage:output())
    stage:log()
  end)

  it("to one who has ended takes down at once", function()
    local a, b = partner("a"), partner("b")
    stage:stop(b)
    stage:run()
    link(a, b)
    assert.is_false(stage:alive(a))
    assert.matches("linked an ended actor ended: no such actor", stage:log()[1].text)
    stage:output()
  end)

  it("falls in circles, and each ends once", function()
    local ring = {}
    for i = 1, 20 do ring[i] = partner("r" .. i) end
    for i = 1, 20 do link(ring[i], ring[i % 20 + 1]) end
    fail(ring[7])
    local output = stage:output()
    assert.equal(20, #output)
    table.sort(output)
    for i = 2, 20 do assert.are_not.equal(output[i - 1], output[i]) end
    stage:log()
  end)

  it("with a watch beside it ends the watcher all the same", function()
    local a, b = partner("a"), partner("b")
    link(a, b)
    stage:send(b, "Watch", { ref = a })
    stage:run()
    fail(a)
    assert.is_false(stage:alive(b))
    stage:output()
    stage:log()
  end)

  it("that is cut leaves the watch beside it", function()
    local a, b = partner("a"), partner("b")
    link(a, b)
    stage:send(b, "Watch", { ref = a })
    stage:send(b, "Unlink", { ref = a })
    stage:run()
    fail(a)
    assert.is_true(stage:alive(b))
    local output = stage:output()
    assert.equal("unlinked true", output[1])
    assert.matches("^b hears of a: error: ", output[3])
    stage:log()
  end)

  describe("of one that traps exits", function()
    it("tells it instead, also of a normal end", function()
      local a, b, c = partner("a"), partner("b", { trap_exit = true }), partner("c")
      link(a, b)
      link(b, c)
      fail(a)
      stage:stop(c)
      stage:run()
      assert.is_true(stage:alive(b))
      local output = stage:output()
      assert.matches("^b hears of a: error: .*as asked$", output[2])
      assert.equal("b hears of c: normal", output[4])
      stage:log()
    end)

    it("tells it once if it watches, too", function()
      local a, b = partner("a"), partner("b", { trap_exit = true })
      link(a, b)
      stage:send(b, "Watch", { ref = a })
      stage:run()
      stage:stop(a)
      stage:run()
      assert.same({ "a shuts down", "b hears of a: normal" }, stage:output())
    end)

    it("takes the other down when it fails itself", function()
      local a, b = partner("a"), partner("b", { trap_exit = true })
      link(a, b)
      fail(b)
      assert.is_false(stage:alive(a))
      stage:output()
      stage:log()
    end)

    it("tells it of one who is not there", function()
      local a, b = partner("a"), partner("b", { trap_exit = true })
      stage:stop(a)
      stage:run()
      link(b, a)
      assert.same({ "a shuts down", "b hears of an ended actor: no such actor" }, stage:output())
    end)

    it("is a setting of the script, which a spawner may override", function()
      local source = "local T = { trap_exit = true }" .. PARTNER:gsub("local Partner = {}", "")
        :gsub("Partner", "T")
      local a, b = partner("a"), partner("b", { source = source })
      local c = partner("c", { source = source, trap_exit = false })
      link(a, b)
      link(a, c)
      fail(a)
      assert.is_true(stage:alive(b))
      assert.is_false(stage:alive(c))
      stage:output()
      stage:log()
    end)

    it("is true or false", function()
      assert.error_matches(function() stage:spawn({ source = PARTNER, trap_exit = "yes" }) end,
        "trap_exit is true or false, not 'yes'")
    end)
  end)

  it("ties actors of one host only", function()
    partner("a", { source = [[
      function on_try(self, msg, env)
        local fine, why = pcall(actor.link, actor.ref("pong@tcp://127.0.0.1:9"))
        env:reply("Why", { why = tostring(why) })
      end
    ]] })
    assert.matches("actor.link: pong@tcp://127.0.0.1:9 is elsewhere, and a link ties actors of one host",
      assert(stage:ask("a", "Try")).why)
  end)

  it("is told and cut and tied anew in any interleaving, and nothing is left", function()
    for seed = 1, 60 do
      local crowd = Stage.new { seed = seed }
      local refs = {}
      for i = 1, 8 do
        refs[i] = assert(crowd:spawn({ name = "p" .. i, trap_exit = i == 8,
          source = PARTNER:gsub("function Partner:on_shutdown.-end\n", "") }))
      end
      for i = 1, 8 do
        for j = 1, 8 do
          if i ~= j then crowd:send(refs[i], (i + j) % 3 == 0 and "Unlink" or "Link", { ref = refs[j] }) end
        end
      end
      crowd:send(refs[seed % 8 + 1], "Exit", { reason = "seed" })
      crowd:run()
      crowd:output()
      crowd:log()
      crowd:dead_letters()
      crowd:close()
    end
  end)
end)
