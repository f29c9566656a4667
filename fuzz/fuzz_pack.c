/*
 * fuzz_pack.c -- what message/pack.h promises, about any bytes, and what
 * json_write() makes of whatever may be packed.
 *
 * The bytes are taken twice: as packed bytes from elsewhere, which pack_check()
 * judges, and as orders what to build, so that most inputs give a value.
 */
#include "fuzz.h"

#include "base/fault.h"
#include "message/json.h"
#include "message/pack.h"
#include "packed.h"
#include "reference.h"

#include <assert.h>
#include <errno.h>

static const struct json_limits limits = { .depth = 64, .values = UINT32_MAX };

/* ---- building a value by orders ---- */

struct orders {
    const uint8_t *at, *end;
};

static uint8_t take_byte(struct orders *orders)
{
    return orders->at < orders->end ? *orders->at++ : 0;
}

/* Takes up to `size` bytes of the orders as they are. */
static const char *take_bytes(struct orders *orders, size_t *size)
{
    const char *start = (const char *)orders->at;
    size_t      left = (size_t)(orders->end - orders->at);
    if (*size > left)
        *size = left;
    orders->at += *size;
    return start;
}

static uint64_t take_number(struct orders *orders)
{
    uint64_t    number = 0;
    size_t      size = sizeof number;
    const char *bytes = take_bytes(orders, &size);
    memcpy(&number, bytes, size);
    return number;
}

static void build(struct orders *orders, unsigned depth, struct bytes *out);

static void build_container(struct orders *orders, enum pack_tag tag, unsigned depth,
                            struct bytes *out)
{
    size_t   head = pack_open(out, tag == PACK_ARRAY ? PACK_MAP : tag);
    uint32_t count = take_byte(orders) % 24;
    for (uint32_t i = 0; i < count; i++) {
        if (tag == PACK_MAP || tag == PACK_ORDERED_MAP) {
            size_t      size = take_byte(orders) % 11;
            const char *key = take_bytes(orders, &size);
            pack_put_string(out, key, size);
        }
        build(orders, depth + 1, out);
    }
    if (tag == PACK_ARRAY)
        pack_retag(out, head, tag);
    pack_close(out, head, count);
}

/* Appends one value, whatever the orders are. */
static void build(struct orders *orders, unsigned depth, struct bytes *out)
{
    uint8_t order = take_byte(orders);
    size_t  size = order >> 4;
    double  number;
    switch (order & 15) {
    case 0: pack_put_null(out); return;
    case 1: pack_put_boolean(out, order & 16); return;
    case 2: pack_put_integer(out, (int8_t)take_byte(orders)); return;
    case 3: pack_put_integer(out, (int64_t)take_number(orders)); return;
    case 4:
        number = (double)(int64_t)take_number(orders) / (double)(1 << size);
        pack_put_double(out, number);
        return;
    case 5: {
        uint64_t bits = take_number(orders);
        memcpy(&number, &bits, sizeof number);
        pack_put_double(out, number);
        return;
    }
    case 6: pack_put_actor(out, take_number(orders)); return;
    case 7: {
        const char *text = take_bytes(orders, &size);
        pack_put_address(out, text, size);
        return;
    }
    case 8:
        size = 100 + take_byte(orders); /* on both sides of a short string's end */
        /* fall through */
    case 9:
    case 10: {
        const char *text = take_bytes(orders, &size);
        pack_put_string(out, text, size);
        return;
    }
    default: {
        static const enum pack_tag tags[] = {
            PACK_MAP, PACK_ARRAY, PACK_ORDERED_MAP, PACK_MARKED_ARRAY, PACK_MAP,
        };
        if (depth == PACK_DEPTH_LIMIT)
            pack_put_null(out);
        else
            build_container(orders, tags[(order & 15) - 11], depth, out);
    }
    }
}

/* ---- what must hold for a value ---- */

/* Cut short or with a byte too many it is no value any more. */
static void check_edges(const uint8_t *packed, size_t size)
{
    size_t lengths[] = { 0, fuzz_choice(packed, size, size), size - 1 };
    for (size_t i = 0; i < ARRAY_LENGTH(lengths); i++) {
        uint8_t *cut = (uint8_t *)fuzz_tight_copy(packed, lengths[i]);
        assert(!pack_check(cut, lengths[i]));
        free(cut);
    }
    uint8_t *longer = malloc(size + 1);
    assert(longer != NULL);
    memcpy(longer, packed, size);
    longer[size] = PACK_NULL;
    assert(!pack_check(longer, size + 1));
    free(longer);
}

