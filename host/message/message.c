/*
 * message.c -- making and freeing messages, and the ledger of the living ones.
 *
 * A message that is written down has a ledger entry in front of it in the same
 * block, so the ledger needs no table and cannot fail by itself.
 */
#include "message/message.h"

#include "base/memory.h"
#include "base/thread.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

void (*message_timer_release)(struct timer *timer);
void (*message_traced)(const struct message *message, const struct message *other);

struct ledger_entry {
    struct ledger_entry *previous, *next; /* guarded by ledger_lock */
    const char          *file;
    int                  line;
} __attribute__((aligned(16))); /* the message behind it stays aligned */

static struct lock         ledger_lock = { PTHREAD_MUTEX_INITIALIZER };
static atomic_uint         ledger_stages;              /* changed under ledger_lock */
static struct ledger_entry ledger = { &ledger, &ledger, NULL, 0 }; /* a ring with its head */

static struct message *message_of(struct ledger_entry *entry)
{
    return (struct message *)(void *)(entry + 1);
}

static struct ledger_entry *entry_of(struct message *message)
{
    return (struct ledger_entry *)(void *)message - 1;
}

static void forget_locked(struct ledger_entry *entry)
{
    entry->previous->next = entry->next;
    entry->next->previous = entry->previous;
    entry->next = entry->previous = entry;
}

const char *failure_reason_name(enum failure_reason reason)
{
    switch (reason) {
    case FAILURE_NONE:        return "none";
    case FAILURE_TIMEOUT:     return "timeout";
    case FAILURE_REJECTED:    return "rejected";
    case FAILURE_FAILED:      return "failed";
    case FAILURE_DOWN:        return "down";
    case FAILURE_DEADLOCK:    return "deadlock";
    case FAILURE_FULL:        return "full";
    case FAILURE_UNREACHABLE: return "unreachable";
    case FAILURE_NO_REPLY:    return "no_reply";
    case FAILURE_STOPPING:    return "stopping";
    case FAILURE_RELOAD:      return "reload";
    }
    return "unknown";
}

static enum message_lane lane_of(enum message_kind kind)
{
    switch (kind) {
    case MESSAGE_ORDINARY:
    case MESSAGE_ASK:
    case MESSAGE_TIMER:
    case MESSAGE_ITEM:
    case MESSAGE_STREAM:
        return LANE_ORDINARY;
    case MESSAGE_REPLY:
    case MESSAGE_FAILURE:
    case MESSAGE_START:
    case MESSAGE_STOP:
    case MESSAGE_WAKE:
    case MESSAGE_FAIL:
    case MESSAGE_EVALUATE:
    case MESSAGE_HOLD:
        return LANE_CONTROL;
    case MESSAGE_DOWN:
    case MESSAGE_NOTICE: /* waits, as control messages do not, until no handler is in hand */
        return LANE_NOTICE;
    }
    UNREACHABLE();
}

/* A block for a message, with a ledger entry in front while a stage is open. */
static struct message *get_block(size_t size, const char *file, int line)
{
    if (LIKELY(atomic_load_explicit(&ledger_stages, memory_order_relaxed) == 0)) {
        struct message *message = memory_get(size);
        if (message != NULL)
            message->flags = 0;
        return message;
    }

    struct ledger_entry *entry = memory_get(sizeof *entry + size);
    if (entry == NULL)
        return NULL;
    entry->file = file;
    entry->line = line;
    struct message *message = message_of(entry);
    message->type = TYPE_NONE;
    message->flags = MESSAGE_LEDGER;
    return message;
}

/* Called when the message is complete, because any thread may look now. */
static void write_down(struct message *message)
{
    struct ledger_entry *entry = entry_of(message);
    lock_acquire(&ledger_lock);
    entry->previous = ledger.previous;
    entry->next = &ledger;
    entry->previous->next = entry;
    ledger.previous = entry;
    lock_release(&ledger_lock);
}

/* What a message takes up: a receipt lies behind the payload. */
static size_t block_size(const struct message *message)
{
    return message_weight(message) +
           (message->flags & MESSAGE_TRACKED ? sizeof(struct message_receipt) : 0);
}

static inline struct message *make(enum message_kind kind, type_id type, const void *payload,
                                   size_t size, const struct message_receipt *receipt,
                                   const char *file, int line)
{
    assert(payload != NULL || size == 0);
    if (size > UINT32_MAX)
        return NULL;
    struct message *message =
        get_block(sizeof *message + size + (receipt != NULL ? sizeof *receipt : 0), file, line);
    if (message == NULL)
        return NULL;

    atomic_init(&message->next, NULL);
    message->to = 0;
    message->from = 0;
    message->type = type;
    message->size = (uint32_t)size;
    message->request = 0;
    message->origin = NULL;
    message->born_ms = 0;
    message->kind = (uint8_t)kind;
    message->lane = (uint8_t)lane_of(kind);
    message->reason = FAILURE_NONE;
    if (size > 0)
        memcpy(message->payload, payload, size);
    if (receipt != NULL) {
        memcpy(message->payload + size, receipt, sizeof *receipt);
        message->flags |= MESSAGE_TRACKED;
    }

    if (UNLIKELY(message->flags & MESSAGE_LEDGER))
        write_down(message);
    return message;
}

