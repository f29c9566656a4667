-- Watching actors of other hosts: the end of the actor is told with its reason, the
-- loss of the host as `unreachable`; once, whatever becomes of the way between them.
local process = require "spec.support.process"

local PYTHON = "/usr/bin/python3" -- Debian's python3-zmq is for this one
local has_zmq = os.execute(PYTHON .. " -c 'import zmq' 2>/dev/null") == true

-- Two on one host, and somebody who keeps it alive.
local MORTAL = [[
  function on_exit(self, msg) actor.exit(msg.reason) end
  function on_fail() error("as asked") end
]]
local KEEPER = [[
  function on_start()
    for _, name in ipairs { "target", "canary" } do
      actor.spawn("mortal", { name = name, failure = "stop" })
    end
    for i = 1, tonumber(actor.args[1] or 0) do actor.spawn("mortal", { name = "m" .. i }) end
    print("up")
  end
  function on_again(self, msg, env)
    actor.spawn("mortal", { name = msg.name, failure = "stop" })
    env:reply("Spawned")
  end
  function on_stop() actor.stop_host() end
]]

-- Watches `target` and `canary`, and has the canary end: when that is told, the
-- watch of the target, begun before, is there. Prints each Down.
--   args: the endpoint; what to do then: a type to send to the target
local WATCHER = [[
  local Watcher = {}
  function Watcher:on_start()
    self.at = actor.args[1]
    self.target, self.canary = actor.ref("target@" .. self.at), actor.ref("canary@" .. self.at)
    self.told = 0
    assert(actor.watch(self.target))
    assert(actor.watch(self.target)) -- the same watch
    assert(actor.watch(self.canary))
    actor.after("100ms", "Begin")
  end
  function Watcher:on_begin() self.canary:send("Exit", {}) end
  function Watcher:on_down(msg)
    if msg.who == self.canary then
      print("begun: " .. msg.reason)
      if actor.args[2] then self.target:send(actor.args[2], { reason = "enough" }) end
      return
    end
    self.told = self.told + 1
    print(("down %d %s: %s"):format(self.told, msg.name, msg.reason))
    if actor.args[3] == "again" and self.told == 1 then actor.watch(self.target) end
  end
  function Watcher:on_unwatch(msg, env)
    actor.unwatch(self.target)
    env:reply("Unwatched")
  end
  return Watcher
]]

