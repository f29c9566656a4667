/*
 * test_pack_lua.c -- what pack_lua.h, ref.h and scratch.h promise.
 */
#include "base/memory.h"
#include "message/pack.h"
#include "script/pack_lua.h"
#include "script/ref.h"
#include "script/scratch.h"

#include <assert.h>
#include <lauxlib.h>
#include <lualib.h>
#include <pthread.h>
#include <stdio.h>

static lua_State *new_state(void)
{
    lua_State *L = luaL_newstate();
    assert(L != NULL);
    luaL_openlibs(L);
    luaL_requiref(L, "json", json_lua_open, 1);
    lua_pop(L, 1);
    return L;
}

/* Runs the chunk and leaves its one result on the stack. */
static void eval(lua_State *L, const char *chunk)
{
    if (luaL_loadbufferx(L, chunk, strlen(chunk), "=chunk", "t") != LUA_OK ||
        lua_pcall(L, 0, 1, 0) != LUA_OK) {
        fprintf(stderr, "%s\n%s\n", chunk, lua_tostring(L, -1));
        abort();
    }
}

/* pack(value): for scripts, packs as a message and throws it away. */
static int pack_in_script(lua_State *L)
{
    size_t size;
    pack_lua_message(L, 1, &size);
    lua_pushinteger(L, (lua_Integer)size);
    return 1;
}

/* Packs what `chunk` returns, pushes it in another state and has `check`
 * (of a variable `v`) hold there. */
static void carries(const char *chunk, const char *check)
{
    lua_State *from = new_state(), *to = new_state();
    size_t size;
    eval(from, chunk);
    const uint8_t *packed = pack_lua_message(from, -1, &size);
    assert(size == 0 || pack_check(packed, size));
    int top = lua_gettop(to);
    pack_lua_push(to, packed, size);
    assert(lua_gettop(to) == top + 1);
    lua_setglobal(to, "v");
    lua_close(from);

    char code[1000];
    snprintf(code, sizeof code, "return %s", check);
    eval(to, code);
    if (!lua_toboolean(to, -1)) {
        fprintf(stderr, "%s does not carry: %s\n", chunk, check);
        abort();
    }
    lua_close(to);
}

/* Packing what `chunk` returns is refused in exactly these words. */
static void refuses(const char *chunk, const char *words)
{
    lua_State *L = new_state();
    lua_register(L, "pack", pack_in_script);
    char code[1000], expected[1000];
    snprintf(code, sizeof code, "local function make() %s end\nlocal v = make()\n\npack(v)", chunk);
    snprintf(expected, sizeof expected, "chunk:4: %s", words);
    assert(luaL_loadbufferx(L, code, strlen(code), "=chunk", "t") == LUA_OK);
    int status = lua_pcall(L, 0, 0, 0);
    if (status != LUA_ERRRUN || strcmp(lua_tostring(L, -1), expected) != 0) {
        fprintf(stderr, "%s\n  said     %s\n  expected %s\n", chunk,
                status == LUA_OK ? "nothing" : lua_tostring(L, -1), expected);
        abort();
    }
    lua_close(L);
}

