/*
 * reload_hold.c -- the instances of a reload: held, prepared, and let go, by orders
 * that each carries out on its own worker (actor/hold.h).
 *
 * The party outlives the reload for as long as an order of it is under way: one
 * that was busy finds both, to be held and to go on, when it looks at its mail.
 */
#include "script/reload_room.h"

#include "actor/statistics.h"
#include "base/memory.h"
#include "script/restart.h"

#include <stdio.h>
#include <string.h>

#define HOLD_NS (5 * NS_PER_SEC)

enum instance_state {
    INSTANCE_ASKED,    /* to be held */
    INSTANCE_HELD,
    INSTANCE_PREPARED,
};

struct instance {
    struct party   *party;
    size_t          row;     /* of the report */
    actor_id        id;
    struct message *end;     /* ready to be sent: letting go cannot fail. NULL: it was sent */
    /* Guarded by the reloads' lock: */
    bool            answered; /* the order to be held is over */
    bool            awaited;  /* so will be the one that lets it go */
    char            version[16]; /* what it says of itself since it has committed */
    _Atomic uint8_t state;   /* enum instance_state; its worker's, while orders are under way */
};

struct party {
    struct reloads *reloads;
    struct update  *update;      /* not after it has been given up or ended, nor: */
    struct reload_report *report;
    struct staging_options options;
    atomic_uint     references;  /* the reloader's, and one for each order under way */
    atomic_uint     awaited[HOLD_END + 1]; /* orders of that kind under way that are waited for */
    atomic_uint     preparing;   /* instances that do now */
    bool            given_up;    /* no more is to be prepared; guarded by the reloads' lock */
    bool            commits;     /* what letting go means; set before that */
    size_t          count;
    struct instance instances[];
};

static void party_unref(struct party *party)
{
    if (atomic_fetch_sub_explicit(&party->references, 1, memory_order_acq_rel) > 1)
        return;
    memory_put(party, sizeof *party + party->count * sizeof party->instances[0]);
}

static struct system *system_of(const struct party *party)
{
    return party->reloads->world->system;
}

/* One less to wait for; wakes whoever waits for the last. */
static void count_down(struct party *party, atomic_uint *count)
{
    struct reloads *reloads = party->reloads;
    if (atomic_fetch_sub_explicit(count, 1, memory_order_acq_rel) > 1)
        return;
    lock_acquire(&reloads->lock);
    signal_all(&reloads->changed);
    lock_release(&reloads->lock);
}

/* A receipt: the order is over, carried out or not (the actor has ended). */
static void order_over(void *context, uint64_t number, size_t step, bool handled)
{
    (void)handled;
    struct party *party = context;
    struct instance *instance = &party->instances[number];
    bool awaited = true;
    lock_acquire(&party->reloads->lock);
    if (step == HOLD_BEGIN)
        instance->answered = true;
    else
        awaited = step != HOLD_END || instance->awaited;
    lock_release(&party->reloads->lock);
    if (awaited)
        count_down(party, &party->awaited[step]);
    party_unref(party);
}

/* ---- On the instance's worker --------------------------------------------- */

static struct script *script_in(struct actor *actor)
{
    struct script *script = actor->state;
    script->actor = actor; /* it may never have begun */
    return script;
}

static void be_held(void *context, struct actor *actor)
{
    struct instance *instance = context;
    (void)actor;
    atomic_store_explicit(&instance->state, INSTANCE_HELD, memory_order_release);
}

/* The first that fails says why, for all. */
static void refuse(struct party *party, const struct actor *actor, const char *why)
{
    struct reloads *reloads = party->reloads;
    lock_acquire(&reloads->lock);
    if (!party->given_up) {
        party->given_up = true;
        snprintf(party->report->why, sizeof party->report->why, "%s%s%s", why,
                 party->count > 1 ? ", in " : "", party->count > 1 ? actor->name : "");
    }
    lock_release(&reloads->lock);
}

