-- docs/prompt.md has a session with troupe repl: what is typed, and what is seen. It is
-- typed here line by line.
local process = require "spec.support.process"
local program = require "spec.support.program"

-- The steps of the blocks marked `session`: a text, and the lines that are seen for it.
local function read_session()
  local steps = {}
  local file <close> = assert(io.open "docs/prompt.md")
  for block in file:read("a"):gmatch("\n```session\n(.-)\n```") do
    for line in (block .. "\n"):gmatch("(.-)\n") do
      local typed, more = line:match("^repl> (.*)$"), line:match("^    > (.*)$")
      if typed then
        table.insert(steps, { typed = typed, seen = {} })
      elseif more then
        steps[#steps].typed = steps[#steps].typed .. "\n" .. more
      else
        table.insert(steps[#steps].seen, line)
      end
    end
  end
  return steps
end

-- What is typed behind each step, and what is seen for that: so it is known what belongs to which.
local MARK = "mark"

local function as_input(steps)
  local lines = {}
  for _, step in ipairs(steps) do
    table.insert(lines, step.typed)
    table.insert(lines, MARK)
  end
  return table.concat(lines, "\n") .. "\n"
end

local function pattern_of(line)
  return "^" .. line:gsub("%p", "%%%0"):gsub("%%%.%%%.%%%.", ".*") .. "$"
end

-- The lines that are seen for each step. Messages that pass are told a moment later:
-- those belong to the step in which unwatch tells the last of them.
local function parted(text)
  local parts = { {} }
  for line in text:gmatch("([^\n]*)\n") do
    if line:find("^'mark' is no command") then
      table.insert(parts, {})
    else
      table.insert(parts[#parts], line)
    end
  end
  return parts
end

local function assert_seen(step, lines)
  local left = table.move(lines, 1, #lines, 1, {})
  for _, expected in ipairs(step.seen) do
    local found
    for i, line in ipairs(left) do
      if not found and line:find(pattern_of(expected)) then found = i end
    end
    assert(found, ("after '%s' one should see:\n  %s\nand not:\n  %s"):format(step.typed, expected, table.concat(left, "\n  ")))
    table.remove(left, found)
  end
  assert.same({}, left, ("after '%s' one sees more"):format(step.typed))
end

describe("docs/prompt.md", function()
  local folder

  before_each(function() folder = process.make_folder() end)
  after_each(function() process.remove_folder(folder) end)

  it("goes as its session says, and what it saves is in order", function()
    local steps = read_session()
    assert(#steps >= 14)
    local ended = process.run({ "sh", "-c", 'cd "$1" && exec "$2" repl 2>&1', "sh", folder, program.path },
                              { input = as_input(steps) })
    local parts = parted(ended.out)
    for i, step in ipairs(steps) do
      local lines = parts[i] or {}
      if steps[i + 1] and steps[i + 1].typed == "unwatch" then
        table.move(parts[i + 1], 1, #parts[i + 1], #lines + 1, lines)
        parts[i + 1] = {}
      end
      assert_seen(step, lines)
    end
    local checked = process.run { "sh", "-c", 'cd "$1" && exec "$2" check market.lua 2>&1', "sh", folder, program.path }
    assert.equal(0, checked.code, checked.out)
  end)
end)
