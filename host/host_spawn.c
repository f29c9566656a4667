/*
 * host_spawn.c -- a host is given scripts as actors: at once, or held back until all
 * are registered.
 */
#include "host_internal.h"

#include "base/memory.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define BEGIN_PATIENCE_NS (5 * NS_PER_SEC) /* for one on_start, before the next may begin */

/* Keeps the config of a held actor until it is started. */
static int hold(struct host *host, actor_id id, const struct bytes *config)
{
    struct held_config *held = memory_get(sizeof *held + config->size);
    if (held == NULL)
        return -ENOMEM;
    held->id = id;
    held->size = config->size;
    if (config->size > 0)
        memcpy(held->packed, config->data, config->size);
    lock_acquire(&host->lock);
    held->next = host->held;
    host->held = held;
    lock_release(&host->lock);
    return 0;
}

static struct held_config *take_held(struct host *host, actor_id id)
{
    lock_acquire(&host->lock);
    struct held_config **at = &host->held;
    while (*at != NULL && (*at)->id != id)
        at = &(*at)->next;
    struct held_config *held = *at;
    if (held != NULL)
        *at = held->next;
    lock_release(&host->lock);
    return held;
}

static int start(struct host *host, actor_id id, const uint8_t *config, size_t size)
{
    struct bytes settled;
    bytes_init(&settled, 0);
    int error = host_settle_config(host, config, size, &settled);
    if (error == 0)
        error = lifecycle_start(&host->system, id, settled.data, settled.size);
    bytes_fini(&settled);
    return error;
}

int host_start_actor(struct host *host, host_actor actor)
{
    struct held_config *held = take_held(host, actor);
    if (held == NULL)
        return -ESRCH;
    int error = start(host, actor, held->packed, held->size);
    memory_put(held, sizeof *held + held->size);
    if (error == 0 && host->started && host->system.scheduler.regular > 0)
        lifecycle_await_begun(&host->system, actor,
                              clock_now(&host->system.clock) + BEGIN_PATIENCE_NS);
    return error;
}

/* Spawns the script at `path`, or if that is NULL the given source. */
static int spawn(struct host *host, const char *path, struct source *source,
                 const struct host_spawn_options *options, host_actor *actor, char *why,
                 size_t room)
{
    static const struct host_spawn_options defaults;
    if (options == NULL)
        options = &defaults;
    struct bytes config;
    bytes_init(&config, 0);
    int error = host_read_config(options->config, &config, why, room);
    if (error != 0)
        goto fini_config;

    struct script_options script_options = {
        .name = options->name,
        .config = config.data,
        .config_size = config.size,
        .thread = options->thread,
        .has_failure = options->failure != NULL,
        .sandbox = options->sandbox,
    };
    actor_id id;
    if (options->failure != NULL &&
        !script_find_failure(options->failure, &script_options.failure)) {
        snprintf(why, room, "failure is %s", SCRIPT_FAILURES);
        error = -EINVAL;
        goto fini_config;
    }
    error = path != NULL
                ? script_spawn(&host->world, path, NULL, 0, &script_options, &id, why, room)
                : script_spawn_source(&host->world, source, 0, &script_options, &id, why, room);
    if (error != 0)
        goto fini_config;
    if (options->vital)
        registry_find(&host->system.registry, id)->vital = true; /* it has not begun */
    error = options->held ? hold(host, id, &config)
                          : start(host, id, config.data, config.size);
    if (error != 0) {
        lifecycle_stop(&host->system, id, false);
        snprintf(why, room, "out of memory");
    } else if (actor != NULL) {
        *actor = id;
    }

fini_config:
    bytes_fini(&config);
    return error;
}

/* For who asks what runs here; without memory he is not told. */
static void note_script(struct host *host, const char *path)
{
    lock_acquire(&host->lock);
    if (host->script_count < HOST_SCRIPTS_TOLD) {
        char *copy = strdup(path);
        if (copy != NULL)
            host->scripts[host->script_count++] = copy;
    }
    lock_release(&host->lock);
}

int host_spawn(struct host *host, const char *path, const struct host_spawn_options *options,
               host_actor *actor, char *why, size_t room)
{
    int error = spawn(host, path, NULL, options, actor, why, room);
    if (error == 0)
        note_script(host, path);
    return error;
}

int host_spawn_text(struct host *host, const char *chunk_name, const char *text,
                    const struct host_spawn_options *options, host_actor *actor, char *why,
                    size_t room)
{
    struct source *source;
    int error = source_from_text(chunk_name, text, strlen(text), &source, why, room);
    if (error != 0)
        return error;
    error = spawn(host, NULL, source, options, actor, why, room);
    if (error == 0)
        note_script(host, chunk_name[0] == '=' || chunk_name[0] == '@' ? chunk_name + 1 : chunk_name);
    source_unref(source);
    return error;
}

bool host_end_actor(struct host *host, host_actor actor, bool drain)
{
    return lifecycle_stop(&host->system, actor, drain);
}
