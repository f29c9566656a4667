/*
 * mailbox.h -- where messages wait for one actor.
 *
 * Any thread may put; only the worker now running the actor may take. Four
 * lanes: control before notices before high before ordinary; in each, order of
 * arrival is kept, so two messages from one sender never change places within a
 * lane. Ordinary and high messages are bounded in number and bytes; control
 * messages, notices, answers and timers' messages have reserved room. Notices (of
 * ends) are to be handled by the actor's code, so they wait while a handler does.
 *
 * A mailbox knows nothing of actors or schedulers. When a put finds the box
 * asleep it says so, and the caller decides whom to wake.
 *
 * The hand-over. Putting is a push onto `top`, a stack that the taker takes
 * whole and turns round. `top` is one of
 *     MAILBOX_ASLEEP  empty, and nobody runs or will run the actor;
 *     NULL            empty, and the actor is queued or running;
 *     a message       not empty, and the actor is queued or running;
 *     MAILBOX_CLOSED  the actor is gone: puts are refused, for ever.
 * Falling asleep is one compare-and-swap from NULL to ASLEEP: if a message
 * has come in between it fails, and the taker goes on. A push that replaces
 * ASLEEP is the only one that answers MAILBOX_WOKE, so of all the puts that
 * come after the falling asleep exactly one schedules the actor. There is no
 * moment at which a message lies in a box that is asleep, and no moment at
 * which two threads believe that they run the actor.
 *
 * Room. `load` holds the number and the bytes of counted messages, and the
 * mark that somebody waits for room, in one word: a put that takes room, the
 * taker that gives it back and a waiter that sets the mark are all
 * compare-and-swaps on the same word. So a waiter can set its mark only while
 * the box is full, and the taker that makes it less full sees the mark: no
 * wake-up is lost. The limit is never passed, but by drop_old (one batch).
 *
 * Opening again. A put may still be under way in a box that is closed and opened
 * for the next actor meanwhile, having taken room and not yet looked at `top`. So
 * closing gives back the room of just what it hands over, and opening resets
 * nothing: who is under way gives back his own, or his message is in the new box.
 */
#ifndef TROUPE_ACTOR_MAILBOX_H
#define TROUPE_ACTOR_MAILBOX_H

#include "base/thread.h"
#include "message/message.h"

enum mailbox_overflow {
    OVERFLOW_WAIT,     /* a send waits for room */
    OVERFLOW_FAIL,     /* a send is told FULL */
    OVERFLOW_DROP_OLD, /* the oldest makes room */
    OVERFLOW_DROP_NEW, /* the new one is dropped */
};

struct mailbox_options {
    uint32_t limit;    /* counted messages; 1 to MAILBOX_LIMIT_MAX */
    uint64_t bytes;    /* of counted messages */
    enum mailbox_overflow overflow;
};

#define MAILBOX_LIMIT_MAX 4000000u
#define MAILBOX_OPTIONS_DEFAULT \
    ((struct mailbox_options){ .limit = 1024, .bytes = 16u << 20, .overflow = OVERFLOW_WAIT })

enum mailbox_answer {
    MAILBOX_OK = 0,
    MAILBOX_WOKE = 1,   /* stored, and the box was asleep: schedule its actor */
    MAILBOX_FULL = 2,   /* not stored: no room */
    MAILBOX_CLOSED = 3, /* not stored: the actor is gone */
    MAILBOX_PARKED = 4, /* mailbox_park(): kept until there is room */
};

/* A send that waits for room: its message, and what tells its sender. */
struct parked {
    struct parked  *next;
    struct message *message;
    struct message *wake;    /* MESSAGE_WAKE to the sender; NULL: it waits for an answer anyway */
};

struct message_list {
    struct message *head, *tail;
};

struct mailbox {
    /* Producers' line. */
    _Alignas(CACHE_LINE) _Atomic(struct message *) top;
    _Atomic uint64_t load;    /* MAILBOX_WAITED | count << 40 | bytes */
    _Atomic bool     urgent;  /* a control or high message is on the stack */
    struct spin      lock;    /* of parked, older */
    /* Fixed by mailbox_open(); a put that is under way may see the last ones. */
    _Atomic uint32_t limit;
    _Atomic uint64_t bytes;
    _Atomic uint8_t  overflow; /* enum mailbox_overflow */
    /* For people to look at; see mailbox_oldest() and mailbox_lane(). */
    _Atomic uint32_t pile_ms;  /* born_ms of what was put on the empty stack */
    _Atomic uint32_t older_ms; /* of the head of `older`, or 0; written under lock */
    _Atomic int32_t  lane_count[LANE_COUNT];
    _Atomic uint32_t parked_count; /* written under lock */

    /* The taker's line. */
    _Alignas(CACHE_LINE) struct message_list lanes[LANE_COUNT];
    _Atomic uint64_t returned; /* load of messages taken and not yet given back; written by the taker */
    _Atomic uint32_t front_ms; /* born_ms of the oldest in the lanes, or 0; written by the taker */
    uint32_t lot;             /* so many are given back at once; fixed by mailbox_open() */
    struct message *passed;   /* selective taking: nothing wanted up to here in the ordinary lane
                               * (APPETITE_HELD: in the control lane) */

