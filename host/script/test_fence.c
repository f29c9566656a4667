/*
 * test_fence.c -- what the module troupe.fence promises.
 */
#include "script/fence.h"

#undef NDEBUG
#include <assert.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>

/* Runs a text that has `fence` and `limits`; it must return true. */
static void holds(lua_State *L, const char *text)
{
    if (luaL_dostring(L, text) != LUA_OK)
        fprintf(stderr, "%s\n", lua_tostring(L, -1));
    assert(lua_toboolean(L, -1));
    lua_settop(L, 0);
}

int main(void)
{
    lua_State *L = luaL_newstate();
    luaL_openlibs(L);
    luaL_requiref(L, "fence", fence_open, 1);
    lua_settop(L, 0);
    holds(L, "function run(text, more)\n"
             "  local limits = { memory = 4 << 20, steps = 1000000, seconds = 60, chunk = '=it' }\n"
             "  for name, value in pairs(more or {}) do limits[name] = value end\n"
             "  return fence(assert(load(text, '=it')), limits)\n"
             "end return true");

    /* What ends is done, and nothing of the fence is left. */
    holds(L, "return run 'x = 1 + 1' == true and x == 2");
    holds(L, "local s = ('x'):rep(8 << 20) return #s == 8 << 20");

    /* An error has its text, and the line that was reached. */
    holds(L, "local fine, kind, why, line = run '\\n\\nlocal x = nil + 1'\n"
             "return fine == nil and kind == 'error' and why:find('^it:3: attempt') and line == 3");
    holds(L, "local _, kind, why, line = run 'error({}, 0)' return kind == 'error' and why:find '^table'");

    /* Memory: also in one step; and what was there before is no part of it. */
    holds(L, "local before = ('x'):rep(8 << 20)\n"
             "local _, kind, why, line = run 'local s = \"x\"\\nwhile true do s = s .. s .. s .. s .. s .. s .. s end'\n"
             "return kind == 'memory' and line == 2 and #before == 8 << 20");
    holds(L, "local garbage = ('x'):rep(64 << 20) garbage = nil collectgarbage 'stop'\n"
             "local _, kind = run 'z = {} for i = 1, 1e9 do z[i] = {} end' collectgarbage 'restart'\n"
             "return kind == 'memory'");
    holds(L, "local _, kind = run 'local function f() return 1 + f() end f()' return kind == 'memory' or kind == 'error'");
    holds(L, "return run('y = {} for i = 1, 10000 do y[i] = {} end') == true and #y == 10000");

    /* Steps, and time. */
    holds(L, "local _, kind, why, line = run '\\nwhile true do end' return kind == 'time' and line == 2");
    holds(L, "local _, kind = run('while true do end', { steps = 1 << 50, seconds = 1 }) return kind == 'time'");
    holds(L, "local _, kind = run('for i = 1, 1000 do end', { steps = 100 }) return kind == 'time'");

    /* Strings have no methods inside, and have them again however it ended. */
    holds(L, "local _, kind, why = run 'local s = \"x\" s:rep(2)' return why:find 'index a string value'");
    holds(L, "return ('x'):rep(2) == 'xx'");
    holds(L, "return run 'local t = \"x\"' and ('x'):rep(2) == 'xx'");

    /* A hook that was there before is there again. */
    holds(L, "local count = 0 debug.sethook(function() count = count + 1 end, '', 1)\n"
             "run 'local x' local before = count for _ = 1, 10 do end debug.sethook()\n"
             "return count > before");

    /* Misuse is an error of the caller. */
    holds(L, "return not pcall(fence) and not pcall(fence, print, { memory = 1 }) and not pcall(fence, print, 1)");

    lua_close(L);
    return 0;
}
