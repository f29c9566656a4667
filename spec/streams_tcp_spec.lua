-- TCP: connections that come in and go out are streams, both ways.
local process = require "spec.support.process"
local Stage = require "troupe.stage"

local PYTHON = "/usr/bin/python3"

describe("a connection", function()
  local stage

  before_each(function() stage = Stage.new() end)
  after_each(function() stage:close() end)

  -- Polls until `text` was printed; all lines since the last call.
  local function printed_until(text)
    local lines = {}
    for _ = 1, 300 do
      for _, line in ipairs(stage:output()) do
        table.insert(lines, line)
        if line:find(text, 1, true) then return lines end
      end
      stage:poll("0.1s")
    end
    error("no '" .. text .. "' came, but:\n" .. table.concat(lines, "\n"))
  end

  -- A server on a free port: its script's handlers are in `body`. Its endpoint.
  local function serve(body, options)
    assert(stage:spawn({ name = "server", source = ([[
      local Server = {}
      function Server:on_start()
        self.listener = assert(actor.stream(actor.listen("tcp://127.0.0.1:0"), %s))
        print(self.listener:address())
      end
      %s
      return Server]]):format(options or "nil", body) }))
    stage:run()
    return stage:output()[1]
  end

  -- A client: its script's handlers, and the start of it, in `body`.
  local function client(endpoint, body, options)
    local ref = assert(stage:spawn({ name = "client", source = ([[
      local Client = {}
      function Client:on_start()
        self.server = assert(actor.stream(actor.connect(%q), %s))
        if Client.begin then Client.begin(self) end
      end
      function Client:on_line(msg) print("heard", msg.text) end
      function Client:on_line_end(msg) print("client's end", msg.reason) end
      %s
      return Client]]):format(endpoint, options or "nil", body) }))
    stage:run()
    return ref
  end

  local ECHO = [[
    function Server:on_line(msg) msg.stream:send(msg.text:upper() .. "\n") end]]

  it("says where it is from, brings lines, can be written to, and ends", function()
    local endpoint = serve([[
      function Server:on_line_open(msg)
        print("open", msg.peer == msg.stream:address(), msg.listener == self.listener,
          tostring(msg.stream) == "connection with " .. msg.peer)
      end
      function Server:on_line(msg) msg.stream:send(msg.text:upper() .. "\n") end
      function Server:on_line_end(msg) print("end", msg.reason) end]])
    client(endpoint, [[
      function Client:on_line_open(msg)
        print("connected", msg.stream == self.server, msg.peer == self.server:address(), msg.listener)
        self.server:send("hello\n")
      end
      function Client:on_line(msg) print("heard", msg.text) self.server:close() end]])
    assert.same({ "connected\ttrue\ttrue\tnil", "open\ttrue\ttrue\ttrue", "heard\tHELLO",
                  "client's end\tclosed", "end\tnormal" }, (function()
      local lines = printed_until("end\tnormal")
      -- Which side hears first of the connection is the kernel's affair.
      if lines[1]:find("^open") then lines[1], lines[2] = lines[2], lines[1] end
      return lines
    end)())
  end)

  it("takes what is sent before it is there", function()
    local endpoint = serve(ECHO)
    client(endpoint, [[function Client:on_start()
      self.server = assert(actor.stream(actor.connect("]] .. endpoint .. [[")))
      print(self.server:send("early\n"))
    end]])
    assert.same({ "true", "heard\tEARLY" }, printed_until("heard"))
  end)

  it("that cannot be made ends with an error that names the place", function()
    local endpoint = serve("function Server:on_stop() self.listener:close() end")
    stage:send("server", "Stop")
    stage:run()
    client(endpoint, "")
    assert.same({ "client's end\terror: cannot connect to " .. endpoint .. ": Connection refused" },
      printed_until("end"))
  end)

  it("cannot come in where another listens, and that port is named", function()
    local endpoint = serve(ECHO)
    assert(stage:spawn({ name = "second", source = ([[
      function on_start() print(select(2, actor.stream(actor.listen(%q)))) end]]):format(endpoint) }))
    stage:run()
    assert.same({ "actor.stream: cannot listen on " .. endpoint .. ": this process does already" }, stage:output())
  end)

  it("that ends its side first still gets the answers", function()
    local endpoint = serve(ECHO)
    client(endpoint, [[
      function Client:begin()
        for i = 1, 3 do self.server:send("line " .. i .. "\n") end
        self.server:send("last")
        self.server:shutdown()
      end]])
    assert.same({ "heard\tLINE 1", "heard\tLINE 2", "heard\tLINE 3", "heard\tLAST", "client's end\tnormal" },
      printed_until("end"))
  end)

  it("can be answered until the handler of its end has ended", function()
    local endpoint = serve([[
      function Server:on_line(msg) end
      function Server:on_line_end(msg)
        actor.sleep("1s")
        print(msg.stream:send("goodbye\n"))
      end]])
    client(endpoint, [[function Client:begin() self.server:shutdown() end]])
    for _ = 1, 20 do stage:poll("0.05s") end
    assert.same({}, stage:output())
    stage:advance("2s")
    assert.same({ "true", "heard\tgoodbye", "client's end\tnormal" }, printed_until("end"))
  end)

  it("stays open for writing if it is to be half open", function()
    local endpoint = serve([[
      function Server:on_line(msg) end
      function Server:on_line_end(msg) self.open = msg.stream; actor.after("1s", "Say") end
      function Server:on_say() print(self.open:send("still here\n")) self.open:shutdown() end]],
      "{ half_open = true }")
    client(endpoint, [[function Client:begin() self.server:shutdown() end]])
    for _ = 1, 20 do stage:poll("0.05s") end
    stage:advance("2s")
    assert.same({ "true", "heard\tstill here", "client's end\tnormal" }, printed_until("end"))
  end)

  it("sends what was sent before close(), and handles nothing after it", function()
    local endpoint = serve([[
      function Server:on_line(msg)
        print("got", msg.text)
        for i = 1, 1000 do msg.stream:send("line " .. i .. "\n") end
        print(msg.stream:close(), msg.stream:send("late\n"))
      end
      function Server:on_line_end(msg) print("end", msg.reason) end]])
    client(endpoint, [[
      function Client:begin() self.server:send("one\ntwo\nthree\n") end
      function Client:on_line(msg) self.count = (self.count or 0) + 1 end
      function Client:on_line_end(msg) print("client's end", msg.reason, self.count) end]])
    local lines = printed_until("client's end")
    assert.equal("got\tone", lines[1])
    assert.matches("^true\tnil\tconnection with .*: it can be written to no more$", lines[2])
    assert.same({ "end\tclosed", "client's end\tnormal\t1000" }, { lines[3], lines[4] })
  end)

  it("ends with its actor, after what the actor has said", function()
    local endpoint = serve([[
      function Server:on_line(msg) self.last = msg.stream; actor.exit() end
      function Server:on_shutdown() self.last:send("goodbye\n") end]])
    client(endpoint, [[function Client:begin() self.server:send("exit\n") end]])
    assert.same({ "heard\tgoodbye", "client's end\tnormal" }, printed_until("end"))
  end)

  it("carries any bytes both ways, as chunks", function()
    local endpoint = serve([[
      function Server:on_line(msg) msg.stream:send(msg.text) end]], "{ chunks = true }")
    client(endpoint, [[
      function Client:begin()
        self.sent, self.got = {}, {}
        for i = 1, 256 do self.sent[i] = string.char(i - 1):rep(1000) end
        self.sent = table.concat(self.sent)
        self.server:send(self.sent)
        self.server:shutdown()
      end
      function Client:on_line(msg) table.insert(self.got, msg.text) end
      function Client:on_line_end(msg) print("end", table.concat(self.got) == self.sent) end]],
      "{ chunks = true }")
    assert.same({ "end\ttrue" }, printed_until("end"))
  end)

  it("ends at a line that is too long, and costs no memory", function()
    local endpoint = serve([[
      function Server:on_line(msg) end
      function Server:on_line_end(msg) print("end", msg.reason) end]], "{ limit = '1KiB' }")
    client(endpoint, [[function Client:begin() self.server:send(("x"):rep(100000)) end
      function Client:on_line_end(msg) end]])
    assert.same({ "end\terror: a line is longer than 1024 bytes (option limit)" }, printed_until("end"))
  end)

  it("handed to another actor in on_line_open brings that one all its lines", function()
    assert(stage:spawn({ name = "worker", source = [[
      function on_line_open(self, msg) print("worker has", msg.peer ~= nil) end
      function on_line(self, msg) msg.stream:send("worker: " .. msg.text .. "\n") end
      function on_line_end(self, msg) print("worker's end", msg.reason) end]] }))
    local endpoint = serve([[
      function Server:on_line_open(msg)
        print("handed", msg.stream:hand_to(actor.ref("worker")))
        print(select(2, msg.stream:hand_to(actor.ref("worker"))).reason)
      end
      function Server:on_line(msg) print("server got", msg.text) end]])
    client(endpoint, [[function Client:begin() self.server:send("one\ntwo\n") self.server:shutdown() end]])
    local lines = printed_until("client's end")
    table.sort(lines)
    assert.same({ "client's end\tnormal", "down", "handed\ttrue", "heard\tworker: one", "heard\tworker: two",
                  "worker has\ttrue", "worker's end\tnormal" }, lines)
  end)

  it("handed to an actor ends with that actor, even if it never said anything", function()
    local worker = assert(stage:spawn({ name = "worker", source = "function on_x() end" }))
    local endpoint = serve([[
      function Server:on_line_open(msg) print("handed", msg.stream:hand_to(actor.ref("worker"))) end
      function Server:on_line(msg) end]])
    client(endpoint, "")
    assert.same({ "handed\ttrue" }, printed_until("handed"))
    for _ = 1, 5 do stage:poll("0.02s") end
    stage:stop(worker)
    assert.same({ "client's end\tnormal" }, printed_until("end"))
  end)

  it("may be written to by any actor that has it", function()
    assert(stage:spawn({ name = "helper", source = [[
      function on_say(self, msg) msg.to:send(msg.text) end]] }))
    local endpoint = serve([[
      function Server:on_line(msg) actor.ref("helper"):send("Say", { to = msg.stream, text = "helped\n" }) end]])
    client(endpoint, [[function Client:begin() self.server:send("please\n") end]])
    assert.same({ "heard\thelped" }, printed_until("heard"))
  end)

  describe("whose other side does not read", function()
    -- The client handles one line an hour; the server writes until it may not.
    local function stall(more)
      local endpoint = serve([[
        function Server:on_line(msg)
          self.slow, self.text = msg.stream, ("x"):rep(65536 - 1) .. "\n"
          local sent, ok, why = 0
          repeat
            ok, why = self.slow:try_send(self.text)
            if ok then sent = sent + 1 end
          until not ok
          self.sent = sent
          print("stalled", why.reason, sent < 1000)
        end
        function Server:on_line_end(msg) print("server's end", msg.reason) end
      ]] .. more, "{ buffer = '128KiB' }")
      local ref = client(endpoint, [[
        function Client:begin() self.server:send("go\n") end
        function Client:on_line(msg)
          self.count = (self.count or 0) + 1
          if not self.released then actor.receive("Release", { timeout = "10h" }) end
          self.released = true
        end
        function Client:on_line_end(msg) print("client's end", msg.reason, self.count) end]], "{ window = 1 }")
      assert.same({ "stalled\tfull\ttrue" }, printed_until("stalled"))
      return ref
    end

    it("makes a sender wait for 5 s, and then say full", function()
      stall([[
        function Server:on_again()
          local began, ok, why
          repeat -- the kernel may take a little more yet
            began = actor.now()
            ok, why = self.slow:send(self.text)
          until not ok
          print("waited", why.reason, actor.now() - began)
        end]])
      stage:send("server", "Again")
      local lines = {}
      for _ = 1, 100 do
        stage:poll("0.02s")
        stage:advance("6s")
        lines = stage:output()
        if #lines > 0 then break end
      end
      assert.same({ "waited\tfull\t5.0" }, lines)
    end)

    it("lets the sender go on when it reads again, and all of it comes", function()
      local ref = stall([[
        function Server:on_again()
          for _ = 1, 50 do
            local ok, why = self.slow:send(self.text, { timeout = "1h" })
            if not ok then print("failed", why) end
            self.sent = self.sent + 1
          end
          print("sent", self.sent)
          self.slow:close()
        end]])
      stage:send("server", "Again")
      stage:run()
      stage:send(ref, "Release")
      local lines = printed_until("client's end")
      local sent
      for _, line in ipairs(lines) do sent = sent or line:match("^sent\t(%d+)") end
      assert.equal("client's end\tnormal\t" .. sent, lines[#lines])
    end)

    it("lets a waiting sender know when the connection ends", function()
      local ref = stall([[
        function Server:on_again()
          local ok, why
          repeat ok, why = self.slow:send(self.text, { timeout = "1h" }) until not ok
          print("waited", why.reason)
        end]])
      stage:send("server", "Again")
      for _ = 1, 10 do stage:poll("0.02s") end
      stage:stop(ref)
      local lines = printed_until("waited")
      assert.equal("waited\tdown", lines[#lines])
    end)
  end)

  it("of a thousand at once is served like one alone", function()
    local endpoint = serve([[
      function Server:on_line_open(msg) self.open = (self.open or 0) + 1 end
      function Server:on_line(msg) msg.stream:send(msg.text .. "\n") end
      function Server:on_line_end(msg)
        self.open = self.open - 1
        if self.open == 0 then print("all have gone") end
      end]])
    assert(stage:spawn({ name = "crowd", source = ([[
      local Crowd = {}
      function Crowd:on_start()
        self.number, self.left = {}, 1000
        for i = 1, 1000 do
          local stream = assert(actor.stream(actor.connect(%q)))
          self.number[stream] = tostring(i)
          stream:send(i .. "\n")
        end
      end
      function Crowd:on_line(msg)
        assert(self.number[msg.stream] == msg.text)
        self.left = self.left - 1
        if self.left == 0 then
          print("all were answered")
          for stream in pairs(self.number) do stream:close() end
        end
      end
      return Crowd]]):format(endpoint) }))
    assert.same({ "all were answered", "all have gone" }, printed_until("gone"))
  end)

  it("waits outside while a listener has as many as it may", function()
    local endpoint = serve([[
      function Server:on_line(msg) print(msg.text) self.last = msg.stream end
      function Server:on_next() self.last:close() end]], "{ connections = 1 }")
    assert(stage:spawn({ name = "two", source = ([[
      function on_start()
        for i = 1, 2 do actor.stream(actor.connect(%q)):send(i .. "\n") end
      end
      function on_line_end() end]]):format(endpoint) }))
    local first = printed_until("")
    for _ = 1, 10 do stage:poll("0.02s") end
    assert.same({}, stage:output())
    stage:send("server", "Next")
    stage:run()
    local both = { first[1], printed_until("")[1] }
    table.sort(both)
    assert.same({ "1", "2" }, both)
  end)
end)

describe("a server", function()
  local folder

  before_each(function() folder = process.make_folder() end)
  after_each(function()
    process.end_all()
    process.remove_folder(folder)
  end)

  local ECHO = [[
    local Server = {}
    function Server:on_start()
      local listener = assert(actor.stream(actor.listen(":0"), { limit = "64KiB" }))
      print(listener:address():match("%d+$"))
      io.stdout:flush()
    end
    function Server:on_line(msg) msg.stream:send(msg.text .. "\n") end
    function Server:on_line_end(msg) print("end", msg.reason) io.stdout:flush() end
    return Server]]

  local function serve(limits)
    local path = process.write_file(folder .. "/server.lua", ECHO)
    local words = process.troupe { "run", path }
    if limits then
      words = { "sh", "-c", limits .. " exec \"$@\"", "sh", table.unpack(words) }
    end
    local host = process.start(words)
    return host, host:line()
  end

  local function client(port, ...)
    local ended = process.run { PYTHON, "-B", "spec/interop/tcp.py", port, ... }
    assert.same({ code = 0, err = "" }, { code = ended.code, err = ended.err })
    return ended.out
  end

  it("hears of a client that has vanished", function()
    local host, port = serve()
    client(port, "reset")
    assert.equal("end\terror: Connection reset by peer", host:line())
    assert.equal(0, host:stop("TERM").code)
  end)

  it("serves a thousand connections, from another process", function()
    local host, port = serve()
    assert.equal("answered 1000\n", client(port, "crowd", "1000"))
    assert.equal(0, host:stop("TERM").code)
  end)

  it("lets connections wait when it has no descriptors left, and says so", function()
    local host, port = serve("ulimit -n 60;")
    assert.equal("answered 200\n", client(port, "crowd", "200"))
    local ended = host:stop("TERM")
    assert.equal(0, ended.code)
    assert.matches("cannot accept a connection: too many open files %(the limit is 60: ulimit %-n%); they wait",
      ended.err)
  end)

  it("does not keep what never ends", function()
    local host, port = serve()
    local out = client(port, "flood", tostring(20 * 1024 * 1024))
    assert.matches("^[hb][er][ao]", out)
    assert.matches("^end\terror: a line is longer than 65536 bytes", host:line())
    assert.equal(0, host:stop("TERM").code)
  end)
end)
