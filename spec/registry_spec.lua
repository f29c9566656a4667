-- The family's GlobalRegistry: `troupe registry` serves it, actor.registry uses it,
-- and either does so with sides that have none of our code.
local process = require "spec.support.process"

local PYTHON = "/usr/bin/python3" -- Debian's python3-zmq is for this one
local PEER = "spec/interop/flat.py"

local has_zmq = os.execute(PYTHON .. " -c 'import zmq' 2>/dev/null") == true
local with_python = has_zmq and it or function(name)
  pending(name .. " (needs python3-zmq: '" .. PYTHON .. " -c \"import zmq\"' fails)")
end

local OK, FAILED, USAGE, REJECTED, UNREACHABLE = 0, 1, 2, 4, 5

local function lines_of(text)
  local lines = {}
  for line in text:gmatch("([^\n]*)\n") do table.insert(lines, line) end
  return lines
end

local function peer(mode, endpoint, input, ...)
  local ended = process.run({ PYTHON, PEER, mode, endpoint, ... }, { input = input })
  assert.same({ code = 0, err = "" }, { code = ended.code, err = ended.err })
  return lines_of(ended.out)
end

local function start_registry(...)
  local child = process.start(process.troupe { "registry", "--endpoint", ":0", ... }, 120)
  return child, child:error_line("listening on"):match("tcp://%S+$")
end

-- One of the family's, in Python.
local function start_family(silence, port)
  local child = process.start({ PYTHON, PEER, "registry", port or "0", tostring(silence or 6) }, 120)
  return child, child:line("tcp://")
end

local function ask(endpoint, type, ...)
  return process.run(process.troupe { "ask", "registry@flat:" .. endpoint, type, "--timeout", "20s", ... })
end

-- Asks until the place of `name` is as awaited: an endpoint, or "null".
local function await_place(endpoint, name, place, online)
  local wanted = ('"endpoint": %s, "online": %s'):format(place == "null" and place or '"' .. place .. '"', online)
  local found
  for _ = 1, 400 do
    found = ask(endpoint, "LookupActor", "actor_name=" .. name).out
    if found:find(wanted, 1, true) then return end
  end
  error(("%s never was %s; at last: %s"):format(name, wanted, found), 2)
end

