/*
 * incarnation.c -- an actor is halted, and begins again (see incarnation.h).
 *
 * A halted actor has no handler that waits, so its alarm is free: it rings when
 * the wait before the restart is over. A restart also waits for the children of
 * the last incarnation, so that on_start can make others of the same names;
 * they are killed when they do not end, and then it waits no longer.
 */
#include "actor/rebirth.h"

#include "actor/actor_log.h"
#include "actor/watches.h"
#include "base/memory.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define CHILDREN_PATIENCE_NS (5 * NS_PER_SEC)
#define KILLED_PATIENCE_NS   (1 * NS_PER_SEC)
#define SHUTDOWN_PATIENCE_NS (5 * NS_PER_SEC)
#define RETRY_NS             (100 * NS_PER_MS) /* what there was no memory for */

/* ---- Making it ----------------------------------------------------------- */

static bool keep_config(struct rebirth *rebirth, const void *config, size_t size)
{
    if (size == 0)
        return true;
    void *copy = memory_get(size);
    if (copy == NULL)
        return false;
    memcpy(copy, config, size);
    if (rebirth->config != NULL)
        memory_put(rebirth->config, rebirth->config_size);
    rebirth->config = copy;
    rebirth->config_size = size;
    return true;
}

int rebirth_new(const struct actor *actor, const struct spawn *spawn, struct rebirth **rebirth)
{
    struct system *system = actor->system;
    *rebirth = NULL;
    if (!spawn->supervised && spawn->on_failure != ON_FAILURE_RESTART)
        return 0;
    struct rebirth *made = memory_get_zeroed(sizeof *made);
    if (made == NULL)
        return -ENOMEM;
    made->has_state = true;
    made->due_ns = UINT64_MAX;
    if (!spawn->supervised) {
        made->budget = memory_get(budget_size(&spawn->restart));
        if (made->budget == NULL)
            goto free_made;
        uint64_t seed = system->scheduler.seed != 0 ? system->scheduler.seed
                                                    : clock_now(&system->clock);
        budget_init(made->budget, &spawn->restart,
                    seed ^ ((uint64_t)actor->generation << 32 | actor->slot));
    }
    if (!keep_config(made, spawn->config, spawn->config_size))
        goto free_made;
    *rebirth = made;
    return 0;

free_made:
    rebirth_free(made);
    return -ENOMEM;
}

void rebirth_free(struct rebirth *rebirth)
{
    if (rebirth == NULL)
        return;
    if (rebirth->budget != NULL)
        memory_put(rebirth->budget, budget_size(&rebirth->budget->options));
    if (rebirth->config != NULL)
        memory_put(rebirth->config, rebirth->config_size);
    memory_put(rebirth, sizeof *rebirth);
}

/* ---- Halted --------------------------------------------------------------- */

void incarnation_listen(struct system *system, struct incarnation_hook *hook)
{
    hook->next = system->incarnation_hooks;
    system->incarnation_hooks = hook;
}

void incarnation_over(struct actor *actor)
{
    timers_cancel_owned(actor->system->timers, actor_self(actor));
    names_forget(actor, 0);
    for (struct incarnation_hook *hook = actor->system->incarnation_hooks; hook != NULL;
         hook = hook->next)
        hook->over(hook->context, actor);
}

void incarnation_gone(struct system *system, actor_id id)
{
    for (struct incarnation_hook *hook = system->incarnation_hooks; hook != NULL;
         hook = hook->next)
        if (hook->gone != NULL)
            hook->gone(hook->context, id);
}

void incarnation_missed(struct actor *actor)
{
    if (actor->phase == PHASE_HALTED)
        atomic_store_explicit(&actor->condemned, 0, memory_order_relaxed);
    for (struct incarnation_hook *hook = actor->system->incarnation_hooks; hook != NULL;
         hook = hook->next)
        if (hook->missed != NULL)
            hook->missed(hook->context, actor);
}

bool incarnation_halts(const struct actor *actor)
{
    return actor->rebirth != NULL && !actor->for_good &&
           (actor->supervised || actor->afterwards == AFTERWARDS_RESTART);
}

void incarnation_unwanted(struct actor *actor)
{
    if (actor->rebirth != NULL)
        actor->rebirth->due_ns = UINT64_MAX;
}

void incarnation_ordered_to_halt(struct actor *actor)
{
    incarnation_unwanted(actor);
    if (actor->rebirth == NULL)
        return;
    actor->rebirth->halts++;
    actor->rebirth->has_deadline = true;
}

