/*
 * mailbox_look.c -- what any thread may see of a mailbox.
 */
#include "actor/mailbox_room.h"

uint32_t mailbox_length(const struct mailbox *box)
{
    uint32_t held = COUNT_OF(atomic_load_explicit(&box->load, memory_order_relaxed));
    uint32_t taken = COUNT_OF(atomic_load_explicit(&box->returned, memory_order_relaxed));
    return held > taken ? held - taken : 0; /* two looks: they need not agree */
}

uint64_t mailbox_bytes(const struct mailbox *box)
{
    uint64_t held = atomic_load_explicit(&box->load, memory_order_relaxed) & BYTES_MASK;
    uint64_t taken = atomic_load_explicit(&box->returned, memory_order_relaxed) & BYTES_MASK;
    return held > taken ? held - taken : 0;
}

uint32_t mailbox_parked(const struct mailbox *box)
{
    return atomic_load_explicit(&box->parked_count, memory_order_relaxed);
}

uint32_t mailbox_unhandled(struct mailbox *box)
{
    return mailbox_length(box) + mailbox_parked(box);
}

uint32_t mailbox_lane(const struct mailbox *box, enum message_lane lane)
{
    int32_t count = atomic_load_explicit(&box->lane_count[lane], memory_order_relaxed);
    return count > 0 ? (uint32_t)count : 0; /* one may be taken before it is counted */
}

bool mailbox_is_asleep(const struct mailbox *box)
{
    return atomic_load_explicit(&box->top, memory_order_relaxed) == MAILBOX_ASLEEP;
}

bool mailbox_oldest(const struct mailbox *box, uint32_t *born_ms)
{
    uint32_t waits_ms = atomic_load_explicit(&box->front_ms, memory_order_relaxed);
    if (waits_ms == 0)
        waits_ms = atomic_load_explicit(&box->older_ms, memory_order_relaxed);
    if (waits_ms == 0) {
        const struct message *top = atomic_load_explicit(&box->top, memory_order_relaxed);
        if (top == NULL || top == MAILBOX_ASLEEP || top == MAILBOX_CLOSED_MARK)
            return false;
        waits_ms = atomic_load_explicit(&box->pile_ms, memory_order_relaxed);
    }
    *born_ms = waits_ms;
    return true;
}
