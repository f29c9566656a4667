/*
 * pack_lua.c -- see pack_lua.h.
 *
 * The hottest path of a host: each message is packed once, and pushed once (unpack_lua.c). So
 * a table is read in one pass, taken for what its first key says it is; what
 * is rare or wrong is sorted out when it shows, from the start of that table.
 * Cycles cost nothing to look for: only a table too deep can be part of one.
 */
#include "script/pack_lua.h"

#include "message/pack.h"
#include "script/identifier.h"
#include "script/ref.h"
#include "script/scratch.h"
#include "script/stream_handle.h"

#include <inttypes.h>
#include <lauxlib.h>
#include <stdarg.h>
#include <stdio.h>

/* Its address is a key of the registry. */
static const char array_metatable_key;

/* Stack slots that one container needs: key, value, and what a refusal pushes.
 * Those of the root are the caller's. */
#define LEVEL_SLOTS 8

/* A container being packed, and its member under way. */
struct level {
    const struct level *above; /* NULL: the root */
    int                 depth; /* of the root: 1 */
    int                 table; /* stack index of the container */
    int                 key;   /* stack index of the member's key; 0: it is `position` */
    lua_Integer         position;
};

struct packing {
    lua_State    *L;
    struct bytes *out;
    const char   *root;
    const char   *verb; /* what cannot be done with a value that is refused */
};

/* ---- Refusing ---------------------------------------------------------- */

/* A text that is cut, with "...", where it does not fit. */
struct line {
    char   text[200];
    size_t size;
    bool   cut;
};

static void PRINTF_LIKE(2, 3) line_add(struct line *line, const char *format, ...)
{
    if (line->cut)
        return;
    size_t  room = sizeof line->text - 4 - line->size;
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(line->text + line->size, room, format, arguments);
    va_end(arguments);
    if (size >= 0 && (size_t)size < room) {
        line->size += (size_t)size;
        return;
    }
    line->cut = true;
    memcpy(line->text + line->size, "...", 4);
}

/* Adds the path to `level`'s member: msg.list[3]["a b"] */
static void add_path(struct packing *p, const struct level *level, struct line *line)
{
    if (level == NULL) {
        line_add(line, "%s", p->root);
        return;
    }
    add_path(p, level->above, line);
    if (level->key == 0) {
        line_add(line, "[%" PRId64 "]", (int64_t)level->position);
    } else if (lua_type(p->L, level->key) == LUA_TSTRING) {
        size_t size;
        const char *text = lua_tolstring(p->L, level->key, &size);
        if (is_identifier(text, size))
            line_add(line, ".%s", text);
        else
            line_add(line, "[\"%.40s\"]", text);
    } else {
        line_add(line, "[%" PRId64 "]", (int64_t)lua_tointeger(p->L, level->key));
    }
}

/* Raises "msg.path: why" for `level`'s member (NULL: for the root). */
static _Noreturn void PRINTF_LIKE(3, 4)
    refuse(struct packing *p, const struct level *level, const char *format, ...)
{
    char why[160];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, sizeof why, format, arguments);
    va_end(arguments);

    struct line path = { .size = 0 };
    add_path(p, level, &path);
    luaL_error(p->L, "%s: %s", path.text, why);
    UNREACHABLE();
}

static _Noreturn void refuse_type(struct packing *p, int index, const struct level *at)
{
    int type = lua_type(p->L, index);
    if (type == LUA_TTHREAD)
        refuse(p, at, "a coroutine cannot be %s", p->verb);
    if (type == LUA_TUSERDATA && luaL_getmetafield(p->L, index, "__name") == LUA_TSTRING)
        refuse(p, at, "a userdata (%.60s) cannot be %s", lua_tostring(p->L, -1), p->verb);
    refuse(p, at, "a %s cannot be %s", lua_typename(p->L, type), p->verb);
}

/* The buffer has failed: the payload is too large, or there is no memory.
 * `more` is what was to be appended. */
static _Noreturn void refuse_size(struct packing *p, size_t more)
{
    if (more > p->out->limit - p->out->size)
        refuse(p, NULL, "larger than %u MiB", PACK_LUA_LIMIT / (1024 * 1024));
    refuse(p, NULL, "not enough memory for it");
}

/* The table at `index`, member of `at`, is one level too deep: because it
 * contains itself, or because there really are so many. */
static _Noreturn void refuse_depth(struct packing *p, int index, const struct level *at)
{
    const struct level *levels[PACK_DEPTH_LIMIT + 1] = { NULL };
    const void         *tables[PACK_DEPTH_LIMIT + 1];
    for (const struct level *level = at; level != NULL; level = level->above) {
        levels[level->depth - 1] = level;
        tables[level->depth - 1] = lua_topointer(p->L, level->table);
    }
    tables[PACK_DEPTH_LIMIT] = lua_topointer(p->L, index);

    for (int inner = 1; inner <= PACK_DEPTH_LIMIT; inner++)
        for (int outer = 0; outer < inner; outer++)
            if (tables[outer] == tables[inner])
                refuse(p, levels[inner - 1], "cycle");
    refuse(p, at, "deeper than %d levels", PACK_DEPTH_LIMIT);
}

