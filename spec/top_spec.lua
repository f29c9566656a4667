-- `troupe top`: what `ps` shows, in the whole terminal, with keys. Its picture is made
-- by a view that knows no terminal; the last part drives the real one in a terminal
-- of its own (spec/interop/screen.py).
local figures = require "troupe.cli.figures"
local json = require "troupe.json"
local layout = require "troupe.cli.layout"
local process = require "spec.support.process"
local top_view = require "troupe.cli.top_view"

local null = json.null

local function actor(name, fields)
  local row = {
    kind = "actor", name = name, script = "examples/" .. name .. ".lua", version = null, number = 1, failed = 0,
    state = "idle", handling = null, waits = null, target = null, about = null, ["for"] = null, thread = "pool",
    queued = 0, reserved = 0, notices = 0, control = 0, parked = 0, limit = 1024, oldest = null, handled = 0, rate = 0.0,
    p50 = null, p99 = null, memory = 15360, errors = 0, restarts = 0, last = null,
  }
  for key, value in pairs(fields or {}) do row[key] = value end
  return row
end

local function host(name, pid)
  return { name = name, pid = pid, uptime = 83.2, cpu = 1.0, rss = 8 << 20, workers = 2, spares = 0, pinned = 0, busy = 1,
           actors = 3, handled = 10, dead_letters = 0, stopping = false, endpoint = null }
end

local function seen_of(rows, peers)
  return { host = host("pong", 4711), actors = rows, peers = peers or {}, wire = {} }
end

local function plain(_, text) return text end
local function marked(text) return ">" .. text end

local function new_view(rows, peers)
  local view = top_view.new { sort = "name" }
  view:update { seen_of(rows, peers) }
  return view
end

local function frame(view, columns, rows)
  return view:frame(columns or 100, rows or 12, 0, plain, marked)
end

local function joined(view, columns, rows) return table.concat(frame(view, columns, rows), "\n") end

local function press(view, ...)
  local action
  for _, key in ipairs { ... } do action = view:key(key) end
  return action
end

describe("figures for people", function()
  it("are short, and in units that fit", function()
    local durations = {}
    for i, seconds in ipairs { 0, 3.5e-7, 0.00035, 0.0123, 0.9999, 1.26, 59.94, 59.96, 3725, 90000 } do
      durations[i] = figures.duration(seconds)
    end
    assert.same({ "0 ns", "350 ns", "350 µs", "12.3 ms", "1.0 s", "1.3 s", "59.9 s", "1m 00s", "1h 02m", "1d 01h" },
                durations)
    assert.equal("-", figures.duration(null))
    assert.same({ "0 B", "1023 B", "1.0 KiB", "15.0 KiB", "256 MiB", "3.0 GiB" },
                { figures.bytes(0), figures.bytes(1023), figures.bytes(1024), figures.bytes(15360),
                  figures.bytes(256 << 20), figures.bytes(3 << 30) })
    assert.same({ "0", "0.5", "12", "99999", "100k", "1.23M" },
                { figures.rate(0.0), figures.rate(0.5), figures.rate(12.4), figures.rate(99999), figures.rate(1e5),
                  figures.rate(1234567) })
  end)

  it("say what an actor does, and which version of its script it runs", function()
    assert.equal("running on_market_depth 1.2 s",
                 figures.state(actor("a", { state = "running", handling = "MarketDepth", ["for"] = 1.2 })))
    assert.equal("waits for an answer from b 350 ms",
                 figures.state(actor("a", { state = "waiting", waits = "answer", target = "b", ["for"] = 0.35 })))
    assert.equal("waits for answers 1.0 s", figures.state(actor("a", { state = "waiting", waits = "answers", ["for"] = 1.0 })))
    assert.equal("held for a reload", figures.state(actor("a", { state = "held" })))
    assert.equal("#2 (1 failed)", figures.version(actor("a", { number = 2, failed = 1 })))
    assert.equal("#3 v1.4", figures.version(actor("a", { number = 3, version = "1.4" })))
    assert.equal("-", figures.version(actor("a", { number = null })))
  end)
end)

