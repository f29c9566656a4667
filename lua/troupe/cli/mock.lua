--- `troupe mock EXTERNAL TOPOLOGY`: stands in for an external while it does not exist.
local check = require "troupe.topology.check"
local fields = require "troupe.cli.fields"
local json = require "troupe.json"
local listen = require "troupe.cli.listen"
local options_of = require "troupe.options"
local security = require "troupe.cli.security"
local show = require "troupe.cli.show"
local stand_in = require "troupe.topology.stand_in"
local tables = require "troupe.tables"
local tools = require "troupe.tools"
local topology = require "troupe.topology"
local units = require "troupe.cli.units"

local EXIT_OK, EXIT_USAGE, EXIT_CHECK = 0, 2, 6
local COUNT_MAX = 1000000000
local AN_HOUR_MS = 3600 * 1000

local mock = {}

function mock.define(command)
  command:summary "Stand in for an external of a topology."
  command:usage "Usage: troupe mock EXTERNAL TOPOLOGY [options]"
  command:description("Listens where a topology's external will be, and answers as its links declare: a question"
                      .. " with the declared answer, in it the fields of the same name and type that the question"
                      .. " has, and else a value that is typical of the type. A message that is not as declared"
                      .. " is rejected, and it is said what the real peer would have done.")
  command:epilog("--json prints one object a line for each message: {\"v\", \"time\", \"from\", \"to\", \"type\","
                 .. " \"message\", \"answered\": TYPE or null, \"with\": {...} or null, \"notes\": [...]}, and"
                 .. " for those that it sends by itself {\"v\", \"time\", \"sent\": TYPE, \"to\", \"message\"}.\n\n"
                 .. "Exit codes: 0 after -n messages, 1 the port is taken, 2 no such external, 3 none came in"
                 .. " time, 6 the topology has errors, 130 interrupted.\n\n"
                 .. "Examples:\n"
                 .. "   troupe mock pricer market.lua\n"
                 .. "   troupe mock pricer market.lua --set price:=9.5 --answer Price\n"
                 .. "   troupe mock feed market.lua --every 1s --set 'seq:={{n}}'")
  command:argument("external", "Its name in the topology.")
  command:argument("topology", "The topology's file; - is standard input.")
  command:option("--bind", "Listen here: ':6000' is tcp://127.0.0.1:6000. (default: its endpoint)"):argname "ENDPOINT"
  command:option("--answer", "Answer with this type, where there are several. (default: the first by name)")
    :argname "TYPE":count "*"
  command:option("--set", "Fix a field of what it says: key=text, key:=JSON; {{n}} is the message's number.")
    :argname "FIELD":count "*"
  command:option("--send", "Send this type, which comes from it, once; or with --every again and again.")
    :argname "TYPE":count "*"
  command:option("--every", "How often; all types that come from it, unless --send chooses.")
    :argname "DURATION":convert(units.milliseconds)
  command:option("-n", "End after so many messages."):argname "COUNT":target "count":convert(units.count(COUNT_MAX))
  command:option("--timeout", "End if no message comes for so long. (default: never)")
    :argname "DURATION":convert(units.milliseconds)
  security.add_options(command)
  command:flag("--json", "One object a line.")
end

------------------------------------------------------------- the topology ----

