-- Subscriptions: what a ZeroMQ publisher says comes as messages.
local process = require "spec.support.process"
local Stage = require "troupe.stage"

local PYTHON = "/usr/bin/python3" -- Debian's python3-zmq is for this one
local has_zmq = os.execute(PYTHON .. " -c 'import zmq' 2>/dev/null") == true

describe("a subscription", function()
  local folder

  before_each(function() folder = process.make_folder() end)
  after_each(function()
    process.end_all()
    process.remove_folder(folder)
  end)

  -- Runs a script beside a publisher, whose endpoint is ENDPOINT in it.
  local function run(text)
    local publisher = process.start({ PYTHON, "-B", "spec/interop/publisher.py" })
    text = text:gsub("ENDPOINT", ("%q"):format("tcp://127.0.0.1:" .. publisher:line()))
    return process.run(process.troupe { "run", process.write_file(folder .. "/subscriber.lua", text) })
  end

  if has_zmq then
    it("brings what begins with the prefix, and all parts of it, in order", function()
      local ended = run [[
        local Subscriber = {}
        function Subscriber:on_start()
          self.stream = assert(actor.stream(actor.subscribe(ENDPOINT, "EUR"), { as = "Tick" }))
          self.seen = 0
        end
        function Subscriber:on_tick(msg)
          assert(msg.stream == self.stream and msg.text:sub(1, 3) == "EUR")
          local round = tonumber(msg.text:match("^EUR (%d+)$"))
          if round then
            assert(not self.round or round == self.round + 1, "a round is missing")
            self.round, self.seen = round, self.seen + 1
          elseif msg.parts then
            assert(#msg.parts == 3 and msg.parts[1] == msg.text and msg.parts[3] == "\0\255")
            self.parts = true
          end
          if self.seen == 20 and self.parts then
            print("seen")
            self.stream:close()
          end
        end
        function Subscriber:on_tick_end(msg) print(msg.reason, (tostring(self.stream):gsub("%d+$", "PORT"))) actor.exit() end
        return Subscriber]]
      assert.same({ code = 0, err = "", out = "seen\nclosed\tsubscription to tcp://127.0.0.1:PORT\n" }, ended)
    end)

    it("is never more than its window ahead, and goes on afterwards", function()
      local ended = run [[
        local Slow = {}
        function Slow:on_start()
          self.stream = assert(actor.stream(actor.subscribe(ENDPOINT), { as = "Tick", window = 3 }))
          self.handled = 0
        end
        function Slow:on_tick(msg)
          self.handled = self.handled + 1
          if self.handled <= 5 then actor.sleep("50ms") end
          local ahead = actor.metrics().streams.items - self.handled
          if ahead > 2 then print("ahead", ahead) end
          if self.handled == 50 then print("handled") actor.exit() end
        end
        return Slow]]
      assert.same({ code = 0, err = "", out = "handled\n" }, ended)
    end)

    it("ends with the host, also when nobody was ever there", function()
      local ended = run [[
        function on_start()
          for port = 1, 3 do assert(actor.stream(actor.subscribe("tcp://127.0.0.1:" .. port))) end
          actor.after("100ms", "Enough")
        end
        function on_enough() print(actor.metrics().streams.open) actor.stop_host(0) end]]
      assert.same({ code = 0, err = "", out = "3\n" }, ended)
    end)
  end

  it("is refused on a stage, which has no ZeroMQ", function()
    local stage = Stage.new()
    assert(stage:spawn({ source = [[
      function on_start() print(select(2, actor.stream(actor.subscribe("tcp://127.0.0.1:1", "x")))) end]] }))
    stage:run()
    assert.same({ "actor.stream: this host cannot subscribe: a stage has no ZeroMQ" }, stage:output())
    stage:close()
  end)

  it("of what is no endpoint, or with a prefix that is no text, raises", function()
    local stage = Stage.new()
    assert(stage:spawn({ source = [[
      function on_start()
        print(select(2, pcall(actor.subscribe, "nowhere")))
        print(select(2, pcall(actor.subscribe, ":6000", 7)))
      end]] }))
    stage:run()
    local lines = stage:output()
    assert.matches("actor.subscribe: ", lines[1])
    assert.matches("a prefix is a string, not a number", lines[2])
    stage:close()
  end)
end)
