--- A file that lines are appended to, and that is put aside when it is large: `app.log`
--- becomes `app.log.1`, that one `app.log.2`, and so on. What cannot be written is kept, as
--- far as there is room, and tried again; what there is no room for is counted.
---
--- ```lua
--- local file = LogFile.new { path = "app.log", size = 10 << 20, keep = 5, buffer = 1 << 20 }
--- file:add("a line")
--- local written, why = file:flush()
--- ```
---
--- The file is opened for each flush and closed after it. So it may be moved or removed by
--- others at any time, and nothing is written to where nobody will find it; and
--- what was flushed is the system's, whatever becomes of the process.
---@class troupe.LogFile
---@field waiting integer  bytes that are not written yet
---@field lost integer     lines that there was no room for, and that the file does not tell of yet
local LogFile = {}
LogFile.__index = LogFile

local LOT = 64 * 1024 -- bytes that are written at once

---@param options { path: string, size: integer, keep: integer, buffer: integer }  size: bytes, 0: however
---  large; keep: files that were put aside; buffer: bytes that may wait
---@return troupe.LogFile
function LogFile.new(options)
  return setmetatable({ options = options, lines = {}, first = 1, last = 0, waiting = 0, lost = 0 }, LogFile)
end

--- Whether there is room for it.
---@param line string
---@return boolean
function LogFile:fits(line)
  return self.waiting + #line + 1 <= self.options.buffer
end

--- Takes a line (without its end) to be written.
---@param line string
---@return boolean taken  false: there was no room, and it is counted
function LogFile:add(line)
  if not self:fits(line) then
    self.lost = self.lost + 1
    return false
  end
  self.last = self.last + 1
  self.lines[self.last] = line .. "\n"
  self.waiting = self.waiting + #line + 1
  return true
end

-- The first lines, as many as go into one lot and into what is left of the file; at least one.
local function next_lot(self, room)
  local count, bytes = 0, 0
  for i = self.first, self.last do
    local size = #self.lines[i]
    if count > 0 and (bytes + size > LOT or bytes + size > room) then break end
    count, bytes = count + 1, bytes + size
  end
  return table.concat(self.lines, "", self.first, self.first + count - 1)
end

-- So many bytes of the first lines are in the file. What is left of a line stays.
local function drop(self, bytes)
  self.waiting = self.waiting - bytes
  while bytes > 0 do
    local line = self.lines[self.first]
    if bytes < #line then
      self.lines[self.first] = line:sub(bytes + 1)
      return
    end
    bytes = bytes - #line
    self.lines[self.first] = nil
    self.first = self.first + 1
  end
end

-- Puts the file aside. What cannot be moved stays where it is.
local function rotate(self)
  local path, keep = self.options.path, self.options.keep
  if keep == 0 then return os.remove(path) end
  os.remove(("%s.%d"):format(path, keep))
  for i = keep - 1, 1, -1 do os.rename(("%s.%d"):format(path, i), ("%s.%d"):format(path, i + 1)) end
  return os.rename(path, path .. ".1")
end

-- Appends one lot; true, or nil and why not.
local function write_lot(self, file, size, limit)
  local text = next_lot(self, limit - size)
  local written, why = file:write(text)
  if written then
    drop(self, #text)
    return size + #text
  end
  local now = file:seek("end") -- some of it may be there
  drop(self, math.min(math.max((now or size) - size, 0), #text))
  return nil, why
end

local function open(path)
  local file, why = io.open(path, "ab")
  if not file then return nil, why end
  file:setvbuf("no")
  local size = file:seek("end")
  return file, size or 0
end

-- Appends to the file as it is now, up to its limit; true, or nil and why not.
local function append(self, limit)
  local file, size = open(self.options.path)
  if not file then return nil, size end
  local why
  while self.first <= self.last and not why do
    if size > 0 and size + #self.lines[self.first] > limit then break end
    size, why = write_lot(self, file, size, limit)
  end
  local closed, problem = file:close()
  if why or not closed then return nil, why or problem end
  return true
end

--- Writes what waits. What could not be written still waits.
---@return true? written
---@return string? why  also if all was written, but to a file that cannot be put aside
function LogFile:flush()
  local limit = self.options.size > 0 and self.options.size or math.huge
  if self.first <= self.last then self.unmoved = nil end
  while self.first <= self.last do
    local appended, why = append(self, self.unmoved and math.huge or limit)
    if not appended then return nil, why end
    if self.first <= self.last then
      local moved, problem = rotate(self)
      self.unmoved = not moved and "it cannot be put aside: " .. problem or nil
    end
  end
  self.lines, self.first, self.last = {}, 1, 0
  if self.unmoved then return nil, self.unmoved end
  return true
end

return LogFile
