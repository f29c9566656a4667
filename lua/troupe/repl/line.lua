--- What was typed at the prompt of `troupe repl`, taken apart. Pure: nothing is done here.
---
--- ```lua
--- line.parse 'ask book Get symbol=ACME'   --> { kind = "command", word = "ask", arguments = { "book", "Get", "symbol=ACME" } }
--- line.parse 'actor "a" { "a.lua" },'     --> { kind = "declaration", word = "actor", text = 'actor "a" { "a.lua" }' }
--- line.parse ':save! market.lua'          --> { kind = "colon", word = "save", force = true, rest = "market.lua" }
--- line.parse 'book Get symbol=ACME'       --> { kind = "message", arguments = { "book", "Get", "symbol=ACME" } }
--- ```
local typed = require "troupe.cli.typed"

local line = {}

--- The words of a topology.
line.DECLARATIONS = { "actor", "external", "link", "node" }

--- What is done with it.
line.COMMANDS = { "ask", "check", "graph", "ps", "send", "stop", "unlink", "unwatch", "watch" }

local is_declaration, is_command = {}, {}
for _, word in ipairs(line.DECLARATIONS) do is_declaration[word] = true end
for _, word in ipairs(line.COMMANDS) do is_command[word] = true end

---@class repl.Line
---@field kind "nothing"|"declaration"|"command"|"colon"|"message"
---@field word string?         what it begins with
---@field text string?         of a declaration
---@field arguments string[]?  of a command or a message
---@field rest string?         what follows :WORD
---@field force boolean?       it was :WORD!

--- The word that a declaration begins with; nil: it is none, such as `link Get`.
local function declaring(text)
  local word = text:match("^%s*(%a+)%s*[\"'({%[]")
  return is_declaration[word] and word or nil
end

--- `actor "a"` and no more of it yet.
local function is_only_named(text)
  return text:find("^%s*%a+%s*%(?%s*([\"'])[^\"'\n]*%1%s*%)?%s*$") ~= nil
end

--- A line that is copied out of a file ends in a comma.
local function without_comma(text)
  return (text:gsub("%s*,%s*$", ""))
end

--- Whether the next line belongs to this text as well.
---@param text string
---@return boolean
function line.is_incomplete(text)
  return declaring(text) ~= nil
    and (is_only_named(text) or typed.is_incomplete(without_comma(text) .. "\n"))
end

-- ---- Words --------------------------------------------------------------------------------

--- Where the JSON value that begins at `at` ends: brackets are closed, strings are over.
local function end_of_json(text, at)
  local depth = 0
  local i = at
  while i <= #text do
    local c = text:sub(i, i)
    if c == '"' then
      local stop = i + 1
      while stop <= #text and text:sub(stop, stop) ~= '"' do
        stop = stop + (text:sub(stop, stop) == "\\" and 2 or 1)
      end
      if stop > #text then
        return nil, "a \" is not closed"
      end
      i = stop
    elseif c:find("[%[{]") then
      depth = depth + 1
    elseif c:find("[%]}]") then
      depth = depth - 1
    elseif depth <= 0 and c:find("%s") then
      return i - 1
    end
    i = i + 1
  end
  if depth > 0 then
    return nil, "a bracket is not closed"
  end
  return #text
end

--- A word in which quotes keep spaces together, and where it ends.
local function take_word(text, at)
  local parts = {}
  while at <= #text and not text:find("^%s", at) do
    local json_at = #parts == 0 and text:match("^()[{]", at) or text:match("^[%w_.-]+:=()", at)
    if #parts == 0 and json_at then
      local stop, why = end_of_json(text, json_at)
      if not stop then
        return nil, why
      end
      return text:sub(at, stop), stop + 1
    end
    local quote = text:match("^([\"'])", at)
    if quote then
      local stop = text:find(quote, at + 1, true)
      if not stop then
        return nil, ("a %s is not closed"):format(quote)
      end
      table.insert(parts, text:sub(at + 1, stop - 1))
      at = stop + 1
    else
      local plain, stop = text:match("^([^%s\"']+)()", at)
      table.insert(parts, plain)
      at = stop
    end
  end
  return table.concat(parts), at
end

--- The words of a command: blanks part them, quotes keep blanks, and JSON is one word
--- whatever is in it.
---@param text string
---@return string[]? words, string? why
function line.words(text)
  local words = {}
  local at = text:match("^%s*()")
  while at <= #text do
    local word, stop = take_word(text, at)
    if not word then
      return nil, stop
    end
    table.insert(words, word)
    at = text:match("^%s*()", stop)
  end
  return words
end

-- ---- Lines --------------------------------------------------------------------------------

---@param text string
---@return repl.Line? line, string? why
function line.parse(text)
  if not text:find("%S") or text:find("^%s*%-%-[^\n]*$") then
    return { kind = "nothing" }
  end
  local word, force, rest = text:match("^%s*:(%a+)(!?)%s*(.-)%s*$")
  if word then
    return { kind = "colon", word = word, force = force == "!", rest = rest }
  end
  local declaration = declaring(text)
  if declaration then
    return { kind = "declaration", word = declaration, text = without_comma(text) }
  end
  local words, why = line.words(text)
  if not words then
    return nil, why
  end
  if is_command[words[1]] then
    return { kind = "command", word = words[1], arguments = table.move(words, 2, #words, 1, {}) }
  end
  return { kind = "message", arguments = words }
end

return line
