/*
 * deliver.c -- items and notices on their way to an actor, and the credit for them.
 *
 * Credit comes back with the receipt of each message (message.h), on whatever
 * thread handled it. The loop that has run out of it says so (starved), then
 * looks once more; whoever gives credit back does so first, and looks for
 * starved then: one of the two sees the other.
 */
#include "io/io_room.h"

#include "message/pack.h"

/* What a receipt is for; its number. Its weight is an item's bytes, or the owner
 * that has heard of the opening: the first, or the one that it was handed to. */
enum { RECEIPT_ITEM, RECEIPT_OPEN, RECEIPT_END };

/* One of its items is over. */
static void give_credit(struct io_stream *stream)
{
    uint32_t left = atomic_fetch_sub_explicit(&stream->unhandled, 1, memory_order_seq_cst) - 1;
    if (UNLIKELY(atomic_load_explicit(&stream->starved, memory_order_seq_cst)) &&
        left <= atomic_load_explicit(&stream->resume_at, memory_order_seq_cst) &&
        atomic_exchange_explicit(&stream->starved, false, memory_order_seq_cst))
        io_ask(stream);
}

static void message_over(void *context, uint64_t number, size_t weight, bool handled)
{
    struct io_stream *stream = context;
    (void)handled;
    switch (number) {
    case RECEIPT_OPEN:
        if (stream->listener != NULL && weight == 1)
            give_credit(stream->listener);
        atomic_store_explicit(&stream->owners_heard, (uint32_t)weight, memory_order_release);
        io_ask(stream);
        break;
    case RECEIPT_END:
        atomic_store_explicit(&stream->end_handled, true, memory_order_release);
        io_ask(stream);
        break;
    default:
        atomic_fetch_sub_explicit(&stream->unhandled_bytes, weight, memory_order_relaxed);
        give_credit(stream);
    }
    io_stream_unref(stream);
}

static bool has_credit(struct io_stream *stream)
{
    uint32_t unhandled = atomic_load_explicit(&stream->unhandled, memory_order_seq_cst);
    if (unhandled == 0) {
        stream->parked = false; /* that one has found room, and was handled */
        return true;
    }
    return !stream->parked && unhandled < stream->window &&
           atomic_load_explicit(&stream->unhandled_bytes, memory_order_relaxed) <
               STREAM_WINDOW_BYTES;
}

bool io_may_deliver(struct io_stream *stream)
{
    if (LIKELY(has_credit(stream)))
        return true;
    atomic_store_explicit(&stream->resume_at, stream->parked ? 0 : stream->window / 2,
                          memory_order_seq_cst);
    atomic_store_explicit(&stream->starved, true, memory_order_seq_cst);
    if (!has_credit(stream))
        return false;
    atomic_store_explicit(&stream->starved, false, memory_order_seq_cst);
    return true;
}

static struct message *make(struct io_stream *stream, enum message_kind kind, type_id type,
                            uint64_t number, size_t weight, const struct bytes *packed)
{
    struct message_receipt receipt = { .over = message_over, .context = stream, .number = number,
                                       .weight = weight };
    struct message *message =
        packed->failed ? NULL
                       : message_new_tracked(kind, type, packed->data, packed->size, &receipt);
    if (message == NULL) {
        io_set_due(stream, clock_now(&stream->io->clock) + IO_RETRY_NS);
        return NULL;
    }
    io_stream_ref(stream);
    message->to = atomic_load_explicit(&stream->owner, memory_order_acquire);
    message->request = stream->id;
    return message;
}

/* It cannot be delivered, now or ever. */
static void take_back(struct io_stream *stream, struct message *message)
{
    message_untrack(message);
    message_free(message);
    io_stream_unref(stream);
}

