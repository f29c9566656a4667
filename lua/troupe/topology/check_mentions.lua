--- What words stand in the text of a Lua script: its strings and its names. That is how
--- it is guessed which message types it may send.
---
--- ```lua
--- local found = Mentions.of('ref:send("Tick", { note = [[x]] }) -- "not this"')
--- -- found.strings: { Tick = true, x = true }; found.fields: { send = true, note = true }
--- ```
local fold = require("troupe.topology.shapes").fold

local Mentions = {}

---@class topology.Mentions
---@field strings table<string, true>  what its string constants say
---@field fields table<string, true>   names behind a dot or a colon, and keys of tables

local ESCAPES = { a = "\a", b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", v = "\v" }

-- The string that begins with the escape at `at` (behind the backslash), and where to go on.
local function escaped(text, at)
  local letter = text:sub(at, at)
  if ESCAPES[letter] then return ESCAPES[letter], at + 1 end
  local hex = text:match("^x(%x%x)", at)
  if hex then return string.char(tonumber(hex, 16)), at + 3 end
  local digits = text:match("^%d%d?%d?", at)
  if digits then return tonumber(digits) < 256 and string.char(tonumber(digits)) or "", at + #digits end
  local code = text:match("^u{(%x+)}", at)
  if code then
    local number = #code <= 8 and tonumber(code, 16) or math.huge
    return number < 2 ^ 31 and utf8.char(number) or "", at + #code + 3
  end
  if letter == "z" then return "", text:match("^%s*()", at + 1) end
  local line = text:match("^\r\n", at) or text:match("^\n\r", at)
  if line then return "\n", at + 2 end
  return letter == "\r" and "\n" or letter, at + 1
end

-- The short string behind the quote at `at`, and where to go on.
local function short_string(text, at)
  local quote, parts = text:sub(at, at), {}
  local special = quote == '"' and '["\\\n]' or "['\\\n]"
  at = at + 1
  while true do
    local stop = text:find(special, at)
    if not stop then return table.concat(parts), #text + 1 end -- such a text does not load
    parts[#parts + 1] = text:sub(at, stop - 1)
    if text:sub(stop, stop) ~= "\\" then return table.concat(parts), stop + 1 end
    parts[#parts + 1], at = escaped(text, stop + 1)
  end
end

-- The long string or comment whose brackets open at `at`, and where to go on; nil: none does.
local function long_string(text, at)
  local level = text:match("^%[(=*)%[", at)
  if not level then return nil end
  local first = at + #level + 2
  local last, stop = text:find("]" .. level .. "]", first, true)
  local found = text:sub(first, (last or #text + 1) - 1)
  return (found:gsub("^\r?\n", "")), (stop or #text) + 1
end

local function behind_comment(text, at)
  local _, behind = long_string(text, at)
  return behind or text:find("\n", at, true) or #text + 1
end

--- Reads a script's text; what no Lua compiler would take is read as far as it makes sense.
---@param text string
---@return topology.Mentions
function Mentions.of(text)
  local strings, fields = {}, {}
  local at, before = text:match("^#[^\n]*()") or 1, ""
  while true do
    at = text:find("%S", at)
    if not at then return { strings = strings, fields = fields } end
    local letter = text:sub(at, at)
    local found, behind
    if letter == "-" and text:sub(at + 1, at + 1) == "-" then
      at = behind_comment(text, at + 2)
      goto continue
    elseif letter == '"' or letter == "'" then
      found, behind = short_string(text, at)
    elseif letter == "[" then
      found, behind = long_string(text, at)
    end
    if found then
      strings[found] = true
      at = behind
    elseif letter:find("[%a_]") then
      local name
      name, at = text:match("^([%w_]+)()", at)
      if before == "." or before == ":" or text:find("^%s*=[^=]", at) then fields[name] = true end
    elseif letter == "." then
      letter, at = text:match("^(%.+)()", at) -- two are no field's
    elseif letter:find("%d") then -- with the letters and the point of it: 0x1p4, 3.14
      at = text:match("^[%w.]+()", at)
    else
      at = at + 1
    end
    before = letter
    ::continue::
  end
end

--- Whether one of the texts may name the type: as a string, however it is spelt, or as a
--- field that is spelt like it.
---@param mentions topology.Mentions[]
---@param type_name string
---@return boolean
function Mentions.name(mentions, type_name)
  local folded = fold(type_name)
  for _, each in ipairs(mentions) do
    if not each.folded then
      each.folded = {}
      for text in pairs(each.strings) do each.folded[fold(text)] = true end
    end
    if each.folded[folded] or each.fields[type_name] then return true end
  end
  return false
end

--- Whether one of the texts has one of these fields or methods.
---@param mentions topology.Mentions[]
---@param ... string
---@return boolean
function Mentions.use(mentions, ...)
  for _, each in ipairs(mentions) do
    for _, name in ipairs { ... } do
      if each.fields[name] then return true end
    end
  end
  return false
end

return Mentions
