--- Numbers as people write them on a command line. Pure.
---
--- ```lua
--- units.milliseconds("2s")  --> 2000
--- units.bytes("64MiB")      --> 67108864
--- units.bytes("many")       --> nil, "'many' is no size: ..."
--- ```
local units = {}

local MILLISECONDS = { ms = 1, s = 1000, m = 60 * 1000, h = 60 * 60 * 1000, [""] = 1000 }
local BYTES = { B = 1, KiB = 1 << 10, MiB = 1 << 20, GiB = 1 << 30, [""] = 1 }

--- The number in `text` times its unit, whole and more than 0; or nil.
local function amount(text, table_of_units, most)
  local number, unit = text:match("^(%d+%.?%d*)(%a*)$")
  local factor = table_of_units[unit]
  if not factor then
    return nil
  end
  local value = tonumber(number) * factor
  if value < 1 or value > most then
    return nil
  end
  return math.floor(value)
end

--- A duration: `250ms`, `2s`, `1m`, `1h`, or seconds.
---@param text string
---@return integer? milliseconds, string? why
function units.milliseconds(text)
  local value = amount(text, MILLISECONDS, 1e12)
  if not value then
    return nil, ("'%s' is no duration: write 250ms, 2s, 1m, 1h or a number of seconds"):format(text)
  end
  return value
end

--- A size: `64MiB`, `1GiB`, `512KiB`, or bytes.
---@param text string
---@return integer? bytes, string? why
function units.bytes(text)
  local value = amount(text, BYTES, 1 << 46)
  if not value then
    return nil, ("'%s' is no size: write 512KiB, 64MiB, 1GiB or a number of bytes"):format(text)
  end
  return value
end

--- A whole number from 1 to `most`, as a converter for argparse.
---@param most integer
---@return fun(text: string): integer?, string?
function units.count(most)
  return function(text)
    local value = math.tointeger(tonumber(text))
    if not value or value < 1 or value > most then
      return nil, ("'%s' is no number from 1 to %d"):format(text, most)
    end
    return value
  end
end

return units
