-- Completion of command lines: what `troupe complete` answers, and what bash, zsh and
-- fish make of it, each in a terminal of its own.
local complete_names = require "troupe.cli.complete_names"
local complete_words = require "troupe.cli.complete_words"
local process = require "spec.support.process"
local tools = require "troupe.tools"

local OK, USAGE = 0, 2
local PYTHON = "/usr/bin/python3"
local TRIES = 40         -- a host that has much to do may miss the patience of a completion
local A_HANG_S = 8       -- nothing here waits so long, unless for somebody who never answers

local SHELLS = { bash = { "bash", "--norc", "--noprofile", "-i" }, zsh = { "zsh", "-f", "-i" },
                 fish = { "fish", "--private" } }
local SETUP = {
  bash = "source <(troupe --completion bash)",
  zsh = "autoload -Uz compinit; compinit -u -D; source <(troupe --completion zsh)",
  fish = "troupe --completion fish | source",
}
local CHECK = { bash = { "bash", "-n" }, zsh = { "zsh", "-n" }, fish = { "fish", "--no-execute" } }

local function has(command)
  return os.execute(("command -v %s >/dev/null"):format(command)) == true
end

local function it_with(shell)
  return has(shell) and it or function(name) pending(("%s (%s is not installed)"):format(name, shell)) end
end

local function troupe(...)
  return process.run(process.troupe { ... })
end

