-- What a sandboxed script can reach: each way out is tried.
local process = require "spec.support.process"
local Stage = require "troupe.stage"

describe("a sandbox", function()
  local stage

  before_each(function() stage = Stage.new() end)
  after_each(function() stage:close() end)

  -- What the expression is in a sandboxed actor, as text; or the error it raises.
  local function inside(expression, options)
    local script = { name = "caged", sandbox = true, source = ([[
      function on_start()
        print(pcall(function() return %s end))
      end
    ]]):format(expression) }
    for name, value in pairs(options or {}) do script[name] = value end
    assert(stage:spawn(script))
    stage:run()
    local line = table.concat(stage:output(), "\n")
    stage:stop("caged")
    stage:run()
    stage:log()
    return line
  end

  local WITHHELD = { "io", "debug", "dofile", "loadfile" }

  it("has no files and no debugger", function()
    for _, name in ipairs(WITHHELD) do
      assert.matches("^false\t.*'" .. name .. "' is not available in a sandbox", inside(name))
    end
  end)

  it("has them under no other name either", function()
    for _, way in ipairs {
      "rawget(_G, NAME)", "rawget(_ENV, NAME)", "package.loaded[NAME]", "rawget(_G._G, NAME)",
      "getmetatable(package.loaded).__index({}, NAME)", "getmetatable(package.loaded).__index(package.loaded, NAME)",
      "(function() for k in pairs(_G) do if k == NAME then return k end end end)()",
      "(function() for k in pairs(_ENV) do if k == NAME then return k end end end)()",
      "(function() setmetatable(_G, nil) return rawget(_G, NAME) end)()",
      "(function() setmetatable(_G, { __index = function() end }) return _G[NAME] end)()",
    } do
      for _, name in ipairs(WITHHELD) do
        assert.equal("true\tnil", inside((way:gsub("NAME", ("%q"):format(name)))):gsub("^true$", "true\tnil"), way)
      end
    end
    for _, way in ipairs {
      "_G[NAME]", "_ENV[NAME]", "_G._G[NAME]", "load('return ' .. NAME)()",
      "coroutine.wrap(function() return _ENV[NAME] end)()", "require(NAME)",
      "select(2, pcall(load, 'return ' .. NAME))()",
    } do
      for _, name in ipairs(WITHHELD) do
        assert.matches("^false\t", inside((way:gsub("NAME", ("%q"):format(name)))), way)
      end
    end
  end)

  it("has nothing of os but what tells the time", function()
    assert.equal("true\tclock date difftime setlocale time", inside [[(function()
      local names = {}
      for name in pairs(os) do table.insert(names, name) end
      table.sort(names)
      return table.concat(names, " ")
    end)()]])
    assert.matches("^false\t.*os.setlocale is not available", inside "os.setlocale('C')")
  end)

  it("loads no bytecode, makes none, and loads no C module", function()
    assert.equal("true\tnil", inside "string.dump")
    assert.equal("true\tnil", inside "('').dump")
    assert.equal("true\tnil", inside "getmetatable('').__index.dump")
    for _, mode in ipairs { "", ", 'b'", ", 'bt'" } do
      assert.matches("attempt to load a binary chunk", inside("load('\\27Lua', 'x'" .. mode .. ")"), 1, true)
    end
    assert.equal("true\tnil\tnil\tnil", inside "package.loadlib, package.searchpath, package.searchers[3]")
    assert.matches("^false\t.*module 'cjson' not found", inside "require 'cjson'")
    assert.matches("^false\t.*module 'cjson' not found",
                   inside "(function() package.cpath = '/usr/lib/x86_64-linux-gnu/lua/5.4/?.so' return require 'cjson' end)()")
  end)

  it("reads no file through require, wherever that is told to look", function()
    for _, path in ipairs { "/etc/?", "/etc/?;./?", "?" } do
      local line = inside(("(function() package.path = %q return require 'passwd' end)()"):format(path))
      assert.matches("^false\t.*module 'passwd' not found", line)
      assert.not_matches("root", line)
    end
    assert.matches("^false\t.*not found", inside "require '../../../../../../../etc/passwd'")
    assert.matches("^false\t.*not found", inside "require '/etc/passwd'")
    assert.matches("^false\t.*not found", inside "package.searchers[2]('/etc/passwd') == nil or error('not found')")
  end)

  it("has modules that are written in Lua", function()
    assert.equal("true\ttable", inside "type(require 'troupe.cli.units')")
  end)

  it("says no more of its memory than how much there is", function()
    assert.matches("^true\tnumber", inside "type(collectgarbage('count'))")
    for _, what in ipairs { "collect", "step", "stop", "generational" } do
      assert.matches("is not available in a sandbox", inside(("collectgarbage(%q)"):format(what)), 1, true)
    end
    assert.matches("__gc is not available", inside "setmetatable({}, { __gc = function() end })", 1, true)
  end)

  it("cannot end the host", function()
    assert.matches("^false\t.*actor.stop_host is not available in a sandbox", inside "actor.stop_host(0)")
    assert.matches("^false\t.*attempt to call a nil value", inside "os.exit(0)")
  end)

  it("opens no file, no program and no connection", function()
    for call in ([[actor.lines("/etc/passwd") actor.lines("-") actor.process{"id"} actor.listen("tcp://127.0.0.1:5001")
                   actor.connect("tcp://127.0.0.1:5001") actor.subscribe("tcp://127.0.0.1:5001","x")]]):gmatch("%S+") do
      local name = call:match("^actor%.%a+")
      assert.matches("^false\t.*" .. name .. " is not available in a sandbox", inside(call))
      assert.matches("^false\t.*a source is expected",
                     inside(("actor.stream({ kind = %d, target = '/etc/passwd', arguments = { 'id' } })"):format(#name % 5)))
    end
  end)

  it("makes no supervisor, whose children would be everybody's scripts", function()
    assert.matches("^false\t.*actor.supervise is not available in a sandbox",
                   inside "actor.supervise { children = { { script = 'spec/support/restarts' } } }")
    assert.matches("^false\t.*spawns scripts of its own folder",
                   inside "require('troupe.children').spawn('/etc/passwd', {}, '/etc/passwd')")
  end)

  it("chooses no cpu and no priority, wherever it is put", function()
    for _, field in ipairs { "cpu = {0}", "priority = 50" } do
      local none, why = stage:spawn { name = "own", sandbox = true, thread = "own",
                                      source = ("return { %s, on_ping = function() end }"):format(field) }
      assert.is_nil(none)
      assert.matches(field:match("%a+") .. " is not its to choose", tostring(why), 1, true)
    end
  end)

  describe("keeps a failure inside", function()
    local function parent(options)
      assert(stage:spawn { name = "parent", source = ([[
        function on_start(self)
          self.child = assert(actor.spawn(%q, { name = "caged", sandbox = true %s }))
        end
        function on_shutdown() print("parent down") end
      ]]):format("spec/support/caged", options) })
      stage:run()
      stage:send("caged", "Fail")
      stage:advance("10s")
      return stage:output()
    end

    it("though its script says escalate, and its children do", function()
      assert.same({ "leaf up", "leaf down" }, parent "")
      assert.is_true(stage:alive("parent"))
      assert.is_false(stage:alive("caged"))
      local log = stage:log()
      assert.matches("the actor ends and caged fails with it", log[1].text, 1, true)
      assert.matches("the actor ends, and nobody with it: it was in a sandbox", log[2].text, 1, true)
    end)

    it("unless its spawner wants to fail with it", function()
      assert.same({ "leaf up", "leaf down", "parent down" }, parent ', failure = "escalate"')
      stage:log()
    end)
  end)

  it("stays closed, and as narrow, when the actor restarts", function()
    assert(stage:spawn { name = "caged", sandbox = true, memory = "2MiB", failure = "restart",
                         restart = { backoff = "1ms" }, source = [[
      function on_start(_, msg)
        print(msg.restarts, (pcall(function() return io end)), (pcall(actor.process, { "id" })), (pcall(actor.stop_host)))
        actor.self:send("Grow")
      end
      function on_grow() return ("x"):rep(4 << 20) end
    ]] })
    stage:advance("1s")
    local lines = {}
    for restarts = 0, 3 do table.insert(lines, restarts .. "\tfalse\tfalse\tfalse") end
    assert.same(lines, stage:output())
    assert.matches("memory limit of 2 MiB", stage:log()[2].text, 1, true)
  end)

  it("is the spawner's to give, not the script's own", function()
    local none, why = stage:spawn { name = "own", source = "return { sandbox = true, on_ping = function() end }" }
    assert.is_nil(none)
    assert.matches("sandbox is for who spawns a script to say", tostring(why), 1, true)
    none, why = pcall(stage.spawn, stage, { name = "own", sandbox = "yes", source = "function on_ping() end" })
    assert.is_false(none)
    assert.matches("sandbox is true or false, not 'yes'", tostring(why), 1, true)
  end)

  describe("for children", function()
    local folder
    local spawned = 0 -- a path is read once

    before_each(function()
      folder = process.make_folder()
      process.write_file(folder .. "/child.lua", [[
        local Child = { memory = "1GiB", slice = "1h", mailbox = { limit = 4000000, bytes = "1GiB" } }
        function Child:on_start() print("child", pcall(function() return io end)) end
        return Child
      ]])
      process.write_file(folder .. "/thread.lua", 'return { thread = "own", on_ping = function() end }')
      os.execute(("mkdir %s/inner; cp %s/child.lua %s/inner; ln -s /etc/passwd %s/link.lua"):format(
        folder, folder, folder, folder))
    end)
    after_each(function() process.remove_folder(folder) end)

    local function spawn(arguments, options)
      spawned = spawned + 1
      local path = ("%s/caged%d"):format(folder, spawned)
      process.write_file(path .. ".lua", ([[
        function on_start() print(pcall(actor.spawn, %s)) end
      ]]):format(arguments))
      local script = { path = path, name = "caged", sandbox = true }
      for name, value in pairs(options or {}) do script[name] = value end
      assert(stage:spawn(script))
      stage:run()
      local lines = stage:output()
      stage:stop("caged")
      stage:run()
      return table.concat(lines, "\n")
    end

    it("is one as well", function()
      assert.matches("^true\tchild#1\tnil\nchild\tfalse\t.*'io' is not available in a sandbox",
                     (spawn('"child"'):gsub("^true\tchild#1\n", "true\tchild#1\tnil\n")))
      assert.matches("child\tfalse", spawn('"inner/child"'), 1, true)
      assert.matches("the children of a sandboxed actor are sandboxed", spawn('"child", { sandbox = false }'), 1, true)
    end)

    it("takes scripts of its own folder only, and follows no link out of it", function()
      for _, path in ipairs { "/etc/passwd", "../x/child", "inner/../../x", ".." } do
        assert.matches("^false\t.*spawns scripts of its own folder", spawn(("%q"):format(path)))
      end
      local line = spawn('"link"')
      assert.not_matches("root", line)
      assert.matches("^true\tnil\t", line)
      assert.matches("^true\tnil\t", spawn('"registry"')) -- a shipped actor
      assert.matches("^true\tnil\t", spawn('"spec/hostile/bombs"')) -- of the current folder
    end)

    it("gives no thread of its own", function()
      for _, thread in ipairs { "own", "group:x" } do
        assert.matches("^false\t.*thread is not available in a sandbox", spawn(('"child", { thread = %q }'):format(thread)))
      end
      assert.matches("thread is not its to choose", spawn('"thread"'), 1, true)
    end)

    it("has no higher limits than it has itself", function()
      process.write_file(folder .. "/hog.lua", [[
        local Hog = { memory = "1GiB" }
        function Hog:on_start() self.kept = ("x"):rep(8 << 20) print("not reached") end
        return Hog
      ]])
      assert.not_matches("not reached", spawn('"hog", { memory = "1GiB" }', { memory = "4MiB" }))
      assert.matches("memory limit of 4 MiB", stage:log()[1].text, 1, true)
    end)
  end)

  describe("and its neighbours", function()
    it("a script that wipes its globals, the string table and itself breaks alone", function()
      stage:spawn { name = "vandal", source = [[
        local Vandal = {}
        function Vandal:on_wipe()
          for name in pairs(string) do string[name] = nil end
          for name in pairs(table) do table[name] = nil end
          getmetatable("").__index = nil
          for name in pairs(actor) do pcall(rawset, actor, name, nil) end
          for name in pairs(_G) do _G[name] = nil end
          for name in pairs(Vandal) do if name ~= "on_ping" then Vandal[name] = nil end end
          for name in pairs(self) do self[name] = nil end
        end
        function Vandal:on_ping(msg, env) env:reply("Pong", { upper = ("x"):upper() }) end
        return Vandal
      ]] }
      stage:spawn { name = "other", source = [[
        function on_ping(self, msg, env) env:reply("Pong", { upper = ("x"):upper() }) end
      ]] }
      stage:send("vandal", "Wipe")
      stage:run()
      assert.same({ upper = "X" }, (stage:ask("other", "Ping")))
      local none, why = stage:ask("vandal", "Ping")
      assert.is_nil(none)
      assert.equal("failed", why.reason)
      stage:stop("vandal")
      stage:run()
      stage:spawn { name = "vandal", source = [[
        function on_ping(self, msg, env) env:reply("Pong", { upper = ("x"):upper() }) end
      ]] }
      assert.same({ upper = "X" }, (stage:ask("vandal", "Ping"))) -- a new state is clean
      stage:dead_letters()
      stage:log()
    end)
  end)
end)
