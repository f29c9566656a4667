-- loops: every way there is to run for ever in Lua. See judge.lua.
local Loops = {}

local function forever()
  while true do end
end

local function looping(name)
  return setmetatable({}, { [name] = forever })
end

local worst = {}

worst["while true"] = forever

worst["tail calls"] = function()
  local function f() return f() end
  return f()
end

worst["a repeat with a goto"] = function()
  ::again::
  goto again
end

worst["a loop in a new coroutine"] = function()
  coroutine.resume(coroutine.create(forever))
end

worst["a loop in a wrapped coroutine"] = function()
  coroutine.wrap(forever)()
end

worst["a loop in a coroutine made before"] = function(self)
  coroutine.resume(self.kept)
end

worst["a herd of coroutines"] = function()
  while true do
    local herd = {}
    for i = 1, 50 do
      herd[i] = coroutine.create(function() while true do coroutine.yield() end end)
    end
    for _ = 1, 100 do
      for _, each in ipairs(herd) do coroutine.resume(each) end
    end
  end
end

worst["pcall around a loop, again and again"] = function()
  while true do pcall(forever) end
end

worst["pcall of errors"] = function()
  while true do pcall(error) end
end

worst["six levels of resume(create(...))"] = function()
  local function level(depth)
    while true do
      coroutine.resume(coroutine.create(depth > 1 and function() level(depth - 1) end or forever))
    end
  end
  level(6)
end

worst["six levels of pcall in coroutines"] = function()
  local function level(depth)
    while true do
      pcall(coroutine.wrap(depth > 1 and function() level(depth - 1) end or forever))
    end
  end
  level(6)
end

worst["xpcall with a handler that loops"] = function()
  while true do xpcall(forever, forever) end
end

worst["a message handler that loops"] = function()
  xpcall(error, forever, "on purpose")
end

worst["a message handler that loops, in a coroutine"] = function()
  coroutine.wrap(function() xpcall(error, forever, "on purpose") end)()
end

worst["__close at the end of a block"] = function()
  local _ <close> = looping "__close"
end

worst["__close of a handler that is stopped"] = function()
  local a <close> = looping "__close"
  local b <close> = looping "__close"
  local c <close> = setmetatable({}, { __close = function() while true do pcall(forever) end end })
  forever()
end

worst["__close run by coroutine.close"] = function()
  local co = coroutine.create(function()
    local _ <close> = looping "__close"
    coroutine.yield()
  end)
  coroutine.resume(co)
  coroutine.close(co)
end

worst["the comparator of table.sort"] = function()
  table.sort({ 3, 1, 2 }, forever)
end

worst["table.sort in a coroutine"] = function()
  coroutine.wrap(function() pcall(table.sort, { 3, 1, 2 }, forever) end)()
end

worst["the callback of gsub"] = function()
  while true do pcall(string.gsub, "abc", ".", forever) end
end

worst["__tostring"] = function()
  return tostring(looping "__tostring")
end

worst["__tostring in string.format"] = function()
  return ("%s"):format(looping "__tostring")
end

worst["__tostring in print"] = function()
  print(looping "__tostring")
end

worst["__index"] = function()
  return looping("__index").x
end

worst["__newindex"] = function()
  looping("__newindex").x = 1
end

worst["__index in table.concat"] = function()
  return table.concat(looping "__index", ",", 1, 3)
end

worst["__eq, __lt, __concat and __len"] = function()
  local all = setmetatable({}, { __eq = forever, __lt = forever, __concat = forever, __len = forever })
  pcall(function() return all == setmetatable({}, getmetatable(all)) end)
  pcall(function() return all < all end)
  pcall(function() return all .. all end)
  return #all
end

worst["__pairs"] = function()
  for _ in pairs(looping "__pairs") do break end
end

worst["__call"] = function()
  looping "__call" ()
end

worst["an iterator"] = function()
  for _ in forever do break end
end

worst["an iterator that never ends"] = function()
  for _ in function() return 1 end do pcall(error) end
end

worst["the reader function of load"] = function()
  load(forever)
end

worst["a reader that never ends"] = function()
  load(function() return " " end)
end

worst["a chunk of load"] = function()
  pcall(load("while true do end"))
end

worst["dofile"] = function(self)
  local file <close> = assert(io.open(self.path, "w"))
  file:write("while true do end")
  file:close()
  pcall(dofile, self.path)
end

worst["gmatch in a loop"] = function()
  while true do
    for _ in ("some words to walk through"):gmatch("%a+") do pcall(error) end
  end
end

worst["garbage, at full speed"] = function()
  while true do local _ = { {}, {}, ("x"):rep(100) } end
end

worst["asking, in a loop"] = function()
  while true do
    local _, why = actor.ref("nobody"):ask("Ping")
    assert(why)
  end
end

worst["sending to itself, in a loop"] = function()
  while true do actor.self:try_send("Nothing") end
end

worst["json of an endless table"] = function()
  local endless = setmetatable({}, { __index = function(_, i) return i end, __len = function() return 1e9 end })
  while true do pcall(json.encode, endless) end
end

function Loops:on_prepare(_, env)
  self.escaped = false
  self.path = os.tmpname()
  self.kept = coroutine.create(function()
    coroutine.yield()
    forever()
  end)
  coroutine.resume(self.kept)
  env:reply("Prepared")
end

function Loops:on_do(msg)
  pcall(assert(worst[msg.case], msg.case), self)
  self.escaped = true
end

function Loops:on_nothing() end

function Loops:on_ping(_, env)
  os.remove(self.path)
  env:reply("Pong", { escaped = self.escaped })
end

return Loops
