--- The command line: finds the command, reads its arguments, runs it.
---
--- ```lua
--- local cli = require "troupe.cli"
--- os.exit(cli{ [0] = "troupe", "ask", "pong@:5001", "Ping", "count:=1" })
--- ```
---
--- Each command is a module beside this one: `define(parser)` says what it
--- takes, `run(options)` does it and returns the exit code. One is loaded when it is
--- looked for, so that a command waits for no other: much of the time that a node of a
--- topology takes to start is the loading of Lua.
local port = require "troupe.port"
local show = require "troupe.cli.show"

local EXIT_OK, EXIT_USAGE = 0, 2

local COMMANDS = { "run", "init", "new", "test", "check", "up", "down", "graph", "mock", "repl", "ask", "send", "listen",
                   "bench", "doctor", "ps", "top", "attach", "trace", "logs", "reload", "kill", "dead", "metrics",
                   "registry", "keys" }
local MODULE_OF = { init = "project" } -- init.lua is this file

local SHORT_HELP = [[
Troupe runs actors written as Lua scripts.

  troupe run SCRIPT...                  run scripts, each as one actor
  troupe -e CHUNK                       run a one-line actor
  troupe init DIR                       make a project
  troupe new actor NAME                 make an actor, and its spec
  troupe test                           run the specs in spec/

  troupe check market.lua               what is wrong with a topology
  troupe up market.lua                  start a topology, a process for each node
  troupe down market.lua                end what is up
  troupe graph market.lua               draw a topology
  troupe mock pricer market.lua         stand in for an external of a topology
  troupe repl                           type a topology, and try it meanwhile

  troupe ask pong@:5001 Ping count:=1   ask an actor, print its answer
  troupe send pong@:5001 Ping count:=1  send to an actor
  troupe listen :5001                   print what arrives at an endpoint
  troupe bench ask pong@:5001 Ping      measure how fast an actor answers
  troupe doctor pong@:5001              say why a peer does not answer

  troupe ps                             what the actors of running hosts do
  troupe top                            the same, again and again
  troupe attach pong                    a prompt inside a running host
  troupe trace                          watch the messages of a running host
  troupe logs -f                        read its log, change its levels
  troupe reload                         new code for scripts that run
  troupe kill pong                      end an actor of a running host
  troupe dead                           what could not be delivered
  troupe metrics                        what running hosts have counted

  troupe registry                       serve the family's registry of actors
  troupe keys new                       make a CURVE key
  troupe --completion bash              complete command lines with Tab

troupe --help says more, troupe COMMAND --help all about one of them.
]]

local EPILOG = [[
A one-line actor (its options are those of troupe run) and a question to it:
   troupe -e 'function on_ping(self, msg, env) env:reply("Pong", msg) end' \
          --name pong --bind :5001
   troupe ask pong@:5001 Ping count:=1

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no answer in time, 4 rejected,
5 unreachable, 6 a check failed, 130 interrupted.]]

--- Takes the arguments apart at the first `--`.
---@param arguments string[]
---@return string[] before, string[] after
local function split(arguments)
  local before, after = {}, {}
  local target = before
  for _, argument in ipairs(arguments) do
    if argument == "--" and target == before then
      target = after
    else
      table.insert(target, argument)
    end
  end
  return before, after
end

---@class cli.Ending  raised to leave argparse
---@field code integer     exit code
---@field text string?     what was wrong
---@field command string?  whose --help to read

--- Where argparse would print its own usage and exit with 1.
local function raise_usage(parser, text)
  if text:find("^unknown command") then
    text = text .. "\nThere are: " .. table.concat(COMMANDS, ", ") .. "."
  end
  local command = parser:get_usage():match("^Usage: (troupe %l+) ") or "troupe"
  error({ code = EXIT_USAGE, text = text, command = command }, 0)
end

local function show_version()
  print("troupe " .. port.version)
  error({ code = EXIT_OK }, 0)
end

