-- troupe.children: how a supervisor makes, starts, halts and drops the actors
-- that it decides about, and what it hears of them.
local Stage = require "troupe.stage"

-- Does with its one child what it is told to, and prints what it hears.
local SUPERVISOR = [[
  local children = require "troupe.children"
  local Supervisor = {}
  function Supervisor:on_start()
    self.child = assert(children.spawn("spec/support/child", { name = "child", config = { n = 7 } }))
  end
  function Supervisor:on_child_started(msg, env)
    print(("started %s %d"):format(msg.name, msg.restarts), msg.who == self.child and env.from == self.child)
  end
  function Supervisor:on_child_halted(msg, env)
    print(("halted %s %d"):format(msg.name, msg.restarts), msg.reason, msg.failed, msg.started)
    if self.starts_again then children.start(self.child) end
  end
  function Supervisor:on_do(msg)
    local done, why = children[msg.what](self.child, msg.within)
    if not done then print(msg.what, why.reason, why.text) end
  end
  function Supervisor:on_keep_up() self.starts_again = true end
  function Supervisor:on_wait(msg) actor.sleep("1s") print("waited") if msg.fail then error("after the wait") end end
  function Supervisor:on_receive() print("received", actor.receive("ChildHalted").reason) end
  return Supervisor
]]

