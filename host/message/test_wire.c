/*
 * test_wire.c -- what message/wire.h promises.
 */
#include "message/wire.h"

#include "base/fault.h"
#include "base/memory.h"
#include "message/pack.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>

#define TEXT(literal) (literal), (sizeof(literal) - 1)

static const struct json_limits limits = { .depth = 64, .values = 100000 };

static struct wire_envelope envelope; /* used again and again, as a gateway does */
static struct json_error    error;

/* Reads from a block of the exact size, so that a sanitizer sees a read beyond. */
static int take(const char *frame, size_t size)
{
    char *tight = malloc(size > 0 ? size : 1);
    memcpy(tight, frame, size);
    error.reason[0] = '\0';
    int err = wire_read(tight, size, &limits, &envelope, &error);
    free(tight);
    assert(err == 0 ? pack_check(envelope.message.data, envelope.message.size)
                    : err == -EINVAL && error.reason[0] != '\0');
    assert((envelope.sender_actor[0] == '\0') == (envelope.sender_endpoint[0] == '\0'));
    return err;
}

static bool message_is(const char *json)
{
    struct bytes text;
    bytes_init(&text, 0);
    bool same = json_write(envelope.message.data, envelope.message.size, JSON_COMPACT, NULL, NULL,
                           &text, NULL) == 0 &&
                strcmp(bytes_text(&text), json) == 0;
    bytes_fini(&text);
    return same;
}

static bool reads(const char *frame, const char *sender, const char *endpoint,
                  const char *receiver, const char *type, const char *message)
{
    bool right = take(frame, strlen(frame)) == 0 && strcmp(envelope.sender_actor, sender) == 0 &&
                 strcmp(envelope.sender_endpoint, endpoint) == 0 &&
                 strcmp(envelope.receiver, receiver) == 0 &&
                 strcmp(envelope.message_type, type) == 0 && message_is(message);
    if (!right)
        fprintf(stderr, "%s: %s\n", frame, error.reason);
    return right;
}

static bool refused(const char *frame, size_t size, const char *reason)
{
    if (take(frame, size) == -EINVAL && (reason == NULL || strstr(error.reason, reason) != NULL))
        return true;
    fprintf(stderr, "%s: %s\n", frame, error.reason);
    return false;
}

#define PYTHON_PING \
    "{\"sender_actor\": \"ping\", \"sender_endpoint\": \"tcp://localhost:5002\", " \
    "\"receiver\": \"pong\", \"message_type\": \"Ping\", \"message\": {\"count\": 1}}"
#define PYTHON_PONG \
    "{\"sender_actor\": \"pong\", \"sender_endpoint\": \"tcp://localhost:5001\", " \
    "\"receiver\": \"ping\", \"message_type\": \"Pong\", \"message\": {\"count\": 1}}"
#define PYTHON_REJECT_TYPE \
    "{\"sender_actor\": null, \"sender_endpoint\": \"tcp://localhost:5001\", " \
    "\"receiver\": \"ping\", \"message_type\": \"Reject\", \"message\": {\"message_type\": \"Bogus\", " \
    "\"reason\": \"Unknown message type: Bogus. Did you register it with @register_message?\", " \
    "\"rejected_by\": \"pong\"}}"
#define PYTHON_REJECT_NAME \
    "{\"sender_actor\": null, \"sender_endpoint\": \"tcp://localhost:5001\", " \
    "\"receiver\": \"ping\", \"message_type\": \"Reject\", \"message\": {\"message_type\": \"Ping\", " \
    "\"reason\": \"Actor 'nobody' not found\", \"rejected_by\": \"nobody\"}}"

