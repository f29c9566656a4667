-- stuck: stays in C functions that cannot be interrupted, for a second or two.
-- See judge.lua; and a Lua loop of two seconds, for what is only reported.
local Stuck = {}

local long = {}

long["string.find"] = function()
  -- Each of these takes a moment, and no Lua runs for long in between.
  return (("a"):rep(220)):find((".-"):rep(4) .. "b")
end

long["string.gsub"] = function()
  return (("a"):rep(220)):gsub((".-"):rep(4) .. "b", "")
end

long["string.match"] = function()
  return (("a"):rep(220)):match((".-"):rep(4) .. "b")
end

long["table.concat"] = function() -- of much, rather than for long
  local one = {}
  for i = 1, 1000 do one[i] = "x" end
  return #table.concat(one)
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
