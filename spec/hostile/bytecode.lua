-- bytecode: tries to have a compiled chunk run. Writes it to actor.args[1].
local Bytecode = {}

function Bytecode:on_start()
  local chunk = string.dump(function() return "ran" end)
  local path = actor.args[1]
  local file <close> = assert(io.open(path, "wb"))
  file:write(chunk)
  file:flush()
  local function say(key, ok, why)
    print(("%s: %s %s"):format(key, tostring(ok), (tostring(why):gsub("[^%g ]", "?"))))
  end
  say("load", load(chunk))
  say("load_b", load(chunk, "x", "b"))
  say("load_bt", load(chunk, "x", "bt"))
  say("load_reader", load(coroutine.wrap(function() coroutine.yield(chunk) end)))
  say("loadfile", loadfile(path))
  say("loadfile_b", loadfile(path, "b"))
  say("dofile", pcall(dofile, path))
  package.path = path
  say("require", pcall(require, "anything"))
  say("spawn", actor.spawn(path))
  actor.stop_host(0)
end

return Bytecode
