-- troupe attach: a prompt inside a running host, or inside one of its actors.
local process = require "spec.support.process"
local program = require "spec.support.program"

local BOOK = [[
local Book = { failure = "stop" }
best = 10
function Book:on_start() self.count = 0 print "ready" end
function Book:on_add() self.count = self.count + 1 end
function Book:on_count(_, env) env:reply("Count", { n = self.count }) end
function Book:on_nap() actor.sleep("1h") end
function Book:on_spin() while true do end end
return Book
]]

local RISKY = [[
local Risky = { failure = "restart" }
function Risky:on_start() self.count = 0 print "ready" end
function Risky:on_fail() error "bad luck" end
return Risky
]]

-- A loop is ended by a signal; under the thread sanitizer that comes when it has ended.
local signals_arrive = not program.has_thread_sanitizer

describe("troupe attach", function()
  local folder, host

  local function words(...)
    return { "env", "XDG_RUNTIME_DIR=" .. folder, "XDG_STATE_HOME=" .. folder .. "/state", program.path, ... }
  end

  local function start(text, ...)
    local script = process.write_file(folder .. "/book.lua", text)
    host = process.start(words("run", script, ...))
    host:line("ready")
  end

  local function attach(...)
    return process.run(words("attach", ...))
  end

  local function value(...)
    local ended = attach(...)
    assert.equal("", ended.err)
    assert.equal(0, ended.code)
    return (ended.out:gsub("\n$", ""))
  end

  local function type_in(text, ...)
    return process.run(words("attach", ...), { input = text })
  end

  before_each(function()
    folder = process.make_folder()
  end)

  after_each(function()
    process.end_all()
    process.remove_folder(folder)
  end)

  describe("inside an actor", function()
    before_each(function() start(BOOK) end)

    it("shows the values of an expression", function()
      assert.equal("2", value("book", "book", "-e", "1 + 1"))
      assert.equal("{config = {}, count = 0}", value(":book", "-e", "self"))
      assert.equal('"a"\nnil\n10', value(":book", "-e", "'a', nil, best"))
      assert.equal("<book>", value(":book", "-e", "=actor.self"))
      assert.equal("", value(":book", "-e", "local x = 1"))
    end)

    it("changes the actor's state, and not the names of its script", function()
      value(":book", "-e", "self.count = 41; best = 99")
      value(":book", "-e", "actor.self:send('Add')")
      assert.equal("42\n10", value(":book", "-e", "self.count, best"))
    end)

    it("keeps the names of a session from line to line", function()
      local ended = type_in("x = 20\nlocal y = 1\nx + 1\n_ * 2\n", ":book")
      assert.equal("21\n42\n", ended.out)
      assert.equal(0, ended.code)
    end)

    it("shows what is printed, also while it waits", function()
      assert.equal("one\ntwo\n3", value(":book", "-e", "print('one') actor.sleep('10ms') print('two') return 3"))
    end)

    it("prints JSON for programs", function()
      assert.equal('{"v": 1, "values": [{"count": 0}, null], "text": "{count = 0}\\n<function>"}',
                   value(":book", "--json", "-e", "{ count = self.count }, print"))
      local failed = attach(":book", "--json", "-e", "error 'no'")
      assert.equal('{"v": 1, "error": "attach:1: no", "trace": ', failed.out:match("^.-trace\": "))
      assert.equal(1, failed.code)
    end)

    it("tells an error and its traceback, and the actor goes on", function()
      local ended = attach(":book", "-e", "(function() local n = 7; return n + self.nothing.x end)()")
      assert.equal(1, ended.code)
      assert.equal("", ended.out)
      assert.matches("attach:1: attempt to index a nil value %(field 'nothing'%)", ended.err)
      assert.matches("n = 7", ended.err)
      assert.matches("stack traceback", ended.err)
      assert.equal("0", value(":book", "-e", "self.count")) -- with failure = "stop"
      assert.equal("", host:stop("TERM").err)
    end)

    it("runs a file", function()
      local file = process.write_file(folder .. "/probe.lua", "local n = self.count\nprint(n)\nreturn n + 1\n")
      assert.equal("0\n1", value(":book", "-f", file))
      assert.equal(2, attach(":book", "-f", folder .. "/none.lua").code)
    end)

    it("takes chunks of several lines from standard input, and the worst of their exit codes", function()
      local ended = type_in("for i = 1, 2 do\n\n  print(i)\nend\nerror 'no'\nself.count\nif true then", ":book")
      assert.equal("1\n2\n0\n", ended.out)
      assert.matches("attach:1: no", ended.err)
      assert.matches("near <eof>", ended.err)
      assert.equal(1, ended.code)
    end)

    it("gives up an endless expression, and nothing else ends", function()
      if not signals_arrive then
        return
      end
      value(":book", "-e", "self.count = 7")
      local ended = attach(":book", "--timeout", "300ms", "-e", "self.began = true while true do end")
      assert.equal(3, ended.code)
      assert.matches("no result in time", ended.err)
      assert.equal("7\ntrue", value(":book", "-e", "self.count, self.began"))
      assert.equal("", host:stop("TERM").err)
    end)

    it("gives up what waits", function()
      assert.equal(3, attach(":book", "--timeout", "300ms", "-e", "actor.sleep('1h')").code)
      assert.equal("0", value(":book", "-e", "self.count"))
    end)

    it("says what an actor does whose turn it does not get", function()
      value("-e", "actor.ref('book'):send('Nap')")
      local ended = attach(":book", "--timeout", "1", "-e", "self.count = 99")
      assert.equal(3, ended.code)
      assert.matches("book is in on_nap, asleep for [%d.]+ s; %^C gives up", ended.err)
    end)

    it("says so also of one that runs and runs", function()
      value("-e", "actor.ref('book'):send('Spin')")
      local ended = attach(":book", "--timeout", "3", "-e", "self.count = 99")
      assert.equal(3, ended.code)
      assert.matches("book is handling Spin; %^C gives up", ended.err)
    end)

    it("ends the actor if that is what is typed", function()
      local ended = attach(":book", "-e", "actor.exit('enough')")
      assert.equal(0, ended.code)
      assert.matches("book has ended: enough", ended.err)
      assert.equal(0, host:wait().code)
    end)

    it("tells of an actor that ends meanwhile", function()
      value("-e", "actor.ref('book'):send('Nap')")
      local prompt = process.start(words("attach", ":book", "-e", "self.count"))
      prompt:error_line("book is in on_nap")
      value("-e", "actor.ref('book'):stop()")
      local ended = prompt:wait()
      assert.equal(5, ended.code)
      assert.matches("book has ended", ended.err)
    end)

    it("tells of a host that ends meanwhile", function()
      local prompt = process.start(words("attach", ":book", "-e", "print('waiting') actor.sleep('1h')"))
      prompt:line("waiting")
      host:signal_directly("KILL")
      local ended = prompt:wait()
      assert.equal(5, ended.code)
      assert.matches("book %(process %d+%) has ended", ended.err)
    end)

    it("takes back what was asked when its client goes away", function()
      local prompt = process.start(words("attach", ":book", "-e", "print('waiting') actor.sleep('1h')"))
      prompt:line("waiting")
      prompt:signal_directly("KILL")
      prompt:wait()
      assert.equal("0", value(":book", "-e", "self.count")) -- it has its turn
    end)

    it("survives what no person types", function()
      local long = type_in(("x"):rep(10 * 1024 * 1024) .. "\n1 + 1\n", ":book")
      assert.equal("2\n", long.out)
      assert.matches("at most 1,048,576 bytes", long.err)
      local binary = type_in("\27Lua\n\0\n\255\254\nself.count\n", ":book")
      assert.equal("0\n", binary.out)
      assert.matches("attempt to load a binary chunk", binary.err)
      assert.matches("has a NUL", binary.err)
      assert.matches("UTF%-8", binary.err)
      local nested = attach(":book", "-e", "return " .. ("("):rep(10000) .. (")"):rep(10000))
      assert.equal(1, nested.code)
      local huge = attach(":book", "-e", "('x'):rep(1 << 24)")
      assert.equal(0, huge.code)
      assert.is_true(#huge.out <= 64 * 1024 + 1)
      assert.matches("there is more", huge.err)
      assert.equal("0", value(":book", "-e", "self.count"))
    end)

    it("floods its client no more than it can take", function()
      local ended = attach(":book", "-e", "for i = 1, 1e5 do print(('x'):rep(100)) end return 'all'")
      assert.equal(0, ended.code)
      assert.matches('"all"\n$', ended.out)
    end)

    it("lets several look at once", function()
      local prompts = {}
      for i = 1, 5 do
        prompts[i] = process.start(words("attach", ":book", "-e",
          ("x = %d actor.sleep('50ms') return x"):format(i)))
      end
      for i, prompt in ipairs(prompts) do
        assert.equal(i .. "\n", prompt:wait().out)
      end
    end)
  end)

  describe("inside the host", function()
    before_each(function() start(BOOK) end)

    it("has an actor of its own, which can ask the others", function()
      assert.equal("0", value("-e", "actor.ref('book'):ask('Count', {}).n"))
      assert.equal("3", value("book", "-e", "x = 1 return x + 2"))
    end)

    it("leaves nothing behind", function()
      local before = value("-e", "actor.metrics().actors")
      assert.equal(before, value("-e", "actor.metrics().actors"))
    end)

    it("does not keep a host from ending", function()
      local prompt = process.start(words("attach", "-e", "print('here') actor.sleep('1h')"))
      prompt:line("here")
      assert.equal(0, host:stop("TERM").code)
      prompt:wait()
    end)
  end)

  it("says when the actor has been started again, and keeps its last report", function()
    start(RISKY)
    -- (Whether it fails before or after the first of the sleeps is nobody's promise.)
    local ended = type_in("self.count = 5\nactor.self:send('Fail')\n" .. ("actor.sleep('10ms')\n"):rep(30)
                          .. "self.count\n", ":book")
    assert.matches("it was started again %(error: .*bad luck%)", ended.err)
    assert.equal("0", ended.out:match("(%d+)\n$"))
    assert.equal('"bad luck"', value(":book", "-e", "err:match('bad luck')"))
  end)

  it("keeps a sandbox", function()
    start(BOOK, "--sandbox")
    local ended = attach(":book", "-e", "io.open('/etc/passwd')")
    assert.equal(1, ended.code)
    assert.matches("io", ended.err)
    assert.equal(1, attach(":book", "-e", "os.execute('true')").code)
  end)

  it("says who is not there", function()
    local none = attach()
    assert.equal(5, none.code)
    assert.matches("no host of yours runs", none.err)
    start(BOOK)
    assert.equal(5, attach("brook", "-e", "1").code)
    local actor = attach(":bok", "-e", "1")
    assert.equal(5, actor.code)
    assert.matches("no actor is called 'bok' in book %(did you mean 'book'%?%)", actor.err)
    assert.equal(2, attach(":book", "-e", "1", "-f", "x").code)
  end)

  describe("at a terminal", function()
    local function play(steps, ...)
      return process.run(table.move(words("attach", ...), 1, 100, 4,
                                    { "/usr/bin/python3", "spec/support/terminal.py", program.is_sanitized and "120" or "40" }),
                         { input = table.concat(steps, "\n") .. "\n" })
    end

    before_each(function() start(BOOK) end)

    it("completes names and fields", function()
      local ended = play({
        "expect book/book> ", "send self.cou\\t", "expect self.count", "send \\r", "expect 0",
        "expect book/book> ", "send actor.sel\\t", "expect actor.self", "send \\r", "expect <book>",
        "expect book/book> ", "send \\x04",
      }, ":book")
      assert.equal(0, ended.code, ended.out)
    end)

    it("gives the terminal back as it was, however it is left", function()
      for _, way in ipairs { ":quit\\r", "\\x04" } do
        local ended = process.run(
          { "/usr/bin/python3", "spec/support/terminal.py", program.is_sanitized and "120" or "40", "/bin/sh", "-c",
            'stty -a >"$0/before"; "$@"; stty -a >"$0/after"', folder, table.unpack(words("attach", ":book")) },
          { input = table.concat({ "expect book/book> ", "send self.count\\r", "expect 0", "expect book/book> ",
                                   "send " .. way }, "\n") .. "\n" })
        assert.equal(0, ended.code, ended.out)
        local before <close> = assert(io.open(folder .. "/before"))
        local after <close> = assert(io.open(folder .. "/after"))
        assert.equal(before:read("a"), after:read("a"))
      end
    end)

    it("takes back an endless expression at ^C, and the actor goes on", function()
      if not signals_arrive then
        return
      end
      local ended = play({
        "expect book/book> ", "send self.count = 7\\r",
        "expect book/book> ", "send print('spins') while true do end\\r", "expect spins\\n", "send \\x03",
        "expect attach:1: interrupted",
        "expect book/book> ", "send print('waits') actor.sleep('1h')\\r", "expect waits\\n", "send \\x03",
        "expect interrupted where it waited",
        "expect book/book> ", "send self.count\\r", "expect 7", "expect book/book> ", "send :quit\\r",
      }, ":book")
      assert.equal(0, ended.code, ended.out)
    end)

    it("asks on while a chunk is not complete, forgets it at ^C", function()
      local ended = play({
        "expect book/book> ", "send for i = 4, 5 do\\r", "expect          > ", "send print('got', i)\\r",
        "expect          > ", "send end\\r", "expect got\\t4", "expect got\\t5",
        "expect book/book> ", "send for i = 1, 2 do\\r", "expect          > ", "send \\x03",
        "expect book/book> ", "send 'fine'\\r", 'expect "fine"', "expect book/book> ", "send \\x04",
      }, ":book")
      assert.equal(0, ended.code, ended.out)
    end)

    it("changes the actor, and remembers what was typed", function()
      local ended = play({
        "expect book/book> ", "send :use\\r", "expect book> ", "send :actors\\r", "expect book\\n", "expect book> ",
        "send :use bok\\r", "expect did you mean 'book'", "expect book> ", "send :use book\\r",
        "expect book/book> ", "send :frobnicate\\r", "expect is no command", "expect book/book> ", "send \\x04",
      }, ":book")
      assert.equal(0, ended.code, ended.out)
      local stat <close> = assert(io.popen("stat -c '%a' " .. folder .. "/state/troupe/history"))
      assert.equal("600", stat:read("l"))
      ended = play({
        "expect book> ", "send \\x1b[A\\x1b[A\\r", "expect book/book> ", "send \\x04",
      })
      assert.equal(0, ended.code, ended.out)
    end)

    it("says at once when the actor has ended", function()
      local ended = play({
        "expect book/book> ", "send actor.after('100ms', 'Nothing') actor.self:stop()\\r", "expect has ended",
      }, ":book")
      assert.equal(5, ended.code, ended.out)
    end)
  end)
end)
