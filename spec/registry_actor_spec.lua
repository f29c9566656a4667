-- The actor behind `troupe registry`, on the stage: whose a name is, and for how long.
local Stage = require "troupe.stage"
local json = require "troupe.json"

describe("the registry", function()
  local stage, registry

  local function open(config)
    stage = Stage.new()
    registry = assert(stage:spawn("actors/registry.lua", config))
  end

  before_each(function() open() end)
  after_each(function()
    stage:log() -- that managers are silent
    stage:close()
  end)

  local function ask(type, msg)
    local answer, env = stage:ask(registry, type, msg)
    assert(answer, tostring(env))
    answer.type = env.type
    return answer
  end

  local function register(name, endpoint, manager)
    return ask("RegisterActor", { actor_name = name, actor_endpoint = endpoint, manager_id = manager })
  end

  local function assert_taken(name, ...)
    assert.same({ type = "RegistrationOk", actor_name = name }, register(name, ...))
  end

  local function assert_refused(reason, name, ...)
    assert.same({ type = "RegistrationFailed", actor_name = name, reason = reason }, register(name, ...))
  end

  local function assert_at(name, endpoint, online)
    assert.same({ type = "LookupResult", actor_name = name, endpoint = endpoint, online = online },
                ask("LookupActor", { actor_name = name }))
  end

  local function heartbeat(manager)
    assert.same({ type = "HeartbeatAck" }, ask("Heartbeat", { manager_id = manager, timestamp_ms = 1 }))
  end

  local A, B = "tcp://localhost:5001", "tcp://10.0.0.7:5001"

  it("tells where an actor is, as it was registered", function()
    assert_taken("pong", A, "m1")
    assert_at("pong", A, true)
    assert_at("ping", json.null, false)
  end)

  it("keeps a manager online for 6 s after it was last heard", function()
    assert_taken("pong", A, "m1")
    stage:advance("6s")
    assert_at("pong", A, true)
    stage:advance("1ms")
    assert_at("pong", A, false)
  end)

  it("keeps it online for as long as there are heartbeats", function()
    assert_taken("pong", A, "m1")
    for _ = 1, 10 do
      stage:advance("5s")
      heartbeat("m1")
    end
    assert_at("pong", A, true)
  end)

  it("does not forget the actors of a silent manager: a heartbeat brings them back", function()
    assert_taken("pong", A, "m1")
    assert_taken("ping", A, "m1")
    stage:advance("1h")
    assert_at("pong", A, false)
    heartbeat("m1")
    assert_at("pong", A, true)
    assert_at("ping", A, true)
  end)

  it("says once that a manager is silent, and once that it is back", function()
    assert_taken("pong", A, "m1")
    stage:advance("1m")
    heartbeat("m1")
    heartbeat("m1")
    local lines = {}
    for _, line in ipairs(stage:log()) do table.insert(lines, line.text) end
    assert.equal(2, #lines)
    assert.matches("silent.*actors=1 manager=m1", lines[1])
    assert.matches("online again", lines[2])
  end)

  it("acknowledges heartbeats of managers that it does not know", function()
    heartbeat("nobody")
  end)

  describe("gives a name", function()
    it("to who comes first", function()
      assert_taken("pong", A, "m1")
      assert_refused("Name already registered", "pong", B, "m2")
      assert_at("pong", A, true)
    end)

    it("to its manager again, wherever the actor is now", function()
      assert_taken("pong", A, "m1")
      assert_taken("pong", B, "m1")
      assert_at("pong", B, true)
    end)

    it("to another manager at the same endpoint: a process that was started again", function()
      assert_taken("pong", A, "m1")
      assert_taken("pong", A, "m2")
      stage:advance("5s")
      heartbeat("m2")
      stage:advance("5s")
      assert_at("pong", A, true) -- it is m2's now
    end)

    it("to anybody once its manager is offline, and the old one does not get it back", function()
      assert_taken("pong", A, "m1")
      stage:advance("7s")
      assert_taken("pong", B, "m2")
      heartbeat("m1")
      assert_at("pong", B, true)
      assert_refused("Name already registered", "pong", A, "m1")
    end)

    it("to anybody once it was unregistered", function()
      assert_taken("pong", A, "m1")
      assert.same({ type = "RegistrationOk", actor_name = "pong" },
                  ask("UnregisterActor", { actor_name = "pong" }))
      assert_at("pong", json.null, false)
      assert_taken("pong", B, "m2")
    end)
  end)

  it("is content to unregister what nobody has registered", function()
    assert.same({ type = "RegistrationOk", actor_name = "pong" }, ask("UnregisterActor", { actor_name = "pong" }))
  end)

  it("refuses to register what nobody could reach, and says why", function()
    assert_refused("'*' is no address that can be reached", "pong", "tcp://*:5001", "m1")
    assert_refused("'tcp://localhost:0' needs a port from 1 to 65535", "pong", "tcp://localhost:0", "m1")
    for _, endpoint in ipairs { "localhost:5001", "ipc:///tmp/x", "garbage", ":5001", "tcp://a b:1", "node",
                                "flat:tcp://localhost:1", "tcp://x:5001@y:1" } do
      local answer = register("pong", endpoint, "m1")
      assert.equal("RegistrationFailed", answer.type, endpoint)
    end
    assert_at("pong", json.null, false)
  end)

  it("fails a request with a field that is missing or wrong, and names it", function()
    local function assert_failed(reason, type, msg)
      local answer, why = stage:ask(registry, type, msg)
      assert.is_nil(answer)
      assert.equal("failed", why.reason)
      assert.matches(reason, why.text, 1, true)
    end
    assert_failed("Bad field 'actor_name' in LookupActor: actor_name is missing", "LookupActor", {})
    assert_failed("actor_name is missing", "LookupActor", { actor_name = json.null })
    assert_failed("actor_name is no string", "LookupActor", { actor_name = 7 })
    assert_failed("actor_name is empty", "UnregisterActor", { actor_name = "" })
    assert_failed("manager_id is longer than 255 bytes", "Heartbeat", { manager_id = ("x"):rep(256) })
    assert_failed("actor_name has a control character", "RegisterActor",
                  { manager_id = "m", actor_name = "a\nb", actor_endpoint = A })
    assert_failed("actor_endpoint is missing", "RegisterActor", { manager_id = "m", actor_name = "a" })
  end)

  describe("with all its places taken", function()
    before_each(function()
      stage:close()
      open { limit = 2 }
      assert_taken("a", A, "m1")
      stage:advance("3s")
      assert_taken("b", A, "m2")
    end)

    it("refuses one more", function()
      assert_refused("Registry full: 2 names are registered and online", "c", A, "m3")
      assert_taken("b", B, "m2") -- this is none more
    end)

    it("forgets the name that has been offline longest", function()
      stage:advance("10s")
      assert_taken("c", A, "m3")
      assert_at("a", json.null, false)
      assert_at("b", A, false)
      assert.matches("forgetting an offline actor {actor=a limit=2}", stage:log()[3].text, 1, true)
    end)
  end)
end)