describe("columns", function()
  local COLUMNS = { { title = "NAME", rank = 1, least = 5 }, { title = "N", rank = 3, right = true },
                    { title = "TEXT", rank = 2, least = 6, most = 10 } }

  it("are aligned by the cells that letters take, not by bytes", function()
    assert.same({ 4, 4, 4, 6 }, { layout.width "book", layout.width "büch", layout.width "本屋", layout.width "e\u{301}xöté́s" })
    local rows = { { "本屋", "1", "ä" }, { "book", "20", "text" } }
    local widths = layout.measure(COLUMNS, rows, 80)
    assert.equal("NAME   N  TEXT", layout.row(COLUMNS, widths, layout.titles(COLUMNS)))
    assert.equal("本屋   1  ä", layout.row(COLUMNS, widths, rows[1]))
    assert.equal("book  20  text", layout.row(COLUMNS, widths, rows[2]))
  end)

  it("that matter least are left out where there is no room; names are cut in their middle", function()
    local rows = { { "a-very-long-name#12", "7", "more than ten letters" } }
    local function at(room)
      local line = layout.row(COLUMNS, layout.measure(COLUMNS, rows, room), rows[1])
      assert.is_true(layout.width(line) <= room)
      return line
    end
    assert.equal("a-very-long-name#12  7  more …ters", at(40))
    assert.equal("a-very-long-name#12  7  mor…ers", at(31)) -- the most important first
    assert.equal("a-…12  7  mor…rs", at(16))
    assert.equal("a-v…#12  mor…rs", at(15))
    assert.equal("a-ver…me#12", at(11))
    assert.equal("a-…2", layout.cut("a-very-long-name#12", 4))
    assert.equal("本…屋", layout.cut("本屋本屋", 6))
  end)
end)

