--- The limits of a host, as options of the command line.
---
--- ```lua
--- limits.add_options(parser)            -- --actors, --children, ... --shutdown
--- port.run { limits = limits.fields(parser:parse(arguments)), ... }
--- ```
local units = require "troupe.cli.units"

local limits = {}

-- Name, what it means, its argument and converter.
local OPTIONS = {
  { "actors", "Actors at once. (default: 1000000)", "N", units.count(16000000) },
  { "children", "Children of one actor at once, unless it says otherwise. (default: 100000)", "N",
    units.count(16000000) },
  { "timers", "Timers at once. (default: 1000000)", "N", units.count(100000000) },
  { "dead-letters", "Undeliverable messages that are kept. (default: 1000)", "N", units.count(10000000) },
  { "peers", "Other hosts that are spoken to at once. (default: 256)", "N", units.count(800) },
  { "memory-total", "What all actors may use before no more are made."
                    .. " (default: three quarters of the machine's)", "SIZE", units.bytes },
  { "frame", "The largest message to or from elsewhere. (default: 1MiB)", "SIZE", units.bytes },
  { "depth", "Tables in tables in one of these, 1 to 64. (default: 64)", "N", units.count(64) },
  { "shutdown", "How long a shutdown may take. (default: 5s)", "DURATION", units.milliseconds },
}

function limits.add_options(parser)
  for _, option in ipairs(OPTIONS) do
    parser:option("--" .. option[1], option[2]):argname(option[3]):convert(option[4])
  end
end

--- Those that were given, under the names that the port knows.
---@param options table  what the parser has read
---@return table<string, integer>
function limits.fields(options)
  local fields = {}
  for _, option in ipairs(OPTIONS) do
    local name = option[1]:gsub("-", "_")
    fields[name] = options[name]
  end
  return fields
end

return limits
