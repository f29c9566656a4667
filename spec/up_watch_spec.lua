-- A topology that is saved while it is up: what differs is done, or refused with the reason,
-- and the old one goes on.
local process = require "spec.support.process"
local topologies = require "spec.support.topologies"

-- Says its config, and every new one.
local TELLER = [[
  local Teller = {}
  local function name() return tostring(actor.self):match("^[^@]+") end
  local function say(_, config) print(("%s says %s"):format(name(), config.word)) end
  function Teller:on_start() say(self, self.config) end
  function Teller:on_config(config)
    say(self, config)
    if config.to then
      local answer = config.to:ask("Ping")
      print(("%s heard %s"):format(name(), answer and answer.name or "nothing"))
    end
  end
  function Teller:on_ping(_, env) env:reply("Pong", { name = name() }) end
  function Teller:on_shutdown() print(name() .. " ends") end
  return Teller
]]

local QUIET = 'return { on_start = function(self) print("quiet with " .. tostring(self.config.word)) end }'

local function topology_of(nodes)
  return 'return topology "talk" {\n' .. table.concat(nodes, ",\n") .. "\n}\n"
end

local FIRST = 'node "first" { bind = ":PORT1", actor "one" { "teller.lua", config = { word = "hello" } } }'
local SECOND = 'node "second" { bind = ":PORT2", after = "first", actor "two" { "teller.lua", config = { word = "there" } } }'

local place, up
before_each(function()
  place = topologies.make { ["teller.lua"] = TELLER, ["quiet.lua"] = QUIET, ["talk.lua"] = topology_of { FIRST, SECOND } }
end)
after_each(function()
  process.end_all()
  place:remove()
end)

local function save(...)
  place:write("talk.lua", topology_of { ... })
end

for _, way in ipairs(topologies.WAYS) do
  local what, flag = way[1], way[2]

  describe("a topology that is saved while it is up " .. what, function()
    before_each(function()
      up = place:up("talk.lua", "-w", flag)
      up:line("talk is up")
    end)

    it("delivers a changed config as the message Config, to the actor only", function()
      save(FIRST:gsub("hello", "good evening"), SECOND)
      topologies.await(up, { "one says good evening", "talk.lua: Config to one" })
      assert.equal(0, up:stop("TERM").code)
    end)

    it("starts actors that are new before others are told of them, and then stops those that are gone", function()
      save(FIRST:gsub('word = "hello"', 'word = "again", to = ref "three"'),
           (SECOND:gsub(" }$", ', actor "three" { "teller.lua", config = { word = "new" } } }')))
      topologies.await(up, { "three says new", "one says again", "one heard three", "talk.lua: added three, Config to one" })
      save(FIRST, (SECOND:gsub('actor "two" { "teller.lua", config = { word = "there" } }',
                               'actor "four" { "teller.lua", config = { word = "4" } }')))
      topologies.await(up, { "four says 4", "one says hello", "two ends", "three ends",
                             "talk.lua: added four, Config to one, stopped two, three" })
      assert.equal(0, up:stop("TERM").code)
    end)

    it("refuses what cannot be while it runs, and says what", function()
      save(FIRST:gsub("teller", "quiet"), SECOND)
      up:line("actor 'one': its script cannot be changed while it runs")
      up:line("talk.lua: not applied: the old topology goes on")
      save(FIRST:gsub("PORT1", "PORT3"), SECOND)
      assert.matches("its bind cannot be changed while it runs", up:line("bind"), 1, true)
      up:line("not applied")
      save(FIRST:gsub("hello", "well"), SECOND)
      up:line("one says well")
      assert.equal(0, up:stop("TERM").code)
    end)

    it("refuses a new config for a script that has no on_config", function()
      save(FIRST, (SECOND:gsub(" }$", ', actor "quiet" { "quiet.lua", config = { word = "a" } } }')))
      topologies.await(up, { "quiet with a", "added quiet" })
      save(FIRST:gsub("hello", "well"), (SECOND:gsub(" }$", ', actor "quiet" { "quiet.lua", config = { word = "b" } } }')))
      assert.matches("actor 'quiet': its config cannot be changed while it runs: .*quiet.lua has no on_config %(write one%)$", up:line("no on_config"))
      up:line("not applied")
      save(FIRST:gsub("hello", "better"), SECOND)
      up:line("one says better") -- and never "well"
      assert.equal(0, up:stop("TERM").code)
    end)

    it("goes on as it was while the file has errors", function()
      save(FIRST:gsub("teller", "taller"), (SECOND:gsub("there", "nobody")))
      assert.matches("^up       | .*talk.lua:2: .*taller.lua", up:line("taller"))
      up:line("not applied: the old topology goes on")
      place:write("talk.lua", "return topology 'talk' {")
      assert.matches("talk.lua:1: ", up:line("talk.lua:1"), 1, true)
      up:line("not applied")
      save(FIRST:gsub("hello", "well"), SECOND)
      up:line("one says well")
      assert.equal(0, up:stop("TERM").code)
    end)

    it("says what of a change could not be done", function()
      place:write("broken.lua", 'return { on_start = function() error("it is broken", 0) end }')
      save(FIRST:gsub("hello", "never"), (SECOND:gsub(" }$", ', actor "broken" { "broken.lua" } }')))
      up:line("actor 'broken' could not start: it is broken")
      up:line("talk.lua: could not be applied as a whole; not done: added broken, Config to one")
      save(FIRST:gsub("hello", "well"), SECOND)
      topologies.await(up, { "one says well", "Config to one" })
      assert.equal(0, up:stop("TERM").code)
    end)

    it("takes over a saved script", function()
      place:write("teller.lua", (TELLER:gsub('says %%s', 'sings %%s')))
      for _ = 1, flag and 1 or 2 do up:line("teller.lua: #1 -> #2") end -- each process says so
      save(FIRST:gsub("hello", "la"), SECOND)
      up:line("one sings la")
      assert.equal(0, up:stop("TERM").code)
    end)

    it("is gone for a while, and nothing happens until it is there again and differs", function()
      os.remove(place:at("talk.lua"))
      up:line("talk.lua is gone: the topology goes on")
      save(FIRST:gsub("hello", "back"), SECOND)
      up:line("one says back")
      assert.equal(0, up:stop("TERM").code)
    end)

    it("becomes a pipe, which is not read, for nobody may ever write into it", function()
      os.remove(place:at("talk.lua"))
      up:line("talk.lua is gone")
      assert(os.execute("mkfifo " .. place:at("talk.lua")))
      up:line("talk.lua is no file any more")
      up:line("not applied: the old topology goes on")
      save(FIRST:gsub("hello", "back"), SECOND)
      up:line("one says back")
      assert.equal(0, up:stop("TERM").code)
    end)

    it("starts a killed process with what was saved last", function()
      save(FIRST:gsub("hello", "later"), SECOND)
      topologies.await(up, { "one says later", "Config to one" })
      local node = flag and "talk" or "first" -- the oldest child
      assert(os.execute(("pkill -KILL -o -P $(pgrep -f '^[^ ]*troupe up %s')"):format(place:at("talk.lua"))))
      up:line(node .. " was killed")
      up:line("one says later")
      assert.equal(0, up:stop("TERM").code)
    end)
  end)
