/*
 * tap_room.h -- what tap.c (who writes records), tap_ring.c (where they lie) and
 * tap_lines.c (who makes lines of them) share. Nobody else includes it.
 */
#ifndef TROUPE_ACTOR_TAP_ROOM_H
#define TROUPE_ACTOR_TAP_ROOM_H

#include "actor/tap.h"
#include "base/thread.h"

enum tap_event {
    TAP_EVENT_SENT,    /* to, from, payload */
    TAP_EVENT_BEGAN,
    TAP_EVENT_MOVED,   /* the message lies at `request` now */
    TAP_EVENT_REFUSED, /* outcome, detail */
    TAP_EVENT_OVER,
    TAP_EVENT_PASSED,  /* all in one */
};

#define TAP_RECORD 512
#define TAP_TEXT   (TAP_RECORD - 73)

struct tap_record {
    _Atomic uint64_t turn;  /* the ring's: see tap_ring.c */
    uint64_t time_ns;       /* monotonic */
    uint64_t message;       /* where it lies: what makes one of its records */
    actor_id from_id, to_id;
    uint64_t request;
    struct system *system;
    type_id  type;
    uint32_t size;          /* of the payload */
    uint8_t  event;         /* enum tap_event */
    uint8_t  mask;          /* for which tracers */
    uint8_t  kind;          /* enum tap_kind */
    uint8_t  outcome;       /* enum tap_outcome */
    uint8_t  reason;        /* enum failure_reason, of a failure */
    uint8_t  to_size, from_size, shown, detail_size;
    uint8_t  text[TAP_TEXT]; /* in this order: to, from, payload, detail */
};
_Static_assert(sizeof(struct tap_record) == TAP_RECORD, "records are as long as they are said to be");
_Static_assert(2 * TAP_NAME + TAP_PAYLOAD <= TAP_TEXT, "names and payload fit");

struct tracer {
    uint32_t bit;
    bool     used;              /* guarded by tap_lock */
    /* Fixed while its bit is in tap_on, or somebody is inside (tap_enter()): */
    struct system *system;
    char     to[TAP_NAME + 1], from[TAP_NAME + 1], actor[TAP_NAME + 1]; /* "": any */
    type_id  type;              /* type_alike(); TYPE_NONE: any */
    unsigned kinds;
    uint32_t sample, limit;
    uint64_t opened_ns;
    uint64_t lost_before;
    void   (*show)(void *context, const struct tap_line *line);
    void    *context;
    _Atomic uint64_t seen;      /* by the filter, for the sampling */
    _Atomic uint64_t window;    /* which part of a second `taken` belongs to */
    _Atomic uint32_t taken;
    _Atomic uint64_t skipped;
};
extern struct tracer tap_tracers[TAP_TRACERS_MAX];
extern struct lock   tap_lock; /* of who opens, closes and collects */

/* ---- tap_ring.c ---- */

/* Makes the rings, once; 0 or -ENOMEM. Under tap_lock. */
int tap_rings_make(void);
/* A record to be filled in and published; NULL: no room (counted). A message's first
 * record leaves room for the later ones of others. Any thread. */
struct tap_record *tap_claim(bool first);
void               tap_publish(struct tap_record *record);
uint64_t           tap_rings_lost(void);
/* The records that lie there, in order of time, of before `until_ns`: at most TAP_BATCH,
 * lent until tap_release(). Under tap_lock, as: */
#define TAP_BATCH 32768
size_t tap_gather(uint64_t until_ns, struct tap_record ***records);
void   tap_release(void);
/* Between these the filters of the tracers in the answer stay as they are. */
uint32_t tap_enter(void);
void     tap_leave(void);
/* Waits until nobody is inside who came before tap_on changed. */
void     tap_await_leave(void);

/* ---- tap_lines.c, all under tap_lock ---- */

int  tap_lines_open(void); /* 0 or -ENOMEM; before the first tracer */
void tap_lines_close(void);
void tap_lines_forget(uint32_t bit); /* a tracer that is no more */
void tap_lines_take(const struct tap_record *record);
void tap_lines_slow(uint64_t now_ns); /* shows what takes long */

static inline uint64_t tap_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_SEC + (uint64_t)t.tv_nsec;
}

#endif
