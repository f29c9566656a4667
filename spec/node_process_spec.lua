-- `troupe node` as `troupe up` starts it: the plan comes in by its standard input, what has
-- become of it goes out by descriptor 3; asked by other hosts and by the control socket.
local json = require "troupe.json"
local process = require "spec.support.process"
local program = require "spec.support.program"

local SCRIPT = "spec/support/noded"

describe("troupe node", function()
  local folder, runs

  before_each(function() folder, runs = process.make_folder(), 0 end)
  after_each(function()
    process.end_all()
    process.remove_folder(folder)
  end)

  -- Its output is the pipe that it tells its state to, as well.
  local function start(line)
    runs = runs + 1
    local path = process.write_file(("%s/plan%d"):format(folder, runs), line .. "\n")
    return process.start({ "sh", "-c", 'exec "$0" node 3>&1 <"$1"', program.path, path }, 120)
  end

  local function node(actors, more)
    local plan = { topology = "t", node = "n", bind = { "tcp://127.0.0.1:0" }, options = {}, nodes = { n = "" },
                   actors = actors }
    for field, value in pairs(more or {}) do plan[field] = value end
    return start(json.encode { plan = plan, options = {} })
  end

  local function planned(name, config, more)
    local actor = { name = name, script = SCRIPT, config = config }
    for field, value in pairs(more or {}) do actor[field] = value end
    return actor
  end

  -- Where it listens, when it is ready.
  local function endpoint_of(host)
    return assert(json.decode(host:line '"ready"')).endpoint
  end

  local function ask(...)
    return process.run(process.troupe { "ask", ... })
  end

  it("is ready when all of its actors have started, and says where and what it is", function()
    local host = node { planned("slow", { sleeps = "300ms" }), planned "quick" }
    assert.equal("quick starts", host:line())
    assert.equal("slow starts", host:line())
    local status = json.decode(host:line())
    assert.equal("n        listening on " .. status.endpoint, host:error_line "listening")
    assert.is_true(status.ready)
    assert.matches("^tcp://127.0.0.1:%d+$", status.endpoint)
    assert.is_true(status.pid > 1)
    assert.matches('"by": "quick"', ask("quick@" .. status.endpoint, "Ping").out)
  end)

  it("ends with its last actor: by 0, or by 1 if that failed", function()
    local host = node { planned("a", nil, { options = { failure = "stop" } }), planned "b" }
    local endpoint = endpoint_of(host)
    process.run(process.troupe { "send", "a@" .. endpoint, "Fail" })
    process.run(process.troupe { "send", "b@" .. endpoint, "Leave" })
    assert.equal(0, host:wait().code)
    host = node { planned "a" }
    process.run(process.troupe { "send", "a@" .. endpoint_of(host), "Leave", "reason=no more" })
    assert.equal(1, host:wait().code)
  end)

  it("says why it has not started, and ends with 1", function()
    local host = node { planned "a", planned("b", { fails = "no disk" }) }
    assert.equal([[{"failed": "actor 'b' could not start: no disk"}]], host:line "failed")
    assert.equal(1, host:wait().code)

    local first = node { planned "a" }
    local taken = endpoint_of(first)
    host = node({ planned "a" }, { bind = { taken } })
    assert.matches("^{\"failed\": \".*" .. taken .. ".*\"}$", host:line "failed")
    assert.equal(1, host:wait().code)
  end)

  it("ends with 1 and the chain when an actor escalates, also while it starts", function()
    local host = node { planned("a", nil, { options = { failure = "escalate" } }) }
    process.run(process.troupe { "send", "a@" .. endpoint_of(host), "Fail" })
    local ended = host:wait()
    assert.equal(1, ended.code)
    assert.matches("top of its chain:\na ended: error: as asked\nnode.n ended with it\n", ended.err)

    host = node { planned("a", { fails = "no disk" }, { options = { failure = "escalate" } }) }
    assert.matches('"failed": ".*actor \'a\'', host:line "failed")
    assert.equal(1, host:wait().code)
  end)

  it("stops its actors at a SIGTERM, also one that still starts", function()
    local host = node { planned "a", planned "b" }
    endpoint_of(host)
    local ended = host:stop "TERM"
    assert.equal(0, ended.code)
    local stops = {}
    for name in ended.out:gmatch "(%w+) stops" do table.insert(stops, name) end
    table.sort(stops) -- each ends when it has handled its mail
    assert.same({ "a", "b" }, stops)

    host = node { planned "a", planned("b", { awaits = "Go" }) }
    host:line "b awaits Go"
    ended = host:stop "TERM"
    assert.equal(0, ended.code)
    assert.matches('"failed": ".*actor \'b\'', ended.out) -- its on_start fails, or the node is told first
  end)

  it("has groups that others ask by their name, and the instances answer", function()
    local host = node { planned("g", nil, { instances = 2, route = "round" }) }
    local endpoint = endpoint_of(host)
    local by = {}
    for _ = 1, 2 do table.insert(by, ask("g@" .. endpoint, "Ping").out:match '"by": "(g.%d)"') end
    assert.same({ "g.1", "g.2" }, by)
    local other = node({ planned("caller", { to = { ["$ref"] = "g@n" } }) },
                       { node = "m", nodes = { n = endpoint, m = "" } })
    assert.matches('"by": "g.1"', ask("caller@" .. endpoint_of(other), "Call").out)
  end)

  it("is changed from this machine's prompt and not from other hosts", function()
    local host = node { planned("a", { limit = 1 }), planned "b" }
    local endpoint = endpoint_of(host)
    local refused = ask("node.n@" .. endpoint, "NodeApply", 'remove:=["b"]')
    assert.equal(4, refused.code)
    assert.matches("NodeApply is for actors of its host", refused.err)

    local applied = ask("node.n", "NodeApply", 'remove:=["b"]', "add:=" .. json.encode { planned "c" },
                        'config:=[{"name": "a", "config": {"limit": 2, "to": {"$ref": "c"}}}]')
    assert.equal('NodeApplied {"added": ["c"], "configured": ["a"], "ending": [], "removed": ["b"]}\n', applied.out)
    host:line "c starts"
    assert.equal("a gets limit 2, to c@" .. endpoint, host:line "gets")
    local wrong = ask("node.n", "NodeApply", 'remove:=["d"]')
    assert.equal(1, wrong.code)
    assert.matches("remove: there is no actor 'd' here", wrong.err)
  end)

  it("runs scripts from their text, with declared types, and stays without actors if it is told to", function()
    local host = node({ { name = "a", source = "function on_start() print 'from a text' end function on_ping() end",
                          types = { Ping = { n = "integer" } } } }, { options = { keep = true } })
    host:line "from a text"
    endpoint_of(host)
    assert.matches("Bad field 'n' in Ping", ask("a", "Ping", "n=seven").err)
    assert.matches('"removed": %["a"%]', ask("node.n", "NodeApply", 'remove:=["a"]').out)
    assert.matches('"actors": %[%]', ask("node.n", "NodeState").out)
    assert.equal(0, host:stop("TERM").code)
  end)

  it("wants a plan on its standard input, and nothing else", function()
    local function wrong(line)
      local ended = start(line):wait()
      assert.equal(2, ended.code)
      return ended.err
    end
    assert.matches("^troupe node: the plan is no JSON: ", wrong "hello")
    assert.matches("^troupe node: the plan is missing\n$", wrong "{}")
    local ended = process.run(process.troupe { "node", "--help" })
    assert.equal(2, ended.code)
    assert.matches("this is what 'troupe up' starts\n$", ended.err)
  end)
end)
