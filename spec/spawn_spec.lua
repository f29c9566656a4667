-- How actors come into the world: the script is found, its top level defines,
-- its options are settled, and its on_start is the first thing it does.
local Stage = require "troupe.stage"

-- A folder of scripts that lasts for one spec.
local function make_folder(scripts)
  local folder = os.tmpname()
  os.remove(folder)
  assert(os.execute(("mkdir -p '%s/sub'"):format(folder)))
  for name, text in pairs(scripts) do
    local file = assert(io.open(folder .. "/" .. name, "w"))
    file:write(text)
    file:close()
  end
  return folder
end

local function remove_folder(folder)
  os.execute(("rm -rf '%s'"):format(folder))
end

-- Does nothing, and can therefore be spawned anywhere.
local IDLE = [[function on_ping(self, msg, env) env:reply("Pong") end]]

describe("an actor's birth", function()
  local stage, folder

  before_each(function()
    stage = Stage.new()
    folder = make_folder { ["idle.lua"] = IDLE }
  end)
  after_each(function()
    stage:close()
    remove_folder(folder)
  end)

  -- Runs `body`, in which IDLE is the path of a script, as the on_start of an actor
  -- called "parent"; answers what was printed.
  local function start(body)
    body = body:gsub("IDLE", folder .. "/idle")
    assert(stage:spawn({ source = "function on_start(self, msg, env)\n" .. body .. "\nend", name = "parent" }))
    stage:run()
    return stage:output()
  end

  -- Why the stage would not spawn this text.
  local function refusal(text)
    local actor, why = stage:spawn({ source = text, name = "hero" })
    assert.is_nil(actor)
    assert.is_false(stage:alive("hero"))
    return why
  end

  local function folder_of(scripts)
    remove_folder(folder)
    folder = make_folder(scripts)
    return folder
  end

  describe("finding the script", function()
    it("looks beside the spawning script first, not beside whoever started that one", function()
      folder_of {
        ["boss.lua"] = [[
          function on_start() assert(actor.spawn("sub/clerk.lua", { name = "clerk" })) end
        ]],
        ["hand.lua"] = [[function on_start() print("the wrong hand") end]],
        ["sub/clerk.lua"] = [[
          function on_start() assert(actor.spawn("hand", { name = "hand" })) end
        ]],
        ["sub/hand.lua"] = [[function on_start() print("the hand beside the clerk") end]],
      }
      assert(stage:spawn(folder .. "/boss.lua"))
      stage:run()
      assert.same({ "the hand beside the clerk" }, stage:output())
    end)

    it("looks in the current folder next", function()
      folder_of { ["boss.lua"] = [[
        function on_start() print(actor.spawn("examples/counter.lua", { name = "counter" })) end
      ]] }
      assert(stage:spawn(folder .. "/boss.lua"))
      stage:run()
      assert.equal("counter", stage:output()[1])
    end)

    it("takes a path that begins with a slash as it is", function()
      folder_of { ["hello.lua"] = IDLE }
      start(("print(actor.spawn('%s/hello.lua', { name = 'h' }))"):format(folder))
      assert.is_true(stage:alive("h"))
    end)

    it("lets .lua be left out, and takes a folder of the same name for no script", function()
      folder_of { ["sub.lua"] = "function on_start() print(actor.name) end" }
      assert(stage:spawn(folder .. "/sub"))
      stage:run()
      assert.same({ "sub#1" }, stage:output())
    end)

    it("says where it looked for a missing one, and which may have been meant", function()
      local lines = start([[
        local none, why = actor.spawn("examples/conter")
        print(none, why.reason)
        print(why)
      ]])
      assert.equal("nil\tfailed", lines[1])
      assert.matches("^no script 'examples/conter': looked for examples/conter.lua in %., .*actors/; " ..
        "did you mean examples/counter.lua%?$", lines[2])
    end)

    it("refuses an empty name, a folder and a thing that is no text", function()
      folder_of {}
      assert.same({
        "nil\tno script: its name is empty",
        "false\tactor.spawn: the path of a script is expected, not a nil",
        "false\tactor.spawn: the path of a script is expected, not a number",
      }, start([[
        print(actor.spawn(""))
        print(pcall(actor.spawn))
        print(pcall(actor.spawn, 7))
      ]]))
      local actor, why = stage:spawn(folder .. "/sub/")
      assert.is_nil(actor)
      assert.is_string(why)
    end)
  end)

  describe("a script that does not load", function()
    it("is nil and why, never an error in who spawns it", function()
      folder_of { ["bad.lua"] = "local x =\n  = 3" }
      local lines = start(([[
        local none, why = actor.spawn("%s/bad")
        print(none, why.reason, why)
      ]]):format(folder))
      assert.equal(("nil\tfailed\t%s/bad.lua:2: unexpected symbol near '='"):format(folder), lines[1])
      assert.is_true(stage:alive("parent"))
    end)

    it("names file and line of a syntax error", function()
      assert.equal("hero.lua:3: syntax error near <eof>", refusal("\n\nfoo"))
    end)

    it("names file and line at which its top level failed", function()
      assert.equal("hero.lua:2: attempt to index a nil value (local 'x')",
        refusal("local x\nx.y = 1\nfunction on_ping() end"))
    end)

    it("is named even if what its top level raised is no text", function()
      assert.equal("hero.lua:2: (error object is a table: {code = 3})", refusal("\nerror { code = 3 }"))
      assert.equal("hero.lua:1: (error object is nil)", refusal("error()"))
      assert.equal("hero.lua:1: no luck", refusal("assert(false, 'no luck')"))
    end)

    it("may define nothing, which is an error", function()
      local nothing = "hero.lua: returns no table of on_<type> functions and defines none"
      assert.equal(nothing, refusal(""))
      assert.equal(nothing, refusal("return 3"))
      assert.equal(nothing, refusal("local function on_ping() end"))
    end)

    it("may give something else than a function for a handler", function()
      assert.equal("hero.lua: on_ping is a number, not a function", refusal("return { on_ping = 3 }"))
      assert.equal("hero.lua: on_ping is a table, not a function", refusal("on_ping = {}"))
    end)

    it("may spell the handler of one type twice", function()
      local why = refusal("return { on_market_depth = print, on_marketdepth = print }")
      assert.matches("^hero.lua: on_[%a_]+ and on_[%a_]+ are handlers of the same type$", why)
    end)

    it("may never end its top level", function()
      assert.matches("^hero.lua:1: stopped", refusal("while true do end"))
      assert.matches("^hero.lua:1: stopped",
        refusal("while true do pcall(function() while true do end end) end"))
    end)

    it("may be bytecode, which is never loaded", function()
      local why = refusal(string.dump(load("function on_ping() end")))
      assert.equal("hero.lua: compiled Lua (bytecode) is never loaded; give its source", why)
    end)

    it("may call os.exit, which is told and does not end the program", function()
      assert.equal("hero.lua:1: its top level calls os.exit", refusal("os.exit(1)"))
    end)

    it("leaves its name free", function()
      refusal("x x x")
      assert.truthy(stage:spawn({ source = IDLE, name = "hero" }))
    end)
  end)

  describe("the top level of a script", function()
    for what, call in pairs {
      ["send"] = 'actor.ref("parent"):send("X")',
      ["try_send"] = 'actor.ref("parent"):try_send("X")',
      ["ask"] = 'actor.ref("parent"):ask("X")',
      ["start_ask"] = 'actor.ref("parent"):start_ask("X")',
      ["stop"] = 'actor.ref("parent"):stop()',
      ["actor.spawn"] = 'actor.spawn("IDLE")',
      ["actor.exit"] = 'actor.exit()',
      ["actor.stop_host"] = 'actor.stop_host()',
      ["actor.after"] = 'actor.after(1, "X")',
      ["actor.every"] = 'actor.every(1, "X")',
      ["sleep"] = 'actor.sleep(0)',
      ["receive"] = 'actor.receive("X")',
      ["actor.self"] = 'print(actor.self)',
      ["actor.name"] = 'print(actor.name)',
    } do
      it("may not use " .. what, function()
        assert.equal(("hero.lua:2: %s: a script's top level only defines; do this in a handler"):format(what),
          refusal("function on_x() end\n" .. call))
      end)
    end

    it("may require modules, read the arguments, log and print", function()
      assert(stage:spawn({ name = "hero", source = [[
        local cjson = require "cjson"
        print(#actor.args, type(actor.now()), cjson ~= nil)
        log.info("defining")
        function on_x() end
      ]] }))
      assert.same({ "0\tnumber\ttrue" }, stage:output())
      assert.equal("hero (hero.lua): defining", stage:log()[1].text)
    end)
  end)

  describe("the two styles", function()
    it("are a returned table of on_ functions", function()
      local hero = assert(stage:spawn({ source = [[
        local Hero = {}
        function Hero:on_ping(msg, env) env:reply("Pong", { count = msg.count }) end
        return Hero
      ]] }))
      assert.same({ count = 1 }, (stage:ask(hero, "Ping", { count = 1 })))
    end)

    it("and global on_ functions", function()
      local hero = assert(stage:spawn({ source = [[
        function on_ping(self, msg, env) env:reply("Pong", { count = msg.count }) end
      ]] }))
      assert.same({ count = 2 }, (stage:ask(hero, "Ping", { count = 2 })))
    end)

    it("and a returned table counts alone, if there are both", function()
      local hero = assert(stage:spawn({ source = [[
        function on_ping(self, msg, env) env:reply("Global") end
        return { on_ping = function(self, msg, env) env:reply("Table") end }
      ]] }))
      local _, env = stage:ask(hero, "Ping")
      assert.equal("Table", env.type)
    end)

    it("and handlers may be inherited from a class", function()
      local hero = assert(stage:spawn({ source = [[
        local Base = {}
        Base.__index = Base
        function Base:on_ping(msg, env) env:reply("Pong") end
        return setmetatable({}, Base)
      ]] }))
      local _, env = stage:ask(hero, "Ping")
      assert.equal("Pong", env.type)
    end)
  end)

  describe("the name", function()
    it("is taken when spawn returns: mail waits, and on_start comes first", function()
      assert.same({ "parent is done", "on_start", "A", "B" }, start([[
        local child = assert(actor.spawn("]] .. folder_of {
          ["child.lua"] = [[
            function on_start() print("on_start") end
            function on_a() print("A") end
            function on_b() print("B") end
          ]],
        } .. [[/child", { name = "child" }))
        child:send("B")
        actor.ref("child"):send("A", nil, { priority = "high" })
        print("parent is done")
      ]]))
    end)

    it("is the file's with a number, if none is given", function()
      assert.same({ "idle#1\tidle#2\ttrue" }, start([[
        local a, b = actor.spawn("IDLE"), actor.spawn("IDLE.lua")
        print(a, b, a ~= b)
      ]]))
    end)

    it("is refused while somebody has it, and free when that one has ended", function()
      start([[
        local first = assert(actor.spawn("IDLE", { name = "one" }))
        local none, why = actor.spawn("IDLE", { name = "one" })
        print(none, why.reason, why)
      ]])
      stage:stop("one")
      stage:run()
      assert.is_false(stage:alive("one"))
      assert.truthy(stage:spawn({ source = IDLE, name = "one" }))
    end)

    it("says whose it is, when it is refused", function()
      assert.same({ "nil\tfailed\tan actor named 'parent' exists already" }, start([[
        local none, why = actor.spawn("IDLE", { name = "parent" })
        print(none, why.reason, why)
      ]]))
    end)

    it("may have letters, digits and _ . -, and nothing else", function()
      assert.same({ "aZ_9.-x" }, start([[print(actor.spawn("IDLE", { name = "aZ_9.-x" }))]]))
      for _, bad in ipairs { "", "a b", "a@b", "a/b", "ä", "a\0b", ("x"):rep(500) } do
        stage:close()
        stage = Stage.new()
        local line = start(([[print(pcall(actor.spawn, "IDLE", { name = %q }))]]):format(bad))[1]
        assert.matches("^false\tactor.spawn: name is made of letters, digits, '_', '.' and '-'", line)
      end
    end)
  end)

  describe("config", function()
    local SHOW = [[
      function on_start(self) print(type(self.config), next(self.config), self.config.n) end
    ]]

    it("is always a table", function()
      assert(stage:spawn({ source = SHOW }))
      assert(stage:spawn({ source = SHOW }, {}))
      assert(stage:spawn({ source = SHOW }, { n = 7 }))
      stage:run()
      assert.same({ "table\tnil\tnil", "table\tnil\tnil", "table\tn\t7" }, stage:output())
    end)

    it("is a table even without an on_start", function()
      local hero = assert(stage:spawn({ source = [[
        function on_get(self, msg, env) env:reply("Got", { kind = type(self.config), n = self.config.n }) end
      ]] }, { n = 8 }))
      assert.same({ kind = "table", n = 8 }, (stage:ask(hero, "Get")))
    end)

    it("is a copy: what the spawner changes later is not seen", function()
      folder_of { ["child.lua"] = [[function on_start(self) print(self.config.deep.n) end]] }
      assert.same({ "1" }, start(([[
        local config = { deep = { n = 1 } }
        assert(actor.spawn("%s/child", { config = config }))
        config.deep.n = 2
      ]]):format(folder)))
    end)

    it("may carry refs", function()
      folder_of { ["child.lua"] = [[function on_start(self) self.config.to:send("Hi") end]] }
      assert(stage:spawn({ name = "parent", source = ([[
        function on_start() assert(actor.spawn("%s/child", { config = { to = actor.self } })) end
        function on_hi(self, msg, env) print("hi from", env.from) end
      ]]):format(folder) }))
      stage:run()
      assert.same({ "hi from\tchild#1" }, stage:output())
    end)

    it("must have names and values that can be sent", function()
      assert.same({
        "false\tactor.spawn: config is a table, not 3",
        "false\tactor.spawn: config has string keys, and this is an array",
      }, start([[
        print(pcall(actor.spawn, "IDLE", { config = 3 }))
        print(pcall(actor.spawn, "IDLE", { config = { 1, 2 } }))
        local ok, why = pcall(actor.spawn, "IDLE", { config = { a = { b = print } } })
        assert(not ok and why:find("config.a.b: a function", 1, true), why)
      ]]))
    end)
  end)

  describe("options", function()
    for option, expected in pairs {
      ["name = 3"] = "name is made of letters, digits, '_', '.' and '-', not 3",
      ["mailbox = 3"] = "mailbox is a table of limit, bytes and overflow, not 3",
      ["mailbox = { limit = 0 }"] = "mailbox.limit is a number of messages from 1 to 4000000, not 0",
      ["mailbox = { limit = 1.5 }"] = "mailbox.limit is a number of messages from 1 to 4000000, not 1.5",
      ["mailbox = { bytes = 'much' }"] =
        "mailbox.bytes is \"16MiB\", \"1GiB\" or a number of bytes, not 'much'",
      ["mailbox = { overflow = 'burn' }"] =
        'mailbox.overflow is "wait", "fail", "drop_old" or "drop_new", not \'burn\'',
      ["mailbox = { limti = 4 }"] = "options of the mailbox have no 'limti' (did you mean 'limit'?)",
      ["thread = 'mine'"] = "thread is \"pool\", \"own\" or \"group:NAME\", not 'mine'",
      ["thread = 'group:'"] = "thread is \"pool\", \"own\" or \"group:NAME\", not 'group:'",
      ["failure = 'panic'"] = "failure is \"continue\", \"stop\", \"restart\" or \"escalate\", not 'panic'",
      ["memory = 'lots'"] = "memory is \"256MiB\", \"1GiB\" or a number of bytes, not 'lots'",
      ["memory = 0"] = "memory is \"256MiB\", \"1GiB\" or a number of bytes, not 0",
      ["slice = 0"] = "slice is a duration of more than 0, as \"5s\", not 0",
      ["slice = 0/0"] = "slice is a duration of more than 0, as \"5s\", not ",
      ["slow = 'kill'"] = "slow is \"report\" or \"stop\", not 'kill'",
      ["nmae = 'x'"] = "options have no 'nmae' (did you mean 'name'?)",
      ["version = 3"] = "options have no 'version'",
      ["'name'"] = "options have names, and this has a number for a key",
    } do
      it("refuse " .. option .. " at the caller's line", function()
        local lines = start(([[
          print(pcall(function()
            actor.spawn("IDLE", { %s })
          end))
        ]]):format(option))
        local wanted = "false\tparent.lua:3: actor.spawn: " .. expected
        assert.equal(wanted, lines[1]:sub(1, #wanted))
      end)
    end

    it("are a table, if they are given", function()
      assert.same({ "false\tactor.spawn: options are a table, not a string" },
        start([[print(pcall(actor.spawn, "IDLE", "me"))]]))
    end)

    it("may all be given", function()
      assert.same({ "all" }, start([[print(actor.spawn("IDLE", {
        name = "all", config = {}, mailbox = { limit = 3, bytes = "1MiB", overflow = "fail" },
        thread = "pool", failure = "stop", memory = "8MiB", slice = "250ms", slow = "stop",
      }))]]))
    end)

    it("of a script that says one wrong stop its load, with the script's name", function()
      assert.equal("hero.lua: failure is \"continue\", \"stop\", \"restart\" or \"escalate\", not 'panic'",
        refusal("return { on_x = print, failure = 'panic' }"))
      assert.equal("hero.lua: options of the mailbox have no 'limti' (did you mean 'limit'?)",
        refusal("return { on_x = print, mailbox = { limti = 3 } }"))
      assert.equal("hero.lua: version is a number or a string, not a table",
        refusal("return { on_x = print, version = {} }"))
    end)

    local SMALL = [[
      local Small = { mailbox = { limit = 2, overflow = "fail" }, failure = "stop", memory = "2MiB" }
      function Small:on_fail() error("as asked") end
      function Small:on_note() end
      function Small:on_eat(msg, env)
        local hoard = {}
        for i = 1, msg.kib do hoard[i] = ("x"):rep(1024) .. i end
        env:reply("Eaten")
      end
      return Small
    ]]

    it("are the script's own fields, where the spawner says nothing", function()
      folder_of { ["small.lua"] = SMALL }
      assert.same({ "true", "true", "nil\tfull" }, start(([[
        local small = assert(actor.spawn("%s/small", { name = "small" }))
        print(small:try_send("Note"))
        print(small:try_send("Note"))
        local none, why = small:try_send("Note")
        print(none, why.reason)
      ]]):format(folder)))
      local none, why = stage:ask("small", "Eat", { kib = 4096 })
      assert.is_nil(none)
      assert.equal("failed", why.reason)
      assert.is_false(stage:alive("small"))
      stage:log()
    end)

    it("of the spawner go before the script's own, one by one", function()
      folder_of { ["small.lua"] = SMALL }
      assert.same({ "true", "true", "true", "nil\tfull" }, start(([[
        local small = assert(actor.spawn("%s/small", {
          name = "small", mailbox = { limit = 3 }, failure = "continue", memory = "64MiB",
        }))
        print(small:try_send("Note"))
        print(small:try_send("Note"))
        print(small:try_send("Note"))
        local none, why = small:try_send("Note") -- overflow is still the script's
        print(none, why.reason)
      ]]):format(folder)))
      local _, env = stage:ask("small", "Eat", { kib = 4096 })
      assert.equal("Eaten", env.type)
      stage:send("small", "Fail")
      stage:run()
      assert.is_true(stage:alive("small"))
      stage:log()
    end)
  end)

  describe("children", function()
    local TREE = [[
      function on_start(self)
        if self.config.depth > 0 then
          for i = 1, 2 do
            assert(actor.spawn("tree", { name = actor.name .. "." .. i, config = { depth = self.config.depth - 1 } }))
          end
        end
      end
      function on_shutdown() print(actor.name) end
      function on_fail() error("as asked") end
      function on_exit() actor.exit() end
    ]]
    local NAMES = { "t", "t.1", "t.2", "t.1.1", "t.1.2", "t.2.1", "t.2.2" }

    local function grow(failure)
      folder_of { ["tree.lua"] = TREE, ["root.lua"] = ([[
        function on_start() assert(actor.spawn("tree", { name = "t", config = { depth = 2 }, failure = %q })) end
      ]]):format(failure or "continue") }
      assert(stage:spawn(folder .. "/root.lua"))
      stage:run()
      for _, name in ipairs(NAMES) do assert.is_true(stage:alive(name), name) end
    end

    local function all_ended()
      stage:run()
      for _, name in ipairs(NAMES) do assert.is_false(stage:alive(name), name) end
      local ended = stage:output()
      table.sort(ended)
      local names = { table.unpack(NAMES) }
      table.sort(names)
      assert.same(names, ended)
      assert.is_true(stage:alive("root#1"))
    end

    it("end with their parent when it is stopped, three levels down", function()
      grow()
      stage:stop("t")
      all_ended()
    end)

    it("end with their parent when it exits", function()
      grow()
      stage:send("t", "Exit")
      all_ended()
    end)

    it("end with their parent when it fails for good", function()
      grow("stop")
      stage:send("t", "Fail")
      all_ended()
      assert.matches("as asked", stage:log()[1].text)
    end)

    it("end with a parent whose on_start spawned them and then failed", function()
      start([[
        assert(actor.spawn("IDLE", { name = "orphan" }))
        error("cannot start")
      ]])
      assert.is_false(stage:alive("parent"))
      assert.is_false(stage:alive("orphan"))
      stage:log()
    end)

    it("are not touched by the end of their brothers", function()
      grow()
      stage:stop("t.1")
      stage:run()
      assert.is_false(stage:alive("t.1.2"))
      assert.is_true(stage:alive("t.2.2"))
      stage:stop("root#1")
      stage:run()
      stage:output()
    end)
  end)

  describe("what an actor is to itself", function()
    it("is actor.self, the same as the ref of its name, also as a key", function()
      assert.same({ "true\tfound\tparent\tparent" }, start([[
        local by_name = actor.ref("parent")
        local keys = { [actor.self] = "found" }
        print(actor.self == by_name, keys[by_name], tostring(actor.self), actor.name)
      ]]))
    end)

    it("is another than a later actor of the same name", function()
      assert(stage:spawn({ name = "keeper", source = [[
        function on_note(self, msg) self.old = self.old or msg.who; print(self.old == msg.who) end
      ]] }))
      local CHILD = { name = "child", source = [[
        function on_start() actor.ref("keeper"):send("Note", { who = actor.self }) end
      ]] }
      assert(stage:spawn(CHILD))
      stage:run()
      stage:stop("child")
      stage:run()
      assert(stage:spawn(CHILD))
      stage:run()
      assert.same({ "true", "false" }, stage:output())
    end)

    it("is text with an address, for an actor elsewhere", function()
      assert.same({ "pong@tcp://127.0.0.1:5001\ttrue\tfalse" }, start([[
        local pong = actor.ref("pong@:5001")
        print(pong, pong == actor.ref("pong@tcp://127.0.0.1:5001"), pong == actor.ref("ping@:5001"))
      ]]))
    end)

    it("has arguments, which are a table of texts", function()
      assert.same({ "table\t0" }, start([[print(type(actor.args), #actor.args)]]))
    end)

    it("is refused for what is no address", function()
      local lines = start([[
        print(pcall(actor.ref))
        print(pcall(actor.ref, ""))
        print(pcall(actor.ref, "a@tcp://h:0"))
        print(pcall(actor.ref, {}))
      ]])
      for _, line in ipairs(lines) do assert.matches("^false\tactor.ref: ", line) end
    end)

    it("has no field but those of the manual, and suggests one", function()
      assert.same({ "false\tparent.lua:2: actor has no 'spwan' (did you mean 'spawn'?)" },
        start([[print(pcall(function() return actor.spwan end))]]))
    end)
  end)

  describe("the limit of actors", function()
    local BREEDER = [[
      function on_start(self)
        local count, why = 0
        repeat
          local child
          child, why = actor.spawn("%s/idle")
          if child then count = count + 1 end
        until not child
        print(count, why.reason, why)
      end
      function on_ping(self, msg, env) env:reply("Pong") end
    ]]

    it("is an answer to the spawner, and the others go on", function()
      stage:close()
      stage = Stage.new { actors = 20 }
      local breeder = assert(stage:spawn({ source = BREEDER:format(folder) }))
      local _, env = stage:ask(breeder, "Ping")
      assert.equal("Pong", env.type)
      assert.same({ "18\tfull\tthe host has its limit of 20 actors" }, stage:output())
    end)

    it("leaves room again when some have ended", function()
      stage:close()
      stage = Stage.new { actors = 20 }
      local breeder = assert(stage:spawn({ source = BREEDER:format(folder) }))
      stage:run()
      local none, why = stage:spawn({ source = IDLE })
      assert.is_nil(none)
      assert.equal("the host has its limit of 20 actors", why)
      stage:stop(breeder)
      stage:run()
      assert.truthy(stage:spawn({ source = IDLE }))
      stage:output()
    end)
  end)
end)
