--- `troupe top [NODE]`: what `ps` shows, again and again in the same place.
local hosts = require "troupe.cli.hosts"
local ps = require "troupe.cli.ps"
local show = require "troupe.cli.show"
local snapshot = require "troupe.cli.snapshot"
local tools = require "troupe.tools"
local top_view = require "troupe.cli.top_view"
local units = require "troupe.cli.units"

local EXIT_OK, EXIT_INTERRUPTED = 0, 130
local ENDINGS = { quit = 0, interrupted = 130, terminated = 143, gone = 0 }
local PATIENCE_S = 2  -- with a host that says nothing
local AGAIN_S = 5     -- after which it is asked again

local top = {}

function top.define(command)
  command:summary "Watch what the actors of running hosts do."
  command:description("Shows what 'troupe ps' shows in the whole terminal, and again at each interval. Keys"
                      .. " sort, filter, reload, trace and kill; h says which.")
  command:epilog("Where there is no terminal (a pipe, TERM=dumb) the tables of 'troupe ps' are printed again"
                 .. " and again.\n\n"
                 .. "Examples:\n"
                 .. "   troupe top\n"
                 .. "   troupe top pong --sort queue --interval 500ms\n"
                 .. "   troupe top --once --json | jq .rate")
  ps.add_options(command, "rate")
  command:option("--interval", "How long a picture stands: 500ms, 2s. (default: 2s)")
    :argname "DURATION":convert(units.milliseconds):default("2s"):show_default(false)
  command:flag("--once", "Print one picture as 'troupe ps' does, and end.")
  command:flag("--json", "One object a line, as 'troupe ps' does, at each interval.")
end

--- ---- The hosts ----

---@class cli.Watched  the hosts that a top watches, by process
---@field node string?
---@field open table<integer, cli.Connection>
---@field silent table<integer, number>  until when they are left alone

--- Opens those that have come. nil, why, code: there is none, and there must be one.
local function find(watched, now)
  local list, why, code = hosts.matching(watched.node)
  for _, host in ipairs(list or {}) do
    if not watched.open[host.pid] and now >= (watched.silent[host.pid] or 0) then
      local connection = hosts.open(host)
      if connection then
        connection.patience = PATIENCE_S
        watched.open[host.pid] = connection
      end
    end
  end
  return list ~= nil, why, code
end

--- It says nothing more: closes it, and says so.
local function lose(watched, pid, view, now)
  local connection = watched.open[pid]
  watched.open[pid] = nil
  if connection.code == 3 then
    watched.silent[pid] = now + AGAIN_S
  end
  view:say(connection.why, now)
  connection:close()
end

--- Looks at all of them. An exit code if a signal came meanwhile.
---@return cli.Seen[] seen, integer? code
local function look(watched, view, limit, hidden, now)
  local seen, pids = {}, {}
  for pid in pairs(watched.open) do table.insert(pids, pid) end
  table.sort(pids)
  for _, pid in ipairs(pids) do
    local connection = watched.open[pid]
    local one = (connection.before or snapshot.mark(connection))
      and snapshot.take(connection, { pattern = view.pattern, sort = view.sort, limit = limit, hidden = hidden })
    if one then
      table.insert(seen, one)
    elseif connection.code == 130 or connection.code == 143 then
      return seen, connection.code
    else
      lose(watched, pid, view, now)
    end
  end
  return seen
end

--- ---- What keys do ----

--- Lets another command have the terminal; what it has said stays until it is read.
local function outside(terminal, ...)
  terminal:suspend()
  show.line("$ troupe " .. table.concat({ ... }, " "))
  local ok, code = pcall(require "troupe.cli", { [0] = "troupe", ... })
  if not ok then show.note(tostring(code)) end
  if code ~= EXIT_INTERRUPTED then
    io.stdout:write("-- enter goes back to troupe top --")
    io.stdout:flush()
    io.stdin:read()
  end
  terminal:resume()
end

local function kill(watched, view, now)
  local row = view.victim
  local connection = watched.open[row.pid]
  if not connection then
    return view:say(row.host .. " has ended", now)
  end
  local _, code, why = connection:ask_one { ["do"] = "kill", name = row.name }
  view:say(code == 0 and row.name .. " was killed" or ("%s: %s"):format(row.name, why), now)
end

local ACTIONS = {
  reload = function(terminal, _, view, now)
    local row = view:current()
    if type(row.script) ~= "string" then
      return view:say(row.name .. " runs no script", now)
    end
    outside(terminal, "reload", row.script, "--node", tostring(row.pid))
  end,
  trace = function(terminal, _, view)
    local row = view:current()
    outside(terminal, "trace", "--node", tostring(row.pid), "--to", row.name)
  end,
  kill = function(_, watched, view, now) kill(watched, view, now) end,
}

--- ---- The picture ----

local CLEAR_LINE, CLEAR_BELOW, HOME = "\27[K", "\27[J", "\27[H"

local function draw(terminal, view, paint)
  local columns, rows = terminal:size()
  local plain = (os.getenv("NO_COLOR") or "") ~= ""
  local lines = view:frame(columns or 80, rows or 24, tools.now(), paint, function(text)
    return (plain and "\27[7m%s\27[m" or "\27[1;7m%s\27[0m"):format(text)
  end)
  return terminal:write(HOME .. table.concat(lines, CLEAR_LINE .. "\r\n") .. CLEAR_LINE .. CLEAR_BELOW)
end

--- Looks and draws and heeds keys, until something ends it.
local function watch(terminal, watched, view, options)
  local paint = show.painter(show.STDOUT)
  local interval = options.interval / 1000
  local next_look = 0
  while true do
    local now = tools.now()
    if now >= next_look and not view.paused then
      find(watched, now)
      local seen, code = look(watched, view, options.limit or top_view.ROWS_MOST, options.hidden, now)
      if code then
        return code
      end
      view:update(seen)
      next_look = math.min(tools.now() + interval, view.looked and math.huge or now + ps.SAMPLE_S)
      view.looked = true
    end
    if not draw(terminal, view, paint) then
      return EXIT_OK -- nobody is there any more
    end
    local key = terminal:key(view.paused and 1 or math.max(0, next_look - tools.now()))
    local action = key and view:key(key)
    if ENDINGS[action] then
      return ENDINGS[action]
    elseif action == "look" then
      next_look = 0
    elseif action then
      ACTIONS[action](terminal, watched, view, tools.now())
      next_look = 0
    end
  end
end

--- ---- The command ----

--- Pictures one below the other, until an end is wanted.
local function print_on(options)
  while true do
    local code, why = ps.run(options)
    if options.once or code ~= EXIT_OK then
      return code, why
    end
    local news = tools.pause(math.max(0, options.interval / 1000 - ps.SAMPLE_S))
    if news then
      return ENDINGS[news]
    elseif not options.json and not show.line("") then
      return EXIT_OK -- its reader has enough
    end
  end
end

local function has_terminal()
  local kind = os.getenv("TERM") or ""
  return show.is_terminal(show.STDOUT) and show.is_terminal(0) and kind ~= "" and kind ~= "dumb"
end

function top.run(options)
  if options.once or options.json or not has_terminal() then
    return print_on(options)
  end
  local watched = { node = options.node or options.at_node, open = {}, silent = {} }
  local found, why, code = find(watched, tools.now())
  if not found then
    return code, why
  end
  local terminal <close>, closed = tools.terminal()
  if not terminal then
    return 1, closed
  end
  local view = top_view.new { sort = options.sort, pattern = options.actor, no_peers = options.no_peers }
  return watch(terminal, watched, view, options)
end

return top
