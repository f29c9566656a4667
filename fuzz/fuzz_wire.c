/*
 * fuzz_wire.c -- what message/wire.h promises, about any frame.
 */
#include "fuzz.h"

#include "base/fault.h"
#include "message/pack.h"
#include "message/wire.h"
#include "packed.h"
#include "reference.h"

#include <assert.h>
#include <errno.h>

/* Few enough values that an input of some thousand bytes can pass the limit. */
static const struct json_limits limits = { .depth = 64, .values = 500 };

enum { ACTOR, ENDPOINT, RECEIVER, TYPE, TEXT_COUNT };

static const char *const text_names[TEXT_COUNT] = {
    "sender_actor", "sender_endpoint", "receiver", "message_type",
};
static const size_t text_limits[TEXT_COUNT] = { 255, 299, 255, 255 };

/* ---- reading a frame the plain way ---- */

struct parts {
    struct bytes text[TEXT_COUNT]; /* empty: absent, null, "" or behind the fault */
    struct bytes message;
    uint64_t     stream, sequence; /* of "rel" */
};

static void parts_init(struct parts *parts)
{
    for (int i = 0; i < TEXT_COUNT; i++)
        bytes_init(&parts->text[i], 0);
    bytes_init(&parts->message, 0);
    parts->stream = parts->sequence = 0;
}

static void parts_fini(struct parts *parts)
{
    for (int i = 0; i < TEXT_COUNT; i++)
        bytes_fini(&parts->text[i]);
    bytes_fini(&parts->message);
}

static bool is_named(const struct bytes *name, const char *wanted)
{
    return name->size == strlen(wanted) &&
           (name->size == 0 || memcmp(name->data, wanted, name->size) == 0);
}

static bool take_text(struct reference *frame, struct bytes *text, size_t limit)
{
    if (reference_take(frame, "null"))
        return true;
    struct bytes whole;
    bytes_init(&whole, 0);
    bool right = reference_string(frame, &whole) && whole.size <= limit &&
                 reference_is_utf8((const char *)whole.data, whole.size, true);
    if (right)
        bytes_append(text, whole.data, whole.size);
    bytes_fini(&whole);
    return right;
}

static bool take_message(struct reference *frame, struct bytes *message)
{
    if (reference_take(frame, "null"))
        return true;
    return frame->at < frame->size && frame->text[frame->at] == '{' &&
           reference_value(frame, message);
}

/* {"i": 16 digits, not all 0, "s": a number from 1}, and whatever else. */
static bool take_stream(struct reference *frame, struct parts *parts)
{
    if (reference_take(frame, "null"))
        return true;
    if (frame->at == frame->size || frame->text[frame->at] != '{')
        return false;
    struct bytes rel;
    bytes_init(&rel, 0);
    bool right = reference_value(frame, &rel);
    if (right) {
        struct pack_item id = { .tag = PACK_NULL }, sequence = { .tag = PACK_NULL };
        const uint8_t   *at = pack_field(rel.data, "i");
        char             digits[WIRE_STREAM_ROOM] = "";
        if (at != NULL)
            pack_read(at, &id);
        at = pack_field(rel.data, "s");
        if (at != NULL)
            pack_read(at, &sequence);
        if (id.tag == PACK_STRING && id.size == 16)
            memcpy(digits, id.text, 16);
        if (strspn(digits, "0123456789abcdef") == 16)
            parts->stream = strtoull(digits, NULL, 16);
        right = parts->stream != 0 && sequence.tag == PACK_INT64 && sequence.integer > 0 &&
                sequence.integer <= WIRE_SEQUENCE_MAX;
        parts->sequence = right ? (uint64_t)sequence.integer : 0;
    }
    bytes_fini(&rel);
    return right;
}

static bool take_member(struct reference *frame, struct parts *parts, const struct bytes *name,
                        unsigned *seen)
{
    for (int i = 0; i <= TEXT_COUNT + 1; i++) {
        if (!is_named(name, i < TEXT_COUNT ? text_names[i] : i == TEXT_COUNT ? "message" : "rel"))
            continue;
        bool again = *seen & 1u << i;
        *seen |= 1u << i;
        if (again)
            return false;
        if (i < TEXT_COUNT)
            return take_text(frame, &parts->text[i], text_limits[i]);
        return i == TEXT_COUNT ? take_message(frame, &parts->message) : take_stream(frame, parts);
    }
    struct bytes unknown;
    bytes_init(&unknown, 0);
    bool right = reference_value(frame, &unknown);
    bytes_fini(&unknown);
    return right;
}

