-- A node that dies is started again by troupe up, which paces that; one that has done its
-- work is not.
local process = require "spec.support.process"
local topologies = require "spec.support.topologies"

local ASKER = [[
  local Asker = {}
  function Asker:on_start() actor.every("20ms", "Beat") end
  function Asker:on_beat()
    local answer = self.config.to:ask("Ping", {}, { timeout = "200ms" })
    if answer and answer.life ~= self.life then
      self.life = answer.life
      print("life " .. self.life)
    end
  end
  return Asker
]]

-- Counts its lives in a file.
local ANSWERER = [[
  local Answerer = {}
  function Answerer:on_start()
    local file <close> = assert(io.open("FOLDER/lives", "a+"))
    self.life = #file:read("a") + 1
    file:write("x")
    if io.open("FOLDER/broken") then error("it is broken", 0) end
    if io.open("FOLDER/slow") then
      print("starting slowly")
      actor.sleep("1h")
    end
  end
  function Answerer:on_ping(_, env) env:reply("Pong", { life = self.life }) end
  function Answerer:on_leave(msg) actor.stop_host(msg.code) end
  return Answerer
]]

local PAIR = [[
  return topology "pair" {
    node "answerer" { bind = ":PORT1", actor "answerer" { "answerer.lua" } },
    node "asker" { bind = ":PORT2", after = "answerer", actor "asker" { "asker.lua", config = { to = ref "answerer" } } },
    link { "asker", "answerer", "Ping", answers = "Pong" },
  }
]]

local place
before_each(function()
  place = topologies.make { ["asker.lua"] = ASKER, ["pair.lua"] = PAIR }
  place:write("answerer.lua", (ANSWERER:gsub("FOLDER", place.folder)))
end)

after_each(function()
  process.end_all()
  place:remove()
end)

-- The process of the node that is ready, when the answerer has been heard in that life of its.
local function await_life(up, node, life)
  return topologies.pid(topologies.await(up, { node .. " is ready", "life " .. life })[1])
end

local function touch(name) process.write_file(place:at(name), "") end

local function send_leave(code)
  assert.equal(0, process.run(process.troupe { "send", "answerer@:" .. place.ports[1], "Leave", "code:=" .. code }).code)
end

for _, way in ipairs(topologies.WAYS) do
  local what, flag = way[1], way[2]
  local node = flag and "pair" or "answerer" -- the one that has the actor answerer

  describe("a topology " .. what, function()
    it("goes on after its process was killed: on the same port, and twice", function()
      local up = place:up("pair.lua", flag)
      local pid = await_life(up, node, 1)
      topologies.kill(pid, "KILL")
      up:line(node .. " was killed; it is started again in 100 ms")
      local second = await_life(up, node, 2)
      assert.not_equal(pid, second)
      topologies.kill(second, "KILL")
      up:line(node .. " was killed; it is started again in 200 ms")
      await_life(up, node, 3)
      assert.equal(0, up:stop("TERM").code)
    end)

    it("starts a host again that ended with an error, and not one that ended with 0", function()
      local up = place:up("pair.lua", flag)
      await_life(up, node, 1)
      send_leave(3)
      up:line(node .. " ended with 3; it is started again in 100 ms")
      await_life(up, node, 2)
      send_leave(0)
      up:line(node .. " has ended")
      if flag then
        assert.equal(0, up:wait().code)
      else
        assert.equal(0, up:stop("TERM").code)
      end
    end)

    it("tries again and again, ever more slowly, when it cannot be started any more", function()
      local up = place:up("pair.lua", flag)
      local pid = await_life(up, node, 1)
      touch("broken")
      topologies.kill(pid, "KILL")
      up:line("in 100 ms")
      assert.matches("^up       | " .. node .. " cannot start: .*it is broken; it is started again in 200 ms$",
                     up:line("cannot start"))
      up:line("in 400 ms")
      os.remove(place:at("broken"))
      up:line(node .. " is ready")
      assert.equal(0, up:stop("TERM").code)
    end)

    it("goes on when it is killed while it starts, at first and later", function()
      touch("slow")
      local up = place:up("pair.lua", "--shutdown", "2s", flag)
      up:line("starting slowly")
      assert(os.execute(("pkill -KILL -P $(pgrep -f '^[^ ]*troupe up %s')"):format(place:at("pair.lua"))))
      up:line(node .. " was killed while it started; it is started again in 100 ms")
      up:line("starting slowly")
      os.remove(place:at("slow"))
      assert(os.execute(("pkill -KILL -P $(pgrep -f '^[^ ]*troupe up %s')"):format(place:at("pair.lua"))))
      up:line(node .. " was killed while it started; it is started again in 200 ms")
      up:line("pair is up")
      assert.equal(0, up:stop("TERM").code)
    end)
  end)
end

describe("a topology that is being started", function()
  it("gives up when a node is killed again and again", function()
    touch("slow")
    local up = place:up("pair.lua", "--shutdown", "2s")
    for _ = 1, 4 do
      up:line("starting slowly")
      assert(os.execute(("pkill -KILL -P $(pgrep -f '^[^ ]*troupe up %s')"):format(place:at("pair.lua"))))
    end
    up:line("answerer cannot start: was killed")
    assert.equal(1, up:wait().code)
  end)

  it("can be stopped", function()
    touch("slow")
    local up = place:up("pair.lua", "--shutdown", "4s")
    up:line("starting slowly")
    assert.equal(130, up:stop("INT").code)
  end)

  it("stops what is up already, in order, when a later node cannot start", function()
    place:write("asker.lua", 'return { on_start = function() error("not today", 0) end }')
    local ended = place:run("up", "pair.lua")
    assert.equal(1, ended.code)
    assert.matches("answerer is ready", ended.err, 1, true)
    assert.matches("asker cannot start: .*not today", ended.err)
    assert.matches("pair is down\n$", ended.err)
  end)
end)
