/*
 * test_report.c -- what report.h promises.
 */
#include "script/report.h"

#include "script/ref.h"

#include <assert.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>

static lua_State *L, *dead;

/* Runs `code`, chunk "pong.lua", in a coroutine of a new state until it fails. */
static void fail(const char *code)
{
    L = luaL_newstate();
    luaL_openlibs(L);
    dead = lua_newthread(L);
    if (luaL_loadbufferx(dead, code, strlen(code), "@pong.lua", "t") != LUA_OK) {
        fprintf(stderr, "%s\n", lua_tostring(dead, -1));
        abort();
    }
    int results;
    assert(lua_resume(dead, NULL, 0, &results) > LUA_YIELD);
}

static struct bytes out;

static const char *report(void)
{
    struct report_context context = {
        .actor = "pong",
        .script = "examples/pong.lua",
        .version = "2",
        .handler = "on_ping",
        .message = "Ping {\"count\": 1}",
        .sender = "ping",
        .outcome = "the actor goes on; the message is in the dead letters",
    };
    int top = lua_gettop(dead);
    bytes_clear(&out, 0);
    report_build(dead, &context, &out);
    /* The stack is as it was, so the coroutine can be closed and reset. */
    assert(lua_gettop(dead) == top);
    return bytes_text(&out);
}

static const char *reason(void)
{
    bytes_clear(&out, 0);
    report_reason(dead, -1, &out);
    return bytes_text(&out);
}

static void done(void)
{
    lua_close(L);
}

static void equals(const char *got, const char *expected)
{
    if (strcmp(got, expected) != 0) {
        fprintf(stderr, "said\n%s\nexpected\n%s\n", got, expected);
        abort();
    }
}

static void has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL) {
        fprintf(stderr, "%s\n...has no: %s\n", text, part);
        abort();
    }
}

/* The Lua expression is shown so, in `room` bytes. */
static void shows_within(const char *expression, size_t room, const char *text)
{
    char code[1000];
    snprintf(code, sizeof code, "return %s", expression);
    L = luaL_newstate();
    luaL_openlibs(L);
    if (luaL_dostring(L, code) != LUA_OK) {
        fprintf(stderr, "%s\n", lua_tostring(L, -1));
        abort();
    }
    int top = lua_gettop(L);
    bytes_clear(&out, 0);
    report_value(L, -1, room, &out);
    equals(bytes_text(&out), text);
    assert(lua_gettop(L) == top);
    lua_close(L);
}

static void shows(const char *expression, const char *text)
{
    shows_within(expression, 1000, text);
}

static void test_values(void)
{
    shows("nil", "nil");
    shows("true", "true");
    shows("-5", "-5");
    shows("2.0", "2.0");
    shows("0.5", "0.5");
    shows("1/0", "inf");
    shows("1e100", "1e+100");
    shows("'a\\n\"\\0\\27'", "\"a\\n\\\"\\000\\027\"");
    shows("print", "function");
    shows("coroutine.create(print)", "coroutine");
    shows("io.stdout", "userdata");
    shows("{}", "{}");
    shows("{1, 2, 3}", "{1, 2, 3}");
    shows("{[3]=true, a=1}", "{[3] = true, a = 1}");
    /* Keys are sorted; what is no name is quoted. */
    shows("{b=1, a={c='x'}, ['a b']=2, 7, [-1]=8, [true]=9}",
          "{7, [-1] = 8, a = {c = \"x\"}, [\"a b\"] = 2, b = 1, [boolean] = 9}");
    /* Depth, length and number of members are bounded. */
    shows("{a={b={c={}}}, e={f={}}}", "{a = {b = {...}}, e = {f = {}}}");
    shows("(function() local t = {} t.t = t return t end)()", "{t = {t = {...}}}");
    shows("(function() local t = {} for i = 1, 100 do t[i] = i end return t end)()",
          "{1, 2, 3, 4, 5, 6, 7, 8, ... (100 elements)}");
    shows("(function() local t = {} for i = 30, 10, -1 do t['k' .. i] = i end return t end)()",
          "{k10 = 10, k11 = 11, k12 = 12, k13 = 13, k14 = 14, k15 = 15, k16 = 16, k17 = 17, k18 = "
          "18, "
          "k19 = 19, k20 = 20, k21 = 21, k22 = 22, k23 = 23, k24 = 24, k25 = 25, ...}");
    shows_within("('x'):rep(1000)", 20, "\"xxxxxxxxxxxxxxxx...");
    shows_within("{a='\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9'}", 12, "{a = \"\xc3\xa9...");
    shows_within("5", 12, "5");
    /* Nothing of the script's runs: no __tostring, __index, __pairs, __len, __name. */
    shows("setmetatable({a=1}, {__tostring=error, __index=error, __pairs=error, __len=error, "
          "__name=1})",
          "{a = 1}");

    /* Refs are shown by address, or by number. */
    L = luaL_newstate();
    struct address *address = address_new("pong", 4, "tcp://h:1", 9);
    ref_push_address(L, address);
    address_unref(address);
    bytes_clear(&out, 0);
    report_value(L, -1, 100, &out);
    bytes_append_byte(&out, ' ');
    ref_push_actor(L, (actor_id)3 << 32 | 12);
    report_value(L, -1, 100, &out);
    equals(bytes_text(&out), "pong@tcp://h:1 actor 12.3");
    lua_close(L);
}

