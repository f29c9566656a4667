/*
 * test_flat.c -- what message/flat.h promises.
 */
#include "message/flat.h"

#include "message/pack.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct bytes      fields; /* used again and again, as a gateway does */
static struct json_error error;
static char              type[FLAT_TYPE_ROOM];

/* Reads from a block of the exact size, so that a sanitizer sees a read beyond. */
static int take(const char *text, size_t size)
{
    char *tight = malloc(size > 0 ? size : 1);
    memcpy(tight, text, size);
    error.reason[0] = '\0';
    int err = flat_read(tight, size, &JSON_LIMITS_DEFAULT, type, &fields, &error);
    free(tight);
    assert(err == 0 ? pack_check(fields.data, fields.size) && fields.data[0] == PACK_MAP
                    : err == -EINVAL && error.reason[0] != '\0');
    return err;
}

static bool reads(const char *text, const char *expected_type, const char *expected_fields)
{
    struct bytes json;
    bytes_init(&json, 0);
    bool same = take(text, strlen(text)) == 0 && strcmp(type, expected_type) == 0 &&
                json_write(fields.data, fields.size, JSON_COMPACT, NULL, NULL, &json, NULL) == 0 &&
                strcmp(bytes_text(&json), expected_fields) == 0;
    bytes_fini(&json);
    return same;
}

static bool refuses(const char *text, const char *reason)
{
    return take(text, strlen(text)) == -EINVAL && strstr(error.reason, reason) != NULL &&
           type[0] == '\0';
}

static void test_reading(void)
{
    /* The type is taken out, wherever it stands; all else stays. */
    assert(reads("{\"message_type\": \"LookupActor\", \"actor_name\": \"pong\"}", "LookupActor",
                 "{\"actor_name\":\"pong\"}"));
    assert(reads("{\"a\":1,\"message_type\":\"T\",\"b\":[{}]}", "T", "{\"a\":1,\"b\":[{}]}"));
    assert(reads("{\"a\":{\"message_type\":7},\"message_type\":\"T\"}", "T",
                 "{\"a\":{\"message_type\":7}}"));
    assert(reads("{\"message_type\":\"HeartbeatAck\"}", "HeartbeatAck", "{}"));
    assert(reads("{\"message\\u005ftype\":\"\\u00c9\"}", "\xc3\x89", "{}"));
    /* Of two types the last one counts, as of all keys. */
    assert(reads("{\"message_type\":\"A\",\"message_type\":\"B\"}", "B", "{}"));
    /* There may be none. */
    assert(reads("{}", "", "{}"));
    assert(reads("{\"error\":\"no\"}", "", "{\"error\":\"no\"}"));

    assert(refuses("", "expected"));
    assert(refuses("[1]", "expected an object"));
    assert(refuses("null", "expected an object"));
    assert(refuses("{} {}", "expected"));
    assert(refuses("{\"message_type\":null}", "message_type is no string"));
    assert(refuses("{\"message_type\":7}", "message_type is no string"));
    assert(refuses("{\"message_type\":\"a\\nb\"}", "control character"));
    assert(refuses("{\"message_type\":\"a\\u0000b\"}", "control character"));

    char text[400];
    snprintf(text, sizeof text, "{\"message_type\":\"%0255d\"}", 0);
    assert(take(text, strlen(text)) == 0 && strlen(type) == 255);
    snprintf(text, sizeof text, "{\"message_type\":\"%0256d\"}", 0);
    assert(refuses(text, "longer than 255 bytes"));

    /* Whatever was cut off. */
    const char *whole = "{\"message_type\": \"T\", \"a\": [1, {\"b\": \"c\"}], \"d\": null}";
    for (size_t size = 0; size < strlen(whole); size++)
        assert(take(whole, size) == -EINVAL);
}

static void test_errors(void)
{
    char reason[20];
    assert(reads("{\"error\":\"Unknown message type: Bogus\"}", "",
                 "{\"error\":\"Unknown message type: Bogus\"}"));
    assert(flat_is_error(&fields, reason, sizeof reason));
    assert(strcmp(reason, "Unknown message typ") == 0);
    assert(take("{\"error\":7}", 11) == 0 && flat_is_error(&fields, reason, sizeof reason));
    assert(strcmp(reason, "no reason given") == 0);
    assert(take("{\"online\":true}", 15) == 0 && !flat_is_error(&fields, reason, sizeof reason));
}

/* Writes what the JSON text `json` is packed to. */
static int write(const char *written_type, const char *json, struct bytes *out)
{
    struct bytes packed;
    bytes_init(&packed, 0);
    assert(json_read(json, strlen(json), &JSON_LIMITS_DEFAULT, &packed, NULL) == 0);
    int err = flat_write(written_type, packed.data, packed.size, out, &error);
    bytes_fini(&packed);
    return err;
}

static bool writes(const char *written_type, const char *json, const char *expected)
{
    struct bytes out;
    bytes_init(&out, 0);
    bytes_append_text(&out, "before ");
    bool same = write(written_type, json, &out) == 0 &&
                strncmp(bytes_text(&out), "before ", 7) == 0 &&
                strcmp(bytes_text(&out) + 7, expected) == 0;
    bytes_fini(&out);
    return same;
}

static void test_writing(void)
{
    struct bytes out;

    /* In Python's bytes: the type first, ", " and ": ", only ASCII. */
    assert(writes("LookupResult", "{\"online\":false,\"endpoint\":null,\"actor_name\":\"p\xc3\xa9\"}",
                  "{\"message_type\": \"LookupResult\", \"actor_name\": \"p\\u00e9\", "
                  "\"endpoint\": null, \"online\": false}"));
    assert(writes("HeartbeatAck", "{}", "{\"message_type\": \"HeartbeatAck\"}"));

    bytes_init(&out, 0);
    assert(flat_write("Ack", NULL, 0, &out, &error) == 0);
    assert(strcmp(bytes_text(&out), "{\"message_type\": \"Ack\"}") == 0);

    /* What has no form leaves nothing behind. */
    size_t before = out.size;
    assert(write("T", "[]", &out) == -EINVAL && out.size == before);
    assert(write("T", "{\"message_type\": 1}", &out) == -EINVAL && out.size == before);
    assert(strstr(error.reason, "msg.message_type") != NULL);
    assert(write("T\xff", "{}", &out) == -EINVAL && out.size == before);
    bytes_clear(&out, 0);

    assert(flat_write_error("no \"such\" thing", &out) == 0);
    assert(strcmp(bytes_text(&out), "{\"error\": \"no \\\"such\\\" thing\"}") == 0);
    bytes_clear(&out, 0);
    assert(flat_write_error("\xff", &out) == 0);
    assert(strcmp(bytes_text(&out), "{\"error\": \"an error whose text is not valid UTF-8\"}") == 0);
    bytes_fini(&out);

    /* Nor does what is too long, at whatever place it is found to be. */
    for (size_t limit = 1; limit < 60; limit++) {
        bytes_init(&out, limit);
        int err = write("LookupActor", "{\"actor_name\": \"pong\"}", &out);
        assert(err == (limit < 53 ? -ENOMEM : 0) && out.size == (limit < 53 ? 0 : 53));
        bytes_clear(&out, SIZE_MAX);
        err = flat_write_error("0123456789", &out);
        assert(err == (limit < 23 ? -ENOMEM : 0) && out.size == (limit < 23 ? 0 : 23));
        bytes_fini(&out);
    }
}

int main(void)
{
    bytes_init(&fields, 0);
    test_reading();
    test_errors();
    test_writing();
    bytes_fini(&fields);
    return 0;
}
