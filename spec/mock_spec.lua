-- troupe mock: what stands in for an external of a topology, as its links declare it.
local json = require "troupe.json"
local process = require "spec.support.process"
local samples = require "troupe.topology.samples"
local stand_in = require "troupe.topology.stand_in"
local topology = require "troupe.topology"

local PYTHON = "/usr/bin/python3" -- Debian's python3-zmq is for this one
local OK, FAILED, USAGE, TIMED_OUT, REJECTED, CHECK, INTERRUPTED = 0, 1, 2, 3, 4, 6, 130

local has_zmq = os.execute(PYTHON .. " -c 'import zmq' 2>/dev/null") == true
local it_with_python = has_zmq and it or function(name)
  pending(name .. " (needs python3-zmq: '" .. PYTHON .. " -c \"import zmq\"' fails)")
end

local function troupe(...)
  return process.run(process.troupe { ... })
end

local function start(...)
  return process.start(process.troupe { ... })
end

-- An endpoint that nobody listens on: somebody has just left it.
local function free_endpoint()
  local child = start("listen", ":0")
  local endpoint = assert(child:error_line("listening on"):match("tcp://%S+$"))
  child:stop("TERM")
  return endpoint
end

-- What stands in for the external `pricer` in a topology with these links.
local function pricer(links, from, scripts)
  local model, problems = topology.read(([[
    return topology "market" {
      node "risk" { actor "limits" { "limits.lua" }, actor "other" { "other.lua" } },
      external "pricer" { "tcp://localhost:5010"%s },
      %s
    }]]):format(from and (", from = %q"):format(from) or "", links), { name = "market.lua", folder = "." })
  assert(model, problems[1] and problems[1].text)
  return stand_in.new(model, scripts or {}, model.externals[1])
end

describe("a message of declared fields", function()
  local shape = samples.shape {
    symbol = "string", n = "integer", price = "number?", tags = "string[]", at = { x = "number", note = "any?" },
    lots = { "[]?", size = "integer" }, to = "ref?",
  }

  local function fault(message)
    local found = samples.faults(shape, message)
    return #found > 0 and ("%s %s: %s"):format(found[1].kind, found[1].field, found[1].text) or nil
  end

  local function good(changes)
    local message = { symbol = "ACME", n = 1, tags = { "a", "b" }, at = { x = 1 } }
    for key, value in pairs(changes or {}) do message[key] = value end
    return message
  end

  it("is fine with all that must be there, and what may be", function()
    assert.is_nil(fault(good()))
    assert.is_nil(fault(good { n = 2.0, price = 1, to = "book@tcp://127.0.0.1:5001", tags = {} }))
    assert.is_nil(fault(good { lots = { { size = 1 }, { size = 2 } }, price = json.null,
                               at = { x = 1.5, note = json.null } }))
  end)

  it("is not with what is unknown, missing or of another type", function()
    assert.equal("unknown sybol: unknown field (did you mean 'symbol'?)", fault(good { sybol = 1 }))
    assert.equal("unknown at.q: unknown field", fault(good { at = { x = 1, q = 2 } }))
    assert.equal("missing at.x: missing, number expected", fault(good { at = {} }))
    assert.equal("missing symbol: missing, string expected", fault(good { symbol = json.null }))
    assert.equal("wrong n: integer expected, not 1.5", fault(good { n = 1.5 }))
    assert.equal("wrong n: integer expected, not string", fault(good { n = "1" }))
    assert.equal("wrong tags[2]: string expected, not boolean", fault(good { tags = { "a", true } }))
    assert.equal("wrong tags: string[] expected, not table", fault(good { tags = { a = "b" } }))
    assert.equal("missing lots[2].size: missing, integer expected", fault(good { lots = { { size = 1 }, {} } }))
  end)

  it("has samples that are fine, with what is known", function()
    assert.same({ symbol = "symbol", n = 1, tags = { "tags" }, at = { x = 1.5 } }, samples.message(shape, {}, "me"))
    assert.same({ symbol = "X", n = 1, tags = { "tags" }, at = { x = 1.5 }, price = 2 },
                samples.message(shape, { symbol = "X", n = "no integer", price = 2, more = 1 }, "me"))
    assert.same({ a = { { 1 } }, b = true, c = 1, r = "me", t = {}, u = { { v = "v" } } },
                samples.message(samples.shape { { "a", "integer[][]" }, { "b", "boolean" }, { "c", "any" },
                                                { "r", "ref" }, { "t", "table" }, { "u", { "[]", v = "string" } } },
                                {}, "me"))
  end)
end)