    struct parked *parked_head, *parked_tail; /* guarded by lock */
    struct message_list older;                /* drop_old: trimmed by putters; guarded by lock */
};

/* The box is zeroed memory, or was closed. A new box is awake: whoever makes it
 * schedules the actor or calls mailbox_sleep(). */
void mailbox_open(struct mailbox *box, const struct mailbox_options *options);

static inline enum mailbox_overflow mailbox_overflow(const struct mailbox *box)
{
    return (enum mailbox_overflow)atomic_load_explicit(&box->overflow, memory_order_relaxed);
}

/* The options it was opened with. */
static inline struct mailbox_options mailbox_opened_with(const struct mailbox *box)
{
    return (struct mailbox_options){
        .limit = atomic_load_explicit(&box->limit, memory_order_relaxed),
        .bytes = atomic_load_explicit(&box->bytes, memory_order_relaxed),
        .overflow = mailbox_overflow(box),
    };
}

/* Moves *message into the box and sets *message to NULL. On FULL or CLOSED
 * nothing moves. Control, notices and messages with `reserved` ignore the limits.
 * Any thread; never waits. With drop_old the messages that made room are
 * handed to the caller in `dropped` (linked by next; else NULL). */
enum mailbox_answer mailbox_put(struct mailbox *box, struct message **message, bool reserved,
                                struct message **dropped);

/* For a put that found the box FULL: keeps *message (and *wake, which may be
 * NULL) until there is room; the taker then stores it in its order. MAILBOX_PARKED:
 * both are the box's. CLOSED: nothing moved. FULL: no memory. OK or WOKE:
 * there was room meanwhile; *message moved, *wake stays the caller's. */
enum mailbox_answer mailbox_park(struct mailbox *box, struct message **message,
                                 struct message **wake);

/* Takes back what `sender` parked for its wait `request`: the message, the
 * caller's again; NULL if it was stored already or the box has closed. */
struct message *mailbox_unpark(struct mailbox *box, actor_id sender, uint64_t request);

/* Which messages mailbox_take() may hand out. */
enum appetite {
    APPETITE_ALL,
    APPETITE_CONTROL, /* a handler waits: answers and control only */
    APPETITE_CHOSEN,  /* a handler waits for what `chooses` accepts, and control */
    APPETITE_HELD,    /* of control only orders of a hold, and kills */
};
typedef bool mailbox_chooser(void *context, const struct message *message);

/* Hands the next message to the caller, or returns NULL. *wakes gets the
 * MESSAGE_WAKEs of parked senders that have found room (linked by next; else
 * NULL), to be sent. Only the worker running the actor. */
struct message *mailbox_take(struct mailbox *box, enum appetite appetite,
                             mailbox_chooser *chooses, void *context, struct message **wakes);

/* Forgets what selective taking has passed over: a new wait begins. */
void mailbox_reconsider(struct mailbox *box);

/* Gives back at once all the room of messages already taken (it is else given
 * back in lots): before the taker itself begins to wait for somebody. Returns
 * wakes as mailbox_take() does. */
struct message *mailbox_settle(struct mailbox *box);

/* Lets the box fall asleep; false if something has come meanwhile. After true
 * the caller must not touch the actor again. */
bool mailbox_sleep(struct mailbox *box);

/* Closes the box for ever (until mailbox_open()) and hands over all that was in
 * it, in order: *messages (linked by next), *parked likewise. */
void mailbox_close(struct mailbox *box, struct message **messages, struct parked **parked);

/* Counted messages now in the box: not those already taken, whose room is still
 * to be given back, nor those that wait for room. Any thread; a snapshot. */
uint32_t mailbox_length(const struct mailbox *box);
uint64_t mailbox_bytes(const struct mailbox *box);

/* The same with those that wait for room: what is lost if the box closes now,
 * but for the messages of timers. Any thread. */
uint32_t mailbox_unhandled(struct mailbox *box);

/* Whether anything waits that was put in the box, and if so the born_ms (base/clock.h
 * in milliseconds, low bits) of what has waited longest in it. Any thread; a snapshot:
 * while messages are moved it may be that of the next one. */
bool mailbox_oldest(const struct mailbox *box, uint32_t *born_ms);

/* How many of a lane are in the box (not the answers and wakes for its actor's own
 * waits); of the ordinary one only those that take no room: of timers and streams.
 * Any thread; a snapshot. */
uint32_t mailbox_lane(const struct mailbox *box, enum message_lane lane);

/* Senders that wait for room. Any thread; a snapshot. */
uint32_t mailbox_parked(const struct mailbox *box);

/* Whether the box is asleep: empty, and nobody runs its actor. Any thread; a snapshot. */
bool mailbox_is_asleep(const struct mailbox *box);

#endif
