/*
 * wire.c -- the envelope's five fields and ours, read in one pass and written in order.
 */
#include "message/wire.h"

#include "message/json_reader.h"
#include "message/pack.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define STYLE      (JSON_SPACED | JSON_ASCII)
#define KEPT_BYTES (64 * 1024) /* what a large frame leaves to an envelope */

enum field {
    SENDER_ACTOR,
    SENDER_ENDPOINT,
    RECEIVER,
    MESSAGE_TYPE,
    MESSAGE,
    STREAM,
    FIELD_COUNT,
    UNKNOWN_FIELD = FIELD_COUNT,
};

static const char *const field_names[FIELD_COUNT] = {
    "sender_actor", "sender_endpoint", "receiver", "message_type", "message", "rel",
};

static _Atomic size_t   frame_limit = WIRE_FRAME_LIMIT;
static _Atomic unsigned depth_limit; /* 0: the default */

void wire_set_limits(size_t frame_bytes, unsigned depth)
{
    if (frame_bytes > 0)
        atomic_store_explicit(&frame_limit, frame_bytes, memory_order_relaxed);
    if (depth > 0)
        atomic_store_explicit(&depth_limit, depth, memory_order_relaxed);
}

size_t wire_frame_limit(void)
{
    return atomic_load_explicit(&frame_limit, memory_order_relaxed);
}

struct json_limits wire_json_limits(void)
{
    struct json_limits limits = JSON_LIMITS_DEFAULT;
    unsigned depth = atomic_load_explicit(&depth_limit, memory_order_relaxed);
    if (depth > 0 && depth < limits.depth)
        limits.depth = depth;
    return limits;
}

void wire_envelope_init(struct wire_envelope *envelope)
{
    envelope->sender_actor[0] = '\0';
    envelope->sender_endpoint[0] = '\0';
    envelope->receiver[0] = '\0';
    envelope->message_type[0] = '\0';
    envelope->again = false;
    envelope->head_size = 0;
    bytes_init(&envelope->message, 0);
    envelope->stream = envelope->sequence = 0;
}

void wire_envelope_fini(struct wire_envelope *envelope)
{
    bytes_fini(&envelope->message);
}

/* ---- reading ---- */

static enum field field_named(const char *name, size_t size)
{
    enum field field;
    switch (size) {
    case 3:  field = STREAM; break;
    case 7:  field = MESSAGE; break;
    case 8:  field = RECEIVER; break;
    case 12: field = name[0] == 's' ? SENDER_ACTOR : MESSAGE_TYPE; break;
    case 15: field = SENDER_ENDPOINT; break;
    default: return UNKNOWN_FIELD;
    }
    return memcmp(name, field_names[field], size) == 0 ? field : UNKNOWN_FIELD;
}

static bool take_field_name(struct json_reader *reader, enum field *field)
{
    struct json_text text;
    char decoded[6 * 16]; /* the longest name, each letter as \uXXXX */
    if (reader->at == reader->end || *reader->at != '"')
        return json_expected(reader, "a key in quotes");
    if (!json_take_string(reader, &text))
        return false;
    if (LIKELY(!text.escaped))
        *field = field_named(text.start, text.size);
    else if (text.size <= sizeof decoded)
        *field = field_named(decoded, json_unescape(&text, decoded));
    else
        *field = UNKNOWN_FIELD;
    return json_take(reader, ':') || json_expected(reader, "':'");
}

static bool take_null(struct json_reader *reader)
{
    if (reader->end - reader->at < 4 || memcmp(reader->at, "null", 4) != 0)
        return false;
    reader->at += 4;
    return true;
}

