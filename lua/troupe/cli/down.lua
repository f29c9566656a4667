--- `troupe down TOPOLOGY`: ends what `troupe up` has started.
local presence = require "troupe.up.presence"
local show = require "troupe.cli.show"
local tools = require "troupe.tools"
local units = require "troupe.cli.units"

local EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_TIMED_OUT, EXIT_UNREACHABLE = 0, 1, 2, 3, 5

local down = {}

function down.define(command)
  command:summary "End a topology that is up."
  command:usage "Usage: troupe down TOPOLOGY [--timeout DURATION]"
  command:description("Ends the nodes that 'troupe up TOPOLOGY' has started, the last one first, as ^C there does, and"
                      .. " waits until all have ended. Only what runs on this machine, and is yours.")
  command:epilog("Exit codes: 0 it is down; 2 several topologies are called so; 3 it has not ended in time; 5 it is not"
                 .. " up.\n\n"
                 .. "Examples:\n"
                 .. "   troupe down market.lua\n"
                 .. "   troupe down market          by its name")
  command:argument("topology", "Its file, or its name.")
  command:option("--timeout", "How long to wait for the end: 2s, 1m. (default: 30s)")
    :argname "DURATION":default "30s":show_default(false):convert(units.milliseconds)
end

local function explain_none(what)
  local list = presence.all() or {}
  local words = {}
  for i, each in ipairs(list) do
    words[i] = ("%s (%s)"):format(each.topology, each.file or "from standard input")
  end
  return ("%s is not up%s"):format(what, words[1] and "; there " .. (#words == 1 and "is " or "are ") .. table.concat(words, ", ")
    or "")
end

-- One name of several files.
local function ambiguous(found)
  for _, each in ipairs(found) do
    if each.file ~= found[1].file then
      return ("which topology? give its file: %s or %s"):format(found[1].file or "(standard input)",
                                                               each.file or "(standard input)")
    end
  end
end

local function end_one(each, deadline)
  local process <close>, why = presence.reach(each.entry)
  if process then
    process:kill("TERM")
    if not process:wait(math.max(deadline - tools.now(), 0)) then
      return EXIT_TIMED_OUT, ("%s was told, and has not ended in time (process %d)"):format(each.topology, each.pid)
    end
  elseif why ~= "it has ended" then
    return EXIT_FAILED, ("process %d cannot be told: %s"):format(each.pid, why)
  end
  show.line(("%s is down (process %d): %s"):format(show.printable(each.topology), each.pid,
                                                   show.printable(table.concat(each.nodes or {}, ", "))))
  return EXIT_OK
end

function down.run(options)
  local deadline = tools.now() + options.timeout / 1000
  local found, why = presence.find(options.topology)
  if not found then return EXIT_FAILED, why end
  if #found == 0 then return EXIT_UNREACHABLE, explain_none(options.topology) end
  why = ambiguous(found)
  if why then return EXIT_USAGE, why end
  for _, each in ipairs(found) do
    local code, reason = end_one(each, deadline)
    if code ~= EXIT_OK then return code, reason end
  end
  return EXIT_OK
end

return down
