--- Reads what a shipped actor was configured with: checks each field, fills in what is not
--- said, and names the field that is wrong. What durations and sizes are written as
--- becomes seconds and bytes.
---
--- ```lua
--- local config = require "troupe.config"
--- local settings = config.read(self.config, {
---   target = { kind = "target", needed = true },
---   timeout = { kind = "duration", default = "5s", above = 0 },
---   queue = { kind = "count", default = 1000, least = 0, most = 100000 },
---   restart = { kind = "table", default = {}, fields = { max = { kind = "count", default = 3, least = 0 } } },
--- })
--- local seconds, restarts = settings.timeout, settings.restart.max  -- 5.0, 3
--- ```
---
--- What self.config leaves out may stand behind `--` on the command line, led by the
--- actor's name: `troupe run event_bus -- event_bus.retained=100`. There a list is written
--- `a,b,c`, and a table, or what else needs it, as JSON: `pool.options:={"memory": "64MiB"}`.
---
--- Whatever is wrong raises, at no line; in on_start that ends the actor.
local Kinds = require "troupe.config_kinds"
local options = require "troupe.options"
local tables = require "troupe.tables"

local Config = {}

---@class troupe.config.Field
---@field kind "target"|"count"|"number"|"duration"|"waits"|"bytes"|"text"|"group"|"boolean"|"word"|"words"|"route"|"list"|"table"
---@field default? any      as it would be written
---@field needed? boolean   it has to be there
---@field least? number     of numbers, in seconds or bytes
---@field above? number
---@field most? number
---@field words? string[]   of "word" and "words": those that there are
---@field routes? table<string, boolean>  of "route": those that there are; true: it looks at a field
---@field example? string   of "target": how it might be written
---@field fields? table<string, troupe.config.Field>  of "table": it is read as a config itself

--- Raises "config.NAME: EXPECTED is expected, not VALUE".
---@param name string
---@param expected string
---@param value any     nil: it is missing
---@param hint? string  stands behind that
function Config.refuse(name, expected, value, hint)
  local but = value == nil and ", but it is missing" or ", not " .. Kinds.shown(value)
  error(("config.%s: %s is expected%s%s"):format(name, expected, but, hint or ""), 0)
end

local function refuse(name, wrong)
  Config.refuse(name, wrong.expected, wrong.value, wrong.hint)
end

-- Of many mistakes the same one is told each time.
local function check_names(given, fields, part)
  for _, name in ipairs(tables.names(given)) do
    if not fields[name] then
      error(("config%s has no '%s'%s"):format(part and "." .. part or "", name, options.hint(name, tables.names(fields))), 0)
    end
  end
end

--- What stands on the command line for the actor of this name, as it would be in a config.
---@param fields table<string, troupe.config.Field>
---@return table given
function Config.arguments(fields)
  local given = {}
  for _, argument in ipairs(actor.args) do
    local owner, name, json_mark, text = argument:match("^([%w_.-]+)%.([%w_]+)(:?)=(.*)$")
    if owner == actor.name then
      check_names({ [name] = true }, fields)
      local value, wrong = Kinds.of_text(text, fields[name], json_mark == ":")
      if wrong then refuse(name, wrong) end
      given[name] = value
    end
  end
  return given
end

local read_table

local function read_field(name, value, field)
  local read, wrong = Kinds.read(value, field)
  if wrong then refuse(name, wrong) end
  return field.fields and read_table(read, field.fields, name) or read
end

function read_table(given, fields, part)
  check_names(given, fields, part)
  local settings = {}
  for _, name in ipairs(tables.names(fields)) do
    local field, value = fields[name], given[name]
    if value == nil then value = field.default end
    if value ~= nil or field.needed then
      settings[name] = read_field(part and part .. "." .. name or name, value, field)
    end
  end
  return settings
end

--- What `given` says, or the command line, or else the defaults.
---@param given table  self.config
---@param fields table<string, troupe.config.Field>
---@return table<string, any> settings  by the names of the fields
function Config.read(given, fields)
  local all = Config.arguments(fields)
  for name, value in pairs(given) do all[name] = value end
  return read_table(all, fields)
end

--- One value, as config.read would read it; or nil and what is wrong with it.
---@param value any
---@param field troupe.config.Field
---@return any? read
---@return string? wrong  "EXPECTED is expected, not VALUE"
function Config.value(value, field)
  local fine, read = pcall(read_field, "it", value, field)
  if fine then return read end
  return nil, (tostring(read):gsub("^config%.it: ", ""))
end

return Config
