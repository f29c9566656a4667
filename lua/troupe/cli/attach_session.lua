--- A prompt's session in a running host, or in one actor of it: texts go there, and
--- what becomes of them comes back.
---
--- ```lua
--- local session <close> = Session.open(host, "book")    -- or nil, why, exit code
--- local ended = session:evaluate("self.count", {
---   print = function(text) io.write(text) end,
---   note = function(text) io.stderr:write(text, "\n") end,
--- })
--- print(ended.done)                                     -- "42"
--- ```
---
--- Two connections: on one the host tells what happens, on the other it is asked.
local hosts = require "troupe.cli.hosts"
local json = require "troupe.json"
local tools = require "troupe.tools"

local EXIT_FAILED, EXIT_UNREACHABLE, EXIT_TERMINATED = 1, 5, 143
local ASK_STATE_AFTER = 1    -- seconds without news, before the host is asked why
local PATIENCE = 10          -- seconds for a host to answer what it answers at once
local GRACE = 2              -- seconds for what was interrupted to say so
local COMPLETE_PATIENCE = 1  -- seconds for names: nobody waits longer for a TAB

---@class cli.Session
---@field host cli.Host
---@field actor? string
---@field ended? string  why there is no more of it
---@field private news cli.Connection
---@field private asking cli.Connection
---@field private number integer
---@field private signal? string  that came while the host was asked
local Session = {}
Session.__index = Session

--- How an evaluation ended: one of these fields is there.
---@class cli.Evaluated
---@field done? string       the values as people read them, "" for none
---@field count? integer     how many
---@field json? string       the values as a JSON list
---@field cut? boolean       they were longer
---@field failed? string     the error, and:
---@field trace? string
---@field cancelled? string  where it stood, "" if it had not begun
---@field exited? string     it has ended its actor, for this reason
---@field lost? string       nobody will ever know, and why
---@field timeout? boolean   it was given up, as is said by:
---@field waits? string      what it waited for, if that was not itself
---@field terminated? boolean

---@param host cli.Host
---@param actor? string  nil: inside the host
---@return cli.Session? session, string? why, integer? code
function Session.open(host, actor)
  local news, why, code = hosts.open(host)
  if not news then
    return nil, why, code
  end
  local asking
  asking, why, code = hosts.open(host)
  if not asking then
    news:close()
    return nil, why, code
  end
  local self = setmetatable({ host = host, actor = actor, news = news, asking = asking }, Session)
  news:begin { ["do"] = "attach", actor = actor }
  local greeting = news:next(news.patience)
  if not greeting then
    self:close()
    return nil, news.why, news.code
  end
  self.number = greeting.session
  return self
end

function Session:close()
  self.news:close()
  self.asking:close()
end
Session.__close = Session.close

--- One line of news. nil and "timeout", "interrupted", "terminated" or "ended".
function Session:hear(seconds)
  if self.ended then
    return nil, "ended"
  end
  local line, silence = self.news.raw:receive(seconds)
  local row = line and json.decode(line)
  if type(row) == "table" and not row["end"] then
    return row
  end
  if line or silence == "closed" then
    self.ended = row and row.why or hosts.title(self.host) .. " has ended"
    return nil, "ended"
  end
  return nil, silence
end

--- News that are no end of an evaluation.
local function pass_on(row, ears)
  if row.print then
    ears.print(row.print)
  elseif row.reloaded then
    ears.note("the script was reloaded since")
  elseif row.restarted then
    ears.note(("it was started again (%s): its state, and the names of this prompt, are new"):format(row.restarted))
  elseif row.dropped then
    ears.note(("%d lines are not shown: they came faster than they were read"):format(row.dropped))
  end
end

--- Whether the session goes on; what has happened meanwhile is noted.
---@param ears {print: fun(text: string), note: fun(text: string)}
function Session:look(ears)
  repeat
    local row, silence = self:hear(0)
    if row then pass_on(row, ears) end
  until not row
  return not self.ended
end

