--- Topologies that are written to a folder, and what `troupe check` says of them.
---
--- ```lua
--- before_each(checking.open)
--- after_each(checking.close)
--- checking.expect({ 'node "n" { actor "idle" { "idle.lua" } },' }, { ["idle.lua"] = "function on_idle() end" },
---   { "market.lua: ok: 1 node, 1 actor" })
--- ```
local assert = require "luassert"
local port = require "troupe.port"
local process = require "spec.support.process"

local OK, CHECK = 0, 6

local checking = {}

local folder

function checking.open() folder = process.make_folder() end
function checking.close() process.remove_folder(folder) end
function checking.folder() return folder end

--- A file in that folder.
---@return string path
function checking.write(name, text)
  return process.write_file(("%s/%s"):format(folder, name), text)
end

local function replace(text, what, by)
  return (text:gsub(what:gsub("%p", "%%%0"), by))
end

--- What is printed, without the names of folders that are different each time.
function checking.plain(text)
  return replace(replace(replace(text, folder .. "/,", "FOLDER,"), folder .. "/", ""), port.share, "SHARE")
end

--- Runs the command with these arguments.
---@return process.Ended
function checking.command(...)
  local ended = process.run(process.troupe { "check", ... })
  ended.out, ended.err = checking.plain(ended.out), checking.plain(ended.err)
  return ended
end

--- Expects just these lines of market.lua, and the exit code that they mean.
---@param text string       of market.lua
---@param scripts table<string, string>  the texts of other files
---@param expected string[]
function checking.expect_text(text, scripts, expected)
  for name, script in pairs(scripts) do checking.write(name, script) end
  checking.write("market.lua", text)
  local ended = checking.command(folder .. "/market.lua")
  assert.equal(table.concat(expected, "\n") .. "\n", ended.out)
  assert.equal("", ended.err)
  assert.equal(expected[#expected]:find ": ok: " and OK or CHECK, ended.code)
end

--- The same of a topology that has these parts, of which the first begins in line 2.
---@param parts string[]
function checking.expect(parts, scripts, expected)
  checking.expect_text(('return topology "market" {\n%s\n}\n'):format(table.concat(parts, "\n")), scripts, expected)
end

--- The same of a file of which each row is a line, followed by what is said of it.
---@param rows string[][]
function checking.expect_rows(rows, scripts)
  local lines, expected = {}, {}
  for number, row in ipairs(rows) do
    lines[number] = row[1]
    for i = 2, #row do expected[#expected + 1] = ("market.lua:%d: %s"):format(number, row[i]) end
  end
  checking.expect_text(table.concat(lines, "\n") .. "\n", scripts, expected)
end

return checking
