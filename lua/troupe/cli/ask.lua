--- `troupe ask REF TYPE [field...]`: asks an actor and prints its answer.
local json = require "troupe.json"
local port = require "troupe.port"
local talk = require "troupe.cli.talk"

local EXIT_OK, EXIT_USAGE = 0, 2

local ask = {}

function ask.define(command)
  command:summary "Ask an actor of a running host, print its answer."
  command:description "Asks an actor and prints the type and the fields of its answer on one line."
  command:epilog("Exit codes: 3 no answer in time, 4 rejected (the reason is on stderr), 5 nobody\n"
                 .. "answers there.\n\n"
                 .. "Examples:\n"
                 .. "   troupe ask pong@:5001 Ping count:=1\n"
                 .. "   troupe ask pong@10.0.0.5:5001 Ping @ping.json --timeout 500ms --json")
  talk.define(command)
  talk.add_timeout(command, "How long to wait for an answer")
  command:flag("--json", "Print {\"v\": 1, \"type\": ..., \"message\": {...}}, one object a line.")
end

--- Escapes U+0080 to U+009F, which JSON leaves alone and terminals obey.
local function escape_controls(text)
  return (text:gsub("\xC2([\x80-\x9F])", function(byte)
    return ("\\u%04x"):format(byte:byte())
  end))
end

function ask.run(options)
  local message, why = talk.message(options)
  if not message then
    return EXIT_USAGE, why
  end
  for _ = 1, options.times do
    local code, answer, payload = port.ask(message)
    if code ~= EXIT_OK then
      return code, answer
    end
    payload = escape_controls(payload)
    if options.json then
      print(('{"v": 1, "type": %s, "message": %s}'):format(json.encode(answer), payload))
    else
      print(answer .. " " .. payload)
    end
  end
  return EXIT_OK
end

return ask
