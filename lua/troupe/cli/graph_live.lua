--- Looks at the running hosts of a topology for a while: for `troupe graph --live`.
---
--- ```lua
--- local live, why, code = graph_live.look(model, 2000)   -- for two seconds
--- ```
---
--- Rates and queues are those of `ps`; who sends what to whom is traced. Where so much passes that
--- not all of it could be read, one in so many messages is.
local figures = require "troupe.cli.figures"
local hosts = require "troupe.cli.hosts"
local looking = require "troupe.cli.looking"
local port = require "troupe.port"
local show = require "troupe.cli.show"
local snapshot = require "troupe.cli.snapshot"
local tools = require "troupe.tools"
local traffic = require "troupe.topology.graph_traffic"

local EXIT_FAILED, EXIT_UNREACHABLE, EXIT_INTERRUPTED, EXIT_TERMINATED = 1, 5, 130, 143
local PATIENCE = 3        -- seconds for a host to answer
local ESTIMATE_S = 0.25   -- how long it is measured how much passes
local MESSAGES = 20000    -- a second, of all hosts together, that we want to read
local LATE_S = 0.03       -- how much later than it passes a message is shown
local SLICE_S = 0.02      -- to wait for one host, while others may have said something
local ACTORS = 5000       -- of a host with more only those are looked at that are drawn
local KINDS = { "send", "ask", "reply" }

-- Questions and answers alternate: of every second message one would see only the ones or the others.
-- A prime number meets all kinds of what repeats itself.
local PARTS = { 7, 11, 17, 29, 53, 101, 199, 401, 809, 1601, 3203, 6421 }

local graph_live = {}

local function is_signal(code) return code == EXIT_INTERRUPTED or code == EXIT_TERMINATED end

------------------------------------------------------------------- hosts ----

--- What all hosts of this user say of themselves; asked at once, so that those that do not
--- answer cost no more than the time of one.
---@return table[]? infos, string? why, integer? code
local function ask_all()
  local list, why = hosts.list()
  if not list then
    return nil, why, EXIT_FAILED
  end
  local asked, infos, ended = {}, {}, nil
  for _, host in ipairs(list) do
    local connection = hosts.open(host)
    if connection then
      connection:begin { ["do"] = "info" }
      table.insert(asked, connection)
    end
  end
  local deadline = tools.now() + PATIENCE
  for _, connection in ipairs(asked) do
    local info = not ended and connection:next(math.max(deadline - tools.now(), 0))
    if info then
      info.host = connection.host
      table.insert(infos, looking.without_nulls(info))
    elseif is_signal(connection.code) then
      ended = connection.code
    elseif not ended and connection.why then
      show.failure(connection.why)
    end
    connection:close()
  end
  if ended then
    return nil, "", ended
  end
  return infos
end

