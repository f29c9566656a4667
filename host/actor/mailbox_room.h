/*
 * mailbox_room.h -- how a mailbox writes down what is in it: for mailbox.c and
 * mailbox_look.c only.
 */
#ifndef TROUPE_ACTOR_MAILBOX_ROOM_H
#define TROUPE_ACTOR_MAILBOX_ROOM_H

#include "actor/mailbox.h"

/* Marks on the stack that are never real messages. */
extern struct message mailbox_asleep_mark, mailbox_closed_mark;
#define MAILBOX_ASLEEP      (&mailbox_asleep_mark)
#define MAILBOX_CLOSED_MARK (&mailbox_closed_mark)

#define MAILBOX_WAITED (UINT64_C(1) << 63)
#define ONE_MESSAGE    (UINT64_C(1) << 40)
#define BYTES_MASK     (ONE_MESSAGE - 1)
#define COUNT_OF(load) ((uint32_t)(((load) & ~MAILBOX_WAITED) >> 40))

/* Whether a message is counted by lane: what is high, urgent or a notice, but for
 * answers and wakes, which come with every wait; and in the ordinary lane what takes
 * no room (MESSAGE_COUNTED is not set). */
static inline bool is_counted_by_lane(const struct message *message)
{
    if (LIKELY(message->lane == LANE_ORDINARY))
        return (message->flags & MESSAGE_COUNTED) == 0;
    return message->kind != MESSAGE_REPLY && message->kind != MESSAGE_FAILURE &&
           message->kind != MESSAGE_WAKE;
}

static inline void count_by_lane(struct mailbox *box, enum message_lane lane, int32_t more)
{
    atomic_fetch_add_explicit(&box->lane_count[lane], more, memory_order_relaxed);
}

#endif
