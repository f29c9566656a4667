-- The stack machine as an actor (actors/vm.lua): what is answered when, what happens when
-- an instruction fails, and that one machine does not keep others from their turn.
local Stage = require "troupe.stage"
local json = require "troupe.json"
local process = require "spec.support.process"

-- An instruction that sends the topmost value to the machine in the variable `peer`.
local TELL = [[function(vm) vm:send_to(vm.variables.peer, "OP_CONSTANT", vm.stack:pop()) end]]

describe("a machine that is an actor", function()
  local stage, vm

  local function spawn(config, name)
    return assert(stage:spawn({ path = "actors/vm.lua", name = name }, config))
  end

  before_each(function()
    stage = Stage.new()
    vm = spawn(nil, "vm")
  end)
  after_each(function() stage:close() end)

  local function run(...)
    stage:send(vm, "Bytecode", { ops = json.array { ... } })
  end

  local function ask(type, msg, to)
    local answer, env = stage:ask(to or vm, type, msg)
    assert(answer, type .. ": " .. tostring(env and env.text))
    return answer
  end

  local function failure(type, msg, to)
    local answer, why = stage:ask(to or vm, type, msg)
    assert.is_nil(answer)
    return why.text
  end

  local function values(to)
    return ask("Stack", nil, to).values
  end

  it("runs what it is sent, and says what is on top", function()
    run("OP_CONSTANT", 20)
    run("OP_CONSTANT", 22, "OP_ADD")
    assert.same({ value = 42 }, ask("Top"))
    assert.same({ top = 84 }, ask("Bytecode", { ops = { "OP_DUP", "OP_ADD" } }))
    assert.same({ 84 }, values())
  end)

  it("writes nil as null, both ways", function()
    run("OP_CONSTANT", json.null, "OP_NIL", "OP_CONSTANT", 5, "OP_POP")
    assert.same({ json.null, json.null }, values())
    assert.same({ value = json.null }, ask("Top"))
    assert.same({ top = json.null }, ask("Bytecode", { ops = json.array {} }))
    assert.same({ top = true }, ask("Bytecode", { ops = { "OP_NOT" } }))
    assert.same({}, ask("Bytecode", { ops = { "OP_POP", "OP_POP" } }))
  end)

  it("answers with an empty stack, and says when nothing is on top", function()
    assert.equal('{"values": []}', json.encode(ask("Stack")))
    assert.matches("^the stack is empty$", failure("Top"))
  end)

  it("tells its variables", function()
    run("OP_CONSTANT", 5, "OP_DEFINE_VARIABLE", "x", "OP_NIL", "OP_DEFINE_VARIABLE", "y")
    assert.same({ x = 5, y = json.null }, ask("Variables").variables)
    assert.same({ 5, json.null }, { ask("Variable", { name = "x" }).value, ask("Variable", { name = "y" }).value })
    assert.matches("variable 'z' is not defined$", failure("Variable", { name = "z" }))
  end)

  it("runs s-expressions", function()
    assert.same({}, ask("Expression", { text = "(define x 20)" }))
    assert.same({ top = 42 }, ask("Expression", { text = "(+ (* 2 x) 2)" }))
    assert.matches("^Unmatched opening parenthesis$", failure("Expression", { text = "(+ 1" }))
  end)

  it("begins with the program, variables and instructions that it is configured with", function()
    local other = spawn({
      program = { "OP_JUMP", 5, "OP_TRIPLE", "OP_TRIPLE", "OP_RETURN", "OP_GET_VARIABLE", "x" },
      variables = { x = 7, nothing = json.null },
      instructions = { OP_TRIPLE = "function(vm) vm.stack:push(3 * vm.stack:pop()) end",
                       OP_NEGATE = "function(vm) vm.stack:push('negated') end" },
    })
    assert.same({ 7 }, values(other))
    assert.same({ top = 63 }, ask("Bytecode", { ops = { "OP_CALL", 2, 1 } }, other))
    assert.same({ top = "negated" }, ask("Bytecode", { ops = { "OP_NEGATE" } }, other))
    assert.same({ x = 7, nothing = json.null }, ask("Variables", nil, other).variables)
  end)

  it("does not start with a config that is wrong, a program that fails, or an instruction that is none", function()
    for config, why in pairs {
      [{ program = { "OP_NONE" } }] = "No handler for instruction 'OP_NONE' %(at address 0%)",
      [{ instructions = { OP_X = "function(vm" } }] = "OP_X:1: ",
      [{ varables = { x = 1 } }] = "config has no 'varables' %(did you mean 'variables'%?%)",
      [{ slice = "1s" }] = "config%.slice: a whole number of at least 1 is expected, not '1s'",
      [{ program = "OP_TRUE" }] = "config%.program: a list is expected, not 'OP_TRUE'",
      [{ keep = -1 }] = "config%.keep: a whole number of at least 0 is expected, not %-1",
    } do
      local other = spawn(config)
      stage:run()
      assert.is_false(stage:alive(other))
      assert.matches(why, stage:log()[1].text)
    end
  end)

  describe("learns an instruction in Lua", function()
    local DOUBLE = "function(vm) vm.stack:push(2 * vm.stack:pop()) end"

    it("from its source text, which may keep something", function()
      assert.same({ name = "OP_DOUBLE" }, ask("Define", { name = "OP_DOUBLE", source = DOUBLE }))
      ask("Define", { name = "OP_COUNT",
                      source = "(function() local n = 0 return function(vm) n = n + 1 vm.stack:push(n) end end)()" })
      run("OP_CONSTANT", 21, "OP_DOUBLE", "OP_COUNT", "OP_COUNT")
      assert.same({ 42, 1, 2 }, values())
    end)

    it("for s-expressions", function()
      assert.same({ name = "double" }, ask("Defun", { name = "double", source = DOUBLE }))
      assert.same({ top = 11 }, ask("Expression", { text = "(+ 1 (double 5))" }))
    end)

    it("when the code before it was run, and not earlier", function()
      run("OP_CONSTANT", 1, "OP_CONSTANT", 2, "OP_ADD")
      stage:send(vm, "Define", { name = "OP_ADD", source = "function(vm) vm.stack:push('added') end", replace = true })
      run("OP_ADD")
      assert.same({ 3, "added" }, values())
    end)

    it("or says why not", function()
      local function why(name, source, replace)
        return failure("Define", { name = name, source = source, replace = replace })
      end
      assert.matches("instruction with the same name already exists, use another name or use the "
        .. "replace_existing_instruction function$", why("OP_ADD", DOUBLE))
      assert.matches("instruction with the name does not exists, use the name of an existing instruction or use "
        .. "the define_new_instruction function$", why("OP_NONE", DOUBLE, true))
      assert.matches("OP_X:1: ", why("OP_X", "function(vm"))
      assert.matches("the source of OP_X is a number, not a function of the machine$", why("OP_X", "5"))
      assert.matches("OP_X:1: no", why("OP_X", "error('no')"))
    end)
  end)

  describe("when an instruction fails", function()
    it("tells who asked, leaves out the rest of that message, and goes on with the next", function()
      stage:send(vm, "Bytecode", { ops = { "OP_CONSTANT", 1 } })
      assert.matches("^No handler for instruction 'OP_NONE' %(at address 2%)$",
                     failure("Bytecode", { ops = { "OP_NONE", "OP_POP", "OP_POP" } }))
      assert.same({ 1 }, values())
      assert.same({}, stage:log())
    end)

    it("fails the handler if nobody asked, and the machine goes on", function()
      run("OP_CONSTANT", 1, "OP_NIL", "OP_ADD", "OP_CONSTANT", 2)
      run("OP_CONSTANT", 3)
      assert.same({ 3 }, values())
      local report = table.remove(stage:log()).text
      assert.matches("OP_ADD does not work on a number and a nil %(at address 3%)", report)
      assert.equal("Bytecode", stage:dead_letters()[1].type)
    end)

    it("ends, or whatever its `failure` says", function()
      local other = assert(stage:spawn { path = "actors/vm.lua", failure = "stop" })
      stage:send(other, "Bytecode", { ops = { "OP_NONE" } })
      stage:run()
      assert.is_false(stage:alive(other))
      stage:log()
      stage:dead_letters()
    end)

    it("forgets the calls that were under way", function()
      local other = spawn { program = { "OP_JUMP", 4, "OP_NONE", "OP_RETURN" } }
      failure("Bytecode", { ops = { "OP_CALL", 2, 0, "OP_CONSTANT", 1 } }, other)
      assert.same({ top = 5 }, ask("Bytecode", { ops = { "OP_CONSTANT", 5, "OP_CONSTANT", 6, "OP_RETURN" } }, other))
    end)

    it("knows messages that are none", function()
      assert.matches("Bad field 'ops' in Bytecode", failure("Bytecode", { ops = "OP_ADD" }))
      assert.matches("Bad field 'op' in Bytecode", failure("Bytecode", { ops = {}, op = {} }))
      stage:log()
    end)
  end)

  describe("that runs for ever", function()
    before_each(function() run("OP_CONSTANT", 1, "OP_POP", "OP_LOOP", 5) end)
    after_each(function() stage:ask(vm, "Interrupt") end)

    it("still tells its status", function()
      local status = ask("Status")
      assert.same({ 5, 1 }, { status.length, status.messages })
      assert.is_true(status.ip <= 5)
    end)

    it("leaves others their turn", function()
      local other = spawn()
      for i = 1, 20 do assert.same({ top = i }, ask("Bytecode", { ops = { "OP_CONSTANT", i } }, other)) end
    end)

    it("does not answer what waits behind its code, but can be interrupted", function()
      stage:send(vm, "Bytecode", { ops = { "OP_CONSTANT", 7 } })
      stage:send(vm, "Top")
      for _ = 1, 10 do assert.equal(3, ask("Status").messages) end
      assert.same({}, stage:outbox())
      assert.same({ skipped = true }, ask("Interrupt"))
      assert.same({ 7 }, values())
      assert.same({ skipped = false }, ask("Interrupt"))
    end)

    it("tells who asked for it that it was interrupted", function()
      ask("Interrupt")
      local asker = assert(stage:spawn({ source = [[
        function on_start(self)
          local question = self.config.vm:start_ask("Bytecode", { ops = { "OP_LOOP", 2 } })
          self.config.vm:ask("Interrupt")
          print((select(2, actor.all { question })))
        end
      ]] }, { vm = vm }))
      stage:run()
      assert.same({ "vm failed at Bytecode: interrupted" }, stage:output())
      assert.is_true(stage:alive(asker))
    end)

    it("takes no more code than it may", function()
      local other = spawn({ limit = 10 })
      stage:send(other, "Bytecode", { ops = { "OP_LOOP", 2 } })
      assert.matches("too much code waits already: %d values, of at most 10$",
                     failure("Bytecode", { ops = json.decode("[" .. ("1,"):rep(10) .. "1]") }, other))
      ask("Interrupt", nil, other)
    end)

    it("is not hurried by messages of others", function()
      for i = 1, 50 do stage:send(vm, "Continue", { turn = i }) end
      stage:send(vm, "Interrupt")
      stage:run()
      stage:outbox()
    end)
  end)

  it("runs long code in slices, its questions and answers in order", function()
    local other = spawn { slice = 3 }
    local ops, expected = {}, {}
    for i = 1, 20 do
      table.insert(ops, "OP_CONSTANT")
      table.insert(ops, i)
      expected[i] = i
    end
    stage:send(other, "Bytecode", { ops = ops })
    stage:send(other, "Bytecode", { ops = { "OP_CONSTANT", "last" } })
    expected[21] = "last"
    assert.same(expected, values(other))
    assert.same({ ip = 42, length = 42, waiting = 0, messages = 0, stack = 21 }, ask("Status", nil, other))
  end)

  it("runs what its instructions send to itself", function()
    ask("Define", { name = "OP_EXPLODE", source = [[function(vm)
      for digit in tostring(vm.stack:pop()):gmatch("%d") do vm:send("OP_CONSTANT", tonumber(digit)) end
    end]] })
    run("OP_CONSTANT", 123, "OP_EXPLODE")
    assert.same({ 1, 2, 3 }, values())
  end)

  it("warns when it ends before its code was run", function()
    run("OP_LOOP", 2)
    ask("Status")
    stage:stop(vm)
    stage:run()
    local last = table.remove(stage:log())
    assert.same({ "warn", true }, { last.level, last.text:find("code was not run {values=", 1, true) ~= nil })
  end)

  describe("sends to another", function()
    local peer

    before_each(function()
      peer = spawn(nil, "peer")
      stage:run()
      ask("Define", { name = "OP_TELL", source = TELL })
    end)

    it("by a ref in a variable, each time one message, in order", function()
      run("OP_CONSTANT", peer, "OP_DEFINE_VARIABLE", "peer")
      for i = 1, 5 do run("OP_CONSTANT", i, "OP_TELL") end
      stage:run()
      assert.same({ 1, 2, 3, 4, 5 }, values(peer))
      assert.equal(peer, ask("Variable", { name = "peer" }).value)
    end)

    it("by a name", function()
      run("OP_CONSTANT", "peer", "OP_DEFINE_VARIABLE", "peer", "OP_CONSTANT", 42, "OP_TELL")
      stage:run()
      assert.same({ value = 42 }, ask("Top", nil, peer))
    end)

    it("refs, also in a list, and nil", function()
      run("OP_CONSTANT", peer, "OP_DEFINE_VARIABLE", "peer")
      run("OP_CONSTANT", vm, "OP_TELL", "OP_CONSTANT", { peer, vm }, "OP_TELL", "OP_NIL", "OP_TELL")
      stage:run()
      assert.same({ vm, { peer, vm }, json.null }, values(peer))
    end)

    it("and fails when it cannot", function()
      assert.matches("send_to sends to a machine, not to a nil",
                     failure("Bytecode", { ops = { "OP_CONSTANT", 1, "OP_TELL" } }))
      run("OP_CONSTANT", peer, "OP_DEFINE_VARIABLE", "peer")
      stage:stop(peer)
      assert.matches("the actor has ended$", failure("Bytecode", { ops = { "OP_CONSTANT", 1, "OP_TELL" } }))
    end)

    it("from many at once, and no operand is parted from its instruction", function()
      for seed = 1, 20 do
        local many = Stage.new { seed = seed }
        local target = assert(many:spawn("actors/vm.lua"))
        many:run()
        for i = 1, 10 do
          local sender = assert(many:spawn("actors/vm.lua", { instructions = { OP_TELL = TELL }, slice = 1 }))
          many:send(sender, "Bytecode", { ops = { "OP_CONSTANT", target, "OP_DEFINE_VARIABLE", "peer",
            "OP_CONSTANT", i, "OP_TELL", "OP_CONSTANT", 100 + i, "OP_TELL" } })
        end
        many:run()
        local place = {}
        for at, value in ipairs(many:ask(target, "Stack").values) do place[value] = at end
        for i = 1, 10 do assert.is_true(place[i] < place[100 + i]) end
        many:close()
      end
    end)
  end)
end)

