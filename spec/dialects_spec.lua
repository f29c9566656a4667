-- Each dialect of the family's wire, spoken by a Python process with none of our
-- code: it writes what the Python, C++, Rust and Java frameworks write, byte for
-- byte, and ends where a frame of ours would kill the real one.
local process = require "spec.support.process"

local PYTHON = "/usr/bin/python3" -- Debian's python3-zmq is for this one
local PEER = "spec/interop/dialects.py"

local has_zmq = os.execute(PYTHON .. " -c 'import zmq' 2>/dev/null") == true
local it = has_zmq and it or function(name) pending(name .. " (needs python3-zmq)") end

-- What each writes, as it was seen on the wire; ME is the peer, US is this host.
local DIALECTS = {
  python = {
    ping = '{"sender_actor": "ping", "sender_endpoint": "ME", "receiver": "pong", "message_type": "Ping", "message": {"count": %d}}',
    pong = '{"sender_actor": "pong", "sender_endpoint": "ME", "receiver": "%s", "message_type": "Pong", "message": {"count": %d}}',
    not_found = '{"sender_actor": null, "sender_endpoint": "ME", "receiver": "%s", "message_type": "Reject", "message": {"message_type": "Ping", "reason": "Actor \'nobody\' not found", "rejected_by": "nobody"}}',
    unknown = '{"sender_actor": null, "sender_endpoint": "ME", "receiver": "%s", "message_type": "Reject", "message": {"message_type": "Bogus", "reason": "Unknown message type: Bogus. Did you register it with @register_message?", "rejected_by": "pong"}}',
    note = '{"sender_actor": null, "sender_endpoint": "ME", "receiver": "%s", "message_type": "%s", "message": {}}',
    not_found_reason = "Actor 'nobody' not found",
    unknown_reason = "Unknown message type: Bogus. Did you register it with @register_message?",
  },
  ["c++"] = {
    ping = '{"message":{"count":%d},"message_type":"Ping","receiver":"pong","sender_actor":"ping","sender_endpoint":"ME"}',
    pong = '{"message":{"count":%2$d},"message_type":"Pong","receiver":"%1$s","sender_actor":null,"sender_endpoint":null}',
    not_found = '{"message":{"message_type":"Ping","reason":"Actor \'nobody\' not found","rejected_by":"nobody"},"message_type":"Reject","receiver":"%s","sender_actor":null,"sender_endpoint":null}',
    unknown = '{"message":{"message_type":"Bogus","reason":"Unknown message type: Bogus","rejected_by":"pong"},"message_type":"Reject","receiver":"%s","sender_actor":null,"sender_endpoint":null}',
    note = '{"message":{},"message_type":"%2$s","receiver":"%1$s","sender_actor":null,"sender_endpoint":null}',
    not_found_reason = "Actor 'nobody' not found",
    unknown_reason = "Unknown message type: Bogus",
    replies_have_no_sender = true,
  },
  rust = {
    ping = '{"message":{"count":%d},"message_type":"Ping","receiver":"pong","sender_actor":"ping","sender_endpoint":"ME"}',
    pong = '{"message":{"count":%2$d},"message_type":"Pong","receiver":"%1$s","sender_actor":"pong","sender_endpoint":"ME"}',
    not_found = '{"message":{"message_type":"Ping","reason":"Actor \'nobody\' not found","rejected_by":"nobody"},"message_type":"Reject","receiver":"%s","sender_actor":null,"sender_endpoint":null}',
    unknown = '{"message":{"message_type":"Bogus","reason":"Unknown message type: Bogus","rejected_by":"pong"},"message_type":"Reject","receiver":"%s","sender_actor":null,"sender_endpoint":null}',
    note = '{"message":{},"message_type":"%2$s","receiver":"%1$s","sender_actor":null,"sender_endpoint":null}',
    not_found_reason = "Actor 'nobody' not found",
    unknown_reason = "Unknown message type: Bogus",
  },
  java = {
    ping = '{"sender_actor":"ping","sender_endpoint":"ME","receiver":"pong","message_type":"Ping","message":{"count":%d}}',
    pong = '{"sender_actor":"pong","sender_endpoint":"ME","receiver":"%s","message_type":"Pong","message":{"count":%d}}',
    not_found = '{"sender_endpoint":"ME","receiver":"%s","message_type":"Reject","message":{"messageType":"Ping","reason":"Unknown actor: nobody","rejectedBy":"nobody"}}',
    note = '{"sender_endpoint":"ME","receiver":"%s","message_type":"%s","message":{}}',
    not_found_reason = "Unknown actor: nobody",
    drops_unknown_types = "Failed to deserialize: Unknown message type: Bogus",
  },
}

