-- logger: writes what it is sent to a file, a line each, and puts the file aside when it is large.
--
--   Log    { text = string, level = string?, fields = table? }   level: "debug", "info" (default),
--          "warn" or "error"; asked, it replies Logged { taken = boolean } (not yet: written)
--   Line, LineEnd   of a stream that was handed to it: a line with level "info"
--   Flush  {}   writes what waits; replies Flushed {}, or fails: it cannot be written now
--   Stats  {}   replies Stats { lines, written, waiting, lost, problem? }: lines taken; bytes
--               written, and that wait; lines there was no room for; what is wrong with the file now
--
-- A line is  2026-03-01T12:00:00.069Z warn  shop  order refused {id=7}  with the time (UTC) at which
-- it came here and who sent it; or with format = "json" an object with time, level, from, text, fields. A
-- line never has a line's end inside: what is no printable character is written \n, \x1b and so on.
--
-- Lines are written `flush` after the first that waits; at once when one is an "error", when half of
-- the buffer is full, and at the end. When the file cannot be written (the disk is full, the folder
-- is gone) that is said once in the host's log, and it is tried again each `flush`; lines are kept as
-- far as there is room in the buffer, the others counted. When it works again the host's log and
-- the file itself say how many were lost.
--
-- Config: path (needed), size = "10MiB" (then it is put aside as path.1, that as path.2 ...; 0:
-- never), keep = 5 (files that were put aside), flush = "1s", buffer = "1MiB" (bytes that may wait),
-- level = "debug" (what is below is left out), format = "text".
local config = require "troupe.config"
local LogFile = require "troupe.log_file"

local Logger = { version = 1, thread = "own", mailbox = { limit = 10000 } }

local LEVELS = { debug = 1, info = 2, warn = 3, error = 4 }
local WORDS = { "debug", "info", "warn", "error" }

local FIELDS = {
  path = { kind = "text", needed = true },
  size = { kind = "bytes", default = "10MiB" },
  keep = { kind = "count", default = 5, least = 0, most = 1000 },
  flush = { kind = "duration", default = "1s", above = 0, most = 3600 },
  buffer = { kind = "bytes", default = "1MiB", least = 1024, most = 128 << 20 },
  level = { kind = "word", words = WORDS, default = "debug" },
  format = { kind = "word", words = { "text", "json" }, default = "text" },
}

actor.message("Log", { text = "string", level = "string?", fields = "table?" })

function Logger:on_start()
  self.settings = config.read(self.config, FIELDS)
  self.file = LogFile.new(self.settings)
  self.taken, self.lost, self.written = 0, 0, 0
  self.problem = nil -- why the file cannot be written, since it could not
  self.timer = nil
  self.timer_id = actor.next_timer_id()
end

------------------------------------------------------------- the lines ----

local function escape(char)
  if char == "\n" then return "\\n" end
  if char == "\t" then return "\\t" end
  return ("\\x%02x"):format(char:byte())
end

local function clean(text)
  return (text:gsub("[%c\127]", escape))
end

local function time_text()
  local now = actor.time()
  local seconds = math.floor(now)
  return ("%s.%03dZ"):format(os.date("!%Y-%m-%dT%H:%M:%S", seconds), math.floor((now - seconds) * 1000))
end

local function shown(value)
  if type(value) ~= "string" then return type(value) == "table" and json.encode(value) or tostring(value) end
  if value:find("^[%w_.:/@+-]+$") then return value end
  return json.encode(value)
end

local function text_of(fields)
  local names, parts = {}, {}
  for name in pairs(fields) do table.insert(names, name) end
  table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
  for _, name in ipairs(names) do table.insert(parts, ("%s=%s"):format(name, shown(fields[name]))) end
  return #parts > 0 and (" {%s}"):format(table.concat(parts, " ")) or ""
end

local function line_of(self, level, from, text, fields)
  if self.settings.format == "json" then
    local entry = { time = time_text(), level = level, from = from, text = text, fields = fields }
    local fine, line = pcall(json.encode, entry)
    if fine then return line end
    entry.text, entry.fields = text:gsub("[^ -~]", escape), nil -- bytes that are no text
    fine, line = pcall(json.encode, entry)
    return fine and line or json.encode { time = entry.time, level = level, from = from, text = "(no text)" }
  end
  local shown_fields = ""
  if fields then
    local fine, list = pcall(text_of, fields)
    shown_fields = fine and list or " {(no text)}"
  end
  return clean(("%s %-5s %s  %s%s"):format(time_text(), level, from, text, shown_fields))
end

-------------------------------------------------------------- the file ----

local function flush_later(self)
  if not self.timer then self.timer = actor.after(self.settings.flush, self.timer_id) end
end

-- The file can be written again: says what was lost meanwhile, here and there.
local function recover(self)
  local lost = self.file.lost
  self.file.lost = 0
  if self.problem then log.info("the file can be written again", { path = self.settings.path, lost = lost }) end
  self.problem = nil
  if lost == 0 then return end
  self.file:add(line_of(self, "warn", actor.name, ("%d line%s lost: there was no room for more"):format(
    lost, lost == 1 and " was" or "s were")))
  flush_later(self)
end

local function flush(self)
  local before = self.file.waiting
  local done, why = self.file:flush()
  self.written = self.written + before - self.file.waiting
  if done then
    if self.problem or self.file.lost > 0 then recover(self) end
    return true
  end
  if not self.problem then
    log.error("the file cannot be written: lines are kept as far as there is room",
              { path = self.settings.path, why = why })
  end
  self.problem = why
  flush_later(self)
  return nil, why
end

local function write(self, level, from, text, fields)
  if LEVELS[level] < LEVELS[self.settings.level] then return true end
  local line = line_of(self, level, from, text, fields)
  if not self.problem and not self.file:fits(line) then flush(self) end
  local taken = self.file:add(line)
  if taken then self.taken = self.taken + 1 else self.lost = self.lost + 1 end
  if not self.problem and (level == "error" or self.file.waiting > self.settings.buffer // 2) then
    flush(self)
  else
    flush_later(self)
  end
  return taken
end

function Logger:on_log(msg, env)
  local level = msg.level or "info"
  if not LEVELS[level] then
    local _, wrong = config.value(level, FIELDS.level)
    return env:discard("Bad field 'level' in Log: " .. wrong)
  end
  local taken = write(self, level, tostring(env.from or "nobody"), msg.text, msg.fields)
  if env.asked then env:reply("Logged", { taken = taken }) end
end

function Logger:on_line(msg)
  write(self, "info", tostring(msg.stream), tostring(msg.text))
end

function Logger:on_line_end(msg)
  write(self, "info", tostring(msg.stream), "the stream has ended: " .. tostring(msg.reason))
end

function Logger:on_timeout(msg)
  if msg.id ~= self.timer_id then return end
  self.timer = nil
  flush(self)
end

function Logger:on_flush(_, env)
  local done, why = flush(self)
  if done then env:reply("Flushed") else env:fail(("%s: %s"):format(self.settings.path, why)) end
end

function Logger:on_stats(_, env)
  env:reply("Stats", { lines = self.taken, written = self.written, waiting = self.file.waiting,
                       lost = self.lost, problem = self.problem })
end

function Logger:on_shutdown()
  flush(self)
  flush(self) -- the line that says what was lost
  if self.file.waiting > 0 then
    log.error("lines were not written", { path = self.settings.path, bytes = self.file.waiting, why = self.problem })
  end
end

return Logger
