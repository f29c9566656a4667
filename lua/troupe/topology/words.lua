--- Runs the text of a topology file where there is nothing but the words of the language
--- and os.getenv, and notes what is declared. What it means is for others to say.
---
--- ```lua
--- local noted = Words.run('return topology "t" { node "a" {} }', "t.lua")
--- -- noted.result is a value that noted.of knows:
--- -- noted.of[noted.result] = { kind = "topology", name = "t", line = 1, body = { VALUE } }
--- ```
local fence = require "troupe.fence"
local options = require "troupe.options"

-- Strings have no methods inside the fence.
local format, gsub, sub = string.format, string.gsub, string.sub

local Words = {}

-- What a file may use up.
local MEMORY_LIMIT = 32 << 20 -- bytes
local STEP_LIMIT = 5000000    -- of the Lua machine
local SECONDS_LIMIT = 2       -- of a processor

Words.NAMES = { "topology", "node", "actor", "external", "link", "ref" }
local UNKNOWN_LIMIT = 20 -- that are told of

---@class troupe.topology.Declared
---@field kind "topology"|"node"|"actor"|"external"|"link"|"ref"|"unknown"
---@field line integer
---@field name any   what stands behind the word
---@field body any   the table behind that; nil: there was none
---@field used boolean?  it stands in something; set by who reads it

---@class troupe.topology.Noted
---@field result any   what the file returns
---@field of table<any, troupe.topology.Declared>
---@field all troupe.topology.Declared[]
---@field wrong { line: integer, text: string, hint: string? }[]

-- On one line, and no longer than that.
local function clean(text, limit)
  local short = #text > limit and sub(text, 1, limit - 3) .. "..." or text
  return (gsub(short, "[%c\127-\255]", "?"))
end

--- A value as messages show it, on one line and short.
---@param value any
---@return string
function Words.shown(value)
  if type(value) == "string" then return format("'%s'", clean(value, 60)) end
  if type(value) == "number" or type(value) == "boolean" then return tostring(value) end
  return value == nil and "nothing" or "a " .. type(value)
end

-- The line of the file that calls a word. A tail call has left none.
local function line_of(chunk_name)
  for level = 3, 8 do
    local frame = debug.getinfo(level, "Sl")
    if not frame then return 0 end
    if frame.source == chunk_name then return frame.currentline end
  end
  return 0
end

-- Stands for what is not there, so that one mistake is told as one.
local function make_unknown(noted)
  local unknown = {}
  local function itself() return unknown end
  local function no() return false end
  local events = { __metatable = false, __lt = no, __le = no, __newindex = function() end }
  for _, event in ipairs { "index", "call", "add", "sub", "mul", "div", "mod", "pow", "unm", "idiv", "band", "bor",
                           "bxor", "shl", "shr", "bnot", "concat" } do
    events["__" .. event] = itself
  end
  function events.__len() return 0 end
  noted.of[unknown] = { kind = "unknown", line = 0 }
  return setmetatable(unknown, events)
end

local function is_table(value) return type(value) == "table" end

-- topology, node, actor, external: NAME, then a table. What has none yet can be called.
local function make_word(noted, kind, chunk_name)
  local events = { __metatable = false }
  function events.__call(value, body)
    local declared = noted.of[value]
    if declared.body ~= nil then declared.again = true end
    declared.body = body == nil and false or body
    return value
  end
  return function(name)
    local value = setmetatable({}, events)
    local declared = { kind = kind, line = line_of(chunk_name), name = name }
    if is_table(name) and not noted.of[name] then declared.name, declared.body = nil, name end
    noted.of[value] = declared
    noted.all[#noted.all + 1] = declared
    return value
  end
end

-- link, ref: one argument.
local function make_short_word(noted, kind, chunk_name)
  return function(argument)
    local value = setmetatable({}, { __metatable = false })
    noted.of[value] = { kind = kind, line = line_of(chunk_name), body = argument }
    if kind == "link" then noted.all[#noted.all + 1] = noted.of[value] end
    return value
  end
end

local function make_environment(noted, chunk_name)
  local words = {}
  for _, name in ipairs { "topology", "node", "actor", "external" } do words[name] = make_word(noted, name, chunk_name) end
  for _, name in ipairs { "link", "ref" } do words[name] = make_short_word(noted, name, chunk_name) end
  local unknown = make_unknown(noted)
  local told = {}

  local function complain(line, text, hint)
    if told[line .. text] or #noted.wrong >= UNKNOWN_LIMIT then return end
    told[line .. text] = true
    noted.wrong[#noted.wrong + 1] = { line = line, text = text, hint = hint }
  end

  words.os = setmetatable({}, {
    __metatable = false,
    __index = function(_, name)
      if name == "getenv" then
        return function(variable)
          return type(variable) == "string" and os.getenv(variable) or nil
        end
      end
      complain(line_of(chunk_name), "os has only getenv here")
      return unknown
    end,
    __newindex = function() complain(line_of(chunk_name), "os cannot be changed") end,
  })

  local known = { "os", table.unpack(Words.NAMES) }
  return setmetatable({}, {
    __metatable = false,
    __index = function(_, name)
      if words[name] then return words[name] end
      local shown = Words.shown(name)
      local meant = type(name) == "string" and #name <= 40 and options.nearest(name, known)
      complain(line_of(chunk_name), "there is no word " .. shown,
        meant and format("did you mean '%s'?", meant)
          or "there are topology, node, actor, external, link, ref and os.getenv")
      return meant and words[meant] or unknown
    end,
    __newindex = function(_, name)
      complain(line_of(chunk_name), Words.shown(name) .. " cannot be set: write local in front of it")
    end,
  })
end

-- "attempt to call a nil value (local 'x')" of what Lua says with the place in front.
local function of_lua(why, line)
  local place, text = why:match("^topology:(%d+): (.*)$")
  local near = text and text:match("^'}' expected .*near '([%w_]+)'$")
  return { line = math.tointeger(tonumber(place)) or math.max(line, 1), text = clean(text or why, 200),
           hint = near and ("is a comma missing before '%s'?"):format(near) or nil }
end

--- Runs it. An error ends it, and what was declared so far is there.
---@param text string
---@return troupe.topology.Noted
function Words.run(text)
  local noted = { all = {}, wrong = {}, of = {} }
  local chunk_name = "=topology"
  local function run()
    local chunk, why = load(text, chunk_name, "t", make_environment(noted, chunk_name))
    if not chunk then error(why, 0) end
    noted.result = chunk()
  end
  local fine, kind, why, line = fence(run, {
    memory = MEMORY_LIMIT, steps = STEP_LIMIT, seconds = SECONDS_LIMIT, chunk = chunk_name,
  })
  if fine then return noted end
  local last = { line = line, text = why }
  if kind == "error" then
    last = of_lua(why, line)
  elseif kind == "memory" then
    last.text = ("it needs more than %d MiB of memory"):format(MEMORY_LIMIT >> 20)
  else
    last.text = "it does not come to an end: a topology is a table, and not a program"
  end
  last.ended = true
  table.insert(noted.wrong, last)
  return noted
end

return Words
