--- What leaves for other hosts: never in the way of an actor, and accounted for.
local process = require "spec.support.process"

local PYTHON = "/usr/bin/python3" -- Debian's python3-zmq is for this one
local SINK = "spec/interop/sink.py"

local has_zmq = os.execute(PYTHON .. " -c 'import zmq' 2>/dev/null") == true
local it = has_zmq and it or function(name)
  pending(name .. " (needs python3-zmq: '" .. PYTHON .. " -c \"import zmq\"' fails)")
end

describe("messages for another host", function()
  local folder

  before_each(function() folder = process.make_folder() end)
  after_each(function()
    process.end_all()
    process.remove_folder(folder)
  end)

  local function start_sink(port, gate)
    local sink = process.start({ PYTHON, SINK, port, gate }, 100)
    local pid, endpoint = sink:line():match("^(%d+) (%S+)$")
    return { child = sink, pid = pid, endpoint = endpoint, port = endpoint:match("%d+$") }
  end

  local function run_actor(text, ...)
    local path = process.write_file(folder .. "/source.lua", text)
    return process.start(process.troupe { "run", path, "--", ... }, 100)
  end

  -- Those that take nothing for now: a fifo opens its gate.
  local function closed_gate()
    local gate = folder .. "/gate"
    assert(os.execute("mkfifo " .. gate))
    return gate
  end

  local FILL = [[
    local Source = {}
    function Source:on_start()
      self.sink, self.n = actor.ref("sink@" .. actor.args[1]), 1
      local pad = ("x"):rep(10000)
      assert(self.sink:send("Count", { n = 0, pad = pad }))
      while actor.metrics().wire.peers[1].state ~= "connected" do actor.sleep("1ms") end
      repeat
        local began = actor.now()
        local sent, why = self.sink:send("Count", { n = self.n, pad = pad })
        self.n = self.n + (sent and 1 or 0)
        if actor.now() - began > 3 then print("it waited") end
        if why then print(why.reason) end
      until not sent
  ]]

  it("are refused at once when too many wait for a slow one, and no actor waits", function()
    local sink = start_sink("0", closed_gate())
    local source = run_actor(FILL .. [[
      local peer = actor.metrics().wire.peers[1]
      print(peer.full, peer.queued > 0 and peer.queued <= 1000, peer.oldest >= 0)
      actor.exit()
    end
    return Source ]], sink.endpoint)
    assert.equal("full", source:line())
    assert.equal("1\ttrue\ttrue", source:line())
    os.execute("kill -9 " .. sink.pid)
  end)

  it("wait for room as long as `timeout` says, and not for ever", function()
    local sink = start_sink("0", closed_gate())
    local source = run_actor(FILL .. [[
      local sent, why
      repeat
        sent, why = self.sink:send("Count", { n = self.n, pad = pad }, { timeout = "200ms" })
        self.n = self.n + (sent and 1 or 0)
      until not sent
      print(why.reason, why)
      actor.exit()
    end
    return Source ]], sink.endpoint)
    assert.equal("full", source:line())
    assert.matches("^timeout\tCount was not sent to sink@%S+: no room in the queue to its host for 0.2 s$",
                   source:line())
    os.execute("kill -9 " .. sink.pid)
  end)

  it("leave when there is room again, all and in order", function()
    local gate = closed_gate()
    local sink = start_sink("0", gate)
    local source = run_actor(FILL .. [[
      print("waiting")
      for _ = 1, 500 do
        assert(self.sink:send("Count", { n = self.n, pad = pad }, { timeout = "60s" }))
        self.n = self.n + 1
      end
      assert(self.sink:send("End", {}, { timeout = "60s" }))
      print("sent", self.n)
      actor.exit()
    end
    return Source ]], sink.endpoint)
    source:line "waiting"
    process.write_file(gate, "open")
    local count = tonumber(source:line("sent"):match("%d+"))
    for n = 0, count - 1 do
      assert.equal(tostring(n), sink.child:line())
    end
    assert.equal("end", sink.child:line())
  end)

  it("are counted, and each counter is described", function()
    local described = {}
    local class
    for line in io.lines("lua/troupe/meta.lua") do
      class = line:match("^%-%-%-@class troupe%.(%w*Metrics)") or (line:find("^%-%-%-@field") and class)
      local name = class and line:match("^%-%-%-@field ([%w_]+)")
      if name then table.insert(described, class .. "." .. name) end
    end
    local source = run_actor([[
      local Source = {}
      function Source:on_start()
        actor.ref("nobody@:1"):send("Count")
        local function list(class, counted)
          for name in pairs(counted) do print(class .. "." .. name) end
        end
        local metrics = actor.metrics()
        list("Metrics", metrics)
        list("WireMetrics", metrics.wire)
        list("PeerMetrics", metrics.wire.peers[1])
        list("StreamMetrics", metrics.streams)
        actor.exit()
      end
      return Source ]])
    local counted = {}
    for line in source:wait().out:gmatch("[^\n]+") do table.insert(counted, line) end
    table.sort(described)
    table.sort(counted)
    assert.same(described, counted)
  end)

  it("leave together, yet not later than their handler allows", function()
    local sink = start_sink "0"
    -- The handler goes on until the last of its messages has arrived.
    local source = run_actor([[
      local Source = {}
      function Source:on_start()
        local sink = actor.ref("sink@" .. actor.args[1])
        for n = 1, 5 do sink:send("Count", { n = n }) end
        local began = actor.now()
        while actor.now() - began < 60 do
          local file = io.open(actor.args[2])
          if file then print("seen") file:close() break end
        end
        actor.exit()
      end
      return Source ]], sink.endpoint, folder .. "/arrived")
    for n = 1, 5 do assert.equal(tostring(n), sink.child:line()) end
    process.write_file(folder .. "/arrived", "")
    assert.equal("seen", source:line())
  end)

  it("of which a killed peer takes some with it are counted: few, and not one more is lost", function()
    local TOTAL, KILLS = 6000, 2
    local sink = start_sink "0"
    local source = run_actor([[
      local Source = {}
      function Source:on_start()
        self.sink, self.n, self.total = actor.ref("sink@" .. actor.args[1]), 0, tonumber(actor.args[2])
        self.tick = actor.every("5ms", "Tick")
      end
      function Source:on_tick(msg)
        for _ = 1, 10 do
          if self.n == self.total then break end
          if not self.sink:send("Count", { n = self.n + 1 }) then return end -- 1000 wait: not now
          self.n = self.n + 1
        end
        if self.n < self.total then return end
        local wire = actor.metrics().wire
        if wire.peers[1].queued > 0 or wire.peers[1].state ~= "connected" then return end
        self.tick:cancel()
        self.sink:send("End")
        print(wire.unconfirmed, wire.lost)
        actor.after("100ms", "Leave")
      end
      function Source:on_leave() actor.exit() end
      return Source ]], sink.endpoint, tostring(TOTAL))

    local got, last = {}, 0
    local function take(line)
      local n = tonumber(line)
      assert.is_true(n > last, "in order, and none twice")
      got[n], last = true, n
      return n
    end
    for kill = 1, KILLS do
      repeat until take(sink.child:line()) >= kill * 1500
      os.execute("kill -9 " .. sink.pid)
      for line in sink.child:wait().out:gmatch("%d+\n") do take(line) end
      sink = start_sink(sink.port)
    end
    for line in sink.child:wait().out:gmatch("[^\n]+") do
      if line ~= "end" then take(line) end
    end

    local unconfirmed, lost_in_queue = source:wait().out:match("^(%d+)\t(%d+)")
    local missing = 0
    for n = 1, TOTAL do missing = missing + (got[n] and 0 or 1) end
    assert.equal("0", lost_in_queue)
    assert.is_true(missing <= tonumber(unconfirmed), missing .. " of " .. unconfirmed)
    assert.is_true(missing <= KILLS * 200, missing .. " are lost")
  end)
end)
