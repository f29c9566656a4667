/*
 * json_keys.c -- the key stack and its sort: by insertion when there are few
 * keys, else by merging, so no choice of keys makes it slow or deep.
 */
#include "message/json_keys.h"

#include "base/memory.h"
#include "message/json_text.h"
#include "message/pack.h"

#define FEW 16

void json_keys_init(struct json_keys *keys)
{
    keys->list = keys->few;
    keys->count = 0;
    keys->capacity = ARRAY_LENGTH(keys->few);
}

void json_keys_fini(struct json_keys *keys)
{
    if (keys->list != keys->few)
        memory_put(keys->list, keys->capacity * sizeof *keys->list);
}

bool json_keys_grow(struct json_keys *keys)
{
    struct json_key *list = memory_get(2 * keys->capacity * sizeof *list);
    if (list == NULL)
        return false;
    memcpy(list, keys->list, keys->count * sizeof *list);
    json_keys_fini(keys);
    keys->list = list;
    keys->capacity *= 2;
    return true;
}

uint64_t json_key_prefix(const char *text, size_t size, size_t readable)
{
    if (size == 0)
        return 0;
    uint64_t prefix = 0;
    if (LIKELY(readable >= 8)) {
        prefix = __builtin_bswap64(text_load(text));
        return size >= 8 ? prefix : prefix & (UINT64_MAX << (64 - 8 * size));
    }
    for (size_t i = 0; i < size; i++)
        prefix |= (uint64_t)(uint8_t)text[i] << (56 - 8 * i);
    return prefix;
}

int json_keys_compare(const uint8_t *packed, const struct json_key *a, const struct json_key *b)
{
    if (a->prefix != b->prefix)
        return a->prefix < b->prefix ? -1 : 1;
    struct pack_item left, right;
    pack_read(packed + a->at, &left);
    pack_read(packed + b->at, &right);
    int order = memcmp(left.text, right.text, left.size < right.size ? left.size : right.size);
    if (order != 0)
        return order;
    return left.size < right.size ? -1 : left.size > right.size;
}

static void sort_few(const uint8_t *packed, struct json_key *list, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct json_key key = list[i];
        size_t          to = i;
        for (; to > 0 && json_keys_compare(packed, &key, &list[to - 1]) < 0; to--)
            list[to] = list[to - 1];
        list[to] = key;
    }
}

static bool is_sorted(const uint8_t *packed, const struct json_key *list, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (json_keys_compare(packed, &list[i - 1], &list[i]) > 0)
            return false;
    return true;
}

/* Merges the neighbours from[0, middle) and from[middle, count) into `to`. */
static void merge(const uint8_t *packed, const struct json_key *from, size_t middle, size_t count,
                  struct json_key *to)
{
    size_t left = 0, right = middle;
    for (size_t i = 0; i < count; i++) {
        bool take_right = left == middle ||
                          (right < count &&
                           json_keys_compare(packed, &from[right], &from[left]) < 0);
        to[i] = take_right ? from[right++] : from[left++];
    }
}

bool json_keys_sort(const uint8_t *packed, struct json_key *list, size_t count)
{
    if (count <= FEW) {
        sort_few(packed, list, count);
        return true;
    }
    if (is_sorted(packed, list, count))
        return true;
    struct json_key *other = memory_get(count * sizeof *other);
    if (other == NULL)
        return false;

    for (size_t at = 0; at < count; at += FEW)
        sort_few(packed, list + at, count - at < FEW ? count - at : FEW);
    struct json_key *from = list, *to = other;
    for (size_t run = FEW; run < count; run *= 2) {
        for (size_t at = 0; at < count; at += 2 * run) {
            size_t left = count - at;
            merge(packed, from + at, run < left ? run : left, 2 * run < left ? 2 * run : left,
                  to + at);
        }
        struct json_key *swap = from;
        from = to;
        to = swap;
    }
    if (from != list)
        memcpy(list, from, count * sizeof *list);
    memory_put(other, count * sizeof *other);
    return true;
}
