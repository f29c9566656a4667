/*
 * statistics.h -- what is counted and timed of each actor, and how any thread
 * looks at it while every worker may be stuck in a handler.
 *
 * A message costs a few stores on its worker. Every so many messages, and
 * whenever the host's coarse clock has moved on, a worker times the handler that
 * it begins: so a busy one is timed often enough, and a rare one every time. What
 * counts is the time in which the handler ran: a preempted one goes on being
 * timed, while it waits the clock stands. Where several handlers of an actor are
 * under way at once each stretch of running counts by itself. on_start and
 * on_shutdown are not timed.
 *
 * Times go into a small histogram that is made with the first of them and freed
 * with the actor. It forgets: it tells of the last few thousand that were timed.
 */
#ifndef TROUPE_ACTOR_STATISTICS_H
#define TROUPE_ACTOR_STATISTICS_H

#include "actor/scheduler.h"
#include "actor/subject.h"
#include "actor/system.h"

struct handler_times;

#define STATISTICS_EVERY 64 /* messages of a worker: then one is timed */

/* ---- By actor_run() only ---- */

void statistics_time(struct actor *actor, struct worker *worker, enum message_kind kind,
                     uint32_t now_ms);
void statistics_timed(struct actor *actor, struct worker *worker, enum verdict verdict);

/* The behaviour is about to be given a message. */
static inline void statistics_begin(struct actor *actor, struct worker *worker,
                                    const struct message *message)
{
    uint32_t now_ms = atomic_load_explicit(&actor->system->born_ms, memory_order_relaxed);
    uint64_t handled = atomic_load_explicit(&actor->handled, memory_order_relaxed);
    uint64_t all = atomic_load_explicit(&worker->handled, memory_order_relaxed);
    atomic_store_explicit(&actor->since_ms, now_ms, memory_order_relaxed);
    if (LIKELY(message->kind != MESSAGE_WAKE)) {
        atomic_store_explicit(&actor->handled, handled + 1, memory_order_relaxed);
        atomic_store_explicit(&worker->handled, all + 1, memory_order_relaxed);
        atomic_store_explicit(&actor->last_type, message->type, memory_order_relaxed);
    }
    if (UNLIKELY(all % STATISTICS_EVERY == 0 || now_ms != worker->timed_ms || actor->timing))
        statistics_time(actor, worker, (enum message_kind)message->kind, now_ms);
}

/* A handler begins that is not timed: on_start, or on_shutdown. */
void statistics_untimed(struct actor *actor, type_id type);

/* A preempted handler goes on. */
static inline void statistics_go_on(struct actor *actor, struct worker *worker)
{
    if (UNLIKELY(actor->timing))
        statistics_time(actor, worker, MESSAGE_WAKE, worker->timed_ms);
}

/* It has come back. */
static inline void statistics_end(struct actor *actor, struct worker *worker, enum verdict verdict)
{
    if (UNLIKELY(worker->timed_ns != 0))
        statistics_timed(actor, worker, verdict);
}

/* ---- By a behaviour, on the actor's worker ---- */

/* A handler of it has failed. */
void statistics_failed(struct actor *actor);

/* Whom the wait that begins is for, if no edge says it: an actor here (or 0), or
 * somebody elsewhere or not yet born (or NULL), of which it takes a reference. */
void statistics_waits_at(struct actor *actor, actor_id here, struct address *elsewhere);

/* From now on its handler waits for that, about messages of `type` (or TYPE_NONE). */
static inline void statistics_waits(struct actor *actor, enum waiting waiting, type_id type)
{
    uint32_t now_ms = atomic_load_explicit(&actor->system->born_ms, memory_order_relaxed);
    atomic_store_explicit(&actor->since_ms, now_ms, memory_order_relaxed);
    atomic_store_explicit(&actor->waiting, (uint64_t)type << 8 | waiting, memory_order_relaxed);
}

static inline void statistics_waits_no_more(struct actor *actor)
{
    atomic_store_explicit(&actor->waiting, WAITING_FOR_NOTHING, memory_order_relaxed);
}

/* Somebody holds the actor, for a reload; or no more. On its worker. */
static inline void statistics_held(struct actor *actor, bool held)
{
    atomic_store_explicit(&actor->shown_held, held, memory_order_relaxed);
}

