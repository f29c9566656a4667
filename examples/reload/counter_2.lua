-- counter, version 2 of 3: a number for each name, and no timer while nothing is new.
--
--   Add   { name = string? }  counts one more of these; replies Counted { name, count = integer }
--   Tick  { name = string }   from a timer, soon after a count is new: says it
--
-- What version 1 has counted had no name; neither have those who still send its Add.
local Counter = { version = 2 }

local UNNAMED = "things"

function Counter:on_start()
  self.counts, self.new = {}, {}
end

-- Version 1 left its state in another shape, and a timer that is not wanted any more.
function Counter:on_reload(from)
  if from < 2 then
    self.counts, self.new = { [UNNAMED] = self.count }, {}
    self.count, self.said = nil, nil
    self.ticker:cancel()
    self.ticker = nil
  end
end

function Counter:on_add(msg, env)
  local name = msg.name or UNNAMED
  self.counts[name] = (self.counts[name] or 0) + 1
  if not self.new[name] then
    self.new[name] = true
    actor.after("500ms", "Tick", { name = name })
  end
  env:reply("Counted", { name = name, count = self.counts[name] })
end

function Counter:on_tick(msg)
  self.new[msg.name] = nil
  print(("counted %d %s"):format(self.counts[msg.name], msg.name))
end

return Counter
