/* Suspending and ending what runs in a vm: RELIABILITY 1.1 and 1.2. */
#include "script/test_vm.h"

#include "base/fault.h"

#include <sys/resource.h>

static struct rig rig;

/* ---- Runaways ---------------------------------------------------------------- */

/* The vm still serves, and what it serves can still be stopped. */
static void check_fit(int line)
{
    rig_check_at(&rig, "local n = 0 for i = 1, 1000 do n = n + i end return n == 500500", line);
}

/* Runs a text that never ends by itself, and stops it. */
static void check_stopped(const char *text, enum vm_interrupt what, int line)
{
    uint64_t start = now_us();
    rig_push(&rig, text);
    interrupter_arm(&rig.vm, what, 3000, 1000);
    enum vm_result result;
    do {
        result = vm_resume(&rig.vm, rig.coroutine, 0);
    } while (result == VM_PREEMPTED);
    enum vm_death death = (enum vm_death)rig.vm.dying;
    const char *message = lua_tostring(rig.coroutine, -1);
    enum vm_death expected = what == VM_INTERRUPT_STOP ? VM_STOPPED : VM_SLOW;
    /* One fails by itself, and loops while it is closed. */
    bool later = death == VM_ALIVE && strstr(text, "error('x')") != NULL;
    if (result != VM_FAILED || (death != expected && !later) || message == NULL) {
        fprintf(stderr, "line %d: result %d, death %d\n%s\n", line, (int)result, (int)death, text);
        abort();
    }
    rig_recover(&rig);
    interrupter_disarm();
    assert(rig.vm.dying == VM_ALIVE);
    assert(now_us() - start < 5000000);
    check_fit(line);
}

static const char *const runaways[] = {
    "while true do end",
    "local n = 0 while true do n = n + 1 end",
    "for i = 1, math.huge do end",
    "repeat until false",
    "local function f() return f() end f()",
    "::again:: goto again",
    /* In coroutines: made now, made before, nested. */
    "coroutine.wrap(function() while true do end end)()",
    "coroutine.resume(kept)",
    "local function nest(n) if n == 0 then while true do end end\n"
    "  while true do coroutine.resume(coroutine.create(function() nest(n - 1) end)) end end nest(6)",
    "while true do coroutine.wrap(function() end)() end",
    "while true do coroutine.resume(coroutine.create(function() local x <close> = closer end)) end",
    /* Behind what catches. */
    "while true do pcall(function() while true do end end) end",
    "while true do pcall(error) end",
    "while true do pcall(pcall, pcall, error) end",
    "local function f() while true do pcall(f) end end f()",
    "xpcall(function() while true do end end, function() while true do end end)",
    "xpcall(error, function() while true do end end)",
    "while true do xpcall(function() error('x') end, function() error('y') end) end",
    "xpcall(function() xpcall(function() while true do end end, function() while true do end end)\n"
    "  while true do end end, function() while true do end end)",
    "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
    "coroutine.wrap(function() xpcall(function() coroutine.wrap(function() while true do end end)() end, print) end)()",
    /* In callbacks of C functions, which cannot be yielded across. */
    "table.sort({ 3, 2, 1 }, function() while true do end end)",
    "pcall(table.sort, { 3, 2, 1 }, function() while true do pcall(function() while true do end end) end end)",
    "string.gsub('x', 'x', function() while true do end end)",
    "tostring(setmetatable({}, { __tostring = function() while true do end end }))",
    "table.concat(setmetatable({}, { __index = function() while true do end end }), '', 1, 3)",
    "load(function() while true do end end)",
    "while true do load(function() error('x') end) end",
    "package.preload.loops = function() while true do end end require 'loops'",
    "table.sort({ 3, 2, 1 }, function() coroutine.wrap(function() while true do end end)() end)",
    "table.sort({ 3, 2, 1 }, function() xpcall(function() while true do end end, function() while true do end end) end)",
    "string.gsub('x', 'x', function() string.gsub('x', 'x', function() while true do pcall(error) end end) end)",
    "table.move(setmetatable({}, { __index = function() return 1 end }), 1, 99999999, 1, setmetatable({}, { __newindex = function() end }))",
    "table.sort(setmetatable({}, { __len = function() return 1e8 end, __index = function() return 1 end }), function() return true end) while true do end",
    /* In metamethods. */
    "local t = setmetatable({}, { __index = function() while true do end end }) return t.x",
    "local t = setmetatable({}, { __eq = function() while true do end end }) return t == setmetatable({}, getmetatable(t))",
    "return #setmetatable({}, { __len = function() while true do end end })",
    /* In __close, on all ways there. */
    "local x <close> = setmetatable({}, { __close = function() while true do end end })",
    "local x <close> = setmetatable({}, { __close = function() while true do end end }) while true do end",
    "local x <close> = setmetatable({}, { __close = function() while true do pcall(error) end end }) error('x')",
    "pcall(function() local x <close> = setmetatable({}, { __close = function() while true do end end }) error('x') end)",
    "local function f(n) local x <close> = setmetatable({}, { __close = function() while true do end end })\n"
    "  if n > 0 then f(n - 1) else while true do end end end f(5)",
    "local co = coroutine.create(function() local x <close> = setmetatable({}, { __close = function() while true do end end }) coroutine.yield() end)\n"
    "coroutine.resume(co) coroutine.close(co)",
    "coroutine.wrap(function() local x <close> = setmetatable({}, { __close = function() while true do end end }) error('x') end)()",
    "table.sort({ 3, 2, 1 }, function() local x <close> = setmetatable({}, { __close = function() while true do end end }) while true do end end)",
    "local x <close> = setmetatable({}, { __close = function() coroutine.wrap(function() while true do end end)() end }) while true do end",
    "local x <close> = setmetatable({}, { __close = function() table.sort({ 3, 2, 1 }, function() while true do end end) end }) while true do end",
    /* With work for the collector and deep stacks. */
    "local t = {} while true do t[#t % 100 + 1] = { tostring(#t) } end",
    "local function f(n) if n > 0 then return 1 + f(n - 1) end while true do end end f(10000)",
    "while true do local function f() return 1 + f() end pcall(f) end",
};

