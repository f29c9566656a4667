/*
 * sandbox.c -- see sandbox.h: limits can only become lower.
 */
#include "script/sandbox.h"

#include <errno.h>
#include <lauxlib.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- The running script -------------------------------------------------- */

void sandbox_refuse(lua_State *L, const char *what)
{
    if (script_of(L)->vm_options.sandbox)
        luaL_error(L, "%s is not available in a sandbox", what);
}

/* ---- Its children ---------------------------------------------------------- */

/* No more than `most`; what is not said is as much. (0: not said, or no limit.) */
static uint64_t cut(uint64_t wanted, uint64_t most)
{
    return wanted == 0 || (most != 0 && wanted > most) ? most : wanted;
}

static void cut_mailbox(struct script_options *options, const struct mailbox_options *most)
{
    options->mailbox.limit = (uint32_t)cut(options->mailbox.limit, most->limit);
    options->mailbox.bytes = cut(options->mailbox.bytes, most->bytes);
    options->has_mailbox = true;
}

/* A path without a way out of its folder. */
static bool stays_inside(const char *path)
{
    if (*path == '/')
        return false;
    for (const char *part = path; part != NULL; part = strchr(part, '/')) {
        part += *part == '/';
        if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == '\0'))
            return false;
    }
    return true;
}

const char *sandbox_push_folder(lua_State *L, const struct script *script)
{
    char folder[PATH_MAX];
    const char *file = source_file(script->source);
    const char *slash = strrchr(file, '/');
    if (slash != NULL)
        return lua_pushfstring(L, "%s/", lua_pushlstring(L, file, (size_t)(slash - file)));
    if (realpath(".", folder) == NULL)
        luaL_error(L, "the current folder cannot be read");
    return lua_pushfstring(L, "%s/", folder);
}

void sandbox_spawn(lua_State *L, struct script *script, struct script_options *options)
{
    if (!script->vm_options.sandbox)
        return;
    if (options->says_sandbox && !options->sandbox)
        luaL_error(L, "actor.spawn: the children of a sandboxed actor are sandboxed");
    if (options->thread != NULL && strcmp(options->thread, "pool") != 0)
        luaL_error(L, "actor.spawn: thread is not available in a sandbox");
    if (options->source != NULL)
        luaL_error(L, "actor.spawn: source is not available in a sandbox");
    const char *path = lua_tostring(L, 1);
    if (!stays_inside(path))
        luaL_error(L, "actor.spawn: a sandboxed actor spawns scripts of its own folder, and not %s",
                   path);

    options->sandbox = true;
    options->thread = "pool";
    options->memory_bytes = (size_t)cut(options->memory_bytes, script->vm_options.memory_limit);
    options->slice_ns = cut(options->slice_ns,
                            atomic_load_explicit(&script->actor->slice_ns, memory_order_relaxed));
    if (script->stops_when_slow)
        options->slow = "stop";
    uint32_t children = script->actor->children_limit;
    if (children != 0)
        options->children = (uint32_t)cut(options->children, children);
    const struct mailbox_options own = mailbox_opened_with(&script->actor->box);
    cut_mailbox(options, &own);

    luaL_checkstack(L, 6, "too many values to spawn");
    options->within = sandbox_push_folder(L, script);
    lua_pushfstring(L, "%s/%s", source_folder(script->source), path);
    lua_replace(L, 1);
}

/* ---- What it says of itself -------------------------------------------------- */

int sandbox_restrain(const struct script_world *world, const struct script_options *given,
                     struct script_options *own, char *why, size_t room)
{
    static const struct mailbox_options most = { .limit = 1024, .bytes = 16u << 20 };
    if (own->thread != NULL && strcmp(own->thread, "pool") != 0) {
        snprintf(why, room, "a sandboxed script runs on the pool: thread is not its to choose");
        return -EINVAL;
    }
    if (!cpus_is_empty(&own->cpus) || own->priority != 0) {
        snprintf(why, room, "a sandboxed script runs where it is put: %s is not its to choose",
                 own->priority != 0 ? "priority" : "cpu");
        return -EINVAL;
    }
    size_t memory = given->memory_bytes != 0 ? given->memory_bytes : world->defaults.memory_bytes;
    if (own->memory_bytes != 0)
        own->memory_bytes = (size_t)cut(own->memory_bytes, memory);
    if (own->slice_ns != 0)
        own->slice_ns = cut(own->slice_ns, given->slice_ns != 0 ? given->slice_ns
                                                                : world->defaults.slice_ns);
    if (own->has_mailbox)
        cut_mailbox(own, &most);
    own->children = 0;
    return 0;
}

bool sandbox_contains(const struct script_options *given)
{
    bool inside = given->within != NULL;
    bool wanted = given->has_failure && (given->failure == ON_FAILURE_RESTART ||
                                         given->failure == ON_FAILURE_ESCALATE);
    return given->sandbox && !inside && !wanted;
}
