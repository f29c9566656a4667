-- Dead letters as scripts see them: listed, told of at once, and made by env:discard().
local Stage = require "troupe.stage"

describe("dead letters", function()
  local stage

  before_each(function() stage = Stage.new() end)
  after_each(function()
    stage:log()
    stage:close()
  end)

  local function spawn(name, source, options)
    local script = { name = name, source = source }
    for option, value in pairs(options or {}) do script[option] = value end
    local made = assert(stage:spawn(script))
    stage:run()
    return made
  end

  -- What was printed when `body` ran in an actor called "asker".
  local function run(body, options)
    spawn("asker", "function on_start(self, msg, env)\n" .. body .. "\nactor.exit()\nend", options)
    return stage:output()
  end

  local SHOP = 'function on_tea(self, msg, env) env:discard("no tea today") end'

  describe("are listed", function()
    before_each(function()
      spawn("shop", SHOP)
      stage:send("shop", "Tea", { cups = 2 })
      stage:send("shop", "Coffee")
      stage:run()
    end)

    it("with all that is known of them, oldest first", function()
      stage:advance("3s")
      assert.same({
        "1 Tea stage shop rejected no tea today 3.0 2 shop",
        "2 Coffee stage shop rejected Unknown message type: Coffee 3.0 nil shop",
      }, run [[
        for _, letter in ipairs(actor.dead_letters()) do
          print(table.concat({ letter.id, letter.type, letter.from, letter.to, letter.reason, letter.text,
                               ("%.1f"):format(letter.age), tostring(letter.msg.cups), tostring(letter.ref) }, " "))
        end
      ]])
    end)

    it("without a ref when the receiver has ended", function()
      stage:stop("shop")
      stage:run()
      assert.same({ "nil" }, run "print(actor.dead_letters()[1].ref)")
    end)

    it("the newest so many, or one", function()
      assert.same({ "1\tCoffee" }, run 'local list = actor.dead_letters { limit = 1 } print(#list, list[1].type)')
      assert.same({ "1\tTea" }, run 'local list = actor.dead_letters { id = 1 } print(#list, list[1].type)')
      assert.same({ "0" }, run 'print(#actor.dead_letters { id = 17 })')
    end)

    it("and wrong options are refused", function()
      for body, text in pairs {
        ["actor.dead_letters(3)"] = "options are a table, not a number",
        ["actor.dead_letters { limt = 3 }"] = "no option is called 'limt' %(did you mean 'limit'%?%)",
        ["actor.dead_letters { limit = 0 }"] = "limit is a whole number from 1",
        ["actor.dead_letters { id = 'x' }"] = "id is a whole number from 1",
        ["actor.watch_dead_letters(1)"] = "true or false is expected, not a number",
      } do
        assert.matches(text, run(("print(select(2, pcall(function() %s end)))"):format(body))[1])
      end
    end)

    it("but not in a sandbox, which is not to see what others say", function()
      for _, name in ipairs { "dead_letters", "watch_dead_letters" } do
        assert.matches("actor." .. name .. " is not available in a sandbox",
                       run(("print(select(2, pcall(actor.%s)))"):format(name), { sandbox = true })[1])
      end
    end)
  end)

  describe("are told of", function()
    local LISTENER = [[
      function on_start(self) assert(actor.watch_dead_letters()) end
      function on_dead_letter(self, msg)
        print(msg.id, msg.type, msg.to, msg.reason, msg.missed)
        if self.config.fails then error "no" end
      end
      function on_enough() print(actor.watch_dead_letters(false), actor.watch_dead_letters(false)) end
    ]]

    before_each(function() spawn("shop", SHOP) end)

    local function die(count)
      for _ = 1, count do stage:send("shop", "Tea") end
      stage:run()
    end

    it("at once, until the actor has heard enough", function()
      spawn("listener", LISTENER)
      die(1)
      assert.same({ "1\tTea\tshop\trejected\t0" }, stage:output())
      stage:send("listener", "Enough")
      die(1)
      assert.same({ "true\tfalse" }, stage:output())
    end)

    it("also after a restart", function()
      spawn("listener", LISTENER .. "\nfunction on_fall() error 'fallen' end", { failure = "restart" })
      stage:send("listener", "Fall")
      stage:advance("10s")
      stage:output()
      die(1)
      assert.same({ "2\tTea\tshop\trejected\t0" }, stage:output())
    end)

    it("as far as there is room; what was missed is counted", function()
      spawn("listener", LISTENER, { mailbox = { limit = 2 } })
      spawn("crowd", [[
        function on_go() for _ = 1, 5 do actor.ref("full"):send("Tea") end end
      ]])
      spawn("full", "function on_tea() end", { mailbox = { limit = 1, overflow = "drop_new" } })
      stage:send("crowd", "Go")
      stage:run()
      assert.same({ "1\tTea\tfull\tfull\t0", "2\tTea\tfull\tfull\t0" }, stage:output())
      die(1)
      assert.same({ "5\tTea\tshop\trejected\t2" }, stage:output())
    end)

    it("and one who fails at them makes no others", function()
      assert(stage:spawn({ name = "listener", source = LISTENER }, { fails = true }))
      stage:run()
      die(1)
      assert.equal(1, #stage:output())
      assert.equal(1, #stage:dead_letters())
    end)

    it("by the host only", function()
      spawn("listener", LISTENER)
      assert.matches("DeadLetter", run [[
        print(select(2, pcall(function() actor.ref("listener"):send("DeadLetter", { id = 1 }) end)))
      ]][1])
    end)
  end)

  describe("are made by env:discard()", function()
    it("and who asked is told why", function()
      spawn("shop", SHOP)
      assert.same({ "nil\trejected\tshop rejected Tea: no tea today" }, run [[
        local answer, why = actor.ref("shop"):ask("Tea")
        print(answer, why.reason, why)
      ]])
      local letter = stage:dead_letters()[1]
      assert.same({ type = "Tea", to = "shop", from = "asker", reason = "rejected", text = "no tea today" }, letter)
    end)

    it("also of a message that was deferred, once", function()
      spawn("shop", [[
        function on_tea(self, msg, env) self.kept = env:defer() end
        function on_close(self)
          print(self.kept:discard())
          print(select(2, pcall(self.kept.discard, self.kept, "again")))
        end
      ]])
      spawn("asker", 'function on_start() print(select(2, actor.ref("shop"):ask("Tea"))) end')
      stage:send("shop", "Close")
      stage:run()
      assert.same({ "true", "discard: this question was already answered",
                    "shop rejected Tea: no reason given" }, stage:output())
    end)
  end)
end)
