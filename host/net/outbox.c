/*
 * outbox.c -- a list of frames, counted.
 */
#include "net/outbox.h"

#include "base/memory.h"

#include <string.h>

void outbox_init(struct outbox *outbox, size_t count_limit, size_t bytes_limit)
{
    *outbox = (struct outbox){ .count_limit = count_limit, .bytes_limit = bytes_limit };
}

void outbox_fini(struct outbox *outbox)
{
    while (outbox->head != NULL)
        outbox_drop_first(outbox);
}

bool outbox_put(struct outbox *outbox, const void *frame, size_t size, uint64_t now_ns)
{
    if (outbox->count >= outbox->count_limit || outbox->bytes_limit - outbox->bytes < size)
        return false;
    struct outbox_frame *kept = memory_get(sizeof *kept + size);
    if (kept == NULL)
        return false;

    kept->next = NULL;
    kept->born_ns = now_ns;
    kept->size = size;
    memcpy(kept->bytes, frame, size);
    if (outbox->tail == NULL)
        outbox->head = kept;
    else
        outbox->tail->next = kept;
    outbox->tail = kept;
    outbox->count++;
    outbox->bytes += size;
    return true;
}

void outbox_drop_first(struct outbox *outbox)
{
    struct outbox_frame *first = outbox->head;
    outbox->head = first->next;
    if (outbox->head == NULL)
        outbox->tail = NULL;
    outbox->count--;
    outbox->bytes -= first->size;
    memory_put(first, sizeof *first + first->size);
}
