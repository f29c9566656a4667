-- Declared message types: actor.message, what it lets through, and what it refuses,
-- where it is said and where it arrives.
local Stage = require "troupe.stage"

describe("a declared message type", function()
  local stage

  before_each(function() stage = Stage.new() end)
  after_each(function() stage:close() end)

  local function spawn(source, name)
    local ref, why = stage:spawn({ source = source, name = name or "a" })
    assert(ref, why)
    return ref
  end

  -- What the lines of `body` print, run in a handler; line 1 of the script declares
  -- what they use, and `try` prints the error, or that there was none.
  local function run(body, declarations)
    local actor = spawn((declarations or "local Ping = actor.message('Ping', { count = 'integer', note = 'string?' })")
      .. " local function try(f, ...) local ok, value = pcall(f, ...) print(ok and 'fine' or value) end"
      .. " function on_ping(self, msg, env) print('ping', msg.count, msg.note) end"
      .. " function on_run(self, msg, env)\n" .. body .. "\nend")
    stage:send(actor, "Run")
    stage:run()
    local printed = stage:output()
    stage:stop(actor)
    stage:run()
    return printed
  end

  describe("is sent", function()
    it("as a message of its own, in place of type and message", function()
      assert.same({ "ping\t1\tnil", "ping\t2\tx" }, run [[
        actor.self:send(Ping{ count = 1 })
        actor.self:try_send(Ping{ count = 2, note = "x" })
      ]])
    end)

    it("with the type in place of its name, or by its name", function()
      assert.same({ "ping\t1\tnil", "ping\t2\tnil" }, run [[
        actor.self:send(Ping, { count = 1 })
        actor.self:send("Ping", { count = 2 })
      ]])
    end)

    it("with the options behind it", function()
      assert.same({ "ping\t2\tnil", "ping\t1\tnil" }, run [[
        actor.self:send(Ping{ count = 1 })
        actor.self:send(Ping{ count = 2 }, { priority = "high" })
      ]])
    end)

    it("as a question, and as an answer", function()
      local answerer = spawn([[
        local Pong = actor.message("Pong", { count = "integer" })
        function on_ping(self, msg, env) env:reply(Pong{ count = msg.count + 1 }) end
      ]], "answerer")
      local asker = spawn([[
        local Ping = actor.message("Ping", { count = "integer" })
        function on_run()
          local answerer = actor.ref("answerer")
          local msg, env = answerer:ask(Ping{ count = 1 }, { timeout = "1s" })
          print(env.type, msg.count, getmetatable(msg))
          print(actor.all({ a = answerer:start_ask(Ping{ count = 5 }) }).a.count)
          print((select(2, actor.any{ answerer:start_ask(Ping, { count = 7 }) })).count)
        end
      ]])
      stage:send(asker, "Run")
      stage:run()
      assert.same({ "Pong\t2\tnil", "6", "8" }, stage:output())
      assert.is_true(stage:alive(answerer))
    end)

    it("later, once or again and again", function()
      local actor = spawn [[
        local Tick = actor.message("Tick", { n = "integer" })
        function on_start()
          actor.after("1s", Tick{ n = 1 })
          actor.after("2s", Tick{ n = 2 }, { to = actor.self })
          actor.self:send(Tick{ n = 3 }, { after = "3s" })
          timer = actor.every("4s", Tick, { n = 4 })
        end
        function on_tick(self, msg) print(msg.n) if msg.n == 4 then timer:cancel() end end
      ]]
      stage:run()
      stage:log()
      stage:advance("9s")
      assert.same({ "1", "2", "3", "4" }, stage:output())
      assert.is_true(stage:alive(actor))
    end)

    it("as it is at the send, and not as it was when it was made", function()
      assert.same({ "run.lua", "ping\t2\tnil" }, (function()
        local lines = run [[
          local ping = Ping{ count = 1 }
          ping.count = "two"
          try(actor.self.send, actor.self, ping)
          ping.count = 2
          actor.self:send(ping)
        ]]
        assert.equal("Ping.count: integer expected, not string", lines[1])
        lines[1] = "run.lua"
        return lines
      end)())
    end)

    it("and received by it", function()
      assert.same({ "Ping\t3", "Ping\t4" }, run [[
        actor.self:send(Ping{ count = 3 })
        actor.self:send(Ping{ count = 4 })
        for _, types in ipairs { Ping, { "Other", Ping } } do
          local msg, env = actor.receive(types)
          print(env.type, msg.count)
        end
      ]])
    end)
  end)

  describe("is refused at the caller's line,", function()
    local function refused(expression, declarations)
      local lines = run("try(function() return " .. expression .. " end)", declarations)
      assert.equal(1, #lines)
      return lines[1]
    end

    it("with a field that is missing, unknown or of another type", function()
      assert.equal("a.lua:2: Ping.count: missing, integer expected", refused "Ping{}")
      assert.equal("a.lua:2: Ping.count: missing, integer expected", refused "Ping()")
      assert.equal("a.lua:2: Ping.cuont: unknown field (did you mean 'count'?)", refused "Ping{ cuont = 1 }")
      assert.equal("a.lua:2: Ping.other: unknown field", refused "Ping{ count = 1, other = 2 }")
      assert.equal("a.lua:2: Ping.count: integer expected, not string", refused "Ping{ count = '1' }")
      assert.equal("a.lua:2: Ping.count: integer expected, not 1.5", refused "Ping{ count = 1.5 }")
      assert.equal("a.lua:2: Ping.note: string expected, not boolean", refused "Ping{ count = 1, note = true }")
    end)

    it("however it is sent", function()
      local why = "a.lua:2: Ping.count: integer expected, not boolean"
      for _, call in ipairs {
        "actor.self:send('Ping', { count = true })", "actor.self:try_send('Ping', { count = true })",
        "actor.self:send(Ping, { count = true })", "actor.self:start_ask('Ping', { count = true })",
        "actor.after('1s', 'Ping', { count = true })", "actor.every('1s', Ping, { count = true })",
        "env:reply('Ping', { count = true })", "actor.self:send('ping', { count = true })",
        "actor.self:send('Ping', { count = true }, { after = '1s' })",
      } do
        assert.equal(why, refused(call), call)
      end
    end)

    it("with the path to what is wrong", function()
      local declarations = "local Move = actor.message('Move', { pos = { x = 'number', y = 'number' }, "
        .. "via = { '[]?', x = 'number', y = 'number' }, tags = 'string[]?', grid = 'integer[][]?' })"
      local function move(fields) return refused("Move{ " .. fields .. " }", declarations) end
      assert.equal("a.lua:2: Move.pos.x: number expected, not string", move "pos = { x = 'a', y = 2 }")
      assert.equal("a.lua:2: Move.pos.y: missing, number expected", move "pos = { x = 1 }")
      assert.equal("a.lua:2: Move.pos: table expected, not integer", move "pos = 7")
      assert.equal("a.lua:2: Move.tags[2]: string expected, not integer", move "pos = { x = 1, y = 2 }, tags = { 'a', 2 }")
      assert.equal("a.lua:2: Move.tags: string[] expected, not table",
                   move "pos = { x = 1, y = 2 }, tags = { a = 1 }")
      assert.equal("a.lua:2: Move.grid[1][2]: integer expected, not 0.5",
                   move "pos = { x = 1, y = 2 }, grid = { { 1, 0.5 } }")
      assert.equal("a.lua:2: Move.via[1].z: unknown field", move "pos = { x = 1, y = 2 }, via = { { x = 1, z = 3 } }")
      assert.equal("fine", move "pos = { x = 1, y = 2 }, via = {}, tags = {}, grid = { {}, { 1 } }")
    end)

    it("when it cannot be sent at all", function()
      assert.equal("a.lua:2: msg.note: a function cannot be sent", refused "Ping{ count = 1, note = print }")
      assert.equal("a.lua:2: Ping: a message is a table with string keys, not a number", refused "Ping(7)")
    end)
  end)

  describe("has fields of", function()
    -- What arrives of `fields` where `type` is declared for the field x; or the error.
    local function arrives(type, value)
      local lines = run(("try(function() actor.self:send(T{ x = %s }) end)"):format(value),
        ("local T = actor.message('T', { x = %s }) function on_t(self, msg) print(json.encode(msg)) end"):format(type))
      return lines[2] or lines[1]
    end

    it("integers, which floats with such a value become", function()
      assert.equal('{"x": 7}', arrives("'integer'", "7.0"))
      assert.equal('{"x": 9223372036854775807}', arrives("'integer'", "math.maxinteger"))
      assert.matches("x: integer expected, not 9.2233720368548e%+18$", arrives("'integer'", "2^63"))
      assert.matches("x: integer expected, not nan", (arrives("'integer'", "0/0"):gsub("-nan", "nan")))
    end)

    it("numbers, which stay what they are", function()
      assert.equal('{"x": 7.0}', arrives("'number'", "7.0"))
      assert.equal('{"x": 7}', arrives("'number'", "7"))
    end)

    it("anything", function()
      assert.equal('{"x": null}', arrives("'any'", "json.null"))
      assert.equal('{"x": [1, {"y": 2}]}', arrives("'any'", "{ 1, { y = 2 } }"))
      assert.matches("x: missing, any expected$", arrives("'any'", "nil"))
    end)

    it("tables of whatever is in them", function()
      assert.equal('{"x": {"y": [1]}}', arrives("'table'", "{ y = { 1 } }"))
      assert.equal('{"x": [1, 2]}', arrives("'table'", "{ 1, 2 }"))
    end)

    it("refs, which arrive as such", function()
      local lines = run("actor.self:send(T{ x = actor.self, y = { actor.self, actor.ref('b@:1') } })", [[
        local T = actor.message("T", { x = "ref", y = "ref[]" })
        function on_t(self, msg) print(msg.x == actor.self, msg.y[1] == msg.x, msg.y[2]) end
      ]])
      assert.same({ "true\ttrue\tb@tcp://127.0.0.1:1" }, lines)
      assert.matches("x: ref expected, not string$", arrives("'ref'", "'a@tcp://127.0.0.1:5001'"))
    end)

    it("optional ones that are missing, or null", function()
      assert.equal("{}", arrives("'string?'", "nil"))
      assert.equal("{}", arrives("'string?'", "json.null"))
      assert.equal("{}", arrives("{ '?', y = 'string' }", "json.null"))
      assert.matches("x: string expected, not null$", arrives("'string'", "json.null"))
    end)

    it("other declared messages, as tables", function()
      assert.equal('{"x": {"y": 1}}', (run([[
        actor.self:send(Outer{ x = Inner{ y = 1 } })
      ]], [[
        local Inner = actor.message("Inner", { y = "integer" })
        local Outer = actor.message("Outer", { x = { y = "integer" } })
        function on_outer(self, msg) print(json.encode(msg)) end
      ]]))[1])
    end)
  end)

  describe("can be declared", function()
    local function declare(...)
      local arguments = table.concat({ ... }, ", ")
      local ref, why = stage:spawn({ name = "a", source =
        ("actor.message(%s)\nfunction on_x() end"):format(arguments) })
      if not ref then return (why:gsub("\n.*", "")) end
      stage:stop(ref)
      stage:run()
      return "fine"
    end

    it("as a map, or as a list of pairs; so can tables in it", function()
      assert.equal("fine", declare("'T'", "{ a = 'any', b = { c = 'any', d = { {'x', 'any'} } } }"))
      assert.equal("fine", declare("'U'", "{ { 'a', 'any' }, { 'b', { '[]?', { 'c', 'any' } } } }"))
      assert.equal("fine", declare("'V'", "{}"))
    end)

    it("once in an actor, or again in the same way", function()
      assert.same({ "fine", "actor.message: Ping is declared already, with other fields",
                    "actor.message: ping is declared already, as Ping", "fine" }, run [[
        try(actor.message, "Ping", { count = "integer", note = "string?" })
        try(actor.message, "Ping", { count = "integer", note = "string" })
        try(actor.message, "ping", { count = "integer", note = "string?" })
        try(function() return actor.message("Ping", { count = "integer", note = "string?" }){ count = 1 } end)
      ]])
    end)

    it("in one actor in this way, and in another in that", function()
      local a = spawn("actor.message('Ping', { a = 'any' }) function on_ping(self, msg, env) env:reply('A') end")
      local b = spawn("actor.message('Ping', { b = 'any' }) function on_ping(self, msg, env) env:reply('B') end", "b")
      assert.truthy(stage:ask(a, "Ping", { a = 1 }))
      assert.truthy(stage:ask(b, "Ping", { b = 1 }))
      assert.falsy(stage:ask(b, "Ping", { a = 1 }))
      stage:log()
    end)

    it("with what is there only, and errors say where and what", function()
      for _, case in ipairs {
        { "'T'", "{ n = 'integr' }", "T.n: no type is called 'integr' (did you mean 'integer'?)" },
        { "'T'", "{ n = { m = 'what' } }", "T.n.m: no type is called 'what'; there are any, boolean, integer, number, "
          .. "ref, string and table" },
        { "'T'", "{ n = 'integer?[]' }", "T.n: behind a type may stand [] for an array and then ? for optional, not '[]'" },
        { "'T'", "{ n = { 'x', m = 'any' } }", "T.n: behind a type may stand [] for an array and then ? for optional, "
          .. "not 'x'" },
        { "'T'", "{ n = 7 }", "T.n: a type is a text such as \"integer\" or a table of fields, not a number" },
        { "'T'", "{ { 'n', 'any' }, m = 'any' }", "T: fields are a list of {name, type} or name = type, not both" },
        { "'T'", "{ { 'n', 'any' }, { 'n', 'any' } }", "T: two fields are called 'n'" },
        { "'T'", "{ { 'n' } }", "T: element 1 of a list is {name, type}" },
        { "'T'", "{ [true] = 'any' }", "T: fields have names, and this has a boolean for a key" },
        { "'T'", "{ [''] = 'any' }", "T: a field's name is printable text of 1 to 255 bytes" },
        { "'T'", "7", "T: a table of fields is expected, not a number" },
        { "7", "{}", "a message's type is a string, not a number" },
        { "''", "{}", "'' cannot be a message's type" },
        { "'Start'", "{}", "only the host itself sends Start" },
        { "'time_out'", "{}", "only the host itself sends time_out" },
        { "'Reject'", "{}", "Reject is built in" },
      } do
        assert.equal("a.lua:1: actor.message: " .. case[3], declare(case[1], case[2]))
      end
    end)

    it("up to limits", function()
      assert.same({ "actor.message: Wide: more than 250 fields in a table, or 1000 in all",
                    "true", "true" }, run [[
        local wide, deep = {}, "any"
        for i = 1, 251 do wide["f" .. i] = "any" end
        try(actor.message, "Wide", wide)
        for _ = 1, 17 do deep = { x = deep } end
        local ok, why = pcall(actor.message, "Deep", deep)
        print(why:find("tables in tables have at most 16 levels", 1, true) ~= nil)
        for i = 1, 1000 do ok, why = pcall(actor.message, "T" .. i, {}) end
        print(why == "actor.message: more than 1000 types")
      ]])
    end)

    it("and its name is what tostring() makes of it", function()
      assert.same({ "Ping", "Ping again" }, run [[
        print(Ping)
        print(tostring(Ping) .. " again")
      ]])
    end)
  end)

  describe("that arrives otherwise", function()
    local PICKY = [[
      actor.message("Ping", { count = "integer", who = "ref?" })
      function on_ping(self, msg, env) print("ping", msg.count) env:reply("Pong", { count = msg.count }) end
      function on_other(self, msg) print("other") end
    ]]

    it("is rejected if it was a question, and the asker hears why", function()
      local picky = spawn(PICKY, "picky")
      spawn [[
        function on_start()
          local none, why = actor.ref("picky"):ask("Ping", { count = "one" })
          print(none, why.reason, why)
          none, why = actor.ref("picky"):ask("ping", {})
          print(none, why.reason, why)
        end
      ]]
      stage:run()
      assert.same({
        "nil\trejected\tpicky rejected Ping: Bad field 'count' in Ping: integer expected, not string",
        "nil\trejected\tpicky rejected ping: Bad field 'count' in ping: missing, integer expected",
      }, stage:output())
      assert.equal(1, #stage:log())
      assert.is_true(stage:alive(picky))
    end)

    it("is a dead letter if it was not, which is logged once for a type", function()
      local picky = spawn(PICKY, "picky")
      stage:send(picky, "Ping", { count = 1 })
      for _ = 1, 3 do stage:send(picky, "Ping", { count = 1, more = true }) end
      stage:send(picky, "Other", { more = true })
      stage:run()
      assert.same({ "ping\t1", "other" }, stage:output())
      local letters = stage:dead_letters()
      assert.equal(3, #letters)
      assert.same({ type = "Ping", to = "picky", from = "stage", reason = "rejected",
                    text = "Bad field 'more' in Ping: unknown field" }, letters[1])
      local log = stage:log()
      assert.equal(1, #log)
      assert.matches("picky: a message from stage was refused: Bad field 'more' in Ping: unknown field", log[1].text, 1, true)
      stage:outbox()
    end)

    it("is brought into the declared form where that can be", function()
      local picky = spawn [[
        actor.message("Ping", { count = "integer", list = "integer[]?", note = "string?" })
        function on_ping(self, msg, env)
          env:reply("Was", { count = msg.count, kind = math.type(msg.list[1]), note = msg.note == nil })
        end
      ]]
      assert.same({ count = 3, kind = "integer", note = true },
                  (stage:ask(picky, "Ping", { count = 3.0, list = { 4.0 }, note = nil })))
    end)

    it("does not reach actor.receive", function()
      local picky = spawn [[
        actor.message("Ping", { count = "integer" })
        function on_run() print(actor.receive("Ping", { timeout = "1s" }).count) end
        function on_ping() print("handled") end
      ]]
      stage:send(picky, "Run")
      stage:run()
      stage:send(picky, "Ping", { count = "bad" })
      stage:send(picky, "Ping", { count = 5 })
      stage:run()
      assert.same({ "5" }, stage:output())
      assert.equal(1, #stage:log())
    end)

    it("as an answer fails the question", function()
      spawn("function on_ask(self, msg, env) env:reply('Told', { n = msg.n }) end", "teller")
      local asker = spawn [[
        actor.message("Told", { n = "integer" })
        function on_run()
          local teller = actor.ref("teller")
          local none, why = teller:ask("Ask", { n = "x" })
          print(none, why.reason, why)
          print(teller:ask("Ask", { n = 1.0 }).n)
          none, why = actor.all{ a = teller:start_ask("Ask", { n = 2 }), b = teller:start_ask("Ask", {}) }
          print(none, why.name, why)
        end
      ]]
      stage:send(asker, "Run")
      stage:run()
      assert.same({
        "nil\tfailed\tteller failed at Ask: Bad field 'n' in Told: integer expected, not string",
        "1",
        "nil\tb\tteller failed at Ask: Bad field 'n' in Told: missing, integer expected",
      }, stage:output())
      stage:log()
    end)

    it("from the actor's own timer is refused, too, if it was declared since", function()
      local actor = spawn [[
        function on_start()
          actor.after("1s", "Tick", { n = "x" })
          actor.after("2s", "Tick", { n = 2 })
          actor.message("Tick", { n = "integer" })
        end
        function on_tick(self, msg) print(msg.n) end
      ]]
      stage:advance("3s")
      assert.same({ "2" }, stage:output())
      assert.equal(1, #stage:log())
      assert.is_true(stage:alive(actor))
    end)

    it("is passed on as it came: whoever gets it checks by its own declaration", function()
      spawn(PICKY, "picky")
      local front = spawn([[
        actor.message("Ping", { count = "any" })
        function on_ping(self, msg, env) env:forward(actor.ref("picky")) end
      ]], "front")
      assert.same({ count = 1 }, (stage:ask(front, "Ping", { count = 1 })))
      local none, why = stage:ask(front, "Ping", { count = "x" })
      assert.is_nil(none)
      assert.equal("rejected", why.reason)
      stage:output()
      stage:log()
    end)
  end)

  it("leaves the tables that were given to it as they were, but for what marks them", function()
    assert.same({ "true", "fine", "false\t1", "true" }, run [[
      local plain = { count = 1 }
      print(Ping(plain) == plain)
      local class = setmetatable({ count = 1 }, { __index = { note = 7 } })
      try(Ping, class)
      local made = Ping(class)
      print(made == class, made.count)
      print(Ping(made) == made)
    ]])
  end)

  it("costs nobody else anything: undeclared types are sent as ever", function()
    assert.same({ "any" }, run("actor.self:send('Other', { count = 'x', more = { 1 } })",
      "actor.message('Ping', { count = 'integer' }) function on_other() print('any') end"))
  end)
end)
