-- names: twenty rivals on all threads take one name when it is absent, hand it on, wait
-- for it, and tell the group of them about it; prints what would be wrong, and a count.
--
--   Go {}                    a rival's next turn
--   Turn { from = text, number = integer }   published to all of them after each turn
--   Over { made = integer }  a rival has had all its turns, and made so many
--   Serve {}, Gone {}        to whoever has the name: who are you; end
local Names = {}

local RIVALS, TURNS = 20, 100

local HOLDER = [[
  return {
    on_serve = function(self, msg, env) env:reply("Served", { by = actor.self }) end,
    on_gone = function() actor.exit() end,
  }
]]

local RIVAL = [[
  local Rival = {}

  function Rival:on_start()
    self.turns, self.made, self.heard = 0, 0, {}
    assert(actor.join("rivals"))
    actor.self:send("Go")
  end

  -- Who holds the name may end at any moment, but never is anybody else there.
  function Rival:on_go()
    local ref, made = actor.spawn(self.config.holder, { name = "x", if_absent = true })
    if not ref then print("not spawned: " .. tostring(made)) end
    if made then self.made = self.made + 1 end
    local served = ref:ask("Serve")
    if served and served.by ~= ref then print("another one is there") end
    if made and not served then print("nobody but its maker may end it") end
    if made then
      if actor.lookup("x") ~= ref then print("its maker does not find it") end
      ref:send("Gone")
    else
      local next, why = actor.lookup("x", { wait = "50ms" })
      if not next and why.reason ~= "timeout" then print("not found: " .. why.reason) end
    end
    self.turns = self.turns + 1
    actor.publish("rivals", "Turn", { from = actor.name, number = self.turns })
    if self.turns < self.config.turns then return actor.self:send("Go") end
    self.config.boss:send("Over", { made = self.made })
  end

  function Rival:on_turn(msg)
    if msg.number <= (self.heard[msg.from] or 0) then print("out of order") end
    self.heard[msg.from] = msg.number
  end

  return Rival
]]

local function write(text)
  local path = os.tmpname()
  local file <close> = assert(io.open(path, "w"))
  file:write(text)
  return path
end

function Names:on_start()
  self.holder, self.rival = write(HOLDER), write(RIVAL)
  self.over, self.made = 0, 0
  for n = 1, RIVALS do
    assert(actor.spawn(self.rival, {
      name = "rival" .. n,
      mailbox = { limit = 100000 },
      config = { holder = self.holder, turns = TURNS, boss = actor.self },
    }))
  end
end

function Names:on_over(msg)
  self.over, self.made = self.over + 1, self.made + msg.made
  if self.over < RIVALS then return end
  os.remove(self.holder)
  os.remove(self.rival)
  print(("made %s"):format(self.made > 0))
  print(("members %d, names %d"):format(#actor.members("rivals"), #actor.names("rival")))
  actor.stop_host(0)
end

return Names
