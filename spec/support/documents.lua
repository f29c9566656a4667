--- Random values and JSON documents from a seed, for the specs of the codec.
---
--- ```lua
--- local make = documents.new(17)
--- local value = make:value(4)                  -- any value, containers four deep
--- local text = make:damaged('{"a": 1}')        -- one or two bytes changed
--- ```
local json = require "troupe.json"

local documents = {}
documents.__index = documents

---@param seed integer  the same seed gives the same documents
function documents.new(seed)
  return setmetatable({ state = seed * 2 + 1 }, documents)
end

-- 64 random bits (xorshift, then multiplied).
function documents:bits()
  local state = self.state
  state = state ~ (state << 13)
  state = state ~ (state >> 7)
  state = state ~ (state << 17)
  self.state = state
  return state * 0x2545F4914F6CDD1D
end

--- An integer from 1 to `count`.
function documents:below(count)
  return (self:bits() >> 33) % count + 1
end

function documents:pick(list)
  return list[self:below(#list)]
end

local EDGES = { 0, 1, -1, 63, 64, 127, 128, -128, -129, 255, 65536, 2 ^ 31 | 0, 1 << 53, (1 << 53) + 1,
                math.maxinteger, math.mininteger, math.maxinteger - 1, math.mininteger + 1 }

function documents:integer()
  if self:below(3) == 1 then return self:pick(EDGES) end
  return self:bits() >> self:below(64) - 1
end

--- A finite double: of any bits, a decimal fraction, near a power of two, large.
function documents:float()
  while true do
    local kind, value = self:below(5), nil
    if kind == 1 then
      value = string.unpack("d", string.pack("j", self:bits()))
    elseif kind == 2 then
      value = (self:bits() >> self:below(54) + 10) / 10.0 ^ (self:below(9) - 1)
    elseif kind == 3 then
      value = 2.0 ^ (self:below(2098) - 1075)
    elseif kind == 4 then
      value = tonumber(("%.17fe%d"):format((self:bits() >> 11) / 2.0 ^ 53, self:below(600) - 300))
    else
      value = self:bits() + 0.0
    end
    if value == value and value ~= math.huge and value ~= -math.huge then return value end
  end
end

local CHARACTERS = { "a", "b", "Z", "0", " ", "/", '"', "\\", "\b", "\f", "\n", "\r", "\t", "\0", "\1", "\x1f",
                     "\x7f", "\u{80}", "\u{9f}", "ä", "ß", "\u{7ff}", "\u{800}", "€", "\u{2028}", "\u{d7ff}",
                     "\u{e000}", "\u{feff}", "\u{fffd}", "\u{ffff}", "\u{10000}", "😀", "\u{10ffff}" }

--- Valid UTF-8 of up to `limit` characters.
function documents:text(limit)
  local characters = {}
  for i = 1, self:below(limit + 1) - 1 do
    characters[i] = self:below(3) == 1 and self:pick(CHARACTERS)
      or self:below(20) == 1 and utf8.char(self:below(0xd7ff)) or string.char(96 + self:below(26))
  end
  return table.concat(characters)
end

local CONSTANTS = { true, false, json.null }

--- Any value that JSON has, with containers at most `depth` deep. Without
--- `numbers` it has none but 0 and 1 as integers.
---@param depth integer
---@param numbers? boolean  default true
function documents:value(depth, numbers)
  local kind = self:below(depth > 0 and 10 or 6)
  if kind == 1 then return self:pick(CONSTANTS) end
  if kind <= 3 then
    if numbers == false then return self:below(2) - 1 end
    return kind == 2 and self:integer() or self:float()
  end
  if kind <= 6 then return self:text(self:below(10) == 1 and 150 or 12) end
  local value = kind <= 8 and {} or json.array {}
  for i = 1, self:below(self:below(15) == 1 and 30 or 5) - 1 do
    if kind <= 8 then
      value[self:text(8)] = self:value(depth - 1, numbers)
    else
      value[i] = self:value(depth - 1, numbers)
    end
  end
  return value
end

local TOKENS = { "[", "]", "{", "}", '"', ",", ":", "\\", "\\u", "d83d", "-", "+", "0", "1", ".", "e", "E", " ",
                 "\n", "null", "true", "NaN", "\0", "\x7f", "\xc3", "\xff", "\xed\xa0\x80", "ä", "/", "'", "" }

--- The document with one to three of its bytes changed, dropped or doubled.
---@param text string
function documents:damaged(text)
  for _ = 1, self:below(3) do
    local at, token = self:below(#text + 1), self:pick(TOKENS)
    text = text:sub(1, at - 1) .. token .. text:sub(at + self:below(3) - 1)
  end
  return text
end

local array_mark = getmetatable(json.array {})

local function hex(text)
  return (text:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end))
end
documents.hex = hex

--- The same description of a value that spec/support/json_oracle.py gives.
function documents.describe(value)
  if value == json.null then return "n" end
  if type(value) == "boolean" then return value and "t" or "f" end
  if math.type(value) == "integer" then return ("i%d"):format(value) end
  if math.type(value) == "float" then return "d" .. hex(string.pack(">d", value)) end
  if type(value) == "string" then return "s" .. hex(value) end
  local parts = {}
  if getmetatable(value) == array_mark then
    for i, member in ipairs(value) do parts[i] = documents.describe(member) end
    return "[" .. table.concat(parts, ",") .. "]"
  end
  local keys, members = {}, {}
  for key, member in pairs(value) do
    table.insert(keys, hex(key))
    members[hex(key)] = documents.describe(member)
  end
  table.sort(keys)
  for i, key in ipairs(keys) do parts[i] = key .. ":" .. members[key] end
  return "{" .. table.concat(parts, ",") .. "}"
end

return documents
