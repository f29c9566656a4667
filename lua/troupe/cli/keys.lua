--- `troupe keys new [FILE]`: makes a CURVE key.
local port = require "troupe.port"

local keys = {}

function keys.define(command)
  command:summary "Make a CURVE key."
  command:usage "Usage: troupe keys new [FILE]"
  command:description("Makes a key pair in a new file that only you can read, and prints the public key:\n"
                      .. "the line that others put into their --curve-peers file.")
  command:epilog("Example:\n"
                 .. "   troupe keys new pong.key >> peers.txt")
  command:argument("action", "new"):choices { "new" }
  command:argument("file", "Where the pair is kept. (default: troupe.key)")
    :args "?":default "troupe.key":show_default(false)
end

function keys.run(options)
  local code, result = port.make_key(options.file)
  if code ~= 0 then
    return code, result
  end
  print(result)
  return code
end

return keys
