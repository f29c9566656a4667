/*
 * pack.h -- the packed form of a value: what a message carries.
 *
 * One tag byte, then the value. Small integers and short strings are the tag
 * itself. Written only by our own code (script/pack_lua, message/json), so the
 * reader trusts lengths; pack_check() is for bytes that came from elsewhere.
 *
 *   0x00 null  0x01 false  0x02 true
 *   0x03 int8 (1)  0x04 int64 (8)  0x05 double (8)
 *   0x06 string: u32 length, bytes
 *   0x07 array: u32 count, values
 *   0x08 the same, of the json.array kind (stays `[]` when empty)
 *   0x09 map: u32 count, then key (a string value) and value, in turn
 *   0x0a local actor: u64 id
 *   0x0b address of an actor: u32 length, text
 *   0x0c map whose keys lie in the order in which they are to be written (a
 *        declared type's); read as any map
 *   0x0d stream of this host: u64 id
 *   0x40-0x7f integers 0 to 63     0x80-0xff strings of 0 to 127 bytes
 *
 * Numbers lie in the machine's own byte order: packed bytes never leave the
 * process. An empty payload (size 0) means nil and is read as an empty map.
 */
#ifndef TROUPE_MESSAGE_PACK_H
#define TROUPE_MESSAGE_PACK_H

#include "base/bytes.h"

#define PACK_DEPTH_LIMIT 64

enum pack_tag {
    PACK_NULL = 0x00,
    PACK_FALSE = 0x01,
    PACK_TRUE = 0x02,
    PACK_INT8 = 0x03,
    PACK_INT64 = 0x04,
    PACK_DOUBLE = 0x05,
    PACK_STRING = 0x06,
    PACK_ARRAY = 0x07,
    PACK_MARKED_ARRAY = 0x08,
    PACK_MAP = 0x09,
    PACK_ACTOR = 0x0a,
    PACK_ADDRESS = 0x0b,
    PACK_ORDERED_MAP = 0x0c,
    PACK_STREAM = 0x0d,
    PACK_SMALL_INT = 0x40,    /* | value */
    PACK_SHORT_STRING = 0x80, /* | length */
};

static inline void pack_put_null(struct bytes *out) { bytes_append_byte(out, PACK_NULL); }

static inline void pack_put_boolean(struct bytes *out, bool value)
{
    bytes_append_byte(out, value ? PACK_TRUE : PACK_FALSE);
}

static inline void pack_put_sized(struct bytes *out, uint8_t tag, const void *data, size_t size)
{
    if (!bytes_reserve(out, 1 + size))
        return;
    out->data[out->size] = tag;
    memcpy(out->data + out->size + 1, data, size);
    out->size += 1 + size;
}

static inline void pack_put_integer(struct bytes *out, int64_t value)
{
    if (value >= 0 && value < 64)
        bytes_append_byte(out, (uint8_t)(PACK_SMALL_INT | value));
    else if (value == (int8_t)value)
        pack_put_sized(out, PACK_INT8, &(int8_t){ (int8_t)value }, 1);
    else
        pack_put_sized(out, PACK_INT64, &value, sizeof value);
}

static inline void pack_put_double(struct bytes *out, double value)
{
    pack_put_sized(out, PACK_DOUBLE, &value, sizeof value);
}

/* Strings of 4 GiB and more fail. */
static inline void pack_put_string(struct bytes *out, const char *text, size_t size)
{
    if (LIKELY(size < 128)) {
        if (!bytes_reserve(out, 1 + size))
            return;
        out->data[out->size] = (uint8_t)(PACK_SHORT_STRING | size);
        memcpy(out->data + out->size + 1, text, size);
        out->size += 1 + size;
        return;
    }
    if (size > UINT32_MAX || !bytes_reserve(out, 5 + size)) {
        out->failed = true;
        return;
    }
    uint32_t length = (uint32_t)size;
    pack_put_sized(out, PACK_STRING, &length, sizeof length);
    bytes_append(out, text, size);
}

static inline void pack_put_actor(struct bytes *out, uint64_t id)
{
    pack_put_sized(out, PACK_ACTOR, &id, sizeof id);
}

