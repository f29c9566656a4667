--- Files as commands write them, and paths as a shell reads them.
---
--- ```lua
--- local written, why = files.write("market.mmd", text)   --> nil, "market.mmd: No space left on device"
--- os.execute("dot -Tsvg <" .. files.quote(path))
--- ```
local tools = require "troupe.tools"

local files = {}

--- A word in quotes, for a shell to read as it is.
---@param word string
---@return string
function files.quote(word)
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

--- Whether anything can be read there.
---@param path string
---@return boolean
function files.is_there(path)
  local file <close> = io.open(path, "rb")
  return file ~= nil
end

--- Writes a text to where the path leads, over what is there.
---@param path string
---@param text string
---@return true?, string? why  which names the path
function files.write(path, text)
  local file, why = io.open(path, "wb")
  if not file then
    return nil, why
  end
  local written, write_why = file:write(text)
  local closed, close_why = file:close()
  if written and closed then
    return true
  end
  return nil, ("%s: %s"):format(path, write_why or close_why)
end

--- Writes a file as a whole, or leaves what was there. What is no file, as /dev/null, stays what it is.
---@param path string
---@param text string
---@return true?, string? why  which names the path
function files.replace(path, text)
  if os.execute(("test -e %s && test ! -f %s"):format(files.quote(path), files.quote(path))) then
    return files.write(path, text)
  end
  path = tools.real_path(path) or path -- where a link leads
  local temporary = ("%s.%08x.tmp"):format(path, math.random(0, 0xFFFFFFFF))
  local written, why = files.write(temporary, text)
  if written then
    written, why = os.rename(temporary, path)
  end
  if not written then
    os.remove(temporary)
    return nil, ("%s: it cannot be written: %s"):format(path, why:gsub("^.*: ", ""))
  end
  return true
end

return files