describe("a supervised child", function()
  local stage

  before_each(function() stage = Stage.new() end)
  after_each(function()
    stage:output()
    stage:log()
    stage:close()
  end)

  local function supervisor(options)
    local script = { name = "supervisor", source = SUPERVISOR }
    for option, value in pairs(options or {}) do script[option] = value end
    assert(stage:spawn(script))
    stage:run()
  end

  local function tell(what, within)
    stage:send("supervisor", "Do", { what = what, within = within })
    stage:run()
  end

  local function started()
    supervisor()
    tell "start"
    assert.same({ "child starts 0 with 7", "started child 0\ttrue" }, stage:output())
  end

  it("is made and registered, but not started: its mail waits", function()
    supervisor()
    stage:send("child", "Ping")
    stage:run()
    assert.is_true(stage:alive("child"))
    assert.same({}, stage:output())
    tell "start"
    assert.same({ "child starts 0 with 7", "started child 0\ttrue", "ping" }, stage:output())
  end)

  it("is halted when it fails, and its supervisor hears why", function()
    started()
    stage:send("child", "Fail")
    stage:send("child", "Ping")
    stage:advance("1h")
    assert.same({ "child stops", "halted child 0\terror: spec/support/child.lua:10: as asked\ttrue\ttrue" },
      stage:output())
    assert.matches("the actor is halted and its supervisor decides, the message is a dead letter",
      stage:log()[1].text)
    tell "start"
    assert.same({ "child starts 1 with 7", "started child 1\ttrue", "ping" }, stage:output())
  end)

  it("is halted when on_start fails, and had not started then", function()
    supervisor()
    local saboteur = assert(stage:spawn { name = "saboteur", source = "function on_look() end" })
    tell "start"
    assert.same({ "child starts 0 with 7", "halted child 0\terror: spec/support/child.lua:6: cannot start\ttrue\tfalse" },
      stage:output())
    stage:stop(saboteur)
    tell "start"
    assert.same({ "child starts 1 with 7", "started child 1\ttrue" }, stage:output())
  end)

  it("is halted when it ends by itself, with the reason that it gives", function()
    started()
    stage:send("child", "Exit")
    stage:run()
    assert.same({ "child stops", "halted child 0\tnormal\tfalse\ttrue" }, stage:output())
    tell "start"
    stage:output()
    stage:send("child", "Exit", { reason = "no work left" })
    stage:run()
    assert.same({ "child stops", "halted child 1\tno work left\ttrue\ttrue" }, stage:output())
  end)

  it("is halted when anybody stops it, again if it was halted already", function()
    started()
    stage:stop("child")
    stage:run()
    assert.same({ "child stops", "halted child 0\tnormal\tfalse\ttrue" }, stage:output())
    stage:stop("child")
    stage:run()
    assert.same({ "halted child 0\tnormal\tfalse\ttrue" }, stage:output())
    assert.is_true(stage:alive("child"))
  end)

  it("is halted by its supervisor, which hears of it also if it was halted already", function()
    started()
    tell("halt", "1s")
    assert.same({ "child stops", "halted child 0\tnormal\tfalse\ttrue" }, stage:output())
    tell("halt", "1s")
    assert.same({ "halted child 0\tnormal\tfalse\ttrue" }, stage:output())
    tell "start"
    stage:advance("1h") -- no kill is left over from the halts
    assert.same({ "child starts 1 with 7", "started child 1\ttrue" }, stage:output())
  end)

  it("says which orders to halt had reached it: the end that an order has crossed is told from its answer", function()
    assert(stage:spawn { name = "supervisor", source = [[
      local children = require "troupe.children"
      function on_start(self)
        self.child = assert(children.spawn("spec/support/child", { name = "child", config = { n = 7 } }))
        children.start(self.child)
      end
      function on_cross(self)
        self.child:send("Fail")
        actor.sleep(0.1) -- the notice waits until this handler has ended
        children.halt(self.child, 5)
      end
      function on_halt(self) children.halt(self.child, 5) end
      function on_child_halted(self, msg) print(msg.restarts, msg.halts, msg.failed) end
    ]] })
    stage:run()
    stage:output()
    stage:send("supervisor", "Cross")
    stage:advance("1s")
    assert.same({ "child stops", "0\t0\ttrue", "0\t1\ttrue" }, stage:output())
    stage:send("supervisor", "Halt")
    stage:run()
    assert.same({ "0\t2\ttrue" }, stage:output())
  end)

  it("is killed, without its on_shutdown, when it is given no time", function()
    started()
    tell("halt", 0)
    assert.same({ "halted child 0\tkilled\ttrue\ttrue" }, { stage:output()[1] })
  end)

  it("may be halted before it was ever started", function()
    supervisor()
    tell("halt", "1s")
    assert.same({ "halted child 0\tnormal\tfalse\tfalse" }, stage:output())
    tell "start"
    assert.same({ "child starts 0 with 7", "started child 0\ttrue" }, stage:output())
  end)

  it("is killed past the deadline, whatever it waits for", function()
    for _, message in ipairs { "Sleep", "Stubborn" } do
      supervisor()
      tell "start"
      stage:send("child", message)
      stage:run()
      stage:output()
      tell("halt", "2s")
      stage:advance("1.9s")
      assert.is_nil(table.concat(stage:output(), "\n"):match("halted"))
      stage:advance("200ms")
      assert.same({ "halted child 0\tkilled\ttrue\ttrue" }, stage:output())
      stage:stop("supervisor")
      stage:run()
      stage:output()
    end
  end)

  it("lets nobody wait for the answer of what was killed", function()
    supervisor()
    tell "start"
    assert(stage:spawn { name = "asker", source = [[
      function on_go() print("answer", select(2, actor.ref("child"):ask("Keep", {}, { timeout = "1h" })).text) end
    ]] })
    stage:send("asker", "Go")
    stage:run()
    stage:send("child", "Sleep")
    stage:run()
    tell("halt", "1s")
    stage:output()
    stage:advance("1s")
    local lines = stage:output()
    table.sort(lines)
    assert.equal("answer\tchild failed at Keep: child has failed: killed", lines[1])
  end)

  it("ends for good when it is dropped: its name is free, its mail dead letters", function()
    started()
    tell("halt", "1s")
    stage:send("child", "Ping")
    tell "drop"
    assert.is_false(stage:alive("child"))
    local letters = stage:dead_letters()
    assert.same({ "Ping", "down" }, { letters[1].type, letters[1].reason })
    stage:output()
    tell "start"
    tell("halt", "1s")
    assert.same({ "start\tdown\tthe child has ended", "halt\tdown\tthe child has ended" }, stage:output())
  end)

  it("may be dropped before it was ever started", function()
    supervisor()
    tell "drop"
    assert.is_false(stage:alive("child"))
    assert.same({}, stage:output())
  end)

  it("is not dropped while it runs", function()
    started()
    tell "drop"
    assert.is_true(stage:alive("child"))
    assert.same({}, stage:output())
  end)

  it("ends for good with its supervisor, which hears no more of it", function()
    started()
    stage:stop("supervisor")
    stage:run()
    assert.is_false(stage:alive("child"))
    assert.same({ "child stops" }, stage:output())
  end)

  it("ends for good when its supervisor restarts, and what was still to be said of it is not", function()
    supervisor { failure = "restart" }
    tell "start"
    stage:send("supervisor", "Wait", { fail = true })
    stage:run()
    stage:stop("child") -- the notice waits until the handler has ended
    stage:run()
    stage:output()
    stage:advance("5s")
    assert.same({ "waited" }, stage:output())
    tell "start" -- the child of the next incarnation, with the same name
    assert.same({ "child starts 0 with 7", "started child 0\ttrue" }, stage:output())
  end)

  it("is heard of when no handler is in hand, or by actor.receive", function()
    started()
    stage:send("supervisor", "Wait")
    stage:run()
    stage:stop("child")
    stage:run()
    assert.same({ "child stops" }, stage:output())
    stage:advance("1s")
    assert.same({ "waited", "halted child 0\tnormal\tfalse\ttrue" }, stage:output())
    stage:send("supervisor", "Receive")
    stage:run()
    stage:stop("child")
    stage:run()
    assert.same({ "received\tnormal" }, stage:output())
  end)

  it("is heard of though the supervisor's mailbox is full", function()
    supervisor { mailbox = { limit = 1 } }
    tell "start"
    stage:send("supervisor", "Wait")
    stage:run()
    stage:send("supervisor", "KeepUp")
    stage:stop("child")
    stage:run()
    stage:output()
    stage:advance("1s")
    assert.equal("halted child 0\tnormal\tfalse\ttrue", stage:output()[2])
  end)

  it("has failure = \"stop\", whatever its script says; its supervisor may say \"continue\"", function()
    assert(stage:spawn { name = "s", source = [[
      local children = require "troupe.children"
      function on_start()
        print(children.spawn("spec/support/restarts", { name = "a", failure = "restart" }))
        print(children.spawn("spec/support/restarts", { name = "b", failure = "escalate" }))
        children.start(children.spawn("spec/support/restarts", { name = "c" }))
        children.start(children.spawn("spec/support/restarts", { name = "d", failure = "continue" }))
      end
      function on_child_halted(self, msg) print("halted " .. msg.name) end
    ]] })
    stage:run()
    local lines = stage:output()
    for i = 1, 2 do
      assert.equal("nil\tfailure of a supervised child is \"stop\" or \"continue\": its supervisor restarts it", lines[i])
    end
    stage:send("c", "Fail")
    stage:send("d", "Fail")
    stage:run()
    assert.same({ "halted c" }, stage:output())
  end)

  it("is nobody else's to start, halt or drop", function()
    started()
    assert(stage:spawn { name = "other", source = [[
      local children = require "troupe.children"
      function on_start()
        print(select(2, pcall(children.start, actor.ref("child"))))
        print(select(2, pcall(children.halt, actor.self, 1)))
        print(select(2, pcall(children.drop, "child")))
        print(select(2, pcall(children.drop, actor.ref("child@:5001"))))
      end
    ]] })
    stage:run()
    assert.same({ "children.start: this actor is no child of this one", "children.halt: this actor is no child of this one",
                  "children.drop: the ref of a child is expected, not a string",
                  "children.drop: the ref of a child is expected, not a userdata" }, stage:output())
  end)

  it("is not told of by anybody but the host", function()
    assert(stage:spawn { name = "liar", source = [[
      function on_start()
        print(pcall(function() actor.self:send("ChildHalted", {}) end))
        print(pcall(function() actor.self:send("child_started", {}) end))
      end
    ]] })
    stage:run()
    for _, line in ipairs(stage:output()) do assert.matches("^false\tliar.lua:[23]: ", line) end
  end)
end)

