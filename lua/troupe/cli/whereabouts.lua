--- Which running host of this user an actor lives in.
---
--- ```lua
--- local connection, why, code = whereabouts.connect("pong")       -- in whichever host it is
--- local connection, why, code = whereabouts.connect("pong", "feed")  -- in the host that is called so
--- ```
local hosts = require "troupe.cli.hosts"

local EXIT_FAILED, EXIT_USAGE, EXIT_UNREACHABLE = 1, 2, 5
local PATIENCE = 3 -- seconds for a host to say whether it has such an actor

local whereabouts = {}

--- Takes NAME or NAME@NODE apart; nil if it is neither, but the address of a host.
---@param ref string
---@return string? name, string? node
function whereabouts.parse(ref)
  local name, node = ref:match("^([^@:/%s]+)@([^@:/%s]+)$")
  return name or ref:match("^[^@:/%s]+$"), node
end

--- Asks all at once, so that one that does not answer costs no more than its own time.
local function ask_all(list, name)
  local asked = {}
  for _, host in ipairs(list) do
    local connection = hosts.open(host)
    if connection then
      connection:begin { ["do"] = "find", name = name }
      table.insert(asked, connection)
    end
  end
  return asked
end

local function hear(connection)
  local near
  for row in function() return connection:next(PATIENCE) end do near = row.near or near end
  return near
end

local function close_all(connections, but)
  for _, connection in ipairs(connections) do
    if connection ~= but then connection:close() end
  end
end

local function titles(connections)
  local list = {}
  for i, connection in ipairs(connections) do list[i] = connection.host end
  return hosts.titles(list)
end

local function explain_none(name, asked, silent, near)
  local why = ("no actor is named '%s' in %s"):format(name, titles(asked))
  if near then
    why = ("%s (did you mean '%s'?)"):format(why, near)
  end
  if #silent > 0 then
    why = ("%s; not known of %s: %s"):format(why, titles(silent), silent[1].why)
  end
  return why
end

--- A connection to the one host where an actor of that name lives.
---@param name string
---@param node? string  the host's name or process
---@return cli.Connection? connection, string? why, integer? code
function whereabouts.connect(name, node)
  local list, why, code = hosts.matching(node)
  if not list then
    return nil, why, code
  end
  local asked = ask_all(list, name)
  local found, silent, near = {}, {}, nil
  for _, connection in ipairs(asked) do
    near = hear(connection) or near
    if connection.code == 0 then
      table.insert(found, connection)
    elseif connection.code == 130 or connection.code == 143 then
      close_all(asked)
      return nil, "", connection.code
    elseif connection.code ~= EXIT_FAILED then
      table.insert(silent, connection) -- or an older one, which does not know the question
    end
  end
  close_all(asked, #found == 1 and found[1] or nil)
  if #found == 1 then
    return found[1]
  end
  if #found > 1 then
    local first = found[1].host
    return nil, ("'%s' is in %s: choose one, such as %s@%s"):format(
      name, titles(found), name, first.name ~= found[2].host.name and first.name or first.pid), EXIT_USAGE
  end
  if #asked == 0 then
    return nil, "the host has just ended", EXIT_UNREACHABLE
  end
  return nil, explain_none(name, asked, silent, near), #silent == #asked and silent[1].code or EXIT_FAILED
end

return whereabouts
