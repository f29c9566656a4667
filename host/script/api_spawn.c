/*
 * api_spawn.c -- actor.spawn, and the options that a script may set for itself.
 */
#include "script/script.h"

#include "base/suggest.h"
#include "message/pack.h"
#include "script/interleave.h"
#include "script/pack_lua.h"
#include "script/ref.h"
#include "script/sandbox.h"

#include <errno.h>
#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* A mailbox counts its bytes in 40 bits. */
#define MAILBOX_BYTES_LIMIT ((UINT64_C(1) << 40) - 1)
#define MEMORY_LIMIT        (UINT64_C(1) << 46)
#define CHILDREN_MAX        16000000

/* What the readers of single options share. */
struct reading {
    lua_State *L;
    int   index;
    char *why;
    size_t room;
};

static int bad(const struct reading *reading, const char *expected)
{
    lua_State *L = reading->L;
    char found[80];
    switch (lua_type(L, reading->index)) {
    case LUA_TSTRING:
        snprintf(found, sizeof found, "'%.60s'", lua_tostring(L, reading->index));
        break;
    case LUA_TNUMBER:
        snprintf(found, sizeof found, "%.14g", lua_tonumber(L, reading->index));
        break;
    default:
        snprintf(found, sizeof found, "a %s", luaL_typename(L, reading->index));
    }
    snprintf(reading->why, reading->room, "%s, not %s", expected, found);
    return -EINVAL;
}

/* The string at the index, without NULs; or NULL. */
static const char *text_of(const struct reading *reading)
{
    if (lua_type(reading->L, reading->index) != LUA_TSTRING)
        return NULL;
    size_t size;
    const char *text = lua_tolstring(reading->L, reading->index, &size);
    return strlen(text) == size ? text : NULL;
}

static bool is_one_of(const char *text, const char *const *words)
{
    while (*words != NULL && (text == NULL || strcmp(*words, text) != 0))
        words++;
    return *words != NULL;
}

/* "16MiB", "512KiB", "1GiB", "100B" or a whole number of bytes; not 0. */
static bool bytes_of(const struct reading *reading, uint64_t limit, uint64_t *bytes)
{
    static const struct { const char *name; double bytes; } units[] = {
        { "B", 1 }, { "KiB", 1024 }, { "MiB", 1048576 }, { "GiB", 1073741824 },
    };
    double amount = 0;
    if (lua_type(reading->L, reading->index) == LUA_TNUMBER) {
        amount = lua_tonumber(reading->L, reading->index);
        if (amount != floor(amount))
            return false;
    } else {
        const char *text = text_of(reading);
        if (text == NULL || *text < '0' || *text > '9')
            return false;
        const char *end = text + strspn(text, "0123456789.");
        char *read;
        amount = strtod(text, &read);
        if (read != end)
            return false;
        size_t unit = 0;
        while (unit < ARRAY_LENGTH(units) && strcmp(end, units[unit].name) != 0)
            unit++;
        if (unit == ARRAY_LENGTH(units))
            return false;
        amount *= units[unit].bytes;
    }
    if (!(amount >= 1 && amount <= (double)limit))
        return false;
    *bytes = (uint64_t)amount;
    return true;
}

/* ---- One reader for each option ---------------------------------------- */

static int read_name(const struct reading *reading, struct script_options *options)
{
    options->name = text_of(reading);
    if (options->name == NULL || !address_name_is_valid(options->name, strlen(options->name)))
        return bad(reading, "name is made of letters, digits, '_', '.' and '-'");
    return 1;
}

/* Leaves the packed config on the stack: the scratch may be used again while
 * the new script loads. */
static int read_config(const struct reading *reading, struct script_options *options)
{
    if (!lua_istable(reading->L, reading->index))
        return bad(reading, "config is a table");
    const uint8_t *packed = pack_lua_value(reading->L, reading->index, "config",
                                           &options->config_size);
    if (*packed != PACK_MAP) {
        snprintf(reading->why, reading->room, "config has string keys, and this is an array");
        return -EINVAL;
    }
    options->config = (const uint8_t *)lua_pushlstring(reading->L, (const char *)packed,
                                                       options->config_size);
    return 1;
}

