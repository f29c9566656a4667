--- Nodes of a topology: `name@node` leads to where the host was told that the node is.
local port_host = require "spec.support.port_host"
local process = require "spec.support.process"

describe("a node of a topology", function()
  local folder, risk, endpoint

  setup(function()
    folder = process.make_folder()
    process.write_file(folder .. "/book.lua", [[
      local Book = {}
      function Book:on_ping(msg, env) env:reply("Pong", { n = msg.n }) end
      function Book:on_look(msg, env) env:reply("Seen", { type = type(msg.who), text = tostring(msg.who) }) end
      function Book:on_leave() actor.exit("enough") end
      return Book]])
    process.write_file(folder .. "/other.lua", "function on_ping(self, msg, env) env:reply('Pong', { n = -msg.n }) end")
    risk = process.start(process.troupe { "run", folder .. "/book.lua", folder .. "/other.lua", "--bind", ":0" }, 120)
    endpoint = risk:error_line("listening on"):match("tcp://%S+")
  end)

  teardown(function()
    process.end_all()
    process.remove_folder(folder)
  end)

  -- What the body of an on_start prints, in a host that knows the node `risk` and is `feed`.
  local function printed(body, more)
    local fields = {
      nodes = { risk = endpoint, feed = "" },
      scripts = { { name = "hero", text = "function on_start(self)\n" .. body .. "\nactor.exit() end" },
                  { name = "mate", text = [[
                    function on_ping(self, msg, env) env:reply("Pong", { n = 10 * msg.n }) end
                    function on_look(self, msg, env) env:reply("Seen", { type = type(msg.who), text = tostring(msg.who) }) end
                    function on_end() actor.exit() end]] } },
    }
    for name, value in pairs(more or {}) do fields[name] = value end
    local ended = process.run(port_host.words(folder, fields))
    return ended.out, ended.err
  end

  local END = "\nactor.ref('mate'):send('End')"

  it("is where its actors are reached, by ask and by send", function()
    local out, err = printed([[
      local book = actor.ref "book@risk"
      local msg, env = book:ask("Ping", { n = 3 })
      print(env.type, msg.n, env.remote, book:send("Ping", { n = 4 }))]] .. END)
    assert.equal("Pong\t3\ttrue\ttrue\n", out, err)
  end)

  it("stays in the text of a ref, and in refs that are passed on inside the host", function()
    local out, err = printed([[
      local book = actor.ref "book@risk"
      local seen = actor.ref("mate"):ask("Look", { who = book })
      print(book, seen.type, seen.text, book == actor.ref("book@risk"))]] .. END)
    assert.equal("book@risk\tuserdata\tbook@risk\ttrue\n", out, err)
  end)

  it("leaves as its endpoint: another host may know no such node", function()
    local out, err = printed([[
      local seen = actor.ref("book@risk"):ask("Look", { who = actor.ref "other@risk" })
      print(seen.text)
      seen = actor.ref("book@risk"):ask("Look", { who = actor.ref "nobody@nowhere" })
      print(seen.text)]] .. END)
    assert.equal(("other@%s\nnobody@nowhere\n"):format(endpoint), out, err)
  end)

  it("leaves as this host's own endpoint if it is this host", function()
    local out = printed([[
      local seen = actor.ref("book@risk"):ask("Look", { who = actor.ref "later@feed" })
      print(seen.text:match("^later@tcp://127%.0%.0%.1:%d+$") ~= nil)]] .. END)
    assert.equal("true\n", out)
  end)

  it("that is this host has the actors of this host", function()
    local out, err = printed([[
      local mate = actor.ref "mate@feed"
      local msg, env = mate:ask("Ping", { n = 3 })
      print(mate == actor.ref("mate"), msg.n, env.remote, env.from == mate)
      local _, why = actor.ref("mata@feed"):send("Ping")
      print(why.reason, why)]] .. END)
    assert.equal("true\t30\tfalse\ttrue\ndown\tPing was not sent to mata@feed: no actor is named 'mata'"
                 .. " (did you mean 'mate'?)\n", out, err)
  end)

  it("that is this host has those that are made later, with all that can be done to them", function()
    local out, err = printed([[
      local late = actor.ref "late@feed"
      print(late)
      local ref = actor.spawn("]] .. folder .. [[/book.lua", { name = "late" })
      print(late:ask("Ping", { n = 5 }).n, late:send("Ping", { n = 1 }, { after = "1ms" }) ~= nil, actor.watch(late))
      late:stop()
      print(actor.receive("Down").name)]] .. END)
    assert.equal("late@feed\n5\ttrue\ttrue\nlate\n", out, err)
  end)

  it("that is not known is told apart at the send, with the one that may be meant", function()
    local out, err = printed([[
      local _, why = actor.ref("book@risc"):ask("Ping")
      print(why.reason, why)
      _, why = actor.ref("book@elsewhere"):send("Ping")
      print(why)
      actor.watch(actor.ref "book@elsewhere")
      print(actor.receive("Down").reason)]] .. END)
    assert.equal("unreachable\tno answer from book@risc to Ping: no node 'risc' is known here (did you mean 'risk'?)\n"
                 .. "Ping was not sent to book@elsewhere: no node 'elsewhere' is known here, only feed, risk\n"
                 .. "unreachable\n", (out:gsub("risk, feed", "feed, risk")), err)
  end)

  it("may be somewhere else from one moment to the next, or nowhere", function()
    local out, err = printed(([[
      local nodes = require "troupe.nodes"
      local book = actor.ref "book@moving"
      print((book:ask "Ping"))
      print(nodes.set { moving = %q })
      print(book:ask("Ping", { n = 7 }).n, nodes.find "moving")
      print(nodes.set { moving = false }, nodes.find "moving")
      print((book:ask "Ping"))
      print(nodes.set { moving = "tcp://*:1" })]]):format(endpoint) .. END)
    assert.equal(("nil\ntrue\n7\t%s\ntrue\tnil\nnil\nnil\tnode 'moving': '*' is no address that can be reached\n")
                   :format(endpoint), out, err)
  end)

  it("has actors that can be watched from another", function()
    local out, err = printed([[
      local book = actor.ref "book@risk"
      print(actor.watch(book))
      print(actor.unwatch(book))
      actor.watch(actor.ref "nobody@risk")
      local down = actor.receive("Down")
      print(down.who, down.name, down.reason)]] .. END)
    assert.matches("^true\ntrue\nnobody@risk\tnobody\t", out, err)
  end)

  it("is said by `info`, with its topology; a host that is none has neither", function()
    local asking = process.write_file(folder .. "/asking.lua", [[
      local connection <close> = assert(require "troupe.cli.hosts".connect("known"))
      local row = connection:ask_one { ["do"] = "info" }
      print("info", require "troupe.json".encode { row.topology, row.node })]])
    local function info(fields)
      fields.control = "known"
      local host = process.start(port_host.words(folder, fields), 60)
      host:line("runs")
      local said = process.run(process.troupe { "test", asking }).out:match("info\t(%C*)")
      host:stop("TERM")
      return said
    end
    local scripts = { { name = "hero", text = "function on_start() print('runs') end" } }
    assert.equal('["market", "feed"]', info { scripts = scripts, topology = "market", node = "feed" })
    assert.equal("[null, null]", info { scripts = scripts })
  end)

  it("is refused at the start if its endpoint is none", function()
    local _, err = printed("", { nodes = { risk = "nonsense" } })
    assert.equal("node 'risk': 'nonsense' is no endpoint: write tcp://HOST:PORT or :PORT\n", err)
  end)
end)
