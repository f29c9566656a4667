-- Signals, crashes, and what a host does when nothing can be written any more.
local json = require "troupe.json"
local process = require "spec.support.process"
local program = require "spec.support.program"

local folder

local function file(name, text) return process.write_file(folder .. "/" .. name .. ".lua", text) end

local function ask(ref, ...)
  return process.run(process.troupe { "ask", ref, ... })
end

describe("signals", function()
  before_each(function()
    folder = process.make_folder()
    assert(os.execute("mkfifo " .. folder .. "/pipe"))
  end)
  after_each(function()
    process.end_all()
    process.remove_folder(folder)
  end)

  describe("SIGUSR1", function()
    it("has the host say what it does, and it goes on", function()
      file("busy", [[
        local Busy = {}
        function Busy:on_work() print("working") local open = io.open("]] .. folder .. [[/pipe") open:close() end
        function Busy:on_sleep() actor.sleep("1h") end
        function Busy:on_ping(msg, env) env:reply("Pong") end
        return Busy
      ]])
      local host = process.start(process.troupe { "run", "--bind", ":0", "--workers", "2", file("boss", [[
        function on_start()
          assert(actor.spawn("busy", { name = "busy" })):send("Work")
          local deaf = assert(actor.spawn("busy", { name = "deaf" }))
          deaf:send("Sleep")
          for _ = 1, 3 do deaf:send("Work") end
          actor.self:send("Ask")
        end
        function on_ask() log.info("asking") actor.ref("deaf"):ask("Work", nil, { timeout = "1h" }) end
        function on_ping(self, msg, env) env:reply("Pong") end
      ]]) })
      local endpoint = host:error_line("listening on"):match("tcp://%S+")
      host:line("working")
      host:error_line("asking")
      host:signal_directly("USR1")
      local text = { host:error_line("process") }
      repeat table.insert(text, host:error_line("")) until text[#text]:find("frames", 1, true)
      text = table.concat(text, "\n")
      assert.matches("^troupe %S+, process %d+, listening on " .. endpoint:gsub("%p", "%%%0") .. ": 3 actors\n", text)
      assert.matches("\n  deaf +4 messages, %d+ bytes, on Sleep, waits, %d+%.%d s at most\n", text)
      assert.matches("\n  boss +0 messages, 0 bytes, on Ask, waits for deaf, %d+%.%d s at most\n", text)
      assert.matches("\n  busy +%d messages?, %d+ bytes, on Work, ", text)
      assert.matches("\n  ended 0, dead letters 0, unhandled 0, ", text)
      assert.matches("\n  frames %d+ in, 0 out, 0 bad, 0 rejected, 0 lost, 0 unconfirmed$", text)
      os.execute("echo >" .. folder .. "/pipe")
      assert.equal(0, ask("busy@" .. endpoint, "Ping").code)
    end)
  end)

  describe("SIGPIPE", function()
    it("and a disk that is full cost lines and no answer", function()
      local pong = file("pong", [[
        function on_ping(self, msg, env)
          print("ping") io.write("x") log.info("a ping")
          env:reply("Pong", { lost = actor.metrics().log_lost })
        end
      ]])
      local first = process.start(process.troupe { "run", "--bind", ":0", pong })
      local endpoint = first:error_line("listening on"):match("tcp://%S+")
      first:stop("TERM")
      -- The last one is a pipe whose reader has gone.
      local cases = {
        { ">/dev/full 2>/dev/full", lost = 20, code = 1 }, -- for its output is not whole
        { ">&- 2>&-", lost = 0, code = 0 },
        { ">$2/pipe 2>&1 3<&-", lost = 20, code = 0 },
      }
      for _, case in ipairs(cases) do
        local nowhere = case[1]
        local host = process.start { "sh", "-c",
          ('echo here; exec 3<>"$2/pipe"; exec "$0" run "$1" --bind %s %s'):format(endpoint, nowhere),
          program.path, pong, folder }
        host:line("here")
        local lost
        for _ = 1, 20 do
          local asked = ask("pong@" .. endpoint, "Ping", "--timeout", "20s")
          assert.equal(0, asked.code, nowhere .. ": " .. asked.err)
          lost = json.decode(asked.out:match("^Pong (.*)$")).lost
        end
        assert.equal(case.lost, lost, nowhere)
        assert.equal(case.code, host:stop("TERM").code, nowhere)
      end
    end)

    it("and a reader that has stopped reading: once he goes on, a line says how much is missing", function()
      local script = file("talker", [[
        function on_start() actor.every("20ms", "Talk") end
        function on_talk(self)
          local lost = actor.metrics().log_lost
          log.info(lost < 5 and ("x"):rep(3000) or "last")
          if lost >= 5 and not self.told then self.told = true print("lost") end
        end
      ]])
      local host = process.start { "sh", "-c", 'exec 3<>"$2/pipe"; exec "$0" run "$1" 2>"$2/pipe"',
        program.path, script, folder }
      host:line("lost")
      local log <close> = assert(io.open(folder .. "/pipe"))
      local found
      for line in log:lines() do
        found = line:match("^log: (%d+) lines could not be written$")
        if found then break end
      end
      assert.is_true(tonumber(found) >= 5)
      assert.matches(" info  talker .*: last$", log:read("l"))
      assert.equal(0, host:stop("TERM").code)
    end)
  end)

  describe("a crash", function()
    -- Sends a signal to the very thread that an actor runs on, from outside.
    local CRASHES = [[
      local Crash = {}
      function Crash:on_start() actor.self:send("Boom") end
      function Crash:on_boom()
        local function number(path)
          local stat <close> = io.open(path)
          return stat:read("a"):match("^%d+")
        end
        os.execute(("exec python3 -c 'import ctypes; ctypes.CDLL(None).tgkill(%s, %s, SIGNAL)'"):format(
          number("/proc/self/stat"), number("/proc/thread-self/stat")))
        actor.exit("it lives")
      end
      return Crash
    ]]

    for name, number in pairs { SIGSEGV = 11, SIGBUS = 7, SIGABRT = 6, SIGFPE = 8, SIGILL = 4 } do
      it("by " .. name .. " says where it was, and is one", function()
        if program.is_sanitized then return end -- the sanitizers have reports of their own
        local script = file("victim", (CRASHES:gsub("SIGNAL", tostring(number))))
        local ended = process.run { "sh", "-c", 'ulimit -c 0; exec "$0" run "$1"', program.path, script }
        assert.equal(128 + number, ended.code, ended.err)
        assert.matches("troupe: crashed by " .. name .. ", in actor 'victim', handling Boom, on thread worker%-%d\n$",
                       ended.err)
      end)
    end
  end)
end)
