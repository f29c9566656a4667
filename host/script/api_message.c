/*
 * api_message.c -- actor.message: the fields of a type, read from a table, and the
 * type as a Lua value.
 *
 *     local Ping = actor.message("Ping", { count = "integer", note = "string?" })
 *     local Move = actor.message("Move", {        -- as a list: written in this order
 *       { "pos",  { { "x", "number" }, { "y", "number" } } },
 *       { "via",  { "[]?", x = "number", y = "number" } },
 *       { "tags", "string[]?" },
 *     })
 *     ref:send(Ping{ count = 1 })
 *
 * A message of a declared type is the table that was given, with a metatable by
 * which sends know it; it is checked once more when it is sent.
 */
#include "script/declared.h"

#include "message/json.h"
#include "script/api.h"
#include "script/pack_lua.h"
#include "script/scratch.h"
#include "script/staging.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

/* Their addresses are keys of the registry, and of the metatables of messages. */
static const char metatable_key; /* of types */
static const char declared_key;  /* -> struct declared */

struct message_type {
    const char      *mark; /* &metatable_key */
    struct declared *declared;
};

/* ---- Reading a declaration ---------------------------------------------- */

/* A table of fields being read, and its member under way. */
struct place {
    const struct place *above; /* NULL: the message itself */
    const char         *name;  /* of the member; NULL: none yet */
    int                 depth;
};

struct reading {
    lua_State         *L;
    const char        *what; /* whose errors are told: "actor.message" */
    const char        *type;
    struct shape_draft draft;
};

static size_t add_path(const struct place *place, char *text, size_t size, size_t room)
{
    if (place == NULL)
        return size;
    size = add_path(place->above, text, size, room);
    if (place->name != NULL && size < room)
        size += (size_t)snprintf(text + size, room - size, ".%.40s", place->name);
    return size;
}

static _Noreturn void PRINTF_LIKE(3, 4)
    refuse(struct reading *reading, const struct place *place, const char *format, ...)
{
    char why[240], path[200] = "";
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why, sizeof why, format, arguments);
    va_end(arguments);
    add_path(place, path, 0, sizeof path);
    luaL_error(reading->L, "%s: %s%s: %s", reading->what, reading->type, path, why);
    UNREACHABLE();
}

static const char *check_name(struct reading *reading, const struct place *place, int index,
                              size_t *size)
{
    const char *name = lua_tolstring(reading->L, index, size);
    if (*size == 0 || *size > SHAPE_NAME_LIMIT || !json_is_printable(name, *size))
        refuse(reading, place, "a field's name is printable text of 1 to %d bytes",
               SHAPE_NAME_LIMIT);
    return name;
}

static unsigned read_table(struct reading *reading, const struct place *above, int index,
                           int from, int *first);

/* The type of field number `field` is the value at the stack's top. */
static void read_field(struct reading *reading, struct place *place, int field, size_t name_size)
{
    lua_State        *L = reading->L;
    int               index = lua_gettop(L);
    struct shape_type type = { 0 };
    size_t            size;
    char              why[160];

    if (lua_type(L, index) == LUA_TSTRING) {
        const char *text = lua_tolstring(L, index, &size);
        if (!shape_parse_type(text, size, &type, why, sizeof why))
            refuse(reading, place, "%s", why);
        if (shape_draft_field(&reading->draft, field, place->name, name_size, type) != 0)
            refuse(reading, place, "not enough memory");
        return;
    }
    if (!lua_istable(L, index))
        refuse(reading, place, "a type is a text such as \"integer\" or a table of fields, not a %s",
               luaL_typename(L, index));

    type.kind = SHAPE_FIELDS;
    int from = 1;
    if (lua_rawgeti(L, index, 1) == LUA_TSTRING) {
        const char *text = lua_tolstring(L, -1, &size);
        if (!shape_parse_suffix(text, size, &type, why, sizeof why))
            refuse(reading, place, "%s", why);
        from = 2;
    }
    lua_pop(L, 1);
    if (shape_draft_field(&reading->draft, field, place->name, name_size, type) != 0)
        refuse(reading, place, "not enough memory");
    int first;
    unsigned count = read_table(reading, place, index, from, &first);
    shape_draft_nest(&reading->draft, field, first, count);
}

