/*
 * refs.c -- see refs.h.
 */
#include "message/refs.h"

#include "message/pack.h"

#include <errno.h>

struct copying {
    enum refs_kind kind;
    refs_writer   *writer;
    void          *context;
    struct bytes  *out;
};

bool refs_may_have(const uint8_t *packed, size_t size, enum refs_kind kind)
{
    if (size == 0)
        return false;
    return kind == REFS_ADDRESSES ? memchr(packed, PACK_ADDRESS, size) != NULL
                                  : memmem(packed, size, REFS_KEY, sizeof REFS_KEY - 1) != NULL;
}

/* The text of {"$ref": "text"}, if the map of one member whose key is at `at` is that. */
static bool is_written_ref(const uint8_t *at, struct pack_item *text)
{
    struct pack_item key;
    at = pack_read(at, &key);
    if (key.size != sizeof REFS_KEY - 1 || memcmp(key.text, REFS_KEY, key.size) != 0)
        return false;
    pack_read(at, text);
    return text->tag == PACK_STRING;
}

/* Copies the value at `at`; returns where the next one starts, or NULL: the writer
 * said no. */
static const uint8_t *copy_value(struct copying *copying, const uint8_t *at)
{
    const uint8_t   *start = at;
    struct pack_item item, text;
    at = pack_read(at, &item);
    bool is_map = item.tag == PACK_MAP;

    if (copying->kind == REFS_ADDRESSES && item.tag == PACK_ADDRESS)
        return copying->writer(copying->context, item.text, item.size, copying->out) ? at : NULL;
    if (copying->kind == REFS_WRITTEN && is_map && item.count == 1 && is_written_ref(at, &text))
        return copying->writer(copying->context, text.text, text.size, copying->out)
                   ? pack_skip(start)
                   : NULL;

    bytes_append(copying->out, start, (size_t)(at - start));
    if (!is_map && item.tag != PACK_ARRAY && item.tag != PACK_MARKED_ARRAY)
        return at;
    for (uint32_t i = 0; i < item.count && at != NULL; i++) {
        if (is_map) {
            const uint8_t *value = pack_skip(at);
            bytes_append(copying->out, at, (size_t)(value - at));
            at = value;
        }
        at = copy_value(copying, at);
    }
    return at;
}

int refs_copy(const uint8_t *packed, size_t size, enum refs_kind kind, refs_writer *writer,
              void *context, struct bytes *out)
{
    struct copying copying = { kind, writer, context, out };
    size_t         before = out->size;
    bool           said_no = size > 0 && copy_value(&copying, packed) == NULL;
    if (!said_no && !out->failed)
        return 0;
    int error = out->failed ? -ENOMEM : -EINVAL;
    out->size = before;
    return error;
}
