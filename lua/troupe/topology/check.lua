--- What is wrong with a topology, found before anything of it runs.
---
--- ```lua
--- local check = require "troupe.topology.check"
--- local model, problems, code = check.load("market.lua")
--- for _, problem in ipairs(problems) do print(topology.line(problem)) end
--- os.exit(code) -- 0: it can be started, 2: there is no such file, 6: it has errors
--- ```
---
--- What the file alone shows is found by troupe.topology as it is read; here the
--- scripts are looked at beside it. Each is loaded once, as a host would load it:
--- its top level runs, no handler does, and nothing is spawned, sent or bound.
local Links = require "troupe.topology.check_links"
local Scripts = require "troupe.topology.check_scripts"
local topology = require "troupe.topology"

local check = {}

local EXIT_OK, EXIT_USAGE, EXIT_CHECK = 0, 2, 6

---@class topology.Inspection  what port.inspect tells of a script
---@field path string          as people see it
---@field shipped boolean      it is one of Troupe's own
---@field handlers string[]    as they are spelt: "on_ping"; sorted
---@field any boolean          it has an on_any
---@field types table<string, table>  what it declares by actor.message: as troupe.Fields, in lists
---@field settings table<string, any> what it says of itself: `failure`, `interleave`, ...
---@field modules string[]     files that its top level has required, of the project
---@field warnings string[]    what a host would warn of when it loads it

--- Whether any of the problems is an error: the exit code.
---@param problems troupe.topology.Problem[]
---@return integer code
function check.code(problems)
  for _, problem in ipairs(problems) do
    if problem.severity == "error" then
      return EXIT_CHECK
    end
  end
  return EXIT_OK
end

-- What adds a problem to a list, each once: several actors may run one script.
local function reporter(file, list)
  local told = {}
  return function(line, severity, text, hint)
    local key = ("%d %s %s"):format(line, text, hint or "")
    if told[key] then return end
    told[key] = true
    list[#list + 1] = { file = file, line = line, severity = severity, text = text, hint = hint }
  end
end

-- By their lines, and those of one line in the order in which they were found.
local function sort(problems)
  local place = {}
  for number, problem in ipairs(problems) do place[problem] = number end
  table.sort(problems, function(one, other)
    if one.line ~= other.line then return one.line < other.line end
    return place[one] < place[other]
  end)
end

--- Looks at a topology that was read.
---@param model troupe.topology.Model
---@param problems troupe.topology.Problem[]?  of reading it
---@return troupe.topology.Problem[] problems  those and what was found now, by their lines
---@return table<string, topology.Inspection> scripts  by the names of actors; of those that load
function check.model(model, problems)
  local all = table.move(problems or {}, 1, #(problems or {}), 1, {})
  local report = reporter(model.file, all)
  local seen = Scripts.look(model, report)
  Links.check(model, seen, report)
  sort(all)
  local scripts = {}
  for actor, each in pairs(seen) do scripts[actor.name or ""] = each.inspection end
  return all, scripts
end

--- Reads a topology and looks at it.
---@param path string  "-": standard input
---@return troupe.topology.Model? model  nil: there are errors in the file itself
---@return troupe.topology.Problem[] problems  of all kinds, by their lines
---@return integer code  0, 2 (there is no such file) or 6
---@return table<string, topology.Inspection> scripts  by the names of actors
function check.load(path)
  local model, problems, code = topology.load(path)
  if code == EXIT_USAGE then return nil, problems, EXIT_USAGE, {} end
  local scripts = {}
  local known = model or problems.partial -- what could be made sense of has scripts, too
  if known then problems, scripts = check.model(known, problems) end
  return model, problems, check.code(problems), scripts
end

return check
