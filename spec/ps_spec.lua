-- `troupe ps`: what the actors of running hosts do, seen from outside; also when no
-- actor of a host gets to run. Hosts are processes of their own, with a folder for
-- sockets that is this spec's alone.
local json = require "troupe.json"
local process = require "spec.support.process"

local OK, USAGE, TIMED_OUT, UNREACHABLE = 0, 2, 3, 5
local TRIES = 200

-- One script for actors that do one thing each, named after it.
local ACTORS = [[
  local Actor = { version = "1.4", mailbox = { limit = 3 } }
  function Actor:on_start()
    if actor.name ~= "main" then return end
    for _, name in ipairs { "loop1", "loop2", "loop3", "asks", "sends", "receives", "sleeps", "looks", "fails", "idle",
                            "remote" } do
      actor.spawn("main.lua", { name = name })
    end
    local full = actor.spawn("main.lua", { name = "full" })
    full:send "Sleep"
    for _ = 1, 3 do full:send "Work" end
    actor.ref "sleeps":send "Sleep"
    for _, name in ipairs { "asks", "receives", "looks", "fails", "remote" } do actor.ref(name):send "Go" end
    actor.ref "sends":send "Go"
    actor.after("50ms", "Loop")
  end
  function Actor:on_loop()
    if actor.name ~= "main" then
      print "loops"
      while true do end
    end
    for n = 1, 3 do actor.ref("loop" .. n):send "Loop" end
  end
  function Actor:on_sleep() actor.sleep "1h" end
  function Actor:on_work() end
  function Actor:on_go()
    if actor.name == "asks" then
      actor.ref "sleeps":ask("Question", nil, { timeout = "1h" })
    elseif actor.name == "sends" then
      actor.ref "full":send("Work", nil, { timeout = "1h" })
    elseif actor.name == "receives" then
      actor.receive("Price", { timeout = "1h" })
    elseif actor.name == "looks" then
      actor.lookup("nobody", { wait = "1h" })
    elseif actor.name == "remote" then
      actor.ref "far@tcp://127.0.0.1:9":ask("Question", nil, { timeout = "1h" })
    else
      error "as asked"
    end
  end
  return Actor
]]

local ACTOR_KEYS = {
  "about", "control", "error", "errors", "failed", "for", "handled", "handling", "hash", "hidden", "high", "host",
  "kind", "last", "limit", "max", "memory", "name", "notices", "number", "oldest", "p50", "p99", "parked", "pid", "queued",
  "queued_bytes", "rate", "reserved", "restarts", "script", "state", "supervised", "target", "thread", "timed",
  "v", "version", "waits",
}
local HOST_KEYS = {
  "actors", "busy", "cpu", "cpu_share", "dead_letters", "endpoint", "handled", "host", "kind", "name", "pid", "pinned",
  "rate", "rss", "spares", "stopping", "uptime", "v", "workers",
}