/* { { "x", "number" }, { "y", "number" } }, its elements from `from` on. */
static void read_list(struct reading *reading, struct place *place, int index, int from,
                      unsigned count, int first)
{
    lua_State *L = reading->L;
    for (unsigned i = 0; i < count; i++) {
        place->name = NULL;
        lua_rawgeti(L, index, from + (lua_Integer)i);
        if (!lua_istable(L, -1) || lua_rawlen(L, -1) != 2 ||
            lua_rawgeti(L, -1, 1) != LUA_TSTRING)
            refuse(reading, place, "element %d of a list is {name, type}", from + (int)i);
        size_t size;
        place->name = check_name(reading, place, -1, &size);
        lua_rawgeti(L, -2, 2);
        read_field(reading, place, first + (int)i, size);
        lua_pop(L, 3);
    }
}

/* { x = "number", y = "number" } */
static void read_map(struct reading *reading, struct place *place, int index, int first)
{
    lua_State *L = reading->L;
    lua_pushnil(L);
    while (lua_next(L, index)) {
        if (lua_type(L, -2) == LUA_TSTRING) {
            size_t size;
            place->name = NULL;
            place->name = check_name(reading, place, -2, &size);
            read_field(reading, place, first++, size);
        }
        lua_pop(L, 1);
    }
}

/* Reads the fields in the table at `index`, without its elements before `from`.
 * Returns how many they are; *first is the number of the first. */
static unsigned read_table(struct reading *reading, const struct place *above, int index,
                           int from, int *first)
{
    lua_State   *L = reading->L;
    struct place place = { .above = above, .depth = above != NULL ? above->depth + 1 : 1 };
    unsigned     named = 0, listed = 0;
    luaL_checkstack(L, 12, "too many values to declare a message");
    if (place.depth > SHAPE_DEPTH_LIMIT)
        refuse(reading, above, "tables in tables have at most %d levels", SHAPE_DEPTH_LIMIT);
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        if (lua_type(L, -2) == LUA_TSTRING)
            named++;
        else if (!lua_isinteger(L, -2))
            refuse(reading, above, "fields have names, and this has a %s for a key",
                   luaL_typename(L, -2));
        else if (lua_tointeger(L, -2) < 1 || lua_tointeger(L, -2) >= from)
            listed++;
    }
    if (named > 0 && listed > 0)
        refuse(reading, above, "fields are a list of {name, type} or name = type, not both");

    unsigned count = named + listed;
    *first = shape_draft_table(&reading->draft, count);
    if (*first == -E2BIG)
        refuse(reading, above, "more than %d fields in a table, or %d in all", SHAPE_TABLE_LIMIT,
               SHAPE_FIELD_LIMIT);
    if (*first < 0)
        refuse(reading, above, "not enough memory");
    if (listed > 0)
        read_list(reading, &place, index, from, count, *first);
    else
        read_map(reading, &place, index, *first);
    char twice[64];
    shape_draft_close(&reading->draft, *first, count, listed == 0, twice);
    if (twice[0] != '\0')
        refuse(reading, above, "two fields are called '%s'", twice);
    return count;
}

/* The name of a type at `index`. */
static type_id check_type_name(lua_State *L, int index, const char *what)
{
    if (lua_type(L, index) != LUA_TSTRING)
        luaL_error(L, "%s: a message's type is a string, not a %s", what, luaL_typename(L, index));
    size_t      size;
    const char *name = lua_tolstring(L, index, &size);
    if (type_is_reserved(name, size))
        luaL_error(L, "%s: only the host itself sends %s", what, name);
    type_id type = type_intern(name, size);
    if (type == TYPE_NONE)
        luaL_error(L, "%s: '%s' cannot be a message's type", what, name);
    if (type_alike(type) < TYPE_BUILT_IN_COUNT)
        luaL_error(L, "%s: %s is built in", what, name);
    return type;
}

/* The fields of reading->type, in the table at `index`; returns how many they are. */
static unsigned read_fields(struct reading *reading, int index)
{
    int first;
    if (!lua_istable(reading->L, index))
        luaL_error(reading->L, "%s: %s: a table of fields is expected, not a %s", reading->what,
                   reading->type, luaL_typename(reading->L, index));
    shape_draft_begin(&reading->draft, scratch_take(SCRATCH_FIELDS), scratch_take(SCRATCH_NAMES));
    return read_table(reading, NULL, index, 1, &first);
}

