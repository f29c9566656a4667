-- The wire, spoken with a Python process that has none of our code: the family's
-- own frames are understood, ours are what json.dumps would write, and what is
-- no frame hurts nobody.
local process = require "spec.support.process"

local PYTHON = "/usr/bin/python3" -- Debian's python3-zmq is for this one
local PEER = "spec/interop/peer.py"

local has_zmq = os.execute(PYTHON .. " -c 'import zmq' 2>/dev/null") == true
local it = has_zmq and it or function(name)
  pending(name .. " (needs python3-zmq: '" .. PYTHON .. " -c \"import zmq\"' fails)")
end

local PONG = [[
  function on_ping(self, msg, env) env:reply("Pong", { count = msg.count }) end
  function on_echo(self, msg, env) env:reply("Echo", msg) end
  function on_any(self, msg, env) print("delivered " .. env.type) end
]]

local REJECT = '= {"sender_actor": null, "sender_endpoint": null, "receiver": "ping", "message_type": "Reject", '
  .. '"message": {"message_type": "%s", "reason": "%s", "rejected_by": "%s"}}'

local function reject(type, reason, by)
  return REJECT:format(type, reason, by)
end

-- A frame as Python writes it; ME is where its answers go. Values are JSON.
local function frame(receiver, type, message, sender, endpoint)
  return ('{"sender_actor": %s, "sender_endpoint": %s, "receiver": %s, "message_type": %s, "message": %s}')
    :format(sender or '"ping"', endpoint or '"ME"', receiver, type, message or "{}")
end

local function ping(count)
  return frame('"pong"', '"Ping"', ('{"count": %d}'):format(count))
end

local function hex(bytes)
  return "hex " .. bytes:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end)
end

local function lines_of(text)
  local lines = {}
  for line in text:gmatch("([^\n]*)\n") do table.insert(lines, line) end
  return lines
end

