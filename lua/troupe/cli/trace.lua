--- `troupe trace`: the messages of a running host, while they pass.
local files = require "troupe.cli.files"
local json = require "troupe.json"
local looking = require "troupe.cli.looking"
local sequence = require "troupe.cli.sequence"
local show = require "troupe.cli.show"
local units = require "troupe.cli.units"

local EXIT_OK, EXIT_FAILED = 0, 1
local COUNT_MAX = 1000000000
local MESSAGE_SHOWN = 100 -- characters
local LIMIT, LIMIT_MAX = 10000, 1000000
local KINDS = { "send", "ask", "reply", "failure", "timer", "start", "stop", "down", "notice", "stream" }

local trace = {}

--- "500/s", "500".
local function rate(text)
  return units.count(LIMIT_MAX)((text:gsub("/s$", "")))
end

function trace.define(command)
  command:summary "Watch the messages of a running host."
  command:description("Prints each message of a running host: when it was sent, by whom, to whom, what it says,"
                      .. " how long it waited in the mailbox, how long its handler took (waits of that included)"
                      .. " and what became of it: handled, failed, no handler, dead letter, refused (its sender was"
                      .. " told), sent away (to another host). One that has not been handled for a second is printed as"
                      .. " 'waiting' or 'running' first, and again at its end. As JSON:\n"
                      .. '{"v": 1, "n": NUMBER, "time": ..., "from": NAME or null, "to": NAME, "type": ...,\n'
                      .. ' "kind": ..., "message": {...}, "bytes": ..., "cut": whether message is only its\n'
                      .. ' beginning, "waited_ms": ..., "took_ms": ..., "outcome": ..., "detail": why, or null,\n'
                      .. ' "reply": TYPE or null}')
  command:epilog("What a host does not look at costs it nothing, and what it does a bounded amount: beyond --limit"
                 .. " messages are left out, and counted on standard error. It works while every worker is stuck.\n\n"
                 .. "Exit codes: 0 after -n or --for, or when the host has ended; 5 no such host; 130 interrupted.\n\n"
                 .. "Examples:\n"
                 .. "   troupe trace --to pong\n"
                 .. "   troupe trace shop --actor 'worker-*' --kind ask --kind reply\n"
                 .. "   troupe trace --type Order --sample 100 --json | jq .took_ms\n"
                 .. "   troupe trace --for 10s --sequence orders.mmd")
  looking.add_options(command)
  command:option("--to", "Only to actors of this name; * is any text, ? any character."):argname "NAME"
  command:option("--from", "Only from actors of this name."):argname "NAME"
  command:option("--actor", "Only to or from actors of this name."):argname "NAME"
  command:option("--type", "Only messages of this type, spelt as a handler may be."):argname "TYPE"
  command:option("--kind", "Only of this kind, or these: " .. table.concat(KINDS, ", ") .. ".")
    :argname "KIND":choices(KINDS):count "*":target "kinds"
  command:option("--sample", "One in so many."):argname "N":convert(units.count(COUNT_MAX))
  command:option("--limit", ("At most so many a second. (default: %d)"):format(LIMIT))
    :argname "N/s":convert(rate)
  command:option("-n", "End after so many messages."):argname "COUNT":target "count":convert(units.count(COUNT_MAX))
  looking.add_end_options(command)
  command:flag("--json", "One object a line.")
  command:option("--sequence", "Write a Mermaid sequence diagram of what was seen to this file at the end;"
                 .. " '-' is standard output, without the lines."):argname "FILE"
end

--- 0.085 ms as "85 us".
local function duration(ms)
  if ms < 1 then
    return ("%.0f us"):format(ms * 1000)
  elseif ms < 1000 then
    return ("%.3g ms"):format(ms)
  end
  return ("%.1f s"):format(ms / 1000)
end

local UNFINISHED = { waiting = true, running = true }
local COLOUR = { handled = "dim", ["sent away"] = "dim", waiting = "yellow", running = "yellow" }

