--- Refs in the config that a host is given for an actor: {"$ref": "name"} in its JSON.
local port_host = require "spec.support.port_host"
local process = require "spec.support.process"

describe("a config from outside the host", function()
  local folder

  setup(function() folder = process.make_folder() end)
  teardown(function() process.remove_folder(folder) end)

  local function run(scripts)
    return process.run(port_host.words(folder, { scripts = scripts }))
  end

  local ANSWERS = [[
    function on_ping(self, msg, env) env:reply("Pong") end
    function on_leave() actor.exit() end]]

  it("has refs to actors that are made later, and plain data beside them", function()
    local ended = run {
      { name = "first", config = { to = { ["$ref"] = "second" }, n = 3 }, text = [[
        function on_start(self)
          local answer, env = self.config.to:ask("Ping")
          print(env.type, env.from == self.config.to, self.config.n)
          self.config.to:send("Leave")
          actor.exit()
        end]] },
      { name = "second", text = ANSWERS },
    }
    assert.equal("Pong\ttrue\t3\n", ended.out, ended.err)
    assert.equal(0, ended.code)
  end)

  it("may be JSON, and leads elsewhere as actor.ref does", function()
    local ended = run { { name = "first", config = '{"to": [{"$ref": "book@:5001"}, {"$ref": "book@risk"}]}',
                          text = "function on_start(self) print(self.config.to[1], self.config.to[2]) actor.exit() end" } }
    assert.equal("book@tcp://127.0.0.1:5001\tbook@risk\n", ended.out, ended.err)
  end)

  it("is refused with the ref that is none", function()
    local ended = run { { name = "first", config = { to = { ["$ref"] = "book@tcp://*:1" } }, text = ANSWERS } }
    assert.equal(1, ended.code)
    assert.equal("config: no ref can be made: '*' is no address that can be reached\n", ended.err)
  end)
end)