describe("with a peer in Python,", function()
  after_each(process.end_all)

  describe("an actor here", function()
    local host, endpoint

    local function start_host(chunk)
      host = process.start(process.troupe { "-e", chunk or PONG, "--name", "pong", "--bind", ":0" })
      endpoint = host:error_line("listening on"):match("tcp://%S+$")
    end

    before_each(function() start_host() end)

    local function peer(mode, input)
      local ended = process.run({ PYTHON, PEER, mode, endpoint }, { input = input })
      assert.same({ code = 0, err = "" }, { code = ended.code, err = ended.err })
      return lines_of(ended.out)
    end

    -- What comes back for these frames; a good Ping behind them is always answered.
    local function exchange(frames)
      return peer("exchange", table.concat(frames, "\n") .. "\n")
    end

    local function pong(count)
      return ('= {"sender_actor": "pong", "sender_endpoint": "%s", "receiver": "ping", "message_type": "Pong", '
        .. '"message": {"count": %d}}'):format(endpoint, count)
    end

    -- Nothing was delivered but what the spec knows of.
    local function assert_delivered(...)
      local expected = { ... }
      for i, type in ipairs(expected) do expected[i] = "delivered " .. type end
      local ended = host:stop("TERM")
      assert.equal(0, ended.code)
      assert.same(expected, lines_of(ended.out))
      return ended
    end

    it("answers Ping with Pong, in the bytes that json.dumps would write", function()
      assert.same({ pong(1) }, exchange { ping(1) })
    end)

    it("understands the frames of the family's Python, C++, Rust and Java", function()
      assert.same({ pong(1), pong(2), pong(3), pong(4) }, exchange {
        '{"sender_actor": "ping", "sender_endpoint": "ME", "receiver": "pong", "message_type": "Ping", '
          .. '"message": {"count": 1}}',
        '{"message":{"count":2},"message_type":"Ping","receiver":"pong","sender_actor":"ping","sender_endpoint":"ME"}',
        '{"message":{"count":3},"message_type":"Ping","receiver":"pong","sender_actor":"ping","sender_endpoint":"ME"}',
        '{"sender_actor":"ping","sender_endpoint":"ME","receiver":"pong","message_type":"Ping","message":{"count":4}}',
      })
    end)

    it("hears the family's replies and Rejects without a sender, and answers none of them", function()
      assert.same({}, exchange {
        -- C++, Rust, Python, Java
        '{"message":{"count":1},"message_type":"Note","receiver":"pong","sender_actor":null,"sender_endpoint":null}',
        '{"message":{"message_type":"Ping","reason":"Actor \'x\' not found","rejected_by":"x"},'
          .. '"message_type":"Reject","receiver":"pong","sender_actor":null,"sender_endpoint":null}',
        '{"sender_actor": null, "sender_endpoint": "ME", "receiver": "pong", "message_type": "Note", "message": {}}',
        '{"sender_endpoint":"ME","receiver":"pong","message_type":"Note","message":{}}',
        '{"receiver":"nobody","message_type":"Ping","message":{}}',
      })
      assert_delivered("Note", "Note", "Note")
    end)

    it("sends nothing to a sender without an endpoint, nor to half a sender", function()
      assert.same({}, exchange {
        frame('"pong"', '"Ping"', "{}", '"ping"', "null"),
        frame('"pong"', '"Ping"', "{}", '"ping"', '""'),
        frame('"pong"', '"Ping"', "{}", "null", '"ME"'),
        frame('"nobody"', '"Ping"', "{}", '"ping"', "null"),
      })
      assert_delivered()
    end)

    it("rejects types that it has no handler for", function()
      host:stop("TERM")
      start_host(PONG:gsub("on_any", "on_other"))
      assert.same({ reject("Bogus", "Unknown message type: Bogus", "pong") },
                  exchange { frame('"pong"', '"Bogus"') })
    end)

    it("that is not there is named in a Reject, whatever the type", function()
      assert.same({ reject("Ping", "Actor 'nobody' not found", "nobody"),
                    reject("Start", "Actor 'nobody' not found", "nobody") },
                  exchange { frame('"nobody"', '"Ping"'), frame('"nobody"', '"Start"') })
    end)

    it("is not sent built-in types from outside, however they are spelt", function()
      local types = { "Start", "Shutdown", "Timeout", "Down", "start", "SHUTDOWN", "Time_Out" }
      local frames, answers = {}, {}
      for i, type in ipairs(types) do
        frames[i] = frame('"pong"', '"' .. type .. '"', '{"id": 1}')
        answers[i] = reject(type, "Unknown message type: " .. type, "pong")
      end
      assert.same(answers, exchange(frames))
      assert_delivered()
    end)

    it("is not sent answers to questions that nobody asked, and nobody hears of them", function()
      assert.same({}, exchange { frame('"x/ask#9"', '"Pong"'), frame('"pong/ask#9"', '"Pong"'),
                                 frame('"pong/ask#"', '"Pong"'), frame('"/ask#1"', '"Pong"') })
      assert_delivered()
    end)

    it("hands values back unchanged", function()
      local message = '{"array": [1, [2, []], {}], "big": [9223372036854775807, -9223372036854775808], '
        .. '"empty": [[], {}], "flag": [true, false], '
        .. '"float": [1.0, -0.0, 0.1, -1.5, 1e+16, 1e-07, 1e+300, 5e-324, 123456789.125], '
        .. '"null": [null, {"x": null}], '
        .. [["text": "\u00fc\u20ac\ud83d\ude00 \n\t\u0000\"\\/"}]]
      assert.same({ ('= {"sender_actor": "pong", "sender_endpoint": "%s", "receiver": "ping", '
        .. '"message_type": "Echo", "message": %s}'):format(endpoint, message) },
        exchange { frame('"pong"', '"Echo"', message) })
    end)

    it("gets every part of a multipart message as one of its own", function()
      assert.same({ pong(1), pong(2) }, exchange { "parts " .. ping(1) .. "\t" .. ping(2) })
    end)

    it("ignores envelope keys that it does not know", function()
      assert.same({ pong(1) }, exchange { (ping(1):gsub("^{", '{"seq": [1, {"a": null}], ')) })
    end)

    describe("survives", function()
      -- Each is followed by a good Ping, and none is answered itself.
      local function assert_survived(frames)
        local said, answers = {}, {}
        for i, bad in ipairs(frames) do
          table.insert(said, bad)
          table.insert(said, ping(i))
          table.insert(answers, pong(i))
        end
        assert.same(answers, exchange(said))
        assert_delivered()
      end

      it("what is no JSON object", function()
        assert_survived {
          hex "", hex "{", hex "not JSON", hex "\0\1\2\255", hex '{"receiver": "\xff"}', "[]", "[1]", "7", "null",
          '"text"', "{}", "{} {}", "{'receiver': 'pong'}", ("["):rep(100000), ('{"a":'):rep(1000),
        }
      end)

      it("fields of the wrong type", function()
        assert_survived {
          frame("7", '"Ping"'), frame("[]", '"Ping"'), frame("{}", '"Ping"'), frame("true", '"Ping"'),
          frame('"pong"', "7"), frame('"pong"', "[]"),
          frame('"pong"', '"Ping"', "[5]"), frame('"pong"', '"Ping"', "5"), frame('"pong"', '"Ping"', '"x"'),
          frame('"pong"', '"Ping"', '{"count": NaN}'), frame('"pong"', '"Ping"', '{"count": -Infinity}'),
          frame('"pong"', '"Ping"', ('{"a":'):rep(65) .. "1" .. ("}"):rep(65)),
          frame('"pong"', '"Ping"', "{}", '"ping"', "7"), frame('"pong"', '"Ping"', "{}", "7", '"ME"'),
          '{"receiver": "nobody", ' .. ping(0):sub(2), -- a key twice
        }
      end)

      it("senders that cannot be answered", function()
        local function from(where) return frame('"pong"', '"Ping"', "{}", '"ping"', '"' .. where .. '"') end
        assert_survived {
          from "garbage", from "tcp://*:1", from "tcp://", from "tcp://127.0.0.1", from "tcp://127.0.0.1:0",
          from "tcp://127.0.0.1:99999", from "ipc:///tmp/x", from "inproc://zeromq.zap.01",
          from "tcp://no.such.host.invalid:5001", from(endpoint), from "tcp://127.0.0.1:1",
          from(("x"):rep(1000)),
        }
      end)

      it("absent fields, of which it complains by a Reject where it can", function()
        assert.same({
          reject("Ping", "Actor '' not found", ""),
          reject("Ping", "Actor '' not found", ""),
          reject("", "Unknown message type: ", "pong"),
          reject("", "Unknown message type: ", "pong"),
        }, exchange {
          '{"sender_actor": "ping", "sender_endpoint": "ME", "message_type": "Ping", "message": {}}',
          frame("null", '"Ping"'),
          '{"sender_actor": "ping", "sender_endpoint": "ME", "receiver": "pong", "message": {}}',
          frame('"pong"', "null"),
        })
        assert_delivered()
      end)

      it("an absent message, and one that is null: both are empty", function()
        local empty = pong(0):gsub('{"count": 0}', "{}")
        assert.same({ empty, empty }, exchange {
          '{"sender_actor": "ping", "sender_endpoint": "ME", "receiver": "pong", "message_type": "Ping"}',
          frame('"pong"', '"Ping"', "null"),
        })
      end)

      it("a browser, and hears none of it", function()
        assert.same({ "disconnected" }, peer("http"))
        assert.same({ pong(1) }, exchange { ping(1) })
        assert_delivered()
      end)

      it("a frame of more than 1 MiB, which it refuses; 1 MiB is fine", function()
        assert.same({ "disconnected" }, peer("oversize"))
        local port = #"12345" -- of any peer
        local whole = frame('"pong"', '"Ping"', '{"count": 1, "pad": ""}')
        local size = #whole - #"ME" + #"tcp://localhost:" + port
        whole = whole:gsub('""', '"' .. ("x"):rep((1 << 20) - size) .. '"')
        assert.same({ pong(1) }, exchange { whole })
        assert_delivered()
      end)
    end)
  end)

  describe("a peer's actor", function()
    -- Starts a peer that writes as the family's Python does (for the others see
    -- dialects_spec); where it is.
    local function serve()
      local peer = process.start { PYTHON, PEER, "serve", "python" }
      return peer, peer:line("tcp://")
    end

    local function run(chunk, ...)
      return process.run(process.troupe { "-e", chunk, "--", ... })
    end

    it("is asked under a name for one answer, in the bytes that json.dumps would write", function()
      local peer, where = serve()
      local ended = run([[
        function on_start()
          print(actor.ref("pong@" .. actor.args[1]):ask("Ping", { count = 1, text = "ü", list = json.array{} }).text)
          actor.stop_host()
        end
      ]], where)
      assert.equal("ü\n", ended.out)
      assert.matches('^= {"sender_actor": "main/ask#%d+", "sender_endpoint": "tcp://127%.0%.0%.1:%d+", '
        .. '"receiver": "pong", "message_type": "Ping", '
        .. '"message": {"count": 1, "list": %[%], "text": "\\u00fc"}}$', peer:line())
    end)

    it("gets plain messages, its replies go to the actor of that name, and its Rejects to on_reject", function()
      local peer, where = serve()
      local host = process.start(process.troupe { "-e", [[
        function on_start(self)
          self.pong = actor.ref("pong@" .. actor.args[1])
          self.pong:send("Ping", { count = 1 })
        end
        function on_pong(self, msg, env)
          print(env.type, msg.count, env.remote, env.from == self.pong)
          self.pong:send("Bogus")
        end
        function on_reject(self, msg)
          print(msg.message_type, msg.rejected_by, msg.reason)
          actor.stop_host()
        end
      ]], "--name", "ping", "--bind", ":0", "--", where })
      local endpoint = host:error_line("listening on"):match("tcp://%S+$")
      assert.same({
        code = 0, err = "",
        out = "Pong\t1\ttrue\ttrue\nBogus\tpong\tUnknown message type: Bogus. Did you register it with "
          .. "@register_message?\n",
      }, host:wait())
      assert.equal(('= {"sender_actor": "ping", "sender_endpoint": "%s", "receiver": "pong", '
        .. '"message_type": "Ping", "message": {"count": 1}}'):format(endpoint), peer:line())
    end)

    it("is reached by troupe ask and troupe send", function()
      local peer, where = serve()
      local function troupe(...) return process.run(process.troupe { ... }) end
      assert.same({ code = 0, out = 'Pong {"count": 1}\n', err = "" },
                  troupe("ask", "pong@" .. where, "Ping", "count:=1"))
      assert.same({ code = 4, out = "",
                    err = "troupe: Unknown message type: Bogus. Did you register it with @register_message?\n" },
                  troupe("ask", "pong@" .. where, "Bogus"))
      assert.same({ code = 4, out = "", err = "troupe: Actor 'nobody' not found\n" },
                  troupe("ask", "nobody@" .. where, "Ping"))
      assert.equal(3, troupe("ask", "pong@" .. where, "Hush", "--timeout", "1s").code)
      assert.same({ code = 0, out = "", err = "" }, troupe("send", "pong@" .. where, "Ping", "count:=2"))
      assert.equal('= {"sender_actor": null, "sender_endpoint": null, "receiver": "pong", "message_type": "Ping", '
        .. '"message": {"count": 2}}', peer:line('"count": 2'))
    end)

    it("is not sent what has no JSON form, or is larger than a frame", function()
      local peer, where = serve()
      local ended = run([[
        function on_start()
          local pong = actor.ref("pong@" .. actor.args[1])
          for _, msg in ipairs { { x = { 0 / 0 } }, { x = "\xff" }, { x = ("x"):rep(1 << 20) } } do
            local ok, sent, why = pcall(pong.send, pong, "Ping", msg)
            print(ok, sent, why)
          end
          print(pong:ask("Ping", { count = 1 }).count)
          actor.stop_host()
        end
      ]], where)
      local lines = lines_of(ended.out)
      assert.equal(4, #lines)
      assert.matches("msg.x[1]", lines[1], 1, true)
      assert.matches("msg.x", lines[2], 1, true)
      assert.matches("larger than a frame may be", lines[3], 1, true)
      assert.equal("1", lines[4])
      assert.matches('"message": {"count": 1}', peer:line(), 1, true)
    end)
  end)
end)