/* Decodes a string or null into `out`, with its NUL in `room` bytes. */
static bool take_text(struct json_reader *reader, enum field field, char *out, size_t room)
{
    const char *start = reader->at;
    if (take_null(reader))
        return true;
    if (start == reader->end || *start != '"')
        return json_fail(reader, start, "%s is no string", field_names[field]);

    struct json_text text;
    if (!json_take_string(reader, &text))
        return false;
    size_t size = text.size;
    if (LIKELY(size < room && !text.escaped)) {
        memcpy(out, text.start, size);
    } else {
        char decoded[6 * sizeof ((struct wire_envelope *)NULL)->sender_endpoint];
        bool fits = text.escaped && size <= sizeof decoded;
        if (!fits || (size = json_unescape(&text, decoded)) >= room)
            return json_fail(reader, start, "%s is longer than %zu bytes", field_names[field],
                             room - 1);
        memcpy(out, decoded, size);
    }
    if (UNLIKELY(!text.plain) && !json_is_printable(out, size)) {
        out[0] = '\0';
        return json_fail(reader, start, "%s has a control character", field_names[field]);
    }
    out[size] = '\0';
    return true;
}

static bool take_message(struct json_reader *reader, struct bytes *message)
{
    if (take_null(reader))
        return true;
    if (reader->at == reader->end || *reader->at != '{')
        return json_fail(reader, reader->at, "message is no object");
    return json_take_value(reader, message);
}

/* The value of an unknown key: read like any other, behind the message that
 * may be there already, and forgotten. */
static bool skip_value(struct json_reader *reader, struct bytes *scratch)
{
    size_t before = scratch->size;
    bool   fine = json_take_value(reader, scratch);
    scratch->size = before;
    return fine;
}

#define THE_FIVE ((1u << (MESSAGE + 1)) - 1)

/* Keeps how the frame begins, if exactly the other four keys stand before the message. */
static void keep_head(struct wire_envelope *envelope, const char *frame, const char *value)
{
    size_t size = (size_t)(value - frame);
    if (size > sizeof envelope->head)
        return;
    memcpy(envelope->head, frame, size);
    envelope->head_size = (uint16_t)size;
}

static const char hex_digits[] = "0123456789abcdef";

uint64_t wire_stream_of(const char *text, size_t size)
{
    uint64_t stream = 0;
    if (size != WIRE_STREAM_ROOM - 1)
        return 0;
    for (size_t i = 0; i < size; i++) {
        const char *digit = memchr(hex_digits, text[i], 16);
        if (digit == NULL)
            return 0;
        stream = stream << 4 | (uint64_t)(digit - hex_digits);
    }
    return stream;
}

/* Reads it behind the message that may be there already, and forgets the bytes. */
static bool take_stream(struct json_reader *reader, struct wire_envelope *envelope)
{
    struct bytes    *scratch = &envelope->message;
    size_t           before = scratch->size;
    const char      *start = reader->at;
    struct pack_item id = { .tag = PACK_NULL }, sequence = { .tag = PACK_NULL };

    if (take_null(reader))
        return true;
    if (reader->at == reader->end || *reader->at != '{')
        return json_fail(reader, start, "rel is no object");
    if (!json_take_value(reader, scratch))
        return false;
    const uint8_t *at = scratch->failed ? NULL : pack_field(scratch->data + before, "i");
    if (at != NULL)
        pack_read(at, &id);
    at = scratch->failed ? NULL : pack_field(scratch->data + before, "s");
    if (at != NULL)
        pack_read(at, &sequence);
    if (id.tag == PACK_STRING)
        envelope->stream = wire_stream_of(id.text, id.size);
    scratch->size = before;
    if (envelope->stream == 0)
        return json_fail(reader, start, "rel has no 'i' of 16 hexadecimal digits");
    if (sequence.tag != PACK_INT64 || sequence.integer < 1 || sequence.integer > WIRE_SEQUENCE_MAX)
        return json_fail(reader, start, "rel has no 's' that is a number from 1");
    envelope->sequence = (uint64_t)sequence.integer;
    return true;
}

