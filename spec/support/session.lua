--- Sessions in a page of an example: what a person types in a few terminals, and what they
--- see there, in blocks marked `session`. `2$ ` is typed in terminal 2, `2  ` is seen there,
--- and `...` in it differs each time.
local session = {}

---@class session.Step
---@field terminal string  its digit
---@field typed string|false
---@field seen string|false

--- The steps of all blocks of a page, in order.
---@param path string
---@return session.Step[]
function session.read(path)
  local steps = {}
  local file <close> = assert(io.open(path))
  for block in file:read("a"):gmatch("\n```session\n(.-)\n```") do
    for line in (block .. "\n"):gmatch("(.-)\n") do
      local terminal, kind, text = line:match("^(%d)([$ ]) (.*)$")
      assert(terminal, "in no terminal: " .. line)
      table.insert(steps, { terminal = terminal, typed = kind == "$" and text, seen = kind == " " and text })
    end
  end
  return steps
end

-- Columns are as wide as what is in them, which differs.
local function narrow(line)
  return (line:gsub(" +", " "):gsub(" $", ""))
end

--- Whether a line is what the page says.
---@param expected string
---@param line string
---@return boolean
function session.is_seen(expected, line)
  local pattern = narrow(expected):gsub("%p", "%%%0"):gsub("%%%.%%%.%%%.", ".*")
  return narrow(line):find("^" .. pattern .. "$") ~= nil
end

--- Raises if it is not.
---@param expected string
---@param line string
---@param typed string  the command behind which it should be seen
function session.assert_seen(expected, line, typed)
  if not session.is_seen(expected, line) then
    error(("after '%s' one should see:\n  %s\nand not:\n  %s"):format(typed, expected, line), 2)
  end
end

return session