-- Prepares two of its kind, begins them one after the other, and prints what it hears.
local PREPARER = [[
  local children = require "troupe.children"
  local Preparer = {}
  function Preparer:on_start()
    self.refs = {}
    for _, name in ipairs { "first", "second" } do
      self.refs[name] = assert(children.prepare("spec/support/prepared", { name = name, failure = "restart" }))
      actor.watch(self.refs[name])
    end
  end
  function Preparer:on_begin(msg)
    msg.config.kin = actor.ref(msg.kin)
    assert(children.begin(self.refs[msg.name], msg.config))
  end
  function Preparer:on_child_waits(msg, env) print("waits", msg.name, msg.restarts, msg.who == env.from) end
  function Preparer:on_child_started(msg) print("started", msg.name, msg.restarts) end
  function Preparer:on_down(msg) print("down", msg.name, msg.reason) end
  function Preparer:on_misuse()
    print(select(2, pcall(children.prepare, "spec/support/prepared", { config = { n = 1 } })))
    print(select(2, pcall(children.prepare, "spec/support/prepared", { name = "x", if_absent = true })))
    print(select(2, pcall(children.start, self.refs.first)))
    print(select(2, pcall(children.begin, actor.self, {})))
    print(select(2, pcall(children.begin, self.refs.first, { 1 })))
  end
  return Preparer
]]

