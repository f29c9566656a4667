--- `troupe init DIR`: makes a project that runs, tests and reloads at once.
local files = require "troupe.cli.files"
local making = require "troupe.cli.making"
local port = require "troupe.port"
local project_files = require "troupe.cli.project_files"
local tools = require "troupe.tools"

local EXIT_OK, EXIT_FAILED, EXIT_USAGE = 0, 1, 2
local NAMELESS = "project" -- where the folder's name has nothing to offer

local project = {}

function project.define(command)
  command:summary "Make a project: actors, a topology, a spec."
  command:usage "Usage: troupe init DIR"
  command:description("Makes a project that runs, tests and reloads at once: two actors, a topology, a\n"
                      .. "spec, a README, and the settings by which editors know the API. Nothing that is\n"
                      .. "there is overwritten: if one of its files is, nothing is written.")
  command:epilog("Exit codes: 0 done, 1 something is there already, or cannot be made.\n\n"
                 .. "Examples:\n"
                 .. "   troupe init shop\n"
                 .. "   troupe init .")
  command:argument("dir", "Its folder, which is made if need be; '.' is this one.")
end

--- What a project is called, and its topology's file, by the name of its folder.
---@param base string
---@return string name, string topology
function project.names(base)
  local name = base:gsub("[^%w_-]+", "_"):gsub("^[_-]+", ""):gsub("[_-]+$", "")
  if name == "" then
    return NAMELESS, "topology.lua"
  end
  return name, name == base and name .. ".lua" or "topology.lua"
end

--- A path as a word of a shell.
local function shell_word(text)
  if text:find("^[%w_./@%%+,:=-]+$") and not text:find("^%-") then
    return text
  end
  return (text:find("^%-") and "./" or "") .. files.quote(text)
end

local function say_next(folder, topology)
  local steps = {
    { "troupe test", "its specs" },
    { ("troupe up %s -w"):format(topology), "run it; save actors/greeter.lua, and see" },
    { "troupe ask greeter Greet name=Ann", "from another terminal" },
    { "troupe new actor NAME", "one more actor, and its spec" },
  }
  if folder ~= "." then
    table.insert(steps, 1, { "cd " .. shell_word(folder), "" })
  end
  local width = 0
  for _, step in ipairs(steps) do width = math.max(width, #step[1]) end
  print("\nNow type:")
  for _, step in ipairs(steps) do
    print(((("  %-" .. math.min(width, 40) .. "s  %s"):format(step[1], step[2])):gsub("%s+$", "")))
  end
end

function project.run(options)
  local folder = options.dir:gsub("(.)/+$", "%1")
  if folder == "" then return EXIT_USAGE, "the name of a folder is expected, not an empty text; . is this one" end
  local made, why = making.folder(folder)
  if not made then
    return EXIT_FAILED, "cannot make " .. why
  end
  local place = assert(tools.real_path(folder))
  local name, topology = project.names(place:match("[^/]*$"))
  local share = tools.real_path(port.share) or port.share
  local new = project_files.project { name = name, topology = topology, meta = share .. "/lua/troupe/meta.lua" }
  local code
  why, code = making.files(folder, new)
  if why then
    for i = #made, 1, -1 do os.remove(made[i]) end
    return code, why
  end
  making.say(folder, new)
  say_next(folder, topology)
  return EXIT_OK
end

return project
