-- The control socket: how a running host is looked into and steered from outside, also
-- when no actor of it gets to run. Hosts and commands are processes of their own, with
-- a folder for sockets that is this spec's alone.
local json = require "troupe.json"
local process = require "spec.support.process"
local program = require "spec.support.program"

local OK, FAILED, USAGE, TIMED_OUT, REJECTED, UNREACHABLE, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130
local MANY = program.is_sanitized and 12 or 50

-- What is to interrupt a loop does not get through to it there: see spec/support/program.
local loops_end = not program.has_thread_sanitizer and it or function(name) pending(name .. ": no loop is interrupted here") end

-- Answers, keeps quiet, or fails, as it is told.
local SERVANT = [[
  function on_start() print("up") end
  function on_ping(self, msg, env) env:reply("Pong", msg) end
  function on_hush(self, msg, env) print "hush" self.never = env:defer() end
  function on_fail() error("as asked") end
  function on_note() print("noted") end
  function on_shutdown() print("down") end
]]

-- Takes all workers, and those that stand in for one that is stuck in C: in loops, which
-- can be ended, or in a C function, where nothing can be done.
local STUCK = 12
local TAKE_ALL = [[
  function on_start()
    for n = 1, 12 do
      local stuck = actor.spawn("stuck.lua", { name = "stuck" .. n })
      stuck:send(actor.args[1])
      stuck:send("Note")
    end
    actor.spawn("stuck.lua", { name = "idle" })
  end
]]
local FOR_EVER = [[
  function on_loop() print "stuck" while true do end end
  function on_block() print "stuck" os.execute "exec sleep 60 >/dev/null 2>&1" end
]]