describe("a prepared child", function()
  local stage

  before_each(function()
    stage = Stage.new()
    assert(stage:spawn { name = "parent", source = PREPARER })
    stage:run()
  end)
  after_each(function()
    stage:output()
    stage:log()
    stage:dead_letters()
    stage:close()
  end)

  local function begin(name, kin, config)
    stage:send("parent", "Begin", { name = name, kin = kin, config = config or {} })
    stage:run()
    return stage:output()
  end

  it("is registered, keeps its mail, and begins when it is told to, with refs to the others", function()
    stage:send("first", "Hello")
    stage:run()
    assert.is_true(stage:alive("first") and stage:alive("second"))
    assert.same({}, stage:output())
    assert.same({ "first has second", "started\tfirst\t0", "hello stage" },
                begin("first", "second"))
  end)

  it("is heard to wait in its on_start, and to have started when that has ended", function()
    assert.same({ "waits\tfirst\t0\ttrue" }, begin("first", "second", { asks = true }))
    assert.same({ "second has first", "started\tsecond\t0", "hello first", "first has second", "started\tfirst\t0" },
                begin("second", "first"))
  end)

  it("ends when its on_start fails, which a watch tells", function()
    assert.same({ "down\tfirst\terror: spec/support/prepared.lua:7: as told" },
                begin("first", "second", { fails = true }))
  end)

  it("decides about itself, and is heard to begin again with its config", function()
    begin("first", "second")
    stage:send("first", "Fail")
    stage:advance("10s")
    assert.same({ "first has second", "started\tfirst\t1" }, stage:output())
  end)

  it("ends with its parent, begun or not", function()
    begin("first", "second")
    stage:stop("parent")
    stage:run()
    assert.same({ false, false }, { stage:alive("first"), stage:alive("second") })
  end)

  it("is nobody else's, and has its config when it begins", function()
    stage:send("parent", "Misuse")
    stage:run()
    assert.same({ "children.prepare: the config is given when it begins",
                  "children.prepare: if_absent is not for a child that is started later",
                  "children.start: this actor is no child of this one",
                  "children.begin: this actor is no child of this one",
                  "bad argument #2 to 'troupe.children.begin' (config is a table with string keys)" }, stage:output())
  end)
end)