describe("who stands in for an external", function()
  local LINK = [[link { "limits", "pricer", PriceReq = { symbol = "string", id = "integer?" },
                        answers = { NoPrice = { why = "string" }, Price = { symbol = "string", price = "number" } } } ]]

  it("answers with the first of the answers, or the one that is chosen", function()
    local external = pricer(LINK)
    assert.same({ answer = "NoPrice", message = { why = "why" }, notes = {} }, external:hear("PriceReq", { symbol = "X" }))
    assert.is_true(external:choose("Price"))
    assert.same({ answer = "Price", message = { symbol = "X", price = 1.5 }, notes = {} },
                external:hear("PriceReq", { symbol = "X" }))
    assert.same({ nil, "no link has Prise among the answers of 'pricer' (did you mean 'Price'?)" },
                { external:choose("Prise") })
  end)

  it("gives what is fixed to the answers that have such a field", function()
    local external = pricer(LINK)
    external:choose("Price")
    assert.is_true(external:fix { price = 9.5, why = "closed" })
    assert.same({ symbol = "X", price = 9.5 }, external:hear("PriceReq", { symbol = "X" }).message)
    assert.same({ nil, "'pricer' answers with no field 'prise' (did you mean 'price'?)" }, { external:fix { prise = 1 } })
    assert.same({ nil, "price of Price: number expected, not string" }, { external:fix { price = "much" } })
  end)

  it("finds the fields of an answer in other links, and in the script that asks", function()
    local bare = [[link { "limits", "pricer", "PriceReq", answers = "Price" }]]
    assert.same({}, pricer(bare):hear("PriceReq", { symbol = "X" }).message)
    assert.same({ price = 1.5 }, pricer(bare .. [[, link { "limits", "other", Price = { price = "number" } }]])
                :hear("PriceReq", {}).message)
    local scripts = { limits = { types = { Price = { { "symbol", "string" } }, PriceReq = { { "symbol", "string" } } } } }
    local external = pricer(bare, nil, scripts)
    assert.same({ symbol = "X" }, external:hear("PriceReq", { symbol = "X" }).message)
    assert.equal("Bad field 'symbol' in PriceReq: missing, string expected", external:hear("PriceReq", {}).reason)
  end)

  it("takes what is not answered, and rejects what no link sends", function()
    local external = pricer [[link { "limits", "pricer", Note = { text = "string" } }]]
    assert.same({ notes = {} }, external:hear("Note", { text = "x" }))
    assert.same({ reason = "Unknown message type: note",
                  notes = { "no link sends note to 'pricer' (did you mean 'Note'?)" } }, external:hear("note", {}))
  end)

  it("says what the real peer would have done, by its language", function()
    local function notes(from, message)
      return pricer([[link { "limits", "pricer", Note = { text = "string" } }]], from):hear("Note", message).notes
    end
    assert.same({ "a python peer would have died of this: unknown field 'x' in Note" }, notes("python", { text = "a", x = 1 }))
    assert.same({ "a python peer would have died of this: field 'text' in Note: missing, string expected" },
                notes("python", {}))
    assert.same({ "a python peer would have taken this as it is: field 'text' in Note: string expected, not integer" },
                notes("python", { text = 1 }))
    assert.same({ "a c++ peer would have aborted: field 'text' in Note: missing, string expected" }, notes("C++", {}))
    assert.same({ "a rust peer would have ignored this: unknown field 'x' in Note" }, notes("rust", { text = "a", x = 1 }))
    assert.same({ "a peer of the family may die of this: unknown field 'x' in Note",
                  "a peer of the family may die of this: field 'text' in Note: missing, string expected" },
                notes(nil, { x = 1 }))
    assert.equal("it has no sender: nobody is answered", pricer(LINK, "python"):nobody())
    assert.matches("^a c%+%+ peer would have aborted", pricer(LINK, "cpp"):nobody())
    assert.equal("Unknown message type: Q. Did you register it with @register_message?",
                 pricer([[link { "limits", "pricer", "Note" }]], "python"):hear("Q", {}).reason)
  end)
end)

