/* test_glimpse.c -- the promises of glimpse.h: wherever a packed value is cut off, what is
 * shown of it is JSON, and no byte behind the cut is looked at. */
#include "base/memory.h"
#include "message/glimpse.h"
#include "message/json.h"
#include "message/pack.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static size_t name_of(void *context, uint64_t id, char *text, size_t room)
{
    (void)context;
    return (size_t)snprintf(text, room, "actor-%llu", (unsigned long long)id);
}

/* The packed bytes are copied to a block of just their size, so that the sanitizer sees
 * each look beyond. */
static bool look(const struct bytes *packed, size_t size, struct bytes *out)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);
    assert(copy != NULL);
    if (size > 0)
        memcpy(copy, packed->data, size);
    bytes_clear(out, 0);
    bool whole = glimpse(copy, size, name_of, NULL, out);
    free(copy);
    return whole;
}

static void expect(const char *json, size_t size, const char *wanted)
{
    struct bytes packed, out;
    bytes_init(&packed, 0);
    bytes_init(&out, 0);
    assert(json_read(json, strlen(json), &JSON_LIMITS_DEFAULT, &packed, NULL) == 0);
    bool whole = look(&packed, size < packed.size ? size : packed.size, &out);
    assert(whole == (size >= packed.size));
    assert(strcmp(bytes_text(&out), wanted) == 0);
    bytes_fini(&packed);
    bytes_fini(&out);
}

/* What is there whole is shown as json_write() does. */
static void test_whole(void)
{
    static const char *const texts[] = {
        "{}", "{\"a\": 1}", "{\"a\": [1, 2.5, -3, \"x\\\"y\"], \"b\": {\"c\": null, \"d\": true}}",
        "[]", "\"text\"", "{\"big\": 9223372036854775807, \"small\": 1e-300, \"one\": 1.0}",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++)
        expect(texts[i], SIZE_MAX, texts[i]);
}

/* A text that is cut says so, and what is behind is left out with its key. */
static void test_cut(void)
{
    expect("{\"a\": \"hello\", \"b\": 1}", 5 + 2 + 3, "{\"a\": \"he...\"}");
    expect("{\"a\": 1, \"b\": 2}", 5 + 3, "{\"a\": 1}");
    expect("{\"a\": 1, \"b\": 2}", 5 + 3 + 2, "{\"a\": 1}");
    expect("{\"a\": [1, 2, 3]}", 5 + 2 + 5 + 2, "{\"a\": [1, 2]}");
    expect("{\"a\": 1}", 3, "{}");
}

/* Each cut of a value with everything in it gives JSON. */
static void test_every_cut(void)
{
    struct bytes packed, out, again;
    bytes_init(&packed, 0);
    bytes_init(&out, 0);
    bytes_init(&again, 0);
    size_t map = pack_open(&packed, PACK_MAP);
    pack_put_string(&packed, "actor", 5);
    pack_put_actor(&packed, 7);
    pack_put_string(&packed, "address", 7);
    pack_put_address(&packed, "pong@tcp://127.0.0.1:1", 22);
    pack_put_string(&packed, "bytes", 5);
    pack_put_string(&packed, "\xff\x00\x9b", 3);
    pack_put_string(&packed, "nan", 3);
    pack_put_double(&packed, NAN);
    pack_put_string(&packed, "inf", 3);
    pack_put_double(&packed, -INFINITY);
    pack_put_string(&packed, "list", 4);
    size_t list = pack_open(&packed, PACK_ARRAY);
    pack_put_stream(&packed, 3);
    pack_put_boolean(&packed, false);
    pack_put_integer(&packed, -1000);
    pack_close(&packed, list, 3);
    char text[300];
    memset(text, 't', sizeof text);
    pack_put_string(&packed, "text", 4);
    pack_put_string(&packed, text, sizeof text);
    pack_close(&packed, map, 7);
    assert(!packed.failed);
    for (size_t size = 0; size <= packed.size; size++) {
        bool whole = look(&packed, size, &out);
        bytes_clear(&again, 0);
        assert(json_read((const char *)out.data, out.size, &JSON_LIMITS_DEFAULT, &again, NULL) == 0);
        assert(whole == (size == packed.size || size == 0));
    }
    assert(strstr(bytes_text(&out), "\"actor\": \"actor-7\", \"address\": \"pong@tcp://127.0.0.1:1\"") != NULL);
    assert(strstr(bytes_text(&out), "\"nan\": \"nan\", \"inf\": \"-inf\"") != NULL);
    bytes_fini(&packed);
    bytes_fini(&out);
    bytes_fini(&again);
}

/* Bytes that are no packed value at all do no harm. */
static void test_rubbish(void)
{
    struct bytes packed, out;
    uint32_t seed = 1;
    bytes_init(&packed, 0);
    bytes_init(&out, 0);
    for (unsigned round = 0; round < 20000; round++) {
        bytes_clear(&packed, 64);
        for (unsigned i = 0; i < 40; i++) {
            seed = seed * 1664525 + 1013904223;
            bytes_append_byte(&packed, (uint8_t)(seed >> 24) & (round % 2 == 0 ? 0x0f : 0xff));
        }
        look(&packed, packed.size, &out);
    }
    bytes_fini(&packed);
    bytes_fini(&out);
}

int main(void)
{
    size_t before = memory_used();
    test_whole();
    test_cut();
    test_every_cut();
    test_rubbish();
    assert(memory_used() == before);
    puts("glimpse: ok");
    return 0;
}