static void test_reasons(void)
{
    fail("error('boom')");
    equals(reason(), "pong.lua:1: boom");
    done();
    fail("error(nil)");
    equals(reason(), "(error object is nil)");
    done();
    fail("error({code = 3})");
    equals(reason(), "(error object is a table: {code = 3})");
    done();
    fail("error(12)");
    equals(reason(), "(error object is a number: 12)");
    done();
    fail("error(io.stdout)");
    equals(reason(), "(error object is a userdata: userdata)");
    done();
    fail("error(print)");
    equals(reason(), "(error object is a function: function)");
    done();
    /* A __tostring that fails or never ends is not asked. */
    fail("error(setmetatable({}, {__tostring = function() while true do end end}))");
    equals(reason(), "(error object is a table: {})");
    done();
    /* One line, of bounded length. */
    fail("error('a\\n\\t  b\\0\\27[31mc\\n', 0)");
    equals(reason(), "a b\\000\\027[31mc");
    done();
    fail("error(('x'):rep(1e6))");
    assert(strlen(reason()) == 1003);
    done();
}

/* A json_actor_text for the test. */
static size_t text_of_actor(void *context, uint64_t actor, char *text, size_t room)
{
    (void)context;
    return (size_t)snprintf(text, room, "actor-%d", (int)actor);
}

