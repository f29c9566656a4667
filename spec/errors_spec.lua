-- What a failing script says, and whom it harms: nobody but itself.
local Stage = require "troupe.stage"

describe("an error", function()
  local stage

  before_each(function() stage = Stage.new() end)
  after_each(function() stage:close() end)

  -- An actor "hero" that runs `body` for Go, as its third line, and answers Ping.
  local function hero(body, rest)
    return assert(stage:spawn({ name = "hero", source = ([[
      function on_ping(self, msg, env) env:reply("Pong") end
      function on_go(self, msg, env)
        %s
      end
      %s
    ]]):format(body, rest or "") }))
  end

  -- Sends Go to a new hero, sees that it lives on, and answers the report (or nil) and what was printed.
  local function go(body, rest, msg)
    local it = hero(body, rest)
    stage:send(it, "Go", msg)
    assert.truthy(stage:ask(it, "Ping"))
    local reports = {}
    for _, line in ipairs(stage:log()) do
      if line.level == "error" then table.insert(reports, line.text) end
    end
    assert.is_true(#reports <= 1, "more than one report")
    stage:dead_letters()
    return reports[1], stage:output()
  end

  local function first_line(report)
    return report and report:match("^[^\n]*")
  end

  describe("is reported once", function()
    it("with place, reason, actor, script, version, message, sender, locals, traceback and outcome", function()
      assert(stage:spawn({ name = "adder", source = [[
        local Adder = { version = 3 }
        function Adder:on_start() self.total = 0 end
        function Adder:on_add(msg, env)
          local before = self.total
          self.total = before + msg.value
        end
        return Adder
      ]] }))
      assert(stage:spawn({ name = "shop", source = [[
        function on_start() actor.ref("adder"):send("Add", { n = "three" }) end
      ]] }))
      stage:run()
      local log = stage:log()
      assert.equal(1, #log)
      assert.equal("error", log[1].level)
      assert.same([[
adder.lua:5: attempt to perform arithmetic on a nil value (field 'value')
  actor    adder (adder.lua, version 3), in on_add
  message  Add {"n": "three"}
  from     shop
  locals   self = {config = {}, total = 0}  msg = {n = "three"}  env = userdata  before = 0
  stack traceback:
    adder.lua:5: in function <adder.lua:3>
    [C]: in ?
  the actor goes on, the message is a dead letter]], (log[1].text:gsub("\n$", "")))
      local letter = stage:dead_letters()[1]
      assert.same({ "Add", "adder", "shop", "failed" }, { letter.type, letter.to, letter.from, letter.reason })
      assert.matches("^adder.lua:5: attempt to perform arithmetic", letter.text)
    end)

    it("with its line, even if the error does not say it", function()
      for body, expected in pairs {
        ["error('why', 0)"] = "hero.lua:3: why",
        ["assert(false, 'why')"] = "hero.lua:3: why",
        ["assert(nil)"] = "hero.lua:3: assertion failed!",
        ["error({ code = 3 })"] = "hero.lua:3: (error object is a table: {code = 3})",
        ["error()"] = "hero.lua:3: (error object is nil)",
        ["error(nil)"] = "hero.lua:3: (error object is nil)",
        ["error(true)"] = "hero.lua:3: (error object is a boolean: true)",
        ["error(12)"] = "hero.lua:3: (error object is a number: 12)",
        ["error(io.stdout)"] = "hero.lua:3: (error object is a userdata: userdata)",
        ["error(actor.self)"] = "hero.lua:3: (error object is a userdata: hero)",
        ["error(print)"] = "hero.lua:3: (error object is a function: function)",
        ["error(coroutine.create(print))"] = "hero.lua:3: (error object is a coroutine: coroutine)",
        ["error(setmetatable({ a = 1 }, { __tostring = error }))"] =
          "hero.lua:3: (error object is a table: {a = 1})",
        ["error(setmetatable({}, { __tostring = function() while true do end end }))"] =
          "hero.lua:3: (error object is a table: {})",
        ["string.rep()"] = "hero.lua:3: bad argument #1 to 'rep' (string expected, got no value)",
      } do
        assert.equal(expected, first_line((go(body))))
        stage:stop("hero")
        stage:run()
      end
    end)

    it("with what the error object says of itself", function()
      local class = [[
        local Failure = {}
        Failure.__index = Failure
        function Failure:__tostring() return ("%s of %d"):format(self.what, self.code) end
      ]]
      local report = go("error(setmetatable({ what = 'a\\nfailure', code = 7 }, Failure))", class)
      assert.equal("hero.lua:3: undefined global 'Failure'", first_line(report))
      stage:stop("hero")
      stage:run()
      local lines = select(2, class:gsub("\n", "")) + 3
      report = go(class:gsub("%s+$", "") .. "\nerror(setmetatable({ what = 'a\\nfailure', code = 7 }, Failure))")
      assert.equal(("hero.lua:%d: a failure of 7"):format(lines), first_line(report))
      local none, why = stage:ask("hero", "Go")
      assert.same({ "failed", "a failure of 7" }, { none or why.reason, why.text })
      stage:log()
    end)

    it("with what the error object is, if it says nothing, or tries to do more than that", function()
      for _, body in ipairs {
        "error('again')", "return 3", "return nil", "while true do end", "return ('x'):rep(1 << 40)",
        "actor.self:send('Ping')", "actor.sleep('1s')", "actor.exit()", "os.exit()", "coroutine.yield()",
        "pcall(function() while true do end end)", "coroutine.wrap(function() while true do end end)()",
        "local x <close> = setmetatable({}, { __close = function() while true do end end }) error('x')",
      } do
        local report = go(("error(setmetatable({ a = 1 }, { __tostring = function() %s end }))"):format(body))
        assert.equal("hero.lua:3: (error object is a table: {a = 1})", first_line(report))
        stage:stop("hero")
        stage:run()
      end
    end)

    it("in words, if it is the why of a send or an ask", function()
      local report = go("assert(actor.ref('nobody'):ask('X'))")
      assert.equal("hero.lua:3: no answer from nobody to X: no actor is named 'nobody'", first_line(report))
    end)

    it("on one line and cut, however long it is, to whoever asked as well", function()
      local report = go([[error(("many lines\n"):rep(1000))]])
      assert.is_true(#first_line(report) < 1100)
      assert.matches("%.%.%.$", first_line(report))
      local none, why = stage:ask("hero", "Go")
      assert.is_nil(none)
      assert.matches("many lines many lines", why.text)
      stage:log()
    end)

    it("with no byte that would steer a terminal or forge a line", function()
      local report = go([[error("a\27[31mb\r\n2026 error forged\0", 0)]])
      assert.equal([[hero.lua:3: a\027[31mb 2026 error forged\000]], first_line(report))
      assert.is_nil(report:find("\27", 1, true))
    end)

    it("with a message that is cut when it is long", function()
      local report = go("error('x')", nil, { text = ("y"):rep(100000) })
      assert.is_true(#report < 5000)
      assert.matches("%.%.%.\n  from     stage", report)
    end)

    it("with as many locals as are of use, and dots only when some are left out", function()
      local names = {}
      for i = 1, 21 do names[i] = "l" .. i end
      local report = go(("local %s = 1 error('x')"):format(table.concat(names, ", ")))
      assert.matches("l21 = nil\n", report)
      stage:stop("hero")
      stage:run()
      names[22] = "l22"
      report = go(("local %s = 1 error('x')"):format(table.concat(names, ", ")))
      assert.matches("l21 = nil  %.%.%.\n", report)
    end)

    it("only when nothing has caught it", function()
      local report, lines = go([[
        print(pcall(error, "one"))
        print(xpcall(error, function(e) return "two " .. e end, "caught"))
        print(coroutine.resume(coroutine.create(function() error("three", 0) end)))
      ]])
      assert.is_nil(report)
      assert.same({ "false\tone", "false\ttwo caught", "false\tthree" }, lines)
    end)

    it("when it comes out of a coroutine of the script's", function()
      local report = go("coroutine.wrap(function() error('inside') end)()")
      assert.matches("hero.lua:3: inside", first_line(report))
      assert.matches("in on_go", report)
    end)

    it("with the locals and the traceback of the coroutine that died", function()
      local report = go([[
        local outer = "around" coroutine.wrap(function() local inner = "seen" error("inside") end)()]])
      assert.same([[
hero.lua:3: hero.lua:3: inside
  actor    hero (hero.lua), in on_go
  message  Go {}
  from     stage
  locals   inner = "seen"
  stack traceback:
    [C]: in function 'error'
    hero.lua:3: in function <hero.lua:3>
  resumed by:
  locals   self = {config = {}}  msg = {}  env = userdata  outer = "around"
  stack traceback:
    [C]: in ?
    hero.lua:3: in function <hero.lua:2>
    [C]: in ?
  the actor goes on, the message is a dead letter]], (report:gsub("\n$", "")))
    end)

    -- What of a report is about coroutines: the locals of each, from the innermost on.
    local function locals_of(report)
      local found = {}
      for line in report:gmatch("\n  locals   ([^\n]*)") do table.insert(found, (line:gsub("^self.*", "outer"))) end
      return found
    end

    it("with each coroutine that the error came out of, from the innermost on", function()
      local report = go([[
        coroutine.wrap(function() local b = 2
          coroutine.wrap(function() local c = 3 error({ code = 4 }) end)()
        end)()
      ]])
      assert.equal("hero.lua:4: (error object is a table: {code = 4})", first_line(report))
      assert.same({ "c = 3", "b = 2", "outer" }, locals_of(report))
    end)

    it("with three coroutines at most", function()
      local report = go([[
        local function deep(n) if n == 0 then error("bottom", 0) end coroutine.wrap(deep)(n - 1) end deep(10)
      ]])
      assert.matches("bottom$", first_line(report))
      assert.same({ "n = 0", "n = 1", "n = 2", "n = 10" },
        (function(found) for i, text in ipairs(found) do found[i] = text:match("n = %d+") end return found end)(
          locals_of(report)))
      assert.matches("  ... (7 coroutines)\n", report, 1, true)
    end)

    it("with a coroutine whose error was caught by resume and raised again", function()
      for _, raise in ipairs { "error(why, 0)", "error(why)", "coroutine.wrap(error)(why)" } do
        local report = go(([[
          local co = coroutine.create(function() local inner = "seen" error("inside") end)
          local done, why = coroutine.resume(co)
          collectgarbage()
          co = nil
          collectgarbage()
          %s
        ]]):format(raise))
        assert.matches('locals   inner = "seen"\n', report, 1, true)
        stage:stop("hero")
        stage:run()
      end
    end)

    it("without the coroutine of an error that was caught", function()
      for _, caught in ipairs {
        "pcall(coroutine.wrap(function() local inner = 1 error('inside') end))",
        "xpcall(coroutine.wrap(function() local inner = 1 error('inside') end), print)",
        "coroutine.resume(coroutine.create(function() local inner = 1 error('inside') end))",
        "coroutine.resume(coroutine.create(coroutine.wrap(function() local inner = 1 error('inside') end)))",
      } do
        local report = go(caught .. " error('another')")
        assert.equal("hero.lua:3: another", first_line(report))
        assert.same({ "outer" }, locals_of(report))
        stage:stop("hero")
        stage:run()
        -- Nor in a later handler, whatever it raises.
        local it = hero("if msg.again then error('inside') end " .. caught)
        stage:send(it, "Go")
        stage:send(it, "Go", { again = true })
        stage:run()
        local log = stage:log()
        assert.equal(1, #log)
        assert.same({ "outer" }, locals_of(log[1].text))
        stage:stop("hero")
        stage:run()
        stage:dead_letters()
        stage:output()
      end
    end)

    it("with the line at which a runaway was stopped, in its coroutine too", function()
      for _, body in ipairs { "local n = 1\nwhile true do\nn = n\nend",
                              "coroutine.wrap(function() local n = 1\nwhile true do\nn = n\nend\nend)()",
                              "coroutine.resume(coroutine.create(function() local n = 1\nwhile true do\nn = n\nend\nend))" } do
        local report = go(body)
        local line = first_line(report):match("^hero.lua:(%d+): stopped: used up its instruction budget")
        assert.matches("stack traceback:\n    hero.lua:" .. line .. ": in ", report, 1, true)
        assert.matches("n = 1", locals_of(report)[1]:gsub("outer", "n = 1"))
        stage:stop("hero")
        stage:run()
      end
    end)

    it("when a __close fails, and the first error wins if there are two", function()
      assert.matches("^hero.lua:3: in close", go([[
        local c <close> = setmetatable({}, { __close = function() error("in close") end })
      ]]))
      stage:stop("hero")
      stage:run()
      local report = go([[
        local c <close> = setmetatable({}, { __close = function() error("in close") end }) error("first")
      ]])
      assert.matches("^hero.lua:3: first", report)
    end)

    it("with what failed in the handling of the error", function()
      local report, lines = go([[print(xpcall(error, function() error("again") end))]])
      assert.is_nil(report)
      assert.matches("^false\t", lines[1])
    end)
  end)

  describe("of depth", function()
    for what, body in pairs {
      ["a function that calls itself"] = "local function f(n) return 1 + f(n + 1) end f(1)",
      ["an __index that reads itself"] =
        "local t = setmetatable({}, { __index = function(t, k) return t[k] end }) return t.x",
      ["coroutines in coroutines"] = "local function f() coroutine.wrap(f)() end f()",
      ["a gsub in a gsub"] = "local function f() ('x'):gsub('x', f) end f()",
      ["pcalls in pcalls"] = "local function f() assert(pcall(f)) end f()",
      ["a __tostring that asks for itself"] =
        "local t = setmetatable({}, { __tostring = function(t) return tostring(t) end }) tostring(t)",
    } do
      it("fails the handler only: " .. what, function()
        local report = go(body)
        assert.is_string(report)
        assert.is_true(#report < 8000)
      end)
    end

    it("in the parser is nil and why from load", function()
      local report, lines = go([[print((load("return " .. ("("):rep(100000))))]])
      assert.is_nil(report)
      assert.same({ "nil" }, lines)
    end)
  end)

  describe("of a global name", function()
    it("that is read but not defined is raised, with what may have been meant", function()
      assert.equal("hero.lua:3: undefined global 'prnt' (did you mean 'print'?)", first_line((go("prnt('x')"))))
    end)

    it("comes in functions that handlers call, too", function()
      local report = go("helper()", "function helper()\n return conut\n end\n count = 1")
      assert.equal("hero.lua:6: undefined global 'conut' (did you mean 'count'?)", first_line(report))
    end)

    it("does not come in modules, whose globals are plain", function()
      local path = os.tmpname()
      local file = assert(io.open(path, "w"))
      file:write("return tostring(surely_undefined)")
      file:close()
      local report, lines = go(([[
        package.path = %q
        print((require "plain"))
      ]]):format(path))
      os.remove(path)
      assert.is_nil(report)
      assert.same({ "nil" }, lines)
    end)

    it("that a handler sets is warned about once, with its line", function()
      hero([[counter = 1 counter = (counter or 0) + 1]])
      stage:send("hero", "Go")
      stage:send("hero", "Go")
      stage:run()
      assert.same({ { level = "warn", text = "hero.lua:3: global 'counter' set in a handler: use self or local" } },
        stage:log())
    end)

    it("that the top level sets is nobody's business", function()
      local report, lines = go("total = total + 1 print(total)", "total = 1")
      assert.is_nil(report)
      assert.same({ "2" }, lines)
    end)
  end)

  describe("of a missing handler", function()
    it("is logged once for each type, with what may have been meant", function()
      local it = hero("")
      for _ = 1, 3 do stage:send(it, "Pign") end
      stage:send(it, "Weather")
      stage:run()
      assert.same({
        { level = "warn",
          text = "hero: no handler on_pign for Pign from stage (hero.lua): did you mean on_ping?" },
        { level = "warn", text = "hero: no handler on_weather for Weather from stage (hero.lua)" },
      }, stage:log())
      local letters = stage:dead_letters()
      assert.equal(4, #letters)
      assert.equal("Unknown message type: Pign", letters[1].text)
      assert.equal("rejected", letters[1].reason)
    end)

    it("is told to who asked, at once", function()
      local none, why = stage:ask(hero(""), "Weather")
      assert.is_nil(none)
      assert.same({ "rejected", "Unknown message type: Weather" }, { why.reason, why.text })
      assert.equal(0, stage:now())
      stage:log()
    end)

    it("does not come for Start, Shutdown, Timeout and Reject", function()
      assert(stage:spawn({ name = "quiet", source = [[
        function on_go() actor.after("1s", actor.next_timer_id()) end
      ]] }))
      stage:send("quiet", "Go")
      stage:advance("2s")
      stage:stop("quiet")
      stage:run()
      assert.same({}, stage:log())
      assert.same({}, stage:dead_letters())
    end)

    it("comes for no type, if there is an on_any", function()
      local it = hero("", "function on_any(self, msg, env) print(env.type) end")
      stage:send(it, "Weather")
      stage:send(it, "Ping")
      stage:run()
      assert.same({ "Weather" }, stage:output())
    end)
  end)

  describe("in a script that ruins its own world", function()
    local function neighbour()
      return assert(stage:spawn({ name = "neighbour", source = [[
        function on_ping(self, msg, env)
          local text = ("%d"):format(#table.pack(1, 2)):rep(2)
          env:reply("Pong", { text = text, kind = type(json.encode({})) })
        end
      ]] }))
    end

    local function others_are_well()
      assert.same({ text = "22", kind = "string" }, (stage:ask("neighbour", "Ping")))
      stage:stop("hero")
      stage:run()
      local fresh = assert(stage:spawn({ name = "hero", source = [[
        function on_ping(self, msg, env) env:reply("Pong", { text = ("fresh"):upper() }) end
      ]] }))
      assert.same({ text = "FRESH" }, (stage:ask(fresh, "Ping")))
    end

    for what, body in pairs {
      ["empties _G"] = "for k in pairs(_G) do _G[k] = nil end",
      ["empties the string library and its metatable"] =
        "for k in next, string do string[k] = nil end getmetatable('').__index = nil",
      ["makes its libraries garbage"] =
        "for _, t in ipairs { table, math, os, io, coroutine, debug, package.loaded, actor, json } do\n" ..
        "for k in pairs(t) do t[k] = 5 end end",
      ["drops actor, json and log"] = "actor, json, log = nil, nil, nil",
      ["drops the metatable of its globals"] = "setmetatable(_G, nil) setmetatable(_ENV, nil)",
      ["gives its globals a metatable that always fails"] =
        "setmetatable(_ENV, { __index = error, __newindex = error, __pairs = error })",
      ["throws its own handlers away"] = "on_go, on_ping = nil, nil",
      ["makes print, error and tostring its own"] = "print, error, tostring, pcall = nil, nil, nil, nil",
      ["clears self"] = "for k in pairs(self) do self[k] = nil end setmetatable(self, { __index = error })",
      ["breaks the metatable of refs"] = "local m = getmetatable(actor.self) if type(m) == 'table' then\n" ..
        "for k in pairs(m) do m[k] = nil end end",
    } do
      it("does no harm to others: it " .. what, function()
        neighbour()
        local it = hero(body)
        stage:send(it, "Go")
        stage:send(it, "Go")
        stage:send(it, "Ping")
        stage:run()
        others_are_well()
        stage:log()
        stage:dead_letters()
      end)
    end

    it("leaves a handler that deletes itself as it was", function()
      local report, lines = go([[print("going") on_go = nil]])
      assert.is_nil(report)
      stage:send("hero", "Go")
      stage:run()
      assert.same({ "going", "going" }, { lines[1], stage:output()[1] })
      stage:log()
    end)
  end)

  describe("of a bare yield", function()
    it("is raised in a handler", function()
      local report = go("coroutine.yield(1)")
      assert.matches("^hero.lua:3: attempt to yield from a handler, which nothing resumes", report)
    end)

    it("is not one inside the script's own coroutines", function()
      local report, lines = go([[
        local list = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end)
        print(list(), list(), list())
      ]])
      assert.is_nil(report)
      assert.same({ "1\t2\t3" }, lines)
    end)
  end)

  describe("of memory", function()
    it("fails the handler, whatever it wraps in pcall, and the actor goes on", function()
      assert(stage:spawn({ name = "hog", memory = "4MiB", source = [[
        function on_hog()
          local hoard = {}
          while true do pcall(function() hoard[#hoard + 1] = ("x"):rep(10000) .. #hoard end) end
        end
        function on_ping(self, msg, env) env:reply("Pong") end
      ]] }))
      local none, why = stage:ask("hog", "Hog")
      assert.is_nil(none)
      assert.equal("failed", why.reason)
      assert.matches("memory limit of 4 MiB", why.text)
      assert.truthy(stage:ask("hog", "Ping"))
      assert.equal(1, #stage:log())
    end)
  end)

  describe("never happens in log", function()
    it("lines, which have level, actor, script, text and sorted fields", function()
      hero [[
        log.info("order taken", { id = 7, name = "a b", price = 1.5, list = { 1, 2 }, to = actor.self, ok = true })
        log.warn("careful")
        log.error("broken", {})
        log.info(42)
      ]]
      stage:send("hero", "Go")
      stage:run()
      assert.same({
        { level = "info",
          text = 'hero (hero.lua): order taken {id=7 list={1, 2} name="a b" ok=true price=1.5 to=hero}' },
        { level = "warn", text = "hero (hero.lua): careful" },
        { level = "error", text = "hero (hero.lua): broken {}" },
        { level = "info", text = "hero (hero.lua): 42" },
      }, stage:log())
    end)

    it("lines, which are one line each, cut and escaped", function()
      hero [[
        log.info("two\nlines\27[31m")
        log.info(("x"):rep(100000))
        log.info("deep", { a = { b = { c = { d = 1 } } }, s = "q\"uote" })
      ]]
      stage:send("hero", "Go")
      stage:run()
      local lines = stage:log()
      assert.equal(3, #lines)
      for _, line in ipairs(lines) do
        assert.is_nil(line.text:find("[\n\27]"))
        assert.is_true(#line.text < 10000)
      end
    end)

    it("lines that nobody would see, which are not built", function()
      local report, lines = go [[
        local dear = setmetatable({}, { __tostring = function() print("built") return "text" end })
        log.debug(dear, { dear = dear })
        log.info(dear)
        print(pcall(log.debug))
      ]]
      assert.is_nil(report)
      assert.same({ "built", "false\tlog.debug: a text is expected, not a nil" }, lines)
    end)

    it("without a text or with fields that are no table, which are refused", function()
      local _, lines = go [[
        print(pcall(function() log.info() end))
        print(pcall(function() log.warn("x", 3) end))
      ]]
      assert.same({
        "false\thero.lua:3: log.info: a text is expected, not a nil",
        "false\thero.lua:4: log.warn: fields are a table, not a number",
      }, lines)
    end)
  end)
end)
