--- The stage: the real host with no threads and a clock that moves only when
--- told, for specs. Nothing sleeps, everything replays.
---
--- ```lua
--- local Stage = require "troupe.stage"
--- local stage = Stage.new()
--- local counter = stage:spawn("examples/counter.lua", { start = 2 })
--- stage:send(counter, "Increment")
--- assert.same({ value = 3 }, (stage:ask(counter, "GetValue")))
--- stage:advance("1h")
--- stage:close()            -- fails if a message, timer or state was left behind
--- ```
local core = require "troupe.core"

---@class troupe.Stage
local Stage = {}
Stage.__index = Stage

local UNITS = { ms = 1e-3, s = 1, m = 60, h = 3600 }
local LONGEST = 1e9 -- seconds
local OPTIONS = { seed = true, actors = true, timers = true, children = true, memory_total = true }

local function seconds(duration, level)
  local value, unit = duration, "s"
  if type(duration) == "string" then
    value, unit = duration:match("^([%d.]+)(%a+)$")
    value = tonumber(value)
  end
  local length = type(value) == "number" and UNITS[unit] and value * UNITS[unit]
  if not length or not (length >= 0 and length <= LONGEST) then
    error(("a duration is \"250ms\", \"2s\", \"1m\", \"1h\" or a number of seconds (at most 1e9), not %s")
      :format(tostring(duration)), level + 1)
  end
  return length
end

--- A stage with nothing on it.
---@param options? { seed?: integer, actors?: integer, timers?: integer, children?: integer,
---  memory_total?: integer }  seed: the interleaving; the same seed gives the same run.
---  Without it whoever was ready first runs first. The others are the limits of a host
---  (docs/operations.md; the stage is one actor).
---@return troupe.Stage
function Stage.new(options)
  options = options or {}
  for name in pairs(options) do
    if not OPTIONS[name] then error(("a stage has no option '%s'"):format(tostring(name)), 2) end
  end
  return setmetatable({ core = core.stage(options.seed or 0, options.actors, options.timers, options.children,
                                           options.memory_total) }, Stage)
end

local function open(stage)
  if not stage.core then error("this stage is closed", 3) end
  return stage.core
end

--- Makes an actor; its on_start runs with the next run(), ask() or advance().
---@param script string|{ source?: string, path?: string, name?: string, failure?: string }
---  a path, looked for as `troupe run` does; or the text of a script, with the
---  options of actor.spawn
---@param config? table  becomes self.config
---@return userdata? actor
---@return string? why  what is wrong with the script
function Stage:spawn(script, config)
  local options = type(script) == "table" and script or { path = script }
  return open(self):spawn(options, config)
end

--- Queues a message from the stage; nothing runs yet. An answer to it is found
--- in outbox(), addressed to "stage".
---@param to userdata|string  an actor, or its name
---@param type string
---@param msg? table
---@return true? sent
---@return string? why
function Stage:send(to, type, msg)
  return open(self):send(to, type, msg)
end

--- Asks and runs until the answer is there, moving the clock on from timer to
--- timer if it must.
---@param timeout? string|number  of the stage's clock; 5 s
---@return table? msg
---@return { type: string }|{ reason: string, text: string } env_or_why
function Stage:ask(to, type, msg, timeout)
  return open(self):ask(to, type, msg, seconds(timeout or 5, 2))
end

--- Runs until nobody has anything to do; the clock stands still.
---@return integer steps  how many times an actor ran
function Stage:run()
  return open(self):run()
end

--- Waits, in real time, until a stream has something to do: a child has written
--- a line, or a client has connected. Then runs until idle, as run() does, which
--- takes what is there but waits for nothing outside.
---@param duration string|number  at most so long
---@return boolean any  false: nothing has come
function Stage:poll(duration)
  return open(self):poll(seconds(duration, 2))
end

--- Moves the clock on; timers fire in order, at their time. Until idle.
---@param duration string|number
function Stage:advance(duration)
  open(self):advance(seconds(duration, 2))
end

--- Puts new code in the place of an actor's script, in all actors that run it (or
--- the same file), as `troupe reload` does; then runs until idle. What is queued
--- before is handled by the new code.
---@param to userdata|string
---@param source? string  the new text; nil: the script's file is read again
---@param options? { undo?: boolean, trial?: string|number }
---@return troupe.ReloadReport? report
---@return { reason: "reload", text: string, report: troupe.ReloadReport }? why  the old
---  code goes on in all of them
function Stage:reload(to, source, options)
  for name in pairs(options or {}) do
    if name ~= "undo" and name ~= "trial" then error(("reload has no option '%s'"):format(tostring(name)), 2) end
  end
  return open(self):reload(to, source, options)
end

--- Takes what has left for elsewhere since the last call: sends to actors on
--- other hosts, and answers to the stage itself.
---@return { to: string, type: string, msg: table, from: string? }[]
function Stage:outbox()
  return open(self):outbox()
end

--- Takes the lines that scripts have printed since the last call. What is not
--- taken is printed when the stage closes.
---@return string[]
function Stage:output()
  return open(self):output()
end

--- Takes the log's lines since the last call, error reports among them. What is
--- not taken is printed when the stage closes.
---@return { level: string, text: string }[]
function Stage:log()
  return open(self):log()
end

--- Takes what went to the dead letters since the last call.
---@return { type: string, to: string, from: string, reason: string, text: string }[]
function Stage:dead_letters()
  return open(self):dead_letters()
end

--- Everything that has happened so far, a line for each step: who handled what.
--- Two runs with one seed have the same trace.
---@return string[]
function Stage:trace()
  return open(self):trace()
end

--- Stops an actor as ref:stop() does.
---@param to userdata|string
---@param options? { drain?: boolean }
function Stage:stop(to, options)
  return open(self):stop(to, options and options.drain or false)
end

--- Whether an actor is still there.
---@param to userdata|string
---@return boolean
function Stage:alive(to)
  return open(self):alive(to)
end

--- Seconds on the stage's clock since it was opened.
---@return number
function Stage:now()
  return open(self):now()
end

--- Stops the actors, then raises if a message, a timer or a state was left
--- behind, and says where it was made; or if a handler used up its instruction
--- budget and nobody has taken the log() since. Closing twice is fine.
function Stage:close()
  if not self.core then return end
  local left = self.core:close()
  self.core = nil
  if left then error("the stage was left with " .. left, 2) end
end

return Stage
