/*
 * wire.h -- the JSON envelope on the network <-> its parts; the only file that
 * knows the envelope's field names. SPEC section 7; byte form as Python's
 * json.dumps, so that a frame of ours equals one of the family's.
 *
 *   {"sender_actor": "ping", "sender_endpoint": "tcp://localhost:5002",
 *    "receiver": "pong", "message_type": "Ping", "message": {"count": 1}}
 *
 * Between two hosts of ours a sixth key may follow, which others ignore: the
 * frame's stream and its number there (net/stream.h).
 *
 *    ..., "rel": {"i": "00c0ffee00c0ffee", "s": 17}}
 */
#ifndef TROUPE_MESSAGE_WIRE_H
#define TROUPE_MESSAGE_WIRE_H

#include "message/json.h"

#define WIRE_FRAME_LIMIT (1024 * 1024)

/* What a frame may be, in this whole process: bytes (at first WIRE_FRAME_LIMIT) and
 * containers in containers (at first, and at most, JSON_LIMITS_DEFAULT's). 0 leaves
 * one as it is. Before frames come and go. */
void wire_set_limits(size_t frame_bytes, unsigned depth);
size_t wire_frame_limit(void);
struct json_limits wire_json_limits(void);

/* A frame taken apart. Texts are decoded and NUL-terminated. `sender_*` are
 * both set or both empty: a half sender is none. */
struct wire_envelope {
    char         sender_actor[256];
    char         sender_endpoint[300]; /* as it came; see address_endpoint_normalise() */
    char         receiver[256];
    char         message_type[256];
    struct bytes message;              /* packed map */
    uint64_t     stream;               /* of `rel`; 0: it has none */
    uint64_t     sequence;             /* in that stream, from 1; 0: none */
    bool         again;                /* the texts are those of the frame read before */

    /* wire_read()'s own: how the last frame began, up to its message. */
    uint16_t     head_size;            /* 0: not worth knowing */
    char         head[600];
};

void wire_envelope_init(struct wire_envelope *envelope);
void wire_envelope_fini(struct wire_envelope *envelope);

/* Takes a frame apart. Absent, null and "" are the same; keys in any order;
 * unknown envelope keys are skipped; duplicate envelope keys, names of more
 * than 255 bytes or with control characters, texts that are no strings, a
 * `message` that is no object (null counts as {}), a `rel` that is not as above
 * (other keys inside it are skipped) and anything but one JSON object are refused: -EINVAL, and `error` (which may be NULL) says why; -ENOMEM.
 * limits->depth holds for `message` and each unknown key's value, limits->values
 * for all of them together; duplicates of unknown keys are not looked for. After -EINVAL
 * the texts hold what stood before the fault, whole or empty, so that a sender
 * may be told. An envelope can be used again; frames in a row that differ only in
 * their message, which comes last, are read faster then. */
int wire_read(const char *frame, size_t size, const struct json_limits *limits,
              struct wire_envelope *envelope, struct json_error *error);

/* Appends a frame. A sender without both its parts (NULL or "") is written as
 * null and null. `packed` is a map, or of size 0: {}. 0, -EINVAL (error names the
 * field), -ENOMEM; unless 0 the frame's size is as before. */
int wire_write(const char *sender_actor, const char *sender_endpoint,
               const char *receiver, const char *message_type,
               const uint8_t *packed, size_t size,
               json_actor_text *actor_text, void *context,
               struct bytes *frame, struct json_error *error);

/* Gives the finished frame in `frame`, and nothing else is there, its `rel`.
 * 0 or -ENOMEM; then it is as before. */
int wire_add_stream(struct bytes *frame, uint64_t stream, uint64_t sequence);

/* A stream's id as text, 16 digits, and back; 0: it is none. */
#define WIRE_STREAM_ROOM 17
void     wire_stream_text(uint64_t stream, char text[WIRE_STREAM_ROOM]);
uint64_t wire_stream_of(const char *text, size_t size);
#define WIRE_SEQUENCE_MAX (INT64_C(1) << 53) /* exact in every language */

/* Appends the frame of a Reject {message_type, reason, rejected_by}, sender null.
 * 0, -EINVAL (invalid UTF-8), -ENOMEM. */
int wire_write_reject(const char *receiver, const char *message_type, const char *reason,
                      const char *rejected_by, struct bytes *frame);

#endif
