--- Reads Mermaid's sequence diagrams, as far as we write them, and refuses what its
--- grammar does: for specs.
---
--- ```lua
--- local diagram = mermaid.read("sequenceDiagram\n    participant p1 as a#35;1\n    p1->>p1: Tick\n")
--- diagram.participants  --> { { id = "p1", name = "a#1" } }
--- diagram.steps         --> { { from = "p1", arrow = "->>", to = "p1", text = "Tick" } }
--- ```
local mermaid = {}

-- A longer one before any that it begins with.
local ARROWS = { "-->>", "->>", "--x", "--)", "-x", "-)", "-->", "->" }

-- Words that begin a statement of their own, and so cannot be an id.
local KEYWORDS = { participant = true, actor = true, note = true, loop = true, alt = true, ["else"] = true,
                   opt = true, par = true, ["and"] = true, rect = true, box = true, ["end"] = true, activate = true,
                   deactivate = true, autonumber = true, title = true, link = true, links = true, create = true,
                   destroy = true, critical = true, option = true, ["break"] = true, as = true }

-- "#35;" is a character; any other "#" begins a comment, and ";" ends the statement.
local function text_of(written, number)
  local plain = written:gsub("#%d+;", "")
  assert(not plain:find("[#;]"), ("line %d: '#' or ';' in a text: %s"):format(number, written))
  assert(not plain:find("%%%%"), ("line %d: a comment begins in a text: %s"):format(number, written))
  assert(not plain:find("[<>]"), ("line %d: markup in a text: %s"):format(number, written))
  return (written:gsub("#(%d+);", function(code) return utf8.char(tonumber(code)) end))
end

local function check_id(id, number)
  assert(id:find("^%a%w*$") and not KEYWORDS[id:lower()], ("line %d: '%s' cannot be an id"):format(number, id))
  return id
end

local function read_message(line, number)
  local from, rest = line:match("^(%w+)(.*)$")
  assert(from, ("line %d is no statement: %s"):format(number, line))
  for _, arrow in ipairs(ARROWS) do
    if rest:sub(1, #arrow) == arrow then
      local to, text = rest:sub(#arrow + 1):match("^(%w+): ?(.*)$")
      assert(to, ("line %d: no receiver and text behind %s: %s"):format(number, arrow, line))
      return { from = check_id(from, number), arrow = arrow, to = check_id(to, number), text = text_of(text, number) }
    end
  end
  error(("line %d has no arrow: %s"):format(number, line))
end

---@param text string
---@return {participants: table[], steps: table[], name: fun(id: string): string}
function mermaid.read(text)
  local diagram, names, number = { participants = {}, steps = {} }, {}, 0
  assert(text:sub(-1) == "\n", "the last line has no end")
  for line in text:gmatch("([^\n]*)\n") do
    number = number + 1
    line = line:gsub("^%s+", "")
    local id, name = line:match("^participant (%S+) as (.+)$")
    local over, note = line:match("^Note over (%w+): (.+)$")
    if number == 1 then
      assert(line == "sequenceDiagram", "it begins with: " .. line)
    elseif id then
      assert(not names[check_id(id, number)], "twice: " .. id)
      names[id] = text_of(name, number)
      table.insert(diagram.participants, { id = id, name = names[id] })
    elseif over then
      table.insert(diagram.steps, { over = check_id(over, number), text = text_of(note, number) })
    else
      table.insert(diagram.steps, read_message(line, number))
    end
  end
  for _, step in ipairs(diagram.steps) do
    for _, who in ipairs { step.from or step.over, step.to or step.over } do
      assert(names[who], "no participant is " .. who)
    end
  end
  function diagram.name(of) return names[of] end
  return diagram
end

return mermaid
