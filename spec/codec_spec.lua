-- The codec against others: lua-cjson where that is exact (it has no integers and
-- no empty arrays), and Python's json everywhere else. Values and documents come
-- from fixed seeds; Python is asked once, about all of them.
local cjson = require "cjson"
local documents = require "spec.support.documents"
local json = require "troupe.json"
local process = require "spec.support.process"

local hex, describe_value = documents.hex, documents.describe

local VALUES = 2000
local DAMAGED = 3000
local FLOATS = 3000

local has_python = os.execute("python3 -c 'import json' 2>/dev/null") == true
local it_with_python = has_python and it or function(name)
  pending(name .. " (needs python3)")
end

local function unhex(text)
  return (text:gsub("%x%x", function(digits) return string.char(tonumber(digits, 16)) end))
end

---@class codec.Answer
---@field value string     the value, described
---@field default string   json.dumps(value, sort_keys=True)
---@field compact string   ... and with ensure_ascii=False, separators=(",", ":")
---@field indented string  ... and with indent=2

-- What Python makes of each of the texts: an Answer, or false if it refuses.
local function ask_python(texts)
  local lines = {}
  for i, text in ipairs(texts) do lines[i] = hex(text) .. "\n" end
  local ended = process.run({ "python3", "spec/support/json_oracle.py" }, { input = table.concat(lines) })
  assert(ended.code == 0, ended.err)
  local answers = {}
  for line in ended.out:gmatch("([^\n]*)\n") do
    local value, default, compact, indented = line:match("^(%S+) (%x+) (%x+) (%x+)$")
    assert(value or line == "refuse", line)
    table.insert(answers, value and { value = value, default = unhex(default), compact = unhex(compact),
                                      indented = unhex(indented) } or false)
  end
  assert(#answers == #texts, "Python answered " .. #answers .. " of " .. #texts)
  return answers
end

-- Fails with the first few of the texts that are wrong, escaped.
local function none(wrong)
  if #wrong > 0 then
    error(("%d wrong, such as:\n%s"):format(#wrong, table.concat(wrong, "\n", 1, math.min(#wrong, 5))), 2)
  end
end

local function note(wrong, text, ...)
  table.insert(wrong, ("%q: "):format(text:sub(1, 300)) .. table.concat({ ... }, " "))
end

describe("the codec", function()
  local make, texts, values

  -- All that Python is asked, in one go.
  local function collect()
    make, texts, values = documents.new(20), {}, {}
    for i = 1, VALUES do
      values[i] = make:value(make:below(6) - 1)
      texts[i] = json.encode(values[i], { spaced = make:below(2) == 1, ascii = make:below(2) == 1 })
    end
  end

  describe("and Python's json", function()
    local answers, damaged, numbers, corpus

    local function read(path)
      local file <close> = assert(io.open(path, "rb"))
      return file:read("a")
    end

    lazy_setup(function()
      if not has_python then return end
      collect()
      damaged, numbers, corpus = {}, {}, {}
      for i = 1, DAMAGED do damaged[i] = make:damaged(make:pick(texts)) end
      while #numbers < FLOATS do
        -- Fewer or more digits than a double has, as other writers may send them.
        local text = ("%%.%de"):format(make:below(25)):format(make:float())
        if math.abs(tonumber(text)) ~= math.huge then table.insert(numbers, text) end
      end
      for exponent = -1074, 1023 do table.insert(numbers, ("%.17e"):format(2.0 ^ exponent)) end
      local list <close> = assert(io.popen("ls fuzz/corpus/json/*"))
      for path in list:lines() do table.insert(corpus, { path = path, text = read(path) }) end

      local all = table.move(texts, 1, #texts, 1, {})
      table.move(damaged, 1, #damaged, #all + 1, all)
      table.move(numbers, 1, #numbers, #all + 1, all)
      for _, file in ipairs(corpus) do table.insert(all, file.text) end
      local found = ask_python(all)
      answers = {}
      for i, text in ipairs(all) do answers[text] = found[i] end
    end)

    it_with_python("reads what we write as the same values, to the last bit", function()
      local wrong = {}
      for i, text in ipairs(texts) do
        local answer = answers[text]
        if not answer then
          note(wrong, text, "refused")
        elseif answer.value ~= describe_value(values[i]) then
          note(wrong, text, answer.value, "not", describe_value(values[i]))
        end
      end
      none(wrong)
    end)

    it_with_python("writes texts that we read as the same values", function()
      local wrong = {}
      for i, text in ipairs(texts) do
        local answer = answers[text]
        for _, form in ipairs { "default", "compact", "indented" } do
          local value, why = json.decode(answer[form])
          if value == nil or describe_value(value) ~= describe_value(values[i]) then
            note(wrong, answer[form], form, tostring(why))
          end
        end
      end
      none(wrong)
    end)

    -- Without exception: whatever we can hold, Python writes the same.
    it_with_python("and we write the same bytes, with sorted keys, as default and compact", function()
      local wrong = {}
      for i, text in ipairs(texts) do
        local default = json.encode(values[i], { ascii = true })
        local compact = json.encode(values[i], { spaced = false })
        if default ~= answers[text].default then note(wrong, default, "not", answers[text].default) end
        if compact ~= answers[text].compact then note(wrong, compact, "not", answers[text].compact) end
      end
      none(wrong)
    end)

    it_with_python("and we read the same doubles, and write them with the same digits", function()
      local wrong = {}
      for _, text in ipairs(numbers) do
        local answer, value = answers[text], json.decode(text)
        if describe_value(value) ~= answer.value then
          note(wrong, text, describe_value(value), "not", answer.value)
        elseif json.encode(value) ~= answer.default then
          note(wrong, text, json.encode(value), "not", answer.default)
        end
      end
      none(wrong)
    end)

    -- Whether we may refuse what Python accepts.
    local function is_known(text, answer)
      local depth, deepest = 0, 0
      for bracket in text:gsub("\\.", ""):gsub('"[^"]*"', ""):gmatch("[%[%]{}]") do
        depth = depth + (bracket:find("[%[{]") and 1 or -1)
        deepest = math.max(deepest, depth)
      end
      return deepest > 64                                      -- 64 containers deep is our limit
        or answer.value:find("%f[%w]d[7f]ff0000000000000")     -- 1e400 is its infinity
        or (answer.value:match("i%-?(%d+)") or ""):len() > 308 -- an integer beyond a double's range
    end

    -- In what we differ about one text, "" if in nothing that is not known: its
    -- integers beyond 64 bits are our floats. Two more differences the oracle takes
    -- out: NaN and Infinity, and lone surrogates, which it cannot write as UTF-8.
    local function difference(text)
      local answer, value, why = answers[text], json.decode(text)
      if not answer then
        return value == nil and "" or "only we accept it"
      elseif value == nil then
        return is_known(text, answer) and "" or "only we refuse it: " .. why
      end
      local expected = answer.value:gsub("i(%-?%d+)", function(digits)
        local number = tonumber(digits)
        return math.type(number) == "float" and "d" .. hex(string.pack(">d", number)) or nil
      end)
      return describe_value(value) == expected and "" or expected .. " not " .. describe_value(value)
    end

    it_with_python("agree about damaged documents: what to refuse, and what they mean", function()
      local wrong, accepted = {}, 0
      for _, text in ipairs(damaged) do
        local why = difference(text)
        if why ~= "" then note(wrong, text, why) end
        accepted = accepted + (answers[text] and 1 or 0)
      end
      none(wrong)
      assert.is_true(accepted > DAMAGED // 20 and accepted < DAMAGED // 20 * 19) -- neither all nor none
    end)

    it_with_python("agree about the corner cases of the corpus", function()
      local wrong = {}
      for _, file in ipairs(corpus) do
        -- Its limit of values is the fuzz target's own.
        local why = difference(file.text)
        if why ~= "" then note(wrong, file.path, why) end
      end
      none(wrong)
      assert.is_true(#corpus > 200)
    end)
  end)

  describe("and lua-cjson", function()
    -- Without numbers beyond 0 and 1: its own are all floats of 14 digits.
    local function exact_values()
      local maker, list = documents.new(7), {}
      for i = 1, VALUES do list[i] = maker:value(maker:below(6) - 1, false) end
      return list
    end

    -- Plain tables of what is read, where {} and [] are the same and 1 is 1.0.
    local function plain(value)
      if type(value) ~= "table" then return value end
      local copy = {}
      for key, member in pairs(value) do copy[key] = plain(member) end
      return copy
    end

    it("read the same from what we write", function()
      for _, value in ipairs(exact_values()) do
        assert.same(plain(value), plain(cjson.decode(json.encode({ value }))[1]))
        assert.same(plain(value), plain(cjson.decode(json.encode({ value }, { ascii = true }))[1]))
      end
    end)

    it("read the same from what it writes", function()
      for _, value in ipairs(exact_values()) do
        local read = assert(json.decode(cjson.encode({ plain(value) })))
        assert.same(plain(value), plain(read[1]))
      end
    end)
  end)
end)
