--- Where `troupe repl` writes: also while a line is being typed, which then stands below.
---
--- ```lua
--- local screen = Screen.new()
--- screen:line("out", "hello")
--- local wrote = screen:above(function() screen:line("out", "beside it") end)
--- ```
local show = require "troupe.cli.show"

---@class repl.Screen
---@field paint fun(colour: string, text: string): string  for standard error
---@field paint_out fun(colour: string, text: string): string
---@field private typed boolean?  there is a line in hand where the cursor is
local Screen = {}
Screen.__index = Screen

function Screen.new()
  return setmetatable({ paint = show.painter(show.STDERR), paint_out = show.painter(show.STDOUT) }, Screen)
end

--- Takes the row of the line in hand away; it is shown again below. Of a line of several
--- rows the first ones stay, for nobody knows how many they are.
local function make_room()
  io.stdout:write(os.getenv("TERM") ~= "dumb" and "\r\27[K" or "\n")
  io.stdout:flush()
end

--- Writes a line; false: nobody reads it any more.
---@param stream "out"|"err"
---@param text string
---@return boolean written
function Screen:line(stream, text)
  if self.typed then
    make_room()
    self.typed = false
  end
  local file = stream == "out" and io.stdout or io.stderr
  return (file:write(text, "\n") and file:flush()) ~= nil
end

--- Something about what goes on, dimmed.
function Screen:note(text)
  self:line("err", self.paint("dim", text))
end

--- Why something did not go well.
function Screen:failure(text)
  self:line("err", self.paint("red", show.printable(text)))
end

--- Runs a function that may write while a line is being typed. True: it has, and the
--- line is to be shown again.
---@param body fun()
---@return boolean wrote
function Screen:above(body)
  self.typed = true
  body()
  local wrote = not self.typed
  self.typed = false
  return wrote
end

return Screen
