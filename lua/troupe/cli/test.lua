--- `troupe test [busted options]`: runs specs inside the host's own program, so
--- that they see its Lua and `require "troupe.stage"` works.
local EXIT_OK, EXIT_FAILED, EXIT_USAGE = 0, 1, 2

local test = {}

function test.define(command)
  command:summary "Run specs inside the host."
  command:description "Runs busted on spec/, or on what is given; all options are busted's."
  command:argument("option", "See troupe test --help."):args "*"
end

--- busted's options as it would read them; nil and an exit code if it ends there.
local function check(arguments)
  local cli = require "busted.modules.cli"(require "busted.options")
  cli:set_name("troupe test")
  for _, argument in ipairs(arguments) do
    if argument == "-h" or argument == "--help" then
      local _, help = pcall(cli.parse, cli, arguments)
      print(help)
      return nil, EXIT_OK
    end
  end
  local parsed, why = cli:parse(arguments)
  if not parsed then
    io.stderr:write(why, "\n")
    return nil, EXIT_USAGE
  end
  return parsed
end

---@param arguments string[]  those after `test`
function test.run(arguments)
  if not pcall(require, "busted.runner") then
    io.stderr:write("troupe: specs need busted for Lua 5.4: apt-get install lua-busted\n")
    return EXIT_FAILED
  end
  package.path = "./?.lua;./?/init.lua;" .. package.path
  table.insert(arguments, 1, "--ignore-lua") -- it is this program that runs them
  local parsed, code = check(arguments)
  if not parsed then
    return code
  end
  arguments[0] = "troupe test"
  arg = arguments -- where busted reads them
  -- busted names itself after the file that starts it, and exits if any failed.
  assert(load("require 'busted.runner' { standalone = false }", "@troupe test"))()
  return EXIT_OK
end

return test
