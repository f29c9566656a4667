-- examples/market: its session.md is played here, line by line, with the real program; then its
-- topology once more, in every way that it may be up.
local process = require "spec.support.process"
local program = require "spec.support.program"
local session = require "spec.support.session"
local topologies = require "spec.support.topologies"
local Stage = require "troupe.stage"

local EXAMPLE = "examples/market"
local PYTHON = "/usr/bin/python3" -- Debian's python3-zmq is for this one
local has_zmq = os.execute(PYTHON .. " -c 'import zmq' 2>/dev/null") == true
local it_with_python = has_zmq and it or function(name)
  pending(name .. " (needs python3-zmq: '" .. PYTHON .. " -c \"import zmq\"' fails)")
end

-- The ports of the example, and the variables that say others.
local USUAL = { { 5001, "MARKET_FEED" }, { 5002, "MARKET_RISK" }, { 5010, "MARKET_PRICER" } }

local place

-- A copy of the example, and `troupe` and `python3` as somebody has them who types.
before_each(function()
  place = topologies.make {}
  assert(os.execute(("cp -rL %s/* %s && mkdir %s/bin && ln -s %s %s/bin/troupe"):format(
    EXAMPLE, place.folder, place.folder, program.path, place.folder)))
  place:write("bin/python3", ('#!/bin/sh\nexec %s -B "$@"\n'):format(PYTHON))
  assert(os.execute("chmod +x " .. place:at("bin/python3")))
end)

after_each(function()
  process.end_all()
  place:remove()
end)

-- The words that run a command line in the folder, with ports that are free.
local function shell(command)
  local settings = {}
  for i, usual in ipairs(USUAL) do
    settings[i] = ("%s=tcp://%s:%d"):format(usual[2], usual[2] == "MARKET_PRICER" and "localhost" or "127.0.0.1", place.ports[i])
  end
  return { "sh", "-c", 'cd "$1" && PATH="$PWD/bin:$PATH" && export PATH ' .. table.concat(settings, " ") .. " && " .. command,
           "sh", place.folder }
end

local function start(command)
  return process.start(shell("exec " .. command .. " 2>&1"), 300)
end

describe("examples/market", function()
  it_with_python("goes as its session says", function()
    local beside = {}          -- by terminal: what runs in it
    local to_see = {}          -- by terminal: lines that are still to come there
    local left = ""            -- what the last command of the second has printed, and is not looked at yet
    local typed
    local processes = {}       -- what stands for the number of a process in the page, and that number

    local function as_in_page(line)
      for i, usual in ipairs(USUAL) do line = line:gsub(":" .. place.ports[i], ":" .. usual[1]) end
      return line
    end

    local function see(expected, line)
      local stands, real = expected:match("%(process (47%d%d)%)"), line:match("%(process (%d+)%)")
      if stands and real then processes[stands] = processes[stands] or real end
      return session.is_seen(expected:gsub("47%d%d", processes), as_in_page(line))
    end

    -- Lines of several nodes come in any order, those of one in theirs.
    local function see_all(terminal)
      local wanted = to_see[terminal] or {}
      while #wanted > 0 do
        local line = beside[terminal]:line()
        local found
        for i, expected in ipairs(wanted) do
          found = see(expected, line) and i
          if found then break end
        end
        assert(found, ("after '%s' one should see in terminal %s:\n  %s\nand not:\n  %s"):format(
          typed, terminal, table.concat(wanted, "\n  "), as_in_page(line)))
        table.remove(wanted, found)
      end
      to_see[terminal] = wanted
    end

    local function settle()
      see_all "1"
      see_all "3"
      assert.equal("", left, ("after '%s' one sees more"):format(typed))
    end

    local function await_end(terminal)
      if not beside[terminal] then return end
      local ended = beside[terminal]:wait()
      assert.equal("", ended.out)
      assert(ended.code == 0 or ended.code == 130, ended.code)
      beside[terminal] = nil
    end

    local function type_in(terminal, command)
      if command == "^C" then
        beside[terminal]:signal("INT")
      elseif terminal == "2" then
        command = command:gsub("47%d%d", processes):gsub(":5010", ":" .. place.ports[3])
        left = process.run(shell("{ " .. command .. "; } 2>&1")).out
      else
        await_end(terminal)
        beside[terminal] = start(command)
      end
    end

    for _, step in ipairs(session.read(EXAMPLE .. "/session.md")) do
      if step.typed then
        settle()
        typed = step.typed
        type_in(step.terminal, typed)
      elseif step.terminal == "2" then
        local line, rest = left:match("^(.-)\n(.*)$")
        assert(line and see(step.seen, line), ("after '%s' one should see:\n  %s\nand not:\n  %s"):format(
          typed, step.seen, line and as_in_page(line) or "(nothing)"))
        left = rest
      else
        to_see[step.terminal] = to_see[step.terminal] or {}
        table.insert(to_see[step.terminal], step.seen)
      end
    end
    settle()
    await_end "1"
    await_end "3"
    assert.is_truthy(processes["4714"])
  end)
end)

-- Who stands behind the external: the program, or what stands in for it.
local PRICERS = {
  { "with the pricer in Python", "python3 pricer.py", "pricer ready at", it_with_python },
  { "with troupe mock in its place", "troupe mock pricer market.lua --set price:=100.25", "PriceReq -> Price", it },
}

