/*
 * outbox.h -- frames that wait to leave for one peer, in order, bounded.
 *
 * An outbox knows nothing of sockets and takes no lock: its peer's lock guards it.
 */
#ifndef TROUPE_NET_OUTBOX_H
#define TROUPE_NET_OUTBOX_H

#include "base/base.h"

struct outbox_frame {
    struct outbox_frame *next;
    uint64_t             born_ns; /* when it was put */
    size_t               size;
    uint8_t              bytes[];
};

struct outbox {
    struct outbox_frame *head, *tail;
    size_t               count, bytes;
    size_t               count_limit, bytes_limit;
};

void outbox_init(struct outbox *outbox, size_t count_limit, size_t bytes_limit);

/* Frees what is left. */
void outbox_fini(struct outbox *outbox);

/* Keeps a copy of the frame. False: no room, or no memory. */
bool outbox_put(struct outbox *outbox, const void *frame, size_t size, uint64_t now_ns);

/* The oldest frame, or NULL; valid until it is dropped. */
static inline const struct outbox_frame *outbox_first(const struct outbox *outbox)
{
    return outbox->head;
}

/* Whether it is so full that who waits for room should go on waiting. */
static inline bool outbox_is_crowded(const struct outbox *outbox)
{
    return outbox->count > outbox->count_limit / 2 || outbox->bytes > outbox->bytes_limit / 2;
}

/* Forgets the oldest frame, which must be there. */
void outbox_drop_first(struct outbox *outbox);

#endif
