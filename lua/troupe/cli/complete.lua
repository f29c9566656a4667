--- `troupe complete`: what a shell offers at a place of a command line. Not for people:
--- the scripts of `troupe --completion` call it, each time that Tab is pressed.
---
---     troupe complete KIND [PREFIX]               names of running hosts and actors, and the like
---     troupe complete words AT WORD...            which is in hand, from 1; all words behind the program's
---     troupe complete line BREAKS BEFORE AFTER    what stands left and right of the cursor; and the
---                                                 characters at which the shell begins a new word
---
--- Prints names, one a line. For words and line: first "words", "lua", "file" or "folder", which is
--- what the shell is to add by itself; then candidates, each with a tab and what it is. For line: the
--- word in hand, unquoted, comes second, and candidates are what is to stand behind the last break.
local argparse = require "argparse"
local complete_names = require "troupe.cli.complete_names"
local complete_words = require "troupe.cli.complete_words"
local evaluate = require "troupe.cli.evaluate"
local show = require "troupe.cli.show"

local EXIT_OK, EXIT_USAGE = 0, 2

local BY_THE_SHELL = { lua = true, file = true, folder = true }

local complete = {}

--- What fits at a place, and what the shell adds.
local function candidates(parser, words, at)
  local place = complete_words.place({ commands = parser, evaluate = evaluate.define(argparse("troupe")) }, words, at)
  local list = {}
  for _, part in ipairs { place.words, complete_names.of(place.kind, place.current, place.given), place.options } do
    for _, candidate in ipairs(part) do
      table.insert(list, { text = place.prefix .. candidate.text, what = candidate.what })
    end
  end
  return list, BY_THE_SHELL[place.kind] and place.kind or "words"
end

local function say(list)
  for _, candidate in ipairs(list) do
    show.line(show.printable(candidate.text) .. (candidate.what ~= "" and "\t" .. show.printable(candidate.what) or ""))
  end
end

local function say_words(parser, at, words)
  local list, kind = candidates(parser, words, at)
  show.line(kind)
  say(list)
end

--- Where the last piece of a word begins, as bash breaks it: behind such a character; with it, if
--- that is one of readline's special prefixes.
local function piece_of(word, breaks)
  for i = #word, 1, -1 do
    local character = word:sub(i, i)
    if breaks:find(character, 1, true) then
      return character:find("[@$]") and i or i + 1
    end
  end
  return 1
end

local function without_program(words)
  local first = 1
  while words[first + 1] and words[first]:find("^[%a_][%w_]*=") do first = first + 1 end -- LEVEL=1 troupe ...
  return table.move(words, first + 1, #words, 1, {})
end

local function say_line(parser, breaks, before, after)
  local words, plain = complete_words.split(before)
  words = without_program(words)
  local at, current = math.max(#words, 1), words[#words] or ""
  for i, word in ipairs((complete_words.split(after))) do
    if i > 1 and word ~= "" then
      table.insert(words, word)
    end
  end
  local list, kind = candidates(parser, words, at)
  show.line(kind)
  show.line(show.printable(current))
  local from = plain and piece_of(current, breaks) or 1
  for _, candidate in ipairs(list) do
    if from <= #current + 1 then
      show.line(show.printable(candidate.text:sub(from)))
    end
  end
end

---@param parser table        argparse's, with all commands
---@param arguments string[]  behind `complete`
---@return integer code
function complete.run(parser, arguments)
  local what = arguments[1]
  if what == "words" and math.tointeger(tonumber(arguments[2])) then
    say_words(parser, math.max(1, tonumber(arguments[2])), table.move(arguments, 3, #arguments, 1, {}))
  elseif what == "line" and #arguments == 4 then
    say_line(parser, arguments[2], arguments[3], arguments[4])
  else
    for _, kind in ipairs(complete_names.kinds()) do
      if kind == what then
        say(complete_names.of(kind, arguments[2] or "", {}))
        return EXIT_OK
      end
    end
    show.note(("troupe complete: words, line, or one of %s"):format(table.concat(complete_names.kinds(), ", ")))
    return EXIT_USAGE
  end
  return EXIT_OK
end

return complete