static bool take_members(struct reference *frame, struct parts *parts)
{
    unsigned seen = 0;
    do {
        struct bytes name;
        bytes_init(&name, 0);
        reference_skip_space(frame);
        bool right = reference_string(frame, &name);
        reference_skip_space(frame);
        right = right && reference_take(frame, ":");
        reference_skip_space(frame);
        right = right && take_member(frame, parts, &name, &seen);
        bytes_fini(&name);
        if (!right)
            return false;
        reference_skip_space(frame);
    } while (reference_take(frame, ","));
    return reference_take(frame, "}");
}

static bool take_frame(struct reference *frame, struct parts *parts)
{
    reference_skip_space(frame);
    if (!reference_take(frame, "{"))
        return false;
    reference_skip_space(frame);
    if (!reference_take(frame, "}") && !take_members(frame, parts))
        return false;
    reference_skip_space(frame);
    return frame->at == frame->size;
}

/* Half a sender is none; no message is an empty one, a wrong frame has none. */
static void complete(struct parts *parts, bool right)
{
    if (parts->text[ACTOR].size == 0 || parts->text[ENDPOINT].size == 0) {
        bytes_clear(&parts->text[ACTOR], 0);
        bytes_clear(&parts->text[ENDPOINT], 0);
    }
    if (!right)
        bytes_clear(&parts->message, 0);
    else if (parts->message.size == 0)
        pack_close(&parts->message, pack_open(&parts->message, PACK_MAP), 0);
}

/* ---- comparing ---- */

static const char *envelope_text(const struct wire_envelope *envelope, int which)
{
    switch (which) {
    case ACTOR:    return envelope->sender_actor;
    case ENDPOINT: return envelope->sender_endpoint;
    case RECEIVER: return envelope->receiver;
    default:       return envelope->message_type;
    }
}

static bool same_bytes(const struct bytes *a, const struct bytes *b)
{
    return a->size == b->size && (a->size == 0 || memcmp(a->data, b->data, a->size) == 0);
}

static void check_parts(const struct wire_envelope *envelope, const struct parts *parts)
{
    for (int i = 0; i < TEXT_COUNT; i++) {
        const char *text = envelope_text(envelope, i);
        assert(fuzz_is_text(text, parts->text[i].size));
        assert(parts->text[i].size == 0 ||
               memcmp(text, parts->text[i].data, parts->text[i].size) == 0);
    }
    assert(same_bytes(&envelope->message, &parts->message));
}

static void check_stream(const struct wire_envelope *envelope, const struct parts *parts)
{
    char text[WIRE_STREAM_ROOM];
    assert(envelope->stream == parts->stream && envelope->sequence == parts->sequence);
    wire_stream_text(envelope->stream, text);
    assert(fuzz_is_text(text, sizeof text - 1));
    assert(wire_stream_of(text, sizeof text - 1) == envelope->stream);
}

static void check_error(const struct json_error *error, size_t size)
{
    assert(error->at <= size);
    assert(strstr(error->reason, " at byte ") != NULL);
    assert(reference_is_utf8(error->reason, strlen(error->reason), true));
}

/* ---- writing ---- */

static int write_envelope(const struct wire_envelope *envelope, struct bytes *frame)
{
    int err = wire_write(envelope->sender_actor, envelope->sender_endpoint, envelope->receiver,
                      envelope->message_type, envelope->message.data, envelope->message.size,
                      packed_actor_text, NULL, frame, NULL);
    if (err == 0 && envelope->stream != 0)
        err = wire_add_stream(frame, envelope->stream, envelope->sequence);
    return err;
}

static int read_tight(const struct bytes *frame, struct wire_envelope *envelope)
{
    char *tight = fuzz_tight_copy(frame->data, frame->size);
    int   err = wire_read(tight, frame->size, &limits, envelope, NULL);
    free(tight);
    return err;
}

/* Printable ASCII that json_read() takes as well, if the envelope around the
 * message does not make it too deep. */
static void check_frame(const struct bytes *frame, unsigned depth)
{
    static const struct json_limits wider = { .depth = 64, .values = 515 };
    static const char start[] = "{\"sender_actor\": ";
    struct bytes      packed;
    assert(frame->size > sizeof start && memcmp(frame->data, start, sizeof start - 1) == 0);
    for (size_t i = 0; i < frame->size; i++)
        assert(frame->data[i] >= ' ' && frame->data[i] <= '~');
    bytes_init(&packed, 0);
    int err = json_read((const char *)frame->data, frame->size, &wider, &packed, NULL);
    assert(err == (depth < 64 ? 0 : -EINVAL));
    struct pack_item item;
    if (err == 0) {
        pack_read(packed.data, &item);
        assert(item.tag == PACK_MAP && (item.count == 5 || item.count == 6));
    }
    bytes_fini(&packed);
}