describe("machines on two hosts", function()
  after_each(process.end_all)

  -- A host with a machine of that name, which has OP_TELL; where it listens.
  local function serve(folder, name)
    local script = process.write_file(folder .. "/" .. name .. "s_host.lua", ([[
      local Host = {}
      function Host:on_start()
        assert(actor.spawn("vm", { name = %q, config = { instructions = { OP_TELL = %q } } }))
      end
      return Host
    ]]):format(name, TELL))
    local host = process.start(process.troupe { "run", script, "--bind", ":0" })
    return name .. "@" .. host:error_line("listening on"):match("tcp://%S+$")
  end

  local function ask(to, ...)
    local ended = process.run(process.troupe { "ask", to, ... })
    return ended.out ~= "" and ended.out or ended.err
  end

  it("send to each other by refs that came through the network", function()
    local folder = process.make_folder()
    local alice, bob = serve(folder, "alice"), serve(folder, "bob")
    process.remove_folder(folder)
    -- alice learns of bob by a ref, and bob of alice by what she sends him.
    assert.equal('Done {"top": 100}\n', ask(alice, "Bytecode",
      ('ops:=["OP_CONSTANT", %q, "OP_DEFINE_VARIABLE", "peer", "OP_CONSTANT", %q, "OP_TELL", "OP_CONSTANT", 100]')
        :format(bob, alice), ('refs:=[{"at": 2, "ref": %q}, {"at": 6, "ref": %q}]'):format(bob, alice)))
    -- Her message and ours come over different connections: until hers is there.
    local told
    for _ = 1, 100 do
      told = ask(bob, "Bytecode", 'ops:=["OP_DEFINE_VARIABLE", "peer", "OP_CONSTANT", 20, "OP_TELL"]')
      if told:find("^Done") then break end
    end
    assert.equal("Done {}\n", told)
    for _ = 1, 100 do
      told = ask(alice, "Stack")
      if told:find("20") then break end
    end
    assert.equal('Values {"values": [100, 20]}\n', told)
  end)

  it("take no Lua from elsewhere", function()
    local folder = process.make_folder()
    local vm = serve(folder, "vm")
    process.remove_folder(folder)
    assert.equal("troupe: Define is refused from other hosts: it would run their Lua here\n",
                 ask(vm, "Define", "name=OP_X", "source=function() end"))
    assert.matches("Defun is refused", ask(vm, "Defun", "name=x", "source=function() end"))
    assert.matches("Bad field 'refs' in Bytecode: there is nothing at 5",
                   ask(vm, "Bytecode", 'ops:=["OP_NIL"]', 'refs:=[{"at": 5, "ref": "vm"}]'))
    assert.equal('Done {"top": 3}\n', ask(vm, "Expression", "text=(+ 1 2)"))
  end)
end)

