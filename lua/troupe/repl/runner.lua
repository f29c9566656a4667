--- The host in which the actors of `troupe repl` run: a child process, `troupe node`, that
--- begins empty and is told through its control socket what to become.
---
--- ```lua
--- local runner <close>, why = Runner.start(plan, { ears = { line = print, trace = print } })
--- runner:apply { add = { actor }, remove = {}, nodes = {} }   --> true; or nil, why
--- runner:ask("book", "Get", '{}', 5)                          --> { type = "Price", json = ... }; or nil, why
--- runner:pump()                                               -- what has happened meanwhile is told
--- ```
---
--- While it waits for anything, what the host writes goes on to be heard.
local processes = require "troupe.processes"
local hosts = require "troupe.cli.hosts"
local json = require "troupe.json"
local tables = require "troupe.tables"
local tools = require "troupe.tools"

local EVENTS_MOST = 1000  -- told at once: who types has his turn also while a host writes without end
local STEP = 0.02         -- seconds between two looks at the one while the other is waited for
local START_PATIENCE = 60 -- seconds for a host to be there
local APPLY_PATIENCE = 60 -- seconds for actors to start
local PATIENCE = 10       -- seconds for a host to answer what it answers at once
local TRACE_PATIENCE = 0.1 -- seconds for messages that have passed to be told
local STOP_PATIENCE = 15  -- seconds for a host that was told to end, beyond what its actors may take

---@class repl.Ears
---@field line fun(stream: "out"|"err", text: string)  a line that the host has written
---@field trace fun(row: table)   a message that has passed
---@field missed fun(count: integer)  so many have passed unseen

---@class repl.Runner
---@field pid integer
---@field ended string?   why there is no host any more
---@field private closed boolean?
---@field signal string?  "INT" or "TERM": it came for this process; whoever acts on it takes it away
---@field private family any
---@field private child integer
---@field private ears repl.Ears
---@field private asking cli.Connection
---@field private asker { child: integer, out: string[], err: string[], code: integer? }?  another host
---@field private watching table<string, cli.Connection>  by patterns of names
local Runner = {}
Runner.__index = Runner

-- ---- What happens --------------------------------------------------------------------------

local function how_it_ended(event)
  if event.signal then
    return "the host was ended by signal " .. tostring(event.signal)
  end
  return ("the host has ended (exit code %d)"):format(event.code)
end

-- What `troupe ask` says, and how it ends.
local function hear_asker(asker, event)
  if event.kind == "line" then
    table.insert(asker[event.stream] or {}, event.text)
  elseif event.kind == "exit" then
    asker.code = event.code or 1
  end
end

function Runner:hear(event)
  if self.asker and event.child == self.asker.child then
    hear_asker(self.asker, event)
  elseif event.kind == "line" and event.stream == "status" then
    self.status = json.decode(event.text)
  elseif event.kind == "line" then
    self.ears.line(event.stream, event.text)
  elseif event.kind == "exit" then
    self.ended = how_it_ended(event)
  elseif event.kind == "signal" then
    self.signal = event.name == "INT" and "INT" or "TERM"
  elseif event.kind == "hangup" or event.kind == "gone" and event.stream == "out" then
    self.signal = "TERM"
  end
end

--- The messages that were watched.
function Runner:look()
  for _, connection in pairs(self.watching) do
    local row, told = connection:next(0, true), 0
    while row and told < EVENTS_MOST do
      if row.skipped then
        local missed = row.skipped + row.lost
        self.ears.missed(missed - (connection.missed or 0))
        connection.missed = missed
      elseif not row.tracing then
        self.ears.trace(row)
      end
      row, told = connection:next(0, true), told + 1
    end
  end
end

--- Tells all that has happened, and waits for nothing.
---@return boolean goes_on  the host is there
function Runner:pump()
  if self.closed then
    return false
  end
  local event, told = self.family:next(0), 0
  while event do
    self:hear(event)
    told = told + 1
    event = told < EVENTS_MOST and self.family:next(0)
  end
  self:look()
  return not self.ended
