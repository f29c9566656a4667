--- `troupe check TOPOLOGY...`: what is wrong with topologies, before anything of them runs.
local check = require "troupe.topology.check"
local show = require "troupe.cli.show"
local topology = require "troupe.topology"

local EXIT_OK, EXIT_USAGE = 0, 2

local command_of = {}

function command_of.define(command)
  command:summary "Find what is wrong with a topology before it runs."
  command:usage "Usage: troupe check TOPOLOGY... [--json]"
  command:description("Reads topology files and loads the scripts that they name, and says all that is wrong: with"
                      .. " the file, with scripts that do not load, with links that nobody handles or sends. No"
                      .. " handler runs, and nothing is bound, spawned or sent. Warnings alone are no failure.")
  command:epilog("Exit codes: 0 no errors, 2 a file cannot be read, 6 there are errors.\n\n"
                 .. "Examples:\n"
                 .. "   troupe check market.lua\n"
                 .. "   troupe check - < market.lua      scripts are looked for in the current folder")
  command:argument("topology", "Topology files; - is standard input."):args "+"
  command:flag("--json", "One object a line: {\"v\", \"kind\": \"problem\", \"file\", \"line\", \"severity\","
                         .. " \"text\", \"hint\"} for each problem, then {\"v\", \"kind\": \"topology\", \"file\","
                         .. " \"name\", \"ok\", \"errors\", \"warnings\", \"nodes\", \"actors\", \"externals\","
                         .. " \"links\"}.")
end

local function counted(number, word)
  return ("%d %s%s"):format(number, word, number == 1 and "" or "s")
end

local function count_actors(model)
  local count = 0
  for _, node in ipairs(model.nodes) do count = count + #node.actors end
  return count
end

local function count_severities(problems)
  local count = { error = 0, warning = 0 }
  for _, problem in ipairs(problems) do count[problem.severity] = count[problem.severity] + 1 end
  return count
end

local function say_json(path, model, problems)
  for _, problem in ipairs(problems) do
    show.line(('{"v": 1, "kind": "problem", "file": %s, "line": %d, "severity": "%s", "text": %s, "hint": %s}'):format(
      show.json_string(problem.file), problem.line, problem.severity, show.json_string(problem.text),
      show.json_string(problem.hint)))
  end
  local count = count_severities(problems)
  local function number_of(list) return model and ("%d"):format(list) or "null" end
  show.line(('{"v": 1, "kind": "topology", "file": %s, "name": %s, "ok": %s, "errors": %d, "warnings": %d, "nodes": %s,'
    .. ' "actors": %s, "externals": %s, "links": %s}'):format(show.json_string(path),
    show.json_string(model and model.name), count.error == 0, count.error, count.warning,
    number_of(model and #model.nodes), number_of(model and count_actors(model)),
    number_of(model and #model.externals), number_of(model and #model.links)))
end

local function say(path, model, problems)
  local paint = show.painter(show.STDOUT)
  for _, problem in ipairs(problems) do
    local line = show.printable(topology.line(problem))
    show.line(paint(problem.severity == "error" and "red" or "yellow", line))
  end
  local count = count_severities(problems)
  if count.error > 0 then return end
  local parts = { counted(#model.nodes, "node"), counted(count_actors(model), "actor") }
  if #model.externals > 0 then parts[#parts + 1] = counted(#model.externals, "external") end
  if #model.links > 0 then parts[#parts + 1] = counted(#model.links, "link") end
  if count.warning > 0 then parts[#parts + 1] = counted(count.warning, "warning") end
  show.line(("%s: ok: %s"):format(show.printable(path), table.concat(parts, ", ")))
end

function command_of.run(options)
  local worst, is_missing = EXIT_OK, false
  for _, path in ipairs(options.topology) do
    local model, problems, code = check.load(path)
    if code == EXIT_USAGE then
      is_missing = true
      show.note(show.printable(topology.line(problems[1])))
    else
      worst = math.max(worst, code)
      local say_it = options.json and say_json or say
      say_it(path == "-" and "(standard input)" or path, model, problems)
    end
  end
  return is_missing and EXIT_USAGE or worst
end

return command_of