describe("a watch of an actor elsewhere", function()
  local folder

  before_each(function()
    folder = process.make_folder()
    process.write_file(folder .. "/mortal.lua", MORTAL)
    process.write_file(folder .. "/keeper.lua", KEEPER)
    process.write_file(folder .. "/watcher.lua", WATCHER)
  end)
  after_each(function()
    process.end_all()
    process.remove_folder(folder)
  end)

  local function start_host(port, count)
    local host = process.start(process.troupe {
      "run", folder .. "/keeper.lua", "--bind", ":" .. (port or 0), "--", tostring(count or 0) }, 200)
    local endpoint = host:error_line("listening on"):match("tcp://%S+$")
    host:line("up")
    return host, endpoint
  end

  -- One that watches and knows that it does; it has an endpoint of its own.
  local function start_watcher(endpoint, ...)
    local watcher = process.start(process.troupe {
      "run", folder .. "/watcher.lua", "--bind", ":0", "--", endpoint, ... }, 200)
    local own = watcher:error_line("listening on"):match("tcp://%S+$")
    assert.matches("^begun: normal", watcher:line("begun"))
    return watcher, own
  end

  local function tell(ref, type, ...)
    local asked = process.run(process.troupe { "ask", ref, type, "--timeout", "30s", ... })
    assert.equal(0, asked.code, asked.err)
  end

  local function send(ref, type, ...)
    assert.equal(0, process.run(process.troupe { "send", ref, type, "--timeout", "30s", ... }).code)
  end

  it("brings the reason of its end", function()
    local _, endpoint = start_host()
    assert.equal("down 1 target: enough", start_watcher(endpoint, "Exit"):line("down"))
  end)

  it("brings its failure", function()
    local _, endpoint = start_host()
    assert.matches("^down 1 target: error: .*:%d+: as asked$", start_watcher(endpoint, "Fail"):line("down"))
  end)

  it("says at once that there is no such actor", function()
    local _, endpoint = start_host()
    start_watcher(endpoint, "Exit"):line("down 1")
    local late = process.start(process.troupe { "run", folder .. "/watcher.lua", "--bind", ":0", "--", endpoint }, 100)
    assert.equal("down 1 target: no such actor", late:line("down"))
  end)

  it("can be taken back, and then brings nothing", function()
    local _, endpoint = start_host()
    local watcher, own = start_watcher(endpoint)
    tell("watcher@" .. own, "Unwatch")
    send("target@" .. endpoint, "Exit", "reason=enough")
    -- The next end comes back over the same way: after it nothing of the first can come.
    tell("keeper@" .. endpoint, "Again", "name=canary")
    local ended = watcher:stop("TERM")
    assert.equal("", ended.out)
  end)

  it("brings `normal` when the host is stopped in good order", function()
    local host, endpoint = start_host()
    local watcher = start_watcher(endpoint)
    send("keeper@" .. endpoint, "Stop")
    assert.equal("down 1 target: normal", watcher:line("down"))
    assert.equal(0, host:wait().code)
  end)

  it("brings `unreachable` when the host is killed, and again when it is watched in vain", function()
    local host, endpoint = start_host()
    local watcher = start_watcher(endpoint, "Nothing", "again")
    host:kill()
    assert.equal("down 1 target: unreachable", watcher:line("down"))
    assert.equal("down 2 target: unreachable", watcher:line("down"))
  end)

  it("brings `unreachable` when the process was started again, whoever has the name there now", function()
    local host, endpoint = start_host()
    local watcher = start_watcher(endpoint, "Nothing", "again")
    host:kill()
    start_host(endpoint:match("%d+$"))
    assert.equal("down 1 target: unreachable", watcher:line("down"))
    -- and the second watch is of the new one
    send("target@" .. endpoint, "Exit", "reason=later")
    assert.equal("down 2 target: later", watcher:line("down"))
  end)

  it("brings `unreachable` once when the host stands still, whatever it says afterwards", function()
    local host, endpoint = start_host()
    local watcher, own = start_watcher(endpoint)
    host:hold()
    assert.equal("down 1 target: unreachable", watcher:line("down"))
    host:go_on()
    send("target@" .. endpoint, "Exit", "reason=late")
    tell("keeper@" .. endpoint, "Again", "name=another")
    tell("watcher@" .. own, "Unwatch")
    assert.equal("", watcher:stop("TERM").out)
  end)

  it("goes on when the watching host was held up itself", function()
    local _, endpoint = start_host()
    local watcher = start_watcher(endpoint)
    watcher:hold()
    send("target@" .. endpoint, "Exit", "reason=enough")
    watcher:go_on()
    assert.equal("down 1 target: enough", watcher:line("down"))
  end)

  describe("over a network", function()
    local function start_relay(endpoint)
      local relay = process.start({ PYTHON, "spec/support/relay.py", endpoint }, 200)
      return relay, relay:line("tcp://")
    end

    it("that falls silent, with all its connections open, is `unreachable`", function()
      local _, endpoint = start_host()
      local relay, between = start_relay(endpoint)
      local watcher = start_watcher(between)
      relay:hold()
      assert.equal("down 1 target: unreachable", watcher:line("down"))
      relay:go_on()
    end)

    it("that breaks is `unreachable`", function()
      local _, endpoint = start_host()
      local relay, between = start_relay(endpoint)
      local watcher = start_watcher(between)
      relay:kill()
      assert.equal("down 1 target: unreachable", watcher:line("down"))
    end)
  end)

  it("of each of many is told once", function()
    local count = 400
    local _, endpoint = start_host(nil, count)
    process.write_file(folder .. "/many.lua", [[
      function on_start(self)
        self.told, self.count = {}, 0
        for i = 1, tonumber(actor.args[2]) do actor.watch(actor.ref("m" .. i .. "@" .. actor.args[1])) end
        actor.watch(actor.ref("canary@" .. actor.args[1]))
        actor.ref("canary@" .. actor.args[1]):send("Exit", {})
      end
      function on_down(self, msg)
        if msg.name == "canary" then
          actor.ref("keeper@" .. actor.args[1]):send("Stop")
          return
        end
        self.told[msg.name] = (self.told[msg.name] or 0) + 1
        assert(self.told[msg.name] == 1 and msg.reason == "normal", msg.name .. " " .. msg.reason)
        self.count = self.count + 1
        if self.count == tonumber(actor.args[2]) then print("all") actor.stop_host() end
      end
    ]])
    local many = process.start(process.troupe {
      "run", folder .. "/many.lua", "--", endpoint, tostring(count) }, 200)
    many:line("all")
    assert.equal(0, many:wait().code)
  end)

  if not has_zmq then return end

  it("of a peer of the family is `unreachable` when that is lost; it is sent one pulse and no more", function()
    local peer = process.start({ PYTHON, "spec/interop/peer.py", "serve", "python" }, 200)
    local endpoint = peer:line("tcp://")
    local watcher = process.start(process.troupe {
      "run", folder .. "/watcher.lua", "--bind", ":0", "--", endpoint }, 200)
    watcher:error_line("does not answer as a Troupe host does")
    local said = peer:kill().out
    local pulses, frames = 0, 0
    for frame in said:gmatch("[^\n]+") do
      frames = frames + 1
      if frame:find('"message_type": "$pulse"', 1, true) then
        pulses = pulses + 1
        assert.matches('{"sender_actor": null, "sender_endpoint": null, "receiver": "%$watch"', frame)
      else
        assert.matches('"message_type": "Exit"', frame)
      end
    end
    assert.same({ 1, 2 }, { pulses, frames })
    local downs = { watcher:line("unreachable"), watcher:line("unreachable") }
    table.sort(downs)
    assert.same({ "begun: unreachable", "down 1 target: unreachable" }, downs)
  end)
end)
