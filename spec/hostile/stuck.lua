-- stuck: stays in C functions that cannot be interrupted, for a second or two.
-- See judge.lua; and a Lua loop of two seconds, for what is only reported.
local Stuck = {}

local long = {}

long["string.find"] = function()
  return (("a"):rep(280)):find((".-"):rep(3) .. "b")
end

long["string.gsub"] = function()
  return (("a"):rep(280)):gsub((".-"):rep(3) .. "b", "")
end

long["string.match"] = function()
  return (("a"):rep(280)):match((".-"):rep(3) .. "b")
end

long["os.execute"] = function()
  os.execute("sleep 1.5")
end

long["file:read"] = function()
  local pipe <close> = assert(io.popen("sleep 1.5; echo over"))
  return pipe:read("a")
end

long["Lua"] = function()
  local last = actor.now() + 1.5
  while actor.now() < last do end
end

long["Lua in a coroutine"] = function()
  coroutine.wrap(long["Lua"])()
end

function Stuck:on_prepare(_, env)
  env:reply("Prepared")
end

function Stuck:on_do(msg, env)
  assert(long[msg.case], msg.case)()
  env:reply("Done", { note = "finished" })
end

function Stuck:on_ping(_, env)
  env:reply("Pong", { escaped = true })
end

return Stuck