local function external_named(model, name)
  for _, external in ipairs(model.externals) do
    if external.name == name then
      return external
    end
  end
  local names = tables.column(model.externals, "name")
  local hint = options_of.hint(name, names)
  return nil, ("%s has no external '%s'%s"):format(model.file, name, hint ~= "" and hint
    or #names > 0 and (": there is " .. table.concat(names, ", ")) or "; it has none at all")
end

--- Where the actors live that it sends to, as "limits@tcp://127.0.0.1:5002".
local function places_of(model, sends)
  local places = {}
  for _, plan in ipairs(topology.plan(model) or {}) do
    local endpoint = plan.advertise or plan.bind[1]
    for _, actor in ipairs(plan.actors) do
      places[actor.name] = endpoint and ("%s@%s"):format(actor.name, (endpoint:gsub("//[*]:", "//127.0.0.1:")))
    end
  end
  for _, sent in ipairs(sends) do sent.place = places[sent.to] end
end

--- What it is to send by itself.
local function sent_by(external, options)
  local wanted, sends = {}, {}
  for _, name in ipairs(options.send) do wanted[name] = true end
  for _, sent in ipairs(external.sends) do
    if wanted[sent.type] or #options.send == 0 and options.every then
      if not sent.place then
        return nil, ("nobody can send to '%s': its node does not listen (bind)"):format(sent.to)
      end
      table.insert(sends, sent)
      wanted[sent.type] = nil
    end
  end
  local missing = next(wanted)
  if missing or #sends == 0 and options.every then
    return nil, ("no link says that %s comes from '%s'"):format(missing or "anything", options.external)
  end
  return sends
end

--- What --set says of message number n, once it is known to fit.
local function setter(external, options)
  if fields.are_from_lines(options.set) then
    return nil, "--set cannot take its fields from standard input"
  end
  local compose, why = fields.compose(options.set)
  if not compose then
    return nil, why
  end
  return function(n)
    local text, compose_why = compose(n)
    if not text then
      return nil, compose_why
    end
    return external:fix(json.decode(text))
  end
end

local function prepare(options)
  local model, problems, code, scripts = check.load(options.topology)
  if not model then
    for _, problem in ipairs(problems) do
      if problem.severity == "error" then show.note(show.printable(topology.line(problem))) end
    end
    return nil, "", code == EXIT_USAGE and EXIT_USAGE or EXIT_CHECK
  end
  local found, why = external_named(model, options.external)
  if not found then
    return nil, why, EXIT_USAGE
  end
  if found.endpoint:find("^flat:") then
    return nil, ("'%s' is asked in flat JSON over REQ/REP: 'troupe registry' serves that, mock does not"):format(
      found.name), EXIT_USAGE
  end
  if code == EXIT_CHECK then
    show.failure(("%s has errors, but its links can be read: 'troupe check' says which"):format(model.file))
  end
  local external = stand_in.new(model, scripts, found)
  places_of(model, external.sends)
  for _, name in ipairs(options.answer) do
    local fine
    fine, why = external:choose(name)
    if not fine then return nil, why, EXIT_USAGE end
  end
  return external
end

------------------------------------------------------------------ talking ----

local function utc(time_ms)
  return os.date("!%Y-%m-%dT%H:%M:%S", time_ms // 1000) .. (".%03dZ"):format(time_ms % 1000)
end

local function notes_json(notes)
  local texts = {}
  for i, note in ipairs(notes) do texts[i] = show.json_string(note) end
  return "[" .. table.concat(texts, ", ") .. "]"
end

local function as_json(heard, outcome)
  return show.line(('{"v": 1, "time": "%s", "from": %s, "to": %s, "type": %s, "message": %s, "answered": %s, "with": %s,'
    .. ' "notes": %s}'):format(utc(heard.time_ms), show.json_string(heard.from), show.json_string(heard.to),
    show.json_string(heard.type), show.json_text(heard.json), show.json_string(outcome.answer),
    outcome.text and show.json_text(outcome.text) or "null", notes_json(outcome.notes)))
end

local function for_people(paint)
  return function(heard, outcome)
    local time = os.date("%H:%M:%S", heard.time_ms // 1000) .. (".%03d"):format(heard.time_ms % 1000)
    local lines = { ("%s  %s -> %s  %s %s"):format(paint("dim", time), show.printable(heard.from or "nobody"),
      show.printable(heard.to), paint("bold", show.printable(heard.type)), show.json_text(heard.json)) }
    if outcome.answer then
      table.insert(lines, ("    answered %s %s"):format(paint(outcome.reason and "red" or "green", outcome.answer),
                                                        show.json_text(outcome.text)))
    end
    for _, note in ipairs(outcome.notes) do
      table.insert(lines, "    " .. paint("yellow", show.printable(note)))
    end
    return show.line(table.concat(lines, "\n"))
  end
end

--- What the external makes of a message, and its text.
local function judge(external, heard)
  if heard.type == "Reject" then
    return { notes = { "a Reject is never answered" } }
  end
  local outcome
  if heard.to ~= external.external.actor then
    outcome = { reason = ("Actor '%s' not found"):format(heard.to),
                notes = { ("the topology's external is '%s'"):format(external.external.actor) } }
  else
    outcome = external:hear(heard.type, json.decode(heard.json))
  end
  if outcome.reason then
    outcome.answer = "Reject"
    outcome.text = json.encode { message_type = heard.type, reason = outcome.reason, rejected_by = heard.to }
  elseif outcome.answer then
    outcome.text = json.encode(outcome.message)
  end
  if not heard.from and outcome.answer then
    outcome.answer, outcome.text = nil, nil
    table.insert(outcome.notes, outcome.reason and "it has no sender: nobody is answered" or external:nobody())
  end
  return outcome
end

local function reply(listening, outcome)
  if outcome.answer and outcome.reason then
    listening:reject(outcome.reason)
  elseif outcome.answer then
    local ok, why = listening:reply(outcome.answer, outcome.text)
    if not ok then
      table.insert(outcome.notes, "the answer could not be sent: " .. why)
    end
  end
end

--- Sends what is due, to where it belongs.
local function send(listening, external, sends, n, options)
  for _, sent in ipairs(sends) do
    local text = json.encode(external:sample(sent.type, {}))
    local ok, why = listening:send(external.external.actor, sent.place, sent.type, text)
    if not ok then
      show.failure(("%s to %s: %s"):format(sent.type, sent.place, why))
    elseif options.json then
      show.line(('{"v": 1, "time": "%s", "sent": %s, "to": %s, "message": %s}'):format(
        os.date("!%Y-%m-%dT%H:%M:%SZ"), show.json_string(sent.type), show.json_string(sent.place), show.json_text(text)))
    else
      show.line(("sent %d  %s  %s %s"):format(n, sent.place, sent.type, show.json_text(text)))
    end
  end
end

--- Sends what is due; and says for how long nothing will be.
local function pacer(listening, external, sends, set, options)
  local due, round = tools.now(), 0
  return function()
    if #sends == 0 or round > 0 and not options.every then
      return math.huge
    end
    local now = tools.now()
    if now >= due then
      round = round + 1
      set(round)
      send(listening, external, sends, round, options)
      due = options.every and math.max(due + options.every / 1000, now) or math.huge
    end
    return math.max(0, due - tools.now())
  end
end

local function talk(listening, external, set, sends, options)
  local tell = options.json and as_json or for_people(show.painter(show.STDOUT))
  local pace = pacer(listening, external, sends, set, options)
  local heard_count, last = 0, tools.now()
  while heard_count < (options.count or math.huge) do
    local left_ms = options.timeout and options.timeout - (tools.now() - last) * 1000 or AN_HOUR_MS
    local wait_ms = math.min(pace() * 1000, left_ms, AN_HOUR_MS)
    local news, heard = listening:next(math.max(0, math.ceil(wait_ms)))
    if news == "message" then
      heard_count, last = heard_count + 1, tools.now()
      set(heard_count)
      local outcome = judge(external, heard)
      reply(listening, outcome)
      if not tell(heard, outcome) then
        return EXIT_OK -- its reader has enough
      end
    elseif news ~= "timed out" or options.timeout and (tools.now() - last) * 1000 >= options.timeout then
      return listen.ending(news, options, listening)
    end
  end
  return EXIT_OK
end

--- Says what it will answer.
local function announce(listening, external, name)
  show.note(("%-8s listening on %s"):format(name, listening:endpoint()))
  for _, type_name in ipairs(external:types()) do
    local answers = external.takes[type_name].answers
    show.note(("%-8s %s%s"):format(name, type_name, #answers > 0 and " -> " .. table.concat(answers, " | ") or ""))
    for _, answer in ipairs(answers) do
      if not external.shapes[answer] then
        show.failure(("%s has no declared fields: it is {} and what --set says (the link may have"
                      .. " answers = { %s = { ... } })"):format(answer, answer))
      end
    end
  end
end

function mock.run(options)
  local external, why, code = prepare(options)
  if not external then
    return code, why
  end
  local sends, set, fits
  sends, why = sent_by(external, options)
  if not sends then
    return EXIT_USAGE, why
  end
  set, why = setter(external, options)
  if not set then
    return EXIT_USAGE, why
  end
  fits, why = set(1)
  if not fits then
    return EXIT_USAGE, why
  end
  local own = external.external.endpoint
  local listening
  listening, why, code = tools.listen(security.fields(options, {
    bind = options.bind or own:gsub("^tcp://localhost:", "tcp://127.0.0.1:"),
    advertise = not options.bind and own or nil,
  }))
  if not listening then
    return code, options.bind and why or why .. " (--bind ENDPOINT is for another place)"
  end
  external.ref = ("%s@%s"):format(external.external.actor, listening:endpoint())
  if options.bind then
    show.failure(("the topology sends to %s, and this is %s: write that there meanwhile"):format(own, listening:endpoint()))
  end
  announce(listening, external, options.external)
  code, why = talk(listening, external, set, sends, options)
  listening:close()
  return code, why
end

return mock