static void test_reports(void)
{
    /* The whole of it. */
    fail("local self, msg = {count = 3}, {count = 1}\n"
         "local function on_ping(self, msg)\n"
         "  local n\n"
         "  return n.x + 1\n"
         "end\n"
         "on_ping(self, msg)\n");
    equals(report(), "pong.lua:4: attempt to index a nil value (local 'n')\n"
                     "  actor    pong (examples/pong.lua, version 2), in on_ping\n"
                     "  message  Ping {\"count\": 1}\n"
                     "  from     ping\n"
                     "  locals   self = {count = 3}  msg = {count = 1}  n = nil\n"
                     "  stack traceback:\n"
                     "    pong.lua:4: in local 'on_ping'\n"
                     "    pong.lua:6: in main chunk\n"
                     "  the actor goes on; the message is in the dead letters\n");

    /* What may be missing is left out. */
    struct report_context bare = {.actor = "pong", .script = "pong.lua"};
    bytes_clear(&out, 0);
    report_build(dead, &bare, &out);
    has(bytes_text(&out), "\n  actor    pong (pong.lua)\n  locals");
    done();

    /* An error of error() or of a C function shows the caller's locals. */
    fail("local price = 5\nlocal function check(x)\n  if x then error('bad price') "
         "end\nend\ncheck(price)");
    has(report(), "  locals   x = 5\n");
    has(report(), "    [C]: in function 'error'\n    pong.lua:3: in local 'check'\n");
    done();
    fail("local word = 'x'\nlocal n = string.rep(word, -1, {})");
    has(report(), "  locals   word = \"x\"\n");
    done();
    /* Loop variables that Lua makes itself are not shown. */
    fail("for i, v in ipairs({'a'}) do local y = v .. nil end");
    has(report(), "  locals   i = 1  v = \"a\"\n");
    done();
    /* Many locals go on in further lines. */
    fail("local a, b, c = ('x'):rep(60), ('y'):rep(60), ('z'):rep(60) local d = nil + 1");
    has(report(), "\"\n           c = \"zzz");
    done();

    /* Refs are named if the host can. */
    L = luaL_newstate();
    dead = lua_newthread(L);
    assert(luaL_loadstring(dead, "local who = ... ; error('x')") == LUA_OK);
    ref_push_actor(dead, 9);
    int results;
    assert(lua_resume(dead, NULL, 1, &results) == LUA_ERRRUN);
    struct report_context named = {.actor = "a", .script = "s", .actor_text = text_of_actor};
    bytes_clear(&out, 0);
    report_build(dead, &named, &out);
    has(bytes_text(&out), "  locals   who = actor-9\n");
    done();

    /* No frames at all: the reason and what is known. */
    L = luaL_newstate();
    dead = L;
    lua_pushliteral(L, "pong.lua:1: syntax error");
    has(report(), "pong.lua:1: syntax error\n  actor    pong");
    assert(strstr(bytes_text(&out), "traceback") == NULL);
    done();
}

static void test_bad_stacks(void)
{
    /* An overflowed stack: bounded, with both ends of the traceback. */
    fail("local function dive(n) return 1 + dive(n + 1) end\ndive(1)");
    has(report(), "pong.lua:1: stack overflow");
    has(report(), "  locals   n = ");
    has(report(), "    ... (");
    has(report(), "    pong.lua:2: in main chunk\n");
    assert(out.size < 4000);
    done();
    fail("local t = setmetatable({}, {__index = function(t, k) return t[k] end})\nreturn t.x");
    has(report(), "C stack overflow");
    done();
    /* A C function that failed with values to close. */
    fail("string.rep('x', 1e9, {}) ");
    has(report(), "bad argument #3");
    done();
    fail("return ('x'):rep(100):gsub('x', function() error({}) end)");
    has(report(), "(error object is a table: {})\n");
    done();
    fail("local t <close> = setmetatable({}, {__close = function() error('in close') end}) "
         "error('first')");
    has(report(), "first");
    done();
}

/* An allocator with a limit that can be set. */
static size_t limit, used;

static void *limited_allocate(void *context, void *block, size_t old_size, size_t new_size)
{
    (void)context;
    if (block == NULL)
        old_size = 0;
    if (new_size > old_size && used + (new_size - old_size) > limit)
        return NULL;
    used = used - old_size + new_size;
    if (new_size == 0) {
        free(block);
        return NULL;
    }
    return realloc(block, new_size);
}

static void test_no_memory(void)
{
    limit = SIZE_MAX;
    L = lua_newstate(limited_allocate, NULL);
    luaL_openlibs(L);
    dead = lua_newthread(L);
    const char *code =
        "local list, word = {}, 'x'\nfor i = 1, 1e9 do list[i] = {i, name = 'n'} end";
    assert(luaL_loadbufferx(dead, code, strlen(code), "@pong.lua", "t") == LUA_OK);
    limit = used + 100000;
    int results;
    assert(lua_resume(dead, NULL, 0, &results) == LUA_ERRMEM);
    /* Not one byte more from now on. */
    limit = used;
    has(report(), "not enough memory\n");
    has(report(), "word = \"x\"");
    limit = 0;
    has(report(), "list = {{1, name = \"n\"}, {2, name = \"n\"}, ");
    limit = SIZE_MAX;
    done();
}

int main(void)
{
    bytes_init(&out, 1 << 20);
    test_values();
    test_reasons();
    test_reports();
    test_bad_stacks();
    test_no_memory();
    bytes_fini(&out);
    return 0;
}
