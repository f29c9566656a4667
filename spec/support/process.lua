--- Children of a spec: the program under test with any arguments, or another
--- program, run to its end or beside the spec. Nothing here sleeps: a child's
--- streams are pipes that are read until the awaited line is there, and a child
--- that takes too long is killed, which ends its streams.
---
--- ```lua
--- local pong = process.start(process.troupe { "run", "pong.lua", "--bind", ":0" })
--- local endpoint = pong:error_line("listening on"):match("tcp://%S+")
--- local asked = process.run(process.troupe { "ask", "pong@" .. endpoint, "Ping" })
--- assert.equal(0, asked.code)
--- assert.equal(0, pong:stop("TERM").code)
--- process.end_all()        -- in after_each: no child outlives its test
--- ```
local program = require "spec.support.program"

local process = {}

-- Sanitized programs are many times slower, and the machines that test may be slow.
local SLOWER = program.is_sanitized and 3 or 1

local LIMIT_SECONDS = 60  -- for a child that does not end by itself, unless told otherwise
local GRACE_SECONDS = 20  -- for one that was asked to end, before it is killed

local running = {} -- children that have not been waited for

local function output_of(command)
  local pipe <close> = assert(io.popen(command))
  return (pipe:read("a"):gsub("%s+$", ""))
end

local function quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function command_line(words, limit, redirections)
  local quoted = {}
  for _, word in ipairs(words) do table.insert(quoted, quote(word)) end
  -- In the foreground, so that a signal to `timeout` reaches the child once.
  return ("exec env XDG_RUNTIME_DIR=%s timeout --foreground -k %d %d %s %s"):format(
    program.runtime, GRACE_SECONDS * SLOWER, (limit or LIMIT_SECONDS) * SLOWER, table.concat(quoted, " "), redirections)
end

local function exit_code(pipe)
  local _, how, code = pipe:close()
  return how == "signal" and 128 + code or code
end

--- An empty folder, gone after process.remove_folder().
---@return string path
function process.make_folder()
  return output_of("mktemp -d")
end

function process.remove_folder(path)
  os.execute("rm -rf " .. quote(path))
end

---@param path string
---@param text string
---@return string path
function process.write_file(path, text)
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(text))
  return path
end

---@param path string
---@return string text
function process.read_file(path)
  local file <close> = assert(io.open(path, "rb"))
  return file:read("a")
end

--- The words of a command line that runs the program under test.
---@param arguments string[]
---@return string[] words
function process.troupe(arguments)
  return table.move(arguments, 1, #arguments, 2, { program.path })
end

--- The same, in a folder.
---@param folder string
---@param arguments string[]
---@return string[] words
function process.troupe_in(folder, arguments)
  local words = { "sh", "-c", 'cd "$0" && exec "$@"', folder }
  return table.move(process.troupe(arguments), 1, #arguments + 1, 5, words)
end

---@class process.Ended
---@field code integer  128 + n for a signal; 124 or 137 if it had to be ended
---@field out string    what is left of its output, unless that went elsewhere
---@field err string

--- Runs a program to its end.
---@param words string[]
---@param options? {input: string?, output: string?}  its standard input (default: none);
---  where its output goes, as the shell writes it (`>/dev/full`)
---@return process.Ended
function process.run(words, options)
  options = options or {}
  local folder = process.make_folder()
  local input = options.input and process.write_file(folder .. "/in", options.input)
  local pipe = assert(io.popen(command_line(words, nil, ("<%s %s 2>%s/err"):format(
    input or "/dev/null", options.output or "", folder))))
  local out = pipe:read("a")
  local code = exit_code(pipe)
  local errors <close> = assert(io.open(folder .. "/err", "rb"))
  local ended = { code = code, out = out, err = errors:read("a") }
  process.remove_folder(folder)
  return ended
end

---@class process.Child
---@field private pid string
---@field private out file*
---@field private errors file*
local Child = {}
Child.__index = Child

--- Starts a program that runs beside the spec.
---@param words string[]
---@param limit? integer  seconds that it may run
---@return process.Child
function process.start(words, limit)
  local folder = process.make_folder()
  local fifo = folder .. "/err"
  assert(os.execute("mkfifo " .. fifo))
  local out = assert(io.popen("echo $$; " .. command_line(words, limit, "</dev/null 2>" .. fifo)))
  local pid = out:read("l")
  local errors = assert(io.open(fifo, "rb")) -- waits for the other side
  process.remove_folder(folder)
  local child = setmetatable({ pid = pid, out = out, errors = errors }, Child)
  running[child] = true
  return child
end

local function await_line(file, text, what)
  local read = {}
  for line in file:lines() do
    if line:find(text, 1, true) then
      return line
    end
    table.insert(read, line)
  end
  error(("no '%s' in %s, but:\n%s"):format(text, what, table.concat(read, "\n")), 3)
end

--- The next line of its output that contains `text` (default: the next one).
---@param text? string
---@return string line
function Child:line(text)
  return await_line(self.out, text or "", "the output")
end

--- The same of its standard error.
function Child:error_line(text)
  return await_line(self.errors, text or "", "standard error")
end

---@param signal string  "TERM", "INT", "HUP"
function Child:signal(signal)
  assert(os.execute(("kill -%s %s"):format(signal, self.pid)))
end

--- Sends a signal to the program itself: some `timeout`, its parent, does not pass on.
---@param signal string  "USR1", "KILL"
function Child:signal_directly(signal)
  assert(os.execute(("pkill -%s -P %s"):format(signal, self.pid)))
end

--- Kills the program itself, which can do nothing about it, and waits for its end.
---@return process.Ended
function Child:kill()
  self:signal_directly("KILL")
  return self:wait()
end

--- Suspends the program itself, as SIGSTOP does; or lets it go on.
function Child:hold()
  assert(os.execute("pkill -STOP -P " .. self.pid))
end

function Child:go_on()
  assert(os.execute("pkill -CONT -P " .. self.pid))
end

--- Waits until it has ended by itself.
---@return process.Ended
function Child:wait()
  local ended = { out = self.out:read("a"), err = self.errors:read("a") }
  self.errors:close()
  ended.code = exit_code(self.out)
  running[self] = nil
  return ended
end

--- Sends a signal, and waits until it has ended.
---@param signal string
---@return process.Ended
function Child:stop(signal)
  self:signal(signal)
  return self:wait()
end

--- Ends the children that still run.
function process.end_all()
  local left = {}
  for child in pairs(running) do
    table.insert(left, child)
    os.execute(("kill -TERM %s 2>/dev/null"):format(child.pid))
  end
  for _, child in ipairs(left) do child:wait() end
end

return process
