-- Who may connect, who is answered, and CURVE: what the flags promise, between processes.
local process = require "spec.support.process"

local PYTHON = "/usr/bin/python3" -- Debian's python3-zmq is for this one
local has_zmq = os.execute(PYTHON .. " -c 'import zmq.auth' 2>/dev/null") == true

local function output_of(command)
  local pipe <close> = assert(io.popen(command))
  return pipe:read("a")
end

-- An address of this machine that is not loopback, which peers can have for ours.
local outward = output_of("hostname -I 2>/dev/null"):match("%f[%d]%d+%.%d+%.%d+%.%d+")

local function it_outward(name, check)
  if outward then
    it(name, check)
  else
    it(name, function() pending("this machine has no address but loopback") end)
  end
end

local function it_python(name, check)
  if has_zmq then
    it(name, check)
  else
    it(name, function() pending("needs python3-zmq for " .. PYTHON) end)
  end
end

local PONG = [[
  function on_ping(self, msg, env) env:reply("Pong", { count = msg.count }) end
  function on_note(self, msg, env) print("note from " .. tostring(env.from)) end
]]

local function troupe(...)
  return process.run(process.troupe { ... })
end

local folder

local function at(name) return folder .. "/" .. name end

before_each(function() folder = process.make_folder() end)

after_each(function()
  process.end_all()
  process.remove_folder(folder)
end)

local function start(...)
  local host = process.start(process.troupe { "-e", PONG, "--name", "pong", ... })
  return host, host:error_line("pong     listening on"):match("tcp://%S+")
end

local function ask(endpoint, ...)
  return troupe("ask", "pong@" .. endpoint, "Ping", "count:=1", "--timeout", "20s", ...)
end

local function assert_pong(ended)
  assert.same({ code = 0, out = 'Pong {"count": 1}\n', err = "" }, ended)
end

-- A refused connection is tried again and again: this is what a refusal looks like.
local function assert_unreachable(endpoint, ...)
  local ended = troupe("ask", "pong@" .. endpoint, "Ping", "--timeout", "1500ms", ...)
  assert.equal(5, ended.code, ended.out .. ended.err)
end

local function assert_usage(reason, ...)
  local ended = troupe("-e", "function on_start() print('never') actor.exit() end", ...)
  assert.equal(2, ended.code, ended.err)
  assert.equal("", ended.out)
  assert.matches(reason, ended.err, 1, true)
  assert.equal(1, select(2, ended.err:gsub("\n", "")), ended.err)
end

