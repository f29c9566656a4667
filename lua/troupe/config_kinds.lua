--- The kinds of fields of a config (lua/troupe/config.lua): what each is written as, in a
--- config or on the command line, what it is read as, and what is said to be expected.
local options = require "troupe.options"

local Kinds = {}

local LEAST_WAIT = 0.001 -- seconds

--- A value as messages show it.
---@param value any
---@return string
function Kinds.shown(value)
  if type(value) == "string" then return ("'%s'"):format(value) end
  if type(value) == "number" or type(value) == "boolean" then return tostring(value) end
  if value == json.null then return "null" end
  return "a " .. type(value)
end

--- The shortest and the longest wait, in seconds, of "100ms..5s" or of one duration; else nil.
---@param value any
---@return number? least
---@return number? most
function Kinds.waits(value)
  local from, to = value, value
  if type(value) == "string" and value:find("..", 1, true) then from, to = value:match("^(.-)%.%.(.*)$") end
  local least, most = options.seconds(from), options.seconds(to)
  if least and most and least >= LEAST_WAIT and most >= least then return least, most end
end

---@class troupe.config.Wrong
---@field expected string
---@field hint? string  stands behind the message
---@field value? any    what is wrong; default: all of it

-- Each gives what is read, or nil and what is wrong, which is `expected` alone as a rule.
local readers = {}

function readers.count(value)
  return type(value) == "number" and math.tointeger(value) or nil, "a whole number"
end

function readers.number(value)
  return type(value) == "number" and value == value and value or nil, "a number"
end

function readers.duration(value)
  return options.seconds(value), 'a duration ("250ms", "2s", a number of seconds)'
end

function readers.waits(value)
  local least, most = Kinds.waits(value)
  return least and { least = least, most = most }, 'the shortest and the longest wait, as "100ms..5s", of at least 1ms,'
end

function readers.bytes(value)
  return options.bytes(value), 'a size ("64KiB", "10MiB", a number of bytes)'
end

function readers.text(value)
  return type(value) == "string" and value ~= "" and value or nil, "a text"
end

function readers.group(value)
  local fine = type(value) == "string" and #value <= 255 and value:find("^[%w_.-]+$")
  return fine and value or nil, "a group's name, of letters, digits, '_', '.' and '-',"
end

function readers.boolean(value)
  if type(value) == "boolean" then return value end
  return nil, "true or false"
end

function readers.table(value)
  return type(value) == "table" and value or nil, "a table"
end

function readers.list(value)
  if type(value) ~= "table" then return nil, "a list" end
  local count = 0
  for _ in pairs(value) do count = count + 1 end
  return count == #value and value or nil, "a list"
end

function readers.target(value, field)
  local expected = ("a ref, or an actor's address such as %q,"):format(field.example or "shop@tcp://10.0.0.7:5001")
  if type(value) == "userdata" and value ~= json.null then return value end
  if type(value) ~= "string" then return nil, expected end
  local fine, why = pcall(actor.ref, value)
  if fine then return value end
  return nil, { expected = expected, hint = (" (%s)"):format(tostring(why):gsub("^.-actor%.ref: ", "")) }
end

local function has(words, wanted)
  for _, word in ipairs(words) do
    if word == wanted then return true end
  end
  return false
end

function readers.word(value, field)
  local expected = "one of " .. table.concat(field.words, ", ")
  if type(value) ~= "string" then return nil, expected end
  if has(field.words, value) then return value end
  return nil, { expected = expected, hint = options.hint(value, field.words) }
end

function readers.words(value, field)
  local set, expected = {}, "a list of some of " .. table.concat(field.words, ", ")
  if not readers.list(value) then return nil, expected end
  for _, word in ipairs(value) do
    if type(word) ~= "string" then return nil, { expected = expected, value = word } end
    if not has(field.words, word) then
      return nil, { expected = expected, value = word, hint = options.hint(word, field.words) }
    end
    set[word] = true
  end
  return set
end

-- "hash:user": { name = "hash", field = "user" }.
function readers.route(value, field)
  local plain, forms = {}, {}
  for each, looks in pairs(field.routes) do
    table.insert(plain, each)
    table.insert(forms, looks and each .. ":FIELD" or each)
  end
  table.sort(plain)
  table.sort(forms)
  local expected = "one of " .. table.concat(forms, ", ")
  if type(value) ~= "string" then return nil, expected end
  local name, looked_at = value:match("^([^:]*):(.*)$")
  name = name or value
  local looks = field.routes[name]
  if looks == nil then return nil, { expected = expected, hint = options.hint(name, plain) } end
  if looks and (looked_at or "") == "" then
    return nil, ("'%s' with the field that it looks at, as \"%s:id\","):format(name, name)
  end
  if looked_at and not looks then return nil, ("'%s' without a field"):format(name) end
  return { name = name, field = looked_at }
end

local UNITS = { duration = " s", bytes = " bytes" }

-- " from 1 to 1000", as it stands behind what is expected.
local function range(field)
  local unit = UNITS[field.kind] or ""
  local function bound(number) return ("%.14g%s"):format(number, unit) end
  if field.least and field.most then return (" from %s to %s"):format(bound(field.least), bound(field.most)) end
  local bounds = {}
  if field.least then table.insert(bounds, "at least " .. bound(field.least)) end
  if field.above then table.insert(bounds, "more than " .. bound(field.above)) end
  if field.most then table.insert(bounds, "at most " .. bound(field.most)) end
  return bounds[1] and " of " .. table.concat(bounds, " and ") or ""
end

local function is_outside(value, field)
  return field.least and value < field.least or field.above and value <= field.above
    or field.most and value > field.most
end

--- What a value is read as, or nil and what is wrong with it.
---@param value any
---@param field troupe.config.Field
---@return any? read
---@return troupe.config.Wrong? wrong
function Kinds.read(value, field)
  local read, wrong = readers[field.kind](value, field)
  if read ~= nil and not is_outside(read, field) then return read end
  if type(wrong) ~= "table" then wrong = { expected = wrong .. range(field) } end
  if wrong.value == nil then wrong.value = value end
  return nil, wrong
end

local NUMBERS = { count = true, number = true, duration = true, bytes = true }
local LISTS = { list = true, words = true }
local BOOLEANS = { ["true"] = true, ["false"] = false }

--- The value that a text from the command line stands for, as it would be in a config; nil
--- and what is wrong, if it is to be JSON and is none.
---@param text string
---@param field troupe.config.Field
---@param is_json boolean
---@return any? value
---@return troupe.config.Wrong? wrong
function Kinds.of_text(text, field, is_json)
  if is_json or field.kind == "table" then
    local value, why = json.decode(text)
    if why then return nil, { expected = "JSON", value = text, hint = (" (%s)"):format(why) } end
    return value
  end
  if NUMBERS[field.kind] then return math.tointeger(text) or tonumber(text) or text end
  if field.kind == "boolean" and BOOLEANS[text] ~= nil then return BOOLEANS[text] end
  if not LISTS[field.kind] then return text end
  local list = {}
  for item in text:gmatch("[^,]+") do table.insert(list, item) end
  return list
end

return Kinds
