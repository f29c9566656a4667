--- A topology: hosts ("nodes"), the actors in them, what is outside, and who sends what to
--- whom, written down in a Lua file (docs/topology.md). Read, planned, compared, written.
---
--- ```lua
--- local topology = require "troupe.topology"
--- local model, problems = topology.load("market.lua")
--- for _, problem in ipairs(problems) do io.stderr:write(topology.line(problem), "\n") end
--- if model then plans = topology.plan(model) end
--- ```
---
--- Nothing here runs an actor, opens a socket or looks into a script.
local difference = require "troupe.topology.diff"
local planning = require "troupe.topology.plan"
local reading = require "troupe.topology.read"
local tools = require "troupe.tools"
local writing = require "troupe.topology.write"

local EXIT_USAGE = 2

local topology = {}

---@class troupe.topology.Problem
---@field line integer
---@field severity "error"|"warning"
---@field text string
---@field hint string?  "did you mean 'limit'?"
---@field file string   as messages name it

---@class troupe.topology.Model
---@field name string
---@field file string        as messages name it
---@field folder string      where its scripts are looked for first
---@field line integer
---@field nodes troupe.topology.Node[]          all lists are in the order of the file
---@field externals troupe.topology.External[]
---@field links troupe.topology.Link[]

---@class troupe.topology.Node
---@field name string
---@field line integer
---@field bind string?       as written, as are all values of options
---@field advertise string?
---@field workers integer?
---@field after string[]     names of nodes
---@field options table      of `troupe run`, by their names with _: memory, slice, allow, log_level, ...
---@field actors troupe.topology.Actor[]

---@class troupe.topology.Actor
---@field name string
---@field line integer
---@field node string
---@field script string?     as written; or:
---@field source string?     the text of a script
---@field config table       refs in it are { ["$ref"] = "book" }
---@field options table      of actor.spawn
---@field instances integer?
---@field route string?      "round", "least", "broadcast", "hash:FIELD"; with instances

---@class troupe.topology.External
---@field name string
---@field line integer
---@field endpoint string
---@field actor string       what it is called there
---@field from string?       its language

---@class troupe.topology.Link
---@field line integer
---@field from string        an actor, or an external
---@field to string
---@field types { name: string, fields: table? }[]    sorted by name; fields as of actor.message
---@field answers { name: string, fields: table? }[]

---@class troupe.topology.Plan
---@field topology string
---@field node string
---@field bind string[]      endpoints in their one spelling; none: it does not listen
---@field advertise string?
---@field workers integer?
---@field options table      as port.run takes them: memory_bytes, slice_ms, limits, allow, ...
---@field nodes table<string, string>  where NAME@node leads; "": this host; those that do not listen are missing
---@field actors troupe.topology.PlannedActor[]

---@class troupe.topology.PlannedActor
---@field name string
---@field script string?     a path from the current folder, if it stands beside the topology
---@field source string?
---@field config table       { ["$ref"] = "book@tcp://127.0.0.1:5001" }, or the bare name in the same host
---@field options table
---@field instances integer?
---@field route string?
---@field types table<string, table>  the declared fields of what it sends and gets

--- Reads a topology. Whatever the text is, it raises nothing, and ends soon.
---@param text string
---@param about { name: string, folder: string, open?: boolean }  what messages call it; where its
--- scripts are; open: there is more to come, so that refs, links and after may lead to what is not there
---@return troupe.topology.Model? model  nil if there is an error among the problems
---@return troupe.topology.Problem[] problems  sorted by line; its field `partial` is what could be made
--- sense of, also then: what has no name, script, endpoint or end is left out
function topology.read(text, about)
  return reading.read(text, about)
end

-- `shop` where shop.lua is meant, or shop/shop.lua.
local function meant_file(path)
  local base = path:match("([^/]+)/*$")
  for _, near in ipairs { path .. ".lua", base and ("%s/%s.lua"):format(path:gsub("/+$", ""), base) } do
    if tools.kind_of(near) == "file" then return ("did you mean '%s'?"):format(near) end
  end
end

--- Reads a file, or standard input ("-").
---@param path string
---@return troupe.topology.Model? model
---@return troupe.topology.Problem[] problems
---@return integer? code  2 if there was nothing to read
function topology.load(path)
  if path == "-" then
    return reading.read(io.read(reading.TEXT_LIMIT + 1) or "", { name = "(standard input)", folder = "." })
  end
  local file, why = io.open(path, "rb")
  local text
  if file then
    text, why = file:read(reading.TEXT_LIMIT + 1)
    if not text and not why then text = "" end
    file:close()
  end
  if not text then
    return nil, { { line = 0, severity = "error", file = path,
                    text = "it cannot be read: " .. why:gsub("^.*: ", ""), hint = meant_file(path) } }, EXIT_USAGE
  end
  return reading.read(text, { name = path, folder = path:match("^(.*)/[^/]*$") or (path:find("^/") and "/" or ".") })
end

--- What a problem says, without where: `there is no word 'nod' (did you mean 'node'?)`.
---@param problem troupe.topology.Problem
---@return string
function topology.text(problem)
  return problem.text .. (problem.hint and (" (%s)"):format(problem.hint) or "")
end

--- A problem as a line for people: `market.lua:12: there is no word 'nod' (did you mean 'node'?)`.
---@param problem troupe.topology.Problem
---@return string
function topology.line(problem)
  return ("%s:%s %s%s"):format(problem.file, problem.line > 0 and problem.line .. ":" or "",
    problem.severity == "warning" and "warning: " or "", topology.text(problem))
end

--- What to start, in that order: each node's part.
---@param model troupe.topology.Model
---@param options? { one?: boolean }  one: a single plan, of all actors in one host
---@return troupe.topology.Plan[]? plans
---@return string[]? reasons  with `one`: why the nodes cannot be one host
function topology.plan(model, options)
  return planning.plan(model, options)
end

--- The actor or external of that name ("book", "pricer", "limits.2", "book@feed"), and an actor's node.
---@param model troupe.topology.Model
---@param name string
---@return (troupe.topology.Actor|troupe.topology.External)? found
---@return troupe.topology.Node? node
function topology.where(model, name)
  return planning.where(model, name)
end

--- What turns a running topology into another.
---@param old troupe.topology.Plan[]
---@param new troupe.topology.Plan[]
---@return { start: troupe.topology.Plan[], stop: string[], nodes: table<string, table> }? changes
---@return string[]? reasons  why that cannot be while it runs
function topology.diff(old, new)
  return difference.diff(old, new)
end

--- The text of a file that reads back as this model.
---@param model troupe.topology.Model
---@return string text
function topology.write(model)
  return writing.write(model)
end

return topology
