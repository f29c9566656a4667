-- The command line: what is printed where, and what each exit code says. Every
-- command is a process of its own, as it is for people.
local fields = require "troupe.cli.fields"
local process = require "spec.support.process"
local run = require "troupe.cli.run"
local units = require "troupe.cli.units"

local program = process.troupe({})[1]

local OK, FAILED, USAGE, TIMED_OUT, REJECTED, UNREACHABLE, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130

-- What the commands below talk to.
local PONG = [[
  function on_start(self)
    self.notes = {}
  end
  function on_ping(self, msg, env)
    env:reply("Pong", { count = msg.count })
  end
  function on_echo(self, msg, env)
    env:reply("Echo", msg)
  end
  function on_hush(self, msg, env)
    self.never = env:defer()
    print("hushed")
  end
  local function tell(self)
    if self.asker and #self.notes >= self.wanted then
      table.sort(self.notes)
      self.asker:reply("Notes", { list = self.notes })
    end
  end
  function on_note(self, msg)
    table.insert(self.notes, msg.n)
    tell(self)
  end
  function on_notes(self, msg, env) -- answers when so many are there
    self.asker, self.wanted = env:defer(), msg.wanted
    tell(self)
  end
]]

local function troupe(arguments, options)
  return process.run(process.troupe(arguments), options)
end

local function start(arguments, limit)
  return process.start(process.troupe(arguments), limit)
end

-- Runs a text as an actor, to its end.
local function evaluate(chunk, ...)
  return troupe { "-e", chunk, ... }
end

local function port_of(host)
  return assert(host:error_line("listening on"):match(":(%d+)$"))
end

-- A port that nobody listens on: somebody has just left it.
local function deserted_port()
  local host = start { "-e", "function on_start() end", "--bind", ":0" }
  local port = port_of(host)
  host:stop("TERM")
  return port
end

local function line_count(text)
  return select(2, text:gsub("\n", ""))
end

