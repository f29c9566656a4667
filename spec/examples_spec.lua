-- Every example prints what the `expect:` lines inside it say, line by line.
local process = require "spec.support.process"
local Stage = require "troupe.stage"

local program = process.troupe({})[1]
local PYTHON = "/usr/bin/python3" -- Debian's python3-zmq is for this one
local has_zmq = os.execute(PYTHON .. " -c 'import zmq' 2>/dev/null") == true

-- What a file says of its own output.
local function expected(path)
  local lines = {}
  for line in io.lines(path) do
    local text = line:match("^%-%- expect:(.*)$") or line:match("^ %* expect:(.*)$")
      or line:match("^# expect:(.*)$")
    if text then table.insert(lines, (text:gsub("^ ", ""))) end
  end
  assert(#lines > 0, path .. " does not say what it prints")
  return lines
end

local function lines_of(text)
  local lines = {}
  for line in text:gmatch("([^\n]*)\n") do table.insert(lines, line) end
  return lines
end

local function troupe(...)
  return process.run(process.troupe { ... })
end

local function assert_prints(path, ended)
  assert.same({ code = 0, err = "" }, { code = ended.code, err = ended.err })
  assert.same(expected(path), lines_of(ended.out))
end

-- A host that runs scripts until it is stopped; where it listens.
local function serve(...)
  local host = process.start(process.troupe { "run", "--bind", ":0", ... })
  return host, host:error_line("listening on"):match("tcp://%S+$")
end

-- The same for a script that ends by itself, with that host behind `--`.
local function troupe_to(endpoint, ...)
  local ended = troupe("run", "--bind", ":0", ..., "--", endpoint)
  ended.err = ended.err:gsub("^[%w_]+ +listening on tcp://127%.0%.0%.1:%d+\n", "")
  return ended
end

local function python(...)
  return { PYTHON, "-B", ... }
end

local function sorted(lines)
  table.sort(lines)
  return lines
end

describe("the example", function()
  after_each(process.end_all)

  local list <close> = assert(io.popen("ls examples/*.lua examples/patterns/*.lua examples/vm/*.lua"))
  for path in list:lines() do
    it(path .. " prints what it says", function()
      assert_prints(path, troupe("run", path))
    end)
  end

  it("examples/users.lua serves the session in its comment", function()
    local _, endpoint = serve("examples/users.lua", "--", "serve")
    local file <close> = assert(io.open("examples/users.lua"))
    local played = 0
    for words, answer in file:read("a"):gmatch("%-%-   %$ troupe ask users@:5001 ([^\n]*)\n%-%-   ([^\n]*)\n") do
      local asked = { "ask", "users@" .. endpoint }
      for word in words:gmatch("%S+") do table.insert(asked, word) end
      local ended = troupe(table.unpack(asked))
      assert.equal(answer .. "\n", ended.out .. ended.err)
      played = played + 1
    end
    assert.equal(6, played)
  end)

  it("examples/timer.lua ticks on time, on the stage", function()
    local stage = Stage.new()
    local timer = assert(stage:spawn("examples/timer.lua"))
    stage:advance("2.4s")
    assert.equal("TimerActor: Periodic tick #4", table.remove(stage:output()))
    stage:advance("0.2s")
    assert.same({ "TimerActor: *** COUNTDOWN COMPLETE! One-shot timer fired! ***",
                  "TimerActor: Periodic tick #5" }, stage:output())
    stage:stop(timer)
    stage:run()
    stage:output()
    stage:close()
  end)

  it("examples/timer.lua prints the same when it is told to hurry", function()
    -- A machine that is busy for one fast tick swaps two lines, so not their order.
    local ended = troupe("run", "examples/timer.lua", "--", "10")
    assert.same({ code = 0, err = "" }, { code = ended.code, err = ended.err })
    assert.same(sorted(expected("examples/timer.lua")), sorted(lines_of(ended.out)))
  end)

  it("examples/remote_ping_pong prints what it says, in two processes", function()
    local folder = "examples/remote_ping_pong/"
    local pong = process.start(process.troupe { "run", folder .. "pong.lua", "--bind", ":0" })
    local endpoint = pong:error_line("pong     listening on"):match("tcp://%S+$")
    local ping = troupe("run", folder .. "ping.lua", "--bind", ":0", "--", endpoint)
    assert.matches("^ping     listening on tcp://127%.0%.0%.1:%d+\n$", ping.err)
    ping.err = ""
    assert_prints(folder .. "ping.lua", ping)
    assert_prints(folder .. "pong.lua", pong:stop("TERM"))
  end)

  it("examples/remote_ping_pong/ping.lua says so when there is no pong at that place", function()
    local empty = process.start(process.troupe { "-e", "function on_start() end", "--bind", ":0" })
    local endpoint = empty:error_line("listening on"):match("tcp://%S+$")
    local ping = troupe("run", "examples/remote_ping_pong/ping.lua", "--bind", ":0", "--", endpoint)
    assert.equal(1, ping.code)
    assert.matches("Rejected: Actor 'pong' not found\n$", ping.out)
  end)

  describe("examples/reject", function()
    local folder = "examples/reject/"

    it("prints what it says, in two processes", function()
      local receiver, endpoint = serve(folder .. "receiver.lua")
      assert_prints(folder .. "sender.lua", troupe_to(endpoint, folder .. "sender.lua"))
      local ended = receiver:stop("TERM")
      assert.matches("^%S+ %S+ warn  receiver: no handler on_unknownmessage for UnknownMessage from elsewhere[^\n]*\n$",
                     ended.err)
      ended.err = ""
      assert_prints(folder .. "receiver.lua", ended)
    end)

    it("names every reason for a Reject", function()
      local _, endpoint = serve(folder .. "receiver.lua", folder .. "busy.lua")
      assert_prints(folder .. "reasons.lua", troupe_to(endpoint, folder .. "reasons.lua"))
    end)
  end)

  it("examples/two_pings gives each ping its own pongs, in three processes", function()
    local folder = "examples/two_pings/"
    local pong, endpoint = serve(folder .. "pong.lua")
    local pings = {}
    for i, name in ipairs { "ping", "ping2" } do
      pings[i] = process.start(process.troupe {
        "run", folder .. "ping.lua", "--bind", ":0", "--name", name, "--", endpoint })
    end
    local function as(name, path)
      local lines = expected(path)
      for i, line in ipairs(lines) do lines[i] = line:gsub("ping:", name .. ":"):gsub("from ping$", "from " .. name) end
      return lines
    end
    for i, name in ipairs { "ping", "ping2" } do
      local ended = pings[i]:wait()
      assert.equal(0, ended.code, ended.err)
      assert.same(as(name, folder .. "ping.lua"), lines_of(ended.out))
    end
    local heard = { ping = {}, ping2 = {} }
    for _, line in ipairs(lines_of(pong:stop("TERM").out)) do
      table.insert(heard[line:match("from (%w+)$")], line)
    end
    assert.same({ ping = as("ping", folder .. "pong.lua"), ping2 = as("ping2", folder .. "pong.lua") }, heard)
  end)

  describe("examples/remote_python", function()
    local it = has_zmq and it or function(name) pending(name .. " (needs python3-zmq)") end
    local folder, ours = "examples/remote_python/", "examples/remote_ping_pong/"
    local ANY = "tcp://127.0.0.1:0"

    -- The pong in Python; where it listens, from its first line.
    local function serve_python()
      local pong = process.start(python(folder .. "pong.py", ANY))
      return pong, "tcp://127.0.0.1:" .. pong:line("Pong ready on port"):match("%d+")
    end

    it("has a ping in Python for our pong", function()
      local pong, endpoint = serve(ours .. "pong.lua")
      assert_prints(folder .. "ping.py", process.run(python(folder .. "ping.py", endpoint, ANY)))
      assert_prints(ours .. "pong.lua", pong:stop("TERM"))
    end)

    it("has a pong in Python for our ping", function()
      local pong, endpoint = serve_python()
      assert_prints(ours .. "ping.lua", troupe_to(endpoint, ours .. "ping.lua"))
      local ended = pong:stop("TERM")
      ended.out = "Pong ready on port 5001...\n" .. ended.out -- that line was read, with another port
      assert_prints(folder .. "pong.py", ended)
    end)

    it("has a ping for a pong of its own kind", function()
      local _, endpoint = serve_python()
      assert_prints(folder .. "ping.py", process.run(python(folder .. "ping.py", endpoint, ANY)))
    end)

    it("sends Rejects that our questions understand, and survives what is no message", function()
      local pong, endpoint = serve_python()
      local function ask(to, type)
        local ended = troupe("ask", to .. "@" .. endpoint, type, "count:=1")
        return { ended.code, ended.out .. ended.err }
      end
      assert.same({ 4, "troupe: Actor 'nobody' not found\n" }, ask("nobody", "Ping"))
      assert.same({ 4, "troupe: Unknown message type: Bogus\n" }, ask("pong", "Bogus"))
      local frames = table.concat({
        "not JSON", "[]", "7", "{}", '{"receiver": 7}', '{"message": [1]}', ("["):rep(100000),
        '{"receiver": "pong", "message_type": "Ping", "message": {"count": 0}, "sender_actor": "x", '
          .. '"sender_endpoint": "tcp://*:1"}',
      }, "\n") .. "\n"
      assert.equal(0, process.run(python("spec/interop/peer.py", "exchange", endpoint), { input = frames }).code)
      assert.same({ 0, 'Pong {"count": 1}\n' }, ask("pong", "Ping"))
      local ended = pong:stop("TERM")
      assert.equal(0, ended.code)
      assert.matches("ignored a frame of 8 bytes: ", ended.err)
      assert.matches("cannot answer to tcp://%*:1: ", ended.err)
    end)

    it("says so when there is no pong at that place, or none of that name", function()
      local _, endpoint = serve(ours .. "pong.lua", "--name", "gong")
      local ended = process.run(python(folder .. "ping.py", endpoint, ANY))
      assert.same({ 1, "Rejected: Actor 'pong' not found\n" }, { ended.code, ended.err })
    end)
  end)

  it("in docs/interop.md moves from one process to two by an argument", function()
    local page <close> = assert(io.open("docs/interop.md"))
    local text = page:read("a")
    local folder = process.make_folder()
    local function save(name)
      local script = assert(text:match("```lua\n(%-%- " .. name .. "%.lua:.-)```"), name .. " is not there")
      return process.write_file(folder .. "/" .. name .. ".lua", script)
    end
    local player, pong = save "player", save "pong"
    local here = troupe("run", pong, player)
    local _, endpoint = serve(pong)
    local elsewhere = troupe("run", player, "--", "pong@" .. endpoint)
    process.remove_folder(folder)
    local says = { code = 0, out = text:match("%-%->%s*(Pong %d+)") .. "\n", err = "" }
    assert.same({ says, says }, { here, elsewhere })
  end)

  it("examples/embed.c prints what it says", function()
    local path = program:gsub("[^/]*$", "embed")
    local built = io.open(path)
    if not built then
      pending("there is no " .. path .. ": build the target embed")
      return
    end
    built:close()
    assert_prints("examples/embed.c", process.run { path })
  end)
end)
