-- How a host ends, whoever ends it: in which order, how long it may take, and
-- what it says of what was lost. Each case is a host of its own.
local json = require "troupe.json"
local process = require "spec.support.process"
local program = require "spec.support.program"

local folder

local function file(name, text) return process.write_file(folder .. "/" .. name .. ".lua", text) end

-- Runs scripts, given by name and text, to the end of their host.
local function run(scripts, ...)
  local words = { "run", "--workers", "2" }
  for _, script in ipairs(scripts) do table.insert(words, file(script[1], script[2])) end
  for _, word in ipairs { ... } do table.insert(words, word) end
  return process.run(process.troupe(words))
end

local function lines_of(text)
  local lines = {}
  for line in text:gmatch("[^\n]+") do table.insert(lines, line) end
  return lines
end

-- Interrupts come as signals.
local function it_interrupts(name, check)
  if program.has_thread_sanitizer then
    it(name, function() pending("signals do not reach Lua under the thread sanitizer") end)
  else
    it(name, check)
  end
end

local function uptime()
  local time <close> = assert(io.open("/proc/uptime"))
  return tonumber(time:read("a"):match("^%S+"))
end

describe("a shutdown", function()
  before_each(function() folder = process.make_folder() end)
  after_each(function()
    process.end_all()
    process.remove_folder(folder)
  end)

  describe("comes to all alike", function()
    local DOWN = 'function on_shutdown() print("down") end '

    it("when the last actor has ended", function()
      assert.same({ code = 0, out = "down\n", err = "" },
                  run { { "one", DOWN .. 'function on_start() actor.exit() end' } })
    end)

    it("when an actor stops the host, with its code", function()
      assert.same({ code = 3, out = "down\n", err = "" },
                  run { { "one", DOWN .. 'function on_start() actor.stop_host(3) end' } })
    end)

    for signal, code in pairs { TERM = 0, INT = 130 } do
      it("at SIG" .. signal, function()
        local host = process.start(process.troupe { "run", file("one", DOWN .. 'function on_start() print("up") end') })
        host:line("up")
        assert.same({ code = code, out = "down\n", err = "" }, host:stop(signal))
      end)
    end

    it("when one sender says so several times in a row, as timeout(1) does", function()
      local ended = run { { "one", [[
        function on_start() assert(os.execute("for i in 1 2 3 4 5 6 7 8; do kill -TERM $PPID; done")) end
        function on_shutdown() actor.sleep("300ms") print("down") end
      ]] } }
      assert.same({ code = 0, out = "down\n", err = "" }, ended)
    end)

    it("when a named script cannot start", function()
      local ended = run { { "one", DOWN }, { "two", 'function on_start() error("no") end' } }
      assert.equal(1, ended.code)
      assert.equal("down\n", ended.out)
    end)
  end)

  describe("goes from the youngest to the oldest", function()
    local TELLS = [[
      local T = {}
      function T:on_start()
        for _, name in ipairs(self.config.names or {}) do
          assert(actor.spawn("tells", { name = name, config = {} }))
        end
      end
      function T:on_shutdown() actor.sleep("10ms") print(actor.name) end
      return T
    ]]

    it("each when the one before has ended", function()
      file("tells", TELLS)
      local ended = run { { "a", TELLS }, { "b", 'local T = dofile("' .. folder .. '/tells.lua") '
        .. 'local start = T.on_start function T:on_start() self.config.names = { "c", "d", "e" } start(self) end return T' },
        { "z", 'function on_start() end function on_shutdown() print("z") end function on_stop() actor.stop_host(0) end '
          .. 'function on_begin() actor.after("50ms", "Stop") end' },
        { "starter", 'function on_start() actor.ref("z"):send("Begin") end function on_shutdown() print("starter") end' } }
      assert.equal(0, ended.code, ended.err)
      assert.same({ "e", "d", "c", "starter", "z", "b", "a" }, lines_of(ended.out))
    end)

    it("so that who ends may still ask who was there before, and knows of those after", function()
      local ended = run({
        { "store", [[
          function on_start(self) self.kept = 0 end
          function on_keep(self, msg, env) self.kept = self.kept + msg.n env:reply("Kept", { n = self.kept }) end
          function on_shutdown(self) print("store kept " .. self.kept) end
        ]] },
        { "worker", [[
          function on_shutdown()
            print("asked", actor.ref("store"):ask("Keep", { n = 2 }).n)
            print("sent", actor.ref("store"):send("Keep", { n = 3 }))
            local sent, why = actor.ref("young"):send("Hello")
            print("younger", sent, why.reason)
          end
        ]] },
        { "young", "function on_start() actor.stop_host(0) end" },
      })
      assert.same({ "asked\t2", "sent\ttrue", "younger\tnil\tdown", "store kept 5" }, lines_of(ended.out))
      assert.equal("", ended.err)
    end)
  end)

  describe("in on_shutdown", function()
    it("spawns nobody, and says why", function()
      local ended = run { { "one", [[
        function on_start() actor.stop_host(0) end
        function on_shutdown()
          local none, why = actor.spawn("one")
          print(none, why.reason, why)
        end
      ]] } }
      assert.same({ code = 0, out = "nil\tstopping\tthe host is stopping\n", err = "" }, ended)
    end)

    it("sets timers that never come and keep nobody", function()
      local ended = run { { "one", [[
        function on_start() actor.stop_host(0) end
        function on_tick() print("not reached") end
        function on_shutdown()
          actor.after("10ms", "Tick")
          actor.every("10ms", "Tick")
          actor.ref("one"):send("Tick", nil, { after = "10ms" })
          actor.sleep("50ms")
        end
      ]] } }
      assert.same({ code = 0, out = "", err = "" }, ended)
    end)

    it("fails for one actor only", function()
      local ended = run {
        { "old", 'function on_shutdown() print("old") end' },
        { "bad", 'function on_start() actor.stop_host(0) end function on_shutdown() error("not today") end' },
      }
      assert.equal("old\n", ended.out)
      assert.equal(0, ended.code)
      assert.matches("bad.lua:1: not today", ended.err, 1, true)
    end)
  end)

  it("starts nothing again that fails meanwhile, and that changes no exit code", function()
    local failing = [[
      function on_start(self, msg) print("begins") actor.self:send("Fail") end
      function on_fail() error("on and on") end
    ]]
    file("failing", failing)
    file("again", failing)
    file("slow", [[function on_shutdown() print("closing") actor.sleep("100ms") print("closed") end]])
    local host = process.start(process.troupe { "run", file("root", [[
      function on_start()
        assert(actor.supervise { restart = { max = 1000, backoff = "1ms" }, children = { { script = "failing" } } })
        assert(actor.spawn("again", { failure = "restart", restart = { max = 1000, backoff = "1ms" } }))
        assert(actor.spawn("slow"))
        print("all begun")
      end
    ]]) })
    host:line("all begun")
    for _ = 1, 10 do host:line("begins") end
    local ended = host:stop("TERM")
    assert.equal(0, ended.code)
    local _, late = ended.out:match("closing.*"):gsub("begins", "")
    assert.is_true(late <= 2, ended.out) -- each may have been about to
  end)

  describe("drains", function()
    it("the mail that was there, before on_shutdown", function()
      local ended = run {
        { "worker", [[
          function on_start(self) self.done = 0 end
          function on_work(self) self.done = self.done + 1 end
          function on_shutdown(self) print(self.done) end
        ]] },
        { "boss", [[
          function on_start()
            for _ = 1, 500 do assert(actor.ref("worker"):send("Work")) end
            actor.stop_host(0)
          end
        ]] },
      }
      assert.same({ code = 0, out = "500\n", err = "" }, ended)
    end)

    it("actors that send to each other for ever", function()
      local PING = [[
        function on_start() actor.ref(actor.name == "a" and "b" or "a"):send("Ball") end
        function on_ball(self, msg, env) env:reply("Ball") end
        function on_shutdown() print(actor.name) end
      ]]
      local ended = run { { "a", PING }, { "b", PING },
        { "end", 'function on_start() actor.after("100ms", "Stop") end function on_stop() actor.stop_host(0) end' } }
      assert.equal(0, ended.code, ended.err)
      assert.same({ "b", "a" }, lines_of(ended.out))
    end)

    it("those who wait for room, who are told", function()
      local ended = run {
        { "full", [[
          local Full = { mailbox = { limit = 1 } }
          function Full:on_start() actor.receive("Never", { timeout = "1h" }) end
          function Full:on_note() end
          return Full
        ]] },
        { "sender", [[
          function on_start() actor.self:send("Go") end
          function on_go()
            actor.ref("full"):send("Note")
            actor.after("100ms", "Stop", nil, { to = actor.ref("end") })
            local sent, why = actor.ref("full"):send("Note", nil, { timeout = "1h" })
            print(sent, why.reason)
          end
        ]] },
        { "end", 'function on_stop() actor.stop_host(0) end' },
      }
      assert.same({ code = 0, out = "nil\tstopping\n", err = "" }, ended)
    end)
  end)

  describe("takes no longer than it may", function()
    local BAD = {
      ["waits for ever"] = 'while true do pcall(actor.sleep, "1h") end',
      ["loops for ever"] = 'while true do end',
      ["loops for ever behind pcall"] = 'while true do pcall(function() while true do end end) end',
    }
    for what, body in pairs(BAD) do
      for _, where in ipairs { "on_work", "on_shutdown" } do
        it_interrupts(("if an actor's %s %s"):format(where, what), function()
          local began = uptime()
          local ended = run({
            { "old", 'function on_note() print("noted") end function on_shutdown() print("old") end' },
            { "bad", ([[
              local function begun() actor.ref("boss"):send("Begun") end
              function on_work() begun() end
              function on_more() end
              function %s() %s %s end
            ]]):format(where, where == "on_work" and "begun()" or "", body) },
            { "boss", [[
              function on_start() actor.ref("bad"):send("Work") end
              function on_begun()
                for _ = 1, 3 do actor.ref("bad"):send("More") end
                actor.ref("old"):send("Note")
                actor.stop_host(0)
              end
            ]] },
          }, "--shutdown", "2s")
          assert.is_true(uptime() - began < 2 + 8, uptime() - began)
          assert.same({ "noted", "old" }, lines_of(ended.out))
          if where == "on_work" and what == "waits for ever" then
            assert.equal(0, ended.code) -- its wait was cut, and again and again: it ended in time
            return
          end
          assert.equal(1, ended.code)
          assert.matches(("host: 1 actor had not ended in time and was given up (a shutdown may take 2.0 s): "
                          .. "bad (%d messages)\n"):format(where == "on_work" and 3 or 0), ended.err, 1, true)
        end)
      end
    end

    it_interrupts("if thirty actors do not end, in whatever way, and no worker is left", function()
      local bad = file("bad", [[
        local B = {}
        local ways = {
          function() while true do end end,
          function() while true do pcall(actor.sleep, "1h") end end,
          function() os.execute("exec sleep 30 >/dev/null 2>&1") end,
        }
        function B:on_start()
          if self.config.i then return end
          for i = 1, 30 do
            local thread = i % 3 == 0 and "own" or "pool"
            assert(actor.spawn("bad", { thread = thread, config = { i = i } })):send("Work")
          end
          print("up")
        end
        function B:on_work() ways[self.config.i % 3 + 1]() end
        function B:on_shutdown() if self.config.i then ways[2]() end end
        return B
      ]])
      local host = process.start(process.troupe { "run", bad, "--workers", "2", "--shutdown", "2s" })
      host:line("up")
      local began = uptime()
      local ended = host:stop("TERM")
      assert.is_true(uptime() - began < 2 + 8, uptime() - began)
      assert.equal(1, ended.code)
      assert.matches("actors had not ended in time and were given up", ended.err, 1, true)
    end)

    it_interrupts("if nobody reads what it prints", function()
      local script = file("printer", [[
        function on_start() log.info("printing") print(("x"):rep(1 << 20)) end
      ]])
      local host = process.start { "sh", "-c", [[
        mkfifo "$1/out"; exec 3<>"$1/out"; exec "$2" run "$3" --shutdown 1s >"$1/out"
      ]], "sh", folder, program.path, script }
      host:error_line("printing")
      local began = uptime()
      assert.equal(1, host:stop("TERM").code)
      assert.is_true(uptime() - began < 1 + 8, uptime() - began)
    end)
  end)

  describe("leaves no message in silence", function()
    -- { name = count } of "messages were not handled: a (3), b (2)"
    local function lost(err)
      local list, counts = err:match("not handled: ([^;\n]*)") or "", {}
      for name, count in list:gmatch("([^ ,]+) %((%d+)%)") do counts[name] = tonumber(count) end
      return counts
    end

    local CONSUMER = [[
      function on_start(self) self.count = 0 end
      function on_item(self) self.count = self.count + 1 for _ = 1, 2000 do end end
      function on_shutdown(self) print("handled " .. self.count) end
    ]]
    local PRODUCER = [[
      function on_start(self) self.count = 0 actor.self:send("Go") end
      function on_go(self)
        for _ = 1, 50 do
          if actor.ref("consumer"):try_send("Item") then self.count = self.count + 1 end
        end
        actor.self:send("Go")
      end
      function on_shutdown(self) print("sent " .. self.count) end
    ]]

    for what, first in pairs { ["older"] = true, ["younger"] = false } do
      it("under load: what was taken is handled or counted, if the receiver is " .. what, function()
        local scripts = { { "p1", PRODUCER }, { "p2", PRODUCER }, { "p3", PRODUCER } }
        table.insert(scripts, first and 1 or 4, { "consumer", CONSUMER })
        for _, script in ipairs(scripts) do file(script[1], script[2]) end
        local words = { "run", "--workers", "2" }
        for _, script in ipairs(scripts) do table.insert(words, folder .. "/" .. script[1] .. ".lua") end
        table.insert(words, file("boss", [[
          function on_start() actor.after("300ms", "Stop") end
          function on_stop() actor.stop_host(0) end
        ]]))
        local ended = process.run(process.troupe(words))
        assert.equal(0, ended.code, ended.err)
        local sent, handled = 0, tonumber(ended.out:match("handled (%d+)"))
        for count in ended.out:gmatch("sent (%d+)") do sent = sent + tonumber(count) end
        assert.is_true(sent > 1000, "only " .. sent)
        assert.equal(sent, handled + (lost(ended.err).consumer or 0), ended.err)
      end)
    end

    it("that was owed to another host, which is not there", function()
      local ended = run { { "one", [[
        function on_start()
          for i = 1, 7 do assert(actor.ref("pong@tcp://127.0.0.1:1"):send("Ping", { i = i })) end
          actor.exit()
        end
      ]] } }
      assert.equal(0, ended.code)
      assert.matches("host: 7 messages were not handled: pong@tcp://127.0.0.1:1 (7)\n", ended.err, 1, true)
    end)

    it("that comes from outside meanwhile: it gets a Reject", function()
      local host = process.start(process.troupe { "run", "--bind", ":0", file("slow", [[
        function on_ping(self, msg, env) env:reply("Pong") end
        function on_shutdown() log.info("closing") actor.receive("Never", { timeout = "2s" }) end
      ]]) })
      local endpoint = host:error_line("listening on"):match("tcp://%S+")
      host:signal("TERM")
      host:error_line("closing")
      local asked = process.run(process.troupe { "ask", "slow@" .. endpoint, "Ping" })
      assert.equal(4, asked.code, asked.err)
      assert.matches("Actor 'slow' not found", asked.err, 1, true)
      local ended = host:wait()
      assert.equal(0, ended.code)
      assert.matches("1 message was rejected\n", ended.err, 1, true)
    end)
  end)

  it("of a hundred thousand actors takes seconds", function()
    local count = program.is_sanitized and 3000 or 100000
    local ended = run { { "many", ([[
      local Many = {}
      function Many:on_start()
        if self.config.idle then return end
        for _ = 1, %d do assert(actor.spawn("many", { config = { idle = true } })) end
        self.began = actor.now()
        actor.stop_host(0)
      end
      function Many:on_shutdown()
        if self.began then print(json.encode { seconds = actor.now() - self.began, left = actor.metrics().actors }) end
      end
      return Many
    ]]):format(count) } }
    assert.equal(0, ended.code, ended.err)
    local found = json.decode(ended.out)
    assert.equal(1, found.left)
    assert.is_true(found.seconds < 20, found.seconds)
  end)
end)