end

describe("a topology in processes of its own, saved while it is up", function()
  before_each(function()
    up = place:up("talk.lua", "-w")
    up:line("talk is up")
  end)

  local THIRD = 'node "third" { bind = ":PORT3", after = "second", actor "three" { "teller.lua", config = { word = "new" } } }'

  it("starts nodes that are new, tells the others where they are, and stops those that are gone", function()
    save(FIRST:gsub('word = "hello"', 'word = "you", to = ref "three"'), SECOND, THIRD)
    topologies.await(up, { "three says new", "third is ready", "one heard three",
                           "talk.lua: started node third, Config to one" })
    save(FIRST, (THIRD:gsub('after = "second", ', "")))
    topologies.await(up, { "two ends", "talk.lua: Config to one, stopped node second" })
    local down = place:run("down", "talk.lua")
    assert.matches("^talk is down %(process %d+%): first, third\n$", down.out)
    assert.equal(0, up:wait().code)
  end)

  it("does nothing further when a new node cannot start", function()
    save(FIRST:gsub("hello", "never"), SECOND, (THIRD:gsub("teller", "quiet"):gsub("PORT3", "PORT2")))
    up:line("not applied") -- check finds one port twice
    local holder = process.start(process.troupe { "run", place:at("quiet.lua"), "--bind", ":" .. place.ports[3] })
    holder:error_line("listening")
    save(FIRST:gsub("hello", "never"), SECOND, THIRD)
    up:line("third cannot start")
    up:line("talk.lua: could not be applied as a whole; not done: started node third, Config to one")
    holder:stop("TERM")
    save(FIRST:gsub("hello", "now"), SECOND, THIRD)
    up:line("third is ready")
    assert.matches("one says now", up:line("one says"), 1, true)
    assert.equal(0, up:stop("TERM").code)
  end)

  it("does at SIGHUP what -w does by itself", function()
    assert.equal(0, up:stop("TERM").code)
    up = place:up("talk.lua")
    up:line("talk is up")
    place:write("teller.lua", (TELLER:gsub('says %%s', 'sings %%s')))
    save(FIRST:gsub("hello", "hup"), SECOND)
    up:signal_directly("HUP")
    up:line("SIGHUP: the scripts are reloaded, and the topology is read again")
    topologies.await(up, { "Config to one", "teller.lua: #1 -> #2", "teller.lua: #1 -> #2" })
    save(FIRST:gsub("hello", "hop"), SECOND)
    up:signal_directly("HUP")
    up:line("one sings hop")
    assert.equal(0, up:stop("TERM").code)
  end)
end)
