-- hogs: every way there is to use up memory. See judge.lua.
local Hogs = {}

local function tables()
  local all = {}
  for i = 1, math.huge do all[i] = { i } end
end

local function doubling()
  local text = "x"
  while true do text = text .. text end
end

local worst = {}

worst["a table that grows"] = tables
worst["a string that doubles"] = doubling

worst["string.rep of 1 GB"] = function()
  return #("x"):rep(1 << 30)
end

worst["a hog in a coroutine"] = function()
  coroutine.wrap(tables)()
end

worst["a herd of coroutines"] = function()
  local all = {}
  for i = 1, math.huge do
    all[i] = coroutine.create(coroutine.yield)
    coroutine.resume(all[i])
  end
end

worst["a hog behind pcall"] = function()
  pcall(pcall, tables)
end

worst["a hog behind pcall, again and again"] = function()
  while true do pcall(doubling) end
end

worst["a hog behind xpcall"] = function()
  xpcall(tables, tables)
end

worst["a hog behind coroutine.resume"] = function()
  coroutine.resume(coroutine.create(tables))
end

worst["a hog in __close"] = function()
  local _ <close> = setmetatable({}, { __close = tables })
end

worst["gsub that blows up"] = function()
  local text = "xxxxxxxx"
  while true do text = text:gsub("x", "xxxxxxxx") end
end

worst["table.concat of much"] = function()
  local all, piece = {}, ("x"):rep(1024)
  for i = 1, 1 << 20 do all[i] = piece end
  return #table.concat(all)
end

worst["string.format of much"] = function()
  local text = ("x"):rep(1 << 20)
  while true do text = ("%s%s"):format(text, text) end
end

worst["table.unpack of much"] = function()
  local all = {}
  while true do all[#all + 1] = table.pack(table.unpack({}, 1, 1e5)) end
end

worst["closures"] = function()
  local last
  while true do
    local before = last
    last = function() return before end
  end
end

worst["load of a long text"] = function()
  local n = 0
  return load(function()
    n = n + 1
    return ("x%d = %d "):format(n, n)
  end)
end

worst["names made by load"] = function()
  local all = {}
  for i = 1, math.huge do all[i] = load("return '" .. ("y"):rep(1000) .. i .. "'") end
end

worst["json of one table many times over"] = function()
  local level = ("x"):rep(1000)
  for _ = 1, 10 do level = { level, level, level, level } end
  return #json.encode({ it = level })
end

worst["a message of one table many times over"] = function()
  local level = ("x"):rep(1000)
  for _ = 1, 10 do level = { level, level, level, level } end
  return actor.self:send("Nothing", { it = level })
end

function Hogs:on_prepare(_, env)
  self.escaped = false
  env:reply("Prepared")
end

function Hogs:on_do(msg)
  pcall(assert(worst[msg.case], msg.case))
  self.escaped = true
end

function Hogs:on_nothing() end

function Hogs:on_ping(_, env)
  env:reply("Pong", { escaped = self.escaped })
end

return Hogs
