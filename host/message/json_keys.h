/*
 * json_keys.h -- a stack of the keys of maps, and their order. Private to this
 * room: the reader finds duplicates by it, the writer sorts.
 *
 * A key is where its packed string lies, and its first eight bytes as a number
 * that sorts as they do, so that most comparisons look no further.
 */
#ifndef TROUPE_MESSAGE_JSON_KEYS_H
#define TROUPE_MESSAGE_JSON_KEYS_H

#include "base/base.h"

struct json_key {
    uint64_t prefix;
    size_t   at; /* offset of the packed key */
};

struct json_keys {
    struct json_key *list; /* `few` until that is too small */
    size_t           count, capacity;
    struct json_key  few[32];
};

void json_keys_init(struct json_keys *keys);
void json_keys_fini(struct json_keys *keys);

/* Makes room for one more; false when there is no memory. */
bool json_keys_grow(struct json_keys *keys);

static inline bool json_keys_push(struct json_keys *keys, uint64_t prefix, size_t at)
{
    if (UNLIKELY(keys->count == keys->capacity) && !json_keys_grow(keys))
        return false;
    keys->list[keys->count++] = (struct json_key){ prefix, at };
    return true;
}

/* The prefix of `text`, of which `readable` bytes (at least size) may be looked at. */
uint64_t json_key_prefix(const char *text, size_t size, size_t readable);

/* Less than, equal to or greater than 0, bytewise. `packed` is what offsets count from. */
int json_keys_compare(const uint8_t *packed, const struct json_key *a, const struct json_key *b);

/* Sorts bytewise, equal keys in their old order. False when there is no memory. */
bool json_keys_sort(const uint8_t *packed, struct json_key *list, size_t count);

#endif
