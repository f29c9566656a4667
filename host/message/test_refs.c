/*
 * test_refs.c -- what message/refs.h promises.
 */
#include "message/refs.h"

#include "message/json.h"
#include "message/pack.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

static struct bytes packed, copied, json;

static void read_json(const char *text)
{
    bytes_clear(&packed, 0);
    assert(json_read(text, strlen(text), &JSON_LIMITS_DEFAULT, &packed, NULL) == 0);
}

/* Refuses what begins with '!', and makes an address of the rest. */
static bool as_address(void *context, const char *text, size_t size, struct bytes *out)
{
    ++*(int *)context;
    if (size > 0 && text[0] == '!')
        return false;
    pack_put_address(out, text, size);
    return true;
}

static bool as_actor(void *context, const char *text, size_t size, struct bytes *out)
{
    ++*(int *)context;
    assert(size == 1 && text[0] == 'a');
    pack_put_actor(out, 42);
    return true;
}

static size_t actor_text(void *context, uint64_t actor, char *text, size_t room)
{
    (void)context;
    assert(actor == 42);
    return (size_t)snprintf(text, room, "forty-two");
}

static const char *copied_json(void)
{
    bytes_clear(&json, 0);
    assert(pack_check(copied.data, copied.size));
    assert(json_write(copied.data, copied.size, JSON_COMPACT, actor_text, NULL, &json, NULL) == 0);
    return bytes_text(&json);
}

/* Objects of "$ref" alone are given to the writer, wherever they are; others stay. */
static void test_written(void)
{
    int count = 0;
    read_json("{\"to\":{\"$ref\":\"a\"},\"all\":[{\"$ref\":\"b\"},{\"$ref\":1},[{\"x\":{\"$ref\":\"c\"}}]],"
              "\"two\":{\"$ref\":\"d\",\"e\":2},\"text\":\"$ref\",\"none\":{},\"n\":-1.5}");
    assert(refs_may_have(packed.data, packed.size, REFS_WRITTEN));
    bytes_clear(&copied, 0);
    assert(refs_copy(packed.data, packed.size, REFS_WRITTEN, as_address, &count, &copied) == 0);
    assert(count == 3);
    assert(strcmp(copied_json(), "{\"all\":[\"b\",{\"$ref\":1},[{\"x\":\"c\"}]],\"n\":-1.5,\"none\":{},"
                                 "\"text\":\"$ref\",\"to\":\"a\",\"two\":{\"$ref\":\"d\",\"e\":2}}") == 0);
    const uint8_t *to = pack_field(copied.data, "to");
    struct pack_item item;
    pack_read(to, &item);
    assert(item.tag == PACK_ADDRESS && item.size == 1);
}

/* What the writer refuses ends the copy, and nothing of it is left. */
static void test_refused(void)
{
    int count = 0;
    read_json("[{\"$ref\":\"a\"},{\"$ref\":\"!\"},{\"$ref\":\"b\"}]");
    bytes_clear(&copied, 0);
    bytes_append_byte(&copied, 7);
    assert(refs_copy(packed.data, packed.size, REFS_WRITTEN, as_address, &count, &copied) == -EINVAL);
    assert(count == 2 && copied.size == 1);
}

/* Addresses are given to the writer, and texts that look like them are not. */
static void test_addresses(void)
{
    int count = 0;
    bytes_clear(&packed, 0);
    size_t map = pack_open(&packed, PACK_MAP);
    pack_put_string(&packed, "a", 1);
    pack_put_address(&packed, "a", 1);
    pack_put_string(&packed, "b", 1);
    pack_put_string(&packed, "a", 1);
    pack_close(&packed, map, 2);
    assert(refs_may_have(packed.data, packed.size, REFS_ADDRESSES));
    bytes_clear(&copied, 0);
    assert(refs_copy(packed.data, packed.size, REFS_ADDRESSES, as_actor, &count, &copied) == 0);
    assert(count == 1 && strcmp(copied_json(), "{\"a\":\"forty-two\",\"b\":\"a\"}") == 0);

    read_json("{\"a\":\"b\"}");
    assert(!refs_may_have(packed.data, packed.size, REFS_ADDRESSES));
    assert(!refs_may_have(packed.data, packed.size, REFS_WRITTEN));
    assert(!refs_may_have(NULL, 0, REFS_ADDRESSES) && !refs_may_have(NULL, 0, REFS_WRITTEN));
}

/* An empty payload stays empty; without room there is no half a copy. */
static void test_edges(void)
{
    int count = 0;
    bytes_clear(&copied, 0);
    assert(refs_copy(NULL, 0, REFS_WRITTEN, as_address, &count, &copied) == 0 && copied.size == 0);

    struct bytes small;
    bytes_init(&small, 8);
    read_json("{\"a\":[1,2,3,{\"$ref\":\"a name that is long\"}]}");
    assert(refs_copy(packed.data, packed.size, REFS_WRITTEN, as_address, &count, &small) == -ENOMEM);
    assert(small.size == 0);
    bytes_fini(&small);
}

int main(void)
{
    bytes_init(&packed, 0);
    bytes_init(&copied, 0);
    bytes_init(&json, 0);
    test_written();
    test_refused();
    test_addresses();
    test_edges();
    bytes_fini(&packed);
    bytes_fini(&copied);
    bytes_fini(&json);
    return 0;
}