describe("binding beyond loopback", function()
  it("is refused in one sentence that names what allows it", function()
    for _, endpoint in ipairs { "tcp://*:0", "tcp://0.0.0.0:0", "tcp://[::]:0", "tcp://192.0.2.1:0" } do
      assert_usage("cannot listen on " .. endpoint, "--bind", endpoint)
      assert_usage("--curve-key and --curve-peers (who has a listed key), --allow ADDR,... (these addresses) or "
        .. "--open (everybody)", "--bind", endpoint)
    end
  end)

  it("refuses lists that are none, and flags that contradict each other", function()
    assert_usage("--allow: 'risk' is a name", "--bind", ":0", "--allow", "risk")
    assert_usage("'10.0.0.0/33' is no network", "--bind", ":0", "--allow", "10.0.0.0/33")
    assert_usage("--reply-to: 'private,' has an empty entry", "--bind", ":0", "--reply-to", "private,")
    assert_usage("--open lets everybody in", "--bind", ":0", "--open", "--allow", "10.0.0.7")
    assert_usage("--open lets everybody in", "--bind", ":0", "--open", "--curve-key", "k", "--curve-peers", "p")
  end)

  it_outward("lets in everybody with --open, and tells each the address that leads to it", function()
    local _, endpoint = start("--bind", "tcp://*:0", "--open", "--reply-to", "any")
    local port = endpoint:match(":(%d+)$")
    assert.is_nil(endpoint:find("*", 1, true) or endpoint:find("0.0.0.0", 1, true))
    assert_pong(ask("tcp://" .. outward .. ":" .. port))
    assert_pong(ask("tcp://127.0.0.1:" .. port))
    -- Asked over either side, an actor is told that side's address of who asked.
    local asker = process.run(process.troupe { "-e", ([[
      function on_start()
        for _, host in ipairs { "127.0.0.1", "%s" } do
          local _, env = assert(actor.ref("pong@tcp://" .. host .. ":%s"):ask("Ping", { count = 1 }))
          print(env.from)
        end
        actor.exit()
      end]]):format(outward, port), "--bind", "tcp://*:0", "--open", "--reply-to", "any" })
    assert.equal(0, asker.code, asker.err)
    assert.equal(("pong@tcp://127.0.0.1:%s\npong@tcp://%s:%s\n"):format(port, outward, port), asker.out)
  end)

  it_outward("warns of what others are told", function()
    local host = process.start(process.troupe { "-e", PONG, "--name", "pong", "--bind", "tcp://*:0", "--open" })
    assert.matches("others are told the address that leads to them, such as tcp://" .. outward:gsub("%.", "%%."),
      host:error_line("listening on tcp://0.0.0.0"))
    local other = process.start(process.troupe { "-e", PONG, "--bind", "tcp://*:0", "--open", "--advertise", ":5001" })
    assert.matches("others are told tcp://127.0.0.1:5001, which leads to themselves",
      other:error_line("listening on tcp://0.0.0.0"), 1, true)
  end)

  it_outward("lets in whose address is allowed, and this machine, and nobody else", function()
    local _, allowed = start("--bind", "tcp://" .. outward .. ":0", "--allow", "203.0.113.9," .. outward)
    assert_pong(ask(allowed))
    local host, refusing = start("--bind", "tcp://*:0", "--allow", "203.0.113.0/24")
    assert_unreachable("tcp://" .. outward .. refusing:match(":%d+$"))
    assert.matches("from " .. outward .. " is refused", host:error_line("is refused"), 1, true)
    assert_pong(ask("tcp://127.0.0.1" .. refusing:match(":%d+$")))
  end)
end)

