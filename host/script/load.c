/*
 * load.c -- a script becomes an actor: its top level is run, what it defines is
 * checked, and its own settings are joined with those of the spawn.
 */
#include "script/load.h"

#include "actor/actor_log.h"
#include "actor/subject.h"
#include "base/log.h"
#include "base/memory.h"
#include "script/arena_store.h"
#include "script/api.h"
#include "script/declared.h"
#include "script/dispatch.h"
#include "script/interleave.h"
#include "script/load_budget.h"
#include "script/misspelt.h"
#include "script/module.h"
#include "script/pack_lua.h"
#include "script/report.h"
#include "script/sandbox.h"
#include "script/staging.h"

#include <errno.h>
#include <lauxlib.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define STAGE_INSTRUCTIONS UINT64_C(50000000) /* for one handler on the stage */

static const struct vm_library libraries[] = {
    { "actor", api_actor_open },
    { "json", json_lua_open },
    { "log", api_log_open },
    { NULL, NULL },
};

static const struct vm_library modules[] = {
    { "troupe.children", api_children_open },
    { "troupe.options", api_options_open },
    { "troupe.nodes", api_nodes_open },
    { NULL, NULL },
};

/* ---- What the script says of itself ------------------------------------- */

/* `version`, whose value is on top of the stack. */
static void read_version(lua_State *L, struct script *script)
{
    int type = lua_type(L, -1);
    if (type != LUA_TNUMBER && type != LUA_TSTRING)
        luaL_error(L, "%s: version is a number or a string, not a %s", source_path(script->source),
                   lua_typename(L, type));
    lua_pushvalue(L, -1);
    snprintf(script->version, sizeof script->version, "%s", lua_tostring(L, -1));
    lua_pop(L, 1);
}

/* Fields of a script's table that are settings: `version`, and what
 * script_read_option() knows but for that which only a spawner can give. */
static const char *const settings[] = {
    "version", "mailbox", "thread", "failure", "slow", "memory", "slice", "interleave",
    "children", "trap_exit", "restart", "cpu", "priority", NULL,
};
static const char *const no_settings[] = { NULL };

bool load_is_setting(const char *name)
{
    for (size_t i = 0; settings[i] != NULL; i++)
        if (strcmp(settings[i], name) == 0)
            return true;
    return false;
}

/* Reads the settings in the script's table, on top of the stack. Their texts
 * live as long as the table. */
static void read_settings(lua_State *L, struct script *script, struct script_options *own)
{
    int table = lua_gettop(L);
    char why[200];

    lua_pushnil(L);
    for (; lua_next(L, table); lua_pop(L, 1)) {
        if (lua_isfunction(L, -1) || lua_type(L, -2) != LUA_TSTRING)
            continue;
        const char *name = lua_tostring(L, -2);
        if (strcmp(name, "version") == 0)
            read_version(L, script);
        else if (strcmp(name, "sandbox") == 0)
            luaL_error(L, "%s: sandbox is for who spawns a script to say: it runs already",
                       source_path(script->source));
        else if (load_is_setting(name) &&
                 script_read_option(L, name, lua_gettop(L), own, why, sizeof why) < 0)
            luaL_error(L, "%s: %s", source_path(script->source), why);
    }
}

int load_top_level(lua_State *L)
{
    struct script *script = script_of(L);
    struct script_options *own = lua_touserdata(L, 1);
    bool is_table = false;

    luaL_checkstack(L, 10, "too many values to load a script");
    if (declared_give(script) != 0)
        return luaL_error(L, "%s: not enough memory for the types that are given",
                          source_path(script->source));
    lua_rawgeti(L, LUA_REGISTRYINDEX, script->vm.environment);
    lua_pushvalue(L, -1);
    if (source_load(script->source, L) != LUA_OK)
        return lua_error(L);
    lua_call(L, 0, 1);
    if (lua_istable(L, -1))
        is_table = true;
    else if (dispatch_defines(L, -2))
        lua_pop(L, 1);
    else
        return luaL_error(L, "%s: returns no table of on_<type> functions and defines none",
                          source_path(script->source));

    lua_pushvalue(L, -1);
    script->handlers = luaL_ref(L, LUA_REGISTRYINDEX);
    dispatch_check(L, script);
    if (is_table)
        read_settings(L, script, own);
    if (script->world->stage || script->world->warn != NULL ||
        !load_budget_is_known(script)) /* once is enough */
        misspelt_warn(L, -1, script, is_table ? settings : no_settings);
    return 0;
}

