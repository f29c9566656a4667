-- What a host and its actors log: as text and as JSON, from which level on, for all and
-- for one actor; and troupe logs, which reads it from outside. Hosts are processes of
-- their own, with a folder for sockets that is this spec's alone.
local Stage = require "troupe.stage"
local json = require "troupe.json"
local process = require "spec.support.process"

local OK, FAILED, USAGE, UNREACHABLE = 0, 1, 2, 5
local KEYS = { "actor", "fields", "level", "script", "text", "time", "v", "version" }

local CLERK = [[
  local Clerk = { version = 3 }
  function Clerk:on_start()
    log.info("ready", { id = 7, price = 1.5, tags = { "a", "b" }, note = "two words" })
    print("up")
  end
  function Clerk:on_say(msg) log[msg.level](msg.text or "said", { n = msg.n }) end
  function Clerk:on_fail() error("as asked") end
  function Clerk:on_flood(msg)
    for i = 1, msg.count do log.info("line " .. i .. " " .. ("x"):rep(500)) end
    print("flooded")
  end
  return Clerk
]]

describe("a log of JSON", function()
  local folder

  before_each(function() folder = process.make_folder() end)
  after_each(function()
    process.end_all()
    process.remove_folder(folder)
  end)

  -- The objects that a host has logged, by their text up to the first line's end.
  local function run(script, ...)
    local path = process.write_file(folder .. "/clerk.lua", script)
    local ended = process.run(process.troupe { "run", path, "--no-control", "--log", "json", ... })
    local of = {}
    for line in ended.err:gmatch("[^\n]+") do
      local object = assert(json.decode(line), line)
      local keys = {}
      for key in pairs(object) do table.insert(keys, key) end
      table.sort(keys)
      assert.same(KEYS, keys)
      of[object.text:match("^[^\n]*")] = object
    end
    return of, ended, path
  end

  it("is one object a line, with who says it and what it says apart", function()
    local of, ended, path = run([[
      local Clerk = { version = "2b" }
      function Clerk:on_start()
        log.warn('a "text"\nof two lines', { id = 7, price = 0.1, big = 1e300, list = { 1, { x = true } }, none = 0/0,
                                             note = "two words", me = actor.self, yes = true, bad = "\xff",
                                             code = { print } })
        print("not logged")
        actor.exit()
      end
      return Clerk
    ]])
    assert.equal("not logged\n", ended.out)
    local line = of['a "text"']
    assert.same({ 1, "warn", "clerk", path, "2b", 'a "text"\nof two lines' },
                { line.v, line.level, line.actor, line.script, line.version, line.text })
    assert.matches("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ$", line.time)
    local fields = line.fields
    assert.same({ 7, 0.1, 1e300, { 1, { x = true } }, "nan", "two words", "clerk", true, "\u{fffd}" },
                { fields.id, fields.price, fields.big, fields.list, fields.none, fields.note, fields.me, fields.yes,
                  fields.bad })
    assert.matches("function", fields.code) -- it has no JSON form: as people see it
  end)

  it("has a report as one object, and what the host says of an actor with its script", function()
    local of, _, path = run([[
      function on_start() actor.self:send("Fail") actor.self:send("Pnig") actor.self:send("Bye") end
      function on_fail() error("as asked") end
      function on_bye() actor.exit() end
    ]])
    local report = of[path .. ":2: as asked"]
    assert.same({ "error", "clerk", path }, { report.level, report.actor, report.script })
    assert.matches("stack traceback:\n", report.text)
    assert.not_matches("\n$", report.text)
    local unhandled = of["no handler on_pnig for Pnig from clerk (" .. path .. ")"]
    assert.same({ "warn", "clerk", path, json.null },
                { unhandled.level, unhandled.actor, unhandled.script, unhandled.version })
  end)

  it("leaves out fields that it has no room for, and says how many", function()
    local of = run([[
      function on_start()
        local fields = {}
        for i = 1, 100 do fields[("f%03d"):format(i)] = ("x"):rep(100) end
        log.info("many", fields)
        actor.exit()
      end
    ]])
    local shown = 0
    for name in pairs(of.many.fields) do shown = shown + (name ~= "..." and 1 or 0) end
    assert.equal(100, shown + of.many.fields["..."])
    assert.is_true(shown > 20 and #json.encode(of.many.fields) <= 4096)
  end)

  it("says there where the host listens", function()
    local of = run("function on_start() actor.exit() end", "--bind", ":0", "--log-level", "error")
    local text, line = next(of)
    assert.matches("^listening on tcp://127.0.0.1:%d+$", text)
    assert.equal("clerk", line.actor)
    assert.is_nil(next(of, text))
  end)
end)

describe("the level of the log", function()
  local stage

  before_each(function() stage = Stage.new() end)
  after_each(function() stage:close() end)

  local function texts()
    local list = {}
    for _, line in ipairs(stage:log()) do table.insert(list, line.text or line) end
    return table.concat(list, "\n")
  end

  it("can be an actor's own, from then on, and the host's again", function()
    local clerk = stage:spawn({ name = "clerk", source = [[
      function on_get(self, msg, env) env:reply("Level", { was = log.level(), is = log.level(msg.to) }) end
      function on_say() log.debug("fine print") log.info("plain") end
    ]] })
    local other = stage:spawn({ name = "other", source = "function on_say() log.debug('of the other') end" })
    local function set(to) return stage:ask(clerk, "Get", { to = to }) end
    local function say()
      stage:send(clerk, "Say")
      stage:send(other, "Say")
      stage:run()
      return texts()
    end
    assert.same({ was = "info", is = "info" }, set(nil))
    assert.not_matches("fine print", say())
    assert.same({ was = "info", is = "debug" }, set("debug"))
    local both = say()
    assert.matches("clerk .*fine print", both)
    assert.matches("plain", both)
    assert.not_matches("of the other", both)
    assert.same({ was = "debug", is = "error" }, set("error"))
    assert.equal("", say())
    assert.same({ was = "error", is = "info" }, set("default"))
    assert.matches("plain", say())
  end)

  it("is no other word, and belongs to an actor that is there", function()
    local clerk = stage:spawn({ name = "clerk", source = [[
      function on_try(self, msg, env)
        local ok, why = pcall(log.level, msg.to)
        env:reply("Answer", { ok = ok, why = why })
      end
    ]] })
    assert.matches("log.level: 'loud' is no level", stage:ask(clerk, "Try", { to = "loud" }).why)
    local ref, why = stage:spawn({ name = "early", source = "log.level('debug') function on_start() end" })
    assert.is_nil(ref)
    assert.matches("there is no actor yet", tostring(why))
  end)
end)

describe("troupe logs", function()
  local runtime, host, port

  before_each(function() runtime = process.make_folder() end)
  after_each(function()
    process.end_all()
    process.remove_folder(runtime)
  end)

  local function words(...)
    return table.move(process.troupe { ... }, 1, select("#", ...) + 1, 3, { "env", "XDG_RUNTIME_DIR=" .. runtime })
  end

  local function troupe(...)
    return process.run(words(...))
  end

  local function start(...)
    local path = process.write_file(runtime .. "/clerk.lua", CLERK)
    host = process.start(words("run", path, "--bind", ":0", ...), 120)
    port = assert(host:error_line("listening on"):match(":(%d+)"))
    host:line("up")
  end

  local function tell(type, ...)
    assert.equal(OK, troupe("send", "clerk@:" .. port, type, ...).code)
  end

  local function rows(...)
    local ended, list = troupe("logs", "--json", ...), {}
    assert.equal(OK, ended.code)
    for line in ended.out:gmatch("[^\n]+") do list[#list + 1] = assert(json.decode(line)) end
    return list, ended
  end

  -- Looks again until a line with this text is there: what is sent takes its time.
  local function await_row(text)
    local following <close> = setmetatable({ child = process.start(words("logs", "-f", "--json"), 60) },
                                           { __close = function(it) it.child:stop("INT") end })
    return json.decode(following.child:line(text))
  end

  it("shows the last lines, of a level or worse, of an actor, so many", function()
    start()
    tell("Say", "level=warn", "text=careful", "n:=1")
    tell("Say", "level=error", "text=broken")
    await_row("broken")
    local all = rows()
    assert.same({ "ready", "careful", "broken" }, { all[1].text, all[2].text, all[3].text })
    assert.same({ id = 7, price = 1.5, tags = { "a", "b" }, note = "two words" }, all[1].fields)
    assert.same({ "clerk", "3", { n = 1 } }, { all[2].actor, all[2].version, all[2].fields })
    assert.equal(2, #rows("--level", "warn"))
    assert.equal(3, #rows("clerk", "--actor", "cl*k"))
    assert.equal(0, #rows("--actor", "boss"))
    local last = rows("-n", "1")
    assert.same({ 1, "broken" }, { #last, last[1].text })
    assert.equal(0, #rows("-n", "0"))
  end)

  it("shows them to people as the host itself does", function()
    start()
    tell("Fail")
    await_row("as asked")
    local ended = troupe("logs")
    local first, rest = ended.out:match("^([^\n]+)\n(.*)$")
    assert.matches('^%d+%-%d+%-%d+ %d+:%d+:%d+%.%d+ info  clerk %(.*clerk.lua%): ready '
                   .. '{id=7 note="two words" price=1.5 tags=%["a", ?"b"%]}$', first)
    assert.matches("^%S+ %S+ error .*clerk.lua:%d+: as asked\n  actor    clerk ", rest)
    assert.is_nil(ended.out:find("\27"))
  end)

  it("follows what comes, until the host ends", function()
    start()
    -- (With the lines that are kept: what is said before it has connected counts, too.)
    local following = process.start(words("logs", "-f", "--json", "-n", "100"), 60)
    tell("Say", "level=info", "text=first")
    following:line("first")
    tell("Say", "level=info", "text=second")
    following:line("second")
    host:signal("TERM")
    following:error_line("has ended")
    assert.equal(OK, following:wait().code)
  end)

  it("follows a host that has nothing to say", function()
    start()
    local ended = troupe("logs", "-f", "-n", "0", "--for", "100ms")
    assert.same({ OK, "", "" }, { ended.code, ended.out, ended.err })
  end)

  it("changes the level of one actor, and of all others", function()
    start()
    tell("Say", "level=debug", "text=unheard")
    local set = troupe("logs", "--set", "debug", "--actor", "clerk")
    assert.equal("clerk: debug (was: default)\n", set.out)
    tell("Say", "level=debug", "text=heard")
    await_row("heard")
    assert.equal("clerk: default (was: debug)\n", troupe("logs", "--set", "default", "--actor", "clerk").out)
    assert.equal("all that have no level of their own: error (was: info)\n", troupe("logs", "--set", "error").out)
    tell("Say", "level=warn", "text=too low")
    local json_set = troupe("logs", "--set", "info", "--json")
    assert.same({ v = 1, actor = json.null, level = "info", was = "error" }, json.decode(json_set.out))
    tell("Say", "level=info", "text=the end")
    await_row("the end")
    local heard = {}
    for _, row in ipairs(rows()) do heard[row.text] = true end
    assert.same({ true, nil, nil }, { heard.heard, heard.unheard, heard["too low"] })
  end)

  it("starts from the level that the host was given", function()
    start("--log-level", "debug")
    tell("Say", "level=debug", "text=fine print")
    assert.equal("debug", await_row("fine print").level)
  end)

  it("goes on when nobody reads the host's standard error", function()
    start()
    tell("Flood", "count:=2000") -- a megabyte; nothing is read of it
    host:line("flooded")
    local list = rows("-n", "3")
    assert.matches("^line 2000 x+$", list[3].text)
    local kept = rows("-n", "100000")
    assert.is_true(#kept > 200 and #kept < 2000) -- of 256 KiB
  end)

  it("works while every worker is stuck", function()
    host = process.start(words("-e", "function on_start() log.info('before') print 'up' while true do end end",
                               "--name", "stuck", "--workers", "1"), 60)
    host:line("up")
    assert.equal("before", rows()[1].text)
    host:kill()
  end)

  it("says what is wrong with its arguments", function()
    assert.equal(UNREACHABLE, troupe("logs").code)
    assert.equal(USAGE, troupe("logs", "--level", "loud").code)
    assert.equal(USAGE, troupe("logs", "--set", "warn", "-f").code)
    assert.equal(USAGE, troupe("run", "x.lua", "--log", "xml").code)
    start()
    local nobody = troupe("logs", "--set", "warn", "--actor", "clrek")
    assert.equal(FAILED, nobody.code)
    assert.matches("no actor is named 'clrek' %(did you mean 'clerk'%?%)", nobody.err)
    local default = troupe("logs", "--set", "default")
    assert.equal(USAGE, default.code)
  end)
end)
