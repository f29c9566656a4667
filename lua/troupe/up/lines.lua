--- What `troupe up` writes: the lines of its nodes, each with the name of its node in
--- front, and its own.
---
--- ```lua
--- local lines = Lines.new(family, { "feed", "risk" }, false)
--- lines:of_node("feed", "out", "a tick")    --> feed     | a tick
--- lines:say("feed is ready")                --> up       | feed is ready
--- ```
---
--- What nodes print goes to standard output, what they log and what `up` says to standard
--- error; with `as_json` what goes to standard error is JSON objects, as `troupe run --log
--- json` writes them, with the field "node" (of up's own lines null).
local show = require "troupe.cli.show"

local OWN = "up"
local LEAST_WIDTH = 8
local PALETTE = { "cyan", "magenta", "green", "blue", "yellow" }
local DESCRIPTOR = { out = show.STDOUT, err = show.STDERR }

---@class troupe.up.Lines
---@field private family any         of troupe.processes
---@field private as_json boolean
---@field private width integer      of the column of names
---@field private count integer      of names that have a colour
---@field private colours table<string, string>
---@field private prefixes table<string, table<string, string>>  by stream and name, once made
local Lines = {}
Lines.__index = Lines

---@param family any       of troupe.processes
---@param names string[]   of the nodes
---@param as_json boolean
---@return troupe.up.Lines
function Lines.new(family, names, as_json)
  local lines = setmetatable({
    family = family, as_json = as_json, width = LEAST_WIDTH, count = 0, colours = { [OWN] = "dim" },
    paint = { out = show.painter(DESCRIPTOR.out), err = show.painter(DESCRIPTOR.err) },
  }, Lines)
  lines:add(names)
  return lines
end

--- There are nodes of these names, too.
---@param names string[]
function Lines:add(names)
  for _, name in ipairs(names) do
    self.width = math.max(self.width, #name)
    if not self.colours[name] then
      self.colours[name] = PALETTE[self.count % #PALETTE + 1]
      self.count = self.count + 1
    end
  end
  self.prefixes = { out = {}, err = {} }
end

function Lines:prefix(name, stream)
  local known = self.prefixes[stream]
  if not known[name] then
    local padding = (" "):rep(self.width - #name)
    known[name] = self.paint[stream](self.colours[name] or "dim", name .. padding .. " |") .. " "
  end
  return known[name]
end

--- A line that a node has written.
---@param name string
---@param stream "out"|"err"
---@param text string
function Lines:of_node(name, stream, text)
  if self.as_json and stream == "err" then
    local rest = text:match("^{\"v\": 1, (.*)$")
    self.family:write("err", rest and ('{"v": 1, "node": %s, %s\n'):format(show.json_string(name), rest)
      or self:object(name, "info", text))
    return
  end
  self.family:write(stream, self:prefix(name, stream) .. text .. "\n")
end

-- What was no JSON object as one.
function Lines:object(name, level, text)
  local time = os.date("!%Y-%m-%dT%H:%M:%S.000Z")
  return ('{"v": 1, "node": %s, "time": "%s", "level": "%s", "actor": null, "script": null, "version": null, "text": %s, "fields": {}}\n')
    :format(show.json_string(name), time, level, show.json_string(text))
end

--- A line of up's own, or several.
---@param text string
---@param level? "info"|"warn"|"error"
function Lines:say(text, level)
  for line in (text .. "\n"):gmatch("(.-)\n") do
    self.family:write("err", self.as_json and self:object(nil, level or "info", line)
      or self:prefix(OWN, "err") .. show.printable(line) .. "\n")
  end
end

return Lines