/* ---- The spawn ---------------------------------------------------------- */

static void print_line(struct vm *vm, const char *line, size_t size)
{
    const struct script *script = (const struct script *)(const void *)vm;
    script->world->print(script->world->print_context, line, size);
}

static void on_overdue(struct vm *vm, lua_State *active)
{
    struct script *script = (struct script *)(void *)vm;
    if (staging_runs(script)) /* that is no handler, and has a limit of its own */
        return;
    if (atomic_exchange_explicit(&script->actor->overdue_told, true, memory_order_relaxed))
        return; /* the watchdog repeats itself */
    char handler[TYPE_NAME_LIMIT + 4];
    lua_Debug where = { .currentline = -1 };
    for (int level = 0; where.currentline < 0 && lua_getstack(active, level, &where); level++)
        lua_getinfo(active, "Sl", &where);

    char place[LUA_IDSIZE + 16] = "an unknown line";
    if (where.currentline >= 0)
        snprintf(place, sizeof place, "%s:%d", where.short_src, where.currentline);
    actor_log(script->actor, LOG_WARN, "%s has run for more than %g s: at %s, for the message %s",
              dispatch_name(script, script->hand.type, handler, sizeof handler),
              script_slice_seconds(script), place, type_name(script->hand.type));
}

int load_open(struct script *script)
{
    struct script_world *world = script->world;
    script->self_reference = LUA_NOREF;
    script->handlers = LUA_NOREF;
    dispatch_init(script);
    if (world->stage) {
        world->made++; /* one thread only */
        script->vm_options.deterministic = true;
        script->vm_options.seed = (world->seed * UINT64_C(0xd1b54a32d192ed03) +
                                   world->made * UINT64_C(0x9e3779b97f4a7c15)) | 1;
        script->vm_options.instruction_budget = STAGE_INSTRUCTIONS;
    }
    if (vm_open(&script->vm, &script->vm_options) != 0)
        return -ENOMEM;
    lua_atpanic(script->vm.L, script_panic);
    script->hand.coroutine = vm_coroutine(&script->vm, &script->hand.coroutine_reference);
    if (script->hand.coroutine != NULL)
        return 0;
    vm_close(&script->vm);
    return -ENOMEM;
}

struct script *load_new(struct script_world *world, struct source *source,
                        const struct script_options *options)
{
    size_t memory_bytes = options->memory_bytes;
    struct script *script = memory_get_zeroed(sizeof *script);
    if (script == NULL)
        return NULL;
    script->world = world;
    script->source = source_ref(source);
    script->vm_options = (struct vm_options){
        .memory_limit = memory_bytes != 0 ? memory_bytes : world->defaults.memory_bytes,
        .libraries = libraries,
        .modules = modules,
        .package_path = world->package_path,
        .find_module = module_find,
        .found_elsewhere = module_found_elsewhere,
        .sandbox = options->sandbox,
        .on_overdue = on_overdue,
        .actor_text = script_actor_text,
        .print = world->print != NULL ? print_line : NULL,
    };
    if (load_open(script) == 0) {
        source_join(world->sources, source, &script->instance);
        return script;
    }
    source_unref(script->source);
    memory_put(script, sizeof *script);
    return NULL;
}

void script_free(struct script *script)
{
    vm_close(&script->vm);
    staging_free(script);
    interleave_close(script);
    declared_free(&script->declared);
    declared_free(&script->given);
    dispatch_fini(script);
    source_leave(script->world->sources, &script->instance);
    source_unref(script->source);
    memory_free_text(script->exit_reason);
    memory_free_text(script->last_report);
    memory_put(script, sizeof *script);
}

/* What becomes of the actor when it fails. 0; -EINVAL: settings that do not fit
 * together. */