describe("the picture of top", function()
  it("fits any terminal", function()
    local rows = {}
    for n = 1, 50 do rows[n] = actor("actor" .. n, { state = "running", handling = "Go", ["for"] = 100.0 }) end
    local view = new_view(rows, { { endpoint = "tcp://10.0.0.5:5001", state = "lost", queued = 3, queued_bytes = 100,
                                    oldest = 1.0, sent = 7, full = 0, unconfirmed = 0 } })
    for _, columns in ipairs { 1, 3, 10, 40, 80, 300 } do
      for _, height in ipairs { 1, 2, 5, 24, 100 } do
        local lines = frame(view, columns, height)
        assert.is_true(#lines <= height)
        for _, line in ipairs(lines) do assert.is_true(layout.width(line) <= columns + 1) end -- with the mark
      end
    end
    assert.matches("\ntcp://10.0.0.5:5001 +lost +3 +100 B +1%.0 s", joined(view, 80, 24))
  end)

  it("keeps the selected actor in sight, wherever it moves to", function()
    local rows = {}
    for n = 1, 50 do rows[n] = actor("actor" .. n, { queued = n }) end
    local view = new_view(rows)
    assert.matches("\n>actor1 ", joined(view))
    for _ = 1, 29 do press(view, "down") end
    assert.matches("\n>actor30 ", joined(view))
    press(view, "S") -- errors: all are equal, so by name, from the top
    assert.matches("\n>actor1 ", joined(view))
    press(view, "j", "j", "u", "down")
    assert.equal("actor3", view:current().name)
    table.insert(rows, actor "actor0")
    view:update { seen_of(rows) }
    assert.equal("actor3", view:current().name)
    press(view, "end")
    assert.matches("\n>actor50 ", joined(view))
    press(view, "home", "page_down")
    assert.equal("actor8", view:current().name)
  end)

  it("is sorted by the next figure, or by the one before", function()
    local view = new_view { actor("a", { rate = 1.0 }), actor("b", { queued = 2 }), actor("c", { memory = 1 << 30 }) }
    local function order(key)
      assert.equal("look", press(view, key))
      return view.sort .. ":" .. view.rows[1].name
    end
    assert.same({ "queue:b", "rate:a", "p99:a", "memory:c", "errors:a", "name:a", "errors:a" },
                { order "s", order "s", order "s", order "s", order "s", order "s", order "S" })
  end)

  it("takes a part of names to show, with letters of any script, and gives it up", function()
    local view = new_view { actor "a" }
    assert.is_nil(press(view, "/", "p", "ö", "q", "backspace"))
    assert.matches("names with: pö_", joined(view), 1, true)
    assert.equal("look", press(view, "enter"))
    assert.equal("pö", view.pattern)
    assert.is_nil(press(view, "/", "x", "escape"))
    assert.equal("pö", view.pattern)
    assert.equal("look", press(view, "escape"))
    assert.is_nil(view.pattern)
    assert.is_nil(press(view, "escape"))
  end)

  it("asks before it kills", function()
    local view = new_view { actor "a", actor "b" }
    assert.is_nil(press(view, "down", "k"))
    assert.matches("kill b? y, or any other key", joined(view), 1, true)
    assert.is_nil(press(view, "q"))
    assert.is_nil(press(view, "k"))
    view:update { seen_of { actor "a" } } -- it has gone meanwhile: nobody else is killed for it
    assert.equal("kill", press(view, "y"))
    assert.equal("b", view.victim.name)
    assert.is_nil(press(new_view {}, "k"))
  end)

  it("says what it is asked to, and what keys there are", function()
    local view = new_view { actor "a" }
    assert.same({ "quit", "interrupted", "gone", "reload", "trace", "look" },
                { press(view, "q"), press(view, "/", "interrupted"), press(view, "gone"), press(view, "escape", "r"),
                  press(view, "t"), press(view, " ") })
    assert.is_nil(press(view, "p"))
    assert.matches("PAUSED, by name", joined(view), 1, true)
    assert.equal("look", press(view, "p"))
    press(view, "h")
    assert.matches("Keys of troupe top", joined(view, 100, 24), 1, true)
    press(view, "x")
    assert.not_matches("Keys of troupe top", joined(view, 100, 24), 1, true)
    view:say("pong has ended", 0)
    assert.matches("pong has ended", joined(view), 1, true)
    assert.not_matches("pong has ended", table.concat(view:frame(100, 12, 60, plain, marked)), 1, true)
  end)

  it("tells of several hosts in one table", function()
    local view = top_view.new { sort = "name" }
    view:update { seen_of { actor "a", actor "b" }, { host = host("book", 12), actors = { actor "a" }, peers = {} } }
    local text = joined(view)
    assert.matches("^pong %(process 4711%).*\nbook %(process 12%).*\nACTOR  HOST  ", text)
    assert.matches("\n>?a +book .*\n>?a +pong .*\nb +pong ", text)
    view:update {}
    assert.matches("no host of yours runs", joined(view), 1, true)
  end)

  it("never lets a name command the terminal", function()
    local text = joined(new_view { actor("a", { script = "\27[2Jx\n.lua", state = "running", handling = "On\u{9b}2J" }) }, 200)
    assert.not_matches("\27", text)
    assert.not_matches("\u{9b}", text, 1, true)
  end)
end)

describe("troupe top", function()
  local runtime

  before_each(function() runtime = process.make_folder() end)
  after_each(function()
    process.end_all()
    process.remove_folder(runtime)
  end)

  local function words(arguments)
    return table.move(process.troupe(arguments), 1, #arguments + 1, 3, { "env", "XDG_RUNTIME_DIR=" .. runtime })
  end

  local function run(name)
    local host_process = process.start(words { "-e", [[
      function on_start()
        if actor.name == actor.args[1] then
          for _, name in ipairs { "works", "spins" } do actor.spawn(actor.args[2], { name = name }) end
        end
        print "up"
      end
    ]], "--name", name, "--shutdown", "100ms", "--", name,
      process.write_file(runtime .. "/child.lua", "function on_work() end") }, 120)
    host_process:line "up"
    return host_process
  end

  -- Runs it in a terminal, with these words for screen.py.
  local function screen(size, script, ...)
    local arguments = { "top", "--interval", "200ms", ... }
    return process.run({ "/usr/bin/python3", "-B", "spec/interop/screen.py", size, "env", "TERM=screen",
                         table.unpack(words(arguments)) }, { input = script })
  end

  local function assert_out(text, ended)
    assert.same({ text, "", 0 }, { ended.out, ended.err, ended.code })
  end

  it("draws in place, again when the size changes, and gives the terminal back", function()
    run "pong"
    local ended = screen("80x10", [[
see pong (process
see by rate   q quit
size 60x6
see 3 actors
press s
see by p99
press h
see Keys of troupe top
press x
miss Keys of troupe top
press q
end
]])
    assert_out("0\nrestored\n\n", ended)
  end)

  for how, code in pairs { ["press ^C"] = 130, ["signal INT"] = 130, ["signal TERM"] = 143 } do
    it(("gives it back after %s"):format(how), function()
      run "pong"
      assert_out(code .. "\nrestored\n\n", screen("80x10", "see pong (process\n" .. how .. "\nend\n"))
    end)
  end

  it("gives it back when it crashes", function()
    run "pong"
    local ended = screen("80x10", "see pong (process\nsignal ABRT\nend\n")
    assert.equal("\nrestored\n", ended.out:match("^[^\n]+(\nrestored\n)"))
    assert.not_matches("^0\n", ended.out)
  end)

  it("stops at ^Z with the terminal as it was, and draws again when it goes on", function()
    run "pong"
    assert_out("restored\n0\nrestored\n\n", screen("80x10", [[
see pong (process
press ^Z
stopped
size 70x9
see pong (process
press q
end
]]))
  end)

  it("says when a host has gone, and goes on with the others", function()
    local pong = run "pong"
    run "book"
    assert_out("0\nrestored\n\n", screen("100x12", ([[
see pong (process
see book (process
run kill -TERM %s
see has ended
miss pong (process
see book (process
press q
end
]]):format(pong.pid)))
    assert.equal(0, pong:wait().code)
  end)

  it("kills an actor that was chosen", function()
    run "pong"
    assert_out("0\nrestored\n\n", screen("100x12", [[
see pong (process
press /
press ork
press enter
see names with ork
see works
miss spins
press k
see kill works? y
press y
see works was killed
see no actor's name has that in it
press q
end
]], "--sort", "name"))
  end)

  it("prints tables one below the other where there is no such terminal, and once if it is asked to", function()
    run "pong"
    local once = process.run(words { "top", "--once" })
    assert.same({ 0, "" }, { once.code, once.err })
    assert.equal(1, select(2, once.out:gsub("pong %(process", "")))
    local dumb = process.start(words { "top", "--interval", "300ms" }, 60)
    for _ = 1, 3 do dumb:line "pong (process" end
    assert.equal(130, dumb:stop("INT").code)
    local rows = process.start(words { "top", "--interval", "300ms", "--json" }, 60)
    for _ = 1, 2 do
      assert.equal("host", json.decode(rows:line '"kind": "host"').kind)
      assert.equal("pong", json.decode(rows:line '"kind": "actor"').name)
    end
    assert.equal(143, rows:stop("TERM").code)
  end)

  it("says what it cannot do", function()
    local none = process.run(words { "top" })
    assert.same({ 5, "" }, { none.code, none.out })
    assert.matches("no host of yours runs", none.err)
    assert.equal(2, process.run(words { "top", "--interval", "soon" }).code)
  end)
end)
