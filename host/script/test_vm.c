/* The vm: globals, closed holes, waits. */
#include "script/test_vm.h"

#include "base/log.h"

static struct rig rig;

static char last_line[LOG_LINE_LIMIT];
static int  line_count;

static void keep_line(void *context, enum log_level level, const char *line)
{
    (void)context;
    (void)level;
    snprintf(last_line, sizeof last_line, "%s", line);
    line_count++;
}

/* Nothing is opened until it is read. */
static void test_lazy_globals(void)
{
    rig_open(&rig, 0);
    lua_rawgeti(rig.vm.L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
    lua_pushnil(rig.vm.L);
    assert(lua_next(rig.vm.L, -2) == 0);
    lua_pop(rig.vm.L, 1);

    rig_check(&rig, "return ('x'):rep(3) == 'xxx' and #('abc') == 3");
    rig_check(&rig, "return math.floor(3.7) == 3 and type(os.time()) == 'number'");
    rig_check(&rig, "return select('#', table.unpack({1, 2, 3})) == 3");
    rig_check(&rig, "return utf8.char(228) == 'ä' and coroutine.isyieldable() == false");
    rig_check(&rig, "return type(test.wait) == 'function' and _VERSION == 'Lua 5.4'");
    rig_check(&rig, "return rawget(_G, 'io') == io and rawget(_G, 'nothing') == nil");
    rig_check(&rig, "return _G._G == _G and _ENV == _G");
    rig_close(&rig);

    rig_open(&rig, 0); /* arithmetic on strings before the string library */
    rig_check(&rig, "return '10' + 1 == 11 and -'2' == -2 and 7 // '2' == 3 and '2' ^ 2 == 4.0");
    rig_close(&rig);

    rig_open(&rig, 0);
    rig_check_fails(&rig, "return 'x' + 1", "attempt to perform arithmetic on a string value");
    rig_check_fails(&rig, "return _G + 1", "attempt to perform arithmetic on a table value");
    rig_check_fails(&rig, "local s = 'x' s.y = 1", "attempt to index a string value");
    rig_check(&rig, "return getmetatable('').__index == string");
    rig_close(&rig);

    rig_open(&rig, 0); /* who looks at all of them sees all of them */
    rig_check(&rig, "local n = {} for k in pairs(_G) do n[k] = true end\n"
                    "return n.print and n.table and n.require and n.test and n._G");
    rig_check(&rig, "return getmetatable(_G) == nil");
    rig_close(&rig);
}

/* A misspelt global is an error at its line; a module's is nil. */
static void test_undefined_globals(void)
{
    rig_open(&rig, 0);
    rig_check_fails(&rig, "\nprnit('x')", "test:2: undefined global 'prnit' (did you mean 'print'?)");
    rig_check_fails(&rig, "return xyzzyx", "test:1: undefined global 'xyzzyx'");
    rig_check_fails(&rig, "local M = {} function M.on_start() return self.n end M.on_start()",
                    "test:1: undefined global 'self' (a function has it that is defined or called with a colon");
    rig_check_fails(&rig, "return tabel", "did you mean 'table'?");
    rig_check_fails(&rig, "counter = 1 return conuter", "did you mean 'counter'?");
    rig_check(&rig, "local plain = load('return _ENV', 'x', 't', require '_G')\n"
                    "return plain().nothing == nil and plain()._G ~= _G");
    rig_check(&rig, "require('_G').shared = 5 return shared == 5");
    rig_check(&rig, "require('_G').shared = 6 return shared == 6");
    rig_close(&rig);
}

/* A new global in a handler is kept, and warned about once. */
static void test_new_globals(void)
{
    log_set_sink(keep_line, NULL);
    log_set_level(LOG_INFO);
    line_count = 0;
    rig_open(&rig, 0);
    rig.vm.loading = true;
    rig_check(&rig, "first = 1 return true");
    rig.vm.loading = false;
    assert(line_count == 0);
    rig_check(&rig, "first = 2\nsecond = 3 second = 4 return first + second == 6");
    assert(line_count == 1);
    assert(strcmp(last_line, "test:2: global 'second' set in a handler: use self or local") == 0);
    rig_check(&rig, "for i = 1, 1000 do _G['g' .. i] = i end return g1000 == 1000");
    assert(line_count < 50);
    rig_check(&rig, "warn('some', 'thing') return true");
    assert(strcmp(last_line, "something") == 0);
    rig_close(&rig);
    log_set_sink(NULL, NULL);
    log_set_level(LOG_ERROR);
}

/* A script that breaks its globals breaks itself only. */
static void test_broken_globals(void)
{
    rig_open(&rig, 0);
    rig_check(&rig, "for k in pairs(_G) do _G[k] = nil end return type(print) == 'function'");
    rig_check(&rig, "for k in pairs(string) do string[k] = nil end return true");
    rig_check_fails(&rig, "return ('x'):rep(2)", "method 'rep'");
    rig_check(&rig, "local g = require '_G' for k in pairs(g) do g[k] = nil end return true");
    rig_check(&rig, "setmetatable(_G, { __index = function() error('mine') end }) return true");
    rig_check_fails(&rig, "return nothing", "mine");
    rig_check(&rig, "setmetatable(_G, nil) return nothing == nil and print ~= nil");
    rig_check_fails(&rig, "setmetatable(_G, { __index = _G }) return nothing", "loop");
    rig_close(&rig);
}

static void test_closed_holes(void)
{
    rig_open(&rig, 0);
    rig_check(&rig, "local f, why = load(string.dump(function() end))\n"
                    "return f == nil and why:find('attempt to load a binary chunk')");
    rig_check(&rig, "return load(string.dump(print == nil and print or function() end), 'x', 'b') == nil");
    rig_check(&rig, "return load('return 1', 'x', 'bt')() == 1 and load('x =') == nil");
    rig_check(&rig, "local x = 0 local f = load(function() x = x + 1 return x < 3 and 'x = 1 ' or nil end)\n"
                    "return type(f) == 'function'");
    rig_check(&rig, "return load('return _ENV')() == _G");
    rig_check_fails(&rig, "setmetatable({}, { __gc = function() end })",
                    "__gc is not available in actors: use __close");
    rig_check(&rig, "return debug.sethook == nil and debug.setmetatable == nil\n"
                    "and debug.upvaluejoin == nil and debug.getregistry == nil and debug.traceback");
    rig_check(&rig, "local a = 1 return debug.setlocal(1, 1, 5) == 'a' and a == 5");
    rig_check(&rig, "local function f() return debug.setlocal(2, 2, 1) end\n"
                    "local t = { f() } return t[1] == nil");
    rig_check(&rig, "return debug.setupvalue(string.gmatch('a', 'a'), 1, 5) == nil");
    rig_check_fails(&rig, "os.setlocale('C')", "os.setlocale is not available");
    rig_check(&rig, "return os.setlocale() ~= nil");
    rig_check_fails(&rig, "collectgarbage('stop')", "not available");
    rig_check(&rig, "return collectgarbage('count') > 4 and collectgarbage() == 0\n"
                    "and collectgarbage('generational') and collectgarbage('setpause', 100) == 0");

    /* Loops in C that would not end. */
    rig_check(&rig, "return ('').rep('', 1e15) == '' and ('').rep('', 1e15, '') == ''");
    rig_check_fails(&rig, "table.move({}, 1, 1e15, 2, {})", "too many elements to move");
    rig_check_fails(&rig, "table.insert(setmetatable({}, {__len = function() return 1e15 end}), 1, 1)",
                    "too many elements");
    rig_check_fails(&rig, "table.concat(setmetatable({}, {__index = tostring}), '', 1, 1e15)",
                    "too many elements");
    rig_check(&rig, "local t = table.move({1, 2, 3}, 1, 3, 2) return t[1] == 1 and t[2] == 1 and t[4] == 3");
    rig_check(&rig, "local t = table.move({1, 2, 3}, 2, 3, 1) return t[1] == 2 and t[2] == 3 and t[3] == 3");
    rig_check(&rig, "local t = {3, 1} table.insert(t, 2) table.insert(t, 1, 0) table.sort(t)\n"
                    "return table.concat(t, ',') == '0,1,2,3' and table.remove(t) == 3");

    assert(rig_run(&rig, "pcall(os.exit, 1)") == VM_FAILED && rig.vm.dying == VM_EXIT);
    rig_recover(&rig);
    rig_check(&rig, "return true");
    rig_close(&rig);

    rig_open(&rig, 0);
    rig.options.sandbox = true;
    rig_check(&rig, "return rawget(_G, 'io') == nil and rawget(_G, 'debug') == nil\n"
                    "and os.execute == nil and package.loadlib == nil");
    rig_check_fails(&rig, "require 'cjson'", "module 'cjson' not found");
    rig_check_fails(&rig, "require 'io'", "module 'io' not found");
    rig_close(&rig);
}

/* Errors of engine 5.4.4: RELIABILITY 1.3. */
static void test_engine_faults(void)
{
    rig_open(&rig, 0);
    rig_check_fails(&rig,
                    "local co\n"
                    "for i = 1, 50000 do\n"
                    "  local previous = co\n"
                    "  co = coroutine.create(function()\n"
                    "    local x <close> = setmetatable({}, { __close = function()\n"
                    "      if previous then assert(coroutine.close(previous)) end end })\n"
                    "    coroutine.yield()\n"
                    "  end)\n"
                    "  coroutine.resume(co)\n"
                    "end\n"
                    "local ok, why = coroutine.close(co)\n"
                    "error(why)", "C stack overflow");
    rig_check(&rig, "local next = ('x'):rep(300000):gmatch(('(.?)'):rep(1) .. ('x?'):rep(250000) .. 'y')\n"
                    "local ok, why = pcall(next)\n"
                    "local again, still = pcall(next)\n"
                    "return not ok and why:find('too complex') and not again and still:find('failed before')");
    rig_check(&rig, "local n = 0 for w in ('a b c'):gmatch('%a') do n = n + 1 end return n == 3");
    rig_check(&rig, "local t = {} for k, v in ('a=1, b=2'):gmatch('(%w+)=(%w+)') do t[k] = v end\n"
                    "return t.a == '1' and t.b == '2'");
    rig_close(&rig);
}

static void test_require(void)
{
    rig_open(&rig, 0);
    rig_check(&rig, "return require 'string' == string and package.loaded.table == table");
    assert(!rig.vm.needs_close);
    rig_check_fails(&rig, "require 'no.such.module'", "module 'no.such.module' not found");
    rig_check(&rig, "local cjson = require 'cjson' return cjson.decode('[true]')[1]");
    assert(rig.vm.needs_close);
    rig_check(&rig, "package.preload.mine = function(name) return { name = name, env = _ENV } end\n"
                    "return require('mine').name == 'mine'");
    rig_close(&rig);

    static const char *const folders[] = { "/nowhere/of/ours", NULL };
    rig_open(&rig, 0);
    rig.options.package_path = folders;
    rig_check(&rig, "return package.path:find('/nowhere/of/ours/?.lua;/nowhere/of/ours/?/init.lua;', 1, true) == 1");
    rig_close(&rig);
}

/* The stage: the same order of keys, the same numbers. */
static void test_deterministic(void)
{
    lua_Integer numbers[2];
    for (int i = 0; i < 2; i++) {
        rig_open(&rig, 0);
        rig.options.deterministic = true;
        rig.options.seed = 42;
        rig_check(&rig, "local seen = {}\n"
                        "for k in pairs({ z = 1, a = 2, m = 3, 7, [true] = 4 }) do seen[#seen + 1] = tostring(k) end\n"
                        "return table.concat(seen, ' ') == '1 true a m z'");
        rig_check(&rig, "local t = { a = 1, b = 2, c = 3 } local n = 0\n"
                        "for k in pairs(t) do t.b = nil n = n + 1 end return n == 2");
        assert(rig_run(&rig, "return math.random(1000000)") == VM_DONE);
        numbers[i] = lua_tointeger(rig.coroutine, -1);
        rig_close(&rig);
    }
    assert(numbers[0] == numbers[1]);
}

/* A wait passes through all that Lua can yield across. */
static void test_waits(void)
{
    rig_open(&rig, 0);
    rig_check(&rig, "return test.wait() == 1 and test.wait() == 2");
    rig_check(&rig, "local ok, a = pcall(test.wait) return ok and a == 1");
    rig_check(&rig, "local ok, a = xpcall(function() return test.wait() end, print) return ok and a == 1");
    rig_check(&rig, "local ok, why = pcall(function() test.wait() error('x', 0) end) return not ok and why == 'x'");
    rig_check(&rig, "local ok, why = xpcall(function() test.wait() error('x', 0) end, function(m) return m .. 'y' end)\n"
                    "return not ok and why == 'xy'");
    rig_check(&rig, "local t = setmetatable({}, { __index = test.wait, __add = function() return test.wait() end })\n"
                    "return t.x == 1 and t + 1 == 2");
    rig_check(&rig, "local got do local x <close> = setmetatable({}, { __close = function() got = test.wait() end }) end\n"
                    "return got == 1");
    rig_check(&rig, "for a in test.wait do return a == 1 end");
    rig_check(&rig, "return coroutine.wrap(function() return test.wait() end)() == 1");
    rig_check(&rig, "local g = coroutine.wrap(function()\n"
                    "  for i = 1, 3 do coroutine.yield(test.wait() * 10 + i) end end)\n"
                    "return g() == 11 and g() == 22 and g() == 33");
    rig_check(&rig, "local function deep(n)\n"
                    "  if n == 0 then return test.wait() + test.wait() end\n"
                    "  local co = coroutine.create(deep)\n"
                    "  local ok, r = coroutine.resume(co, n - 1)\n"
                    "  assert(ok and coroutine.status(co) == 'dead')\n"
                    "  return r\n"
                    "end\n"
                    "return deep(5) == 3");
    const char *file = "/tmp/troupe_test_vm.lua";
    FILE *out = fopen(file, "w");
    assert(out != NULL);
    fputs("return test.wait() + 1", out);
    fclose(out);
    rig_check(&rig, "return dofile('/tmp/troupe_test_vm.lua') == 2");
    remove(file);
    rig_close(&rig);
}

/* Behind other C calls it raises, and names the one in the way. */
static void test_refused_waits(void)
{
    rig_open(&rig, 0);
    rig_check_fails(&rig, "table.sort({ 3, 2, 1 }, function() test.wait() end)",
                    "test:1: wait cannot wait inside table.sort: collect first, then wait");
    rig_check_fails(&rig, "('x'):gsub('x', function() test.wait() end)", "inside string.gsub");
    rig_check_fails(&rig, "package.preload.m = function() test.wait() end require 'm'", "inside require");
    rig_check_fails(&rig, "assert(load(function() test.wait() end))", "inside load:");
    rig_close(&rig);

    rig_open(&rig, 0);
    rig_check_fails(&rig, "table.sort({ 3, 2, 1 }, function() coroutine.wrap(function() test.wait() end)() end)",
                    "inside table.sort");
    rig_check_fails(&rig, "table.sort({ 3, 2, 1 }, function() pcall(error) coroutine.wrap(function()\n"
                          "string.gsub('x', 'x', function() assert(pcall(test.wait)) end) end)() end)",
                    "inside string.gsub");
    rig_check_fails(&rig, "coroutine.yield(1)", "attempt to yield from a handler");
    rig.vm.loading = true;
    rig_check_fails(&rig, "test.wait()", "wait cannot wait while the script is being loaded");
    rig.vm.loading = false;
    rig_close(&rig);
}

/* Other handlers of the actor may meet a coroutine that waits. */
static void test_waiting_coroutines(void)
{
    rig_open(&rig, 0);
    lua_State *first = rig.coroutine;
    rig_push(&rig, "mine = coroutine.running()\n"
                   "co = coroutine.create(function() return test.wait() end)\n"
                   "local ok, a = coroutine.resume(co) return ok and a == 7");
    assert(vm_resume(&rig.vm, first, 0) == VM_WAITING);

    int reference;
    rig.coroutine = vm_coroutine(&rig.vm, &reference);
    rig_check(&rig, "local ok, why = coroutine.resume(co)\n"
                    "return not ok and why == 'cannot resume a coroutine that waits' and coroutine.status(co) == 'normal'");
    rig_check_fails(&rig, "coroutine.close(co)", "cannot close a coroutine that waits");
    rig_check(&rig, "local ok, why = coroutine.resume(mine) return not ok and why:find('of a handler')");
    rig_check_fails(&rig, "coroutine.close(mine)", "cannot close a normal coroutine");
    rig_check(&rig, "local co, main = coroutine.running() return main and coroutine.status(co) == 'running'");

    lua_pushinteger(first, 7);
    assert(vm_resume(&rig.vm, first, 1) == VM_DONE && lua_toboolean(first, -1));
    rig_close(&rig);
}

/* What stock coroutines do, ours do. */
static void test_coroutines(void)
{
    rig_open(&rig, 0);
    rig_check(&rig, "local co = coroutine.create(function(a, b) local c = coroutine.yield(a + b) error('e' .. c, 0) end)\n"
                    "local ok, s = coroutine.resume(co, 1, 2) assert(ok and s == 3 and coroutine.status(co) == 'suspended')\n"
                    "local ok, e = coroutine.resume(co, 'x') assert(not ok and e == 'ex' and coroutine.status(co) == 'dead')\n"
                    "local ok, e = coroutine.resume(co) return not ok and e == 'cannot resume dead coroutine'");
    rig_check_fails(&rig, "local f = coroutine.wrap(function() error('inner') end)\nf()",
                    "test:2: test:1: inner");
    rig_check(&rig, "local closed = 0\n"
                    "local function body() local x <close> = setmetatable({}, { __close = function(_, e) closed = e or 'none' end })\n"
                    "  coroutine.yield() error({ 5 }) end\n"
                    "local f = coroutine.wrap(body) f()\n"
                    "local ok, e = pcall(f) assert(not ok and e[1] == 5 and closed == e)\n"
                    "local co = coroutine.create(body) coroutine.resume(co)\n"
                    "return coroutine.close(co) and closed == 'none' and coroutine.status(co) == 'dead'");
    rig_check(&rig, "local co = coroutine.create(function() local x <close> = setmetatable({}, { __close = function() error('c', 0) end }) coroutine.yield() end)\n"
                    "coroutine.resume(co) local ok, e = coroutine.close(co) return ok == false and e == 'c'");
    rig_check(&rig, "local inner inner = coroutine.wrap(function() return pcall(inner) end)\n"
                    "local ok, why = inner() return not ok and why:find('non%-suspended')");
    rig_check_fails(&rig, "coroutine.close(coroutine.running())", "cannot close a running coroutine");
    rig_check(&rig, "local t = {} for i = 1, 200000 do t[i] = i end\n"
                    "return select('#', coroutine.wrap(function(...) return ... end)(table.unpack(t))) == 200000");
    rig_check(&rig, "local co co = coroutine.create(function() return coroutine.isyieldable(), coroutine.isyieldable(co) end)\n"
                    "local _, a, b = coroutine.resume(co) return a and b");
    rig_check(&rig, "local co = coroutine.create(function() xpcall(coroutine.yield, print) end) coroutine.resume(co)\n"
                    "local ok, why = pcall(coroutine.close, co) return not ok and why:find('inside xpcall')");
    rig_check(&rig, "return xpcall(error, debug.traceback) == false");
    rig_check(&rig, "local ok, v = xpcall(error, function(m) error('again') end) return not ok");
    rig_check(&rig, "local function f() return f() + 1 end local ok, why = pcall(f) return not ok and why:find('stack overflow')");
    rig_check(&rig, "local function f() return pcall(f) end return f() == true or true");
    rig_check(&rig, "local function f() return coroutine.wrap(f)() end local ok, why = pcall(f) return not ok and why:find('C stack overflow')");
    rig_check(&rig, "local function f() return (string.gsub('x', 'x', f)) end local ok, why = pcall(f) return not ok");
    rig_check(&rig, "local t = setmetatable({}, {}) getmetatable(t).__index = function(t, k) return t[k] end return not pcall(function() return t.x end)");
    rig_check(&rig, "local s = ('('):rep(300) .. '1' .. (')'):rep(300) return load('return ' .. s) == nil");
    rig_close(&rig);
}

/* print writes one whole line. */
static char printed[64];

static void keep_print(struct vm *vm, const char *line, size_t size)
{
    assert(vm == &rig.vm && size < sizeof printed);
    memcpy(printed, line, size + 1);
}

static void test_print(void)
{
    rig_open(&rig, 0);
    rig.options.print = keep_print;
    rig_check(&rig, "print('a', 1, nil, setmetatable({}, { __tostring = function() return 'T' end })) return true");
    assert(strcmp(printed, "a\t1\tnil\tT\n") == 0);
    rig_check_fails(&rig, "print(setmetatable({}, { __tostring = function() return {} end }))", "'__tostring' must return a string");
    rig_close(&rig);
}

static void *tests(void *unused)
{
    (void)unused;
    log_set_level(LOG_ERROR);
    test_lazy_globals();
    test_undefined_globals();
    test_new_globals();
    test_broken_globals();
    test_closed_holes();
    test_engine_faults();
    test_require();
    test_deterministic();
    test_waits();
    test_refused_waits();
    test_waiting_coroutines();
    test_coroutines();
    test_print();
    return NULL;
}

int main(void)
{
    return run_on_small_stack(tests);
}