describe("a sender from elsewhere is answered", function()
  -- The reference that a note from `sender_endpoint` brings: nil if it may not be answered.
  local function sender_seen(sender_endpoint, ...)
    local host, endpoint = start("--bind", ":0", ...)
    local frame = ('{"sender_actor": "x", "sender_endpoint": "%s", "receiver": "pong", "message_type": "Note", '
      .. '"message": {}}'):format(sender_endpoint)
    local sent = process.run({ PYTHON, "-c", "import sys, zmq\ncontext = zmq.Context()\n"
      .. "push = context.socket(zmq.PUSH)\npush.connect(sys.argv[1])\npush.send_string(sys.argv[2])\n"
      .. "push.close()\ncontext.term()", (endpoint:gsub("//.*:", "//127.0.0.1:")), frame })
    assert.same({ code = 0, err = "" }, { code = sent.code, err = sent.err })
    local seen = host:line("note from "):match("note from (.*)")
    host:stop("TERM")
    return seen ~= "nil" and seen or nil
  end

  it_python("at any numeric address if only loopback is bound", function()
    assert.equal("x@tcp://8.8.8.8:53", sender_seen("tcp://8.8.8.8:53"))
    assert.equal("x@tcp://127.0.0.1:53", sender_seen("tcp://localhost:53"))
    assert.is_nil(sender_seen("tcp://dns.example.org:53"))
  end)

  it_python("where --reply-to says, and nowhere else", function()
    assert.is_nil(sender_seen("tcp://8.8.8.8:53", "--reply-to", "private"))
    assert.equal("x@tcp://10.1.2.3:53", sender_seen("tcp://10.1.2.3:53", "--reply-to", "private"))
    assert.is_nil(sender_seen("tcp://10.1.2.3:53", "--reply-to", "loopback"))
    assert.equal("x@tcp://127.0.0.1:53", sender_seen("tcp://127.0.0.1:53", "--reply-to", "loopback"))
    assert.equal("x@tcp://10.1.2.3:53", sender_seen("tcp://10.1.2.3:53", "--reply-to", "10.1.0.0/16,risk:5002"))
    assert.equal("x@tcp://risk:5002", sender_seen("tcp://risk:5002", "--reply-to", "10.1.0.0/16,risk:5002"))
    assert.is_nil(sender_seen("tcp://risk:5003", "--reply-to", "10.1.0.0/16,risk:5002"))
  end)

  it_python("by a name that is listed, with answers as with Rejects", function()
    local name = output_of("hostname"):match("%g+")
    local host, endpoint = start("--bind", ":0", "--reply-to", name)
    local peer = process.run({ PYTHON, "-c", [[
import json, socket, sys, zmq
endpoint, name = sys.argv[1:]
try:
    socket.getaddrinfo(name, 1)
except OSError:
    sys.exit(77)
context = zmq.Context()
pull = context.socket(zmq.PULL)
pull.setsockopt(zmq.RCVTIMEO, 30000)
me = "tcp://%s:%d" % (name, pull.bind_to_random_port("tcp://*"))
push = context.socket(zmq.PUSH)
push.connect(endpoint)
for receiver in ["nobody", "pong"]:
    push.send_json({"sender_actor": "x", "sender_endpoint": me, "receiver": receiver, "message_type": "Ping", "message": {"count": 1}})
print(*sorted(json.loads(pull.recv())["message_type"] for _ in range(2)))
]], endpoint, name })
    if peer.code == 77 then
      return pending("this machine cannot find itself by its name, " .. name)
    end
    assert.same({ code = 0, out = "Pong Reject\n", err = "" }, peer)
    assert.equal(0, host:stop("TERM").code)
  end)

  it_python("at private addresses if more than loopback is bound, and where may connect from", function()
    assert.equal("x@tcp://8.8.8.8:53", sender_seen("tcp://8.8.8.8:53", "--bind", "tcp://0.0.0.0:0", "--allow", "8.8.8.8"))
    assert.is_nil(sender_seen("tcp://8.8.4.4:53", "--bind", "tcp://0.0.0.0:0", "--allow", "8.8.8.8"))
    assert.is_nil(sender_seen("tcp://8.8.8.8:53", "--bind", "tcp://0.0.0.0:0", "--open"))
    assert.equal("x@tcp://192.168.1.1:53", sender_seen("tcp://192.168.1.1:53", "--bind", "tcp://0.0.0.0:0", "--open"))
  end)
end)