describe("the control socket", function()
  local runtime, folder -- of one test: hosts of others, which may be killed, are not in it

  before_each(function()
    runtime = process.make_folder()
    folder = runtime .. "/troupe"
  end)
  after_each(function()
    process.end_all()
    process.remove_folder(runtime)
  end)

  local function words(arguments)
    return table.move(process.troupe(arguments), 1, #arguments + 1, 3, { "env", "XDG_RUNTIME_DIR=" .. runtime })
  end

  local function troupe(...)
    return process.run(words { ... })
  end

  local function start(arguments)
    return process.start(words(arguments), 120)
  end

  -- A host with one servant of this name, which is there.
  local function serve(name, ...)
    local host = start { "-e", SERVANT, "--name", name, ... }
    host:line("up")
    return host
  end

  -- A host with these files in its folder, of which main.lua is run.
  local function run(files, ...)
    for name, text in pairs(files) do process.write_file(runtime .. "/" .. name, text) end
    return start { "run", runtime .. "/main.lua", ... }
  end

  local function stuck(how)
    local host = run({ ["main.lua"] = TAKE_ALL, ["stuck.lua"] = FOR_EVER }, "--workers", "2", "--slice", "100ms", "--", how)
    for _ = 1, how == "Loop" and STUCK or STUCK - 2 do host:line("stuck") end
    return host
  end

  local function output(command)
    local pipe <close> = assert(io.popen(command))
    return (pipe:read("a"):gsub("%s+$", ""))
  end

  local function sockets()
    local list = {}
    for name in output("ls " .. folder .. " 2>/dev/null"):gmatch("%S+") do table.insert(list, name) end
    return list
  end

  -- The objects of an output of one a line.
  local function rows(ended)
    local list = {}
    for line in ended.out:gmatch("[^\n]+") do table.insert(list, (assert(json.decode(line)))) end
    return list
  end

  local function assert_fails(code, ended, ...)
    assert.same({ code, "" }, { ended.code, ended.out })
    for _, text in ipairs { ... } do assert.matches(text, ended.err, 1, true) end
  end

  describe("of a host", function()
    it("is named after its first script and its process, for its user alone, and goes with it", function()
      local host = serve("pong")
      local list = sockets()
      assert.equal(1, #list)
      local pid = list[1]:match("^pong%.(%d+)%.sock$")
      assert.equal("troupe", output(("cat /proc/%s/comm"):format(pid)))
      assert.equal("700", output("stat -c %a " .. folder))
      assert.equal(OK, host:stop("TERM").code)
      assert.same({}, sockets())
    end)

    it("is not made with --no-control", function()
      serve("pong", "--no-control")
      assert.same({}, sockets())
    end)

    it("is removed by whoever comes next if its host was killed", function()
      serve("pong"):kill()
      assert.equal(1, #sockets())
      assert_fails(UNREACHABLE, troupe("metrics"), "no host of yours runs (looked in " .. folder .. ")")
      assert.same({}, sockets())
      serve("pong"):kill()
      serve("book")
      assert.matches("^book%.", table.concat(sockets(), " "))
    end)

    it("has a name that is cut where it is too long, and is found by all of it", function()
      local name = ("long"):rep(20)
      serve(name)
      assert.matches("^longlong[long]+~%.%d+%.sock$", sockets()[1])
      assert.equal(OK, troupe("metrics", "--node", name).code)
      assert.equal(UNREACHABLE, troupe("metrics", "--node", "longer").code)
    end)

    it("is not made in a folder that others could write to: that is said once, and the host runs", function()
      assert(os.execute(("mkdir %s && chmod 777 %s"):format(folder, folder)))
      local host = serve("pong")
      assert_fails(FAILED, troupe("metrics"), folder .. " is open to other users (mode 777): chmod 700 it")
      local ended = host:stop("TERM")
      assert.same({ OK, 1 }, { ended.code, select(2, ended.err:gsub("no control socket", "")) })
      assert.matches("open to other users", ended.err, 1, true)
      assert.same({}, sockets())
    end)

    it("lies in /tmp/troupe-UID without a runtime folder of this user's", function()
      local name = runtime:match("%w+$") -- nobody else's in that folder
      for _, set in ipairs { "-u XDG_RUNTIME_DIR", "XDG_RUNTIME_DIR=" .. runtime .. "/none", "XDG_RUNTIME_DIR=run" } do
        local host = process.start({ "sh", "-c", ("exec env %s \"$@\""):format(set), "sh",
                                     table.unpack(process.troupe { "-e", SERVANT, "--name", name }) }, 60)
        host:line("up")
        local found = output("ls /tmp/troupe-$(id -u)/" .. name .. ".*.sock")
        assert.matches("^/tmp/troupe%-%d+/" .. name .. "%.%d+%.sock$", found)
        assert.equal(OK, host:stop("TERM").code)
      end
    end)
  end)

  describe("while every worker is stuck", function()
    loops_end("ends who is in an endless loop", function()
      local host = stuck "Loop"
      assert.same({ code = OK, out = "stuck3: killed\n", err = "" }, troupe("kill", "stuck3"))
      local dead = rows(troupe("dead", "--actor", "stuck3", "--json"))
      assert.same({ "stuck3", "Note", "down" }, { dead[#dead].to, dead[#dead].type, dead[#dead].reason })
      assert.same({ code = OK, out = "stuck7: killed\n", err = "" }, troupe("kill", "stuck7"))
      assert.equal(OK, troupe("kill", "stuck1", "stuck2", "stuck4", "stuck5", "stuck6").code)
      host:kill()
    end)

    it("answers although none of them comes back, and says what could not be done", function()
      local host = stuck "Block"
      local row = rows(troupe("metrics", "--json"))[1]
      assert.same({ "main", STUCK + 2 }, { row.host, row.metrics.actors })
      assert.equal("no dead letters\n", troupe("dead").err)
      assert_fails(TIMED_OUT, troupe("kill", "stuck1", "--timeout", "300ms"), "stuck1 was told, and has not ended in 0.3 s")
      assert_fails(TIMED_OUT, troupe("ask", "idle", "Ping", "--timeout", "300ms"), "no answer from idle to Ping in 0.3 s")
      assert.equal(OK, troupe("send", "idle", "Ping").code)
      assert_fails(FAILED, troupe("kill", "idel"), "did you mean 'idle'?")
      host:kill()
    end)

    loops_end("answers while the host shuts down, until it is over", function()
      local host = run({ ["main.lua"] = "function on_start() actor.spawn('last.lua', { name = 'last' }) end",
                         ["last.lua"] = "function on_start() print 'up' end\n"
                           .. "function on_shutdown() print 'stays' while true do end end" }, "--shutdown", "100s")
      host:line("up")
      host:signal("TERM")
      host:line("stays")
      assert.equal("main", rows(troupe("metrics", "--json"))[1].host)
      assert.equal(OK, troupe("kill", "last").code)
      host:wait()
    end)
  end)

  describe("lets kill", function()
    it("end several, and go on after one that is not there", function()
      run({ ["main.lua"] = "function on_start() for _, name in ipairs { 'a', 'b' } do"
              .. " actor.spawn('child.lua', { name = name }) end print 'up' end", ["child.lua"] = "return {}" }):line("up")
      local ended = troupe("kill", "a", "nobody", "b")
      assert.same({ FAILED, "a: killed\nb: killed\n" }, { ended.code, ended.out })
      assert.matches("troupe: no actor is named 'nobody' in main", ended.err, 1, true)
    end)

    it("stop an actor in order, with its mail handled", function()
      local host = serve("pong")
      assert.same({ code = OK, out = "pong: stopped\n", err = "" }, troupe("kill", "pong", "--stop"))
      local ended = host:wait()
      assert.same({ OK, "down\n" }, { ended.code, ended.out })
    end)

    it("say that an actor may be started again", function()
      run({ ["main.lua"] = [[
        function on_start() actor.supervise { children = { { name = "child", script = "child.lua" } } } end
      ]], ["child.lua"] = "function on_start(self, msg) print('start', msg.restarts) end" }):line("start\t0")
      local row = rows(troupe("kill", "child", "--json"))[1]
      assert.same({ "main", "child", "killed", "halted" }, { row.host, row.name, row.how, row["then"] })
    end)

    it("say so when it is halted already, and leave the next life of it alone", function()
      run({ ["main.lua"] = [[
        function on_start()
          actor.supervise { restart = { backoff = "1h..1h" }, children = { { name = "child", script = "child.lua" } } }
        end
      ]], ["child.lua"] = "function on_start(self, msg) print('start', msg.restarts) end" }):line("start\t0")
      for _ = 1, 2 do
        local row = rows(troupe("kill", "child", "--json"))[1]
        assert.same({ "child", "killed", "halted" }, { row.name, row.how, row["then"] })
      end
    end)

    it("name those that are meant when there are several, and take one by its host", function()
      serve("pong")
      run({ ["main.lua"] = SERVANT }, "--name", "pong"):line("up")
      local ended = troupe("kill", "pong")
      assert_fails(USAGE, ended, "'pong' is in pong (process ", "choose one, such as pong@")
      local first, second = ended.err:match("process (%d+)%), pong %(process (%d+)%)")
      assert.same({ code = OK, out = "pong: killed\n", err = "" }, troupe("kill", "pong@" .. second))
      assert.same({ code = OK, out = "pong: killed\n", err = "" }, troupe("kill", "pong", "--node", first))
      assert_fails(UNREACHABLE, troupe("kill", "pong"), "no host of yours runs")
    end)

    it("name the hosts that were asked, and what is spelt alike", function()
      serve("pong")
      serve("book")
      local ended = troupe("kill", "pnog")
      assert_fails(FAILED, ended, "no actor is named 'pnog' in book (process ", "), pong (process ",
                   "(did you mean 'pong'?)")
      assert_fails(UNREACHABLE, troupe("kill", "pong@boook"), "no host is called 'boook'; there are book (process ")
      assert_fails(USAGE, troupe("kill", "pong@:5001"), "'pong@:5001' is no actor's name")
    end)
  end)

  describe("lets send and ask", function()
    it("reach an actor by its name, in a host that listens nowhere", function()
      local host = serve("pong")
      assert.same({ code = OK, out = "", err = "" }, troupe("send", "pong", "Note"))
      host:line("noted")
      assert.same({ code = OK, out = 'Pong {"count": 1}\n', err = "" }, troupe("ask", "pong", "Ping", "count:=1"))
      assert.same({ code = OK, out = '{"v": 1, "type": "Pong", "message": {"a": ["x"]}}\n', err = "" },
                  troupe("ask", "pong@pong", "Ping", 'a:=["x"]', "--json"))
    end)

    it("do so for a whole series, over one connection", function()
      serve("pong")
      assert.equal('Pong {"n": 1}\nPong {"n": 2}\nPong {"n": 3}\n',
                   troupe("ask", "pong", "Ping", "n:={{n}}", "--repeat", "3").out)
      local ended = process.run(words { "ask", "pong", "-" }, { input = '{"type":"Ping","message":{"a":1}}\n{"type":"Ping"}\n' })
      assert.same({ code = OK, out = 'Pong {"a": 1}\nPong {}\n', err = "" }, ended)
    end)

    it("say what others say of an actor elsewhere, with the same exit codes", function()
      serve("pong")
      assert_fails(TIMED_OUT, troupe("ask", "pong", "Hush", "--timeout", "200ms"), "no answer from pong to Hush in 0.2 s")
      assert_fails(REJECTED, troupe("ask", "pong", "Pong"), "Unknown message type: Pong")
      assert_fails(FAILED, troupe("ask", "pong", "Fail"), "as asked")
      assert_fails(FAILED, troupe("ask", "ping", "Ping"), "no actor is named 'ping' in pong", "did you mean 'pong'?")
      assert_fails(FAILED, troupe("send", "ping", "Ping"), "no actor is named 'ping' in pong")
      assert_fails(USAGE, troupe("ask", "pong", "Start"), "Start is a type that only the host itself sends")
    end)

    it("say how to reach what is in no host of this user", function()
      assert_fails(UNREACHABLE, troupe("ask", "pong", "Ping"), "no host of yours runs", "which host? give pong@HOST:PORT")
      serve("book")
      assert_fails(UNREACHABLE, troupe("ask", "pong@risk", "Ping"), "no host is called 'risk'; there is book (process ",
                   "give pong@HOST:PORT")
      assert_fails(UNREACHABLE, troupe("send", "pong@5001", "Ping"), "which host? give pong@:5001 for a port")
    end)

    it("can be interrupted", function()
      local host = serve("pong")
      local asked = start { "ask", "pong", "Hush", "--timeout", "100s" }
      host:line("hush")
      local ended = asked:stop("INT")
      assert.same({ INTERRUPTED, "" }, { ended.code, ended.out })
    end)
  end)

  describe("lets dead", function()
    it("list what could not be delivered, and send it again once it can be", function()
      local host = run { ["main.lua"] = [[
        function on_start() actor.spawn("child.lua", { name = "child" }) print "up" end
        function on_again() actor.spawn("child.lua", { name = "child" }) end
      ]], ["child.lua"] = [[
        function on_leave() actor.exit() end
        function on_note(self, msg) print("note " .. msg.text) end
      ]] }
      host:line("up")
      assert.same({ code = OK, out = "", err = "no dead letters\n" }, troupe("dead"))
      assert.equal(OK, troupe("send", "child", "Leave").code)
      assert.equal(OK, troupe("send", "main", "Nonsense", "a=1").code)
      assert.equal(REJECTED, troupe("ask", "main", "Nonsense", "a=2").code)

      local list = rows(troupe("dead", "--json"))
      assert.same({ 1, 2 }, { list[1].id, list[2].id })
      assert.same({ "main", "Nonsense", "rejected", { a = "1" } },
                  { list[1].to, list[1].type, list[1].reason, list[1].message })
      local shown = troupe("dead", "--actor", "main")
      assert.matches("^ID +AGE +REASON +FROM +TO +TYPE +WHY +MESSAGE\n", shown.out)
      assert.matches('rejected +nobody +main +Nonsense .* +{"a": "1"}\n', shown.out)
      assert.equal("no dead letters for 'child'\n", troupe("dead", "--actor", "child").err)

      assert.same({ code = OK, out = "", err = "1 sent again\n" }, troupe("dead", "--retry", "1"))
      assert_fails(FAILED, troupe("dead", "--retry", "1"), "there is no dead letter 1 (any more)")
      assert.same({ code = OK, out = "", err = "2 thrown away\n" }, troupe("dead", "--clear"))
      assert.same({}, rows(troupe("dead", "--json")))
      assert_fails(USAGE, troupe("dead", "--retry", "soon"), "'soon' is no dead letter")
    end)

    it("send all of an actor's again to the one that has its name now", function()
      local host = run { ["main.lua"] = [[
        function on_start()
          actor.spawn("child.lua", { name = "child" })
          for n = 1, 3 do actor.ref("child"):send("Note", { n = n }) end
          print "up"
        end
        function on_again() actor.spawn("child.lua", { name = "child", config = { good = true } }) print "again" end
      ]], ["child.lua"] = [[
        function on_note(self, msg)
          if not self.config.good then actor.exit() end
          print("note " .. msg.n)
        end
      ]] }
      host:line("up")
      local list = {}
      for _ = 1, 1000 do
        list = rows(troupe("dead", "--actor", "child", "--json"))
        if #list == 2 then break end -- the first was handled
      end
      assert.same({ 2, 3 }, { list[1].message.n, list[2].message.n })
      local ended = troupe("dead", "--retry", "all", "--actor", "child")
      assert_fails(FAILED, ended, "1, Note to child, is dead still: no actor is named 'child'", "0 sent again")
      assert.same({ 1, 2 }, { list[1].id, list[2].id }) -- they are as they were
      assert.equal(OK, troupe("send", "main", "Again").code)
      host:line("again")
      assert.same({ code = OK, out = "", err = "2 sent again\n" }, troupe("dead", "--retry", "all", "--actor", "child"))
      assert.equal("note 2", host:line("note"))
      assert.equal("note 3", host:line("note"))
    end)

    it("want to know which host, where several run", function()
      serve("pong")
      serve("book")
      assert_fails(USAGE, troupe("dead", "--clear"), "which host? give --node with a name or process: book (process ")
      assert.same({ code = OK, out = "", err = "0 thrown away\n" }, troupe("dead", "--clear", "--node", "pong"))
      assert.equal("no dead letters\n", troupe("dead").err)
    end)
  end)

  describe("lets metrics", function()
    it("show all that actor.metrics() counts, to people and to programs", function()
      local host = run { ["main.lua"] = "function on_start() print(json.encode(actor.metrics())) end" }
      local from_inside = json.decode(host:line("{"))
      local row = rows(troupe("metrics", "--json"))[1]
      local function names(values, prefix, all)
        for name, value in pairs(values) do
          all[prefix .. name] = type(value) ~= "table"
          if type(value) == "table" then names(value, prefix .. name .. ".", all) end
        end
        return all
      end
      assert.same(names(from_inside, "", {}), names(row.metrics, "", {}))
      assert.same({ 1, "main", 1 }, { row.v, row.host, row.metrics.actors })
      local shown = troupe("metrics").out
      assert.matches("^main %(process %d+%), up [%d.]+ m?s\nMETRIC +VALUE\nactors +1\n", shown)
      assert.matches("\nlimits%.actors +1,000,000\n", shown)
    end)

    it("write what Prometheus reads: each family once, with its help and type before its samples", function()
      serve("pong")
      serve("book")
      local family, families, samples = nil, {}, 0
      for line in troupe("metrics", "--prom").out:gmatch("[^\n]+") do
        local help = line:match("^# HELP ([%a_][%w_]*) .+%.$")
        local name, kind = line:match("^# TYPE (%S+) (%l+)$")
        if help then
          assert.is_nil(families[help], line)
          family, families[help] = help, {}
        elseif name then
          assert.equal(family, name)
          assert.is_true(kind == "gauge" and not name:find("_total$") or kind == "counter" and name:find("_total$") ~= nil, line)
        else
          local sample, value = line:match('^([%a_][%w_]*){host="%l+",pid="%d+"[^{}]*} (%-?[%d.e+]+)$')
          assert.equal(family, sample, line)
          assert.is_not_nil(tonumber(value), line)
          samples = samples + 1
        end
      end
      assert.is_not_nil(families.troupe_actors)
      assert.is_not_nil(families.troupe_wire_frames_in_total)
      assert.is_not_nil(families.troupe_limit)
      assert.is_true(samples >= 60)
    end)

    it(("ask %d hosts, and find an actor among them"):format(MANY), function()
      local started = {}
      for n = 1, MANY do
        started[n] = start { "-e", SERVANT, "--name", "host" .. n, "--workers", "1" }
      end
      for _, host in ipairs(started) do host:line("up") end
      assert.equal(MANY, #rows(troupe("metrics", "--json")))
      assert.equal('Pong {"a": 1}\n', troupe("ask", "host7", "Ping", "a:=1").out)
      assert_fails(FAILED, troupe("ask", "nobody", "Ping"), "no actor is named 'nobody' in host1 (process ",
                   ("and %d more"):format(MANY - 8))
    end)
  end)

  it("tells that a host does not answer if it is stopped, and goes on with the others", function()
    local host = serve("held")
    serve("pong")
    host:hold()
    assert.equal('Pong {"a": 1}\n', troupe("ask", "pong", "Ping", "a:=1").out)
    assert_fails(TIMED_OUT, troupe("kill", "held@held"), "held (process ", "does not answer: is it stopped?")
    host:go_on()
    assert.equal(OK, troupe("kill", "held").code)
  end)
end)

-- What is written is decided without any host.
describe("the text for Prometheus", function()
  local prometheus = require "troupe.cli.prometheus"

  it("escapes what labels may not have", function()
    local text = prometheus.text { { name = 'a"b\\c\nd', pid = 1, uptime = 0.1, metrics = { actors = 3 } } }
    assert.matches('troupe_actors{host="a\\"b\\\\c\\nd",pid="1"} 3', text, 1, true)
    assert.matches('troupe_uptime_seconds{host="a\\"b\\\\c\\nd",pid="1"} 0.1\n', text, 1, true)
  end)

  it("has peers by their endpoint, and numbers that it has not heard of", function()
    local text = prometheus.text { { name = "a", pid = 1, uptime = 1, metrics = {
      wire = { frames_in = 5, peers = { { endpoint = "tcp://h:1", state = "connected", queued = 2, sent = 7 } } },
      limits = { actors = 9 }, ["new-thing"] = { deep = 1 } } } }
    for _, line in ipairs { 'troupe_peer_connected{host="a",pid="1",peer="tcp://h:1"} 1',
                            'troupe_peer_queued{host="a",pid="1",peer="tcp://h:1"} 2',
                            'troupe_peer_sent_total{host="a",pid="1",peer="tcp://h:1"} 7',
                            'troupe_wire_frames_in_total{host="a",pid="1"} 5',
                            'troupe_limit{host="a",pid="1",what="actors"} 9',
                            'troupe_new_thing_deep{host="a",pid="1"} 1' } do
      assert.matches(line, text, 1, true)
    end
  end)
end)
