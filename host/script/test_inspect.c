/*
 * test_inspect.c -- what inspect.h promises.
 */
#include "script/inspect.h"

#include "base/fault.h"
#include "base/test_tsan.h"
#include "script/libraries.h"
#include "script/test_faults.h"

#include <lauxlib.h>
#include <lualib.h>
#include <malloc.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char       folder[] = "/tmp/troupe_inspect_XXXXXX";
static char       share[64]; /* has actors/shipped.lua */
static lua_State *L;         /* is told */

static void write_file(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    assert(file != NULL && fputs(text, file) >= 0 && fclose(file) == 0);
}

static void make_folder(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert(mkdir(path, 0700) == 0);
}

/* ---- Inspecting ------------------------------------------------------------- */

/* Leaves the table on the stack. */
static void inspect(const char *path, struct inspect_options options)
{
    options.share = share;
    lua_settop(L, 0);
    if (inspect_push(L, path, &options) != 1) {
        fprintf(stderr, "%s: %s\n", path, lua_tostring(L, -1));
        abort();
    }
    lua_replace(L, 1);
    lua_settop(L, 1);
    assert(vm_count() == 0);
}

static void inspect_text(const char *text)
{
    inspect("hero", (struct inspect_options){ .text = text, .text_size = strlen(text) });
}

static void refuses_with(const char *path, struct inspect_options options, const char *words)
{
    options.share = share;
    lua_settop(L, 0);
    assert(inspect_push(L, path, &options) == 2);
    if (!lua_isnil(L, -2) || strcmp(lua_tostring(L, -1), words) != 0) {
        fprintf(stderr, "%s\n  said     %s\n  expected %s\n", path, lua_tostring(L, -1), words);
        abort();
    }
    assert(vm_count() == 0);
}

static void refuses(const char *text, const char *words)
{
    refuses_with("hero", (struct inspect_options){ .text = text, .text_size = strlen(text) }, words);
}

/* What `expression` says of the table, which is `it`. */
static void expect(const char *expression, const char *expected)
{
    char chunk[1000];
    snprintf(chunk, sizeof chunk,
             "local it = ...\n"
             "local function list(t) table.sort(t) return table.concat(t, ' ') end\n"
             "local function keys(t) local k = {} for n in pairs(t) do k[#k + 1] = n end return list(k) end\n"
             "local function show(t) if type(t) ~= 'table' then return tostring(t) end local parts = {}\n"
             "  for i, each in ipairs(t) do parts[i] = show(each) end return '{' .. table.concat(parts, ',') .. '}' end\n"
             "_G.list, _G.keys, _G.show = list, keys, show\n"
             "return tostring(%s)", expression);
    if (luaL_loadstring(L, chunk) != LUA_OK) {
        fprintf(stderr, "%s\n", lua_tostring(L, -1));
        abort();
    }
    lua_pushvalue(L, 1);
    if (lua_pcall(L, 1, 1, 0) != LUA_OK || strcmp(lua_tostring(L, -1), expected) != 0) {
        fprintf(stderr, "%s\n  is       %s\n  expected %s\n", expression, lua_tostring(L, -1), expected);
        abort();
    }
    lua_settop(L, 1);
}

/* ---- What is told ------------------------------------------------------------- */

/* Handlers as they are spelt, also those that a class inherits; settings, but for what is
 * none; and no handler runs. */
static void test_handlers_and_settings(void)
{
    inspect_text("local Base = {} Base.__index = Base\n"
                 "function Base:on_ping() end\n"
                 "local Hero = setmetatable({ version = 2, interleave = { 'Ping' }, colour = 'red' }, Base)\n"
                 "Hero.mailbox = { limit = 3, overflow = 'fail' }\n"
                 "function Hero:on_start() error 'a handler runs' end\n"
                 "function Hero:on_Market_Depth() end\n"
                 "function Hero:help() end\n"
                 "return Hero\n");
    expect("list(it.handlers)", "on_Market_Depth on_ping on_start");
    expect("it.any", "false");
    expect("keys(it.settings)", "interleave mailbox version");
    expect("it.settings.version", "2");
    expect("it.settings.interleave[1]", "Ping");
    expect("it.settings.mailbox.overflow .. it.settings.mailbox.limit", "fail3");
    expect("it.path .. tostring(it.shipped)", "herofalse");
}

