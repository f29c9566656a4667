/*
 * test_json_lua.c -- what the library `json` promises to scripts.
 */
#include "script/pack_lua.h"

#include <assert.h>
#include <lauxlib.h>
#include <lualib.h>
#include <stdio.h>
#include <string.h>

static lua_State *L;

/* The Lua expression is true. */
static void holds(const char *expression)
{
    char code[2000];
    snprintf(code, sizeof code, "return %s", expression);
    if (luaL_loadbufferx(L, code, strlen(code), "=chunk", "t") != LUA_OK ||
        lua_pcall(L, 0, 1, 0) != LUA_OK || !lua_toboolean(L, -1)) {
        fprintf(stderr, "%s: %s\n", expression, luaL_tolstring(L, -1, NULL));
        abort();
    }
    lua_settop(L, 0);
}

/* Encoding the Lua expression gives this text. */
static void encodes(const char *arguments, const char *text)
{
    char code[2000];
    snprintf(code, sizeof code, "return json.encode(%s)", arguments);
    if (luaL_loadbufferx(L, code, strlen(code), "=chunk", "t") != LUA_OK ||
        lua_pcall(L, 0, 1, 0) != LUA_OK || strcmp(lua_tostring(L, -1), text) != 0) {
        fprintf(stderr, "%s: %s\n", arguments, luaL_tolstring(L, -1, NULL));
        abort();
    }
    lua_settop(L, 0);
}

/* Calling the Lua expression raises this error. */
static void raises(const char *expression, const char *words)
{
    char code[2000];
    snprintf(code, sizeof code, "local v = %s\nreturn v", expression);
    assert(luaL_loadbufferx(L, code, strlen(code), "=chunk", "t") == LUA_OK);
    int status = lua_pcall(L, 0, 1, 0);
    if (status != LUA_ERRRUN || strcmp(lua_tostring(L, -1), words) != 0) {
        fprintf(stderr, "%s\n  said     %s\n  expected %s\n", expression,
                luaL_tolstring(L, -1, NULL), words);
        abort();
    }
    lua_settop(L, 0);
}

int main(void)
{
    L = luaL_newstate();
    luaL_openlibs(L);
    luaL_requiref(L, "json", json_lua_open, 1);
    lua_settop(L, 0);

    /* Written with spaces, keys sorted, numbers exact. */
    encodes("{b=1, a={1,2.0,'x'}}", "{\"a\": [1, 2.0, \"x\"], \"b\": 1}");
    encodes("{n=9007199254740993, m=math.mininteger}",
            "{\"m\": -9223372036854775808, \"n\": 9007199254740993}");
    encodes("{}", "{}");
    encodes("{{}, json.array{}}", "[{}, []]");
    encodes("json.null", "null");
    encodes("nil", "null");
    encodes("'a\\n\"'", "\"a\\n\\\"\"");
    encodes("true", "true");
    /* Options: compact, ASCII, indented. */
    encodes("{a={1,2}}, {spaced=false}", "{\"a\":[1,2]}");
    encodes("'\xc3\xa9', {ascii=true}", "\"\\u00e9\"");
    encodes("'\xc3\xa9'", "\"\xc3\xa9\"");
    encodes("{a={1,{x='{:,\\\\\"'}}, b={}, c=json.array{}}, {indent=2}",
            "{\n  \"a\": [\n    1,\n    {\n      \"x\": \"{:,\\\\\\\"\"\n    }\n  ],\n  \"b\": "
            "{},\n  \"c\": []\n}");
    encodes("{1}, {indent='\\t'}", "[\n\t1\n]");
    encodes("{1}, {indent=0}", "[\n1\n]");
    encodes("1, {}", "1");
    raises("json.encode(1, {indnt=2})",
           "chunk:1: json.encode: no option 'indnt'; there are indent, spaced and ascii");
    raises("json.encode(1, {indent=true})",
           "chunk:1: json.encode: indent is a number or a string, not a boolean");
    raises("json.encode(1, {indent=99})", "chunk:1: json.encode: indent is at most 16");
    raises("json.encode(1, {indent='x'})",
           "chunk:1: json.encode: indent is at most 16 spaces or tabs");
    raises("json.encode(1, {spaced=1})",
           "chunk:1: json.encode: spaced is true or false, not a number");
    raises("json.encode()", "chunk:1: bad argument #1 to 'encode' (value expected)");
    /* What JSON cannot say is an error at the caller's line, naming the field. */
    raises("json.encode{a={b=0/0}}", "chunk:1: value.a.b: NaN has no JSON form");
    raises("json.encode{a={1,'\\xff'}}", "chunk:1: value.a[2]: not valid UTF-8");
    raises("json.encode{cb=print}", "chunk:1: value.cb: a function cannot be encoded");
    raises("json.encode{1,a=2}", "chunk:1: value: mixed keys ('a' and 1)");

    /* Read exactly: integers, floats, null, [] and {}. */
    holds("math.type(json.decode('1')) == 'integer' and math.type(json.decode('1.0')) == 'float'");
    holds("json.decode('[9007199254740993]')[1] == 9007199254740993");
    holds("json.decode('null') == json.null and json.decode('{\"a\": null}').a == json.null");
    holds("json.encode(json.decode('{\"a\": [], \"b\": {}}')) == '{\"a\": [], \"b\": {}}'");
    holds("json.decode('{\"a\": {\"b\": [1, {\"c\": true}]}}').a.b[2].c == true");
    holds("json.decode(json.encode(('x'):rep(1e6))) == ('x'):rep(1e6)");
    /* More values than a message off the wire may have. */
    holds("#json.decode('[' .. ('1,'):rep(200000) .. '1]') == 200001");
    /* What is no JSON is nil and where. */
    holds("select('#', json.decode('[1,]')) == 2 and json.decode('[1,]') == nil");
    holds("select(2, json.decode('[1,]')):find('at byte 3') ~= nil");
    holds("select(2, json.decode('')):find('at byte 0') ~= nil");
    holds("json.decode('NaN') == nil and json.decode('[1] x') == nil");
    holds("json.decode(('['):rep(65)) == nil");
    raises("json.decode()", "chunk:1: bad argument #1 to 'decode' (string expected, got no value)");

    /* array marks the table it is given, or a new one. */
    holds("(function() local t = {} return json.array(t) == t end)()");
    holds("json.encode(json.array()) == '[]' and json.encode(json.array(json.array{1})) == '[1]'");
    raises("json.array(setmetatable({}, {}))",
           "chunk:1: json.array: the table has a metatable of its own");
    raises("json.array(1)", "chunk:1: bad argument #1 to 'array' (table expected, got number)");

    /* get: nil where anything is missing or null; false is a value. */
    holds("json.get({a={b=3}}, 'a', 'b') == 3");
    holds("json.get({a={5,6}}, 'a', 2) == 6");
    holds("json.get({a=json.null}, 'a') == nil and json.get({a=json.null}, 'a', 'b') == nil");
    holds("json.get({}, 'a', 'b') == nil and json.get({a=1}, 'a', 'b') == nil");
    holds("json.get({a=false}, 'a') == false and json.get(nil, 'a') == nil");
    holds("json.get(json.null) == nil and json.get(7) == 7 and json.get({}, nil) == nil");

    /* json.null is the null of cjson, which agrees where it is exact. */
    if (luaL_dostring(L, "return (require 'cjson')") == LUA_OK) {
        lua_setglobal(L, "cjson");
        holds("json.null == cjson.null");
        holds("cjson.decode(json.encode{a={1,2,{b='x'}}}).a[3].b == 'x'");
    }
    lua_close(L);
    return 0;
}
