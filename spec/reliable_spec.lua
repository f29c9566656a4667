-- Reliable refs: what one of our hosts sends to another is handled there, in
-- order, once in each life of the other's process, whatever becomes of it.
local process = require "spec.support.process"

local PYTHON = "/usr/bin/python3" -- Debian's python3-zmq is for this one
local PEER = "spec/interop/peer.py"
local has_zmq = os.execute(PYTHON .. " -c 'import zmq' 2>/dev/null") == true

-- Writes "LIFE N" for each Job that it has handled, and says so after each 150.
--   args: file, life
local RECEIVER = [[
  local Receiver = { %s }
  function Receiver:on_start()
    self.handled = 0
    self.file = assert(io.open(actor.args[1], "ab"))
    self.file:setvbuf("no")
  end
  function Receiver:on_job(msg)
    %s
    self.file:write(actor.args[2], " ", msg.n, "\n")
    self.handled = self.handled + 1
    if self.handled %% 150 == 0 then print("handled " .. self.handled) end
  end
  function Receiver:on_total(msg, env) env:reply("Total", { handled = self.handled }) end
  return Receiver
]]

-- Sends Jobs of consecutive numbers, tries one that was refused again, asks for
-- the Total when all were sent, prints what it was told, and ends its host.
--   args: receiver, first number, last number, jobs every 10 ms
local SENDER = [[
  local Sender = {}
  function Sender:on_start()
    self.to = actor.ref(actor.args[1], { reliable = true })
    self.next, self.last = tonumber(actor.args[2]), tonumber(actor.args[3])
    self.clock = actor.every("10ms", "More")
  end
  function Sender:on_more()
    for _ = 1, tonumber(actor.args[4]) do
      if self.next > self.last then
        self.clock:cancel()
        local total, why
        repeat
          total, why = self.to:ask("Total", {}, { timeout = "100s" })
        until total or why.reason ~= "full" or not actor.sleep("10ms")
        print("total " .. (total and total.handled or tostring(why)))
        return actor.stop_host()
      end
      local sent, why = self.to:send("Job", { n = self.next })
      if not sent then
        if why.reason ~= "full" then print(why.text) actor.stop_host(1) end
        return
      end
      self.next = self.next + 1
    end
  end
  return Sender
]]

