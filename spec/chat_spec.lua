-- examples/chat: a real host, and clients of it over TCP. spec/interop/chat.py plays
-- them; what it can be told stands at its top.
local process = require "spec.support.process"
local program = require "spec.support.program"

local SERVER = "examples/chat/server.lua"
local CLIENTS = { "/usr/bin/python3", "-B", "spec/interop/chat.py" }

describe("the chat", function()
  local host, port

  after_each(process.end_all)

  local function serve(...)
    host = process.start(process.troupe { "run", SERVER, "--", ":0", ... }, 300)
    port = host:line("listening on"):match(":(%d+) ")
  end

  -- The same, with somebody backstage; its port.
  local function serve_with_backstage()
    host = process.start(process.troupe { "run", SERVER, "spec/support/chat_backstage.lua", "--", ":0" }, 300)
    port = host:line("listening on"):match(":(%d+) ")
    return host:line("backstage"):match("(%d+)$")
  end

  local function words(...)
    return table.move({ port, ... }, 1, 1 + select("#", ...), #CLIENTS + 1, { table.unpack(CLIENTS) })
  end

  local function clients(what, ...)
    local ended = process.start(words(what, ...), 300):wait()
    assert.same({ code = 0, err = "" }, { code = ended.code, err = ended.err })
    return ended.out
  end

  local function play(text)
    local ended = process.run(words("play"), { input = text })
    assert.equal("", ended.err)
    assert.equal(0, ended.code)
  end

  -- It ends when it is asked to, and has reported nothing.
  local function stop(expected)
    local ended = host:stop("TERM")
    assert.equal(0, ended.code)
    if expected then assert.matches(expected, ended.err) else assert.equal("", ended.err) end
  end

  it("plays the session of its comment, as printed", function()
    serve()
    local file <close> = assert(io.open(SERVER))
    local steps, typed = {}, { "left", "right" }
    for left, right in file:read("a"):gmatch("%-%-   ([^\n]-) *|([^\n]*)") do
      for i, line in ipairs { left, right } do
        line = line:match("^ *(.-)$")
        local who = typed[i]
        if line:find("^%$ nc ") then
          table.insert(steps, who .. " comes to " .. port)
        elseif line:find("^%*") or line:find("^%a+: ") or line:find("^%[") then
          table.insert(steps, who .. " sees " .. line)
        elseif line ~= "" then
          table.insert(steps, who .. " says " .. line)
        end
      end
    end
    assert.equal(33, #steps)
    play(table.concat(steps, "\n"))
    stop()
  end)

  it("shows everybody in a room what is said there, and nobody else", function()
    serve()
    play [[
      a comes
      b comes
      c comes
      a finds * guest3 has come in.
      b sees * guest3 has come in.
      c says /join attic
      c sees * You are in attic, alone.
      a sees * guest3 has gone to attic.
      a says one
      b finds guest1: one
      c says two
      b says three
      a sees guest2: three
      c says /leave
      c sees * You are in lobby, with guest1, guest2.
      a sees * guest3 has come in.
      b sees * guest3 has come in.
      c says /who
      c sees * guest1, guest2, guest3
      c says /rooms
      c sees * lobby (3)
    ]]
    stop()
  end)

  it("tells somebody alone what nobody else is to read, in whatever room", function()
    serve()
    play [[
      a comes
      b comes
      b says /join attic
      b sees * You are in attic, alone.
      a says /msg GUEST2 psst
      b sees [guest1] psst
      a finds * guest2 has gone to attic.
      a says /msg carol hello
      a sees * Nobody is called carol.
      a says /msg guest2
      a sees * Write it so: /msg NAME TEXT
    ]]
    stop()
  end)

  it("says what is wrong with a command, and which was perhaps meant", function()
    serve()
    play [[
      a comes
      b comes
      b says /nick Bob
      b sees * You are Bob now.
      a finds * guest2 is Bob now.
      a says /nick bob
      a sees * Somebody is called Bob already.
      a says /nick 7up
      a sees * A nickname is made of letters, digits, - and _, and begins with a letter: not '7up'.
      a says /nick aaaaaaaaaaaaaaaaa
      a sees * A nickname has at most 16 letters.
      a says /nick
      a sees * A nickname is made of letters, digits, - and _, and begins with a letter: not ''.
      a says /join the kitchen
      a sees * The name of a room is made of letters, digits, - and _, and begins with a letter: not 'the kitchen'.
      a says /join #Lobby
      a sees * You are in lobby already.
      a says /leave
      a sees * You are in the lobby; to leave the chat, /quit.
      a says /jion
      a sees * There is no /jion (did you mean /join?). /help lists all.
      a says /dance
      a sees * There is no /dance. /help lists all.
      a says /
      a sees * There is no /. /help lists all.
      b says /nick BOB
      b sees * You are BOB now.
      a sees * Bob is BOB now.
    ]]
    stop()
  end)

  it("takes telnet's line ends and talk, and shows nobody what is unfit for a terminal", function()
    serve()
    play [[
      a comes
      b comes
      a finds * guest2 has come in.
      b says hello\r
      a sees guest2: hello
      b says /nick bob\r
      b sees * You are bob now.
      a sees * guest2 is bob now.
      b says \xff\xfd\x06still here
      a sees bob: still here
      b says \x1b[2J\x07\x00 bell
      a sees bob: ?[2J?? bell
      b says \xe9t\xe9
      a sees bob: ?t?
      b says \xc3\xa9t\xc3\xa9 \xc2\x9b
      a sees bob: été ?
      b says
      b says \x20  indented\t
      a sees bob: indented
    ]]
    stop()
  end)

  it("says so of a line that is too long, and ends what never ends", function()
    serve()
    play(([[
      a comes
      b comes
      a finds * guest2 has come in.
      b says %s
      a sees guest2: %s
      b says %s
      b sees * That was not said: 1001 bytes, and 1000 are the most.
      b says %s
      a sees * guest2 was dropped: a line without an end.
    ]]):format(("x"):rep(1000), ("x"):rep(1000), ("x"):rep(1001), ("x"):rep(100000)))
    stop()
  end)

  it("tells the others of whoever goes, ends the input, or vanishes", function()
    serve()
    play(([[
      a comes
      b comes
      c comes
      d comes
      a finds * guest4 has come in.
      b says last words
      b ends
      b finds * Goodbye.
      b is out
      a sees guest2: last words
      a sees * guest2 has left.
      c vanishes
      a sees * guest3 has vanished.
      d says /quit %s
      d finds * The last words have 201 bytes, and 200 are the most.
      d says /quit it is late
      d finds * Goodbye.
      d is out
      a sees * guest4 has left (it is late).
      a says /who
      a sees * guest1
      a insists /rooms => * lobby (1)
      e comes
      e says /nick guest2
      e sees * You are guest2 now.
    ]]):format(("x"):rep(201)))
    stop()
  end)

  it("has no more people than it may", function()
    serve("2")
    play(([[
      a comes
      b comes
      c comes to %s
      c sees * There are 2 people here, which is the limit. Try again later.
      c is out
      b says /quit
      b finds * Goodbye.
      a finds * guest2 has left.
      a insists /rooms => * lobby (1)
      c comes
      a sees * guest3 has come in.
    ]]):format(port))
    stop()
  end)

  it("has no more rooms than it may, and closes those that are empty", function()
    serve()
    local steps = {}
    for i = 1, 99 do
      table.insert(steps, ("p%d comes\np%d says /join room%d\np%d finds * You are in room%d, alone."):format(i, i, i, i, i))
    end
    play(table.concat(steps, "\n") .. [[

      last comes
      last says /join room100
      last sees * There are 100 rooms, which is the limit.
      last says /join room99
      last sees * You are in room99, with guest99.
      p1 says /join room99
      p1 finds * You are in room99, with guest100, guest99.
      last finds * guest1 has come in.
      p2 says /join room1
      p2 finds * You are in room1, alone.
      last says /join room2
      last finds * You are in room2, alone.
    ]])
    stop()
  end)

  it("goes on, with those who are in a room, when the room fails", function()
    local backstage = serve_with_backstage()
    play(([[
      a comes
      b comes
      a finds * guest2 has come in.
      a says before
      b sees guest1: before
      x comes to %s
      x says spoil
      x sees spoilt
      a says lost
      a finds * That went wrong. Please try again.
      a says after
      b finds guest1: after
      b vanishes
      a finds * guest2 has vanished.
    ]]):format(backstage))
    stop("room.lobby.1.*a room has started again {members=2 room=lobby}")
  end)

  it("drops who does not read, whom nobody has to wait for", function()
    local backstage = serve_with_backstage()
    local function peak()
      local asked = process.run({ "bash", "-c",
        ("exec 3<>/dev/tcp/127.0.0.1/%s; echo memory >&3; read -t 60 -u 3 kib; echo $kib"):format(backstage) })
      return assert(tonumber(asked.out), asked.err)
    end
    local before = peak()
    local p99, dropped_at = clients("flood", "10000"):match("p99_ms=(%d+) dropped_at=(%d+)")
    assert.is_true(tonumber(p99) < 5000, p99 .. " ms")
    -- 256 KiB wait in the stream, the rest in the kernel.
    assert.is_true(tonumber(dropped_at) < 10000, dropped_at .. " lines")
    if not program.is_sanitized then
      local grown = peak() - before
      assert.is_true(grown < 16 * 1024, grown .. " KiB")
    end
    stop()
  end)

  it("serves 200 at once, who all hear all in the same order", function()
    serve()
    assert.equal("200 heard 199 others each, in one order\n", clients("crowd", "200"))
    stop()
  end)

  it("keeps nothing of those who have gone as soon as they came", function()
    serve()
    clients("vanish", "300")
    stop()
  end)

  it("tells everybody when it stops, and that is the last that they hear", function()
    serve()
    local crowd = process.start(words("last", "20"), 300)
    crowd:line("all are here")
    stop()
    for _ = 1, 20 do
      assert.matches("^%* The server stops%. Goodbye%. %d+$", crowd:line())
    end
    assert.equal(0, crowd:wait().code)
  end)

  it("says what is wrong with where it should listen", function()
    local function refused(...)
      local ended = process.run(process.troupe { "run", SERVER, "--", ... })
      assert.equal(1, ended.code)
      return ended.err
    end
    serve()
    assert.matches("cannot listen on tcp://127.0.0.1:" .. port .. ": it is taken by process %d+ %(.*%)", refused(port))
    assert.matches("'here' is no endpoint", refused("here"))
    assert.matches("the second argument is how many people there may be", refused(":0", "many"))
    stop()
  end)
end)