for _, way in ipairs(topologies.WAYS) do
  local what, flag = way[1], way[2]

  describe("examples/market " .. what, function()
    local function ask(...)
      return process.run(shell(("troupe ask %s --timeout 20s"):format(table.concat({ ... }, " "))))
    end

    local function assert_accepted(held)
      local ended = ask("limits", "Check", "symbol=ACME", "count:=60")
      assert.same({ 0, ('Accepted {"held": %d, "symbol": "ACME", "worth": %.1f}\n'):format(held, held * 100.25), "" },
                  { ended.code, ended.out, ended.err })
    end

    for _, pricer in ipairs(PRICERS) do
      local whom, command, says, it_here = table.unpack(pricer)

      it_here("is up, killed, up again, and down, " .. whom, function()
        start(command):line(says)
        local up = start("troupe up market.lua " .. (flag or ""))
        local nodes, pids = flag and { "market" } or { "feed", "risk" }, {}
        local awaited = { "ZETA opens at 4.00" }
        for _, node in ipairs(nodes) do table.insert(awaited, node .. " is ready") end
        local lines = topologies.await(up, awaited)
        for i, node in ipairs(nodes) do pids[node] = topologies.pid(lines[i + 1]) end
        assert.matches('^Quote {"price": %d+%.%d+, "symbol": "ZETA"', ask("book", "Last", "symbol=ZETA").out)
        assert_accepted(60)
        assert.matches("^Refused", ask("limits", "Check", "symbol=ACME", "count:=60").out)

        for node, pid in pairs(pids) do
          topologies.kill(pid, "KILL")
          up:line(node .. " was killed; it is started again")
          topologies.await(up, flag and { node .. " is ready", "ZETA opens" } or { node .. " is ready" })
        end
        assert_accepted(60)
        assert.equal(0, process.run(shell "troupe down market.lua").code)
        local ended = up:wait()
        assert.equal(0, ended.code)
        assert.matches("market is down\n$", ended.out)
      end)
    end

    it("tells who asks that there is no price when there is no pricer", function()
      local up = start("troupe up market.lua " .. (flag or ""))
      up:line("market is up")
      local ended = ask("limits", "Check", "symbol=ACME", "count:=60")
      assert.same({ 1, "" }, { ended.code, ended.out })
      assert.matches("^troupe: no price for ACME: no answer from pricer@", ended.err)
      assert.equal(0, up:stop("TERM").code)
    end)
  end)
end

describe("examples/market/pricer.py", function()
  it_with_python("takes exactly the fields that market.lua says, and rejects all else", function()
    start("python3 pricer.py"):line("pricer ready at")
    local function ask(...)
      local ended = place:ask("pricer", 3, ...)
      return ended.out .. ended.err
    end
    assert.equal('Price {"price": 4.0, "symbol": "ZETA"}\n', ask("PriceReq", "symbol=ZETA"))
    assert.equal("troupe: Bad field 'note' in PriceReq: unknown field\n", ask("PriceReq", "symbol=ZETA", "note=x"))
    assert.equal("troupe: Bad field 'symbol' in PriceReq: missing\n", ask("PriceReq"))
    assert.equal("troupe: Bad field 'symbol' in PriceReq: str expected\n", ask("PriceReq", "symbol:=7"))
    assert.equal("troupe: there is no price for GOLD\n", ask("PriceReq", "symbol=GOLD"))
    assert.equal("troupe: Unknown message type: Quote\n", ask("Quote"))
    assert.equal("troupe: Actor 'nobody' not found\n", place:ask("nobody", 3, "PriceReq").err)
  end)
end)

describe("an actor of examples/market", function()
  local stage
  before_each(function() stage = Stage.new() end)
  after_each(function() stage:close() end)

  it("feed: makes the same prices each time, and ends after as many as it is told", function()
    local function prices()
      local book = stage:spawn { source = [[
        function on_start(self) self.all = {} end
        function on_tick(self, msg) table.insert(self.all, msg.symbol .. " " .. msg.price) end
        function on_get(self, _, env) env:reply("All", { all = self.all }) end ]] }
      stage:spawn(EXAMPLE .. "/actors/feed.lua", { to = book, ticks = 7 })
      stage:advance("10s")
      return stage:ask(book, "Get").all
    end
    local first = prices()
    assert.same({ "ACME 100.0", "IBEX 25.0", "ZETA 4.0" }, table.move(first, 1, 3, 1, {}))
    assert.equal(7, #first)
    assert.not_equal(first[1], first[4])
    assert.same(first, prices())
  end)

  it("book: keeps the last price, and says when there is none", function()
    local book = stage:spawn(EXAMPLE .. "/actors/book.lua")
    local none, why = stage:ask(book, "Last", { symbol = "ACME" })
    assert.same({ nil, "failed" }, { none, why.reason })
    for _, price in ipairs { 1.5, 2.5 } do stage:send(book, "Tick", { symbol = "ACME", price = price }) end
    assert.same({ symbol = "ACME", price = 2.5, ticks = 2 }, stage:ask(book, "Last", { symbol = "ACME" }))
    assert.same({ "ACME opens at 1.50" }, stage:output())
  end)
end)