/* What the family really sends is understood. */
static void test_family(void)
{
    assert(reads(PYTHON_PING, "ping", "tcp://localhost:5002", "pong", "Ping", "{\"count\":1}"));
    assert(reads(PYTHON_PONG, "pong", "tcp://localhost:5001", "ping", "Pong", "{\"count\":1}"));
    assert(reads(PYTHON_REJECT_TYPE, "", "", "ping", "Reject",
                 "{\"message_type\":\"Bogus\",\"reason\":\"Unknown message type: Bogus. Did you "
                 "register it with @register_message?\",\"rejected_by\":\"pong\"}"));
    assert(reads(PYTHON_REJECT_NAME, "", "", "ping", "Reject",
                 "{\"message_type\":\"Ping\",\"reason\":\"Actor 'nobody' not found\","
                 "\"rejected_by\":\"nobody\"}"));
    /* C++ and Rust */
    assert(reads("{\"message\":{\"count\":1},\"message_type\":\"Ping\",\"receiver\":\"pong\","
                 "\"sender_actor\":\"ping\",\"sender_endpoint\":\"tcp://localhost:5002\"}",
                 "ping", "tcp://localhost:5002", "pong", "Ping", "{\"count\":1}"));
    assert(reads("{\"message\":{\"count\":1},\"message_type\":\"Pong\",\"receiver\":\"ping\","
                 "\"sender_actor\":null,\"sender_endpoint\":null}",
                 "", "", "ping", "Pong", "{\"count\":1}"));
    assert(reads("{\"message\":{\"message_type\":\"Bogus\",\"reason\":\"Unknown message type: Bogus\","
                 "\"rejected_by\":\"pong\"},\"message_type\":\"Reject\",\"receiver\":\"ping\","
                 "\"sender_actor\":null,\"sender_endpoint\":null}",
                 "", "", "ping", "Reject",
                 "{\"message_type\":\"Bogus\",\"reason\":\"Unknown message type: Bogus\","
                 "\"rejected_by\":\"pong\"}"));
    assert(reads("{\"message\":{\"message_type\":\"Ping\",\"reason\":\"Actor 'nobody' not found\","
                 "\"rejected_by\":\"nobody\"},\"message_type\":\"Reject\",\"receiver\":\"ping\","
                 "\"sender_actor\":null,\"sender_endpoint\":null}",
                 "", "", "ping", "Reject",
                 "{\"message_type\":\"Ping\",\"reason\":\"Actor 'nobody' not found\","
                 "\"rejected_by\":\"nobody\"}"));
    assert(reads("{\"message\":{\"count\":1},\"message_type\":\"Pong\",\"receiver\":\"ping\","
                 "\"sender_actor\":\"receiver\",\"sender_endpoint\":\"tcp://localhost:5001\"}",
                 "receiver", "tcp://localhost:5001", "ping", "Pong", "{\"count\":1}"));
    /* Java */
    assert(reads("{\"sender_actor\":\"ping\",\"sender_endpoint\":\"tcp://localhost:5002\","
                 "\"receiver\":\"pong\",\"message_type\":\"Ping\",\"message\":{\"count\":1}}",
                 "ping", "tcp://localhost:5002", "pong", "Ping", "{\"count\":1}"));
    assert(reads("{\"sender_endpoint\":\"tcp://localhost:5001\",\"receiver\":\"ping\","
                 "\"message_type\":\"Reject\",\"message\":{\"messageType\":\"Ping\","
                 "\"reason\":\"Unknown actor: nobody\",\"rejectedBy\":\"nobody\"}}",
                 "", "", "ping", "Reject",
                 "{\"messageType\":\"Ping\",\"reason\":\"Unknown actor: nobody\","
                 "\"rejectedBy\":\"nobody\"}"));
}

/* Absent, null and "" are the same; a half sender is none. */
static void test_absent(void)
{
    assert(reads("{}", "", "", "", "", "{}"));
    assert(reads(" { } ", "", "", "", "", "{}"));
    assert(reads("{\"receiver\":null,\"message_type\":null,\"message\":null}", "", "", "", "", "{}"));
    assert(reads("{\"receiver\":\"\",\"message_type\":\"\",\"message\":{}}", "", "", "", "", "{}"));
    assert(reads("{\"sender_actor\":\"a\",\"receiver\":\"b\"}", "", "", "b", "", "{}"));
    assert(reads("{\"sender_actor\":\"a\",\"sender_endpoint\":\"\"}", "", "", "", "", "{}"));
    assert(reads("{\"sender_endpoint\":\"e\",\"sender_actor\":null}", "", "", "", "", "{}"));
    assert(reads("{\"sender_endpoint\":\"e\",\"sender_actor\":\"a\"}", "a", "e", "", "", "{}"));
}