describe("docs/vm.md", function()
  local folder

  before_each(function() folder = process.make_folder() end)
  after_each(function()
    process.end_all()
    process.remove_folder(folder)
  end)

  local function page()
    local file <close> = assert(io.open("docs/vm.md"))
    return file:read("a")
  end

  it("has scripts that print what they say", function()
    local names = {}
    for name, block in page():gmatch("\n```lua\n%-%- (%l+)%.lua: (.-)```\n") do
      local says = {}
      for text in block:gmatch("%-%->%s*([^\n]*)") do table.insert(says, (text:gsub("%s%s+", "\t"))) end
      local path = process.write_file(("%s/%s.lua"):format(folder, name), "-- " .. block)
      local ended = process.run(process.troupe { "run", path })
      assert.same({ 0, "", table.concat(says, "\n") .. "\n" }, { ended.code, ended.err, ended.out })
      table.insert(names, name)
    end
    assert.same({ "machines", "routine", "ring" }, names)
  end)

  it("has a session at the prompt that goes as it says", function()
    local host = process.start(process.troupe { "run", "vm", "--name", "calc", "--bind", ":0" })
    local endpoint = host:error_line("listening on"):match("tcp://%S+$")
    local played = 0
    for type, field, answer in page():gmatch("%$ troupe ask calc@:5001 (%u%l+) ?'?([^\n]-)'?\n([^\n]*)\n") do
      local words = { "ask", "calc@" .. endpoint, type, field ~= "" and field or nil }
      local ended = process.run(process.troupe(words))
      assert.equal(answer .. "\n", ended.out .. ended.err)
      played = played + 1
    end
    assert.equal(5, played)
  end)
end)
