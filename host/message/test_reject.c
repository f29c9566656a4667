/*
 * test_reject.c -- what message/reject.h promises.
 */
#include "message/reject.h"

#include "base/fault.h"
#include "message/json.h"

#include <assert.h>
#include <string.h>

static struct bytes packed(const char *text)
{
    struct bytes      bytes;
    struct json_error error;
    bytes_init(&bytes, 0);
    assert(json_read(text, strlen(text), &JSON_LIMITS_DEFAULT, &bytes, &error) == 0);
    return bytes;
}

static void assert_json(const struct bytes *message, const char *expected)
{
    struct bytes      text;
    struct json_error error;
    bytes_init(&text, 0);
    assert(json_write(message->data, message->size, JSON_SPACED, NULL, NULL, &text, &error) == 0);
    assert(strcmp(bytes_text(&text), expected) == 0);
    bytes_fini(&text);
}

static void assert_becomes(const char *text, const char *expected)
{
    struct bytes message = packed(text);
    reject_normalise(&message);
    assert_json(&message, expected);
    bytes_fini(&message);
}

/* Java's names stand beside those of the others. */
static void test_java(void)
{
    assert_becomes("{\"messageType\":\"Ping\",\"reason\":\"Unknown actor: x\",\"rejectedBy\":\"x\"}",
                   "{\"messageType\": \"Ping\", \"message_type\": \"Ping\", "
                   "\"reason\": \"Unknown actor: x\", "
                   "\"rejectedBy\": \"x\", \"rejected_by\": \"x\"}");
}

/* What has the three strings stays as it is, further fields and all. */
static void test_whole(void)
{
    static const char whole[] = "{\"field\": 7, \"message_type\": \"Ping\", \"reason\": \"\", "
                                "\"rejected_by\": \"x\"}";
    assert_becomes(whole, whole);
}

/* What is absent, or is no string, is ""; further fields stay. */
static void test_less(void)
{
    static const char empty[] = "{\"message_type\": \"\", \"reason\": \"\", \"rejected_by\": \"\"}";
    assert_becomes("{}", empty);
    assert_becomes("{\"message_type\":7,\"reason\":null,\"rejected_by\":[\"x\"]}", empty);
    assert_becomes("{\"message_type\":{\"a\":[1,{}]},\"messageType\":\"Ping\",\"reason\":\"r\",\"x\":[[]]}",
                   "{\"messageType\": \"Ping\", \"message_type\": \"Ping\", \"reason\": \"r\", "
                   "\"rejected_by\": \"\", \"x\": [[]]}");
}

#ifdef TROUPE_FAULTS
/* Without memory the message is as it was. */
static void test_no_memory(void)
{
    struct bytes message = packed("{\"messageType\":\"Ping\"}");
    fault_arm(1);
    reject_normalise(&message);
    fault_arm(0);
    assert_json(&message, "{\"messageType\": \"Ping\"}");
    bytes_fini(&message);
}
#endif

int main(void)
{
    test_java();
    test_whole();
    test_less();
#ifdef TROUPE_FAULTS
    test_no_memory();
#endif
    return 0;
}
