--- `troupe bench send|ask REF TYPE [field...]`: how fast an actor elsewhere
--- answers, or takes what it is sent.
local fields = require "troupe.cli.fields"
local security = require "troupe.cli.security"
local show = require "troupe.cli.show"
local talk = require "troupe.cli.talk"
local tools = require "troupe.tools"
local units = require "troupe.cli.units"

local EXIT_OK, EXIT_USAGE, EXIT_TIMED_OUT, EXIT_REJECTED, EXIT_UNREACHABLE = 0, 2, 3, 4, 5
local EXIT_INTERRUPTED = 130
local COUNT_MAX, WINDOW_MAX, RATE_MAX = 1000000000, 1000, 10000000
local STEP_MS = 100
local BAR_WIDTH = 30

local bench = {}

function bench.define(command)
  command:summary "Measure how fast an actor answers, or takes messages."
  command:description("Asks an actor N questions, or sends it N messages, all alike, and says how long"
                      .. " it took. The connection is made before the clock starts.")
  command:epilog("What is measured:\n"
                 .. "ask    from handing a question to the network until its answer was read\n"
                 .. "       from it, on a monotonic clock, within 1 %. Each of -c askers asks anew\n"
                 .. "       once it has its answer; while the actor stalls they ask nothing, so a\n"
                 .. "       stall shows in at most -c times. With --rate times run from when a\n"
                 .. "       question was due: a stall shows in all that were due meanwhile.\n"
                 .. "send   how many a second the network took, from first to last. Whether the\n"
                 .. "       actor handled them nobody tells.\n\n"
                 .. "Exit codes: 0 all went well; 3, 4 or 5 if any was not answered in time, rejected or"
                 .. " not delivered. Gives up when nothing comes back any more, or only Rejects.\n\n"
                 .. "Examples:\n"
                 .. "   troupe bench ask pong@:5001 Ping count:=1\n"
                 .. "   troupe bench ask pong@:5001 Ping count:=1 -n 100000 -c 50 --json\n"
                 .. "   troupe bench ask pong@:5001 Ping count:=1 --rate 2000 -c 20 -n 20000\n"
                 .. "   troupe bench send log@:5001 Line text=hello -n 1000000")
  command:argument("what", "ask or send."):choices { "ask", "send" }
  command:argument("ref", "Whom: pong@:5001, pong@10.0.0.5:5001, pong@tcp://10.0.0.5:5001.")
  command:argument("type", "The message's type, such as Ping.")
  command:argument("field", "key=text, key:=JSON, '{JSON}' or @FILE; what comes later overrides."):args "*"
  command:option("-n", "How many in all. (default: 10000)")
    :argname "N":target "count":default "10000":show_default(false):convert(units.count(COUNT_MAX))
  command:option("-c", "Questions in flight at once. (default: 1)")
    :argname "C":target "window":default "1":show_default(false):convert(units.count(WINDOW_MAX))
  command:option("--rate", "How many to begin a second. (default: as fast as they go)")
    :argname "R":convert(units.count(RATE_MAX))
  security.add_key_options(command)
  talk.add_timeout(command, "How long to wait for the connection, and for an answer", "2s")
  command:flag("--json", "Print one JSON object with all figures, times in microseconds.")
end

local function microseconds(ns)
  return ("%.1f"):format(ns / 1000)
end

--- A time for people: three digits that matter.
local function duration(ns)
  if ns < 1e6 then
    return ("%.0f µs"):format(ns / 1e3)
  elseif ns < 1e9 then
    return ("%.2f ms"):format(ns / 1e6)
  end
  return ("%.2f s"):format(ns / 1e9)
end

local function per_second(measured)
  return measured.elapsed_ns > 0 and measured.done / (measured.elapsed_ns / 1e9) or 0
end