static void test_values(void)
{
    /* Integers are exact at every width, and floats stay floats. */
    carries("return {a=0, b=63, c=64, d=-1, e=-128, f=-129, g=math.maxinteger, h=math.mininteger}",
            "v.a==0 and v.b==63 and v.c==64 and v.d==-1 and v.e==-128 and v.f==-129 and "
            "v.g==math.maxinteger and v.h==math.mininteger and math.type(v.g)=='integer'");
    carries("return {a=1.0, b=0.1, c=-0.0, d=1/0, e=0/0}",
            "math.type(v.a)=='float' and v.b==0.1 and 1/v.c==-1/0 and v.d==1/0 and v.e~=v.e");
    /* Strings are bytes, of any length. */
    carries(
        "return {a='', b='x\\0y', c=('z'):rep(127), d=('z'):rep(128), e=('z'):rep(1e6)}",
        "v.a=='' and v.b=='x\\0y' and v.c==('z'):rep(127) and v.d==('z'):rep(128) and #v.e==1e6");
    carries("return {[('k'):rep(300)]=1, ['']=2}", "v[('k'):rep(300)]==1 and v['']==2");
    /* Booleans and json.null. */
    carries("return {a=true, b=false, c=json.null}", "v.a==true and v.b==false and v.c==json.null");
    /* nil and the empty table both arrive as {}. */
    carries("return nil", "type(v)=='table' and next(v)==nil");
    carries("return {}", "type(v)=='table' and next(v)==nil");
    /* Metatables are dropped, and their metamethods are not called. */
    carries("return setmetatable({a=1}, {__index=error, __pairs=error, __len=error, __gc=nil})",
            "v.a==1 and getmetatable(v)==nil");
    /* The same table twice is two tables, and no cycle. */
    carries("local t={n=1} return {a=t, b=t, c={t,t}}",
            "v.a.n==1 and v.b.n==1 and v.a~=v.b and v.c[2].n==1");
}

static void test_arrays(void)
{
    carries("return {l={1,2,3}, e={}}", "#v.l==3 and v.l[3]==3 and next(v.e)==nil");
    carries("return {l={{1},{2,{3}}}}", "v.l[2][2][1]==3");
    /* Elements may lie in the hash part of a table, in any order. */
    carries("local t={} for i=40,1,-1 do t[i]=i end return {l=t}",
            "#v.l==40 and v.l[1]==1 and v.l[40]==40");
    carries("local t={1,2} t[4]=4 t[3]=3 t[5]={5} return {l=t}", "#v.l==5 and v.l[5][1]==5");
    carries("local t={[2]={x=2},[1]={y={z=1}}} return {l=t}", "v.l[1].y.z==1 and v.l[2].x==2");
    /* Marked arrays stay marked, empty or not; plain ones stay plain. */
    carries("return {a=json.array{}, b=json.array{1}, c={1}, d={}}",
            "json.encode(v)=='{\"a\": [], \"b\": [1], \"c\": [1], \"d\": {}}'");
}

