--- `troupe listen EP [NAME]`: prints what arrives, and answers it if asked to.
local fields = require "troupe.cli.fields"
local security = require "troupe.cli.security"
local show = require "troupe.cli.show"
local tools = require "troupe.tools"
local units = require "troupe.cli.units"

local EXIT_OK, EXIT_USAGE, EXIT_TIMED_OUT, EXIT_INTERRUPTED = 0, 2, 3, 130
local COUNT_MAX = 1000000000
local AN_HOUR_MS = 3600 * 1000

local listen = {}

function listen.define(command)
  command:summary "Print every message that arrives at an endpoint."
  command:description("Listens on an endpoint and prints each message that arrives, whoever it is for, or"
                      .. " with a NAME only that actor's; what is for others is then rejected. On a terminal"
                      .. " in a form for people, else as one JSON object a line:\n"
                      .. '{"v": 1, "time": ..., "from": REF or null, "to": NAME,\n'
                      .. ' "type": ..., "message": {...}}')
  command:epilog("With --reply each message that has a sender (but no Reject) is answered: with the"
                 .. " fields given, {{n}} being the message's number, or without any with its own.\n\n"
                 .. "Exit codes: 0 after -n messages, 3 none came in time, 130 interrupted.\n\n"
                 .. "Examples:\n"
                 .. "   troupe listen :5001\n"
                 .. "   troupe listen :5001 pong --reply Pong\n"
                 .. "   troupe listen :5001 price --reply Price value:=9.5 -n 1 --timeout 10s\n"
                 .. "   troupe listen :5001 --json | jq .message\n"
                 .. "   troupe listen :5001 | troupe send other@:5002 -")
  command:argument("endpoint", "Where: ':5001' is tcp://127.0.0.1:5001, port 0 any free one.")
  command:argument("name", "For whom. (default: everybody)"):args "?"
  command:option("--reply", "Answer each message with this type, and these fields (as in 'troupe send').")
    :argname { "TYPE", "FIELD" }:args "1+"
  command:option("-n", "End after so many messages."):argname "COUNT":target "count":convert(units.count(COUNT_MAX))
  command:option("--timeout", "End if no message comes for so long. (default: never)")
    :argname "DURATION":convert(units.milliseconds)
  command:option("--advertise", "What others are told to reply to, if not the bound endpoint.")
    :argname "ENDPOINT"
  security.add_options(command)
  command:flag("--json", "One object a line, on a terminal too.")
end

--- Milliseconds since 1970 as 2026-11-20T17:18:46.123Z.
local function utc(time_ms)
  return os.date("!%Y-%m-%dT%H:%M:%S", time_ms // 1000) .. (".%03dZ"):format(time_ms % 1000)
end

local function as_json(heard)
  return ('{"v": 1, "time": "%s", "from": %s, "to": %s, "type": %s, "message": %s}'):format(
    utc(heard.time_ms), show.json_string(heard.from), show.json_string(heard.to), show.json_string(heard.type),
    show.json_text(heard.json))
end

local function for_people(paint)
  return function(heard)
    local time = os.date("%H:%M:%S", heard.time_ms // 1000) .. (".%03d"):format(heard.time_ms % 1000)
    return ("%s  %s -> %s  %s %s"):format(paint("dim", time), show.printable(heard.from or "nobody"),
                                         show.printable(heard.to), paint("bold", show.printable(heard.type)),
                                         show.json_text(heard.json))
  end
end

--- What answers a message, or nil and why not.
local function replier(words)
  if not words then
    return function() return true end
  end
  local reply_type, given = words[1], table.move(words, 2, #words, 1, {})
  if fields.are_from_lines(given) then
    return nil, "--reply cannot take its fields from standard input"
  end
  local compose, why = fields.compose(given)
  if not compose then
    return nil, why
  end
  return function(listening, heard, n)
    if not heard.from or heard.type == "Reject" then
      return true
    end
    local text, compose_why = heard.json, nil
    if #given > 0 then
      text, compose_why = compose(n)
      if not text then
        return nil, compose_why, EXIT_USAGE
      end
    end
    local ok, reply_why, code = listening:reply(reply_type, text)
    if ok or code == EXIT_USAGE then
      return ok, reply_why, code
    end
    show.note("troupe: no answer sent to " .. show.printable(heard.from .. ": " .. reply_why))
    return true
  end
end

--- How it ended, other than by a message.
---@param news string  of listening:next()
---@param options { timeout: integer? }
---@param listening table  of tools.listen()
---@return integer code, string? why
function listen.ending(news, options, listening)
  if news == "timed out" then
    return EXIT_TIMED_OUT, ("nothing came to %s in %.1f s"):format(listening:endpoint(), options.timeout / 1000)
  end
  return news == "interrupted" and EXIT_INTERRUPTED or EXIT_OK
end

local function hear(listening, options, reply)
  local people = show.is_terminal(show.STDOUT) and not options.json
  local form = people and for_people(show.painter(show.STDOUT)) or as_json
  for n = 1, options.count or math.huge do
    local news, heard
    repeat
      news, heard = listening:next(options.timeout or AN_HOUR_MS)
    until news ~= "timed out" or options.timeout
    if news ~= "message" then
      return listen.ending(news, options, listening)
    end
    local ok, why, code = reply(listening, heard, n)
    if not show.line(form(heard)) then
      return EXIT_OK -- its reader has enough
    end
    if not ok then
      return code, why
    end
  end
  return EXIT_OK
end

function listen.run(options)
  local reply, why, code = replier(options.reply)
  if not reply then
    return EXIT_USAGE, why
  end
  local listening
  listening, why, code = tools.listen(security.fields(options, {
    bind = options.endpoint,
    advertise = options.advertise,
    name = options.name,
  }))
  if not listening then
    return code, why
  end
  show.note(("%-8s listening on %s"):format(options.name or "listen", listening:endpoint()))
  code, why = hear(listening, options, reply)
  local waiting = options.count and 0 or listening:waiting()
  listening:close()
  if waiting > 0 then
    show.note(("troupe: %s messages that had come were not printed"):format(show.count(waiting)))
  end
  return code, why
end

return listen
