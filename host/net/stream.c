/*
 * stream.c -- $hello and $ack, written and read.
 */
#include "net/stream.h"

#include "net/control_frame.h"

/* ---- writing ---- */

int stream_write_hello(const struct stream_hello *hello, struct bytes *frame)
{
    struct bytes packed;
    bytes_init(&packed, 0);
    size_t map = pack_open(&packed, PACK_MAP);
    control_put_id(&packed, "i", hello->stream);
    control_put_number(&packed, "n", hello->hello);
    control_put_number(&packed, "b", hello->base);
    control_put_number(&packed, "h", hello->heard);
    control_put_text(&packed, "to", hello->to);
    pack_close(&packed, map, 5);
    return control_frame_write(STREAM_RECEIVER, STREAM_HELLO, &packed, frame);
}

int stream_write_ack(const struct stream_ack *ack, struct bytes *frame)
{
    struct bytes packed;
    bytes_init(&packed, 0);
    size_t map = pack_open(&packed, PACK_MAP);
    control_put_id(&packed, "i", ack->stream);
    control_put_number(&packed, "n", ack->hello);
    control_put_id(&packed, "e", ack->epoch);
    control_put_number(&packed, "s", ack->handled);
    control_put_number(&packed, "r", ack->received);
    control_put_number(&packed, "c", ack->credit);
    control_put_number(&packed, "d", ack->refusals);
    pack_close(&packed, map, 7);
    return control_frame_write(STREAM_RECEIVER, STREAM_ACK, &packed, frame);
}

/* ---- reading ---- */

bool stream_read_hello(const uint8_t *packed, struct stream_hello *hello)
{
    return control_take_id(packed, "i", &hello->stream) &&
           control_take_number(packed, "n", &hello->hello) &&
           control_take_number(packed, "b", &hello->base) &&
           control_take_number(packed, "h", &hello->heard) &&
           control_take_text(packed, "to", hello->to, sizeof hello->to) && hello->hello >= 1 &&
           hello->base >= 1;
}

bool stream_read_ack(const uint8_t *packed, struct stream_ack *ack)
{
    uint64_t credit;
    if (!control_take_id(packed, "i", &ack->stream) ||
        !control_take_number(packed, "n", &ack->hello) ||
        !control_take_id(packed, "e", &ack->epoch) ||
        !control_take_number(packed, "s", &ack->handled) ||
        !control_take_number(packed, "r", &ack->received) ||
        !control_take_number(packed, "c", &credit) ||
        !control_take_number(packed, "d", &ack->refusals) || credit > STREAM_WINDOW ||
        ack->handled > ack->received)
        return false;
    ack->credit = (uint32_t)credit;
    return true;
}
