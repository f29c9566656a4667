-- A reload renews a script together with the modules that it requires from the script's folder and the project's.
local process = require "spec.support.process"
local Stage = require "troupe.stage"

describe("a reload renews modules:", function()
  local stage, folder

  before_each(function()
    stage = Stage.new()
    folder = process.make_folder()
  end)
  after_each(function()
    stage:close()
    process.remove_folder(folder)
  end)

  local function write(path, text)
    return process.write_file(folder .. "/" .. path, text)
  end

  local function plain(text)
    return (tostring(text):gsub(folder:gsub("%p", "%%%0") .. "/", ""))
  end

  -- A script whose Ask tells what `expression` is, and how often it was asked.
  local function script(path, expression, before)
    return write(path, ([[
      %s
      local Script = {}
      function Script:on_start() self.asked = 0 end
      function Script:on_ask(msg, env)
        self.asked = self.asked + 1
        env:reply("Told", { what = %s, asked = self.asked })
      end
      return Script
    ]]):format(before or "", expression))
  end

  local function spawn(path)
    return assert(stage:spawn(folder .. "/" .. path))
  end

  -- "what asked"
  local function ask(ref)
    local told = assert(stage:ask(ref, "Ask"))
    return told.what .. " " .. told.asked
  end

  local function names(list)
    local found = {}
    for _, item in ipairs(list or {}) do table.insert(found, plain(item.script or item)) end
    table.sort(found)
    return table.concat(found, " ")
  end

  local function refused(ref)
    local report, why = stage:reload(ref)
    assert.is_nil(report)
    stage:log()
    return plain(why)
  end

  it("in all actors of all scripts that have required them, and in no other", function()
    write("prices.lua", "return { tea = 3 }")
    script("shop.lua", "require('prices').tea")
    script("till.lua", "prices.tea", "local prices = require 'prices'")
    script("bell.lua", "'bell'")
    local shops = { spawn "shop.lua", spawn "shop.lua" }
    local till, bell = spawn "till.lua", spawn "bell.lua"
    assert.same({ "3 1", "3 1", "3 1", "bell 1" }, { ask(shops[1]), ask(shops[2]), ask(till), ask(bell) })

    write("prices.lua", "return { tea = 4 }")
    local report = assert(stage:reload(till))
    assert.equal("shop.lua till.lua", names(report.scripts))
    assert.equal("prices.lua", names(report.modules))
    assert.same({ "4 2", "4 2", "4 2", "bell 2" }, { ask(shops[1]), ask(shops[2]), ask(till), ask(bell) })
    assert.matches("#1 %-> #2.* with prices.lua, 3 actors", plain(stage:log()[1].text))
  end)

  it("none, if they were written again as they were", function()
    write("prices.lua", "return { tea = 3 }")
    script("shop.lua", "prices.tea", "local prices = require 'prices'")
    local shop = spawn "shop.lua"
    write("prices.lua", "return { tea = 3 }")
    assert.is_false(assert(stage:reload(shop)).changed)
    stage:log()
  end)

  it("those of modules too, and of a script without a file", function()
    write("deep.lua", "return 'one'")
    write("middle.lua", "return { deep = require 'deep' }")
    local ref = assert(stage:spawn { name = "texted", source = ([[
      package.path = %q .. package.path
      function on_ask(self, msg, env) env:reply("Told", { what = require("middle").deep, asked = 0 }) end
    ]]):format(folder .. "/?.lua;") })
    script("main.lua", "require('middle').deep")
    local main = spawn "main.lua"
    assert.same({ "one 1", "one 0" }, { ask(main), ask(ref) })
    write("deep.lua", "return 'two'")
    assert(stage:reload(main))
    -- What is found along package.path belongs to no unit.
    assert.same({ "two 2", "one 0" }, { ask(main), ask(ref) })
    stage:log()
  end)

  it("with an error in one, none, and the actor has the module that it had", function()
    write("prices.lua", "return { tea = 3 }")
    script("shop.lua", "tostring(prices == require 'prices') .. prices.tea", "local prices = require 'prices'")
    local shop = spawn "shop.lua"
    write("prices.lua", "return {\n  tea = \n}")
    assert.equal("prices.lua:3: unexpected symbol near '}'", refused(shop))
    write("prices.lua", "local x\nx.y = 1")
    assert.matches("^prices.lua:2: attempt to index a nil value", refused(shop))
    write("prices.lua", "return require 'nothing.such'")
    assert.matches("nothing.such", refused(shop))
    os.remove(folder .. "/prices.lua")
    assert.equal("prices.lua: No such file or directory", refused(shop))
    assert.equal("true3 1", ask(shop))
    write("prices.lua", "return { tea = 5 }")
    assert(stage:reload(shop))
    assert.equal("true5 2", ask(shop))
    stage:log()
  end)

  it("without those that the new text does not require, though they are gone", function()
    write("old.lua", "return 'old'")
    script("main.lua", "what", "local what = require 'old'")
    local main = spawn "main.lua"
    assert.equal("old 1", ask(main))
    os.remove(folder .. "/old.lua")
    write("new.lua", "return 'new'")
    script("main.lua", "what", "local what = require 'new'")
    assert(stage:reload(main))
    assert.equal("new 2", ask(main))
    stage:log()
  end)

  it("and lies one nearer now, that is taken", function()
    os.execute(("mkdir '%s/kit'"):format(folder))
    write("kit/init.lua", "return 'folder'")
    script("main.lua", "what", "local what = require 'kit'")
    local main = spawn "main.lua"
    write("kit.lua", "return 'file'")
    script("main.lua", "what", "local what = require 'kit' -- changed")
    assert(stage:reload(main))
    assert.equal("file 1", ask(main))
    assert.equal("file 1", ask(spawn "main.lua"))
    stage:log()
  end)

  it("and leaves libraries, C modules and Troupe's own as they are", function()
    script("main.lua", "1", "same = nil")
    local text = [[
      local cjson, topics = require "cjson", require "troupe.topics"
      local Script = {}
      function Script:on_start() self.had = { cjson, topics, string } end
      function Script:on_ask(msg, env)
        local had = self.had
        env:reply("Told", { what = tostring(had[1] == cjson and had[2] == topics and had[3] == string), asked = %d })
      end
      return Script
    ]]
    write("main.lua", text:format(1))
    local main = spawn "main.lua"
    assert.equal("true 1", ask(main))
    write("main.lua", text:format(2))
    assert(stage:reload(main))
    assert.equal("true 2", ask(main))
    stage:log()
  end)

  it("and an undo has them again as they were", function()
    write("prices.lua", "return { tea = 3 }")
    script("shop.lua", "'one ' .. require('prices').tea")
    local shop = spawn "shop.lua"
    assert.equal("one 3 1", ask(shop))
    write("prices.lua", "return { tea = 4 }")
    script("shop.lua", "'two ' .. require('prices').tea")
    assert(stage:reload(shop))
    assert.equal("two 4 2", ask(shop))
    os.remove(folder .. "/prices.lua")
    assert(stage:reload(shop, nil, { undo = true }))
    assert.equal("one 3 3", ask(shop))
    stage:log()
  end)
end)
