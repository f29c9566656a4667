--- The options that say who may connect, who is answered, and under which keys;
--- for every command that has a host. The host judges them (host/net/policy.h,
--- host/net/keyring.h).
---
--- ```lua
--- security.add_options(command)                    -- in define(): a command that listens
--- port.run(security.fields(options, { bind = ... })) -- in run()
--- ```
local security = {}

--- For a command that only connects: with which key.
function security.add_key_options(command)
  command:option("--curve-key", "Encrypt (CURVE), with the key in this file, as 'troupe keys new' makes it.")
    :argname "FILE"
  command:option("--curve-peers", "Whose keys are let in and known: lines 'KEY [ENDPOINT...]'.")
    :argname "FILE"
end

--- For a command that listens.
function security.add_options(command)
  command:option("--allow", "Who may connect besides this machine: addresses and networks, with"
                 .. " commas between (10.0.0.7,10.1.0.0/16)."):argname "ADDR,..."
  command:flag("--open", "Everybody may connect.")
  command:option("--reply-to", "Where answers may go: any (numeric address), loopback, private, or"
                 .. " hosts (10.0.0.7,risk:5002), with commas between."
                 .. " (default: any; if bound beyond loopback private, and whom --allow names)"):argname "WHERE"
  security.add_key_options(command)
end

--- Adds what those options say to what the port is given.
---@param options table  of the command
---@param fields table   for port.run, port.send, port.ask
---@return table fields
function security.fields(options, fields)
  fields.open = options.open
  fields.allow = options.allow
  fields.reply_to = options.reply_to
  fields.curve_key = options.curve_key
  fields.curve_peers = options.curve_peers
  return fields
end

return security
