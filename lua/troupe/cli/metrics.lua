--- `troupe metrics`: what running hosts have counted, for people, programs and Prometheus.
local figures = require "troupe.cli.figures"
local hosts = require "troupe.cli.hosts"
local json = require "troupe.json"
local layout = require "troupe.cli.layout"
local prometheus = require "troupe.cli.prometheus"
local show = require "troupe.cli.show"

local EXIT_OK = 0

local metrics = {}

function metrics.define(command)
  command:summary "Print what running hosts have counted."
  command:description("Prints the numbers of actor.metrics() of each running host. They are told by a thread that"
                      .. " runs no Lua, so they come while every worker is busy.")
  command:epilog("Exit codes: 0 done, 3 a host does not answer, 5 no host runs.\n\n"
                 .. "Examples:\n"
                 .. "   troupe metrics\n"
                 .. "   troupe metrics --node feed --json | jq .metrics.wire\n"
                 .. "   troupe metrics --prom > /var/lib/node_exporter/troupe.prom.new &&\n"
                 .. "      mv /var/lib/node_exporter/troupe.prom.new /var/lib/node_exporter/troupe.prom")
  command:option("--node", "Of this host: its name or process. (default: of all)"):argname "NODE"
  command:mutex(
    command:flag("--prom", "In the text format of Prometheus."),
    command:flag("--json", "One object a line: {\"v\": 1, \"host\", \"pid\", \"uptime\", \"metrics\": {...}}."))
end

--- Every number, with its way through the tables as its name.
local function flatten(table_of_numbers, prefix, rows)
  local names = {}
  for name in pairs(table_of_numbers) do table.insert(names, name) end
  table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
  for _, name in ipairs(names) do
    local value = table_of_numbers[name]
    if type(value) == "table" then
      flatten(value, ("%s%s."):format(prefix, name), rows)
    else
      table.insert(rows, { prefix .. name, math.type(value) == "integer" and show.count(value) or tostring(value) })
    end
  end
  return rows
end

local COLUMNS = { { title = "METRIC", rank = 1 }, { title = "VALUE", rank = 2, right = true } }

local function for_people(rows)
  local paint = show.painter(show.STDOUT)
  for i, row in ipairs(rows) do
    show.line(("%s%s, up %s"):format(i > 1 and "\n" or "", paint("bold", show.printable(hosts.title(row))),
                                     figures.duration(row.uptime)))
    for _, line in ipairs(layout.lines(COLUMNS, flatten(row.metrics, "", {}), show.room(), paint)) do
      show.line(line)
    end
  end
end

local function as_json(rows)
  for _, row in ipairs(rows) do
    show.line(('{"v": 1, "host": %s, "pid": %d, "uptime": %.3f, "metrics": %s}'):format(
      show.json_string(row.name), row.pid, row.uptime, show.json_text(json.encode(row.metrics))))
  end
end

function metrics.run(options)
  local all, why, code = hosts.matching(options.node)
  if not all then
    return code, why
  end
  local rows, worst = {}, EXIT_OK
  for _, host in ipairs(all) do
    local connection <close>, open_why = hosts.open(host)
    if connection then
      local row
      row, code, why = connection:ask_one { ["do"] = "metrics" }
      table.insert(rows, row)
    else
      code, why = 5, open_why
    end
    if code ~= EXIT_OK then
      show.failure(why)
      worst = code
    end
  end
  if options.prom then
    show.line(prometheus.text(rows))
  elseif options.json then
    as_json(rows)
  else
    for_people(rows)
  end
  return worst
end

return metrics