/* The one-line form: global functions, and no settings. */
static void test_global_handlers(void)
{
    inspect_text("memory = '1MiB' function on_any() end function on_ping() end");
    expect("list(it.handlers)", "on_any on_ping");
    expect("it.any", "true");
    expect("keys(it.settings)", "");
}

/* Declared types, as lists that declare the same. */
static void test_types(void)
{
    inspect_text("actor.message('Empty', {})\n"
                 "actor.message('Move', { { 'pos', { { 'x', 'number' }, { 'y', 'number' } } },\n"
                 "  { 'via', { '[]?', x = 'integer[][]', at = { '?', when = 'any' } } }, { 'tags', 'ref[]?' } })\n"
                 "function on_move() end\n");
    expect("keys(it.types)", "Empty Move");
    expect("show(it.types.Empty)", "{}");
    expect("show(it.types.Move)", "{{pos,{{x,number},{y,number}}},"
                                  "{via,{[]?,{at,{?,{when,any}}},{x,integer[][]}}},{tags,ref[]?}}");
}

/* Where a script is looked for, and the modules of its project that it requires. */
static void test_files(void)
{
    inspect("pair", (struct inspect_options){ .beside = folder });
    expect("list(it.handlers)", "on_shipped");
    expect("it.shipped", "true");
    char beside[96], path[96], modules[200];
    snprintf(beside, sizeof beside, "%s/x.lua", folder);
    snprintf(path, sizeof path, "%s/pair.lua", folder);
    inspect("pair", (struct inspect_options){ .beside = beside });
    expect("it.path", path);
    expect("it.shipped", "false");
    expect("list(it.handlers)", "on_half");
    snprintf(modules, sizeof modules, "%s/half.lua %s/lib/quarter.lua", folder, folder);
    expect("list(it.modules)", modules);
}

/* Our own modules are there, and are none of the project; what is nowhere is looked for in
 * all folders, and no further. */
static void test_modules(void)
{
    inspect_text("local ours = require 'ours.tool' function on_ping() end");
    expect("#it.modules", "0");
    inspect_text("local found, why = pcall(require, 'nowhere')\n"
                 "assert(not found and why:find('/lua/nowhere.lua', 1, true))\n"
                 "function on_ping() end");
    expect("#it.modules", "0");
}

/* What a host warns of is told, and not logged. */
static void test_warnings(void)
{
    inspect_text("local Hero = { memroy = 3 } function Hero:on_strat() end return Hero");
    expect("list(it.warnings)", "hero: memroy is no setting: did you mean memory? "
                                "hero: on_strat is a handler of another type: did you mean on_start?");
    inspect_text("return { on_ping = function() end }");
    expect("#it.warnings", "0");
}

/* ---- What does not load --------------------------------------------------------- */

static void test_refusals(void)
{
    refuses("x = = 3", "hero:1: unexpected symbol near '='");
    refuses("\n\nerror('broken')", "hero:3: broken");
    refuses("error({ code = 3 })", "hero:1: (error object is a table: {code = 3})");
    refuses("return 3", "hero: returns no table of on_<type> functions and defines none");
    refuses("return { on_ping = 3 }", "hero: on_ping is a number, not a function");
    refuses("return { memory = 'lots' }",
            "hero: memory is \"256MiB\", \"1GiB\" or a number of bytes, not 'lots'");
    refuses("return { interleave = { 'Qery' }, on_query = function() end }",
            "interleave names Qery, but hero has no on_qery (did you mean on_query?)");
    refuses("\nos.exit(3)", "hero:2: its top level calls os.exit");
    refuses("actor.spawn('hero')",
            "hero:1: actor.spawn: a script's top level only defines; do this in a handler");
    refuses("\33Lua", "hero: compiled Lua (bytecode) is never loaded; give its source");
    char words[300];
    snprintf(words, sizeof words, "no script 'nobody': looked for nobody.lua in ., %s/actors/", share);
    refuses_with("nobody", (struct inspect_options){ 0 }, words);
}

