--- `troupe doctor [REF|EP] [TYPE [field...]]`: why a peer does not answer, step by
--- step; or, without arguments, what this machine is like.
---
--- A message is only ever sent if a TYPE is given, and exactly that one: a peer of
--- the family may die of a type or a field that it does not know.
local doctor_machine = require "troupe.cli.doctor_machine"
local doctor_steps = require "troupe.cli.doctor_steps"
local fields = require "troupe.cli.fields"
local security = require "troupe.cli.security"
local show = require "troupe.cli.show"
local talk = require "troupe.cli.talk"

local EXIT_USAGE = 2

local doctor = {}

function doctor.define(command)
  command:summary "Say why a peer does not answer, or what ails this machine."
  command:description("Looks step by step whether a peer can be reached, and says what to do. No message"
                      .. " is sent unless a TYPE is given, and then exactly that one, since a peer in another"
                      .. " language may die of a type or a field that it does not know. Without arguments"
                      .. " looks at this machine and installation.")
  command:epilog("Exit codes: 0 all well, 1 something here is amiss, 2 no such address, 3 no answer,"
                 .. " 4 rejected, 5 cannot be reached.\n\n"
                 .. "Examples:\n"
                 .. "   troupe doctor\n"
                 .. "   troupe doctor pong@:5001\n"
                 .. "   troupe doctor tcp://feed.example.org:5001\n"
                 .. "   troupe doctor pong@:5001 Ping count:=1\n"
                 .. "   troupe doctor pong@:5001 Ping --curve-key my.key --curve-peers peers.txt")
  command:argument("peer", "Whom: pong@:5001, :5001, tcp://10.0.0.5:5001. (default: this machine)"):args "?"
  command:argument("type", "The type of a message that the actor knows, such as Ping."):args "?"
  command:argument("field", "Its fields, as in 'troupe send'."):args "*"
  security.add_key_options(command)
  talk.add_timeout(command, "How long each step may take", "3s")
  command:flag("--json", "One object a line: {\"v\": 1, \"step\": ..., \"status\": ..., \"text\": ..., \"todo\": ...}.")
end

local MARKS = { ok = { "ok    ", "green" }, note = { "note  ", "yellow" }, failed = { "failed", "red" } }

--- Prints each step as it is known.
---@param as_json boolean
---@return fun(step: {name: string, status: "ok"|"note"|"failed", text: string, todo: string?})
local function printer(as_json)
  local paint = show.painter(show.STDOUT)
  return function(step)
    if as_json then
      show.line(('{"v": 1, "step": %s, "status": "%s", "text": %s, "todo": %s}'):format(
        show.json_string(step.name), step.status, show.json_string(step.text), show.json_string(step.todo)))
      return
    end
    local mark = MARKS[step.status]
    show.line(("%s  %-9s  %s"):format(paint(mark[2], mark[1]), step.name, show.printable(step.text)))
    for line in (step.todo or ""):gmatch("[^\n]+") do
      show.line((" "):rep(19) .. show.printable(line))
    end
  end
end

function doctor.run(options)
  local tell = printer(options.json)
  if not options.peer then
    return doctor_machine.look(tell)
  end
  local message, why
  if options.type then
    if options.type == "-" or fields.are_from_lines(options.field) then
      return EXIT_USAGE, "one message is sent, and - has no meaning"
    end
    message, why = fields.message(options.field)
    if not message then
      return EXIT_USAGE, why
    end
  end
  return doctor_steps.look(tell, security.fields(options, {
    peer = options.peer, type = options.type, json = message, timeout_ms = options.timeout,
  }))
end

return doctor
