-- on_reload: how a new version brings the state of the old one up to date. It works on a
-- copy, so that nothing of it counts before all of it does.
local Stage = require "troupe.stage"

-- A script with `start` in its on_start and `reload` in its on_reload, if there is one.
--   Show {}  replies Shown { is = what `show` is }
local function script(start, show, reload)
  return ([[
    local Script = {}
    function Script:on_start() %s end
    function Script:on_show(_, env) env:reply("Shown", { is = %s }) end
    %s
    return Script
  ]]):format(start, show, reload and ("function Script:on_reload(from) %s end"):format(reload) or "")
end

describe("on_reload", function()
  local stage, actor
  before_each(function() stage = Stage.new() end)
  after_each(function() stage:close() end)

  local function spawn(text, config)
    actor = assert(stage:spawn({ source = text, name = "subject" }, config))
    stage:run()
  end

  local function reload(text, options)
    local report, why = stage:reload(actor, text, options)
    stage:log()
    return report, why
  end

  local function shown()
    return assert(stage:ask(actor, "Show")).is
  end

  -- What on_reload says of a state, in words.
  local function seen(start, expression)
    spawn(script(start, "self.seen"))
    assert(reload(script("", "self.seen", "self.seen = " .. expression)))
    return shown()
  end

  describe("gets", function()
    it("a self with the config, whose changes stay", function()
      spawn(script("self.n = 1", "self.n"), { by = 10 })
      assert(reload(script("", "self.n", "self.n = self.n + self.config.by")))
      assert.equal(11, shown())
    end)

    for _, case in ipairs {
      { "a number", "version = 3", "3" },
      { "a text", "version = '1.2'", "'1.2'" },
      { "0 if there was none", "", "0" },
    } do
      it("the version of the one before: " .. case[1], function()
        spawn(("return { on_start = function() end, %s }"):format(case[2]))
        assert(reload(script("", "self.same", "self.same = from == " .. case[3])))
        assert.is_true(shown())
      end)
    end
  end)

  describe("has in the copy", function()
    it("what is shared once, and circles", function()
      assert.is_true(seen("self.a = {} self.b = self.a self.a.b = self.b self.self = self",
                          "self.a == self.b and self.a.b == self.a and self.self == self"))
    end)

    it("tables that are keys, and metatables, which are the same", function()
      assert.same("xy", seen("self.t = setmetatable({ [{ 'x' }] = 1 }, { __index = { y = 'y' } })",
                             "next(self.t)[1] .. self.t.y"))
    end)

    it("weak tables that are weak", function()
      assert.equal("kv", seen("self.weak = setmetatable({}, { __mode = 'k' }) self.key = {} "
                              .. "self.weak[self.key] = 'v'",
                              "getmetatable(self.weak).__mode .. self.weak[self.key]"))
    end)

    it("hundreds of thousands of tables in each other", function()
      spawn(script("local t = self for i = 1, 300000 do t.next = {} t = t.next end", "self.depth"))
      assert(reload(script("", "self.depth", [[
        self.depth = 0
        local t = self
        while t.next do t, self.depth = t.next, self.depth + 1 end
      ]])))
      assert.equal(300000, shown())
    end)

    it("the same refs, timers, envs, functions and libraries", function()
      assert.is_true(seen("self.me = actor.self self.far = actor.ref('x@tcp://localhost:5001') "
                          .. "self.null = json.null self.lib = string self.print = print",
                          "self.me == actor.self and self.far == actor.ref('x@tcp://localhost:5001') "
                          .. "and self.null == json.null and self.lib == string and self.print == print"))
    end)

    it("and calls no metamethod for it", function()
      assert.equal(3, seen([[
        local function no() error("called") end
        self.t = setmetatable({ 1, 2, 3 }, { __index = no, __newindex = no, __pairs = no, __len = no, __eq = no })
      ]], "rawlen(self.t)"))
    end)
  end)

  it("leaves no trace in self when it fails", function()
    spawn(script("self.list = { 1, { 2 } }", "{ self.list[1], self.list[2] and self.list[2][1], self.x }"))
    local report, why = reload(script("", "self.list", [[
      self.list[1], self.list[2][1], self.x = 7, 7, 7
      error("no")
    ]]))
    assert.is_nil(report)
    assert.equal("reload", why.reason)
    assert.truthy(tostring(why):find("^subject.lua:%d+: no"), tostring(why))
    assert.same({ 1, 2 }, shown())
  end)

  it("answers later what was asked of the version before", function()
    spawn([[
      local Script = {}
      function Script:on_ask(_, env) self.kept = { env = env:defer() } end
      return Script
    ]])
    local asker = assert(stage:spawn { name = "asker", source = script("", "self.answer"):gsub("return Script", [[
      function Script:on_ask() self.answer = assert(actor.ref("subject"):ask("Ask", nil, { timeout = "1h" })).n end
      return Script]]) })
    stage:send(asker, "Ask")
    stage:run()
    assert(reload([[
      local Script = {}
      function Script:on_reload() self.waiting, self.kept = self.kept.env, nil end
      function Script:on_go() self.waiting:reply("Answer", { n = 7 }) end
      return Script
    ]]))
    stage:send(actor, "Go")
    stage:run()
    assert.equal(7, assert(stage:ask(asker, "Show")).is)
  end)

  describe("sends and sets timers", function()
    local NOTES = [[
      function Script:on_note(msg) table.insert(self.notes, msg.n) end
    ]]
    local function effects(reload_text)
      return (script("", "self.notes", "self.notes = {} " .. reload_text):gsub("return Script", NOTES .. "return Script"))
    end

    it("at the commit, in order", function()
      spawn(script("", "1"))
      assert(reload(effects [[
        actor.self:send("Note", { n = 1 })
        actor.after("1s", "Note", { n = 3 })
        self.every = actor.every("2s", "Note", { n = 4 })
        actor.self:send("Note", { n = 2 })
      ]]))
      stage:advance("2500ms")
      assert.same({ 1, 2, 3, 4 }, shown())
    end)

    it("and cancels: a timer of before, or one of its own", function()
      spawn(script("self.old = actor.after('1s', 'Note', { n = 'old' })", "1"))
      assert(reload(effects [[
        local own = actor.after("1s", "Note", { n = "own" })
        self.cancelled = { self.old:cancel(), self.old:cancel(), own:cancel(), own:cancel() }
      ]]))
      stage:advance("2s")
      assert.same({}, shown())
      assert(reload(script("", "self.cancelled")))
      assert.same({ true, false, true, false }, shown())
    end)

    it("not at all if the reload is refused", function()
      local before = script("self.notes = {} self.old = actor.after('1s', 'Note', { n = 'old' })", "self.notes")
      spawn((before:gsub("return Script", NOTES .. "return Script")))
      assert.is_nil(reload(effects [[
        self.old:cancel()
        actor.self:send("Note", { n = 1 })
        actor.every("1s", "Note", { n = 2 })
        error("no")
      ]]))
      stage:advance("5s")
      assert.same({ "old" }, shown())
    end)
  end)

  describe("does not", function()
    for what, call in pairs {
      spawn = "actor.spawn('x')", ask = "actor.self:ask('X')", wait = "actor.sleep(1)",
      receive = "actor.receive('X')", watch = "actor.watch(actor.ref('x'))", stop = "actor.self:stop()",
      join = "actor.join('x')", publish = "actor.publish('x', 'X')", ["exit"] = "actor.exit()",
      ["stop the host"] = "actor.stop_host()", ["open streams"] = "actor.stream(actor.lines('x'))",
    } do
      it(what .. ", and says so with file and line", function()
        spawn(script("", "1"))
        local _, why = reload(script("", "2", call))
        assert.truthy(tostring(why):find("^subject.lua:%d+: .*on_reload only brings self up to date"), tostring(why))
        assert.equal(1, shown())
      end)
    end
  end)

  describe("is told of", function()
    local function warnings(before, after)
      spawn(before)
      stage:send(actor, "Ping")
      stage:run()
      return table.concat(assert(reload(after)).warnings or {}, "\n")
    end

    it("a handler that is gone, and had messages", function()
      assert.truthy(warnings("function on_ping() end", "function on_pong() end"):find("on_ping is gone", 1, true))
    end)

    it("functions in self: they stay the old code", function()
      local text = warnings("function on_ping(self) self.cb = { fn = function() end } end", "function on_ping() end")
      assert.truthy(text:find("self.cb.fn is a function", 1, true), text)
    end)

    it("settings, which count for actors spawned from now on", function()
      local text = warnings("return { memory = '16MiB', on_ping = function() end }",
                            "return { memory = '17MiB', on_ping = function() end }")
      assert.truthy(text:find("memory has changed", 1, true), text)
    end)
  end)

  it("names handlers that wait with a part of self that is replaced", function()
    local text = [[
      local Shop = {}
      function Shop:on_start() self.stock = { n = 1 } end
      function Shop:on_buy() local stock = self.stock actor.sleep("1s") stock.n = stock.n - 1 end
      function Shop:on_look() actor.sleep("1s") self.looked = true end
    ]]
    spawn(text .. "return Shop")
    stage:send(actor, "Buy")
    stage:run()
    local report = assert(reload(text .. "function Shop:on_reload() end return Shop"))
    assert.same({ "subject: on_buy" }, report.stale)
    stage:advance("1s")
    stage:send(actor, "Look")
    stage:run()
    assert.is_nil(assert(reload(text .. "function Shop:on_reload() self.x = 1 end return Shop")).stale)
    stage:advance("1s")
  end)

  it("is not run by an undo, which brings back what it has replaced", function()
    local old = script("self.shape = 'old'", "self.shape")
    spawn(old)
    assert(reload(script("", "self.shape", "self.shape = 'new'")))
    assert.equal("new", shown())
    assert(reload(nil, { undo = true }))
    assert.equal("old", shown())
    assert(reload(nil, { undo = true }))
    assert.equal("new", shown())
  end)
end)