/* Keys may be escaped and unknown; the values of unknown ones must be JSON. */
static void test_keys(void)
{
    assert(reads("{\"real\":{\"i\":\"x\",\"s\":[1,2]},\"receive\\u0072\":\"b\",\"\":0,"
                 "\"message\":{\"a\":1},\"Receiver\":\"no\",\"messages\":[{}],\"x\":null}",
                 "", "", "b", "", "{\"a\":1}"));
    assert(reads("{\"\\u006d\\u0065\\u0073\\u0073\\u0061\\u0067\\u0065\":{\"a\":[]}}", "", "", "", "",
                 "{\"a\":[]}"));
    assert(refused(TEXT("{\"x\":nope}"), "expected a value"));
    assert(refused(TEXT("{\"x\":[1,}"), NULL));
    assert(refused(TEXT("{\"x\":\"\xff\"}"), "invalid UTF-8"));
    assert(refused(TEXT("{\"receiver\":\"a\",\"receiver\":\"b\"}"), "receiver comes twice"));
    assert(refused(TEXT("{\"message\":{},\"m\\u0065ssage\":{}}"), "message comes twice"));
    assert(refused(TEXT("{\"sender_actor\":null,\"sender_actor\":null}"), "comes twice"));
    assert(reads("{\"message\":{\"a\":1,\"a\":2}}", "", "", "", "", "{\"a\":2}"));
}

/* Each field has its type. */
static void test_types(void)
{
    static const char *const fields[] = { "sender_actor", "sender_endpoint", "receiver",
                                          "message_type" };
    static const char *const values[] = { "7", "1.5", "true", "false", "[]", "[\"a\"]", "{}", "-1" };
    char frame[100], reason[100];
    for (size_t i = 0; i < ARRAY_LENGTH(fields); i++) {
        for (size_t j = 0; j < ARRAY_LENGTH(values); j++) {
            snprintf(frame, sizeof frame, "{\"%s\":%s}", fields[i], values[j]);
            snprintf(reason, sizeof reason, "%s is no string at byte ", fields[i]);
            assert(refused(frame, strlen(frame), reason));
        }
    }
    assert(refused(TEXT("{\"message\":[5]}"), "message is no object at byte 11"));
    assert(refused(TEXT("{\"message\":5}"), "message is no object"));
    assert(refused(TEXT("{\"message\":\"{}\"}"), "message is no object"));
    assert(refused(TEXT("{\"message\":true}"), "message is no object"));
}

/* Names are printable and of bounded length, counted after decoding. */
static void test_names(void)
{
    char name[400], frame[3000];
    for (int length = 250; length <= 310; length++) {
        memset(name, 'n', (size_t)length);
        name[length] = '\0';
        snprintf(frame, sizeof frame, "{\"receiver\":\"%s\"}", name);
        assert(length <= 255 ? reads(frame, "", "", name, "", "{}")
                             : refused(frame, strlen(frame), "receiver is longer than 255 bytes"));
        snprintf(frame, sizeof frame, "{\"sender_actor\":\"a\",\"sender_endpoint\":\"%s\"}", name);
        assert(length <= 299 ? reads(frame, "a", name, "", "", "{}")
                             : refused(frame, strlen(frame), "sender_endpoint is longer"));
        char *to = frame + sprintf(frame, "{\"message_type\":\"");
        for (int i = 0; i < length; i++)
            to += sprintf(to, "\\u006e");
        sprintf(to, "\"}");
        assert(length <= 255 ? reads(frame, "", "", "", name, "{}")
                             : refused(frame, strlen(frame), "message_type is longer"));
    }
    assert(refused(TEXT("{\"receiver\":\"a\\u0000b\"}"), "receiver has a control character"));
    assert(refused(TEXT("{\"receiver\":\"a\\n\"}"), "control character"));
    assert(refused(TEXT("{\"receiver\":\"a\x7f\"}"), "control character"));
    assert(refused(TEXT("{\"receiver\":\"\\u009b[31m\"}"), "control character"));
    assert(refused(TEXT("{\"receiver\":\"\xc2\x9b\"}"), "control character"));
    assert(refused(TEXT("{\"receiver\":\"a\n\"}"), "control character"));
    assert(reads("{\"receiver\":\"\\u00e4\\/\\\"\xe2\x82\xac\"}", "", "", "\xc3\xa4/\"\xe2\x82\xac", "",
                 "{}"));
}