int api_check_message(lua_State *L)
{
    lua_settop(L, 2);
    check_type_name(L, 1, "actor.message");
    luaL_checktype(L, 2, LUA_TTABLE);
    struct reading reading = { .L = L, .what = "actor.message", .type = lua_tostring(L, 1) };
    read_fields(&reading, 2);
    return 0;
}

/* ---- Types that a spawner gives ------------------------------------------ */

static void refuse_twice(lua_State *L, const char *what, const struct bytes *types, type_id type)
{
    const struct declared_given *other = declared_given_alike(types->data, types->size, type);
    if (other != NULL)
        luaL_error(L, "%s: %s and %s are the same type", what, type_name(type),
                   type_name(other->type));
}

const uint8_t *declared_read_types(lua_State *L, int index, const char *what, size_t *size)
{
    luaL_checkstack(L, 8, "too many values to read types");
    index = lua_absindex(L, index);
    struct bytes *types = scratch_take(SCRATCH_TYPES);
    unsigned      count = 0;
    for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
        int            value = lua_gettop(L);
        type_id        type = check_type_name(L, value - 1, what);
        struct reading reading = { .L = L, .what = what, .type = lua_tostring(L, value - 1) };
        refuse_twice(L, what, types, type);
        struct shape  *shape = shape_new(&reading.draft, read_fields(&reading, value));
        if (shape != NULL)
            declared_put_given(types, type, shape);
        shape_free(shape);
        if (shape == NULL || types->failed)
            luaL_error(L, "%s: not enough memory", what);
        if (++count > DECLARED_LIMIT)
            luaL_error(L, "%s: more than %d types", what, DECLARED_LIMIT);
    }
    *size = types->size;
    void *copy = lua_newuserdatauv(L, types->size, 0);
    if (types->size > 0)
        memcpy(copy, types->data, types->size);
    return copy;
}

/* ---- Types and their messages as values --------------------------------- */

static struct message_type *type_at(lua_State *L, int index)
{
    if (lua_type(L, index) != LUA_TUSERDATA ||
        lua_rawlen(L, index) != sizeof(struct message_type))
        return NULL;
    struct message_type *type = lua_touserdata(L, index);
    return type->mark == &metatable_key ? type : NULL;
}

struct declared *declared_at(lua_State *L, int index, bool *is_value)
{
    *is_value = false;
    struct message_type *type = type_at(L, index);
    if (type != NULL)
        return type->declared;
    if (lua_type(L, index) != LUA_TTABLE || !lua_getmetatable(L, index))
        return NULL;
    lua_rawgetp(L, -1, &declared_key);
    struct declared *declared = lua_touserdata(L, -1);
    lua_pop(L, 2);
    *is_value = declared != NULL;
    return declared;
}

type_id declared_spread(lua_State *L, int index)
{
    bool is_value;
    const struct declared *declared = declared_at(L, index, &is_value);
    if (declared == NULL)
        return TYPE_NONE;
    lua_pushstring(L, type_name(declared->type));
    if (is_value)
        lua_insert(L, index);
    else
        lua_replace(L, index);
    return declared->type;
}

/* Replaces the table at index 2 by a copy that has no metatable. */
static void copy_fields(lua_State *L)
{
    lua_newtable(L);
    lua_pushnil(L);
    while (lua_next(L, 2)) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, 3);
    }
    lua_replace(L, 2);
}

/* Ping(fields) -> the table, checked, and known as a message of that type. */
static int type_call(lua_State *L)
{
    struct message_type *type = type_at(L, 1);
    struct declared *declared = type->declared;
    bool is_value;
    lua_settop(L, 2);
    if (lua_isnil(L, 2)) {
        lua_newtable(L);
        lua_replace(L, 2);
    }
    if (!lua_istable(L, 2))
        return luaL_error(L, "%s: a message is a table with string keys, not a %s",
                          type_name(declared->type), luaL_typename(L, 2));
    size_t size;
    const uint8_t *packed = pack_lua_message(L, 2, &size);
    declared_fit_sent(L, script_of(L), declared->type, packed, &size);

    if (declared_at(L, 2, &is_value) == declared)
        return 1;
    if (lua_getmetatable(L, 2)) {
        lua_pop(L, 1);
        copy_fields(L);
    }
    lua_getiuservalue(L, 1, 1);
    lua_setmetatable(L, 2);
    return 1;
}

