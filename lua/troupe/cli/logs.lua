--- `troupe logs`: the last lines that a running host has logged, those to come, and
--- from which level on it logs.
local json = require "troupe.json"
local looking = require "troupe.cli.looking"
local show = require "troupe.cli.show"
local tables = require "troupe.tables"
local units = require "troupe.cli.units"

local EXIT_USAGE = 2
local COUNT, COUNT_MAX = 100, 1000000000
local LEVELS = { "debug", "info", "warn", "error" }

local logs = {}

function logs.define(command)
  command:summary "Read the log of a running host, or change its levels."
  command:description("Prints the last lines that a running host has logged, and with -f those to come, also if"
                      .. " its standard error goes elsewhere or nowhere. As JSON (what 'troupe run --log json' writes):\n"
                      .. '{"v": 1, "time": ..., "level": ..., "actor": NAME or null, "script": FILE or null,\n'
                      .. ' "version": TEXT or null, "text": ..., "fields": {...}}')
  command:epilog("A host keeps its last 256 KiB of lines. It keeps what it logs: lines below its level (--log-level, or"
                 .. " --set) are not there. What scripts print() is no log.\n\n"
                 .. "Exit codes: 0 done, or the host has ended; 1 no such actor; 5 no such host; 130 interrupted.\n\n"
                 .. "Examples:\n"
                 .. "   troupe logs\n"
                 .. "   troupe logs shop -f --level warn\n"
                 .. "   troupe logs -f --actor 'worker-*' --json\n"
                 .. "   troupe logs --set debug --actor pong    and back: --set default --actor pong\n"
                 .. "   troupe logs --set warn                  of all that have none of their own")
  looking.add_options(command)
  command:flag("-f --follow", "Go on with the lines to come.")
  command:option("-n", ("So many of the last lines. (default: %d)"):format(COUNT)):argname "COUNT":target "count"
    :convert(function(text) return text == "0" and 0 or units.count(COUNT_MAX)(text) end)
  command:option("--level", "Only of this level, or worse."):argname "LEVEL":choices(LEVELS)
  command:option("--actor", "Only about actors of this name (* is any text); with --set: whose level."):argname "NAME"
  command:option("--set", "Log from this level on: debug, info, warn, error; for an actor 'default' too.")
    :argname "LEVEL":choices { "debug", "info", "warn", "error", "default" }
  looking.add_end_options(command)
  command:flag("--json", "One object a line.")
end

local function is_null(value)
  return value == nil or value == json.null
end

-- A field as the host's own lines show it.
local function field_text(value)
  if type(value) ~= "string" then
    return show.json_text(json.encode(value))
  elseif value ~= "" and not value:find('[ \t\n\r"{}=]') then
    return value
  end
  return '"' .. value:gsub('"', '\\"') .. '"'
end

local function fields_text(fields)
  local words = {}
  for i, name in ipairs(tables.names(fields)) do words[i] = name .. "=" .. field_text(fields[name]) end
  return #words > 0 and " {" .. table.concat(words, " ") .. "}" or ""
end

-- Reports have lines, which stay lines.
local function printable_lines(text)
  local lines = {}
  for line in (text .. "\n"):gmatch("(.-)\n") do table.insert(lines, show.printable(line)) end
  return table.concat(lines, "\n")
end

local COLOUR = { warn = "yellow", error = "red", debug = "dim" }

local function for_people(paint)
  return function(row)
    local who = ""
    if row.actor and not row.text:find("\n", 1, true) then -- a report says it itself
      who = row.script and ("%s (%s): "):format(row.actor, row.script) or row.actor .. ": "
    end
    local time = looking.time(row.time, "%Y-%m-%d %H:%M:%S")
    local level = ("%-5s"):format(row.level)
    return ("%s %s %s"):format(paint("dim", time), COLOUR[row.level] and paint(COLOUR[row.level], level) or level,
                               printable_lines(who .. row.text .. fields_text(row.fields)))
  end
end

local JSON_FIELDS = { "v", "time", "level", "actor", "script", "version", "text", "fields" }

local function as_json(row)
  return looking.object(row, JSON_FIELDS)
end

local function set_level(options)
  local connection <close>, why, code = looking.connect(options)
  if not connection then
    return code, why
  end
  local row
  row, code, why = connection:ask_one { ["do"] = "logs", set = options.set, actor = options.actor }
  if row and options.json then
    show.line(('{"v": 1, "actor": %s, "level": "%s", "was": "%s"}'):format(
      is_null(row.actor) and "null" or show.json_string(row.actor), row.level, row.was))
  elseif row then
    local whose = is_null(row.actor) and "all that have no level of their own" or row.actor
    show.line(("%s: %s (was: %s)"):format(whose, row.level, row.was))
  end
  return code, why
end

function logs.run(options)
  if options.set then
    if options.follow or options.count or options.level then
      return EXIT_USAGE, "--set goes with --actor only: read the lines with another command"
    end
    return set_level(options)
  end
  local form = options.json and as_json or for_people(show.painter(show.STDOUT))
  return looking.at(options, {
    ["do"] = "logs", count = options.count or COUNT, follow = options.follow or nil, level = options.level,
    actor = options.actor,
  }, function(row)
    if row.following then
      return true
    elseif row.missed then
      show.note(("troupe: %s lines are missing here"):format(show.count(row.missed)))
      return true
    end
    return show.line(form(looking.without_nulls(row)))
  end)
end

return logs