void incarnation_limit_shutdown(struct actor *actor)
{
    if (!incarnation_halts(actor) || actor->rebirth->has_deadline)
        return;
    uint64_t deadline_ns = clock_now(&actor->system->clock) + SHUTDOWN_PATIENCE_NS;
    int error = incarnation_kill_at(actor->system, actor, deadline_ns);
    if (error != 0)
        actor_log(actor, LOG_WARN, "its on_shutdown may take as long as it likes: %s",
                  strerror(-error));
}

static struct message *make_start(const struct rebirth *rebirth)
{
    return message_new(MESSAGE_START, TYPE_START, rebirth->config, rebirth->config_size);
}

void incarnation_stillborn(struct actor *actor, const char *why)
{
    char text[OUTCOME_ROOM], reason[ACTOR_REASON_ROOM];
    bool again = actor->restarts > 0;
    bool at_start = incarnation_failed(actor, true, text, sizeof text) == OUTCOME_NOT_BEGUN;
    actor_log(actor, LOG_ERROR, "it could not be started%s: %s: %s", again ? " again" : "", why, text);
    snprintf(reason, sizeof reason, "error: %s", why);
    actor_note_end(actor, reason);
    actor->ended = at_start ? ENDED_AT_START : ENDED_BY_ERROR;
    actor->phase = PHASE_SHUTTING_DOWN;
}

/* The next incarnation: its START, to be handled now; or NULL, and it is over already. */
static struct message *begin(struct actor *actor)
{
    struct rebirth *rebirth = actor->rebirth;
    struct worker *worker = worker_self;
    char why[ACTOR_REASON_ROOM] = "out of memory";
    int error = 0;

    memory_free_text(actor->end_reason);
    memory_free_text(actor->chain);
    actor->end_reason = actor->chain = NULL;
    actor->ended = ENDED_NORMALLY;
    actor->afterwards = AFTERWARDS_END;
    actor->started = false;
    actor->restarts = rebirth->begun++;
    if (actor->restarts > 0)
        atomic_fetch_add_explicit(&actor->system->counters.restarts, 1, memory_order_relaxed);
    rebirth->has_deadline = false;
    if (actor->supervised) /* made before others that have started since: they depend on it */
        registry_make_newest(&actor->system->registry, actor);
    actor->phase = PHASE_RUNNING;
    rebirth->due_ns = UINT64_MAX;
    if (!rebirth->has_state) {
        atomic_store_explicit(&worker->running, NULL, memory_order_relaxed); /* nothing to interrupt */
        error = actor->behaviour->renew(actor, why, sizeof why);
        atomic_store_explicit(&worker->running, actor, memory_order_release);
    }
    struct message *start = error == 0 ? make_start(rebirth) : NULL;
    if (start == NULL) {
        incarnation_stillborn(actor, why);
        return NULL;
    }
    rebirth->has_state = true;
    start->to = actor_self(actor);
    return start;
}

static void kill_mourned(struct actor *actor)
{
    struct system *system = actor->system;
    actor_id lot[64];
    unsigned count = registry_mourned(&system->registry, actor, lot, ARRAY_LENGTH(lot));
    for (unsigned i = 0; i < count; i++)
        incarnation_kill(system, lot[i]);
    actor_log(actor, LOG_WARN, "children that do not end keep it from restarting; %u were killed",
              count);
}

/* Whether it still waits for children to end; if so, until the alarm at the latest. */
static bool awaits_children(struct actor *actor, uint64_t now_ns)
{
    struct rebirth *rebirth = actor->rebirth;
    if (!registry_mourns(&actor->system->registry, actor))
        return false;
    if (now_ns >= rebirth->patience_ns) {
        if (rebirth->children_killed)
            return false;
        kill_mourned(actor);
        rebirth->children_killed = true;
        rebirth->patience_ns = now_ns + KILLED_PATIENCE_NS;
    }
    alarm_set(actor, rebirth->patience_ns);
    return true;
}

/* What a halted actor does next: looked at whenever something has changed. The
 * START of the next incarnation if it is time, else NULL. */
static struct message *consider(struct actor *actor)
{
    struct rebirth *rebirth = actor->rebirth;
    uint64_t now_ns = clock_now(&actor->system->clock);
    if (rebirth->untold)
        rebirth->untold = !incarnation_tell(actor, TYPE_CHILD_HALTED);
    if (rebirth->untold) {
        alarm_set(actor, now_ns + RETRY_NS);
        return NULL;
    }
    if (now_ns < rebirth->due_ns) {
        alarm_set(actor, rebirth->due_ns);
        return NULL;
    }
    if (atomic_load_explicit(&actor->system->inlet_closed, memory_order_acquire)) {
        alarm_set(actor, UINT64_MAX); /* it stays halted until the shutdown has come to it */
        return NULL;
    }
    if (awaits_children(actor, now_ns))
        return NULL;
    alarm_set(actor, UINT64_MAX);
    return begin(actor);
}

