--- A reload in several hosts at once: all of them prepare, then all commit, or none.
---
--- ```lua
--- local outcomes, code, why = reload_everywhere.run(hosts.list(), { ["do"] = "reload" })
--- ```
---
--- Each host holds its actors from when it has prepared until it is told what to do, for
--- 10 s at most; and it calls off what it has prepared when our connection closes. So
--- whoever dies in between, of them or us, leaves nothing half done, but for a host that
--- dies or stops after the others were told to commit: that one is named.
local hosts = require "troupe.cli.hosts"
local tools = require "troupe.tools"

local EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_UNREACHABLE, EXIT_REFUSED = 0, 1, 2, 5, 6
local EXIT_INTERRUPTED, EXIT_TERMINATED = 130, 143
local PREPARE_SECONDS = 8 -- less than a host waits for us
local COMMIT_SECONDS = 20

---@class cli.ReloadOutcome
---@field host cli.Host
---@field code integer     the exit code that it would be alone
---@field result "committed"|"nothing changed"|"not in use"|"refused"|"called off"|"does not answer"|"has ended"
---@field report table?    script/reload.h
---@field why string?      why not
---@field private connection cli.Connection?
---@field private ticket integer?  of what is prepared, and not decided

local reload_everywhere = {}

local RESULT_OF = { [EXIT_OK] = "committed", [EXIT_USAGE] = "not in use", [3] = "does not answer",
                    [EXIT_UNREACHABLE] = "has ended", [EXIT_REFUSED] = "refused" }

--- Its answer has ended: what has become of it.
local function conclude(outcome)
  local connection = outcome.connection
  outcome.ticket = nil
  outcome.code, outcome.why = connection.code, connection.code ~= EXIT_OK and connection.why or nil
  outcome.result = RESULT_OF[outcome.code] or "refused"
  if outcome.code == EXIT_OK and outcome.report and not outcome.report.changed then
    outcome.result = "nothing changed"
  end
end

local function begin(host, request)
  local connection, why, code = hosts.open(host)
  local outcome = { host = host, connection = connection }
  if not connection then
    outcome.code, outcome.why, outcome.result = code, why, "has ended"
    return outcome
  end
  local asked = { decide = true }
  for name, value in pairs(request) do asked[name] = value end
  connection:begin(asked)
  return outcome
end

--- Waits until the host has prepared, or has said that it will not.
local function await_prepared(outcome, until_s)
  local connection = outcome.connection
  while connection and not outcome.ticket and not outcome.code do
    local row = connection:next(math.max(until_s - tools.now(), 0))
    if not row then
      conclude(outcome)
    elseif row.prepared then
      outcome.ticket = row.ticket
    else
      outcome.report = row
    end
  end
end

--- A host may have ended, or begun to, while the others prepared.
local function look_again(outcome)
  while outcome.ticket do
    local row, silent = outcome.connection:next(0, true)
    if silent == false then
      return
    elseif not row then
      conclude(outcome)
    elseif not row.prepared then
      outcome.report = row
    end
  end
end

local function await_end(outcome, until_s)
  local connection = outcome.connection
  for row in function() return connection:next(math.max(until_s - tools.now(), 0)) end do
    if not row.prepared then
      outcome.report = row
    end
  end
  conclude(outcome)
end

--- Tells all hosts what to do with what they have prepared, then waits until they have
--- done it: one that does not answer must not let the others' time pass.
local function decide(outcomes, commit)
  local told, connections = {}, {}
  for _, outcome in ipairs(outcomes) do
    if outcome.ticket then
      local connection = hosts.open(outcome.host)
      if connection then
        connection:begin { ["do"] = "verdict", ticket = outcome.ticket, commit = commit }
        table.insert(connections, connection)
      end
      table.insert(told, outcome)
    end
  end
  local until_s = tools.now() + COMMIT_SECONDS
  for _, outcome in ipairs(told) do await_end(outcome, until_s) end
  for _, connection in ipairs(connections) do connection:close() end
  return told
end

--- Whether all that have anything to do can do it; and the signal that came, if one did.
local function are_ready(outcomes)
  local ready, signal = true, nil
  for _, outcome in ipairs(outcomes) do
    local code = outcome.code
    if code == EXIT_INTERRUPTED or code == EXIT_TERMINATED then
      signal = code
    end
    ready = ready and (outcome.ticket ~= nil or code == EXIT_OK or code == EXIT_USAGE)
  end
  return ready, signal
end

local function count(outcomes, result)
  local number, first = 0, nil
  for _, outcome in ipairs(outcomes) do
    if outcome.result == result then
      number, first = number + 1, first or outcome
    end
  end
  return number, first
end

--- What the whole of it came to.
local function judge(outcomes, commit)
  local committed = count(outcomes, "committed")
  local unused, first_unused = count(outcomes, "not in use")
  if unused == #outcomes then
    return EXIT_USAGE, first_unused.why
  end
  for _, outcome in ipairs(outcomes) do
    local failed = outcome.code ~= EXIT_OK and outcome.code ~= EXIT_USAGE
    if failed and outcome.result ~= "called off" then
      local title = hosts.title(outcome.host)
      if commit and committed > 0 then
        return EXIT_FAILED, ("%s %s, and the others have committed: hosts run different code now"):format(
          title, outcome.result)
      end
      local why = outcome.why or outcome.result
      return EXIT_REFUSED, ("%s%s; the old code goes on everywhere"):format(
        why, why:find(title, 1, true) and "" or ", in " .. title)
    end
  end
  return EXIT_OK
end

--- Reloads in all of them, or in none.
---@param list cli.Host[]
---@param request table  of the command "reload"
---@return cli.ReloadOutcome[] outcomes, integer code, string? why
function reload_everywhere.run(list, request)
  local until_s = tools.now() + PREPARE_SECONDS
  local outcomes = {}
  for i, host in ipairs(list) do outcomes[i] = begin(host, request) end
  for _, outcome in ipairs(outcomes) do await_prepared(outcome, until_s) end
  for _, outcome in ipairs(outcomes) do look_again(outcome) end
  local commit, signal = are_ready(outcomes)
  for _, outcome in ipairs(decide(outcomes, commit)) do
    if not commit and outcome.code == EXIT_REFUSED then
      outcome.result, outcome.why = "called off", nil
    end
  end
  for _, outcome in ipairs(outcomes) do
    if outcome.connection then
      outcome.connection:close()
    end
  end
  if signal then
    return outcomes, signal, ""
  end
  return outcomes, judge(outcomes, commit)
end

return reload_everywhere
