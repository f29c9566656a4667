-- market: a feed of prices, a book of the last ones, and limits that are checked at the price
-- of a program in Python. Three processes; session.md tells what to type, and what one sees.
--
--   troupe check examples/market/market.lua
--   troupe up examples/market/market.lua
--   python3 examples/market/pricer.py        or: troupe mock pricer examples/market/market.lua
--
-- Where it listens is up to the environment: MARKET_FEED, MARKET_RISK, MARKET_PRICER.
local FEED = os.getenv "MARKET_FEED" or "tcp://127.0.0.1:5001"
local RISK = os.getenv "MARKET_RISK" or "tcp://127.0.0.1:5002"
local PRICER = os.getenv "MARKET_PRICER" or "tcp://localhost:5010"

return topology "market" {
  node "feed" { bind = FEED,
    actor "feed" { "actors/feed.lua", config = { to = ref "book" } },
    actor "book" { "actors/book.lua", mailbox = { limit = 10000, overflow = "drop_old" } } },
  node "risk" { bind = RISK, workers = 2, after = "feed",
    actor "limits" { "actors/limits.lua", instances = 4, route = "hash:symbol", failure = "restart",
      config = { pricer = ref "pricer", most = 10000 } } },
  external "pricer" { PRICER, from = "python" },
  link { "feed", "book", Tick = { symbol = "string", price = "number" } },
  link { "limits", "pricer", PriceReq = { symbol = "string" }, answers = "Price" },
}