struct message *incarnation_halt(struct actor *actor)
{
    struct rebirth *rebirth = actor->rebirth;
    struct worker *worker = worker_self;

    atomic_store_explicit(&worker->running, NULL, memory_order_relaxed); /* nothing to interrupt */
    actor->phase = PHASE_HALTED;
    incarnation_over(actor);
    watches_drop(actor);
    alarm_set(actor, UINT64_MAX);
    actor->behaviour->halt(actor);
    atomic_store_explicit(&actor->handling, TYPE_NONE, memory_order_relaxed);
    atomic_store_explicit(&actor->edge, 0, memory_order_seq_cst);
    lifecycle_end_children(actor, true);
    atomic_store_explicit(&worker->running, actor, memory_order_release);

    atomic_store_explicit(&actor->incarnation, incarnation_number(actor) + 1, memory_order_relaxed);
    actor->starting = false;
    actor->drain_left = 0;
    uint64_t now_ns = clock_now(&actor->system->clock);
    rebirth->has_state = false;
    rebirth->children_killed = false;
    rebirth->patience_ns = now_ns + CHILDREN_PATIENCE_NS;
    rebirth->untold = actor->supervised;
    if (!actor->supervised)
        rebirth->due_ns = now_ns + rebirth->wait_ns;
    return consider(actor);
}

/* It is told to its supervisor again that the actor is halted. */
static void say_again(struct actor *actor)
{
    actor->rebirth->untold = true;
    actor->rebirth->due_ns = UINT64_MAX;
}

static void end_halted(struct actor *actor)
{
    actor->for_good = true;
    actor->afterwards = AFTERWARDS_END;
    actor->phase = PHASE_SHUTTING_DOWN;
}

static void forget_failure(struct actor *actor)
{
    memory_free_text(actor->end_reason);
    actor->end_reason = NULL;
    actor->ended = ENDED_NORMALLY;
}

static void stop_halted(struct actor *actor, enum stop_how how)
{
    switch (how) {
    case STOP_ASKED:
        forget_failure(actor);
        if (actor->supervised) {
            say_again(actor);
            incarnation_missed(actor);
        } else {
            end_halted(actor);
        }
        break;
    case STOP_FOR_GOOD:
        forget_failure(actor);
        end_halted(actor);
        break;
    case STOP_HALT:
        timers_cancel_owned(actor->system->timers, actor_self(actor)); /* which would kill it */
        incarnation_ordered_to_halt(actor);
        say_again(actor);
        break;
    case STOP_DROP:
        end_halted(actor);
        break;
    case STOP_KILL: /* an incarnation that has ended, or has not begun */
        incarnation_missed(actor);
        break;
    }
}

struct message *incarnation_halted_receive(struct actor *actor, struct message *message)
{
    switch (message->kind) {
    case MESSAGE_STOP:
        stop_halted(actor, (enum stop_how)message->reason);
        break;
    case MESSAGE_START:
        actor->rebirth->due_ns = 0;
        break;
    case MESSAGE_REPLY:
    case MESSAGE_FAILURE: /* to a question of the last incarnation */
        atomic_fetch_add_explicit(&actor->system->counters.late_answers, 1, memory_order_relaxed);
        break;
    case MESSAGE_WAKE:
        if (message->flags & MESSAGE_KEPT) /* the alarm's, which is not to be touched again */
            return alarm_rang(actor) ? consider(actor) : NULL;
        break;
    case MESSAGE_EVALUATE: /* as other mail, it waits for the next incarnation */
        message->lane = LANE_NOTICE;
        router_send(actor->system, &message, ROUTE_RESERVED);
        break;
    default:
        break;
    }
    message_free(message);
    return actor->phase == PHASE_HALTED ? consider(actor) : NULL;
}

struct message *incarnation_start(struct actor *actor, struct message *message)
{
    struct rebirth *rebirth = actor->rebirth;
    if (actor->phase == PHASE_BORN && rebirth == NULL)
        return message;
    bool born = actor->phase == PHASE_BORN;
    if (born && !keep_config(rebirth, message->payload, message->size))
        actor_log(actor, LOG_ERROR, "it begins without its config: out of memory");
    else if (rebirth != NULL && actor->phase >= PHASE_DRAINING)
        rebirth->due_ns = 0; /* when it has ended */
    message_free(message);
    return born ? begin(actor) : NULL;
}
