--- What TAB offers at the prompt of `troupe repl`. Pure.
---
--- ```lua
--- complete.words("ask bo", { sketch = sketch, scripts = scripts, watched = {} })   --> { "book" }
--- complete.words("ask book Ge", known)                                             --> { "Get" }
--- complete.words("ask book Get sym", known)                                        --> { "symbol=" }
--- ```
local line = require "troupe.repl.line"

local complete = {}

local COLON = { ":help", ":load", ":quit", ":save" }
local KEYS = { "answers = ", "config = ", "failure = ", "from = ", "instances = ", "interleave = ", "mailbox = ",
               "memory = ", "priority = ", "ref ", "restart = ", "route = ", "sandbox = ", "slice = ", "source = ", "thread = " }
local HOOKS = { any = true, config = true, down = true, reload = true, shutdown = true, start = true, timeout = true }

---@class repl.Known
---@field sketch repl.Sketch
---@field scripts table<string, topology.Inspection>
---@field watched string[]
---@field goes_on boolean?  the text is a later line of a declaration

--- A type as a handler finds it.
local function folded(name)
  return (name:lower():gsub("_", ""))
end

--- The types of messages that an actor or external takes: as they are declared, else as
--- its handlers are called.
---@param name string
---@param known repl.Known
---@return string[] types  sorted
function complete.types(name, known)
  local spelt = {}
  local script = known.scripts[name:gsub("%.%d+$", "")]
  for _, handler in ipairs(script and script.handlers or {}) do
    local word = handler:gsub("^on_", "")
    if not HOOKS[word] then
      spelt[folded(word)] = word:gsub("_*(%a)([^_]*)", function(first, rest) return first:upper() .. rest end)
    end
  end
  for type in pairs(script and script.types or {}) do
    if spelt[folded(type)] then spelt[folded(type)] = type end
  end
  for _, link in ipairs(known.sketch.model.links) do
    for _, type in ipairs(link.to == name and link.types or {}) do spelt[folded(type.name)] = type.name end
  end
  local types = {}
  for _, type in pairs(spelt) do table.insert(types, type) end
  table.sort(types)
  return types
end

--- The declared fields of a message, in lists or by their names.
local function declared_fields(name, type, known)
  for _, link in ipairs(known.sketch.model.links) do
    for _, each in ipairs(link.to == name and link.types or {}) do
      if each.name == type and each.fields then
        return each.fields
      end
    end
  end
  local script = known.scripts[name:gsub("%.%d+$", "")]
  return script and script.types and script.types[type]
end

--- How fields are begun: `symbol=` for a text, `price:=` for anything else.
local function fields_of(name, message, known)
  local words = {}
  for key, field in pairs(declared_fields(name, message, known) or {}) do
    if type(key) == "number" and type(field) == "table" then key, field = field[1], field[2] end
    if type(key) == "string" then
      local is_text = type(field) == "string" and field:find("^string%??$")
      table.insert(words, key .. (is_text and "=" or ":="))
    end
  end
  table.sort(words)
  return words
end

local function together(...)
  local all = {}
  for _, list in ipairs { ... } do table.move(list, 1, #list, #all + 1, all) end
  table.sort(all)
  return all
end

--- What may stand behind these words.
local function after(words, known)
  local names = known.sketch:names()
  local verb = words[1]
  local is_message = verb and (verb == "ask" or verb == "send")
  local address = is_message and table.move(words, 2, #words, 1, {}) or words
  if not verb then
    return together(line.COMMANDS, line.DECLARATIONS, names)
  elseif verb == "unwatch" then
    return #words == 1 and known.watched or {}
  elseif verb == "stop" or verb == "watch" then
    return #words == 1 and names or {}
  elseif verb == "unlink" then
    return #words <= 2 and names or {}
  elseif verb == "check" or verb == "graph" or verb == "ps" then
    return {}
  elseif #address == 0 then
    return names
  elseif #address == 1 then
    return complete.types(address[1], known)
  end
  return fields_of(address[1], address[2], known)
end

--- Whether the text is inside a declaration, and what may come there.
local function in_declaration(text, known)
  local word = text:match("^%s*(%a+)%s*[\"'({%[]")
  local is_declared = false
  for _, each in ipairs(line.DECLARATIONS) do is_declared = is_declared or each == word end
  if not is_declared and not known.goes_on then
    return nil
  end
  if text:find("[\"'][%w_.-]*$") then
    return known.sketch:names()
  end
  return KEYS
end

--- What the word at the end of `text` may become, as a whole.
---@param text string  what stands before the cursor
---@param known repl.Known
---@return string[] words
---@return string begun  the word as it stands
function complete.words(text, known)
  local begun = text:match("[%w_.@:!-]*$")
  local candidates
  if text:find("^%s*:%a*!?$") then
    candidates = COLON
  elseif text:find("^%s*:") then
    candidates = {}
  else
    candidates = in_declaration(text, known)
      or after(line.words(text:sub(1, #text - #begun)) or {}, known)
  end
  local found = {}
  for _, word in ipairs(candidates) do
    if word:sub(1, #begun) == begun then table.insert(found, word) end
  end
  return found, begun
end

--- What ends a word that is the only one: a blank, unless more belongs to it.
local function ended(word, text)
  local goes_on = word:find("[= ]$") or text:find("[\"'][%w_.-]*$")
  return goes_on and word or word .. " "
end

--- The same for who replaces the text from `start` on.
---@param text string
---@param start integer
---@param known repl.Known
---@return string[] words
function complete.from(text, start, known)
  local found, begun = complete.words(text, known)
  if #found == 1 then found[1] = ended(found[1], text) end
  local kept = #text - #begun + 1 -- where the words begin
  for i, word in ipairs(found) do
    found[i] = start <= kept and text:sub(start, kept - 1) .. word or word:sub(start - kept + 1)
  end
  return found
end

return complete
