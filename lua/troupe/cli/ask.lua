--- `troupe ask REF TYPE [field...]`: asks an actor and prints its answer.
local port = require "troupe.port"
local security = require "troupe.cli.security"
local show = require "troupe.cli.show"
local talk = require "troupe.cli.talk"

local EXIT_OK, EXIT_TIMED_OUT = 0, 3

local ask = {}

function ask.define(command)
  command:summary "Ask an actor of a running host, print its answer."
  command:description("Asks an actor and prints the type and the fields of its answer on one line."
                      .. " Of many questions each waits for the answer to the one before.")
  command:epilog(talk.SERIES_HELP .. "\n\n"
                 .. "Exit codes: 1 no such actor, 2 several are called so, 3 no answer in time, 4 rejected (the reason is on stderr), 5 nobody"
                 .. " answers there ('troupe doctor' says more).\n\n"
                 .. "Examples:\n"
                 .. "   troupe ask pong@:5001 Ping count:=1\n"
                 .. "   troupe ask pong Ping count:=1          the one that a host of yours runs here\n"
                 .. "   troupe ask pong@10.0.0.5:5001 Ping @ping.json --timeout 500ms --json\n"
                 .. "   troupe ask pong@:5001 Ping 'count:={{n}}' --every 1s")
  talk.define(command)
  security.add_key_options(command)
  talk.add_timeout(command, "How long to wait for an answer")
  command:flag("--json", "Print {\"v\": 1, \"type\": ..., \"message\": {...}}, one object a line.")
end

--- Asks an actor of a host of this machine: what port.ask() does for one elsewhere.
local function ask_here(message, connection)
  connection.patience = message.timeout_ms / 1000
  local row, code, why = connection:ask_one { ["do"] = "ask", name = message.to, type = message.type,
                                              json = message.json }
  if code == EXIT_OK then
    return code, row.type, row.json
  elseif code == EXIT_TIMED_OUT then
    why = ("no answer from %s to %s in %.1f s"):format(message.to, message.type, message.timeout_ms / 1000)
  end
  return code, why
end

function ask.run(options)
  local read_by_nobody = false
  local code, why = talk.each(options, function(message, connection)
    local code, answer, payload = (connection and ask_here or port.ask)(message, connection)
    if code ~= EXIT_OK then
      return code, answer
    end
    payload = show.json_text(payload)
    local text = options.json and ('{"v": 1, "type": %s, "message": %s}'):format(show.json_string(answer), payload)
      or answer .. " " .. payload
    if not show.line(text) then
      read_by_nobody = true
      return -1 -- only to end the series
    end
    return EXIT_OK
  end)
  if read_by_nobody then
    return EXIT_OK
  end
  return code, why
end

return ask
