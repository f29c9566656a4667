-- The tools of the command line: send and ask of many messages, listen, bench and
-- doctor, with peers of ours, a Python peer, and who else may have a port.
local json = require "troupe.json"
local process = require "spec.support.process"

local PYTHON = "/usr/bin/python3" -- Debian's python3-zmq is for this one
local OK, FAILED, USAGE, TIMED_OUT, REJECTED, UNREACHABLE, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130

local has_zmq = os.execute(PYTHON .. " -c 'import zmq' 2>/dev/null") == true
local it_with_python = has_zmq and it or function(name)
  pending(name .. " (needs python3-zmq: '" .. PYTHON .. " -c \"import zmq\"' fails)")
end

local PONG = [[
  function on_ping(self, msg, env) env:reply("Pong", { count = msg.count }) end
  function on_note(self, msg) print("note " .. msg.n) end
  function on_tick(self, msg) print(json.encode(msg)) end
  function on_hush(self, msg, env) self.never = env:defer() print("hushed") end
]]

local function troupe(arguments, options)
  return process.run(process.troupe(arguments), options)
end

local function start(arguments)
  return process.start(process.troupe(arguments))
end

local function shell_word(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

-- A shell's pipeline; `troupe` in it is the program under test.
local function pipeline(text)
  return { "sh", "-c", (text:gsub("troupe ", function() return shell_word(process.troupe({})[1]) .. " " end)) }
end

local function endpoint_of(child)
  return assert(child:error_line("listening on"):match("tcp://%S+$"))
end

local function lines_of(text)
  local lines = {}
  for line in text:gmatch("([^\n]*)\n") do table.insert(lines, line) end
  return lines
end

local function decoded(text)
  local objects = {}
  for i, line in ipairs(lines_of(text)) do objects[i] = assert(json.decode(line)) end
  return objects
end

-- An endpoint that nobody listens on: somebody has just left it.
local function deserted_endpoint()
  local child = start { "listen", ":0" }
  local endpoint = endpoint_of(child)
  child:stop("TERM")
  return endpoint
end

describe("the tools:", function()
  local host, endpoint

  local function start_pong()
    host = start { "-e", PONG, "--name", "pong", "--bind", ":0" }
    endpoint = endpoint_of(host)
    return "pong@" .. endpoint
  end

  after_each(process.end_all)

  describe("send", function()
    it_with_python("delivers ten of ten one-shot messages to a peer in Python", function()
      local peer = process.start { PYTHON, "spec/interop/peer.py", "serve", "python" }
      local ref = "pong@" .. peer:line("tcp://")
      for n = 1, 10 do
        assert.same({ code = OK, out = "", err = "" }, troupe { "send", ref, "Hush", "n:=" .. n })
        assert.matches(('"message": {"n": %d}'):format(n), peer:line("Hush"), 1, true)
      end
    end)

    it("ends with 5 within its timeout if nobody ever was there", function()
      local ended = troupe { "send", "x@" .. deserted_endpoint(), "Ping", "--timeout", "300ms" }
      assert.equal(UNREACHABLE, ended.code)
      assert.matches("no connection in 0.3 s", ended.err, 1, true)
    end)

    it("sends each line of standard input as it comes, as one message's fields", function()
      local folder = process.make_folder()
      finally(function() process.remove_folder(folder) end)
      local ref = start_pong()
      assert(os.execute("mkfifo " .. folder .. "/lines"))
      local sender = process.start(pipeline(("troupe send %s Tick a=x b=x - c=x <%s/lines"):format(ref, folder)))
      local lines = assert(io.open(folder .. "/lines", "w"))
      for n = 1, 3 do
        assert(lines:write(('{"n": %d, "b": "line", "c": "line"}\n\n'):format(n)))
        lines:flush()
        assert.equal(('{"a":"x","b":"line","c":"x","n":%d}'):format(n), (host:line("{"):gsub("%s", "")))
      end
      lines:close()
      assert.same({ code = OK, out = "", err = "" }, sender:wait())
    end)

    it("ends with 2 at a line that is no object, and names it; those before are sent", function()
      local ref = start_pong()
      for text, why in pairs { ['{"n": 1}\n\n{"n": 2]\n{"n": 3}\n'] = "standard input:3: bad JSON: ",
                               ['{"n": 1}\n[]\n'] = "standard input:2: a JSON object is expected",
                               ['{"n": 1}\n{\n"n": 2\n}\n'] = "standard input:2: bad JSON: .*one object a line" } do
        local ended = troupe({ "send", ref, "Note", "-" }, { input = text })
        assert.equal(USAGE, ended.code)
        assert.matches("^" .. why, ended.err)
        assert.equal("note 1", host:line())
      end
      assert.equal(OK, troupe({ "send", ref, "Note", "n:=9" }).code)
      assert.equal("note 9", host:line())
    end)

    it("takes types from the lines as well, if - stands for the type", function()
      local ref = start_pong()
      local input = '{"v": 1, "time": "t", "type": "Note", "message": {"n": 1}}\n{"type": "Tick"}\n'
        .. '{"type": "Tick", "message": null}\n'
      assert.same({ code = OK, out = "", err = "" }, troupe({ "send", ref, "-", "n:=2" }, { input = input }))
      assert.equal("note 2", host:line())
      assert.same({ { n = 2 }, { n = 2 } }, { json.decode(host:line()), json.decode(host:line()) })

      local ended = troupe({ "send", ref, "-" }, { input = '{"n": 1}\n' })
      assert.same({ USAGE, 'standard input:1: {"type": "...", "message": {...}} is expected\n' },
                  { ended.code, ended.err })
    end)

    it("numbers the messages of a series where {{n}} stands", function()
      local ref = start_pong()
      assert.equal(OK, troupe({ "send", ref, "Tick", "n:={{n}}", "text=no {{n}}", '{"m": {{n}}}', "--repeat", "2",
                                "--every", "1ms" }).code)
      assert.same({ { n = 1, m = 1, text = "no 1" }, { n = 2, m = 2, text = "no 2" } },
                  { json.decode(host:line()), json.decode(host:line()) })
    end)

    it("refuses what excludes each other", function()
      for _, arguments in ipairs { { "Ping", "-", "--repeat", "2" }, { "-", "-" } } do
        local ended = troupe { "send", "x@:1", table.unpack(arguments) }
        assert.equal(USAGE, ended.code)
        assert.matches("^troupe: %-", ended.err)
      end
    end)
  end)

  describe("ask", function()
    it("asks for each line, one after the other", function()
      local ended = troupe({ "ask", start_pong(), "Ping", "-" }, { input = '{"count": 1}\n{"count": 2}' })
      assert.same({ code = OK, out = 'Pong {"count": 1}\nPong {"count": 2}\n', err = "" }, ended)
    end)

    it("goes on each so often until nobody reads its answers any more", function()
      local ended = process.run(pipeline(
        "{ troupe ask " .. start_pong() .. " Ping 'count:={{n}}' --every 1ms; echo ended $? >&2; } | head -n 2"))
      assert.same({ code = OK, out = 'Pong {"count": 1}\nPong {"count": 2}\n', err = "ended 0\n" }, ended)
    end)
  end)

  describe("listen", function()
    local function listen(...)
      host = start { "listen", ":0", ... }
      endpoint = endpoint_of(host)
      return endpoint
    end

    it("prints what arrives for anybody, one object a line", function()
      listen("-n", "2")
      troupe { "send", "pong@" .. endpoint, "Ping", "count:=1" }
      troupe { "ask", "somebody else@" .. endpoint, "Start it", "--timeout", "2s" }
      local ended = host:wait()
      assert.equal(OK, ended.code)
      local lines = lines_of(ended.out)
      assert.matches('^{"v": 1, "time": "%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ", "from": null, "to": "pong", '
                     .. '"type": "Ping", "message": {"count": 1}}$', lines[1])
      assert.matches('"from": "[^"]+@tcp://127%.0%.0%.1:%d+", "to": "somebody else", "type": "Start it"', lines[2])
    end)

    it("with a name takes only what is for it, and has the rest rejected", function()
      listen("pong", "-n", "1")
      local ended = troupe { "ask", "other@" .. endpoint, "Ping" }
      assert.same({ REJECTED, "troupe: Actor 'other' not found\n" }, { ended.code, ended.err })
      troupe { "send", "pong@" .. endpoint, "Ping" }
      assert.equal("pong", decoded(host:wait().out)[1].to)
    end)

    it("answers with the message's own fields, or with those given", function()
      listen("--reply", "Pong")
      assert.equal('Pong {"count": 7}\n', troupe({ "ask", "pong@" .. endpoint, "Ping", "count:=7" }).out)
      host:stop("TERM")
      listen("--reply", "Price", "value:=9.5", "n:={{n}}")
      for n = 1, 2 do
        assert.equal(('Price {"n": %d, "value": 9.5}\n'):format(n),
                     troupe({ "ask", "price@" .. endpoint, "Get", "symbol=X" }).out)
      end
    end)

    it_with_python("is a pong to a peer in Python", function()
      listen("pong", "--reply", "Pong")
      local frame = '{"sender_actor": "ping", "sender_endpoint": "ME", "receiver": "pong", "message_type": "%s", '
        .. '"message": {"count": %d}}\n'
      local ended = process.run({ PYTHON, "spec/interop/peer.py", "exchange", endpoint },
                                { input = frame:format("Ping", 1) .. frame:format("Reject", 2) })
      -- Python's own last Ping was answered too, and no Reject ever is.
      assert.same({ OK, ('= {"sender_actor": "pong", "sender_endpoint": "%s", "receiver": "ping", '
                        .. '"message_type": "Pong", "message": {"count": 1}}\n'):format(endpoint) },
                  { ended.code, ended.out })
      local types = {}
      for _ = 1, 3 do table.insert(types, json.decode(host:line()).type) end
      assert.same({ "Ping", "Reject", "Ping" }, types)
    end)

    it("loses nothing of a flood, in order of arrival", function()
      local folder = process.make_folder()
      finally(function() process.remove_folder(folder) end)
      local path = folder .. "/lines"
      local numbers <close> = assert(io.open(path, "w"))
      for n = 1, 5000 do numbers:write('{"n": ', n, "}\n") end
      numbers:close()
      host = process.start(pipeline("exec troupe listen :0 -n 5000 >" .. folder .. "/heard"))
      endpoint = endpoint_of(host)
      assert.equal(OK, process.run(pipeline("troupe send x@" .. endpoint .. " Tick - --timeout 60s <" .. path)).code)
      assert.equal(OK, host:wait().code)
      local file <close> = assert(io.open(folder .. "/heard"))
      local heard = decoded(file:read("a"))
      assert.equal(5000, #heard)
      for n, line in ipairs(heard) do assert.equal(n, line.message.n) end
    end)

    it("pushes back when nobody reads what it prints, and then send gives up with 3", function()
      local folder = process.make_folder()
      finally(function() process.remove_folder(folder) end)
      local path = process.write_file(folder .. "/lines", ('{"pad": "%s"}\n'):format(("x"):rep(1000)):rep(20000))
      listen()
      local ended = process.run(pipeline("troupe send x@" .. endpoint .. " Tick - --timeout 500ms <" .. path))
      assert.equal(TIMED_OUT, ended.code)
      assert.matches("takes too slowly: messages still wait after 0.5 s", ended.err, 1, true)
    end)

    it("prints what send can replay", function()
      local ref = start_pong()
      listen("-n", "2")
      troupe { "send", "a@" .. endpoint, "Note", "n:=1" }
      troupe { "send", "b@" .. endpoint, "Ping" }
      local heard = host:wait().out
      assert.same({ code = OK, out = 'Pong {}\n', err = "" },
                  troupe({ "ask", ref, "-" }, { input = lines_of(heard)[2] .. "\n" }))
    end)

    it("ends with 3 when nothing comes in time", function()
      local ended = troupe { "listen", ":0", "--timeout", "50ms" }
      assert.equal(TIMED_OUT, ended.code)
      assert.matches("troupe: nothing came to tcp://127.0.0.1:%d+ in 0.1 s\n$", ended.err)
    end)

    it("ends with 130 when interrupted, with 0 when terminated", function()
      for signal, code in pairs { INT = INTERRUPTED, TERM = OK } do
        listen()
        assert.equal(code, host:stop(signal).code)
      end
    end)

    it("ends when its reader has gone, without waiting for another message", function()
      host = process.start(pipeline("{ troupe listen :0; echo ended $? >&2; } | head -n 1"))
      endpoint = endpoint_of(host)
      troupe { "send", "x@" .. endpoint, "Ping" }
      host:line('"Ping"')
      host:error_line("ended 0")
    end)

    it("says why it cannot", function()
      listen()
      local ended = troupe { "listen", endpoint }
      assert.equal(FAILED, ended.code)
      assert.matches("cannot listen on " .. endpoint, ended.err, 1, true)
      for _, arguments in ipairs { { "x" }, { ":0", "--reply", "Pong", "count" }, { ":0", "--reply", "Pong", "-" },
                                   { ":0", "-n", "0" } } do
        assert.equal(USAGE, troupe({ "listen", table.unpack(arguments) }).code)
      end
    end)

    it("ends with 2 when it is told to answer with what only the host sends", function()
      listen("--reply", "Start")
      troupe { "ask", "x@" .. endpoint, "Ping", "--timeout", "2s" }
      assert.equal(USAGE, host:wait().code)
    end)
  end)

  describe("bench", function()
    local function measured(code, ...)
      local ended = troupe { "bench", ... }
      assert.equal(code, ended.code, ended.err)
      return json.decode(ended.out), ended.err
    end

    it("counts and times the answers", function()
      for _, more in ipairs { { "-c", "1" }, { "-c", "16" }, { "-c", "4", "--rate", "5000" } } do
        local found = measured(OK, "ask", start_pong(), "Ping", "count:=1", "-n", "500", "--timeout", "20s",
                               "--json", table.unpack(more))
        assert.same({ 1, "ask", 500, 500, 0, 0, 0, 0 },
                    { found.v, found.what, found.count, found.done, found.timed_out, found.rejected,
                      found.unreachable, found.late })
        assert.equal(tonumber(more[2]), found.in_flight)
        assert.is_true(0 < found.min_us and found.min_us <= found.p50_us and found.p50_us <= found.p90_us
                       and found.p90_us <= found.p99_us and found.p99_us <= found.max_us)
        assert.is_true(found.per_second > 0 and found.max_us / 1e6 <= found.seconds)
      end
    end)

    it("keeps to a rate, and does not begin sooner", function()
      local found = measured(OK, "ask", start_pong(), "Ping", "-n", "50", "-c", "50", "--rate", "200", "--timeout",
                             "20s", "--json")
      assert.is_true(found.seconds >= 49 / 200)
    end)

    it("hands over all that it sends, each time", function()
      for _ = 1, 10 do -- once would be luck: it ends while ZeroMQ still has most of them
        local listening = start { "listen", ":0", "-n", "3000" }
        local found = measured(OK, "send", "x@" .. endpoint_of(listening), "Tick", "n:=1", "-n", "3000", "--timeout",
                               "20s", "--json")
        assert.same({ "send", 3000, 0 }, { found.what, found.done, found.unreachable })
        assert.equal(3000, #lines_of(listening:wait().out))
      end
    end)

    it("says it in words to people", function()
      local out = troupe({ "bench", "ask", start_pong(), "Ping", "-n", "20", "--timeout", "20s" }).out
      assert.matches("^20 answers in [%d.]+ s: [%d,]+ a second, 1 in flight\n +p50 +p90 +p99 +p99.9 +max\n", out)
    end)

    it_with_python("measures a peer in Python", function()
      local peer = process.start { PYTHON, "spec/interop/peer.py", "serve", "c++" }
      local ref = "pong@" .. peer:line("tcp://")
      assert.equal(100, measured(OK, "ask", ref, "Ping", "count:=1", "-n", "100", "-c", "8", "--timeout", "20s",
                                 "--json").done)
    end)

    it("ends with 4 when questions are rejected, and says why; it does not go on for ever", function()
      local found, why = measured(REJECTED, "ask", start_pong(), "Pingg", "-n", "100000", "--timeout", "20s", "--json")
      assert.same({ 0, 10 }, { found.done, found.rejected })
      assert.equal("troupe: 10 rejected; given up: Unknown message type: Pingg\n", why)
    end)

    it("ends with 3 when there is no answer", function()
      local found, why = measured(TIMED_OUT, "ask", start_pong(), "Hush", "-n", "100", "-c", "2", "--timeout",
                                  "2s", "--json")
      assert.same({ 0, 2 }, { found.done, found.timed_out })
      assert.equal("troupe: 2 not answered in time; given up: no answer in time\n", why)
    end)

    it("ends with 5 when nobody is there", function()
      for _, what in ipairs { "ask", "send" } do
        local ended = troupe { "bench", what, "x@" .. deserted_endpoint(), "Ping", "--timeout", "100ms" }
        assert.same({ UNREACHABLE, "" }, { ended.code, ended.out })
        assert.matches("nobody answers at tcp://", ended.err, 1, true)
      end
    end)

    it("tells what it has when it is interrupted", function()
      local ref = start_pong()
      local child = start { "bench", "ask", ref, "Hush", "-n", "10", "--timeout", "50s", "--json" }
      host:line("hushed")
      local ended = child:stop("INT")
      assert.equal(INTERRUPTED, ended.code)
      assert.equal(0, json.decode(ended.out).done)
    end)

    it("has no use for lines", function()
      assert.equal(USAGE, troupe({ "bench", "ask", "x@:1", "Ping", "-" }).code)
      assert.equal(USAGE, troupe({ "bench", "ask", "x@:1", "-" }).code)
      assert.equal(USAGE, troupe({ "bench", "listen", "x@:1", "Ping" }).code)
    end)
  end)

  describe("doctor", function()
    -- The steps by name, the last one, and how it ended.
    local function examine(...)
      local ended = troupe { "doctor", "--json", ... }
      local steps, last = {}, nil
      for _, step in ipairs(decoded(ended.out)) do
        assert.equal(1, step.v)
        steps[step.step], last = step.status, step
      end
      return steps, last, ended.code
    end

    it("looks at this machine when nobody is named", function()
      local steps, _, code = examine()
      assert.equal(OK, code)
      assert.same({ "ok", "ok", "ok" }, { steps.troupe, steps.share, steps.zeromq })
      for _, name in ipairs { "cjson", "busted", "files", "runtime", "ports" } do
        assert.is_true(steps[name] == "ok" or steps[name] == "note", name)
      end
    end)

    it("says what is well, and how to go on", function()
      local steps, last, code = examine(start_pong())
      assert.same({ { address = "ok", name = "ok", connect = "ok", handshake = "ok", answer = "note" }, OK },
                  { steps, code })
      assert.matches("troupe doctor pong@" .. endpoint .. " Ping count:=1", last.todo, 1, true)
    end)

    it_with_python("sends nothing unless it is told what", function()
      local peer = process.start { PYTHON, "spec/interop/peer.py", "serve", "python" }
      local ref = "pong@" .. peer:line("tcp://")
      assert.equal(OK, select(3, examine(ref)))
      local _, last, code = examine(ref, "Ping", "count:=3")
      assert.same({ OK, "answer", "ok" }, { code, last.step, last.status })
      assert.matches('^Pong {"count": 3}, in ', last.text)
      assert.matches('"message_type": "Ping", "message": {"count": 3}}', peer:line(), 1, true)
    end)

    it("says what the answer was, or what was rejected", function()
      local ref = start_pong()
      local _, last, code = examine(ref, "Ping", "count:=1")
      assert.same({ "answer", "ok", OK }, { last.step, last.status, code })
      _, last, code = examine(ref, "Pingg")
      assert.same({ "type", "failed", "Unknown message type: Pingg", REJECTED },
                  { last.step, last.status, last.text, code })
      _, last, code = examine((ref:gsub("^pong", "pongg")), "Ping")
      assert.same({ "actor", "failed", "Actor 'pongg' not found", REJECTED },
                  { last.step, last.status, last.text, code })
      _, last, code = examine(ref, "Note", "n:=1")
      assert.same({ "answer", "failed", REJECTED }, { last.step, last.status, code })
      assert.matches("'troupe send' is the way", last.todo, 1, true)
    end)

    it_with_python("knows a peer whose receiver has died", function()
      local peer = process.start { PYTHON, "spec/interop/stranger.py", "deaf" }
      local _, last, code = examine("pong@" .. peer:line("tcp://"), "Ping", "--timeout", "2s")
      assert.same({ "answer", "failed", TIMED_OUT }, { last.step, last.status, code })
      assert.matches("a Python peer whose receiver died of an earlier message accepts TCP but no longer answers",
                     last.todo, 1, true)
    end)

    local STRANGERS = {
      http = "an HTTP server is there, and not ZeroMQ",
      banner = "an SSH server is there, and not ZeroMQ: it says 'SSH-2.0-OpenSSH_9.2'",
      mute = "it accepts TCP connections and says nothing",
      hangup = "it hung up before the handshake was over",
      old = "older than 3.0",
      stalled = "it greeted as ZeroMQ does, and then fell silent",
      rep = "with a REP socket, and an actor's host has PULL",
      curve = "only connections secured by CURVE",
      denied = "it refused this machine",
    }
    for mode, text in pairs(STRANGERS) do
      it_with_python("knows who else may have a port: " .. mode, function()
        local stranger = process.start { PYTHON, "spec/interop/stranger.py", mode }
        -- Only one that never says a word is waited for in vain.
        local patience = (mode == "mute" or mode == "stalled" or mode == "http") and "2s" or "20s"
        local _, last, code = examine("pong@" .. stranger:line("tcp://"), "--timeout", patience)
        assert.same({ "handshake", "failed", UNREACHABLE }, { last.step, last.status, code })
        assert.matches(text, last.text, 1, true)
        assert.is_string(last.todo)
      end)
    end

    it("says that nobody listens there", function()
      local _, last, code = examine(deserted_endpoint())
      assert.same({ "connect", "failed", UNREACHABLE }, { last.step, last.status, code })
      assert.matches("connection refused", last.text, 1, true)
    end)

    it("says that a name means nothing here", function()
      local _, last, code = examine("pong@nobody.invalid:5001")
      assert.same({ "name", "failed", UNREACHABLE }, { last.step, last.status, code })
    end)

    it("says what an address looks like", function()
      for _, peer in ipairs { "pong", "pong@risk", "pong@:99999", "http://x:1", "pong@tcp://*:1" } do
        local _, last, code = examine(peer)
        assert.same({ "address", "failed", USAGE }, { last.step, last.status, code }, peer)
      end
      assert.matches("pong@:5001 is on this machine", select(2, examine("pong@risk")).todo, 1, true)
      assert.matches("Write :5001 for a port of this machine", select(2, examine("5001")).todo, 1, true)
      assert.matches("troupe ask registry@flat::5555 LookupActor", select(2, examine("registry@flat::5555")).todo, 1, true)
      local _, last, code = examine(":1", "Ping")
      assert.same({ "answer", "failed", USAGE }, { last.step, last.status, code })
    end)

    it("shows people marks, without colours in a pipe", function()
      local ended = troupe { "doctor", start_pong() }
      assert.matches("^ok      address    pong at tcp://127.0.0.1:%d+\n", ended.out)
      assert.matches("\nnote    answer     not tried", ended.out, 1, true)
      assert.is_nil(ended.out:find("\27", 1, true))
    end)
  end)

  it("explain themselves within 80 columns, each with examples", function()
    for _, command in ipairs { "send", "ask", "listen", "bench", "doctor" } do
      local ended = troupe { command, "--help" }
      assert.same({ OK, "" }, { ended.code, ended.err })
      assert.matches("Examples:\n   troupe " .. command, ended.out, 1, true)
      for line in ended.out:gmatch("[^\n]+") do
        assert.is_true(utf8.len(line) <= 80, line)
      end
    end
  end)
end)
