-- examples/pipeline_up: three processes, any of which is killed in the middle of the work; each
-- item arrives all the same, and once, and then the topology ends by itself.
local process = require "spec.support.process"
local topologies = require "spec.support.topologies"
local Stage = require "troupe.stage"

local TOPOLOGY = "examples/pipeline_up/pipeline.lua"
local ITEMS = 150 -- at 50 ms in three workers: there is time enough to kill somebody

local place
before_each(function() place = topologies.make {} end)
after_each(function()
  process.end_all()
  place:remove()
end)

local function start(flag, items)
  local settings = { "PIPELINE_ITEMS=" .. (items or ITEMS), "PIPELINE_FILE=" .. place:at("results.txt") }
  for i, name in ipairs { "SOURCE", "WORK", "SINK" } do
    table.insert(settings, ("PIPELINE_%s=tcp://127.0.0.1:%d"):format(name, place.ports[i]))
  end
  local words = { "env" }
  table.move(settings, 1, #settings, 2, words)
  local up = process.troupe { "up", TOPOLOGY, flag }
  table.move(up, 1, #up, #words + 1, words)
  return process.start({ "sh", "-c", 'exec "$@" 2>&1', "sh", table.unpack(words) }, 120)
end

local function assert_all_there(items)
  local results = {}
  for line in io.lines(place:at("results.txt")) do
    local number, result = line:match("^(%d+) (%d+)$")
    assert(number, "no result: " .. line)
    number = math.tointeger(tonumber(number))
    assert.is_nil(results[number], number .. " is there twice")
    results[number] = math.tointeger(tonumber(result))
  end
  local expected = {}
  for number = 1, items or ITEMS do expected[number] = 4 * number * number end
  assert.same(expected, results)
end

local function assert_done(up)
  up:line("items are stored,")
  local ended = up:wait()
  assert.equal(0, ended.code, ended.out)
  assert.matches("pipeline: all nodes have ended\n$", ended.out)
  assert_all_there()
end

local function kill(up, node, pid)
  topologies.kill(pid, "KILL")
  up:line(node .. " was killed; it is started again")
  up:line(node .. " is ready")
end

describe("examples/pipeline_up", function()
  it("loses nothing and repeats nothing when the node in the middle is killed", function()
    local up = start()
    local work = topologies.pid(up:line("work is ready"))
    up:line("sink     | 20 are stored")
    kill(up, "work", work)
    assert_done(up)
  end)

  it("does neither when the sink is killed, which then knows what it has", function()
    local up = start()
    local sink = topologies.pid(up:line("sink is ready"))
    up:line("sink     | 20 are stored")
    topologies.kill(sink, "KILL")
    assert.is_truthy(tonumber(up:line("are there from before"):match("| (%d+) are")) >= 20)
    assert_done(up)
  end)

  it("does neither when the source is killed, which offers all once more", function()
    local up = start()
    local source = topologies.pid(up:line("source is ready"))
    up:line("sink     | 20 are stored")
    kill(up, "source", source)
    assert_done(up)
  end)

  it("does neither in one process that is killed with all in it", function()
    local up = start("--one")
    local pid = topologies.pid(up:line("pipeline is ready"))
    up:line("pipeline | 20 are stored")
    kill(up, "pipeline", pid)
    assert_done(up)
  end)

  for _, way in ipairs(topologies.WAYS) do
    it("ends at once " .. way[1] .. " when all is there from before, be its last line cut", function()
      local file <close> = assert(io.open(place:at("results.txt"), "w"))
      for number = 1, 6 do file:write(number, " ", 4 * number * number, "\n") end
      file:write("7 19")
      file:close()
      local ended = start(way[2], 7):wait()
      assert.equal(0, ended.code, ended.out)
      assert.matches("| 6 are there from before", ended.out, 1, true)
      assert.matches("| 7 items are stored, ", ended.out, 1, true)
      assert_all_there(7)
    end)
  end
end)

describe("the source of examples/pipeline_up", function()
  -- Stands for the group, its worker and the sink. Of each type the first is lost.
  local OTHERS = [[
    function on_start(self) self.items, self.ends = {}, 0 end
    function on_item(self, msg, env)
      self.items[msg.number] = (self.items[msg.number] or 0) + 1
      if msg.number > 1 or self.items[1] == 2 then env.from:send("Stored", msg) end
    end
    function on_end(self, _, env)
      self.ends = self.ends + 1
      if self.ends == 1 then env:defer() self.lost = env else env:reply("Ended") end
    end
    function on_get(self, _, env) env:reply("Got", { items = self.items, ends = self.ends }) end ]]

  it("sends again what was not confirmed, and asks again who does not say that it ends", function()
    local stage = Stage.new()
    local others = stage:spawn { source = OTHERS, name = "others" }
    local source = stage:spawn("examples/pipeline_up/source.lua",
                               { count = "4", window = 2, group = others, workers = { others }, sink = others })
    stage:advance("900ms")
    assert.same({ items = { 1, 1, 1, 1 }, ends = 0 }, stage:ask(others, "Get"))
    stage:advance("600ms")
    assert.same({ "4 items are stored, 1 were sent again" }, stage:output())
    stage:advance("2s")
    assert.same({ items = { 2, 1, 1, 1 }, ends = 3 }, stage:ask(others, "Get")) -- one lost, then the worker's, the sink's
    assert.falsy(stage:send(source, "Look"))
    stage:close()
  end)
end)