/* ---- Packing ----------------------------------------------------------- */

static void pack_value(struct packing *p, int index, const struct level *at);

static inline void pack_text(struct packing *p, const char *text, size_t size)
{
    /* Small things find out at the end of their container. */
    if (UNLIKELY(size >= 128 && size + 5 > p->out->limit - p->out->size))
        refuse_size(p, size + 5);
    pack_put_string(p->out, text, size);
}

/* Writes a table's key as a refusal names it. */
static void describe_key(lua_State *L, int index, char *text, size_t room)
{
    switch (lua_type(L, index)) {
    case LUA_TSTRING:
        snprintf(text, room, "'%.40s'", lua_tostring(L, index));
        break;
    case LUA_TNUMBER:
        if (lua_isinteger(L, index))
            snprintf(text, room, "%" PRId64, (int64_t)lua_tointeger(L, index));
        else
            snprintf(text, room, "%.14g", lua_tonumber(L, index));
        break;
    case LUA_TBOOLEAN:
        snprintf(text, room, "%s", lua_toboolean(L, index) ? "true" : "false");
        break;
    default:
        snprintf(text, room, "(a %s)", luaL_typename(L, index));
        break;
    }
}

/* The count n if the keys of the table at `index`, member of `at`, are exactly
 * 1..n; refuses it otherwise. `marked`: it is of the json.array kind. */
static lua_Integer count_array(struct packing *p, int index, const struct level *at, bool marked)
{
    lua_State  *L = p->L;
    char        string_key[48] = "", number_key[48] = "", other_key[48] = "";
    lua_Integer count = 0, largest = 0;

    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        if (lua_type(L, -2) == LUA_TSTRING) {
            if (*string_key == '\0')
                describe_key(L, -2, string_key, sizeof string_key);
        } else if (lua_isinteger(L, -2) && lua_tointeger(L, -2) >= 1) {
            if (*number_key == '\0')
                describe_key(L, -2, number_key, sizeof number_key);
            count++;
            if (lua_tointeger(L, -2) > largest)
                largest = lua_tointeger(L, -2);
        } else if (*other_key == '\0') {
            describe_key(L, -2, other_key, sizeof other_key);
        }
    }
    if (*other_key != '\0')
        refuse(p, at, "the key %s is neither a string nor one of 1, 2, 3...", other_key);
    if (*string_key != '\0' && *number_key != '\0')
        refuse(p, at, "mixed keys (%s and %s)", string_key, number_key);
    if (*string_key != '\0' && marked)
        refuse(p, at, "an array (json.array) with the key %s", string_key);
    if (count == largest)
        return count;

    lua_Integer hole = 1;
    while (lua_rawgeti(L, index, hole) != LUA_TNIL) {
        lua_pop(L, 1);
        hole++;
    }
    refuse(p, at, "a hole at [%" PRId64 "] (the last is [%" PRId64 "])", (int64_t)hole,
           (int64_t)largest);
}

/* Packs an array whose keys do not come in order, which is how a table holds
 * elements that were not appended: by position, from an empty container. */
static uint32_t pack_by_position(struct packing *p, struct level *here, bool marked)
{
    lua_State  *L = p->L;
    int         slot = here->key;
    lua_Integer count = count_array(p, here->table, here->above, marked);

    here->key = 0;
    for (here->position = 1; here->position <= count; here->position++) {
        lua_rawgeti(L, here->table, here->position);
        pack_value(p, slot, here);
        lua_settop(L, slot - 1);
    }
    return (uint32_t)count;
}

/* Packs a table whose first key (on the stack, with its value) is no string,
 * or that is marked; returns the number of its elements. */
static uint32_t pack_array(struct packing *p, struct level *here, size_t start, bool marked)
{
    lua_State *L = p->L;
    uint32_t   count = 0;

    do {
        count++;
        if (UNLIKELY(!lua_isinteger(L, here->key) || lua_tointeger(L, here->key) != count)) {
            lua_settop(L, here->key - 1);
            p->out->size = start;
            return pack_by_position(p, here, marked);
        }
        pack_value(p, here->key + 1, here);
        lua_settop(L, here->key);
    } while (lua_next(L, here->table));
    return count;
}

/* Packs a table whose first key, on the stack with its value, is a string. */
static uint32_t pack_map(struct packing *p, struct level *here)
{
    lua_State *L = p->L;
    uint32_t   count = 0;

    do {
        if (UNLIKELY(lua_type(L, here->key) != LUA_TSTRING))
            count_array(p, here->table, here->above, false); /* refuses it */
        size_t size;
        const char *text = lua_tolstring(L, here->key, &size);
        pack_text(p, text, size);
        pack_value(p, here->key + 1, here);
        lua_settop(L, here->key);
        count++;
    } while (lua_next(L, here->table));
    return count;
}

