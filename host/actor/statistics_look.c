/*
 * statistics_look.c -- looks at actors while they run (see statistics.h).
 *
 * Under the registry's lock no actor comes or goes: its name, its subject and its
 * times stay; all else that is read are atomics that its worker stores as it goes.
 */
#include "actor/statistics.h"

#include "actor/handler_times.h"

#include <stdio.h>
#include <string.h>

#define LOT 16 /* actors that are looked at under one lock */

const char *activity_name(enum activity activity)
{
    static const char *const names[ACTIVITY_COUNT] = {
        "starting", "idle", "ready", "running", "preempted", "waiting", "stopping", "held",
        "halted",
    };
    return names[activity];
}

const char *waiting_name(enum waiting waiting)
{
    switch (waiting) {
    case WAITING_FOR_NOTHING:
        return "";
    case WAITING_FOR_ANSWER:
        return "answer";
    case WAITING_FOR_ANSWERS:
        return "answers";
    case WAITING_FOR_ROOM:
        return "room";
    case WAITING_FOR_MESSAGE:
        return "message";
    case WAITING_FOR_TIME:
        return "time";
    case WAITING_FOR_NAME:
        return "name";
    }
    UNREACHABLE();
}

/* ---- One actor ------------------------------------------------------------ */

/* The thread that runs its code now, or NULL. Its home is there as long as it is. */
static const struct worker *runs_on(const struct actor *actor)
{
    const struct worker *home = actor->home;
    if (home != NULL)
        return atomic_load_explicit(&home->running, memory_order_relaxed) == actor ? home : NULL;
    const struct scheduler *scheduler = &actor->system->scheduler;
    unsigned started = atomic_load_explicit(&scheduler->started, memory_order_acquire);
    for (unsigned i = 0; i < started; i++)
        if (atomic_load_explicit(&scheduler->workers[i].running, memory_order_relaxed) == actor)
            return &scheduler->workers[i];
    return NULL;
}

static void name_thread(const struct actor *actor, const struct worker *runs,
                        struct actor_report *report)
{
    size_t room = sizeof report->thread;
    const struct worker *home = actor->home;
    if (home != NULL)
        snprintf(report->thread, room, "%s%s", home->group[0] != '\0' ? "group:" : "own",
                 home->group);
    else if (runs != NULL)
        snprintf(report->thread, room, "%s-%u",
                 runs->index < actor->system->scheduler.regular ? "worker" : "spare", runs->index);
    else
        snprintf(report->thread, room, "pool");
}

static enum activity activity_of(const struct actor *actor, const struct worker *runs,
                                 type_id handling)
{
    uint8_t phase = atomic_load_explicit(&actor->phase, memory_order_relaxed);
    bool asleep = mailbox_is_asleep(&actor->box);
    if (phase == PHASE_HALTED)
        return ACTIVITY_HALTED;
    if (atomic_load_explicit(&actor->shown_held, memory_order_relaxed))
        return ACTIVITY_HELD;
    if (handling == TYPE_NONE)
        return phase == PHASE_BORN        ? ACTIVITY_STARTING
               : phase >= PHASE_DRAINING ? ACTIVITY_STOPPING
               : asleep                  ? ACTIVITY_IDLE
                                         : ACTIVITY_READY;
    if (runs != NULL)
        return ACTIVITY_RUNNING;
    if (asleep)
        return ACTIVITY_WAITING;
    uint64_t waits = atomic_load_explicit(&actor->waiting, memory_order_relaxed);
    return waits != WAITING_FOR_NOTHING ? ACTIVITY_READY : ACTIVITY_PREEMPTED;
}

/* On whom it waits. An edge is newer than the wait's beginning: the question may
 * have been passed on. */
static void name_target_locked(struct actor *actor, char *text, size_t room)
{
    struct system *system = actor->system;
    actor_id id = waits_target(system, actor);
    text[0] = '\0';
    spin_acquire(&actor->waits_lock);
    const struct address *where = actor->waits_elsewhere;
    if (id == 0 && where != NULL)
        address_text(where, text, room);
    else if (id == 0)
        id = actor->waits_here;
    spin_release(&actor->waits_lock);
    const struct actor *target = id != 0 ? registry_find(&system->registry, id) : NULL;
    if (target != NULL)
        snprintf(text, room, "%s", target->name);
}

