/*
 * deadletters.h -- what was dropped or could not be delivered, and why.
 *
 * Bounded in number and bytes: the oldest gives way. Counted for ever. One
 * listener is shown each at its death; who tells actors of it is actor/obituaries.h.
 */
#ifndef TROUPE_ACTOR_DEADLETTERS_H
#define TROUPE_ACTOR_DEADLETTERS_H

#include "base/thread.h"
#include "message/message.h"

struct dead_letter {
    uint64_t id;             /* from 1, in order of death */
    struct message *message; /* owned; NULL in what a listener is shown */
    type_id  type;
    uint32_t died_ms;        /* low bits of the host's coarse clock */
    enum failure_reason reason;
    char target[128];        /* name of the receiver, cut */
    char sender[64];
    char text[128];          /* "no handler on_pnig", "the actor has ended" */
};

#define TALLY_NAMES 16

/* How many died of each target. */
struct tally {
    uint64_t total;          /* but for those that failed a handler, and: */
    uint64_t rejected;       /* nobody's, or no handler's: the sender is told if it can be */
    uint64_t others;         /* of targets beyond the first few */
    unsigned names;
    struct { char name[64]; uint64_t count; } list[TALLY_NAMES];
};

struct dead_letters {
    struct lock lock;
    /* Both fixed before the first put; NULL: nobody listens; it is always 0 o'clock. */
    void  (*listen)(void *context, const struct dead_letter *letter);
    void   *context;
    const _Atomic uint32_t *clock_ms;
    struct dead_letter *ring; /* all below guarded by lock */
    size_t   capacity, first, count;
    size_t   bytes, bytes_limit;
    uint64_t total;
    bool     tallying;
    struct tally tally;
};

/* Keeps at most `capacity` letters (0: it only counts) and `bytes_limit` bytes
 * of messages. 0 or -ENOMEM. */
int  dead_letters_open(struct dead_letters *letters, size_t capacity, size_t bytes_limit);
void dead_letters_close(struct dead_letters *letters);

/* Takes *message. One that is larger than all the room is counted and freed.
 * Needs no memory, so it cannot fail; texts are cut, and may be NULL. Then shows
 * it to the listener. Any thread, with no lock held that sending a message takes. */
void dead_letters_put(struct dead_letters *letters, struct message **message,
                      enum failure_reason reason, const char *sender, const char *target,
                      const char *text);

/* From now on counts them by target as well, or no more. Any thread. */
void dead_letters_tally(struct dead_letters *letters, bool on);
/* What was counted so far. Any thread. */
void dead_letters_tallied(struct dead_letters *letters, struct tally *tally);

/* How many have died since the start, kept or not. */
uint64_t dead_letters_total(struct dead_letters *letters);

/* Calls `visit` for each that is kept, oldest first, under the lock: it must
 * not put another. */
void dead_letters_each(struct dead_letters *letters,
                       void (*visit)(void *context, const struct dead_letter *letter),
                       void *context);

/* The same for at most `most` of those whose id is greater than `after`. */
void dead_letters_some(struct dead_letters *letters, uint64_t after, size_t most,
                       void (*visit)(void *context, const struct dead_letter *letter),
                       void *context);

/* Takes one out: its message is the caller's, and *letter says what was known of it,
 * but for the message. NULL: it is not there (any more). Any thread. */
struct message *dead_letters_take(struct dead_letters *letters, uint64_t id,
                                  struct dead_letter *letter);

/* Puts one that was taken out back to its place, as if nothing had been: takes *message.
 * If there is no room any more it is freed. Any thread. */
void dead_letters_give_back(struct dead_letters *letters, struct message **message,
                            const struct dead_letter *letter);

#endif
