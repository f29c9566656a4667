-- troupe repl: a topology that is typed, runs at once, and becomes a file. Here its lines
-- come from a pipe; spec/repl_terminal_spec.lua types them.
local process = require "spec.support.process"
local program = require "spec.support.program"

local OK, FAILED, USAGE = 0, 1, 2

local PONG = [[
local Pong = {}
function Pong:on_start() self.n = 0 end
function Pong:on_ping(msg, env)
  self.n = self.n + 1
  env:reply("Pong", { count = msg.count, n = self.n })
end
function Pong:on_say(msg) print("said: " .. msg.text) end
function Pong:on_fail() error "bad luck" end
function Pong:on_hold(_, env) self.held = env:defer() end
function Pong:on_leave() actor.stop_host(3) end
function Pong:on_child() actor.spawn("pong.lua", { name = "child" }) end
return Pong
]]

local PING = [[
local Ping = {}
function Ping:on_go(_, env)
  local answer, why = self.config.to:ask("Ping", { count = 9 })
  env:reply("Went", answer or { why = why.reason })
end
return Ping
]]

describe("troupe repl", function()
  local folder

  before_each(function()
    folder = process.make_folder()
    process.write_file(folder .. "/pong.lua", PONG)
    process.write_file(folder .. "/ping.lua", PING)
    process.write_file(folder .. "/broken.lua", "local x =")
    process.write_file(folder .. "/dies.lua", "return { on_start = function() error 'no luck' end }")
  end)
  after_each(function()
    process.end_all()
    process.remove_folder(folder)
  end)

  local function words(...)
    return { "env", "-C", folder, "PWD=" .. folder, program.path, ... }
  end

  -- Types these lines.
  local function type_in(lines, ...)
    return process.run(words("repl", ...), { input = table.concat(lines, "\n") .. "\n" })
  end

  -- What is seen for them; they go well unless `code` says otherwise.
  local function see(lines, code)
    local ended = type_in(lines)
    assert.equal(code or OK, ended.code, ended.out .. ended.err)
    return ended.out, ended.err
  end

  local function read(name)
    local file <close> = assert(io.open(folder .. "/" .. name))
    return file:read("a")
  end

  describe("runs what is declared:", function()
    it("an actor, at once", function()
      local out, err = see { 'actor "pong" { "pong.lua" }', "ask pong Ping count:=1" }
      assert.equal('Pong {"count": 1, "n": 1}\n', out)
      assert.equal("pong runs\n", err)
    end)

    it("the text of a script, over several lines", function()
      local out = see {
        'actor "echo" { source = [[', "function on_echo(_, msg, env)", '  env:reply("Echo", msg)', "end", "]] }",
        'actor "two"', '  { "pong" }',
        'echo Echo text="two words" list:=[1, 2]', "two Ping",
      }
      assert.equal('Echo {"list": [1, 2], "text": "two words"}\nPong {"n": 1}\n', out)
    end)

    it("a ref to what is declared later; until then check says so", function()
      local out, err = see {
        'actor "ping" { "ping.lua", config = { to = ref "pong" } }', "ping Go", 'actor "pong" { "pong.lua" }', "ping Go",
      }
      assert.equal('Went {"why": "down"}\nWent {"count": 9, "n": 1}\n', out)
      assert.matches("^ping runs\ncheck: actor 'ping': config.to: ref 'pong'[^\n]*\npong runs\n$", err)
    end)

    it("a group of instances, also one of them", function()
      local out = see { 'actor "pong" { "pong.lua", instances = 2, route = "round" }', "pong Ping", "pong Ping", "pong.1 Ping" }
      assert.equal('Pong {"n": 1}\nPong {"n": 1}\nPong {"n": 2}\n', out)
    end)

    it("an actor anew that is declared again, and says so", function()
      local out, err = see { 'actor "pong" { "pong.lua" }', "pong Ping", 'actor "pong" { "pong.lua" }', "pong Ping" }
      assert.equal('Pong {"n": 1}\nPong {"n": 1}\n', out)
      assert.equal("pong runs\npong was stopped, and runs anew\n", err)
    end)

    it("actors with the shapes of their links: a message is checked", function()
      local out, err = see({
        'actor "ping" { "ping.lua", config = { to = ref "pong" } }', 'actor "pong" { "pong.lua" }', "pong Ping count:=1",
        'link { "ping", "pong", Ping = { count = "integer" }, answers = "Pong" }', "pong Ping count:=1", "pong Ping cont:=1",
      }, FAILED)
      assert.equal('Pong {"count": 1, "n": 1}\nPong {"count": 1, "n": 1}\n', out)
      assert.matches("\nping %-> pong: Ping, answers Pong\nping, pong: started anew, for what was declared is a part of it\n", err)
      assert.matches("Bad field 'cont' in Ping", err)
    end)
  end)

  describe("says what is wrong with a declaration, and all is as before:", function()
    it("a word that there is not", function()
      local _, err = see({ 'actor "a" { sorce = "x" }' }, FAILED)
      assert.matches("actor 'a' has no option 'sorce' %(did you mean 'source'%?%)\n", err)
    end)

    it("in which line", function()
      local _, err = see({ 'actor "a" {', '  "pong.lua",', "  falure = 1 }" }, FAILED)
      assert.matches("^line %d: actor 'a' has no option 'falure' %(did you mean 'failure'%?%)\n$", err)
    end)

    it("a script that does not load, or is not there", function()
      local out, err = see({ 'actor "pong" { "pong.lua" }', 'actor "pong" { "broken.lua" }', 'actor "b" { "none.lua" }', "pong Ping" },
                           FAILED)
      assert.matches("\nactor 'pong': broken.lua:1: unexpected symbol near <eof>\n", err)
      assert.matches("\nactor 'b': no script 'none.lua'", err)
      assert.equal('Pong {"n": 1}\n', out)
    end)

    it("one that cannot start: what was there before is started again", function()
      local out, err = see({ 'actor "pong" { "pong.lua" }', 'actor "pong" { "dies.lua" }', "pong Ping", 'actor "b" { "dies.lua" }' }, FAILED)
      assert.matches("actor 'pong' could not start: dies.lua:1: no luck\npong: as before, but started anew\n", err)
      assert.matches("actor 'b' could not start: dies.lua:1: no luck\n$", err)
      assert.equal('Pong {"n": 1}\n', out)
    end)

    it("a link to who has no handler, as check does; the link is there", function()
      local out, err = see({ 'actor "ping" { "ping.lua" }', 'actor "pong" { "pong.lua" }', 'link { "ping", "pong", "Pling" }', "check" }, FAILED)
      assert.matches("\ncheck: pong.lua has no on_pling %(did you mean on_ping%?%)\n", err)
      assert.matches("pong.lua has no on_pling %(did you mean on_ping%?%)\n", out)
    end)
  end)

  describe("talks with actors:", function()
    it("ask fails without an answer, and a message alone does not", function()
      local out, err = see({ 'actor "pong" { "pong.lua" }', "pong Say text=one", "ask pong Say text=two" }, FAILED)
      assert.equal("said: one\nsaid: two\n", out)
      assert.equal("pong runs\npong gave no answer to Say\npong gave no answer to Say\n", err)
      assert.equal(OK, type_in({ 'actor "pong" { "pong.lua" }', "pong Say text=one" }).code)
    end)

    it("send does not wait; what was sent is handled before the host ends", function()
      assert.equal("said: one\n", see { 'actor "pong" { "pong.lua" }', "send pong Say text=one" })
    end)

    it("a failing handler is reported, and its asker told", function()
      local _, err = see({ 'actor "pong" { "pong.lua" }', "pong Fail", "pong Ping" }, FAILED)
      assert.matches("error pong.lua:%d+: bad luck\n  actor    pong", err)
      assert.matches("\npong.lua:%d+: bad luck\n", err)
    end)

    it("a type that nobody handles: which there are", function()
      local _, err = see({ 'actor "pong" { "pong.lua" }', "pong Nope", "pong" }, FAILED)
      assert.matches("\nUnknown message type: Nope; pong takes Child, Fail, Hold, Leave, Ping, Say\n", err)
      assert.matches("\nwrite NAME TYPE field=text field:=JSON; pong takes Child, Fail, Hold, Leave, Ping, Say\n", err)
    end)

    it("no answer in time", function()
      local ended = type_in({ 'actor "pong" { "pong.lua" }', "ask pong Hold" }, "--timeout", "300ms")
      assert.equal("pong runs\nno answer from pong to Hold in 0.3 s\n", ended.err)
      assert.equal(FAILED, ended.code)
    end)

    it("an external, and any address", function()
      local host = process.start(words("run", "pong.lua", "--bind", ":0"))
      local endpoint = host:error_line("listening on"):match("tcp://%S+")
      local out, err = see { ('external "far" { "%s", from = "troupe", actor = "pong" }'):format(endpoint), "ask far Ping count:=1",
                             "ask pong@" .. endpoint .. " Ping count:=2" }
      assert.equal('Pong {"count": 1, "n": 1}\nPong {"count": 2, "n": 2}\n', out)
      assert.equal(("far is at %s\n"):format(endpoint), err)
      assert.equal(0, host:stop("TERM").code)
    end)

    it("shows the messages that pass, as long as they are watched", function()
      local out = see { 'actor "ping" { "ping.lua", config = { to = ref "pong" } }', 'actor "pong" { "pong.lua" }', "watch pong",
                        "ping Go", "unwatch", "ping Go" }
      assert.matches('ask     ping %-> pong  Ping {"count": 9}  [^\n]*replied Pong\n', out)
      assert.is_nil(out:find("Go ", 1, true), "that is not pong's")
      assert.equal(1, select(2, out:gsub("ask     ping %-> pong", "")))
    end)

    it("of a name that is not declared: it may come, or be meant for another", function()
      local _, err = see { 'actor "pong" { "pong.lua" }', "watch pogn", "watch child" }
      assert.matches("\nwatching what pogn sends and gets; unwatch ends it %(did you mean 'pong'%?%)\n", err)
      assert.matches("\nwatching what child sends and gets; unwatch ends it\n", err, 1, true)
    end)
  end)

  describe("knows what there is:", function()
    it("stop ends an actor and takes it away, with its links", function()
      local out, err = see({ 'actor "ping" { "ping.lua" }', 'actor "pong" { "pong.lua" }', 'link { "ping", "pong", "Ping" }', "stop pong",
                             "pong Ping", "stop pong", "check" }, FAILED)
      assert.matches("\npong was stopped\nthe link ping %-> pong went with it\n", err)
      assert.matches("\nno actor is named 'pong'[^\n]*\nno actor is named 'pong'", err)
      assert.equal("", out)
    end)

    it("stop also ends what actors have made", function()
      local out, err = see({ 'actor "pong" { "pong.lua" }', "pong Child", "child Ping", "stop child", "pong Ping" })
      assert.equal('Pong {"n": 1}\nPong {"n": 1}\n', out)
      assert.matches("\nchild: [^\n]+\n", err)
    end)

    it("unlink takes a link away", function()
      local out, err = see({ 'actor "ping" { "ping.lua" }', 'actor "pong" { "pong.lua" }', 'link { "ping", "pong", "Ping" }',
                             "unlink ping pong", "graph", "unlink ping pong" }, FAILED)
      assert.is_nil(out:find("-->", 1, true))
      assert.matches("\nthere is no link ping %-> pong\n$", err)
    end)

    it("an actor goes on when a link with shapes is taken away, and not when there are others", function()
      local LINK = 'link { "ping", "pong", Ping = { count = "%s" } }'
      local out = see { 'actor "ping" { "ping.lua" }', 'actor "pong" { "pong.lua" }', LINK:format "integer", "pong Ping count:=1",
                        "unlink ping pong", "pong Ping count:=2", LINK:format "any", "pong Ping count:=3" }
      assert.equal('Pong {"count": 1, "n": 1}\nPong {"count": 2, "n": 2}\nPong {"count": 3, "n": 1}\n', out)
    end)

    it("ps, and graph", function()
      local out = see { 'actor "ping" { "ping.lua" }', 'actor "pong" { "pong.lua" }', 'link { "ping", "pong", "Ping" }', "ps", "graph" }
      assert.matches("\nping +ping.lua +#1 ", out)
      assert.matches("\npong +pong.lua +#1 ", out)
      assert.is_nil(out:find("node.repl", 1, true))
      assert.matches("\nflowchart LR\n.*ping<br/>ping.lua.*%-%->|\"Ping\"|", out)
    end)

    it("a host that has ended is started again with the next line", function()
      local ended = type_in({ 'actor "pong" { "pong.lua" }', "pong Ping", "pong Leave", "pong Hold", "pong Ping" }, "--timeout", "2s")
      assert.equal('Pong {"n": 1}\nPong {"n": 1}\n', ended.out)
      assert.matches("\nthe host has ended %(exit code 3%)\nit was started again; what its actors knew is lost\n", ended.err)
    end)

    it("a host that does not start any more: what is in its way can be taken away, and all be saved", function()
      process.write_file(folder .. "/once.lua", [[
        return { on_start = function()
          local file = io.open("once", "r")
          if file then error "once was enough" end
          assert(io.open("once", "w")):close()
        end, on_leave = function() actor.stop_host(3) end, on_hold = function(self, _, env) self.held = env:defer() end }]])
      local ended = type_in({ 'actor "once" { "once.lua" }', 'actor "pong" { "pong.lua" }', "once Leave", "once Hold", "once Hold", ":save a.lua",
                              "stop once", "pong Ping" }, "--timeout", "2s")
      assert.matches("\nthe host cannot be started again: [^\n]*once was enough\n", ended.err)
      assert.matches("\nsaved; [^\n]*\nit was started again; what its actors knew is lost\nonce was stopped\n$", ended.err)
      assert.equal('Pong {"n": 1}\n', ended.out)
    end)

    it("a line that is nothing says what to do", function()
      local _, err = see({ "wacth", "bok Ping", ":sav x", "send pong", "ask pong Ping n", "unwatch x", ":save x.lua",
                            'actr "x" {}' }, FAILED)
      assert.equal([[
'wacth' is no command here (did you mean 'watch'?); :help says what there is
no actor is named 'bok'
:sav is no command (did you mean ':save'?): there are :save FILE, :load FILE, :help and :quit
write send NAME TYPE field=text field:=JSON
'n' is no field: write key=text, key:=JSON, {JSON}, @FILE or -
'x' is not watched
there are no actors to save yet
no actor is named 'actr' (or did you mean the word 'actor'?)
]], err)
    end)
  end)

  describe("survives", function()
    it("bytes that are no text", function()
      local out, err = see({ 'actor "pong" { "pong.lua" }', "p\xFF Ping", "ask pong Ping count=\xFF", "\0", "ask pong Ping" }, FAILED)
      assert.equal('Pong {"n": 1}\n', out)
      assert.matches("name: not valid UTF-8", err, 1, true)
      assert.not_matches("traceback", err)
    end)
  end)

  describe("saves", function()
    local TRIED = { 'actor "ping" { "ping.lua", config = { to = ref "pong" } }', 'actor "pong" { "pong.lua", failure = "restart" }',
                    'link { "ping", "pong", Ping = { count = "integer" }, answers = "Pong" }' }

    local function and_then(...)
      return table.move({ ... }, 1, select("#", ...), #TRIED + 1, { table.unpack(TRIED) })
    end

    it("a topology file that was tried: check has nothing against it, and it runs", function()
      see(and_then(":save tried.lua"))
      assert.equal([[
return topology "tried" {
  node "main" {
    actor "ping" { "ping.lua", config = { to = ref "pong" } },
    actor "pong" { "pong.lua", failure = "restart" },
  },
  link { "ping", "pong", Ping = { count = "integer" }, answers = "Pong" },
}
]], read "tried.lua")
      local checked = process.run(words("check", "tried.lua"))
      assert.equal(OK, checked.code, checked.out .. checked.err)

      local up = process.start(words("up", "--one", "tried.lua"))
      local asked
      for _ = 1, 200 do -- until it is there
        asked = process.run(words("ask", "ping", "Go"))
        if asked.code == OK then break end
      end
      assert.equal('Went {"count": 9, "n": 1}\n', asked.out)
      assert.equal(0, up:stop("TERM").code)
    end)

    it("with scripts that are found from where the file is", function()
      process.run { "mkdir", folder .. "/sub" }
      see(and_then(":save sub/tried.lua"))
      assert.matches('actor "ping" { "../ping.lua", ', read "sub/tried.lua")
      assert.equal('Went {"count": 9, "n": 1}\n', see { ":load sub/tried.lua", "ping Go" })
    end)

    it("and overwrites nothing unless told to", function()
      local _, err = see(and_then(":save tried.lua", ":save tried.lua"), FAILED)
      assert.matches("\ntried.lua is there already: :save! tried.lua overwrites it\n$", err)
      see(and_then(":save! tried.lua"))
    end)

    it("and says where it cannot", function()
      local _, err = see(and_then(":save none/tried.lua", ":save"), FAILED)
      assert.matches("\nnone/tried.lua: No such file or directory\nwrite :save FILE, such as :save market.lua\n$", err)
    end)
  end)

  describe("loads", function()
    local TWO = [[return topology "two" {
      node "front" { bind = ":5001", actor "ping" { "ping.lua", config = { to = ref "pong" } } },
      node "back" { bind = ":5002", after = "front", actor "pong" { "pong.lua" } },
    }]]

    before_each(function()
      process.write_file(folder .. "/two.lua", TWO)
    end)

    it("a file, whose nodes become one host", function()
      local out, err = see { ":load two.lua", "ping Go", "ask pong@back Ping" }
      assert.equal('Went {"count": 9, "n": 1}\nPong {"n": 2}\n', out)
      assert.equal("ping, pong run\nits 2 nodes are one host here\n", err)
      assert.equal('Went {"count": 9, "n": 1}\n', type_in({ "ping Go" }, "two.lua").out)
    end)

    it("and saves it with its nodes, changed as it was", function()
      see { ":load two.lua", 'actor "third" { "pong.lua" }', 'node "back" { bind = ":5003", actor "fourth" { "pong.lua" } }',
            ":save new.lua" }
      assert.equal([[
return topology "two" {
  node "front" { bind = ":5001",
    actor "ping" { "ping.lua", config = { to = ref "pong" } },
    actor "third" { "pong.lua" },
  },
  node "back" { bind = ":5003",
    actor "pong" { "pong.lua" },
    actor "fourth" { "pong.lua" },
  },
}
]], read "new.lua")
    end)

    it("and forgets nothing unless told to", function()
      local _, err = see({ 'actor "pong" { "pong.lua" }', ":load two.lua" }, FAILED)
      assert.matches("\nwhat was typed here would be lost: :save it, or :load! two.lua\n$", err)
      local out = see { 'actor "old" { "pong.lua" }', ":load! two.lua", "ping Go" }
      assert.equal('Went {"count": 9, "n": 1}\n', out)
    end)

    it("nothing that is wrong: where, and all is as before", function()
      process.write_file(folder .. "/bad.lua", 'return topology "bad" {\n  nod "x" {},\n}')
      local out, err = see({ 'actor "pong" { "pong.lua" }', ":load! bad.lua", ":load none.lua", "pong Ping" }, FAILED)
      assert.matches("\nbad.lua:2: [^\n]*%(did you mean 'node'%?%)\n", err)
      assert.equal('Pong {"n": 1}\n', out)
      assert.equal(USAGE, type_in({}, "bad.lua").code)
    end)
  end)

  it("listens if it is told to, also to whom", function()
    local ended = process.run(words("repl", "--bind", "nowhere"))
    assert.equal(FAILED, ended.code)
    assert.matches("nowhere", ended.err)
    ended = process.run(words("repl", "--bind", "tcp://*:0"))
    assert.matches("give [^\n]*%-%-open", ended.err)

    assert(os.execute(("mkfifo '%s/typed'"):format(folder)))
    local host = process.start { "sh", "-c", 'cd "$1" && exec "$2" repl --bind :0 <typed', "sh", folder, program.path }
    local typed <close> = assert(io.open(folder .. "/typed", "w"))
    typed:setvbuf("no")
    local endpoint = host:error_line("listening on"):match("tcp://%S+")
    typed:write('actor "pong" { "pong.lua" }\n')
    host:error_line("pong runs")
    assert.equal('Pong {"count": 1, "n": 1}\n', process.run(process.troupe { "ask", "pong@" .. endpoint, "Ping", "count:=1" }).out)
    typed:write(":quit\n")
    assert.equal(OK, host:wait().code)
  end)

  it("ends at :quit, and says how it is used", function()
    assert.equal("", (see { ":quit", "ps" }))
    assert.matches("send pong Ping count:=1", (see { ":help" }))
    assert.equal("", (see { "exit", "ps" }))
  end)
end)