static void test_refusals(void)
{
    refuses("return 1", "msg: a message is a table with string keys, not a number");
    refuses("return 'x'", "msg: a message is a table with string keys, not a string");
    refuses("return {1,2}", "msg: a message has string keys, and this is an array");
    refuses("return json.array{}", "msg: a message has string keys, and this is an array");
    refuses("return print", "msg: a message is a table with string keys, not a function");
    refuses("return {cb={fn=print}}", "msg.cb.fn: a function cannot be sent");
    refuses("return {list={1,2,function() end}}", "msg.list[3]: a function cannot be sent");
    refuses("return {list={[2]=print,[1]=1}}", "msg.list[2]: a function cannot be sent");
    refuses("return {['a b']={co=coroutine.create(print)}}",
            "msg[\"a b\"].co: a coroutine cannot be sent");
    refuses("return {f=io.stdout}", "msg.f: a userdata (FILE*) cannot be sent");
    refuses("return {list={1,a=2}}", "msg.list: mixed keys ('a' and 1)");
    refuses("return {a=2,[1]=1}", "msg: mixed keys ('a' and 1)");
    refuses("return {l={1,2,nil,4}}", "msg.l: a hole at [3] (the last is [4])");
    refuses("return {l={[1]=1,[1000]=1}}", "msg.l: a hole at [2] (the last is [1000])");
    refuses("return {l={[math.maxinteger]=1}}",
            "msg.l: a hole at [1] (the last is [9223372036854775807])");
    refuses("return {l={[1.5]=1}}", "msg.l: the key 1.5 is neither a string nor one of 1, 2, 3...");
    refuses("return {l={[0]=1}}", "msg.l: the key 0 is neither a string nor one of 1, 2, 3...");
    refuses("return {l={[true]=1}}",
            "msg.l: the key true is neither a string nor one of 1, 2, 3...");
    refuses("return {l={[{}]=1}}",
            "msg.l: the key (a table) is neither a string nor one of 1, 2, 3...");
    refuses("return {l=json.array{a=1}}", "msg.l: an array (json.array) with the key 'a'");
    refuses("return {l=setmetatable({1,a=1}, getmetatable(json.array()))}",
            "msg.l: mixed keys ('a' and 1)");

    /* A cycle is named where it closes, however it is reached. */
    refuses("local t={} t.t=t return t", "msg.t: cycle");
    refuses("local t={a={}} t.a.b=t return t", "msg.a.b: cycle");
    refuses("local t={a={b={1,{}}}} t.a.b[2].x=t.a return t", "msg.a.b[2].x: cycle");
    /* 64 levels may be sent, 65 may not. */
    carries("local t={} local r=t for i=2,64 do t.a={} t=t.a end return r", "v.a.a.a~=nil");
    carries("local t={1} for i=2,63 do t={t} end return {l=t}", "v.l[1][1]~=nil");
    lua_State *L = new_state();
    lua_register(L, "pack", pack_in_script);
    eval(L, "local t={} local r=t for i=2,65 do t.a={} t=t.a end return select(2, pcall(pack, r))");
    assert(strncmp(lua_tostring(L, -1), "msg.a.a.a.a", 11) == 0);
    assert(strstr(lua_tostring(L, -1), ": deeper than 64 levels") != NULL);
    lua_close(L);

    /* No payload is larger than PACK_LUA_LIMIT, whatever makes it so. */
    refuses("return {s=('x'):rep(17<<20)}", "msg: larger than 16 MiB");
    refuses("local t={} for i=1,17 do t[i]=('x'):rep(1<<20) end return {t=t}",
            "msg: larger than 16 MiB");
    refuses("local t={} for i=1,2e6 do t[i]=i+1e10 end return {t=t}", "msg: larger than 16 MiB");
    carries("return {s=('x'):rep((16<<20)-20)}", "#v.s==(16<<20)-20");
    /* And afterwards all is as before. */
    carries("return {a=1}", "v.a==1");
    assert(scratch_take(SCRATCH_PACK)->capacity <= SCRATCH_KEEP);
}

/* At full depth on a stack that is nearly used up: an error, not a crash. */
static int pack_on_full_stack(lua_State *L)
{
    while (lua_checkstack(L, 1000))
        for (int i = 0; i < 990; i++)
            lua_pushboolean(L, true);
    lua_pushvalue(L, 1);
    size_t size;
    pack_lua_message(L, -1, &size);
    return 0;
}

static void test_stack(void)
{
    lua_State *L = new_state();
    lua_pushcfunction(L, pack_on_full_stack);
    eval(L, "local t={} local r=t for i=2,64 do t.a={} t=t.a end return r");
    /* 30 slots a level fit into what is left, or it is refused. */
    int status = lua_pcall(L, 1, 0, 0);
    assert(status == LUA_OK || strstr(lua_tostring(L, -1), "stack") != NULL);
    lua_close(L);

    /* Nothing is left on the stack by packing. */
    L = new_state();
    size_t size;
    eval(L, "return {a={1,{2},x}, b={c={[2]=1,[1]=2}}, d=json.array{1}}");
    int top = lua_gettop(L);
    pack_lua_message(L, -1, &size);
    assert(lua_gettop(L) == top && size > 0);
    lua_close(L);
}

static void test_any_value(void)
{
    lua_State *L = new_state();
    size_t size;
    lua_pushnil(L);
    const uint8_t *packed = pack_lua_value(L, -1, "config", &size);
    assert(size == 1 && packed[0] == PACK_NULL);
    lua_pushinteger(L, 7);
    packed = pack_lua_value(L, -1, "config", &size);
    pack_lua_push(L, packed, size);
    assert(lua_tointeger(L, -1) == 7);
    eval(L, "return {1,2,{}}");
    packed = pack_lua_value(L, -1, "config", &size);
    assert(packed[0] == PACK_ARRAY);
    lua_close(L);
}

