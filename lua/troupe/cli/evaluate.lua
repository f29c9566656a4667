--- `troupe -e CHUNK ...`: one-line actors, whose handlers are global functions.
local run = require "troupe.cli.run"

local EXIT_USAGE = 2
local NAME = "main" -- unless --name says otherwise

local evaluate = {}

function evaluate.define(parser)
  parser:description("Runs each text as one actor. A --name names the text before it, or the first one if it"
                     .. " stands before all; a text without one is named 'main', or 'main.2' if it is the second.")
  parser:usage "Usage: troupe -e CHUNK [--name NAME] [-e CHUNK [--name NAME] ...] [options] [-- ARGS]"
  parser:epilog("Examples:\n"
                .. "   troupe -e 'function on_start() print(\"hello\") actor.exit() end'\n"
                .. "   troupe -e 'function on_start(self) self.config.to:send(\"Ping\") end' --name ping \\\n"
                .. "          -e 'function on_ping() print(\"ping\") end' --name pong --link ping:pong")
  parser:option("-e", "A script's text: its global functions on_<type> are the handlers.")
    :argname "CHUNK"
  parser:option("--name", "Name of the actor of the text before it."):argname "NAME"
  run.add_options(parser)
  return parser
end

--- The value of an option at `i` and where the next argument is; nil: it is another one.
local function take(arguments, i, option)
  if arguments[i] == option and arguments[i + 1] then
    return arguments[i + 1], i + 2
  end
  local value = arguments[i]:match("^" .. option:gsub("%-", "%%-") .. "=(.*)$")
  if value and #option > 2 then
    return value, i + 1
  end
end

--- A chunk may begin with '-', which argparse would take for an option, and names belong
--- to chunks: both are taken out before.
---@param arguments string[]
---@return table options
function evaluate.parse(parser, arguments)
  local rest, chunks = {}, {}
  local first_name -- that stood before all chunks
  local i = 1
  while i <= #arguments do
    local chunk, after_chunk = take(arguments, i, "-e")
    local name, after_name = take(arguments, i, "--name")
    if chunk then
      table.insert(chunks, { text = chunk, name = #chunks == 0 and first_name or nil })
      i = after_chunk
    elseif name then
      local last = chunks[#chunks]
      local before = last and last.name or not last and first_name
      if before then
        parser:error(("--name was given twice for one -e: '%s' and '%s'"):format(before, name))
      end
      if last then last.name = name else first_name = name end
      i = after_name
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
  if #chunks == 0 then
    parser:error("a command is expected, or -e CHUNK")
  end
  options.chunks = chunks
  return options
end

--- What the chunks' actors are called.
---@return {text: string, name: string}[]? scripts, string? why
local function name_chunks(chunks)
  local scripts, taken = {}, {}
  for i, chunk in ipairs(chunks) do
    local named, why = run.name_scripts({ i == 1 and NAME or NAME .. "." .. i }, chunk.name)
    if not named then
      return nil, why
    end
    local name = named[1].name
    if taken[name] then
      return nil, ("two actors would be named '%s': give each -e a --name of its own"):format(name)
    end
    taken[name] = true
    scripts[i] = { text = chunk.text, name = name }
  end
  return scripts
end

function evaluate.run(options)
  local scripts, why = name_chunks(options.chunks)
  if not scripts then
    return EXIT_USAGE, why
  end
  return run.host(scripts, options)
end

return evaluate
