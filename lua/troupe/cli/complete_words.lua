--- What may stand at a place of a command line, by what the commands declare. Pure.
---
--- ```lua
--- local place = complete_words.place(parsers, { "ask", "pong", "P" }, 3)
--- place.kind           --> "type": what complete_names can tell
--- place.given.ref      --> "pong": words that say more about it
--- place.options        --> options that fit "P..." here: { { text = "--json", what = "..." }, ... }
--- complete_words.split([[troupe ask 'a b' Pi]])   --> { "troupe", "ask", "a b", "Pi" }
--- ```
local complete_words = {}

-- What arguments are, by their names; and those of some commands.
local ARGUMENTS = {
  script = "lua", topology = "lua", option = "lua", dir = "folder", file = "file",
  ref = "ref", peer = "ref", type = "type", node = "host", actor = "actor", external = "external",
  ["kill name"] = "ref",
}

-- What the values of options are, by their names, by what their values are called, and by command.
local OPTIONS = {
  ["--node"] = "host", ["--actor"] = "actor", ["--to"] = "actor", ["--from"] = "actor", ["-o"] = "file",
  FILE = "file", NODE = "host", DIR = "folder",
  ["up --node"] = "node",
}

---@class cli.Place
---@field kind string     "lua", "file", "folder": files; "host", "actor", "ref", "type", "node", "external": names;
---  "nothing": nobody knows
---@field current string  the word in hand, or what of it the candidates are for
---@field prefix string   what stands before that in the word: "--node=" or ""
---@field given table<string, string>  the words before, and some behind, by the names of what takes them
---@field words { text: string, what: string }[]    what fits: commands and choices
---@field options { text: string, what: string }[]  options that fit

local function one_line(text)
  return ((text or ""):gsub("%s+", " "):match("^(.-%.)%s") or (text or ""):gsub("%s+", " "))
end

