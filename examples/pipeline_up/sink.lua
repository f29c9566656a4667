-- sink: keeps each result once, in the file config.file, and confirms what is there.
--
--   Result  { number = integer, result = integer }   a line for the file, unless the number is
--             there; sends Stored { number } to config.source
--   End     {}                                        replies Ended, and ends
actor.message("Result", { number = "integer", result = "integer" })
local Stored = actor.message("Stored", { number = "integer" })

local REPORT_EACH = 10

local Sink = {}

-- The numbers in the file. Its last line may be a part of one.
local function read(path)
  local known, count = {}, 0
  local file <close> = io.open(path)
  local text = file and file:read("a") or ""
  for number in text:gmatch("(%d+) %d+\n") do
    number = math.tointeger(number)
    if not known[number] then count = count + 1 end
    known[number] = true
  end
  return known, count, text:find("[^\n]$") ~= nil
end

function Sink:on_start()
  local cut
  self.known, self.count, cut = read(self.config.file)
  self.file = assert(io.open(self.config.file, "a"))
  self.file:setvbuf("line") -- a whole line, or nothing, is handed to the system
  if cut then self.file:write("\n") end
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
