--- How the commands print: whole lines at once, JSON that no terminal obeys, and
--- colour only where somebody looks.
local json = require "troupe.json"
local tools = require "troupe.tools"

local STDOUT, STDERR = 1, 2

local show = { STDOUT = STDOUT, STDERR = STDERR }

--- What others said must not command the terminal, nor forge a line.
function show.printable(text)
  return (text:gsub("[\0-\31\127]", function(byte)
    return byte == "\n" and "\\n" or ("\\x%02x"):format(byte:byte())
  end):gsub("\xC2([\x80-\x9F])", function(byte)
    return ("\\x%02x"):format(byte:byte())
  end))
end

--- JSON text with U+0080 to U+009F escaped, which it leaves alone and terminals obey.
function show.json_text(text)
  return (text:gsub("\xC2([\x80-\x9F])", function(byte)
    return ("\\u%04x"):format(byte:byte())
  end))
end

-- Bytes that are no UTF-8, as names of files may have them, as \xNN: JSON has none.
local function valid(text)
  local parts, at = {}, 1
  while true do
    local length, wrong = utf8.len(text, at)
    if length then break end
    table.insert(parts, ("%s\\x%02x"):format(text:sub(at, wrong - 1), text:byte(wrong)))
    at = wrong + 1
  end
  return table.concat(parts) .. text:sub(at)
end

--- A string, or nil, as JSON.
function show.json_string(text)
  return text and show.json_text(json.encode(valid(text))) or "null"
end

--- Prints a line and hands it over at once. False: nobody reads it any more, or
--- the disk is full, which is said when the program ends.
---@param text string
---@return boolean written
function show.line(text)
  return (io.stdout:write(text, "\n") and io.stdout:flush()) ~= nil
end

--- Says something on standard error.
function show.note(text)
  io.stderr:write(text, "\n")
end

--- Says why something did not go well, where the command goes on.
---@param why string
function show.failure(why)
  show.note("troupe: " .. show.printable(why))
end

function show.is_terminal(descriptor)
  return tools.is_terminal(descriptor)
end

--- How many cells a line on the output has room for.
function show.room()
  return tools.is_terminal(STDOUT) and tools.terminal_size() or math.huge
end

local COLOURS = { red = "31", green = "32", yellow = "33", blue = "34", magenta = "35", cyan = "36", dim = "2", bold = "1" }

--- What colours texts for this stream, or leaves them as they are.
---@param descriptor integer
---@return fun(colour: string, text: string): string
function show.painter(descriptor)
  local plain = (os.getenv("NO_COLOR") or "") ~= "" or os.getenv("TERM") == "dumb"
  if plain or not tools.is_terminal(descriptor) then
    return function(_, text) return text end
  end
  return function(colour, text)
    return ("\27[%sm%s\27[0m"):format(COLOURS[colour], text)
  end
end

--- 1234567 as "1,234,567".
function show.count(number)
  local text = ("%d"):format(number)
  local grouped
  repeat
    grouped, text = text, text:gsub("^(%-?%d+)(%d%d%d)", "%1,%2")
  until grouped == text
  return text
end

return show
