-- troupe -e ... -e ...: several one-line actors in one host.
local process = require "spec.support.process"

local OK, FAILED, USAGE = 0, 1, 2

-- Says its name; the first to be told Go asks for the end.
local SAY = 'function on_start() print(actor.name) end'
local LAST = 'function on_start() print(actor.name) actor.stop_host() end'

describe("troupe -e, given several times", function()
  local function evaluate(...)
    return process.run(process.troupe { ... })
  end

  it("runs each text as an actor, and starts them in that order", function()
    assert.same({ code = OK, out = "main\nmain.2\nmain.3\n", err = "" }, evaluate("-e", SAY, "-e", SAY, "-e", LAST))
  end)

  it("names a text by the --name behind it", function()
    assert.same({ code = OK, out = "ping\npong\n", err = "" },
                evaluate("-e", SAY, "--name", "ping", "-e", LAST, "--name=pong"))
    assert.same({ code = OK, out = "main\npong\n", err = "" }, evaluate("-e", SAY, "-e", LAST, "--name", "pong"))
    assert.same({ code = OK, out = "ping\nmain.2\n", err = "" }, evaluate("-e", SAY, "--name", "ping", "-e", LAST))
  end)

  it("names the first by a --name that stands before all", function()
    assert.same({ code = OK, out = "ping\nmain.2\n", err = "" }, evaluate("--name", "ping", "-e", SAY, "-e", LAST))
    assert.same({ code = OK, out = "ping\n", err = "" }, evaluate("--name", "ping", "-e", LAST))
  end)

  it("takes a text that begins with a dash", function()
    assert.same({ code = OK, out = "main\nmain.2\n", err = "" },
                evaluate("-e", "-- says its name\n" .. SAY, "-e", "-- and ends\n" .. LAST))
  end)

  it("links them", function()
    assert.same({ code = OK, out = "Pong\t7\n", err = "" }, evaluate(
      "-e", [[function on_start(self)
        local msg, env = self.config.to:ask("Ping", { count = 7 })
        print(env.type, msg.count)
        actor.stop_host()
      end]], "--name", "ping",
      "-e", 'function on_ping(_, msg, env) env:reply("Pong", msg) end', "--name", "pong",
      "--link", "ping:pong"))
  end)

  it("runs the two lines of the help", function()
    local help = evaluate("-e", "", "--help").out
    local first, second = help:match("(%-e 'function on_start%(self%) .-) \\\n%s*(%-e .-ping:pong)")
    assert.is_truthy(first, help)
    local host = process.start { "sh", "-c", ('exec "$1" %s %s'):format(first, second), "sh", process.troupe({})[1] }
    assert.equal("ping", host:line())
    assert.equal(0, host:stop("TERM").code)
    process.end_all()
  end)

  it("says in which text a mistake is", function()
    local ended = evaluate("-e", SAY, "-e", "y y", "--name", "bad")
    assert.equal("(-e of bad):1: syntax error near 'y'\n", ended.err)
    assert.equal(FAILED, ended.code)
  end)

  it("refuses names that are given twice", function()
    local ended = evaluate("-e", SAY, "--name", "a", "-e", SAY, "--name", "a")
    assert.equal("troupe: two actors would be named 'a': give each -e a --name of its own\n", ended.err)
    assert.equal(USAGE, ended.code)

    ended = evaluate("--name", "a", "-e", SAY, "--name", "b")
    assert.equal("troupe: --name was given twice for one -e: 'a' and 'b'\nTry 'troupe --help'.\n", ended.err)
    assert.equal(USAGE, ended.code)
  end)
end)
