--- The topology of the specification, and what specs of topologies share.
local topology = require "troupe.topology"

local Market = {}

Market.TEXT = [[
return topology "market" {
  node "feed" { bind = "tcp://127.0.0.1:5001",
    actor "feed" { "actors/feed.lua", config = { to = ref "book" } },
    actor "book" { "actors/book.lua", mailbox = { limit = 10000, overflow = "drop_old" } } },
  node "risk" { bind = "tcp://127.0.0.1:5002", workers = 2, after = "feed",
    actor "limits" { "actors/limits.lua", instances = 4, route = "hash:symbol", failure = "restart" } },
  external "pricer" { "tcp://localhost:5010", from = "python" },
  link { "feed", "book", Tick = { symbol = "string", price = "number" } },
  link { "limits", "pricer", PriceReq = { symbol = "string" }, answers = "Price" },
}
]]

--- The model of a text that has no errors.
---@param text string
---@param about? { name: string, folder: string }
---@return troupe.topology.Model
function Market.read(text, about)
  local model, problems = topology.read(text, about or { name = "market.lua", folder = "." })
  assert(model, (problems[1] and topology.line(problems[1]) or "") .. "\n" .. text)
  return model
end

--- A topology of one node `n` with these actors, and what else stands in it.
---@param inside string  what stands in the table of the node
---@param beside? string  what stands behind the node
---@return string text  the node's table begins in line 2
function Market.of(inside, beside)
  return ('return topology "t" { node "n" {\n%s },\n%s }'):format(inside, beside or "")
end

return Market
