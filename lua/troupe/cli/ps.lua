--- `troupe ps [NODE]`: what the actors of running hosts do.
local actors = require "troupe.cli.actors"
local hosts = require "troupe.cli.hosts"
local json = require "troupe.json"
local show = require "troupe.cli.show"
local snapshot = require "troupe.cli.snapshot"
local tools = require "troupe.tools"
local units = require "troupe.cli.units"

local EXIT_OK, EXIT_INTERRUPTED, EXIT_TERMINATED = 0, 130, 143
local LIMIT_MOST = 16000000
local ON_A_TERMINAL = 200 -- actors of each host, unless --limit says otherwise

local ps = { SAMPLE_S = 0.25 } -- between the two looks that rates are measured with

--- The options that `troupe top` has as well.
function ps.add_options(command, sort)
  command:argument("node", "A host's name or process. (default: all that run)"):args "?"
  command:option("--node", "The same as an option."):argname "NODE":target "at_node"
  command:option("--actor", "Only actors whose name has this in it; with * or ? it is a pattern for all of it.")
    :argname "PATTERN"
  command:option("--sort", "By queue, rate, memory, errors or p99, the largest first; or by name."
                 .. (" (default: %s)"):format(sort))
    :choices(snapshot.SORTS):default(sort):show_default(false)
  command:option("--limit", "So many actors of each host."
                 .. (" (default: on a terminal %d, else all)"):format(ON_A_TERMINAL))
    :argname "N":convert(units.count(LIMIT_MOST))
  command:flag("--hidden", "The host's own actors, too.")
  command:flag("--no-peers", "Without the connections to other hosts.")
end

function ps.define(command)
  command:summary "Show what the actors of running hosts do."
  command:description("Shows each actor of your running hosts: its script and version, what it does and since"
                      .. " when, its queue, how fast it works and what it uses; then the connections to other"
                      .. " hosts with their queues. Hosts answer also while every worker is stuck.")
  command:epilog([[
STATE is idle, ready (it has mail, and no worker has come to it yet), running,
preempted (suspended in a handler, others have their turn), what it waits for,
stopping, halted, or held for a reload. QUEUE is the messages in its mailbox, +N
the senders that wait for room; OLDEST is how long the oldest has waited. MSG/S
is measured between two looks, 250 ms apart. P50 and P99 are how long its handlers
ran, of those that were timed lately; time in which they waited is not in it.
VERSION is the number of its script's version in that process, what the script
says of itself, and how many attempts to replace it have failed. Where the
terminal is too narrow, columns are left out.

--json prints one object a line, of kind "host", "actor" or "peer": times in
seconds, null for what is not known.

Examples:
   troupe ps
   troupe ps pong --sort queue --limit 10
   troupe ps --actor 'worker*' --json | jq 'select(.errors > 0)']])
  ps.add_options(command, "name")
  command:flag("--json", "One object a line.")
end

local function print_json(host, seen, options)
  local function line(kind, row)
    row.v, row.kind, row.host, row.pid = 1, kind, host.name, host.pid
    return show.line(show.json_text(json.encode(row)))
  end
  local ok = line("host", seen.host)
  for _, row in ipairs(seen.actors) do ok = ok and line("actor", row) end
  if not options.no_peers then
    for _, peer in ipairs(seen.peers) do ok = ok and line("peer", peer) end
  end
  return ok
end

--- The lines about one host.
---@param seen cli.Seen
---@param options table
---@param room number
---@param paint fun(colour: string, text: string): string
---@return string[]
function ps.lines(seen, options, room, paint)
  local lines = { paint("bold", actors.host(seen.host, room)) }
  local function add(titles, rows)
    table.insert(lines, paint("dim", titles))
    table.move(rows, 1, #rows, #lines + 1, lines)
  end
  if #seen.actors > 0 then
    add(actors.table(seen.actors, room, paint))
  else
    table.insert(lines, options.actor and ("no actor is called %s here"):format(show.printable(options.actor))
                 or "no actors")
  end
  if #seen.peers > 0 and not options.no_peers then
    table.insert(lines, "")
    add(actors.peers(seen.peers, room, paint))
  end
  return lines
end

local function print_table(_, seen, options)
  local paint = show.painter(show.STDOUT)
  local ok = show.line(table.concat(ps.lines(seen, options, show.room(), paint), "\n"))
  local more = seen.host.actors - #seen.actors
  if options.limit and #seen.actors == options.limit and more > 0 and not options.actor then
    show.note(("and %s more: --limit says how many are shown"):format(show.count(more)))
  end
  return ok
end

--- Opens all hosts that are meant, and marks where their rates begin. One that does
--- not answer, or has ended, is said.
---@return cli.Connection[]? connections, string? why, integer? code  why none, or how one failed
local function open_all(node)
  local list, why, code = hosts.matching(node)
  if not list then
    return nil, why, code
  end
  local open, worst = {}, EXIT_OK
  for i, host in ipairs(list) do
    local connection
    connection, why, code = hosts.open(host)
    if connection and snapshot.mark(connection) then
      table.insert(open, connection)
    else
      if connection then
        why, code = connection.why, connection.code
        connection:close()
      end
      if code == EXIT_INTERRUPTED or code == EXIT_TERMINATED or i == #list and #open == 0 then
        return nil, why, code
      end
      show.note("troupe: " .. show.printable(why))
      worst = code
    end
  end
  return open, nil, worst
end

--- Tells of all hosts that are meant, `body(host, seen)` for each. A host that ends
--- meanwhile is said, and passed over.
---@param options table
---@param body fun(host: cli.Host, seen: cli.Seen): boolean
---@return integer code, string? why
function ps.each(options, body)
  local open, why, code = open_all(options.node or options.at_node)
  if not open then
    return code, why
  end
  local news = tools.pause(ps.SAMPLE_S)
  if news then
    return news == "interrupted" and EXIT_INTERRUPTED or EXIT_TERMINATED
  end
  local worst = code
  for _, connection in ipairs(open) do
    local seen = snapshot.take(connection, {
      pattern = options.actor, sort = options.sort, limit = options.limit, hidden = options.hidden,
    })
    if not seen then
      worst = connection.code
      show.failure(connection.why)
    elseif not body(connection.host, seen) then
      return EXIT_OK -- its reader has enough
    end
    connection:close()
    if worst == EXIT_INTERRUPTED or worst == EXIT_TERMINATED then
      break
    end
  end
  return worst
end

function ps.run(options)
  local people = not options.json
  if people and not options.limit and show.is_terminal(show.STDOUT) then
    options.limit = ON_A_TERMINAL
  end
  local first = true
  return ps.each(options, function(host, seen)
    local blank = people and not first and not show.line("")
    first = false
    return not blank and (people and print_table or print_json)(host, seen, options)
  end)
end

return ps
