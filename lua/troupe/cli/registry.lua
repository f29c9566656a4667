--- `troupe registry`: runs the shipped actor that tells hosts where actors are.
local port = require "troupe.port"
local security = require "troupe.cli.security"

local DEFAULT_ENDPOINT = "tcp://127.0.0.1:5555" -- the family's port, open to this machine

local registry = {}

function registry.define(command)
  command:summary "Serve the family's registry: which actor is at which endpoint."
  command:usage "Usage: troupe registry [--endpoint ENDPOINT] [options]"
  command:description("Answers the family's flat JSON over REQ/REP: hosts register their actors,\n"
                      .. "others look them up. A host that is silent for 6 s is offline, and its\n"
                      .. "actors with it, until it is heard again.")
  command:epilog("In a script: actor.registry(\":5555\"). From here, too:\n"
                 .. "   troupe registry\n"
                 .. "   troupe registry --endpoint :6000\n"
                 .. "   troupe ask registry@flat::5555 LookupActor actor_name=pong")
  command:option("--endpoint", "Where to listen: ':6000' is tcp://127.0.0.1:6000, port 0 any free one."
                 .. " (default: " .. DEFAULT_ENDPOINT .. ")")
    :argname "ENDPOINT":default(DEFAULT_ENDPOINT):show_default(false)
  security.add_options(command)
end

function registry.run(options)
  return port.run(security.fields(options, {
    scripts = { { path = port.share .. "/actors/registry.lua", name = "registry" } },
    arguments = options.arguments,
    flat = options.endpoint,
    flat_actor = "registry",
  }))
end

return registry
