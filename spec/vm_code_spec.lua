-- What the stack machine is told: its instructions, one by one, what they make of values,
-- what they say when they cannot; and the code of s-expressions.
local Machine = require "troupe.vm"

-- What is on the stack after this code was run by a new machine.
local function left_by(...)
  local vm = Machine.new()
  vm:send(...)
  vm:execute()
  return vm.stack:values()
end

local function packed(...)
  return table.pack(...)
end

-- The error of running this code.
local function failure_of(...)
  local fine, why = pcall(left_by, ...)
  assert.is_false(fine)
  return why
end

describe("a machine", function()
  describe("has instructions:", function()
    -- Name, what is on the stack, what is on it afterwards.
    for _, case in ipairs {
      { "OP_NEGATE", { 5 }, { -5 } },
      { "OP_ADD", { 1, 2 }, { 3 } },
      { "OP_ADD", { "ab", "c" }, { "abc" } },
      { "OP_ADD", { { 1 }, { 2, 3 } }, { { 1, 2, 3 } } },
      { "OP_SUBTRACT", { 1, 2.5 }, { -1.5 } },
      { "OP_MULTIPLY", { 6, 7 }, { 42 } },
      { "OP_MULTIPLY", { "ab", 3 }, { "ababab" } },
      { "OP_MULTIPLY", { 2, { 1, 2 } }, { { 1, 2, 1, 2 } } },
      { "OP_DIVIDE", { 6, 3 }, { 2.0 } },
      { "OP_DIVIDE", { 7, 2 }, { 3.5 } },
      { "OP_MODULO", { -7, 3 }, { 2 } },
      { "OP_MODULO", { 7, -3 }, { -2 } },
      { "OP_MODULO", { -7.5, 2 }, { 0.5 } },
      { "OP_POWER", { 2, 10 }, { 1024 } },
      { "OP_POWER", { -3, 39 }, { -4052555153018976267 } },
      { "OP_POWER", { 2, -1 }, { 0.5 } },
      { "OP_POWER", { 2.0, 3 }, { 8.0 } },
      { "OP_GREATER", { 2, 1 }, { true } },
      { "OP_LESS", { 2, 1 }, { false } },
      { "OP_LESS", { "a", "b" }, { true } },
      { "OP_GREATER_EQUAL", { 2, 2.0 }, { true } },
      { "OP_LESS_EQUAL", { 0 / 0, 0 / 0 }, { false } },
      { "OP_EQUAL", { 1, 1.0 }, { true } },
      { "OP_EQUAL", { 1, "1" }, { false } },
      { "OP_EQUAL", { { 1, { a = 2 } }, { 1.0, { a = 2 } } }, { true } },
      { "OP_EQUAL", { { 1 }, { 1, 2 } }, { false } },
      { "OP_NOT_EQUAL", { "a", "b" }, { true } },
      { "OP_POP", { 1, 2 }, { 1 } },
      { "OP_DUP", { 1, 2 }, { 1, 2, 2 } },
      { "OP_SWAP", { 1, 2 }, { 2, 1 } },
      { "OP_FALSE", {}, { false } },
      { "OP_TRUE", {}, { true } },
      { "OP_RETURN", { 1, 2 }, { 1 } },
      { "OP_RETURN", {}, {} },
      { "OP_IS_NUMBER", { 1.5 }, { true } },
      { "OP_IS_NUMBER", { "1" }, { false } },
      { "OP_IS_STRING", { "1" }, { true } },
      { "OP_IS_BOOL", { false }, { true } },
      { "OP_IS_BOOL", { 0 }, { false } },
      { "OP_TO_NUMBER", { "42" }, { 42 } },
      { "OP_TO_NUMBER", { " -1.5e3 " }, { -1500.0 } },
      { "OP_TO_NUMBER", { 5 }, { 5.0 } },
    } do
      local name, before, after = table.unpack(case)
      it(("%s of %s"):format(name, #before == 0 and "nothing" or #before == 1 and "one value" or "two values")
         .. " leaves " .. tostring(after[1]), function()
        local vm = Machine.new()
        for _, value in ipairs(before) do vm.stack:push(value) end
        vm:send(name)
        vm:execute()
        after.n = #after
        assert.same(after, vm.stack:values())
        for i, value in ipairs(after) do assert.equal(math.type(value), math.type(vm.stack:at(i))) end
      end)
    end

    it("OP_CONSTANT and OP_PUSH with a value behind them, nil too", function()
      assert.same(packed(1, nil, "x", nil),
                  left_by("OP_CONSTANT", 1, "OP_CONSTANT", nil, "OP_PUSH", "x", "OP_NIL"))
    end)

    it("OP_DEFINE_VARIABLE, OP_SET_VARIABLE and OP_GET_VARIABLE, of which one may be nil", function()
      assert.same(packed(5, 6, nil), left_by(
        "OP_CONSTANT", 5, "OP_DEFINE_VARIABLE", "x", "OP_GET_VARIABLE", "x",
        "OP_CONSTANT", 6, "OP_SET_VARIABLE", "x", "OP_GET_VARIABLE", "x",
        "OP_NIL", "OP_SET_VARIABLE", "x", "OP_GET_VARIABLE", "x"))
    end)

    it("OP_JUMP to an address", function()
      assert.same(packed(2), left_by("OP_JUMP", 4, "OP_CONSTANT", 1, "OP_CONSTANT", 2))
    end)

    it("OP_JUMP_IF_FALSE and OP_LOOP, which make loops: 10 + ... + 1", function()
      assert.same(packed(55), left_by(
        "OP_CONSTANT", 10, "OP_DEFINE_VARIABLE", "i",
        "OP_CONSTANT", 0, "OP_DEFINE_VARIABLE", "sum",
        "OP_GET_VARIABLE", "i", "OP_JUMP_IF_FALSE", 28,                                       -- at 8
        "OP_GET_VARIABLE", "sum", "OP_GET_VARIABLE", "i", "OP_ADD", "OP_SET_VARIABLE", "sum",
        "OP_GET_VARIABLE", "i", "OP_CONSTANT", 1, "OP_SUBTRACT", "OP_SET_VARIABLE", "i",
        "OP_LOOP", 20,
        "OP_GET_VARIABLE", "sum"))                                                            -- at 28
    end)

    it("OP_CALL, which OP_RETURN comes back from, also from one inside another", function()
      local vm = Machine.new()
      vm:load_bytecode {
        "OP_JUMP", 10,
        "OP_DUP", "OP_MULTIPLY", "OP_RETURN",                        -- at 2: square
        "OP_CALL", 2, 1, "OP_NEGATE", "OP_RETURN",                   -- at 5: negated square
        "OP_CONSTANT", 3, "OP_CALL", 5, 1, "OP_CONSTANT", 1, "OP_ADD",
      }
      vm:execute()
      assert.same(packed(-8), vm.stack:values())
      vm:send("OP_CALL", 2, 1)
      vm:execute()
      assert.same({ packed(64), 0 }, { vm.stack:values(), #vm.call_stack })
    end)
  end)

  describe("takes values as the original does, which is in Python:", function()
    it("0, 0.0, \"\", {}, nil and false are false, all else is true", function()
      for _, value in ipairs { 0, 0.0, -0.0, "", {}, false } do
        assert.same(packed(true), left_by("OP_CONSTANT", value, "OP_NOT"))
        assert.same(packed("else"), left_by("OP_CONSTANT", value, "OP_JUMP_IF_FALSE", 6, "OP_CONSTANT", "then",
                                            "OP_CONSTANT", "else"))
      end
      assert.same(packed(true), left_by("OP_NIL", "OP_NOT"))
      for _, value in ipairs { 1, -0.5, "0", " ", { 0 }, { a = false }, true, 0 / 0, Machine.new() } do
        assert.same(packed(false), left_by("OP_CONSTANT", value, "OP_NOT"))
      end
    end)

    it("OP_AND and OP_OR leave one of the two values", function()
      assert.same(packed(0), left_by("OP_CONSTANT", 0, "OP_CONSTANT", 5, "OP_AND"))
      assert.same(packed(5), left_by("OP_CONSTANT", 3, "OP_CONSTANT", 5, "OP_AND"))
      assert.same(packed(nil), left_by("OP_CONSTANT", 3, "OP_NIL", "OP_AND"))
      assert.same(packed(5), left_by("OP_CONSTANT", "", "OP_CONSTANT", 5, "OP_OR"))
      assert.same(packed(3), left_by("OP_CONSTANT", 3, "OP_CONSTANT", 5, "OP_OR"))
      assert.same(packed(nil), left_by("OP_CONSTANT", 0, "OP_NIL", "OP_OR"))
    end)

    it("true and false are also the numbers 1 and 0", function()
      assert.same(packed(2), left_by("OP_TRUE", "OP_TRUE", "OP_ADD"))
      assert.same(packed(true), left_by("OP_TRUE", "OP_CONSTANT", 1, "OP_EQUAL"))
      assert.same(packed(true), left_by("OP_FALSE", "OP_IS_NUMBER"))
      assert.same(packed(true), left_by("OP_FALSE", "OP_TRUE", "OP_LESS"))
    end)

    it("texts of values", function()
      for _, case in ipairs {
        { true, "True" }, { 5, "5" }, { 5.5, "5.5" }, { 2.0, "2.0" }, { 2 ^ 53, "9007199254740992.0" },
        { 1e16, "1e+16" }, { 1 / 3, "0.3333333333333333" }, { 1e-5, "1e-05" }, { 0.0001, "0.0001" },
        { 5e-324, "5e-324" }, { 1.7976931348623157e308, "1.7976931348623157e+308" }, { -0.0, "-0.0" },
        { math.huge, "inf" }, { "as it is", "as it is" },
      } do
        assert.same(packed(case[2]), left_by("OP_CONSTANT", case[1], "OP_TO_STRING"))
      end
      assert.same(packed("None"), left_by("OP_NIL", "OP_TO_STRING"))
      assert.same(packed("[1, 'a', [2.0]]"), left_by("OP_CONSTANT", { 1, "a", { 2.0 } }, "OP_TO_STRING"))
      assert.same(packed("{'a': 1, 'b': \"it's\"}"), left_by("OP_CONSTANT", { b = "it's", a = 1 }, "OP_TO_STRING"))
    end)

    it("numbers of texts, or nil", function()
      for _, text in ipairs { "", "x", "1e5", "0x10", ".", "1.2.3", "nan", "1 2" } do
        assert.same(packed(nil), left_by("OP_CONSTANT", text, "OP_TO_NUMBER"))
      end
      assert.same(packed(nil), left_by("OP_CONSTANT", { 1 }, "OP_TO_NUMBER"))
      assert.same(packed(nil), left_by("OP_NIL", "OP_TO_NUMBER"))
    end)
  end)

  it("prints what is on top, and leaves it there", function()
    local lines, real = {}, print
    _G.print = function(text) table.insert(lines, text) end
    local fine, why = pcall(left_by, "OP_PRINT", "OP_CONSTANT", "a", "OP_NIL", "OP_PRINT_STACK", "OP_POP", "OP_PRINT")
    _G.print = real
    assert(fine, why)
    assert.same({ "None", "Stack: ['a', None]", "a" }, lines)
  end)

  describe("says what is wrong, and where:", function()
    it("an instruction that there is none of", function()
      assert.equal("No handler for instruction 'OP_NONE' (at address 2)", failure_of("OP_CONSTANT", 1, "OP_NONE"))
      assert.equal("No handler for instruction 5 (at address 0)", failure_of(5))
      assert.equal("No handler for instruction None (at address 0)", failure_of(nil))
    end)

    it("an operand that is missing", function()
      assert.equal("No constant available at ip=1", failure_of("OP_CONSTANT"))
    end)

    it("a value that is missing", function()
      assert.equal("OP_ADD needs 2 values on the stack, which has 1 (at address 2)",
                   failure_of("OP_CONSTANT", 1, "OP_ADD"))
      assert.equal("OP_DUP needs 1 value on the stack, which has 0 (at address 0)", failure_of("OP_DUP"))
      assert.error_matches(function() Machine.new():top() end, "^the stack is empty$")
      assert.error_matches(function() Machine.new().stack:pop() end, "^the stack is empty$")
    end)

    it("values of the wrong kind", function()
      assert.equal("OP_ADD does not work on a string and a number (at address 4)",
                   failure_of("OP_CONSTANT", "1", "OP_CONSTANT", 1, "OP_ADD"))
      assert.equal("OP_LESS does not work on a list and a nil (at address 3)",
                   failure_of("OP_CONSTANT", {}, "OP_NIL", "OP_LESS"))
      assert.equal("OP_NEGATE does not work on a string (at address 2)", failure_of("OP_CONSTANT", "x", "OP_NEGATE"))
    end)

    it("what has no result, or one that is too large", function()
      local function result_of(a, b, op) return failure_of("OP_CONSTANT", a, "OP_CONSTANT", b, op) end
      assert.equal("OP_DIVIDE: division by zero (at address 4)", result_of(1, 0, "OP_DIVIDE"))
      assert.equal("OP_MODULO: modulo by zero (at address 4)", result_of(1, 0.0, "OP_MODULO"))
      assert.matches("0 cannot be raised to a negative power", result_of(0, -1, "OP_POWER"))
      assert.matches("no real power", result_of(-8, 0.5, "OP_POWER"))
      for _, case in ipairs {
        { math.maxinteger, 1, "OP_ADD" }, { math.mininteger, 1, "OP_SUBTRACT" },
        { math.mininteger, -1, "OP_MULTIPLY" }, { -1, math.mininteger, "OP_MULTIPLY" },
        { 1 << 32, 1 << 31, "OP_MULTIPLY" }, { 2, 63, "OP_POWER" }, { 10, 1000000, "OP_POWER" },
      } do
        assert.matches("the result does not fit into 64 bits", result_of(table.unpack(case)))
      end
      assert.matches("does not fit into 64 bits", failure_of("OP_CONSTANT", math.mininteger, "OP_NEGATE"))
      assert.matches("does not fit into 64 bits", failure_of("OP_CONSTANT", "9223372036854775808", "OP_TO_NUMBER"))
    end)

    it("a variable that is not defined, or has no name", function()
      assert.equal("variable 'x' is not defined (at address 0)", failure_of("OP_GET_VARIABLE", "x"))
      assert.matches("a variable's name is a string, not a number",
                     failure_of("OP_TRUE", "OP_DEFINE_VARIABLE", 5))
    end)

    it("an address that is none", function()
      assert.equal("an address is an integer from 0 on, not -1 (at address 0)", failure_of("OP_JUMP", -1))
      assert.matches("not 'x'", failure_of("OP_JUMP", "x"))
      assert.matches("not %-3", failure_of("OP_LOOP", 5))
      assert.matches("OP_LOOP goes back an integer", failure_of("OP_LOOP", "x"))
    end)
  end)
end)

describe("an s-expression", function()
  local vm = Machine.new()

  it("becomes code", function()
    for text, code in pairs {
      ["5"] = { "OP_CONSTANT", 5 },
      ["-2.5"] = { "OP_CONSTANT", -2.5 },
      ['"two words"'] = { "OP_CONSTANT", "two words" },
      ["true"] = { "OP_TRUE" },
      ["false"] = { "OP_FALSE" },
      ["x"] = { "OP_GET_VARIABLE", "x" },
      ["(define x 5)"] = { "OP_CONSTANT", 5, "OP_DEFINE_VARIABLE", "x" },
      ["(set! x (+ x 1))"] = { "OP_GET_VARIABLE", "x", "OP_CONSTANT", 1, "OP_ADD", "OP_SET_VARIABLE", "x" },
      ["(not (and a b))"] = { "OP_GET_VARIABLE", "a", "OP_GET_VARIABLE", "b", "OP_AND", "OP_NOT" },
      ["(f 1 (g))"] = { "OP_CONSTANT", 1, "OP_CALL_g", "OP_CALL_f" },
      [" ( print\n\"a(b\" ) "] = { "OP_CONSTANT", "a(b", "OP_CALL_print" },
    } do
      assert.same(code, vm:s_expression_to_bytecode(text))
    end
  end)

  it("has all operators", function()
    for operator, instruction in pairs {
      ["+"] = "OP_ADD", ["-"] = "OP_SUBTRACT", ["*"] = "OP_MULTIPLY", ["/"] = "OP_DIVIDE", ["%"] = "OP_MODULO",
      ["**"] = "OP_POWER", [">"] = "OP_GREATER", ["<"] = "OP_LESS", [">="] = "OP_GREATER_EQUAL",
      ["<="] = "OP_LESS_EQUAL", ["="] = "OP_EQUAL", ["!="] = "OP_NOT_EQUAL", ["and"] = "OP_AND", ["or"] = "OP_OR",
    } do
      assert.same({ "OP_CONSTANT", 1, "OP_CONSTANT", 2, instruction },
                  vm:s_expression_to_bytecode("(" .. operator .. " 1 2)"))
    end
  end)

  it("is computed", function()
    assert.same(packed(11), left_by(table.unpack(vm:s_expression_to_bytecode("(+ (* 2 3) (- 10 5))"))))
  end)

  it("calls what was defined with defun", function()
    local caller = Machine.new()
    caller:defun("square", function(self)
      local x = self.stack:pop()
      self.stack:push(x * x)
    end)
    caller:send(table.unpack(caller:s_expression_to_bytecode("(+ 1 (square 5))")))
    caller:execute()
    assert.equal(26, caller:top())
  end)

  for text, why in pairs {
    [""] = "Unexpected end of expression",
    ["(+ 1 2"] = "Unmatched opening parenthesis",
    [")"] = "Unexpected closing parenthesis",
    ["(f))"] = "Unexpected closing parenthesis",
    ["()"] = "Empty expression ()",
    ['"open'] = "Unclosed string literal",
    ["(+ 1)"] = "Binary operator + requires exactly 2 arguments, got 1",
    ["(not)"] = "Unary operator not requires exactly 1 argument, got 0",
    ["(define x)"] = "define requires exactly 2 arguments, got 1",
    ["(define 5 x)"] = "define name must be a symbol, got 5",
    ["(set! (f) x)"] = "set! name must be a symbol, got (...)",
    ['("f" 1)'] = 'Unknown operator or special form: "f"',
    ["1 2"] = "Unexpected text behind the expression: 2",
    ["99999999999999999999"] = "99999999999999999999 does not fit into 64 bits",
  } do
    it(("is none: %q"):format(text), function()
      assert.has_error(function() vm:s_expression_to_bytecode(text) end, why)
    end)
  end
end)
