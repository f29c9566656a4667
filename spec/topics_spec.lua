-- Topics and patterns, as the event bus understands them.
local Topics = require "troupe.topics"

describe("a pattern", function()
  local function assert_matches(pattern, ...)
    for _, topic in ipairs { ... } do
      assert.is_true(Topics.matches(pattern, topic), pattern .. " should match " .. topic)
    end
  end

  local function assert_leaves(pattern, ...)
    for _, topic in ipairs { ... } do
      assert.is_false(Topics.matches(pattern, topic), pattern .. " should not match " .. topic)
    end
  end

  it("without a wildcard is the topic itself", function()
    assert_matches("orders.paid", "orders.paid")
    assert_leaves("orders.paid", "orders", "orders.paid.late", "Orders.paid", "orders.pai", "orderspaid")
  end)

  it("has * for just one word", function()
    assert_matches("orders.*", "orders.paid", "orders.7")
    assert_leaves("orders.*", "orders", "orders.7.paid")
    assert_matches("*.paid", "orders.paid")
    assert_matches("orders.*.paid", "orders.7.paid")
    assert_leaves("*", "orders.paid")
  end)

  it("has # for any number of words, and none", function()
    assert_matches("#", "orders", "orders.paid", "a.b.c.d")
    assert_matches("orders.#", "orders", "orders.paid", "orders.7.paid")
    assert_leaves("orders.#", "order", "bills.orders")
    assert_matches("#.paid", "paid", "orders.paid", "orders.7.paid")
    assert_leaves("#.paid", "orders.paid.late")
    assert_matches("orders.#.paid", "orders.paid", "orders.7.eu.paid")
    assert_leaves("orders.#.paid", "orders.7.eu")
    assert_matches("#.*", "orders", "orders.paid")
    assert_matches("#.b.#.d", "b.d", "a.b.c.d", "b.b.d.d")
    assert_leaves("#.b.#.d", "a.d.b", "a.b.c")
  end)

  it("agrees with a plain matcher on whatever can be made of few words", function()
    local function plain(pattern, topic, i, j)
      i, j = i or 1, j or 1
      if not pattern[i] then return not topic[j] end
      if pattern[i] == "#" then
        return plain(pattern, topic, i + 1, j) or (topic[j] ~= nil and plain(pattern, topic, i, j + 1))
      end
      return topic[j] ~= nil and (pattern[i] == "*" or pattern[i] == topic[j]) and plain(pattern, topic, i + 1, j + 1)
    end
    local function all(words, length)
      local lists = {}
      local function extend(list)
        if #list > 0 then table.insert(lists, list) end
        if #list == length then return end
        for _, word in ipairs(words) do
          extend(table.move(list, 1, #list, 1, { [#list + 1] = word }))
        end
      end
      extend {}
      return lists
    end
    local topics = all({ "a", "b" }, 4)
    for _, pattern in ipairs(all({ "a", "*", "#" }, 4)) do
      local text, one = table.concat(pattern, "."), Topics.new()
      one:add(text, true)
      for _, topic in ipairs(topics) do
        local name = table.concat(topic, ".")
        if plain(pattern, topic) ~= (one:match(name)[true] == true) then
          error(("%s and %s: %s by the plain matcher"):format(text, name, tostring(plain(pattern, topic))))
        end
      end
    end
  end)

  it("of many # costs no more than its words", function()
    assert_leaves(("#.a."):rep(15) .. "b", ("a."):rep(30) .. "c")
  end)

  it("is found and lost by its key", function()
    local topics = Topics.new()
    topics:add("orders.*", "x")
    topics:add("orders.#", "x")
    topics:add("orders.#", "y")
    assert.same({ x = true, y = true }, topics:match("orders.paid"))
    topics:remove("orders.*", "x")
    assert.same({ x = true, y = true }, topics:match("orders.paid"))
    topics:remove("orders.#", "x")
    assert.same({ y = true }, topics:match("orders.paid"))
    topics:remove("orders.never", "y")
    topics:remove("orders.#", "y")
    assert.same({}, topics:match("orders.paid"))
    assert.is_nil(next(topics.root.words))
  end)

  it("and a topic are refused for what they cannot be", function()
    assert.equal("the pattern is empty", Topics.pattern_fault(""))
    assert.equal("the pattern 'a..b' has an empty word", Topics.pattern_fault("a..b"))
    assert.equal("the pattern 'a.' has an empty word", Topics.pattern_fault("a."))
    assert.equal("the pattern has a control character", Topics.pattern_fault("a\nb"))
    assert.equal("the pattern is longer than 255 bytes", Topics.pattern_fault(("a"):rep(256)))
    assert.equal("the pattern has more than 32 words", Topics.pattern_fault(("a."):rep(32) .. "a"))
    assert.equal("the pattern 'or*.a' has a wildcard within a word: * and # stand for whole words",
                 Topics.pattern_fault("or*.a"))
    assert.equal("the topic 'a.*' has a wildcard: those are for subscribers", Topics.topic_fault("a.*"))
    assert.equal("the topic is empty", Topics.topic_fault(nil))
    assert.is_nil(Topics.pattern_fault("a.*.#.b"))
    assert.is_nil(Topics.topic_fault("a.b-c.D_7"))
  end)
end)
