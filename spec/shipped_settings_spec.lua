-- What shipped actors are told on the command line, behind `--`.
local program = require "spec.support.program"

-- Runs the shipped actor with a script that asks it something and ends the host.
local function run(actor_name, arguments, body)
  local path = os.tmpname()
  local file <close> = assert(io.open(path, "w"))
  file:write("function on_start() " .. body .. " actor.stop_host() end")
  file:flush()
  local ended = program.run { actor_name, path, args = arguments }
  os.remove(path)
  return ended
end

describe("a setting on the command line", function()
  it("is led by the actor's name, and a text, a number, a list or JSON", function()
    local ended = run("worker_pool", {
      "worker_pool.script=spec/support/pooled", "worker_pool.min=2", "worker_pool.idle=5s",
      "worker_pool.config:={\"says_bye\": true}", "other.min=7", "--verbose",
    }, [[
      local pool = actor.ref("worker_pool")
      print(#pool:ask("PoolStats").workers, pool:ask("Who").name)
    ]])
    assert.equal("", ended.err)
    assert.matches("^2\tworker_pool%.1\n", ended.out)
    assert.matches("worker_pool%.2 ends", ended.out)
  end)

  it("that is wrong ends the host, and is named", function()
    for argument, text in pairs {
      ["event_bus.retaind=1"] = "config.retaind: there is no such setting (did you mean 'retained'?)",
      ["event_bus.retained=some"] = "config.retained: an integer from 0 to 1000000 is expected, not 'some'",
      ["event_bus.retained:={"] = "config.retained: bad JSON: ",
    } do
      local ended = program.run { "event_bus", args = { argument } }
      assert.equal(1, ended.code)
      assert.is_truthy(ended.err:find(text, 1, true), ended.err)
    end
  end)

  it("may be a list with commas", function()
    local ended = program.run { "spec/support/pooled", "router", "spec/support/router_client",
                                args = { "router.targets=pooled,pooled" } }
    assert.equal("", ended.err)
    assert.equal("1\n", ended.out)
  end)
end)
