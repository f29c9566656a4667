/*
 * control_frame.c -- see control_frame.h.
 */
#include "net/control_frame.h"

#include "message/wire.h"

#include <errno.h>
#include <string.h>

void control_put_text(struct bytes *packed, const char *key, const char *text)
{
    pack_put_string(packed, key, strlen(key));
    pack_put_string(packed, text, strlen(text));
}

void control_put_id(struct bytes *packed, const char *key, uint64_t id)
{
    char text[WIRE_STREAM_ROOM];
    wire_stream_text(id, text);
    control_put_text(packed, key, text);
}

void control_put_number(struct bytes *packed, const char *key, uint64_t number)
{
    pack_put_string(packed, key, strlen(key));
    pack_put_integer(packed, (int64_t)number);
}

int control_frame_write(const char *receiver, const char *type, struct bytes *packed,
                   struct bytes *frame)
{
    int err = packed->failed ? -ENOMEM
                             : wire_write(NULL, NULL, receiver, type, packed->data, packed->size,
                                          NULL, NULL, frame, NULL);
    bytes_fini(packed);
    return err;
}

static bool take(const uint8_t *packed, const char *key, enum pack_tag tag, struct pack_item *item)
{
    const uint8_t *at = pack_field(packed, key);
    if (at == NULL)
        return false;
    pack_read(at, item);
    return item->tag == tag;
}

bool control_take_id(const uint8_t *packed, const char *key, uint64_t *id)
{
    struct pack_item item;
    if (!take(packed, key, PACK_STRING, &item))
        return false;
    *id = wire_stream_of(item.text, item.size);
    return *id != 0;
}

bool control_take_number(const uint8_t *packed, const char *key, uint64_t *number)
{
    struct pack_item item;
    if (!take(packed, key, PACK_INT64, &item) || item.integer < 0 ||
        item.integer > WIRE_SEQUENCE_MAX)
        return false;
    *number = (uint64_t)item.integer;
    return true;
}

bool control_take_text(const uint8_t *packed, const char *key, char *text, size_t room)
{
    struct pack_item item;
    if (!take(packed, key, PACK_STRING, &item) || item.size == 0 || item.size >= room ||
        memchr(item.text, '\0', item.size) != NULL)
        return false;
    memcpy(text, item.text, item.size);
    text[item.size] = '\0';
    return true;
}