static void test_runaways(void)
{
    rig_open(&rig, 64 * 1024 * 1024);
    rig.vm.loading = true;
    rig_check(&rig, "closer = setmetatable({}, { __close = function() end })\n"
                    "kept = coroutine.create(function() coroutine.yield() while true do end end)\n"
                    "return coroutine.resume(kept)");
    rig.vm.loading = false;
    for (size_t i = 0; i < ARRAY_LENGTH(runaways); i++)
        check_stopped(runaways[i], i % 2 == 0 ? VM_INTERRUPT_SLOW : VM_INTERRUPT_STOP, (int)i);
    rig_close(&rig);
}

/* A `__close` that does not loop runs when its handler is stopped, and sees
 * no coroutine half ended. */
static void test_closed_when_stopped(void)
{
    rig_open(&rig, 0);
    rig.vm.loading = true;
    rig_check(&rig, "order = {} function guard(name)\n"
                    "  return setmetatable({}, { __close = function() order[#order + 1] = name end }) end return true");
    rig.vm.loading = false;
    check_stopped("local a <close> = guard('a')\n"
                  "coroutine.wrap(function() local b <close> = guard('b')\n"
                  "  pcall(function() local c <close> = guard('c') while true do end end) end)()",
                  VM_INTERRUPT_SLOW, __LINE__);
    rig_check(&rig, "return table.concat(order) == 'cba'");
    check_stopped("local d <close> = guard('d') pcall(table.sort, { 3, 2, 1 }, function() while true do end end)",
                  VM_INTERRUPT_SLOW, __LINE__);
    rig_check(&rig, "return table.concat(order) == 'cbad'");
    rig_close(&rig);
}