static int read_if_absent(const struct reading *reading, struct script_options *options)
{
    if (!lua_isboolean(reading->L, reading->index))
        return bad(reading, "if_absent is true or false");
    options->if_absent = lua_toboolean(reading->L, reading->index) != 0;
    return 1;
}

static int read_thread(const struct reading *reading, struct script_options *options)
{
    static const char *const words[] = { "pool", "own", NULL };
    const char *text = text_of(reading);
    bool group = text != NULL && strncmp(text, "group:", 6) == 0 &&
                 address_name_is_valid(text + 6, strlen(text + 6));
    if (!group && !is_one_of(text, words))
        return bad(reading, "thread is \"pool\", \"own\" or \"group:NAME\"");
    options->thread = text;
    return 1;
}

static int read_failure(const struct reading *reading, struct script_options *options)
{
    static const char *const words[] = { "continue", "stop", NULL };
    options->failure = text_of(reading);
    if (!is_one_of(options->failure, words))
        return bad(reading, "failure is \"continue\" or \"stop\"");
    return 1;
}

static int read_slow(const struct reading *reading, struct script_options *options)
{
    static const char *const words[] = { "report", "stop", NULL };
    options->slow = text_of(reading);
    if (!is_one_of(options->slow, words))
        return bad(reading, "slow is \"report\" or \"stop\"");
    return 1;
}

static int read_trap_exit(const struct reading *reading, struct script_options *options)
{
    if (!lua_isboolean(reading->L, reading->index))
        return bad(reading, "trap_exit is true or false");
    options->trap_exit = lua_toboolean(reading->L, reading->index) != 0;
    options->has_trap_exit = true;
    return 1;
}

static int read_memory(const struct reading *reading, struct script_options *options)
{
    uint64_t bytes;
    if (!bytes_of(reading, MEMORY_LIMIT, &bytes))
        return bad(reading, "memory is \"256MiB\", \"1GiB\" or a number of bytes");
    options->memory_bytes = (size_t)bytes;
    return 1;
}

static int read_slice(const struct reading *reading, struct script_options *options)
{
    lua_State *L = reading->L;
    uint64_t ns = 0;
    size_t size;
    if (lua_type(L, reading->index) == LUA_TNUMBER) {
        double seconds = lua_tonumber(L, reading->index);
        if (seconds > 0 && seconds <= 1e9)
            ns = (uint64_t)(seconds * (double)NS_PER_SEC);
    } else if (lua_type(L, reading->index) == LUA_TSTRING) {
        const char *text = lua_tolstring(L, reading->index, &size);
        script_parse_duration(text, size, &ns);
    }
    if (ns == 0)
        return bad(reading, "slice is a duration of more than 0, as \"5s\"");
    options->slice_ns = ns;
    return 1;
}

static int read_overflow(const struct reading *reading, struct script_options *options)
{
    static const char *const words[] = {
        [OVERFLOW_WAIT] = "wait",
        [OVERFLOW_FAIL] = "fail",
        [OVERFLOW_DROP_OLD] = "drop_old",
        [OVERFLOW_DROP_NEW] = "drop_new",
    };
    const char *text = text_of(reading);
    for (unsigned i = 0; text != NULL && i < ARRAY_LENGTH(words); i++) {
        if (strcmp(text, words[i]) == 0) {
            options->mailbox.overflow = (enum mailbox_overflow)i;
            options->has_overflow = true;
            return 1;
        }
    }
    return bad(reading, "mailbox.overflow is \"wait\", \"fail\", \"drop_old\" or \"drop_new\"");
}

static int read_limit(const struct reading *reading, struct script_options *options)
{
    int whole = 0;
    lua_Integer limit = lua_type(reading->L, reading->index) == LUA_TNUMBER
                            ? lua_tointegerx(reading->L, reading->index, &whole)
                            : 0;
    if (!whole || limit < 1 || limit > MAILBOX_LIMIT_MAX)
        return bad(reading, "mailbox.limit is a number of messages from 1 to 4000000");
    options->mailbox.limit = (uint32_t)limit;
    return 1;
}

