--- Where `troupe repl` writes: also while a line is being typed, which then stands below.
---
--- ```lua
--- local screen = Screen.new()
--- screen:line("out", "hello")
--- local wrote = screen:above("repl> ", "ask bo", function() screen:line("out", "beside it") end)
--- ```
local show = require "troupe.cli.show"
local tools = require "troupe.tools"

---@class repl.Screen
---@field paint fun(colour: string, text: string): string  for standard error
---@field paint_out fun(colour: string, text: string): string
---@field private typed string?  the line in hand with its prompt, as long as it stands there
local Screen = {}
Screen.__index = Screen

function Screen.new()
  return setmetatable({ paint = show.painter(show.STDERR), paint_out = show.painter(show.STDOUT) }, Screen)
end

--- Takes the line in hand away, or if it has several rows goes below it.
local function make_room(typed)
  local columns = tools.terminal_size() or 80
  local fits = (utf8.len(typed) or #typed) < columns and os.getenv("TERM") ~= "dumb"
  io.stdout:write(fits and "\r\27[K" or "\n")
  io.stdout:flush()
end

--- Writes a line; false: nobody reads it any more.
---@param stream "out"|"err"
---@param text string
---@return boolean written
function Screen:line(stream, text)
  if self.typed then
    make_room(self.typed)
    self.typed = nil
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
---@param prompt string
---@param typed string
---@param body fun()
---@return boolean wrote
function Screen:above(prompt, typed, body)
  self.typed = prompt .. typed
  body()
  local wrote = self.typed == nil
  self.typed = nil
  return wrote
end

return Screen
