-- Groups of instances in a topology, over processes and in one: who is in front of them, who
-- answers, and what becomes of one that fails.
local process = require "spec.support.process"
local topologies = require "spec.support.topologies"

local LIMITS = [[
  local Limits = {}
  function Limits:on_check(msg, env)
    self.seen = (self.seen or 0) + 1
    env:reply("Checked", { by = actor.name, symbol = msg.symbol, seen = self.seen })
  end
  function Limits:on_fail() error("as asked", 0) end
  function Limits:on_who() print("I am " .. actor.name) end
  return Limits
]]

local DESK = [[
  local Desk = {}
  function Desk:on_check(msg, env)
    local answer, from = self.config.limits:ask("Check", msg)
    if not answer then return env:fail(tostring(from)) end
    env:reply("Checked", answer)
  end
  function Desk:on_call() assert(self.config.everybody:send("Who")) end
  return Desk
]]

-- PORT1: where the desk is asked; PORT2: the limits.
local RISK = [[
  return topology "risk" {
    node "desk" { bind = ":PORT1", after = "risk",
      actor "desk" { "desk.lua", config = { limits = ref "limits", everybody = ref "everybody" } } },
    node "risk" { bind = ":PORT2",
      actor "limits" { "limits.lua", instances = 3, route = "hash:symbol", failure = "restart" },
      actor "everybody" { "limits.lua", instances = 2, route = "broadcast" } },
    link { "desk", "limits", Check = { symbol = "string" },
           answers = { Checked = { by = "string", symbol = "string", seen = "integer" } } },
    link { "desk", "everybody", "Who" },
  }
]]

for _, way in ipairs(topologies.WAYS) do
  local what, flag = way[1], way[2]

  describe("a group of instances that is up " .. what, function()
    local place, up

    before_each(function()
      place = topologies.make { ["limits.lua"] = LIMITS, ["desk.lua"] = DESK, ["risk.lua"] = RISK }
      up = place:up("risk.lua", flag)
      up:line "risk is up"
    end)
    after_each(function()
      process.end_all()
      place:remove()
    end)

    local function check(name, port, symbol)
      local ended = place:ask(name, port, "Check", "symbol=" .. symbol)
      assert.equal(0, ended.code, ended.err)
      return ended.out:match '"by": "(limits%.%d)"', tonumber(ended.out:match '"seen": (%d+)')
    end

    it("answers for itself, from the next actor or from outside, by the field that it goes by", function()
      local of = {}
      for _, symbol in ipairs { "A", "B", "C", "A", "B", "C" } do
        local by = check("desk", 1, symbol)
        assert.equal(of[symbol] or by, by)
        of[symbol] = by
        assert.equal(by, (check("limits", 2, symbol)))
      end
    end)

    it("sends a copy to each", function()
      process.run(process.troupe { "send", ("desk@:%d"):format(place.ports[1]), "Call" })
      local seen = {}
      for _ = 1, 2 do seen[up:line("I am"):match "everybody%.%d"] = true end
      assert.same({ ["everybody.1"] = true, ["everybody.2"] = true }, seen)
    end)

    it("keeps one that fails and restarts, with nothing of what it knew", function()
      local by, seen = check("desk", 1, "A")
      assert.equal(1, seen)
      process.run(process.troupe { "send", ("%s@:%d"):format(by, place.ports[2]), "Fail" })
      local again
      again, seen = check("desk", 1, "A")
      assert.same({ by, 1 }, { again, seen })
    end)
  end)
end