/* A coroutine that died in its hook stays dead. */
static void test_spent(void)
{
    rig_open(&rig, 0);
    rig.vm.loading = true;
    rig_check(&rig, "co = coroutine.create(function()\n"
                    "  local x <close> = setmetatable({}, { __close = function() while true do end end })\n"
                    "  table.sort({ 3, 2, 1 }, function() while true do end end) end) return true");
    rig.vm.loading = false;
    check_stopped("coroutine.resume(co)", VM_INTERRUPT_SLOW, __LINE__);
    rig_check(&rig, "local ok, why = coroutine.resume(co)\n"
                    "return not ok and why == 'cannot resume dead coroutine' and coroutine.status(co) == 'dead'");
    rig_check(&rig, "return coroutine.close(co)");
    rig_close(&rig);
}

/* The reason has the line at which the handler was stopped. */
static void test_reason(void)
{
    rig_open(&rig, 0);
    rig_push(&rig, "local x = 1\nwhile true do\nx = x + 1\nend");
    interrupter_arm(&rig.vm, VM_INTERRUPT_SLOW, 1000, 1000);
    assert(vm_resume(&rig.vm, rig.coroutine, 0) == VM_FAILED);
    interrupter_disarm();
    const char *message = lua_tostring(rig.coroutine, -1);
    assert(strstr(message, ": stopped: ran longer than its slice") != NULL);
    assert(strncmp(message, "test:2", 6) == 0 || strncmp(message, "test:3", 6) == 0);
    luaL_traceback(rig.vm.L, rig.coroutine, NULL, 0); /* its frames are still there */
    assert(strstr(lua_tostring(rig.vm.L, -1), "test:") != NULL);
    lua_settop(rig.vm.L, 0);
    rig_recover(&rig);

    assert(rig_run(&rig, "pcall(test.exit)") == VM_FAILED && rig.vm.dying == VM_EXIT);
    rig_recover(&rig);
    assert(rig_run(&rig, "coroutine.wrap(function() xpcall(test.exit, function() return 1 end) end)()") == VM_FAILED);
    assert(rig.vm.dying == VM_EXIT);
    rig_recover(&rig);
    check_fit(__LINE__);
    rig_close(&rig);
}

/* ---- Preemption ----------------------------------------------------------------- */

/* Runs a text to its end, suspended again and again; returns how often. */
static unsigned run_preempted(const char *text, int line)
{
    unsigned preempted = 0;
    rig_push(&rig, text);
    interrupter_arm(&rig.vm, VM_INTERRUPT_PREEMPT, 50, 50);
    enum vm_result result;
    while ((result = vm_resume(&rig.vm, rig.coroutine, 0)) == VM_PREEMPTED)
        preempted++;
    interrupter_disarm();
    if (result != VM_DONE || !lua_toboolean(rig.coroutine, -1)) {
        fprintf(stderr, "line %d: result %d, %s\n", line, (int)result, rig_text(&rig));
        abort();
    }
    return preempted;
}

static void test_preemption(void)
{
    unsigned preempted = 0;
    rig_open(&rig, 0);
    preempted += run_preempted("local n = 0 for i = 1, 3000000 do n = n + i % 7 end return n == 8999997", __LINE__);
    assert(UNDER_TSAN || preempted > 0);
    preempted = run_preempted("local function deep(n)\n"
                              "  if n == 0 then local s = 0 for i = 1, 2000000 do s = s + i % 3 end return s end\n"
                              "  return coroutine.wrap(deep)(n - 1) end\n"
                              "local ok, s = pcall(deep, 5) return ok and s == 2000001", __LINE__);
    assert(UNDER_TSAN || preempted > 0);
    run_preempted("local g = coroutine.wrap(function() for i = 1, 20000 do coroutine.yield(i) end return 0 end)\n"
                  "local s = 0 for i = 1, 20000 do s = s + g() end return s == 200010000 and g() == 0", __LINE__);
    run_preempted("local t = {} for i = 1, 30000 do t[i] = (i * 7919) % 30011 end\n"
                  "table.sort(t, function(a, b) return a < b end);\n"
                  "for i = 2, #t do if t[i - 1] > t[i] then return false end end return true", __LINE__);
    run_preempted("local n = 0 for i = 1, 30000 do\n"
                  "  local ok, v = xpcall(function(...) local x <close> = setmetatable({}, { __close = function() n = n + 1 end })\n"
                  "    if i % 2 == 0 then error('e', 0) end return select('#', ...) end, function(m) return m .. '!' end, 1, nil, nil)\n"
                  "  if ok then assert(v == 3) else assert(v == 'e!') end end return n == 30000", __LINE__);
    run_preempted("local mt = { __add = function(a, b) return { v = a.v + b.v } end, __index = function(t, k) return #k end }\n"
                  "mt.__concat = function(a, b) return 'c' end\n"
                  "for i = 1, 30000 do local a, b = setmetatable({ v = i }, mt), setmetatable({ v = 1 }, mt)\n"
                  "  assert((a + b).v == i + 1 and a.hello == 5 and a .. b == 'c') end return true", __LINE__);
    run_preempted("local parts = {} for i = 1, 20000 do parts[#parts + 1] = ('%d'):format(i) .. (i % 2 == 0 and 'x' or 'y') end\n"
                  "local s = table.concat(parts) return #s == 108894 + 0 * #s and (s:gsub('x', function(c) return c end)) == s", __LINE__);
    rig_close(&rig);
}

