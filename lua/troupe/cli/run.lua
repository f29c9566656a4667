--- `troupe run SCRIPT...`: each script as one actor, until the last has ended.
local limits = require "troupe.cli.limits"
local links = require "troupe.cli.links"
local port = require "troupe.port"
local security = require "troupe.cli.security"
local units = require "troupe.cli.units"

local EXIT_USAGE = 2
local WORKERS_MAX = 64

local TRIAL_MAX_MS = 24 * 60 * 60 * 1000

local run = {}

--- A duration that a trial may have.
---@param text string
---@return integer? milliseconds, string? why
function run.trial(text)
  local value, why = units.milliseconds(text)
  if value and value > TRIAL_MAX_MS then
    return nil, ("'%s' is too long for a trial: 24h at most"):format(text)
  end
  return value, why
end

--- The options that `troupe -e` has as well.
function run.add_options(parser)
  links.add_option(parser)
  parser:option("--bind", "Listen on this endpoint: ':5001' is tcp://127.0.0.1:5001, port 0 any free one."
                .. " (default: do not listen)"):argname "ENDPOINT"
  parser:option("--advertise", "What others are told to reply to, if not the bound endpoint.")
    :argname "ENDPOINT"
  security.add_options(parser)
  parser:option("--workers", "Threads that run actors, 1 to 64. (default: one a core)")
    :argname "N":convert(units.count(WORKERS_MAX))
  parser:option("--memory", "What one actor may use: 64MiB, 1GiB. (default: 256MiB)")
    :argname "SIZE":convert(units.bytes)
  parser:option("--slice", "A handler that runs longer is reported: 250ms, 2s. (default: 5s)")
    :argname "DURATION":convert(units.milliseconds)
  parser:option("--log", "How log lines look: 'text', or 'json', one object a line. (default: text)")
    :argname "FORM":choices { "text", "json" }
  parser:option("--log-level", "What is below it is not logged. (default: info)")
    :argname "LEVEL":choices { "debug", "info", "warn", "error" }
  parser:flag("--no-control", "No control socket: 'troupe ps', 'kill' and others will not find this host.")
  parser:flag("--sandbox", "No files, programs or C modules for the scripts and what they spawn.")
  limits.add_options(parser)
end

function run.define(command)
  command:summary "Run scripts, each as one actor."
  command:usage "Usage: troupe run SCRIPT... [options] [-- ARGS]"
  command:description("Runs each script as one actor named after its file, until the last has ended.\n"
                      .. "All are made first; then they start in the order given.")
  command:epilog("What follows -- is actor.args in the scripts.\n\n"
                 .. "Examples:\n"
                 .. "   troupe run examples/ping_pong.lua\n"
                 .. "   troupe run pong.lua --bind :5001\n"
                 .. "   troupe run -w pong.lua --bind :5001\n"
                 .. "   troupe run feed.lua book.lua --link feed:book --workers 2 -- --verbose\n"
                 .. "   troupe run ping.lua --link ping:pong@:5001:peer")
  command:argument("script", "A Lua file; '.lua' may be left out."):args "+"
  command:flag("-w --watch", "Reload a script, or a module that it requires, when its file is saved;"
               .. " Enter on the terminal reloads at once.")
  command:option("--trial", "With -w: an error in a handler within this time after a reload brings"
                 .. " the version before back."):argname "DURATION":convert(run.trial)
  command:option("--name", "Name of the actor (only with a single one)."):argname "NAME"
  run.add_options(command)
end

--- The actor's name for a file: `examples/pong.lua` is `pong`.
---@param path string
---@return string
function run.stem(path)
  local name = path:match("([^/]*)$")
  return name:match("^(.+)%.lua$") or name
end

--- What the scripts are called.
---@param paths string[]
---@param given string?  from --name
---@return {path: string, name: string}[]? scripts, string? why
function run.name_scripts(paths, given)
  if given and #paths > 1 then
    return nil, "--name names a single script, and there are " .. #paths
  end
  local scripts, path_of = {}, {}
  for _, path in ipairs(paths) do
    local name = given or run.stem(path)
    if not name:find("^[%w_.-]+$") then
      return nil, ("'%s' cannot be an actor's name (letters, digits, '_', '.' and '-')%s"):format(
        name, given and "" or "; give one with --name")
    end
    if path_of[name] then
      return nil, ("two actors would be named '%s': %s and %s"):format(name, path_of[name], path)
    end
    path_of[name] = path
    table.insert(scripts, { path = path, name = name })
  end
  return scripts
end

--- Runs `scripts` with the options of add_options().
---@return integer code, string? why
function run.host(scripts, options)
  local linked, why = links.apply(options.links, scripts)
  if not linked then
    return EXIT_USAGE, why
  end
  return port.run(security.fields(options, {
    scripts = scripts,
    arguments = options.arguments,
    bind = options.bind,
    advertise = options.advertise,
    workers = options.workers,
    memory_bytes = options.memory,
    slice_ms = options.slice,
    sandbox = options.sandbox,
    log_format = options.log,
    log_level = options.log_level,
    control = not options.no_control and scripts[1].name or nil,
    watch = options.watch,
    trial_ms = options.trial,
    limits = limits.fields(options),
  }))
end

function run.run(options)
  if options.trial and not options.watch then
    return EXIT_USAGE, "--trial is of reloads by --watch; give -w as well"
  end
  local scripts, why = run.name_scripts(options.script, options.name)
  if not scripts then
    return EXIT_USAGE, why
  end
  return run.host(scripts, options)
end

return run