describe("troupe mock", function()
  local folder, endpoint

  local function write_topology(...)
    return process.write_file(folder .. "/market.lua", ([[
      return topology "market" {
        node "risk" { %s actor "limits" { "limits.lua", config = { pricer = ref "pricer" } } },
        external "pricer" { "%s", from = "python", actor = "pong" },
        external "feed" { "%s", from = "rust" },
        link { "limits", "pricer", Ping = { count = "integer" }, answers = { Pong = { count = "integer" } } },
        link { "limits", "pricer", PriceReq = { symbol = "string" },
               answers = { NoPrice = { why = "string" }, Price = { symbol = "string", price = "number" } } },
        link { "feed", "limits", Tick = { symbol = "string", seq = "integer" } },
      }]]):format(...))
  end

  local function mock(...)
    local child = start("mock", "pricer", folder .. "/market.lua", ...)
    assert.matches("listening on " .. endpoint:gsub("%p", "%%%0") .. "$", child:error_line("listening on"))
    return child
  end

  before_each(function()
    folder, endpoint = process.make_folder(), free_endpoint()
    write_topology("", (endpoint:gsub("127%.0%.0%.1", "localhost")), "tcp://localhost:1")
    process.write_file(folder .. "/limits.lua", [[
      local Limits = {}
      function Limits:on_start()
        print("up")
        if not actor.args[1] then return end
        local answer, env = actor.ref(actor.args[1]):ask("PriceReq", { symbol = "ACME" })
        print(answer and env.type .. " " .. json.encode(answer) .. " from " .. tostring(env.from) or env)
        actor.stop_host()
      end
      function Limits:on_tick(msg, env) print("Tick " .. json.encode(msg) .. " from " .. tostring(env.from)) end
      return Limits
    ]])
  end)
  after_each(function()
    process.end_all()
    process.remove_folder(folder)
  end)

  it("answers an actor as the external will, from its own address", function()
    local standing = mock("--answer", "Price", "--set", "price:=9.5", "-n", "1")
    local ended = troupe("run", folder .. "/limits.lua", "--", "pong@" .. endpoint)
    assert.equal(("up\nPrice {\"price\": 9.5, \"symbol\": \"ACME\"} from pong@%s\n"):format(endpoint), ended.out)
    ended = standing:wait()
    assert.equal(OK, ended.code)
    assert.matches('limits/ask#1@tcp://[%d.:]+ %-> pong  PriceReq {"symbol": "ACME"}\n'
                   .. '    answered Price {"price": 9.5, "symbol": "ACME"}\n$', ended.out)
  end)

  it("rejects what is not as declared, and says what the real peer would have done", function()
    local standing = mock("-n", "1")
    local ended = troupe("ask", "pong@" .. endpoint, "PriceReq", "symbol=ACME", "note=x")
    assert.same({ code = REJECTED, out = "", err = "troupe: Bad field 'note' in PriceReq: unknown field\n" }, ended)
    assert.matches('\n    answered Reject {"message_type": "PriceReq", "reason": "Bad field \'note\' in PriceReq:'
                   .. ' unknown field", "rejected_by": "pong"}\n'
                   .. "    a python peer would have died of this: unknown field 'note' in PriceReq\n", standing:wait().out, 1, true)
  end)

  it("rejects what is for somebody else, and unknown types", function()
    mock()
    assert.equal("troupe: Actor 'pricer' not found\n", troupe("ask", "pricer@" .. endpoint, "Ping", "count:=1").err)
    assert.equal("troupe: Unknown message type: ping. Did you register it with @register_message?\n",
                 troupe("ask", "pong@" .. endpoint, "ping", "count:=1").err)
    assert.equal('Pong {"count": 3}\n', troupe("ask", "pong@" .. endpoint, "Ping", "count:=3").out)
  end)

  it_with_python("answers a Python peer, byte for byte as the family writes it", function()
    mock()
    local frames = {
      '{"sender_actor": "ping", "sender_endpoint": "ME", "receiver": "pong", "message_type": "Ping", "message": {"count": 7}}',
      '{"sender_actor": "ping", "sender_endpoint": "ME", "receiver": "pong", "message_type": "Ping", "message": {"x": 7}}',
      '{"sender_actor": "ping", "sender_endpoint": "ME", "receiver": "nobody", "message_type": "Ping", "message": {}}',
    }
    local ended = process.run({ PYTHON, "spec/interop/peer.py", "exchange", endpoint },
                              { input = table.concat(frames, "\n") .. "\n" })
    assert.equal(OK, ended.code)
    local came = {}
    for line in ended.out:gmatch("= ([^\n]*)\n") do came[#came + 1] = json.decode(line) end
    assert.equal(3, #came)
    assert.same({ "pong", "Pong", 7 }, { came[1].sender_actor, came[1].message_type, came[1].message.count })
    assert.equal(endpoint, came[1].sender_endpoint)
    assert.same({ json.null, "Reject", { message_type = "Ping", rejected_by = "pong",
                                         reason = "Bad field 'x' in Ping: unknown field" } },
                { came[2].sender_actor, came[2].message_type, came[2].message })
    assert.equal("Actor 'nobody' not found", came[3].message.reason)
  end)

  it("prints one object a line for programs", function()
    local standing = mock("--json", "-n", "2")
    troupe("ask", "pong@" .. endpoint, "Ping", "count:=3")
    troupe("send", "pong@" .. endpoint, "Ping", "n:=3")
    local first, second = assert(json.decode(standing:line("{"))), assert(json.decode(standing:line("{")))
    assert.same({ "Ping", { count = 3 }, "Pong", { count = 3 }, {} },
                { first.type, first.message, first.answered, first["with"], first.notes })
    assert.same({ json.null, json.null, json.null }, { second.from, second.answered, second["with"] })
    assert.same({ "a python peer would have died of this: unknown field 'n' in Ping",
                  "a python peer would have died of this: field 'count' in Ping: missing, integer expected",
                  "it has no sender: nobody is answered" }, second.notes)
    assert.equal(OK, standing:wait().code)
  end)

  it("sends what comes from the external, again and again, or once", function()
    local host = start("run", folder .. "/limits.lua", "--bind", ":0")
    local limits = host:error_line("listening on"):match("tcp://%S+$")
    local feed = free_endpoint()
    write_topology(('bind = "%s",'):format(limits), endpoint, feed)
    local path = folder .. "/market.lua"
    local standing = start("mock", "feed", path, "--every", "50ms", "--set", "seq:={{n}}", "--set", "symbol=ACME")
    for n = 1, 3 do
      assert.equal(('Tick {"seq": %d, "symbol": "ACME"} from feed@%s'):format(n, feed), host:line("Tick"))
    end
    assert.equal(INTERRUPTED, standing:stop("INT").code)
    standing = start("mock", "feed", path, "--send", "Tick", "--set", "seq:=99")
    repeat local line = host:line("Tick") until line:find('"seq": 99, "symbol": "symbol"', 1, true)
    local ended = standing:stop("TERM")
    assert.same({ OK, ('sent 1  limits@%s  Tick {"seq": 99, "symbol": "symbol"}\n'):format(limits) },
                { ended.code, ended.out })
  end)

  it("stands in also while a script has errors, and says that there are some", function()
    process.write_file(folder .. "/limits.lua", "function Limits:on_start( end")
    local standing = start("mock", "pricer", folder .. "/market.lua", "-n", "1")
    standing:error_line("market.lua has errors, but its links can be read: 'troupe check' says which")
    standing:error_line("listening on")
    assert.equal('Pong {"count": 1}\n', troupe("ask", "pong@" .. endpoint, "Ping", "count:=1").out)
    assert.equal(OK, standing:wait().code)
  end)

  it("stands elsewhere if it is told to, and says so", function()
    local standing = start("mock", "pricer", folder .. "/market.lua", "--bind", ":0", "-n", "1")
    local line = standing:error_line("the topology sends to " .. endpoint:gsub("127%.0%.0%.1", "localhost"))
    local there = line:match("this is (tcp://[%d.:]+%d)")
    assert.equal('Pong {"count": 1}\n', troupe("ask", "pong@" .. there, "Ping", "count:=1").out)
    assert.equal(OK, standing:wait().code)
  end)

  it("ends with 1 if its place is taken, with 3 if nothing comes in time", function()
    mock()
    local ended = troupe("mock", "pricer", folder .. "/market.lua")
    assert.equal(FAILED, ended.code)
    assert.matches(endpoint, ended.err, 1, true)
    assert.matches("--bind ENDPOINT is for another place", ended.err, 1, true)
    ended = troupe("mock", "pricer", folder .. "/market.lua", "--bind", ":0", "--timeout", "50ms")
    assert.equal(TIMED_OUT, ended.code)
    assert.matches("nothing came to tcp://127.0.0.1:", ended.err, 1, true)
  end)

  it("ends with 2 for what the topology does not have", function()
    local path = folder .. "/market.lua"
    for why, arguments in pairs {
      ["market.lua has no external 'prcer' (did you mean 'pricer'?)"] = { "prcer", path },
      ["no link has Prise among the answers of 'pricer'"] = { "pricer", path, "--answer", "Prise" },
      ["'pricer' answers with no field 'x'"] = { "pricer", path, "--set", "x=1" },
      ["price of Price: number expected, not string"] = { "pricer", path, "--set", "price=1" },
      ["bad JSON"] = { "pricer", path, "--set", "price:=" },
      ["no link says that Tik comes from 'feed'"] = { "feed", path, "--send", "Tik" },
      ["nobody can send to 'limits': its node does not listen"] = { "feed", path, "--every", "1s" },
      ["no link says that anything comes from 'pricer'"] = { "pricer", path, "--every", "1s" },
      ["No such file or directory"] = { "pricer", folder .. "/nothing.lua" },
    } do
      local ended = troupe("mock", table.unpack(arguments))
      assert.same({ USAGE, "" }, { ended.code, ended.out }, why)
      assert.matches(why, ended.err, 1, true)
    end
  end)

  it("ends with 6 for a topology with errors, and names them", function()
    local path = process.write_file(folder .. "/bad.lua", 'return topology "bad" {\n  external "x" { "nowhere" },\n  nod "y" {} }\n')
    local ended = troupe("mock", "x", path)
    assert.same({ CHECK, "" }, { ended.code, ended.out })
    assert.matches("bad.lua:2: ", ended.err, 1, true)
    assert.matches("bad.lua:3: ", ended.err, 1, true)
  end)

  it("is offered the externals of the topology by the shell", function()
    local path = folder .. "/market.lua"
    assert.matches("^words\npricer\ttcp://", troupe("complete", "words", "2", "mock", "p", path).out)
    assert.matches("\nfeed\t", troupe("complete", "words", "2", "mock", "", path).out)
    local here = process.run(process.troupe_in(folder, { "complete", "external" }))
    assert.matches("^feed\t.*\npricer\t", here.out)
  end)
end)
