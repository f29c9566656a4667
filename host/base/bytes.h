/*
 * bytes.h -- a growable byte buffer with a limit.
 *
 * An append that finds no memory or passes the limit sets `failed` and does
 * nothing more; so a writer may append a hundred things and look once.
 */
#ifndef TROUPE_BASE_BYTES_H
#define TROUPE_BASE_BYTES_H

#include "base/base.h"

#include <string.h>

/* `data` is a block from base/memory.h of exactly `capacity` bytes. */
struct bytes {
    uint8_t *data;
    size_t   size;     /* bytes in use */
    size_t   capacity; /* bytes allocated */
    size_t   limit;    /* never grows beyond */
    bool     failed;   /* an append did not fit; reset by bytes_clear() */
};

/* An empty buffer that may grow to `limit` bytes (0: SIZE_MAX). `data` is NULL
 * until something is appended. */
void bytes_init(struct bytes *bytes, size_t limit);

/* Frees the buffer; the struct is as after bytes_init(). */
void bytes_fini(struct bytes *bytes);

/* Empties the buffer; gives memory back if more than `keep` bytes are allocated. */
void bytes_clear(struct bytes *bytes, size_t keep);

/* Makes room for `more` bytes beyond `size`; false (and failed) if it cannot. */
bool bytes_reserve_slow(struct bytes *bytes, size_t more);

static inline bool bytes_reserve(struct bytes *bytes, size_t more)
{
    if (LIKELY(bytes->capacity - bytes->size >= more))
        return true;
    return bytes_reserve_slow(bytes, more);
}

static inline void bytes_append(struct bytes *bytes, const void *data, size_t size)
{
    if (!bytes_reserve(bytes, size))
        return;
    if (size > 0)
        memcpy(bytes->data + bytes->size, data, size);
    bytes->size += size;
}

static inline void bytes_append_byte(struct bytes *bytes, uint8_t byte)
{
    if (!bytes_reserve(bytes, 1))
        return;
    bytes->data[bytes->size++] = byte;
}

static inline void bytes_append_text(struct bytes *bytes, const char *text)
{
    bytes_append(bytes, text, strlen(text));
}

/* Appends the whole text or nothing. */
void bytes_printf(struct bytes *bytes, const char *format, ...) PRINTF_LIKE(2, 3);

/* Ends the buffer with a NUL that is not counted in size but must fit the
 * limit, and returns it as text; "" if it did not fit. Valid until the next
 * change. */
const char *bytes_text(struct bytes *bytes);

#endif
