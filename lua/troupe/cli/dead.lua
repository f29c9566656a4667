--- `troupe dead`: the dead letters of running hosts; looked at, sent again, thrown away.
local figures = require "troupe.cli.figures"
local hosts = require "troupe.cli.hosts"
local layout = require "troupe.cli.layout"
local show = require "troupe.cli.show"

local EXIT_OK, EXIT_FAILED, EXIT_USAGE = 0, 1, 2

local dead = {}

--- What may stand behind --retry.
local function check_retry(text)
  local id = math.tointeger(tonumber(text))
  if text == "all" then
    return true
  elseif id and id > 0 then
    return id
  end
  return nil, ("'%s' is no dead letter: write its number, as 'troupe dead' shows it, or all"):format(text)
end

function dead.define(command)
  command:summary "Show what could not be delivered, or send it again."
  command:description("Lists the dead letters that running hosts keep, oldest first: messages that were dropped,"
                      .. " that nobody was there for, or whose handler failed. --retry sends them again, to the"
                      .. " actor that has the name now if the first one has ended; a question is sent as a plain"
                      .. " message, since nobody waits for its answer any more.")
  command:epilog("Exit codes: 0 done, 1 some could not be sent, 2 which host?, 5 no host runs.\n\n"
                 .. "Examples:\n"
                 .. "   troupe dead\n"
                 .. "   troupe dead --actor book --json | jq .message\n"
                 .. "   troupe dead --retry 17\n"
                 .. "   troupe dead --retry all --actor book\n"
                 .. "   troupe dead --clear --node feed")
  command:mutex(
    command:option("--retry", "Send this one again, or all."):argname "ID":convert(check_retry),
    command:flag("--clear", "Throw them away."))
  command:option("--actor", "Only those for this actor."):argname "NAME"
  command:option("--node", "Of this host: its name or process. (default: of all)"):argname "NODE"
  command:flag("--json", "One object a line: {\"v\": 1, \"host\", \"pid\", \"id\", \"age\", \"reason\", \"text\", \"from\","
               .. " \"to\", \"type\", \"bytes\", \"message\"}; message is null if it is large.")
end

-- ---- Looking ----

local function as_json(host, row)
  return ('{"v": 1, "host": %s, "pid": %d, "id": %d, "age": %.3f, "reason": "%s", "text": %s, "from": %s, "to": %s,'
          .. ' "type": %s, "bytes": %d, "message": %s}'):format(
    show.json_string(host.name), host.pid, row.id, row.age, row.reason, show.json_string(row.text),
    show.json_string(row.from), show.json_string(row.to), show.json_string(row.type), row.bytes,
    row.json and show.json_text(row.json) or "null")
end

--- Calls `tell` for each letter, however many there are.
local function each_letter(connection, actor, tell)
  local after, more = 0, true
  while more do
    more = false
    for row in connection:ask { ["do"] = "dead", actor = actor, after = after } do
      if row.id then
        tell(row)
      else
        after, more = row.after, row.more
      end
    end
  end
  return connection.code, connection.why
end

local COLUMNS = {
  { title = "HOST", rank = 7, least = 8 },
  { title = "ID", rank = 1, right = true },
  { title = "AGE", rank = 4, right = true },
  { title = "REASON", rank = 3 },
  { title = "FROM", rank = 8, least = 8, most = 24 },
  { title = "TO", rank = 2, least = 8, most = 32 },
  { title = "TYPE", rank = 2, least = 8 },
  { title = "WHY", rank = 5, least = 16, most = 44 },
  { title = "MESSAGE", rank = 6, least = 16, most = 60 },
}

local function as_words(host, row)
  return { host.name, tostring(row.id), figures.duration(row.age), row.reason, show.printable(row.from),
           show.printable(row.to), show.printable(row.type), show.printable(row.text),
           row.json and show.json_text(row.json) or ("(%s)"):format(figures.bytes(row.bytes)) }
end

--- The table, with the column of hosts only if there are several.
local function print_table(rows, with_hosts)
  local columns = COLUMNS
  if not with_hosts then
    columns = table.move(COLUMNS, 2, #COLUMNS, 1, {})
    for _, row in ipairs(rows) do table.remove(row, 1) end
  end
  for _, line in ipairs(layout.lines(columns, rows, show.room(), show.painter(show.STDOUT))) do
    show.line(line)
  end
end

local function list(all, options)
  local rows = {}
  for _, host in ipairs(all) do
    local connection <close>, why, code = hosts.open(host)
    if not connection then
      return code, why
    end
    code, why = each_letter(connection, options.actor, function(row)
      if options.json then
        show.line(as_json(host, row))
      else
        table.insert(rows, as_words(host, row))
      end
    end)
    if code ~= EXIT_OK then
      return code, why
    end
  end
  if #rows > 0 then
    print_table(rows, #all > 1)
  elseif not options.json then
    show.note(options.actor and ("no dead letters for '%s'"):format(show.printable(options.actor)) or "no dead letters")
  end
  return EXIT_OK
end

-- ---- Dealing with them ----

local function say_failure(options, host, row)
  if options.json then
    show.line(('{"v": 1, "host": %s, "pid": %d, "id": %d, "to": %s, "type": %s, "error": %s}'):format(
      show.json_string(host.name), host.pid, row.id, show.json_string(row.to), show.json_string(row.type),
      show.json_string(row.error)))
  else
    show.note(("troupe: %d, %s to %s, is dead still: %s"):format(row.id, show.printable(row.type),
                                                                 show.printable(row.to), show.printable(row.error)))
  end
end

--- How many were dealt with, and how many could not be.
local function deal_with(connection, options)
  local done, failed, after, last = 0, 0, 0, nil
  repeat
    local before = after
    for row in connection:ask { ["do"] = "dead", actor = options.actor, retry = options.retry or nil,
                                clear = options.clear or nil, after = after, last = last } do
      if row.error then
        failed = failed + 1
        say_failure(options, connection.host, row)
      elseif row.done then
        done = done + row.done
        last, after = row.last, row.after
      end
    end
    local over = connection.code ~= EXIT_OK or math.type(options.retry) == "integer" or after == before
  until over or after >= last
  return done, failed
end

local function change(options)
  local connection <close>, why, code = hosts.connect(options.node)
  if not connection then
    return code, why
  end
  local done, failed = deal_with(connection, options)
  if connection.code ~= EXIT_OK then
    return connection.code, connection.why
  end
  if options.json then
    local host <const> = connection.host
    show.line(('{"v": 1, "host": %s, "pid": %d, "done": %d, "failed": %d}'):format(show.json_string(host.name),
                                                                                  host.pid, done, failed))
  else
    show.note(("%s %s"):format(show.count(done), options.retry and "sent again" or "thrown away"))
  end
  return failed == 0 and EXIT_OK or EXIT_FAILED
end

function dead.run(options)
  if not options.retry and not options.clear then
    local all, why, code = hosts.matching(options.node)
    if not all then
      return code, why
    end
    return list(all, options)
  end
  if math.type(options.retry) == "integer" and options.actor then
    return EXIT_USAGE, "--retry ID means one dead letter, and --actor says nothing more about it"
  end
  return change(options)
end

return dead
