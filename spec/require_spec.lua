-- require: where a script's modules lie, what an actor gets, and what is said when it gets nothing.
local process = require "spec.support.process"
local Stage = require "troupe.stage"

describe("require", function()
  local stage, folder

  before_each(function()
    stage = Stage.new()
    folder = process.make_folder()
  end)
  after_each(function()
    stage:close()
    process.remove_folder(folder)
  end)

  local function write(path, text)
    os.execute(("mkdir -p '%s/%s'"):format(folder, path:match("^(.*)/") or "."))
    return process.write_file(folder .. "/" .. path, text)
  end

  -- Paths in what people read, as seen from the folder.
  local function plain(text)
    return (tostring(text):gsub(folder:gsub("%p", "%%%0") .. "/", ""))
  end

  -- Spawns the script at `path` and runs it; what it printed, a line each.
  local function run(path, config, options)
    local spawn = { path = folder .. "/" .. path }
    for name, value in pairs(options or {}) do spawn[name] = value end
    local ref, why = stage:spawn(spawn, config)
    if not ref then return nil, plain(why) end
    stage:run()
    local lines = stage:output()
    for i, line in ipairs(lines) do lines[i] = plain(line:gsub("\t", " ")) end
    return table.concat(lines, "\n")
  end

  -- A script whose start prints what the expressions are.
  local function script(path, expressions, before)
    return write(path, ("%s\nfunction on_start(self) print(%s) end\n"):format(before or "", expressions))
  end

  describe("finds a module", function()
    it("beside the script, wherever the host was started", function()
      write("shop/prices.lua", "return { tea = 3 }")
      script("shop/shop.lua", "prices.tea", "local prices = require 'prices'")
      assert.equal("3", run "shop/shop.lua")
    end)

    it("in folders below that, with dots between their names", function()
      write("shop/lib/food/tea.lua", "return 'black'")
      script("shop/shop.lua", "(require 'lib.food.tea')")
      assert.equal("black", run "shop/shop.lua")
    end)

    it("in the init.lua of a folder", function()
      write("shop/kit/init.lua", "return 'kit'")
      script("shop/shop.lua", "(require 'kit')")
      assert.equal("kit", run "shop/shop.lua")
    end)

    it("for each script in its own folder", function()
      write("a/util.lua", "return 'of a'")
      write("b/util.lua", "return 'of b'")
      script("a/main.lua", "(require 'util')")
      script("b/main.lua", "(require 'util')")
      assert.equal("of a", run "a/main.lua")
      assert.equal("of b", run "b/main.lua")
    end)

    it("for a module where its script finds it, not beside the module", function()
      write("lib/shapes.lua", "return require 'lib.points' .. ' and ' .. require 'colours'")
      write("lib/points.lua", "return 'points'")
      write("lib/colours.lua", "return 'wrong'")
      write("colours.lua", "return 'colours'")
      script("main.lua", "(require 'lib.shapes')")
      assert.equal("points and colours", run "main.lua")
    end)

    it("in a handler as well as at the top level", function()
      write("late.lua", "return 'late'")
      write("main.lua", "function on_go() print((require 'late')) end")
      local ref = assert(stage:spawn(folder .. "/main.lua"))
      stage:send(ref, "Go")
      stage:run()
      assert.same({ "late" }, stage:output())
    end)

    -- lua/ and actors/ of the current folder: a host of its own, started there.
    local function run_there(path, flags)
      return process.run { "sh", "-c", ("cd '%s' && exec '%s' run %s %s"):format(
        folder, process.troupe({})[1], path, flags or "") }
    end

    it("in lua/ and in actors/ of the current folder, in this order, and beside the script before", function()
      write("lua/one.lua", "return 'lua/one'")
      write("actors/one.lua", "return 'actors/one'")
      write("lua/two.lua", "return 'lua/two'")
      write("shop/two.lua", "return 'shop/two'")
      write("actors/three.lua", "return 'actors/three'")
      write("four.lua", "return 'four'")
      write("shop/shop.lua", [[
        for _, name in ipairs { "one", "two", "three", "four" } do print(require(name)) end
        function on_start() actor.exit() end
      ]])
      local ended = run_there "shop/shop.lua"
      assert.equal("lua/one\tlua/one.lua\nshop/two\tshop/two.lua\nactors/three\tactors/three.lua\n"
        .. "four\t./four.lua\n", ended.out)
      assert.equal(0, ended.code)
    end)

    it("in the current folder for a script from the command line", function()
      write("lua/greeting.lua", "return 'hello'")
      write("name.lua", "return 'you'")
      local ended = process.run { "sh", "-c", ("cd '%s' && exec '%s' -e \"%s\""):format(folder,
        process.troupe({})[1], "print((require 'greeting'), require 'name') function on_start() actor.exit() end") }
      assert.equal("hello\tyou\tname.lua\n", ended.out)
    end)

    it("of Troupe's own where Troupe has it: those names are taken", function()
      write("troupe/topics.lua", "return 'mine'")
      script("main.lua", "type(require 'troupe.topics')")
      assert.equal("table", run "main.lua")
    end)

    it("along package.path after that, as the script has set it at its top level", function()
      write("far/away.lua", "return 'away'")
      write("far/near.lua", "return 'far'")
      write("near.lua", "return 'near'")
      script("main.lua", "(require 'away'), (require 'near')",
        ("package.path = %q .. package.path"):format(folder .. "/far/?.lua;"))
      assert.equal("away near", run "main.lua")
    end)

    it("in package.preload and package.loaded before anything else", function()
      write("a.lua", "return 'file'")
      write("b.lua", "return 'file'")
      script("main.lua", "(require 'a'), (require 'b')",
        "package.preload.a = function() return 'preload' end package.loaded.b = 'loaded'")
      assert.equal("preload loaded", run "main.lua")
    end)
  end)

  describe("gives", function()
    it("the module's value, and the first time its file", function()
      write("lib/m.lua", "return { 'm' }")
      script("main.lua", "value[1], file, select('#', require 'lib.m'), require 'lib.m' == value",
        "local value, file = require 'lib.m'")
      assert.equal("m lib/m.lua 1 true", run "main.lua")
    end)

    it("the module its name and its file", function()
      write("lib/m.lua", "return table.concat({ ... }, ' ')")
      script("main.lua", "(require 'lib.m')")
      assert.equal("lib.m lib/m.lua", plain(run "main.lua"))
    end)

    it("true for a module that returns nothing, and false for one that returns that", function()
      write("nothing.lua", "count = (count or 0) + 1")
      write("no.lua", "asked = (asked or 0) + 1 return false")
      script("main.lua", "(require 'nothing'), (require 'nothing'), (require 'no'), (require 'no'), "
        .. "_G.package.loaded._G.count, package.loaded._G.asked")
      -- As ever in Lua: what is false is loaded again the next time.
      assert.equal("true true false false 1 2", run "main.lua")
    end)

    it("each actor a value of its own, though the file is compiled once", function()
      write("counter.lua", "return { n = 0 }")
      script("main.lua", "counter.n", [[
        local counter = require "counter"
        counter.n = counter.n + 1
      ]])
      assert.equal("1", run "main.lua")
      assert.equal("1", run "main.lua")
    end)

    it("the same bytes to every actor, whatever becomes of the file", function()
      local path = write("m.lua", "return 'one'")
      script("main.lua", "(require 'm')")
      assert.equal("one", run "main.lua")
      write("m.lua", "return 'two'")
      assert.equal("one", run "main.lua")
      os.remove(path)
      assert.equal("one", run "main.lua")
    end)

    it("it anew to who takes it out of package.loaded", function()
      write("m.lua", "return {}")
      script("main.lua", "first ~= require 'm'", "local first = require 'm' package.loaded.m = nil")
      assert.equal("true", run "main.lua")
    end)

    it("a module the plain globals: reading what nobody defined is nil there", function()
      write("m.lua", "return type(nobody_defined_this)")
      script("main.lua", "(require 'm')")
      assert.equal("nil", run "main.lua")
    end)
  end)

  describe("says in one line why a module cannot be had:", function()
    local function refused(path)
      script("main.lua", "true", "local m = require 'm'")
      local ran, why = run "main.lua"
      assert.is_nil(ran)
      assert.equal(path, why:match("^[^\n]*"))
    end

    it("a syntax error, with its place", function()
      write("m.lua", "local m = {}\nfunction m.f(\nreturn m\n")
      refused "m.lua:3: <name> or '...' expected near 'return' (required as 'm')"
    end)

    it("a file that was written half", function()
      write("m.lua", "local m = {}\nfunction m.f() re")
      refused "m.lua:2: syntax error near <eof> (required as 'm')"
    end)

    it("bytecode, and other bytes", function()
      write("m.lua", "\27Lua\x54\0")
      refused "main.lua:1: m.lua: compiled Lua (bytecode) is never loaded; give its source (required as 'm')"
      write("m.lua", "\1\2\3\0")
      refused "m.lua:1: unexpected symbol near '<\\1>' (required as 'm')"
    end)

    it("a folder, and a pipe, which is not waited for", function()
      write("m.lua/x", "")
      refused "main.lua:1: m.lua: is a folder, not a script (required as 'm')"
      process.remove_folder(folder .. "/m.lua")
      os.execute(("mkfifo '%s/m.lua'"):format(folder))
      refused "main.lua:1: m.lua: is not a plain file (required as 'm')"
    end)

    it("17 MiB of text; 10 MiB are fine", function()
      write("m.lua", ("-"):rep(17 << 20))
      refused "main.lua:1: m.lua: larger than 16 MiB (required as 'm')"
      write("m.lua", "return 'fine' --" .. ("x"):rep(10 << 20))
      script("main2.lua", "(require 'm')")
      assert.equal("fine", run "main2.lua")
    end)

    it("an error in its top level, with its place", function()
      write("m.lua", "\nerror 'not today'")
      refused "m.lua:2: not today"
    end)

    it("a circle, with the way around and the line that closes it", function()
      write("m.lua", "return { require 'n' }")
      write("n.lua", "local x = 1\nreturn require 'o'")
      write("o.lua", "local m = require 'm'")
      refused "o.lua:1: modules require each other: m -> n -> o -> m"
      write("self.lua", "return require 'self'")
      script("main2.lua", "true", "require 'self'")
      local _, why = run "main2.lua"
      assert.equal("self.lua:1: modules require each other: self -> self", why)
    end)

    it("none of that name, and then all the places", function()
      script("main.lua", "true", "local m = require 'no.such'")
      local _, why = run "main.lua"
      local places = {}
      for place in why:gmatch("no file '(.-)'") do table.insert(places, place) end
      assert.matches("^main.lua:1: module 'no.such' not found:", why)
      assert.same({ "no/such.lua", "no/such/init.lua", "lua/no/such.lua", "lua/no/such/init.lua",
        "actors/no/such.lua", "actors/no/such/init.lua" }, table.move(places, 1, 6, 1, {}))
    end)

    it("and the next actor finds it, when it is repaired", function()
      write("m.lua", "return =")
      refused "m.lua:1: unexpected symbol near '=' (required as 'm')"
      write("m.lua", "return 'repaired'")
      script("main2.lua", "(require 'm')")
      assert.equal("repaired", run "main2.lua")
    end)
  end)

  it("lets modules require each other that do so when they are called", function()
    write("even.lua", "return function(n) return n == 0 or require 'odd' (n - 1) end")
    write("odd.lua", "return function(n) return n ~= 0 and require 'even' (n - 1) end")
    script("main.lua", "require 'even' (10), require 'odd' (10)")
    assert.equal("true false", run "main.lua")
  end)

  it("tells the lines of modules in reports by their files", function()
    write("lib/deep.lua", "return function()\n  error 'it broke'\nend")
    script("main.lua", "(require 'lib.deep')()")
    run "main.lua"
    local report = plain(stage:log()[1].text)
    assert.matches("lib/deep.lua:2: it broke", report, 1, true)
    assert.matches("lib/deep.lua:2: in function <lib/deep.lua:1>", report, 1, true)
  end)

  describe("in a sandbox", function()
    it("finds modules beside the script and below", function()
      write("plugin/words.lua", "return 'words'")
      write("plugin/lib/more.lua", "return 'more'")
      script("plugin/main.lua", "(require 'words'), (require 'lib.more')")
      assert.equal("words more", run("plugin/main.lua", nil, { sandbox = true }))
    end)

    it("does not leave the script's folder: by no name, and over no link", function()
      write("secret.lua", "return 'secret'")
      write("plugin/lib/x.lua", "return 'x'")
      os.execute(("ln -s ../secret.lua '%s/plugin/link.lua'; ln -s .. '%s/plugin/up'"):format(folder, folder))
      for _, name in ipairs { "link", "up.secret", "up/secret", "../secret", "...secret", folder .. "/secret",
        "lib/../../secret" } do
        script("plugin/main.lua", ("pcall(require, %q)"):format(name))
        stage:close()
        stage = Stage.new()
        assert.matches("^false module '.-' not found", run("plugin/main.lua", nil, { sandbox = true }), name)
      end
    end)

    it("does not look in lua/ and actors/ of the current folder", function()
      write("lua/own.lua", "return 'own'")
      script("plugin/main.lua", "(select(2, pcall(require, 'own')))")
      local text = run("plugin/main.lua", nil, { sandbox = true })
      assert.matches("module 'own' not found", text)
      assert.not_matches("no file 'lua/own.lua'", text, 1, true)
      assert.not_matches("no file 'actors/own.lua'", text, 1, true)
    end)
  end)
end)
