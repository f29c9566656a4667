--- What `troupe doctor` says of this machine and installation.
local port = require "troupe.port"
local tools = require "troupe.tools"

local EXIT_OK, EXIT_FAILED = 0, 1
local FILES_ENOUGH = 4096

-- What the family's examples bind.
local PORTS = { { 5001, "pong" }, { 5002, "ping" }, { 5003, "the second ping" }, { 5555, "the registry" } }

local doctor_machine = {}

local function is_there(path)
  local file = io.open(path, "rb")
  if file then
    file:close()
  end
  return file ~= nil
end

local function share(facts)
  if is_there(facts.share .. "/lua/troupe/cli/init.lua") then
    return { name = "share", status = "ok", text = facts.share }
  end
  return { name = "share", status = "failed", text = facts.share .. " has no lua/troupe",
           todo = "Install again, so that share/troupe lies beside the bin/ that holds this program." }
end

local function zeromq(facts)
  return { name = "zeromq", status = "ok",
           text = ("libzmq %s, %s"):format(facts.zmq, facts.curve == 1 and "with CURVE" or "without CURVE"),
           todo = facts.curve == 0 and "Encrypted connections need a libzmq with CURVE." or nil }
end

--- Modules of others that scripts or commands use.
local function module(name, package, what)
  if pcall(require, name) then
    return { name = name, status = "ok", text = "found: " .. what }
  end
  return { name = name, status = "note", text = "not found: " .. what, todo = "apt-get install " .. package }
end

local function files(facts)
  if not facts.files or facts.files >= FILES_ENOUGH then
    return { name = "files", status = "ok",
             text = facts.files and ("up to %d open at once"):format(facts.files) or "as many as you like" }
  end
  return { name = "files", status = "note", text = ("up to %d open at once"):format(facts.files),
           todo = "Four for each peer: enough for tests. For more: ulimit -n " .. FILES_ENOUGH }
end

local function runtime_folder(facts)
  local folder = os.getenv("XDG_RUNTIME_DIR")
  if not folder or folder == "" then
    return { name = "runtime", status = "note", text = "XDG_RUNTIME_DIR is not set",
             todo = ("/tmp/troupe-%d is used instead."):format(facts.user) }
  end
  local renamed, why = os.rename(folder, folder) -- what Lua can tell of a folder
  if not renamed then
    return { name = "runtime", status = "note", text = "XDG_RUNTIME_DIR: " .. why,
             todo = ("/tmp/troupe-%d is used instead."):format(facts.user) }
  end
  return { name = "runtime", status = "ok", text = folder }
end

--- Ports in use are no fault, but explain why an example cannot bind.
local function ports()
  local taken, free = {}, {}
  for _, each in ipairs(PORTS) do
    if tools.port_is_taken(each[1]) then
      local pid, holder = tools.port_holder("*", each[1])
      table.insert(taken, ("%d (%s%s)"):format(each[1], each[2], pid and (": process %d, %s"):format(pid, holder) or ""))
    else
      table.insert(free, ("%d"):format(each[1]))
    end
  end
  if #taken == 0 then
    return { name = "ports", status = "ok", text = table.concat(free, ", ") .. " are free" }
  end
  return { name = "ports", status = "note", text = "in use: " .. table.concat(taken, ", "),
           todo = "Somebody listens there: 'troupe doctor :PORT' says what it is." }
end

---@param tell fun(step: table)
---@return integer code
function doctor_machine.look(tell)
  local facts = tools.facts()
  local code = EXIT_OK
  local function add(step)
    if step.status == "failed" then
      code = EXIT_FAILED
    end
    tell(step)
  end
  add { name = "troupe", status = "ok",
        text = ("%s, %s, %d core%s"):format(port.version, _VERSION, facts.cores, facts.cores == 1 and "" or "s") }
  add(share(facts))
  add(zeromq(facts))
  add(module("cjson", "lua-cjson", 'what scripts get by require "cjson"'))
  add(module("busted", "lua-busted", "runs specs ('troupe test')"))
  add(files(facts))
  add(runtime_folder(facts))
  add(ports())
  return code
end

return doctor_machine
