-- troupe repl as a person types it, at a terminal.
local process = require "spec.support.process"
local program = require "spec.support.program"

local PONG = [[
local Pong = {}
function Pong:on_ping(msg, env) env:reply("Pong", msg) end
function Pong:on_line(msg) print("line " .. msg.n) end
function Pong:on_hold(_, env) self.held = env:defer() print("it is held") end
return Pong
]]

describe("troupe repl at a terminal", function()
  local folder

  before_each(function()
    folder = process.make_folder()
    process.write_file(folder .. "/pong.lua", PONG)
  end)
  after_each(function()
    process.end_all()
    process.remove_folder(folder)
  end)

  local function words(...)
    return { "env", "-C", folder, "XDG_RUNTIME_DIR=" .. folder, "XDG_STATE_HOME=" .. folder .. "/state", program.path, ... }
  end

  -- Plays the steps and returns what was seen.
  local function play(steps, ...)
    local ended = process.run(table.move(words("repl", ...), 1, 100, 4,
                                         { "/usr/bin/python3", "spec/support/terminal.py", program.is_sanitized and "120" or "40" }),
                              { input = table.concat(steps, "\n") .. "\n" })
    assert.equal(0, ended.code, ended.out .. ended.err)
    return ended.out
  end

  it("completes commands, names and types", function()
    play {
      "expect repl> ", 'send actor "pong" { "pong.lua" }\\r', "expect pong runs",
      "expect repl> ", "send as\\tpo\\tPi\\tcount:=7\\r", 'expect Pong {"count": 7}',
      "expect repl> ", "send ask pong \\t\\t", "expect Hold", "expect Line", "expect Ping", "send \\x03",
      "expect repl> ", "send :q\\t\\r",
    }
  end)

  it("asks on while a declaration is not complete, and forgets it at ^C", function()
    play {
      "expect repl> ", 'send actor "pong" {\\r', "expect     > ", 'send "pong.lua",\\r', "expect     > ", "send }\\r", "expect pong runs",
      "expect repl> ", 'send actor "other" {\\r', "expect     > ", "send \\x03",
      "expect repl> ", "send pong Ping\\r", "expect Pong {}", "expect repl> ", "send \\x04",
    }
  end)

  it("gives up an answer at ^C, and goes on", function()
    play {
      "expect repl> ", 'send actor "pong" { "pong.lua" }\\r', "expect pong runs",
      "expect repl> ", "send watch\\r", "expect watching all messages",
      "expect repl> ", "send ask pong Hold\\r", "expect it is held", "send \\x03", "expect given up",
      "expect repl> ", "send pong Ping n:=1\\r", 'expect Pong {"n": 1}', "expect repl> ", "send :quit\\r",
    }
  end)

  it("gives up the answer of another host, too, and hears the actors here meanwhile", function()
    local host = process.start(words("run", folder .. "/pong.lua", "--bind", ":0"))
    local endpoint = host:error_line("listening on"):match("tcp://%S+")
    play {
      "expect repl> ", [[send actor "beat" { source = "function on_start() actor.every('100ms', 'Beat') end ]]
        .. [[function on_beat(self) print('a ' .. 'beat') end" }\r]], "expect beat runs",
      "expect repl> ", "send ask pong@" .. endpoint .. " Hold\\r", "expect Hold", "expect a beat", "expect a beat", "send \\x03",
      "expect given up", "expect repl> ", "send :quit\\r",
    }
    assert.equal(0, host:stop("TERM").code)
  end)

  it("shows what comes meanwhile above the line that is typed, which stays", function()
    play {
      "expect repl> ", 'send actor "pong" { "pong.lua" }\\r', "expect pong runs",
      "expect repl> ", "send watch pong\\r", "expect watching what pong sends and gets", "expect repl> ",
      "send " .. [[actor "feed" { source = "function on_start(self) actor.every('100ms', 'Tick') end n = 0 ]]
        .. [[function on_tick(self) n = n + 1 actor.ref('pong'):send('Line', {n = n}) end" }\r]],
      "expect feed runs", "expect line 1", "expect feed -> pong  Line {", "expect repl> ",
      "send stop fe", "expect feed -> pong  Line {", "expect repl> stop fe", "send ed\\r", "expect feed was stopped",
      "expect repl> ", "send :quit\\r",
    }
  end)

  it("says at once that its host has ended", function()
    play {
      "expect repl> ", [[send actor "end" { source = "function on_start() actor.after('300ms', 'End') end function on_end() actor.stop_host(3) end" }\r]],
      "expect end runs", "expect repl> ", "send st", "expect the host has ended (exit code 3)", "expect repl> st", "send op end\\r",
      "expect it was started again", "expect end was stopped", "expect repl> ", "send :quit\\r",
    }
  end)

  it("remembers what was typed for the next time", function()
    play { "expect repl> ", "send check\\r", "expect there are no actors yet", "expect repl> ", "send \\x04" }
    play { "expect repl> ", "send \\x1b[A\\r", "expect there are no actors yet", "expect repl> ", "send \\x04" }
  end)

  it("gives the terminal back as it was, however it is left", function()
    for _, way in ipairs { ":quit\\r", "\\x04" } do
      local ended = process.run(
        { "/usr/bin/python3", "spec/support/terminal.py", program.is_sanitized and "120" or "40", "/bin/sh", "-c",
          'stty -a >"$0/before"; "$@"; stty -a >"$0/after"', folder, table.unpack(words("repl")) },
        { input = table.concat({ "expect repl> ", "send check\\r", "expect no actors yet", "expect repl> ", "send " .. way }, "\n") .. "\n" })
      assert.equal(0, ended.code, ended.out)
      local before <close> = assert(io.open(folder .. "/before"))
      local after <close> = assert(io.open(folder .. "/after"))
      assert.equal(before:read("a"), after:read("a"))
    end
  end)
end)
