/*
 * orders.c -- what a supervisor says to its children and hears of them, and how
 * an incarnation is killed (see incarnation.h).
 */
#include "actor/rebirth.h"

#include "actor/actor_log.h"
#include "base/bytes.h"
#include "base/log.h"
#include "message/pack.h"

#include <errno.h>
#include <string.h>

/* ---- Notices -------------------------------------------------------------- */

static void put_key(struct bytes *out, const char *key)
{
    pack_put_string(out, key, strlen(key));
}

static void put_text(struct bytes *out, const char *key, const char *text)
{
    put_key(out, key);
    pack_put_string(out, text, strlen(text));
}

static void put_flag(struct bytes *out, const char *key, bool value)
{
    put_key(out, key);
    pack_put_boolean(out, value);
}

bool incarnation_tell(struct actor *actor, type_id type)
{
    const char *reason = actor_end_reason(actor);
    unsigned count = 3;
    struct bytes packed;
    bytes_init(&packed, 0);
    size_t at = pack_open(&packed, PACK_MAP);
    put_key(&packed, "who");
    pack_put_actor(&packed, actor_self(actor));
    put_text(&packed, "name", actor->name);
    put_key(&packed, "restarts");
    pack_put_integer(&packed, actor->restarts);
    if (type == TYPE_CHILD_HALTED) {
        put_text(&packed, "reason", reason);
        put_flag(&packed, "failed", strcmp(reason, "normal") != 0);
        put_flag(&packed, "started", actor->started);
        put_key(&packed, "halts");
        pack_put_integer(&packed, actor->rebirth->halts);
        count += 4;
    }
    pack_close(&packed, at, count);
    struct message *message =
        packed.failed ? NULL : message_new(MESSAGE_NOTICE, type, packed.data, packed.size);
    bytes_fini(&packed);
    if (message == NULL)
        return false;
    message->to = actor->parent_id;
    message->from = actor_self(actor);
    message->request = actor->parent_incarnation;
    router_send(actor->system, &message, ROUTE_RESERVED);
    message_free(message); /* the supervisor has ended */
    return true;
}

void incarnation_start_waits(struct actor *actor)
{
    if (actor->announced && !incarnation_tell(actor, TYPE_CHILD_WAITS))
        actor_log(actor, LOG_ERROR, "its parent could not be told that on_start waits: out of memory");
}

void incarnation_started(struct actor *actor)
{
    actor->started = true;
    if (!(actor->supervised || actor->announced) || incarnation_tell(actor, TYPE_CHILD_STARTED))
        return;
    /* One that runs and whose parent never hears of it would be lost to it. */
    actor_log(actor, LOG_ERROR, "its parent could not be told that it has started: out of memory");
    actor_note_end(actor, "memory");
    actor->phase = PHASE_DRAINING;
    actor->drain_left = 0;
}

/* ---- By a supervisor ------------------------------------------------------ */

bool incarnation_is_supervised(struct system *system, actor_id id, actor_id supervisor)
{
    struct registry *registry = &system->registry;
    lock_acquire(&registry->lock);
    const struct actor *actor = registry_find(registry, id);
    bool is = actor != NULL && actor->supervised && actor->parent_id == supervisor;
    lock_release(&registry->lock);
    return is;
}

bool incarnation_is_announced(struct system *system, actor_id id, actor_id parent)
{
    struct registry *registry = &system->registry;
    lock_acquire(&registry->lock);
    const struct actor *actor = registry_find(registry, id);
    bool is = actor != NULL && actor->announced && actor->parent_id == parent;
    lock_release(&registry->lock);
    return is;
}

static int order(struct system *system, struct message *message)
{
    bool there = router_send(system, &message, ROUTE_RESERVED) == ROUTER_OK;
    message_free(message);
    return there ? 0 : -ESRCH;
}

int incarnation_order_start(struct system *system, actor_id id)
{
    struct message *start = message_new(MESSAGE_START, TYPE_START, NULL, 0);
    if (start == NULL)
        return -ENOMEM;
    start->to = id;
    return order(system, start);
}

static struct message *make_stop(actor_id id, enum stop_how how, uint32_t incarnation)
{
    struct message *stop = message_new(MESSAGE_STOP, TYPE_SHUTDOWN, NULL, 0);
    if (stop == NULL)
        return NULL;
    stop->to = id;
    stop->reason = (uint8_t)how;
    stop->request = incarnation;
    return stop;
}

int incarnation_kill_at(struct system *system, const struct actor *actor, uint64_t deadline_ns)
{
    struct timer *timer;
    struct message *kill = make_stop(actor_self(actor), STOP_KILL, incarnation_number(actor));
    if (kill == NULL)
        return -ENOMEM;
    /* It is the actor's own, and so goes with the incarnation. */
    int error = timer_start(system->timers, &kill, deadline_ns, 0, kill->to, &timer);
    message_free(kill);
    if (error == 0)
        timer_unref(timer);
    return error;
}

int incarnation_order_halt(struct system *system, actor_id id, uint64_t deadline_ns)
{
    struct actor *actor = registry_find(&system->registry, id);
    if (actor == NULL)
        return -ESRCH;
    struct message *halt = make_stop(id, STOP_HALT, 0);
    if (halt == NULL)
        return -ENOMEM;
    int error = incarnation_kill_at(system, actor, deadline_ns);
    if (error == 0)
        return order(system, halt);
    message_free(halt);
    return error;
}

int incarnation_order_drop(struct system *system, actor_id id)
{
    struct message *drop = make_stop(id, STOP_DROP, 0);
    return drop != NULL ? order(system, drop) : -ENOMEM;
}

/* ---- Killing -------------------------------------------------------------- */

static uint64_t condemnation(actor_id id, uint32_t incarnation)
{
    return (uint64_t)actor_id_generation(id) << 32 | incarnation;
}

bool incarnation_is_condemned(const struct actor *actor)
{
    uint64_t condemned = atomic_load_explicit(&actor->condemned, memory_order_relaxed);
    return UNLIKELY(condemned != 0) &&
           condemned == condemnation(actor_self(actor), incarnation_number(actor));
}

void incarnation_condemn(struct system *system, const struct message *message)
{
    struct actor *actor = registry_find(&system->registry, message->to);
    if (actor != NULL)
        atomic_store_explicit(&actor->condemned,
                              condemnation(message->to, (uint32_t)message->request),
                              memory_order_relaxed);
}

void incarnation_kill(struct system *system, actor_id id)
{
    struct actor *actor = registry_find(&system->registry, id);
    if (actor == NULL)
        return;
    struct message *kill = make_stop(id, STOP_KILL, incarnation_number(actor));
    if (kill == NULL) {
        log_error("incarnation: an actor could not be killed: out of memory");
        return;
    }
    incarnation_condemn(system, kill);
    order(system, kill);
}
