-- What is typed at the prompt of troupe repl, taken apart, and what TAB offers there.
local Sketch = require "troupe.repl.sketch"
local complete = require "troupe.repl.complete"
local line = require "troupe.repl.line"

describe("a line of troupe repl", function()
  it("is a declaration if it begins as one", function()
    for _, text in ipairs { 'actor "a" { "a.lua" }', "external 'b' { ':1' }", 'link { "a", "b" }', 'node("n") {}' } do
      assert.equal("declaration", line.parse(text).kind, text)
      assert.equal(text, line.parse(text).text)
    end
  end)

  it("may end in a comma, as it does in a file", function()
    assert.same({ kind = "declaration", word = "actor", text = 'actor "a" { "a.lua" }' },
                line.parse 'actor "a" { "a.lua" },')
  end)

  it("is a command if it begins with one", function()
    assert.same({ kind = "command", word = "ask", arguments = { "book", "Get", "symbol=ACME" } },
                line.parse "ask book  Get symbol=ACME ")
    assert.same({ kind = "command", word = "watch", arguments = {} }, line.parse "  watch")
  end)

  it("is a message otherwise, also to an actor that is called like a word", function()
    assert.same({ kind = "message", arguments = { "book", "Get" } }, line.parse "book Get")
    assert.same({ kind = "message", arguments = { "link", "Get" } }, line.parse "link Get")
  end)

  it("is for the prompt itself with a colon", function()
    assert.same({ kind = "colon", word = "save", force = false, rest = "a file.lua" }, line.parse ":save a file.lua ")
    assert.same({ kind = "colon", word = "save", force = true, rest = "a.lua" }, line.parse ":save! a.lua")
    assert.same({ kind = "colon", word = "quit", force = false, rest = "" }, line.parse ":quit")
  end)

  it("is nothing if it is blank, or a comment", function()
    assert.same({ kind = "nothing" }, line.parse "  ")
    assert.same({ kind = "nothing" }, line.parse "-- later")
  end)

  describe("is parted in words:", function()
    local function words(text) return assert(line.words(text)) end

    it("quotes keep blanks, and are not a part of the word", function()
      assert.same({ "a", "note=two words", "it=it's", "empty=" }, words [[a note="two words" it="it's" empty='']])
    end)

    it("JSON is one word, whatever is in it", function()
      assert.same({ "a", [[list:=[1, "a ] b", {"c": 2}]\]], "n:=1" }, words [[a list:=[1, "a ] b", {"c": 2}]\ n:=1]])
      assert.same({ [[{"a": "x } \" y"}]], "b=1" }, words [[{"a": "x } \" y"} b=1]])
      assert.same({ [[text:="two words"]] }, words [[text:="two words"]])
    end)

    it("what is not closed is said", function()
      assert.same({ n = 2, nil, "a \" is not closed" }, table.pack(line.words [[a note="two words]]))
      assert.same({ n = 2, nil, "a bracket is not closed" }, table.pack(line.words [[a list:=[1, 2]]))
      assert.same({ n = 2, nil, "a \" is not closed" }, table.pack(line.words [[a {"b": "c}]]))
    end)
  end)

  describe("goes on in the next one", function()
    it("as long as a declaration is not complete", function()
      for _, text in ipairs { 'actor "a"', 'actor "a" {', 'actor "a" { source = [[\nfunction on_x()', 'link {\n "a", "b",' } do
        assert.is_true(line.is_incomplete(text), text)
      end
    end)

    it("and not when it is, or is wrong, or no declaration", function()
      for _, text in ipairs { 'actor "a" { "a.lua" }', 'actor "a" { "a.lua" },', 'actor "a" { "a.lua }', "book Get {",
                              "actor Get", "link" } do
        assert.is_false(line.is_incomplete(text), text)
      end
    end)
  end)
end)

describe("TAB in troupe repl", function()
  local known

  before_each(function()
    local sketch = Sketch.new("t")
    for _, declaration in ipairs {
      { word = "actor", text = 'actor "book" { "book.lua" }' },
      { word = "actor", text = 'actor "bots-1" { "bot.lua" }' },
      { word = "external", text = 'external "pricer" { "tcp://localhost:5010" }' },
      { word = "link", text = 'link { "book", "pricer", PriceReq = { symbol = "string", n = "integer" } }' },
    } do
      sketch = assert(sketch:declare(declaration)).sketch
    end
    known = { sketch = sketch, watched = { "book" }, scripts = {
      book = { handlers = { "on_any", "on_get", "on_market_depth", "on_start", "on_tick" },
               types = { Tick = { { "symbol", "string" }, { "price", "number" } } } },
    } }
  end)

  local function offered(text) return (complete.words(text, known)) end

  it("offers commands, words and names at the beginning", function()
    assert.same({ "book", "bots-1" }, offered "bo")
    assert.same({ "ask", "actor" }, { offered "as"[1], offered "ac"[1] })
    assert.same({ ":save" }, offered ":s")
  end)

  it("offers names where a name is expected", function()
    assert.same({ "book", "bots-1", "pricer" }, offered "ask ")
    assert.same({ "pricer" }, offered "stop p")
    assert.same({ "book" }, offered "unwatch ")
    assert.same({ "pricer" }, offered "unlink book p")
    assert.same({ "book" }, offered 'actor "x" { "x.lua", config = { to = ref "boo')
  end)

  it("offers the types that an actor handles, spelt as they are declared", function()
    assert.same({ "Get", "MarketDepth", "Tick" }, offered "ask book ")
    assert.same({ "MarketDepth" }, offered "book M")
    assert.same({ "PriceReq" }, offered "send pricer ")
    assert.same({}, offered "ask bots-1 ")
  end)

  it("offers the declared fields", function()
    assert.same({ "price:=", "symbol=" }, offered "ask book Tick ")
    assert.same({ "n:=", "symbol=" }, offered "pricer PriceReq ")
    assert.same({ "symbol=" }, offered "book Tick price:=1 s")
  end)

  it("offers nothing where there is nothing", function()
    assert.same({}, offered "ps ")
    assert.same({}, offered "stop book ")
    assert.same({}, offered "zzz")
  end)

  it("ends the only word, and knows that some characters part words for the terminal", function()
    assert.same({ "book " }, complete.from("ask boo", 5, known))
    assert.same({ "1 " }, complete.from("ask bots-", 10, known))
    assert.same({ "price:=" }, complete.from("book Tick pr", 11, known))
    assert.same({ "book", "bots-1" }, complete.from("ask bo", 5, known))
  end)
end)