/* What killed others is refused here, whole and at every cut. */
static void test_hostile(void)
{
    static const char *const frames[] = {
        "", " ", "[]", "[1]", "5", "null", "\"text\"", "true", "{", "}", "{}{}", "{} x", "{},",
        "{\"receiver\"}", "{\"receiver\":}", "{\"receiver\":\"a\",}", "{,}", "{receiver:\"a\"}",
        "{'receiver':'a'}", "\xef\xbb\xbf{}", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\x80\x81\xff",
        "{\"message\":{\"a\":NaN}}", "{\"message\":{\"a\":Infinity}}", "{\"message\":{\"a\":0x10}}",
        "{\"message\":{\"a\":01}}", "{\"message\":{\"a\":1e400}}", "{\"message\":{\"a\":\"\\ud800\"}}",
        "{\"message\":{\"a\":\"\xc0\xaf\"}}", "{\"message\":{\"a\":1}", "{\"message\":{a:1}}",
        "{\"message\":{\"a\":1}}}", "{\"message\":{}} // x", "{\"receiver\":\"a\" \"message\":{}}",
        "{\"receiver\":\"\\ud83d\"}", "{\"receiver\":\"\xff\"}", "{\"receiver\":nul}",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(frames); i++)
        assert(refused(frames[i], strlen(frames[i]), NULL));
    assert(refused(TEXT("{}\0"), NULL));
    assert(refused(TEXT("\0{}"), NULL));
    assert(refused(TEXT("\0\0\0\0\0\0\0\0"), NULL));
    for (size_t size = 0; size < sizeof PYTHON_REJECT_TYPE - 1; size++)
        assert(refused(PYTHON_REJECT_TYPE, size, NULL));

    /* Data stays data: what an endpoint means is asked elsewhere. */
    assert(reads("{\"sender_actor\":\"a\",\"sender_endpoint\":\"garbage\"}", "a", "garbage", "", "",
                 "{}"));
    assert(reads("{\"sender_actor\":\"a\",\"sender_endpoint\":\"tcp://*:1\"}", "a", "tcp://*:1", "",
                 "", "{}"));
}

/* The limits hold for the message and for what is skipped. */
static void test_limits(void)
{
    static const char *const keys[] = { "message", "unknown" };
    for (size_t i = 0; i < ARRAY_LENGTH(keys); i++) {
        for (int depth = 64; depth <= 65; depth++) {
            char frame[1000], *to = frame + sprintf(frame, "{\"%s\":", keys[i]);
            for (int d = 0; d < depth; d++)
                to += sprintf(to, "{\"a\":");
            to += sprintf(to, "1");
            for (int d = 0; d < depth; d++)
                to += sprintf(to, "}");
            sprintf(to, "}");
            assert(depth <= 64 ? take(frame, strlen(frame)) == 0
                               : refused(frame, strlen(frame), "nested too deep"));
        }
        struct bytes frame;
        bytes_init(&frame, 0);
        bytes_printf(&frame, "{\"%s\":{\"a\":[0", keys[i]);
        for (int n = 0; n < 100000; n++)
            bytes_append_text(&frame, ",0");
        bytes_append_text(&frame, "]}}");
        assert(refused((char *)frame.data, frame.size, "more than 100000 values"));
        bytes_fini(&frame);
    }
    struct bytes frame;
    bytes_init(&frame, 0);
    for (int i = 0; i < WIRE_FRAME_LIMIT; i++)
        bytes_append(&frame, &"{\"a\":"[i % 5], 1);
    assert(refused((char *)frame.data, frame.size, "nested too deep"));
    bytes_fini(&frame);
}