-- What we write to all of them.
local OUR_PONG = '{"sender_actor": "pong", "sender_endpoint": "US", "receiver": "ping", "message_type": "Pong", '
  .. '"message": {"count": %d}}'
local OUR_PING = '{"sender_actor": "%s", "sender_endpoint": "US", "receiver": "%s", "message_type": "%s", '
  .. '"message": {"count": %d}}'
local OUR_REJECT = '{"sender_actor": null, "sender_endpoint": null, "receiver": "ping", "message_type": "Reject", '
  .. '"message": {"message_type": "%s", "reason": "%s", "rejected_by": "%s"}}'

local PONG = [[
  function on_ping(self, msg, env) env:reply("Pong", { count = msg.count }) end
  function on_note(self, msg, env) print("delivered " .. env.type, next(msg), env.from) end
]]

-- string.format() with `%2$d`, which Lua's does not know.
local function fill(template, ...)
  local values, next_value = { ... }, 0
  return (template:gsub("%%(%d?)%$?[sd]", function(place)
    next_value = next_value + 1
    return tostring(values[tonumber(place) or next_value])
  end))
end

local function lines_of(text)
  local lines = {}
  for line in text:gmatch("([^\n]*)\n") do table.insert(lines, line) end
  return lines
end

-- Runs a chunk as a host of its own to its end; with where the peer is as its argument.
local function run(chunk, ...)
  local ended = process.run(process.troupe { "-e", chunk, "--name", "main", "--", ... })
  assert.same({ code = 0, err = "" }, { code = ended.code, err = ended.err })
  return lines_of(ended.out)
end

-- The peer's own pong; where it is.
local function serve(form, endpoint)
  local peer = process.start { PYTHON, "-B", PEER, form, "serve", endpoint }
  return peer, peer:line("listening on"):match("tcp://%S+$")
end

-- The next lines that it prints, with US for the endpoint that we advertise.
local function next_lines(peer, count)
  local lines = {}
  for i = 1, count do
    lines[i] = peer:line():gsub("^(< .-\"sender_endpoint\": )\"tcp://127%.0%.0%.1:%d+\"", '%1"US"')
  end
  return lines
end

