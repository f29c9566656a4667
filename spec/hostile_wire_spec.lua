-- What peers may do and the host survives: bytes, names, places, connections. The
-- host is one process, the peer another (spec/hostile/wire.py); after each case an
-- honest Ping is answered, and the host has not grown.
local process = require "spec.support.process"
local program = require "spec.support.program"

local PYTHON = "/usr/bin/python3" -- Debian's python3-zmq is for this one
local PEER = "spec/hostile/wire.py"

local has_zmq = os.execute(PYTHON .. " -c 'import zmq' 2>/dev/null") == true
local it = has_zmq and it or function(name)
  pending(name .. " (needs python3-zmq: '" .. PYTHON .. " -c \"import zmq\"' fails)")
end

local PONG = [[
  function on_ping(self, msg, env) env:reply("Pong", { count = msg.count }) end
  function on_any(self, msg, env) print("delivered " .. env.type) end
]]

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read("a")
end

describe("a hostile peer", function()
  local host, endpoint, folder, errors

  -- Its standard error goes to a file: nobody has to read it meanwhile.
  local function start_host(prefix, ...)
    local words = process.troupe { "-e", PONG, "--name", "pong", "--bind", ":0", ... }
    local quoted = {}
    for i, word in ipairs(words) do quoted[i] = "'" .. word:gsub("'", "'\\''") .. "'" end
    host = process.start({ "sh", "-c", (prefix or "") .. "exec " .. table.concat(quoted, " ") .. " 2>" .. errors
      .. " 3>&1" }, 300)
    repeat endpoint = read(errors):match("listening on (tcp://%S+)") until endpoint
  end

  before_each(function()
    folder = process.make_folder()
    errors = process.write_file(folder .. "/err", "")
  end)

  after_each(function()
    process.end_all()
    process.remove_folder(folder)
  end)

  -- A field of /proc/PID/status of the host itself, below `timeout` and the shell.
  local function status(field)
    local pid = host.pid
    for _ = 1, 3 do
      local child = io.open(("/proc/%s/task/%s/children"):format(pid, pid)):read("a"):match("%d+")
      if child then pid = child end
    end
    return tonumber(read("/proc/" .. pid .. "/status"):match(field .. ":%s*(%d+)")), pid
  end

  local function descriptors()
    local _, pid = status("VmRSS")
    local list <close> = io.popen("ls /proc/" .. pid .. "/fd | wc -l")
    return list:read("n")
  end

  local function attack(case, seed)
    local ended = process.run({ PYTHON, PEER, case, endpoint, seed or "1" })
    assert.same({ code = 0, err = "" }, { code = ended.code, err = ended.err })
    local took = assert(tonumber(ended.out:match("pong after (%d+) ms\n$")), ended.out)
    return ended.out, took
  end

  -- Ends the host, which must have no reason to complain; returns what it printed and logged.
  local function finish()
    local ended = host:stop("TERM")
    assert.equal(0, ended.code, read(errors))
    return ended.out, read(errors)
  end

  -- A sanitizer keeps what is freed.
  local function assert_grown_at_most(before, mib)
    if program.is_sanitized then return end
    local after = status("VmRSS")
    assert.is_true(after - before <= mib * 1024, ("grown from %d to %d KiB"):format(before, after))
  end

  local function count_lines(text, pattern)
    local _, count = text:gsub(pattern, "")
    return count
  end

  for _, seed in ipairs { "1", "2", "3" } do
    it("may send 20,000 frames that are nearly right (seed " .. seed .. ")", function()
      start_host()
      local before = status("VmRSS")
      attack("mutants", seed)
      assert_grown_at_most(before, 64)
      local out, log = finish()
      assert.is_nil(out:find("delivered Start") or out:find("delivered Shutdown"))
      assert.is_true(#log < 200000, #log .. " bytes of log")
    end)
  end

  it("reaches nobody by the names of ours, nor by our types", function()
    start_host()
    attack("named")
    local out = finish()
    for type in out:gmatch("delivered (%g+)") do
      assert.is_nil(({ Start = 1, start = 1, S_tart = 1, Shutdown = 1, Timeout = 1, Down = 1 })[type], type)
    end
    assert.matches("delivered Exit\n", out) -- the others come through
  end)

  it("writes no line of its own into our log, and not many of ours", function()
    start_host()
    attack("loud")
    local _, log = finish()
    assert.is_nil(log:find("[\27\r\7]"))
    for line in log:gmatch("([^\n]*)\n") do
      assert.is_true(line:find("^%d%d%d%d%-%d%d%-%d%d ") ~= nil or line:find("^pong ") ~= nil, line)
      assert.is_true(#line <= 4200, #line .. " bytes in a line")
    end
    assert.is_nil(log:find("\n2026%-11%-20 error forged"))
    assert.is_true(count_lines(log, "\n") < 300, count_lines(log, "\n") .. " lines")
  end)

  it("is not answered at places that are none, or are our own", function()
    start_host()
    attack("senders")
    finish()
  end)

  it("may name 10,000 places to answer to: few are connected, and the honest are answered", function()
    start_host()
    local before = status("VmRSS")
    local out = attack("many_senders")
    assert.is_true(tonumber(out:match("worst (%d+) ms")) <= (program.is_sanitized and 20000 or 5000), out)
    -- Those that gave way are closed by ZeroMQ's thread, when it comes to it.
    local open, deadline = descriptors(), os.time() + 30
    while open > 256 * 4 + 500 and os.time() < deadline do
      process.run({ "true" })
      open = descriptors()
    end
    assert.is_true(open <= 256 * 4 + 500, open .. " descriptors")
    assert_grown_at_most(before, 64)
    finish()
  end)

  it("delivers nothing without a handshake", function()
    start_host()
    local before = status("VmRSS")
    attack("strangers")
    assert_grown_at_most(before, 32)
    assert.equal("", (finish()))
  end)

  it("delivers frames whole or not at all", function()
    start_host()
    local before = status("VmRSS")
    attack("after_handshake")
    assert_grown_at_most(before, 64)
    host:line("delivered Dribbled") -- on a connection of its own: perhaps after the honest Pong
    assert.equal("", (finish()))
  end)

  it("may come as a crowd of 800 that says nothing", function()
    start_host()
    local _, took = attack("idle_crowd")
    assert.is_true(took <= 10000, took .. " ms")
    finish()
  end)

  it("may take all descriptors: when they are back, so is the host", function()
    start_host("ulimit -n 96; ")
    local _, took = attack("no_descriptors")
    assert.is_true(took <= 20000, took .. " ms")
    finish()
  end)

  it("is cut when its message does not end, and nobody else", function()
    start_host()
    local before = status("VmRSS")
    local out = attack("endless")
    assert.equal(4, count_lines(out, "cut\n"), out)
    if not program.is_sanitized then
      assert.is_true(status("VmHWM") - before <= 256 * 1024, "it held " .. status("VmHWM") - before .. " KiB")
    end
    local _, log = finish()
    assert.matches("a connection from 127.0.0.1 is cut: it has sent %d+ bytes of a message that does not end", log)
  end)
end)