static void test_limits(void)
{
    const char *hog = "local list = {} while true do list[#list + 1] = ('x'):rep(1000) .. #list end";
    refuses_with("hero", (struct inspect_options){ .text = hog, .text_size = strlen(hog), .memory_bytes = 4u << 20 },
                 "hero:1: its top level needs more than its memory limit of 4 MiB");
    const char *opener = "local file = io.open('/dev/null') return { on_ping = function() end }";
    inspect_text(opener);
    refuses_with("hero", (struct inspect_options){ .text = opener, .text_size = strlen(opener), .sandbox = true },
                 "hero:1: 'io' is not available in a sandbox");
#if !UNDER_TSAN /* which holds back signals while Lua loops */
    refuses("\nwhile true do pcall(function() while true do end end) end",
            "hero:2: its top level ran for more than 1 s");
#endif
}

/* ---- Want of memory ---------------------------------------------------------------- */

#ifdef TROUPE_FAULTS
static int inspect_protected(lua_State *state)
{
    static const char text[] = "actor.message('Ping', { n = 'integer', at = { x = 'number' } })\n"
                               "local Hero = { interleave = { 'Ping' }, memroy = 1 }\n"
                               "function Hero:on_ping() end\n"
                               "return Hero\n";
    struct inspect_options options = { .text = text, .text_size = sizeof text - 1, .share = share };
    lua_settop(state, 0);
    lua_pushboolean(state, inspect_push(state, "hero", &options) == 1);
    return 1;
}

/* With the n-th allocation failing; true if none did. */
static bool live(uint64_t n)
{
    lua_settop(L, 0);
    lua_pushcfunction(L, inspect_protected);
    fault_arm(n);
    int  status = lua_pcall(L, 0, 1, 0);
    bool whole = fault_count() < n;
    fault_arm(0);
    assert(status == LUA_OK || status == LUA_ERRRUN || status == LUA_ERRMEM);
    assert(!whole || lua_toboolean(L, -1));
    lua_settop(L, 0);
    lua_gc(L, LUA_GCCOLLECT); /* what a raise has left to the collector */
    return whole;
}

/* Whichever allocation fails, nothing crashes, and nothing is left behind. */
static void test_faults(void)
{
    uint64_t count = fail_each(live, 1);
    fault_arm(0);
    assert(count >= 50);
    printf("inspect: %llu allocations failed, each once\n", (unsigned long long)count);
}
#endif

int main(void)
{
    mallopt(M_PERTURB, 0xa5); /* what nobody has set is not 0 */
    assert(mkdtemp(folder) != NULL);
    snprintf(share, sizeof share, "%s/share", folder);
    make_folder("share");
    make_folder("share/actors");
    make_folder("share/lua");
    make_folder("share/lua/ours");
    make_folder("lib");
    write_file("share/actors/pair.lua", "return { on_shipped = function() end }");
    write_file("share/lua/ours/tool.lua", "return 3");
    write_file("pair.lua", "require 'half' return { on_half = function() end }");
    write_file("half.lua", "return require 'lib.quarter'");
    write_file("lib/quarter.lua", "return 4");
    L = luaL_newstate();
    assert(L != NULL && libraries_prepare() == 0);
    luaL_openlibs(L);

    test_handlers_and_settings();
    test_global_handlers();
    test_types();
    test_files();
    test_modules();
    test_warnings();
    test_refusals();
    test_limits();
#ifdef TROUPE_FAULTS
    test_faults();
#endif
    lua_close(L);

    char command[128];
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert(system(command) == 0);
    return 0;
}
