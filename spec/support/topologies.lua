--- Topologies of a spec: a folder with scripts and a topology's file, and `troupe up` of it
--- beside the spec, whose lines are read in the order in which they were written.
---
--- ```lua
--- local place = topologies.make { ["book.lua"] = "...", ["market.lua"] = TOPOLOGY }
--- local up = place:up("market.lua", "-w")
--- up:line("market is up")
--- assert.equal(130, up:stop("INT").code)
--- place:remove()
--- ```
---
--- In the texts PORT1, PORT2 and so on stand for ports that were free when the place was made.
local process = require "spec.support.process"
local tools = require "troupe.tools"

local topologies = {}

-- Below those that the system gives to whoever connects. Each process that runs specs takes
-- from a part that is its own, in turn: others, who run at the same time, look for free ones
-- before either has bound his. (They begin in the same second, with the same random numbers.)
local FIRST, PARTS, PART = 20000, 120, 100
local PORTS = 4

local function own_pid()
  local file <close> = assert(io.open("/proc/self/stat"))
  return file:read("n")
end

local first, turn = FIRST + own_pid() % PARTS * PART, 0

local function free_ports(count)
  local ports = {}
  for _ = 1, PART do
    local port = first + turn
    turn = (turn + 1) % PART
    if not tools.port_is_taken(port) then table.insert(ports, port) end
    if #ports == count then return ports end
  end
  error(("fewer than %d of the ports %d to %d are free"):format(count, first, first + PART - 1))
end

---@class topologies.Place
---@field folder string
---@field ports integer[]
local Place = {}
Place.__index = Place

--- A folder with these files.
---@param files table<string, string>  texts by their names
---@return topologies.Place
function topologies.make(files)
  local place = setmetatable({ folder = process.make_folder(), ports = free_ports(PORTS) }, Place)
  for name, text in pairs(files) do place:write(name, text) end
  return place
end

function Place:at(name)
  return self.folder .. "/" .. name
end

--- Writes a file as an editor does that keeps the old one until the new one is whole.
---@param name string
---@param text string
function Place:write(name, text)
  text = text:gsub("PORT(%d)", function(number) return tostring(self.ports[tonumber(number)]) end)
  process.write_file(self:at(name) .. "~", text)
  assert(os.rename(self:at(name) .. "~", self:at(name)))
end

--- The words that run `troupe COMMAND FILE FLAGS...`. Without a budget of its own for the
--- end `up` has one that a slow machine does not use up.
---@return string[]
function Place:words(command, name, ...)
  local words = process.troupe { command, name == "-" and name or self:at(name), ... }
  if command == "up" and not table.concat(words, " "):find("--shutdown", 1, true) then
    table.move({ "--shutdown", "40s" }, 1, 2, #words + 1, words)
  end
  return words
end

--- `troupe COMMAND FILE FLAGS...` to its end.
---@return process.Ended
function Place:run(command, name, ...)
  return process.run(self:words(command, name, ...))
end

--- Starts `troupe up FILE FLAGS...`: its output and errors are one stream.
---@return process.Child
function Place:up(name, ...)
  local words = { "sh", "-c", 'exec "$@" 2>&1', "sh" }
  local up = self:words("up", name, ...)
  return process.start(table.move(up, 1, #up, #words + 1, words), 30)
end

--- An actor of this place, asked from outside.
---@return process.Ended
function Place:ask(name, port, ...)
  return process.run(process.troupe { "ask", ("%s@:%d"):format(name, self.ports[port]), ... })
end

function Place:remove()
  process.remove_folder(self.folder)
end

--- Waits for lines that contain these texts, in whichever order they come; for as many as
--- a text is there times.
---@param up process.Child
---@param texts string[]
---@return string[] lines  as the texts
---@return string[] read   all, in the order in which they came
function topologies.await(up, texts)
  local lines, missing, read = {}, #texts, {}
  while missing > 0 do
    local fine, line = pcall(up.line, up)
    if not fine then error(("not all of them in the output, but:\n%s"):format(table.concat(read, "\n")), 2) end
    table.insert(read, line)
    local met = {}
    for i, text in ipairs(texts) do
      if not lines[i] and not met[text] and line:find(text, 1, true) then
        lines[i], met[text], missing = line, true, missing - 1
      end
    end
  end
  return lines, read
end

--- The process that a line of up's is about.
---@param line string
---@return string
function topologies.pid(line)
  return assert(line:match("%(process (%d+)%)"), line)
end

--- Waits until a process is gone.
---@param pid string
function topologies.await_end(pid)
  assert(os.execute(("timeout 60 tail --pid=%s -f /dev/null"):format(pid)))
end

function topologies.kill(pid, signal)
  assert(os.execute(("kill -%s %s"):format(signal, pid)))
end

--- Both ways to run a topology: what it is called, and the flag.
topologies.WAYS = { { "in a process for each node" }, { "in one process", "--one" } }

return topologies
