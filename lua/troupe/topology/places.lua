--- In which line of a file an option stands. What is run knows only where a declaration
--- begins; so the text is looked at, where it is written out and not made by a loop.
---
--- ```lua
--- local places = Places.new('node "feed" {\n  workers = 0,\n  actor "a" {\n  mailbox = {\n limit = 0 } } }')
--- places:line({ line = 1, name = "feed" }, { "workers" })          --> 2
--- places:line({ line = 3, name = "a" }, { "mailbox", "limit" })    --> 5
--- places:line({ line = 3, name = "a" }, { "thread" })              --> 3: it is not there
--- ```
local Places = {}
Places.__index = Places

local LOOK_LIMIT = 20000 -- tokens of one table

---@param text string
function Places.new(text)
  return setmetatable({ text = text }, Places)
end

-- What a token may be, in the order of trying. A long string or comment is found by its level.
local PATTERNS = {
  { "space", "^%s+" }, { "comment", "^%-%-[^\n]*" }, { "name", "^[%a_][%w_]*" }, { "number", "^%d[%w.]*" },
  { "text", '^"[^"\\\n]*"' }, { "text", "^'[^'\\\n]*'" },
}
-- A text with escapes in it is no name of ours.
local INSIDE = { ['"'] = '[\\"]', ["'"] = "[\\']" }

-- The last byte of the text with escapes that begins at `at`.
local function text_end(text, at)
  local quote, from = text:sub(at, at), at + 1
  while true do
    local found = text:find(INSIDE[quote], from)
    if not found then return #text end
    if text:sub(found, found) == quote then return found end
    from = found + 2
  end
end

-- The first and last byte of what stands at `at`, and what it is.
local function next_token(text, at)
  local level = text:match("^%-?%-?%[(=*)%[", at)
  local comment = text:find("^%-%-", at) ~= nil
  if level and (comment or text:find("^%[", at)) then
    local _, last = text:find("]" .. level .. "]", at, true)
    return last or #text, comment and "comment" or "other"
  end
  for _, pattern in ipairs(PATTERNS) do
    local _, last = text:find(pattern[2], at)
    if last then return last, pattern[1] end
  end
  if INSIDE[text:sub(at, at)] then return text_end(text, at), "other" end
  return at, "other"
end

local function count_lines(text)
  return select(2, text:gsub("\n", ""))
end

-- All tokens but spaces and comments, and the first one of each line.
local function scan(text)
  local tokens, first, at, line = {}, {}, 1, 1
  while at <= #text do
    local last, kind = next_token(text, at)
    local part = text:sub(at, last)
    if kind ~= "space" and kind ~= "comment" then
      table.insert(tokens, { kind = kind, text = kind == "text" and part:sub(2, -2) or part, line = line })
      first[line] = first[line] or #tokens
    end
    line = line + count_lines(part)
    at = last + 1
  end
  return tokens, first
end

--- The line of `return topology`: what is called there leaves no trace of it.
---@return integer
function Places:line_of_return()
  local at = self.text:find("%f[%w_]return%s*%(?%s*topology%f[^%w_]")
  return at and count_lines(self.text:sub(1, at)) + 1 or 1
end

-- The number of the brace that opens the declaration's table.
function Places:opening(declared)
  local at = self.first[declared.line]
  while at and self.tokens[at] and self.tokens[at].line == declared.line do
    local token, behind = self.tokens[at], self.tokens[at + 1]
    if token.kind == "name" and behind then
      local third = self.tokens[at + 2]
      local named = behind.kind == "text" and behind.text == declared.name
      if named and third and third.text == "{" then return at + 2 end
      if declared.name == nil and token.text == declared.kind and behind.text == "{" then return at + 1 end
    end
    at = at + 1
  end
end

-- The number of the token `key` of the table that opens at `at`, followed by =.
function Places:key(at, key)
  local depth = 0
  for place = at, math.min(at + LOOK_LIMIT, #self.tokens) do
    local token = self.tokens[place]
    local text = token.kind ~= "text" and token.text
    if text == "{" or text == "(" then
      depth = depth + 1
    elseif text == "}" or text == ")" then
      depth = depth - 1
      if depth == 0 then return nil end
    elseif depth == 1 and token.text == key then
      local behind = self.tokens[place + (token.kind == "text" and 2 or 1)]
      if behind and behind.text == "=" and (token.kind == "name" or token.kind == "text") then return place end
    end
  end
end

--- The line of the innermost of these keys that is found, each in the table of the one before.
---@param declared troupe.topology.Declared
---@param keys string[]
---@return integer
function Places:line(declared, keys)
  if not self.tokens then self.tokens, self.first = scan(self.text) end
  local at, line = self:opening(declared), declared.line
  for _, key in ipairs(keys) do
    local place = at and self:key(at, key)
    if not place then break end
    line = self.tokens[place].line
    at = place
    while self.tokens[at].text ~= "=" do at = at + 1 end
    at = at + 1
    if not self.tokens[at] or self.tokens[at].text ~= "{" then at = nil end
  end
  return line
end

return Places
