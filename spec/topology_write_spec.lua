-- A model written back as a file: whatever it holds, it reads back as the same.
local Market = require "spec.support.market"
local program = require "spec.support.program"
local topology = require "troupe.topology"

-- The model without the lines, which are those of another text.
local function without_lines(value)
  if type(value) ~= "table" then return value end
  local copy = {}
  for key, each in pairs(value) do
    if key ~= "line" or type(each) ~= "number" then copy[key] = without_lines(each) end
  end
  return copy
end

describe("a model that is written", function()
  it("looks as somebody would have written it", function()
    assert.equal([[
return topology "market" {
  node "feed" { bind = "tcp://127.0.0.1:5001",
    actor "feed" { "actors/feed.lua", config = { to = ref "book" } },
    actor "book" { "actors/book.lua", mailbox = { limit = 10000, overflow = "drop_old" } },
  },
  node "risk" { bind = "tcp://127.0.0.1:5002", workers = 2, after = "feed",
    actor "limits" { "actors/limits.lua", instances = 4, route = "hash:symbol", failure = "restart" },
  },
  external "pricer" { "tcp://localhost:5010", from = "python" },
  link { "feed", "book", Tick = { price = "number", symbol = "string" } },
  link { "limits", "pricer", PriceReq = { symbol = "string" }, answers = "Price" },
}
]], topology.write(Market.read(Market.TEXT)))
  end)

  it("breaks what is long into lines", function()
    local text = topology.write(Market.read(Market.of([==[actor "a" { "a.lua", config = { symbols = { "a long name of a symbol",
      "another long name of a symbol", "a third long name of a symbol" }, deep = { er = { 1, 2.5, true, 1e100 } } } },
      actor "b" { source = "function on_x(self)\n  print 'x'\nend\n" }]==],
      [[link { "a", "b", Quote = { a_long_name_of_a_field = "string", another_name = "number", third = { "[]?", x = "any" } } }]])))
    assert.equal([==[
return topology "t" {
  node "n" {
    actor "a" { "a.lua",
      config = {
        deep = { er = { 1, 2.5, true, 1e+100 } },
        symbols = {
          "a long name of a symbol",
          "another long name of a symbol",
          "a third long name of a symbol",
        },
      },
    },
    actor "b" {
      source = [[
function on_x(self)
  print 'x'
end
]],
    },
  },
  link { "a", "b",
    Quote = { a_long_name_of_a_field = "string", another_name = "number", third = { "[]?", x = "any" } },
  },
}
]==], text)
  end)

  it("is written the same again", function()
    local once = topology.write(Market.read(Market.TEXT))
    assert.equal(once, topology.write(Market.read(once)))
  end)

  it("keeps scripts that stand in the file, names that are no words, and numbers as they are", function()
    local text = Market.of([==[actor "a" { source = "function on_x(self)\n  print('\"]]')\r\nend\n" },
      actor "b" { "odd \\ \"path\".lua", config = { ["end"] = 1, ["two words"] = 2, [""] = 3, big = 1 << 62, small = math_min,
        f = 1e300, third = 1 / 3, minus = -0.0, whole = 2.0, text = "\0\1\r\n\t\\\u{20AC}\127" } }]==])
    text = text:gsub("math_min", "-9223372036854775807 - 1")
    local model = Market.read(text)
    local again = Market.read(topology.write(model))
    assert.same(without_lines(model), without_lines(again))
    local config = again.nodes[1].actors[2].config
    assert.equal("float", math.type(config.whole))
    assert.equal(math.mininteger, config.small)
    assert.equal("-0.0", tostring(config.minus))
    assert.equal(1 / 3, config.third)
  end)

  it("of whatever kind reads back as the same", function()
    local seed = tonumber(os.getenv "TOPOLOGY_SEED") or os.time()
    math.randomseed(seed)
    local random = math.random

    local function pick(list) return list[random(#list)] end
    local function maybe(make) return random() < 0.5 and make() or nil end

    local function text()
      local parts = {}
      for _ = 1, random(0, 30) do table.insert(parts, pick { "a", "Z", " ", "\n", '"', "'", "\\", "]]", "--", "\0", "\u{E9}", "9" }) end
      return table.concat(parts)
    end

    local names, used
    local function name(prefix)
      used = used + 1
      return prefix .. pick { "", "-", ".x", "_" } .. used
    end

    local function any(depth)
      local kind = random(depth > 3 and 5 or 8)
      if kind == 1 then return text() end
      if kind == 2 then return random(0) end
      if kind == 3 then return (random() - 0.5) * 10 ^ random(-300, 300) end
      if kind == 4 then return random() < 0.5 end
      if kind == 5 then return { ["$ref"] = pick(names) } end
      local made = {}
      for i = 1, random(0, 5) do made[kind == 6 and i or text()] = any(depth + 1) end
      return made
    end

    local function config()
      local made = {}
      for _ = 1, random(0, 4) do made[pick { "to", "end", "x y", "rate", text() .. "k" }] = any(1) end
      return made
    end

    local function fields(depth)
      local made = {}
      for _ = 1, random(0, 4) do
        made[pick { "x", "price", "end", "two words", "symbol" }] = (depth < 3 and random() < 0.2) and fields(depth + 1)
          or pick { "any", "integer?", "number[]", "ref[][]?", "string", "table", "boolean" }
      end
      if depth > 1 and random() < 0.3 then made[1] = pick { "[]", "?", "[]?" } end
      return made
    end

    -- Each link has types of its own: a type has one shape for an actor.
    local function types()
      local made = {}
      for _ = 1, random(0, 3) do
        used = used + 1
        table.insert(made, { name = pick { "Tick", "end", "A b" } .. used, fields = maybe(function() return fields(1) end) })
      end
      table.sort(made, function(a, b) return a.name < b.name end)
      return made
    end

    local function actor(node)
      local made = { name = name "actor", node = node, config = {}, options = {} }
      if random() < 0.8 then made.script = pick { "a.lua", "odd path.lua", "/x/y" } else made.source = "x" .. text() end
      if random() < 0.3 then made.instances, made.route = random(9), pick { "round", "hash:x y", "least", "broadcast" } end
      made.options.mailbox = maybe(function() return { limit = random(9), overflow = pick { "fail", "drop_new" } } end)
      made.options.slice = maybe(function() return pick { 0.5, "5s", 3 } end)
      made.options.interleave = maybe(function() return pick { true, { "Query", "Tick" } } end)
      made.options.sandbox = maybe(function() return random() < 0.5 end)
      return made
    end

    for _ = 1, program.is_sanitized and 30 or 300 do
      used, names = 0, {}
      local model = { name = name "t", file = "market.lua", folder = ".", nodes = {}, externals = {}, links = {} }
      for i = 1, random(1, 4) do
        local node = { name = name "node", after = {}, options = {}, actors = {}, bind = "tcp://127.0.0.1:" .. 5000 + i }
        node.workers = maybe(function() return random(64) end)
        node.advertise = maybe(function() return "tcp://10.0.0.5:" .. 5000 + i end)
        node.options.memory = maybe(function() return pick { "64MiB", 1 << 20 } end)
        node.options.allow = maybe(function() return "10.0.0.0/8,::1" end)
        for place = 1, i - 1 do
          if random() < 0.5 then table.insert(node.after, model.nodes[place].name) end
        end
        for _ = 1, random(1, 4) do
          table.insert(node.actors, actor(node.name))
          table.insert(names, node.actors[#node.actors].name)
        end
        table.insert(model.nodes, node)
      end
      for i = 1, random(0, 3) do
        local external = { name = name "external", endpoint = pick { "tcp://localhost:", ":", "flat::" } .. 6000 + i }
        external.actor = pick { external.name, "Müller" }
        external.from = maybe(function() return "python" end)
        table.insert(model.externals, external)
        table.insert(names, external.name)
      end
      for _ = 1, random(0, 4) do
        table.insert(model.links, { from = pick(names), to = pick(names), types = types(), answers = types() })
      end
      for _, node in ipairs(model.nodes) do
        for _, each in ipairs(node.actors) do each.config = config() end
      end
      local written = topology.write(model)
      assert.same(model, without_lines(Market.read(written)), ("seed %d:\n%s"):format(seed, written))
    end
  end)
end)
