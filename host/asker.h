/*
 * asker.h -- a question from who is no actor.
 *
 * Each has a hidden actor of its own, made for it, which asks and tells what has come
 * of it. It shares the struct with whoever opened it; the last to let go frees it.
 */
#ifndef TROUPE_ASKER_H
#define TROUPE_ASKER_H

#include "host_internal.h"

struct asker {
    atomic_int      references;
    struct address *to;
    struct message *question;     /* until it is sent */
    actor_id        parked_with;  /* in whose mailbox the question waits for room, or 0 */
    actor_id        id;           /* of the hidden actor */
    void          (*told)(void *context, struct asker *asker);
    void           *context;

    struct lock   lock;
    struct signal changed;
    bool            over;         /* guarded by lock; below likewise */
    struct message *answer;       /* REPLY or FAILURE; NULL: see error */
    int             error;
    char            why[HOST_WHY];
};

/* Asks, with one reference for the caller; it waits for ever. `told`, unless NULL, is
 * called once when it is over, on any thread, maybe before this returns. 0; -EINVAL:
 * no address, type or JSON; or what lifecycle_spawn() says; with a sentence in `why`. */
int asker_open(struct host *host, const char *to, const char *type, const char *json,
               void (*told)(void *context, struct asker *asker), void *context,
               struct asker **asker, char *why, size_t room);

/* Waits no longer: unless it was over already it is now, with this error. */
void asker_cancel(struct host *host, struct asker *asker, int error, const char *why);

/* What came of one that is over, as host_ask() says it. */
int asker_outcome(struct host *host, const struct asker *asker, const char *to, const char *type,
                  char **reply_type, char **reply_json, char *why, size_t room);

static inline struct asker *asker_ref(struct asker *asker)
{
    atomic_fetch_add_explicit(&asker->references, 1, memory_order_relaxed);
    return asker;
}
void asker_unref(struct asker *asker); /* NULL is fine */

#endif
