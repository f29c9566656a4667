--- The steps of `troupe doctor PEER`: address, name, connection, handshake,
--- answer. The first that fails ends the run, with what to do about it.
local port = require "troupe.port"
local security = require "troupe.cli.security"
local show = require "troupe.cli.show"
local tools = require "troupe.tools"

local EXIT_OK, EXIT_USAGE, EXIT_TIMED_OUT, EXIT_REJECTED, EXIT_UNREACHABLE = 0, 2, 3, 4, 5

local doctor_steps = {}

local function milliseconds(ns)
  return ("%.1f ms"):format(ns / 1e6)
end

--- Bytes off the wire as a short text.
local function excerpt(bytes)
  local text = show.printable(bytes:match("^[^\r\n]*") or "")
  return text:gsub("[\x80-\xFF]", function(byte) return ("\\x%02x"):format(byte:byte()) end):sub(1, 60)
end

-- ---- address ------------------------------------------------------------------

--- Takes REF or EP apart: the actor's name, if any, and the endpoint.
local function split(peer)
  local name, place = peer:match("^(.+)@([^@]*)$")
  place = place or peer
  if place:find("^[^/:]+:%d+$") or place:find("^%[[%x:.]+%]:%d+$") then
    place = "tcp://" .. place
  end
  return name, place
end

local function address(peer)
  local name, place = split(peer)
  local endpoint, why = tools.normalise(place, false)
  if endpoint then
    return { name = "address", status = "ok", text = (name and name .. " at " or "") .. endpoint }, name, endpoint
  end
  local is_name = not place:find("[:/]") and place:find("%D")
  local is_flat = place:find("^flat:")
  name = name or place
  return { name = "address", status = "failed", text = why,
           todo = is_name and ("An actor is found by its host: %s@:5001 is on this machine, %s@10.0.0.5:5001 elsewhere.")
             :format(name, name)
             or is_flat and "Only hosts of actors are looked at. A registry is asked by\n"
               .. ("troupe ask registry@%s LookupActor actor_name=NAME"):format(place)
             or "Write :5001 for a port of this machine, 10.0.0.5:5001 or tcp://host:5001 for one elsewhere." }
end

-- ---- name ---------------------------------------------------------------------

local function look_up(endpoint, timeout_ms)
  local host, number = endpoint:match("^tcp://(.*):(%d+)$")
  if tools.normalise(endpoint, true) then
    return { name = "name", status = "ok", text = host .. " is a number: no name server is asked" }, endpoint
  end
  local began = tools.now()
  local addresses, why, code = tools.resolve(host, timeout_ms)
  if not addresses then
    return { name = "name", status = "failed", text = ("%s: %s"):format(host, why),
             todo = code == EXIT_TIMED_OUT
               and "The name server is slow or away: try the host's number, or put the name into /etc/hosts."
               or ("No such host as far as this machine knows: is it spelt right? 'getent hosts %s'"):format(host) }
  end
  local first = addresses:match("^%S+")
  local numeric = tools.normalise(("tcp://%s:%s"):format(first, number), true)
  return { name = "name", status = "ok",
           text = ("%s is %s (looked up in %s)"):format(host, addresses:gsub(" ", ", "),
                                                        milliseconds((tools.now() - began) * 1e9)),
           todo = addresses:find(" ") and first .. " is tried; a host here takes the first as well." or nil }, numeric
end

-- ---- connection ---------------------------------------------------------------

local function connection(found, endpoint, timeout_ms)
  local where = endpoint:match("^tcp://(.*)$")
  local number = endpoint:match(":(%d+)$")
  if found.outcome == "refused" then
    return { name = "connect", status = "failed", text = where .. ": connection refused: nobody listens on that port",
             todo = "Is it running? Does it bind this port, and this address (127.0.0.1 is not reached from\n"
               .. "elsewhere)? On its machine: ss -ltn | grep " .. number }
  elseif found.outcome == "no_answer" then
    return { name = "connect", status = "failed",
             text = ("%s: no connection in %.1f s: packets get no answer"):format(where, timeout_ms / 1000),
             todo = "A firewall drops them, or the machine is off or has another address now." }
  elseif found.outcome == "no_way" then
    return { name = "connect", status = "failed", text = where .. ": " .. found.reason,
             todo = "No route leads there from this machine: 'ip route get ADDRESS' says which was tried." }
  end
  return { name = "connect", status = "ok",
           text = ("TCP connection in %s, from %s"):format(milliseconds(found.connect_ns), found.local_end) }
end

