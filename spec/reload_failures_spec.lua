-- What cannot be reloaded hurts nobody: whatever is wrong with the new version, all
-- instances go on with the old one and with their state as it was, and one clear
-- line says what it was and where.
local Stage = require "troupe.stage"
local process = require "spec.support.process"

-- Counts, and says which version of it does.
local GOOD = [[
  local Counter = { version = 1 }
  function Counter:on_start() self.n, self.list = 0, { 1, 2 } end
  function Counter:on_add() self.n = self.n + 1 end
  function Counter:on_get(_, env) env:reply("State", { n = self.n, of = 1, list = self.list }) end
  return Counter
]]

-- A next version with something wrong in it: `body` stands behind its handlers.
local function broken(body)
  return "local Counter = { version = 2 }\n" ..
    "function Counter:on_add() self.n = self.n + 100 end\n" ..
    "function Counter:on_get(_, env) env:reply('State', { n = self.n, of = 2, list = self.list }) end\n" ..
    body .. "\nreturn Counter\n"
end

describe("a reload that is refused", function()
  local stage, folder, path, counters

  before_each(function()
    stage = Stage.new()
    folder = process.make_folder()
    path = process.write_file(folder .. "/counter.lua", GOOD)
    counters = {}
    for i = 1, 3 do
      counters[i] = assert(stage:spawn { path = path, name = "counter" .. i })
    end
    stage:run()
    for i, counter in ipairs(counters) do
      for _ = 1, i do stage:send(counter, "Add") end
    end
    stage:run()
  end)
  after_each(function()
    stage:close()
    process.remove_folder(folder)
  end)

  local function state_of(i)
    return (stage:ask(counters[i], "Get"))
  end

  local function reload_lines()
    local lines = {}
    for _, line in ipairs(stage:log()) do
      if line.text:match("^reload: ") then table.insert(lines, line) end
    end
    return lines
  end

  -- Reloads, and checks all that has to hold when it was refused.
  local function is_refused(pattern)
    stage:log()
    stage:send(counters[2], "Add") -- queued meanwhile: the old version's
    local report, why = stage:reload(counters[1])
    assert.is_nil(report)
    assert.equal("reload", why.reason)
    assert.truthy(tostring(why):match(pattern), tostring(why))
    assert.is_nil(tostring(why):find("\n", 1, true), "one line")
    assert.is_false(why.report.ok)
    assert.equal(why.text, why.report.error)

    local lines = reload_lines()
    assert.equal(1, #lines)
    assert.equal("error", lines[1].level)
    assert.truthy(lines[1].text:find(why.text, 1, true), lines[1].text)
    for i = 1, 3 do
      assert.same({ n = i == 2 and 3 or i, of = 1, list = { 1, 2 } }, state_of(i))
    end
    -- And a good one comes through afterwards.
    process.write_file(path, broken(""))
    assert.equal(2, assert(stage:reload(counters[1])).scripts[1].to)
    assert.same({ n = 1, of = 2, list = { 1, 2 } }, state_of(1))
    stage:log()
  end

  local CASES = {
    { "a syntax error", broken("function Counter:on_x( end"), "counter%.lua:4: .+expected" },
    { "an error at its top level", broken("error('not today')"), "counter%.lua:4: not today" },
    { "a top level that sends", broken("actor.ref('counter1'):send('Add')"), "counter%.lua:4: " },
    { "a top level that spawns", broken("actor.spawn('x')"), "counter%.lua:4: " },
    { "a top level that starts a timer", broken("actor.after('1s', 'Add')"), "counter%.lua:4: " },
    { "a top level that waits", broken("actor.sleep('1s')"), "counter%.lua:4: " },
    { "a top level that reloads", broken("actor.reload()"), "counter%.lua:4: " },
    { "a top level without end", broken("while true do end"), "counter%.lua" },
    { "a module that is missing", broken("require 'no.such.module'"), "no%.such%.module" },
    { "a handler that is no function", broken("Counter.on_go = 42"), "on_go is a number, not a function" },
    { "a type spelt twice", broken("function Counter:on_go_on() end function Counter:on_goon() end"), "on_go" },
    { "no handlers", "return 42", "counter%.lua: returns no table" },
    { "a setting that is none", broken("Counter.mailbox = 'large'"), "mailbox" },
    { "a version that is none", broken("Counter.version = {}"), "version is a number or a string" },
    { "nothing in its file", "", "counter%.lua" },
    { "half of it written", GOOD:sub(1, #GOOD // 2), "counter%.lua:%d+: " },
    { "binary code", string.dump(load(GOOD)), "counter%.lua.*bytecode" },
    { "bytes that are no text", "\0\1\2\255\254" .. ("\0"):rep(1000), "counter%.lua" },
    { "10 MB of the same", "x = 'a'\n" .. ("x = x + 1\n"):rep(1000000) .. "error('at last')", "counter%.lua" },
    { "17 MB", "--" .. ("x"):rep(17 * 1024 * 1024), "counter%.lua.+16" },
    { "an on_reload that fails",
      broken("function Counter:on_reload() self.n = 1000 self.list[1] = 'x' error('no way') end"),
      "counter%.lua:4: no way" },
    { "an on_reload without end",
      broken("function Counter:on_reload() self.n = 1000 while true do self.n = self.n + 1 end end"),
      "counter%.lua" },
    { "an on_reload that waits", broken("function Counter:on_reload() self.n = 0 actor.sleep('1ms') end"),
      "counter%.lua:4: " },
    { "an on_reload that asks",
      broken("function Counter:on_reload() self.n = 0 actor.ref('counter2'):ask('Get') end"),
      "counter%.lua:4: " },
    { "an on_reload that spawns", broken("function Counter:on_reload() actor.spawn('x') end"), "counter%.lua:4: " },
    { "an on_reload that reloads", broken("function Counter:on_reload() actor.reload() end"), "counter%.lua:4: " },
  }
  for _, case in ipairs(CASES) do
    local name, text, pattern = case[1], case[2], case[3]
    it("for " .. name, function()
      process.write_file(path, text)
      is_refused(pattern)
    end)
  end

  it("for a file that has vanished", function()
    assert(os.remove(path))
    is_refused("counter%.lua")
  end)

  it("for a folder in its place", function()
    assert(os.remove(path))
    assert(os.execute("mkdir " .. path))
    stage:log()
    local report, why = stage:reload(counters[1])
    assert.is_nil(report)
    assert.truthy(tostring(why):match("counter%.lua"), tostring(why))
    for i = 1, 3 do assert.same({ n = i, of = 1, list = { 1, 2 } }, state_of(i)) end
  end)

  it("by one instance of many, whichever it is", function()
    for i = 1, 3 do
      process.write_file(path, broken(([[
        function Counter:on_reload()
          self.n = self.n + 1000
          if actor.name == "counter%d" then error("not me") end
        end]]):format(i)))
      local report, why = stage:reload(counters[1])
      assert.is_nil(report)
      assert.truthy(tostring(why):match("counter%.lua:6: not me, in counter" .. i), tostring(why))
      for k = 1, 3 do assert.same({ n = k, of = 1, list = { 1, 2 } }, state_of(k)) end
    end
    stage:log()
  end)

  it("sends nothing and starts no timer", function()
    process.write_file(path, broken([[
      function Counter:on_reload()
        actor.ref("counter3"):send("Add")
        actor.after("1s", "Add")
        if actor.name == "counter2" then error("late") end
      end]]))
    assert.is_nil((stage:reload(counters[1])))
    stage:advance("10s")
    for i = 1, 3 do assert.same({ n = i, of = 1, list = { 1, 2 } }, state_of(i)) end
    stage:log()
  end)
end)
