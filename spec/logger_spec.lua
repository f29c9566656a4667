-- actors/logger.lua: what stands in its file, how that is put aside, and what becomes of
-- lines that cannot be written.
local json = require "troupe.json"
local Stage = require "troupe.stage"

describe("the logger", function()
  local stage, logger, folder, path

  before_each(function()
    stage = Stage.new()
    folder = os.tmpname()
    os.remove(folder)
    assert(os.execute("mkdir " .. folder))
    path = folder .. "/app.log"
  end)
  after_each(function()
    stage:log()
    stage:output()
    stage:close()
    os.execute("rm -rf " .. folder)
  end)

  local function open(config)
    config = config or {}
    config.path = config.path or path
    logger = assert(stage:spawn({ path = "actors/logger.lua", name = "logger" }, config))
    stage:run()
  end

  local function write(text, level, fields)
    stage:send(logger, "Log", { text = text, level = level, fields = fields })
    stage:run()
  end

  local function content(of)
    local file = io.open(of or path, "rb")
    if not file then return nil end
    local text = file:read("a")
    file:close()
    return text
  end

  -- The lines of the file, without their times.
  local function lines(of)
    local list = {}
    for line in (content(of) or ""):gmatch("([^\n]*)\n") do
      table.insert(list, (line:gsub("^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ ", "")))
    end
    return list
  end

  local function stats() return (assert(stage:ask(logger, "Stats"))) end

  -- What the host's log says of the file since the last call.
  local function said()
    local list = {}
    for _, line in ipairs(stage:log()) do
      if line.text:find("the file can", 1, true) then
        table.insert(list, line.level .. " " .. (line.text:match("the file can[^:{]*"):gsub(" $", "")))
      end
    end
    return list
  end

  describe("writes", function()
    it("a line for each, with its time, level, sender and fields", function()
      open()
      stage:advance("1.5s")
      write("ready")
      write("order refused", "warn", { id = 7, why = "sold out", items = { "tea" }, ok = false })
      stage:advance("1s")
      assert.equal('2000-01-01T00:00:02.500Z info  stage  ready\n' ..
        '2000-01-01T00:00:02.500Z warn  stage  order refused {id=7 items=["tea"] ok=false why="sold out"}\n',
        content())
    end)

    it("objects, if told so", function()
      open { format = "json" }
      write("two\nlines", "error", { id = 7 })
      local entry = assert(json.decode(content()))
      assert.equal("2000-01-01T00:00:01.000Z", entry.time)
      assert.same({ "error", "stage", "two\nlines", 7 }, { entry.level, entry.from, entry.text, entry.fields.id })
      write("\xff\n", "error")
      assert.equal("\\xff\\n", json.decode(content():match("\n(.*)")).text)
    end)

    it("no line that looks like two", function()
      open()
      write("a\n2000-01-01T00:00:00.000Z error root  b\r\27[2J", "error")
      assert.same({ "error stage  a\\n2000-01-01T00:00:00.000Z error root  b\\x0d\\x1b[2J" }, lines())
    end)

    it("after a while, or at once if it is an error", function()
      open { flush = "2s" }
      write("one")
      stage:advance("1.9s")
      assert.is_nil(content())
      stage:advance("0.1s")
      assert.equal(1, #lines())
      write("two")
      write("three", "error")
      assert.equal(3, #lines())
    end)

    it("when told to", function()
      open { flush = "1h" }
      write("one")
      assert(stage:ask(logger, "Flush"))
      assert.equal(1, #lines())
    end)

    it("when half of its buffer is full", function()
      open { flush = "1h", buffer = 2048 }
      write(("x"):rep(1100))
      assert.equal(1, #lines())
    end)

    it("what is left at its end", function()
      open { flush = "1h" }
      write("one")
      stage:stop(logger)
      stage:run()
      assert.equal(1, #lines())
    end)

    it("behind what is there", function()
      open()
      write("one", "error")
      stage:stop(logger)
      stage:run()
      open()
      write("two", "error")
      assert.same({ "error stage  one", "error stage  two" }, lines())
    end)

    it("nothing below its level", function()
      open { level = "warn" }
      write("one", "debug")
      write("two")
      write("three", "warn")
      write("four", "error")
      assert.same({ "warn  stage  three", "error stage  four" }, lines())
    end)

    it("a stream's lines, that was handed to it", function()
      open()
      local source = folder .. "/source"
      local file = assert(io.open(source, "w"))
      file:write("one\ntwo\n")
      file:close()
      assert(stage:spawn({ name = "hero", source = [[
        function on_start(self) actor.stream(actor.lines(self.config.path)):hand_to(actor.ref("logger")) end
      ]] }, { path = source }))
      stage:run()
      for _ = 1, 100 do
        if stats().lines == 3 then break end
        stage:poll("1s")
      end
      assert(stage:ask(logger, "Flush"))
      local got = lines()
      assert.matches("info .*  one$", got[1])
      assert.matches("info .*  two$", got[2])
      assert.matches("the stream has ended: normal$", got[3])
    end)
  end)

  describe("puts its file aside", function()
    it("when it is large, and keeps so many", function()
      open { size = 200, keep = 2 }
      for n = 1, 20 do write(("line %02d"):format(n), "error") end -- 45 bytes each
      assert.is_nil(content(path .. ".3"))
      local all = {}
      for _, name in ipairs { path .. ".2", path .. ".1", path } do
        local some = lines(name)
        assert.is_true(#content(name) <= 200)
        for _, line in ipairs(some) do table.insert(all, line:match("%d+$")) end
      end
      assert.same({ "09", "10", "11", "12", "13", "14", "15", "16", "17", "18", "19", "20" }, all)
    end)

    it("also while it writes much at once", function()
      open { size = 1000, keep = 100, flush = "1h" }
      for n = 1, 100 do write(("line %03d"):format(n)) end
      assert(stage:ask(logger, "Flush"))
      local count = #lines()
      for n = 1, 100 do count = count + #lines(path .. "." .. n) end
      assert.equal(100, count)
      assert.is_true(#content(path .. ".1") <= 1000)
      assert.is_true(#content(path .. ".1") > 900)
    end)

    it("or keeps none", function()
      open { size = 100, keep = 0 }
      for n = 1, 5 do write("line " .. n, "error") end
      assert.is_nil(content(path .. ".1"))
      assert.same({ "error stage  line 5" }, lines())
    end)

    it("as far as it can: else it goes on with the one it has, and says so once", function()
      assert(os.execute("mkdir -p " .. path .. ".1/in_the_way"))
      open { size = 100, keep = 1 }
      for n = 1, 6 do
        write("line " .. n, "error")
        stage:advance("2s")
      end
      assert.equal(6, #lines())
      assert.same({ "error the file cannot be written" }, said())
      assert.matches("cannot be put aside", stats().problem)
    end)
  end)

  describe("survives", function()
    it("a full disk, and tells what was lost", function()
      assert(os.execute(("ln -s /dev/full %s"):format(path)))
      open { buffer = 2048, flush = "1s" }
      write("first", "error")
      assert.same({ "error the file cannot be written" }, said())
      for n = 1, 100 do write(("line %03d"):format(n), "error") end
      stage:advance("1m")
      assert.same({}, said())
      assert.matches("No space left on device", stats().problem)
      local lost = stats().lost
      assert.is_true(lost > 40 and lost < 70)
      local _, why = stage:ask(logger, "Flush")
      assert.matches("No space left on device", why.text)

      os.remove(path)
      stage:advance("1s")
      assert.same({ "info the file can be written again" }, said())
      stage:advance("1s")
      local got = lines()
      assert.equal(102 - lost, #got)
      assert.equal("error stage  first", got[1])
      assert.equal(("warn  logger  %d lines were lost: there was no room for more"):format(lost), got[#got])
      assert.is_nil(stats().problem)
    end)

    it("a folder that is removed, and comes back", function()
      open()
      write("one", "error")
      assert(os.execute("rm -rf " .. folder))
      write("two", "error")
      write("three")
      assert.same({ "error the file cannot be written" }, said())
      assert(os.execute("mkdir " .. folder))
      stage:advance("1s")
      assert.same({ "error stage  two", "info  stage  three" }, lines())
      assert.same({ "info the file can be written again" }, said())
    end)

    it("a file that others have moved", function()
      open()
      write("one", "error")
      assert(os.rename(path, path .. ".old"))
      write("two", "error")
      assert.same({ "error stage  two" }, lines())
    end)

    it("its end while nothing can be written, and says so", function()
      open { path = folder .. "/none/app.log" }
      write("one", "error")
      stage:stop(logger)
      stage:run()
      local log = stage:log()
      assert.matches("lines were not written", log[#log].text, 1, true)
    end)
  end)

  it("answers who asks, and refuses levels that there are not", function()
    open()
    assert.same({ taken = true }, (stage:ask(logger, "Log", { text = "one" })))
    assert.same({ lines = 1, written = 0, lost = 0 }, (function(s) s.waiting = nil return s end)(stats()))
    local _, why = stage:ask(logger, "Log", { text = "two", level = "eror" })
    assert.matches("Bad field 'level' in Log: one of debug, info, warn, error is expected, not 'eror' (did you mean 'error'?)", why.text, 1, true)
    _, why = stage:ask(logger, "Log", { txt = "three" })
    assert.equal("rejected", why.reason)
  end)

  it("is spawned by scripts", function()
    assert(stage:spawn({ name = "hero", source = [[
      function on_start(self)
        local logger = assert(actor.spawn("logger", { config = { path = self.config.path } }))
        logger:send("Log", { text = "hello", level = "error" })
      end]] }, { path = path }))
    stage:run()
    assert.same({ "error hero  hello" }, lines())
  end)

  it("says what is wrong with its config", function()
    for text, config in pairs {
      ["config.path: a text is expected, but it is missing"] = {},
      ["config.size: a size (\"64KiB\", \"10MiB\", a number of bytes) is expected, not 'big'"] = { path = path, size = "big" },
      ["config.buffer: a size (\"64KiB\", \"10MiB\", a number of bytes) from 1024 bytes to 134217728 bytes is expected, not 1"] = { path = path, buffer = 1 },
      ["config.level: one of debug, info, warn, error is expected, not 'wran' (did you mean 'warn'?)"] = {
        path = path, level = "wran" },
      ["config has no 'pth' (did you mean 'path'?)"] = { pth = path },
    } do
      local made = assert(stage:spawn("actors/logger.lua", config))
      stage:run()
      assert.is_false(stage:alive(made), text)
      assert.matches(text, stage:log()[1].text, 1, true)
    end
  end)
end)
