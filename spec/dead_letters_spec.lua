-- actors/dead_letters.lua: what it counts, what it says, and how it sends one again.
local Stage = require "troupe.stage"

local SHOP = [[
  function on_tea(self, msg, env)
    if not self.open then return env:discard("closed") end
    print("tea for " .. tostring(env.from) .. ": " .. tostring(msg.cups))
    env:reply("Here")
  end
  function on_open(self) self.open = true end
]]

describe("the dead letters' actor", function()
  local stage, letters

  before_each(function()
    stage = Stage.new()
    assert(stage:spawn { name = "shop", source = SHOP })
  end)
  after_each(function()
    stage:log()
    stage:output()
    stage:close()
  end)

  local function open(config, options)
    local script = { path = "actors/dead_letters.lua", name = "dead_letters" }
    for name, value in pairs(options or {}) do script[name] = value end
    letters = assert(stage:spawn(script, config))
    stage:run()
    stage:log()
  end

  local function die(count, type, to)
    for n = 1, count do stage:send(to or "shop", type or "Tea", { cups = n }) end
    stage:run()
  end

  local function stats() return (assert(stage:ask(letters, "Stats"))) end

  local function list(wanted)
    local answer, why = stage:ask(letters, "List", wanted)
    return assert(answer, tostring(why)).letters
  end

  -- The log's lines about dead letters since the last call.
  local function summaries()
    local lines = {}
    for _, line in ipairs(stage:log()) do
      if line.text:find("dead letter", 1, true) then table.insert(lines, (line.text:gsub("^.-(%d+ dead)", "%1"))) end
    end
    return lines
  end

  it("counts them by reason, target and type", function()
    open()
    die(2)
    die(1, "Coffee")
    assert.same({ total = 3, missed = 0, by_reason = { rejected = 3 }, by_target = { shop = 3 },
                  by_type = { Tea = 2, Coffee = 1 } }, stats())
  end)

  it("counts those from before it began, each once", function()
    die(3)
    open()
    assert.same({ Tea = 3 }, stats().by_type)
    die(2)
    assert.same({ Tea = 5 }, stats().by_type)
  end)

  it("counts so many names apart", function()
    open { names = 2 }
    for _, type in ipairs { "A", "B", "C", "D", "A" } do die(1, type) end
    assert.same({ A = 2, B = 1, ["(others)"] = 2 }, stats().by_type)
  end)

  it("knows how many it was not told of", function()
    open(nil, { mailbox = { limit = 3 } })
    assert(stage:spawn { name = "crowd", source = "function on_go() for _ = 1, 10 do actor.ref('full'):send('Tea') end end" })
    assert(stage:spawn { name = "full", source = "function on_tea() end", mailbox = { limit = 1, overflow = "drop_new" } })
    stage:send("crowd", "Go")
    stage:run()
    die(1)
    local got = stats()
    assert.equal(10, got.total)
    assert.equal(6, got.missed)
  end)

  it("says so in the log, once in a while", function()
    open { every = "10s" }
    die(3)
    die(1, "Coffee")
    assert.same({}, summaries())
    stage:advance("10s")
    assert.same({ '4 dead letters in the last 10 s {last="Coffee for shop: Unknown message type: Coffee" rejected=4}' },
                summaries())
    stage:advance("1m")
    assert.same({}, summaries())
    die(1)
    stage:advance("10s")
    assert.equal(1, #summaries())
  end)

  it("says nothing, if told so", function()
    open { every = 0 }
    die(1)
    stage:advance("1m")
    assert.same({}, summaries())
  end)

  it("lists them", function()
    open()
    die(1)
    stage:advance("2s")
    die(1, "Coffee")
    local both = list()
    assert.near(2, both[1].age, 0.1)
    both[1].age, both[2].age = nil, nil
    assert.same({
      { id = 1, type = "Tea", from = "stage", to = "shop", reason = "rejected", text = "closed" },
      { id = 2, type = "Coffee", from = "stage", to = "shop", reason = "rejected",
        text = "Unknown message type: Coffee" },
    }, both)
    assert.equal(2, list({ limit = 1 })[1].id)
    assert.equal(1, list({ type = "Tea" })[1].id)
    assert.same({}, list { reason = "down" })
    assert.same({}, list { to = "else" })
  end)

  describe("sends one again", function()
    local function retry(id, again) return stage:ask(letters, "Retry", { id = id, again = again }) end

    before_each(function()
      open()
      die(1)
      stage:send("shop", "Open")
      stage:run()
    end)

    it("to its receiver, and only once unless told to", function()
      assert.same({ id = 1, type = "Tea", to = "shop" }, (retry(1)))
      stage:run()
      local _, why = retry(1)
      assert.matches("dead letter 1 was sent again already", why.text)
      assert(retry(1, true))
      stage:run()
      assert.same({ "tea for dead_letters: 1", "tea for dead_letters: 1" }, stage:output())
      assert.equal(1, stats().total) -- the answers have made no other
    end)

    it("to whoever has the name now", function()
      stage:stop("shop")
      stage:run()
      assert.matches("was not sent again: .*no actor is named 'shop'", select(2, retry(1)).text)
      assert(stage:spawn { name = "shop", source = SHOP })
      stage:send("shop", "Open")
      assert(retry(1))
      stage:run()
      assert.same({ "tea for dead_letters: 1" }, stage:output())
    end)

    it("but not one that is not kept", function()
      for _, id in ipairs { 0, -3, 99 } do
        assert.matches("no dead letter " .. id .. " is kept", select(2, retry(id)).text, 1, true)
      end
      assert.matches("Bad field 'id' in Retry", select(2, retry("one")).text)
    end)
  end)

  it("is spawned by scripts", function()
    assert(stage:spawn { name = "hero", source = [[
      function on_start()
        local letters = assert(actor.spawn("dead_letters", { config = { every = "1m" } }))
        print(letters:ask("Stats").total)
      end]] })
    stage:run()
    assert.same({ "0" }, stage:output())
  end)

  it("says what is wrong with its config", function()
    for text, config in pairs {
      ["config.every: a duration"] = { every = "often" },
      ["config has no 'evry' (did you mean 'every'?)"] = { evry = 1 },
    } do
      local made = assert(stage:spawn("actors/dead_letters.lua", config))
      stage:run()
      assert.is_false(stage:alive(made), text)
      assert.matches(text, stage:log()[1].text, 1, true)
    end
  end)
end)