static void take_notes(struct instance *instance, const struct actor *actor,
                       struct staging_notes *notes)
{
    struct party *party = instance->party;
    struct reload_report *report = party->report;
    char before[ADDRESS_NAME_LIMIT + 4];
    snprintf(before, sizeof before, "%s: ", actor->name);
    lock_acquire(&party->reloads->lock);
    struct reload_row *row = &report->rows[instance->row];
    row->instances++;
    row->migrated += notes->migrated;
    reload_report_lines(&report->warnings, &notes->warnings, NULL);
    reload_report_lines(&report->stale, &notes->stale, before);
    lock_release(&party->reloads->lock);
}

static bool begin_preparing(struct party *party)
{
    lock_acquire(&party->reloads->lock);
    bool goes_on = !party->given_up && !reloads_are_stopping(party->reloads);
    if (goes_on)
        atomic_fetch_add_explicit(&party->preparing, 1, memory_order_relaxed);
    lock_release(&party->reloads->lock);
    return goes_on;
}

static void prepare(void *context, struct actor *actor)
{
    struct instance *instance = context;
    struct party *party = instance->party;
    char why[RELOAD_WHY - ADDRESS_NAME_LIMIT - 8];
    /* One that was killed meanwhile begins anew, when all is decided. */
    if (!actor_is_held(actor) || !begin_preparing(party))
        return;
    struct staging_notes notes;
    staging_notes_init(&notes);
    why[0] = '\0';
    int error = staging_prepare(script_in(actor), party->update,
                                party->report->rows[instance->row].to, &party->options, &notes, why,
                                sizeof why);
    if (error == 0) {
        take_notes(instance, actor, &notes);
        atomic_store_explicit(&instance->state, INSTANCE_PREPARED, memory_order_release);
    } else if (!incarnation_is_condemned(actor)) { /* else it is killed next, and forgotten */
        refuse(party, actor, why);
    }
    staging_notes_fini(&notes);
    count_down(party, &party->preparing);
}

/* The actor goes on, on the new version or the old. */
static void let_go(void *context, struct actor *actor)
{
    struct instance *instance = context;
    struct party *party = instance->party;
    struct script *script = script_in(actor);
    if (!staging_is_prepared(script))
        return;
    if (!party->commits) {
        staging_abort(script);
        return;
    }
    staging_commit(script);
    restart_moved(script);
    lock_acquire(&party->reloads->lock);
    memcpy(instance->version, script->version, sizeof instance->version);
    lock_release(&party->reloads->lock);
}

/* ---- On the reloader ------------------------------------------------------- */

static struct message *make_order(struct instance *instance, enum hold_step step)
{
    struct party *party = instance->party;
    struct hold_order order = { .run = step == HOLD_BEGIN  ? be_held
                                       : step == HOLD_WORK ? prepare
                                                           : let_go,
                                .context = instance };
    struct message_receipt receipt = { .over = order_over, .context = party,
                                       .number = (uint64_t)(instance - party->instances),
                                       .weight = step };
    return hold_order_new(instance->id, step, &order, &receipt);
}

/* One that is not sent: nobody is told. */
static void drop_order(struct message *order)
{
    if (order == NULL)
        return;
    message_untrack(order);
    message_free(order);
}

static void send_order(struct party *party, struct message *order)
{
    atomic_fetch_add_explicit(&party->references, 1, memory_order_relaxed);
    hold_order_send(system_of(party), order);
}

/* Waits until nothing is left of what is counted; not longer than until the
 * deadline, nor than the host lasts if it is `hasty`. */
static bool await(struct party *party, atomic_uint *count, uint64_t deadline_ns, bool hasty)
{
    struct reloads *reloads = party->reloads;
    if (reloads->world->stage) {
        while (atomic_load_explicit(count, memory_order_acquire) > 0 &&
               scheduler_step(system_of(party)))
            continue;
        return atomic_load_explicit(count, memory_order_acquire) == 0;
    }
    bool in_time = true;
    lock_acquire(&reloads->lock);
    while (in_time && atomic_load_explicit(count, memory_order_acquire) > 0 &&
           !(hasty && reloads_are_stopping(reloads)))
        in_time = signal_wait_until(&reloads->changed, &reloads->lock, deadline_ns);
    lock_release(&reloads->lock);
    return atomic_load_explicit(count, memory_order_acquire) == 0;
}

