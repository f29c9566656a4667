--- `troupe reload [SCRIPT...]`: new code for scripts that run, in one host or in all.
local hosts = require "troupe.cli.hosts"
local json = require "troupe.json"
local layout = require "troupe.cli.layout"
local reload_everywhere = require "troupe.cli.reload_everywhere"
local show = require "troupe.cli.show"
local tools = require "troupe.tools"
local units = require "troupe.cli.units"

local EXIT_OK, EXIT_USAGE, EXIT_TIMED_OUT, EXIT_REFUSED = 0, 2, 3, 6
local PATIENCE = 120 -- seconds; a reload has bounds of its own, but others may come before it

local reload = {}

function reload.define(command)
  command:summary "Put new code under the actors of a running host."
  command:description("Reads scripts and the modules they require again, and puts what has changed in the place of"
                      .. " the old code: in all actors that run it, between two messages, or in none. Their state,"
                      .. " mail, timers and names stay; on_reload may change the state. Without a SCRIPT all that"
                      .. " runs in the host is looked at.")
  command:epilog([[
With --all every host of yours prepares first, and holds the actors meanwhile;
only if all could do so all commit, else all go on as they were. A host that does
not run the scripts named is passed over.

Exit codes: 0 done, or nothing had changed; 2 no such script runs, or which host?;
3 a host does not answer; 5 no host runs; 6 refused: the old code goes on.

Examples:
   troupe reload
   troupe reload pong.lua
   troupe reload pong --trial 30s       back again at the first error of a handler
   troupe reload pong --undo            back to the version before
   troupe reload lib/prices.lua --all   in every host that has required it]])
  command:argument("script", "A script or module: its file, or a script's name."):args "*"
  command:flag("--all", "In every host of yours, or in none.")
  command:option("--trial", "For so long the first error of a handler brings the old code and state back: 30s, 5m.")
    :argname "DURATION":convert(units.milliseconds)
  command:flag("--undo", "Back to the version before, without on_reload.")
  command:option("--node", "In this host: its name or process."):argname "NODE"
  command:flag("--json", "One object for each host: {\"v\": 1, \"host\", \"pid\", \"result\", \"code\", \"report\"}.")
end

local function request_of(options)
  local paths
  if #options.script > 0 then
    paths = json.array {}
    -- A file is named so that the host finds it wherever it was started; what is none
    -- here may be a script's name, or have been removed.
    for i, path in ipairs(options.script) do paths[i] = tools.real_path(path) or path end
  end
  return { ["do"] = "reload", paths = paths, undo = options.undo or nil,
           trial = options.trial and options.trial / 1000 or nil }
end

-- ---- What is said of it ----

local function counted(number, word)
  return ("%s %s%s"):format(show.count(number), word, number == 1 and "" or "s")
end

--- What a person wants to know besides.
local function say_notes(report)
  for _, warning in ipairs(report.warnings or {}) do
    show.note("warning: " .. show.printable(warning))
  end
  if report.stale and #report.stale > 0 then
    show.note("on the old code until they end: " .. show.printable(table.concat(report.stale, ", ")))
  end
end

local function say_report(report)
  if not report.changed then
    show.line "nothing changed"
    return
  end
  for _, script in ipairs(report.scripts) do
    show.line(("%s: #%d -> #%d%s, %s, held for %.1f ms"):format(
      show.printable(script.script), script.from, script.to,
      script.version and (" (version %s)"):format(show.printable(tostring(script.version))) or "",
      counted(script.instances, "actor"), report.held_ms or 0))
  end
  if report.trial_s then
    show.line(("on trial for %g s"):format(report.trial_s))
  end
end

local function say_json(outcome)
  local host = outcome.host
  show.line(('{"v": 1, "host": %s, "pid": %d, "result": %s, "code": %d, "report": %s}'):format(
    show.json_string(host.name), host.pid, show.json_string(outcome.result), outcome.code,
    outcome.report and show.json_text(json.encode(outcome.report)) or "null"))
end

-- ---- One host ----

local function reload_one(options)
  local connection <close>, why, code = hosts.connect(options.node)
  if not connection then
    return code, code == EXIT_USAGE and why .. "; or --all" or why
  end
  connection.patience = PATIENCE
  local report
  report, code, why = connection:ask_one(request_of(options))
  if options.json then
    say_json { host = connection.host, code = code, report = report,
               result = code ~= EXIT_OK and "refused" or report.changed and "committed" or "nothing changed" }
  elseif code == EXIT_OK then
    say_report(report)
  end
  if report and not options.json then
    say_notes(report)
  end
  if code == EXIT_REFUSED then
    why = why .. "; the old code goes on"
  elseif code == EXIT_TIMED_OUT then
    why = why .. " When it goes on it may still do what was asked for."
  end
  return code, why
end

-- ---- All hosts ----

local COLUMNS = {
  { title = "HOST", rank = 1, least = 8 },
  { title = "PROCESS", rank = 5, right = true },
  { title = "SCRIPT", rank = 3, least = 12 },
  { title = "VERSION", rank = 4 },
  { title = "ACTORS", rank = 6, right = true },
  { title = "HELD", rank = 7, right = true },
  { title = "RESULT", rank = 2, least = 16 },
}

local function rows_of(outcome, rows)
  local host, report = outcome.host, outcome.report or {}
  local head = { show.printable(host.name), tostring(host.pid) }
  local says_why = outcome.why and outcome.why ~= "" and outcome.code ~= EXIT_USAGE
  local result = outcome.result .. (says_why and ": " .. show.printable(outcome.why) or "")
  if not report.scripts or #report.scripts == 0 then
    table.insert(rows, { head[1], head[2], "-", "-", "-", "-", result })
    return
  end
  for _, script in ipairs(report.scripts) do
    table.insert(rows, { head[1], head[2], show.printable(script.script),
                         script.to and ("#%d -> #%d"):format(script.from, script.to) or ("#%d"):format(script.from),
                         show.count(script.instances), ("%.1f ms"):format(report.held_ms or 0), result })
  end
end

local function reload_all(options)
  local list, why, code = hosts.matching(options.node)
  if not list then
    return code, why
  end
  local outcomes
  outcomes, code, why = reload_everywhere.run(list, request_of(options))
  if options.json then
    for _, outcome in ipairs(outcomes) do say_json(outcome) end
    return code, code ~= EXIT_OK and why or nil
  end
  local rows = {}
  for _, outcome in ipairs(outcomes) do rows_of(outcome, rows) end
  for _, line in ipairs(layout.lines(COLUMNS, rows, show.room(), show.painter(show.STDOUT))) do
    show.line(line)
  end
  for _, outcome in ipairs(outcomes) do
    if outcome.report then say_notes(outcome.report) end
  end
  return code, why
end

function reload.run(options)
  if options.undo and options.trial then
    return EXIT_USAGE, "--undo and --trial exclude each other: what is undone is not on trial"
  end
  return (options.all and reload_all or reload_one)(options)
end

return reload
