--- What `troupe trace` and `troupe logs` share: looking at a running host until
--- somebody has seen enough, and when that was in the time of this place.
---
--- ```lua
--- return looking.at(options, { ["do"] = "logs", follow = true }, function(row)
---   return show.line(row.text)
--- end)
--- ```
local hosts = require "troupe.cli.hosts"
local json = require "troupe.json"
local port = require "troupe.port"
local show = require "troupe.cli.show"
local tools = require "troupe.tools"
local units = require "troupe.cli.units"

local EXIT_OK, EXIT_UNREACHABLE = 0, 5
local ANSWER_SECONDS = 10 -- for the first line of an answer

local looking = {}

--- The options of looking.at().
function looking.add_options(command)
  command:argument("node", "The host, by its name or process. (default: the only one)"):args "?"
  command:option("--node", "The same as an option."):argname "NODE":target "at_node"
end

function looking.add_end_options(command)
  command:option("--for", "End after so long. (default: when it is interrupted)")
    :argname "DURATION":target "milliseconds":convert(units.milliseconds)
end

---@class cli.LookOptions
---@field node? string
---@field at_node? string
---@field milliseconds? integer  to look for

--- Connects to the host that the options mean.
---@param options cli.LookOptions
---@return cli.Connection? connection, string? why, integer? code
function looking.connect(options)
  return hosts.connect(options.node or options.at_node)
end

--- Asks, and hands each line of the answer to `take(row, host)`, which says whether to go on.
---@param options cli.LookOptions
---@param request table
---@param take fun(row: table, host: cli.Host): boolean
---@return integer code, string? why
function looking.at(options, request, take)
  local connection <close>, why, code = looking.connect(options)
  if not connection then
    return code, why
  end
  local host <const> = connection.host
  port.control_take_signals() -- what was seen may still have to be written
  connection:begin(request)
  local row, news = connection:next(ANSWER_SECONDS)
  local heard = row ~= nil
  local deadline = options.milliseconds and tools.now() + options.milliseconds / 1000
  while row or news == false do
    if row and not take(row, host) then
      return EXIT_OK -- enough
    end
    local left = deadline and math.max(deadline - tools.now(), 0)
    if left == 0 then
      return EXIT_OK
    end
    row, news = connection:next(left, left ~= nil)
  end
  if connection.code == EXIT_UNREACHABLE and heard then
    show.note(("troupe: %s has ended"):format(hosts.title(host)))
    return EXIT_OK
  end
  return connection.code, connection.why
end

--- Seconds since 1970 of "2026-11-20T17:18:46.123Z", and what comes behind them (".123").
local function moment(utc)
  local year, month, day, hour, minute, second, rest =
    utc:match("^(%d+)-(%d+)-(%d+)T(%d+):(%d+):(%d+)(%.%d+)Z$")
  if not year then
    return nil
  end
  local as_if_here = os.time { year = year, month = month, day = day, hour = hour, min = minute, sec = second,
                               isdst = false }
  local there = os.date("!*t", as_if_here)
  there.isdst = false
  return as_if_here + (as_if_here - os.time(there)), rest
end

--- A time as a host says it, in local time: looking.time(row.time, "%H:%M:%S").
---@param utc string
---@param format string  of os.date
---@return string
function looking.time(utc, format)
  local seconds, rest = moment(utc)
  return seconds and os.date(format, seconds) .. rest or utc
end

--- A row whose json.null are nil, which is easier.
---@param row table
---@return table row
function looking.without_nulls(row)
  for name, value in pairs(row) do
    if value == json.null then row[name] = nil end
  end
  return row
end

--- A row as a JSON object whose fields come in this order; what is nil is null.
---@param row table
---@param names string[]
---@return string
function looking.object(row, names)
  local fields = {}
  for i, name in ipairs(names) do
    local value = row[name]
    fields[i] = ('"%s": %s'):format(name, value == nil and "null" or show.json_text(json.encode(value)))
  end
  return "{" .. table.concat(fields, ", ") .. "}"
end

return looking
