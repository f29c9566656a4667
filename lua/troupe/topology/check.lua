--- What is wrong with a topology, found before anything of it runs.
---
--- ```lua
--- local check = require "troupe.topology.check"
--- local model, problems, code = check.load("market.lua")
--- for _, problem in ipairs(problems) do print(check.text(problem)) end
--- os.exit(code) -- 0: it can be started, 2: there is no such file, 6: it has errors
--- ```
---
--- What the file alone shows is found by troupe.topology as it is read; here the
--- scripts are looked at beside it. Each is loaded once, as a host would load it:
--- its top level runs, no handler does, and nothing is spawned, sent or bound.
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

local function before(a, b)
  if a.line ~= b.line then
    return a.line < b.line
  end
  return a.order < b.order
end

--- Whether any of the problems is an error: the exit code.
---@param problems topology.Problem[]
---@return integer code
function check.code(problems)
  for _, problem in ipairs(problems) do
    if problem.severity == "error" then
      return EXIT_CHECK
    end
  end
  return EXIT_OK
end

--- A problem as people read it: "market.lua:12: warning: text (hint)".
---@param problem topology.Problem
---@return string
function check.text(problem)
  return ("%s:%d: %s%s%s"):format(problem.file, problem.line,
                                  problem.severity == "warning" and "warning: " or "", problem.text,
                                  problem.hint and (" (%s)"):format(problem.hint) or "")
end

--- Looks at a topology that was read.
---@param model topology.Model
---@param problems topology.Problem[]?  of reading it
---@return topology.Problem[] problems  those and what was found now, by their lines
---@return table<string, topology.Inspection> scripts  by the names of actors; of those that load
function check.model(model, problems)
  local all, scripts = {}, {}
  for order, problem in ipairs(problems or {}) do
    problem.order = order
    all[order] = problem
  end
  table.sort(all, before)
  return all, scripts
end

--- Reads a topology and looks at it.
---@param path string  "-": standard input
---@return topology.Model? model        nil: it could not be made sense of
---@return topology.Problem[] problems  of all kinds, by their lines
---@return integer code                 0, 2 (there is no such file) or 6
---@return table<string, topology.Inspection> scripts  by the names of actors
function check.load(path)
  local model, problems, code = require("troupe.topology").load(path)
  if not model then
    return nil, problems, code == EXIT_USAGE and EXIT_USAGE or EXIT_CHECK, {}
  end
  local scripts
  problems, scripts = check.model(model, problems)
  return model, problems, check.code(problems), scripts
end

return check
