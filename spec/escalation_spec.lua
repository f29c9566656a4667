-- How a failure climbs: from an actor to its parent, up to one that restarts or
-- stops, or to the root, with which the host ends.
local Stage = require "troupe.stage"

describe("a failing actor", function()
  local stage

  before_each(function() stage = Stage.new() end)
  after_each(function()
    stage:output()
    stage:log()
    stage:close()
  end)

  local function spawn(name, source, options)
    local script = { name = name, source = source }
    for option, value in pairs(options or {}) do script[option] = value end
    return assert(stage:spawn(script))
  end

  describe("makes others fail with it", function()
    local function family(bottom, middle, top)
      spawn("top", ([[
        function on_start(self, msg) print("top " .. msg.restarts) self.child = actor.spawn("spec/support/branch", { name = "middle",
          failure = %q, config = { failure = %q } }) end
        function on_wait() print("top waits", select(2, actor.sleep("1h")).reason) end
        function on_shutdown() print("top down") end
      ]]):format(middle, bottom), { failure = top })
      stage:run()
      assert.same({ "top 0", "middle up", "leaf up" }, stage:output())
    end

    local function lines()
      local list = stage:output()
      table.sort(list)
      return list
    end

    it("with failure = \"escalate\", up to one that restarts, whose children are made anew", function()
      family("escalate", "continue", "restart")
      stage:send("leaf", "Fail")
      stage:run()
      assert.same({ "leaf down", "middle down", "top down" }, lines())
      local log = stage:log()
      assert.matches("the actor ends and middle fails with it, the message is a dead letter", log[1].text)
      assert.equal("middle: leaf ended: error: spec/support/leaf.lua:4: leaf failed: " ..
                   "the actor ends and top fails with it", log[2].text)
      assert.equal("top: leaf ended: error: spec/support/leaf.lua:4: leaf failed: " ..
                   "the actor restarts (1 of 3 in 10 s)", log[3].text)
      stage:advance("1s")
      assert.same({ "top 1", "middle up", "leaf up" }, stage:output())
    end)

    it("up to one that stops", function()
      family("escalate", "escalate", "stop")
      stage:send("leaf", "Fail")
      stage:run()
      assert.is_false(stage:alive("top"))
      local log = stage:log()
      assert.matches("the actor ends$", log[3].text)
      assert.equal(3, #log)
    end)

    it("up to the root, whose failure ends the host with a report of the chain", function()
      family("escalate", "continue", "continue")
      stage:send("leaf", "Fail")
      stage:run()
      local log = stage:log()
      assert.equal("the host ends, for a failure has come to the top of its chain:\n" ..
                   "leaf ended: error: spec/support/leaf.lua:4: leaf failed\n" ..
                   "middle ended with it\n" ..
                   "top ended with it", log[#log].text)
    end)

    it("when its restarts are used up", function()
      family("restart", "stop", "stop")
      for _ = 1, 4 do
        stage:send("leaf", "Fail")
        stage:advance("500ms")
      end
      assert.is_false(stage:alive("middle"))
      assert.is_true(stage:alive("top"))
      stage:log()
    end)

    it("and cuts short what the parent waits for", function()
      family("escalate", "escalate", "stop")
      stage:send("top", "Wait")
      stage:run()
      stage:send("leaf", "Fail")
      stage:run()
      assert.same({ "leaf down", "middle down", "top down", "top waits\tstopping" }, lines())
      stage:log()
    end)

    it("in on_start, too", function()
      spawn("top", [[
        function on_start() actor.spawn("spec/support/leaf", { name = "leaf", failure = "escalate", config = { bad = true } }) end
      ]], { failure = "stop" })
      stage:run()
      assert.is_false(stage:alive("top"))
      stage:log()
    end)
  end)
end)
