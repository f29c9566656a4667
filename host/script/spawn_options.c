/*
 * spawn_options.c -- what a spawner may set of an actor, and a script of itself:
 * read from Lua, one option at a time.
 */
#include "script/script.h"

#include "base/suggest.h"
#include "message/pack.h"
#include "script/declared.h"
#include "script/interleave.h"
#include "script/pack_lua.h"
#include "script/sandbox.h"
#include "script/thread_options.h"

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

bool script_read_bytes(lua_State *L, int index, uint64_t limit, uint64_t *bytes)
{
    struct reading reading = { .L = L, .index = index };
    return bytes_of(&reading, limit, bytes);
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

/* Leaves the types on the stack. */
static int read_types(const struct reading *reading, struct script_options *options)
{
    if (!lua_istable(reading->L, reading->index))
        return bad(reading, "types is a table of message types and their fields");
    options->types = declared_read_types(reading->L, reading->index, "types", &options->types_size);
    return 1;
}

static int read_source(const struct reading *reading, struct script_options *options)
{
    if (lua_type(reading->L, reading->index) != LUA_TSTRING)
        return bad(reading, "source is the text of a script");
    options->source = lua_tolstring(reading->L, reading->index, &options->source_size);
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

bool script_find_failure(const char *word, enum on_failure *failure)
{
    static const char *const words[] = {
        [ON_FAILURE_CONTINUE] = "continue",
        [ON_FAILURE_STOP] = "stop",
        [ON_FAILURE_RESTART] = "restart",
        [ON_FAILURE_ESCALATE] = "escalate",
    };
    for (unsigned i = 0; i < ARRAY_LENGTH(words); i++) {
        if (strcmp(word, words[i]) == 0) {
            *failure = (enum on_failure)i;
            return true;
        }
    }
    return false;
}

static int read_failure(const struct reading *reading, struct script_options *options)
{
    const char *text = text_of(reading);
    options->has_failure = text != NULL && script_find_failure(text, &options->failure);
    return options->has_failure ? 1 : bad(reading, "failure is " SCRIPT_FAILURES);
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

/* A duration; 0 if it is none. */
static uint64_t duration_of(const struct reading *reading)
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
        if (!script_parse_duration(text, size, &ns))
            ns = 0;
    }
    return ns;
}

static int read_slice(const struct reading *reading, struct script_options *options)
{
    options->slice_ns = duration_of(reading);
    return options->slice_ns != 0 ? 1 : bad(reading, "slice is a duration of more than 0, as \"5s\"");
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

static int read_cpu(const struct reading *reading, struct script_options *options)
{
    return thread_options_cpu(reading->L, reading->index, options, reading->why, reading->room);
}

static int read_priority(const struct reading *reading, struct script_options *options)
{
    return thread_options_priority(reading->L, reading->index, options, reading->why,
                                   reading->room);
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

static int read_max(const struct reading *reading, struct script_options *options)
{
    int whole = 0;
    lua_Integer max = lua_type(reading->L, reading->index) == LUA_TNUMBER
                          ? lua_tointegerx(reading->L, reading->index, &whole)
                          : 0;
    if (!whole || max < 1 || max > (lua_Integer)RESTART_MAX_LIMIT)
        return bad(reading, "restart.max is a number of restarts from 1 to 1000");
    options->restart.max = (uint32_t)max;
    return 1;
}

static int read_within(const struct reading *reading, struct script_options *options)
{
    options->restart.within_ns = duration_of(reading);
    return options->restart.within_ns != 0
               ? 1
               : bad(reading, "restart.within is a duration of more than 0, as \"10s\"");
}

/* "100ms..5s", or one duration. */
static int read_backoff(const struct reading *reading, struct script_options *options)
{
    const char *text = text_of(reading);
    const char *dots = text != NULL ? strstr(text, "..") : NULL;
    uint64_t from_ns = 0, to_ns = 0;
    if (dots == NULL)
        from_ns = to_ns = duration_of(reading);
    else if (!script_parse_duration(text, (size_t)(dots - text), &from_ns) ||
             !script_parse_duration(dots + 2, strlen(dots + 2), &to_ns))
        from_ns = 0;
    if (from_ns < RESTART_BACKOFF_LEAST_NS || to_ns < from_ns)
        return bad(reading, "restart.backoff is the shortest and the longest wait, as "
                            "\"100ms..5s\", of at least 1ms");
    options->restart.backoff_ns = from_ns;
    options->restart.backoff_limit_ns = to_ns;
    return 1;
}

struct option {
    const char *name;
    int (*read)(const struct reading *reading, struct script_options *options);
};

static int read_mailbox(const struct reading *reading, struct script_options *options);
static int read_restart(const struct reading *reading, struct script_options *options);

static const struct option mailbox_options[] = {
    { "limit", read_limit }, { "bytes", read_bytes }, { "overflow", read_overflow }, { NULL, NULL },
};

static const struct option restart_options[] = {
    { "max", read_max }, { "within", read_within }, { "backoff", read_backoff }, { NULL, NULL },
};

static const struct option spawn_options[] = {
    { "name", read_name },       { "config", read_config }, { "mailbox", read_mailbox },
    { "types", read_types },     { "source", read_source },
    { "thread", read_thread },   { "failure", read_failure }, { "memory", read_memory },
    { "slice", read_slice },     { "slow", read_slow },     { "restart", read_restart },
    { "interleave", read_interleave }, { "children", read_children },
    { "sandbox", read_sandbox }, { "if_absent", read_if_absent }, { "trap_exit", read_trap_exit },
    { "cpu", read_cpu },         { "priority", read_priority },
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

/* Reads a table of options, each of which is one of `known`. */
static int read_members(const struct reading *reading, struct script_options *options,
                        const char *where, const struct option *known)
{
    lua_State *L = reading->L;
    int top = lua_gettop(L);
    int answer = 1;

    lua_pushnil(L);
    while (answer > 0 && lua_next(L, reading->index)) {
        struct reading member = { L, lua_gettop(L), reading->why, reading->room };
        const struct option *option = NULL;
        if (lua_type(L, -2) == LUA_TSTRING)
            option = find_option(known, lua_tostring(L, -2));
        answer = option != NULL ? option->read(&member, options)
                                : refuse_option(L, -2, where, known, reading->why, reading->room);
        lua_pop(L, 1);
    }
    lua_settop(L, top);
    return answer;
}

static int read_mailbox(const struct reading *reading, struct script_options *options)
{
    if (!lua_istable(reading->L, reading->index))
        return bad(reading, "mailbox is a table of limit, bytes and overflow");
    options->has_mailbox = true;
    return read_members(reading, options, "options of the mailbox", mailbox_options);
}

static int read_restart(const struct reading *reading, struct script_options *options)
{
    if (!lua_istable(reading->L, reading->index))
        return bad(reading, "restart is a table of max, within and backoff");
    options->has_restart = true;
    return read_members(reading, options, "options of restart", restart_options);
}

const char *script_option_name(size_t index)
{
    return index < ARRAY_LENGTH(spawn_options) ? spawn_options[index].name : NULL;
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

int script_refuse_option(lua_State *L, int index, char *why, size_t room)
{
    return refuse_option(L, index, "options", spawn_options, why, room);
}