/* A report interrupts nothing. */
static unsigned overdue;

static void count_overdue(struct vm *vm, lua_State *active)
{
    lua_Debug activation;
    assert(vm == &rig.vm && lua_getstack(active, 0, &activation));
    overdue++;
}

static void test_report(void)
{
    rig_open(&rig, 0);
    rig.options.on_overdue = count_overdue;
    rig_push(&rig, "local n = 0 for i = 1, 3000000 do n = n + 1 end\n"
                   "for i = 1, 3000000 do coroutine.wrap(function() n = n + 1 end)() if i > 10000 then break end end\n"
                   "return n == 3010001");
    interrupter_arm(&rig.vm, VM_INTERRUPT_REPORT, 500, 500);
    assert(vm_resume(&rig.vm, rig.coroutine, 0) == VM_DONE && lua_toboolean(rig.coroutine, -1));
    interrupter_disarm();
    assert(overdue > 0);

    /* A C function that does not look up is named. */
    interrupter.c_function[0] = '?';
    rig_push(&rig, "return string.find(('a'):rep(160), '.-.-.-b') == nil");
    interrupter_arm(&rig.vm, VM_INTERRUPT_PREEMPT, 2000, 1000);
    enum vm_result result;
    while ((result = vm_resume(&rig.vm, rig.coroutine, 0)) == VM_PREEMPTED)
        continue;
    interrupter_disarm();
    assert(result == VM_DONE);
    assert(UNDER_TSAN || strcmp(interrupter.c_function, "string.find") == 0);
    interrupter.c_function[0] = '\0';
    rig_close(&rig);
}

/* ---- Kills at random moments -------------------------------------------------------- */

static const char *const busy[] = {
    "local t = {} while true do t[#t % 500 + 1] = { 'x' .. #t, {} } end",
    "local function f(n) if n == 0 then return 0 end return 1 + f(n - 1) end while true do f(500) end",
    "local herd = {} while true do local co = coroutine.wrap(function() while true do coroutine.yield({}) end end)\n"
    "  herd[#herd % 50 + 1] = co for i = 1, #herd do herd[i]() end end",
    "while true do local f = load('local a = {...} return #a + 1') f(1, 2, 3) end",
    "while true do local t = {} for i = 1, 50 do t[i] = (i * 7) % 11 end table.sort(t, function(a, b) return a < b end);\n"
    "  ('abc'):gsub('.', function(c) return c .. c end) end",
    "while true do pcall(function() local x <close> = setmetatable({}, { __close = function() local t = {} end }) error({}) end)\n"
    "  xpcall(error, function(m) return { m } end, 'x') end",
    "local function nest(n) if n > 0 then return coroutine.wrap(nest)(n - 1) end local s = '' for i = 1, 50 do s = s .. i end\n"
    "  local co = coroutine.create(function() local x <close> = setmetatable({}, { __close = function() end }) coroutine.yield() end)\n"
    "  coroutine.resume(co) coroutine.close(co) return #s end\n"
    "while true do nest(4) end",
};

