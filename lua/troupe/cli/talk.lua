--- What `troupe send` and `troupe ask` have in common: whom, what, and how often.
local fields = require "troupe.cli.fields"
local json = require "troupe.json"
local security = require "troupe.cli.security"
local tools = require "troupe.tools"
local units = require "troupe.cli.units"
local whereabouts = require "troupe.cli.whereabouts"

local EXIT_OK, EXIT_USAGE, EXIT_UNREACHABLE = 0, 2, 5
local REPEAT_MAX = 1000000000
local INPUT = "standard input"

local talk = {}

function talk.define(command)
  talk.define_message(command)
  command:option("--repeat", "Do it so many times; ends at the first failure. (default: 1)")
    :argname "N":target "times":convert(units.count(REPEAT_MAX))
  command:option("--every", "One each DURATION; without --repeat until interrupted.")
    :argname "DURATION":convert(units.milliseconds)
end

--- Whom and what.
function talk.define_message(command)
  command:argument("ref", "Whom: pong@:5001, pong@10.0.0.5:5001, pong@tcp://10.0.0.5:5001; or of the hosts that you"
                   .. " run on this machine: pong, or pong@NODE, its host's name or process.")
  command:argument("type", "The message's type, such as Ping.")
  command:argument("field", "key=text, key:=JSON, '{JSON}', @FILE (a JSON object), or - (standard input:"
                   .. " an object a line, each a message); what comes later overrides."):args "*"
end

function talk.add_timeout(command, what, default)
  command:option("--timeout", ("%s: 250ms, 2s, 1m. (default: %s)"):format(what, default or "5s"))
    :argname "DURATION":default(default or "5s"):show_default(false):convert(units.milliseconds)
end

talk.SERIES_HELP = "{{n}} in a field is the message's number, from 1. With - every line of standard input is"
  .. " one message's fields, sent as it comes; empty lines are skipped, a bad one ends the run with 2. With - for"
  .. " the TYPE, lines have both, as printed by 'troupe listen' and 'troupe ask --json':"
  .. " {\"type\": ..., \"message\": {...}}."

--- What is missing in a REF that is none.
local function what_is_missing(ref, name, place)
  if name and place:find("^%d+$") then
    return ("which host? give %s@:%s for a port of this machine, else %s@HOST:%s"):format(name, place, name, place)
  end
  name = name or ref:match("^[^@:/%s]+$")
  if name then
    return ("which host? give %s@HOST:PORT, such as %s@:5001"):format(name, name)
  end
  return ("which actor, and where? '%s' is no NAME@HOST:PORT, such as pong@:5001"):format(ref)
end

--- An actor's address with its host, in full.
---@param ref string
---@return string? address, string? why
function talk.address(ref)
  local name, place = ref:match("^(.+)@([^@]*)$")
  if name and (place:find("://", 1, true) or place:find("^:%d+$") or place:find("^flat:")) then
    return ref
  end
  if name and place:find("^[^/]+:%d+$") then
    return name .. "@tcp://" .. place
  end
  return nil, what_is_missing(ref, name, place)
end

--- A line that says the type as well: its type and fields.
local function take_apart(object, where)
  local message = object.message
  if message == nil or message == json.null then
    message = {}
  end
  if type(object.type) ~= "string" or type(message) ~= "table" then
    return nil, where .. ': {"type": "...", "message": {...}} is expected'
  end
  return object.type, message
end

--- The next message's fields from standard input, and its type if `typed`.
---@return table? line, string? type_or_why
local function read_line(state, typed)
  while true do
    local text = io.stdin:read("l")
    if not text then
      return nil
    end
    state.number = state.number + 1
    if text:find("%S") then
      local where = ("%s:%d"):format(INPUT, state.number)
      local object, why = fields.object(text, where)
      if not object then
        return nil, text:find("^%s*[{%[]%s*$") and why .. " (one object a line: 'jq -c' writes them so)" or why
      end
      if not typed then
        return object
      end
      local message_type, message = take_apart(object, where)
      if not message_type then
        return nil, message
      end
      return message, message_type
    end
  end
end

--- Waits until the next one is due; who is late does not catch up.
local function pacer(every_ms)
  local due
  return function()
    if not every_ms then
      return
    end
    local now = tools.now()
    due = due and math.max(due + every_ms / 1000, now) or now
    tools.sleep(due - now)
  end
end

--- What is wrong with the options, taken together.
local function check(options, from_lines)
  if from_lines and options.times then
    return "--repeat and - exclude each other: with - each line is sent once"
  end
  if options.type == "-" and fields.are_from_lines(options.field) then
    return "- was given twice: as the type it stands for the fields as well"
  end
end

--- Where the messages go: an address, or a connection to the host of this machine that
--- the actor lives in.
local function find_receiver(ref)
  local name, node = whereabouts.parse(ref)
  if not name then
    local to, why = talk.address(ref)
    return to, nil, why, EXIT_USAGE
  end
  local connection, why, code = whereabouts.connect(name, node)
  if not connection and code == EXIT_UNREACHABLE then
    why = ("%s; if it is elsewhere, %s"):format(why, what_is_missing(ref, name, node or ""))
  end
  return name, connection, not connection and why or nil, code
end

--- Calls `deliver` for each message of the run, until it fails.
---@param options table  as parsed
---@param deliver fun(message: table, connection: cli.Connection?): integer, string?  exit code and why;
---  with a connection the receiver is an actor of its host
---@return integer code, string? why
function talk.each(options, deliver)
  local typed = options.type == "-"
  local from_lines = typed or fields.are_from_lines(options.field)
  local arguments = typed and table.move(options.field, 1, #options.field, 2, { "-" }) or options.field
  local compose, to, connection, code
  local why = check(options, from_lines)
  if not why then
    compose, why = fields.compose(arguments)
  end
  if why then
    return EXIT_USAGE, why
  end
  to, connection, why, code = find_receiver(options.ref)
  if why then
    return code, why
  end

  local pace, state = pacer(options.every), { number = 0 }
  local times = from_lines and math.huge or options.times or (options.every and math.huge or 1)
  for n = 1, times do
    local line, message_type
    if from_lines then
      line, message_type = read_line(state, typed)
      if not line then
        local bad = message_type -- or the end
        return bad and EXIT_USAGE or EXIT_OK, bad
      end
    end
    local text
    text, why = compose(n, line)
    if not text then
      return EXIT_USAGE, why
    end
    pace()
    code, why = deliver(security.fields(options, {
      to = to, type = message_type or options.type, json = text, timeout_ms = options.timeout,
    }), connection)
    if code ~= EXIT_OK then
      return code, why
    end
  end
  return EXIT_OK
end

return talk
