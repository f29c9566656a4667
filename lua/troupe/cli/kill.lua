--- `troupe kill NAME`: ends an actor of a running host.
local hosts = require "troupe.cli.hosts"
local show = require "troupe.cli.show"
local units = require "troupe.cli.units"
local whereabouts = require "troupe.cli.whereabouts"

local EXIT_OK, EXIT_USAGE, EXIT_TIMED_OUT = 0, 2, 3

local kill = {}

function kill.define(command)
  command:summary "End an actor of a running host."
  command:description("Ends an actor at once, wherever its handler stands, also in an endless loop, and waits"
                      .. " until it has ended. Mail that it has not handled becomes dead letters. Whether a"
                      .. " supervised actor is started again is for its supervisor to decide.")
  command:epilog("Exit codes: 0 it has ended, 1 there is no such actor, 2 there are several, 3 it has not ended"
                 .. " in time (a call of C code cannot be ended), 5 no host runs.\n\n"
                 .. "Examples:\n"
                 .. "   troupe kill worker#3\n"
                 .. "   troupe kill pong@feed            the one in the host that is called feed\n"
                 .. "   troupe kill pong@4711            or whose process is 4711\n"
                 .. "   troupe kill feed book --stop     in order, as actor.stop() does")
  command:argument("name", "Whom: an actor's name, or NAME@NODE."):args "+"
  command:flag("--stop", "Ask it to end in order: the mail it has now is handled, then on_shutdown.")
  command:option("--node", "In this host: its name or process."):argname "NODE"
  command:option("--timeout", "How long to wait for its end: 250ms, 2s, 1m. (default: 5s)")
    :argname "DURATION":default "5s":show_default(false):convert(units.milliseconds)
  command:flag("--json", "One object for each: {\"v\", \"host\", \"pid\", \"name\", \"how\", \"then\"}.")
end

local function say(options, host, row)
  if options.json then
    show.line(('{"v": 1, "host": %s, "pid": %d, "name": %s, "how": "%s", "then": "%s"}'):format(
      show.json_string(host.name), host.pid, show.json_string(row.name), row.how, row["then"]))
  else
    show.line(("%s: %s%s"):format(show.printable(row.name), row.how,
                                  row["then"] == "halted" and "; it may be started again" or ""))
  end
end

local function end_one(ref, options)
  local name, node = whereabouts.parse(ref)
  if not name then
    return EXIT_USAGE, ("'%s' is no actor's name: only actors of this machine, and of this user, can be ended"):format(ref)
  end
  local connection <close>, why, code = whereabouts.connect(name, node or options.node)
  if not connection then
    return code, why
  end
  connection.patience = options.timeout / 1000
  local row
  row, code, why = connection:ask_one { ["do"] = "kill", name = name, stop = options.stop or false }
  if code == EXIT_OK then
    say(options, connection.host, row)
  elseif code == EXIT_TIMED_OUT then
    why = ("%s was told, and has not ended in %.1f s (in %s)"):format(name, options.timeout / 1000,
                                                                      hosts.title(connection.host))
  end
  return code, why
end

function kill.run(options)
  local worst = EXIT_OK
  for _, ref in ipairs(options.name) do
    local code, why = end_one(ref, options)
    if code ~= EXIT_OK and #options.name == 1 then
      return code, why
    end
    if code ~= EXIT_OK then
      show.failure(why)
      worst = code
    end
  end
  return worst
end

return kill
