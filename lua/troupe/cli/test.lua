--- `troupe test [busted options]`: runs specs inside the host's own program, so
--- that they see its Lua and `require "troupe.stage"` works.
local EXIT_OK, EXIT_FAILED, EXIT_USAGE = 0, 1, 2

local test = {}

function test.define(command)
  command:summary "Run specs inside the host."
  command:description "Runs busted on spec/, or on what is given; all options are busted's."
  command:argument("option", "See troupe test --help."):args "*"
end

--- Whether busted would accept these options; else the exit code. (It would
--- exit with 1 for a wrong one, and show its help as an error.)
local function check(arguments)
  local options = setmetatable({ standalone = false }, { __index = require "busted.options" })
  local cli = require "busted.modules.cli"(options) -- standalone ones take no paths
  cli:set_name("troupe test")
  local accepted, why = cli:parse(arguments)
  if accepted then
    return true
  end
  local help = why:match("error: (Usage:.*); re%-run with")
  if help then
    print(help)
    return false, EXIT_OK
  end
  io.stderr:write(why, "\n")
  return false, EXIT_USAGE
end

---@param arguments string[]  those after `test`
function test.run(arguments)
  if not pcall(require, "busted.runner") then
    io.stderr:write("troupe: specs need busted for Lua 5.4: apt-get install lua-busted\n")
    return EXIT_FAILED
  end
  package.path = "./?.lua;./?/init.lua;" .. package.path
  table.insert(arguments, 1, "--ignore-lua") -- it is this program that runs them
  local accepted, code = check(arguments)
  if not accepted then
    return code
  end
  arguments[0] = "troupe test"
  arg = arguments -- where busted reads them
  -- busted names itself after the file that starts it, and exits if any failed.
  assert(load("require 'busted.runner' { standalone = false }", "@troupe test"))()
  return EXIT_OK
end

return test
