--- `troupe send REF TYPE [field...]`: prints nothing, and returns once the
--- message was handed to the network.
local port = require "troupe.port"
local security = require "troupe.cli.security"
local talk = require "troupe.cli.talk"

local send = {}

function send.define(command)
  command:summary "Send a message to an actor of a running host."
  command:description("Sends a message and returns once it was handed to the network, or for an actor of this"
                      .. " machine to its mailbox. Prints nothing: whether an actor elsewhere exists, only"
                      .. " 'troupe ask' can tell. All messages of one run take one connection, in order.")
  command:epilog(talk.SERIES_HELP .. "\n\n"
                 .. "Exit codes: 1 no such actor, 2 several are called so, 3 the host takes too slowly, 5 nobody"
                 .. " answers there.\n\n"
                 .. "Examples:\n"
                 .. "   troupe send counter Add n:=3\n"
                 .. "   troupe send counter@:5001 Add n:=3\n"
                 .. "   troupe send log@:5001 Line text='line {{n}}' --repeat 10 --every 100ms\n"
                 .. "   tail -f ticks.ndjson | troupe send book@:5001 Tick venue=X -\n"
                 .. "   troupe listen :5001 | troupe send other@:5002 -")
  talk.define(command)
  security.add_key_options(command)
  talk.add_timeout(command, "How long to try to reach the host")
end

function send.run(options)
  return talk.each(options, function(message, connection)
    if not connection then
      return port.send(message)
    end
    local _, code, why = connection:ask_one { ["do"] = "send", name = message.to, type = message.type,
                                              json = message.json }
    return code, why
  end)
end

return send
