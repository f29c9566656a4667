-- What a message may carry, and that it arrives as it was sent.
local Stage = require "troupe.stage"

describe("a message", function()
  local stage, echo

  before_each(function()
    stage = Stage.new()
    echo = assert(stage:spawn({ name = "echo", source = [[
      function on_echo(self, msg, env) env:reply("Echo", msg) end
    ]] }))
  end)
  after_each(function() stage:close() end)

  -- What comes back of a value that goes to an actor, through its state, and back.
  local function returned(value)
    return assert(stage:ask(echo, "Echo", { value = value })).value
  end

  -- What a handler prints that sees `body`, with tabs as blanks.
  local function run(body, other_handlers)
    assert(stage:spawn({
      name = "sender",
      source = "function on_go(self, msg, env) " .. body .. "\nend\n" .. (other_handlers or ""),
    }))
    stage:send("sender", "Go")
    stage:run()
    local lines = stage:output()
    for i, line in ipairs(lines) do lines[i] = line:gsub("\t", " ") end
    return lines
  end

  local function nested(depth)
    local outer = {}
    local inner = outer
    for _ = 2, depth do
      inner.deeper = {}
      inner = inner.deeper
    end
    return outer
  end

  describe("carries", function()
    it("no payload as an empty table", function()
      assert.same({}, (stage:ask(echo, "Echo")))
    end)

    it("booleans", function()
      assert.is_true(returned(true))
      assert.is_false(returned(false))
    end)

    it("integers of 64 bits, exactly, and as integers", function()
      for _, value in ipairs { 0, 1, -1, 127, 128, -128, -129, 255, 256, 65535, 65536, 2 ^ 31 | 0,
                               (1 << 53) + 1, -(1 << 53) - 1, math.maxinteger, math.mininteger } do
        local back = returned(value)
        assert.equal(value, back)
        assert.equal("integer", math.type(back))
      end
    end)

    it("floats to the last bit, and as floats", function()
      for _, value in ipairs { 0.0, -0.0, 1.0, 0.1, -1.5, 1e300, 5e-324, 2.0 ^ 53, 3.0e18,
                               math.pi, math.huge, -math.huge, 0 / 0 } do
        local back = returned(value)
        assert.equal(string.pack("d", value), string.pack("d", back))
        assert.equal("float", math.type(back))
      end
    end)

    it("strings of any bytes, NUL among them", function()
      local all = {}
      for byte = 0, 255 do all[byte + 1] = string.char(byte) end
      for _, value in ipairs { "", "\0", "a\0b\0", "\xff\xfe", table.concat(all), ("x"):rep(100000) } do
        assert.equal(value, returned(value))
      end
    end)

    it("string-keyed tables, whatever bytes are in the keys", function()
      local value = { [""] = 1, ["a\0b"] = 2, ["\xff"] = 3, ["end"] = 4, ["1"] = 5 }
      assert.same(value, returned(value))
    end)

    it("arrays, also of arrays", function()
      assert.same({ 1, "two", 3.5, { 4, { 5 } }, true }, returned({ 1, "two", 3.5, { 4, { 5 } }, true }))
    end)

    it("arrays that were not filled in order", function()
      local value = {}
      for i = 20, 1, -1 do value[i] = i * i end
      assert.same(value, returned(value))
    end)

    it("large arrays and large maps", function()
      local array, map = {}, {}
      for i = 1, 20000 do
        array[i], map["key" .. i] = i, i
      end
      assert.same(array, returned(array))
      assert.same(map, returned(map))
    end)

    it("tables of tables to a depth of 64, the message included", function()
      local msg = nested(64)
      assert.same(msg, (stage:ask(echo, "Echo", msg)))
    end)

    it("one table in two places, as two", function()
      local shared = { 1 }
      local back = returned({ a = shared, b = shared })
      assert.same({ a = { 1 }, b = { 1 } }, back)
      assert.is_false(rawequal(back.a, back.b))
    end)

    it("an empty array that stays one, and an empty table that stays that", function()
      assert.same({ '{"array": [], "map": {}}' }, run [[
        local back = actor.ref("echo"):ask("Echo", { array = json.array {}, map = {} })
        print(json.encode(back))
      ]])
    end)

    it("json.null, which is not nil", function()
      assert.same({ "true true" }, run [[
        local back = actor.ref("echo"):ask("Echo", { none = json.null, list = { json.null } })
        print(back.none == json.null, back.list[1] == json.null)
      ]])
    end)

    it("nil fields as nothing at all", function()
      assert.same({ a = 1 }, (stage:ask(echo, "Echo", { a = 1, b = nil })))
    end)

    it("refs, which stay the very actor", function()
      assert.same({ "true true yes sender" }, run [[
        local echo = actor.ref("echo")
        local back = echo:ask("Echo", { it = echo, me = actor.self })
        local seen = { [echo] = "yes" }
        print(back.it == echo, back.me == actor.self, seen[back.it], back.me)
      ]])
    end)

    it("refs of actors elsewhere", function()
      assert.same({ "true yes pong@tcp://127.0.0.1:5001" }, run [[
        local there = actor.ref("pong@:5001")
        local back = actor.ref("echo"):ask("Echo", { it = there }).it
        print(back == there, ({ [there] = "yes" })[back], back)
      ]])
    end)

    it("what pairs() of a table with a metatable hides: its own fields, raw", function()
      assert.same({ "1 nil" }, run [[
        local point = setmetatable({ x = 1 }, { __index = { y = 2 }, __pairs = function() error("not asked") end })
        local back = actor.ref("echo"):ask("Echo", { point = point }).point
        print(back.x, back.y)
      ]])
    end)
  end)

  describe("is a copy", function()
    it("of what it was at the send", function()
      assert.same({ "1" }, run([[
        local order = { list = { 1 } }
        actor.self:send("Order", order)
        order.list[1] = 2
      ]], "function on_order(self, msg) print(msg.list[1]) end"))
    end)

    it("for each of its receivers", function()
      for _, name in ipairs { "one", "two" } do
        assert(stage:spawn({ name = name, source = [[
          function on_order(self, msg)
            print(msg.list[1])
            msg.list[1] = "changed"
          end
        ]] }))
      end
      assert.same({ "1", "1", "1" }, run [[
        local order = { list = { 1 } }
        actor.ref("one"):send("Order", order)
        actor.ref("two"):send("Order", order)
        print(order.list[1])
      ]])
    end)
  end)

  describe("is refused at the send, at the caller's line, naming the path:", function()
    for _, refused in ipairs {
      { "a function", "{ cb = { fn = print } }", "msg.cb.fn: a function cannot be sent" },
      { "a Lua function in a list", "{ list = { 1, function() end } }",
        "msg.list[2]: a function cannot be sent" },
      { "a coroutine", "{ co = coroutine.create(print) }", "msg.co: a coroutine cannot be sent" },
      { "a file", "{ file = io.stdout }", "msg.file: a userdata (FILE*) cannot be sent" },
      { "an env", "{ env = env }", "msg.env: a userdata (env) cannot be sent" },
      { "a timer", "{ timer = actor.after('1h', 'Never') }", "msg.timer: a userdata (timer) cannot be sent" },
      { "a key that is no identifier", "{ ['a b'] = print }", 'msg["a b"]: a function cannot be sent' },
      { "a message that contains itself", "(function() local t = {} t.me = t return t end)()",
        "msg.me: cycle" },
      { "a cycle further down", "(function() local t = { list = {} } t.list[1] = { up = t.list } return t end)()",
        "msg.list[1].up: cycle" },
      { "a hole", "{ list = { 1, nil, 3 } }", "msg.list: a hole at [2] (the last is [3])" },
      { "a list that does not begin at 1", "{ list = { [2] = 'b' } }",
        "msg.list: a hole at [1] (the last is [2])" },
      { "mixed keys", "{ list = { 1, n = 1 } }", "msg.list: mixed keys ('n' and 1)" },
      { "a json.array with a name in it", "{ list = json.array { n = 1 } }",
        "msg.list: an array (json.array) with the key 'n'" },
      { "a key that is a boolean", "{ map = { [true] = 1 } }",
        "msg.map: the key true is neither a string nor one of 1, 2, 3..." },
      { "a key that is a float", "{ map = { [1.5] = 1 } }",
        "msg.map: the key 1.5 is neither a string nor one of 1, 2, 3..." },
      { "a key that is 0", "{ map = { [0] = 1 } }",
        "msg.map: the key 0 is neither a string nor one of 1, 2, 3..." },
      { "a key that is a table", "{ map = { [{}] = 1 } }",
        "msg.map: the key (a table) is neither a string nor one of 1, 2, 3..." },
    } do
      it(refused[1], function()
        assert.same({ "sender.lua:2: " .. refused[3] }, run(([[
          local _, why = pcall(function()
            actor.self:send("Order", %s)
          end)
          print(why)
        ]]):format(refused[2])))
        assert.same({}, stage:dead_letters())
      end)
    end

    it("65 levels", function()
      local lines = run [[
        local msg, inner = {}, nil
        inner = msg
        for _ = 2, 65 do inner.d = {} inner = inner.d end
        print(select(2, pcall(function()
          actor.self:send("Order", msg)
        end)))
      ]]
      assert.matches("^sender%.lua:5: msg%.d%.d%..*: deeper than 64 levels$", lines[1])
    end)

    for _, value in ipairs { "'text'", "7", "true", "print", "actor.self", "{ 1, 2 }", "json.array {}" } do
      it("a payload that is " .. value, function()
        local lines = run(([[
          local sent, why = pcall(function()
            actor.self:send("Order", %s)
          end)
          print(sent, why)
        ]]):format(value))
        assert.matches("^false sender%.lua:2: .*msg", lines[1])
      end)
    end

    it("and so in ask, start_ask, try_send, reply, timers and configs", function()
      assert.same({
        "ask false sender.lua:3: msg.fn: a function cannot be sent",
        "start_ask false sender.lua:4: msg.fn: a function cannot be sent",
        "try_send false sender.lua:5: msg.fn: a function cannot be sent",
        "reply false sender.lua:6: msg.fn: a function cannot be sent",
        "after false sender.lua:7: msg.fn: a function cannot be sent",
        "every false sender.lua:8: msg.fn: a function cannot be sent",
        "spawn false sender.lua:9: config.fn: a function cannot be sent",
      }, run [[
        local me, bad = actor.ref("echo"), { fn = print }
        local calls = {
          { "ask", function() me:ask("Order", bad) end },
          { "start_ask", function() me:start_ask("Order", bad) end },
          { "try_send", function() me:try_send("Order", bad) end },
          { "reply", function() env:reply("Order", bad) end },
          { "after", function() actor.after("1s", "Order", bad) end },
          { "every", function() actor.every("1s", "Order", bad) end },
          { "spawn", function() actor.spawn("echo", { config = bad }) end },
        }
        for _, call in ipairs(calls) do print(call[1], pcall(call[2])) end
      ]])
    end)
  end)
end)
