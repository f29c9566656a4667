--- What the benches share: actors from a text, and one way of printing.
local support = {}

local files = {}

--- The path of a file with this script text, written once.
---@param text string
---@return string path
function support.script(text)
  local path = files[text]
  if not path then
    path = os.tmpname()
    local file = assert(io.open(path, "w"))
    file:write(text)
    file:close()
    files[text] = path
  end
  return path
end

--- Spawns an actor from a script text (the second spawn finds it compiled, as in
--- real use).
---@param stem string
---@param text string
---@param config? table
---@return userdata ref
function support.spawn(stem, text, config)
  return assert(actor.spawn(support.script(text), { config = config }))
end

--- Removes the files of spawn().
function support.clean()
  for _, path in pairs(files) do os.remove(path) end
  files = {}
end

--- Prints `workload metric value unit`, the line that bench/run reads; with what it is
--- to be compared with as a fifth, if that was measured by the same bench.
function support.report(workload, metric, value, unit, peer)
  support.clean()
  print(("%s %s %.6g %s%s"):format(workload, metric, value, unit, peer and (" %.6g"):format(peer) or ""))
end

--- Resident bytes of this process.
function support.resident()
  local file = assert(io.open("/proc/self/statm"))
  local pages = tonumber(file:read("a"):match("^%d+ (%d+)"))
  file:close()
  return pages * 4096
end

return support
