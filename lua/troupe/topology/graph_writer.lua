--- What the languages of drawings have in common: lines that are indented, labels, and the order
--- in which a drawing's parts are written. Pure. A language derives from it, and says how it
--- writes a `node`, a `thing` and an `edge`.
---
--- ```lua
--- local Writer = setmetatable({}, graph_writer)
--- Writer.__index = Writer
--- function Writer:edge(edge) self:say(1, "%s -> %s", self.ids[edge.from], self.ids[edge.to]) end
--- local self = graph_writer.new(Writer, { indent = "  ", escape = dot.escape, line_break = "\\n" })
--- ```
---@class graph.Language
---@field indent string
---@field escape fun(text: string): string
---@field line_break string  between the lines of a label

---@class graph.Writer
---@field ids table<table, string>  of what is drawn
---@field private lines string[]
---@field private language graph.Language
local Writer = {}
Writer.__index = Writer

---@param class table
---@param language graph.Language
---@return graph.Writer
function Writer.new(class, language)
  return setmetatable({ ids = {}, lines = {}, language = language }, class)
end

--- Writes a line.
function Writer:say(depth, format, ...)
  table.insert(self.lines, self.language.indent:rep(depth) .. format:format(...))
end

--- The text of what is drawn.
---@param lines string[]
---@return string
function Writer:label(lines)
  local escaped = {}
  for i, line in ipairs(lines) do escaped[i] = self.language.escape(line) end
  return table.concat(escaped, self.language.line_break)
end

--- Writes all that a drawing has.
---@param view graph.Drawing
function Writer:parts(view)
  for i, node in ipairs(view.nodes) do self:node(node, i) end
  for _, external in ipairs(view.externals) do self:thing(1, external) end
  for _, other in ipairs(view.others) do self:thing(1, other) end
  for _, edge in ipairs(view.edges) do self:edge(edge) end
end

---@return string
function Writer:text()
  return table.concat(self.lines, "\n") .. "\n"
end

return Writer
