-- Watching: an actor is told of another's end, once, with the reason, whatever
-- else it does meanwhile; until it wants to hear of it no more.
local Stage = require "troupe.stage"
local program = require "spec.support.program"

-- Watches whom it is told to and prints each Down. It knows those that it has
-- spawned or been sent, by name.
--   Watch, Unwatch { ref }      prints what the call returns, if it is not true
--   Work {}                     prints "work"
--   Wait { type }               waits for a message of that type, and prints it
local WATCHER = [[
  local Watcher = {}
  local function show(msg)
    print(("down %s: %s"):format(msg.name, msg.reason))
  end
  function Watcher:on_watch(msg)
    local done, why = actor.watch(msg.ref)
    if done ~= true then print(tostring(done), why.reason) end
  end
  function Watcher:on_unwatch(msg) print("unwatched " .. tostring(actor.unwatch(msg.ref))) end
  function Watcher:on_down(msg, env)
    assert(env.from == nil and env.type == "Down" and not env.remote)
    self.who = msg.who
    show(msg)
  end
  function Watcher:on_work() print("work") end
  function Watcher:on_wait(msg)
    local got, env = actor.receive(msg.type, { timeout = "1h" })
    if not got then return print("waited for nothing: " .. env.reason) end
    if env.type == "Down" then print("received") show(got) else print("received " .. env.type) end
  end
  function Watcher:on_is_who(msg, env) env:reply("Is", { it = self.who == msg.ref }) end
  return Watcher
]]

