/*
 * command_kill.c -- `kill`: ends an actor, and says when it has ended; `find`: whether
 * there is one.
 *
 *     {"do":"kill","name":"pong"}                at once, wherever its handler stands
 *     {"do":"kill","name":"pong","stop":true}    in order: its mail is handled first
 *     {"name":"pong","how":"killed","then":"ended"}   or "halted": it may be started again
 *
 *     {"do":"find","name":"pnog"}
 *     {"near":"pong"}          and the end is 1
 */
#include "commands.h"

#include "base/log.h"
#include "base/memory.h"

#include <errno.h>
#include <stdio.h>

/* Who waits for the end of an incarnation. */
struct kill_wait {
    struct kill_wait *next;
    struct control_client *client; /* counted */
    actor_id id;
    uint32_t incarnation;
    bool     stops;
    char     name[ADDRESS_NAME_LIMIT + 1];
};

struct kills {
    struct incarnation_hook hook;
    struct lock      lock;
    struct kill_wait *waits;      /* guarded by lock */
    _Atomic unsigned count;       /* of them: for a look without the lock */
};

static void free_wait(struct kill_wait *wait)
{
    control_client_unref(wait->client);
    memory_put(wait, sizeof *wait);
}

#define ANY_INCARNATION UINT32_MAX

/* Who waits for an incarnation that is over since waits for this one, too: it was not to be
 * told apart when it was asked. */
static bool is_meant(const struct kill_wait *wait, actor_id id, uint32_t incarnation,
                     const struct control_client *client)
{
    if (client != NULL)
        return wait->client == client;
    return wait->id == id && wait->incarnation <= incarnation;
}

/* Takes out who waits for this incarnation, or for this client; NULL: nobody. */
static struct kill_wait *take_wait(struct kills *kills, actor_id id, uint32_t incarnation,
                                   const struct control_client *client)
{
    lock_acquire(&kills->lock);
    struct kill_wait **at = &kills->waits;
    while (*at != NULL && !is_meant(*at, id, incarnation, client))
        at = &(*at)->next;
    struct kill_wait *wait = *at;
    if (wait != NULL) {
        *at = wait->next;
        atomic_fetch_sub_explicit(&kills->count, 1, memory_order_relaxed);
    }
    lock_release(&kills->lock);
    return wait;
}

static void say_over(struct kill_wait *wait, bool halted)
{
    struct command_row row;
    command_row_begin(&row);
    command_row_text(&row, "name", wait->name);
    command_row_text(&row, "how", wait->stops ? "stopped" : "killed");
    command_row_text(&row, "then", halted ? "halted" : "ended");
    command_row_say(&row, wait->client);
    control_end(wait->client, 0, NULL);
    free_wait(wait);
}

/* On the actor's worker, as the next one. Their partner is serve_kill(), which counts
 * before it looks whether the incarnation still runs. */
static void incarnation_ended(void *context, struct actor *actor)
{
    struct kills *kills = context;
    if (LIKELY(atomic_load_explicit(&kills->count, memory_order_seq_cst) == 0) ||
        actor->phase != PHASE_HALTED)
        return;
    struct kill_wait *wait;
    uint32_t incarnation = atomic_load_explicit(&actor->incarnation, memory_order_relaxed);
    while ((wait = take_wait(kills, actor_self(actor), incarnation, NULL)) != NULL)
        say_over(wait, true);
}

/* On the actor's worker: it was halted when the order came to it, or has begun anew. */
static void incarnation_missed_by(void *context, struct actor *actor)
{
    struct kills *kills = context;
    uint32_t incarnation = atomic_load_explicit(&actor->incarnation, memory_order_relaxed);
    struct kill_wait *wait;
    if (actor->phase != PHASE_HALTED)
        incarnation--;
    while ((wait = take_wait(kills, actor_self(actor), incarnation, NULL)) != NULL)
        say_over(wait, true);
}

static void actor_gone(void *context, actor_id id)
{
    struct kills *kills = context;
    if (LIKELY(atomic_load_explicit(&kills->count, memory_order_seq_cst) == 0))
        return;
    struct kill_wait *wait;
    while ((wait = take_wait(kills, id, ANY_INCARNATION, NULL)) != NULL)
        say_over(wait, false);
}

static void gone(void *context, struct control_client *client)
{
    struct host *host = context;
    struct kill_wait *wait = take_wait(host->kills, 0, 0, client);
    if (wait != NULL)
        free_wait(wait);
}