describe("CURVE", function()
  local function make_key(name)
    local made = troupe("keys", "new", at(name))
    assert.same({ code = 0, err = "" }, { code = made.code, err = made.err })
    return made.out:match("^(%g+)\n$")
  end

  local function curve(name)
    return "--curve-key", at(name), "--curve-peers", at("peers")
  end

  local function list(...)
    process.write_file(at("peers"), table.concat({ ... }, "\n") .. "\n")
  end

  local function free_port()
    local host, endpoint = start("--bind", ":0")
    host:stop("TERM")
    return endpoint
  end

  -- A server `pong` and the list of `client`, with where the server is.
  local function start_server(others)
    local server, client = make_key("server"), make_key("client")
    local endpoint = free_port()
    list(server .. " " .. endpoint, client, table.unpack(others or {}))
    local host = start("--bind", endpoint, curve("server"))
    return host, endpoint, server, client
  end

  it("makes a key that only its owner can read, says the public half, and replaces none", function()
    local key = make_key("one")
    assert.equal(40, #key)
    assert.equal("600", (output_of("stat -c %a " .. at("one")):gsub("%s", "")))
    local again = troupe("keys", "new", at("one"))
    assert.equal(1, again.code)
    assert.matches("exists already", again.err, 1, true)
    assert.equal("", again.out)
  end)

  it("calls the file troupe.key unless told otherwise", function()
    local made = process.run({ "sh", "-c", "cd " .. folder .. " && exec \"$@\"", "sh",
      table.unpack(process.troupe { "keys", "new" }) })
    assert.same({ code = 0, err = "" }, { code = made.code, err = made.err })
    list(made.out:match("^%g+"))
    start("--bind", ":0", curve("troupe.key"))
  end)

  it("is examined by the doctor with keys, which says whose is wrong", function()
    local _, endpoint, _, client = start_server()
    local function examine(...)
      return troupe("doctor", "pong@" .. endpoint, ...)
    end

    local without = examine("Ping")
    assert.equal(5, without.code)
    assert.matches("failed  handshake  it admits only connections secured by CURVE", without.out, 1, true)

    local asked = examine("Ping", curve("client"))
    assert.equal(0, asked.code)
    assert.matches("note    handshake  ZeroMQ, secured by CURVE", asked.out, 1, true)
    assert.matches("ok      answer     Pong ", asked.out, 1, true)

    make_key("stranger")
    local stranger = examine("Ping", "--timeout", "2s", "--curve-key", at("stranger"), "--curve-peers", at("peers"))
    assert.equal(5, stranger.code)
    assert.matches("failed  answer     nobody answers at", stranger.out, 1, true)
    assert.matches("The host admits our key only if its --curve-peers has the public half", stranger.out, 1, true)

    list(client)
    local unknown = examine("Ping", curve("client"))
    assert.equal(5, unknown.code)
    assert.matches("add a line 'KEY " .. endpoint .. "'", unknown.out, 1, true)
  end)

  it_python("makes keys that pyzmq reads, and reads its", function()
    local key = make_key("one")
    local read = process.run({ PYTHON, "-c", "import sys, zmq.auth\n"
      .. "print(zmq.auth.load_certificate(sys.argv[1])[0].decode())\n"
      .. "zmq.auth.create_certificates(sys.argv[2], 'theirs')", at("one"), folder })
    assert.same({ code = 0, out = key .. "\n" }, { code = read.code, out = read.out })
    assert(os.execute("chmod 600 " .. at("theirs.key_secret")))
    list(key)
    start("--bind", ":0", curve("theirs.key_secret"))
  end)

  it("answers who has a listed key, at a place that no list has", function()
    local _, endpoint = start_server()
    assert_pong(ask(endpoint, curve("client")))
    assert.equal(0, troupe("send", "pong@" .. endpoint, "Note", curve("client")).code)
  end)

  it("hears nobody else: neither without a key nor with another, and not where the key is not expected", function()
    local _, endpoint, server = start_server()
    assert_unreachable(endpoint)
    make_key("stranger")
    assert_unreachable(endpoint, curve("stranger"))
    local client = make_key("other")
    process.write_file(at("wrong"), client .. " " .. endpoint .. "\n" .. server .. "\n")
    assert_unreachable(endpoint, "--curve-key", at("client"), "--curve-peers", at("wrong"))
  end)

  it("does not connect where it knows no key, and says what to add", function()
    make_key("client")
    list("# nobody")
    local ended = troupe("ask", "pong@tcp://127.0.0.1:9", "Ping", curve("client"))
    assert.equal(5, ended.code)
    assert.matches("the key of tcp://127.0.0.1:9 is not known: add a line 'KEY tcp://127.0.0.1:9'", ended.err, 1, true)
  end)

  it_outward("allows binding beyond loopback, and --allow narrows it", function()
    local server, client = make_key("server"), make_key("client")
    list(client)
    local _, endpoint = start("--bind", "tcp://" .. outward .. ":0", "--reply-to", "any", curve("server"))
    local _, narrowed = start("--bind", "tcp://" .. outward .. ":0", "--allow", "203.0.113.9", curve("server"))
    list(client, ("%s %s %s"):format(server, endpoint, narrowed))
    assert_pong(ask(endpoint, curve("client")))
    assert_unreachable(narrowed, curve("client"))
  end)

  it("reads the list again on SIGHUP: who is new is let in, who is gone is heard no more", function()
    local host, endpoint, server, client = start_server()
    local newcomer = make_key("newcomer")
    -- It stays connected, and sends a note whenever a line comes.
    process.write_file(at("mine"), server .. " " .. endpoint .. "\n")
    process.write_file(at("chatter.lua"), ([[
      function on_start() actor.every("20ms", "Say") end
      function on_say() actor.ref("pong@%s"):send("Note", {}) end]]):format(endpoint))

    process.start(process.troupe { "run", at("chatter.lua"), "--curve-key", at("client"), "--curve-peers", at("mine") })
    host:line("note from chatter@")

    list(server .. " " .. endpoint, newcomer)
    host:signal("HUP")
    assert.matches("2 keys are listed now, 1 of them new; 1 no more", host:error_line("host: SIGHUP"), 1, true)
    assert_pong(ask(endpoint, curve("newcomer")))
    assert_unreachable(endpoint, curve("client"))

    process.write_file(at("peers"), "nonsense\n")
    host:signal("HUP")
    assert.matches("error host: SIGHUP: the keys stay as they were: .*peers:1: no key", host:error_line("host: SIGHUP"))
    list(server .. " " .. endpoint, newcomer)
    assert_pong(ask(endpoint, curve("newcomer")))

    -- What the chatter sent meanwhile was dropped; listed again, it is heard.
    assert_pong(ask(endpoint, curve("newcomer")))
    troupe("send", "pong@" .. endpoint, "Note", curve("newcomer"))
    list(server .. " " .. endpoint, newcomer, client)
    host:signal("HUP")
    host:error_line("host: SIGHUP: 3 keys")
    host:line("note from nil")
    host:line("note from chatter@")
    assert.equal(0, host:stop("TERM").code)
  end)

  it("reads only the scripts again on SIGHUP, without keys", function()
    local host, endpoint = start("--bind", ":0")
    host:signal("HUP")
    host:error_line("reload: nothing has changed (SIGHUP)")
    assert_pong(ask(endpoint))
  end)

  it("needs both files, its own closed to others, and what is in them", function()
    local key = make_key("one")
    list(key)
    assert_usage("go together", "--bind", ":0", "--curve-key", at("one"))
    assert_usage("go together", "--bind", ":0", "--curve-peers", at("peers"))
    assert_usage("No such file", "--curve-key", at("none"), "--curve-peers", at("peers"))
    assert_usage("No such file", "--curve-key", at("one"), "--curve-peers", at("none"))
    assert(os.execute("chmod 644 " .. at("one")))
    assert_usage("chmod 600 " .. at("one"), curve("one"))
    assert(os.execute("chmod 600 " .. at("one") .. " && chmod 666 " .. at("peers")))
    assert_usage("chmod go-w " .. at("peers"), curve("one"))
    assert(os.execute("chmod 600 " .. at("peers")))
    list(key, "what is this")
    local ended = troupe("-e", "function on_start() end", curve("one"))
    assert.equal(1, ended.code)
    assert.matches("peers:2: no key", ended.err, 1, true)
  end)

  it("keeps the secret out of what a script can see, of the log and of core dumps", function()
    make_key("one")
    local file <close> = assert(io.open(at("one")))
    local secret = file:read("a"):match('secret%-key = "(.-)"')
    list("# nobody")
    local ended = process.run({ "sh", "-c", "ulimit -c unlimited; cd " .. folder .. "; exec \"$@\"", "sh",
      table.unpack(process.troupe { "-e", [[
        function on_start()
          for _, file in ipairs { "environ", "cmdline" } do
            local text = io.open("/proc/self/" .. file)
            print(text and text:read("a"))
          end
          os.execute("kill -ABRT $PPID")
        end]], "--curve-key", at("one"), "--curve-peers", at("peers") }) })
    assert.equal(128 + 6, ended.code)
    assert.is_nil((ended.out .. ended.err):find(secret, 1, true))
    assert.equal("", output_of("ls " .. folder .. " | grep core"))
  end)
end)
