--- `--link FROM:TO[:FIELD]`: an actor of the command line gets a ref to another in its
--- config.
---
--- ```lua
--- local scripts = { { name = "ping" }, { name = "pong" } }
--- links.apply({ "ping:pong", "ping:log@:5001:log" }, scripts)   --> true, or nil and why
--- scripts[1].config  --> { to = { ["$ref"] = "pong" }, log = { ["$ref"] = "log@:5001" } }
--- ```
---
--- FROM ends at the first colon. TO is an actor of the command line, or an address; the
--- colons of an address are its own: `@:5001`, `@HOST:5001`, `@tcp://HOST:5001` and
--- `@tcp://[::1]:5001` end with the digits of the port.
local options = require "troupe.options"

local FIELD = "to" -- unless one is named

local links = {}

function links.add_option(parser)
  parser:option("--link", "Put a ref to the actor TO into self.config.to of the actor FROM, or into"
                .. " self.config.FIELD. TO may be an address, as in 'ping:pong@:5001'. May be given several"
                .. " times.")
    :argname "FROM:TO[:FIELD]":count "*":target "links"
end

--- Where the endpoint at the beginning of `text` ends.
local PLACES = { "^:%d+()", "^%a+://%[[%x:.]+%]:%d+()", "^%a+://[^:/@%s]+:%d+()", "^%[[%x:.]+%]:%d+()", "^[^:/@%s]+:%d+()" }

--- Takes TO[:FIELD] apart: whom, and what is left of it.
---@return string? to, string rest
local function take_target(text)
  local name, place = text:match("^([^:@]+)@(.*)$")
  if not name then
    return text:match("^([^:@]+)(.*)$")
  end
  for _, pattern in ipairs(PLACES) do
    local stop = place:match(pattern)
    if stop then
      local endpoint = place:sub(1, stop - 1)
      if not endpoint:find("://", 1, true) and endpoint:sub(1, 1) ~= ":" then
        endpoint = "tcp://" .. endpoint
      end
      return name .. "@" .. endpoint, place:sub(stop)
    end
  end
end

---@class cli.Link
---@field text string   as given
---@field from string
---@field to string     a name, or an address
---@field field string
---@field is_elsewhere boolean

---@param text string
---@return cli.Link? link, string? why
function links.parse(text)
  local from, behind = text:match("^([^:@]+):(.+)$")
  if not from then
    return nil, ("--link '%s': write FROM:TO or FROM:TO:FIELD, such as ping:pong"):format(text)
  end
  local to, rest = take_target(behind)
  if not to then
    return nil, ("--link '%s': '%s' is no address: write NAME@:PORT or NAME@tcp://HOST:PORT"):format(text, behind)
  end
  local field = rest == "" and FIELD or rest:match("^:([%a_][%w_]*)$")
  if not field then
    return nil, ("--link '%s': '%s' is no field of self.config: a colon and a name is expected behind %s"):format(
      text, rest, to)
  end
  return { text = text, from = from, to = to, field = field, is_elsewhere = to:find("@", 1, true) ~= nil }
end

--- What is wrong with a name that nobody has.
local function explain_stranger(link, name, names)
  return ("--link '%s': no actor here is named '%s'%s; there %s %s"):format(
    link.text, name, options.hint(name, names), #names == 1 and "is" or "are", table.concat(names, ", "))
end

--- A field that is as yet unused, for advice.
local function free_field(link, config)
  local field = link.to:match("^[^@]+"):gsub("[^%w_]", "_"):gsub("^%d", "_%0")
  return config[field] and field .. "_2" or field
end

--- Adds to the config of each script what its links say.
---@param texts string[]  as given to --link
---@param scripts { name: string, config: table? }[]
---@return true? done, string? why
function links.apply(texts, scripts)
  local names, by_name, first = {}, {}, {}
  for i, script in ipairs(scripts) do
    names[i], by_name[script.name], first[script.name] = script.name, script, {}
  end
  for _, text in ipairs(texts) do
    local link, why = links.parse(text)
    if not link then
      return nil, why
    end
    local script = by_name[link.from]
    if not script or not link.is_elsewhere and not by_name[link.to] then
      return nil, explain_stranger(link, script and link.to or link.from, names)
    end
    script.config = script.config or {}
    local before = first[link.from][link.field]
    if before then
      return nil, ("--link '%s' and '%s' both want %s's self.config.%s: name a field, such as --link %s:%s:%s"):format(
        before, text, link.from, link.field, link.from, link.to, free_field(link, script.config))
    end
    first[link.from][link.field] = text
    script.config[link.field] = { ["$ref"] = link.to }
  end
  return true
end

return links