static size_t collect(struct party *party, size_t row, struct source *source, actor_id *ids,
                      size_t room, size_t at)
{
    size_t count = source_instances(source, ids, room);
    if (count > room)
        count = room; /* who has come since waits at its start */
    for (size_t i = 0; i < count; i++)
        party->instances[at + i] = (struct instance){ .party = party, .row = row, .id = ids[i] };
    return at + count;
}

struct party *party_new(struct reloads *reloads, struct update *update,
                        struct reload_report *report, const struct staging_options *options)
{
    size_t room = 0;
    for (size_t i = 0; i < report->count; i++)
        room += source_instance_count(report->rows[i].from);
    actor_id *ids = memory_get((room + 1) * sizeof *ids);
    struct party *party =
        ids != NULL ? memory_get_zeroed(sizeof *party + room * sizeof party->instances[0]) : NULL;
    size_t count = 0;
    if (party != NULL) {
        party->reloads = reloads;
        party->update = update;
        party->report = report;
        party->options = *options;
        party->count = room;
        atomic_init(&party->references, 1);
        for (size_t i = 0; i < report->count; i++)
            count = collect(party, i, report->rows[i].from, ids, room - count, count);
    }
    if (ids != NULL)
        memory_put(ids, (room + 1) * sizeof *ids);
    if (party == NULL)
        return NULL;
    /* Fewer than there is room for: no actor has the id 0, and none is asked. */
    for (size_t i = count; i < room; i++)
        party->instances[i] = (struct instance){ .party = party };
    for (size_t i = 0; i < count; i++) {
        party->instances[i].end = make_order(&party->instances[i], HOLD_END);
        if (party->instances[i].end != NULL)
            continue;
        while (i-- > 0)
            drop_order(party->instances[i].end);
        party_unref(party);
        return NULL;
    }
    return party;
}

size_t party_size(const struct party *party)
{
    return party->count;
}

struct busy_visit {
    struct party *party;
    actor_id id;
    char     others[40]; /* ", and so are 2 others" */
};

/* What an actor that does not come to rest is at. */
static bool describe_busy(void *context, const struct actor_report *actor)
{
    struct busy_visit *visit = context;
    struct reload_report *report = visit->party->report;
    if (actor->id != visit->id)
        return false;
    if (actor->handling != TYPE_NONE && actor->for_ns > 0)
        snprintf(report->why, sizeof report->why,
                 "%s is busy%s: its handler of %s has run for %.1f s, and a reload waits %g s for it",
                 actor->name, visit->others, type_name(actor->handling),
                 (double)actor->for_ns / (double)NS_PER_SEC, (double)HOLD_NS / (double)NS_PER_SEC);
    else
        snprintf(report->why, sizeof report->why, "%s is busy%s: it did not come to rest in %g s",
                 actor->name, visit->others, (double)HOLD_NS / (double)NS_PER_SEC);
    return false;
}

static void say_who_is_busy(struct party *party)
{
    struct busy_visit visit = { .party = party };
    unsigned count = 0;
    lock_acquire(&party->reloads->lock);
    for (size_t i = 0; i < party->count; i++) {
        if (party->instances[i].id == 0 || party->instances[i].answered)
            continue;
        if (count++ == 0)
            visit.id = party->instances[i].id;
    }
    lock_release(&party->reloads->lock);
    if (count > 1)
        snprintf(visit.others, sizeof visit.others, ", and so %s %u other%s",
                 count == 2 ? "is" : "are", count - 1, count == 2 ? "" : "s");
    snprintf(party->report->why, sizeof party->report->why, "an actor was busy"); /* it is gone now */
    uint32_t slot = actor_id_slot(visit.id);
    statistics_each(system_of(party), &slot, 1, describe_busy, &visit);
}