/* After a fault in the message, who sent it is known if that came first. */
static void test_sender_of_fault(void)
{
    assert(refused(TEXT("{\"sender_actor\":\"a\",\"sender_endpoint\":\"e\",\"receiver\":\"r\","
                        "\"message_type\":\"T\",\"message\":[]}"), "message is no object"));
    assert(strcmp(envelope.sender_actor, "a") == 0 && strcmp(envelope.receiver, "r") == 0);
    assert(envelope.message.size == 0);
    assert(refused(TEXT("{\"receiver\":\"a\\u0007\"}"), NULL));
    assert(envelope.receiver[0] == '\0' && envelope.sender_actor[0] == '\0');
}

static void put_count(struct bytes *packed, int64_t count)
{
    packed->size = 0;
    size_t map = pack_open(packed, PACK_MAP);
    pack_put_string(packed, "count", 5);
    pack_put_integer(packed, count);
    pack_close(packed, map, 1);
}

/* Our bytes are Python's bytes. */
static void test_writing(void)
{
    struct bytes packed, frame;
    bytes_init(&packed, 0);
    bytes_init(&frame, 0);
    put_count(&packed, 1);
    assert(wire_write("ping", "tcp://localhost:5002", "pong", "Ping", packed.data, packed.size,
                      NULL, NULL, &frame, &error) == 0);
    assert(strcmp(bytes_text(&frame), PYTHON_PING) == 0);
    bytes_clear(&frame, SIZE_MAX);
    assert(wire_write("pong", "tcp://localhost:5001", "ping", "Pong", packed.data, packed.size,
                      NULL, NULL, &frame, &error) == 0);
    assert(strcmp(bytes_text(&frame), PYTHON_PONG) == 0);

    /* A sender without both its parts is none; no payload is an empty object. */
    static const struct { const char *actor, *endpoint; } halves[] = {
        { NULL, NULL }, { "a", NULL }, { NULL, "e" }, { "", "e" }, { "a", "" },
    };
    for (size_t i = 0; i < ARRAY_LENGTH(halves); i++) {
        bytes_clear(&frame, SIZE_MAX);
        assert(wire_write(halves[i].actor, halves[i].endpoint, "p\xc3\xb6ng", "A\"B", NULL, 0, NULL,
                          NULL, &frame, &error) == 0);
        assert(strcmp(bytes_text(&frame),
                      "{\"sender_actor\": null, \"sender_endpoint\": null, \"receiver\": "
                      "\"p\\u00f6ng\", \"message_type\": \"A\\\"B\", \"message\": {}}") == 0);
    }

    /* Frames are appended. */
    size_t before = frame.size;
    assert(wire_write(NULL, NULL, "a", "B", NULL, 0, NULL, NULL, &frame, &error) == 0);
    assert(frame.size > before && frame.data[before] == '{');
    bytes_fini(&packed);
    bytes_fini(&frame);
}

/* A Reject differs from Python's only in its sender, which is null. */
static void test_reject(void)
{
    static const char sender[] = "\"tcp://localhost:5001\"";
    static const struct { const char *type, *reason, *by, *frame; } cases[] = {
        { "Bogus", "Unknown message type: Bogus. Did you register it with @register_message?",
          "pong", PYTHON_REJECT_TYPE },
        { "Ping", "Actor 'nobody' not found", "nobody", PYTHON_REJECT_NAME },
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        char        expected[512];
        const char *at = strstr(cases[i].frame, sender);
        snprintf(expected, sizeof expected, "%.*snull%s", (int)(at - cases[i].frame),
                 cases[i].frame, at + sizeof sender - 1);
        struct bytes frame;
        bytes_init(&frame, 0);
        assert(wire_write_reject("ping", cases[i].type, cases[i].reason, cases[i].by, &frame) == 0);
        assert(strcmp(bytes_text(&frame), expected) == 0);
        bytes_fini(&frame);
    }
    struct bytes frame;
    bytes_init(&frame, 0);
    assert(wire_write_reject("ping", "T", "\xff", "pong", &frame) == -EINVAL && frame.size == 0);
    bytes_fini(&frame);
}