static int settle_failure(const struct script *script, const struct script_options *given,
                          const struct script_options *own, struct spawn *spawn, char *why,
                          size_t room)
{
    static const struct script_options none;
    if (given->supervised)
        own = &none; /* its supervisor decides */
    enum on_failure wanted = given->has_failure ? given->failure
                             : own->has_failure ? own->failure
                             : given->supervised ? ON_FAILURE_STOP
                                                 : ON_FAILURE_CONTINUE;
    bool restarts = wanted == ON_FAILURE_RESTART;
    if (given->supervised && (restarts || wanted == ON_FAILURE_ESCALATE)) {
        snprintf(why, room, "failure of a supervised child is \"stop\" or \"continue\": its "
                            "supervisor restarts it");
        return -EINVAL;
    }
    if (!restarts && (given->has_restart || (own->has_restart && !given->has_failure))) {
        snprintf(why, room, "%s%srestart says how failure = \"restart\" goes about it, and failure is "
                            "not that", given->has_restart ? "" : source_path(script->source),
                 given->has_restart ? "" : ": ");
        return -EINVAL;
    }
    spawn->on_failure = wanted;
    spawn->restart = RESTART_OPTIONS_DEFAULT;
    const struct script_options *sets[] = { own, given };
    for (size_t i = 0; i < ARRAY_LENGTH(sets); i++) {
        const struct restart_options *set = &sets[i]->restart;
        if (set->max != 0)
            spawn->restart.max = set->max;
        if (set->within_ns != 0)
            spawn->restart.within_ns = set->within_ns;
        if (set->backoff_ns != 0) {
            spawn->restart.backoff_ns = set->backoff_ns;
            spawn->restart.backoff_limit_ns = set->backoff_limit_ns;
        }
    }
    return 0;
}

/* Joins the settings of the spawn with the script's own. */
static void settle_options(struct script *script, const struct script_options *given,
                           const struct script_options *own, struct spawn *spawn)
{
    const char *slow = given->slow != NULL ? given->slow : own->slow;
    script->stops_when_slow = slow != NULL && strcmp(slow, "stop") == 0;
    if (given->memory_bytes == 0 && own->memory_bytes != 0) {
        script->vm_options.memory_limit = own->memory_bytes;
        arena_set_limit(&script->vm.arena, own->memory_bytes);
    }

    spawn->slice_ns = given->slice_ns != 0   ? given->slice_ns
                      : own->slice_ns != 0 ? own->slice_ns
                                           : script->world->defaults.slice_ns;
    spawn->children = given->children != 0 ? given->children : own->children;
    spawn->traps_exits = given->has_trap_exit ? given->trap_exit : own->trap_exit;
    spawn->thread = given->thread != NULL ? given->thread : own->thread;
    /* A spawner who wants it on the pool's threads wants nothing of its own one. */
    bool to_pool = given->thread != NULL && strcmp(given->thread, "pool") == 0;
    const struct script_options *owner = to_pool || !cpus_is_empty(&given->cpus) ? given : own;
    spawn->cpus = &owner->cpus;
    spawn->priority = to_pool || given->priority != 0 ? given->priority : own->priority;
    spawn->mailbox = MAILBOX_OPTIONS_DEFAULT;
    const struct script_options *sets[] = { own, given };
    for (size_t i = 0; i < ARRAY_LENGTH(sets); i++) {
        if (!sets[i]->has_mailbox)
            continue;
        if (sets[i]->mailbox.limit != 0)
            spawn->mailbox.limit = sets[i]->mailbox.limit;
        if (sets[i]->mailbox.bytes != 0)
            spawn->mailbox.bytes = sets[i]->mailbox.bytes;
        if (sets[i]->has_overflow)
            spawn->mailbox.overflow = sets[i]->mailbox.overflow;
    }
}

/* Why the load failed, on the dead coroutine. */
static void describe_failure(struct script *script, char *why, size_t room)
{
    const struct vm *vm = &script->vm;
    lua_State   *co = script->hand.coroutine;
    struct bytes text;
    char place[REPORT_PLACE_ROOM];
    report_place(co, lua_status(co) == LUA_YIELD ? vm->stopped_line : 0, place, sizeof place);
    if (place[0] == '\0')
        snprintf(place, sizeof place, "%.60s: ", source_path(script->source));
    bytes_init(&text, room - 1);
    if (vm->dying == VM_STOPPED)
        bytes_printf(&text, "%sits top level ran for more than 1 s", place);
    else if (vm->dying == VM_EXIT)
        bytes_printf(&text, "%sits top level calls os.exit", place);
    else if (vm->dying == VM_MEMORY)
        bytes_printf(&text, "%sits top level needs more than its memory limit of %g MiB", place,
                     (double)vm->arena.limit / (1024 * 1024));
    else
        report_error(co, &text);
    snprintf(why, room, "%s", bytes_text(&text));
    bytes_fini(&text);
}

