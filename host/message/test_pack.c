/*
 * test_pack.c -- what message/pack.h promises.
 */
#include "message/pack.h"

#include <assert.h>
#include <math.h>

static struct pack_item read_whole(const struct bytes *bytes)
{
    struct pack_item item;
    assert(pack_check(bytes->data, bytes->size));
    const uint8_t *end = pack_read(bytes->data, &item);
    assert(end == bytes->data + bytes->size);
    return item;
}

/* Every integer comes back, in the shortest form that holds it. */
static void test_integers(void)
{
    static const struct { int64_t value; size_t size; } cases[] = {
        { 0, 1 }, { 63, 1 }, { 64, 2 }, { 127, 2 }, { 128, 9 }, { -1, 2 }, { -128, 2 },
        { -129, 9 }, { INT64_MAX, 9 }, { INT64_MIN, 9 },
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct bytes bytes;
        bytes_init(&bytes, 0);
        pack_put_integer(&bytes, cases[i].value);
        struct pack_item item = read_whole(&bytes);
        assert(item.tag == PACK_INT64 && item.integer == cases[i].value);
        assert(bytes.size == cases[i].size);
        bytes_fini(&bytes);
    }
}

/* So do the other scalars. */
static void test_scalars(void)
{
    struct bytes bytes;
    bytes_init(&bytes, 0);
    pack_put_null(&bytes);
    assert(read_whole(&bytes).tag == PACK_NULL);
    bytes_clear(&bytes, 0);
    pack_put_boolean(&bytes, true);
    assert(read_whole(&bytes).tag == PACK_TRUE);
    bytes_clear(&bytes, 0);
    pack_put_boolean(&bytes, false);
    assert(read_whole(&bytes).tag == PACK_FALSE);
    bytes_clear(&bytes, 0);
    pack_put_double(&bytes, -0.0);
    struct pack_item item = read_whole(&bytes);
    assert(item.tag == PACK_DOUBLE && item.number == 0 && signbit(item.number));
    bytes_clear(&bytes, 0);
    pack_put_actor(&bytes, UINT64_MAX - 1);
    item = read_whole(&bytes);
    assert(item.tag == PACK_ACTOR && item.actor == UINT64_MAX - 1);
    bytes_clear(&bytes, 0);
    pack_put_stream(&bytes, UINT64_MAX - 2);
    item = read_whole(&bytes);
    assert(item.tag == PACK_STREAM && item.stream == UINT64_MAX - 2);
    assert(!pack_check(bytes.data, bytes.size - 1));
    bytes_clear(&bytes, 0);
    pack_put_address(&bytes, "pong@:1", 7);
    item = read_whole(&bytes);
    assert(item.tag == PACK_ADDRESS && item.size == 7 && memcmp(item.text, "pong@:1", 7) == 0);
    bytes_fini(&bytes);
}

/* Strings of every length come back, NULs and all. */
static void test_strings(void)
{
    static char text[70000];
    static const size_t sizes[] = { 0, 1, 7, 8, 126, 127, 128, 129, 255, 256, sizeof text };
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)(i % 251);
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
        struct bytes bytes;
        bytes_init(&bytes, 0);
        pack_put_string(&bytes, text, sizes[i]);
        struct pack_item item = read_whole(&bytes);
        assert(item.tag == PACK_STRING && item.size == sizes[i]);
        assert(memcmp(item.text, text, sizes[i]) == 0);
        assert(bytes.size == sizes[i] + (sizes[i] < 128 ? 1 : 5));
        bytes_fini(&bytes);
    }
}

/* { a = {1, {b = null}}, list = [], z = "end" } */
static void put_nested(struct bytes *bytes)
{
    size_t map = pack_open(bytes, PACK_MAP);
    pack_put_string(bytes, "a", 1);
    size_t array = pack_open(bytes, PACK_MAP); /* turns out to be an array */
    pack_put_integer(bytes, 1);
    size_t inner = pack_open(bytes, PACK_MAP);
    pack_put_string(bytes, "b", 1);
    pack_put_null(bytes);
    pack_close(bytes, inner, 1);
    pack_close(bytes, array, 2);
    pack_retag(bytes, array, PACK_ARRAY);
    pack_put_string(bytes, "list", 4);
    pack_close(bytes, pack_open(bytes, PACK_MARKED_ARRAY), 0);
    pack_put_string(bytes, "z", 1);
    pack_put_string(bytes, "end", 3);
    pack_close(bytes, map, 3);
}

