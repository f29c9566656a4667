--- From the text of a topology file to its model, and to everything in it that is wrong as
--- far as the file alone tells.
---
--- ```lua
--- local model, problems = Read.read(text, { name = "market.lua", folder = "." })
--- ```
local Declarations = require "troupe.topology.declarations"
local Resolve = require "troupe.topology.resolve"
local Words = require "troupe.topology.words"

local Read = {}

--- Bytes of a file.
Read.TEXT_LIMIT = 1 << 20

local LIMIT = 200 -- problems that are told

-- "no 'x'", "did you mean 'y'?" of a text that ends with the hint in brackets.
local function split_hint(text)
  local before, hint = text:match("^(.*) %((did you mean '[^']*'%?)%)$")
  return before or text, hint
end

-- Collects problems. A mistake that is seen twice is told once.
local function make_list(file)
  local problems, told = {}, {}
  local function is_full() return #problems >= LIMIT end
  local function add(line, text, hint)
    if not hint then text, hint = split_hint(text) end
    local key = ("%d %s"):format(line, text)
    if told[key] then return end
    told[key] = true
    table.insert(problems, { line = line, severity = "error", text = text, hint = hint, file = file,
                             place = #problems })
  end
  return problems, {
    error = function(line, text, hint)
      if not is_full() then add(line, text, hint) end
    end,
    last = add,
    any = function() return problems[1] ~= nil end,
    is_full = is_full,
  }
end

local function close_list(problems)
  table.sort(problems, function(a, b)
    if a.line ~= b.line then return a.line < b.line end
    return a.place < b.place
  end)
  local errors = 0
  for _, problem in ipairs(problems) do
    problem.place = nil
    if problem.severity == "error" then errors = errors + 1 end
  end
  return errors
end

-- Without what editors and shells put in front; lines keep their numbers.
local function plain(text)
  return (text:gsub("^\xEF\xBB\xBF", ""):gsub("^#[^\n]*", ""))
end

local function keep(list, is_whole)
  local kept = {}
  for _, each in ipairs(list) do
    if is_whole(each) then table.insert(kept, each) end
  end
  return kept
end

-- Leaves out what lacks that without which it is nothing.
local function without_gaps(model)
  model.name = model.name or "?"
  model.nodes = keep(model.nodes, function(node) return node.name end)
  for _, node in ipairs(model.nodes) do
    node.actors = keep(node.actors, function(actor) return actor.name and (actor.script or actor.source) end)
  end
  model.externals = keep(model.externals, function(external) return external.name and external.endpoint end)
  model.links = keep(model.links, function(link) return link.from and link.to end)
  return model
end

--- See topology.read.
---@param text string
---@param about { name: string, folder: string, open?: boolean }
---@return troupe.topology.Model?
---@return troupe.topology.Problem[]
function Read.read(text, about)
  local problems, tell = make_list(about.name)
  local model
  if #text > Read.TEXT_LIMIT then
    tell.error(1, ("it is larger than %d KiB"):format(Read.TEXT_LIMIT >> 10))
  else
    text = plain(text)
    local noted = Words.run(text)
    for _, wrong in ipairs(noted.wrong) do tell.error(wrong.line, wrong.text, wrong.hint) end
    local declarations = Declarations.new(text, noted, tell, about.open or false)
    model = declarations:topology()
    if model then
      model.file, model.folder = about.name, about.folder
      Resolve.check(model, declarations.refs, tell, about.open or false)
      without_gaps(model)
    end
  end
  local errors = close_list(problems)
  problems.partial = model
  return errors == 0 and model or nil, problems
end

return Read
