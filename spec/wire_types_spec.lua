-- Declared types and Rejects on the wire, with a Python process at the other end
-- that has none of our code.
local process = require "spec.support.process"

local PYTHON = "/usr/bin/python3" -- Debian's python3-zmq is for this one
local PEER, INVENTOR = "spec/interop/peer.py", "spec/interop/inventor.py"

local has_zmq = os.execute(PYTHON .. " -c 'import zmq' 2>/dev/null") == true
local it = has_zmq and it or function(name)
  pending(name .. " (needs python3-zmq: '" .. PYTHON .. " -c \"import zmq\"' fails)")
end

-- What each of these hosts answers last of all; see peer.py.
local PONG = "function on_ping(self, msg, env) env:reply('Pong', { count = msg.count }) end\n"

local function lines_of(text)
  local lines = {}
  for line in text:gmatch("([^\n]*)\n") do table.insert(lines, line) end
  return lines
end

-- A frame as Python writes it; ME is where its answers go.
local function frame(receiver, type, message, sender, endpoint)
  return ('{"sender_actor": %s, "sender_endpoint": %s, "receiver": "%s", "message_type": "%s", "message": %s}')
    :format(sender or '"ping"', endpoint or '"ME"', receiver, type, message or "{}")
end

local function reject(type, reason, by)
  return ('= {"sender_actor": null, "sender_endpoint": null, "receiver": "ping", "message_type": "Reject", '
    .. '"message": {"message_type": "%s", "reason": "%s", "rejected_by": "%s"}}'):format(type, reason, by)
end