-- Ends in all the ways there are.
local MORTAL = [[
  local Mortal = {}
  function Mortal:on_exit(msg) actor.exit(msg.reason) end
  function Mortal:on_fail() error("as asked") end
  function Mortal:on_hoard() local t = {} while true do t[#t + 1] = ("x"):rep(1000) .. #t end end
  function Mortal:on_loop() while true do end end
  return Mortal
]]

describe("a watch", function()
  local stage, watcher, mortal

  before_each(function()
    stage = Stage.new()
    watcher = assert(stage:spawn({ name = "watcher", source = WATCHER }))
    mortal = assert(stage:spawn({ name = "mortal", source = MORTAL, failure = "stop" }))
    stage:run()
  end)
  after_each(function() if stage then stage:close() end end)

  local function watch(ref)
    stage:send(watcher, "Watch", { ref = ref or mortal })
    stage:run()
  end

  describe("tells of an end", function()
    local function ends_with(expected, type, msg)
      watch()
      stage:send(mortal, type, msg)
      stage:run()
      assert.same({ "down mortal: " .. expected }, stage:output())
      stage:log()
      stage:dead_letters()
    end

    it("by exit as normal", function() ends_with("normal", "Exit", {}) end)
    it("by exit with the reason given", function() ends_with("had enough", "Exit", { reason = "had enough" }) end)

    it("by stop as normal", function()
      watch()
      stage:stop(mortal)
      stage:run()
      assert.same({ "down mortal: normal" }, stage:output())
    end)

    it("by a failure with the first line of its report", function()
      watch()
      stage:send(mortal, "Fail")
      stage:run()
      local output = stage:output()
      assert.equal(1, #output)
      assert.matches("^down mortal: error: .*:%d+: as asked$", output[1])
      stage:log()
      stage:dead_letters()
    end)

    it("by a full memory", function()
      stage:close()
      stage = Stage.new()
      watcher = assert(stage:spawn({ name = "watcher", source = WATCHER }))
      mortal = assert(stage:spawn({ name = "mortal", source = MORTAL, failure = "stop", memory = "1MiB" }))
      ends_with("memory", "Hoard")
    end)

    it("by a handler without end", function() ends_with("slow", "Loop") end)

    it("with a long reason, of which at most 599 bytes are told, and no half letter", function()
      local reason = ("é"):rep(250)
      ends_with(reason, "Exit", { reason = reason })
    end)

    it("with a reason that is cut between two letters", function()
      ends_with("a" .. ("é"):rep(299), "Exit", { reason = "a" .. ("é"):rep(400) })
    end)

    it("with a reason that is cut before a letter that would not fit", function()
      ends_with(("é"):rep(299), "Exit", { reason = ("é"):rep(400) })
    end)

    it("which took its name with it: whoever hears of it can use that again", function()
      assert(stage:spawn({ name = "keeper", source = [[
        function on_watch(self, msg) actor.watch(msg.ref) end
        function on_down(self, msg)
          print(("%s is gone, its name is free: %s"):format(msg.name, actor.ref("mortal") ~= msg.who))
        end
      ]] }))
      stage:send("keeper", "Watch", { ref = mortal })
      stage:run()
      stage:stop(mortal)
      stage:run()
      assert.same({ "mortal is gone, its name is free: true" }, stage:output())
    end)
  end)

  describe("of one who is not there", function()
    it("tells so at once: it has ended", function()
      stage:stop(mortal)
      stage:run()
      watch()
      assert.same({ "down an ended actor: no such actor" }, stage:output())
    end)

    it("tells so at once: nobody has that name", function()
      watcher = assert(stage:spawn({ name = "by_name", source = [[
        function on_start() actor.watch(actor.ref("nobody")) end
        function on_down(_, msg) print(msg.name, msg.reason, msg.who == actor.ref("nobody")) end
      ]] }))
      stage:run()
      assert.same({ "nobody\tno such actor\ttrue" }, stage:output())
    end)

    it("elsewhere, where nobody can be reached, is unreachable", function()
      assert(stage:spawn({ name = "by_name", source = [[
        function on_start() actor.watch(actor.ref("pong@tcp://127.0.0.1:9")) end
        function on_down(_, msg) print(msg.name, msg.reason, msg.who == actor.ref("pong@tcp://127.0.0.1:9")) end
      ]] }))
      stage:run()
      assert.same({ "pong\tunreachable\ttrue" }, stage:output())
    end)
  end)

  it("by a name that was nobody's when the ref was made finds who has it now", function()
    assert(stage:spawn({ name = "by_name", source = [[
      function on_start(self) self.ref = actor.ref("late") end
      function on_watch(self) actor.watch(self.ref) end
      function on_kill(self, msg)
        msg.ref:stop()
        actor.sleep("1s")               -- its notice is queued, and its name nobody's
        print(actor.unwatch(self.ref))
      end
      function on_down(self, msg) print(msg.name, msg.reason, msg.who == self.ref) end
    ]] }))
    stage:run()
    local late = assert(stage:spawn({ name = "late", source = MORTAL }))
    stage:send("by_name", "Watch")
    stage:run()
    stage:stop(late)
    stage:run()
    assert.same({ "late\tnormal\ttrue" }, stage:output())

    late = assert(stage:spawn({ name = "late", source = MORTAL }))
    stage:send("by_name", "Watch")
    stage:send("by_name", "Kill", { ref = late })
    stage:advance("2s")
    assert.same({ "true" }, stage:output())
  end)

  it("is one, however often it is begun", function()
    for _ = 1, 3 do watch() end
    stage:stop(mortal)
    stage:run()
    assert.same({ "down mortal: normal" }, stage:output())
  end)

  it("is told of with the ref that was watched", function()
    watch()
    stage:stop(mortal)
    stage:run()
    assert.is_true((stage:ask(watcher, "IsWho", { ref = mortal })).it)
    stage:output()
  end)

  it("without on_down is silent", function()
    assert(stage:spawn({ name = "deaf", source = [[
      function on_watch(self, msg) actor.watch(msg.ref) end
      function on_any() print("any") end
    ]] }))
    stage:send("deaf", "Watch", { ref = mortal })
    stage:run()
    stage:stop(mortal)
    stage:run()
    assert.same({}, stage:output())
    assert.same({}, stage:log())
    assert.same({}, stage:dead_letters())
  end)

  it("ends with its watcher", function()
    watch()
    stage:stop(watcher)
    stage:run()
    stage:stop(mortal)
    stage:run()
    assert.same({}, stage:output())
  end)

  it("whose handler fails says so, and the Down is a dead letter", function()
    assert(stage:spawn({ name = "clumsy", source = [[
      function on_watch(self, msg) actor.watch(msg.ref) end
      function on_down() error("oh") end
    ]] }))
    stage:send("clumsy", "Watch", { ref = mortal })
    stage:run()
    stage:stop(mortal)
    stage:run()
    local letters = stage:dead_letters()
    assert.equal(1, #letters)
    assert.equal("Down", letters[1].type)
    assert.equal(1, #stage:log())
  end)

  describe("that is ended", function()
    it("is not told of", function()
      watch()
      stage:send(watcher, "Unwatch", { ref = mortal })
      stage:run()
      stage:stop(mortal)
      stage:run()
      assert.same({ "unwatched true" }, stage:output())
    end)

    it("is not told of even if the notice is queued already", function()
      assert(stage:spawn({ name = "busy", source = [[
        function on_watch(self, msg) actor.watch(msg.ref) end
        function on_kill(self, msg)
          msg.ref:stop()
          actor.sleep("1s")               -- it ends meanwhile, and the notice waits
          print(actor.unwatch(msg.ref))
        end
        function on_down() print("down") end
      ]] }))
      stage:send("busy", "Watch", { ref = mortal })
      stage:send("busy", "Kill", { ref = mortal })
      stage:advance("2s")
      assert.is_false(stage:alive(mortal))
      assert.same({ "true" }, stage:output())
    end)

    it("can be begun anew, and says at once what has become of it", function()
      assert(stage:spawn({ name = "busy", source = [[
        function on_watch(self, msg) actor.watch(msg.ref) end
        function on_kill(self, msg)
          msg.ref:stop()
          actor.sleep("1s")
          actor.unwatch(msg.ref)
          actor.watch(msg.ref)
        end
        function on_down(self, msg) print("down " .. msg.reason) end
      ]] }))
      stage:send("busy", "Watch", { ref = mortal })
      stage:send("busy", "Kill", { ref = mortal })
      stage:advance("2s")
      assert.same({ "down no such actor" }, stage:output())
    end)

    it("was none: false", function()
      stage:send(watcher, "Unwatch", { ref = mortal })
      stage:run()
      assert.same({ "unwatched false" }, stage:output())
    end)
  end)

  describe("and other mail", function()
    it("overtakes what waits in a full mailbox", function()
      watcher = assert(stage:spawn({ name = "full", source = WATCHER, mailbox = { limit = 2, overflow = "fail" } }))
      watch()
      stage:send(watcher, "Work")
      stage:send(watcher, "Work")
      assert.is_nil((stage:send(watcher, "Work")))
      stage:stop(mortal)
      -- whoever ran first on this stage: the notice comes before the mail that was there
      stage:run()
      local output = stage:output()
      table.sort(output)
      assert.same({ "down mortal: normal", "work", "work" }, output)
    end)

    it("waits until a handler that waits has ended, and comes before the rest", function()
      watch()
      stage:send(watcher, "Wait", { type = "Go" })
      stage:run()
      stage:stop(mortal)
      stage:send(watcher, "Work")
      stage:run()
      assert.same({}, stage:output())
      stage:send(watcher, "Go")
      stage:run()
      assert.same({ "received Go", "down mortal: normal", "work" }, stage:output())
    end)

    it("is taken by receive", function()
      watch()
      stage:send(watcher, "Wait", { type = "Down" })
      stage:run()
      stage:stop(mortal)
      stage:run()
      assert.same({ "received", "down mortal: normal" }, stage:output())
    end)

    it("that was cancelled is not taken by receive", function()
      local other = assert(stage:spawn({ name = "other", source = MORTAL }))
      assert(stage:spawn({ name = "busy", source = [[
        function on_watch(self, msg) actor.watch(msg.one) actor.watch(msg.other) end
        function on_kill(self, msg)
          msg.one:stop()
          actor.sleep("1s")
          actor.unwatch(msg.one)
          msg.other:stop()
          print(actor.receive("Down").name)
        end
        function on_down(self, msg) print("down " .. msg.name) end
      ]] }))
      stage:send("busy", "Watch", { one = mortal, other = other })
      stage:send("busy", "Kill", { one = mortal, other = other })
      stage:advance("2s")
      assert.same({ "other" }, stage:output())
    end)
  end)

  it("of many who end is told once of each, in any interleaving", function()
    for seed = 1, 60 do
      local crowd = Stage.new { seed = seed }
      assert(crowd:spawn({ name = "hub", source = [[
        function on_start(self) self.downs = {} end
        function on_watch(self, msg)
          for _, ref in ipairs(msg.refs) do actor.watch(ref) end
        end
        function on_down(self, msg) self.downs[msg.name] = (self.downs[msg.name] or 0) + 1 end
        function on_get(self, msg, env) env:reply("Downs", self.downs) end
      ]] }))
      local refs, expected = {}, {}
      for i = 1, 12 do
        local name = "m" .. i
        refs[i] = assert(crowd:spawn({ name = name, source = MORTAL }))
        expected[name] = 1
      end
      crowd:send("hub", "Watch", { refs = refs })
      for i = 1, 12 do crowd:stop(refs[i]) end -- before, while and after it is watched
      crowd:run()
      local downs = assert(crowd:ask("hub", "Get"))
      local count = downs["an ended actor"] or 0
      for name, times in pairs(downs) do
        if name ~= "an ended actor" then
          assert.equal(1, times, name)
          count = count + 1
        end
      end
      assert.equal(12, count, "seed " .. seed)
      crowd:close()
    end
  end)

  describe("refuses", function()
    local function answer(source)
      local asker = assert(stage:spawn({ source = ([[
        function on_try(self, msg, env)
          local fine, why = pcall(function() %s end)
          env:reply("Why", { why = tostring(why) })
        end
      ]]):format(source) }))
      return assert(stage:ask(asker, "Try")).why
    end

    it("what is no ref", function()
      assert.matches('actor%.watch: a ref is expected, not a string', answer 'actor.watch("mortal")')
      assert.matches('actor%.unwatch: a ref is expected, not a nil', answer 'actor.unwatch(nil)')
    end)

    it("the actor itself", function()
      assert.matches("actor%.watch: an actor cannot be told of its own end", answer "actor.watch(actor.self)")
    end)

    it("where flat JSON is spoken", function()
      assert.matches("flat JSON", answer 'actor.watch(actor.ref("registry@flat::5555"))')
    end)

    it("the top level", function()
      local made, why = stage:spawn({ source = "actor.watch(actor.ref('mortal')) function on_x() end" })
      assert.is_nil(made)
      assert.matches("top level only defines", why)
    end)
  end)

  it("does what docs/watching.md shows", function()
    local page <close> = assert(io.open("docs/watching.md"))
    local script, expected = page:read("a"):match("```lua\n(%-%- mourner.lua.-%-%-> ([^\n]+)\n.-)```")
    local path = os.tmpname()
    os.rename(path, path .. ".lua")
    local file <close> = assert(io.open(path .. ".lua", "w"))
    file:write((script:gsub('"mourner"', ("%q"):format(path .. ".lua"))))
    file:close()
    local ended = program.run { path .. ".lua" }
    os.remove(path .. ".lua")
    assert.same({ 0, expected .. "\n" }, { ended.code, ended.out })
  end)
end)