end

--- Waits until `done()` is true, the deadline is over or a signal has come.
function Runner:await(done, seconds, descriptor)
  local deadline = tools.now() + seconds
  while not done() and not self.signal and tools.now() < deadline do
    local event = self.family:next(STEP, descriptor)
    if event then self:hear(event) end
    self:look()
  end
  return done()
end

--- Waits until there is something to read on standard input, and hears the host meanwhile.
function Runner:await_input()
  while not self.signal and not self.closed do
    local event = self.family:next(next(self.watching) and STEP or nil, 0)
    if event and event.kind == "ready" then
      return
    elseif event then
      self:hear(event)
    end
    self:look()
  end
end

-- ---- Questions ------------------------------------------------------------------------------

--- Asks over the control socket, for at most so many seconds.
---@return table? row, string? why, integer? code
function Runner:request(request, patience)
  if self.ended then
    return nil, self.ended, 5
  end
  local connection, only = self.asking, nil
  local deadline = tools.now() + patience
  connection:begin(request)
  repeat
    local row, silence = connection:next(STEP, true)
    only = row or only
    local over = not row and silence == nil
    self:pump()
    if connection.code == 130 or connection.code == 143 then
      self.signal = connection.code == 130 and "INT" or "TERM"
    elseif not over and self.signal then
      connection:fail(self.signal == "INT" and "interrupted" or "terminated")
    elseif not over and tools.now() > deadline then
      connection:fail("timeout")
    end
  until connection.code
  if self.signal == "INT" then
    self.signal = nil
    return nil, "given up", 130
  elseif connection.code == 5 then
    self:await(function() return self.ended end, 1)
    return nil, self.ended or connection.why, 5
  end
  return connection.code == 0 and (only or {}) or nil, connection.why, connection.code
end

local function explain_silence(why, code, name, type, seconds)
  return code == 3 and ("no answer from %s to %s in %.1f s"):format(name, type, seconds) or why
end

--- Asks an actor. A handler that ends without an answer is told as such.
---@return { type: string, json: string }? answer, string? why, boolean? no_answer
function Runner:ask(name, type, text, seconds)
  local row, why, code = self:request({ ["do"] = "ask", name = name, type = type, json = text }, seconds)
  if row then
    return row
  end
  return nil, explain_silence(why, code, name, type, seconds), why == ("%s gave no answer to %s"):format(name, type)
end