/* The table at `index` has a metatable (on top; popped): that of arrays? */
static bool pop_is_array_metatable(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &array_metatable_key);
    bool equal = lua_rawequal(L, -1, -2) != 0;
    lua_pop(L, 2);
    return equal;
}

/* `top` is the highest stack index in use, `index` included. */
static void pack_table(struct packing *p, int index, int top, const struct level *at)
{
    lua_State   *L = p->L;
    struct level here = { .above = at, .table = index, .key = top + 1 };
    here.depth = at != NULL ? at->depth + 1 : 1;
    if (UNLIKELY(here.depth > PACK_DEPTH_LIMIT))
        refuse_depth(p, index, at);
    if (at != NULL && UNLIKELY(!lua_checkstack(L, LEVEL_SLOTS)))
        refuse(p, at, "the Lua stack has no room left for it");

    bool   marked = lua_getmetatable(L, index) && pop_is_array_metatable(L);
    size_t head = pack_open(p->out, marked ? PACK_MARKED_ARRAY : PACK_MAP);
    size_t start = p->out->size;

    lua_pushnil(L);
    if (!lua_next(L, index))
        return; /* an empty map, or `[]` */

    uint32_t count;
    if (LIKELY(!marked && lua_type(L, here.key) == LUA_TSTRING)) {
        count = pack_map(p, &here);
    } else {
        if (!marked)
            pack_retag(p->out, head, PACK_ARRAY);
        count = pack_array(p, &here, start, marked);
    }
    if (UNLIKELY(p->out->failed))
        refuse_size(p, 16);
    pack_close(p->out, head, count);
}

static void pack_userdata(struct packing *p, int index, const struct level *at)
{
    actor_id        id;
    struct address *address;
    stream_id       stream;
    char            text[REF_TEXT_ROOM];
    if (stream_get(p->L, index, &stream)) {
        pack_put_stream(p->out, stream);
    } else if (!ref_get(p->L, index, &id, &address)) {
        if (!lua_islightuserdata(p->L, index))
            refuse_type(p, index, at);
        pack_put_null(p->out);
    } else if (address == NULL) {
        pack_put_actor(p->out, id);
    } else {
        pack_put_address(p->out, text, ref_address_text(address, text, sizeof text));
    }
}

/* Packs the value at `index`, the top of the stack, a member of `at`. */
static void pack_value(struct packing *p, int index, const struct level *at)
{
    lua_State *L = p->L;
    switch (lua_type(L, index)) {
    case LUA_TNUMBER:
        if (lua_isinteger(L, index))
            pack_put_integer(p->out, lua_tointeger(L, index));
        else
            pack_put_double(p->out, lua_tonumber(L, index));
        break;
    case LUA_TSTRING: {
        size_t size;
        const char *text = lua_tolstring(L, index, &size);
        pack_text(p, text, size);
        break;
    }
    case LUA_TBOOLEAN:
        pack_put_boolean(p->out, lua_toboolean(L, index));
        break;
    case LUA_TTABLE:
        pack_table(p, index, index, at);
        break;
    case LUA_TLIGHTUSERDATA:
    case LUA_TUSERDATA:
        pack_userdata(p, index, at);
        break;
    default:
        refuse_type(p, index, at);
    }
}

const uint8_t *pack_lua_message(lua_State *L, int index, size_t *size)
{
    struct packing p = { L, scratch_take(SCRATCH_PACK), "msg", "sent" };
    int type = lua_type(L, index);
    if (type == LUA_TTABLE) {
        int top = lua_gettop(L);
        pack_table(&p, index > 0 ? index : top + 1 + index, top, NULL);
        if (UNLIKELY(p.out->failed))
            refuse_size(&p, 16);
        if (UNLIKELY(p.out->data[0] != PACK_MAP))
            refuse(&p, NULL, "a message has string keys, and this is an array");
        /* An empty map is its tag and its count. */
        *size = p.out->size > 5 ? p.out->size : 0;
        return p.out->data;
    }
    if (type > LUA_TNIL)
        refuse(&p, NULL, "a message is a table with string keys, not a %s",
               luaL_typename(L, index));
    *size = 0;
    return (const uint8_t *)"";
}

const uint8_t *pack_lua_value(lua_State *L, int index, const char *root, size_t *size)
{
    const char *verb = strcmp(root, "config") == 0 ? "sent" : "encoded";
    struct packing p = { L, scratch_take(SCRATCH_PACK), root, verb };
    int type = lua_type(L, index);
    if (type == LUA_TTABLE)
        pack_table(&p, lua_absindex(L, index), lua_gettop(L), NULL);
    else if (type <= LUA_TNIL)
        pack_put_null(p.out);
    else
        pack_value(&p, index, NULL);
    if (p.out->failed)
        refuse_size(&p, 16);
    *size = p.out->size;
    return p.out->data;
}

/* ---- What marks an array ------------------------------------------------ */

void pack_lua_push_array_metatable(lua_State *L)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &array_metatable_key) == LUA_TTABLE)
        return;
    lua_pop(L, 1);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "json.array");
    lua_setfield(L, -2, "__name");
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &array_metatable_key);
}