describe("a reliable ref", function()
  local folder, endpoint, life

  local function start_receiver()
    life = life + 1
    local receiver = process.start(process.troupe {
      "run", folder .. "/receiver.lua", "--bind", endpoint and endpoint:match(":%d+$") or ":0",
      "--", folder .. "/jobs", tostring(life) }, 200)
    endpoint = receiver:error_line("listening on"):match("tcp://%S+$")
    return receiver
  end

  local function start_sender(first, last, rate)
    return process.start(process.troupe {
      "run", folder .. "/sender.lua", "--", "receiver@" .. endpoint,
      tostring(first), tostring(last), tostring(rate) }, 200)
  end

  -- What was handled: the numbers, and the life in which each was.
  local function read_jobs()
    local jobs = {}
    for line in io.lines(folder .. "/jobs") do
      local in_life, n = line:match("^(%d+) (%d+)$")
      table.insert(jobs, { life = tonumber(in_life), n = tonumber(n) })
    end
    return jobs
  end

  -- Nothing is missing, in no life is anything twice or out of order; and a new
  -- life goes on where the last one's acknowledged work ended. Returns how many
  -- were handled again by a later life.
  local function assert_whole(jobs, first, last)
    local previous, again = { life = jobs[1].life, n = first - 1 }, 0
    for _, job in ipairs(jobs) do
      if job.life == previous.life then
        assert.equal(previous.n + 1, job.n, "the number handled in life " .. job.life)
      else
        assert.is_true(job.n <= previous.n + 1, ("%d..%d were lost"):format(previous.n + 1, job.n - 1))
        again = again + previous.n + 1 - job.n
      end
      previous = job
    end
    assert.equal(last, previous.n)
    return again
  end

  local function write_receiver(fields, in_job)
    process.write_file(folder .. "/receiver.lua", RECEIVER:format(fields or "", in_job or ""))
  end

  before_each(function()
    folder, endpoint, life = process.make_folder(), nil, 0
    process.write_file(folder .. "/sender.lua", SENDER)
    write_receiver()
  end)

  after_each(function()
    process.end_all()
    process.remove_folder(folder)
  end)

  it("loses nothing, repeats nothing and keeps the order, though the receiver is killed ten times", function()
    local last = 8000
    local receiver = start_receiver()
    local sender = start_sender(1, last, 30)
    for _ = 1, 10 do
      receiver:line("handled 300")
      receiver:kill()
      receiver = start_receiver()
    end
    assert.matches("^total %d+\n$", sender:wait().out)
    local again = assert_whole(read_jobs(), 1, last)
    assert.is_true(again <= 10 * 256, again .. " were handled again")
  end)

  it("has nothing handled twice when the receiver is ended and begun again in good order", function()
    local receiver = start_receiver()
    local sender = start_sender(1, 1500, 30)
    for _ = 1, 2 do
      receiver:line("handled 300")
      receiver:stop("TERM")
      receiver = start_receiver()
    end
    assert.equal(0, sender:wait().code)
    assert.equal(0, assert_whole(read_jobs(), 1, 1500))
  end)

  it("delivers what its sender's next life sends, though the first was killed", function()
    local receiver = start_receiver()
    local sender = start_sender(1, 100000, 30)
    receiver:line("handled 300")
    sender:kill()
    assert.equal(0, start_sender(200001, 200500, 30):wait().code)

    local first, second = {}, {}
    for _, job in ipairs(read_jobs()) do
      table.insert(job.n > 200000 and second or first, job)
    end
    assert_whole(first, 1, #first)
    assert.equal(500, #second)
    assert_whole(second, 200001, 200500)
  end)

  it("waits for a receiver that is not there yet", function()
    start_receiver():stop("TERM")
    local sender = start_sender(1, 300, 100)
    start_receiver()
    assert.matches("^total 300\n$", sender:wait().out)
    assert_whole(read_jobs(), 1, 300)
  end)

  it("says what its host could not deliver before it ended", function()
    start_receiver():stop("TERM")
    local ended = process.run(process.troupe { "-e", [[
      function on_start()
        local to = actor.ref("receiver@" .. actor.args[1], { reliable = true })
        for n = 1, 3 do assert(to:send("Job", { n = n })) end
        actor.exit()
      end]], "--", endpoint })
    assert.equal(0, ended.code)
    assert.matches("3 messages for receiver@tcp://[%d.:]+ over a reliable ref will not be sent again: "
                   .. "not acknowledged in time", ended.err)
  end)

  it("goes on when a mailbox that was full has room, and nothing is rejected", function()
    write_receiver("mailbox = { limit = 10 },", "if msg.n % 50 == 1 then actor.sleep('20ms') end")
    local receiver = start_receiver()
    assert.matches("^total 2000\n$", start_sender(1, 2000, 100):wait().out)
    assert_whole(read_jobs(), 1, 2000)
    assert.not_matches("rejected", receiver:stop("TERM").err)
  end)

  it("tells its sender `full` when too much is unacknowledged, and what was taken arrives", function()
    -- The Go is no reliable message: it may come before the first Job or after it.
    write_receiver("on_go = function(self) self.go = true end",
                   "if msg.n == 1 and not self.go then actor.receive('Go', { timeout = '100s' }) end")
    process.write_file(folder .. "/sender.lua", [[
      local Sender = {}
      function Sender:on_start()
        local to, taken, why = actor.ref(actor.args[1], { reliable = true }), 0
        while not why do
          local sent
          sent, why = to:send("Job", { n = taken + 1 })
          if sent then taken = taken + 1 end
        end
        print(taken .. " taken, then " .. why.reason .. ": " .. why.text)
        to = actor.ref(actor.args[1], { reliable = false })
        to:send("Go", {})
        to = actor.ref(actor.args[1], { reliable = true })
        local total
        repeat
          actor.sleep("1ms")
          total, why = to:ask("Total", {}, { timeout = "100s" })
        until total or why.reason ~= "full"
        print((total or { handled = tostring(why) }).handled .. " handled")
        actor.stop_host()
      end
      return Sender ]])
    start_receiver()
    local out = start_sender(1, 1, 1):wait().out
    assert.matches("^1000 taken, then full: .*too much already waits for tcp", out)
    assert.matches("\n1000 handled\n", out)
    assert_whole(read_jobs(), 1, 1000)
  end)

  it("is answered as reliably as it asks", function()
    process.write_file(folder .. "/receiver.lua", [[
      local Receiver = {}
      function Receiver:on_ask(msg, env) self.kept = env:defer() print("asked") end
      function Receiver:on_answer() self.kept:reply("Answer", { life = actor.args[2] }) end
      return Receiver ]])
    process.write_file(folder .. "/sender.lua", [[
      local Sender = {}
      function Sender:on_start()
        local to = actor.ref(actor.args[1], { reliable = true })
        local answer = to:ask("Ask", {}, { timeout = "100s" })
        local all = actor.all({ to:start_ask("Ask"), to:start_ask("Ask") }, { timeout = "10ms" })
        print("answered in life " .. answer.life, all, to:try_send("Answer"), to:send("Answer", {}))
        actor.stop_host()
      end
      return Sender ]])
    local receiver = start_receiver()
    local sender = start_sender(1, 1, 1)
    receiver:line("asked")
    process.run(process.troupe { "send", "receiver@" .. endpoint, "Answer" })
    assert.equal("answered in life 1\tnil\ttrue\ttrue\n", sender:wait().out)
  end)

  describe("to a peer that knows no streams", function()
    local it = has_zmq and it or function(name)
      pending(name .. " (needs python3-zmq: '" .. PYTHON .. " -c \"import zmq\"' fails)")
    end

    it("delivers nothing, says so, and lets a plain ref be used", function()
      local peer = process.start({ PYTHON, PEER, "serve", "python" }, 200)
      local chunk = [[
        function on_start()
          local pong = actor.ref("pong@%s", { reliable = true })
          local sent, why, taken = true, nil, 0
          while sent do
            sent, why = pong:send("Ping", { count = 1 })
            if sent then taken = taken + 1 end
            actor.sleep("100ms")
          end
          print(taken > 10, why.reason, why.text)
          actor.ref("pong@%s", { reliable = false })
          print(pong:ask("Ping", { count = 2 }).count)
          actor.stop_host()
        end ]]
      local ended = process.run(process.troupe { "-e", (chunk:gsub("%%s", (peer:line()))) })
      assert.matches("^true\tunreachable\tPing was not sent to pong@tcp://127.0.0.1:%d+: .*"
        .. "does not acknowledge: it is no Troupe host, or cannot connect to tcp://127.0.0.1:%d+\n2\n$", ended.out)
      local _, warnings = ended.err:gsub("acknowledges nothing: it is no Troupe host", "")
      assert.equal(1, warnings)

      local pings, hellos = 0, 0
      for line in peer:stop("TERM").out:gmatch("[^\n]+") do
        if line:find('"Ping"', 1, true) then pings = pings + 1 end
        if line:find('"$hello"', 1, true) then hellos = hellos + 1 end
      end
      assert.equal(1, pings) -- that of the plain ref
      assert.is_true(hellos >= 3 and hellos <= 10, hellos .. " hellos")
    end)

    it("nor believes what it says of streams, and forgets what it asks for in vain", function()
      local path = process.write_file(folder .. "/pong.lua", [[
        return {
          mailbox = { limit = 10000 }, -- nobody sends again what finds it full
          on_ping = function(self, msg, env) env:reply("Pong", { count = msg.count }) end,
          on_job = function(self, msg) print("job " .. msg.n) end,
        } ]])
      local host = process.start(process.troupe { "run", path, "--bind", ":0" }, 200)
      endpoint = host:error_line("listening on"):match("tcp://%S+$")
      local function word(type, message)
        return ('{"sender_actor": null, "sender_endpoint": null, "receiver": "$rel", "message_type": "%s", "message": %s}')
          :format(type, message)
      end
      local function hello(id, n, base, to)
        return word("$hello", ('{"i": "%016x", "n": %d, "b": %d, "h": 0, "to": "%s"}'):format(id, n, base, to or "ME"))
      end
      local function job(id, n)
        return ('{"sender_actor": null, "sender_endpoint": null, "receiver": "pong", "message_type": "Job", '
          .. '"message": {"n": %d}, "rel": {"i": "%016x", "s": %d}}'):format(n, id, n)
      end
      local said = {
        job(1, 1),                                                     -- of a stream that never said hello
        hello(1, 1, 1), job(1, 1), job(1, 1), job(1, 3), job(1, 2), job(1, 2), -- twice, too soon, late
        job(1, 1 << 53), job(1, 3),
        hello(2, 1, 1, "tcp://example.org:5001"), hello(3, 1, 1, "tcp://*:1"), hello(4, 1, 1, endpoint),
        hello(0, 1, 1), hello(5, 0, 1), hello(6, 1, 0), hello(7, 1, 1 << 53), job(7, 1 << 53),
        word("$hello", "{}"), word("$hello", '{"i": [], "n": {}, "b": "x", "h": null, "to": 1}'),
        word("$ack", "{}"), word("$ack", ('{"i": "%016x", "n": 1, "e": "%016x", "s": 9, "r": 9, "c": 256, "d": 0}')
          :format(1, 1)), word("Ping", "{}"), word("$down", "{}"),
      }
      for id = 100, 6000 do table.insert(said, hello(id, 1, 1)) end -- more than there is room for
      for id = 100, 6000 do table.insert(said, job(id, 1)) end
      local ended = process.run({ PYTHON, PEER, "exchange", endpoint },
                                { input = table.concat(said, "\n") .. "\n" })
      assert.same({ code = 0, err = "" }, { code = ended.code, err = ended.err })
      for line in ended.out:gmatch("[^\n]+") do assert.matches('^= .*"%$rel".*"%$ack"', line) end

      local jobs = {}
      for line in host:stop("TERM").out:gmatch("[^\n]+") do table.insert(jobs, line:match("^job (%d+)$")) end
      assert.same({ "1", "2", "3", "9007199254740992" }, table.move(jobs, 1, 4, 1, {}))
      assert.equal(4 + 4096, #jobs)
    end)
  end)

  describe("of a script", function()
    local function run(chunk)
      return process.run(process.troupe { "-e", chunk })
    end

    it("is equal to the plain ref of the same actor, as a table's key too, and is written alike", function()
      local ended = run([[
        function on_start()
          local plain = actor.ref("pong@tcp://127.0.0.1:9")
          local reliable = actor.ref("pong@:9", { reliable = true })
          print(plain == reliable, ({ [plain] = "there" })[reliable], tostring(reliable))
          actor.stop_host()
        end ]])
      assert.equal("true\tthere\tpong@tcp://127.0.0.1:9\n", ended.out)
    end)

    it("to an actor here is a ref as any", function()
      local ended = run([[
        function on_start()
          local me = actor.ref(actor.name, { reliable = true })
          print(me == actor.self, actor.ref("nobody", { reliable = true }):send("X"))
          me:send("End")
        end
        function on_end() actor.stop_host() end ]])
      assert.matches("^true\tnil\t.*nobody", ended.out)
      assert.equal(0, ended.code)
    end)

    it("has one option, and misuse is told at the caller's line", function()
      local ended = run([[
        local function try(...) print(select(2, pcall(actor.ref, "a@:9", ...))) end
        function on_start()
          try({ relaible = true })
          try({ reliable = 1 })
          try({ "reliable" })
          try("reliable")
          actor.ref("a@:9", { quick = true })
        end ]])
      assert.matches("no option is called 'relaible' %(did you mean 'reliable'%?%)", ended.out)
      assert.matches("reliable is true or false, not a number", ended.out)
      assert.matches("options have names, and this has a number for a key", ended.out)
      assert.matches("options are a table, not a string", ended.out)
      assert.matches("7: actor.ref: no option is called 'quick'", ended.err)
    end)
  end)
end)