describe("troupe registry", function()
  local registry, endpoint

  before_each(function() registry, endpoint = start_registry() end)
  after_each(process.end_all)

  -- Still there, and ends when it is told.
  local function assert_well()
    assert.equal(OK, ask(endpoint, "Heartbeat", "manager_id=x").code)
    assert.equal(OK, registry:stop("TERM").code)
  end

  with_python("answers in the bytes of the family's own", function()
    assert.same({
      '{"message_type": "RegistrationOk", "actor_name": "pong"}',
      '{"message_type": "RegistrationFailed", "actor_name": "pong", "reason": "Name already registered"}',
      '{"message_type": "LookupResult", "actor_name": "pong", "endpoint": "tcp://localhost:5001", "online": true}',
      '{"message_type": "LookupResult", "actor_name": "ping", "endpoint": null, "online": false}',
      '{"message_type": "HeartbeatAck"}',
      '{"message_type": "RegistrationOk", "actor_name": "pong"}',
      '{"message_type": "RegistrationOk", "actor_name": "never"}',
      '{"error": "Unknown message type: Bogus"}',
      '{"message_type": "RegistrationOk", "actor_name": "\\u00e9t\\u00e9"}',
    }, peer("ask", endpoint, [[
{"message_type":"RegisterActor","manager_id":"M","actor_name":"pong","actor_endpoint":"tcp://localhost:5001"}
{"message_type":"RegisterActor","manager_id":"N","actor_name":"pong","actor_endpoint":"tcp://localhost:5002"}
{"message_type": "LookupActor", "actor_name": "pong"}
{"message_type": "LookupActor", "actor_name": "ping"}
{"message_type":"Heartbeat","manager_id":"M","timestamp_ms":1763670417000}
{"message_type": "UnregisterActor", "actor_name": "pong"}
{"message_type": "UnregisterActor", "actor_name": "never"}
{"message_type": "Bogus"}
{"message_type":"RegisterActor","manager_id":"M","actor_name":"été","actor_endpoint":"tcp://localhost:5001"}
]]))
  end)

  with_python("answers each malformed request with an error, and goes on", function()
    local answers = peer("ask", endpoint, table.concat({
      "hex ", "hex 00", "hex fffe00", "{", "[]", "7", "null", '"text"', "{}", "{} {}",
      '{"message_type": null}', '{"message_type": 7}', '{"message_type": ""}', '{"message_type": ["LookupActor"]}',
      '{"message_type": "Look\\nup"}', '{"message_type": "' .. ("x"):rep(256) .. '"}', '{"actor_name": "pong"}',
      '{"message_type": "LookupActor"}', '{"message_type": "LookupActor", "actor_name": ["pong"]}',
      '{"message_type": "LookupActor", "actor_name": "\\ud800"}', '{"message_type": "LookupActor", "actor_name": NaN}',
      '{"message_type": "RegisterActor", "manager_id": "M", "actor_name": "pong"}', "deep 100000",
      "GET / HTTP/1.1",
    }, "\n") .. "\n")
    assert.equal(24, #answers)
    for _, answer in ipairs(answers) do assert.matches('^{"error": "', answer) end
    assert.equal('{"error": "expected a value, not the end, at byte 0"}', answers[1])
    assert.equal('{"error": "expected an object"}', answers[5])
    assert.equal('{"error": "message_type is missing"}', answers[9])
    assert.equal([[{"error": "Bad field 'actor_name' in LookupActor: actor_name is missing"}]], answers[18])
    assert_well()
  end)

  with_python("lets nobody send what only the host, or its own timer, sends", function()
    local types = { "Start", "Shutdown", "Timeout", "Down", "Reload", "Any", "start", "Reject", "Sweep" }
    local requests, expected = {}, {}
    for _, type in ipairs(types) do
      table.insert(requests, ('{"message_type": "%s"}\n'):format(type))
      table.insert(expected, ('{"error": "Unknown message type: %s"}'):format(type))
    end
    assert.same(expected, peer("ask", endpoint, table.concat(requests)))
    assert_well()
  end)

  with_python("answers hundreds at once, each with what is his", function()
    assert.same({ "4000" }, peer("crowd", endpoint, nil, "200", "20"))
    assert_well()
  end)

  with_python("gives the frames in front of a request back, and survives what no REQ socket sends", function()
    local error = '|{"error": "one part with the text is expected"}'
    assert.same({ error, error, error, 'one|two||{"message_type": "HeartbeatAck"}' }, peer("parts", endpoint))
    assert_well()
  end)

  with_python("throws out who sends more than a MiB, and nobody else", function()
    assert.same({ "disconnected", '{"message_type": "HeartbeatAck"}' }, peer("oversize", endpoint))
    assert_well()
  end)

  it("is asked from the command line, too", function()
    assert.equal('LookupResult {"actor_name": "pong", "endpoint": null, "online": false}\n',
                 ask(endpoint, "LookupActor", "actor_name=pong").out)
    local ended = ask(endpoint, "Bogus")
    assert.same({ REJECTED, "troupe: Unknown message type: Bogus\n" }, { ended.code, ended.err })
    assert.equal(OK, process.run(process.troupe { "send", "registry@flat:" .. endpoint, "Heartbeat", "manager_id=x" }).code)
  end)

  it("needs the port for itself", function()
    local ended = process.run(process.troupe { "registry", "--endpoint", endpoint })
    assert.equal(FAILED, ended.code)
    assert.matches("cannot listen on " .. endpoint .. ": it is taken by process ", ended.err, 1, true)
  end)

  it("listens on this machine only, and on an endpoint only", function()
    local ended = process.run(process.troupe { "registry", "--endpoint", "tcp://0.0.0.0:0" })
    assert.equal(USAGE, ended.code)
    assert.matches("cannot listen on tcp://0.0.0.0:0: beyond loopback", ended.err, 1, true)
    ended = process.run(process.troupe { "registry", "--endpoint", "here" })
    assert.equal(USAGE, ended.code)
    assert.matches("'here' is no endpoint", ended.err, 1, true)
  end)

  it("says in its help how it is used", function()
    local ended = process.run(process.troupe { "registry", "--help" })
    assert.equal(OK, ended.code)
    assert.matches("tcp://127.0.0.1:5555", ended.out, 1, true)
    for line in ended.out:gmatch("[^\n]+") do assert.is_true(utf8.len(line) <= 80, line) end
  end)
end)

describe("actor.registry", function()
  local folder, count

  before_each(function()
    folder, count = process.make_folder(), 0
  end)
  after_each(function()
    process.end_all()
    process.remove_folder(folder)
  end)

  -- Runs a body as the on_start of an actor called `name`, with `registry` in it and the
  -- handlers that follow; what it prints is for line().
  local function start(name, endpoint, body, options)
    count = count + 1
    local path = process.write_file(("%s/%d.lua"):format(folder, count), ([[
local Script = {}
function Script:on_hello(msg, env) env:reply("Hello", { from = actor.name }) end
function Script:on_start()
  local registry = assert(actor.registry(actor.args[1]))
%s
end
return Script
]]):format(body))
    local words = process.troupe { "run", path, "--name", name, "--workers", "2" }
    if not (options and options.unbound) then
      table.insert(words, "--bind")
      table.insert(words, ":0")
    end
    for _, word in ipairs { "--", endpoint } do table.insert(words, word) end
    return process.start(words, 120)
  end

  local REGISTERED = [[print(registry:register(actor.self))]]

  describe("with our own registry", function()
    local endpoint

    before_each(function() endpoint = select(2, start_registry()) end)

    it("registers an actor, so that another host finds it and talks to it", function()
      local pong = start("pong", endpoint, REGISTERED)
      assert.equal("true", pong:line())
      local ping = start("ping", endpoint, [[
        local pong = assert(registry:lookup("pong"))
        print(pong, assert(pong:ask("Hello")).from)
        actor.exit()]], { unbound = true })
      assert.matches("^pong@tcp://127%.0%.0%.1:%d+\tpong$", ping:line())
      assert.equal(OK, ping:wait().code)
    end)

    it("finds an actor of its own host as what it is", function()
      local pong = start("pong", endpoint, [[
        registry:register("pong")
        print(registry:lookup("pong") == actor.self)]])
      assert.equal("true", pong:line())
    end)

    it("waits until a name is there", function()
      local ping = start("ping", endpoint, [[
        print("waits")
        print(assert(registry:lookup("pong", { timeout = "1m" })))
        actor.exit()]])
      assert.equal("waits", ping:line())
      start("pong", endpoint, REGISTERED)
      assert.matches("^pong@tcp://", ping:line())
    end)

    it("is told by the deadline that nobody has the name", function()
      local ping = start("ping", endpoint, [[
        local ref, why = registry:lookup("pong", { timeout = "200ms" })
        print(ref, why.reason, why)]])
      assert.equal("nil\ttimeout\tnobody has registered 'pong' at " .. endpoint, ping:line())
    end)

    it("does not take a name that somebody has, and says so", function()
      local first = start("pong", endpoint, REGISTERED)
      assert.equal("true", first:line())
      local second = start("pong", endpoint, [[
        local done, why = registry:register("pong")
        print(done, why.reason, why)]])
      assert.equal(("nil\trejected\tthe registry at %s does not take 'pong': Name already registered"):format(endpoint),
                   second:line())
    end)

    it("gives a name back, once, and only its own", function()
      local pong = start("pong", endpoint, [[
        assert(registry:register("pong"))
        print(registry:unregister("pong"))
        print(registry:lookup("pong", { timeout = 0 }))
        print(registry:unregister("pong"))]])
      assert.equal("true", pong:line())
      assert.matches("^nil\t", pong:line())
      assert.equal("nil\t'pong' was not registered by this host", pong:line())
      assert.matches('"endpoint": null', ask(endpoint, "LookupActor", "actor_name=pong").out)
    end)

    it("takes an actor's name out when it ends, while its host goes on", function()
      process.write_file(folder .. "/brief.lua", [[
        local Brief = {}
        function Brief:on_end() actor.exit() end
        return Brief]])
      local host = start("host", endpoint, [[
        self.brief = assert(actor.spawn("brief", { name = "brief" }))
        assert(registry:register(self.brief))
        print(assert(registry:lookup("brief")) == self.brief)
        self.brief:send("End")]])
      assert.equal("true", host:line())
      await_place(endpoint, "brief", "null", false)
    end)

    it("takes all names out when the host ends", function()
      local pong = start("pong", endpoint, REGISTERED)
      assert.equal("true", pong:line())
      assert.equal(OK, pong:stop("TERM").code)
      assert.matches('"endpoint": null, "online": false', ask(endpoint, "LookupActor", "actor_name=pong").out)
    end)

    it("does not keep a host alive", function()
      assert.equal(OK, start("brief", endpoint, [[
        assert(registry:register(actor.self))
        actor.exit()]]):wait().code)
    end)

    it("is offline when it is silent, and online again when it goes on", function()
      local pong = start("pong", endpoint, [[
        local pipe = io.popen("echo $PPID")
        print(pipe:read("l"))
        pipe:close()
        registry:register("pong")
        print(assert(registry:lookup("pong")):ask("Hello") == nil, actor.self)]])
      local pid, place = pong:line(), pong:line():match("@(tcp://%S+)")
      assert(os.execute("kill -STOP " .. pid))
      await_place(endpoint, "pong", place, false)
      local ping = start("ping", endpoint, [[
        local ref, why = registry:lookup("pong", { timeout = "100ms" })
        print(why.reason, why)
        print(registry:lookup("pong", { timeout = "1m" }))]])
      assert.equal(("down\tpong@%s is offline: its host has not been heard of for some time"):format(place), ping:line())
      assert(os.execute("kill -CONT " .. pid))
      assert.equal("pong@" .. place, ping:line())
    end)
  end)

  describe("with one of the family's", function()
    with_python("keeps an actor registered while it is busy", function()
      local family, endpoint = start_family(6)
      local pong = start("pong", endpoint, [[
        assert(registry:register("pong"))
        local start = actor.now()
        while actor.now() - start < 9 do end
        print(registry:lookup("pong") == actor.self)
        registry:unregister("pong")]])
      assert.equal("RegisterActor pong", family:line())
      assert.equal("true", pong:line())
      assert.equal("UnregisterActor pong", family:line()) -- and nothing was registered again
    end)

    with_python("registers again what the registry has forgotten", function()
      local family, endpoint = start_family(0.5) -- less than there is between two heartbeats
      local pong = start("pong", endpoint, REGISTERED)
      assert.equal("RegisterActor pong", family:line())
      assert.equal("true", pong:line())
      assert.equal("RegisterActor pong", family:line())
      await_place(endpoint, "pong", "null", false)
      assert.equal("RegisterActor pong", family:line())
    end)

    with_python("registers again when the registry was killed and started again", function()
      local family, endpoint = start_family()
      local pong = start("pong", endpoint, [[
        registry:register("pong")
        print("registered")
        self.registry = registry
      end
      function Script:on_look()
        print(self.registry:lookup("pong", { timeout = "1m" }) == actor.self)]])
      assert.equal("registered", pong:line())
      ask(endpoint, "Die", "--timeout", "100ms")
      family:wait()
      start_family(6, endpoint:match("%d+$"))
      local place = assert(tostring(pong:error_line("listening on")):match("tcp://%S+"))
      assert.equal(OK, process.run(process.troupe { "send", "pong@" .. place, "Look" }).code)
      assert.equal("true", pong:line())
    end)

    with_python("asks again when an answer is lost, and is not confused by late ones", function()
      local family, endpoint = start_family()
      assert.equal(OK, ask(endpoint, "Mute", "count:=2").code)
      local pong = start("pong", endpoint, [[
        print(registry:register("pong", { timeout = "1m" }))
        print(registry:lookup("pong") == actor.self)]])
      assert.equal("Mute nil", (family:line():gsub("None", "nil")))
      assert.equal("true", pong:line())
      assert.equal("true", pong:line())
    end)

    with_python("says what it was answered when that is no answer", function()
      local _, endpoint = start_family()
      assert.equal(OK, ask(endpoint, "Babble", "count:=1").code)
      local ping = start("ping", endpoint, [[
        local ref, why = registry:lookup("pong")
        print(ref, why.reason, why)
        local flat = actor.ref("registry@flat:" .. actor.args[1])
        ref, why = flat:ask("Bogus")
        print(ref, why.reason, why)]])
      assert.matches("^nil\tfailed\t.*its answer is no flat JSON: expected", ping:line())
      assert.matches("^nil\trejected\t.*Unknown message type: Bogus$", ping:line())
    end)

    with_python("takes over a name that leads to its own endpoint already", function()
      local family, endpoint = start_family(1000)
      local pong = start("pong", endpoint, [[
        local flat = actor.ref("registry@flat:" .. actor.args[1])
        flat:ask("RegisterActor", { manager_id = "the one before", actor_name = "pong",
                                    actor_endpoint = tostring(actor.self):match("@(.*)") })
        print(registry:register("pong"))]])
      assert.equal("RegisterActor pong", family:line())
      assert.equal("true", pong:line())
    end)
  end)

  it("does what docs/registry.md shows", function()
    local _, endpoint = start_registry()
    local file <close> = assert(io.open("docs/registry.md"))
    local children = {}
    for name, block in file:read("a"):gmatch("\n```lua\n%-%- (%l+)%.lua: (.-)```\n") do
      local path = process.write_file(("%s/%s.lua"):format(folder, name), "-- " .. block:gsub(":5555", endpoint))
      children[name] = process.start(process.troupe { "run", path, "--bind", ":0" }, 120)
    end
    assert.matches("^pong@tcp://127%.0%.0%.1:%d+\t1$", children.ping:line())
    assert.equal(OK, children.ping:wait().code)
  end)

  it("waits for a registry that is not there yet", function()
    local first, endpoint = start_registry()
    assert.equal(OK, first:stop("TERM").code)
    local pong = start("pong", endpoint, [[
      local ref, why = registry:lookup("pong", { timeout = "300ms" })
      print(why.reason, why)
      print(registry:register("pong", { timeout = "1m" }))]])
    assert.equal(("unreachable\tthe registry at %s does not answer"):format(endpoint), pong:line())
    process.start(process.troupe { "registry", "--endpoint", endpoint }, 120)
    assert.equal("true", pong:line())
  end)

  it("registers nobody for a host that does not listen", function()
    local pong = start("pong", ":1", [[print(registry:register("pong"))]], { unbound = true })
    assert.matches("^nil\tnobody could reach an actor of this host, for it does not listen: use %-%-bind", pong:line())
  end)

  it("registers nobody who is not there", function()
    local pong = start("pong", ":1", [[
      local done, why = registry:register("ping")
      print(done, why.reason, why)]])
    assert.equal("nil\tdown\tno actor of this host is named 'ping'", pong:line())
  end)

  it("blames the caller's line for misuse", function()
    local pong = start("pong", ":1", [[
      local function try(...) print(select(2, pcall(...))) end
      try(function() actor.registry("here") end)
      try(function() actor.registry(5555) end)
      try(function() registry:lookup() end)
      try(function() registry:lookup("a@:5001") end)
      try(function() registry:lookup("a", "1s") end)
      try(function() registry:lookup("a", { timeuot = "1s" }) end)
      try(function() registry:lookup("a", { timeout = "soon" }) end)
      try(function() registry:register("a", { timeout = -1 }) end)
      try(function() registry:register(actor.ref("a@tcp://10.0.0.7:5001")) end)
      try(function() registry:unregister({}) end)]])
    for i, reason in ipairs {
      "actor.registry: 'here' is no endpoint: write tcp://HOST:PORT or :PORT",
      'actor.registry: an endpoint is expected, as ":5555", not a number',
      "lookup: the name of an actor is expected, not a nil",
      "lookup: 'a@:5001' is no actor's name",
      "lookup: options are a table, not a string",
      "lookup: there is no option 'timeuot', only timeout",
      'lookup: timeout is a duration, as "5s", not soon',
      'register: timeout is a duration, as "5s", not -1',
      "register: an actor of this host is registered by its own host, and a@tcp://10.0.0.7:5001 is none",
      "unregister: the name of an actor is expected, not a table",
    } do
      assert.matches(("%%.lua:%d: %s$"):format(5 + i, (reason:gsub("%p", "%%%0"))), pong:line())
    end
  end)

  it("is for handlers only", function()
    process.write_file(folder .. "/early.lua", 'local registry = actor.registry(":5555")\nreturn {}')
    local ended = process.run(process.troupe { "run", folder .. "/early.lua" })
    assert.equal(FAILED, ended.code)
    assert.matches("early.lua:1: actor.registry: a script's top level only defines", ended.err, 1, true)
  end)

  it("hides its keeper from other hosts", function()
    local pong = start("pong", ":1", [[print("ready")]])
    assert.equal("ready", pong:line())
    local place = pong:error_line("listening on"):match("tcp://%S+")
    for _, type in ipairs { "Manager", "Keep", "Drop", "Beat" } do
      local ended = process.run(process.troupe { "ask", "$registry:127.0.0.1:1@" .. place, type, "name=pong" })
      assert.equal(REJECTED, ended.code)
      assert.matches("Actor '$registry:127.0.0.1:1' not found", ended.err, 1, true)
    end
  end)

  it("is unreachable at a place where nobody listens", function()
    assert.equal(UNREACHABLE, ask("tcp://127.0.0.1:1", "Heartbeat", "--timeout", "100ms").code)
  end)
end)