/* tostring(Ping) -> its name. */
static int type_tostring(lua_State *L)
{
    lua_pushstring(L, type_name(type_at(L, 1)->declared->type));
    return 1;
}

static void push_metatable(lua_State *L)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &metatable_key) == LUA_TTABLE)
        return;
    lua_pop(L, 1);
    lua_createtable(L, 0, 4);
    lua_pushliteral(L, "message type");
    lua_setfield(L, -2, "__name");
    lua_pushliteral(L, "message type");
    lua_setfield(L, -2, "__metatable");
    lua_pushcfunction(L, type_call);
    lua_setfield(L, -2, "__call");
    lua_pushcfunction(L, type_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &metatable_key);
}

/* Pushes the type as a value, without a declaration as yet. */
static struct message_type *push_type(lua_State *L, const char *name)
{
    struct message_type *type = lua_newuserdatauv(L, sizeof *type, 1);
    *type = (struct message_type){ .mark = &metatable_key };
    lua_createtable(L, 0, 3); /* the metatable of its messages */
    lua_pushstring(L, name);
    lua_setfield(L, -2, "__name");
    lua_pushstring(L, name);
    lua_setfield(L, -2, "__metatable");
    lua_setiuservalue(L, -2, 1);
    push_metatable(L);
    return type;
}

/* Whether the script may say again what its spawner has given: in another order of its
 * fields, which then is that on the wire, or another spelling. */
static bool may_replace(const struct script *script, const struct declared *declared,
                        type_id type, const struct shape *shape)
{
    return declared_in(script->given, type) == declared && shape_alike(declared->shape, shape) &&
           (declared->type != type || !shape_equal(declared->shape, shape));
}

/* Finds or makes what this version of the script declares; takes the shape. Raises. */
static struct declared *declare(lua_State *L, struct script *script, type_id type,
                                struct shape *shape)
{
    struct declared *declared = declared_find(script, type);
    if (declared != NULL && !may_replace(script, declared, type, shape)) {
        bool equal = shape_equal(declared->shape, shape);
        bool given = declared_in(script->given, type) == declared;
        shape_free(shape);
        if (declared->type != type && !given)
            luaL_error(L, "actor.message: %s is declared already, as %s", type_name(type),
                       type_name(declared->type));
        if (!equal)
            luaL_error(L, "actor.message: %s is declared already%s, with other fields",
                       type_name(type), given ? " by who spawns this" : "");
        return declared;
    }
    struct declared *before = staging_declared(script, type);
    bool same = before != NULL && before->type == type && shape_equal(before->shape, shape);
    int  error = same ? declared_share(&script->declared, before)
                      : declared_add(&script->declared, type, shape, &declared);
    if (error != 0 || same)
        shape_free(shape);
    if (error == -EAGAIN)
        luaL_error(L, "actor.message: more than %d types", DECLARED_LIMIT);
    if (error != 0)
        luaL_error(L, "actor.message: not enough memory");
    return same ? before : declared;
}

/* actor.message(name, fields) -> the type. */
int api_message(lua_State *L)
{
    struct script *script = script_of(L);
    lua_settop(L, 2);
    type_id        type = check_type_name(L, 1, "actor.message");
    struct reading reading = { .L = L, .what = "actor.message", .type = lua_tostring(L, 1) };
    unsigned       count = read_fields(&reading, 2);

    /* What may raise comes first; the shape has an owner before anything does again. */
    struct message_type *value = push_type(L, reading.type);
    struct shape        *shape = shape_new(&reading.draft, count);
    if (shape == NULL)
        return luaL_error(L, "actor.message: not enough memory");
    value->declared = declare(L, script, type, shape);
    lua_setmetatable(L, -2); /* complete: from here on it can be called */
    lua_getiuservalue(L, -1, 1);
    lua_pushlightuserdata(L, value->declared);
    lua_rawsetp(L, -2, &declared_key);
    lua_pop(L, 1);
    return 1;
}