static bool take_field(struct json_reader *reader, struct wire_envelope *envelope, unsigned *seen)
{
    enum field  field = UNKNOWN_FIELD;
    const char *start = reader->at;
    if (!take_field_name(reader, &field))
        return false;
    if (field != UNKNOWN_FIELD) {
        if (*seen & 1u << field)
            return json_fail(reader, start, "%s comes twice", field_names[field]);
        *seen |= 1u << field;
    } else {
        *seen |= 1u << UNKNOWN_FIELD;
    }
    switch (field) {
    case SENDER_ACTOR:
        return take_text(reader, field, envelope->sender_actor, sizeof envelope->sender_actor);
    case SENDER_ENDPOINT:
        return take_text(reader, field, envelope->sender_endpoint,
                         sizeof envelope->sender_endpoint);
    case RECEIVER:
        return take_text(reader, field, envelope->receiver, sizeof envelope->receiver);
    case MESSAGE_TYPE:
        return take_text(reader, field, envelope->message_type, sizeof envelope->message_type);
    case MESSAGE:
        if (*seen == THE_FIVE)
            keep_head(envelope, reader->start, reader->at);
        return take_message(reader, &envelope->message);
    case STREAM:
        return take_stream(reader, envelope);
    case UNKNOWN_FIELD:
        return skip_value(reader, &envelope->message);
    }
    UNREACHABLE();
}

static bool take_fields(struct json_reader *reader, struct wire_envelope *envelope, unsigned seen)
{
    do {
        if (!take_field(reader, envelope, &seen))
            return false;
    } while (json_take(reader, ','));
    return true;
}

static bool take_end(struct json_reader *reader)
{
    if (!json_take(reader, '}'))
        return json_expected(reader, "',' or '}'");
    return reader->at == reader->end || json_expected(reader, "the end");
}

static bool take_envelope(struct json_reader *reader, struct wire_envelope *envelope)
{
    if (!json_take(reader, '{'))
        return json_expected(reader, "an object");
    if (json_take(reader, '}'))
        return reader->at == reader->end || json_expected(reader, "the end");
    return take_fields(reader, envelope, 0) && take_end(reader);
}

/* A frame that begins as the last one did: what is left of it. There may be
 * more space before the message than that one had. */
static bool take_rest(struct json_reader *reader, struct wire_envelope *envelope)
{
    json_skip_space(reader);
    return take_message(reader, &envelope->message) &&
           (!json_take(reader, ',') || take_fields(reader, envelope, THE_FIVE)) &&
           take_end(reader);
}

static bool begins_as_before(const struct wire_envelope *envelope, const char *frame, size_t size)
{
    size_t head = envelope->head_size;
    return head > 0 && size > head && memcmp(frame, envelope->head, head) == 0;
}

int wire_read(const char *frame, size_t size, const struct json_limits *limits,
              struct wire_envelope *envelope, struct json_error *error)
{
    struct json_reader reader;
    bool               whole;

    bytes_clear(&envelope->message, KEPT_BYTES);
    envelope->stream = envelope->sequence = 0;
    envelope->again = begins_as_before(envelope, frame, size);
    if (envelope->again) {
        json_reader_init(&reader, frame, size, envelope->head_size, limits, error);
        whole = take_rest(&reader, envelope);
    } else {
        envelope->sender_actor[0] = '\0';
        envelope->sender_endpoint[0] = '\0';
        envelope->receiver[0] = '\0';
        envelope->message_type[0] = '\0';
        envelope->head_size = 0;
        json_reader_init(&reader, frame, size, 0, limits, error);
        whole = take_envelope(&reader, envelope);
        if (!whole)
            envelope->head_size = 0;
    }
    if (!whole)
        envelope->message.size = 0;
    else if (envelope->message.size == 0)
        pack_close(&envelope->message, pack_open(&envelope->message, PACK_MAP), 0);
    if (envelope->sender_actor[0] == '\0' || envelope->sender_endpoint[0] == '\0') {
        envelope->sender_actor[0] = '\0';
        envelope->sender_endpoint[0] = '\0';
    }
    int err = json_reader_fini(&reader);
    return err == 0 && envelope->message.failed ? -ENOMEM : err;
}

/* ---- writing ---- */

static int refuse(struct json_error *error, enum field field, const char *why)
{
    if (error != NULL) {
        error->at = 0;
        snprintf(error->reason, sizeof error->reason, "%s: %s", field_names[field], why);
    }
    return -EINVAL;
}

static bool write_text(struct bytes *frame, const char *text)
{
    return json_write_string(text, strlen(text), STYLE, frame);
}

