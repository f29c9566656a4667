/*
 * stream.c -- $hello and $ack, written and read.
 */
#include "net/stream.h"

#include "message/pack.h"
#include "message/wire.h"

#include <errno.h>
#include <string.h>

/* ---- writing ---- */

static void put_id(struct bytes *packed, const char *key, uint64_t id)
{
    char text[WIRE_STREAM_ROOM];
    wire_stream_text(id, text);
    pack_put_string(packed, key, strlen(key));
    pack_put_string(packed, text, sizeof text - 1);
}

static void put_number(struct bytes *packed, const char *key, uint64_t number)
{
    pack_put_string(packed, key, strlen(key));
    pack_put_integer(packed, (int64_t)number);
}

static int write_frame(const char *type, struct bytes *packed, struct bytes *frame)
{
    int err = packed->failed ? -ENOMEM
                             : wire_write(NULL, NULL, STREAM_RECEIVER, type, packed->data,
                                          packed->size, NULL, NULL, frame, NULL);
    bytes_fini(packed);
    return err;
}

int stream_write_hello(const struct stream_hello *hello, struct bytes *frame)
{
    struct bytes packed;
    bytes_init(&packed, 0);
    size_t map = pack_open(&packed, PACK_MAP);
    put_id(&packed, "i", hello->stream);
    put_number(&packed, "n", hello->hello);
    put_number(&packed, "b", hello->base);
    put_number(&packed, "h", hello->heard);
    pack_put_string(&packed, "to", 2);
    pack_put_string(&packed, hello->to, strlen(hello->to));
    pack_close(&packed, map, 5);
    return write_frame(STREAM_HELLO, &packed, frame);
}

int stream_write_ack(const struct stream_ack *ack, struct bytes *frame)
{
    struct bytes packed;
    bytes_init(&packed, 0);
    size_t map = pack_open(&packed, PACK_MAP);
    put_id(&packed, "i", ack->stream);
    put_number(&packed, "n", ack->hello);
    put_id(&packed, "e", ack->epoch);
    put_number(&packed, "s", ack->handled);
    put_number(&packed, "r", ack->received);
    put_number(&packed, "c", ack->credit);
    put_number(&packed, "d", ack->refusals);
    pack_close(&packed, map, 7);
    return write_frame(STREAM_ACK, &packed, frame);
}

/* ---- reading ---- */

static bool take(const uint8_t *packed, const char *key, enum pack_tag tag, struct pack_item *item)
{
    const uint8_t *at = pack_field(packed, key);
    if (at == NULL)
        return false;
    pack_read(at, item);
    return item->tag == tag;
}

static bool take_id(const uint8_t *packed, const char *key, uint64_t *id)
{
    struct pack_item item;
    if (!take(packed, key, PACK_STRING, &item))
        return false;
    *id = wire_stream_of(item.text, item.size);
    return *id != 0;
}

static bool take_number(const uint8_t *packed, const char *key, uint64_t *number)
{
    struct pack_item item;
    if (!take(packed, key, PACK_INT64, &item) || item.integer < 0 ||
        item.integer > WIRE_SEQUENCE_MAX)
        return false;
    *number = (uint64_t)item.integer;
    return true;
}

bool stream_read_hello(const uint8_t *packed, struct stream_hello *hello)
{
    struct pack_item to;
    if (!take_id(packed, "i", &hello->stream) || !take_number(packed, "n", &hello->hello) ||
        !take_number(packed, "b", &hello->base) || !take_number(packed, "h", &hello->heard) ||
        !take(packed, "to", PACK_STRING, &to) || to.size == 0 || to.size >= sizeof hello->to ||
        memchr(to.text, '\0', to.size) != NULL)
        return false;
    memcpy(hello->to, to.text, to.size);
    hello->to[to.size] = '\0';
    return hello->hello >= 1 && hello->base >= 1;
}

bool stream_read_ack(const uint8_t *packed, struct stream_ack *ack)
{
    uint64_t credit;
    if (!take_id(packed, "i", &ack->stream) || !take_number(packed, "n", &ack->hello) ||
        !take_id(packed, "e", &ack->epoch) || !take_number(packed, "s", &ack->handled) ||
        !take_number(packed, "r", &ack->received) || !take_number(packed, "c", &credit) ||
        !take_number(packed, "d", &ack->refusals) ||
        credit > STREAM_WINDOW || ack->handled > ack->received)
        return false;
    ack->credit = (uint32_t)credit;
    return true;
}
