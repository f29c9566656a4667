--- A host that listens on several endpoints: all of them are this host.
local port_host = require "spec.support.port_host"
local process = require "spec.support.process"

describe("a host with several endpoints", function()
  local folder

  setup(function() folder = process.make_folder() end)
  after_each(function() process.end_all() end)
  teardown(function() process.remove_folder(folder) end)

  local PONG = [[
    function on_ping(self, msg, env) env:reply("Pong", { from = tostring(env.from):match("^%w+") }) end
    function on_own(self, msg, env)
      local ref = actor.ref("pong@" .. msg.at)
      env:reply("Owned", { same = ref == actor.self, text = tostring(ref) })
    end]]

  -- Starts it, and gives the endpoints that it says it listens on.
  local function start(binds)
    local host = process.start(port_host.words(folder, {
      bind = binds, scripts = { { name = "pong", text = PONG } } }), 60)
    local endpoints = {}
    for i = 1, #binds do endpoints[i] = host:error_line("pong     listening on"):match("tcp://%S+") end
    return host, endpoints
  end

  local function ask(endpoint, ...)
    return process.run(process.troupe { "ask", "pong@" .. endpoint, ... })
  end

  it("says all of them, and is reached by each", function()
    local _, endpoints = start { ":0", ":0", "tcp://127.0.0.1:0" }
    assert.are_not.equal(endpoints[1], endpoints[2])
    for _, endpoint in ipairs(endpoints) do assert.equal(0, ask(endpoint, "Ping").code) end
  end)

  it("takes an address at any of them for one of its own actors", function()
    local _, endpoints = start { ":0", ":0" }
    local own = ('{"same": true, "text": "pong@%s"}'):format(endpoints[1])
    for _, endpoint in ipairs(endpoints) do
      assert.equal("Owned " .. own .. "\n", ask(endpoints[1], "Own", "at=" .. endpoint).out)
    end
  end)

  it("does not run if one of them is beyond loopback and nobody said who may connect", function()
    local ended = process.run(port_host.words(folder, {
      bind = { ":0", "tcp://*:0" }, scripts = { { name = "pong", text = PONG } } }))
    assert.equal(2, ended.code)
    assert.matches("cannot listen on tcp://*:0: beyond loopback, say who may connect", ended.err, 1, true)
  end)

  it("can listen again on the same ones as soon as it has ended", function()
    local host, endpoints = start { ":0", ":0" }
    assert.equal(0, host:stop("TERM").code)
    local _, again = start(endpoints)
    assert.same(endpoints, again)
    assert.equal(0, ask(endpoints[2], "Ping").code)
  end)
end)

--- A bind that fails says who has the port, as far as that can be found out.
describe("an endpoint that is taken", function()
  local folder

  setup(function() folder = process.make_folder() end)
  after_each(function() process.end_all() end)
  teardown(function() process.remove_folder(folder) end)

  local IDLE = "function on_ping() end"

  -- What is said when a host wants to listen there.
  local function refusal(endpoint)
    local ended = process.run(port_host.words(folder, { bind = endpoint, scripts = { { name = "late", text = IDLE } } }))
    assert.equal(1, ended.code)
    return ended.err
  end

  -- The port that a Python program has bound, which then does what `words` say.
  local function python(words)
    local child = process.start({ "/usr/bin/python3", "-c", ("import socket, time; s = socket.socket();"
      .. " s.bind(('127.0.0.1', 0)); %s; print(s.getsockname()[1], flush=True); time.sleep(60)"):format(words) }, 60)
    return "tcp://127.0.0.1:" .. child:line()
  end

  local function assert_taken(endpoint, by)
    assert.matches("^cannot listen on " .. endpoint:gsub("%p", "%%%0") .. ": " .. by .. "\n$", refusal(endpoint))
  end

  it("by a host of ours is that host's, by its name", function()
    local host = process.start(port_host.words(folder, {
      bind = ":0", control = "feed", scripts = { { name = "first", text = IDLE } } }), 60)
    local endpoint = host:error_line("listening on"):match("tcp://%S+")
    assert_taken(endpoint, "it is taken by process %d+ %(troupe: host 'feed'%)")
  end)

  it("by a host without a control socket is its program's", function()
    local host = process.start(port_host.words(folder, {
      bind = ":0", scripts = { { name = "first", text = IDLE } } }), 60)
    local endpoint = host:error_line("listening on"):match("tcp://%S+")
    assert_taken(endpoint, "it is taken by process %d+ %(troupe%)")
  end)

  it("by another program is that program's", function()
    assert_taken(python "s.listen()", "it is taken by process %d+ %(python3[%d.]*%)")
  end)

  it("by somebody on all addresses is his", function()
    local endpoint = python("s.close(); s = socket.socket(); s.bind(('', 0)); s.listen()")
    assert_taken(endpoint, "it is taken by process %d+ %(python3[%d.]*%)")
  end)

  it("by nobody who can be found is somebody else's", function()
    assert_taken(python "None", "another process does already") -- bound, and nobody listens
  end)
end)
