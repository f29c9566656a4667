--- What is typed at the prompt of `troupe repl`, done: the topology that has come of it so
--- far, and the host that runs it.
---
--- ```lua
--- local session, why = Session.open(screen, { timeout = 5, security = {} })
--- session:obey('actor "book" { "book.lua" }')   --> true: it went well
--- session:obey 'ask book Get'                   -- prints the answer
--- session.over                                  -- :quit was typed
--- session:close()
--- ```
local Runner = require "troupe.repl.runner"
local Sketch = require "troupe.repl.sketch"
local commands = require "troupe.repl.commands"
local line = require "troupe.repl.line"
local looking = require "troupe.cli.looking"
local security = require "troupe.cli.security"
local show = require "troupe.cli.show"
local topology = require "troupe.topology"
local trace = require "troupe.cli.trace"

local NAME = "repl" -- of its host, and of a topology that was never loaded or saved
local OWN = "^node%."  -- the actor that runs the others
local ASKER = "^%$ask#" -- one that waits for an answer on behalf of this prompt

---@class repl.Options
---@field timeout number     seconds for an answer
---@field bind string?
---@field security table     the options of troupe.cli.security
---@field log_level string?

---@class repl.Session
---@field screen repl.Screen
---@field sketch repl.Sketch
---@field runner repl.Runner
---@field options repl.Options
---@field scripts table<string, topology.Inspection>  what actors' scripts say of themselves
---@field over boolean     :quit was typed
---@field changed boolean  something is not in a file
---@field private plan troupe.topology.Plan  that the host runs
---@field private found table<string, boolean>  what is known to be wrong
---@field private told_end boolean?  that the host has ended was said
local Session = {}
Session.__index = Session

-- ---- What is heard ---------------------------------------------------------------------------

local function make_ears(screen)
  local form = trace.for_people(screen.paint_out)
  return {
    line = function(stream, text) screen:line(stream, text) end,
    trace = function(row)
      looking.without_nulls(row)
      local from, to = row.from or "", row.to or ""
      if not to:find(OWN) and not from:find(OWN) and (not to:find(ASKER) or row.kind == "reply") then
        row.from, row.to = from:find(ASKER) and "prompt" or row.from, to:find(ASKER) and "prompt" or row.to
        screen:line("out", form(row))
      end
    end,
    missed = function(count)
      if count > 0 then screen:note(("%s messages are not shown: too many pass"):format(show.count(count))) end
    end,
  }
end

--- The plan of a sketch in this session's host.
function Session:plan_of(sketch)
  local plan, why = sketch:plan()
  if plan then
    plan.node, plan.bind = NAME, { self.options.bind }
    plan.options = security.fields(self.options.security, { keep = true })
  end
  return plan, why
end

---@param screen repl.Screen
---@param options repl.Options
---@return repl.Session? session, string? why
function Session.open(screen, options)
  local self = setmetatable({
    screen = screen, options = options, sketch = Sketch.new(NAME), scripts = {}, found = {}, over = false,
    changed = false,
  }, Session)
  self.plan = self:plan_of(self.sketch)
  local why
  self.runner, why = Runner.start(self.plan, { ears = make_ears(screen), log_level = options.log_level })
  if not self.runner then
    return nil, why
  end
  return self
end

--- Ends the host; all that it still says is shown.
function Session:close()
  self.runner:stop()
  self.runner:close()
end

--- Tells what has happened while nothing was to be done.
function Session:listen()
  if not self.runner:pump() and not self.told_end then
    self.screen:failure(self.runner.ended)
    self.told_end = true
  end
end

--- A host that has ended is started again, with all that is declared.
---@param plan troupe.topology.Plan
---@return boolean there
function Session:revive(plan)
  if not self.runner.ended then
    return true
  end
  local watched = self.runner:watched()
  self.runner:close()
  local runner, why = Runner.start(plan, { ears = make_ears(self.screen), log_level = self.options.log_level })
  if not runner then
    self.screen:failure("the host cannot be started again: " .. why)
    return false
  end
  self.screen:note "it was started again; what its actors knew is lost"
  self.runner, self.told_end = runner, false
  for _, pattern in ipairs(watched) do runner:watch(pattern) end
  return true
end

-- ---- Becoming another -------------------------------------------------------------------------

--- What is found now and was not before.
function Session:tell_findings(problems)
  local found = {}
  for _, problem in ipairs(problems) do
    local text = topology.text(problem)
    found[text] = true
    if not self.found[text] then
      self.screen:line("err", self.screen.paint("yellow", "check: " .. show.printable(text)))
    end
  end
  self.found = found
