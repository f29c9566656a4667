-- Whatever becomes of an actor, no message is lost in silence: each that was taken is
-- begun once, or is a dead letter. Restarts, halts, drops, kills, stops and full mailboxes
-- in any order. TROUPE_SEEDS=10000 tries as many interleavings.
local Stage = require "troupe.stage"
local program = require "spec.support.program"

local SEEDS = tonumber(os.getenv("TROUPE_SEEDS") or program.is_sanitized and 10 or 40)

local CLIENT = [[
  local count = 0
  local function id() count = count + 1 return actor.name .. "." .. count end
  function on_start() actor.every("1ms", "Go") end
  function on_go()
    local worker, name = actor.ref("worker"), id()
    local roll = math.random()
    if roll < 0.6 then
      local taken, why = worker:send("Work", { id = name })
      print(taken and "took " .. name or "no " .. name .. " " .. why.reason)
    elseif roll < 0.7 then
      print((worker:try_send("Work", { id = name }) and "took " or "no ") .. name .. " at once")
    elseif roll < 0.8 then
      print("group " .. name .. " " .. actor.publish("workers", "Work", { id = name }))
    elseif roll < 0.9 then
      local answer, why = worker:ask("Query", { id = name }, { timeout = "6ms" })
      print("ask " .. name .. " " .. (answer and "ok" or why.reason))
    else
      worker:send("Fail")
    end
  end
]]

local BOSS = [[
  local children = require "troupe.children"
  local function make(self)
    self.child = children.spawn("spec/support/storm_worker", self.config.options)
    if self.child then children.start(self.child) else actor.after("1ms", "Again") end
  end
  function on_start(self) make(self) actor.every("5ms", "Meddle") end
  function on_again(self) make(self) end
  function on_meddle(self)
    local roll = math.random()
    if not self.child then return end
    if roll < 0.3 then children.halt(self.child, math.random() / 50)
    elseif roll < 0.4 then children.halt(self.child, 0)
    elseif roll < 0.5 then self.child:stop() end
  end
  function on_child_halted(self, msg)
    if msg.who ~= self.child then return end
    if math.random() < 0.2 then children.drop(msg.who) self.child = nil actor.after("1ms", "Again")
    else children.start(msg.who) end
  end
]]

-- What the lines say. (Asks are there for the company: who gives up takes his back.)
local function read(lines, sums)
  for _, line in ipairs(lines) do
    assert(not line:find("BROKEN"), line)
    local what, id, more = line:match("^(%a+) (%S+) ?(.*)$")
    if what == "begin" then
      assert(not sums.begun[id] or sums.group[id], "begun twice: " .. id)
      sums.begun[id] = (sums.begun[id] or 0) + 1
    elseif what == "took" then sums.taken = sums.taken + 1
    elseif what == "no" then
      sums.refused[id] = true
      if more == "down" then sums.told_down = sums.told_down + 1 end
    elseif what == "group" then sums.group[id] = tonumber(more) sums.taken = sums.taken + tonumber(more)
    elseif what == "fail" then sums.failed = sums.failed + 1
    end
  end
end

local function storm(seed, options, supervised)
  local drops = options.mailbox.overflow:find("^drop") ~= nil
  local stage = Stage.new { seed = seed }
  if supervised then
    assert(stage:spawn({ name = "boss", source = BOSS }, { options = options }))
  else
    options.path = "spec/support/storm_worker"
    stage:spawn(options, { alone = true })
  end
  for i = 1, 3 do assert(stage:spawn { name = "client" .. i, source = CLIENT }) end
  local sums = { begun = {}, group = {}, refused = {}, taken = 0, failed = 0, dead = 0, told_down = 0 }
  local function look()
    read(stage:output(), sums)
    for _, letter in ipairs(stage:dead_letters()) do
      local told = letter.reason == "full" and not drops -- of a publish, which does not count it
      if letter.type == "Work" and not told then sums.dead = sums.dead + 1 end
    end
    stage:log()
  end
  for _ = 1, 10 do
    stage:advance("10ms")
    look()
  end
  for i = 1, 3 do stage:stop("client" .. i) end
  stage:advance("1s")
  look()
  if stage:alive("boss") then stage:stop("boss") end
  if stage:alive("worker") then stage:stop("worker") end
  stage:advance("10s")
  look()
  stage:close()
  return sums
end

local function check(sums, overflow, seed)
  local begun = 0
  for id, times in pairs(sums.begun) do
    assert(not sums.refused[id], "refused and begun: " .. id)
    begun = begun + times
  end
  -- Who waits for room when the actor ends is told so, and there is a letter, too.
  local extra = begun + sums.dead - sums.failed - sums.taken
  local most = overflow == "wait" and sums.told_down or 0
  assert(extra >= 0 and extra <= most, ("seed %d: %d too many, at most %d are"):format(seed, extra, most))
  return begun, sums.failed, sums.dead
end

describe("the account of messages is even", function()
  for _, overflow in ipairs { "wait", "fail", "drop_old", "drop_new" } do
    for _, kind in ipairs { "restarts", "restarts and interleaves", "is supervised", "is supervised and interleaves" } do
      it(("for one that %s, with mailboxes that %s"):format(kind, overflow), function()
        local begun, failed, dead = 0, 0, 0
        for seed = 1, SEEDS do
          local supervised = kind:find("supervised") ~= nil
          local options = { name = "worker", memory = "1MiB", interleave = kind:find("interleaves") ~= nil,
                            mailbox = { limit = 5, overflow = overflow } }
          if not supervised then
            options.failure, options.restart = "restart", { max = 20, within = "1s", backoff = "1ms..5ms" }
          end
          local here_begun, here_failed, here_dead = check(storm(seed, options, supervised), overflow, seed)
          begun, failed, dead = begun + here_begun, failed + here_failed, dead + here_dead
        end
        assert(begun > SEEDS * 5 and failed > 0 and dead > failed, -- or nothing was shown
               ("%d begun, %d failed, %d dead"):format(begun, failed, dead))
      end)
    end
  end
end)
