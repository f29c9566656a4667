--- The words that run a host with what no command of `troupe run` can say: a spec file of
--- their own, which calls `port.run` as the commands do that start topologies.
---
--- ```lua
--- local words = port_host.words(folder, { name = "risk", scripts = { { text = "...", name = "book" } } })
--- local ended = process.run(words)
--- ```
local json = require "troupe.json"
local process = require "spec.support.process"

local port_host = {}

local files = 0

local SCRIPT = [==[
local fields = require "troupe.json".decode [=[%s]=]
fields.workers = fields.workers or 2
fields.arguments = {}
local code, why = require "troupe.port".run(fields)
if why ~= "" then io.stderr:write(why, "\n") end
os.exit(code)
]==]

---@param folder string  where the file is made
---@param fields table   for port.run, as JSON has them
---@return string[] words
function port_host.words(folder, fields)
  files = files + 1
  local path = ("%s/host_%d.lua"):format(folder, files)
  process.write_file(path, SCRIPT:format(json.encode(fields)))
  return process.troupe { "test", path }
end

return port_host
