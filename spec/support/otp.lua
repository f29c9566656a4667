--- The rules of OTP's supervisor written down in the plainest way: one thing after
--- the other, recursive, and with starts and halts that are done at once. What
--- lua/troupe/supervisor.lua decides, event by event, must come to the same.
---
--- Not OTP's is that each restart comes `wait` seconds after the failure, and that a
--- first start that fails is tried again (but a temporary child's).
local Otp = {}
Otp.__index = Otp

---@param options { strategy: string, max: integer, within: number, wait: number, starts_well: fun(name: string): boolean }
function Otp.new(options)
  return setmetatable({ options = options, children = {}, spent = {}, done = {}, over = false }, Otp)
end

function Otp:note(what, child) table.insert(self.done, what .. " " .. child.name) end

function Otp:place(name)
  for place, child in ipairs(self.children) do
    if child.name == name then return place end
  end
end

function Otp:forget(child)
  table.remove(self.children, self:place(child.name))
  self:note("drop", child)
end

function Otp:halt(child)
  if not child.up then return end
  self:note("halt", child)
  child.up = false
end

function Otp:give_up()
  self.over = true
  for i = #self.children, 1, -1 do self:halt(self.children[i]) end
end

function Otp:may_restart()
  local recent = {}
  for _, at in ipairs(self.spent) do
    if self.now - at < self.options.within then table.insert(recent, at) end
  end
  self.spent = recent
  table.insert(recent, self.now)
  return #recent <= self.options.max
end

-- Whether it runs now; if not, what follows has been done.
function Otp:start(child)
  self:note("start", child)
  child.wanted = true
  if self.options.starts_well(child.name) then
    child.up, child.begun = true, true
    return true
  end
  if child.kind == "temporary" then
    self:forget(child)
    if not child.begun then self:give_up() end
  else
    self:restart(child)
  end
  return false
end

function Otp:start_from(place)
  local list = table.move(self.children, place, #self.children, 1, {})
  for _, child in ipairs(list) do
    if self:place(child.name) and not self:start(child) then return end
  end
end

function Otp:restart(child)
  if not self:may_restart() then return self:give_up() end
  self.now = self.now + self.options.wait
  if self.options.strategy == "one_for_one" then
    self:start(child)
    return
  end
  local first = self.options.strategy == "one_for_all" and 1 or self:place(child.name)
  for i = #self.children, first, -1 do
    local each = self.children[i]
    local was_up = each.up
    self:halt(each)
    if was_up and each.kind == "temporary" then self:forget(each) end
  end
  self:start_from(first)
end

function Otp:add(child) table.insert(self.children, { name = child.name, kind = child.kind }) end

function Otp:begin(now)
  self.now = now
  if self.options.strategy ~= "one_for_one" then return self:start_from(1) end
  for _, child in ipairs(table.move(self.children, 1, #self.children, 1, {})) do
    if self.over then return end
    self:start(child)
  end
end

function Otp:ended(name, failed, now)
  self.now = now
  local child = self.children[self:place(name)]
  child.up = false
  if child.kind == "permanent" or child.kind == "transient" and failed then
    self:restart(child)
  elseif child.kind == "temporary" then
    self:forget(child)
  end
end

-- The commands give nil, or why not.

function Otp:terminate(name)
  local place = self:place(name)
  if not place then return "there is no such child" end
  local child = self.children[place]
  self:halt(child)
  if child.kind == "temporary" then self:forget(child) end
end

function Otp:delete(name)
  local place = self:place(name)
  if not place then return "there is no such child" end
  if self.children[place].up then return "it is running" end
  self:forget(self.children[place])
end

local function start_alone(self, child, keep)
  self:note("start", child)
  child.up = self.options.starts_well(child.name)
  if child.up then return end
  if not keep then self:forget(child) end
  return "cannot start"
end

function Otp:restart_child(name)
  local place = self:place(name)
  if not place then return "there is no such child" end
  if self.children[place].up then return "it is running" end
  return start_alone(self, self.children[place], true)
end

function Otp:start_child(child)
  self:add(child)
  return start_alone(self, self.children[#self.children], false)
end

return Otp
