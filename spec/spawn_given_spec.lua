-- What a spawner may give an actor beside its config: the text of its script, and types
-- of messages that are declared before the script says anything.
local Stage = require "troupe.stage"

describe("an actor that is given", function()
  local stage

  before_each(function() stage = Stage.new() end)
  after_each(function() stage:close() end)

  -- Runs `body` as the on_start of an actor called "parent"; answers what was printed.
  local function start(body)
    local parent, why = stage:spawn { name = "parent", source = "function on_start(self)\n" .. body .. "\nend" }
    assert(parent, why)
    stage:run()
    return stage:output()
  end

  describe("its text", function()
    it("runs it, under the name that it is spawned by", function()
      assert.same({ "child", "3" }, start [[
        local child = actor.spawn("some/child.lua", { name = "child", config = { n = 3 },
          source = "function on_start(self) print(actor.name) print(self.config.n) end" })
      ]])
    end)

    it("has a name after the path if none is given", function()
      assert.same({ "child#1" }, start [[print((tostring(actor.spawn("some/child.lua", { source = "function on_ping() end" }))))]])
    end)

    it("is told where it does not compile, and where it fails", function()
      assert.same({ "nil\tsome/child.lua:2: unexpected symbol near '='",
                    "nil\tsome/child.lua:1: no luck" }, start [[
        print(actor.spawn("some/child.lua", { source = "function on_ping()\n = end" }))
        print(actor.spawn("some/child.lua", { source = "error 'no luck'" }))
      ]])
    end)

    it("restarts with it", function()
      start [[actor.spawn("child", { name = "child", failure = "restart",
        source = "function on_start(self, msg) print('start', msg.restarts) end function on_fail() error 'x' end" })]]
      stage:send("child", "Fail")
      stage:run()
      stage:advance("10s")
      assert.equal("start\t1", stage:output()[1])
      stage:log()
      stage:dead_letters()
    end)

    it("finds its modules and its children beside the path", function()
      local folder = os.tmpname()
      os.remove(folder)
      assert(os.execute("mkdir -p '" .. folder .. "'"))
      local module <close> = assert(io.open(folder .. "/answer.lua", "w"))
      module:write("return 42")
      module:flush()
      assert.same({ "42" }, start(([[
        actor.spawn("%s/child.lua", { source = "local answer = require 'answer' function on_start() print(answer) end" })
      ]]):format(folder)))
      os.execute("rm -rf '" .. folder .. "'")
    end)

    it("is a string, and nothing for a sandbox", function()
      assert.same({ "false\tactor.spawn: source is the text of a script, not 1" }, start [[
        local fine, why = pcall(actor.spawn, "child", { source = 1 })
        print(fine, (why:gsub("^.-:%d+: ", "")))
      ]])
      local caged = assert(stage:spawn { name = "caged", sandbox = true, source = [[
        function on_start()
          local fine, why = pcall(actor.spawn, "child", { source = "function on_ping() end" })
          print((why:gsub("^.-:%d+: ", "")))
        end]] })
      stage:run()
      assert.same({ "actor.spawn: source is not available in a sandbox" }, stage:output())
      stage:stop(caged)
    end)
  end)

  describe("types", function()
    local TICK = "types = { Tick = { symbol = 'string', price = 'number?' } }"

    local function child(source, types)
      return start(('local ref, why = actor.spawn("child.lua", { name = "child", %s, source = %q }) print(ref and "made" or why)')
                     :format(types or TICK, source))
    end

    it("refuses what comes and does not fit", function()
      child "function on_tick(self, msg, env) env:reply('Tock', { symbol = msg.symbol }) end"
      assert.same({ symbol = "a" }, stage:ask("child", "Tick", { symbol = "a", price = 2 }))
      local answer, why = stage:ask("child", "Tick", { symbl = "a" })
      assert.is_nil(answer)
      assert.matches("Bad field 'symbl' in Tick: unknown field", why.text or tostring(why), 1, true)
      stage:log()
      stage:dead_letters()
    end)

    it("refuses to send what does not fit", function()
      child [[function on_go()
        local fine, why = pcall(actor.self.send, actor.self, "Tick", { symbol = 1 })
        print((why:gsub("^.-:%d+: ", "")))
      end]]
      stage:send("child", "Go")
      stage:run()
      assert.same({ "Tick.symbol: string expected, not integer" }, stage:output())
    end)

    it("may declare them itself, which gives it a value for them", function()
      assert.same({ "made" }, child [[
        local Tick = actor.message("Tick", { symbol = "string", price = "number?" })
        function on_go() actor.self:send(Tick{ symbol = "a" }) end
        function on_tick(self, msg) print(msg.symbol) end]])
      stage:send("child", "Go")
      stage:run()
      assert.same({ "a" }, stage:output())
    end)

    it("may say in which order the fields are written, and how the type is spelt", function()
      assert.same({ "made" }, child([[
        local Tick = actor.message("tick", { { "symbol", "string" }, { "price", "number" } })
        function on_go() actor.ref("far@:5001"):send(Tick{ symbol = "a", price = 2.5 }) end]],
        "types = { Tick = { price = 'number', symbol = 'string' } }"))
      stage:send("child", "Go")
      stage:run()
      local left = stage:outbox()[1]
      assert.equal("tick", left.type)
      assert.same({ symbol = "a", price = 2.5 }, left.msg)
    end)

    it("does not load if it declares them otherwise", function()
      assert.same({ "child.lua:2: actor.message: Tick is declared already by who spawns this, with other fields" },
        child "\nactor.message('Tick', { symbol = 'integer', price = 'number?' }) function on_tick() end")
    end)

    it("keeps them at a restart", function()
      start(('actor.spawn("child.lua", { name = "child", failure = "restart", %s, source = %q })')
              :format(TICK, "function on_tick(self, msg) print(msg.symbol) end function on_fail() error 'x' end"))
      stage:send("child", "Fail")
      stage:run()
      stage:advance("10s")
      stage:log()
      stage:dead_letters()
      stage:send("child", "Tick", { symbol = 1 })
      stage:send("child", "Tick", { symbol = "a" })
      stage:run()
      assert.same({ "a" }, stage:output())
      assert.matches("Bad field 'symbol'", stage:log()[1].text)
      stage:dead_letters()
    end)

    it("keeps them at a reload, and at the way back; a new version may say them in its own order", function()
      local ref = assert(stage:spawn { name = "child", types = { Tick = { symbol = "string", price = "number?" } },
                                       source = "function on_tick(self, msg) print('old', msg.symbol) end" })
      local function try()
        stage:send("child", "Tick", { symbol = "a" })
        stage:send("child", "Tick", { symbol = 1 })
        stage:run()
        stage:dead_letters()
        return stage:output()
      end
      assert.same({ "old\ta" }, try())
      assert(stage:reload(ref, "function on_tick(self, msg) print('new', msg.symbol) end"))
      assert.same({ "new\ta" }, try())
      assert(stage:reload(ref, [[actor.message("Tick", { { "symbol", "string" }, { "price", "number?" } })
                                 function on_tick(self, msg) print('newest', msg.symbol) end]]))
      assert.same({ "newest\ta" }, try())
      assert(stage:reload(ref, "function on_tick(self, msg) print('last', msg.symbol) end"))
      assert.same({ "last\ta" }, try())
      local done, why = stage:reload(ref, "actor.message('Tick', { symbol = 'integer' }) function on_tick() end")
      assert.is_nil(done)
      assert.matches("Tick is declared already by who spawns this, with other fields", tostring(why), 1, true)
      assert.same({ "last\ta" }, try())
      stage:log()
    end)

    it("may be given many, of which it handles some", function()
      local types = {}
      for i = 1, 300 do table.insert(types, ("T%d = { n = 'integer', sub = { { 'x', 'number' }, { 'y', 'number[]?' } } }"):format(i)) end
      assert.same({ "made" }, child("function on_t77(self, msg, env) env:reply('Got', msg) end",
                                   "types = { " .. table.concat(types, ", ") .. " }"))
      assert.same({ n = 1, sub = { x = 0.5 } }, stage:ask("child", "T77", { n = 1, sub = { x = 0.5 } }))
    end)

    it("are refused where they are given if they can be none", function()
      local function wrong(types)
        local printed = start(([[
          local fine, why = pcall(actor.spawn, "child", { %s, source = "function on_tick() end" })
          print((why:gsub("^.-:%%d+: ", "")))]]):format(types))
        stage:stop("parent")
        stage:run()
        return printed[1]
      end
      assert.equal("actor.spawn: types is a table of message types and their fields, not 7", wrong "types = 7")
      assert.equal("types: Tick.price: no type is called 'nmber' (did you mean 'number'?)",
                   wrong "types = { Tick = { price = 'nmber' } }")
      assert.equal("types: Tick: a table of fields is expected, not a string", wrong "types = { Tick = 'x' }")
      assert.matches("^types: .* are the same type$", wrong "types = { MarketDepth = {}, market_depth = {} }")
      assert.equal("types: only the host itself sends Down", wrong "types = { Down = {} }")
      assert.equal("types: a message's type is a string, not a number", wrong "types = { {} }")
    end)
  end)
end)
