/*
 * stream.h -- what two hosts of ours say to each other about a reliable stream.
 *
 * A stream carries frames from one host to one actor of another, numbered from
 * 1. It has a random id. The sending side keeps each frame until it is
 * acknowledged as handled; the receiving side takes them in order only, each
 * once. Three kinds of frames, two of them for nobody's mailbox:
 *
 *   a frame   an ordinary one with "rel": {"i": id, "s": number}
 *   $hello    {i, n, b, h, to}: "I am stream i; this is my hello number n, I
 *             hold nothing before frame b, the last hello that I know to be
 *             answered is h; answer to the endpoint `to`"
 *   $ack      {i, n, e, s, r, c, d}: "my epoch is e, hello n was the last one that
 *             I saw; up to s all is handled, up to r received, I take c more, and
 *             d times I had to refuse the one behind r, and all that followed it"
 *
 * $hello and $ack go to the receiver `$rel` and have no sender, so that a peer
 * of the family that gets one by mistake answers nothing. No frame leaves
 * before a hello was answered on the connection in use: that answer says where
 * to go on. Each answer says which hello it answers, and frames keep their
 * order on a connection; so the sending side knows what was lost, and never
 * sends again on a mere suspicion.
 *
 * The epoch is a random number of the receiving host's process: another one
 * means that it knows nothing of what it was sent before.
 */
#ifndef TROUPE_NET_STREAM_H
#define TROUPE_NET_STREAM_H

#include "base/base.h"
#include "base/bytes.h"
#include "message/address.h"

#define STREAM_RECEIVER "$rel"
#define STREAM_HELLO    "$hello"
#define STREAM_ACK      "$ack"

/* What may be under way: sent, and not yet handled. */
#define STREAM_WINDOW       256u
#define STREAM_WINDOW_BYTES (1u << 20)

struct stream_hello {
    uint64_t stream, hello, base, heard;
    char     to[ADDRESS_ENDPOINT_LIMIT];
};

struct stream_ack {
    uint64_t stream, hello, epoch, handled, received, refusals;
    uint32_t credit;
};

/* Append a whole frame. 0 or -ENOMEM. */
int stream_write_hello(const struct stream_hello *hello, struct bytes *frame);
int stream_write_ack(const struct stream_ack *ack, struct bytes *frame);

/* Read the packed `message` of such a frame. False: it is not as it should be. */
bool stream_read_hello(const uint8_t *packed, struct stream_hello *hello);
bool stream_read_ack(const uint8_t *packed, struct stream_ack *ack);

#endif
