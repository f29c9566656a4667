--- Figures and states as people read them, short. Pure.
---
--- ```lua
--- figures.duration(0.00035)   --> "350 µs"
--- figures.bytes(1536)         --> "1.5 KiB"
--- figures.count(1234567)      --> "1.23M"
--- figures.state(row)          --> "waits for an answer from b 1.2 s"
--- ```
local json = require "troupe.json"

local figures = {}

--- nil for what is null, or not there.
function figures.known(value)
  if value == json.null then
    return nil
  end
  return value
end
local known = figures.known

--- Three digits that count, of a number from 0 to 999.
local function short(number)
  return (number < 10 and "%.2f" or number < 100 and "%.1f" or "%.0f"):format(number)
end

--- Seconds: "350 µs", "1.2 s", "3m 20s", "5h 12m"; "-" for what is not known.
---@param seconds number?
---@return string
function figures.duration(seconds)
  seconds = known(seconds)
  if not seconds then
    return "-"
  end
  if seconds < 0.9995e-6 then
    return ("%.0f ns"):format(seconds * 1e9)
  elseif seconds < 0.9995e-3 then
    return short(seconds * 1e6) .. " µs"
  elseif seconds < 0.9995 then
    return short(seconds * 1e3) .. " ms"
  elseif seconds < 59.95 then
    return ("%.1f s"):format(seconds)
  end
  local whole = math.floor(seconds + 0.5)
  if whole < 3600 then
    return ("%dm %02ds"):format(whole // 60, whole % 60)
  elseif whole < 86400 then
    return ("%dh %02dm"):format(whole // 3600, whole % 3600 // 60)
  end
  return ("%dd %02dh"):format(whole // 86400, whole % 86400 // 3600)
end

local function scaled(number, step, names)
  local at = 1
  while number >= step * 0.9995 and at < #names do
    number, at = number / step, at + 1
  end
  return number, names[at]
end

---@param bytes integer
---@return string
function figures.bytes(bytes)
  local number, unit = scaled(bytes, 1024, { "B", "KiB", "MiB", "GiB", "TiB" })
  return (unit == "B" and "%d %s" or number < 99.95 and "%.1f %s" or "%.0f %s"):format(number, unit)
end

---@param count number
---@return string
function figures.count(count)
  if count < 100000 then
    return ("%.0f"):format(count)
  end
  local number, unit = scaled(count, 1000, { "", "k", "M", "G", "T" })
  return short(number) .. unit
end

--- Messages a second: "0.5", "12", "1.23M".
function figures.rate(rate)
  if rate > 0 and rate < 9.95 then
    return ("%.1f"):format(rate)
  end
  return figures.count(rate)
end

--- All messages that are in its mailbox, in whichever lane.
---@param row table  an actor of the command "ps"
---@return integer
function figures.in_mailbox(row)
  return row.queued + row.reserved + row.notices + row.control
end

--- "on_market_depth", for people: scripts may write it without the underscores.
---@param message_type string
---@return string
function figures.handler(message_type)
  local words = message_type:gsub("(%l)(%u)", "%1_%2"):gsub("(%u)(%u%l)", "%1_%2")
  return "on_" .. words:lower()
end

local WAITS = {
  answer = function(row)
    local target = known(row.target)
    return target and "waits for an answer from " .. target or "waits for an answer"
  end,
  answers = function() return "waits for answers" end,
  room = function(row)
    local target = known(row.target)
    return target and "waits for room in " .. target or "waits for room"
  end,
  message = function(row)
    local about = known(row.about)
    return about and "waits for " .. about or "waits for a message"
  end,
  time = function() return "sleeps" end,
  name = function(row)
    local target = known(row.target)
    return target and "waits for the name " .. target or "waits for a name"
  end,
}

--- What an actor does, and for how long it has: "running on_ping 1.2 s".
---@param row table  an actor of the command "ps"
---@return string
function figures.state(row)
  local handling, words = known(row.handling), row.state
  if row.state == "running" and handling then
    words = "running " .. figures.handler(handling)
  elseif row.state == "preempted" and handling then
    words = "preempted in " .. figures.handler(handling)
  elseif row.state == "waiting" then
    local waits = WAITS[known(row.waits) or ""]
    words = waits and waits(row) or "waits"
  elseif row.state == "held" then
    words = "held for a reload"
  end
  local seconds = known(row["for"])
  return seconds and ("%s %s"):format(words, figures.duration(seconds)) or words
end

--- Which version of its script: "#2", what the script says of itself, and how many
--- attempts to replace it have failed.
---@param row table
---@return string
function figures.version(row)
  local number, version, failed = known(row.number), known(row.version), known(row.failed) or 0
  if not number then
    return "-"
  end
  return ("#%d%s%s"):format(number, version and " v" .. version or "",
                            failed > 0 and (" (%d failed)"):format(failed) or "")
end

return figures