/* Skipping steps over a value with all its members; fields are found by name. */
static void test_walking(void)
{
    struct bytes bytes;
    bytes_init(&bytes, 0);
    put_nested(&bytes);
    assert(!bytes.failed);
    assert(pack_check(bytes.data, bytes.size));
    assert(pack_skip(bytes.data) == bytes.data + bytes.size);

    struct pack_item item;
    pack_read(pack_field(bytes.data, "z"), &item);
    assert(item.tag == PACK_STRING && item.size == 3);
    pack_read(pack_field(bytes.data, "list"), &item);
    assert(item.tag == PACK_MARKED_ARRAY && item.count == 0);
    const uint8_t *array = pack_field(bytes.data, "a");
    pack_read(array, &item);
    assert(item.tag == PACK_ARRAY && item.count == 2);
    assert(pack_field(bytes.data, "b") == NULL);
    assert(pack_field(bytes.data, "") == NULL);
    assert(pack_field(array, "a") == NULL);
    assert(pack_field(NULL, "a") == NULL);
    bytes_fini(&bytes);
}

/* A buffer that is full fails once and for all, and nothing else happens. */
static void test_full(void)
{
    struct bytes whole;
    bytes_init(&whole, 0);
    put_nested(&whole);
    for (size_t limit = 1; limit <= whole.size; limit++) {
        struct bytes bytes;
        bytes_init(&bytes, limit);
        put_nested(&bytes);
        assert(bytes.failed == (limit < whole.size));
        assert(bytes.failed || memcmp(bytes.data, whole.data, whole.size) == 0);
        bytes_fini(&bytes);
    }
    bytes_fini(&whole);
}

/* Bytes from elsewhere are believed only if they are whole and well formed. */
static void test_check(void)
{
    struct bytes bytes;
    bytes_init(&bytes, 0);
    put_nested(&bytes);
    for (size_t size = 0; size < bytes.size; size++) {
        uint8_t *cut = malloc(size + 1); /* so that a sanitizer sees a read beyond */
        memcpy(cut, bytes.data, size);
        uint8_t *tight = realloc(cut, size > 0 ? size : 1);
        assert(!pack_check(tight, size));
        free(tight);
    }
    pack_put_null(&bytes);
    assert(!pack_check(bytes.data, bytes.size)); /* something follows */
    bytes_fini(&bytes);

    static const uint8_t bad[][9] = {
        { 0x0e }, { 0x3f }, { 0x0f },                  /* no such tags */
        { 0x0c, 0x01, 0, 0, 0, 0x41, 0x41, 0, 0 },     /* a key that is no string */
        { 0x06, 0xff, 0xff, 0xff, 0xff },              /* a string beyond the end */
        { 0x07, 0xff, 0xff, 0xff, 0xff },              /* an array of 4 billion */
        { 0x09, 0x01, 0, 0, 0, 0x41, 0x41, 0, 0 },     /* a key that is no string */
        { 0x09, 0xff, 0xff, 0xff, 0xff, 0x80 },
    };
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
        assert(!pack_check(bad[i], sizeof bad[i]));
}

/* An ordered map is one more map to all who do not ask for the order. */
static void test_ordered(void)
{
    struct bytes bytes;
    bytes_init(&bytes, 0);
    size_t map = pack_open(&bytes, PACK_ORDERED_MAP);
    pack_put_string(&bytes, "b", 1);
    pack_put_integer(&bytes, 1);
    pack_put_string(&bytes, "a", 1);
    pack_put_integer(&bytes, 2);
    pack_close(&bytes, map, 2);

    struct pack_item item;
    assert(pack_check(bytes.data, bytes.size) && pack_is_map(bytes.data));
    pack_read(bytes.data, &item);
    assert(item.tag == PACK_MAP && item.count == 2);
    assert(pack_skip(bytes.data) == bytes.data + bytes.size);
    pack_read(pack_field(bytes.data, "a"), &item);
    assert(item.integer == 2);
    bytes_fini(&bytes);
}

/* Containers nest to PACK_DEPTH_LIMIT and not deeper. */
static void test_depth(void)
{
    for (unsigned depth = PACK_DEPTH_LIMIT; depth <= PACK_DEPTH_LIMIT + 1; depth++) {
        struct bytes bytes;
        bytes_init(&bytes, 0);
        for (unsigned i = 0; i < depth; i++)
            pack_close(&bytes, pack_open(&bytes, PACK_ARRAY), i + 1 < depth);
        assert(pack_check(bytes.data, bytes.size) == (depth == PACK_DEPTH_LIMIT));
        assert(pack_skip(bytes.data) == bytes.data + bytes.size);
        bytes_fini(&bytes);
    }
}

/* Whatever the bytes, checking them is safe, and what passes can be walked. */
static void test_noise(void)
{
    uint32_t state = 12345;
    for (int round = 0; round < 20000; round++) {
        uint8_t noise[24];
        for (size_t i = 0; i < sizeof noise; i++) {
            state = state * 1664525 + 1013904223;
            noise[i] = (state >> 28) < 10 ? (uint8_t)((state >> 16) % 13) : (uint8_t)(state >> 16);
        }
        for (size_t size = 0; size <= sizeof noise; size++)
            if (pack_check(noise, size))
                assert(pack_skip(noise) == noise + size);
    }
}

int main(void)
{
    test_integers();
    test_scalars();
    test_strings();
    test_walking();
    test_full();
    test_check();
    test_ordered();
    test_depth();
    test_noise();
    return 0;
}