/* What cannot be said is refused, naming the field, and nothing is left behind. */
static void test_refused_writing(void)
{
    struct bytes packed, frame;
    bytes_init(&packed, 0);
    bytes_init(&frame, 0);
    put_count(&packed, 1);
    static const struct { const char *actor, *endpoint, *receiver, *type, *reason; } cases[] = {
        { "\xff", "e", "r", "T", "sender_actor: not valid UTF-8" },
        { "a", "\xff", "r", "T", "sender_endpoint: not valid UTF-8" },
        { "a", "e", "\xff", "T", "receiver: not valid UTF-8" },
        { "a", "e", "r", "\xff", "message_type: not valid UTF-8" },
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        assert(wire_write(cases[i].actor, cases[i].endpoint, cases[i].receiver, cases[i].type,
                          packed.data, packed.size, NULL, NULL, &frame, &error) == -EINVAL);
        assert(strcmp(error.reason, cases[i].reason) == 0 && frame.size == 0);
    }
    packed.size = 0;
    pack_close(&packed, pack_open(&packed, PACK_MARKED_ARRAY), 0);
    assert(wire_write(NULL, NULL, "r", "T", packed.data, packed.size, NULL, NULL, &frame, &error) ==
           -EINVAL);
    assert(strcmp(error.reason, "message: not a table with string keys") == 0);
    packed.size = 0;
    size_t map = pack_open(&packed, PACK_MAP);
    pack_put_string(&packed, "price", 5);
    pack_put_double(&packed, (double)(__builtin_nanf("")));
    pack_close(&packed, map, 1);
    assert(wire_write(NULL, NULL, "r", "T", packed.data, packed.size, NULL, NULL, &frame, &error) ==
           -EINVAL);
    assert(strcmp(error.reason, "msg.price: NaN has no JSON form") == 0 && frame.size == 0);
    assert(!frame.failed);
    bytes_fini(&packed);
    bytes_fini(&frame);

    /* A full buffer keeps what it had. */
    static const char whole[] = "{\"sender_actor\": null, \"sender_endpoint\": null, "
                                "\"receiver\": \"r\", \"message_type\": \"T\", \"message\": {}}";
    for (size_t limit = 1; limit <= sizeof whole - 1; limit++) {
        bytes_init(&frame, limit);
        int err = wire_write(NULL, NULL, "r", "T", NULL, 0, NULL, NULL, &frame, NULL);
        assert(err == (limit < sizeof whole - 1 ? -ENOMEM : 0));
        assert(frame.size == (err == 0 ? sizeof whole - 1 : 0));
        bytes_fini(&frame);
    }
}

