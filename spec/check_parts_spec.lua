-- The parts that troupe check is made of: what words stand in a Lua text, how declared fields
-- are compared, and circles.
local Cycles = require "troupe.topology.check_cycles"
local Mentions = require "troupe.topology.check_mentions"
local Shapes = require "troupe.topology.check_shapes"

local function sorted(set)
  local list = {}
  for each in pairs(set) do list[#list + 1] = each end
  table.sort(list)
  return list
end

local function strings(text) return sorted(Mentions.of(text).strings) end
local function fields(text) return sorted(Mentions.of(text).fields) end

describe("the words in a Lua text", function()
  it("are its strings, in all their forms", function()
    assert.same({ "a", "b", "c", "d ]] e" }, strings [==[send("a", 'b', [[c]], [=[d ]] e]=])]==])
    assert.same({ "\nx", "x\ny" }, strings "[[\nx\ny]] [[\n\nx]]")
    assert.same({ "", "it's", 'say "x"' }, strings [["it's" 'say "x"' ""]])
  end)

  it("are as their escapes mean them", function()
    assert.same({ 'Tick"\\\a\b\f\n\r\t\v' }, strings [['\84i\x63k\"\\\a\b\f\n\r\t\v']])
    assert.same({ "\u{48}\u{20AC}11" }, strings [["\u{48}\u{20AC}\0491"]])
    assert.same({ "ab" }, strings '"a\\z  \n\t b"')
    assert.same({ "a\nb\nc" }, strings '"a\\\nb\\\r\nc"')
  end)

  it("are not in comments", function()
    assert.same({ "a", "b", "c" }, strings [==[
      -- "x"
      local a = "a" --[[ "x"
      "x" ]] local b = 'b' --[=[ ]] "x" ]=] --[ "x"
      --[==x[ "x"
      local c = "c" -- 'x]==])
    assert.same({ "a" }, strings "#!/usr/bin/lua 'x'\nlocal a = 'a'")
    assert.same({ "-- no comment" }, strings "x = '-- no comment'")
  end)

  it("are names behind a dot or a colon, and keys of tables", function()
    assert.same({ "Tick", "forward", "send", "type" },
      fields "print(env.type) env : forward(to) f { Tick = 3 } self:send(a == b, a .. name, ...)")
  end)

  it("are found whatever is between: numbers, long brackets that are none, operators", function()
    assert.same({ "a", "b" }, strings "x = 0x1p4 + 3.e-2 .. 'a' t[t[1]] = t[ [[b]] ] // 2 ~= 3 << 1 ::label:: goto label")
  end)

  it("are what Lua itself makes of any string that it has written", function()
    local seed = 1
    local function random(most)
      seed = (seed * 1103515245 + 12345) % 2147483648
      return seed // 65536 % most
    end
    for _ = 1, 500 do
      local bytes = {}
      for i = 1, random(30) do bytes[i] = string.char(random(4) == 0 and random(256) or ("\\\"'[]=-\n\r\0z1 "):byte(1 + random(13))) end
      local text = table.concat(bytes)
      local written = ("return %q"):format(text)
      assert.equal(text, load(written)())
      assert.same({ text }, strings(written))
    end
  end)

  it("end in a text that is cut off, or none at all", function()
    for _, text in ipairs { "", "'", '"a\\', "[[a", "--[[a", "x = '\\", "'\\x", "'\\u{", "'\\u{110000000000}", "'\\999" } do
      assert.is_table(Mentions.of(text))
    end
  end)

  it("name a type in whatever spelling as a string, and as it is spelt as a field", function()
    local found = { Mentions.of "x = 'market_depth' y = z.Tick", Mentions.of "a = 'Other'" }
    assert.is_true(Mentions.name(found, "MarketDepth"))
    assert.is_true(Mentions.name(found, "Tick"))
    assert.is_true(Mentions.name(found, "other"))
    assert.is_false(Mentions.name(found, "tick"))
    assert.is_false(Mentions.name(found, "Trade"))
  end)

  it("of a script of a megabyte are read in one sitting", function()
    local text = ("local x = { a = 'b', c = \"d\\n\" } -- e\n"):rep(30000)
    assert.same({ "b", "d\n" }, strings(text))
  end)
end)

describe("declared fields", function()
  local function differ(wanted, found, expected, fits)
    assert.same(expected, Shapes.differences(wanted, found, fits))
  end

  it("are the same in each form and order", function()
    differ({ a = "string", b = { x = "number" } }, { { "b", { { "x", "number" } } }, { "a", "string" } }, {})
    differ({ a = { "[]?", x = "any" } }, { { "a", { "[]?", { "x", "any" } } } }, {})
    differ({}, {}, {})
  end)

  it("differ by each field that is missing, unknown, of another type, or optional", function()
    differ({ a = "string", b = "string", c = "string", d = "string[]" }, { a = "integer", b = "string?", d = "string", e = "any" },
      { "a is integer, not string", "b is string?, not string", "c is missing", "d is string, not string[]", "e is unknown" })
  end)

  it("differ inside of tables, and by being tables", function()
    differ({ at = { x = "number", deep = { y = "ref" } }, list = { "[]", z = "any" }, other = "table" },
      { at = { x = "integer", deep = {} }, list = { "[]?", z = "any" }, other = { a = "any" } },
      { "at.deep.y is missing", "at.x is integer, not number", "list is table[]?, not table[]",
        "other is a table with fields, not without" })
  end)

  it("of a sender fit a receiver that takes more, or no less than may come", function()
    differ({ a = "any", b = "number", c = "integer", d = "string?", e = "table", f = "table" },
      { a = "ref[]", b = "integer", c = "number", e = { x = "any" }, f = "string[]" }, {}, Shapes.accepting)
    differ({ a = "string", b = "string", d = "integer[]" }, { a = "string?", c = "string", d = "number" },
      { "a is string?, not string", "b is missing", "c is unknown", "d is number, not integer[]" }, Shapes.accepting)
  end)

  it("are written as a topology has them", function()
    assert.equal('{ at = { x = "number" }, list = { "[]?", y = "integer[]" }, ["no name"] = "any", none = { "?" }, zero = {} }',
      Shapes.written { { "list", { "[]?", { "y", "integer[]" } } }, { "at", { x = "number" } }, { "no name", "any" },
                       { "none", { "?" } }, { "zero", {} } })
    assert.equal("{}", Shapes.written {})
  end)
end)

describe("circles", function()
  local function find(...)
    local edges = {}
    for i, pair in ipairs { ... } do
      local from, to = pair:match "^(%w+) (%w+)$"
      edges[i] = { from = from, to = to }
    end
    return Cycles.find(edges)
  end

  it("are found, each edge of one being in one of them", function()
    assert.same({}, find("a b", "b c", "a c"))
    assert.same({ { 1 } }, find "a a")
    assert.same({ { 1, 2 } }, find("a b", "b a"))
    assert.same({ { 2, 3, 4 } }, find("x a", "a b", "b c", "c a", "c y"))
    assert.same({ { 1, 2 }, { 3, 4 } }, find("a b", "b a", "c d", "d c", "b c"))
    assert.same({ { 1, 3 }, { 2, 3 } }, find("a b", "a b", "b a"))
  end)

  it("are the shortest on which an edge lies", function()
    assert.same({ { 1, 4 }, { 2, 3, 1 } }, find("a b", "b c", "c a", "b a"))
  end)

  it("are sought in time that grows with the edges, and so many are told of", function()
    local edges = {}
    for i = 1, 5000 do
      edges[#edges + 1] = { from = "a" .. i, to = "a" .. i + 1 }
      edges[#edges + 1] = { from = "a" .. i, to = "b" .. i }
    end
    assert.same({}, Cycles.find(edges))
    for i = 1, 5000 do edges[#edges + 1] = { from = "b" .. i, to = "a" .. i } end
    assert.equal(Cycles.LIMIT, #Cycles.find(edges))
  end)
end)
