--- `troupe new actor NAME`: one more actor in a project, and its spec.
local making = require "troupe.cli.making"
local project_files = require "troupe.cli.project_files"
local tools = require "troupe.tools"

local EXIT_OK, EXIT_USAGE = 0, 2
local NAME_MOST = 100 -- bytes; the name of an actor may have 255, and instances add to it

local new = {}

function new.define(command)
  command:summary "Make a new actor in a project."
  command:usage "Usage: troupe new actor NAME"
  command:description("Writes actors/NAME.lua, an actor with its protocol, and spec/NAME_spec.lua, what"
                      .. " it promises. Files that are there are not touched. 'OrderBook' and 'order-book'"
                      .. " make actors/order_book.lua.")
  command:epilog("Called in actors/ or spec/, it writes to the project around them.\n\n"
                 .. "Exit codes: 0 done, 1 something is there already, or cannot be made, 2 no such name.\n\n"
                 .. "Example:\n"
                 .. "   troupe new actor OrderBook")
  command:argument("what", "What to make."):choices { "actor" }
  command:argument("name", "Its name: letters, digits, '_' and '-', the first a letter.")
end

--- The actor's names: of its file and of its table. nil and why not.
---@param given string
---@return { file: string, class: string }? names, string? why
function new.names(given)
  local name = given:gsub("%.lua$", "")
  if not name:find("^%a[%w_-]*$") then
    return nil, ("'%s' cannot be an actor's name here: letters, digits, '_' and '-', the first a letter"):format(given)
  end
  if #name > NAME_MOST then
    return nil, ("that name has %d letters: %d at most"):format(#name, NAME_MOST)
  end
  local file = name:gsub("(%l%d*)(%u)", "%1_%2"):gsub("(%u)(%u%l)", "%1_%2")
    :gsub("[_-]+", "_"):gsub("_$", ""):lower()
  local class = (file:gsub("^%l", string.upper):gsub("_(%w)", string.upper))
  return { file = file, class = class }
end

--- The project's folder: the one above, if this one is its actors/ or spec/.
local function find_project()
  if tools.kind_of("actors") ~= "folder" then
    local here = (tools.real_path(".") or ""):match("[^/]*$")
    if here == "actors" or here == "spec" and tools.kind_of("../actors") == "folder" then
      return ".."
    end
  end
  return "."
end

function new.run(options)
  local names, why = new.names(options.name)
  if not names then
    return EXIT_USAGE, why
  end
  local folder = find_project()
  local files = project_files.actor(names)
  local code
  why, code = making.files(folder, files)
  if why then
    return code, why
  end
  making.say(folder, files)
  print(("\nNow type:%s\n  troupe test spec/%s_spec.lua\n  troupe run -w actors/%s.lua"):format(
    folder == ".." and "\n  cd .." or "", names.file, names.file))
  print(('or give it a place in a node of the topology:\n  actor "%s" { "actors/%s.lua" },'):format(
    names.file, names.file))
  return EXIT_OK
end

return new