/* ---- Whom ------------------------------------------------------------------ */

/* The actor that the request names, or NULL: then the client has been told. */
static struct actor *find_actor(struct host *host, struct control_client *client,
                                const struct control_request *request, actor_id *id)
{
    struct registry *registry = &host->system.registry;
    const char *name = control_request_text(request, "name");
    char near[ADDRESS_NAME_LIMIT + 1], why[2 * ADDRESS_NAME_LIMIT + 64];
    if (name == NULL) {
        control_end(client, 2, "the name of an actor is expected: \"name\"");
        return NULL;
    }
    *id = registry_find_name(registry, name, strlen(name));
    struct actor *actor = *id != 0 ? registry_find(registry, *id) : NULL;
    if (actor != NULL && actor->hidden) {
        snprintf(why, sizeof why, "%.200s is the host's own", name);
        control_end(client, 2, why);
        return NULL;
    }
    if (actor != NULL)
        return actor;
    const char *best = registry_suggest(registry, name, near, sizeof near);
    if (best != NULL) {
        struct command_row row;
        command_row_begin(&row);
        command_row_text(&row, "near", best);
        command_row_say(&row, client);
    }
    snprintf(why, sizeof why, "no actor is named '%.200s'%s%s%s", name,
             best != NULL ? " (did you mean '" : "", best != NULL ? best : "",
             best != NULL ? "'?)" : "");
    control_end(client, 1, why);
    return NULL;
}

static void serve_find(void *context, struct control_client *client,
                       const struct control_request *request)
{
    actor_id id;
    if (find_actor(context, client, request, &id) != NULL)
        control_end(client, 0, NULL);
}

/* ---- Ending it ------------------------------------------------------------- */

static bool runs_still(struct system *system, actor_id id, uint32_t incarnation)
{
    struct actor *actor = registry_find(&system->registry, id);
    return actor != NULL &&
           atomic_load_explicit(&actor->incarnation, memory_order_acquire) == incarnation;
}

static void serve_kill(void *context, struct control_client *client,
                       const struct control_request *request)
{
    struct host   *host = context;
    struct kills  *kills = host->kills;
    actor_id       id;
    struct actor  *actor = find_actor(host, client, request, &id);
    if (actor == NULL)
        return;
    struct kill_wait *wait = memory_get_zeroed(sizeof *wait);
    if (wait == NULL) {
        control_end(client, 1, "out of memory");
        return;
    }
    wait->client = control_client_ref(client);
    wait->id = id;
    wait->incarnation = atomic_load_explicit(&actor->incarnation, memory_order_acquire);
    wait->stops = control_request_flag(request, "stop");
    registry_name(&host->system.registry, id, wait->name, sizeof wait->name);
    uint32_t incarnation = wait->incarnation;
    bool     stops = wait->stops;
    log_warn("%s: %s, as asked through the control socket", wait->name,
             stops ? "it is to stop" : "killed");
    lock_acquire(&kills->lock);
    wait->next = kills->waits;
    kills->waits = wait;
    atomic_fetch_add_explicit(&kills->count, 1, memory_order_seq_cst);
    lock_release(&kills->lock);

    if (stops)
        lifecycle_stop(&host->system, id, true);
    else
        incarnation_kill(&host->system, id);
    if (!runs_still(&host->system, id, incarnation) &&
        (wait = take_wait(kills, 0, 0, client)) != NULL)
        say_over(wait, registry_find(&host->system.registry, id) != NULL);
}

int command_kill_open(struct host *host)
{
    struct kills *kills = memory_get_zeroed(sizeof *kills);
    if (kills == NULL)
        return -ENOMEM;
    lock_init(&kills->lock);
    kills->hook = (struct incarnation_hook){ .over = incarnation_ended, .gone = actor_gone,
                                             .missed = incarnation_missed_by, .context = kills };
    incarnation_listen(&host->system, &kills->hook);
    host->kills = kills;
    int error = control_add(host->control,
                            &(struct control_command){ .name = "kill", .serve = serve_kill,
                                                       .gone = gone, .context = host });
    if (error != 0)
        return error;
    return control_add(host->control, &(struct control_command){ .name = "find",
                                                                 .serve = serve_find,
                                                                 .context = host });
}

void command_kill_close(struct host *host)
{
    struct kills *kills = host->kills;
    if (kills == NULL)
        return;
    lock_fini(&kills->lock);
    memory_put(kills, sizeof *kills);
    host->kills = NULL;
}