/* How long ago the coarse clock showed that. */
static uint64_t age_ns(uint64_t now_ns, uint32_t since_ms)
{
    int32_t age_ms = (int32_t)((uint32_t)(now_ns / NS_PER_MS) - since_ms);
    return age_ms > 0 ? (uint64_t)age_ms * NS_PER_MS : 0;
}

static void look_at_wait_locked(struct actor *actor, struct actor_report *report, uint64_t now_ns)
{
    report->waiting = WAITING_FOR_NOTHING;
    report->waits_type = TYPE_NONE;
    report->target[0] = '\0';
    report->for_ns = 0;
    if (report->activity != ACTIVITY_RUNNING && report->activity != ACTIVITY_PREEMPTED &&
        report->activity != ACTIVITY_WAITING)
        return;
    report->for_ns = age_ns(now_ns, atomic_load_explicit(&actor->since_ms, memory_order_relaxed));
    if (report->activity != ACTIVITY_WAITING)
        return;
    uint64_t waiting = atomic_load_explicit(&actor->waiting, memory_order_relaxed);
    report->waiting = (enum waiting)(waiting & 0xff);
    report->waits_type = (type_id)(waiting >> 8);
    name_target_locked(actor, report->target, sizeof report->target);
}

static void look_at_mailbox(const struct mailbox *box, struct actor_report *report,
                            uint64_t now_ns)
{
    uint32_t born_ms = 0;
    report->queued = mailbox_length(box);
    report->queued_bytes = mailbox_bytes(box);
    report->high = mailbox_lane(box, LANE_HIGH);
    report->reserved = mailbox_lane(box, LANE_ORDINARY);
    report->notices = mailbox_lane(box, LANE_NOTICE);
    report->control = mailbox_lane(box, LANE_CONTROL);
    report->parked = mailbox_parked(box);
    report->limit = mailbox_opened_with(box).limit;
    report->has_oldest = mailbox_oldest(box, &born_ms);
    report->oldest_ns = report->has_oldest ? age_ns(now_ns, born_ms) : 0;
}

static void look_at_times(const struct actor *actor, struct actor_report *report)
{
    const struct handler_times *times = atomic_load_explicit(&actor->times, memory_order_acquire);
    report->timed = times != NULL ? handler_times_count(times) : 0;
    report->p50_ns = times != NULL ? handler_times_quantile(times, 0.5) : 0;
    report->p99_ns = times != NULL ? handler_times_quantile(times, 0.99) : 0;
    report->most_ns = times != NULL ? handler_times_most(times) : 0;
}

/* The rate since the last mark, if that was long enough ago for a new one. */
static void mark_locked(struct actor *actor, uint64_t now_ns)
{
    uint32_t now_ms = (uint32_t)(now_ns / NS_PER_MS);
    uint32_t passed_ms = now_ms - actor->marked_ms;
    uint32_t handled = (uint32_t)atomic_load_explicit(&actor->handled, memory_order_relaxed);
    if (passed_ms < STATISTICS_MARK_MS)
        return;
    actor->rate = (float)((double)(handled - actor->marked_handled) * 1000.0 / passed_ms);
    actor->marked_ms = now_ms;
    actor->marked_handled = handled;
}