-- ---- handshake ----------------------------------------------------------------

-- How others begin who are no peers of ZeroMQ's.
local STRANGERS = {
  { "^HTTP/", "an HTTP server" }, { "^<!?%a", "an HTTP server" }, { "^SSH%-", "an SSH server" },
  { "^[\x15\x16]\x03", "a TLS server" }, { "^%-ERR", "a Redis server" }, { "^%-DENIED", "a Redis server" },
  { "^%d%d%d[ %-]", "a mail or FTP server" }, { "^RFB ", "a VNC server" }, { "^AMQP", "an AMQP broker" },
  { "^ERROR\r?\n", "a memcached server" }, { "^INFO {", "a NATS server" },
}

local function who_says(said)
  for _, stranger in ipairs(STRANGERS) do
    if said:find(stranger[1]) then
      return stranger[2]
    end
  end
  return "something else"
end

-- A socket type other than PULL, and what is usually behind it.
local SOCKETS = {
  REP = "it answers requests: the family's registry (port 5555) is such a one, an actor's host is not",
  ROUTER = "it routes requests: Troupe's registry (port 5555) is such a one, as is a broker; an actor's host is not",
  PUB = "it publishes: subscribe to it instead",
  XPUB = "it publishes: subscribe to it instead",
  PUSH = "it pushes, as we do: both ends send, and nobody receives",
}

local HANDSHAKES = {
  silent = function()
    return "it accepts TCP connections and says nothing", EXIT_UNREACHABLE,
      "No ZeroMQ there, or its process is stopped or hangs (ZeroMQ greets at once): 'ss -ltnp' says who\n"
        .. "has the port, 'ps' whether it runs (state T: stopped)."
  end,
  closed = function()
    return "it hung up before the handshake was over", EXIT_UNREACHABLE,
      "It does not admit this machine (an allow-list, or it wants CURVE), or is no ZeroMQ peer, or is\n"
        .. "about to end: its own log says more."
  end,
  stranger = function(found)
    return ("%s is there, and not ZeroMQ: it says '%s'"):format(who_says(found.said), excerpt(found.said)),
      EXIT_UNREACHABLE, "Another program has that port: give the actor's host another one, on both sides."
  end,
  old = function()
    return "it speaks a ZeroMQ protocol older than 3.0 (libzmq before 4.0)", EXIT_UNREACHABLE,
      "Build the peer with libzmq 4 or later."
  end,
  mechanism = function(found)
    return ("it admits only connections secured by %s"):format(found.mechanism), EXIT_UNREACHABLE,
      found.mechanism == "CURVE" and "Both sides need keys ('troupe keys new'): give ours by --curve-key and its by --curve-peers, and have\n"
          .. "the public half of ours put on that host's list (its --curve-peers)."
        or "Troupe speaks NULL (in the clear) and CURVE only."
  end,
  denied = function(found)
    return ("it refused this machine (its ZAP handler says '%s')"):format(excerpt(found.said)), EXIT_UNREACHABLE,
      "Put this machine's address on its allow-list."
  end,
  stalled = function()
    return "it greeted as ZeroMQ does, and then fell silent", EXIT_UNREACHABLE,
      "Its process is overloaded, or its ZAP handler does not answer: restart it."
  end,
}

--- Whether only the keys are still to be tried. A probe has none: the question will.
local function needs_keys(found, ask)
  return found.outcome == "mechanism" and found.mechanism == "CURVE" and ask.curve_key ~= nil
end

local function handshake(found, ask)
  if needs_keys(found, ask) then
    return { name = "handshake", status = "note", text = "ZeroMQ, secured by CURVE: whether our key is taken, a message tells" }
  end
  local explain = HANDSHAKES[found.outcome]
  if explain then
    local text, code, todo = explain(found)
    return { name = "handshake", status = "failed", text = text, todo = todo }, code
  end
  local socket = found.socket_type
  if socket ~= "PULL" then
    return { name = "handshake", status = "failed",
             text = ("ZeroMQ is there, but with a %s socket, and an actor's host has PULL"):format(excerpt(socket)),
             todo = SOCKETS[socket] and SOCKETS[socket]:gsub("^%l", string.upper) .. "." or "Is it the right port?" },
      EXIT_UNREACHABLE
  end
  return { name = "handshake", status = "ok",
           text = ("ZeroMQ, %s, a PULL socket; hands shaken in %s"):format(found.mechanism,
                                                                          milliseconds(found.handshake_ns)) }
end

-- ---- answer -------------------------------------------------------------------

