-- depths: deep recursion of all kinds, and what is known to crash the engine.
-- See judge.lua. These end by themselves: with an error that is caught, or well.
local Depths = {}

local deep = {}

deep["functions"] = function()
  local function f(n) return 1 + f(n + 1) end
  return pcall(f, 1)
end

deep["functions in a coroutine"] = function()
  return coroutine.wrap(function() return deep["functions"]() end)()
end

deep["coroutines in coroutines"] = function()
  local function f() return coroutine.wrap(f)() end
  return pcall(f)
end

deep["coroutines in coroutines, by resume"] = function()
  local function f() return assert(coroutine.resume(coroutine.create(f))) end
  return pcall(f)
end

deep["metamethods"] = function()
  local t = {}
  setmetatable(t, { __index = function(_, k) return t[k .. "x"] end, __add = function(a, b) return a + b end,
                    __tostring = function() return tostring(t) end, __concat = function(a, b) return a .. b end,
                    __eq = function(a, b) return a == setmetatable({}, getmetatable(b)) end,
                    __close = function() local _ <close> = t end })
  pcall(function() return t + t end)
  pcall(tostring, t)
  pcall(function() return t .. t end)
  pcall(function() return t == setmetatable({}, getmetatable(t)) end)
  pcall(function() local _ <close> = t end)
  return pcall(function() return t.x end)
end

deep["a chain of __index tables"] = function()
  local t = {}
  for _ = 1, 100000 do t = setmetatable({}, { __index = t }) end
  return pcall(function() return t.x end)
end

deep["gsub in gsub"] = function()
  local function f() return ("x"):gsub("x", f) end
  return pcall(f)
end

deep["sort in sort"] = function()
  local function f() table.sort({ 2, 1 }, f) end
  return pcall(f)
end

deep["pcall in pcall"] = function()
  local function f() return pcall(f) end
  return f()
end

deep["xpcall in its message handler"] = function()
  local function f() return xpcall(error, f) end
  return f()
end

deep["errors in message handlers"] = function()
  local function f(why) error(why) end
  return xpcall(f, f)
end

deep["parentheses for the parser"] = function()
  return load("return " .. ("("):rep(100000) .. "1" .. (")"):rep(100000))
end

deep["blocks for the parser"] = function()
  return load(("do "):rep(100000) .. ("end "):rep(100000))
end

deep["functions for the parser"] = function()
  return load(("return function() "):rep(100000) .. ("end "):rep(100000))
end

deep["a table for the parser"] = function()
  return load("return " .. ("{"):rep(100000) .. ("}"):rep(100000))
end

deep["operators for the parser"] = function()
  load("return " .. ("-"):rep(100000) .. "1")
  load("return " .. ("not "):rep(100000) .. "1")
  return load("return " .. ("1 .. "):rep(100000) .. "1")
end

deep["load in the reader of load"] = function()
  local function f() return load(f) and "" end
  return pcall(f)
end

deep["a pattern"] = function()
  pcall(string.find, ("x"):rep(500000), (".-"):rep(300000) .. "y")
  pcall(string.find, ("("):rep(100000), ("("):rep(100000))
  return pcall(string.match, ("x"):rep(500000), ("x?"):rep(400000) .. "y")
end

deep["gmatch after it was too complex"] = function()
  local text = ("x"):rep(200000)
  local next_match = text:gmatch(("(.?)"):rep(30) .. ("x?"):rep(199000) .. "$")
  for _ = 1, 3 do pcall(next_match) end
  local simple = text:gmatch(("x?"):rep(200000))
  for _ = 1, 3 do pcall(simple) end
  return true
end

deep["a chain of coroutine.close"] = function()
  local function chain(n)
    local co
    for _ = 1, n do
      local before = co
      co = coroutine.create(function()
        local _ <close> = setmetatable({}, { __close = function()
          if before then coroutine.close(before) end
        end })
        coroutine.yield()
      end)
      coroutine.resume(co)
    end
    return coroutine.close(co)
  end
  chain(1000)
  return chain(50000)
end

deep["a chain of dead wraps"] = function()
  local function chain(n)
    local last
    for _ = 1, n do
      local before = last
      last = coroutine.wrap(function()
        local _ <close> = setmetatable({}, { __close = function() if before then before() end end })
        coroutine.yield()
        error("on purpose")
      end)
      last()
    end
    return pcall(last)
  end
  return chain(20000)
end

deep["a table for json"] = function()
  local t = {}
  for _ = 1, 100000 do t = { t } end
  pcall(json.encode, t)
  pcall(json.decode, ("["):rep(100000))
  return pcall(actor.self.send, actor.self, "Nothing", { t = t })
end

deep["a table that is its own metatable"] = function()
  local t = {}
  t.__index, t.__newindex, t.__metatable = t, t, t
  setmetatable(t, t)
  pcall(function() return t.x end)
  return pcall(function() t.x = 1 end)
end

deep["require of itself"] = function()
  package.preload.again = function() return require "again" end
  return pcall(require, "again")
end

function Depths:on_prepare(_, env)
  env:reply("Prepared")
end

function Depths:on_do(msg, env)
  assert(deep[msg.case], msg.case)()
  collectgarbage()
  env:reply("Done", { note = "survived" })
end

function Depths:on_nothing() end

function Depths:on_ping(_, env)
  env:reply("Pong", { escaped = false })
end

return Depths
