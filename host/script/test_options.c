/*
 * test_options.c -- what the module troupe.options promises to our own Lua code.
 */
#include "script/api.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static lua_State *L;

/* The Lua expression is true. */
static void holds(const char *expression)
{
    char code[500];
    snprintf(code, sizeof code, "return %s", expression);
    if (luaL_loadbufferx(L, code, strlen(code), "=chunk", "t") != LUA_OK ||
        lua_pcall(L, 0, 1, 0) != LUA_OK || !lua_toboolean(L, -1)) {
        fprintf(stderr, "%s: %s\n", expression, luaL_tolstring(L, -1, NULL));
        abort();
    }
    lua_settop(L, 0);
}

int main(void)
{
    L = luaL_newstate();
    luaL_openlibs(L);
    luaL_requiref(L, "options", api_options_open, 1);
    lua_settop(L, 0);

    /* Durations are floats, in seconds. */
    holds("options.seconds('250ms') == 0.25 and options.seconds('2.5s') == 2.5");
    holds("options.seconds('1m') == 60 and options.seconds('1h') == 3600");
    holds("math.type(options.seconds(3)) == 'float' and options.seconds(0) == 0");
    holds("options.seconds('soon') == nil and options.seconds('2 s') == nil");
    holds("options.seconds(-1) == nil and options.seconds(0/0) == nil and options.seconds(2e9) == nil");
    holds("options.seconds({}) == nil and options.seconds(true) == nil");

    /* Sizes are integers, in bytes. */
    holds("options.bytes('64KiB') == 65536 and options.bytes('1.5MiB') == 1572864");
    holds("options.bytes('17B') == 17 and math.type(options.bytes(17.0)) == 'integer'");
    holds("options.bytes(0) == 0 and options.bytes(1 << 53) == 1 << 53");
    holds("options.bytes('1TiB') == nil and options.bytes('17') == nil and options.bytes('big') == nil");
    holds("options.bytes(-1) == nil and options.bytes(0.5) == nil and options.bytes(0/0) == nil");
    holds("options.bytes(1/0) == nil and options.bytes((1 << 53) + 2) == nil");
    holds("options.bytes({}) == nil and options.bytes(nil) == nil and not pcall(options.bytes)");

    /* Of names as near the first; nil if none is near. */
    holds("options.nearest('nmae', { 'config', 'name' }) == 'name'");
    holds("options.nearest('colour', { 'config', 'name' }) == nil");
    holds("options.nearest('name', {}) == nil");

    /* Endpoints, to connect to or to listen on, and whether they are of this machine. */
    holds("select('#', options.endpoint(':5001')) == 2 and options.endpoint(':5001') == 'tcp://127.0.0.1:5001'");
    holds("select(2, options.endpoint('tcp://localhost:1')) == true");
    holds("select(2, options.endpoint('tcp://10.0.0.7:1')) == false");
    holds("options.endpoint('tcp://*:0', true) == 'tcp://*:0' and not options.endpoint('tcp://*:0')");
    holds("select(2, options.endpoint('tcp:/x')):find('is no endpoint', 1, true)");

    /* Types that an actor may send, and their fields as actor.message takes them. */
    holds("options.type('Ping') == nil and options.type('Reject') == nil");
    holds("options.type('Start') == 'only the host itself sends Start'");
    holds("options.type('') == \"this cannot be a message's type\"");
    holds("pcall(options.message, 'Ping', { count = 'integer', { 'x' } }) == false");
    holds("pcall(options.message, 'Ping', { count = 'integer', pos = { '[]?', x = 'number' } })");
    holds("select(2, pcall(options.message, 'Ping', { pos = { x = 'nmber' } })) == "
          "\"actor.message: Ping.pos.x: no type is called 'nmber' (did you mean 'number'?)\"");
    holds("not pcall(options.message, 'Start', {}) and not pcall(options.message, 'Ping', 5)");

    lua_close(L);
    return 0;
}
