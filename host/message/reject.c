/*
 * reject.c -- the three strings of a Reject, found under either of their names.
 */
#include "message/reject.h"

#include "message/pack.h"

#include <errno.h>

#define FIELDS 3

static const struct {
    const char *name, *other;
} fields[FIELDS] = {
    { "message_type", "messageType" },
    { "reason", "reason" },
    { "rejected_by", "rejectedBy" },
};

/* The string under `name`, or one of no text that says it is none. */
static struct pack_item string_named(const uint8_t *packed, const char *name)
{
    struct pack_item item = { .tag = PACK_NULL };
    const uint8_t   *at = pack_field(packed, name);
    if (at != NULL)
        pack_read(at, &item);
    if (item.tag != PACK_STRING)
        item = (struct pack_item){ .tag = PACK_NULL, .text = "", .size = 0 };
    return item;
}

int reject_in_one_form(struct bytes *message)
{
    const uint8_t   *packed = message->size > 0 ? message->data : NULL;
    struct pack_item found[FIELDS];
    bool             whole = true;

    for (unsigned i = 0; i < FIELDS; i++) {
        found[i] = string_named(packed, fields[i].name);
        if (found[i].tag == PACK_STRING)
            continue;
        whole = false;
        found[i] = string_named(packed, fields[i].other);
    }
    if (whole)
        return 0;

    struct bytes form;
    bytes_init(&form, message->limit);
    size_t map = pack_open(&form, PACK_MAP);
    for (unsigned i = 0; i < FIELDS; i++) {
        pack_put_string(&form, fields[i].name, strlen(fields[i].name));
        pack_put_string(&form, found[i].text, found[i].size);
    }
    pack_close(&form, map, FIELDS);
    if (form.failed) {
        bytes_fini(&form);
        return -ENOMEM;
    }
    bytes_fini(message);
    *message = form;
    return 0;
}
