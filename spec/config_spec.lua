-- lua/troupe/config.lua: what a config may say, what becomes of it, and what is said of mistakes.
local Stage = require "troupe.stage"

describe("a config", function()
  local stage

  before_each(function() stage = Stage.new() end)
  after_each(function() stage:close() end)

  -- What `config.read(given, fields)` gives for the field `it`, as text; or what it raises.
  local function read(given, field)
    assert(stage:spawn { name = "hero", source = ([[
      local config = require "troupe.config"
      function on_start()
        local fine, got = pcall(config.read, %s, { it = %s, other = { kind = "count" } })
        local value = fine and got.it
        print(fine and (math.type(value) or type(value)) or "raises", fine and tostring(value) or got)
        actor.exit()
      end]]):format(given, field) })
    stage:run()
    local line = stage:output()[1]:gsub("\t", " ")
    return line
  end

  it("has defaults, which are written as in a config", function()
    assert.equal("float 2.5", read("{}", '{ kind = "duration", default = "2.5s" }'))
    assert.equal("nil nil", read("{}", '{ kind = "duration" }'))
    assert.equal("boolean false", read("{}", '{ kind = "boolean", default = false }'))
  end)

  it("turns durations into seconds, and sizes into bytes", function()
    for text, seconds in pairs { ['"250ms"'] = 0.25, ['"2s"'] = 2.0, ['"1m"'] = 60.0, ['"1h"'] = 3600.0, ["3"] = 3.0 } do
      assert.equal("float " .. seconds, read(("{ it = %s }"):format(text), '{ kind = "duration" }'))
    end
    for text, bytes in pairs { ['"64KiB"'] = 65536, ['"1MiB"'] = 1048576, ["17"] = 17, ['"17B"'] = 17, ["0"] = 0 } do
      assert.equal("integer " .. bytes, read(("{ it = %s }"):format(text), '{ kind = "bytes" }'))
    end
  end)

  it("that is wrong is refused, with the field and what is expected", function()
    for given, case in pairs {
      ['{ it = "2 s" }'] = { '{ kind = "duration" }', 'config.it: a duration ("250ms", "2s", a number of seconds) is expected, not \'2 s\'' },
      ['{ it = -1 }'] = { '{ kind = "duration" }', "is expected, not -1" },
      ['{ it = 0/0 }'] = { '{ kind = "number" }', "config.it: a number is expected, not " },
      ['{ it = "1TiB" }'] = { '{ kind = "bytes" }', "is expected, not '1TiB'" },
      ['{ it = 1/0 }'] = { '{ kind = "bytes" }', "is expected, not inf" },
      ['{ it = 1.5 }'] = { '{ kind = "count" }', "config.it: a whole number is expected, not 1.5" },
      ['{ it = "" }'] = { '{ kind = "text" }', "config.it: a text is expected, not ''" },
      ['{ it = {} }'] = { '{ kind = "text" }', "is expected, not a table" },
      ['{ it = "x" }'] = { '{ kind = "table" }', "config.it: a table is expected, not 'x'" },
      ['{ it = json.null }'] = { '{ kind = "boolean" }', "config.it: true or false is expected, not null" },
      ['{ it = 7 }'] = { '{ kind = "target" }', "config.it: a ref, or an actor's address" },
      ['{ it = "wran" }'] = { '{ kind = "word", words = { "info", "warn" } }',
                                 "config.it: one of info, warn is expected, not 'wran' (did you mean 'warn'?)" },
      ['{ it = { "inof" } }'] = { '{ kind = "words", words = { "info", "warn" } }', "config.it: a list of some of info, warn is expected, not 'inof' (did you mean 'info'?)" },
      ['{ it = { info = true } }'] = { '{ kind = "words", words = { "info", "warn" } }', "config.it: a list of some of info, warn is expected, not a table" },
      ['{ it = 11 }'] = { '{ kind = "count", most = 10 }', "config.it: a whole number of at most 10 is expected, not 11" },
      ['{ it = 1 }'] = { '{ kind = "count", least = 2 }', "config.it: a whole number of at least 2 is expected, not 1" },
      ['{ it = 0 }'] = { '{ kind = "duration", above = 0 }', 'config.it: a duration ("250ms", "2s", a number of seconds) of more than 0 s is expected, not 0' },
      ['{ it = 12 }'] = { '{ kind = "number", above = 0, most = 9 }', "config.it: a number of more than 0 and at most 9 is expected, not 12" },
      ['{ it = 3 << 20 }'] = { '{ kind = "bytes", least = 1, most = 64 }', "from 1 bytes to 64 bytes is expected, not 3145728" },
      ['{ it = "5s..1s" }'] = { '{ kind = "waits" }', 'config.it: the shortest and the longest wait, as "100ms..5s", of at least 1ms, is expected' },
      ['{ it = { a = 1 } }'] = { '{ kind = "list" }', "config.it: a list is expected, not a table" },
      ['{ it = "a" }'] = { '{ kind = "table" }', "config.it: a table is expected, not 'a'" },
      ['{ it = { mux = 1 } }'] = { '{ kind = "table", fields = { max = { kind = "count" } } }',
                                   "config.it has no 'mux' (did you mean 'max'?)" },
      ['{ it = { max = "a" } }'] = { '{ kind = "table", fields = { max = { kind = "count" } } }',
                                     "config.it.max: a whole number is expected, not 'a'" },
      ['{ it = { } }'] = { '{ kind = "table", fields = { max = { kind = "count", needed = true } } }',
                           "config.it.max: a whole number is expected, but it is missing" },
      ['{}'] = { '{ kind = "count", needed = true }', "config.it: a whole number is expected, but it is missing" },
    } do
      local got = read(given, case[1])
      assert.equal("raises", got:match("^%S+"), given)
      assert.matches(case[2], got, 1, true)
    end
  end)

  it("has no fields but those, and says which may be meant", function()
    for wrong, meant in pairs { othr = "other", ohter = "other", Other = "other", others = "other" } do
      assert.equal(("raises config has no '%s' (did you mean '%s'?)"):format(wrong, meant),
                   read(("{ %s = 1 }"):format(wrong), '{ kind = "count" }'))
    end
    assert.equal("raises config has no 'colour'", read("{ colour = 1 }", '{ kind = "count" }'))
  end)
end)