static void test_random_kills(unsigned kills)
{
    uint32_t random = 12345;
    rig_open(&rig, 64 * 1024 * 1024);
    uint64_t end = now_us() + 20000000; /* for machines that are very slow */
    for (unsigned i = 0; i < kills && now_us() < end; i++) {
        random = random * 1664525 + 1013904223;
        rig_push(&rig, busy[i % ARRAY_LENGTH(busy)]);
        interrupter_arm(&rig.vm, i % 5 == 0 ? VM_INTERRUPT_STOP : VM_INTERRUPT_SLOW,
                        (random >> 16) % 300, (random >> 8) % 100);
        enum vm_result result;
        while ((result = vm_resume(&rig.vm, rig.coroutine, 0)) == VM_PREEMPTED)
            continue;
        if (result != VM_FAILED || rig.vm.dying == VM_ALIVE) {
            fprintf(stderr, "kill %u: result %d, %s\n", i, (int)result,
                    rig_text(&rig));
            abort();
        }
        rig_recover(&rig);
        interrupter_disarm();
        if (i % 50 == 0)
            check_fit(__LINE__);
    }
    check_fit(__LINE__);
    rig_close(&rig);
}

/* ---- The instruction budget of the stage ---------------------------------------------- */

static void test_budget(void)
{
    static const char *const loops[] = {
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "while true do coroutine.wrap(function() for i = 1, 100 do end end)() end",
        "table.sort({ 3, 2, 1 }, function() while true do end end)",
        "xpcall(function() while true do end end, function() while true do end end)",
        "local x <close> = setmetatable({}, { __close = function() while true do end end }) while true do end",
        "local x <close> = setmetatable({}, { __close = function() coroutine.wrap(function() while true do end end)() end })",
    };
    struct rig *stage = &rig;
    *stage = (struct rig){ .options = { .instruction_budget = 1000000, .libraries = test_libraries } };
    assert(vm_open(&stage->vm, &stage->options) == 0);
    stage->coroutine = vm_coroutine(&stage->vm, &stage->reference);
    for (size_t i = 0; i < ARRAY_LENGTH(loops); i++) {
        assert(rig_run(stage, loops[i]) == VM_FAILED && stage->vm.dying == VM_SLOW);
        assert(strstr(lua_tostring(stage->coroutine, -1), "instruction budget") != NULL);
        rig_recover(stage);
        /* Each handler has all of it again. */
        rig_check(stage, "for i = 1, 200000 do end return true");
    }
    rig_close(stage);
}

/* ---- Memory ---------------------------------------------------------------------------- */

static void test_memory_limit(void)
{
    static const char *const hogs[] = {
        "local t = {} for i = 1, 1e9 do t[i] = { i } end",
        "local s = 'x' while true do s = s .. s end",
        "return ('x'):rep(1 << 30)",
        "local t = {} coroutine.wrap(function() while true do t[#t + 1] = { #t } end end)()",
        "local t = {} while true do pcall(function() while true do t[#t + 1] = { #t } end end) end",
        "local t = {} while true do coroutine.resume(coroutine.create(function() while true do t[#t + 1] = ('y'):rep(5000) .. #t end end)) end",
        "local t = {} xpcall(function() while true do t[#t + 1] = { #t } end end, function(m) return m end) while true do end",
        "return (('x'):rep(1000000):gsub('x', ('y'):rep(1000)))",
        "local t = {} while true do load(function() t[#t + 1] = { {} } return ' ' end) end",
        "local function f(...) return (f(1, ...)) end f()",
        "local t = {} local x <close> = setmetatable({}, { __close = function() while true do t[#t + 1] = {} end end }) while true do t[#t + 1] = {} end",
    };
    size_t limit = 16 * 1024 * 1024;
    for (size_t i = 0; i < ARRAY_LENGTH(hogs); i++) {
        rig_open(&rig, limit);
        enum vm_result result = rig_run(&rig, hogs[i]);
        const char *text = lua_tostring(rig.coroutine, -1);
        if (result != VM_FAILED
            || (rig.vm.dying != VM_MEMORY && strstr(text, "stack overflow") == NULL)) {
            fprintf(stderr, "hog %zu: result %d, death %d, %s\n", i, (int)result,
                    (int)rig.vm.dying, text);
            abort();
        }
        assert(rig.vm.arena.peak <= limit);
        rig_recover(&rig);
        assert(rig.vm.arena.used < 1024 * 1024);
        check_fit(__LINE__);
        rig_close(&rig);
    }

    /* What is kept stays: the next handler meets the limit at once. */
    rig_open(&rig, limit);
    rig.vm.loading = true;
    assert(rig_run(&rig, "keep = {} function more() for i = #keep + 1, 1e9 do keep[i] = {} end end more()") == VM_FAILED);
    assert(rig.vm.dying == VM_MEMORY);
    rig_recover(&rig);
    lua_rawgeti(rig.coroutine, LUA_REGISTRYINDEX, rig.vm.environment);
    lua_getfield(rig.coroutine, -1, "more");
    assert(vm_resume(&rig.vm, rig.coroutine, 0) == VM_FAILED);
    assert(rig.vm.dying == VM_MEMORY);
    rig_recover(&rig);
    rig_close(&rig);
}

