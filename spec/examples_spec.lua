-- Every example prints what the `expect:` lines inside it say, line by line.
local process = require "spec.support.process"
local Stage = require "troupe.stage"

local program = process.troupe({})[1]

-- What a file says of its own output.
local function expected(path)
  local lines = {}
  for line in io.lines(path) do
    local text = line:match("^%-%- expect:(.*)$") or line:match("^ %* expect:(.*)$")
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

local function sorted(lines)
  table.sort(lines)
  return lines
end

describe("the example", function()
  after_each(process.end_all)

  local list <close> = assert(io.popen("ls examples/*.lua"))
  for path in list:lines() do
    it(path .. " prints what it says", function()
      assert_prints(path, troupe("run", path))
    end)
  end

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
