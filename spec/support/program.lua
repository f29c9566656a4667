--- Runs the program that runs the specs once more, as a host of its own: for
--- what the stage has none of, threads, signals and the end of a process.
---
--- ```lua
--- local ended = program.run { "examples/ping_pong.lua", flags = "--workers 2" }
--- assert.equal(0, ended.code)
--- ```
local program = {}

local LIMIT_SECONDS = 60 -- for a host that does not end by itself; sanitized ones get thrice that

local function output_of(command)
  local pipe <close> = assert(io.popen(command))
  return pipe:read("a")
end

--- This very file: a sanitized build tests itself.
program.path = output_of("readlink /proc/$PPID/exe"):gsub("%s+$", "")

--- Where the hosts of this process have their control sockets, and no other's: gone with
--- the state of the specs.
program.runtime = output_of("mktemp -d"):gsub("%s+$", "")
program.clean_up = setmetatable({}, { __gc = function() os.execute("rm -rf " .. program.runtime) end })

local libraries = output_of("ldd " .. program.path .. " 2>&1")

--- Signals wait there for the next instrumented call, and Lua makes none.
program.has_thread_sanitizer = libraries:find("libtsan", 1, true) ~= nil
program.is_sanitized = program.has_thread_sanitizer or libraries:find("libasan", 1, true) ~= nil

local function quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

local function take_file(path)
  local file <close> = assert(io.open(path))
  local text = file:read("a")
  os.remove(path)
  return text
end

---@class program.Ended
---@field code integer    of the process; 124 if it had to be killed, 128 + n for a signal
---@field out string
---@field err string
---@field seconds number  it took

--- Runs `troupe run SCRIPT... FLAGS -- ARGS` to its end.
---@param options {[integer]: string, flags: string?, args: string[]?, before: string?}  scripts, and what goes
--- with them; before: a command that starts the program
---@return program.Ended
function program.run(options)
  local limit = program.is_sanitized and 3 * LIMIT_SECONDS or LIMIT_SECONDS
  local words = { "exec env XDG_RUNTIME_DIR=" .. program.runtime, "timeout --foreground -k 5", limit, options.before or "", quote(program.path), "run" }
  for _, script in ipairs(options) do table.insert(words, quote(script)) end
  table.insert(words, options.flags or "--workers 2")
  if options.args then
    table.insert(words, "--")
    for _, argument in ipairs(options.args) do table.insert(words, quote(argument)) end
  end
  local err_path = os.tmpname()
  table.insert(words, "2>" .. err_path)

  local uptime = function() return tonumber(output_of("cat /proc/uptime"):match("^%S+")) end
  local began = uptime()
  local pipe = assert(io.popen(table.concat(words, " ")))
  local out = pipe:read("a")
  local _, how, code = pipe:close()
  return {
    code = how == "signal" and 128 + code or code,
    out = out,
    err = take_file(err_path),
    seconds = uptime() - began,
  }
end

--- The lines `key: value` that a script of spec/hostile printed.
---@param out string
---@return table<string, string>
function program.findings(out)
  local found = {}
  for key, value in out:gmatch("([%w_]+): ([^\n]*)\n") do found[key] = value end
  return found
end

--- Runs spec/hostile/judge.lua, which has an actor do its worst.
---@param facts table<string, string>  script, case, and options of its spawn
---@return table<string, string> findings, program.Ended ended
function program.judge(facts)
  local args = {}
  for key, value in pairs(facts) do table.insert(args, key .. "=" .. value) end
  local ended = program.run { "spec/hostile/judge.lua", args = args }
  return program.findings(ended.out), ended
end

return program