/* What was read is written, and read again as the same parts, its keys sorted;
 * and from then on nothing changes. */
static void check_round_trip(const struct wire_envelope *envelope)
{
    struct bytes         sorted, frame, again;
    struct wire_envelope back;
    struct packed_survey survey;
    bytes_init(&sorted, 0);
    bytes_init(&frame, 0);
    bytes_init(&again, 0);
    wire_envelope_init(&back);
    packed_through_text(envelope->message.data, &sorted, &survey);
    assert(pack_check(envelope->message.data, envelope->message.size));
    assert(!survey.foreign && !survey.duplicate);

    assert(write_envelope(envelope, &frame) == 0);
    check_frame(&frame, survey.depth);
    assert(read_tight(&frame, &back) == 0);
    for (int i = 0; i < TEXT_COUNT; i++)
        assert(strcmp(envelope_text(envelope, i), envelope_text(&back, i)) == 0);
    assert(same_bytes(&sorted, &back.message));
    assert(back.stream == envelope->stream && back.sequence == envelope->sequence);
    assert(write_envelope(&back, &again) == 0);
    assert(same_bytes(&frame, &again));

    bytes_fini(&sorted);
    bytes_fini(&frame);
    bytes_fini(&again);
    wire_envelope_fini(&back);
}

/* The value of a field that is a string, against a text. */
static bool field_is(const struct bytes *packed, const char *name, const char *text)
{
    struct pack_item item;
    const uint8_t   *at = pack_field(packed->data, name);
    if (at == NULL)
        return false;
    pack_read(at, &item);
    return item.tag == PACK_STRING && item.size == strlen(text) &&
           memcmp(item.text, text, item.size) == 0;
}

/* The Reject that would go back: no sender, three strings. */
static void check_reject(const struct wire_envelope *envelope)
{
    struct bytes         frame;
    struct wire_envelope back;
    bytes_init(&frame, 0);
    wire_envelope_init(&back);
    assert(wire_write_reject(envelope->sender_actor, envelope->message_type,
                             envelope->sender_endpoint, envelope->receiver, &frame) == 0);
    check_frame(&frame, 1);
    assert(read_tight(&frame, &back) == 0);
    assert(back.sender_actor[0] == '\0' && back.sender_endpoint[0] == '\0');
    assert(strcmp(back.receiver, envelope->sender_actor) == 0);
    assert(strcmp(back.message_type, "Reject") == 0);
    assert(field_is(&back.message, "message_type", envelope->message_type));
    assert(field_is(&back.message, "reason", envelope->sender_endpoint));
    assert(field_is(&back.message, "rejected_by", envelope->receiver));
    bytes_fini(&frame);
    wire_envelope_fini(&back);
}

/* A sender of which a part is missing is written as none. */
static void check_half_sender(const char *name)
{
    const char *const senders[][2] = {
        { NULL, NULL }, { "", "" }, { name, NULL }, { NULL, name }, { name, "" }, { "", name },
    };
    struct bytes nobody, half;
    bytes_init(&nobody, 0);
    bytes_init(&half, 0);
    for (size_t i = 0; i < ARRAY_LENGTH(senders); i++) {
        struct bytes *frame = i == 0 ? &nobody : &half;
        frame->size = 0;
        assert(wire_write(senders[i][ACTOR], senders[i][ENDPOINT], "b", "T", NULL, 0, NULL, NULL,
                          frame, NULL) == 0);
        assert(i == 0 || same_bytes(&nobody, &half));
    }
    bytes_fini(&nobody);
    bytes_fini(&half);
}

/* Any C string where a name belongs: written if it is UTF-8, and then read back
 * if a name may be so. Refused, it leaves no part of a frame. */
static void check_names(const char *text, size_t size)
{
    char                *name = malloc(size + 1);
    struct bytes         frame;
    struct wire_envelope back;
    assert(name != NULL);
    memcpy(name, text, size);
    name[size] = '\0';
    size_t length = strlen(name);
    bool   valid = reference_is_utf8(name, length, false);
    bytes_init(&frame, 0);
    bytes_append(&frame, "before", 6);
    wire_envelope_init(&back);

    check_half_sender(name);
    int err = wire_write(name, name, name, name, NULL, 0, NULL, NULL, &frame, NULL);
    assert(err == (valid ? 0 : -EINVAL) && (valid || frame.size == 6));
    if (valid) {
        frame.size -= 6;
        memmove(frame.data, frame.data + 6, frame.size);
        check_frame(&frame, 1);
        bool fits = length <= 255 && reference_is_utf8(name, length, true);
        assert(read_tight(&frame, &back) == (fits ? 0 : -EINVAL));
        for (int i = 0; fits && i < TEXT_COUNT; i++)
            assert(strcmp(envelope_text(&back, i), name) == 0);
    }
    frame.size = 0;
    err = wire_write_reject("a", name, name, name, &frame);
    assert(err == (valid ? 0 : -EINVAL) && (valid || frame.size == 0));
    bytes_fini(&frame);
    wire_envelope_fini(&back);
    free(name);
}

