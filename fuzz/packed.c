/*
 * packed.c -- see packed.h. Recursion follows the nesting, which pack_check()
 * or json_read() has bounded.
 */
#include "packed.h"

#include "message/pack.h"
#include "reference.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

struct member {
    const uint8_t *key, *value;
    struct pack_item name;
    bool             again; /* a later one has the same name */
};

static int compare_members(const void *left, const void *right)
{
    const struct member *a = left, *b = right;
    uint32_t shorter = a->name.size < b->name.size ? a->name.size : b->name.size;
    int      order = memcmp(a->name.text, b->name.text, shorter);
    if (order == 0)
        order = a->name.size < b->name.size ? -1 : a->name.size > b->name.size;
    if (order == 0)
        order = a->key < b->key ? -1 : a->key > b->key;
    return order;
}

static int compare_places(const void *left, const void *right)
{
    const struct member *a = left, *b = right;
    return a->key < b->key ? -1 : a->key > b->key;
}

static bool same_name(const struct member *a, const struct member *b)
{
    return a->name.size == b->name.size && memcmp(a->name.text, b->name.text, a->name.size) == 0;
}

size_t packed_actor_text(void *context, uint64_t actor, char *text, size_t room)
{
    (void)context;
    int size = snprintf(text, room, "actor %" PRIu64, actor);
    return (size_t)size;
}

static void put_text(const struct pack_item *item, struct bytes *out, struct packed_survey *survey)
{
    survey->bad_text |= !reference_is_utf8(item->text, item->size, false);
    pack_put_string(out, item->text, item->size);
}

static const uint8_t *convert(const uint8_t *at, unsigned depth, struct bytes *out,
                              struct packed_survey *survey);

static const uint8_t *convert_map(const uint8_t *at, uint32_t count, bool ordered, unsigned depth,
                                  struct bytes *out, struct packed_survey *survey)
{
    struct member *members = malloc((count + 1) * sizeof *members);
    assert(members != NULL);
    for (uint32_t i = 0; i < count; i++) {
        members[i].key = at;
        members[i].value = pack_read(at, &members[i].name);
        at = pack_skip(members[i].value);
    }
    qsort(members, count, sizeof *members, compare_members);
    for (uint32_t i = 0; i < count; i++)
        members[i].again = i + 1 < count && same_name(&members[i], &members[i + 1]);
    if (ordered)
        qsort(members, count, sizeof *members, compare_places);

    size_t   head = pack_open(out, PACK_MAP);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct bytes  dropped;
        struct bytes *to = out;
        bytes_init(&dropped, 0);
        if (members[i].again)
            to = &dropped; /* written all the same, so it must be surveyed */
        put_text(&members[i].name, to, survey);
        convert(members[i].value, depth, to, survey);
        bytes_fini(&dropped);
        survey->duplicate |= members[i].again;
        kept += !members[i].again;
    }
    pack_close(out, head, kept);
    free(members);
    return at;
}

static const uint8_t *convert_array(const uint8_t *at, uint32_t count, unsigned depth,
                                    struct bytes *out, struct packed_survey *survey)
{
    size_t head = pack_open(out, PACK_MARKED_ARRAY);
    for (uint32_t i = 0; i < count; i++)
        at = convert(at, depth, out, survey);
    pack_close(out, head, count);
    return at;
}

/* Returns where the next value starts. `depth`: of the containers around it. */
static const uint8_t *convert(const uint8_t *at, unsigned depth, struct bytes *out,
                              struct packed_survey *survey)
{
    struct pack_item item;
    char             text[64];
    bool             ordered = *at == PACK_ORDERED_MAP;
    at = pack_read(at, &item);
    survey->values++;
    switch (item.tag) {
    case PACK_INT64:
        pack_put_integer(out, item.integer);
        return at;
    case PACK_DOUBLE:
        survey->not_finite |= !isfinite(item.number);
        pack_put_double(out, item.number);
        return at;
    case PACK_ADDRESS:
        survey->foreign = true;
        put_text(&item, out, survey);
        return at;
    case PACK_STRING:
        put_text(&item, out, survey);
        return at;
    case PACK_ACTOR:
        survey->actor = survey->foreign = true;
        pack_put_string(out, text, packed_actor_text(NULL, item.actor, text, sizeof text));
        return at;
    case PACK_STREAM:
        survey->not_finite = survey->foreign = true;
        pack_put_null(out);
        return at;
    case PACK_ARRAY:
    case PACK_MARKED_ARRAY:
    case PACK_MAP:
        survey->foreign |= item.tag == PACK_ARRAY || ordered;
        if (++depth > survey->depth)
            survey->depth = depth;
        return item.tag == PACK_MAP ? convert_map(at, item.count, ordered, depth, out, survey)
                                    : convert_array(at, item.count, depth, out, survey);
    default:
        bytes_append_byte(out, (uint8_t)item.tag);
        return at;
    }
}

void packed_through_text(const uint8_t *at, struct bytes *out, struct packed_survey *survey)
{
    *survey = (struct packed_survey){ 0 };
    convert(at, 0, out, survey);
}