/* A frame that begins like the one before is read quicker, and no differently. */
static void test_again(void)
{
#define HEAD "{\"sender_actor\":\"a\",\"sender_endpoint\":\"e\",\"receiver\":\"r\",\"message_type\":\"T\""
    assert(reads(HEAD ",\"message\":{\"n\":1}}", "a", "e", "r", "T", "{\"n\":1}") && !envelope.again);
    assert(reads(HEAD ",\"message\":{\"n\":2}}", "a", "e", "r", "T", "{\"n\":2}") && envelope.again);
    assert(reads(HEAD ",\"message\":null , \"x\":[1] } ", "a", "e", "r", "T", "{}") && envelope.again);
    assert(reads(HEAD ",\"message\": \t{\"n\":5}}", "a", "e", "r", "T", "{\"n\":5}") && envelope.again);
    assert(refused(TEXT(HEAD ",\"message\":{},\"receiver\":\"s\"}"), "receiver comes twice"));
    assert(refused(TEXT(HEAD ",\"message\":[]}"), "message is no object"));
    assert(strcmp(envelope.sender_actor, "a") == 0 && strcmp(envelope.receiver, "r") == 0);
    assert(refused(TEXT(HEAD ",\"message\":"), NULL));
    assert(refused(TEXT(HEAD ",\"message\":{}"), NULL));
    assert(refused(TEXT(HEAD ",\"message\":{}}}"), NULL));
    assert(reads(HEAD ",\"message\":{\"n\":3}}", "a", "e", "r", "T", "{\"n\":3}"));
    assert(reads(HEAD ",\"message\":{\"n\":4}}", "a", "e", "r", "T", "{\"n\":4}") && envelope.again);
    assert(reads("{\"receiver\":\"q\",\"message_type\":\"T\",\"message\":{}}", "", "", "q", "T", "{}"));
    assert(!envelope.again);
    assert(reads("{\"receiver\":\"q\",\"message_type\":\"T\",\"message\":{}}", "", "", "q", "T", "{}"));
    assert(!envelope.again); /* two keys could still come */
#undef HEAD
}

/* What a frame is read as does not depend on the one before. */
static void compare_with_fresh(const char *frame, size_t size)
{
    struct wire_envelope fresh;
    wire_envelope_init(&fresh);
    int err = wire_read(frame, size, &limits, &fresh, NULL);
    assert(err == take(frame, size));
    assert(strcmp(fresh.sender_actor, envelope.sender_actor) == 0);
    assert(strcmp(fresh.sender_endpoint, envelope.sender_endpoint) == 0);
    assert(strcmp(fresh.receiver, envelope.receiver) == 0);
    assert(strcmp(fresh.message_type, envelope.message_type) == 0);
    assert(fresh.message.size == envelope.message.size);
    assert(err != 0 || memcmp(fresh.message.data, envelope.message.data, fresh.message.size) == 0);
    wire_envelope_fini(&fresh);
}

/* Frames with bytes changed are read or refused, and nothing worse. */
static void test_damage(void)
{
    uint32_t state = 1;
    for (int round = 0; round < 60000; round++) {
        static const char *const frames[] = { PYTHON_PING, PYTHON_REJECT_TYPE, PYTHON_PONG };
        char   frame[512];
        size_t size = strlen(frames[round % 3]);
        memcpy(frame, frames[round % 3], size);
        for (int hits = 0; hits < 3; hits++) {
            state = state * 1664525 + 1013904223;
            frame[(state >> 8) % size] =
                state >> 31 ? (char)(state >> 20) : "{}[]\",:\\0un"[(state >> 24) % 11];
        }
        take(frames[round % 3], size);
        compare_with_fresh(frame, size);
    }
}

#ifdef TROUPE_FAULTS
/* Whichever allocation fails, the answer is -ENOMEM and nothing leaks. */
static void test_faults(void)
{
    for (int writing = 0; writing < 2; writing++) {
        for (uint64_t n = 1;; n++) {
            size_t before = memory_used();
            struct wire_envelope fresh;
            struct bytes frame;
            wire_envelope_init(&fresh);
            bytes_init(&frame, 0);
            fault_arm(n);
            int err = writing ? wire_write("a", "e", "r", "T", NULL, 0, NULL, NULL, &frame, NULL)
                              : wire_read(TEXT("{\"message\":{\"a\":\"1234567890123456789012345678901"
                                               "23456789012345678901234567890123456789\"},\"x\":[]}"),
                                          &limits, &fresh, NULL);
            bool done = fault_count() < n;
            fault_arm(0);
            assert(err == (done ? 0 : -ENOMEM));
            wire_envelope_fini(&fresh);
            bytes_fini(&frame);
            assert(memory_used() == before);
            if (done)
                break;
        }
    }
    struct wire_envelope fresh;
    wire_envelope_init(&fresh);
    fault_arm(1);
    assert(wire_read(TEXT("{}"), &limits, &fresh, NULL) == -ENOMEM);
    fault_arm(0);
    wire_envelope_fini(&fresh);
}
#endif