static int to_text(lua_State *L)
{
    actor_id id;
    struct address *address;
    char text[REF_TEXT_ROOM];
    assert(ref_get(L, 1, &id, &address));
    if (address != NULL)
        lua_pushlstring(L, text, ref_address_text(address, text, sizeof text));
    else
        lua_pushfstring(L, "actor%d", (int)id);
    return 1;
}

static int push_ref(lua_State *L)
{
    const char *endpoint = luaL_optstring(L, 2, "");
    struct address *address =
        address_new(luaL_checkstring(L, 1), strlen(lua_tostring(L, 1)), endpoint, strlen(endpoint));
    ref_push_address(L, address);
    address_unref(address);
    return 1;
}

static bool needs_close;

static lua_State *new_state_with_refs(void)
{
    lua_State *L = new_state();
    needs_close = false;
    eval(L, "return {name = function(self) return 'I am ' .. tostring(self) end}");
    ref_install(L, to_text, &needs_close);
    lua_register(L, "ref", push_ref);
    lua_register(L, "pack", pack_in_script);
    ref_push_actor(L, 5);
    lua_setglobal(L, "five");
    return L;
}

static void test_refs(void)
{
    size_t used = memory_used();
    lua_State *L = new_state_with_refs();

    /* Refs have their methods, their text, and `..`. */
    eval(L, "return five:name() == 'I am actor5' and 'to ' .. five == 'to actor5' and "
            "five .. five == 'actor5actor5'");
    assert(lua_toboolean(L, -1));
    eval(L, "return tostring(json.null) == 'null'");
    assert(lua_toboolean(L, -1));
    eval(L, "return select(2, pcall(function() return five .. {} end))");
    assert(strcmp(lua_tostring(L, -1), "chunk:1: attempt to concatenate a table value") == 0);

    /* The first address ref says that the state needs lua_close(). */
    assert(!needs_close);
    eval(L, "a = ref('pong', 'tcp://127.0.0.1:5001') return true");
    assert(needs_close);
    /* One ref per text; equal by == and as a key. */
    eval(L, "local b = ref('pong', 'tcp://127.0.0.1:5001') "
            "return a == b and rawequal(a, b) and ({[a]=1})[b] == 1 and a ~= ref('pong')");
    assert(lua_toboolean(L, -1));
    eval(L, "return a:name() == 'I am pong@tcp://127.0.0.1:5001' and tostring(ref('x','node:n')) "
            "== 'x@n'");
    assert(lua_toboolean(L, -1));

    /* What is no ref: json.null, other userdata, other values. */
    actor_id id;
    struct address *address;
    lua_pushlightuserdata(L, NULL);
    assert(!ref_get(L, -1, &id, &address));
    eval(L, "return io.stdout");
    assert(!ref_get(L, -1, &id, &address));
    lua_pushinteger(L, 5);
    assert(!ref_get(L, -1, &id, &address));
    ref_push_actor(L, UINT64_C(0x123456789abcdef0));
    assert(ref_get(L, -1, &id, &address) && id == UINT64_C(0x123456789abcdef0) && address == NULL);
    /* __gc called by hand does no harm. */
    eval(L, "local mt = getmetatable(a) mt.__gc(five) mt.__gc(json.null) mt.__gc(io.stdout) "
            "local c = ref('gone') mt.__gc(c) mt.__gc(c) return pcall(tostring, 1)");

    /* Refs travel in messages. */
    size_t size;
    eval(L, "return {l=five, r=a, n=ref('x','node:n'), s=ref('solo'), f=json.null}");
    const uint8_t *packed = pack_lua_message(L, -1, &size);
    assert(pack_check(packed, size));
    struct pack_item item;
    pack_read(pack_field(packed, "r"), &item);
    assert(item.tag == PACK_ADDRESS && item.size == 25 &&
           memcmp(item.text, "pong@tcp://127.0.0.1:5001", 25) == 0);
    pack_read(pack_field(packed, "l"), &item);
    assert(item.tag == PACK_ACTOR && item.actor == 5);
    pack_lua_push(L, packed, size);
    lua_setglobal(L, "v");
    eval(L, "return v.l == five and v.r == a and v.n == ref('x','node:n') and v.s == ref('solo')");
    assert(lua_toboolean(L, -1));
    /* JSON has their text. */
    eval(L, "return json.encode{five, a}");
    assert(strcmp(lua_tostring(L, -1), "[\"actor5\", \"pong@tcp://127.0.0.1:5001\"]") == 0);
    lua_close(L);

    /* In a state that knows them not yet, they are made. */
    L = new_state_with_refs();
    ref_push_text(L, "x@n", 3);
    assert(ref_get(L, -1, &id, &address) && strcmp(address_name(address), "x") == 0 &&
           strcmp(address_endpoint(address), "node:n") == 0);
    ref_push_text(L, "solo", 4);
    assert(ref_get(L, -1, &id, &address) && *address_endpoint(address) == '\0');
    /* A collected ref is forgotten, and made anew. */
    lua_settop(L, 0);
    lua_gc(L, LUA_GCCOLLECT);
    lua_gc(L, LUA_GCCOLLECT);
    ref_push_text(L, "solo", 4);
    assert(ref_get(L, -1, &id, &address) && strcmp(address_name(address), "solo") == 0);
    lua_close(L);

    /* All addresses were given back. */
    assert(memory_used() - scratch_of_thread[SCRATCH_PACK].capacity -
               scratch_of_thread[SCRATCH_TEXT].capacity <=
           used);
}