static const char everything[] =
    "local t = {} for i = 1, 20 do t[i] = ('%d %s %q'):format(i, 'text', 'quoted') end\n"
    "local co = coroutine.wrap(function(a) local b = coroutine.yield(a .. 'x') error({ b }) end)\n"
    "co('1') local ok, e = pcall(co, '2') assert(not ok and e[1] == '2')\n"
    "local x <close> = setmetatable({}, { __close = function() t[1] = {} end })\n"
    "assert(not xpcall(error, function(m) return m .. debug.traceback() end, 'x'))\n"
    "assert(not pcall(function() return nonsense end))\n"
    "local f = load('local a, b = ... return a + b') assert(f(1, 2) == 3)\n"
    "for w in ('a b c'):gmatch('%a') do t[#t + 1] = w:rep(50) end\n"
    "table.sort(t, function(a, b) return tostring(a) < tostring(b) end)\n"
    "return #table.concat(t) + math.random(3) + utf8.len('abc') + os.time() > 0";

/* One attempt; how it ended. The vm is closed whatever came. */
static bool try_everything(size_t limit)
{
    bool done = false;
    rig.options = (struct vm_options){ .memory_limit = limit, .libraries = test_libraries };
    int err = vm_open(&rig.vm, &rig.options);
    assert(err == 0 || err == -ENOMEM);
    if (err != 0)
        return false;
    rig.coroutine = vm_coroutine(&rig.vm, &rig.reference);
    if (rig.coroutine != NULL
        && luaL_loadbufferx(rig.coroutine, everything, strlen(everything), "=test", "t") == LUA_OK) {
        lua_rawgeti(rig.coroutine, LUA_REGISTRYINDEX, rig.vm.environment);
        lua_setupvalue(rig.coroutine, -2, 1);
        done = vm_resume(&rig.vm, rig.coroutine, 0) == VM_DONE;
        if (!done)
            vm_recover(&rig.vm, rig.coroutine);
    }
    rig_close(&rig);
    return done;
}

/* Every step may be the one that finds no memory. */
static void test_no_memory(void)
{
    unsigned failures = 0;
    size_t step = 16;
    for (size_t limit = 1, done = 0; done < 3; limit += step) {
        if (try_everything(limit))
            done++;
        else
            failures++;
    }
    assert(failures > 600);
#ifdef TROUPE_FAULTS
    uint64_t count = 0;
    for (uint64_t n = 1; n == 1 || n <= count; n++) {
        fault_arm(n);
        try_everything(0);
        count = fault_count() > count ? fault_count() : count;
    }
    fault_arm(0);
    assert(try_everything(0));
#endif
}

static void *tests(void *unused)
{
    (void)unused;
    test_budget();
    test_memory_limit();
    test_no_memory();
    interrupter_start();
    test_report();
    test_preemption();
    if (!UNDER_TSAN) { /* which delivers signals late to code it has not instrumented */
        test_runaways();
        test_closed_when_stopped();
        test_spent();
        test_reason();
        test_random_kills(10500);
    }
    interrupter_stop();
    return NULL;
}

int main(void)
{
    return run_on_small_stack(tests);
}
