-- The event bus and subscribers of other hosts.
local process = require "spec.support.process"

-- Subscribes, tells who it is to the bus, and ends with the first event.
local SUBSCRIBER = [[
  local Subscriber = {}
  function Subscriber:on_start()
    local bus = actor.ref("event_bus@" .. actor.args[1])
    assert(bus:ask("Subscribe", { topic = "news.#" }))
    local _, why = bus:ask("Subscribe", { topic = "#", to = actor.ref("other@" .. actor.args[1]) })
    print(why)
    print("subscribed")
    io.stdout:flush()
  end
  function Subscriber:on_event(msg) print(msg.topic .. " " .. msg.value) actor.exit() end
  return Subscriber
]]

describe("an event bus", function()
  local folder, bus, endpoint

  setup(function()
    folder = process.make_folder()
    process.write_file(folder .. "/reader.lua", SUBSCRIBER)
    bus = process.start(process.troupe { "run", "event_bus", "--bind", ":0" }, 100)
    endpoint = bus:error_line("listening on"):match("tcp://%S+")
  end)

  teardown(function()
    process.end_all()
    process.remove_folder(folder)
  end)

  local function ask(type, ...)
    local ended = process.run(process.troupe { "ask", "event_bus@" .. endpoint, type, "--timeout", "20s", ... })
    assert.equal(0, ended.code, ended.err)
    return ended.out
  end

  it("sends to subscribers of other hosts, who speak for themselves only, and forgets those that end", function()
    local reader = process.start(process.troupe { "run", folder .. "/reader.lua", "--bind", ":0", "--", endpoint }, 60)
    assert.matches("Subscribe from another host is for its sender only", reader:line("rejected"))
    reader:line("subscribed")
    assert.matches('"subscribers": 1}', ask("Publish", "topic=news.rain", "value=wet"))
    assert.equal("news.rain wet", reader:line("news"))
    assert.equal(0, reader:wait().code)
    local stats
    for _ = 1, 200 do
      stats = ask("Stats")
      if stats:find('"ended": 1', 1, true) then break end
    end
    assert.matches('"ended": 1', stats)
    assert.matches('"subscribers": 0', stats)
  end)
end)
