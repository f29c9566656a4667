-- Streams: lines of files and of processes come as messages, no faster than they
-- are handled; then one notice of the end.
local process = require "spec.support.process"
local Stage = require "troupe.stage"

local folder

-- Whether a process runs: one that nobody waits for yet has ended all the same.
local function runs(pid)
  local file = io.open("/proc/" .. pid .. "/stat")
  if not file then return false end
  local state = file:read("a"):match("%) (%u)")
  file:close()
  return state ~= nil and state ~= "Z"
end

-- Fails unless the process ends soon: the kernel takes its time with a signal.
-- `meanwhile` is done between two looks; without it another process is run.
local function assert_ends(pid, meanwhile)
  for _ = 1, 1000 do
    if not runs(pid) then return end
    if meanwhile then meanwhile() end
    process.run({ "true" })
  end
  error(pid .. " is still there", 2)
end

-- A file of these lines; its path.
local function file_of(text, name)
  return process.write_file(folder .. "/" .. (name or "file"), text)
end

describe("a stream", function()
  local stage

  before_each(function()
    folder = process.make_folder()
    stage = Stage.new()
  end)
  after_each(function()
    stage:close()
    process.remove_folder(folder)
  end)

  -- An actor that prints what it gets. `body` runs in on_start, with open(source,
  -- options) that prints why not; `more` is the rest of the script.
  local function reader(body, more)
    local ref = assert(stage:spawn({ name = "reader", source = ([[
      local function open(source, options)
        local stream, why = actor.stream(source, options)
        if not stream then print(why.reason, why) end
        return stream
      end
      local Reader = {}
      function Reader:on_start(msg, env) %s end
      function Reader:on_line(msg) print("line", msg.text) end
      function Reader:on_line_end(msg) print("end", msg.reason, msg.code, msg.signal) end
      %s
      return Reader
    ]]):format(body, more or "") }))
    stage:run()
    return ref
  end

  -- Polls until `text` was printed; all lines since the last call.
  local function printed_until(text)
    local lines = {}
    for _ = 1, 300 do
      for _, line in ipairs(stage:output()) do
        table.insert(lines, line)
        if line:find(text, 1, true) then return lines end
      end
      stage:poll("0.1s")
    end
    error("no '" .. text .. "' came, but:\n" .. table.concat(lines, "\n"))
  end

  local function printed_by(body, more)
    reader(body, more)
    return stage:output()
  end

  describe("of a file", function()
    it("brings each line, then its end, once", function()
      local path = file_of("one\ntwo\n\nfour\n")
      assert.same({ "line\tone", "line\ttwo", "line\t", "line\tfour", "end\tnormal\tnil\tnil" },
        printed_by(("open(actor.lines(%q))"):format(path)))
    end)

    it("brings a last line without an end, and takes \\r\\n for one end", function()
      local path = file_of("one\r\ntwo\rtoo\r\nlast")
      assert.same({ "line\tone", "line\ttwo\rtoo", "line\tlast", "end\tnormal\tnil\tnil" },
        printed_by(("open(actor.lines(%q))"):format(path)))
    end)

    it("of nothing brings its end", function()
      assert.same({ "end\tnormal\tnil\tnil" },
        printed_by(("open(actor.lines(%q))"):format(file_of(""))))
      assert.same({}, stage:output())
    end)

    it("may hold any bytes", function()
      local path = file_of("a\0b\n\255\254\n")
      assert.same({ "3\t97 0 98", "2\t255 254" }, printed_by(
        ("open(actor.lines(%q), { as = 'Raw' })"):format(path),
        [[function Reader:on_raw(msg) print(#msg.text, table.concat({ msg.text:byte(1, -1) }, " ")) end]]))
    end)

    it("brings chunks if told so", function()
      local path = file_of(("x"):rep(100000))
      assert.same({ "65536", "34464", "end\tnormal" }, printed_by(
        ("open(actor.lines(%q), { as = 'Part', chunks = true })"):format(path), [[
        function Reader:on_part(msg) print(#msg.text) end
        function Reader:on_part_end(msg) print("end", msg.reason) end]]))
    end)

    it("ends with an error at a line longer than its limit, after those before it", function()
      local path = file_of("short\n" .. ("x"):rep(3000) .. "\nnever\n")
      assert.same({ "line\tshort", "end\terror: a line is longer than 2048 bytes (option limit)\tnil\tnil" },
        printed_by(("open(actor.lines(%q), { limit = '2KiB' })"):format(path)))
    end)

    it("brings a line of just the limit, read in many pieces", function()
      local path = file_of(("x"):rep(1024 * 1024) .. "\nnext\n")
      assert.same({ "1048576", "4", "end" }, printed_by(
        ("open(actor.lines(%q), { as = 'Part' })"):format(path), [[
        function Reader:on_part(msg) print(#msg.text) end
        function Reader:on_part_end(msg) print("end") end]]))
    end)

    it("that is not there, a folder, or not ours, is said at once", function()
      local lines = printed_by(([[
        open(actor.lines(%q .. "/none"))
        open(actor.lines(%q))
      ]]):format(folder, folder))
      assert.same({
        ("failed\tactor.stream: there is no file %s/none"):format(folder),
        ("failed\tactor.stream: %s is a directory"):format(folder),
      }, lines)
    end)
  end)

  it("keeps several apart, by type or by handle", function()
    local a, b = file_of("1\n2\n", "a"), file_of("3\n4\n", "b")
    local lines = printed_by(([[
      self.a = open(actor.lines(%q), { as = "Number" })
      self.b = open(actor.lines(%q), { as = "Number" })
      self.names = { [self.a] = "a", [self.b] = "b" }
    ]]):format(a, b), [[
      function Reader:on_number(msg) print(self.names[msg.stream], msg.text) end
      function Reader:on_number_end(msg)
        print(self.names[msg.stream], "end", msg.stream == self.a or msg.stream == self.b)
      end]])
    table.sort(lines)
    assert.same({ "a\t1", "a\t2", "a\tend\ttrue", "b\t3", "b\t4", "b\tend\ttrue" }, lines)
  end)

  it("says what it is", function()
    local path = file_of("one\n")
    assert.same({ "lines of " .. path, "source " .. path, "lines of " .. path, "true" }, printed_by(([[
      local source = actor.lines(%q)
      self.stream = open(source)
      print(self.stream)
      print(source)
    ]]):format(path), [[
      function Reader:on_line(msg) end
      function Reader:on_line_end(msg) print(self.stream) print(rawequal(self.stream, msg.stream)) end]]))
  end)

  describe("with a window", function()
    -- Handles a line when told to, and counts those that are there already.
    local function slow_reader(options)
      local lines = {}
      for i = 1, 1000 do lines[i] = tostring(i) end
      return reader(("open(actor.lines(%q), %s)"):format(file_of(table.concat(lines, "\n")), options), [[
        function Reader:on_line(msg)
          self.handled = (self.handled or 0) + 1
          if self.handled % 10 == 1 then actor.receive("Go", { timeout = "1h" }) end
        end
        function Reader:on_line_end(msg) print("end", self.handled) end
        function Reader:on_go() end]])
    end

    local function items()
      local meter = assert(stage:spawn({ source = [[
        function on_ask(self, msg, env) env:reply("Streams", actor.metrics().streams) end]] }))
      local counted = assert(stage:ask(meter, "Ask"))
      stage:stop(meter)
      stage:run()
      return counted.items
    end

    it("is never more than that ahead of what is handled", function()
      local ref = slow_reader("{ window = 7 }")
      for handled = 0, 60, 10 do
        local ahead = items() - handled
        assert.is_true(ahead >= 1 and ahead <= 7, ahead .. " ahead of " .. handled)
        stage:send(ref, "Go")
        stage:run()
      end
    end)

    it("of one brings one line after the other", function()
      local path = file_of("1\n2\n3\n")
      assert.same({ "line\t1", "line\t2", "line\t3", "end\tnormal\tnil\tnil" },
        printed_by(("open(actor.lines(%q), { window = 1 })"):format(path)))
    end)

    it("still brings all of it", function()
      local ref = slow_reader("{ window = 7 }")
      for _ = 1, 101 do
        stage:send(ref, "Go")
        stage:run()
      end
      assert.same({ "end\t1000" }, stage:output())
    end)
  end)

  it("waits when the mailbox is full, and nothing is lost or out of order", function()
    local lines = {}
    for i = 1, 500 do lines[i] = tostring(i) end
    local path = file_of(table.concat(lines, "\n"))
    local ref = assert(stage:spawn({ name = "narrow", source = ([[
      local Narrow = { mailbox = { limit = 4 } }
      function Narrow:on_start() self.next = 1; actor.stream(actor.lines(%q)) end
      function Narrow:on_line(msg)
        if msg.text ~= tostring(self.next) then print("expected", self.next, "got", msg.text) end
        self.next = self.next + 1
      end
      function Narrow:on_line_end(msg) print("end", msg.reason, self.next) end
      return Narrow]]):format(path) }))
    stage:run()
    assert.same({ "end\tnormal\t501" }, stage:output())
    assert.is_true(stage:alive(ref))
  end)

  it("can be received instead of handled", function()
    local path = file_of("1\n2\n3\n")
    assert.same({ "1\t2\t3\tnormal" }, printed_by(([[
      local stream = open(actor.lines(%q), { as = "Item", window = 1 })
      local got = {}
      repeat
        local msg, its = actor.receive({ "Item", "ItemEnd" })
        table.insert(got, msg.text or msg.reason)
      until its.type == "ItemEnd"
      print(table.unpack(got))
    ]]):format(path)))
  end)

  it("shows which line a handler failed at, in the dead letters, and goes on", function()
    local path = file_of("good\nbad\ngood\n")
    reader(("open(actor.lines(%q), { as = 'Item' })"):format(path), [[
      function Reader:on_item(msg) assert(msg.text ~= "bad", "a bad line") print(msg.text) end
      function Reader:on_item_end(msg) print(msg.reason) end]])
    assert.same({ "good", "good", "normal" }, stage:output())
    local dead = stage:dead_letters()
    assert.equal(1, #dead)
    assert.equal("Item", dead[1].type)
    stage:log()
  end)

  it("warns once if there is no handler for its items, and never for its end", function()
    reader(("open(actor.lines(%q), { as = 'Item' })"):format(file_of("1\n2\n3\n")))
    local log = stage:log()
    assert.equal(1, #log)
    assert.matches("no handler on_item for Item", log[1].text)
    assert.equal(3, #stage:dead_letters())
  end)

  describe("that is closed", function()
    it("handles no line more, and ends once with the reason closed", function()
      local path = file_of(("line\n"):rep(1000))
      assert.same({ "true", "false", "true\tlines of " .. path, "end\tclosed\tnil\tnil" }, printed_by(
        ("self.stream = open(actor.lines(%q))"):format(path), [[
        function Reader:on_line(msg)
          print(self.stream:close())
          print(self.stream:close())
          print(msg.stream == self.stream, self.stream)
        end]]))
    end)

    it("by another actor ends, too", function()
      local path = file_of(("line\n"):rep(1000))
      local closer = assert(stage:spawn({ name = "closer", source = [[
        function on_close(self, msg) print(msg.stream:close()) end]] }))
      assert(closer)
      reader(([[self.stream = open(actor.lines(%q), { as = "Item", window = 1 })]]):format(path), [[
        function Reader:on_item(msg)
          if self.told then return end
          self.told = true
          actor.ref("closer"):send("Close", { stream = msg.stream })
          actor.sleep("1s")
        end
        function Reader:on_item_end(msg) print(msg.reason) end]])
      stage:advance("2s")
      assert.same({ "true", "closed" }, stage:output())
    end)

    it("can be closed again, and asked, when it has ended", function()
      assert.same({ "line\t1", "false\tnil" }, printed_by(
        ("self.stream = open(actor.lines(%q))"):format(file_of("1\n")), [[
        function Reader:on_line_end(msg) actor.self:send("Later", { stream = msg.stream }) end
        function Reader:on_later(msg) print(msg.stream:close(), msg.stream:address()) end]]))
    end)
  end)

  it("ends with its actor", function()
    local path = file_of(("line\n"):rep(100000))
    local ref = reader(("open(actor.lines(%q), { window = 3 })"):format(path), [[
      function Reader:on_line(msg) actor.sleep("1h") end]])
    stage:stop(ref)
    stage:run()
    assert.is_false(stage:alive(ref))
    local meter = assert(stage:spawn({ source = [[
      function on_ask(self, msg, env) env:reply("Streams", actor.metrics().streams) end]] }))
    assert.equal(0, assert(stage:ask(meter, "Ask")).open)
  end)

  it("cannot be sent to another host", function()
    assert.matches("a stream stays on its host", printed_by(([[
      local stream = open(actor.lines(%q), { window = 1 })
      print(actor.ref("x@tcp://127.0.0.1:1"):send("Take", { stream = stream }))
      print(pcall(json.encode, { stream = stream }))
    ]]):format(file_of("1\n")))[2])
  end)

  describe("misused", function()
    for what, case in pairs {
      ["a source that is none"] = { "actor.stream('file')", "a source is expected %(actor%.lines.*not a string" },
      ["an option that is misspelt"] =
        { "actor.stream(actor.lines('x'), { windw = 1 })", "no option is called 'windw' %(did you mean 'window'%?%)" },
      ["a window of nothing"] =
        { "actor.stream(actor.lines('x'), { window = 0 })", "window is a number from 1 to 1000000, not 0" },
      ["a limit that is no size"] =
        { "actor.stream(actor.lines('x'), { limit = 'much' })", "limit is a size such as \"64KiB\".*not much" },
      ["a type of the host's own"] =
        { "actor.stream(actor.lines('x'), { as = 'Start' })", "only the host itself sends Start" },
      ["options that are none"] = { "actor.stream(actor.lines('x'), 'Line')", "options are a table, not a string" },
      ["a path that is none"] = { "actor.lines(7)", "the path of a file.*is expected, not a number" },
      ["a command in one text"] = { "actor.process('ls -l')", "for a shell's line: {\"sh\", \"%-c\", line}" },
      ["a command of nothing"] = { "actor.process{}", "the name of a program is missing" },
      ["an option of a command"] =
        { "actor.process{'ls', cdw = '/'}", "no option is called 'cdw' %(did you mean 'cwd'%?%)" },
      ["a way of stderr that is none"] =
        { "actor.process{'ls', stderr = 'here'}", "stderr is \"inherit\", \"lines\" or \"none\", not 'here'" },
      ["an endpoint that is none"] = { "actor.listen('localhost')", "actor.listen: " },
      ["an endpoint to connect to without a port"] = { "actor.connect('tcp://127.0.0.1')", "actor.connect: " },
    } do
      it("by " .. what .. " raises", function()
        local lines = printed_by(("print(select(2, pcall(function() %s end)))"):format(case[1]))
        assert.matches(case[2], lines[1])
      end)
    end

    it("at a script's top level raises", function()
      local ref, why = stage:spawn({ source = "actor.stream(actor.lines('x')) function on_x() end" })
      assert.is_nil(ref)
      assert.matches("a script's top level only defines", why)
    end)

    it("by a send to a file raises", function()
      assert.matches("lines of .* cannot be written to", printed_by(
        ("print(pcall(function() open(actor.lines(%q)):send('x') end))"):format(file_of("1\n")))[1])
    end)
  end)

  describe("of a process", function()
    it("brings its output, then its exit status", function()
      reader([[open(actor.process { "sh", "-c", "echo one; echo two; exit 3" })]])
      assert.same({ "line\tone", "line\ttwo", "end\terror: exit status 3\t3\tnil" }, printed_until("end"))
    end)

    it("says which signal ended it", function()
      reader([[open(actor.process { "sh", "-c", "kill -KILL $$" })]])
      assert.same({ "end\terror: ended by signal 9 (Killed)\tnil\t9" }, printed_until("end"))
    end)

    it("can be written to, and reads the end at shutdown()", function()
      reader([[
        local sort = open(actor.process { "sort", "-r" })
        for i = 1, 3 do print(sort:send(i .. "\n")) end
        print(sort:shutdown())
        print(sort:send("late"))]])
      local lines = printed_until("end")
      assert.same({ "true", "true", "true", "true",
        "nil\tprocess sort -r: it can be written to no more",
        "line\t3", "line\t2", "line\t1", "end\tnormal\t0\tnil" }, lines)
    end)

    it("runs where it is told to, and mixes in its errors if told so", function()
      reader(([[open(actor.process { "sh", "-c", "pwd; echo bad >&2", cwd = %q, stderr = "lines" })]]):format(folder))
      assert.same({ "line\t" .. folder, "line\tbad", "end\tnormal\t0\tnil" }, printed_until("end"))
    end)

    it("that is not there, or nowhere, is said at once", function()
      assert.same({ "failed\tactor.stream: there is no program no-such-program",
                    "failed\tactor.stream: there is no folder /no/such/folder" }, printed_by([[
        open(actor.process { "no-such-program", "-x" })
        open(actor.process { "ls", cwd = "/no/such/folder" })]]))
    end)

    it("inherits no descriptor but its three", function()
      local path = file_of("x\n")
      reader(([[
        self.kept = assert(io.open(%q))
        open(actor.process { "cat" }, { as = "Other" })
        open(actor.process { "sh", "-c", "ls /proc/$$/fd" })]]):format(path))
      assert.same({ "line\t0", "line\t1", "line\t2", "end\tnormal\t0\tnil" }, printed_until("end"))
    end)

    it("has the signals' default dispositions, and none blocked", function()
      reader([[open(actor.process { "grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status" })]])
      local lines = printed_until("end")
      assert.equal("line\tSigBlk:\t0000000000000000", lines[1])
      -- The C library keeps two real-time signals to itself, and lets no child have them.
      assert.matches("^line\tSigIgn:\t0000000[01]80000000$", (lines[2]:gsub("0000000000000000", "0000000080000000")))
    end)

    it("ends with all that it has started when it is closed", function()
      reader([[
        self.stream = open(actor.process { "sh", "-c", "sleep 1000 & echo $$ $!; wait" })
      ]], [[
        function Reader:on_line(msg)
          print(msg.text)
          self.stream:close()
        end]])
      local lines = printed_until("end")
      assert.equal("end\tclosed\tnil\tnil", lines[2])
      for pid in lines[1]:gmatch("%d+") do
        assert_ends(pid, function() stage:poll("0.05s") end)
      end
    end)

    it("is killed if it does not end when it is asked to", function()
      reader([[self.stream = open(actor.process { "sh", "-c", "trap '' TERM; echo $$; while :; do sleep 1; done" })]], [[
        function Reader:on_line(msg) print(msg.text) self.stream:close() end]])
      local pid = printed_until("end")[1]
      assert_ends(pid, function() stage:poll("0.05s") end)
    end)

    it("that closed its output is waited for", function()
      reader([[open(actor.process { "sh", "-c", "exec >&-; read x; exit 7" }):shutdown()]])
      assert.same({ "end\terror: exit status 7\t7\tnil" }, printed_until("end"))
    end)

    it("that does not read makes a sender wait, and then say full", function()
      reader([[
        self.stream = open(actor.process { "sh", "-c", "read x; exec sleep 1000" }, { buffer = "64KiB" })
        actor.self:send("Write")]], [[
        function Reader:on_write()
          local text = ("x"):rep(32 * 1024)
          local sent, ok, why = 0
          repeat
            ok, why = self.stream:try_send(text)
            if ok then sent = sent + 1 end
          until not ok
          print(why.reason, sent < 20)
          local began = actor.now()
          local _, late = self.stream:send(text, { timeout = "3s" })
          print(late.reason, actor.now() - began, late)
          self.stream:close()
        end]])
      stage:advance("5s")
      assert.same({ "full\ttrue", "full\t3.0\tprocess sh -c read x; exec sleep 1000: "
        .. "no room in its buffer: the other side does not read", "end\tclosed\tnil\tnil" }, printed_until("end"))
    end)

    it("lets a sender go on when it reads again", function()
      reader([[
        self.stream = open(actor.process { "sh", "-c", "read x; wc -c" }, { buffer = "16KiB" })
        actor.self:send("Write")]], [[
        function Reader:on_write()
          local sent = 0
          self.stream:send("go\n")
          while sent < 100 do
            local ok, why = self.stream:send(("x"):rep(10000), { timeout = "1h" })
            if not ok then return print(why) end
            sent = sent + 1
          end
          print("sent", self.stream:shutdown())
        end]])
      assert.same({ "sent\ttrue", "line\t1000000", "end\tnormal\t0\tnil" }, printed_until("end"))
    end)
  end)
end)

describe("a host with streams", function()
  before_each(function() folder = process.make_folder() end)
  after_each(function()
    process.end_all()
    process.remove_folder(folder)
  end)

  local function script(text)
    return file_of(text, "script.lua")
  end

  local COUNTER = [[
    local Counter = {}
    function Counter:on_start()
      self.count = 0
      local stream, why = actor.stream(actor.lines("-"))
      if not stream then print(why) actor.exit() end
    end
    function Counter:on_line(msg) self.count = self.count + 1 end
    function Counter:on_line_end(msg) print(self.count, msg.reason) actor.exit() end
    return Counter]]

  it("reads its standard input: a file from where it stands, and a pipe", function()
    local path = script(COUNTER)
    local lines = file_of(("line\n"):rep(50000), "lines")
    local function sh(command)
      local words = { TROUPE = process.troupe({})[1], SCRIPT = path, LINES = lines }
      return process.run({ "sh", "-c", (command:gsub("%u%u+", words)) })
    end
    assert.equal("50000\tnormal\n", sh("TROUPE run SCRIPT < LINES").out)
    assert.equal("49999\tnormal\n", sh("{ head -c 5 >/dev/null; TROUPE run SCRIPT; } < LINES").out)
    assert.equal("50000\tnormal\n", sh("cat LINES | TROUPE run SCRIPT").out)
    assert.equal("0\tnormal\n", sh("TROUPE run SCRIPT < /dev/null").out)
  end)

  it("has one reader of its standard input at a time", function()
    local path = script [[
      local function open() return actor.stream(actor.lines("-")) end
      function on_start()
        local first = open()
        print(first, select(2, open()))
        first:close()
      end
      function on_line_end(self, msg) print(msg.reason) actor.after("10ms", "Again") end
      function on_again() print((open())) actor.exit() end]]
    local ended = process.run({ "sh", "-c", ("mkfifo %s/fifo; exec %s run %s 0<>%s/fifo"):format(folder,
      process.troupe({})[1], path, folder) })
    assert.equal("lines of the standard input\tactor.stream: the standard input is read by another stream already\n"
      .. "closed\nlines of the standard input\n", ended.out)
  end)

  it("reads a terminal only in the foreground, and leaves it as it was", function()
    local path = script [[
      function on_start() assert(actor.stream(actor.lines("-"))) print("ready") end
      function on_line(self, msg) print("got " .. msg.text) if msg.text == "quit" then actor.exit() end end]]
    local here = process.run({ "pwd" }).out:gsub("%s+$", "")
    local ended = process.run({ "sh", "-c", ("cd %s; exec /usr/bin/python3 -B %s/spec/interop/terminal.py %q"):format(folder,
      here, process.troupe({})[1] .. " run " .. path) })
    assert.same({ code = 0, err = "", out = "the shell has its lines, the host runs\nin front it reads\n"
      .. "the terminal is as it was\n" }, ended)
  end)

  it("leaves no child behind when it is stopped, whatever the child makes of it", function()
    local path = script [[
      function on_start()
        for _, trap in ipairs { "true", "trap '' TERM" } do
          actor.stream(actor.process { "sh", "-c", trap .. "; sleep 1000 & echo $$ $!; wait; wait; while :; do sleep 1; done" })
        end
      end
      function on_line(self, msg) print(msg.text) io.stdout:flush() end]]
    local host = process.start(process.troupe { "run", path })
    local pids = host:line() .. " " .. host:line()
    assert.equal(0, host:stop("TERM").code)
    for pid in pids:gmatch("%d+") do
      assert_ends(pid)
    end
  end)

  it("leaves no child behind when it is stopped twice, at once", function()
    local path = script [[
      local Stubborn = {}
      function Stubborn:on_start()
        actor.stream(actor.process { "sh", "-c", "trap '' TERM INT; echo $$; while :; do sleep 1; done" })
      end
      function Stubborn:on_line(msg) print(msg.text) io.stdout:flush() end
      function Stubborn:on_shutdown() print("stopping") io.stdout:flush() while true do end end
      return Stubborn]]
    local host = process.start(process.troupe { "run", path })
    local pid = host:line()
    host:signal("TERM")
    assert.equal("stopping", host:line())
    host:signal_directly("TERM") -- from somebody else: two in a row from one sender are one wish
    assert.equal(143, host:wait().code)
    assert_ends(pid)
  end)

  it("says what it has written to a child before it ends", function()
    local path = script(([[
      function on_start()
        local cat = actor.stream(actor.process { "sh", "-c", "cat > %s/out" })
        cat:send("said\n")
        cat:shutdown()
      end
      function on_line_end(self, msg) print(msg.reason) actor.exit() end]]):format(folder))
    assert.equal("normal\n", process.run(process.troupe { "run", path }).out)
    assert.equal("said\n", process.run({ "cat", folder .. "/out" }).out)
  end)
end)

describe("docs/streams.md", function()
  it("shows a session that works as printed", function()
    local file <close> = assert(io.open("docs/streams.md"))
    local text = file:read("a")
    local script = assert(text:match("```lua\n(%-%- upper%.lua.-)```"))
    local command, output = text:match("```\n%$ ([^\n]*)\n(.-)```")
    folder = process.make_folder()
    file_of(script, "upper.lua")
    command = command:gsub("troupe", process.troupe({})[1])
    assert.equal(output, process.run({ "sh", "-c", "cd " .. folder .. "; " .. command }).out)
    process.remove_folder(folder)
  end)

  it("shows scripts that load", function()
    local file <close> = assert(io.open("docs/streams.md"))
    local stage = Stage.new()
    for script in file:read("a"):gmatch("```lua\n(%-%- .-)```") do
      script = script:gsub(":7000", ":0"):gsub('lines%("%-"%)', 'lines("/dev/null")')
      assert(stage:spawn({ source = script }))
      stage:run()
    end
    stage:output()
    stage:close()
  end)
end)