static void look_locked(struct actor *actor, struct actor_report *report, uint64_t now_ns)
{
    const struct worker *runs = runs_on(actor);
    report->id = actor_self(actor);
    snprintf(report->name, sizeof report->name, "%s", actor->name);
    report->hidden = actor->hidden;
    report->supervised = actor->supervised;
    report->has_subject = actor->subject != NULL;
    report->path[0] = '\0';
    if (report->has_subject) {
        subject_read(actor->subject, &report->subject);
        snprintf(report->path, sizeof report->path, "%s", report->subject.path);
    }
    report->handling = atomic_load_explicit(&actor->handling, memory_order_relaxed);
    report->activity = activity_of(actor, runs, report->handling);
    name_thread(actor, runs, report);
    look_at_wait_locked(actor, report, now_ns);
    look_at_mailbox(&actor->box, report, now_ns);
    look_at_times(actor, report);
    mark_locked(actor, now_ns);
    report->handled = atomic_load_explicit(&actor->handled, memory_order_relaxed);
    report->rate = (double)actor->rate;
    report->memory = atomic_load_explicit(&actor->memory, memory_order_relaxed);
    report->errors = atomic_load_explicit(&actor->errors, memory_order_relaxed);
    report->restarts = atomic_load_explicit(&actor->restarts, memory_order_relaxed);
    report->last_type = atomic_load_explicit(&actor->last_type, memory_order_relaxed);
}

/* ---- All of them ----------------------------------------------------------- */

/* The next living actor in the slots from *slot on, of at most *most; NULL: there is
 * none among them. */
static struct actor *next_locked(struct registry *registry, uint32_t *slot, uint32_t *most)
{
    while (*most > 0 && *slot < registry->used) {
        struct actor *actor = registry_slot(registry, (*slot)++);
        (*most)--;
        if (actor->slot != 0 && actor->name != NULL && actor_self(actor) != 0)
            return actor;
    }
    if (*slot >= registry->used)
        *slot = *most = 0;
    return NULL;
}

void statistics_each(struct system *system, uint32_t *slot, uint32_t most,
                     bool (*visit)(void *context, const struct actor_report *report),
                     void *context)
{
    struct registry *registry = &system->registry;
    struct actor_report reports[LOT];
    while (most > 0) {
        unsigned count = 0;
        uint32_t after[LOT];
        uint64_t now_ns = clock_now(&system->clock);
        struct actor *actor;
        lock_acquire(&registry->lock);
        while (count < LOT && (actor = next_locked(registry, slot, &most)) != NULL) {
            after[count] = *slot;
            look_locked(actor, &reports[count++], now_ns);
        }
        lock_release(&registry->lock);
        for (unsigned i = 0; i < count; i++)
            if (!visit(context, &reports[i])) {
                *slot = after[i];
                return;
            }
    }
}

void statistics_mark(struct system *system, uint32_t *slot, uint32_t most)
{
    struct registry *registry = &system->registry;
    while (most > 0) {
        unsigned count = 0;
        uint64_t now_ns = clock_now(&system->clock);
        struct actor *actor;
        lock_acquire(&registry->lock);
        while (count++ < LOT && (actor = next_locked(registry, slot, &most)) != NULL)
            mark_locked(actor, now_ns);
        lock_release(&registry->lock);
    }
}

/* ---- The host -------------------------------------------------------------- */

static void add_worker(const struct worker *worker, struct host_report *report)
{
    report->busy += atomic_load_explicit(&worker->running, memory_order_relaxed) != NULL;
    report->handled += atomic_load_explicit(&worker->handled, memory_order_relaxed);
}

void statistics_of_host(struct system *system, struct host_report *report)
{
    struct scheduler *scheduler = &system->scheduler;
    unsigned started = atomic_load_explicit(&scheduler->started, memory_order_acquire);
    *report = (struct host_report){ .workers = scheduler->regular };
    report->spares = started > scheduler->regular ? started - scheduler->regular : 0;
    for (unsigned i = 0; i < started; i++)
        add_worker(&scheduler->workers[i], report);
    lock_acquire(&scheduler->lock);
    report->handled += scheduler->handled_before;
    for (const struct worker *each = scheduler->pinned; each != NULL; each = each->pinned_next) {
        report->pinned++;
        add_worker(each, report);
    }
    lock_release(&scheduler->lock);
    lock_acquire(&system->lock);
    uint32_t living = atomic_load_explicit(&system->registry.living, memory_order_relaxed);
    report->actors = living > system->hidden ? living - system->hidden : 0;
    lock_release(&system->lock);
}
