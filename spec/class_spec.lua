-- actor.class: tables of methods that stay the same tables when the script is reloaded, so
-- that objects in self get the new methods.
local Stage = require "troupe.stage"

-- A library of one book, whose methods say which version they are.
local function library(version, rest)
  return ([[
    local Book = actor.class "Book"
    function Book.new(title) return setmetatable({ title = title }, Book) end
    function Book:show() return "%s " .. self.title end
    local Library = {}
    function Library:on_start() self.book, self.class = Book.new("book"), Book end
    function Library:on_show(_, env)
      env:reply("Shown", { book = self.book:show(), same = self.class == Book and getmetatable(self.book) == Book,
                           old = self.book.old and self.book:old() })
    end
    %s
    return Library
  ]]):format(version, rest or "")
end

describe("actor.class", function()
  local stage, actor
  before_each(function() stage = Stage.new() end)
  after_each(function() stage:close() end)

  local function spawn(text)
    actor = assert(stage:spawn { source = text, name = "library" })
    stage:run()
  end

  local function reload(text, options)
    local report, why = stage:reload(actor, text, options)
    stage:log()
    return report, why
  end

  local function shown()
    return (assert(stage:ask(actor, "Show")))
  end

  it("is the one table of its name, and its own __index", function()
    spawn [[
      local Book = actor.class "Book"
      assert(Book == actor.class "Book" and Book ~= actor.class "Pen" and Book.__index == Book)
      return { on_show = function() end }
    ]]
  end)

  it("gives objects in self the methods of a new version", function()
    spawn(library("old"))
    assert.same({ book = "old book", same = true }, shown())
    assert(reload(library "new"))
    assert.same({ book = "new book", same = true }, shown())
  end)

  it("takes away methods that are gone, and metamethods too", function()
    spawn(library("old", "function Book:old() return 'still' end Book.__call = Book.old"))
    assert.equal("still", shown().old)
    assert(reload(library("new", "assert(rawget(Book, '__call') == nil)")))
    assert.is_nil(shown().old)
  end)

  it("has the new methods in on_reload already, and the old ones after a failure", function()
    spawn(library("old"))
    local _, why = reload(library("new", "function Library:on_reload() error(self.book:show()) end"))
    assert.truthy(tostring(why):find("new book", 1, true))
    assert.same({ book = "old book", same = true }, shown())
  end)

  it("is as it was when a new top level fails in the middle of it", function()
    spawn(library("old", "function Book:old() return 'still' end"))
    assert.is_nil(reload [[
      local Book = actor.class "Book"
      for i = 1, 1000 do Book["method" .. i] = print end
      error("no")
    ]])
    assert.same({ book = "old book", same = true, old = "still" }, shown())
  end)

  it("may inherit from another, differently each time", function()
    spawn(library("old"))
    assert(reload(library("new", [[
      local Base = actor.class "Base"
      function Base:old() return "inherited" end
      setmetatable(Book, Base)
    ]])))
    assert.equal("inherited", shown().old)
    assert(reload(library "newer"))
    assert.is_nil(shown().old)
  end)

  it("goes back with an undo", function()
    spawn(library("old"))
    assert(reload(library "new"))
    assert(reload(nil, { undo = true }))
    assert.same({ book = "old book", same = true }, shown())
  end)

  it("is made at the top level only", function()
    spawn "function on_show(_, _, env) env:reply('Shown', { text = select(2, pcall(actor.class, 'Late')) }) end"
    assert.truthy(shown().text:find("actor.class: classes are made at the top level", 1, true))
    local _, why = reload("function on_show() end function on_reload() actor.class 'Late' end")
    assert.truthy(tostring(why):find("^library.lua:1: actor.class: classes are made at the top level"), tostring(why))
  end)

  it("has a name", function()
    local _, why = stage:spawn { source = "actor.class(7)", name = "other" }
    assert.truthy(tostring(why):find("actor.class: a name is expected, not a number", 1, true), tostring(why))
  end)
end)
