--- What `troupe send` and `troupe ask` have in common.
local fields = require "troupe.cli.fields"
local units = require "troupe.cli.units"

local REPEAT_MAX = 1000000000

local talk = {}

function talk.define(command)
  command:argument("ref", "Whom: pong@:5001, pong@10.0.0.5:5001, pong@tcp://10.0.0.5:5001.")
  command:argument("type", "The message's type, such as Ping.")
  command:argument("field", "key=text, key:=JSON, @FILE (a JSON object), - (one from standard input);"
                   .. " what comes later overrides."):args "*"
  command:option("--repeat", "Do it so many times, one after the other; ends at the first failure."
                 .. " (default: 1)")
    :argname "N":target "times":default "1":show_default(false):convert(units.count(REPEAT_MAX))
end

function talk.add_timeout(command, what)
  command:option("--timeout", what .. ": 250ms, 2s, 1m. (default: 5s)")
    :argname "DURATION":default "5s":show_default(false):convert(units.milliseconds)
end

--- An actor's address with its host, in full.
---@param ref string
---@return string? address, string? why
function talk.address(ref)
  local name, place = ref:match("^(.+)@([^@]*)$")
  if name and (place:find("://", 1, true) or place:find("^:%d+$") or place:find("^flat:")) then
    return ref
  end
  if name and place:find("^[^/]+:%d+$") then
    return name .. "@tcp://" .. place
  end
  return nil, ("which host? give %s@HOST:PORT, such as %s@:5001"):format(name or ref, name or ref)
end

--- What the port is to be given, from the command's options.
---@return table? message, string? why
function talk.message(options)
  local to, why = talk.address(options.ref)
  if not to then
    return nil, why
  end
  local text
  text, why = fields.message(options.field)
  if not text then
    return nil, why
  end
  return { to = to, type = options.type, json = text, timeout_ms = options.timeout }
end

return talk