local function add(list, text, what, current)
  local is_new = text:sub(1, #current) == current
  for _, candidate in ipairs(list) do is_new = is_new and candidate.text ~= text end
  if is_new then
    table.insert(list, { text = text, what = one_line(what) })
  end
end

--- The option or the command of this name, among those of a parser.
local function named(elements, word)
  for _, element in ipairs(elements) do
    for _, alias in ipairs(element._aliases) do
      if alias == word then
        return element
      end
    end
  end
end

--- Goes through the words, and knows what the next one may be.
local Walk = {}
Walk.__index = Walk

--- The argument that the next word that is no option would be.
function Walk:argument()
  local count = self.count
  for _, argument in ipairs(self.parser._arguments) do
    if count < argument._maxargs then
      return argument
    end
    count = count - argument._maxargs
  end
end

function Walk:take_option(word)
  local name, value = word:match("^(%-%-[^=]+)=(.*)$")
  local option = named(self.parser._options, name or word)
  self.used[option or word] = true
  self.option, self.taken = nil, 0
  if option and value then
    self.given[name] = value
  elseif option and option._maxargs > 0 then
    self.option = option
  end
end

function Walk:take(word)
  local option = self.option
  if self.all_files then
    return
  end
  if option and self.taken < option._minargs or option and self.taken < option._maxargs and word:sub(1, 1) ~= "-" then
    self.taken = self.taken + 1
    for _, alias in ipairs(option._aliases) do self.given[alias] = word end
    return
  end
  self.option = nil
  if word == "--" then
    self.all_files = true
  elseif word:find("^%-.") then
    self:take_option(word)
  else
    self:take_argument(word)
  end
end

function Walk:take_argument(word)
  local command = #self.parser._commands > 0 and named(self.parser._commands, word)
  if command then
    self.root = self.root or self.parser
    self.parser, self.count, self.command = command, 0, command._name
    return
  end
  local argument = self:argument()
  if argument then
    self.given[argument._name] = word
    self.count = self.count + 1
  end
end

--- What the value of an option is.
local function kind_of_option(option, command)
  for _, alias in ipairs(option._aliases) do
    local kind = OPTIONS[("%s %s"):format(command, alias)] or OPTIONS[alias]
    if kind then
      return kind
    end
  end
  local called = option._argname
  return OPTIONS[type(called) == "table" and called[1] or called] or "nothing"
end

local function add_choices(place, element)
  for _, choice in ipairs(element._choices or {}) do add(place.words, choice, "", place.current) end
end

function Walk:place_of_value(place, option)
  add_choices(place, option)
  place.kind = option._choices and "nothing" or kind_of_option(option, self.command)
  return place
end

function Walk:add_options(place)
  for _, option in ipairs(self.parser._options) do
    if not option._hidden and (not self.used[option] or option._maxcount > 1) then
      for _, alias in ipairs(option._aliases) do add(place.options, alias, option._description, place.current) end
    end
  end
end

local function add_commands(place, parser)
  for _, command in ipairs(parser._commands) do
    if not command._hidden then
      add(place.words, command._name, command._summary or command._description, place.current)
    end
  end
end

--- What the word in hand may be.
---@param current string
---@return cli.Place
function Walk:place(current)
  local place = { kind = "nothing", current = current, prefix = "", given = self.given, words = {}, options = {} }
  local option = self.option
  if self.all_files then
    place.kind = "file"
    return place
  end
  if option and self.taken < option._minargs then
    return self:place_of_value(place, option)
  end
  local name, value = current:match("^(%-%-[^=]+)=(.*)$")
  option = name and named(self.parser._options, name)
  if option and option._maxargs > 0 then
    place.prefix, place.current = name .. "=", value
    return self:place_of_value(place, option)
  end
  if current:sub(1, 1) == "-" then
    self:add_options(place)
    return place
  end
  if #self.parser._commands > 0 then
    add_commands(place, self.parser)
    return place
  end
  if self.parser._is_help_command then
    add_commands(place, self.root)
    return place
  end
  local argument = self:argument()
  if argument then
    add_choices(place, argument)
    place.kind = argument._choices and "nothing"
      or ARGUMENTS[("%s %s"):format(self.command, argument._name)] or ARGUMENTS[argument._name] or "nothing"
  end
  if current == "" and place.kind == "nothing" and #place.words == 0 then
    self:add_options(place)
  end
  return place
end

---@param parsers { commands: table, evaluate: table }  argparse's: of the program; of `troupe -e`
---@param words string[]  behind the program's name
---@param at integer      which of them is in hand: what stands behind it is known, too
---@return cli.Place
function complete_words.place(parsers, words, at)
  local first = at > 1 and words[1] or ""
  local is_chunk = first:find("^%-.") and not named(parsers.commands._options, first)
  local walk = setmetatable({
    parser = is_chunk and parsers.evaluate or parsers.commands, command = is_chunk and "-e" or "",
    used = {}, given = {}, count = 0, taken = 0,
  }, Walk)
  for i = 1, at - 1 do walk:take(words[i]) end
  local place = walk:place(words[at] or "")
  if at == 1 and place.current:sub(1, 1) == "-" then -- `troupe -e` has no command
    setmetatable({ parser = parsers.evaluate, used = {} }, Walk):add_options(place)
  end
  walk:take(words[at] or "")
  for i = at + 1, #words do walk:take(words[i]) end -- what stands behind says more: of whom an external is
  return place
end

-- What stands in a word until it ends, by what it began with.
local QUOTED = { ["'"] = "^([^']*)('?)", ['"'] = '^([^"\\]*)(["\\]?)' }

--- Takes a line apart as a shell does; what is not closed goes to its end.
---@param line string
---@return string[] words  the last is the one in hand, "" behind a blank
---@return boolean plain   nothing of that one is quoted
function complete_words.split(line)
  local words, word, plain, quote, at = {}, nil, true, nil, 1
  while at <= #line do
    local text, mark = line:match(quote and QUOTED[quote] or "^([^%s'\"\\]*)([%s'\"\\]?)", at)
    at = at + #text + #mark
    if text ~= "" or mark ~= "" and not mark:find("%s") or quote then
      word = (word or "") .. text
    end
    if mark == "\\" then
      plain, word, at = false, word .. line:sub(at, at), at + 1
    elseif mark == quote then
      quote = nil
    elseif mark == "'" or mark == '"' then
      plain, quote = false, mark
    elseif mark ~= "" and word then
      table.insert(words, word)
      word, plain = nil, true
    end
  end
  table.insert(words, word or "")
  return words, plain
end

return complete_words