static int read_bytes(const struct reading *reading, struct script_options *options)
{
    uint64_t bytes;
    if (!bytes_of(reading, MAILBOX_BYTES_LIMIT, &bytes))
        return bad(reading, "mailbox.bytes is \"16MiB\", \"1GiB\" or a number of bytes");
    options->mailbox.bytes = bytes;
    return 1;
}

static int read_interleave(const struct reading *reading, struct script_options *options)
{
    return interleave_read(reading->L, reading->index, options, reading->why, reading->room);
}

static int read_children(const struct reading *reading, struct script_options *options)
{
    int whole = 0;
    lua_Integer limit = lua_type(reading->L, reading->index) == LUA_TNUMBER
                            ? lua_tointegerx(reading->L, reading->index, &whole)
                            : 0;
    if (!whole || limit < 1 || limit > CHILDREN_MAX)
        return bad(reading, "children is a number of actors from 1 to 16000000");
    options->children = (uint32_t)limit;
    return 1;
}

static int read_sandbox(const struct reading *reading, struct script_options *options)
{
    if (!lua_isboolean(reading->L, reading->index))
        return bad(reading, "sandbox is true or false");
    options->sandbox = lua_toboolean(reading->L, reading->index) != 0;
    options->says_sandbox = true;
    return 1;
}

struct option {
    const char *name;
    int (*read)(const struct reading *reading, struct script_options *options);
};

static int read_mailbox(const struct reading *reading, struct script_options *options);

static const struct option mailbox_options[] = {
    { "limit", read_limit }, { "bytes", read_bytes }, { "overflow", read_overflow }, { NULL, NULL },
};

static const struct option spawn_options[] = {
    { "name", read_name },       { "config", read_config }, { "mailbox", read_mailbox },
    { "thread", read_thread },   { "failure", read_failure }, { "memory", read_memory },
    { "slice", read_slice },     { "slow", read_slow },     { "interleave", read_interleave },
    { "children", read_children }, { "sandbox", read_sandbox }, { "if_absent", read_if_absent },
    { "trap_exit", read_trap_exit },
    { NULL, NULL },
};

static const struct option *find_option(const struct option *known, const char *name)
{
    while (known->name != NULL && strcmp(known->name, name) != 0)
        known++;
    return known->name != NULL ? known : NULL;
}

/* Says that there is no option called like the value at `index`. */
static int refuse_option(lua_State *L, int index, const char *where, const struct option *known,
                         char *why, size_t room)
{
    if (lua_type(L, index) != LUA_TSTRING) {
        snprintf(why, room, "%s have names, and this has a %s for a key", where,
                 luaL_typename(L, index));
        return -EINVAL;
    }
    const char *name = lua_tostring(L, index);
    struct suggest suggest;
    suggest_init(&suggest, name);
    for (; known->name != NULL; known++)
        suggest_offer(&suggest, known->name);
    snprintf(why, room, "%s have no '%.60s'%s%s%s", where, name,
             suggest.best != NULL ? " (did you mean '" : "",
             suggest.best != NULL ? suggest.best : "", suggest.best != NULL ? "'?)" : "");
    return -EINVAL;
}

static int read_mailbox(const struct reading *reading, struct script_options *options)
{
    lua_State *L = reading->L;
    int top = lua_gettop(L);
    int answer = 1;

    if (!lua_istable(L, reading->index))
        return bad(reading, "mailbox is a table of limit, bytes and overflow");
    lua_pushnil(L);
    while (answer > 0 && lua_next(L, reading->index)) {
        struct reading member = { L, lua_gettop(L), reading->why, reading->room };
        const struct option *option = NULL;
        if (lua_type(L, -2) == LUA_TSTRING)
            option = find_option(mailbox_options, lua_tostring(L, -2));
        answer = option != NULL ? option->read(&member, options)
                                : refuse_option(L, -2, "options of the mailbox", mailbox_options,
                                                reading->why, reading->room);
        lua_pop(L, 1);
    }
    lua_settop(L, top);
    options->has_mailbox = true;
    return answer;
}

