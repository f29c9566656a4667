/*
 * reject.c -- see reject.h.
 */
#include "message/reject.h"

#include "message/pack.h"

static const struct {
    const char *name, *java;
} fields[] = {
    { "message_type", "messageType" },
    { "reason", "reason" },
    { "rejected_by", "rejectedBy" },
};

static bool find_text(const struct bytes *packed, const char *name, struct pack_item *text)
{
    const uint8_t *at = pack_field(packed->data, name);
    if (at == NULL)
        return false;
    pack_read(at, text);
    return text->tag == PACK_STRING;
}

static bool is_field(const struct pack_item *key)
{
    for (size_t i = 0; i < ARRAY_LENGTH(fields); i++)
        if (strlen(fields[i].name) == key->size && memcmp(fields[i].name, key->text, key->size) == 0)
            return true;
    return false;
}

/* Appends the members of the map at `at` but for the three; returns how many. */
static uint32_t keep_others(const uint8_t *at, struct bytes *out)
{
    struct pack_item head = { .count = 0 }, key;
    uint32_t         kept = 0;
    at = pack_read(at, &head);
    for (uint32_t i = 0; i < head.count; i++) {
        const uint8_t *value = pack_read(at, &key), *end = pack_skip(value);
        if (!is_field(&key)) {
            bytes_append(out, at, (size_t)(end - at));
            kept++;
        }
        at = end;
    }
    return kept;
}

void reject_normalise(struct bytes *packed)
{
    struct pack_item text;
    bool whole = true;
    for (size_t i = 0; i < ARRAY_LENGTH(fields); i++)
        whole = whole && find_text(packed, fields[i].name, &text);
    if (whole)
        return;

    struct bytes out;
    bytes_init(&out, packed->limit);
    size_t   head = pack_open(&out, PACK_MAP);
    uint32_t count = keep_others(packed->data, &out);
    for (size_t i = 0; i < ARRAY_LENGTH(fields); i++, count++) {
        bool found = find_text(packed, fields[i].name, &text) ||
                     find_text(packed, fields[i].java, &text);
        pack_put_string(&out, fields[i].name, strlen(fields[i].name));
        pack_put_string(&out, found ? text.text : "", found ? text.size : 0);
    }
    pack_close(&out, head, count);
    if (!out.failed) {
        bytes_clear(packed, SIZE_MAX);
        bytes_append(packed, out.data, out.size);
    }
    bytes_fini(&out);
}