/* pack_field() finds the first member of each name that has no NUL in it, and
 * nothing where there is nothing to find. */
static void check_fields(const uint8_t *packed)
{
    struct pack_item map, key, earlier;
    const uint8_t   *first = pack_read(packed, &map), *at = first;
    assert(pack_is_map(packed) == (map.tag == PACK_MAP));
    if (map.tag != PACK_MAP) {
        assert(pack_field(packed, "") == NULL);
        return;
    }
    for (uint32_t i = 0; i < map.count && i < 40; i++) {
        const uint8_t *value = pack_read(at, &key);
        char           name[300];
        if (key.size < sizeof name && memchr(key.text, '\0', key.size) == NULL) {
            memcpy(name, key.text, key.size);
            name[key.size] = '\0';
            const uint8_t *found = pack_field(packed, name), *wanted = first;
            for (;;) {
                wanted = pack_read(wanted, &earlier);
                if (earlier.size == key.size && memcmp(earlier.text, name, key.size) == 0)
                    break;
                wanted = pack_skip(wanted);
            }
            assert(found == wanted && wanted <= value);
        }
        at = pack_skip(value);
    }
    assert(pack_field(packed, "none of these has this name") == NULL);
}

/* The text that is made of it, or why there is none. */
static void check_text(const uint8_t *packed, size_t size)
{
    struct bytes         expected, text, back;
    struct packed_survey survey;
    struct json_error    error = { "", 1 };
    bytes_init(&expected, 0);
    bytes_init(&text, 0);
    bytes_init(&back, 0);
    packed_through_text(packed, &expected, &survey);
    bool has_text = !survey.bad_text && !survey.not_finite;
    int  style = (int)(fuzz_choice(packed, size, 4));

    int err = json_write(packed, size, style, packed_actor_text, NULL, &text, &error);
    assert(err == (has_text ? 0 : -EINVAL));
    if (has_text) {
        char *copy = fuzz_tight_copy(text.data, text.size);
        assert(json_read(copy, text.size, &limits, &back, NULL) == 0);
        free(copy);
        assert(expected.size == back.size &&
               memcmp(expected.data, back.data, back.size) == 0);
    } else {
        assert(text.size == 0 && error.at == 0);
        assert(strncmp(error.reason, "msg", 3) == 0 && strstr(error.reason, ": ") != NULL);
        assert(fuzz_is_text(error.reason, strlen(error.reason)));
        assert(reference_is_utf8(error.reason, strlen(error.reason), true) ||
               !reference_is_utf8((const char *)packed, size, false));
    }
    text.size = 0;
    err = json_write(packed, size, style, NULL, NULL, &text, NULL);
    assert(err == (has_text && !survey.actor ? 0 : -EINVAL));
#ifdef TROUPE_FAULTS
    bytes_fini(&text);
    fault_arm(fuzz_choice(packed, size, 8) + 1);
    err = json_write(packed, size, style, packed_actor_text, NULL, &text, NULL);
    fault_arm(0);
    assert(err == (has_text ? 0 : -EINVAL) || err == -ENOMEM);
    assert(err == 0 || text.size == 0);
#endif
    bytes_fini(&expected);
    bytes_fini(&text);
    bytes_fini(&back);
}

static void check_value(const uint8_t *packed, size_t size)
{
    uint8_t *tight = (uint8_t *)fuzz_tight_copy(packed, size);
    assert(pack_check(tight, size));
    assert(pack_skip(tight) == tight + size);
    check_edges(tight, size);
    check_fields(tight);
    check_text(tight, size);
    free(tight);
}

bool fuzz_accepts(const char *data, size_t size)
{
    uint8_t *tight = (uint8_t *)fuzz_tight_copy(data, size);
    bool     whole = pack_check(tight, size);
    if (whole)
        check_value(tight, size);

    struct orders orders = { tight, tight + size };
    struct bytes  built;
    bytes_init(&built, 0);
    build(&orders, 0, &built);
    assert(!built.failed);
    check_value(built.data, built.size);
    bytes_fini(&built);
    free(tight);
    return whole;
}
