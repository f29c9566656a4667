--- `troupe attach [NODE] [ACTOR]`: a prompt inside a running host, or inside one actor.
local Session = require "troupe.cli.attach_session"
local hosts = require "troupe.cli.hosts"
local prompt = require "troupe.prompt"
local show = require "troupe.cli.show"
local typed = require "troupe.cli.typed"
local units = require "troupe.cli.units"

local EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED, EXIT_TERMINATED = 0, 1, 2, 130, 143
local STDIN = 0
local TEXT_LIMIT = 1024 * 1024 -- bytes of what is evaluated at once

local HELP = [[
What is typed is Lua: an expression shows its values, statements run. Names are those of
the actor's script, and:
  self      the actor's state: what is changed in it is changed
  actor     as in the script: actor.ref("risk"):ask("Limit", {}) waits as there
  err       the report of its last failure, or false
  _         the last value
Globals that are assigned here are this prompt's own; locals end with their line.
  :actors       the actors of this host
  :use NAME     go inside another actor; without a name, inside the host
  :help, :quit  (^D leaves, too; ^C takes back what runs; TAB completes names)]]

local attach = {}

function attach.define(command)
  command:summary "A prompt inside a running host, or inside one actor of it."
  command:usage("Usage: troupe attach [NODE] [ACTOR] [-e EXPR | -f FILE] [--timeout D] [--json]\n"
                .. "       troupe attach :ACTOR [options]")
  command:description("Evaluates Lua inside an actor, between two of its handlers: its state, its script's"
                      .. " names, and the API that handlers have.")
  command:epilog("Without ACTOR it is a hidden actor of the host, made for the prompt; what that spawns ends with"
                 .. " it. What is evaluated runs as a handler of its own, when no other is in hand; ^C ends it"
                 .. " wherever it stands, and an error in it is no failure of the actor.\n\n"
                 .. "Where standard input is no terminal, its lines are evaluated one after the other.\n\n"
                 .. "Exit codes: 0 done, 1 an error in what was evaluated, 3 --timeout is over, 5 no such host or"
                 .. " actor, or it has ended, 130 interrupted.\n\n"
                 .. "Examples:\n"
                 .. "   troupe attach                         inside the only host\n"
                 .. "   troupe attach :book                   inside its actor book\n"
                 .. "   troupe attach market book\n"
                 .. "   troupe attach market book -e 'self.orders[1]' --json\n"
                 .. "   troupe attach market -e 'actor.ref(\"book\"):ask(\"Best\", {}).price'")
  command:argument("node", "A host, by its name or process; may be left out where only one runs."):args "?"
  command:argument("actor", "One of its actors."):args "?"
  command:option("-e", "Evaluate this and leave."):argname "EXPR":target "expression"
  command:option("-f", "Run the statements of this file and leave ('-': standard input)."):argname "FILE"
    :target "file"
  command:option("--timeout", "How long each text may take, its turn included. (default: for ever)")
    :argname "DURATION":convert(units.milliseconds)
  command:flag("--json", "Print {\"v\": 1, \"values\": [...], \"text\": ...}, one object a line.")
end

-- ---- What is shown ----------------------------------------------------------------

--- For a terminal each line made harmless; for a file as it is.
local function lines_for(descriptor)
  if not show.is_terminal(descriptor) then
    return function(text) return text end
  end
  return function(text)
    return (text:gsub("[^\n\t]+", show.printable))
  end
end

local function write(text)
  return (io.stdout:write(text) and io.stdout:flush()) ~= nil
end

--- What hears of an evaluation, for people.
local function for_people()
  local fit_out, fit_err, paint = lines_for(show.STDOUT), lines_for(show.STDERR), show.painter(show.STDERR)
  return {
    print = function(text) write(fit_out(text)) end,
    note = function(text) show.note(paint("dim", fit_err(text))) end,
    ended = function(ended, session)
      if ended.done then
        if ended.count > 0 then write(fit_out(ended.done) .. "\n") end
        if ended.cut then show.note(paint("dim", "(there is more than is shown)")) end
      elseif ended.failed then
        show.note(paint("red", fit_err(ended.failed)))
        local trace = (ended.trace or ""):gsub("%s+$", "")
        if trace ~= "" then show.note(fit_err(trace)) end
      elseif ended.cancelled then
        show.note(paint("dim", ended.cancelled == "" and "given up before it began"
                                or show.printable(ended.cancelled)))
      elseif ended.exited then
        show.note(("%s has ended%s"):format(session.actor or "the prompt's actor",
          ended.exited ~= "" and ": " .. show.printable(ended.exited) or ""))
      end
    end,
  }
end

--- The same for programs.
local function for_programs(people)
  local function object(...)
    local parts = { '"v": 1' }
    for i = 1, select("#", ...), 2 do
      local name, value = select(i, ...)
      if value then table.insert(parts, ('"%s": %s'):format(name, value)) end
    end
    write("{" .. table.concat(parts, ", ") .. "}\n")
  end
  return {
    print = function(text) object("print", show.json_string(text)) end,
    note = people.note,
    ended = function(ended, session)
      if ended.done then
        object("values", show.json_text(ended.json or "null"), "text", show.json_string(ended.done))
      elseif ended.failed then
        object("error", show.json_string(ended.failed), "trace", show.json_string(ended.trace or ""))
      else
        people.ended(ended, session)
      end
    end,
  }
end