local function show_completion(_, _, shell)
  io.write(require "troupe.cli.completion".scripts[shell])
  error({ code = EXIT_OK }, 0)
end

-- By name; each is loaded when it is looked for.
local commands = setmetatable({}, {
  __index = function(self, name)
    self[name] = require("troupe.cli." .. (MODULE_OF[name] or name))
    return self[name]
  end,
})

---@param names string[]  of the commands that it is to know
local function make_parser(names)
  local argparse = require "argparse"
  local parser = argparse("troupe")
    :description "Runs actors written as Lua scripts."
    :epilog(EPILOG)
    :usage "Usage: troupe COMMAND [options] ...\n       troupe -e CHUNK [options] [-- ARGS]"
    :command_target "command"
    :require_command(true)
    :help_max_width(80)
  parser:flag("--version", "Print the version and exit."):action(show_version)
  parser:option("--completion", "Print the script that completes command lines: source it."):argname "SHELL"
    :choices(require "troupe.cli.completion".SHELLS):action(show_completion)
  for _, name in ipairs(names) do
    commands[name].define(parser:command(name))
  end
  parser:add_help_command()
  parser._commands[#parser._commands].error = raise_usage -- it has its own word for no such command
  parser.error = raise_usage
  return parser
end

--- `troupe -e CHUNK`, `troupe --name N -e CHUNK`: options but no command.
local function has_no_command(first)
  return first:sub(1, 1) == "-" and first ~= "-h" and first ~= "--help" and first ~= "--version" and not first:find("^%-%-completion")
end

--- Calls a function with os.exit() replaced by one that raises: argparse leaves
--- that way once it has shown help, and nobody would hear of a full disk.
local function pcall_without_exit(body, ...)
  local exit = os.exit
  os.exit = function(code) error({ code = code }, 0) end
  local results = table.pack(pcall(body, ...))
  os.exit = exit
  return table.unpack(results, 1, results.n)
end

-- The commands that arguments may be about: all, unless one of them stands first.
local function names_for(arguments)
  if arguments[1] == "--version" and not arguments[2] then return {} end
  for _, name in ipairs(COMMANDS) do
    if name == arguments[1] then return { name } end
  end
  return COMMANDS
end

local function parse(arguments)
  local before, after = split(arguments)
  if has_no_command(before[1] or "--") then
    local evaluate = require "troupe.cli.evaluate"
    local parser = evaluate.define(require "argparse"("troupe"))
    parser.error = raise_usage
    local options = evaluate.parse(parser, before)
    options.arguments = after
    return evaluate, options
  end
  local options = make_parser(names_for(before)):parse(before)
  options.arguments = after
  return commands[options.command], options
end

---@param arguments string[]  as `arg`
---@return integer code  exit code
return function(arguments)
  if #arguments == 0 then
    io.stderr:write(SHORT_HELP)
    return EXIT_USAGE
  end
  if arguments[1] == "test" then -- its options are busted's
    return commands.test.run(table.move(arguments, 2, #arguments, 1, {}))
  end

  if arguments[1] == "node" then -- what `troupe up` starts: not for people
    return require("troupe.cli.node").run(table.move(arguments, 2, #arguments, 1, {}))
  end
  if arguments[1] == "complete" then -- what a shell's script asks
    return require "troupe.cli.complete".run(make_parser(COMMANDS), table.move(arguments, 2, #arguments, 1, {}))
  end

  local ok, command, options = pcall_without_exit(parse, arguments)
  if not ok then
    local ending = command
    if type(ending) ~= "table" then
      error(ending, 0)
    end
    if ending.text then
      io.stderr:write(("%s: %s\nTry '%s --help'.\n"):format(ending.command, ending.text,
                                                            ending.command))
    end
    return ending.code
  end
  local code, why = command.run(options)
  if why and why ~= "" then
    local prefix = why:find("^[^:{]+:%d+: ") and "" or "troupe: " -- file:line stays in front, JSON is none
    io.stderr:write(prefix, show.printable(why), "\n")
  end
  return code
end
