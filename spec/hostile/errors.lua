-- errors: every way there is to fail. See judge.lua.
local Errors = {}

local fail = {}

fail["a string"] = function() error("on purpose") end
fail["a table"] = function() error { code = 7 } end
fail["nil"] = function() error(nil) end
fail["a number"] = function() error(7) end
fail["a coroutine"] = function() error(coroutine.create(print)) end

fail["a table whose __tostring fails"] = function()
  error(setmetatable({}, { __tostring = function() error("again") end }))
end

fail["a table whose __tostring returns a table"] = function()
  error(setmetatable({}, { __tostring = function() return {} end }))
end

fail["a table whose __index and __name lie"] = function()
  error(setmetatable({}, { __name = 7, __index = function() error("again") end, __pairs = error, __len = error }))
end

fail["a long string"] = function() error(("x"):rep(1 << 20)) end
fail["a string with control characters"] = function() error("\27[2J\0\r\n%n%s") end

fail["in __close"] = function()
  local _ <close> = setmetatable({}, { __close = function() error("closing") end })
  error("first")
end

fail["in a message handler"] = function()
  local _, why = xpcall(error, function() error("handling") end, "first")
  error(why, 0)
end

fail["a yield outside a coroutine"] = function() coroutine.yield() end

fail["without a string library"] = function()
  for name in pairs(string) do string[name] = nil end
  getmetatable("").__index = nil
  error("on purpose")
end

fail["without globals"] = function()
  local raise = error
  for name in pairs(_G) do _G[name] = nil end
  raise("on purpose")
end

fail["with a hostile self"] = function(self)
  setmetatable(self, { __index = error, __pairs = error, __tostring = error })
  error("on purpose")
end

function Errors:on_prepare(_, env)
  env:reply("Prepared")
end

function Errors:on_do(msg)
  local way = fail[msg.case]
  if not way then error("no such case") end
  way(self)
end

function Errors:on_ping(_, env)
  env:reply("Pong", { escaped = false })
end

return Errors