describe("troupe ps", function()
  local runtime

  before_each(function() runtime = process.make_folder() end)
  after_each(function()
    process.end_all()
    process.remove_folder(runtime)
  end)

  local function words(arguments)
    return table.move(process.troupe(arguments), 1, #arguments + 1, 3, { "env", "XDG_RUNTIME_DIR=" .. runtime })
  end

  local function troupe(...)
    return process.run(words { ... })
  end

  local function run(text, ...)
    local path = process.write_file(runtime .. "/main.lua", text)
    return process.start(words { "run", path, "--shutdown", "100ms", ... }, 120)
  end

  local function rows(ended)
    assert.same({ OK, "" }, { ended.code, ended.err })
    local list = {}
    for line in ended.out:gmatch("[^\n]+") do table.insert(list, (assert(json.decode(line)))) end
    return list
  end

  -- The actors that it tells of, by name.
  local function actors(...)
    local by_name = {}
    for _, row in ipairs(rows(troupe("ps", "--json", ...))) do
      if row.kind == "actor" then by_name[row.name] = row end
    end
    return by_name
  end

  -- Looks until `holds` of what is seen; at last as it is then.
  local function await(holds, ...)
    local seen
    for _ = 1, TRIES do
      seen = actors(...)
      if holds(seen) then
        return seen
      end
    end
    return seen
  end

  local function keys(row)
    local list = {}
    for key in pairs(row) do table.insert(list, key) end
    table.sort(list)
    return list
  end

  describe("while every worker is in a loop", function()
    local host, seen

    local function pick(row, ...)
      local found = {}
      for i, key in ipairs { ... } do found[i] = row[key] end
      return found
    end

    before_each(function()
      host = run(ACTORS, "--workers", "2")
      for _ = 1, 3 do host:line "loops" end
      seen = await(function(all)
        return all.remote.state == "waiting" and all.full.parked == 1 and all.fails.errors == 1
          and all.loop1["for"] > 0.1
      end)
    end)

    it("says who runs, for how long and where, and who is suspended for others", function()
      local running, threads = 0, {}
      for n = 1, 3 do
        local row = seen["loop" .. n]
        assert.matches(row.state == "running" and "^[ws][op][ra][kr]e[r]?%-%d+$" or "^pool$", row.thread)
        assert.matches("^running$", (row.state:gsub("preempted", "running")))
        assert.equal("Loop", row.handling)
        assert.is_true(row["for"] > 0 and row["for"] < 300)
        if row.state == "running" then
          running = running + 1
          threads[row.thread] = true
        end
      end
      assert.is_true(running >= 1)
      assert.same({ "idle", json.null, json.null }, pick(seen.idle, "state", "handling", "for"))
    end)

    it("says what each that waits does so for, and for whom", function()
      assert.same({ "waiting", "Go", "answer", "sleeps", "Question" },
                  pick(seen.asks, "state", "handling", "waits", "target", "about"))
      assert.same({ "waiting", "answer", "far@tcp://127.0.0.1:9" }, pick(seen.remote, "state", "waits", "target"))
      assert.same({ "waiting", "room", "full", "Work" }, pick(seen.sends, "state", "waits", "target", "about"))
      assert.same({ "waiting", "message", json.null, "Price" },
                  pick(seen.receives, "state", "waits", "target", "about"))
      assert.same({ "waiting", "time", json.null }, pick(seen.sleeps, "state", "waits", "target"))
      assert.same({ "waiting", "name", "nobody" }, pick(seen.looks, "state", "waits", "target"))
      for _, name in ipairs { "asks", "remote", "sends", "receives", "sleeps", "looks" } do
        assert.is_true(seen[name]["for"] > 0)
      end
    end)

    it("says what is queued, how old the oldest is, and who waits for room", function()
      assert.same({ 3, 1, 3 }, pick(seen.full, "queued", "parked", "limit"))
      assert.is_true(seen.full.oldest > 0 and seen.full.oldest < 300)
      assert.same({ 0, 0, json.null }, pick(seen.idle, "queued", "parked", "oldest"))
    end)

    it("says what they have done, and which script they run", function()
      assert.same({ 1, "Go", "idle", 0 }, pick(seen.fails, "errors", "last", "state", "restarts"))
      assert.equal(2, seen.fails.handled) -- Start, too
      assert.same({ runtime .. "/main.lua", "1.4", 1, 0, json.null },
                  pick(seen.fails, "script", "version", "number", "failed", "error"))
      assert.matches("^%x+$", seen.fails.hash)
      assert.equal(16, #seen.fails.hash)
      assert.is_true(seen.fails.memory > 4096)
    end)
  end)

  it("measures how fast actors work, and how long their handlers take", function()
    run([[
      function on_start() actor.every("5ms", "Tick") print "up" end
      function on_tick()
        local until_s = actor.now() + 0.002
        while actor.now() < until_s do end
      end
    ]]):line "up"
    local row = await(function(all) return all.main.timed >= 5 and all.main.rate > 0 end).main
    assert.is_true(row.rate > 0 and row.rate <= 210)
    assert.is_true(row.p50 >= 0.0017) -- within an eighth
    assert.is_true(row.p99 >= row.p50 and row.max >= row.p99)
    assert.equal("Tick", row.last)
  end)

  it("says which version of its script an actor runs, and what has kept it from the next one", function()
    run("function on_start() print 'up' end"):line "up"
    local function version()
      local row = actors().main
      return { row.number, row.failed, row.error ~= json.null and row.error:match ":1: (.*)" or nil }
    end
    assert.same({ 1, 0 }, version())
    local hash = actors().main.hash
    process.write_file(runtime .. "/main.lua", "function = on_start")
    assert.equal(6, troupe("reload").code)
    assert.same({ 1, 1, "<name> expected near '='" }, version())
    assert.equal(6, troupe("reload").code)
    assert.same({ 1, 2, "<name> expected near '='" }, version())
    assert.matches("\nmain +%S+ +#1 %(2 failed%) +idle ", troupe("ps").out)
    process.write_file(runtime .. "/main.lua", "function on_work() end")
    assert.equal(0, troupe("reload").code)
    assert.same({ 2, 0 }, version())
    assert.not_equal(hash, actors().main.hash)
  end)

  it("has the same keys on every line of a kind", function()
    local host = run(ACTORS, "--workers", "2", "--bind", ":0")
    for _ = 1, 3 do host:line "loops" end
    local counts = { host = 0, actor = 0, peer = 0 }
    for _, row in ipairs(rows(troupe("ps", "--json"))) do
      counts[row.kind] = counts[row.kind] + 1
      if row.kind == "actor" then
        assert.same(ACTOR_KEYS, keys(row))
      elseif row.kind == "host" then
        assert.same(HOST_KEYS, keys(row))
        assert.same({ "main", 13, 2, false }, { row.name, row.actors, row.workers, row.stopping })
      else
        assert.same({ "tcp://127.0.0.1:9", "connecting" }, { row.endpoint, row.state })
      end
    end
    assert.same({ host = 1, actor = 13, peer = 1 }, counts)
  end)

  describe("shows a table", function()
    local host

    before_each(function()
      host = run(ACTORS, "--workers", "2")
      for _ = 1, 3 do host:line "loops" end
      await(function(all) return all.remote.state == "waiting" and all.full.parked == 1 end)
    end)

    it("of all columns where it is not for a terminal, and a line about the host", function()
      local ended = troupe("ps")
      assert.same({ OK, "" }, { ended.code, ended.err })
      local lines = {}
      for line in ended.out:gmatch("[^\n]*") do table.insert(lines, line) end
      assert.matches("^main %(process %d+%)  up .*13 actors  %d+ of %d+ workers busy", lines[1])
      assert.equal("ACTOR SCRIPT VERSION STATE QUEUE OLDEST MSG/S P50 P99 MEMORY ERRORS RESTARTS LAST THREAD",
                   (lines[2]:gsub(" +", " ")))
      assert.matches("\nasks +%S+ +#1 v1%.4 +waits for an answer from sleeps %d+%.?%d* m?s +0 ", ended.out)
      assert.matches("\nsends +%S+ +#1 v1%.4 +waits for room in full %d+%.?%d* m?s +0 ", ended.out)
      assert.matches("\nfull +%S+ +#1 v1%.4 +sleeps %d+%.?%d* m?s +3%+1 ", ended.out)
      assert.matches("\nreceives +%S+ +#1 v1%.4 +waits for Price ", ended.out)
      assert.matches("\nPEER +STATE +QUEUE +BYTES +OLDEST +SENT +FULL +UNCONFIRMED\ntcp://127%.0%.0%.1:9 +connecting +",
                     ended.out)
      assert.not_matches("\27", ended.out)
    end)

    it("of some actors: by a part of their names or a pattern, and the first few by a key", function()
      local function names(...)
        local list = {}
        for _, row in ipairs(rows(troupe("ps", "--json", "--no-peers", ...))) do
          if row.kind == "actor" then table.insert(list, row.name) end
        end
        return table.concat(list, " ")
      end
      assert.equal("loop1 loop2 loop3", names("--actor", "oop"))
      assert.equal("loop1 loop2 loop3", names("main", "--actor", "loop?"))
      assert.equal("", names("--actor", "oop?"))
      assert.equal("full", names("--sort", "queue", "--limit", "1"))
      assert.equal("fails asks", names("--sort", "errors", "--limit", "2"))
      assert.equal("asks fails full", names("--limit", "3"))
      assert.matches("^asks fails full idle ", names())
    end)

    it("of what fits, on a terminal of 80 columns, its end cut off nowhere", function()
      local ended = process.run({ "/usr/bin/python3", "-B", "spec/interop/screen.py", "80x24", "env", "NO_COLOR=1",
                                  table.unpack(words { "ps" }) }, { input = "end\n" })
      assert.matches("^0\n", ended.out)
      local titles = ended.out:match("\n(ACTOR [^\n]*)")
      assert.equal("ACTOR STATE QUEUE OLDEST MSG/S P99 MEMORY ERRORS", (titles:gsub(" +", " ")))
      for line in ended.out:gmatch("[^\n]+") do assert.is_true(utf8.len(line) <= 80) end
    end)
  end)

  it("tells of a crowd in parts, sorted as people count", function()
    run([[
      function on_start()
        for n = 1, 1200 do actor.spawn("child.lua", { name = "child" .. n }) end
        print "up"
      end
    ]], "--workers", "2", "--", process.write_file(runtime .. "/child.lua", "function on_work() end")):line "up"
    local list = {}
    for _, row in ipairs(rows(troupe("ps", "--json", "--actor", "child"))) do
      if row.kind == "actor" then table.insert(list, row.name) end
    end
    assert.equal(1200, #list)
    assert.same({ "child1", "child2", "child10", "child1200" }, { list[1], list[2], list[10], list[1200] })
    local few = troupe("ps", "--limit", "2")
    assert.matches("\nchild1 .*\nchild2 ", few.out)
    assert.not_matches("child3", few.out, 1, true)
    assert.equal("and 1,199 more: --limit says how many are shown\n", few.err)
  end)

  it("tells of all hosts, or of the one that is meant by its name or process", function()
    for _, name in ipairs { "pong", "book" } do
      process.start(words { "-e", "function on_start() print 'up' end", "--name", name }, 120):line "up"
    end
    local all = troupe("ps")
    assert.matches("^book %(process %d+%).*\n\npong %(process %d+%)", all.out)
    local one = troupe("ps", "pong")
    assert.matches("^pong ", one.out)
    assert.not_matches("book", one.out)
    assert.equal("book", rows(troupe("ps", "--json", "--node", all.out:match("process (%d+)")))[1].name)
    local none = troupe("ps", "feed")
    assert.equal(UNREACHABLE, none.code)
    assert.matches("no host is called 'feed'", none.err)
  end)

  it("tells of the others, and names a host that does not answer", function()
    local held
    for _, name in ipairs { "book", "pong" } do
      held = process.start(words { "-e", "function on_start() print 'up' end", "--name", name }, 120)
      held:line "up"
    end
    held:hold()
    local ended = troupe("ps")
    held:go_on()
    assert.equal(TIMED_OUT, ended.code)
    assert.matches("^book ", ended.out)
    assert.matches("^troupe: pong %(process %d+%) does not answer: is it stopped%?\n$", ended.err)
  end)

  it("says what it cannot do", function()
    assert.same({ UNREACHABLE, "" }, { troupe("ps").code, troupe("ps").out })
    assert.equal(USAGE, troupe("ps", "--sort", "luck").code)
    assert.equal(USAGE, troupe("ps", "--limit", "0").code)
  end)
end)
