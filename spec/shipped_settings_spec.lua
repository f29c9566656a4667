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
      ["event_bus.retaind=1"] = "config has no 'retaind' (did you mean 'retained'?)",
      ["event_bus.retained=some"] = "config.retained: a whole number from 0 to 1000000 is expected, not 'some'",
      ["event_bus.retained:={"] = "config.retained: JSON is expected, not '{' (",
    } do
      local ended = program.run { "event_bus", args = { argument } }
      assert.equal(1, ended.code)
      assert.is_truthy(ended.err:find(text, 1, true), ended.err)
    end
  end)

  it("is there for every shipped actor", function()
    local needed = {
      circuit_breaker = "target=shop", logger = "path=none", rate_limiter = "target=shop",
      worker_pool = "script=spec/support/pooled",
    }
    for argument, text in pairs {
      ["circuit_breaker.failures=0"] = "config.failures: a whole number from 1 to 10000 is expected, not 0",
      ["circuit_breaker.counts=failed,fulll"] = "is expected, not 'fulll' (did you mean 'full'?)",
      ["dead_letters.every=often"] = "config.every: a duration",
      ["event_bus.patterns=1.5"] = "config.patterns: a whole number from 1 to 10000 is expected, not 1.5",
      ["logger.size=big"] = "config.size: a size",
      ["rate_limiter.rate=-0.5"] = "is expected, not -0.5",
      ["registry.limit=no"] = "config.limit: a whole number",
      ["router.route=rond"] = "is expected, not 'rond' (did you mean 'round'?)",
      ["supervisor.strategy=one_for_al"] = "strategy is \"one_for_one\", \"one_for_all\" or \"rest_for_one\", not 'one_for_al'",
      ["supervisor.stratgy=one_for_all"] = "config has no 'stratgy' (did you mean 'strategy'?)",
      ["vm.trust=yes"] = "config.trust: true or false is expected, not 'yes'",
      ["worker_pool.restart:={\"max\": -1}"] = "config.restart.max: a whole number from 0 to 1000 is expected, not -1",
    } do
      local name = argument:match("^[^.]+")
      local ended = program.run { name, args = { argument, needed[name] and name .. "." .. needed[name] } }
      assert.equal(1, ended.code, argument)
      assert.is_truthy(ended.err:find(text, 1, true), ended.err)
    end
  end)

  it("may be a duration, a size, true or false, and a list of tables", function()
    local path = os.tmpname()
    local ended = run("logger", { "logger.path=" .. path, "logger.flush=0.5", "logger.size=1024", "logger.buffer=64KiB",
                                  "logger.format=json" },
      [[ local logger = actor.ref("logger") logger:ask("Log", { text = "hello" }) logger:ask("Flush") ]])
    local file <close> = assert(io.open(path))
    os.remove(path)
    assert.equal("", ended.err)
    assert.matches('"text": ?"hello"', file:read("a"))

    ended = run("vm", { "vm.trust=true", "vm.program:=[\"OP_PUSH\", 7]" },
      [[ print(actor.ref("vm"):ask("Top").value) ]])
    assert.equal("7\n", ended.out, ended.err)

    ended = run("supervisor", { "supervisor.strategy=one_for_all",
                                "supervisor.children:=[{\"script\": \"spec/support/pooled\", \"name\": \"only\"}]" },
      [[ print(actor.ref("supervisor"):ask("WhichChildren").children[1].name) ]])
    assert.matches("^only\n", ended.out, ended.err)
  end)

  it("counts less than what the config says", function()
    local ended = run("event_bus", { "bus.patterns=1", "bus.subscribers=7" }, [[
      local bus = assert(actor.spawn("event_bus", { name = "bus", config = { patterns = 2 } }))
      for n = 1, 3 do print(bus:ask("Subscribe", { topic = "t" .. n }) ~= nil) end ]])
    assert.equal("", ended.err)
    assert.equal("true\ntrue\nfalse\n", ended.out)
  end)

  it("may be a list with commas", function()
    local ended = program.run { "spec/support/pooled", "router", "spec/support/router_client",
                                args = { "router.targets=pooled,pooled" } }
    assert.equal("", ended.err)
    assert.equal("1\n", ended.out)
  end)
end)
