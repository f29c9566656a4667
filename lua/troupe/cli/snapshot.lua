--- What a running host tells of its actors, put together from the parts in which it
--- tells it, in the order that was asked for.
---
--- ```lua
--- local view = { sort = "queue", limit = 20 }
--- snapshot.mark(connection)                    -- rates are from here ...
--- local seen <const> = snapshot.take(connection, view)   -- ... to here
--- print(seen.host.rate, #seen.actors)
--- ```
local figures = require "troupe.cli.figures"

local known = figures.known

local snapshot = {}

local LIMIT_MOST = 300     -- that a host sorts on its side
local SAMPLE_LEAST_S = 0.2 -- rates of less would be noise

--- Names with numbers in them as people count: pong#2 before pong#10.
local function name_key(name)
  return (name:gsub("%d+", function(digits) return string.char(48 + math.min(#digits, 60)) .. digits end))
end

local KEYS = {
  queue = function(row) return figures.in_mailbox(row) + row.parked end,
  rate = function(row) return row.rate end,
  memory = function(row) return row.memory end,
  errors = function(row) return row.errors end,
  p99 = function(row) return known(row.p99) or 0 end,
}

--- The keys that --sort takes, in the order in which `top` goes through them.
snapshot.SORTS = { "name", "queue", "rate", "p99", "memory", "errors" }

--- Sorts actors in place: by name, or the largest first and then by name.
---@param rows table[]
---@param sort string  one of snapshot.SORTS
function snapshot.sort(rows, sort)
  local key, names = KEYS[sort], {}
  for _, row in ipairs(rows) do names[row] = name_key(row.name) end
  table.sort(rows, function(a, b)
    if key and key(a) ~= key(b) then
      return key(a) > key(b)
    end
    if names[a] ~= names[b] then
      return names[a] < names[b]
    end
    return (a.pid or 0) < (b.pid or 0) -- of several hosts
  end)
end

local function cut(rows, limit)
  for i = #rows, limit + 1, -1 do rows[i] = nil end
end

--- Asks for all parts of an answer, and gives each line to `note`.
---@return boolean ok
local function each_part(connection, request, note)
  request["do"] = "ps"
  repeat
    local from
    for row in connection:ask(request) do
      if row.kind == "next" then from = row.from else note(row) end
    end
    request.from = from
  until not from or connection.code ~= 0
  return connection.code == 0
end

--- The rates of a host between two looks; one that comes too soon has those of the last.
---@return table before  for the next look
local function measure(host, before)
  if not before then
    return host
  end
  local passed = host.uptime - before.uptime
  if passed < SAMPLE_LEAST_S then
    host.rate, host.cpu_share = before.rate, before.cpu_share
    return before
  end
  host.rate = (host.handled - before.handled) / passed
  host.cpu_share = (host.cpu - before.cpu) / passed
  return host
end

--- A look that only notes where rates begin. False: connection.why.
---@param connection cli.Connection
---@return boolean ok
function snapshot.mark(connection)
  return each_part(connection, { mark = true }, function(row) connection.before = row end)
end

---@class cli.View
---@field pattern string?  of names
---@field sort string
---@field limit integer?
---@field hidden boolean?  the host's own actors, too

---@class cli.Seen
---@field host table       with `rate` and `cpu_share`, if it was looked at before
---@field actors table[]
---@field peers table[]
---@field wire table       what it has counted there

--- Looks. nil: connection.why.
---@param connection cli.Connection
---@param view cli.View
---@return cli.Seen?
function snapshot.take(connection, view)
  local seen = { actors = {}, peers = {}, wire = {} }
  local limit = view.limit
  local ok = each_part(connection, {
    actors = view.pattern, sort = view.sort, limit = limit and limit <= LIMIT_MOST and limit or nil,
    hidden = view.hidden,
  }, function(row)
    if row.kind == "actor" then
      table.insert(seen.actors, row)
      if limit and #seen.actors >= 4 * limit + 1000 then
        snapshot.sort(seen.actors, view.sort)
        cut(seen.actors, limit)
      end
    elseif row.kind == "host" then
      seen.host = row
    elseif row.kind == "wire" then
      seen.peers, row.wire.peers = row.wire.peers, nil
      seen.wire = row.wire
    end
  end)
  if not ok then
    return nil
  end
  snapshot.sort(seen.actors, view.sort)
  if limit then
    cut(seen.actors, limit)
  end
  connection.before = measure(seen.host, connection.before)
  return seen
end

return snapshot
