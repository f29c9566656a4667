--- The commands at the prompt of `troupe repl`: each answers whether it went well, and if
--- not why, unless that has been said.
---
--- ```lua
--- commands.run(session, line.parse "ask book Get symbol=ACME")   --> true; or false, why
--- ```
local Sketch = require "troupe.repl.sketch"
local check = require "troupe.topology.check"
local complete = require "troupe.repl.complete"
local fields = require "troupe.cli.fields"
local files = require "troupe.cli.files"
local graph = require "troupe.topology.graph"
local line = require "troupe.repl.line"
local options = require "troupe.options"
local port = require "troupe.port"
local ps = require "troupe.cli.ps"
local security = require "troupe.cli.security"
local show = require "troupe.cli.show"
local snapshot = require "troupe.cli.snapshot"
local talk = require "troupe.cli.talk"
local tools = require "troupe.tools"
local topology = require "troupe.topology"

local HOST = "^node%." -- the actor that runs the others

local commands = {}

commands.HELP = [==[
Actors, and what stands between them (as in a topology file; unfinished lines go on):
  actor "pong" { "pong.lua" }                 run a script; once more: run it anew
  actor "pong" { source = [[ ... ]] }         or a text
  actor "ping" { "ping.lua", config = { to = ref "pong" } }
  external "pricer" { "tcp://localhost:5010", from = "python" }
  link { "ping", "pong", Ping = { count = "integer" }, answers = "Pong" }
Messages (fields as in 'troupe ask'; quotes keep blanks, JSON may have them):
  ask pong Ping count:=1       wait for the answer and print it
  pong Ping count:=1           the same, and fine without an answer
  send pong Ping count:=1      do not wait
  watch [NAME], unwatch        print the messages that pass; no more
What there is:
  ps, graph, check             what actors do; a Mermaid drawing; what is wrong
  stop NAME, unlink A B        take an actor, an external, or a link away
  :save FILE, :load FILE       write the topology file that was tried; read one
                               (:save! overwrites, :load! forgets what is here)
  :help, :quit                 (^D leaves, too; ^C takes a line back, TAB
                               completes)]==]