local function as_json(options, measured)
  local parts = {}
  local function add(key, text) table.insert(parts, ('"%s": %s'):format(key, text)) end
  add("v", "1")
  add("what", show.json_string(options.what))
  add("to", show.json_string(options.ref))
  add("type", show.json_string(options.type))
  add("count", options.count)
  add("done", measured.done)
  add("seconds", ("%.6f"):format(measured.elapsed_ns / 1e9))
  add("per_second", ("%.1f"):format(per_second(measured)))
  if options.what == "ask" then
    add("in_flight", options.window)
    add("timed_out", measured.timed_out)
    add("rejected", measured.rejected)
    add("late", measured.late)
  end
  add("unreachable", measured.unreachable)
  add("rate", options.rate or "null")
  if options.what == "ask" and measured.done > 0 then
    for _, key in ipairs { "least", "mean", "p50", "p90", "p99", "p999", "greatest" } do
      local name = key == "least" and "min" or key == "greatest" and "max" or key
      add(name .. "_us", microseconds(measured[key .. "_ns"]))
    end
  end
  return "{" .. table.concat(parts, ", ") .. "}"
end

local function print_for_people(options, measured)
  local asks = options.what == "ask"
  local ok = show.line(("%s %s in %.2f s: %s a second%s"):format(
    show.count(measured.done), asks and "answers" or "messages handed over", measured.elapsed_ns / 1e9,
    show.count(math.floor(per_second(measured) + 0.5)),
    asks and (", %d in flight"):format(options.window) or ""))
  if ok and asks and measured.done > 0 then
    local names, values = {}, {}
    for _, key in ipairs { "p50", "p90", "p99", "p999", "greatest" } do
      local name = key == "greatest" and "max" or key == "p999" and "p99.9" or key
      local value = duration(measured[key .. "_ns"])
      table.insert(names, ("%10s"):format(name))
      table.insert(values, (" "):rep(10 - utf8.len(value)) .. value)
    end
    show.line(table.concat(names))
    show.line(table.concat(values))
  end
end

--- Draws how far it is, over what was drawn before.
local function draw(measured, options)
  local share = (measured.done + measured.timed_out + measured.rejected + measured.unreachable) / options.count
  local full = math.floor(share * BAR_WIDTH)
  io.stderr:write(("\r[%s%s] %3.0f %%  %s a second \27[K"):format(
    ("="):rep(full), (" "):rep(BAR_WIDTH - full), share * 100,
    show.count(math.floor(per_second(measured) + 0.5))))
end

local function measure(running, options)
  local drawn, next_draw = show.is_terminal(show.STDERR), tools.now() + STEP_MS / 1000
  local measured
  repeat
    running:go_on(STEP_MS)
    measured = running:read()
    if drawn and tools.now() >= next_draw then
      draw(measured, options)
      next_draw = tools.now() + STEP_MS / 1000
    end
  until measured.over
  if drawn then
    io.stderr:write("\r\27[K")
  end
  return measured
end

--- The exit code, and what went wrong in words.
local function judge(measured)
  local kinds = {}
  local code = EXIT_OK
  for _, kind in ipairs { { "timed_out", "not answered in time", EXIT_TIMED_OUT },
                          { "rejected", "rejected", EXIT_REJECTED },
                          { "unreachable", "not delivered", EXIT_UNREACHABLE } } do
    local count = measured[kind[1]]
    if count > 0 then
      table.insert(kinds, show.count(count) .. " " .. kind[2])
      code = kind[3]
    end
  end
  if measured.interrupted then
    code = EXIT_INTERRUPTED
  end
  if #kinds == 0 then
    return code
  end
  return code, ("%s%s: %s"):format(table.concat(kinds, ", "),
                                   measured.given_up and "; given up" or "",
                                   measured.why)
end

function bench.run(options)
  local to, why = talk.address(options.ref)
  if not to then
    return EXIT_USAGE, why
  end
  if fields.are_from_lines(options.field) or options.type == "-" then
    return EXIT_USAGE, "all messages of a bench are alike: - has no meaning"
  end
  local text
  text, why = fields.message(options.field)
  if not text then
    return EXIT_USAGE, why
  end
  local running, code
  running, why, code = tools.bench(security.fields(options, {
    to = to, type = options.type, json = text, asks = options.what == "ask",
    count = options.count, window = options.window, rate = options.rate, timeout_ms = options.timeout,
  }))
  if not running then
    return code, why
  end
  local measured = measure(running, options)
  running:close()
  if options.json then
    show.line(as_json(options, measured))
  else
    print_for_people(options, measured)
  end
  return judge(measured)
end

return bench
