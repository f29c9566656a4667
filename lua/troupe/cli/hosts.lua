--- The running hosts of this user, by their control sockets.
---
--- ```lua
--- local connection <close>, why, code = hosts.connect("pong")
--- for row in connection:ask { ["do"] = "info" } do print(row.version) end
--- if connection.code ~= 0 then print(connection.why) end
--- ```
local json = require "troupe.json"
local port = require "troupe.port"

local EXIT_FAILED, EXIT_USAGE, EXIT_TIMED_OUT, EXIT_UNREACHABLE = 1, 2, 3, 5
local CODE_OF = { timeout = EXIT_TIMED_OUT, closed = EXIT_UNREACHABLE, interrupted = 130, terminated = 143 }
local TITLES_MOST = 8
local PATIENCE = 10 -- seconds for a host to say the next line, unless a command says otherwise

local hosts = {}

---@class cli.Host
---@field name string  of its first script; a long one is cut and ends in ~
---@field pid integer
---@field path string  of its control socket

--- What a host is called where one is chosen, or spoken of.
---@param host cli.Host
function hosts.title(host)
  return ("%s (process %d)"):format(host.name, host.pid)
end

---@return cli.Host[]? list  sorted by name, then process
---@return string why_or_folder  why not; or where was looked
function hosts.list()
  return port.control_list()
end

--- "a (process 1), b (process 2)", and not too many of them.
---@param list cli.Host[]
function hosts.titles(list)
  local words = {}
  for i = 1, math.min(#list, TITLES_MOST) do words[i] = hosts.title(list[i]) end
  return table.concat(words, ", ") .. (#list > TITLES_MOST and (" and %d more"):format(#list - TITLES_MOST) or "")
end

--- The hosts that `node`, a name or the number of a process, means; all without one.
---@param node? string
---@return cli.Host[]? list, string? why, integer? code
function hosts.matching(node)
  local list, folder = hosts.list()
  if not list then
    return nil, folder, EXIT_FAILED
  end
  if #list == 0 then
    return nil, ("no host of yours runs (looked in %s)"):format(folder), EXIT_UNREACHABLE
  end
  if not node then
    return list
  end
  local found = {}
  for _, host in ipairs(list) do
    local cut = host.name:match("^(.*)~$")
    if host.name == node or tostring(host.pid) == node or cut and node:sub(1, #cut) == cut then
      table.insert(found, host)
    end
  end
  if #found == 0 then
    return nil, ("no host is called '%s'; there %s %s"):format(node, #list == 1 and "is" or "are", hosts.titles(list)),
      EXIT_UNREACHABLE
  end
  return found
end

--- The one host that is meant.
---@param node? string  its name or process; may be left out where only one runs
---@return cli.Host? host, string? why, integer? code
function hosts.pick(node)
  local found, why, code = hosts.matching(node)
  if not found then
    return nil, why, code
  end
  if #found > 1 then
    local alike = true -- then a name does not choose
    for _, host in ipairs(found) do alike = alike and host.name == found[1].name end
    return nil, ("which host? give --node with a %s: %s"):format(alike and "process" or "name or process",
                                                                hosts.titles(found)), EXIT_USAGE
  end
  return found[1]
end

---@class cli.Connection
---@field host cli.Host
---@field code integer?  how the last question ended: an exit code; 0 is well
---@field why string?    and why, if it did not end well
---@field private unfinished boolean?  an answer was not waited for
---@field patience number?  seconds for each line of an answer; false: for ever
local Connection = {}
Connection.__index = Connection

---@param host cli.Host
---@return cli.Connection? connection, string? why, integer? code
function hosts.open(host)
  local raw, why = port.control_connect(host.path)
  if not raw then
    return nil, ("%s: %s"):format(hosts.title(host), why), EXIT_UNREACHABLE
  end
  return setmetatable({ host = host, raw = raw, patience = PATIENCE }, Connection)
end

function Connection:close() self.raw:close() end
Connection.__close = Connection.close

--- Opens a connection to the one host that is meant: pick(), then open().
---@param node? string  its name or process; may be left out where only one runs
---@return cli.Connection? connection, string? why, integer? code
function hosts.connect(node)
  local host, why, code = hosts.pick(node)
  if not host then
    return nil, why, code
  end
  return hosts.open(host)
end

local BECAUSE = {
  timeout = "does not answer: is it stopped?", closed = "has ended, and gave no answer",
}

function Connection:fail(news)
  self.unfinished = true
  self.code = CODE_OF[news]
  self.why = BECAUSE[news] and ("%s %s"):format(hosts.title(self.host), BECAUSE[news]) or ""
end

--- Asks, and hands out the lines of the answer as they come; then `code` and `why`
--- say how it ended.
---@param request table  { ["do"] = command, ... }
---@return fun(): table?
function Connection:ask(request)
  self:begin(request)
  return function()
    if self.code then
      return nil
    end
    return self:next(self.patience or nil)
  end
end

--- The same by hand: begin(), then next() until it is nil.
---@param request table
function Connection:begin(request)
  if self.unfinished then -- what is left of an answer that came too late is not for us
    self:close()
    local raw, why = port.control_connect(self.host.path)
    self.code, self.why = not raw and EXIT_UNREACHABLE or nil, why
    if not raw then
      return
    end
    self.raw, self.unfinished = raw, false
  end
  self.code, self.why = nil, nil
  local fine, text = pcall(json.encode, request)
  if not fine then -- what somebody has typed into it is no text
    self.code, self.why = EXIT_USAGE, text:gsub("^[^ ]+:%d+: ", ""):gsub("^value%.", "")
  elseif not self.raw:send(text) then
    self:fail("closed")
  end
end

--- The next line of the answer; nil and `false` if none came in so many seconds, and
--- the answer goes on; nil at its end.
---@param seconds? number  default: for ever
---@param may_wait? boolean  a host that says nothing for so long is no failure
---@return table? row, false?
function Connection:next(seconds, may_wait)
  if self.code then
    return nil
  end
  local line, news = self.raw:receive(seconds)
  if not line then
    if news == "timeout" and may_wait then
      return nil, false
    end
    self:fail(news)
    return nil
  end
  local row = json.decode(line)
  if type(row) ~= "table" then
    self.code, self.why = EXIT_FAILED, ("%s said what is no JSON object"):format(hosts.title(self.host))
    return nil
  end
  if row["end"] then
    self.code, self.why = row["end"], row.why
    return nil
  end
  return row
end

--- Asks a question whose answer is one line at most.
---@param request table
---@return table? row, integer code, string? why
function Connection:ask_one(request)
  local only
  for row in self:ask(request) do only = row end
  return only, self.code, self.why
end

return hosts