--- Evaluates one text and shows what came of it.
local function evaluate(session, text, ears, options)
  if #text > TEXT_LIMIT then
    return EXIT_FAILED, ("what is evaluated at once is at most %s bytes long"):format(show.count(TEXT_LIMIT))
  end
  if text:find("\0", 1, true) then
    return EXIT_FAILED, "what is evaluated is a text, and that has a NUL in it"
  end
  if not utf8.len(text) then
    return EXIT_FAILED, "what is evaluated is a text in UTF-8, and that is none"
  end
  local ended = session:evaluate(text, ears, {
    json = options.json, timeout = options.timeout and options.timeout / 1000,
  })
  if not ended.timeout then ears.ended(ended, session) end
  return session:judge(ended)
end

-- ---- Whole texts ---------------------------------------------------------------------

local function read_file(path)
  if path == "-" then
    return io.stdin:read("a") or ""
  end
  local file <close> = io.open(path, "rb")
  local text = file and file:read("a")
  if not text then
    return nil, path .. " cannot be read"
  end
  return text
end

--- Lines that nobody types: the worst of their exit codes.
local function run_lines(session, ears, options)
  local worst, text = EXIT_OK, nil
  local function run()
    local code, why = evaluate(session, text, ears, options)
    if why then show.failure(why) end
    worst, text = math.max(worst, code), nil
    return not session.ended and code ~= EXIT_INTERRUPTED and code ~= EXIT_TERMINATED
  end
  for line in io.stdin:lines() do
    text = text and text .. "\n" .. line or line
    if text:find("^%s*$") then
      text = nil
    elseif (#text > TEXT_LIMIT or not typed.is_incomplete(text)) and not run() then
      return worst
    end
  end
  if text then run() end
  return worst
end

-- ---- At a terminal ------------------------------------------------------------------------

local function title(session)
  return session.host.name .. (session.actor and "/" .. session.actor or "")
end

--- One chunk, of as many lines as it takes. nil and why not, as prompt.read() says.
local function read_chunk(session, ears)
  local text
  repeat
    local more = (" "):rep(#title(session)) .. "> "
    local line, because = prompt.read(text and more or title(session) .. "> ", function()
      local said = false
      local goes_on = session:look {
        print = function(words) said = ears.print("\n" .. words) or true end,
        note = function(words) said = ears.note("\n" .. words) or true end,
      }
      return not goes_on, said
    end)
    if not line then
      return nil, because
    end
    if line:find("%S") then prompt.remember(line) end
    text = text and text .. "\n" .. line or line
  until text:find("^%s*:%a") or not typed.is_incomplete(text)
  return text
end

local COMMANDS = {
  help = function() show.line(HELP) end,
  quit = function(state) state.over = true end,
  actors = function(state)
    for _, name in ipairs(state.session:actors()) do show.line(name) end
  end,
  use = function(state, name)
    local session, why = Session.open(state.session.host, name ~= "" and name or nil)
    if not session then
      show.failure(why)
      return
    end
    state.session:close()
    state.session = session
  end,
}

local function obey(state, text)
  local word, rest = text:match("^%s*:(%a+)%s*(.-)%s*$")
  local command = COMMANDS[word]
  if command then
    command(state, rest)
  else
    show.note((":%s is no command of the prompt: there are :actors, :use NAME, :help and :quit"):format(word))
  end
end

--- What is said when the host or the actor is gone.
local function last_words(session)
  return 5, session.ended
end

local function talk(session, ears, options)
  local state = { session = session }
  local path = typed.history_path("history")
  if path then prompt.load_history(path) end
  prompt.complete(function(text, start)
    local word = text:sub(start)
    local before, found = word:match("^(.*[.:])") or "", {}
    for i, name in ipairs(state.session:complete(text)) do found[i] = before .. name end
    return found
  end)
  show.note(("Lua inside %s; :help says more."):format(
    session.actor and ("%s of %s"):format(session.actor, hosts.title(session.host)) or hosts.title(session.host)))
  local code, why = EXIT_OK, nil
  repeat
    local text, because = read_chunk(state.session, ears)
    if not text then
      show.note("")
      if because == "terminated" then code, state.over = EXIT_TERMINATED, true end
      if because == "end" then state.over = true end
    elseif text:find("^%s*:%a") then
      obey(state, text)
    elseif text:find("%S") then
      local _, sentence = evaluate(state.session, text, ears, options)
      if sentence and not state.session.ended then show.failure(sentence) end
    end
    if not state.over and not state.session:look(ears) then
      code, why = last_words(state.session)
    end
  until state.over or why
  if path then prompt.save_history(path) end
  state.session:close()
  return code, why
end

-- ---- The command ------------------------------------------------------------------------------

--- Which host and which actor are meant.
local function meant(options)
  local node, actor = options.node, options.actor
  if node and node:sub(1, 1) == ":" then
    if actor then
      return nil, nil, ("'%s' names an actor, and '%s' is another"):format(node, actor), EXIT_USAGE
    end
    node, actor = nil, node:sub(2)
  end
  local host, why, code = hosts.pick(node)
  if not host and why:find("^which host%?") then
    why = why:gsub("give %-%-node with a", "say its", 1)
  end
  return host, actor ~= "" and actor or nil, why, code
end

function attach.run(options)
  if options.expression and options.file then
    return EXIT_USAGE, "-e and -f are two things to evaluate: give one"
  end
  local text = options.expression
  if options.file then
    local why
    text, why = read_file(options.file)
    if not text then
      return EXIT_USAGE, why
    end
  end
  local host, actor, why, code = meant(options)
  if not host then
    return code, why
  end
  local session
  session, why, code = Session.open(host, actor)
  if not session then
    return code, why
  end
  local people = for_people()
  local ears = options.json and for_programs(people) or people
  if text then
    code, why = evaluate(session, text, ears, options)
  elseif show.is_terminal(STDIN) then
    return talk(session, ears, options)
  else
    code = run_lines(session, ears, options)
    why = session.ended
  end
  session:close()
  return code, why
end

return attach
