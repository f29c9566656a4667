--- Puts new files into a folder, all or none, and never over others.
---
--- ```lua
--- local why, code = making.files("shop", project_files.project(project))
--- if why then return code, why end
--- ```
local tools = require "troupe.tools"

local EXIT_FAILED = 1

local making = {}

--- folder/path as a person would write it.
function making.join(folder, path)
  if folder == "." then
    return path
  end
  return folder:match("/$") and folder .. path or folder .. "/" .. path
end

--- Makes a folder and those above it.
---@return string[]? made  which were not there, the uppermost first
---@return string? why
function making.folder(path)
  local made, above = {}, path:sub(1, 1) == "/" and "/" or ""
  for part in path:gmatch("[^/]+") do
    above = above .. part
    local is_new, why = tools.make_folder(above)
    if is_new == nil then
      return nil, why
    end
    if is_new then
      table.insert(made, above)
    end
    above = above .. "/"
  end
  return made
end

--- Takes back what was made, the last first; a folder that is not empty stays.
local function undo(made)
  for i = #made, 1, -1 do os.remove(made[i]) end
end

local function those_there(folder, files)
  local there = {}
  for _, file in ipairs(files) do
    if tools.kind_of(making.join(folder, file.path)) then
      table.insert(there, file.path)
    end
  end
  return there
end

local function make_all(folder, files, made)
  for _, file in ipairs(files) do
    local path = making.join(folder, file.path)
    local folders, why = making.folder(path:match("^(.*)/[^/]*$") or ".")
    if not folders then
      return why
    end
    table.move(folders, 1, #folders, #made + 1, made)
    local written
    written, why = tools.make_file(path, file.text)
    if not written then
      return why
    end
    table.insert(made, path)
  end
end

--- Writes the files; nothing is left of them if one cannot be made.
---@param folder string  which is made too, if need be
---@param files cli.NewFile[]
---@return string? why  nil: they are there
---@return integer? code
function making.files(folder, files)
  local there = those_there(folder, files)
  if #there > 0 then
    return ("%s has %s already: nothing was written"):format(
      folder == "." and "this folder" or folder, table.concat(there, ", ")), EXIT_FAILED
  end
  local made = {}
  local why = make_all(folder, files, made)
  if why then
    undo(made)
    return "cannot make " .. why, EXIT_FAILED
  end
end

--- Says what was made, each with its purpose.
---@param folder string
---@param files cli.NewFile[]
function making.say(folder, files)
  local width = 0
  for _, file in ipairs(files) do width = math.max(width, #making.join(folder, file.path)) end
  for _, file in ipairs(files) do
    print(("%-" .. width .. "s  %s"):format(making.join(folder, file.path), file.what))
  end
end

return making
