/*
 * message.h -- one message: who, to whom, what kind, and a packed payload.
 *
 * A message has exactly one owner at every moment; each hand-over nulls the
 * giver's pointer. One allocation, payload inline behind the header.
 */
#ifndef TROUPE_MESSAGE_MESSAGE_H
#define TROUPE_MESSAGE_MESSAGE_H

#include "base/base.h"
#include "message/address.h"
#include "message/type.h"

#include <stdatomic.h>

/* Which actor: generation in the high half, slot in the low. 0: nobody. A
 * number is never used twice, so it can be kept for ever. */
typedef uint64_t actor_id;

static inline uint32_t actor_id_slot(actor_id id) { return (uint32_t)id; }
static inline uint32_t actor_id_generation(actor_id id) { return (uint32_t)(id >> 32); }

/* Why something did not happen; the words scripts see are failure_reason_name(). */
enum failure_reason {
    FAILURE_NONE = 0,
    FAILURE_TIMEOUT,
    FAILURE_REJECTED,
    FAILURE_FAILED,
    FAILURE_DOWN,
    FAILURE_DEADLOCK,
    FAILURE_FULL,
    FAILURE_UNREACHABLE,
    FAILURE_NO_REPLY,
    FAILURE_STOPPING,
    FAILURE_RELOAD, /* new code was refused: the old goes on */
};
const char *failure_reason_name(enum failure_reason reason); /* "timeout", ... */

enum message_kind {
    MESSAGE_ORDINARY, /* a send */
    MESSAGE_ASK,      /* a send whose sender waits: `request` says which wait */
    MESSAGE_REPLY,    /* the answer to `request` of the receiver */
    MESSAGE_FAILURE,  /* says why `request` of the receiver gets no answer: `reason`, payload is text */
    MESSAGE_TIMER,    /* from a timer: `timer` */
    MESSAGE_START,    /* always the first; payload is the config */
    MESSAGE_STOP,     /* control: end; `drain` says whether to handle the rest first, `reason` is an
                       * enum stop_how and `request` the incarnation meant (actor/lifecycle.h) */
    MESSAGE_WAKE,     /* control: wait number `request` is over (room, deadline): `reason` says how */
    MESSAGE_DOWN,     /* tells of an end: `request` is the number of the watch; actor/watches.h */
    MESSAGE_FAIL,     /* control: a child's failure is the receiver's; payload is text (actor/incarnation.h) */
    MESSAGE_NOTICE,   /* the host tells the incarnation `request` of its receiver something (0: any) */
    MESSAGE_ITEM,     /* what a stream has brought; tracked, see actor/streams.h */
    MESSAGE_STREAM,   /* that a stream has opened or ended; tracked likewise */
    MESSAGE_EVALUATE, /* control: a text to be evaluated in its receiver, or what concerns one;
                       * tracked; script/evaluate.h. One that waits its turn: LANE_NOTICE */
    MESSAGE_HOLD,     /* control: an order to an actor that is or will be held; actor/hold.h */
};

/* In which lane it waits; see actor/mailbox.h. */
enum message_lane { LANE_CONTROL, LANE_NOTICE, LANE_HIGH, LANE_ORDINARY, LANE_COUNT };

struct timer;

struct message {
    _Atomic(struct message *) next; /* the mailbox's */
    actor_id to;
    actor_id from;                  /* 0: nobody on this host */
    type_id  type;
    uint32_t size;                  /* bytes of payload */
    uint64_t request;
    union {
        struct address *origin;     /* the sender, if elsewhere; counted */
        struct timer   *timer;      /* MESSAGE_TIMER; counted by actor/timer */
    };
    uint32_t born_ms;               /* low bits of the host's coarse clock */
    uint8_t  kind;                  /* enum message_kind */
    uint8_t  lane;                  /* enum message_lane */
    uint8_t  reason;                /* enum failure_reason */
    uint8_t  flags;
    uint8_t  payload[];
};