end

--- Says why a script that was just named cannot be one; false if none is.
function Session:refuses_scripts(edit, problems, scripts)
  local bad = false
  for _, name in ipairs(edit.actors) do bad = bad or not scripts[name] end
  if bad then
    for _, problem in ipairs(problems) do
      local text = topology.text(problem)
      if problem.severity == "error" and not self.found[text] then self.screen:failure(text) end
    end
  end
  return bad
end

--- After a change that did not go through: what was ended for it runs as it did before,
--- only from its beginning; or is no more.
function Session:take_stock(changes)
  local states = not self.runner.ended and self.runner:states() or {}
  local again, gone = {}, {}
  for _, name in ipairs(changes.remove) do
    table.insert(states[name] and states[name] ~= "ended" and again or gone, name)
  end
  for _, name in ipairs(self.runner.ended and {} or gone) do
    self.sketch = self.sketch:without(name).sketch
  end
  self.plan = self:plan_of(self.sketch)
  if #again > 0 then self.screen:note(("%s: as before, but started anew"):format(table.concat(again, ", "))) end
  if #gone > 0 and not self.runner.ended then
    self.screen:failure(("%s: gone, for it did not start again as it was"):format(table.concat(gone, ", ")))
  end
end

--- Which actors run now that were declared.
function Session:tell_actors(edit)
  local new, anew = {}, {}
  for _, name in ipairs(edit.actors) do table.insert(edit.replaced[name] and anew or new, name) end
  if #new > 0 then
    self.screen:note(("%s %s"):format(table.concat(new, ", "), #new == 1 and "runs" or "run"))
  end
  if #anew > 0 then
    self.screen:note(("%s %s stopped, and %s anew"):format(table.concat(anew, ", "), #anew == 1 and "was" or "were",
                                                           #anew == 1 and "runs" or "run"))
  end
end

--- Makes the host what an edit says.
---@param edit repl.Edit
---@return boolean ok
function Session:become(edit)
  local plan, why = self:plan_of(edit.sketch)
  if not plan then
    self.screen:failure(why)
    return false
  end
  local problems, scripts = edit.sketch:problems()
  if self:refuses_scripts(edit, problems, scripts) then
    return false
  end
  local declared = {}
  for _, name in ipairs(edit.actors) do declared[name] = true end
  local changes = Sketch.changes(self.plan, plan, declared)
  local done = true
  if self.runner.ended then
    if not self:revive(plan) then return false end
  elseif #changes.add + #changes.remove > 0 or changes.nodes then
    done, why = self.runner:apply(changes)
  end
  if not done then
    if not self.runner.ended then self.screen:failure(why) end
    self:take_stock(changes)
    return false
  end
  self.sketch, self.plan, self.scripts, self.changed = edit.sketch, plan, scripts, true
  self:tell_actors(edit)
  for _, text in ipairs(edit.said) do self.screen:note(text) end
  if #changes.again > 0 then
    self.screen:note(("%s: started anew, for what was declared is a part of it"):format(
      table.concat(changes.again, ", ")))
  end
  self:tell_findings(problems)
  return true
end

--- Problems of reading; of several lines that were typed it is said which.
function Session:tell_problems(problems, several)
  for _, problem in ipairs(problems) do
    local text = topology.text(problem)
    if several and problem.line > 0 then text = ("line %d: %s"):format(problem.line, text) end
    if problem.severity == "error" then self.screen:failure(text) else self.screen:note(text) end
  end
end

function Session:declare(declaration)
  local edit, problems = self.sketch:declare(declaration)
  self:tell_problems(problems, declaration.text:find("\n") ~= nil)
  return edit ~= nil and self:become(edit)
end

-- ---- Lines ----------------------------------------------------------------------------------

--- Does what a text says, and tells what becomes of it.
---@param text string
---@return boolean ok
function Session:obey(text)
  local typed, why = line.parse(text)
  if not typed then
    self.screen:failure(why)
    return false
  elseif typed.kind == "nothing" then
    return true
  end
  self:listen()
  if commands.need_host(typed) and not self:revive(self.plan) then
    return false
  end
  local ok
  if typed.kind == "declaration" then
    ok = self:declare(typed)
  else
    ok, why = commands.run(self, typed)
    if why and not self.runner.ended then self.screen:failure(why) end
  end
  self:listen()
  return ok == true
end

return Session
