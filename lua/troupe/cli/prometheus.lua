--- Numbers of hosts in the text format of Prometheus. Pure.
---
--- ```lua
--- prometheus.text { { name = "feed", pid = 4711, uptime = 12.5, metrics = { actors = 3 } } }
--- --> # HELP troupe_actors Actors that live.
--- --> # TYPE troupe_actors gauge
--- --> troupe_actors{host="feed",pid="4711"} 3
--- --> ...
--- ```
local prometheus = {}

-- Of the numbers of actor.metrics(), by the way to them: name, type, help, and which
-- label tells those of one family apart.
local FAMILIES = {
  { "uptime", "troupe_uptime_seconds", "gauge", "Seconds since the host was made." },
  { "actors", "troupe_actors", "gauge", "Actors that live." },
  { "ended", "troupe_actors_ended_total", "counter", "Actors that have ended." },
  { "restarts", "troupe_restarts_total", "counter", "Restarts of actors." },
  { "dead_letters", "troupe_dead_letters_total", "counter", "Messages that came to nothing." },
  { "unhandled", "troupe_unhandled_total", "counter", "Messages that no handler was there for." },
  { "bad_fields", "troupe_bad_fields_total", "counter", "Messages whose fields were not as declared." },
  { "timers", "troupe_timers", "gauge", "Timers that are armed." },
  { "timers_fired", "troupe_timers_fired_total", "counter", "Timers that have fired." },
  { "memory", "troupe_memory_bytes", "gauge", "Memory that the states of scripts hold." },
  { "log_lost", "troupe_log_lines_lost_total", "counter", "Log lines that could not be written." },
  { "limits.*", "troupe_limit", "gauge", "The host's limits.", "what" },
  { "refused.*", "troupe_refused_total", "counter", "What was refused because its limit was reached.", "what" },
  { "streams.open", "troupe_streams", "gauge", "Streams that are open." },
  { "streams.opened", "troupe_streams_opened_total", "counter", "Streams that were opened." },
  { "streams.items", "troupe_stream_items_total", "counter", "Items that streams have brought." },
  { "streams.bytes_in", "troupe_stream_received_bytes_total", "counter", "Bytes that streams have read." },
  { "streams.bytes_out", "troupe_stream_sent_bytes_total", "counter", "Bytes that streams have written." },
  { "wire.streams_waiting", "troupe_wire_streams_waiting", "gauge", "Senders whose frames wait for room in a mailbox." },
  { "wire.rejects_held", "troupe_wire_rejects_held_total", "counter", "Rejects that were not sent, for too many were due." },
  { "wire.*", "troupe_wire_%s_total", "counter", "Of the wire: %s." },
  { "peers.queued", "troupe_peer_queued", "gauge", "Messages that wait to leave for a peer.", "peer" },
  { "peers.queued_bytes", "troupe_peer_queued_bytes", "gauge", "Their bytes.", "peer" },
  { "peers.oldest", "troupe_peer_oldest_seconds", "gauge", "How long the first of them has waited.", "peer" },
  { "peers.connected", "troupe_peer_connected", "gauge", "Whether there is a connection to the peer.", "peer" },
  { "peers.*", "troupe_peer_%s_total", "counter", "Of a peer: messages %s.", "peer" },
  { "*", "troupe_%s", "untyped", "Of the host: %s." },
}

--- A label's value: what has a meaning in the format is written so that it has none.
local function quote(text)
  return '"' .. tostring(text):gsub("[\\\"\n]", { ["\\"] = "\\\\", ['"'] = '\\"', ["\n"] = "\\n" }) .. '"'
end

--- A name as Prometheus allows it.
local function metric_name(text)
  return (text:gsub("[^%w_]", "_"))
end

local function number(value)
  if math.type(value) == "integer" then
    return ("%d"):format(value)
  end
  return value ~= value and "NaN" or value == math.huge and "+Inf" or value == -math.huge and "-Inf"
    or tonumber(("%.15g"):format(value)) == value and ("%.15g"):format(value) or ("%.17g"):format(value)
end

--- The family of a number, as {name, type, help, label value}.
local function family_of(path)
  for order, family in ipairs(FAMILIES) do
    local pattern = "^" .. family[1]:gsub("%.", "%%."):gsub("%*", "(.+)") .. "$"
    local rest = path:match(pattern)
    if rest then
      local words = rest:gsub("[_.]", " ")
      local is_many = family[2]:find("%s", 1, true)
      return { order = order, label = family[5], value = rest, type = family[3],
               name = is_many and family[2]:format(metric_name(rest)) or family[2],
               help = is_many and family[4]:format(words) or family[4] }
    end
  end
end

--- Calls `tell` with the way to each number and the peer that it is of.
local function each_number(values, prefix, tell)
  for name, value in pairs(values) do
    local path = prefix .. name
    if type(value) == "number" then
      tell(path, value)
    elseif path == "wire.peers" then
      for _, peer in ipairs(value) do
        tell("peers.connected", peer.state == "connected" and 1 or 0, peer.endpoint)
        each_number(peer, "peers.", function(peer_path, number_of) tell(peer_path, number_of, peer.endpoint) end)
      end
    elseif type(value) == "table" then
      each_number(value, path .. ".", tell)
    end
  end
end

--- The text for these hosts, without the last newline.
---@param rows { name: string, pid: integer, uptime: number, metrics: table }[]
---@return string
function prometheus.text(rows)
  local families, names = {}, {}
  for _, row in ipairs(rows) do
    local function tell(path, value, peer)
      local family = family_of(path)
      local known = families[family.name]
      if not known then
        known = { family = family, samples = {} }
        families[family.name] = known
        table.insert(names, family.name)
      end
      local labels = ("host=%s,pid=%s"):format(quote(row.name), quote(row.pid))
      if family.label then
        labels = ("%s,%s=%s"):format(labels, family.label, quote(peer or family.value))
      end
      table.insert(known.samples, ("%s{%s} %s"):format(family.name, labels, number(value)))
    end
    tell("uptime", row.uptime)
    each_number(row.metrics, "", tell)
  end
  table.sort(names, function(a, b)
    local first, second = families[a].family.order, families[b].family.order
    if first ~= second then return first < second end
    return a < b
  end)
  local lines = {}
  for _, name in ipairs(names) do
    local known = families[name]
    table.insert(lines, ("# HELP %s %s"):format(name, (known.family.help:gsub("[\\\n]", { ["\\"] = "\\\\", ["\n"] = "\\n" }))))
    table.insert(lines, ("# TYPE %s %s"):format(name, known.family.type))
    table.sort(known.samples)
    for _, sample in ipairs(known.samples) do table.insert(lines, sample) end
  end
  return table.concat(lines, "\n")
end

return prometheus