local function explain_none(model, infos)
  local list = {}
  for i, info in ipairs(infos) do list[i] = info.host end
  return ("nothing of the topology '%s' runs; %s"):format(
    model.name, #list > 0 and "running hosts are " .. hosts.titles(list) or "no host of yours does")
end

---@return graph.Place[]? places, string? why, integer? code
local function find_places(model)
  local infos, why, code = ask_all()
  if not infos then
    return nil, why, code
  end
  local places, surplus = traffic.places(model, infos)
  if #places == 0 then
    return nil, explain_none(model, infos), EXIT_UNREACHABLE
  end
  for _, info in ipairs(surplus) do
    show.failure(hosts.title(info.host) .. " is left out: another host runs the same node")
  end
  return places
end

--- Does something with each place, and leaves out those where it does not work; that is said.
--- Nothing is left if a signal came.
---@param body fun(place: graph.Place): boolean?, string?, integer?  true, or why not and an exit code
---@return graph.Place[]? places, string? why, integer? code
local function each_place(places, body)
  local left, failure, failure_code = {}, nil, nil
  for _, place in ipairs(places) do
    local fine, why, code = body(place)
    if fine then
      table.insert(left, place)
    elseif is_signal(code) then
      return nil, "", code
    else
      if failure then show.failure(failure) end
      failure, failure_code = why, code
    end
  end
  if #left == 0 then
    return nil, failure, failure_code
  end
  if failure then show.failure(failure) end
  return left
end

------------------------------------------------------------------ looking ----

local function mark(place)
  if not place.looker then
    local why, code
    place.looker, why, code = hosts.open(place.info.host)
    if not place.looker then
      return false, why, code
    end
    place.looker.patience = PATIENCE
  end
  local before = place.looker.before
  if not snapshot.mark(place.looker) then
    return false, place.looker.why, place.looker.code
  end
  local now = place.looker.before
  place.rate = before and (now.handled - before.handled) / math.max(now.uptime - before.uptime, 0.001)
  return true
end

--- One in how many messages is to be looked at.
local function part_of(rate, share)
  local wanted = 2 * rate / share -- what leaves the host was handled by none of its actors
  if wanted <= 1 then
    return 1
  end
  for _, part in ipairs(PARTS) do
    if part >= wanted then
      return part
    end
  end
  return PARTS[#PARTS]
end

local function begin_trace(place, share)
  local why, code
  place.tracer, why, code = hosts.open(place.info.host)
  if not place.tracer then
    return false, why, code
  end
  place.part = part_of(place.rate, share)
  place.tracer:begin { ["do"] = "trace", kinds = KINDS, sample = place.part, limit = 2 * share }
  if not place.tracer:next(PATIENCE) then
    return false, place.tracer.why, place.tracer.code
  end
  place.began, place.seen, place.missed = tools.now(), 0, 0
  return true
end

--- Reads what a host has shown of its messages by now, and waits a little if that is nothing.
local function read_trace(place, count, until_s)
  local row = place.tracer:next(math.min(SLICE_S, math.max(until_s - tools.now(), 0)), true)
  while row do
    if row.skipped then
      place.missed = row.skipped + row.lost
    else
      place.seen = place.seen + 1
      count:add(place, looking.without_nulls(row))
    end
    row = tools.now() < until_s and place.tracer:next(0, true)
  end
end

--- Traces all hosts for so long.
---@return boolean? fine, integer? code
local function trace_all(places, count, seconds)
  local over = tools.now() + seconds
  while tools.now() < over + LATE_S do
    local any
    for _, place in ipairs(places) do
      if not place.tracer.code then
        read_trace(place, count, over + LATE_S)
        any = true
      end
      if is_signal(place.tracer.code) then
        return nil, place.tracer.code
      end
    end
    if not any then
      break -- all have ended
    end
  end
  for _, place in ipairs(places) do
    place.seconds = math.min(tools.now(), over) - place.began
    if place.seen > 0 then place.part = place.part * (place.seen + place.missed) / place.seen end
    place.tracer:close()
  end
  return true
end

--- A pattern that fits this name alone.
local function only(name)
  return ("[%s]%s"):format(name:sub(1, 1), name:sub(2))
end

--- The names, as patterns, that are to be looked at; nil: all.
local function wanted(place, model, extras)
  if place.info.actors <= ACTORS then
    return nil
  end
  local patterns = {}
  for _, node in ipairs(model.nodes) do
    for _, actor in ipairs((not place.node or place.node == node) and node.actors or {}) do
      table.insert(patterns, only(actor.name))
      if actor.instances then table.insert(patterns, only(actor.name) .. ".[0-9]*") end
    end
  end
  for _, extra in ipairs(extras) do
    if extra.place == place and not extra.is_rest then table.insert(patterns, only(extra.name)) end
  end
  return patterns
end

local function look(place, model, extras)
  place.rows = {}
  local patterns = wanted(place, model, extras)
  for i = 1, patterns and #patterns or 1 do
    local seen = snapshot.take(place.looker, { pattern = patterns and patterns[i], sort = "name" })
    if not seen then
      return false, place.looker.why, place.looker.code
    end
    table.move(seen.actors, 1, #seen.actors, #place.rows + 1, place.rows)
  end
  return true
end

--- A path as the topology would write it.
local function path_in(folder, path)
  local inside = folder and path:sub(1, #folder + 1) == folder .. "/"
  return inside and path:sub(#folder + 2) or path
end

local function give_figures(extras, model)
  local folder = tools.real_path(model.folder)
  for _, extra in ipairs(extras) do
    for _, row in ipairs(extra.place.rows) do
      if row.name == extra.name then
        local script = figures.known(row.script)
        extra.figures, extra.script = traffic.figures_of(row), script and path_in(folder, script)
      end
    end
  end
end

local function sum_up(model, places, count)
  local live = { seconds = 0, sampled = false, nodes = {}, traffic = {}, extras = {} }
  live.traffic, live.extras = count:finish()
  local left, why, code = each_place(places, function(place) return look(place, model, live.extras) end)
  if not left then
    return nil, why, code
  end
  for _, place in ipairs(left) do
    live.seconds = math.max(live.seconds, place.seconds)
    live.sampled = live.sampled or place.part > 1
    for _, node in ipairs(place.node and { place.node } or model.nodes) do
      live.nodes[node.name] = { host = place.info.name, pid = place.info.pid }
    end
  end
  live.actors = traffic.figures(model, left)
  give_figures(live.extras, model)
  return live
end

local function say_places(places, seconds)
  local list = {}
  for i, place in ipairs(places) do list[i] = place.info.host end
  show.note(("looking at %s for %s"):format(hosts.titles(list), figures.duration(seconds)))
end

--- Each step of looking, until one does not work.
local function look_for(model, seconds)
  local places, why, code = find_places(model)
  if places then
    places, why, code = each_place(places, mark)
  end
  if not places then
    return nil, why, code
  end
  local news = tools.pause(ESTIMATE_S)
  if news then
    return nil, "", news == "interrupted" and EXIT_INTERRUPTED or EXIT_TERMINATED
  end
  places, why, code = each_place(places, mark)
  if places then
    local share = MESSAGES // #places
    places, why, code = each_place(places, function(place) return begin_trace(place, share) end)
  end
  if not places then
    return nil, why, code
  end
  say_places(places, seconds)
  local count = traffic.new(model, places)
  local fine, signal = trace_all(places, count, seconds)
  if not fine then
    return nil, "", signal
  end
  return sum_up(model, places, count)
end

---@param model topology.Model
---@param milliseconds integer  how long
---@return graph.Live? live, string? why, integer? code
function graph_live.look(model, milliseconds)
  port.control_take_signals()
  return look_for(model, milliseconds / 1000)
end

return graph_live