static bool host_ends(struct party *party)
{
    if (!reloads_are_stopping(party->reloads))
        return false;
    snprintf(party->report->why, sizeof party->report->why, "the host is ending");
    return true;
}

static bool out_of_memory(struct party *party)
{
    snprintf(party->report->why, sizeof party->report->why, "out of memory");
    return false;
}

bool party_hold(struct party *party)
{
    uint64_t deadline_ns = clock_now(&system_of(party)->clock) + HOLD_NS;
    atomic_uint *awaited = &party->awaited[HOLD_BEGIN];
    for (size_t i = 0; i < party->count; i++) {
        struct instance *instance = &party->instances[i];
        if (instance->id == 0)
            continue;
        struct message *begin = make_order(instance, HOLD_BEGIN);
        if (begin == NULL)
            return out_of_memory(party);
        atomic_fetch_add_explicit(awaited, 1, memory_order_relaxed);
        send_order(party, begin);
    }
    bool held = await(party, awaited, deadline_ns, true);
    if (host_ends(party))
        return false;
    if (!held)
        say_who_is_busy(party);
    return held;
}

/* No instance begins to prepare from now on, and none is at it when this returns. */
static void give_up(struct party *party)
{
    lock_acquire(&party->reloads->lock);
    party->given_up = true;
    lock_release(&party->reloads->lock);
    await(party, &party->preparing, UINT64_MAX, false);
}

bool party_prepare(struct party *party)
{
    atomic_uint *awaited = &party->awaited[HOLD_WORK];
    for (size_t i = 0; i < party->count; i++) {
        struct instance *instance = &party->instances[i];
        if (atomic_load_explicit(&instance->state, memory_order_acquire) != INSTANCE_HELD)
            continue; /* it has ended */
        struct message *work = make_order(instance, HOLD_WORK);
        if (work == NULL) {
            give_up(party);
            return out_of_memory(party);
        }
        atomic_fetch_add_explicit(awaited, 1, memory_order_relaxed);
        send_order(party, work);
    }
    await(party, awaited, UINT64_MAX, true);
    lock_acquire(&party->reloads->lock);
    bool refused = party->given_up;
    lock_release(&party->reloads->lock);
    if (refused || reloads_are_stopping(party->reloads)) {
        give_up(party);
        host_ends(party);
        return false;
    }
    return true;
}

void party_let_begin(struct reloads *reloads)
{
    lock_acquire(&reloads->lock);
    struct message *waiting = reloads->waiting;
    reloads->waiting = NULL;
    lock_release(&reloads->lock);
    while (waiting != NULL) {
        struct message *each = waiting;
        waiting = atomic_load_explicit(&each->next, memory_order_relaxed);
        hold_order_send(reloads->world->system, each);
    }
}

static void note_versions(struct party *party)
{
    lock_acquire(&party->reloads->lock);
    for (size_t i = 0; i < party->count; i++) {
        struct reload_row *row = &party->report->rows[party->instances[i].row];
        if (row->version[0] == '\0')
            memcpy(row->version, party->instances[i].version, sizeof row->version);
    }
    lock_release(&party->reloads->lock);
}

void party_end(struct party *party, bool commit)
{
    atomic_uint *awaited = &party->awaited[HOLD_END];
    party->commits = commit;
    for (size_t i = 0; i < party->count; i++) {
        struct instance *instance = &party->instances[i];
        if (instance->end == NULL)
            continue;
        lock_acquire(&party->reloads->lock);
        instance->awaited = instance->answered;
        if (instance->awaited)
            atomic_fetch_add_explicit(awaited, 1, memory_order_relaxed);
        lock_release(&party->reloads->lock);
        struct message *end = instance->end;
        instance->end = NULL;
        send_order(party, end);
    }
    await(party, awaited, UINT64_MAX, true);
    note_versions(party);
    party_unref(party);
}
