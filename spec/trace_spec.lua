-- troupe trace: what passes in a running host, seen from outside. Hosts and traces are
-- processes of their own, with a folder for sockets that is this spec's alone.
local json = require "troupe.json"
local mermaid = require "spec.support.mermaid"
local process = require "spec.support.process"
local sequence = require "troupe.cli.sequence"

local OK, FAILED, USAGE, UNREACHABLE = 0, 1, 2, 5

-- clerk answers, fails or keeps quiet as it is told; boss tells it to.
local BOSS = [[
  local CLERK = "function on_ping(self, msg, env) env:reply('Pong', { count = msg.count }) end\n"
    .. "function on_fail() error('as asked') end\n"
    .. "function on_tick() end\n"
    .. "function on_later() actor.after('1ms', 'Tick', { late = true }) end\n"
    .. "function on_quiet() end"
  function on_start(self)
    local file <close> = assert(io.open(actor.args[1] .. "/clerk.lua", "w"))
    file:write(CLERK)
    file:close()
    self.clerk = assert(actor.spawn(actor.args[1] .. "/clerk.lua", { name = "clerk" }))
    self.other = assert(actor.spawn(actor.args[1] .. "/clerk.lua", { name = "other.clerk-2" }))
    print("up")
  end
  function on_tell(self, msg) self.clerk:send(msg.what, { text = msg.text }) end
  function on_ask(self, msg) self.clerk:ask(msg.what, { count = 7 }, { timeout = "10s" }) end
  function on_flood(self, msg)
    for i = 1, msg.count do self.other:send("Tick", { i = i }) end
    self.clerk:send("Quiet")
  end
  function on_stop(self) self.clerk:stop() end
]]

local STUCK = [[
  function on_start() print("up") end
  function on_spin() print("spins") while true do end end
  function on_work() end
]]