-- The first column of what is offered behind these words, the last of which is in hand.
local function offered(...)
  local words = { ... }
  local ended = troupe("complete", "words", tostring(#words), ...)
  assert.same({ OK, "" }, { ended.code, ended.err })
  local list = {}
  for line in ended.out:gmatch("([^\n]*)\n") do table.insert(list, (line:match("^[^\t]*"))) end
  return table.remove(list, 1), list
end

local function contains(list, text)
  for _, each in ipairs(list) do
    if each == text then return true end
  end
  return false
end

-- Until all of these are offered: it asks running hosts, and does not wait for them.
local function assert_offers(expected, ...)
  local list
  for _ = 1, TRIES do
    _, list = offered(...)
    local all = true
    for _, text in ipairs(expected) do all = all and contains(list, text) end
    if all then return end
  end
  assert.same(expected, list)
end

describe("a command line is completed", function()
  local folder

  local function start_shop(...)
    process.write_file(folder .. "/greeter.lua", [[
      -- Greet {}, MarketDepth {}
      local Greeter = {}
      function Greeter:on_start() actor.spawn("helper", { name = "helper" }) print("up") end
      function Greeter:on_greet() end
      function Greeter:on_market_depth() end
      function Greeter:on_level2_feed() end
      return Greeter
    ]])
    process.write_file(folder .. "/helper.lua", "return { on_ping = function() end }")
    local host = process.start(process.troupe { "run", folder .. "/greeter.lua", ... })
    host:line("up")
    return host
  end

  before_each(function() folder = process.make_folder() end)
  after_each(function()
    process.end_all()
    process.remove_folder(folder)
  end)

  describe("by what the program takes:", function()
    it("commands, with what they do", function()
      local ended = troupe("complete", "words", "1", "reg")
      assert.equal("words\nregistry\tServe the family's registry: which actor is at which endpoint.\n", ended.out)
      local _, all = offered("")
      for _, name in ipairs { "run", "ask", "init", "new", "help" } do assert.is_true(contains(all, name), name) end
      assert.is_false(contains(all, "complete"))
    end)

    it("the options of a command, those that are not there yet", function()
      local _, list = offered("ps", "--")
      assert.is_true(contains(list, "--node") and contains(list, "--json"))
      assert.is_false(contains(list, "--version"))
      _, list = offered("ps", "--json", "--no")
      assert.same({ "--node", "--no-peers" }, list)
      _, list = offered("ps", "--json", "--js")
      assert.same({}, list)
    end)

    it("the values of options, behind a blank and behind =", function()
      assert.same({ "words", { "warn" } }, { offered("run", "--log-level", "w") })
      assert.same({ "words", { "--log-level=warn" } }, { offered("run", "--log-level=w") })
      assert.same({ "file", {} }, { offered("run", "--curve-key", "") })
    end)

    it("choices of arguments, commands for help", function()
      assert.same({ "words", { "actor" } }, { offered("new", "") })
      assert.same({ "words", { "ask", "send" } }, { offered("bench", "") })
      assert.same({ "words", { "registry" } }, { offered("help", "reg") })
    end)

    it("scripts where scripts are wanted, folders where a folder is, files behind --", function()
      assert.equal("lua", (offered("run", "")))
      assert.equal("lua", (offered("run", "-w", "a.lua", "b")))
      assert.equal("folder", (offered("init", "")))
      assert.equal("file", (offered("run", "a.lua", "--", "")))
      assert.equal("words", (offered("new", "actor", "")))
    end)

    it("the options of a one-line actor", function()
      local _, list = offered("-")
      assert.is_true(contains(list, "-e") and contains(list, "--version"))
      assert.same({ "words", { "--name" } }, { offered("-e", "x", "--na") })
      assert.same({ "words", {} }, { offered("-e", "") })
      assert.same({ "words", { "text", "json" } }, { offered("--name", "x", "-e", "y", "--log", "") })
    end)
  end)

  describe("by what runs:", function()
    it("actors, hosts and types", function()
      start_shop()
      assert_offers({ "greeter", "helper" }, "ask", "")
      assert_offers({ "helper" }, "kill", "greeter", "h")
      assert_offers({ "greeter@greeter" }, "ask", "greeter@")
      assert_offers({ "greeter" }, "ps", "")
      assert_offers({ "greeter" }, "logs", "--node", "")
      assert_offers({ "helper" }, "attach", "greeter", "")
      assert_offers({ "Greet", "MarketDepth", "Level2Feed" }, "ask", "greeter", "")
      assert_offers({ "Ping" }, "send", "helper@greeter", "P")
    end)

    it("and those of several hosts by their names", function()
      start_shop()
      start_shop("--name", "second")
      assert_offers({ "greeter", "second", "helper@greeter", "helper@second" }, "ask", "")
    end)

    it("and no name that a shell would take for more than a name", function()
      local hosts = require "troupe.cli.hosts"
      local list = stub(hosts, "list")
      local named = {}
      for _, name in ipairs { "$(reboot)", "`reboot`", "x;reboot", "x|sh", "a'b", 'a"b', "a b", "a\nb", "*", "~", "good-1.x_y" } do
        table.insert(named, { name = name, pid = 1 })
      end
      list.returns(named)
      local found = complete_names.of("host", "", {})
      list:revert()
      assert.same({ { text = "good-1.x_y", what = "process 1" } }, found)
    end)

    it("nothing, and no complaint, where no host runs", function()
      assert.same({ "words", {} }, { offered("ask", "") })
      assert.same({ "words", {} }, { offered("ask", "pong@:5001", "") })
      assert.same({ code = OK, out = "", err = "" }, troupe("complete", "actor"))
    end)

    it("without a word from a host that is stopped, and without waiting for it", function()
      start_shop()
      local stopped = process.start(process.troupe { "-e", 'function on_start() print("up") end', "--name", "halted" })
      stopped:line("up")
      stopped:hold()
      local began = tools.now()
      assert_offers({ "greeter" }, "ask", "")
      assert.is_true(tools.now() - began < A_HANG_S)
      began = tools.now()
      assert.same({ "words", {} }, { offered("attach", "halted", "") })
      assert.is_true(tools.now() - began < A_HANG_S)
      stopped:go_on()
      assert_offers({ "halted" }, "ask", "ha")
    end)

    it("kind by kind, for scripts of one's own", function()
      start_shop()
      for _ = 1, TRIES do
        if troupe("complete", "actor", "h").out ~= "" then break end
      end
      assert.matches("^helper\tgreeter %(process %d+%)\n$", troupe("complete", "actor", "h").out)
      local ended = troupe("complete", "planets")
      assert.equal(USAGE, ended.code)
      assert.matches("one of actor, external, host, node, ref, type", ended.err, 1, true)
    end)
  end)

  describe("by the text of a line, which", function()
    it("is taken apart as a shell does", function()
      for line, expected in pairs {
        [""] = { "" }, ["troupe"] = { "troupe" }, ["troupe "] = { "troupe", "" }, ["  a  b"] = { "a", "b" },
        ["a 'b c' d"] = { "a", "b c", "d" }, ['a "b \\" c"x'] = { "a", 'b " cx' }, ["a 'b c"] = { "a", "b c" },
        ["a '' b"] = { "a", "", "b" }, ["a\\ b c"] = { "a b", "c" }, ["a x\\"] = { "a", "x" }, ["a '"] = { "a", "" },
      } do
        assert.same(expected, (complete_words.split(line)), line)
      end
      assert.is_true(select(2, complete_words.split("a 'b' c")))
      assert.is_false(select(2, complete_words.split("a 'b")))
    end)

    it("may have variables in front, and a rest behind the cursor", function()
      assert.equal("words\n--log-level=d\ndebug\n",
                   troupe("complete", "line", " =", "A=1 B=2 troupe run --log-level=d", " x.lua").out)
      assert.equal("words\ni\ninit\n", troupe("complete", "line", " ", "troupe i", "nit shop").out)
    end)
  end)

  it("by types as scripts spell them", function()
    assert.same({ "MarketDepth", "Ping", "NewsItem", "XML" }, complete_names.types_in([[
      -- XML is read; MarketDepth {}   Ping {}
      function Book:on_marketdepth() end
      function Book:on_ping() end function Book:on_start() end
      return { on_news_item = f, on_ping = g, on_reload = h, on_xml = function() end, non_sense = 1 }
    ]]))
  end)

  describe("by", function()
    local function script_of(shell)
      local ended = troupe("--completion", shell)
      assert.same({ OK, "" }, { ended.code, ended.err })
      return ended.out
    end

    local function in_shell(shell, lines)
      local words = { "sh", "-c", 'cd "$0" && HOME=$0 TERM=xterm PATH=$1:$PATH && export HOME TERM PATH && shift && exec "$@"',
                      folder, process.troupe({})[1]:match("^(.*)/"), PYTHON,
                      io.popen("pwd"):read("l") .. "/spec/interop/shell.py" }
      table.move(SHELLS[shell], 1, #SHELLS[shell], #words + 1, words)
      -- The quotes: the terminal shows what is typed, too.
      local setup = ("enter %s; echo re''ady\nsee ready\n"):format(SETUP[shell])
      local ended = process.run(words, { input = setup .. table.concat(lines, "\n") .. "\n" })
      assert.equal("done\n", ended.out)
    end

    for _, shell in ipairs { "bash", "zsh", "fish" } do
      it_with(shell)(shell .. ", whose script has no error of syntax", function()
        local path = process.write_file(folder .. "/script", script_of(shell))
        local ended = process.run { CHECK[shell][1], CHECK[shell][2], path }
        assert.same({ code = OK, out = "", err = "" }, ended)
      end)

      it_with(shell)(shell .. " in a terminal, when Tab is pressed", function()
        start_shop()
        assert_offers({ "greeter", "helper" }, "ask", "")
        in_shell(shell, {
          "tab troupe in", "see init ", "erase",
          "tab troupe ask gre", "see greeter ", "erase",
          "tab troupe ask greeter Mar", "see MarketDepth ", "erase",
          "tab troupe run hel", "see helper.lua", "erase",
          "tab troupe run --log-level=wa", "see --log-level=warn", "erase",
          "tab troupe kill helper@gr", "see helper@greeter ",
        })
      end)
    end

    it_with("bash")("bash, whose function fills COMPREPLY", function()
      start_shop()
      assert_offers({ "greeter" }, "ask", "")
      local script = script_of("bash") .. [[
        PATH=$1:$PATH
        complete -p troupe
        try() {
          COMP_LINE=$1 COMP_POINT=${#1} COMP_WORDS=($1) COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
          _troupe
          echo "${COMPREPLY[*]}"
        }
        try "troupe ask gree"
        try "troupe run --log-level=wa"
        try "troupe ask helper@gr"
      ]]
      local path = process.write_file(folder .. "/script", script)
      local ended = process.run { "bash", path, (process.troupe({})[1]:match("^(.*)/")) }
      assert.same({ code = OK, out = "complete -F _troupe troupe\ngreeter\nwarn\n@greeter\n", err = "" }, ended)
    end)
  end)

  it("by no other shell", function()
    local ended = troupe("--completion", "tcsh")
    assert.equal(USAGE, ended.code)
    assert.matches("must be one of 'bash', 'zsh', 'fish'", ended.err, 1, true)
  end)
end)