static inline void pack_put_stream(struct bytes *out, uint64_t id)
{
    pack_put_sized(out, PACK_STREAM, &id, sizeof id);
}

static inline void pack_put_address(struct bytes *out, const char *text, size_t size)
{
    if (size > UINT32_MAX) {
        out->failed = true;
        return;
    }
    uint32_t length = (uint32_t)size;
    pack_put_sized(out, PACK_ADDRESS, &length, sizeof length);
    bytes_append(out, text, size);
}

/* Opens an array, marked array or map whose count is not known yet; returns
 * where pack_close() has to write it. */
static inline size_t pack_open(struct bytes *out, enum pack_tag tag)
{
    uint32_t count = 0;
    pack_put_sized(out, (uint8_t)tag, &count, sizeof count);
    return out->size - sizeof count;
}

static inline void pack_close(struct bytes *out, size_t at, uint32_t count)
{
    if (!out->failed)
        memcpy(out->data + at, &count, sizeof count);
}

/* Changes an open PACK_MAP into a PACK_ARRAY or PACK_MARKED_ARRAY. */
static inline void pack_retag(struct bytes *out, size_t at, enum pack_tag tag)
{
    if (!out->failed)
        out->data[at - 1] = (uint8_t)tag;
}

/* One value as the reader sees it. For containers only the head is read; the
 * members follow as values of their own (a map: key, value, key, value...). */
struct pack_item {
    enum pack_tag tag; /* never SMALL_INT, SHORT_STRING, INT8 or ORDERED_MAP: those read as
                          INT64, STRING and MAP */
    union {
        int64_t     integer;
        double      number;
        uint64_t    actor;
        uint64_t    stream;
        uint32_t    count;  /* of array, map */
        struct {
            const char *text; /* STRING, ADDRESS; inside the packed bytes */
            uint32_t    size;
        };
    };
};

/* Reads the value at `at` and returns where the next one starts. */
static inline const uint8_t *pack_read(const uint8_t *at, struct pack_item *item)
{
    uint8_t tag = *at++;
    item->size = 0; /* only for compilers that cannot see what a tag implies */
    if (tag >= PACK_SHORT_STRING) {
        item->tag = PACK_STRING;
        item->text = (const char *)at;
        item->size = tag & 0x7fu;
        return at + item->size;
    }
    if (tag >= PACK_SMALL_INT) {
        item->tag = PACK_INT64;
        item->integer = tag & 0x3f;
        return at;
    }
    item->tag = (enum pack_tag)tag;
    switch (tag) {
    case PACK_INT8:
        item->tag = PACK_INT64;
        item->integer = (int8_t)*at;
        return at + 1;
    case PACK_INT64:
    case PACK_ACTOR:
    case PACK_STREAM:
        memcpy(&item->integer, at, 8);
        return at + 8;
    case PACK_DOUBLE:
        memcpy(&item->number, at, 8);
        return at + 8;
    case PACK_STRING:
    case PACK_ADDRESS:
        memcpy(&item->size, at, 4);
        item->text = (const char *)at + 4;
        return at + 4 + item->size;
    case PACK_ARRAY:
    case PACK_MARKED_ARRAY:
    case PACK_MAP:
        memcpy(&item->count, at, 4);
        return at + 4;
    case PACK_ORDERED_MAP:
        item->tag = PACK_MAP;
        memcpy(&item->count, at, 4);
        return at + 4;
    default:
        return at;
    }
}

/* Whether the value at `at` is a table with string keys, ordered or not. */
static inline bool pack_is_map(const uint8_t *at)
{
    return *at == PACK_MAP || *at == PACK_ORDERED_MAP;
}

/* Where the value after the whole value at `at` starts, members and all. */
const uint8_t *pack_skip(const uint8_t *at);

/* Finds `key` in the map at `at` (or in an empty payload: at == NULL); returns
 * where its value starts, or NULL. */
const uint8_t *pack_field(const uint8_t *at, const char *key);

/* Whether bytes are one whole well-formed value not deeper than PACK_DEPTH_LIMIT.
 * No bytes are no value: whoever means the empty payload looks at the size. */
bool pack_check(const uint8_t *data, size_t size);

#endif
