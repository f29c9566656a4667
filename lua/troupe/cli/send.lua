--- `troupe send REF TYPE [field...]`: prints nothing, and returns once the
--- message was handed to the network.
local port = require "troupe.port"
local talk = require "troupe.cli.talk"

local EXIT_OK, EXIT_USAGE = 0, 2

local send = {}

function send.define(command)
  command:summary "Send a message to an actor of a running host."
  command:description("Sends a message and returns once it was handed to the network. Prints nothing:\n"
                      .. "whether the actor exists, only 'troupe ask' can tell.")
  command:epilog("Examples:\n"
                 .. "   troupe send counter@:5001 Add n:=3\n"
                 .. "   troupe send log@:5001 Line text='two words' --repeat 10\n"
                 .. "   echo '{\"n\": 3}' | troupe send counter@:5001 Add -")
  talk.define(command)
  talk.add_timeout(command, "How long to try to reach the host")
end

function send.run(options)
  local message, why = talk.message(options)
  if not message then
    return EXIT_USAGE, why
  end
  for _ = 1, options.times do
    local code
    code, why = port.send(message)
    if code ~= EXIT_OK then
      return code, why
    end
  end
  return EXIT_OK
end

return send
