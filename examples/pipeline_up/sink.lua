-- sink: keeps each result once, in the file config.file, and confirms what is there.
--
--   Result  { number = integer, result = integer }   a line for the file, unless the number is
--             there; sends Stored { number } to config.source
--   End     {}                                        replies Ended, and ends
actor.message("Result", { number = "integer", result = "integer" })
local Stored = actor.message("Stored", { number = "integer" })

local REPORT_EACH = 10

local Sink = {}

-- The text of the file without a last line that is cut, from which it is freed.
local function recover(path)
  local file <close> = io.open(path)
  local text = file and file:read("a") or ""
  local whole = text:gsub("[^\n]+$", "")
  if whole ~= text then
    local copy <close> = assert(io.open(path .. ".new", "w"))
    assert(copy:write(whole) and copy:flush())
    assert(os.rename(path .. ".new", path))
  end
  return whole
end

function Sink:on_start()
  self.known, self.count = {}, 0
  for number in recover(self.config.file):gmatch("(%d+) %d+\n") do
    self.known[math.tointeger(tonumber(number))] = true
    self.count = self.count + 1
  end
  self.file = assert(io.open(self.config.file, "a"))
  self.file:setvbuf("line") -- a whole line is handed to the system at a time
  if self.count > 0 then print(self.count .. " are there from before") end
end

function Sink:on_result(msg)
  if not self.known[msg.number] then
    assert(self.file:write(msg.number, " ", msg.result, "\n"))
    self.known[msg.number] = true
    self.count = self.count + 1
    if self.count % REPORT_EACH == 0 then print(self.count .. " are stored") end
  end
  self.config.source:try_send(Stored{ number = msg.number })
end

function Sink:on_end(_, env)
  env:reply("Ended")
  actor.exit()
end

function Sink:on_shutdown()
  self.file:close()
end

return Sink