describe("the command line", function()
  local folder, host, port

  -- One pong for all that only ask it something.
  lazy_setup(function()
    host = start({ "-e", PONG, "--name", "pong", "--bind", ":0" }, 300)
    port = port_of(host)
  end)
  lazy_teardown(process.end_all)

  before_each(function() folder = process.make_folder() end)
  after_each(function() process.remove_folder(folder) end)

  local function script(name, text)
    return process.write_file(folder .. "/" .. name, text)
  end

  local function pong() return "pong@:" .. port end

  describe("within sixty seconds", function()
    -- The two commands of the README, and what it says that they print.
    local function session()
      local readme <close> = assert(io.open("README.md"))
      return readme:read("a"):match("%$ (troupe %-e [^\n]+)\n([^\n]+)\n%$ (troupe ask [^\n]+)\n([^\n]+)\n")
    end

    it("has an actor and its answer, exactly as the README prints them", function()
      local first, says, second, answers = session()
      assert.equal([[troupe -e 'function on_ping(self, msg, env) env:reply("Pong", {count = msg.count}) end']]
        .. " --name pong --bind :5001", first)
      assert.equal("troupe ask pong@:5001 Ping count:=1", second)

      local here = process.start { "sh", "-c", "exec " .. first:gsub("^troupe", program):gsub(":5001", ":0") }
      local line = here:error_line()
      local own_port = line:match("%d+$")
      assert.equal(says:gsub("5001$", own_port), line)

      local asked = process.run { "sh", "-c", (second:gsub("^troupe", program):gsub("5001", own_port)) }
      assert.same({ code = OK, out = answers .. "\n", err = "" }, asked)
      assert.same({ code = OK, out = "", err = "" }, here:stop("TERM"))
    end)
  end)

  describe("ends with 0", function()
    it("when the last actor has ended", function()
      assert.same({ code = OK, out = "hello\n", err = "" },
                  evaluate 'function on_start() print("hello") actor.exit() end')
    end)

    it("when SIGTERM stops it, after all shut down", function()
      local child = start { "-e", 'function on_start() print("up") end function on_shutdown() print("down") end' }
      child:line("up")
      assert.same({ code = OK, out = "down\n", err = "" }, child:stop("TERM"))
    end)

    it("when the reader of its output has gone", function()
      local path = script("talk.lua", [[
        return { on_start = function() for i = 1, 20000 do print("line " .. i) end actor.exit() end }
      ]])
      local ended = process.run { "sh", "-c", '{ "$0" run "$1"; echo "code $?" >&2; } | head -n 1',
                                  program, path }
      assert.same({ code = OK, out = "line 1\n", err = "code 0\n" }, ended)
    end)

    it("when there is no standard output", function()
      assert.same({ code = OK, out = "", err = "" }, troupe({ "ask", pong(), "Ping" }, { output = ">&-" }))
    end)
  end)

  describe("ends with what a script says", function()
    it("to stop_host", function()
      assert.equal(7, evaluate("function on_start() actor.stop_host(7) end").code)
    end)
  end)

  describe("ends with 1", function()
    it("when a script does not load, and says file and line", function()
      local path = script("broken.lua", "local Broken = {}\n\nfunction Broken:on_start( end\nreturn Broken\n")
      local ended = troupe { "run", path }
      assert.equal(FAILED, ended.code)
      assert.equal("", ended.out)
      assert.equal(path .. ":3:", ended.err:match("^%S-:%d+:"))
      assert.equal(1, line_count(ended.err))
    end)

    it("when the top level of a script fails, and says file and line", function()
      local path = script("failing.lua", "\nerror('no such luck')\n")
      assert.same({ code = FAILED, out = "", err = path .. ":2: no such luck\n" }, troupe { "run", path })
    end)

    it("when a text does not load", function()
      local ended = evaluate "function on_start( end"
      assert.equal(FAILED, ended.code)
      assert.matches("^%(command line%):1: ", ended.err)
    end)

    it("when on_start fails, with a report that says where", function()
      local path = script("start.lua", "return {\n  on_start = function() error('too early') end,\n}\n")
      local ended = troupe { "run", path }
      assert.equal(FAILED, ended.code)
      assert.matches("start.lua:2: too early", ended.err, 1, true)
      assert.matches("in on_start", ended.err, 1, true)
    end)

    it("when on_start of any of several scripts fails", function()
      local fine = script("fine.lua", "return { on_start = function() end }")
      local fails = script("fails.lua", "return { on_start = function() error('no') end }")
      assert.equal(FAILED, troupe({ "run", fine, fails }).code)
    end)

    it("when the last actor ends by an error", function()
      local ended = evaluate [[
        return {
          failure = "stop",
          on_start = function() actor.self:send("Go") end,
          on_go = function() error("no way on") end,
        }
      ]]
      assert.matches("no way on", ended.err, 1, true)
      assert.equal(FAILED, ended.code)
    end)

    it("when its port is in use, and names the endpoint", function()
      local ended = evaluate("function on_start() print('never') end", "--bind", ":" .. port)
      assert.same({ FAILED, "" }, { ended.code, ended.out })
      assert.matches(("^troupe: cannot listen on tcp://127%%.0%%.0%%.1:%s: it is taken by process %%d+"
                      .. " %%(troupe: host 'pong'%%)\n$"):format(port), ended.err)
    end)

    it("when its output cannot be written", function()
      for _, arguments in ipairs { { "ask", pong(), "Ping" }, { "--version" }, { "--help" }, { "help", "ask" },
                                   { "-e", "function on_start() print('x') actor.exit() end" } } do
        local ended = troupe(arguments, { output = ">/dev/full" })
        assert.equal(FAILED, ended.code)
        assert.matches("cannot write the output", ended.err, 1, true)
      end
    end)
  end)

  describe("ends with 2", function()
    local function assert_usage(arguments, ...)
      local ended = troupe(arguments)
      assert.same({ USAGE, "" }, { ended.code, ended.out })
      for _, text in ipairs { ... } do assert.matches(text, ended.err, 1, true) end
    end

    it("and a summary when nothing is asked for", function()
      assert_usage({}, "troupe run SCRIPT...", "troupe --help says more")
    end)

    it("for a flag that does not exist, and says where help is", function()
      assert_usage({ "--bogus" }, "unknown option '--bogus'", "Try 'troupe --help'.")
      assert_usage({ "ask", pong(), "Ping", "--bogus" }, "troupe ask: unknown option '--bogus'",
                   "Try 'troupe ask --help'.")
      assert_usage({ "run", "--bind" }, "option '--bind' requires an argument")
    end)

    it("for a command that does not exist, and says which may have been meant", function()
      assert_usage({ "aks", pong(), "Ping" }, "unknown command 'aks'", "Did you mean 'ask'?",
                   "There are: run, init, new, ")
      assert_usage({ "help", "nosuch" }, "unknown command 'nosuch'", "There are: run, init, new, ")
    end)

    it("for a script that is not there", function()
      assert_usage({ "run", folder .. "/missing.lua" }, "no script '" .. folder .. "/missing.lua'")
      assert_usage({ "run", folder }, folder)
    end)

    it("for a script that may not be read", function()
      local path = script("secret.lua", "return {}")
      os.execute("chmod 0 " .. path)
      local file = io.open(path)
      if file then
        file:close()
        pending("this user may read everything")
        return
      end
      assert_usage({ "run", path }, path)
    end)

    it("for two scripts of one name", function()
      local path = script("one.lua", "return {}")
      assert_usage({ "run", path, path }, "two actors would be named 'one'")
    end)

    it("for --name with two scripts", function()
      local one, two = script("one.lua", "return {}"), script("two.lua", "return {}")
      assert_usage({ "run", one, two, "--name", "both" }, "--name names a single script, and there are 2")
    end)

    it("for a name that no actor can have", function()
      assert_usage({ "-e", "", "--name", "a b" }, "'a b' cannot be an actor's name")
      assert_usage({ "run", script("a b.lua", "return {}") }, "'a b' cannot be an actor's name", "--name")
    end)

    it("for an endpoint that is none", function()
      assert_usage({ "-e", "", "--bind", "5001" }, "'5001' is no endpoint")
      assert_usage({ "-e", "", "--bind", "tcp://127.0.0.1" }, "'tcp://127.0.0.1' has no port")
      assert_usage({ "-e", "", "--bind", ":65536" }, "':65536' needs a port from 0 to 65535")
      assert_usage({ "-e", "", "--bind", ":0", "--advertise", "tcp://*:1" }, "'*' is no address that can be reached")
      assert_usage({ "-e", "", "--advertise", ":5001" }, "advertised together with bind")
      assert_usage({ "ask", "pong@ipc://pong", "Ping" }, "'ipc://pong' is no endpoint")
      assert_usage({ "send", "pong@:0", "Ping" }, "':0' needs a port from 1 to 65535")
    end)

    it("for a ref without an actor, and shows what one looks like", function()
      for _, ref in ipairs { "@:5001", ":5001", "tcp://127.0.0.1:5001", "pong:5001", "" } do
        assert_usage({ "ask", ref, "Ping" },
                     ("which actor, and where? '%s' is no NAME@HOST:PORT, such as pong@:5001"):format(ref))
      end
    end)

    it("for JSON that is none, and names the argument", function()
      assert_usage({ "ask", pong(), "Ping", "a=1", "count:=one" }, "troupe: count:=one: bad JSON: ")
      assert_usage({ "send", pong(), "Ping", "count:={" }, "troupe: count:={: bad JSON: ")
      assert_usage({ "send", pong(), "Ping", '{"count":1' }, 'troupe: {"count":1: bad JSON: ')
    end)

    it("for a file of fields that is missing, or no object", function()
      assert_usage({ "ask", pong(), "Ping", "@" .. folder .. "/none.json" }, "none.json: No such file")
      assert_usage({ "ask", pong(), "Ping", "@" .. script("list.json", "[1]") },
                   "list.json: a JSON object is expected")
    end)

    it("for what is no field", function()
      assert_usage({ "ask", pong(), "Ping", "count" }, "'count' is no field")
    end)

    it("for a type that only the host sends", function()
      for _, command in ipairs { "ask", "send" } do
        assert_usage({ command, pong(), "Start" }, "Start is a type that only the host itself sends")
      end
    end)

    it("for numbers that cannot be", function()
      assert_usage({ "ask", pong(), "Ping", "--timeout", "soon" }, "'soon' is no duration")
      assert_usage({ "ask", pong(), "Ping", "--repeat", "0" }, "'0' is no number from 1")
      assert_usage({ "-e", "", "--workers", "65" }, "'65' is no number from 1 to 64")
      assert_usage({ "-e", "", "--memory", "lots" }, "'lots' is no size")
    end)
  end)

  describe("ends with 3", function()
    it("when somebody is there and keeps silent", function()
      assert.same({ code = TIMED_OUT, out = "",
                    err = ("troupe: no answer from %s to Hush in 1.0 s\n"):format(pong()) },
                  troupe { "ask", pong(), "Hush", "--timeout", "1s" })
    end)
  end)

  describe("ends with 4", function()
    it("when the type is rejected, and says why", function()
      assert.same({ code = REJECTED, out = "", err = "troupe: Unknown message type: Pingg\n" },
                  troupe { "ask", pong(), "Pingg" })
    end)

    it("when there is no such actor, and says so", function()
      assert.same({ code = REJECTED, out = "", err = "troupe: Actor 'ping' not found\n" },
                  troupe { "ask", "ping@:" .. port, "Ping" })
    end)

    it("without letting the answer forge lines or colours", function()
      local ended = troupe { "ask", "a\27[31m@:" .. port, "Ping" }
      assert.is_nil(ended.err:find("\27", 1, true))
    end)
  end)

  describe("ends with 5", function()
    it("when nobody is there", function()
      local empty = deserted_port()
      local why = ("troupe: nobody answers at tcp://127.0.0.1:%s: no connection in 0.2 s\n"):format(empty)
      for _, command in ipairs { "ask", "send" } do
        assert.same({ code = UNREACHABLE, out = "", err = why },
                    troupe { command, "pong@:" .. empty, "Ping", "--timeout", "200ms" })
      end
    end)
  end)

  describe("ends with 5 for a name without a host", function()
    it("if no host of this user has such an actor, and says what to write for one elsewhere", function()
      local function ask(ref)
        local words = process.troupe { "ask", ref, "Ping" }
        local ended = process.run { "env", "XDG_RUNTIME_DIR=" .. folder, table.unpack(words) }
        assert.same({ UNREACHABLE, "" }, { ended.code, ended.out })
        assert.matches("no host of yours runs (looked in " .. folder .. "/troupe)", ended.err, 1, true)
        return ended.err
      end
      assert.matches("which host? give pong@HOST:PORT, such as pong@:5001\n", ask "pong", 1, true)
      assert.matches("which host? give pong@HOST:PORT, such as pong@:5001\n", ask "pong@risk", 1, true)
      assert.matches("which host? give pong@:5001 for a port of this machine, else pong@HOST:5001\n", ask "pong@5001", 1, true)
    end)
  end)

  describe("ends with 130", function()
    it("when a host is interrupted, after all shut down", function()
      local child = start { "-e", 'function on_start() print("up") end function on_shutdown() print("down") end' }
      child:line("up")
      assert.same({ code = INTERRUPTED, out = "down\n", err = "" }, child:stop("INT"))
    end)

    it("when a question is interrupted", function()
      local child = start { "ask", pong(), "Hush", "--timeout", "1m" }
      host:line("hushed")
      assert.equal(INTERRUPTED, child:stop("INT").code)
    end)
  end)

  describe("a program that a script starts", function()
    -- On a worker, and on a thread of the actor's own.
    local function assert_prints(expected, body)
      for _, thread in ipairs { "pool", "own" } do
        assert.same({ code = OK, out = expected, err = "" },
          evaluate(("return { thread = %q, on_start = function() %s actor.exit() end }"):format(thread, body)))
      end
    end

    it("has no signal blocked", function()
      assert_prints(("SigBlk:\t0000000000000000\n"):rep(2), [[
        assert(os.execute("grep SigBlk /proc/self/status"))
        local pipe <close> = io.popen("grep SigBlk /proc/self/status")
        io.write(pipe:read("a"))
      ]])
    end)

    it("answers as Lua's own functions say", function()
      assert_prints(table.concat({
        "true\tnil\texit\t3", "nil\tsignal\t2", "true\texit\t0",
        "file\tout\tnil\tnil\texit\t4", "closed file\tfalse\tattempt to use a closed file",
        "in", "nil\tsignal\t15", "(command line):10: bad argument #2 to 'popen' (invalid mode)",
      }, "\n") .. "\n", [[
        print(os.execute(), os.execute("exit 3"))
        print(os.execute("kill -INT $$; echo survived"))
        print(os.execute("true"))
        local reader = io.popen("echo out; exit 4")
        print(io.type(reader), reader:read(), reader:read(), reader:close())
        print(io.type(reader), pcall(reader.read, reader))
        local writer = io.popen("cat; kill -TERM $$", "w")
        writer:write("in\n")
        print(writer:close())
        print(select(2, pcall(function() io.popen("true", "rw") end)))
      ]])
    end)

    it("does not keep the host from being interrupted", function()
      local child = start { "-e", 'function on_start() os.execute("echo up; exec sleep 1") end' }
      child:line("up")
      assert.same({ code = INTERRUPTED, out = "", err = "" }, child:stop("INT"))
    end)
  end)

  describe("goes on", function()
    it("after SIGHUP", function()
      local child = start { "-e", PONG, "--name", "pong", "--bind", ":0" }
      local own_port = port_of(child)
      child:signal("HUP")
      child:error_line("SIGHUP")
      assert.equal(OK, troupe({ "ask", "pong@:" .. own_port, "Ping" }).code)
      assert.equal(OK, child:stop("TERM").code)
    end)
  end)

  describe("ask", function()
    it("takes texts, and JSON that stays what it is", function()
      assert.same({
        code = OK, err = "",
        out = 'Echo {"a": "1", "b": 1, "big": 9223372036854775807, "empty": {}, "float": 1.0, "list": [], '
          .. '"none": null, "text": "two words = 2"}\n',
      }, troupe { "ask", pong(), "Echo", "a=1", "b:=1", "big:=9223372036854775807", "empty:={}", "float:=1.0",
                  "list:=[]", "none:=null", "text=two words = 2" })
    end)

    it("takes fields from a file and from standard input; the last one wins", function()
      local path = script("fields.json", '{"a": "file", "b": "file", "c": "file"}')
      local ended = troupe({ "ask", pong(), "Echo", "@" .. path, "-", "c=word" },
                           { input = '{"b": "input", "c": "input"}\n' })
      assert.same({ code = OK, out = 'Echo {"a": "file", "b": "input", "c": "word"}\n', err = "" }, ended)
    end)

    it("prints an object a line with --json, each time with --repeat", function()
      assert.same({ code = OK, out = ('{"v": 1, "type": "Pong", "message": {"count": 2}}\n'):rep(3), err = "" },
                  troupe { "ask", pong(), "Ping", "count:=2", "--json", "--repeat", "3" })
    end)

    it("ends at the first failure of many", function()
      local ended = troupe { "ask", pong(), "Pingg", "--repeat", "3" }
      assert.same({ REJECTED, 1 }, { ended.code, line_count(ended.err) })
    end)

    it("finds a host by its endpoint in full, and by name", function()
      for _, place in ipairs { "tcp://127.0.0.1:", "tcp://localhost:", "localhost:", "127.0.0.1:" } do
        assert.equal('Pong {"count": 1}\n', troupe({ "ask", "pong@" .. place .. port, "Ping", "count:=1" }).out)
      end
    end)
  end)

  describe("send", function()
    it("prints nothing, and has handed over its message when it ends", function()
      local child = start { "-e", PONG, "--name", "pong", "--bind", ":0" }
      local ref = "pong@:" .. port_of(child)
      for n = 1, 10 do
        assert.same({ code = OK, out = "", err = "" }, troupe { "send", ref, "Note", "n:=" .. n })
      end
      assert.equal('Notes {"list": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]}\n',
                   troupe({ "ask", ref, "Notes", "wanted:=10", "--timeout", "20s" }).out)
    end)

    it("does it again with --repeat", function()
      local child = start { "-e", PONG, "--name", "pong", "--bind", ":0" }
      local ref = "pong@:" .. port_of(child)
      assert.equal(OK, troupe({ "send", ref, "Note", "n:=1", "--repeat", "500" }).code)
      local answer = troupe({ "ask", ref, "Notes", "wanted:=500", "--timeout", "20s" }).out
      assert.equal(500, select(2, answer:gsub("1", "")))
    end)
  end)

  describe("run", function()
    it("names actors after their files, makes all, then starts them in order", function()
      local text = [[
        return { on_start = function()
          local other = actor.name == "first" and "second" or "first"
          print(actor.name, (actor.ref(other):send("Hello")))
        end, on_hello = function() actor.exit() end }
      ]]
      local second, first = script("second.lua", text), script("first", text)
      local ended = troupe { "run", first, second, "--workers", "2" }
      assert.same({ code = OK, out = "first\ttrue\nsecond\ttrue\n", err = "" }, ended)
    end)

    it("renames a single one with --name", function()
      local path = script("file.lua", "return { on_start = function() print(actor.name) actor.exit() end }")
      assert.equal("given\n", troupe({ "run", path, "--name", "given" }).out)
    end)

    it("finds a script without its '.lua'", function()
      script("bare.lua", "return { on_start = function() print(actor.name) actor.exit() end }")
      assert.equal("bare\n", troupe({ "run", folder .. "/bare" }).out)
    end)

    it("gives what follows -- to the scripts as it is", function()
      local arguments = { "a b", "", "--name", "x", "--", "q'\"$HOME", "ü" }
      local chunk = "function on_start() print(json.encode(actor.args)) actor.exit() end"
      local ended = evaluate(chunk, "--", table.unpack(arguments))
      assert.equal([=[["a b", "", "--name", "x", "--", "q'\"$HOME", "ü"]]=] .. "\n", ended.out)
      local path = script("args.lua", chunk)
      assert.equal(ended.out, troupe({ "run", path, "--", table.unpack(arguments) }).out)
    end)

    it("says where it listens, under the first actor's name", function()
      local path = script("a-long-name.lua", "return { on_start = function() actor.exit() end }")
      local ended = troupe { "run", path, "--bind", ":0" }
      assert.matches("^a%-long%-name listening on tcp://127%.0%.0%.1:%d+\n$", ended.err)
    end)

    it("says what is advertised, if that is something else", function()
      local ended = evaluate("function on_start() print(actor.self) actor.exit() end", "--bind", ":0",
                             "--advertise", "tcp://10.1.2.3:5001")
      assert.equal("main     listening on tcp://10.1.2.3:5001\n", ended.err)
      assert.equal("main@tcp://10.1.2.3:5001\n", ended.out)
    end)

    it("makes refs texts that work elsewhere, if it listens", function()
      local chunk = [[
        function on_start()
          local text = tostring(actor.self)
          print(text, "I am " .. actor.self, json.encode({ me = actor.self }), actor.ref(text) == actor.self)
          local _, why = actor.ref("nobody"):ask("Y")
          print(why)
          actor.exit()
        end
      ]]
      local nobody = "no answer from nobody to Y: no actor is named 'nobody'\n"
      assert.equal('main\tI am main\t{"me": "main"}\ttrue\n' .. nobody, evaluate(chunk).out)
      local ended = evaluate(chunk, "--bind", ":0")
      local text = "main@tcp://127.0.0.1:" .. ended.err:match(":(%d+)\n$")
      assert.equal(('%s\tI am %s\t{"me": "%s"}\ttrue\n'):format(text, text, text) .. nobody, ended.out)
    end)

    it("prints whole lines, whoever prints them", function()
      local printer = script("printer.lua", [[
        return { on_start = function(self)
          for _ = 1, 200 do print(self.config.n, ("x"):rep(300 + self.config.n), "end") end
          self.config.main:send("Done")
        end }
      ]])
      local ended = evaluate([[
        function on_start(self)
          self.left = 4
          for n = 1, self.left do
            assert(actor.spawn(actor.args[1], { config = { n = n, main = actor.self } }))
          end
        end
        function on_done(self)
          self.left = self.left - 1
          if self.left == 0 then actor.stop_host() end
        end
      ]], "--", printer)
      assert.equal(OK, ended.code)
      local seen = {}
      for line in ended.out:gmatch("([^\n]*)\n") do
        local n, x = line:match("^(%d)\t(x+)\tend$")
        assert.equal(300 + (tonumber(n) or 0), #(x or ""))
        seen[n] = (seen[n] or 0) + 1
      end
      assert.same({ ["1"] = 200, ["2"] = 200, ["3"] = 200, ["4"] = 200 }, seen)
    end)
  end)

  describe("-e", function()
    it("makes an actor called main, unless it is given a name", function()
      local chunk = "function on_start() print(actor.name) actor.exit() end"
      assert.equal("main\n", evaluate(chunk).out)
      assert.equal("other\n", troupe({ "--name", "other", "-e", chunk }).out)
    end)

    it("takes a text that begins with a minus", function()
      assert.equal("hello\n", evaluate("-- a comment\nfunction on_start() print('hello') actor.exit() end").out)
    end)
  end)

  describe("test", function()
    local SPEC = [[
      describe("sums", function()
        it("add up", function() assert.equal(3, 1 + 2) end)
        it("do not add up", function() assert.equal(4, 1 + 2) end)
        it("see the stage", function() assert.is_table(require "troupe.stage") end)
      end)
    ]]

    -- Without the colours.
    local function plain(text)
      return (text:gsub("\27%[[%d;]*m", ""))
    end

    it("ends with 1 if a spec fails, and names it", function()
      local ended = troupe { "test", script("sums_spec.lua", SPEC) }
      assert.equal(FAILED, ended.code)
      assert.matches("2 successes / 1 failure / 0 errors", plain(ended.out), 1, true)
      assert.matches("sums do not add up", plain(ended.out), 1, true)
    end)

    it("keeps arguments with blanks whole", function()
      local ended = troupe { "test", "--filter", "add up$", "--filter-out", "do not",
                             script("sums and more_spec.lua", SPEC) }
      assert.equal(OK, ended.code)
      assert.matches("1 success / 0 failures / 0 errors", plain(ended.out), 1, true)
    end)

    it("ends with 2 for an option that is not busted's", function()
      local ended = troupe { "test", "--bogus" }
      assert.equal(USAGE, ended.code)
      assert.matches("bogus", ended.err, 1, true)
    end)

    it("prints help on standard output", function()
      local ended = troupe { "test", "--help" }
      assert.same({ OK, "" }, { ended.code, ended.err })
      assert.matches("--filter", ended.out, 1, true)
    end)
  end)

  describe("--version", function()
    it("is one line", function()
      local ended = troupe { "--version" }
      assert.same({ OK, "" }, { ended.code, ended.err })
      assert.matches("^troupe %d+%.%d+%.%d+\n$", ended.out)
    end)
  end)

  describe("--help", function()
    it("is on standard output, without colours, within 80 columns", function()
      for _, command in ipairs { {}, { "run" }, { "send" }, { "ask" }, { "registry" } } do
        table.insert(command, "--help")
        local ended = troupe(command)
        assert.same({ OK, "" }, { ended.code, ended.err })
        assert.matches("^Usage: troupe ", ended.out)
        assert.is_nil(ended.out:find("\27", 1, true))
        for line in ended.out:gmatch("[^\n]+") do
          assert.is_true(utf8.len(line) <= 80, line)
        end
      end
    end)
  end)
end)

describe("units", function()
  it("of time are milliseconds", function()
    for text, expected in pairs { ["250ms"] = 250, ["2s"] = 2000, ["1.5s"] = 1500, ["1m"] = 60000,
                                  ["1h"] = 3600000, ["3"] = 3000, ["0.25"] = 250 } do
      assert.equal(expected, units.milliseconds(text))
    end
  end)

  it("of size are bytes", function()
    for text, expected in pairs { ["512"] = 512, ["512B"] = 512, ["1KiB"] = 1024, ["64MiB"] = 64 << 20,
                                  ["1.5GiB"] = 3 << 29 } do
      assert.equal(expected, units.bytes(text))
    end
  end)

  it("that are none are refused, with what could be written", function()
    for _, text in ipairs { "", "s", "2 s", "-1s", "0", "0.1ms", "1d", "1e3", "0x10", "1..5s", "inf", "nan",
                            "1\n", "99999999999999999999h" } do
      local value, why = units.milliseconds(text)
      assert.is_nil(value)
      assert.matches("is no duration: write 250ms", why, 1, true)
    end
    for _, text in ipairs { "", "MiB", "64MB", "0", "0.5", "-1", "1 KiB", "99999999GiB" } do
      local value, why = units.bytes(text)
      assert.is_nil(value)
      assert.matches("is no size: write 512KiB", why, 1, true)
    end
  end)

  it("of counting are whole and bounded", function()
    local count = units.count(64)
    assert.same({ 1, 64 }, { count("1"), count("64") })
    for _, text in ipairs { "0", "65", "1.5", "x", "", "-1" } do
      assert.same({ nil, ("'%s' is no number from 1 to 64"):format(text) }, { count(text) })
    end
  end)
end)

describe("fields", function()
  local folder

  before_each(function() folder = process.make_folder() end)
  after_each(function() process.remove_folder(folder) end)

  local function assert_refused(arguments, reason)
    local text, why = fields.message(arguments)
    assert.is_nil(text)
    assert.matches(reason, why, 1, true)
  end

  it("become one object, sorted; without any it is empty", function()
    assert.equal('{"count": 1, "name": "bob"}', fields.message { "name=bob", "count:=1" })
    assert.equal("{}", fields.message {})
  end)

  it("are texts after =, JSON after :=", function()
    assert.equal('{"a": "1", "b": 1, "c": "", "d": "x:=y", "e": "=", "f:": 2}',
                 fields.message { "a=1", "b:=1", "c=", "d=x:=y", "e==", "f::=2" })
  end)

  it("override those before them, whole objects too", function()
    local path = process.write_file(folder .. "/f.json", '{"a": {"x": 1}, "b": 2}')
    assert.equal('{"a": {"y": 1}, "b": 2}', fields.message { "b=1", "@" .. path, 'a:={"y": 1}' })
  end)

  it("keep what JSON tells apart", function()
    for _, text in ipairs { "9223372036854775807", "1.0", "[]", "{}", "null", "[null]", '{"a": null}', "-0.0" } do
      assert.equal('{"v": ' .. text .. "}", fields.message { "v:=" .. text })
    end
  end)

  it("that are none are refused, by name", function()
    assert_refused({ "a" }, "'a' is no field")
    assert_refused({ "=1" }, "'=1' is no field")
    assert_refused({ ":=1" }, "':=1' is no field")
    assert_refused({ "" }, "'' is no field")
    assert_refused({ "a:=" }, "a:=: bad JSON")
    assert_refused({ "a:=1 2" }, "a:=1 2: bad JSON")
    assert_refused({ "@" .. folder .. "/none" }, "cannot read " .. folder .. "/none")
    assert_refused({ "@" .. folder }, "cannot read " .. folder)
  end)

  it("from elsewhere are an object", function()
    for _, text in ipairs { "[]", "[1]", "1", '"x"', "null", "" } do
      assert_refused({ "@" .. process.write_file(folder .. "/f.json", text) }, "f.json: ")
    end
  end)

  it("that have no JSON form are refused", function()
    assert_refused({ "a=\xff" }, "a: ")
  end)
end)

describe("a script's name", function()
  it("is its file's, without the folder and '.lua'", function()
    assert.same({ "pong", "pong", "a.b", ".lua", "x.txt" },
                { run.stem("examples/pong.lua"), run.stem("pong"), run.stem("./a.b.lua"), run.stem(".lua"),
                  run.stem("x.txt") })
  end)
end)