local function outcome(row)
  local words = {}
  if row.waited_ms then table.insert(words, "waited " .. duration(row.waited_ms)) end
  if row.took_ms then table.insert(words, "took " .. duration(row.took_ms)) end
  if row.reply then table.insert(words, "replied " .. row.reply) end
  if row.outcome ~= "handled" or #words == 0 then
    table.insert(words, row.outcome .. (row.detail and row.kind ~= "failure" and ": " .. row.detail or ""))
  end
  return table.concat(words, ", ")
end

local function short_message(row)
  if row.kind == "failure" or next(row.message) == nil then
    return row.cut and " ..." or ""
  end
  local text = json.encode(row.message)
  if utf8.len(text) > MESSAGE_SHOWN then
    text = text:sub(1, utf8.offset(text, MESSAGE_SHOWN + 1) - 1) .. "..."
  elseif row.cut then
    text = text .. " ..."
  end
  return " " .. show.json_text(text)
end

--- Who asks from elsewhere is answered under a name of that question alone.
local function short_name(name)
  return show.printable(name and name:gsub("/ask#%d+", "", 1) or "nobody")
end

--- What makes a line for people of a row without nulls.
---@param paint fun(colour: string, text: string): string
---@return fun(row: table): string
function trace.for_people(paint)
  return function(row)
    local said = row.kind == "failure" and row.detail or row.type or "?"
    return ("%s  %-7s %s -> %s  %s%s  %s"):format(
      paint("dim", looking.time(row.time, "%H:%M:%S")), row.kind, short_name(row.from), short_name(row.to),
      paint("bold", show.printable(said)), short_message(row),
      paint(COLOUR[row.outcome] or "red", show.printable(outcome(row))))
  end
end

local JSON_FIELDS = { "v", "n", "time", "from", "to", "type", "kind", "message", "bytes", "cut", "waited_ms", "took_ms",
                      "outcome", "detail", "reply" }

local function as_json(row)
  return looking.object(row, JSON_FIELDS)
end

--- Says how many messages were left out since it was said last.
local function missed_counter()
  local skipped, lost = 0, 0
  return function(row)
    if row.skipped > skipped then
      show.note(("troupe: %s messages left out: there are more than --limit"):format(show.count(row.skipped - skipped)))
    end
    if row.lost > lost then
      show.note(("troupe: %s messages lost: they came faster than they could be shown"):format(
        show.count(row.lost - lost)))
    end
    skipped, lost = row.skipped, row.lost
  end
end

local function write_diagram(diagram, path)
  if diagram:missing() > 0 then
    show.note(("troupe: %s messages are not in the diagram: it has room for 500"):format(show.count(diagram:missing())))
  end
  if path == "-" then
    io.stdout:write(diagram:text())
    io.stdout:flush()
    return true
  end
  return files.write(path, diagram:text())
end

--- What takes the rows of the answer.
local function taker(options, diagram)
  local lines = options.sequence ~= "-"
  local form = options.json and as_json or trace.for_people(show.painter(show.STDOUT))
  local missed, seen = missed_counter(), 0
  return function(row, host)
    if row.tracing then
      show.note(("tracing %s (process %d)"):format(host.name, host.pid))
      return true
    elseif row.skipped then
      missed(row)
      return true
    end
    looking.without_nulls(row)
    if diagram then diagram:add(row) end
    if lines and not show.line(form(row)) then
      return false -- its reader has enough
    end
    seen = seen + (UNFINISHED[row.outcome] and 0 or 1)
    return not options.count or seen < options.count
  end
end

function trace.run(options)
  local diagram = options.sequence and sequence.new()
  local code, why = looking.at(options, {
    ["do"] = "trace", to = options.to, from = options.from, actor = options.actor, type = options.type,
    kinds = #options.kinds > 0 and options.kinds or nil, sample = options.sample, limit = options.limit,
  }, taker(options, diagram))
  if diagram and (code == EXIT_OK or code > 128) then
    local written, write_why = write_diagram(diagram, options.sequence)
    if not written then
      return EXIT_FAILED, write_why
    end
  end
  return code, why
end

return trace
