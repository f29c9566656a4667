--- Topics, and the patterns that choose among them, as AMQP's users know them: words
--- with dots between. In a pattern `*` stands for one word and `#` for any number of
--- words, none as well.
---
--- ```lua
--- Topics.matches("orders.*.paid", "orders.7.paid")  --> true
--- Topics.matches("orders.#", "orders")              --> true
---
--- local patterns = Topics.new()
--- patterns:add("orders.#", "bookkeeping")
--- patterns:match("orders.7.paid")                   --> { bookkeeping = true }
--- ```
---
--- The patterns are kept as a tree of words, so that a match costs what the topic's
--- words lead to, and not what there is of patterns.
---@class troupe.Topics
---@field private root table  of nodes: { words = { word = node }, keys = { key = true } }
local Topics = {}
Topics.__index = Topics

local TEXT_LIMIT, WORDS_LIMIT = 255, 32

local function split(text)
  local words = {}
  for word in (text .. "."):gmatch("([^.]*)%.") do table.insert(words, word) end
  return words
end

local function fault(text, what)
  if type(text) ~= "string" or text == "" then return what .. " is empty" end
  if #text > TEXT_LIMIT then return ("%s is longer than %d bytes"):format(what, TEXT_LIMIT) end
  if text:find("%c") then return what .. " has a control character" end
  local words = split(text)
  if #words > WORDS_LIMIT then return ("%s has more than %d words"):format(what, WORDS_LIMIT) end
  for _, word in ipairs(words) do
    if word == "" then return ("%s '%s' has an empty word"):format(what, text) end
  end
  return nil, words
end

--- What is wrong with a topic that something is published under, or nil.
---@param topic any
---@return string? fault
function Topics.topic_fault(topic)
  local wrong = fault(topic, "the topic")
  if wrong then return wrong end
  if topic:find("[*#]") then
    return ("the topic '%s' has a wildcard: those are for subscribers"):format(topic)
  end
end

--- What is wrong with a pattern, or nil.
---@param pattern any
---@return string? fault
function Topics.pattern_fault(pattern)
  local wrong, words = fault(pattern, "the pattern")
  if wrong then return wrong end
  for _, word in ipairs(words) do
    if #word > 1 and word:find("[*#]") then
      return ("the pattern '%s' has a wildcard within a word: * and # stand for whole words"):format(pattern)
    end
  end
end

---@return troupe.Topics
function Topics.new()
  return setmetatable({ root = { words = {}, keys = {} } }, Topics)
end

--- Adds a key under a pattern, once.
---@param pattern string  without a fault
---@param key any
function Topics:add(pattern, key)
  local node = self.root
  for _, word in ipairs(split(pattern)) do
    node.words[word] = node.words[word] or { words = {}, keys = {} }
    node = node.words[word]
  end
  node.keys[key] = true
end

--- Takes it out again, and the branch that then leads to nothing.
---@param pattern string
---@param key any
function Topics:remove(pattern, key)
  local words, node, path = split(pattern), self.root, {}
  for i, word in ipairs(words) do
    path[i] = node
    node = node.words[word]
    if not node then return end
  end
  node.keys[key] = nil
  for i = #words, 1, -1 do
    if next(node.keys) or next(node.words) then return end
    node = path[i]
    node.words[words[i]] = nil
  end
end

-- Adds to `found` the keys of all patterns below `node` that match the words from `at`
-- on. `seen` holds the nodes behind a # that have been there: else several # in a
-- pattern would cost a multiple each.
local function walk(node, words, at, found, seen)
  local word = words[at]
  if not word then
    for key in pairs(node.keys) do found[key] = true end
  else
    local exact, any = node.words[word], node.words["*"]
    if exact then walk(exact, words, at + 1, found, seen) end
    if any then walk(any, words, at + 1, found, seen) end
  end
  local rest = node.words["#"]
  if not rest then return end
  seen[rest] = seen[rest] or {}
  for from = at, #words + 1 do
    if not seen[rest][from] then
      seen[rest][from] = true
      walk(rest, words, from, found, seen)
    end
  end
end

--- The keys of all patterns that the topic matches, as a set.
---@param topic string  without a fault
---@return table<any, true> keys
function Topics:match(topic)
  local found = {}
  walk(self.root, split(topic), 1, found, {})
  return found
end

--- Whether a single pattern does.
---@param pattern string
---@param topic string
---@return boolean
function Topics.matches(pattern, topic)
  local one = Topics.new()
  one:add(pattern, true)
  return one:match(topic)[true] == true
end

return Topics
