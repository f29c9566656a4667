-- counter, version 3 of 3: counts are objects, which know how fast they grow.
--
--   Add     { name = string?, by = integer? }   counts so many more (1); replies Counted { name, count }
--   Report  { name = string }                   from a timer of that tally: says where it stands
--   Tick    { name = string }                   the same, from a timer that version 2 has set
local Counter = { version = 3 }

local UNNAMED = "things"

---------------------------------------------------------------- tallies ----

-- A class of the actor: when the script is reloaded, the tallies that there are have
-- the methods of the next version.
local Tally = actor.class "Tally"

function Tally.new(name, count)
  return setmetatable({ name = name, count = count, added = 0, since = actor.now() }, Tally)
end

function Tally:add(by)
  self.count = self.count + by
  self.added = self.added + by
end

-- Of what was added since there is this tally.
function Tally:a_minute()
  return self.added / math.max(actor.now() - self.since, 1) * 60
end

function Tally:line()
  return ("%s: %d, %.1f a minute"):format(self.name, self.count, self:a_minute())
end

-- Once, however much is added until then.
function Tally:report_soon()
  self.timer = self.timer or actor.after("200ms", "Report", { name = self.name })
end

-------------------------------------------------------------- the counter ----

function Counter:on_start()
  self.tallies = {}
end

-- From any version before: each step ends with the shape with which the next begins.
function Counter:on_reload(from)
  if from < 2 then
    self.counts, self.new = { [UNNAMED] = self.count }, {}
    self.count, self.said = nil, nil
    self.ticker:cancel()
    self.ticker = nil
  end
  if from < 3 then
    self.tallies = {}
    for name, count in pairs(self.counts) do
      self.tallies[name] = Tally.new(name, count)
    end
    self.counts, self.new = nil, nil
  end
end

function Counter:on_add(msg, env)
  local name = msg.name or UNNAMED
  local tally = self.tallies[name] or Tally.new(name, 0)
  self.tallies[name] = tally
  tally:add(msg.by or 1)
  tally:report_soon()
  env:reply("Counted", { name = name, count = tally.count })
end

function Counter:on_report(msg)
  local tally = self.tallies[msg.name]
  tally.timer = nil
  print(tally:line())
end

Counter.on_tick = Counter.on_report

return Counter
