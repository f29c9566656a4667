--- `troupe up TOPOLOGY`: starts a process for each node, and keeps them alive.
local check = require "troupe.topology.check"
local dry = require "troupe.up.dry"
local options_of = require "troupe.options"
local presence = require "troupe.up.presence"
local run = require "troupe.cli.run"
local show = require "troupe.cli.show"
local tables = require "troupe.tables"
local tools = require "troupe.tools"
local topology = require "troupe.topology"
local units = require "troupe.cli.units"

local EXIT_OK, EXIT_FAILED, EXIT_USAGE = 0, 1, 2
local BUDGET_MS = 5000
local OWN_SHARE = 0.5 -- of the budget is what a node may take that does not say it itself

local up = {}

function up.define(command)
  command:summary "Start a topology: a process for each node."
  command:usage "Usage: troupe up TOPOLOGY [options]"
  command:description("Checks a topology (see 'troupe check'), then starts a process for each of its nodes:"
                      .. " each when the nodes that it comes 'after' listen and all their on_start have ended. What nodes print and log"
                      .. " comes with their names in front. A node that dies is started again, after 100 ms, then 200 ms,"
                      .. " to 5 s; one that ends by itself with 0 is done. ^C or 'troupe down' ends them, the last one first.")
  command:epilog("SIGHUP: the nodes reload their scripts, and the topology is read again. With -w that comes by itself: a"
                 .. " saved script is reloaded; a saved topology is checked, and what differs is done: nodes and actors"
                 .. " started or stopped, a changed config delivered as the message Config. What cannot be changed while"
                 .. " it runs (a node's bind, an actor's script, options or declared fields) is refused, and the old"
                 .. " topology goes on.\n\n"
                 .. "Exit codes: 0 all nodes are done, or it was ended; 1 a node could not start, or had to be killed;"
                 .. " 2 there is no such file; 6 the topology has errors; 130 interrupted.\n\n"
                 .. "Examples:\n"
                 .. "   troupe up market.lua\n"
                 .. "   troupe up market.lua -w               take over what is saved\n"
                 .. "   troupe up market.lua --one            the same in a single process\n"
                 .. "   troupe up market.lua --node risk      only this node, in this process\n"
                 .. "   troupe up market.lua --dry-run        what would be started\n"
                 .. "   ... | troupe up -                     the topology from standard input")
  command:argument("topology", "The topology's file; - is standard input.")
  command:flag("--one", "All nodes in one process: what they send to each other does not leave it.")
  command:option("--node", "Run only this node, here: no other process is started."):argname "NAME"
  command:flag("-w --watch", "Reload scripts, and take over changes of the topology, when files are saved.")
  command:option("--trial", "With -w: an error in a handler within this time after a reload brings"
                 .. " the version before back."):argname "DURATION":convert(run.trial)
  command:flag("--dry-run", "Print what would be started, in order; start nothing.")
  command:flag("--json", "With --dry-run: one object for each process.")
  command:option("--log", "How log lines look: 'text', or 'json', one object a line. (default: text)")
    :argname "FORM":choices { "text", "json" }
  command:option("--log-level", "What is below it is not logged, unless a node says otherwise. (default: info)")
    :argname "LEVEL":choices { "debug", "info", "warn", "error" }
  command:option("--shutdown", "How long the end may take, of all together. (default: 5s)")
    :argname "DURATION":convert(units.milliseconds)
end

local function wrong_usage(options)
  if options.trial and not options.watch then
    return "--trial is of reloads by --watch; give -w as well"
  elseif options.json and not options.dry_run then
    return "--json goes with --dry-run"
  elseif options.one and options.node then
    return "--one is all nodes, --node a single one: give one of them"
  elseif options.watch and options.topology == "-" then
    return "-w watches a file; standard input is none"
  elseif options.watch and tools.kind_of(options.topology) == "other" then
    return ("-w watches a file; %s is none"):format(options.topology)
  end
end

-- What it holds; nil of what can be read only once, such as a pipe.
local function text_of(path)
  local file <close> = tools.kind_of(path) == "file" and path ~= "-" and io.open(path, "rb") or nil
  return file and file:read("a")
end

-- What to start; nil, what is wrong with it, and the exit code.
local function plans_of(model, options)
  local plans, reasons = topology.plan(model, { one = options.one })
  if not plans then return nil, table.concat(reasons, "\n"), EXIT_FAILED end
  if not plans[1] then return nil, ("%s has no node: there is nothing to start"):format(model.file), EXIT_FAILED end
  return plans