--- Asks on the second connection. Signals that come meanwhile are remembered.
---@return table? row, string? why
function Session:ask(request, patience)
  request.session = self.number
  local raw, only = self.asking.raw, nil
  raw:send(json.encode(request))
  while true do
    local line, silence = raw:receive(patience or PATIENCE)
    local row = line and json.decode(line)
    if type(row) == "table" and not row["end"] then
      only = row
    elseif line then
      return row["end"] == 0 and (only or {}) or nil, row.why
    elseif silence == "interrupted" or silence == "terminated" then
      self.signal = silence
    else
      self.asking:close() -- its answer is not to be taken for another's
      local asking, why = hosts.open(self.host)
      self.asking = asking or self.asking
      return nil, why or "the host does not answer"
    end
  end
end

--- Takes it back; how it ended is heard like any other end.
function Session:interrupt()
  self:ask { ["do"] = "attach.interrupt" }
end

--- What it waits for, if it has not begun.
function Session:state()
  local row = self:ask { ["do"] = "attach.state" }
  return row and row.state
end

local function is_end(row)
  return row.done or row.failed or row.cancelled or row.exited or row.lost
end

--- Evaluates a text and waits for its end. ^C takes it back.
---@param text string
---@param ears {print: fun(text: string), note: fun(text: string)}
---@param options? {json: boolean?, timeout: number?}  seconds
---@return cli.Evaluated ended
function Session:evaluate(text, ears, options)
  options = options or {}
  local began = tools.now()
  self.signal = nil
  local taken, why = self:ask { ["do"] = "attach.evaluate", text = text, json = options.json }
  if not taken then
    return { lost = self:hear(0) == nil and self.ended or why }
  end
  local waits, asked, given_up, interrupted
  while true do
    local now = tools.now()
    local until_then = began + math.min(asked and math.huge or ASK_STATE_AFTER,
                                        options.timeout or math.huge)
    if given_up then until_then = given_up + GRACE end
    local row, silence
    if self.signal then
      silence, self.signal = self.signal, nil
    else
      row, silence = self:hear(until_then < math.huge and math.max(until_then - now, 0) or nil)
    end
    if row and is_end(row) then
      if row.lost then row.lost = self:hear(GRACE) == nil and self.ended or "its actor was started again" end
      row.timeout, row.waits = given_up ~= nil and not interrupted, waits
      return row
    elseif row then
      waits = row.waits or waits
      if row.waits then ears.note(row.waits .. "; ^C gives up") end
      pass_on(row, ears)
    elseif silence == "ended" then
      return { lost = self.ended }
    elseif silence == "terminated" then
      return { terminated = true }
    elseif silence == "interrupted" then
      if interrupted then
        return { cancelled = "it does not end: it may be in a C function" }
      end
      interrupted = true
      self:interrupt()
    elseif given_up then
      return { timeout = true, waits = waits }
    elseif options.timeout and tools.now() >= began + options.timeout then
      given_up = tools.now()
      self:interrupt()
    elseif not asked then
      asked = true
      local state = not waits and self:state()
      if state then
        waits = state
        ears.note(state .. "; ^C gives up")
      end
    end
  end
end

--- What the name at the end of `text` may become.
---@param text string
---@return string[] names
function Session:complete(text)
  local row = self:ask({ ["do"] = "attach.complete", text = text }, COMPLETE_PATIENCE)
  return row and row.names or {}
end

--- The names of the host's actors.
---@return string[] names
function Session:actors()
  local row = self:ask { ["do"] = "attach.actors" }
  return row and row.actors or {}
end

--- The exit code for an end, and a sentence if it is none for the output.
---@param ended cli.Evaluated
---@return integer code, string? why
function Session:judge(ended)
  if ended.timeout then
    return 3, "no result in time" .. (ended.waits and ": " .. ended.waits or "")
  elseif ended.done or ended.exited then
    return 0
  elseif ended.lost then
    return self.ended and EXIT_UNREACHABLE or EXIT_FAILED, ended.lost
  elseif ended.terminated then
    return EXIT_TERMINATED
  elseif ended.cancelled then
    return 130
  end
  return EXIT_FAILED
end

return Session
