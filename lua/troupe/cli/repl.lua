--- `troupe repl`: a topology that is typed line by line, and runs meanwhile.
local Screen = require "troupe.repl.screen"
local Session = require "troupe.repl.session"
local complete = require "troupe.repl.complete"
local line = require "troupe.repl.line"
local prompt = require "troupe.prompt"
local security = require "troupe.cli.security"
local show = require "troupe.cli.show"
local talk = require "troupe.cli.talk"
local typed = require "troupe.cli.typed"

local EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED, EXIT_TERMINATED = 0, 1, 2, 130, 143
local STDIN = 0
local TITLE = "repl> "
local MORE = "    > "
local EVERY_MS = 100 -- between two looks at the host while nobody types
local TEXT_LIMIT = 1024 * 1024 -- bytes of one declaration

local repl = {}

function repl.define(command)
  command:summary "Type actors and links, send to them, watch; save it as a topology."
  command:usage "Usage: troupe repl [TOPOLOGY] [--bind ENDPOINT] [--timeout D] [options]"
  command:description("A prompt that takes the words of a topology file (docs/topology.md) and runs what they"
                      .. " declare at once, in a host of its own; sends to it, watches its messages, and writes"
                      .. " the file.")
  command:epilog("At the prompt :help shows what there is. Where standard input is no terminal its lines are"
                 .. " taken one after the other; then the host ends.\n\n"
                 .. "Exit codes: 0 done, 1 a line of standard input failed, or there can be no host.\n\n"
                 .. "Examples:\n"
                 .. "   troupe repl\n"
                 .. "   troupe repl market.lua\n"
                 .. "   echo 'actor \"pong\" { \"pong.lua\" }\n"
                 .. "   ask pong Ping count:=1' | troupe repl")
  command:argument("topology", "A topology file, to begin with."):args "?"
  command:option("--bind", "Listen on this endpoint, so that others can send to the actors."
                 .. " (default: do not listen)"):argname "ENDPOINT"
  security.add_options(command)
  talk.add_timeout(command, "How long to wait for an answer")
  command:option("--log-level", "What is below it is not logged. (default: info)")
    :argname "LEVEL":choices { "debug", "info", "warn", "error" }
end

-- ---- At a terminal --------------------------------------------------------------------------

--- One text, of as many lines as it takes. nil and why not, as prompt.read() says.
local function read_text(session, screen, state)
  local text
  repeat
    state.goes_on = text ~= nil
    local title = text and MORE or TITLE
    local typed_line, because = prompt.read(title, function()
      local wrote = screen:above(function() session:listen() end)
      return session.runner.signal ~= nil, wrote
    end, EVERY_MS)
    if not typed_line then
      return nil, because
    end
    if typed_line:find("%S") then prompt.remember(typed_line) end
    text = text and text .. "\n" .. typed_line or typed_line
  until #text > TEXT_LIMIT or not line.is_incomplete(text)
  return text
end

--- What has come that ends the prompt, or takes its line back.
local function take_signal(session, because)
  local signal = session.runner.signal
  session.runner.signal = nil
  if because == "terminated" or signal == "TERM" then
    return EXIT_TERMINATED
  elseif because == "end" then
    return EXIT_OK
  end
end

local function converse(session, screen)
  local state, code = { goes_on = false }, EXIT_OK
  local path = typed.history_path("repl_history")
  if path then prompt.load_history(path) end
  prompt.complete(function(text, start)
    return complete.from(text, start, {
      sketch = session.sketch, scripts = session.scripts, watched = session.runner:watched(), goes_on = state.goes_on,
    })
  end)
  screen:note "The words of a topology, and ask, send, watch; :help says more."
  repeat
    local text, because = read_text(session, screen, state)
    local ending
    if text then
      session:obey(text)
      if session.runner.signal then ending = take_signal(session) end
    else
      show.note("")
      ending = take_signal(session, because)
    end
    code = ending or code
  until ending or session.over
  if path then prompt.save_history(path) end
  return code
end

-- ---- Lines that nobody types ------------------------------------------------------------------

--- Each line is read when the one before is done: what comes of it is told before the next.
local function each_line(session)
  io.stdin:setvbuf("no")
  return function()
    session.runner:await_input()
    if session.runner.signal then
      return nil
    end
    return io.stdin:read("l")
  end
end

local function run_lines(session)
  local ok, text = true, nil
  for given in each_line(session) do
    text = text and text .. "\n" .. given or given
    if #text > TEXT_LIMIT or not line.is_incomplete(text) then
      ok = session:obey(text) and ok
      text = nil
    end
    if session.over then
      break
    end
  end
  if text then ok = session:obey(text) and ok end
  if session.runner.signal then
    return session.runner.signal == "INT" and EXIT_INTERRUPTED or EXIT_TERMINATED
  end
  return ok and EXIT_OK or EXIT_FAILED
end

-- ---- The command -------------------------------------------------------------------------------

function repl.run(options)
  local screen = Screen.new()
  local session, why = Session.open(screen, {
    timeout = options.timeout / 1000, bind = options.bind, security = options, log_level = options.log_level,
  })
  if not session then
    return EXIT_FAILED, why
  end
  local code = EXIT_OK
  if options.topology and not session:obey(":load " .. options.topology) then
    code = EXIT_USAGE
  elseif show.is_terminal(STDIN) then
    code = converse(session, screen)
  else
    code = run_lines(session)
  end
  session:close()
  return code
end

return repl