enum {
    MESSAGE_COUNTED = 1, /* holds room in its receiver's mailbox: give it back when taken */
    MESSAGE_DRAIN = 2,   /* MESSAGE_STOP: handle what is queued first */
    MESSAGE_LEDGER = 4,  /* written down by the ledger (see message_ledger_*) */
    MESSAGE_KEPT = 8,    /* belongs to whoever made it (an alarm): message_free() leaves it alone */
    MESSAGE_TEXT = 16,   /* its payload was JSON: references in it are texts as yet */
    MESSAGE_REMOTE = 32, /* from another host, whether or not it says from whom */
    MESSAGE_TRACKED = 64, /* somebody wants to know when it is over: see message_settle() */
    MESSAGE_TRACED = 128, /* a tracer wants to know what becomes of it: actor/tap.h */
};

/* Who wants to know when a message is over, and under which number. `over` is
 * called once, on any thread, with no lock of ours held, never from a handler:
 * `handled` is false for what went to the dead letters instead. */
struct message_receipt {
    void   (*over)(void *context, uint64_t number, size_t weight, bool handled);
    void    *context;
    uint64_t number;
    size_t   weight; /* handed back with it, whatever becomes of the payload */
};

/* A new message with a copy of `payload`; control and answer kinds and the
 * start are put into LANE_CONTROL, what the host tells of others into LANE_NOTICE, others into
 * LANE_ORDINARY. Change `flags` bit by bit only. NULL when there is no memory or 4 GiB of payload.
 * The macro notes the place for the ledger. Any thread. */
#define message_new(kind, type, payload, size) \
    message_new_at((kind), (type), (payload), (size), __FILE__, __LINE__)
struct message *message_new_at(enum message_kind kind, type_id type, const void *payload,
                               size_t size, const char *file, int line);

/* The same, with a receipt: it lies behind the payload, so that messages
 * without one carry nothing for it. */
#define message_new_tracked(kind, type, payload, size, receipt) \
    message_new_tracked_at((kind), (type), (payload), (size), (receipt), __FILE__, __LINE__)
struct message *message_new_tracked_at(enum message_kind kind, type_id type, const void *payload,
                                       size_t size, const struct message_receipt *receipt,
                                       const char *file, int line);

void message_settle_slow(struct message *message, bool handled);

/* The message is over, although it may be kept: whoever tracks it is told, the
 * first time. message_free() does it for what was not settled before. */
static inline void message_settle(struct message *message, bool handled)
{
    if (message->flags & MESSAGE_TRACKED)
        message_settle_slow(message, handled);
}

/* Whether somebody still waits to be told. */
bool message_is_awaited(const struct message *message);

/* A copy of the message with another payload, which takes over its origin and
 * whoever waits to be told; frees the old one. NULL, and all is as it was, when
 * there is no memory. */
struct message *message_replace(struct message *message, const void *payload, size_t size);

/* Nobody is to be told of it: what its receipt held is the caller's again. */
void message_untrack(struct message *message);

/* Frees the message, drops its origin and its timer. NULL is fine. */
void message_free(struct message *message);

/* What counts against a mailbox's bytes. */
static inline size_t message_weight(const struct message *message)
{
    return sizeof *message + message->size;
}

/* The ledger: while on, each new message is written down with the place that
 * made it, so that the stage can name what was left behind. Process-wide and
 * slow; on while at least one stage is open. */
void   message_ledger_begin(void);
void   message_ledger_end(void);
/* Messages alive that were made since the ledger was last switched on; fills
 * `where` with "Ping made at host/...:12; ..." for the first few. */
size_t message_ledger_left(char *where, size_t room);

/* Called for a message with MESSAGE_TRACED that is freed (`other` NULL) or that
 * `other` takes the place of; set once by actor/tap, before it traces anything. */
extern void (*message_traced)(const struct message *message, const struct message *other);

/* How a message of kind TIMER lets go of its timer; set once by actor/timer. */
extern void (*message_timer_release)(struct timer *timer);

#endif