/* Whether all scripts of the process together leave room for another. */
static int check_memory(struct script_world *world, char *why, size_t room)
{
    struct system *system = world->system;
    size_t limit = system->limits.memory_bytes;
    if (LIKELY(limit == 0 || arena_store_held() < limit))
        return 0;
    atomic_fetch_add_explicit(&system->counters.full_memory, 1, memory_order_relaxed);
    snprintf(why, room, "the scripts of this host have their limit of %.0f MiB of memory",
             (double)limit / (1024 * 1024));
    return -EAGAIN;
}

int load_run(struct script *script, struct script_options *own, bool trusted, char *why,
             size_t room)
{
    lua_State *L = script->hand.coroutine;
    lua_pushcfunction(L, load_top_level);
    lua_pushlightuserdata(L, own);
    if (load_budget_run(script, trusted) != VM_DONE) {
        describe_failure(script, why, room);
        return -EINVAL;
    }
    /* What loading left behind makes room for the first messages: an idle actor
     * holds a KiB less, for less than what can be measured of a spawn. */
    lua_settop(script->hand.coroutine, 0);
    lua_gc(script->vm.L, LUA_GCCOLLECT);
    return 0;
}

int script_spawn_source(struct script_world *world, struct source *source, actor_id parent,
                        const struct script_options *options, actor_id *id, char *why, size_t room)
{
    int err = lifecycle_check_room(world->system, parent, why, room);
    if (err == 0)
        err = check_memory(world, why, room);
    if (err != 0)
        return err;
    struct script *script = load_new(world, source, options);
    if (script == NULL) {
        snprintf(why, room, "out of memory");
        return -ENOMEM;
    }

    struct script_options own = { 0 };
    err = declared_take_given(script, options->types, options->types_size);
    if (err != 0) {
        snprintf(why, room, "out of memory");
        goto free_script;
    }
    err = load_run(script, &own, true, why, room);
    if (err != 0)
        goto free_script;
    if (script->version[0] != '\0')
        subject_note_version(source_subject(source), script->version);
    if (options->sandbox && (err = sandbox_restrain(world, options, &own, why, room)) != 0)
        goto free_script;
    script->interleave_given = options->interleave != INTERLEAVE_UNSET;
    err = interleave_open(script, script->interleave_given ? options : &own, why, room);
    if (err != 0)
        goto free_script;

    struct spawn spawn = {
        .name = options->name,
        .stem = source_stem(source),
        .behaviour = &script_behaviour,
        .state = script,
        .parent = parent,
        .hidden = options->hidden,
        .takes_any = script->takes_any,
        .interleaves = script->interleave != NULL,
        .memory = script->vm.arena.held,
        .subject = source_subject(source),
        .supervised = options->supervised,
        .announced = options->announced,
        .contained = sandbox_contains(options),
        .config = options->supervised ? options->config : NULL,
        .config_size = options->supervised ? options->config_size : 0,
    };
    settle_options(script, options, &own, &spawn);
    err = settle_failure(script, options, &own, &spawn, why, room);
    if (err != 0)
        goto free_script;
    err = lifecycle_spawn(world->system, &spawn, id, why, room);
    if (err == 0)
        return 0; /* and from now on it may end at any moment, on another thread */

free_script:
    script_free(script);
    return err;
}

/* The text that the spawner gives, as if it were in the file `path`. */
static int source_of_text(const char *path, const struct script_options *options,
                          struct source **source, char *why, size_t room)
{
    char name[PATH_MAX + 1];
    snprintf(name, sizeof name, "@%s", path);
    return source_from_text(name, options->source, options->source_size, source, why, room);
}

int script_spawn(struct script_world *world, const char *path, const char *beside, actor_id parent,
                 const struct script_options *options, actor_id *id, char *why, size_t room)
{
    struct source *source;
    int err = options->source != NULL
                  ? source_of_text(path, options, &source, why, room)
                  : source_find(world->sources, path, beside, &source, why, room);
    if (err != 0)
        return err;
    if (options->within != NULL &&
        strncmp(source_file(source), options->within, strlen(options->within)) != 0) {
        snprintf(why, room, "%s is not in the folder of the sandboxed script that spawns it", path);
        err = -EACCES;
    } else {
        err = script_spawn_source(world, source, parent, options, id, why, room);
    }
    source_unref(source);
    return err;
}