struct message *message_new_at(enum message_kind kind, type_id type, const void *payload,
                               size_t size, const char *file, int line)
{
    return make(kind, type, payload, size, NULL, file, line);
}

struct message *message_new_tracked_at(enum message_kind kind, type_id type, const void *payload,
                                       size_t size, const struct message_receipt *receipt,
                                       const char *file, int line)
{
    return make(kind, type, payload, size, receipt, file, line);
}

bool message_is_awaited(const struct message *message)
{
    struct message_receipt receipt = { 0 };
    if (message->flags & MESSAGE_TRACKED)
        memcpy(&receipt, message->payload + message->size, sizeof receipt);
    return receipt.over != NULL;
}

void message_untrack(struct message *message)
{
    static const struct message_receipt nobody;
    assert(message->flags & MESSAGE_TRACKED);
    memcpy(message->payload + message->size, &nobody, sizeof nobody);
}

void message_settle_slow(struct message *message, bool handled)
{
    struct message_receipt receipt;
    memcpy(&receipt, message->payload + message->size, sizeof receipt);
    if (receipt.over == NULL)
        return;
    message_untrack(message);
    receipt.over(receipt.context, receipt.number, receipt.weight, handled);
}

struct message *message_replace(struct message *message, const void *payload, size_t size)
{
    struct message_receipt receipt;
    bool                   awaited = message_is_awaited(message);
    if (awaited)
        memcpy(&receipt, message->payload + message->size, sizeof receipt);
    struct message *other = make((enum message_kind)message->kind, message->type, payload, size,
                                 awaited ? &receipt : NULL, __FILE__, __LINE__);
    if (other == NULL)
        return NULL;
    if (awaited)
        message_untrack(message);
    other->to = message->to;
    other->from = message->from;
    other->request = message->request;
    other->origin = message->origin;
    message->origin = NULL;
    other->born_ms = message->born_ms;
    other->lane = message->lane;
    other->reason = message->reason;
    other->flags |= message->flags & (MESSAGE_TEXT | MESSAGE_REMOTE | MESSAGE_TRACED);
    if (UNLIKELY(message->flags & MESSAGE_TRACED)) {
        message_traced(message, other);
        message->flags &= (uint8_t)~MESSAGE_TRACED;
    }
    message_free(message);
    return other;
}

/* Those that are of interest to somebody. */
static void tell_of_end(struct message *message)
{
    if (message->flags & MESSAGE_TRACED)
        message_traced(message, NULL);
    message_settle(message, true);
}

void message_free(struct message *message)
{
    if (message == NULL || (message->flags & MESSAGE_KEPT))
        return;
    if (UNLIKELY(message->flags & (MESSAGE_TRACKED | MESSAGE_TRACED)))
        tell_of_end(message);
    if (message->kind != MESSAGE_TIMER)
        address_unref(message->origin);
    else if (message->timer != NULL)
        message_timer_release(message->timer);

    size_t size = block_size(message);
    if (LIKELY(!(message->flags & MESSAGE_LEDGER))) {
        memory_put(message, size);
        return;
    }
    struct ledger_entry *entry = entry_of(message);
    lock_acquire(&ledger_lock);
    forget_locked(entry);
    lock_release(&ledger_lock);
    memory_put(entry, sizeof *entry + size);
}

void message_ledger_begin(void)
{
    lock_acquire(&ledger_lock);
    if (atomic_fetch_add_explicit(&ledger_stages, 1, memory_order_relaxed) == 0) {
        while (ledger.next != &ledger)
            forget_locked(ledger.next);
    }
    lock_release(&ledger_lock);
}

void message_ledger_end(void)
{
    lock_acquire(&ledger_lock);
    unsigned stages = atomic_fetch_sub_explicit(&ledger_stages, 1, memory_order_relaxed);
    lock_release(&ledger_lock);
    assert(stages > 0);
    (void)stages;
}

size_t message_ledger_left(char *where, size_t room)
{
    enum { NAMED = 5 };
    size_t left = 0, length = 0;
    if (room > 0)
        where[0] = '\0';

    lock_acquire(&ledger_lock);
    for (struct ledger_entry *entry = ledger.next; entry != &ledger; entry = entry->next) {
        const char *name = type_name(message_of(entry)->type);
        if (left < NAMED && length < room) {
            int more = snprintf(where + length, room - length, "%s%s made at %s:%d",
                                left > 0 ? "; " : "", name[0] != '\0' ? name : "a message",
                                entry->file, entry->line);
            length += more > 0 ? (size_t)more : 0;
        }
        left++;
    }
    lock_release(&ledger_lock);

    if (left > NAMED && length < room)
        snprintf(where + length, room - length, "; and %zu more", left - NAMED);
    return left;
}