/* ---- the target ---- */

/* Reads `text` as the next frame of an envelope in use: what comes out is what a
 * new envelope gives, whatever stood in this one before. */
static void read_next(struct wire_envelope *used, const char *text, size_t size)
{
    char                *tight = fuzz_tight_copy(text, size);
    struct wire_envelope fresh, before = *used;
    struct json_error    error = { "", 0 }, fresh_error = { "", 0 };
    wire_envelope_init(&fresh);
    int err = wire_read(tight, size, &limits, &fresh, &fresh_error);
    assert(wire_read(tight, size, &limits, used, &error) == err);
    assert(strcmp(error.reason, fresh_error.reason) == 0 && error.at == fresh_error.at);
    for (int i = 0; i < TEXT_COUNT; i++) {
        assert(strcmp(envelope_text(used, i), envelope_text(&fresh, i)) == 0);
        assert(!used->again || strcmp(envelope_text(used, i), envelope_text(&before, i)) == 0);
    }
    assert(same_bytes(&used->message, &fresh.message));
    assert(err != 0 || (used->stream == fresh.stream && used->sequence == fresh.sequence));
    wire_envelope_fini(&fresh);
    free(tight);
}

/* One frame after the other in one envelope: the same one, parts of it, and
 * frames of ours that begin alike, of which the first is right. */
static void check_next(struct wire_envelope *used, const char *text, size_t size)
{
    struct bytes frame;
    size_t       cut = fuzz_choice(text, size, size + 1), head;
    read_next(used, text, size);
    read_next(used, text, cut);

    bytes_init(&frame, 0);
    assert(wire_write("a", "b", "c", "d", NULL, 0, NULL, NULL, &frame, NULL) == 0);
    head = frame.size - strlen("{}}");
    read_next(used, (const char *)frame.data, frame.size);
    read_next(used, text, size);
    read_next(used, (const char *)frame.data, frame.size);
    for (size_t from = 0; from <= cut; from += cut > 0 ? cut : 1) {
        frame.size = head;
        bytes_append(&frame, text + from, size - from);
        read_next(used, (const char *)frame.data, frame.size);
        bytes_append_byte(&frame, '}');
        read_next(used, (const char *)frame.data, frame.size);
    }
    bytes_fini(&frame);
}

/* Memory that runs out while reading: the same answer, or -ENOMEM. */
static void check_without_memory(const char *text, size_t size, int right)
{
#ifdef TROUPE_FAULTS
    struct wire_envelope envelope;
    wire_envelope_init(&envelope);
    fault_arm(fuzz_choice(text, size, 8) + 1);
    int err = wire_read(text, size, &limits, &envelope, NULL);
    fault_arm(0);
    assert(err == right || err == -ENOMEM);
    wire_envelope_fini(&envelope);
#else
    (void)text, (void)size, (void)right;
#endif
}

bool fuzz_accepts(const char *data, size_t size)
{
    static const char    used[] = "{\"sender_actor\":\"a\",\"sender_endpoint\":\"b\","
                                  "\"receiver\":\"c\",\"message_type\":\"d\","
                                  "\"message\":{\"e\":[1,2,3]}}";
    char                *text = fuzz_tight_copy(data, size);
    struct reference     frame;
    struct parts         parts;
    struct wire_envelope envelope;
    struct json_error    error = { "", 0 };

    parts_init(&parts);
    reference_init(&frame, text, size, limits);
    bool right = take_frame(&frame, &parts);
    complete(&parts, right);

    /* Not the first frame in this envelope: nothing of the other may be left. */
    wire_envelope_init(&envelope);
    assert(wire_read(used, sizeof used - 1, &limits, &envelope, NULL) == 0);
    int err = wire_read(text, size, &limits, &envelope, &error);
    assert(err == (right ? 0 : -EINVAL));
    check_parts(&envelope, &parts);
    if (right) {
        check_stream(&envelope, &parts);
        check_round_trip(&envelope);
    } else {
        check_error(&error, size);
    }
    check_reject(&envelope);
    check_next(&envelope, text, size);
    check_names(text, size);
    check_without_memory(text, size, err);

    parts_fini(&parts);
    wire_envelope_fini(&envelope);
    free(text);
    return right;
}