describe("on the wire,", function()
  local host, endpoint

  after_each(process.end_all)

  local function start_host(chunk, ...)
    host = process.start(process.troupe { "-e", PONG .. chunk, "--name", "pong", "--bind", ":0", ... }, 300)
    endpoint = host:error_line("listening on"):match("tcp://%S+$")
  end

  -- What comes back for these frames; a good Ping behind them is always answered.
  local function exchange(frames)
    local ended = process.run({ PYTHON, PEER, "exchange", endpoint }, { input = table.concat(frames, "\n") .. "\n" })
    assert.same({ code = 0, err = "" }, { code = ended.code, err = ended.err })
    return lines_of(ended.out)
  end

  local function answer(type, message)
    return ('= {"sender_actor": "pong", "sender_endpoint": "%s", "receiver": "ping", "message_type": "%s", '
      .. '"message": %s}'):format(endpoint, type, message)
  end

  local function printed()
    local ended = host:stop("TERM")
    assert.equal(0, ended.code)
    return lines_of(ended.out)
  end

  describe("a message of a declared type", function()
    it("has its fields in the order of its declaration, if that is a list", function()
      start_host [[
        local Order = actor.message("Order", {
          { "symbol", "string" }, { "amount", "number?" },
          { "legs", { "[]?", { "side", "string" }, { "price", "number" } } },
          { "at", { "?", { "y", "integer" }, { "x", "integer" }, { "any", "any?" } } },
          { "extra", "table?" },
        })
        function on_go(self, msg, env)
          env:reply(Order{ amount = 2, symbol = "a", legs = {} })
          env:reply(Order, { symbol = "b", legs = { { price = 1.5, side = "buy" }, { side = "sell", price = 2 } } })
          env.from:send("Order", { extra = { b = 1, a = { d = 2, c = 3 } }, at = { x = 1, y = 2, any = { f = 1, e = 2 } },
                                   symbol = "c" })
          env.from:send("Other", { symbol = "d", amount = 2 })
        end
      ]]
      assert.same({
        answer("Order", '{"symbol": "a", "amount": 2, "legs": []}'),
        answer("Order", '{"symbol": "b", "legs": [{"side": "buy", "price": 1.5}, {"side": "sell", "price": 2}]}'),
        answer("Order", '{"symbol": "c", "at": {"y": 2, "x": 1, "any": {"e": 2, "f": 1}}, '
          .. '"extra": {"a": {"c": 3, "d": 2}, "b": 1}}'),
        answer("Other", '{"amount": 2, "symbol": "d"}'),
      }, exchange { frame("pong", "Go") })
    end)

    it("has them sorted, if it is a map; an integer is one, and an empty array is []", function()
      start_host [[
        local Order = actor.message("Order", { symbol = "string", amount = "integer", list = "any[]?", b = "any?", B = "any?" })
        function on_go(self, msg, env) env:reply(Order{ symbol = "a", amount = 2.0, list = {}, b = 1, B = 2 }) end
      ]]
      assert.same({ answer("Order", '{"B": 2, "amount": 2, "b": 1, "list": [], "symbol": "a"}') },
                  exchange { frame("pong", "Go") })
    end)

    it("is rejected with the field that is missing, unknown or of another type", function()
      start_host [[
        actor.message("Add", { { "n", "integer" }, { "pos", { "?", { "x", "number" } } }, { "tags", "string[]?" } })
        function on_add(self, msg, env) env:reply("Sum", { n = msg.n + 1 }) end
      ]]
      assert.same({
        answer("Sum", '{"n": 2}'),
        answer("Sum", '{"n": 3}'), -- a float, as Python may send it
        answer("Sum", '{"n": 4}'), -- None
        reject("Add", "Bad field 'n' in Add: integer expected, not string", "pong"),
        reject("Add", "Bad field 'n' in Add: integer expected, not 1.5", "pong"),
        reject("Add", "Bad field 'n' in Add: integer expected, not 1e+300", "pong"),
        reject("Add", "Bad field 'n' in Add: missing, integer expected", "pong"),
        reject("Add", "Bad field 'n' in Add: integer expected, not null", "pong"),
        reject("Add", "Bad field 'more' in Add: unknown field", "pong"),
        reject("Add", "Bad field 'm\\u00e4hr' in Add: unknown field", "pong"),
        reject("Add", "Bad field 'pos.x' in Add: number expected, not boolean", "pong"),
        reject("Add", "Bad field 'tags[2]' in Add: string expected, not array", "pong"),
        reject("add", "Bad field 'n' in add: missing, integer expected", "pong"),
      }, exchange {
        frame("pong", "Add", '{"n": 1}'), frame("pong", "Add", '{"n": 2.0}'),
        frame("pong", "Add", '{"n": 3, "pos": null, "tags": null}'),
        frame("pong", "Add", '{"n": "1"}'), frame("pong", "Add", '{"n": 1.5}'), frame("pong", "Add", '{"n": 1e300}'),
        frame("pong", "Add", "{}"), frame("pong", "Add", '{"n": null}'), frame("pong", "Add", '{"n": 1, "more": 2}'),
        frame("pong", "Add", '{"n": 1, "m\\u00e4hr": 2}'), frame("pong", "Add", '{"n": 1, "pos": {"x": true}}'),
        frame("pong", "Add", '{"n": 1, "tags": ["a", []]}'), frame("pong", "add", "{}"),
      })
      assert.same({}, printed())
    end)

    it("brings refs, which may be answered; a text that is none is rejected", function()
      start_host [[
        actor.message("Meet", { who = "ref", others = "ref[]?" })
        function on_meet(self, msg, env)
          msg.who:send("Hello", { self = msg.who == actor.self, others = msg.others })
        end
        function on_hello(self, msg) print("hello", msg.self) end
      ]]
      local here = "pong@" .. endpoint
      assert.same({
        answer("Hello", '{"self": false}'),
        answer("Hello", ('{"others": ["%s", "x@tcp://10.0.0.1:5001", "worker#7"], "self": false}'):format(here)),
        reject("Meet", "Bad field 'who' in Meet: ref expected, not integer", "pong"),
        reject("Meet", "Bad field 'who' in Meet: ref expected, not 'ping@tcp://some.where:5001'", "pong"),
        reject("Meet", "Bad field 'who' in Meet: ref expected, not 'ping@tcp://*:5001'", "pong"),
        reject("Meet", "Bad field 'who' in Meet: ref expected, not 'a b'", "pong"),
        reject("Meet", "Bad field 'who' in Meet: ref expected, not ''", "pong"),
        reject("Meet", "Bad field 'who' in Meet: ref expected, not '$ask#1'", "pong"),
        reject("Meet", "Bad field 'who' in Meet: ref expected, not 'x/ask#1'", "pong"),
        reject("Meet", "Bad field 'others[1]' in Meet: ref expected, not '@'", "pong"),
      }, exchange {
        frame("pong", "Meet", '{"who": "ping@ME"}'),
        frame("pong", "Meet", '{"who": "ping@ME", "others": ["pong", "x@tcp://10.0.0.1:5001", "worker#7"]}'),
        frame("pong", "Meet", ('{"who": "%s"}'):format(here)),
        frame("pong", "Meet", '{"who": 7}'), frame("pong", "Meet", '{"who": "ping@tcp://some.where:5001"}'),
        frame("pong", "Meet", '{"who": "ping@tcp://*:5001"}'), frame("pong", "Meet", '{"who": "a b"}'),
        frame("pong", "Meet", '{"who": ""}'), frame("pong", "Meet", '{"who": "$ask#1"}'),
        frame("pong", "Meet", '{"who": "x/ask#1"}'), frame("pong", "Meet", '{"who": "pong", "others": ["@"]}'),
      })
      assert.same({ "hello\ttrue" }, printed())
    end)

    it("is a dead letter if nobody can be told", function()
      start_host [[
        actor.message("Add", { n = "integer" })
        function on_add(self, msg) print("added", msg.n) end
      ]]
      assert.same({}, exchange { frame("pong", "Add", "{}", "null", "null"), frame("pong", "Add", '{"n": 1}', '""', '"ME"') })
      assert.same({ "added\t1" }, printed())
    end)

    it("fails the question that it answers, if it does not fit", function()
      local peer = process.start { PYTHON, PEER, "serve", "python" }
      local ended = process.run(process.troupe { "-e", [[
        actor.message("Pong", { count = "integer" })
        function on_start()
          local pong = actor.ref("pong@" .. actor.args[1])
          print(pong:ask("Ping", { count = 1.0 }).count)
          local none, why = pong:ask("Ping", { count = "x" })
          print(none, why.reason, why)
          actor.stop_host()
        end
      ]], "--", (peer:line("tcp://")) })
      assert.same(0, ended.code)
      local lines = lines_of(ended.out)
      assert.equal("1", lines[1])
      assert.matches("^nil\tfailed\tpong@tcp://127.0.0.1:%d+ failed at Ping: Bad field 'count' in Pong: integer expected, not string$",
                     lines[2])
    end)
  end)

  describe("a Reject", function()
    it("is never caused by another", function()
      start_host "local Reject = 1"
      assert.same({}, exchange { frame("nobody", "Reject"), frame("pong", "Reject"), frame("pong", "reject", '{"a": 1}'),
                                 frame("nobody/ask#7", "Reject") })
    end)

    it("reaches on_reject with three texts, whoever has written it", function()
      start_host [[
        function on_reject(self, msg, env)
          print(msg.message_type, msg.reason, msg.rejected_by, env.from, env.remote, env.asked)
          print(env:reply("Never"))
        end
      ]]
      assert.same({}, exchange {
        -- Python, C++ and Rust, Java
        '{"sender_actor": null, "sender_endpoint": "ME", "receiver": "pong", "message_type": "Reject", "message": '
          .. '{"message_type": "Bogus", "reason": "Unknown message type: Bogus", "rejected_by": "x"}}',
        '{"message":{"message_type":"Ping","reason":"Actor \'y\' not found","rejected_by":"y"},'
          .. '"message_type":"Reject","receiver":"pong","sender_actor":null,"sender_endpoint":null}',
        '{"sender_endpoint":"ME","receiver":"pong","message_type":"Reject","message":'
          .. '{"messageType":"Ping","reason":"Unknown actor: z","rejectedBy":"z"}}',
        frame("pong", "Reject", '{"reason": [7]}', "null", "null"),
      })
      local lines = printed()
      assert.equal("Bogus\tUnknown message type: Bogus\tx\tnil\ttrue\tfalse", lines[1])
      assert.equal("nil\tnobody to reply to", lines[2])
      assert.equal("Ping\tActor 'y' not found\ty\tnil\ttrue\tfalse", lines[3])
      assert.equal("Ping\tUnknown actor: z\tz\tnil\ttrue\tfalse", lines[5])
      assert.equal("\t\t\tnil\ttrue\tfalse", lines[7])
    end)

    it("says that a mailbox is full", function()
      local folder = process.make_folder()
      process.write_file(folder .. "/small.lua", [[
        local Small = { mailbox = { limit = 2 } }
        function Small:on_hold() actor.receive("Never", { timeout = "1h" }) end
        return Small ]])
      start_host(([[ function on_start() actor.spawn("%s/small", { name = "small" }):send("Hold") end ]]):format(folder))
      local held = { frame("pong", "Ping", '{"count": 0}') } -- by then Hold is under way
      local answers = exchange(held)
      assert.equal(1, #answers)
      local frames = {}
      for i = 1, 8 do frames[i] = frame("small", "Note" .. i) end
      answers = exchange(frames)
      assert.equal(reject("Note8", "Mailbox full: small", "small"), answers[#answers])
      assert.is_true(#answers >= 5) -- two are kept; one more if Hold had not begun
      process.remove_folder(folder)
    end)
  end)

  it("100,000 invented types leave room for ours, and are rejected by their names", function()
    start_host [[
      local Pong = { mailbox = { limit = 100000 }, on_ping = on_ping }
      function Pong:on_new(msg, env)
        local nobody = actor.ref("nobody")
        for i = 1, 20000 do nobody:try_send("OneOfOurs" .. i) end -- raises if the name cannot be a type
        local New = actor.message("BrandNew", { fresh = "boolean" })
        env:reply(New{ fresh = true })
      end
      return Pong
    ]]
    assert.equal(0, process.run({ PYTHON, INVENTOR, endpoint, "100000", "pong" }).code)
    assert.same({
      reject("Invented99999", "Unknown message type: Invented99999", "pong"),
      reject("SomethingElse", "Unknown message type: SomethingElse", "pong"),
      reject("SomethingElse", "Actor 'nobody' not found", "nobody"),
      answer("BrandNew", '{"fresh": true}'),
    }, exchange { frame("pong", "Invented99999"), frame("pong", "SomethingElse"), frame("nobody", "SomethingElse"),
                  frame("pong", "NEW") })
  end)
end)