int script_read_option(lua_State *L, const char *option, int index, struct script_options *options,
                       char *why, size_t room)
{
    const struct option *known = find_option(spawn_options, option);
    if (known == NULL)
        return 0;
    if (!lua_checkstack(L, 8)) {
        snprintf(why, room, "%s cannot be read: the stack is full", option);
        return -EINVAL;
    }
    struct reading reading = { L, lua_absindex(L, index), why, room };
    return known->read(&reading, options);
}

/* ---- actor.spawn ------------------------------------------------------- */

/* Reads the table at index 2 into *options, whose texts it keeps alive. */
static void check_options(lua_State *L, struct script_options *options)
{
    char why[256];
    int  answer = 1;

    if (lua_isnil(L, 2))
        return;
    if (!lua_istable(L, 2))
        luaL_error(L, "actor.spawn: options are a table, not a %s", luaL_typename(L, 2));
    lua_pushnil(L); /* index 3: a place for the config */
    lua_pushnil(L);
    while (answer > 0 && lua_next(L, 2)) {
        int value = lua_gettop(L);
        const char *name = lua_type(L, value - 1) == LUA_TSTRING ? lua_tostring(L, value - 1) : "";
        answer = script_read_option(L, name, value, options, why, sizeof why);
        if (answer == 0)
            answer = refuse_option(L, value - 1, "options", spawn_options, why, sizeof why);
        if (lua_gettop(L) > value)
            lua_replace(L, 3);
        lua_settop(L, value - 1);
    }
    if (answer < 0)
        luaL_error(L, "actor.spawn: %s", why);
    if (options->if_absent && options->name == NULL)
        luaL_error(L, "actor.spawn: if_absent needs a name");
}

static enum failure_reason reason_of(int error)
{
    switch (error) {
    case -EAGAIN:
    case -EMLINK:
        return FAILURE_FULL;
    case -ESHUTDOWN:
        return FAILURE_STOPPING;
    default:
        return FAILURE_FAILED;
    }
}

/* script_spawn(); with if_absent *id may be that of the actor that has the name:
 * then *made is false. */
static int spawn(struct script *script, const char *path, const struct script_options *options,
                 actor_id *id, bool *made, char *why, size_t room)
{
    struct system *system = script->world->system;
    for (;;) {
        *id = options->if_absent ? names_holder(system, options->name, strlen(options->name)) : 0;
        *made = *id == 0;
        if (!*made)
            return 0;
        int error = script_spawn(script->world, path, source_path(script->source),
                                 actor_self(script->actor), options, id, why, room);
        if (error != -EEXIST || !options->if_absent)
            return error;
        /* Somebody else was quicker: its actor will do, unless it is gone again. */
    }
}

/* actor.spawn(script, options) -> ref, or nil and why; with if_absent: ref, and
 * whether it was made. */
int api_spawn(lua_State *L)
{
    struct script *script = script_of(L);
    struct script_options options = { 0 };
    struct reading path = { .L = L, .index = 1 };

    lua_settop(L, 2);
    api_refuse_loading(L, "actor.spawn");
    if (text_of(&path) == NULL)
        return luaL_error(L, "actor.spawn: the path of a script is expected, not a %s",
                          luaL_typename(L, 1));
    check_options(L, &options);
    sandbox_spawn(L, script, &options);
    api_install_refs(L);

    /* From here to the start of the new actor nothing raises. */
    struct system *system = script->world->system;
    actor_id id;
    char why[1024] = "";
    bool made;
    int  error = spawn(script, text_of(&path), &options, &id, &made, why, sizeof why);
    if (error == 0 && made) {
        error = lifecycle_start(system, id, options.config, options.config_size);
        if (error != 0)
            snprintf(why, sizeof why, "out of memory");
    }
    if (error != 0)
        return script_push_failure(L, reason_of(error), why);
    ref_push_actor(L, id);
    if (!options.if_absent)
        return 1;
    lua_pushboolean(L, made);
    return 2;
}
