/*
 * pack.c -- walking packed values: skip, find a field, check foreign bytes.
 *
 * Nothing here recurses, so no value can cost stack.
 */
#include "message/pack.h"

/* How many values follow the head of a container as its members. */
static uint64_t members(const struct pack_item *item)
{
    switch (item->tag) {
    case PACK_ARRAY:
    case PACK_MARKED_ARRAY:
        return item->count;
    case PACK_MAP:
        return 2 * (uint64_t)item->count;
    default:
        return 0;
    }
}

const uint8_t *pack_skip(const uint8_t *at)
{
    struct pack_item item;
    for (uint64_t left = 1; left > 0; left--) {
        at = pack_read(at, &item);
        left += members(&item);
    }
    return at;
}

const uint8_t *pack_field(const uint8_t *at, const char *key)
{
    if (at == NULL)
        return NULL;
    struct pack_item item;
    at = pack_read(at, &item);
    if (item.tag != PACK_MAP)
        return NULL;

    size_t size = strlen(key);
    for (uint32_t left = item.count; left > 0; left--) {
        at = pack_read(at, &item);
        if (item.size == size && memcmp(item.text, key, size) == 0)
            return at;
        at = pack_skip(at);
    }
    return NULL;
}

/* Whether the head of the value at `at`, and all of it if it has no members,
 * lies within `left` bytes. */
static bool head_fits(const uint8_t *at, size_t left)
{
    if (left == 0)
        return false;
    uint8_t tag = *at;
    if (tag >= PACK_SHORT_STRING)
        return left - 1 >= (tag & 0x7fu);
    if (tag >= PACK_SMALL_INT)
        return true;
    switch (tag) {
    case PACK_NULL:
    case PACK_FALSE:
    case PACK_TRUE:
        return true;
    case PACK_INT8:
        return left >= 2;
    case PACK_INT64:
    case PACK_DOUBLE:
    case PACK_ACTOR:
    case PACK_STREAM:
        return left >= 9;
    case PACK_ARRAY:
    case PACK_MARKED_ARRAY:
    case PACK_MAP:
    case PACK_ORDERED_MAP:
        return left >= 5;
    case PACK_STRING:
    case PACK_ADDRESS: {
        uint32_t length;
        if (left < 5)
            return false;
        memcpy(&length, at + 1, sizeof length);
        return left - 5 >= length;
    }
    default:
        return false;
    }
}

bool pack_check(const uint8_t *data, size_t size)
{
    /* The containers we are in: how many values are still to come, and
     * whether every other one of them is a key. */
    struct {
        uint64_t left;
        bool     map;
    } open[PACK_DEPTH_LIMIT + 1] = { { .left = 1 } };
    unsigned depth = 0;

    const uint8_t *at = data, *end = data + size;
    for (;;) {
        while (open[depth].left == 0) {
            if (depth == 0)
                return at == end;
            depth--;
        }
        if (!head_fits(at, (size_t)(end - at)))
            return false;
        struct pack_item item;
        at = pack_read(at, &item);
        if (open[depth].map && open[depth].left % 2 == 0 && item.tag != PACK_STRING)
            return false;
        open[depth].left--;

        if (item.tag == PACK_ARRAY || item.tag == PACK_MARKED_ARRAY || item.tag == PACK_MAP) {
            uint64_t more = members(&item);
            if (depth == PACK_DEPTH_LIMIT || more > (size_t)(end - at))
                return false;
            depth++;
            open[depth].left = more;
            open[depth].map = item.tag == PACK_MAP;
        }
    }
}