/* A frame may have its place in a stream, before or behind all else. */
static void test_stream(void)
{
    struct bytes frame;
    bytes_init(&frame, 0);
    assert(wire_write("a", "tcp://127.0.0.1:1", "b", "C", NULL, 0, NULL, NULL, &frame, NULL) == 0);
    assert(wire_add_stream(&frame, 0x00c0ffee00c0ffee, 17) == 0);
    const char *text = bytes_text(&frame);
    assert(strstr(text, "\"message\": {}, \"rel\": {\"i\": \"00c0ffee00c0ffee\", \"s\": 17}}") != NULL);
    assert(reads(text, "a", "tcp://127.0.0.1:1", "b", "C", "{}"));
    assert(envelope.stream == 0x00c0ffee00c0ffee && envelope.sequence == 17);

    assert(reads("{\"rel\":{\"s\":9007199254740992,\"new\":[{}],\"i\":\"ffffffffffffffff\"},"
                 "\"receiver\":\"b\",\"message\":{\"a\":1}}", "", "", "b", "", "{\"a\":1}"));
    assert(envelope.stream == UINT64_MAX && envelope.sequence == UINT64_C(1) << 53);

    /* An envelope that is used again forgets it; null is none. */
    assert(reads("{\"rel\":null}", "", "", "", "", "{}"));
    assert(envelope.stream == 0 && envelope.sequence == 0);

    static const char *const bad[] = {
        "1", "\"x\"", "[]", "true", "{}", "{\"i\":\"00c0ffee00c0ffee\"}", "{\"s\":1}",
        "{\"i\":\"00c0ffee00c0ffee\",\"s\":0}", "{\"i\":\"00c0ffee00c0ffee\",\"s\":-1}",
        "{\"i\":\"00c0ffee00c0ffee\",\"s\":1.0}", "{\"i\":\"00c0ffee00c0ffee\",\"s\":\"1\"}",
        "{\"i\":\"00c0ffee00c0ffee\",\"s\":9007199254740993}",
        "{\"i\":\"00c0ffee00c0ffee\",\"s\":1e300}", "{\"i\":\"00c0ffee00c0ffee\",\"s\":[1]}",
        "{\"i\":\"0000000000000000\",\"s\":1}", "{\"i\":\"00C0FFEE00C0FFEE\",\"s\":1}",
        "{\"i\":\"c0ffee\",\"s\":1}", "{\"i\":\"00c0ffee00c0ffee0\",\"s\":1}",
        "{\"i\":\"00c0ffee00c0ffe\\u0000\",\"s\":1}", "{\"i\":1,\"s\":1}",
        "{\"i\":\"00c0ffee00c0ffee\",\"s\":1},\"rel\":null",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++) {
        char whole[200];
        snprintf(whole, sizeof whole, "{\"receiver\":\"b\",\"rel\":%s}", bad[i]);
        assert(refused(whole, strlen(whole), "rel"));
    }

    /* One that would be too long with it stays as it was. */
    bytes_clear(&frame, 0);
    frame.limit = 130;
    assert(wire_write(NULL, NULL, "b", "C", NULL, 0, NULL, NULL, &frame, NULL) == 0);
    size_t size = frame.size;
    assert(wire_add_stream(&frame, 1, 1) == -ENOMEM && frame.size == size && !frame.failed);
    assert(frame.data[size - 1] == '}');
    bytes_fini(&frame);
}

int main(void)
{
    wire_envelope_init(&envelope);
    test_family();
    test_absent();
    test_keys();
    test_types();
    test_names();
    test_stream();
    test_hostile();
    test_limits();
    test_sender_of_fault();
    test_writing();
    test_reject();
    test_refused_writing();
    test_again();
    test_damage();
#ifdef TROUPE_FAULTS
    test_faults();
#endif
    wire_envelope_fini(&envelope);
    assert(memory_used() == 0);
    return 0;
}