/* An allocator that grants so many growths, and no more; -1: all. */
struct scarce {
    long left;
};

static void *scarce_allocate(void *context, void *block, size_t old_size, size_t new_size)
{
    struct scarce *scarce = context;
    if (new_size == 0) {
        free(block);
        return NULL;
    }
    if (block == NULL || new_size > old_size) {
        if (scarce->left == 0)
            return NULL;
        if (scarce->left > 0)
            scarce->left--;
    }
    return realloc(block, new_size);
}

static int push_packed(lua_State *L)
{
    const uint8_t *packed = lua_touserdata(L, 1);
    pack_lua_push(L, packed, (size_t)lua_tointeger(L, 2));
    return 1;
}

/* Without memory, unpacking raises an error and leaks nothing. */
static void test_no_memory(void)
{
    lua_State *from = new_state_with_refs();
    size_t size;
    eval(
        from,
        "return {a={1,2,{x='y'}}, r=ref('far','tcp://h:1'), n=ref('x','node:n'), j=json.array{1}}");
    const uint8_t *packed = pack_lua_message(from, -1, &size);

    int failures = 0, status;
    do {
        struct scarce scarce = {-1};
        lua_State *L = lua_newstate(scarce_allocate, &scarce);
        lua_pushcfunction(L, push_packed);
        lua_pushlightuserdata(L, (void *)(uintptr_t)packed);
        lua_pushinteger(L, (lua_Integer)size);
        scarce.left = failures++;
        status = lua_pcall(L, 2, 1, 0);
        assert(status == LUA_OK || status == LUA_ERRMEM);
        lua_close(L);
    } while (status != LUA_OK);
    assert(failures > 10);
    lua_close(from);
}

static void *pack_on_thread(void *unused)
{
    (void)unused;
    carries("return {a={b=1}, s=('x'):rep(5000)}", "v.a.b==1 and #v.s==5000");
    return NULL;
}

/* A thread's scratch is freed when it ends. */
static void test_thread_end(void)
{
    scratch_take(SCRATCH_PACK);
    size_t used = memory_used();
    pthread_t thread;
    for (int i = 0; i < 3; i++) {
        assert(pthread_create(&thread, NULL, pack_on_thread, NULL) == 0);
        assert(pthread_join(thread, NULL) == 0);
    }
    assert(memory_used() == used);
}

int main(void)
{
    test_values();
    test_arrays();
    test_refusals();
    test_stack();
    test_any_value();
    test_refs();
    test_no_memory();
    test_thread_end();
    return 0;
}
