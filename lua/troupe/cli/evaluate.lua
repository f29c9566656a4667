--- `troupe -e CHUNK`: a one-line actor, whose handlers are global functions.
local run = require "troupe.cli.run"

local EXIT_USAGE = 2

local evaluate = {}

function evaluate.define(parser)
  parser:description "Runs a text as one actor, named 'main' unless --name says otherwise."
  parser:usage "Usage: troupe -e CHUNK [options] [-- ARGS]"
  parser:epilog("Example:\n"
                .. "   troupe -e 'function on_start() print(\"hello\") actor.exit() end'")
  parser:option("-e", "The script's text: its global functions on_<type> are the handlers.")
    :argname "CHUNK"
  run.add_options(parser)
  return parser
end

--- A chunk may begin with '-', which argparse would take for an option, so it
--- is taken out before.
---@param arguments string[]
---@return table options
function evaluate.parse(parser, arguments)
  local rest, chunk = {}, nil
  local i = 1
  while i <= #arguments do
    if arguments[i] == "-e" and arguments[i + 1] then
      if chunk then
        parser:error("-e was given twice: one actor has one text")
      end
      chunk = arguments[i + 1]
      i = i + 2
    else
      table.insert(rest, arguments[i])
      i = i + 1
    end
  end
  for _, argument in ipairs(rest) do
    if argument == "-w" or argument == "--watch" then
      parser:error("-w watches the files of scripts, and the text of -e has none: put it into one")
    end
  end
  local options = parser:parse(rest)
  if not chunk then
    parser:error("a command is expected, or -e CHUNK")
  end
  options.chunk = chunk
  return options
end

function evaluate.run(options)
  local scripts, why = run.name_scripts({ "main" }, options.name)
  if not scripts then
    return EXIT_USAGE, why
  end
  scripts[1].path, scripts[1].text = nil, options.chunk
  return run.host(scripts, options)
end

return evaluate