bool io_deliver_packed(struct io_stream *stream, struct bytes *packed)
{
    struct io *io = stream->io;
    struct message *message =
        make(stream, MESSAGE_ITEM, stream->item, RECEIPT_ITEM, packed->size, packed);
    if (message == NULL)
        return false;
    atomic_fetch_add_explicit(&stream->unhandled_bytes, packed->size, memory_order_relaxed);
    atomic_fetch_add_explicit(&stream->unhandled, 1, memory_order_seq_cst);
    enum router_answer answer = router_send(io->system, &message, ROUTE_PARK);
    if (answer == ROUTER_FULL) /* a mailbox that makes nobody wait: the window is the bound */
        answer = router_send(io->system, &message, ROUTE_RESERVED);
    if (UNLIKELY(answer == ROUTER_PARKED))
        stream->parked = true;
    if (LIKELY(message == NULL)) {
        atomic_fetch_add_explicit(&io->items, 1, memory_order_relaxed);
        return true;
    }
    atomic_fetch_sub_explicit(&stream->unhandled_bytes, packed->size, memory_order_relaxed);
    atomic_fetch_sub_explicit(&stream->unhandled, 1, memory_order_seq_cst);
    take_back(stream, message);
    atomic_store_explicit(&stream->abandoned, true, memory_order_release);
    return false;
}

static void put_text(struct bytes *packed, const char *name, const char *text)
{
    pack_put_string(packed, name, strlen(name));
    pack_put_string(packed, text, strlen(text));
}

void io_begin_item(struct io_stream *stream, struct bytes *packed, size_t *head)
{
    bytes_clear(packed, 4 * IO_SLICE);
    *head = pack_open(packed, PACK_MAP);
    pack_put_string(packed, "stream", 6);
    pack_put_stream(packed, stream->id);
}

static struct bytes *begin(struct io_stream *stream, size_t *head)
{
    io_begin_item(stream, &stream->io->packed, head);
    return &stream->io->packed;
}

bool io_deliver_text(struct io_stream *stream, const char *text, size_t size)
{
    size_t head;
    if (!io_may_deliver(stream))
        return false;
    struct bytes *packed = begin(stream, &head);
    pack_put_string(packed, "text", 4);
    pack_put_string(packed, text, size);
    pack_close(packed, head, 2);
    return io_deliver_packed(stream, packed);
}

static bool notify(struct io_stream *stream, type_id type, uint64_t number, size_t weight,
                   const struct bytes *packed)
{
    struct message *message = make(stream, MESSAGE_STREAM, type, number, weight, packed);
    if (message == NULL)
        return false;
    router_send(stream->io->system, &message, ROUTE_RESERVED);
    if (message != NULL) {
        take_back(stream, message);
        atomic_store_explicit(&stream->abandoned, true, memory_order_release);
    }
    return true;
}

bool io_notify_open(struct io_stream *stream, uint32_t owner)
{
    size_t head;
    uint32_t count = 1;
    struct bytes *packed = begin(stream, &head);
    if (*stream->address != '\0') {
        put_text(packed, "peer", stream->address);
        count++;
    }
    if (stream->listener != NULL) {
        pack_put_string(packed, "listener", 8);
        pack_put_stream(packed, stream->listener->id);
        count++;
    }
    pack_close(packed, head, count);
    return notify(stream, stream->opened, RECEIPT_OPEN, owner, packed);
}

bool io_notify_end(struct io_stream *stream)
{
    size_t head;
    uint32_t count = 2;
    struct bytes *packed = begin(stream, &head);
    put_text(packed, "reason", stream->reason);
    if (stream->kind == STREAM_PROCESS && stream->child_exited) {
        const char *name = stream->child_signal != 0 ? "signal" : "code";
        pack_put_string(packed, name, strlen(name));
        pack_put_integer(packed, stream->child_signal != 0 ? stream->child_signal
                                                           : stream->child_code);
        count++;
    }
    pack_close(packed, head, count);
    return notify(stream, stream->ended, RECEIPT_END, 0, packed);
}

bool io_admits(const struct message *message)
{
    struct message_receipt receipt;
    if (!message_is_awaited(message))
        return true;
    memcpy(&receipt, message->payload + message->size, sizeof receipt);
    struct io_stream *stream = receipt.context;
    if (atomic_load_explicit(&stream->abandoned, memory_order_acquire))
        return false;
    return receipt.number == RECEIPT_END ||
           !atomic_load_explicit(&stream->close_asked, memory_order_acquire);
}
