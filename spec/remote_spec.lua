--- Questions between hosts: told at once, as inside one.
local process = require "spec.support.process"

describe("a question from another host", function()
  local folder, server, endpoint

  local function ask(type, ...)
    return process.run(process.troupe { "ask", "srv@" .. endpoint, type, "--timeout", "20s", ... })
  end

  setup(function()
    folder = process.make_folder()
    process.write_file(folder .. "/srv.lua", [[
      local Srv = {}
      function Srv:on_bad() error("broken inside") end
      function Srv:on_silent() end
      function Srv:on_unwilling(msg, env) env:fail("not today") end
      function Srv:on_asked(msg, env) env:reply("Said", { asked = env.asked, remote = env.remote }) end
      function Srv:on_twice(msg, env)
        env:reply("Said", { first = true })
        self.second = select(2, pcall(env.reply, env, "Said", { first = false }))
      end
      function Srv:on_second(msg, env) env:reply("Said", { why = self.second }) end
      function Srv:on_later(msg, env) self.kept = env:defer() actor.after("10ms", "Now") end
      function Srv:on_now() self.kept:reply("Said", { late = true }) end
      return Srv ]])
    server = process.start(process.troupe { "run", folder .. "/srv.lua", "--bind", ":0" }, 60)
    endpoint = server:error_line("listening on"):match("tcp://%S+")
  end)

  teardown(function()
    process.end_all()
    process.remove_folder(folder)
  end)

  it("is rejected at once when its handler fails, with the reason", function()
    local ended = ask "Bad"
    assert.equal(4, ended.code)
    assert.matches("Failed: .*broken inside", ended.err)
  end)

  it("is rejected at once when its handler ends without an answer", function()
    local ended = ask "Silent"
    assert.equal(4, ended.code)
    assert.matches("No reply", ended.err)
  end)

  it("is rejected by env:fail", function()
    local ended = ask "Unwilling"
    assert.equal(4, ended.code)
    assert.matches("not today", ended.err)
  end)

  it("says that it is one, and from elsewhere", function()
    assert.equal('Said {"asked": true, "remote": true}\n', ask("Asked").out)
  end)

  it("is answered once", function()
    assert.equal('Said {"first": true}\n', ask("Twice").out)
    assert.matches("already answered", ask("Second").out)
  end)

  it("is rejected for an actor that is not there, and the log says what came from whom", function()
    local ended = process.run(process.troupe { "ask", "nobody@" .. endpoint, "Ping", "--timeout", "20s" })
    assert.equal(4, ended.code)
    assert.matches("Ping from %S+@tcp://127.0.0.1:%d+ was rejected: Actor 'nobody' not found",
      server:error_line("was rejected"))
  end)

  it("may be passed on to a third host, which answers it", function()
    local desk = process.start(process.troupe { "run", process.write_file(folder .. "/desk.lua", ([[
      local Desk = {}
      function Desk:on_any(_, env) assert(env:forward(actor.ref("srv@%s"))) end
      return Desk ]]):format(endpoint)), "--bind", ":0" }, 60)
    local desk_endpoint = desk:error_line("listening on"):match("tcp://%S+")
    local ended = process.run(process.troupe { "ask", "desk@" .. desk_endpoint, "Asked", "--timeout", "20s" })
    assert.equal('Said {"asked": true, "remote": true}\n', ended.out)
    ended = process.run(process.troupe { "ask", "desk@" .. desk_endpoint, "Unwilling", "--timeout", "20s" })
    assert.matches("not today", ended.err)
  end)

  it("may be kept and answered later", function()
    assert.equal('Said {"late": true}\n', ask("Later").out)
  end)
end)
