--- The tables of `ps` and `top`: actors, connections to other hosts, and the line
--- about the host itself. Pure.
local figures = require "troupe.cli.figures"
local layout = require "troupe.cli.layout"
local show = require "troupe.cli.show"

local known = figures.known

local actors = {}

-- By `rank` they stay when there is little room; `word` is what is shown of a row.
---@type (cli.Column|{word: fun(row: table): string})[]
local COLUMNS = {
  { title = "ACTOR", rank = 1, least = 12, most = 40, word = function(row) return show.printable(row.name) end },
  { title = "SCRIPT", rank = 11, least = 10, most = 48,
    word = function(row) return show.printable(known(row.script) or "-") end },
  { title = "VERSION", rank = 9, most = 24, -- whole, or not at all: its end says what has failed
    word = function(row) return show.printable(figures.version(row)) end },
  { title = "STATE", rank = 2, least = 18, most = 56,
    word = function(row) return show.printable(figures.state(row)) end },
  { title = "QUEUE", rank = 3, right = true, word = function(row)
    return figures.count(figures.in_mailbox(row)) .. (row.parked > 0 and "+" .. figures.count(row.parked) or "")
  end },
  { title = "OLDEST", rank = 8, right = true, word = function(row) return figures.duration(row.oldest) end },
  { title = "MSG/S", rank = 4, right = true, word = function(row) return figures.rate(row.rate) end },
  { title = "P50", rank = 10, right = true, word = function(row) return figures.duration(row.p50) end },
  { title = "P99", rank = 5, right = true, word = function(row) return figures.duration(row.p99) end },
  { title = "MEMORY", rank = 6, right = true, word = function(row) return figures.bytes(row.memory) end },
  { title = "ERRORS", rank = 7, right = true, word = function(row) return figures.count(row.errors) end },
  { title = "RESTARTS", rank = 13, right = true, word = function(row) return figures.count(row.restarts) end },
  { title = "LAST", rank = 12, least = 8, most = 24,
    word = function(row) return show.printable(known(row.last) or "-") end },
  { title = "THREAD", rank = 14, least = 8, most = 20, word = function(row) return show.printable(row.thread) end },
}

-- What deserves a look is coloured.
local COLOURS = {
  VERSION = function(row) return (known(row.failed) or 0) > 0 and "red" end,
  STATE = function(row)
    if row.state == "running" or row.state == "preempted" then
      return (known(row["for"]) or 0) >= 0.1 and "red" or "green"
    end
    return (row.state == "waiting" or row.state == "ready") and "yellow"
      or (row.state == "halted" or row.state == "held") and "red" or row.state == "idle" and "dim"
  end,
  QUEUE = function(row)
    return (row.parked > 0 or 2 * row.queued >= row.limit) and "red" or figures.in_mailbox(row) > 0 and "yellow"
  end,
  OLDEST = function(row) return (known(row.oldest) or 0) >= 1 and "red" end,
  ERRORS = function(row) return row.errors > 0 and "red" end,
  RESTARTS = function(row) return row.restarts > 0 and "yellow" end,
}

local PEER_COLUMNS = {
  { title = "PEER", rank = 1, least = 16, most = 60, word = function(peer) return show.printable(peer.endpoint) end },
  { title = "STATE", rank = 2, word = function(peer) return peer.state end },
  { title = "QUEUE", rank = 3, right = true, word = function(peer) return figures.count(peer.queued) end },
  { title = "BYTES", rank = 5, right = true, word = function(peer) return figures.bytes(peer.queued_bytes) end },
  { title = "OLDEST", rank = 4, right = true,
    word = function(peer) return figures.duration(peer.queued > 0 and peer.oldest or nil) end },
  { title = "SENT", rank = 6, right = true, word = function(peer) return figures.count(peer.sent) end },
  { title = "FULL", rank = 7, right = true, word = function(peer) return figures.count(peer.full) end },
  { title = "UNCONFIRMED", rank = 8, right = true, word = function(peer) return figures.count(peer.unconfirmed) end },
}

local PEER_COLOURS = {
  STATE = function(peer) return peer.state == "lost" and "red" or peer.state == "connecting" and "yellow" end,
  QUEUE = function(peer) return peer.queued > 0 and "yellow" end,
}

local HOST_COLUMN = { title = "HOST", rank = 3.5, least = 8, most = 24,
                      word = function(row) return show.printable(row.host) end }
local COLUMNS_OF_MANY = table.move(COLUMNS, 2, #COLUMNS, 3, { COLUMNS[1], HOST_COLUMN })

local function plain(_, text) return text end

local function table_of(columns, colours, rows, room, paint, mark)
  local words = {}
  for i, row in ipairs(rows) do
    words[i] = {}
    for k, column in ipairs(columns) do words[i][k] = column.word(row) end
  end
  local widths = layout.measure(columns, words, room)
  local lines = {}
  for i, row in ipairs(rows) do
    local function paint_word(k, text)
      local colour = colours[columns[k].title]
      local name = colour and colour(row)
      return name and paint(name, text) or text
    end
    lines[i] = mark and mark(i, layout.row(columns, widths, words[i]))
      or layout.row(columns, widths, words[i], paint_word)
  end
  return layout.row(columns, widths, layout.titles(columns)), lines
end

--- The titles, and a line for each actor.
---@param rows table[]
---@param room number  cells of a line; math.huge: all that it takes
---@param paint? fun(colour: string, text: string): string
---@param many? boolean  they are of several hosts: a column says which
---@param mark? fun(i: integer, line: string): string?  a line of its own making in place of the coloured one
---@return string titles, string[] lines
function actors.table(rows, room, paint, many, mark)
  return table_of(many and COLUMNS_OF_MANY or COLUMNS, COLOURS, rows, room, paint or plain, mark)
end

--- The same of connections to other hosts.
function actors.peers(rows, room, paint)
  return table_of(PEER_COLUMNS, PEER_COLOURS, rows, room, paint or plain)
end

local function counted(number, thing)
  return ("%s %s%s"):format(figures.count(number), thing, number == 1 and "" or "s")
end

--- The host in one line, the most important first: where there is little room the end
--- is left out.
---@param host table
---@param room number
---@return string
function actors.host(host, room)
  local busy = ("%d of %d workers busy"):format(host.busy, host.workers + host.spares + host.pinned)
  local parts = {
    ("%s (process %d)"):format(show.printable(host.name), host.pid),
    host.stopping and "stopping" or "up " .. figures.duration(host.uptime),
    counted(host.actors, "actor"), busy,
  }
  if host.rate then table.insert(parts, 3, figures.rate(host.rate) .. " msg/s") end
  if host.cpu_share then table.insert(parts, ("cpu %.0f%%"):format(100 * host.cpu_share)) end
  table.insert(parts, figures.bytes(host.rss))
  if host.dead_letters > 0 then table.insert(parts, counted(host.dead_letters, "dead letter")) end
  local endpoint = known(host.endpoint)
  if endpoint then table.insert(parts, show.printable(endpoint)) end
  local line = parts[1]
  for i = 2, #parts do
    local longer = line .. "  " .. parts[i]
    if layout.width(longer) > room then
      break
    end
    line = longer
  end
  return layout.width(line) > room and layout.cut(line, math.floor(room)) or line
end

return actors
