-- Reloads in a real host, whose actors run at once: one that does not come to rest,
-- one that runs on a thread of its own, a host that ends meanwhile.
local process = require "spec.support.process"

-- The worker computes without end when it is told to; its handler's name is known.
local WORKER = [[
  local Worker = { version = %d, thread = %s }
  function Worker:on_spin(msg)
    print("spins")
    repeat until actor.now() > msg.till
    print("spun")
  end
  function Worker:on_say() print("version " .. Worker.version) end
  return Worker
]]

local MAIN = [[
  local Main = {}
  local function write(version, thread)
    local file <close> = assert(io.open(actor.args[1] .. "/worker.lua", "w"))
    assert(file:write((WORKER):format(version, thread or "nil")))
  end
  function Main:on_start()
    write(1)
    self.one = assert(actor.spawn(actor.args[1] .. "/worker.lua", { name = "one" }))
    self.two = assert(actor.spawn(actor.args[1] .. "/worker.lua", { name = "two", thread = "own" }))
    actor.self:send("Go")
  end
  %s
  return Main
]]

describe("a reload in a host with workers", function()
  local folder
  before_each(function() folder = process.make_folder() end)
  after_each(function()
    process.end_all()
    process.remove_folder(folder)
  end)

  local function start(go)
    process.write_file(folder .. "/main.lua", ("local WORKER = %q\n"):format(WORKER) .. MAIN:format(go))
    return process.start(process.troupe { "run", folder .. "/main.lua", "--workers", "3", "--shutdown", "20s", "--", folder })
  end

  it("is refused when an actor is busy for more than 5 s, which is named; and done when it is not", function()
    local host = start [[
      function Main:on_go()
        local till = actor.now() + 9
        self.one:send("Spin", { till = till })
        actor.sleep("100ms")
        write(2)
        local before = actor.now()
        local done, why = actor.reload { script = actor.args[1] .. "/worker.lua" }
        print(done, actor.now() - before >= 5, tostring(why))
        self.two:send("Say")
        actor.sleep(math.max(till - actor.now(), 0))
        print(tostring(actor.reload { script = actor.args[1] .. "/worker.lua" }))
        self.one:send("Say")
        self.two:send("Say")
        actor.stop_host(0)
      end]]
    local ended = host:wait()
    local lines = {}
    for line in ended.out:gmatch("[^\n]+") do table.insert(lines, line) end
    assert.equal("spins", lines[1])
    assert.truthy(lines[2]:match("^nil\ttrue\tone is busy: its handler of Spin has run for %d+%.%d s"), lines[2])
    table.sort(lines)
    assert.equal("nil", lines[1]:match("^nil"))
    assert.same({ "spins", "spun", "true", "version 1", "version 2", "version 2" },
                { table.unpack(lines, 2) }, ended.err)
    assert.truthy(ended.err:find("worker.lua: refused, #1 goes on: one is busy: its handler of Spin", 1, true), ended.err)
    assert.equal(0, ended.code)
  end)

  it("sees on trial also what fails at once, while others are still let go", function()
    local host = start [[
      function Main:on_go()
        local path, many, V = actor.args[1] .. "/many.lua", {}, [=[
          local W = {}
          function W:on_slow() local till = actor.now() + 0.2 repeat until actor.now() > till end
          function W:on_fail() %s end
          function W:on_which(_, env) env:reply("It", { is = "%s" }) end
          return W]=]
        local function put(...)
          local file <close> = assert(io.open(path, "w"))
          assert(file:write(V:format(...)))
        end
        put("", "old")
        for i = 1, 3000 do many[i] = assert(actor.spawn(path)) end
        many[1]:ask("Which")
        -- It is held behind what it is at; the mail after that is for the new version.
        many[#many]:send("Slow")
        many[#many]:send("Fail")
        put("error 'at once'", "new")
        assert(actor.reload { script = path, trial = "30s" })
        local is, till = nil, actor.now() + 25
        repeat is = many[1]:ask("Which").is until is == "old" or actor.now() > till
        print("back to the " .. is)
        actor.stop_host(0)
      end]]
    local ended = host:wait()
    assert.equal("back to the old\n", ended.out, ended.err)
    assert.truthy(ended.err:find("the trial has failed after", 1, true), ended.err)
    assert.equal(0, ended.code)
  end)

  it("is called off at once when the host ends", function()
    local host = start [[
      function Main:on_go()
        self.one:send("Spin", { till = actor.now() + 4 })
        actor.sleep("100ms")
        write(2)
        actor.ref("two"):send("Say")
        print "reloads"
        print(actor.reload { script = actor.args[1] .. "/worker.lua" })
      end]]
    host:line("reloads")
    local looks = 0
    repeat -- until the one is held, for which the other has no time
      local seen = process.run(process.troupe { "ps", "--json", "--no-peers", "--actor", "two" })
      looks = looks + 1
    until seen.out:find('"state": ?"held"') or looks == 100
    local ended = host:stop("TERM")
    assert.truthy(ended.out:find("nil\tthe host is ending", 1, true), ended.out)
    assert.truthy(ended.err:find("the host is ending", 1, true), ended.err)
    assert.equal(0, ended.code, ended.err)
  end)
end)