local function known(session, word)
  local names = session.sketch:names()
  for _, list in ipairs { line.COMMANDS, line.DECLARATIONS } do table.move(list, 1, #list, #names + 1, names) end
  return options.hint(word, names)
end

--- What a name that is not declared looks like. It may be there all the same: what an
--- actor spawns is not declared.
local function perhaps_meant(session, name)
  local meant = not session.sketch:actor(name) and not session.sketch:external(name)
    and options.nearest(name, session.sketch:names())
  return meant and (" (did you mean '%s'?)"):format(meant) or ""
end

local function usage(text)
  return false, "write " .. text
end

-- ---- Messages -----------------------------------------------------------------------------

--- Where a name leads: an actor here (a bare name), or the address of one elsewhere.
---@return string? to, boolean|string is_here_or_why
local function target(session, ref)
  local name, place = ref:match("^(.+)@([^@:/]+)$")
  if name and session.plan.nodes[place] == "" then
    return name, true
  elseif ref:find("@", 1, true) then
    local address, why = talk.address(ref)
    return address, address == nil and why or false
  end
  local external = session.sketch:external(ref)
  if external then
    return ("%s@%s"):format(external.actor, external.endpoint), false
  end
  return ref, true
end

local function types_of(session, name)
  return complete.types(name, { sketch = session.sketch, scripts = session.scripts })
end

--- NAME TYPE FIELD... as a message.
---@return { to: string, is_here: boolean, type: string, json: string }? message, string? why
local function compose(session, verb, arguments)
  if #arguments < 2 then
    local name = arguments[1]
    local types = name and types_of(session, name) or {}
    return nil, ("write %sNAME TYPE field=text field:=JSON%s"):format(verb,
      #types > 0 and ("; %s takes %s"):format(name, table.concat(types, ", ")) or "")
  end
  local given = table.move(arguments, 3, #arguments, 1, {})
  if fields.are_from_lines(given) then
    return nil, "- stands for lines of standard input, which are read by the prompt: write field=text, or @FILE"
  end
  local text, why = fields.message(given)
  if not text then
    return nil, why
  end
  local to, is_here = target(session, arguments[1])
  if not to then
    return nil, is_here
  end
  return { to = to, is_here = is_here == true, type = arguments[2], json = text }
end

--- Why an actor does not know a type, and what it knows.
local function explain_type(session, message, why)
  local types = types_of(session, message.to)
  return why .. (why:find("^Unknown message type") and #types > 0
    and ("; %s takes %s"):format(message.to, table.concat(types, ", ")) or "")
end

--- A message to elsewhere, as the port takes it.
local function letter(session, message)
  return security.fields(session.options.security, {
    to = message.to, type = message.type, json = message.json, timeout_ms = session.options.timeout * 1000 // 1 | 0,
  })
end

--- Asks: its answer, or why there is none, and whether that is because nobody gives one.
local function ask(session, message)
  if message.is_here then
    local answer, why, no_answer = session.runner:ask(message.to, message.type, message.json, session.options.timeout)
    return answer, why and explain_type(session, message, why), no_answer
  end
  local flags = { "--timeout", ("%dms"):format(session.options.timeout * 1000 // 1 | 0) }
  local keys = session.options.security
  for flag, file in pairs { ["--curve-key"] = keys.curve_key, ["--curve-peers"] = keys.curve_peers } do
    table.move({ flag, file }, 1, 2, #flags + 1, flags)
  end
  return session.runner:ask_elsewhere(message.to, message.type, message.json, flags)
end

local function print_answer(session, answer)
  session.screen:line("out", ("%s %s"):format(show.printable(answer.type), show.json_text(answer.json)))
end

local run = {}

function run.ask(session, arguments)
  local message, why = compose(session, "ask ", arguments)
  if not message then
    return false, why
  end
  local answer
  answer, why = ask(session, message)
  if not answer then
    return false, why
  end
  print_answer(session, answer)
  return true
end

function run.send(session, arguments)
  local message, why = compose(session, "send ", arguments)
  if not message then
    return false, why
  end
  if message.is_here then
    local sent
    sent, why = session.runner:send(message.to, message.type, message.json)
    return sent == true, why
  end
  local code
  code, why = port.send(letter(session, message))
  return code == 0, code ~= 0 and why or nil
end

function run.watch(session, arguments)
  if #arguments > 1 then
    return usage "watch NAME, or watch for all"
  end
  local done, why = session.runner:watch(arguments[1] or "*")
  if done then
    session.screen:note(("watching %s; unwatch ends it%s"):format(
      arguments[1] and ("what %s sends and gets"):format(arguments[1]) or "all messages",
      arguments[1] and perhaps_meant(session, arguments[1]) or ""))
  end
  return done == true, why
end

function run.unwatch(session, arguments)
  local name = arguments[1]
  if name and not session.runner:unwatch(name) then
    local watched = session.runner:watched()
    return false, ("'%s' is not watched%s"):format(name,
      #watched > 0 and ("; watched are " .. table.concat(watched, ", ")) or "")
  end
  for _, pattern in ipairs(name and {} or session.runner:watched()) do session.runner:unwatch(pattern) end
  return true
end

-- ---- What there is -----------------------------------------------------------------------

--- Ends an actor that another one has made: it is in no topology.
local function stop_undeclared(session, name)
  local row, why = session.runner:request({ ["do"] = "kill", name = name, stop = true }, session.options.timeout)
  if not row then
    return false, why
  end
  session.screen:note(("%s: %s"):format(name, row.how))
  return true
end

function run.stop(session, arguments)
  local name = arguments[1]
  if #arguments ~= 1 then
    return usage "stop NAME"
  end
  local was_actor = session.sketch:actor(name)
  local edit = session.sketch:without(name)
  if not edit then
    return stop_undeclared(session, name)
  end
  table.insert(edit.said, 1, was_actor and name .. " was stopped" or name .. " is forgotten")
  return session:become(edit)
end

function run.unlink(session, arguments)
  if #arguments ~= 2 then
    return usage "unlink FROM TO"
  end
  local edit = session.sketch:unlinked(arguments[1], arguments[2])
  if not edit then
    return false, ("there is no link %s -> %s"):format(arguments[1], arguments[2])
  end
  return session:become(edit)
end

function run.ps(session)
  local connection, why = session.runner:connect()
  if not connection then
    return false, why
  end
  local seen = snapshot.mark(connection) and not tools.pause(ps.SAMPLE_S)
    and snapshot.take(connection, { sort = "name" })
  connection:close()
  if not seen then
    return false, connection.why or "given up"
  end
  for i = #seen.actors, 1, -1 do
    if seen.actors[i].name:find(HOST) then
      table.remove(seen.actors, i)
      seen.host.actors = seen.host.actors - 1
    end
  end
  for _, text in ipairs(ps.lines(seen, {}, show.room(), session.screen.paint_out)) do
    session.screen:line("out", text)
  end
  return true
end

function run.graph(session)
  session.screen:line("out", (graph.mermaid(session.sketch.model):gsub("\n$", "")))
  return true
end

function run.check(session)
  if not session.sketch:has_actors() then
    session.screen:note "there are no actors yet"
    return true
  end
  local problems = session.sketch:problems()
  for _, problem in ipairs(problems) do
    session.screen:line("out", (problem.severity == "warning" and "warning: " or "")
      .. show.printable(topology.text(problem)))
  end
  if #problems == 0 then session.screen:note "nothing is wrong with it" end
  return check.code(problems) == 0
end

-- ---- With a colon ------------------------------------------------------------------------

local colon = {}

function colon.help(session)
  session.screen:line("out", commands.HELP)
  return true
end

function colon.quit(session)
  session.over = true
  return true
end

function colon.save(session, typed)
  local path = typed.rest
  if path == "" then
    return usage ":save FILE, such as :save market.lua"
  elseif not session.sketch:has_actors() then
    return false, "there are no actors to save yet"
  elseif not typed.force and files.is_there(path) then
    return false, ("%s is there already: :save! %s overwrites it"):format(path, path)
  end
  session.sketch:name_after(path)
  local written, why = files.write(path, session.sketch:text(path))
  if not written then
    return false, why
  end
  session.changed = false
  session.screen:note(("saved; 'troupe up %s' runs it"):format(path))
  return true
end

function colon.load(session, typed)
  local path = typed.rest
  if path == "" or path == "-" then
    return usage ":load FILE, such as :load market.lua"
  elseif session.changed and not session.sketch:is_empty() and not typed.force then
    return false, ("what was typed here would be lost: :save it, or :load! %s"):format(path)
  end
  local model, problems = topology.load(path)
  for _, problem in ipairs(problems) do session.screen:line("err", show.printable(topology.line(problem))) end
  if not model then
    return false
  end
  local sketch = Sketch.of(model)
  local edit = { sketch = sketch, actors = {}, replaced = {}, said = {} }
  for _, node in ipairs(model.nodes) do
    for _, actor in ipairs(node.actors) do
      table.insert(edit.actors, actor.name)
      edit.replaced[actor.name] = session.sketch:actor(actor.name) ~= nil
    end
  end
  if #model.nodes > 1 then table.insert(edit.said, ("its %d nodes are one host here"):format(#model.nodes)) end
  if not session:become(edit) then
    return false
  end
  session.changed = false
  return true
end

colon.q = colon.quit

-- Who types these means them, unless an actor is called so.
local SPOKEN = { exit = "quit", help = "help", quit = "quit" }

--- NAME TYPE FIELD..., without a word before it.
local function message(session, arguments)
  local name = arguments[1]
  if #arguments == 1 and not session.sketch:actor(name) and not session.sketch:external(name) then
    if SPOKEN[name] then
      return colon[SPOKEN[name]](session)
    end
    return false, ("'%s' is no command here%s; :help says what there is"):format(name, known(session, name))
  end
  local composed, why = compose(session, "", arguments)
  if not composed then
    return false, why
  end
  local answer, no_answer
  answer, why, no_answer = ask(session, composed)
  if answer then
    print_answer(session, answer)
  elseif no_answer then
    session.screen:note(why)
  else
    if session.sketch:actor(name) then return false, why end
    local command, word = options.nearest(name, line.COMMANDS), options.nearest(name, line.DECLARATIONS)
    return false, command and ("%s (or did you mean the command '%s'?)"):format(why, command)
      or word and ("%s (or did you mean the word '%s'?)"):format(why, word) or why
  end
  return true
end

-- ---- Which one -----------------------------------------------------------------------------

local TALK = { ask = true, ps = true, send = true, watch = true }

--- Whether a line is for the host as it is: others say what it is to become, or are for
--- the prompt.
---@param typed repl.Line
---@return boolean
function commands.need_host(typed)
  return typed.kind == "message" and #typed.arguments > 1 or typed.kind == "command" and TALK[typed.word] == true
end

--- Does what a line says that declares nothing.
---@param session repl.Session
---@param typed repl.Line
---@return boolean ok, string? why
function commands.run(session, typed)
  if typed.kind == "message" then
    return message(session, typed.arguments)
  elseif typed.kind == "command" then
    return run[typed.word](session, typed.arguments)
  end
  local command = colon[typed.word]
  if not command then
    local meant = options.nearest(typed.word, { "help", "load", "quit", "save" })
    return false, (":%s is no command%s: there are :save FILE, :load FILE, :help and :quit"):format(
      typed.word, meant and (" (did you mean ':%s'?)"):format(meant) or "")
  end
  return command(session, typed)
end

return commands
