--- `troupe ask REF TYPE [field...]`: asks an actor and prints its answer.
local port = require "troupe.port"
local security = require "troupe.cli.security"
local show = require "troupe.cli.show"
local talk = require "troupe.cli.talk"

local EXIT_OK = 0

local ask = {}

function ask.define(command)
  command:summary "Ask an actor of a running host, print its answer."
  command:description("Asks an actor and prints the type and the fields of its answer on one line."
                      .. " Of many questions each waits for the answer to the one before.")
  command:epilog(talk.SERIES_HELP .. "\n\n"
                 .. "Exit codes: 3 no answer in time, 4 rejected (the reason is on stderr), 5 nobody"
                 .. " answers there ('troupe doctor' says more).\n\n"
                 .. "Examples:\n"
                 .. "   troupe ask pong@:5001 Ping count:=1\n"
                 .. "   troupe ask pong@10.0.0.5:5001 Ping @ping.json --timeout 500ms --json\n"
                 .. "   troupe ask pong@:5001 Ping 'count:={{n}}' --every 1s")
  talk.define(command)
  security.add_key_options(command)
  talk.add_timeout(command, "How long to wait for an answer")
  command:flag("--json", "Print {\"v\": 1, \"type\": ..., \"message\": {...}}, one object a line.")
end

function ask.run(options)
  local read_by_nobody = false
  local code, why = talk.each(options, function(message)
    local code, answer, payload = port.ask(message)
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
