-- What a script defines and nobody ever looks at: near misses of settings and hooks.
local Stage = require "troupe.stage"

describe("a field of a script's table", function()
  local stage

  before_each(function() stage = Stage.new() end)
  after_each(function() stage:close() end)

  -- The warnings of a script with that text in its table.
  local function warned(fields)
    assert(stage:spawn { name = "hero", source = ("return { on_ping = function() end, %s }"):format(fields) })
    local lines = {}
    for _, line in ipairs(stage:log()) do table.insert(lines, line.level .. " " .. line.text) end
    stage:stop("hero")
    stage:run()
    return table.concat(lines, "|")
  end

  it("that is nearly a setting is told of", function()
    assert.equal("warn hero.lua: interleav is no setting: did you mean interleave?", warned "interleav = true")
    assert.equal("warn hero.lua: Memory is no setting: did you mean memory?", warned "Memory = '1MiB'")
    assert.equal("warn hero.lua: trhead is no setting: did you mean thread?", warned "trhead = 'own'")
    assert.equal("warn hero.lua: cpus is no setting: did you mean cpu?", warned "cpus = { 0 }")
    assert.equal("warn hero.lua: sliec is no setting: did you mean slice?", warned "sliec = '1s'")
  end)

  it("that is nearly one of the host's hooks is told of", function()
    assert.equal("warn hero.lua: on_strat is a handler of another type: did you mean on_start?",
      warned "on_strat = function() end")
    assert.equal("warn hero.lua: on_shutdwn is a handler of another type: did you mean on_shutdown?",
      warned "on_shutdwn = function() end")
    assert.equal("warn hero.lua: onStart is no handler: did you mean on_start?", warned "onStart = function() end")
    assert.equal("warn hero.lua: on_relaod is a handler of another type: did you mean on_reload?",
      warned "on_relaod = function() end")
  end)

  it("is anybody's own business else", function()
    assert.equal("", warned [[
      on_stat = function() end, on_star = function() end, on_stats = function() end, on_restart = function() end,
      on_own = function() end, on_done = function() end, on_many = function() end, on_end = function() end,
      once = function() end, only = function() end, on_Time_out = function() end,
      slot = 1, flow = 2, price = 3, threads = 4, failures = 5, versions = {}, limit = 6, name = "x", config = {},
    ]])
  end)

  it("is left alone if the right one is there too", function()
    assert.equal("", warned "on_strat = function() end, on_start = function() end, memroy = 1, memory = '1MiB'")
  end)

  it("matters among global functions as well, but only those", function()
    assert(stage:spawn { name = "hero", source = "interleav = true function on_strat() end" })
    assert.equal("hero.lua: on_strat is a handler of another type: did you mean on_start?", stage:log()[1].text)
  end)
end)