describe("a peer that speaks the dialect of", function()
  after_each(process.end_all)

  for form, dialect in pairs(DIALECTS) do
    describe(form .. ",", function()
      local host, us

      local function start_host(chunk, ...)
        host = process.start(process.troupe {
          "-e", chunk or PONG, "--name", "pong", "--bind", ":0", "--", ... })
        us = host:error_line("listening on"):match("tcp://%S+$")
      end

      -- It says these lines; what it wrote, what came, and what it thought of that.
      local function play(...)
        local ended = process.run({ PYTHON, "-B", PEER, form, "play", us },
                                  { input = table.concat({ ... }, "\n") .. "\n" })
        assert.same({ code = 0, err = "" }, { code = ended.code, err = ended.err }, ended.out)
        return lines_of((ended.out:gsub(us, "US", nil)))
      end

      local function delivered()
        return lines_of(host:stop("TERM").out)
      end

      it("pings our pong five times, and understands each Pong", function()
        start_host()
        local said, expected = {}, {}
        for count = 1, 5 do
          said[count] = ('pong Ping {"count": %d}'):format(count)
          expected[count] = "> " .. dialect.ping:format(count)
          expected[5 + count] = "< " .. OUR_PONG:format(count)
        end
        assert.same(expected, play(table.unpack(said)))
      end)

      it("answers five pings of ours, and would have survived them", function()
        local peer, where = serve(form)
        local ended = process.run(process.troupe {
          "run", "examples/remote_ping_pong/ping.lua", "--bind", ":0", "--", where })
        assert.equal(0, ended.code, ended.out .. ended.err)
        for count = 1, 5 do
          assert.same({ "< " .. OUR_PING:format("ping", "pong", "Ping", count),
                        "> " .. fill(dialect.pong, "ping", count) }, next_lines(peer, 2))
        end
      end)

      it("answers and rejects our questions, each under a name for one answer", function()
        local peer, where = serve(form)
        local lines = run([[
          function on_start()
            local where = actor.args[1]
            local pong = actor.ref("pong@" .. where)
            local msg, env = pong:ask("Ping", { count = 7 })
            print(env.type, msg.count, env.from == pong, env.from == nil)
            local none, why = actor.ref("nobody@" .. where):ask("Ping", { count = 8 })
            print(none, why.reason, why)
            none, why = pong:ask("Bogus", { count = 9 }, { timeout = actor.args[2] })
            print(none, why.reason, why)
            print(pong:ask("Ping", { count = 10 }).count)
            actor.stop_host()
          end
        ]], where, dialect.drops_unknown_types and "100ms" or "40s")

        local anonymous = dialect.replies_have_no_sender or false
        local bogus = dialect.unknown_reason
          and ("nil\trejected\tpong@%s rejected Bogus: %s"):format(where, dialect.unknown_reason)
          or ("nil\ttimeout\tno answer from pong@%s to Bogus in 0.1 s"):format(where)
        assert.same({
          ("Pong\t7\t%s\t%s"):format(not anonymous, anonymous),
          ("nil\trejected\tnobody@%s rejected Ping: %s"):format(where, dialect.not_found_reason),
          bogus,
          "10",
        }, lines)
        local function question(receiver, type, count)
          return "< " .. OUR_PING:format("main/ask#N", receiver, type, count)
        end
        local answers = next_lines(peer, 8)
        for i, line in ipairs(answers) do answers[i] = line:gsub("main/ask#%d+", "main/ask#N") end
        assert.same({
          question("pong", "Ping", 7), "> " .. fill(dialect.pong, "main/ask#N", 7),
          question("nobody", "Ping", 8), "> " .. fill(dialect.not_found, "main/ask#N"),
          question("pong", "Bogus", 9),
          dialect.drops_unknown_types and "lost: " .. dialect.drops_unknown_types
            or "> " .. fill(dialect.unknown, "main/ask#N"),
          question("pong", "Ping", 10), "> " .. fill(dialect.pong, "main/ask#N", 10),
        }, answers)
      end)

      it("rejects plain messages of ours, which on_reject hears of in one form", function()
        local peer, where = serve(form)
        start_host([[
          function on_start()
            actor.ref("nobody@" .. actor.args[1]):send("Ping", { count = 1 })
          end
          function on_reject(self, msg, env)
            print(msg.message_type, msg.rejected_by, msg.reason, env.from)
            actor.stop_host()
          end
        ]], where)
        local ended = host:wait()
        assert.same({ code = 0, out = ("Ping\tnobody\t%s\tnil\n"):format(dialect.not_found_reason), err = "" },
                    ended)
        assert.same({ "< " .. OUR_PING:format("pong", "nobody", "Ping", 1),
                      "> " .. fill(dialect.not_found, "pong") }, next_lines(peer, 2))
      end)

      it("hears our Rejects, and would have survived them", function()
        start_host()
        local lines = play('nobody Ping {"count": 1}', 'nobody Start {}', 'pong Start {}')
        assert.same({
          "< " .. OUR_REJECT:format("Ping", "Actor 'nobody' not found", "nobody"),
          "< " .. OUR_REJECT:format("Start", "Actor 'nobody' not found", "nobody"),
          "< " .. OUR_REJECT:format("Start", "Unknown message type: Start", "pong"),
        }, table.move(lines, 4, #lines, 1, {}))
        lines = play('pong Bogus {"count": 2}')
        assert.same({ "< " .. OUR_REJECT:format("Bogus", "Unknown message type: Bogus", "pong") },
                    table.move(lines, 2, #lines, 1, {}))
      end)

      it("hears nothing of what it says without a sender", function()
        start_host()
        assert.same({
          "> " .. fill(dialect.note, "pong", "Note"),
          "> " .. fill(dialect.note, "nobody", "Note"),
          "> " .. fill(dialect.note, "pong", "Bogus"),
        }, play("-pong Note {}", "-nobody Note {}", "-pong Bogus {}"))
        assert.same({ "delivered Note\tnil\tnil" }, delivered())
      end)

      it("may send several messages as parts of one, and keys in the envelope that we do not know", function()
        start_host()
        local lines = play('pong Ping {"count": 1}', '+pong Ping {"count": 2}', '~pong Ping {"count": 3}',
                           '+~pong Ping {"count": 4}')
        local expected = {}
        for count = 1, 4 do expected[count] = "< " .. OUR_PONG:format(count) end
        assert.same(expected, table.move(lines, 5, #lines, 1, {}))
      end)
    end)
  end
end)

describe("a peer of the family", function()
  after_each(process.end_all)

  -- What the peer says of one message that an actor here sends to its pong.
  local function verdict(form, type, message)
    local peer, where = serve(form)
    process.start(process.troupe { "-e", [[
      function on_start()
        actor.ref("pong@" .. actor.args[1]):send(actor.args[2], json.decode(actor.args[3]))
      end
    ]], "--bind", ":0", "--", where, type, message })
    peer:line("< ")
    return peer:line()
  end

  it("would die of, or drop, what is no message of its own: so this one does, or it would prove nothing", function()
    local dead = {
      { "python", '{"count": 1, "extra": 2}', "dead: TypeError: Ping.__init__() got ['count', 'extra']" },
      { "python", "{}", "dead: TypeError: Ping.__init__() got []" },
      { "c++", "{}", "dead: assertion: there is no count" },
      { "c++", '{"count": "1"}', "lost: type must be number" },
      { "rust", '{"count": 1.0}', "dead: count: expected i32" },
      { "rust", '{"count": 1099511627776}', "dead: count: expected i32" },
      { "java", '{"count": true}', "lost: Failed to deserialize: expected an int" },
    }
    for _, case in ipairs(dead) do
      assert.equal(case[3], verdict(case[1], "Ping", case[2]), case[1] .. " " .. case[2])
    end
  end)

  it("in C++ dies if its actor answers a message without a sender, which is what troupe send sends", function()
    local peer, where = serve("c++")
    assert.equal(0, process.run(process.troupe { "send", "pong@" .. where, "Ping", "count:=1" }).code)
    assert.equal('dead: assertion: "no return address"', peer:line("dead"))
  end)

  it("gets five keys, an object, integers as integers and nothing that is no JSON", function()
    local peer, where = serve("python")
    local lines = run([[
      function on_start()
        local pong = actor.ref("pong@" .. actor.args[1])
        pong:send("Values", {
          big = math.maxinteger, small = math.mininteger, one = 1, float = 1.0, tenth = 0.1, huge = 2.0^53,
          none = json.null, empty = {}, list = json.array {}, text = "ü\u{1F600}\0\u{2028}",
          deep = { { a = { 1, 2 } } }, yes = true,
        })
        pong:send("Nothing")
        for _, bad in ipairs { { 1, 2 }, { x = 0 / 0 }, { x = 1 / 0 }, { x = "\xff" }, { x = print } } do
          local ok, sent = pcall(pong.send, pong, "Bad", bad)
          print(ok and sent)
        end
        print(pong:ask("Ping", { count = 1 }).count)
        actor.stop_host()
      end
      function on_reject() end
    ]], where)
    assert.equal("1", table.remove(lines))
    assert.equal(5, #lines)
    for _, sent in ipairs(lines) do assert.not_equal("true", sent) end
    local function frame(type, message)
      return '< {"sender_actor": "main", "sender_endpoint": "US", "receiver": "pong", "message_type": "' .. type
        .. '", "message": ' .. message .. "}"
    end
    local came = {}
    repeat
      local line = next_lines(peer, 1)[1]
      if line:find("^<") then table.insert(came, line) end
    until line:find("^> .*Pong")
    assert.match('"message_type": "Ping"', table.remove(came))
    assert.same({
      frame("Values", '{"big": 9223372036854775807, "deep": [{"a": [1, 2]}], "empty": {}, "float": 1.0, '
        .. '"huge": 9007199254740992.0, "list": [], "none": null, "one": 1, "small": -9223372036854775808, '
        .. '"tenth": 0.1, "text": "\\u00fc\\ud83d\\ude00\\u0000\\u2028", "yes": true}'),
      frame("Nothing", "{}"),
    }, came)
  end)

  it("may leave a sender out, write null or an empty text: it is nobody, and is not answered", function()
    local host = process.start(process.troupe { "-e", PONG, "--name", "pong", "--bind", ":0" })
    local us = host:error_line("listening on"):match("tcp://%S+$")
    local frames, count = {}, 0
    local forms = {
      actor = { "", '"sender_actor": null, ', '"sender_actor": "", ', '"sender_actor": "ping", ' },
      endpoint = { "", '"sender_endpoint": null, ', '"sender_endpoint": "", ', '"sender_endpoint": "ME", ' },
    }
    for i, actor in ipairs(forms.actor) do
      for j, endpoint in ipairs(forms.endpoint) do
        if i < 4 or j < 4 then -- else it would be a whole one
          for _, receiver in ipairs { "pong", "nobody" } do
            table.insert(frames, ('{%s%s"receiver": "%s", "message_type": "Note"%s}'):format(
              actor, endpoint, receiver, count % 2 == 0 and "" or ', "message": null'))
          end
          count = count + 1
        end
      end
    end
    local ended = process.run({ PYTHON, "-B", "spec/interop/peer.py", "exchange", us },
                              { input = table.concat(frames, "\n") .. "\n" })
    assert.same({ code = 0, out = "", err = "" }, ended)
    assert.equal(("delivered Note\tnil\tnil\n"):rep(count), host:stop("TERM").out)
  end)

  it("in Rust may send a message without fields as null", function()
    local host = process.start(process.troupe { "-e", PONG, "--name", "pong", "--bind", ":0" })
    local us = host:error_line("listening on"):match("tcp://%S+$")
    local ended = process.run({ PYTHON, "-B", PEER, "rust", "play", us }, { input = "pong Note null\n" })
    assert.equal('> {"message":null,"message_type":"Note","receiver":"pong","sender_actor":"ping",'
      .. '"sender_endpoint":"ME"}\n', ended.out)
    assert.matches("^delivered Note\tnil\tping@tcp://127%.0%.0%.1:%d+\n$", host:stop("TERM").out)
  end)

  it("that has gone and comes back gets what was sent to it meanwhile, in order", function()
    local peer, where = serve("c++")
    local host = process.start(process.troupe { "-e", [[
      function on_start(self)
        self.pong = actor.ref("pong@" .. actor.args[1])
        self.pong:send("Ping", { count = 0 })
      end
      function on_more(self, msg, env)
        for count = msg.from, msg.to do assert(self.pong:send("Ping", { count = count })) end
        env:reply("Done")
      end
      function on_pong(self, msg) print("pong " .. msg.count) end
    ]], "--name", "main", "--bind", ":0", "--", where })
    local us = host:error_line("listening on"):match("tcp://%S+$")
    assert.equal("pong 0", host:line())

    peer:stop("TERM")
    assert.equal(0, process.run(process.troupe { "ask", "main@" .. us, "More", "from:=1", "to:=50" }).code)
    peer = serve("c++", where)
    for count = 1, 50 do
      assert.equal("pong " .. count, host:line())
    end
    peer:stop("TERM")
  end)
end)