/* All of the frame up to the message. 0 or -EINVAL; a full frame says so itself. */
static int write_head(const char *sender_actor, const char *sender_endpoint,
                      const char *receiver, const char *message_type,
                      struct bytes *frame, struct json_error *error)
{
    static const char nobody[] = "{\"sender_actor\": null, \"sender_endpoint\": null";
    static const char actor_key[] = "{\"sender_actor\": ";
    static const char endpoint_key[] = ", \"sender_endpoint\": ";
    static const char receiver_key[] = ", \"receiver\": ";
    static const char type_key[] = ", \"message_type\": ";
    static const char message_key[] = ", \"message\": ";

    if (sender_actor == NULL || sender_endpoint == NULL || *sender_actor == '\0' ||
        *sender_endpoint == '\0') {
        bytes_append(frame, nobody, sizeof nobody - 1);
    } else {
        bytes_append(frame, actor_key, sizeof actor_key - 1);
        if (!write_text(frame, sender_actor))
            return refuse(error, SENDER_ACTOR, "not valid UTF-8");
        bytes_append(frame, endpoint_key, sizeof endpoint_key - 1);
        if (!write_text(frame, sender_endpoint))
            return refuse(error, SENDER_ENDPOINT, "not valid UTF-8");
    }
    bytes_append(frame, receiver_key, sizeof receiver_key - 1);
    if (!write_text(frame, receiver))
        return refuse(error, RECEIVER, "not valid UTF-8");
    bytes_append(frame, type_key, sizeof type_key - 1);
    if (!write_text(frame, message_type))
        return refuse(error, MESSAGE_TYPE, "not valid UTF-8");
    bytes_append(frame, message_key, sizeof message_key - 1);
    return 0;
}

/* Ends the frame; what failed takes all of it away again. */
static int finish(struct bytes *frame, size_t before, int err)
{
    bytes_append_byte(frame, '}');
    if (err == 0 && frame->failed)
        err = -ENOMEM;
    if (err != 0)
        frame->size = before;
    return err;
}

int wire_write(const char *sender_actor, const char *sender_endpoint,
               const char *receiver, const char *message_type,
               const uint8_t *packed, size_t size,
               json_actor_text *actor_text, void *context,
               struct bytes *frame, struct json_error *error)
{
    if (size > 0 && !pack_is_map(packed))
        return refuse(error, MESSAGE, "not a table with string keys");
    size_t before = frame->size;
    int err = write_head(sender_actor, sender_endpoint, receiver, message_type, frame, error);
    if (err == 0)
        err = json_write(packed, size, STYLE, actor_text, context, frame, error);
    return finish(frame, before, err);
}

void wire_stream_text(uint64_t stream, char text[WIRE_STREAM_ROOM])
{
    for (unsigned i = 0; i < WIRE_STREAM_ROOM - 1; i++)
        text[i] = hex_digits[stream >> (60 - 4 * i) & 15];
    text[WIRE_STREAM_ROOM - 1] = '\0';
}

int wire_add_stream(struct bytes *frame, uint64_t stream, uint64_t sequence)
{
    char id[WIRE_STREAM_ROOM], text[80];
    wire_stream_text(stream, id);
    int size = snprintf(text, sizeof text, ", \"rel\": {\"i\": \"%s\", \"s\": %llu}}", id,
                        (unsigned long long)sequence);
    size_t before = frame->size;
    frame->size--; /* its last brace */
    bytes_append(frame, text, (size_t)size);
    if (!frame->failed)
        return 0;
    frame->size = before;
    frame->failed = false;
    return -ENOMEM;
}

int wire_write_reject(const char *receiver, const char *message_type, const char *reason,
                      const char *rejected_by, struct bytes *frame)
{
    size_t before = frame->size;
    int    err = write_head(NULL, NULL, receiver, "Reject", frame, NULL);
    if (err == 0) {
        bytes_append_text(frame, "{\"message_type\": ");
        bool valid = write_text(frame, message_type);
        bytes_append_text(frame, ", \"reason\": ");
        valid = write_text(frame, reason) && valid;
        bytes_append_text(frame, ", \"rejected_by\": ");
        valid = write_text(frame, rejected_by) && valid;
        bytes_append_byte(frame, '}');
        err = valid ? 0 : -EINVAL;
    }
    return finish(frame, before, err);
}