describe("troupe trace", function()
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

  local function start_boss()
    host = process.start(words("-e", BOSS, "--name", "boss", "--bind", ":0", "--", runtime), 120)
    port = assert(host:error_line("listening on"):match(":(%d+)$"))
    host:line("up")
  end

  -- A trace that has begun.
  local function trace(...)
    local child = process.start(words("trace", ...), 120)
    child:error_line("tracing ")
    return child
  end

  local function tell(type, ...)
    assert.equal(OK, troupe("send", "boss@:" .. port, type, ...).code)
  end

  -- All that a trace has printed, once it has ended.
  local function rows(child)
    local ended, list = child:wait(), {}
    for line in ended.out:gmatch("[^\n]+") do list[#list + 1] = assert(json.decode(line)) end
    return list, ended
  end

  it("shows who sent what to whom, and what became of it", function()
    start_boss()
    local watching = trace("--json", "--to", "clerk", "--kind", "send", "-n", "3")
    tell("Tell", "what=Quiet", "text=hello")
    tell("Tell", "what=Fail")
    tell("Tell", "what=Pnig")
    local seen = rows(watching)
    assert.equal(3, #seen)
    for i, row in ipairs(seen) do
      assert.same({ 1, "boss", "clerk", "send", false },
                  { row.v, row.from, row.to, row.kind, row.cut })
      assert.matches("^%d+%-%d+%-%d+T%d+:%d+:%d+%.%d%d%d%d%d%dZ$", row.time)
      assert.is_true(row.waited_ms >= 0 and row.took_ms >= 0 and row.bytes >= 0)
      assert.is_true(i == 1 or row.n > seen[i - 1].n)
    end
    assert.same({ "Quiet", { text = "hello" }, "handled", json.null },
                { seen[1].type, seen[1].message, seen[1].outcome, seen[1].detail })
    assert.same({ "Fail", "failed" }, { seen[2].type, seen[2].outcome })
    assert.matches("as asked", seen[2].detail)
    assert.same({ "Pnig", "no handler", "Unknown message type: Pnig" },
                { seen[3].type, seen[3].outcome, seen[3].detail })
  end)

  it("shows a question with its answer, and a timer of an actor's own", function()
    start_boss()
    local watching = trace("boss", "--json", "--actor", "clerk", "-n", "4")
    tell("Ask", "what=Ping")
    tell("Tell", "what=Later")
    local of = {}
    for _, row in ipairs((rows(watching))) do of[row.kind] = row end
    assert.same({ "Ping", { count = 7 }, "Pong" }, { of.ask.type, of.ask.message, of.ask.reply })
    assert.same({ "clerk", "boss", "Pong" }, { of.reply.from, of.reply.to, of.reply.type })
    assert.same({ "clerk", "clerk", "Tick", { late = true } },
                { of.timer.from, of.timer.to, of.timer.type, of.timer.message })
    assert.equal("Later", of.send.type)
  end)

  it("shows what comes from elsewhere, leaves for elsewhere, and finds nobody", function()
    start_boss()
    local watching = trace("--json", "-n", "3", "--kind", "ask", "--kind", "reply", "--kind", "send")
    local asked = troupe("ask", "clerk@:" .. port, "Ping", "count:=3")
    assert.equal('Pong {"count": 3}\n', asked.out)
    assert.is_true(troupe("ask", "nobody@:" .. port, "Ping").code ~= OK)
    local list = rows(watching)
    local of = {}
    for _, row in ipairs(list) do of[row.type .. " " .. row.outcome] = row end
    assert.same({ "ask", "clerk" }, { of["Ping handled"].kind, of["Ping handled"].to })
    assert.matches("@tcp://127.0.0.1:%d+$", of["Ping handled"].from)
    assert.same({ "reply", "clerk" }, { of["Pong sent away"].kind, of["Pong sent away"].from })
    assert.equal("nobody", of["Ping dead letter"].to)
    assert.matches("Actor 'nobody' not found", of["Ping dead letter"].detail)
  end)

  it("chooses by names, types and kinds, and takes one in so many", function()
    start_boss()
    local by_pattern = trace("--json", "--to", "other.c*-?", "--sample", "10", "--type", "tick", "-n", "5")
    local by_type = trace("--json", "--type", "Quiet", "-n", "1")
    tell("Flood", "count:=50")
    local seen = rows(by_pattern)
    for i, row in ipairs(seen) do
      assert.same({ "other.clerk-2", "Tick", { i = 10 * i - 9 } }, { row.to, row.type, row.message })
    end
    assert.equal(5, #seen)
    assert.equal("clerk", rows(by_type)[1].to)
  end)

  it("leaves out what is more than its limit, and says how much", function()
    start_boss()
    local watching = trace("--json", "--type", "Tick", "--limit", "400/s")
    tell("Flood", "count:=900")
    watching:error_line("messages left out: there are more than --limit")
    watching:line('"Tick"') -- of those within it
    watching:signal("INT")
    local seen, ended = rows(watching)
    assert.is_true(#seen < 900)
    assert.equal(130, ended.code)
  end)

  it("works while every worker is stuck, and shows what waits and what runs", function()
    host = process.start(words("-e", STUCK, "--name", "stuck", "--bind", ":0", "--workers", "1", "--slice", "1m"), 120)
    port = assert(host:error_line("listening on"):match(":(%d+)$"))
    host:line("up")
    local watching = trace("--json", "-n", "1")
    assert.equal(OK, troupe("send", "stuck@:" .. port, "Spin").code)
    host:line("spins")
    assert.equal(OK, troupe("send", "stuck@:" .. port, "Work").code)
    local outcome = {}
    while not (outcome.Spin and outcome.Work) do
      local row = json.decode(watching:line())
      outcome[row.type] = row.outcome
    end
    assert.same({ Spin = "running", Work = "waiting" }, outcome)
    watching:stop("INT")
    host:kill()
  end)

  it("ends for good when its client goes away", function()
    start_boss()
    for _ = 1, 10 do -- two more than there may be at once
      trace("--type", "Nothing"):kill()
    end
    local watching = trace("--json", "--type", "Quiet", "-n", "1")
    tell("Tell", "what=Quiet")
    assert.equal(1, #rows(watching))
  end)

  it("goes on with no more than eight at once", function()
    start_boss()
    for _ = 1, 8 do trace() end
    local refused = troupe("trace")
    assert.equal(FAILED, refused.code)
    assert.matches("there are 8 traces under way already", refused.err)
  end)

  it("prints a line a message for people, without colour where nobody looks", function()
    start_boss()
    local watching = trace("--to", "clerk", "--kind", "send", "-n", "2")
    tell("Tell", "what=Quiet", "text=hello")
    tell("Tell", "what=Fail")
    local ended = watching:wait()
    local quiet, fail = ended.out:match("^([^\n]+)\n([^\n]+)\n$")
    assert.matches('^%d%d:%d%d:%d%d%.%d+  send    boss %-> clerk  Quiet {"text": ?"hello"}  waited [%d.]+ %a+, took [%d.]+ %a+$',
                   quiet)
    assert.matches("Fail .*failed: .*as asked$", fail)
    assert.is_nil(ended.out:find("\27"))
  end)

  it("cuts what is long, and says so", function()
    start_boss()
    local watching = trace("--json", "--type", "Quiet", "-n", "1")
    tell("Tell", "what=Quiet", "text=" .. ("x"):rep(1000))
    local row = rows(watching)[1]
    assert.is_true(row.cut and row.bytes > 1000)
    assert.matches("^x+%.%.%.$", row.message.text)
  end)

  it("ends after a time, and with the host", function()
    start_boss()
    assert.equal(OK, troupe("trace", "--for", "100ms").code)
    local watching = trace()
    host:signal("TERM")
    watching:error_line("has ended")
    assert.equal(OK, watching:wait().code)
  end)

  it("says what is wrong with its arguments", function()
    assert.equal(UNREACHABLE, troupe("trace").code)
    assert.equal(USAGE, troupe("trace", "--kind", "letter").code)
    assert.equal(USAGE, troupe("trace", "--limit", "0/s").code)
    start_boss()
    local long = troupe("trace", "--to", ("x"):rep(97))
    assert.equal(USAGE, long.code)
    assert.matches("a pattern of names has 1 to 96 characters", long.err)
    assert.equal(UNREACHABLE, troupe("trace", "bosss").code)
  end)

  it("draws what it has seen", function()
    start_boss()
    local path = runtime .. "/seen.mmd"
    local watching = trace("--sequence", path, "--actor", "clerk", "--for", "60s")
    tell("Ask", "what=Ping")
    tell("Tell", "what=Fail")
    watching:line("Fail")
    watching:stop("INT")
    local file <close> = assert(io.open(path))
    local diagram = mermaid.read(file:read("a"))
    assert.same({ { id = "p1", name = "boss" }, { id = "p2", name = "clerk" } }, diagram.participants)
    local arrows = {}
    for _, step in ipairs(diagram.steps) do
      table.insert(arrows, step.arrow and step.from .. step.arrow .. step.to or step.over)
    end
    assert.same({ "p1->>p2", "p2-->>p1", "p1-)p2", "p2" }, arrows)
    assert.matches("^failed: .*as asked", diagram.steps[4].text)
  end)

  it("draws on standard output instead of its lines", function()
    start_boss()
    local ended = troupe("trace", "--sequence", "-", "--for", "100ms")
    assert.equal("sequenceDiagram\n", ended.out)
    local refused = troupe("trace", "--sequence", runtime .. "/no/where", "--for", "100ms")
    assert.equal(FAILED, refused.code)
    assert.matches("no/where", refused.err)
  end)
end)

describe("a sequence diagram", function()
  local number

  before_each(function() number = 0 end)

  local function row(fields)
    number = number + 1
    return setmetatable(fields, { __index = { n = number, from = "ping", to = "pong", kind = "send", type = "Ping",
                                              message = {}, outcome = "handled" } })
  end

  local function draw(list, limit)
    local diagram = sequence.new(limit)
    for _, each in ipairs(list) do diagram:add(each) end
    return mermaid.read(diagram:text()), diagram
  end

  it("takes any name and any text", function()
    local names = { "a#1", "end", "participant", "x;y", "as", "p1->>p2: hm", "caf\u{e9}", "a%%b", "<b>", "name@tcp://127.0.0.1:5001",
                    'quo"te', "loop", "a\\n", "~`!$^&*()[]{}|'?" }
    local list = {}
    for i, name in ipairs(names) do
      list[i] = row { from = name, to = name, type = name, message = { [name] = name } }
    end
    local diagram = draw(list)
    for i, name in ipairs(names) do
      assert.equal(name, diagram.participants[i].name)
      assert.matches(name, diagram.steps[i].text, 1, true)
    end
  end)

  it("tells an ask, its reply, a send and a timer by their arrows", function()
    local diagram = draw {
      row { kind = "ask" }, row { kind = "reply", from = "pong", to = "ping", type = "Pong" }, row {},
      row { kind = "timer", from = "pong" }, row { kind = "timer", from = false }, row { kind = "failure", from = "pong", to = "ping", type = false, detail = "no_reply" },
    }
    local arrows = {}
    for _, step in ipairs(diagram.steps) do table.insert(arrows, step.from .. step.arrow .. step.to) end
    assert.same({ "p1->>p2", "p2-->>p1", "p1-)p2", "p2->>p2", "p2->>p2", "p2--xp1" }, arrows)
    assert.equal("no_reply", diagram.steps[6].text)
  end)

  it("marks what does not arrive, and notes why", function()
    local diagram = draw { row { outcome = "dead letter", detail = "the actor has ended" },
                           row { outcome = "failed", detail = "x.lua:1: boom; #1" }, row { kind = "start", type = "Start" } }
    assert.equal("-x", diagram.steps[1].arrow)
    assert.same({ over = "p2", text = "dead letter: the actor has ended" }, diagram.steps[2])
    assert.equal("-)", diagram.steps[3].arrow)
    assert.same({ over = "p2", text = "failed: x.lua:1: boom; #1" }, diagram.steps[4])
    assert.same({ over = "p2", text = "Start" }, diagram.steps[5])
  end)

  it("is in order of sending, with the last that is known of each", function()
    local second, first = row { n = 2, type = "Second" }, row { n = 1, type = "First" }
    local diagram = draw { row { n = 3, type = "Third", outcome = "waiting" }, second, first,
                           row { n = 3, type = "Third" } }
    assert.equal("First Second Third", table.concat({ diagram.steps[1].text, diagram.steps[2].text, diagram.steps[3].text }, " "))
    assert.equal(3, #diagram.steps)
  end)

  it("has one place for whoever asks from elsewhere", function()
    local asker = "ping/ask#%d@tcp://127.0.0.1:5002"
    local diagram = draw { row { kind = "ask", from = asker:format(1) }, row { kind = "reply", from = "pong", to = asker:format(1) },
                           row { kind = "ask", from = asker:format(2) } }
    assert.same({ "ping@tcp://127.0.0.1:5002", "pong" }, { diagram.participants[1].name, diagram.participants[2].name })
    assert.equal(2, #diagram.participants)
  end)

  it("is bounded, and says what was left out", function()
    local list = {}
    for i = 1, 12 do list[i] = row { message = { i = i } } end
    local diagram, drawn = draw(list, 10)
    assert.equal(2, drawn:missing())
    assert.equal(11, #diagram.steps)
    assert.equal("2 more messages are not shown", diagram.steps[11].text)
  end)

  it("is one also of nothing", function()
    assert.same({}, draw({}).steps)
  end)

  it("cuts long texts between letters", function()
    local diagram = draw { row { message = { text = ("\u{e9}"):rep(500) } } }
    assert.is_true(#diagram.steps[1].text < 200 and utf8.len(diagram.steps[1].text) ~= nil)
  end)
end)
