--- What prompts have in common: texts of several lines, and where a history is kept.
local typed = {}

--- Whether Lua wants more of a text before it is an expression or a chunk.
---@param text string
---@return boolean
function typed.is_incomplete(text)
  if load("return " .. text, "=", "t") then
    return false
  end
  local chunk, why = load(text, "=", "t")
  return not chunk and why:find("<eof>$") ~= nil
end

--- The file of a prompt's history; nil: there is no place for it.
---@param name string
---@return string? path
function typed.history_path(name)
  local state = os.getenv("XDG_STATE_HOME") or ""
  if state:sub(1, 1) ~= "/" then
    local home = os.getenv("HOME") or ""
    state = home ~= "" and home .. "/.local/state" or nil
  end
  return state and ("%s/troupe/%s"):format(state, name)
end

return typed