/* ---- Looking ---- */

enum activity {
    ACTIVITY_STARTING,  /* registered, and on_start has not begun */
    ACTIVITY_IDLE,
    ACTIVITY_READY,     /* it has mail, and no worker has come to it yet */
    ACTIVITY_RUNNING,
    ACTIVITY_PREEMPTED, /* in a handler that was suspended where it stood */
    ACTIVITY_WAITING,
    ACTIVITY_STOPPING,  /* between two handlers, of which there are not many to come */
    ACTIVITY_HELD,      /* for a reload: nothing of it runs, and mail waits */
    ACTIVITY_HALTED,    /* until it is started again */
    ACTIVITY_COUNT
};
const char *activity_name(enum activity activity); /* "idle", ... */
const char *waiting_name(enum waiting waiting);    /* "answer", ...; "" for nothing */

#define STATISTICS_WHERE_ROOM (ADDRESS_NAME_LIMIT + ADDRESS_ENDPOINT_LIMIT + 2)

/* A picture of one actor, taken at one moment. Figures that change together may
 * be of different instants, a few microseconds apart. */
struct actor_report {
    actor_id id;
    char     name[ADDRESS_NAME_LIMIT + 1];
    bool     hidden;
    bool     supervised;
    bool     has_subject;
    struct subject_report subject;  /* if so; its `path` is `path` below */
    char     path[512];             /* cut */
    enum activity activity;
    enum waiting  waiting;          /* ACTIVITY_WAITING: for what */
    char     target[STATISTICS_WHERE_ROOM]; /* and for whom; "": nobody, or it is not known */
    type_id  waits_type;            /* and about what; or TYPE_NONE */
    type_id  handling;              /* what the handler in hand is about; or TYPE_NONE */
    uint64_t for_ns;                /* since when it runs or waits; 0 if it does neither */
    char     thread[ADDRESS_NAME_LIMIT + 8]; /* on which it runs now ("worker-1"), else may run */
    uint32_t queued;                /* high and ordinary messages */
    uint32_t high;                  /* of these */
    uint32_t reserved;              /* and those that take no room: of timers and streams, */
    uint32_t notices, control;      /* notices of ends, and orders */
    uint32_t parked;                /* senders that wait for room */
    uint32_t limit;                 /* of queued */
    uint64_t queued_bytes;
    bool     has_oldest;
    uint64_t oldest_ns;             /* how long what is queued has waited at most, if so */
    uint64_t handled;               /* messages, since it was born */
    double   rate;                  /* of these a second: see statistics_mark() */
    uint64_t timed;                 /* handlers that were timed; 0: p50, p99, most are not known */
    uint64_t p50_ns, p99_ns, most_ns;
    uint64_t memory;                /* bytes that its state holds */
    uint32_t errors, restarts;
    type_id  last_type;             /* of the last message it was given; or TYPE_NONE */
};

/* Looks at living actors in the slots from *slot on, and calls `visit` for each
 * with no lock held, until it says false or `most` slots were looked at. *slot is
 * then where to go on; 0: that was all. The registry's lock is taken for a few
 * dozen actors at a time. Any thread but a signal handler. */
void statistics_each(struct system *system, uint32_t *slot, uint32_t most,
                     bool (*visit)(void *context, const struct actor_report *report),
                     void *context);

/* The rates that reports tell are measured from one mark to the next, not less than
 * STATISTICS_MARK_MS apart; reports are marks, too. This marks all actors in
 * the same lots without reporting them. Any thread. */
#define STATISTICS_MARK_MS 200
void statistics_mark(struct system *system, uint32_t *slot, uint32_t most);

struct host_report {
    unsigned workers, spares;  /* threads of the pool */
    unsigned pinned;           /* threads of actors and groups */
    unsigned busy;             /* of all these: they run a handler now */
    uint64_t handled;          /* messages, by all of them since the start */
    uint32_t actors;           /* living, without the host's own */
};
void statistics_of_host(struct system *system, struct host_report *report);

/* For lifecycle_spawn(): all begins at nothing. */
struct spawn;
void statistics_born(struct actor *actor, const struct spawn *spawn);

/* Frees what was kept of an actor that ends; the registry's lock is held. */
void statistics_forget(struct actor *actor);

#endif
