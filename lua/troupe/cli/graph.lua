--- `troupe graph TOPOLOGY`: draws a topology, as it is written or as it runs.
local files = require "troupe.cli.files"
local graph = require "troupe.topology.graph"
local graph_live = require "troupe.cli.graph_live"
local show = require "troupe.cli.show"
local topology = require "troupe.topology"
local units = require "troupe.cli.units"

local EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_CHECK = 0, 1, 2, 6
local FORMATS = { "mermaid", "dot", "json", "svg" }
local OF_ENDING = { mmd = "mermaid", mermaid = "mermaid", dot = "dot", gv = "dot", json = "json", svg = "svg" }
local LIVE_MS = 2000
local MERMAID_EDGES = 500 -- that Mermaid draws, unless it is told otherwise

local cli_graph = {}

function cli_graph.define(command)
  command:summary "Draw a topology."
  command:usage "Usage: troupe graph TOPOLOGY [options]"
  command:description("Draws a topology: its nodes as boxes, their actors with script and instances, links with the"
                     .. " types that pass them and what these are answered with, refs in configs thin, externals"
                     .. " with their language and endpoint. Nothing is started, and no script is looked into.\n\n"
                     .. "With --live it looks at the running hosts of the topology for a while, and adds rates,"
                     .. " queues and what does not run; what passes without a link that declares it is dashed. A"
                     .. " rate with ≈ is reckoned from a part of the messages.")
  command:epilog([[
SVG is made by Graphviz's program dot.

--json prints one object: v, topology, file, live, nodes, actors, externals,
others, edges. Rates are messages a second; null is what is not known.

Exit codes: 0 drawn, 1 it could not be written, 2 wrong usage or no such file,
5 nothing of it runs, 6 the topology has errors, 130 interrupted.

Examples:
   troupe graph market.lua                   Mermaid, for a README
   troupe graph market.lua -o market.svg
   troupe graph market.lua --live --for 10s
   troupe graph market.lua --live --json |
      jq '.edges[] | select(.kind == "undeclared")']])
  command:argument("topology", "The topology's file; - is standard input.")
  command:option("--format", "mermaid, dot, json or svg. (default: what FILE's ending says, else mermaid)")
    :argname "FORMAT":choices(FORMATS)
  command:flag("--json", "The same as --format json.")
  command:option("-o", "Write it to this file, all or nothing; - is standard output."):argname "FILE":target "output"
  command:flag("--live", "With what its running hosts do.")
  command:option("--for", "How long to look at them. (default: 2s)")
    :argname "DURATION":target "milliseconds":convert(units.milliseconds)
end

--- How it is to be drawn; nil and why that is not clear.
local function format_of(options)
  if options.json and options.format and options.format ~= "json" then
    return nil, "--json and --format " .. options.format .. " do not go together"
  elseif options.json then
    return "json"
  elseif options.format or not options.output or options.output == "-" then
    return options.format or "mermaid"
  end
  local ending = options.output:match("%.(%w+)$") or ""
  local format = OF_ENDING[ending:lower()]
  if not format then
    return nil, ("what is %s to be? give --format, or an ending: .mmd, .dot, .gv, .json, .svg"):format(options.output)
  end
  return format
end

------------------------------------------------------------------ output ----

--- What `dot` makes of it. Its complaints are on standard error.
---@param text string
---@return string? svg, string? why
local function draw(text)
  if not os.execute("command -v dot >/dev/null 2>&1") then
    return nil, "SVG is drawn by the program dot, which is not on the PATH: install Graphviz (the package 'graphviz'),"
      .. " or take another --format"
  end
  local path = os.tmpname()
  local remove <close> = setmetatable({}, { __close = function() os.remove(path) end })
  local written, why = files.write(path, text)
  if not written then
    return nil, why
  end
  local pipe
  pipe, why = io.popen("exec dot -Tsvg <" .. files.quote(path))
  if not pipe then
    return nil, why
  end
  local drawn = pipe:read("a")
  local fine, how, code = pipe:close()
  if not fine then
    return nil, ("dot could not draw it (%s %d)"):format(how == "signal" and "signal" or "exit code", code)
  end
  return drawn
end

local function write(options, text)
  if options.output and options.output ~= "-" then
    return files.replace(options.output, text)
  end
  return io.stdout:write(text) and io.stdout:flush() or true -- that it is not there is said at the end
end

local WRITERS = {
  mermaid = graph.mermaid,
  dot = graph.dot,
  json = graph.json,
  svg = function(model, live) return draw(graph.dot(model, live)) end,
}

-------------------------------------------------------------------- run ----

---@return table? model, string? why, integer? code
local function load(path)
  local model, problems, code = topology.load(path)
  for _, problem in ipairs(problems) do show.note(show.printable(topology.line(problem))) end
  if not model then
    return nil, nil, code or EXIT_CHECK
  end
  return model
end

local function note_size(format, model, live)
  local edges = format == "mermaid" and graph.edges(model, live) or 0
  if edges > MERMAID_EDGES then
    show.note(("troupe: %s edges: Mermaid draws %d, unless its maxEdges is set"):format(show.count(edges),
                                                                                     MERMAID_EDGES))
  end
end

function cli_graph.run(options)
  local format, why = format_of(options)
  if not format then
    return EXIT_USAGE, why
  elseif options.milliseconds and not options.live then
    return EXIT_USAGE, "--for is for --live"
  end
  local model, live, code, text
  model, why, code = load(options.topology)
  if model and options.live then
    live, why, code = graph_live.look(model, options.milliseconds or LIVE_MS)
  end
  if not model or options.live and not live then
    return code, why
  end
  note_size(format, model, live)
  text, why = WRITERS[format](model, live)
  if text then
    text, why = write(options, text)
  end
  if not text then
    return EXIT_FAILED, why
  end
  return EXIT_OK
end

return cli_graph
