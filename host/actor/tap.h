/*
 * tap.h -- looks at messages while they pass: who sends what to whom, how long it
 * waits, how long its handler takes, and what becomes of it.
 *
 * Off it costs a send one relaxed load and one branch, and a receiver a look at a bit
 * of the message. On, a message that a *tracer* wants costs three fixed-size records
 * (sent, begun, over) in rings of bounded memory, which the first tracer gets and which
 * are kept: 2 MiB a busy thread, 16 MiB at most. They are written by the threads that do
 * these things, which never wait; when there is no room they are lost, and counted.
 * Whoever calls tap_collect() joins them to one *line* a message and shows it to the
 * tracers that want it: no worker is needed for that.
 *
 * Process-wide, as the types are: a tracer sees the messages of one host.
 */
#ifndef TROUPE_ACTOR_TAP_H
#define TROUPE_ACTOR_TAP_H

#include "message/message.h"

struct system;

#define TAP_TRACERS_MAX   8      /* at once */
#define TAP_LIMIT_DEFAULT 10000u /* messages a second that a tracer takes */
#define TAP_LIMIT_MAX     1000000u
#define TAP_PAYLOAD       200    /* packed bytes kept of a payload */
#define TAP_NAME          96     /* bytes kept of a name */
#define TAP_SLOW_NS       NS_PER_SEC /* what takes longer is shown before it is over */

enum tap_kind {
    TAP_SEND, TAP_ASK, TAP_REPLY, TAP_FAILURE, TAP_TIMER, TAP_START, TAP_STOP, TAP_DOWN,
    TAP_NOTICE, TAP_STREAM, TAP_KIND_COUNT
};
/* "send", ...; and back: -1 if it is none. */
const char *tap_kind_name(enum tap_kind kind);
int         tap_find_kind(const char *name);
#define TAP_KIND_WORDS "send, ask, reply, failure, timer, start, stop, down, notice or stream"

enum tap_outcome {
    TAP_HANDLED,   /* its handler has ended, or what waited for it has it */
    TAP_FAILED,    /* its handler died: detail says of what */
    TAP_UNHANDLED, /* there was no handler */
    TAP_DEAD,      /* it went to the dead letters: detail says why */
    TAP_REFUSED,   /* its sender was told that it cannot be taken: detail says why */
    TAP_AWAY,      /* it was given to the network */
    TAP_WAITING,   /* for TAP_SLOW_NS so far, in the mailbox: there will be another line */
    TAP_RUNNING,   /* its handler has not ended yet: likewise */
};
/* "handled", "failed", "no handler", "dead letter", "refused", "sent away", "waiting", "running". */
const char *tap_outcome_name(enum tap_outcome outcome);

/* Whether the pattern ("*" any text, "?" any character) fits the whole name. */
bool tap_fits(const char *pattern, const char *name);

/* What a tracer wants. Texts are borrowed for the call. */
struct tap_filter {
    const char *to, *from; /* patterns of names; NULL: anybody */
    const char *actor;     /* either of both */
    const char *type;      /* as handlers are found; NULL: any */
    unsigned    kinds;     /* bits 1 << enum tap_kind; 0: all */
    uint32_t    sample;    /* one in so many of what is left; 0: all */
    uint32_t    limit;     /* a second; 0: TAP_LIMIT_DEFAULT */
};

#define TAP_UNKNOWN UINT64_MAX

struct tap_line {
    uint64_t number;        /* of the message: the same in its earlier line, if it has one */
    uint64_t time_us;       /* since 1970: when it was sent */
    const char *from, *to;  /* names, of others elsewhere with their endpoint; NULL: nobody */
    actor_id from_id, to_id; /* 0: nobody here */
    type_id  type;          /* TYPE_NONE: a failure */
    enum tap_kind kind;
    const uint8_t *payload; /* the first `shown` bytes of `size`, packed */
    size_t   shown, size;
    uint64_t waited_ns;     /* in the mailbox (so far); TAP_UNKNOWN */
    uint64_t took_ns;       /* from then to the end of its handler, waits of that included; likewise */
    enum tap_outcome outcome;
    const char *detail;     /* NULL: nothing to say */
    type_id  reply;         /* an ask's: with which it was answered before its handler ended */
};

struct tracer;

/* Begins to trace. `show` is called by tap_collect() for each line; it must neither
 * wait long nor open or close a tracer. 0; -EBUSY: there are TAP_TRACERS_MAX; -EINVAL:
 * a pattern that no name fits, or a type that is none; -ENOMEM. Any thread. */
int  tracer_open(struct tracer **tracer, struct system *system, const struct tap_filter *filter,
                 void (*show)(void *context, const struct tap_line *line), void *context);
/* Nothing is shown to it any more. With the last one the tap is off. NULL is fine. */
void tracer_close(struct tracer *tracer);

/* What it should have shown and did not: `skipped`, because there were more than its
 * limit; `lost`, because there was no room in the rings (whosever messages it were).
 * Since it was opened. */
void tracer_missed(const struct tracer *tracer, uint64_t *skipped, uint64_t *lost);

/* Shows what has been noted since the last time; but for what is younger than a few
 * hundredths of a second, which may not be in order yet, unless `all`. Any thread. */
void tap_collect(bool all);

/* ------------------------------------------------ where messages pass ---- */

extern _Atomic uint32_t tap_on; /* the tracers there are, a bit each */

static inline bool tap_is_on(void)
{
    return UNLIKELY(atomic_load_explicit(&tap_on, memory_order_relaxed) != 0);
}

/* It is about to be put into the mailbox of message->to. */
void tap_sent(struct system *system, struct message *message);
/* An actor takes it up. Only for one that has MESSAGE_TRACED. */
void tap_began(const struct message *message);
/* It will not be handled. Likewise. */
void tap_refused(struct message *message, enum tap_outcome outcome, const char *detail);

/* One that comes to no mailbox of ours, for `to`: a record of it, to be ended soon (NULL:
 * nobody wants it, and that is fine). The message may be another's by then. */
struct tap_record;
struct tap_record *tap_passing(struct system *system, const struct message *message, const char *to);
void tap_passed(struct tap_record *record, enum tap_outcome outcome, const char *detail);

#endif