end

local function one_node(plans, name, file)
  for _, plan in ipairs(plans) do
    if plan.node == name then return plan end
  end
  local names = tables.column(plans, "node")
  return nil, ("%s has no node '%s'%s; there %s %s"):format(file, name, options_of.hint(name, names),
    #names == 1 and "is" or "are", table.concat(names, ", "))
end

-- What every host is started with besides its plan.
local function host_options(options)
  return { watch = options.watch, trial_ms = options.trial, log_format = options.log, log_level = options.log_level }
end

--- How long a stop may take, in milliseconds: longer than the longest that a node wants.
local function budget_of(plans, given)
  local budget = given or BUDGET_MS
  for _, plan in ipairs(plans) do
    local own = (plan.options.limits or {}).shutdown
    if own and not given then budget = math.max(budget, own // OWN_SHARE) end
  end
  return budget
end

-- A node's own budget ends before ours does.
local function limit_shutdowns(plans, budget)
  for _, plan in ipairs(plans) do
    plan.options.limits = plan.options.limits or {}
    plan.options.limits.shutdown = plan.options.limits.shutdown or math.max(budget * OWN_SHARE // 1 | 0, 1)
  end
end

local function already_up(path)
  for _, each in ipairs(path ~= "-" and presence.find(path) or {}) do
    if not each.node then
      return ("%s is up already: process %d ('troupe down %s' ends it)"):format(path, each.pid, path)
    end
  end
end

-- Reads it again: what `troupe.up.Options.read` is.
local function reader(options, say, budget)
  return function()
    if tools.kind_of(options.topology) == "other" then -- a pipe would keep us waiting, deaf to all else
      say(("%s is no file any more"):format(options.topology), "error")
      return nil
    end
    local model, problems, code, scripts = check.load(options.topology)
    for _, problem in ipairs(problems) do say(topology.line(problem), problem.severity == "warning" and "warn" or "error") end
    if not model or code ~= EXIT_OK then return nil end
    local plans, why = plans_of(model, options)
    if not plans then
      say(why, "error")
      return nil
    end
    limit_shutdowns(plans, budget)
    return plans, scripts
  end
end

local function run_node(plans, options, file, held_about)
  local plan, why = one_node(plans, options.node, file)
  if not plan then return EXIT_USAGE, why end
  held_about.nodes, held_about.node = { plan.node }, plan.node
  local held <close>, reason = presence.hold(held_about)
  if not held then return EXIT_FAILED, reason end
  if options.shutdown then
    plan.options.limits = plan.options.limits or {}
    plan.options.limits.shutdown = options.shutdown
  end
  return require("troupe.up.host").run(plan, host_options(options))
end

local function run_all(model, plans, options, text)
  local Session = require "troupe.up.session"
  local taken = already_up(options.topology)
  if taken then return EXIT_FAILED, taken end
  local budget = budget_of(plans, options.shutdown)
  limit_shutdowns(plans, budget)
  local held <close>, why = presence.hold { topology = model.name, file = options.topology ~= "-" and options.topology or nil,
                                            nodes = tables.column(plans, "node") }
  if not held then return EXIT_FAILED, why end
  local session
  local function say(line, level) session:say(line, level) end
  session, why = Session.new {
    model = model, plans = plans, path = options.topology, text = text, one = options.one, watch = options.watch, budget = budget / 1000,
    as_json = options.log == "json", host = host_options(options), read = reader(options, say, budget),
    on_names = function(names) held:nodes(names) end,
  }
  if not session then return EXIT_FAILED, why end
  return session:run()
end

function up.run(options)
  local why = wrong_usage(options)
  if why then return EXIT_USAGE, why end
  local text = text_of(options.topology) -- before it is read: what is saved from here on is told
  local model, problems, code = check.load(options.topology)
  for _, problem in ipairs(problems) do show.note(show.printable(topology.line(problem))) end
  if not model or code ~= EXIT_OK then return code end
  local plans
  plans, why, code = plans_of(model, options)
  if not plans then return code, why end
  if options.dry_run then
    if options.node then
      local plan
      plan, why = one_node(plans, options.node, model.file)
      if not plan then return EXIT_USAGE, why end
      plans = { plan }
    end
    dry.show(plans, options.json)
    return EXIT_OK
  elseif options.node then
    return run_node(plans, options, model.file, { topology = model.name,
                                                  file = options.topology ~= "-" and options.topology or nil })
  end
  return run_all(model, plans, options, text)
end

return up
