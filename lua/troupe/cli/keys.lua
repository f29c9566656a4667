--- `troupe keys new [FILE]`: makes a CURVE key.
local port = require "troupe.port"

local DEFAULT_FILE = "troupe.key"

local keys = {}

function keys.define(command)
  command:summary "Make a CURVE key."
  command:usage "Usage: troupe keys new [FILE]"
  command:description("Makes a key pair in a new file that only you can read, and prints the public\n"
                      .. "key, which others put into their --curve-peers file.")
  command:epilog("Example:\n"
                 .. "   troupe keys new pong.key >> peers.txt")
  command:argument("action", "What to do."):choices { "new" }
  command:argument("file", "Where the pair is kept. (default: " .. DEFAULT_FILE .. ")"):args "?"
end

function keys.run(options)
  local code, result = port.make_key(options.file or DEFAULT_FILE)
  if code ~= 0 then
    return code, result
  end
  print(result)
  return code
end

return keys