--- Asks an actor of another host: `troupe ask`, in a process of its own, so that the actors
--- here are heard meanwhile and ^C ends it.
---@param flags string[]  of the command
---@return { type: string, json: string }? answer, string? why
function Runner:ask_elsewhere(address, type, text, flags)
  local words = { processes.program, "ask", address, type, "-", input = text .. "\n" }
  local child, why = self.family:spawn(table.move(flags, 1, #flags, #words + 1, words))
  if not child then
    return nil, why
  end
  local asker = { child = child, out = {}, err = {} }
  self.asker = asker
  local function has_ended() return asker.code end
  local is_given_up = not self:await(has_ended, math.huge)
  if is_given_up then
    self.family:kill(child, "KILL")
    if self.signal == "INT" then self.signal = nil end
    self:await(has_ended, PATIENCE)
  end
  self.asker = nil
  local answer, json_text = (asker.out[1] or ""):match("^(%S+) (.*)$")
  if is_given_up then
    return nil, "given up"
  elseif not answer then
    return nil, (table.concat(asker.err, "\n"):gsub("^troupe: ", ""))
  end
  return { type = answer, json = json_text }
end

---@return boolean? sent, string? why
function Runner:send(name, type, text)
  local row, why = self:request({ ["do"] = "send", name = name, type = type, json = text }, PATIENCE)
  return row and true, why
end

--- Makes the host one with other actors.
---@param changes { add: table[], remove: string[], nodes: table? }
---@return boolean? done, string? why
function Runner:apply(changes)
  local row, why = self:request({ ["do"] = "ask", name = self.node, type = "NodeApply", json = json.encode {
    add = json.array(changes.add), remove = json.array(changes.remove), nodes = changes.nodes,
  } }, APPLY_PATIENCE)
  return row and true, why
end

--- What becomes of the actors that it was told to run: "running", "starting" or "ended".
---@return table<string, string>? states  by their names
function Runner:states()
  local row = self:request({ ["do"] = "ask", name = self.node, type = "NodeState", json = "{}" }, PATIENCE)
  if not row then
    return nil
  end
  local states = {}
  for _, actor in ipairs(json.decode(row.json).actors) do states[actor.name] = actor.status end
  return states
end

--- A connection of its own, for who asks otherwise.
---@return cli.Connection? connection, string? why
function Runner:connect()
  if self.ended then
    return nil, self.ended
  end
  return hosts.open(self.host)
end

-- ---- Watching --------------------------------------------------------------------------------

--- From now on messages to and from actors of this name are told; "*": of all.
---@return boolean? done, string? why
function Runner:watch(pattern)
  if self.watching[pattern] then
    return true
  end
  local connection, why = self:connect()
  if not connection then
    return nil, why
  end
  connection:begin { ["do"] = "trace", actor = pattern ~= "*" and pattern or nil }
  local row = connection:next(PATIENCE)
  if not row then
    connection:close()
    return nil, connection.why
  end
  self.watching[pattern] = connection
  return true
end

--- Waits until what has passed is told.
function Runner:settle()
  if next(self.watching) then self:await(function() return self.ended end, TRACE_PATIENCE) end
end

---@return boolean done  it was watched
function Runner:unwatch(pattern)
  local connection = self.watching[pattern]
  if connection then
    self:settle()
    connection:close()
    self.watching[pattern] = nil
  end
  return connection ~= nil
end

--- What is watched, sorted.
function Runner:watched()
  return tables.names(self.watching)
end

-- ---- Beginning and end ---------------------------------------------------------------------

local function find_host(pid)
  for _, host in ipairs(hosts.list() or {}) do
    if host.pid == pid then
      return host
    end
  end
end

--- Starts a host with what is planned.
---@param plan troupe.topology.Plan
---@param options { ears: repl.Ears, log_level: string? }
---@return repl.Runner? runner, string? why
function Runner.start(plan, options)
  local family, why = processes.open()
  if not family then
    return nil, why
  end
  local self = setmetatable({ family = family, ears = options.ears, node = "node." .. plan.node, watching = {} }, Runner)
  self.child, self.pid = family:spawn {
    processes.program, "node",
    input = json.encode { plan = plan, options = { log_level = options.log_level } } .. "\n",
  }
  if not self.child then
    family:close()
    return nil, self.pid
  end
  self:await(function() return self.status or self.ended end, START_PATIENCE)
  local host = self.status and self.status.ready and find_host(self.pid)
  local asking
  if host then
    asking, why = hosts.open(host)
  end
  if not asking then
    why = self.status and self.status.failed or why or self.ended or "the host does not start"
    self:close()
    return nil, why
  end
  self.host, self.asking = host, asking
  return self
end

--- Ends the host: its actors handle what is in their mailboxes, and all that it says is
--- heard.
function Runner:stop()
  if self.closed then
    return
  end
  if not self.ended then
    self:settle()
    self.family:kill(self.child, "TERM")
    self.signal = nil
    self:await(function() return self.ended end, STOP_PATIENCE)
  end
  self:pump()
end

--- Lets go of the host; one that still runs is killed.
function Runner:close()
  self.ended, self.closed = self.ended or "the host was left", true
  for _, connection in pairs(self.watching) do connection:close() end
  self.watching = {}
  if self.asking then self.asking:close() end
  self.family:close()
end
Runner.__close = Runner.close

return Runner