local function next_command(name, endpoint)
  return ("troupe doctor %s@%s Ping count:=1"):format(name or "NAME", endpoint)
end

--- What a Reject says, step by step.
local function tell_rejected(tell, name, type, reason)
  if reason:find("^Actor '.*' not found") or reason:find("^Unknown actor") then
    tell { name = "actor", status = "failed", text = reason,
           todo = ("The host is alive, and has no actor '%s': is the name spelt right, has the actor been\n"
                   .. "started, has it ended? Only there can be seen which there are."):format(name) }
    return
  end
  tell { name = "actor", status = "ok", text = name .. " is there, or at least its host answers for it" }
  if reason:find("^No reply") then
    tell { name = "answer", status = "failed", text = reason,
           todo = "It was handled: for a type that is not answered 'troupe send' is the way." }
    return
  end
  local todo = "It is there, and does not want this message."
  if reason:find("^Unknown message type") or reason:find("^No messages registered") then
    todo = ("Types are compared as they are written, upper and lower case too. A script needs on_%s;\n"
            .. "Python a class with @register_message, C++ and Rust a registration."):format(type:lower())
  elseif reason:find("^Bad field") then
    todo = "The type is known, the fields are not as it declares them."
  elseif reason:find("^Mailbox full") then
    todo = "It is alive and does not keep up: try again, or look what it is busy with."
  end
  tell { name = "type", status = "failed", text = reason, todo = todo }
end

local SILENCE = "Hands were shaken, so its process runs. In order of likelihood:\n"
  .. "- its handler for this type sends no reply (then 'troupe send' is the way);\n"
  .. "- a Python peer whose receiver died of an earlier message accepts TCP but no longer answers:\n"
  .. "  restart it, and look for a traceback in its output;\n"
  .. "- it cannot connect back to us at %s (a firewall, another network): replies take a\n"
  .. "  connection of their own;\n"
  .. "- it is busy: try a longer --timeout."

local KEYS = "The host admits our key only if its --curve-peers has the public half (its log says who was refused), and\n"
  .. "we it only if the key that our --curve-peers has for %s is its own."

local function answer(tell, ask, name, endpoint, local_host)
  local began = tools.now()
  local code, first, json = port.ask(security.fields(ask, {
    to = name .. "@" .. endpoint, type = ask.type, json = ask.json, timeout_ms = ask.timeout_ms,
  }))
  local took = milliseconds((tools.now() - began) * 1e9)
  if code == EXIT_OK then
    tell { name = "answer", status = "ok", text = ("%s %s, in %s"):format(first, show.json_text(json), took) }
  elseif code == EXIT_REJECTED then
    tell_rejected(tell, name, ask.type, first)
  elseif code == EXIT_TIMED_OUT then
    tell { name = "answer", status = "failed", text = first, todo = SILENCE:format(local_host) }
  else
    tell { name = "answer", status = "failed", text = first, todo = ask.curve_key and code == EXIT_UNREACHABLE and KEYS:format(endpoint) or nil }
  end
  return code
end

-- ---- all of it ------------------------------------------------------------------

--- Goes through the steps.
---@param tell fun(step: table)  is told of each
---@param ask {peer: string, type: string?, json: string?, timeout_ms: integer, curve_key: string?, curve_peers: string?}
---@return integer code
function doctor_steps.look(tell, ask)
  local step, name, endpoint = address(ask.peer)
  tell(step)
  if not endpoint then
    return EXIT_USAGE
  end
  if ask.type and not name then
    tell { name = "answer", status = "failed", text = "which actor is to be sent " .. ask.type .. "?",
           todo = next_command(nil, endpoint) }
    return EXIT_USAGE
  end

  local numeric
  step, numeric = look_up(endpoint, ask.timeout_ms)
  tell(step)
  if not numeric then
    return EXIT_UNREACHABLE
  end

  local found = tools.probe(numeric, ask.timeout_ms)
  found.local_end = found["local"]
  step = connection(found, numeric, ask.timeout_ms)
  tell(step)
  if step.status == "failed" then
    return EXIT_UNREACHABLE
  end
  local code
  step, code = handshake(found, ask)
  tell(step)
  if step.status == "failed" then
    return code
  end

  if not ask.type then
    tell { name = "answer", status = "note", text = "not tried: only a message that the actor knows would tell",
           todo = "Give one: " .. next_command(name, endpoint) }
    return EXIT_OK
  end
  return answer(tell, ask, name, endpoint, found.local_end:match("^(.*):%d+$") or found.local_end)
end

return doctor_steps
