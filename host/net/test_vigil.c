/* test_vigil.c -- the promises of vigil.h: what is written is read, and what no host
 * of ours writes is refused, or ends the list. */
#include "base/memory.h"
#include "message/wire.h"
#include "net/vigil.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static struct wire_envelope envelope;
static struct bytes frame;

/* The message of the frame that was just written; of that type and for nobody's mailbox. */
static const uint8_t *read_back(const char *type)
{
    assert(wire_read((const char *)frame.data, frame.size, &JSON_LIMITS_DEFAULT, &envelope, NULL) == 0);
    assert(strcmp(envelope.receiver, VIGIL_RECEIVER) == 0);
    assert(strcmp(envelope.message_type, type) == 0);
    assert(envelope.sender_actor[0] == '\0');
    bytes_clear(&frame, SIZE_MAX);
    return envelope.message.data;
}

static const uint8_t *read_message(const char *json)
{
    bytes_printf(&frame, "{\"receiver\": \"$watch\", \"message_type\": \"x\", \"message\": %s}", json);
    return read_back("x");
}

static void test_signs_of_life(void)
{
    struct vigil_pulse pulse = { .vigil = 0xfedcba9876543210, .count = 7, .to = "tcp://10.0.0.7:5001" };
    struct vigil_pulse pulse_read;
    assert(vigil_write_pulse(&pulse, &frame) == 0);
    assert(vigil_read_pulse(read_back(VIGIL_PULSE), &pulse_read));
    assert(pulse_read.vigil == pulse.vigil && pulse_read.count == 7);
    assert(strcmp(pulse_read.to, pulse.to) == 0);

    struct vigil_alive alive = { .vigil = 1, .epoch = UINT64_MAX, .said = 7, .count = 6 }, alive_read;
    assert(vigil_write_alive(&alive, &frame) == 0);
    assert(vigil_read_alive(read_back(VIGIL_ALIVE), &alive_read));
    assert(memcmp(&alive, &alive_read, sizeof alive) == 0);
}

static void test_lists(void)
{
    struct vigil_key one = { UINT64_MAX, 1 }, two = { (uint64_t)3 << 32 | 17, UINT64_MAX - 5 }, key;
    struct vigil_list list;
    struct vigil_reader reader;
    char text[6];

    vigil_list_begin(&list, 42, true);
    vigil_list_add(&list, one, "target");
    vigil_list_add(&list, two, NULL);
    assert(vigil_list_end(&list, VIGIL_WATCH, &frame) == 0);
    assert(vigil_read_list(read_back(VIGIL_WATCH), &reader));
    assert(reader.vigil == 42 && reader.all);
    assert(vigil_read_next(&reader, &key, text, sizeof text));
    assert(key.watcher == one.watcher && key.number == one.number);
    assert(strcmp(text, "targe") == 0); /* cut */
    assert(vigil_read_next(&reader, &key, text, sizeof text));
    assert(key.watcher == two.watcher && key.number == two.number && text[0] == '\0');
    assert(!vigil_read_next(&reader, &key, text, sizeof text));

    vigil_list_begin(&list, 42, false);
    assert(vigil_list_end(&list, VIGIL_WATCH, &frame) == 0);
    assert(vigil_read_list(read_back(VIGIL_WATCH), &reader));
    assert(!reader.all && !vigil_read_next(&reader, &key, NULL, 0));
}

static void test_strange(void)
{
    static const char *const no_pulses[] = {
        "{}",
        "{\"i\": 1, \"n\": 0, \"to\": \"x\"}",
        "{\"i\": \"0000000000000000\", \"n\": 0, \"to\": \"x\"}",
        "{\"i\": \"0000000000000001\", \"n\": -1, \"to\": \"x\"}",
        "{\"i\": \"0000000000000001\", \"n\": 0, \"to\": \"\"}",
        "{\"i\": \"0000000000000001\", \"n\": 0, \"to\": \"a\\u0000b\"}",
        "{\"i\": \"0000000000000001\", \"n\": 0.5, \"to\": \"x\"}",
    };
    struct vigil_pulse pulse;
    struct vigil_alive alive;
    for (size_t i = 0; i < ARRAY_LENGTH(no_pulses); i++) {
        assert(!vigil_read_pulse(read_message(no_pulses[i]), &pulse));
        assert(!vigil_read_alive(read_message(no_pulses[i]), &alive));
    }

    static const char *const no_keys[] = {
        "1", "[]", "[1]", "[1, \"2\"]", "[1.5, 2]", "[1, 2, 3]", "[1, 2, \"x\", 4]", "{\"a\": 1}", "null",
    };
    struct vigil_reader reader;
    struct vigil_key key;
    char text[16], json[100];
    for (size_t i = 0; i < ARRAY_LENGTH(no_keys); i++) {
        snprintf(json, sizeof json, "{\"i\": \"0000000000000001\", \"w\": [[1, 2, \"fine\"], %s, [3, 4]]}",
                 no_keys[i]);
        assert(vigil_read_list(read_message(json), &reader));
        assert(vigil_read_next(&reader, &key, text, sizeof text) && strcmp(text, "fine") == 0);
        assert(!vigil_read_next(&reader, &key, text, sizeof text));
    }
    assert(!vigil_read_list(read_message("{\"i\": \"0000000000000001\"}"), &reader));
    assert(!vigil_read_list(read_message("{\"i\": \"0000000000000001\", \"w\": {}}"), &reader));
    assert(!vigil_read_list(read_message("{\"w\": []}"), &reader));
}

int main(void)
{
    bytes_init(&frame, 0);
    wire_envelope_init(&envelope);
    test_signs_of_life();
    test_lists();
    test_strange();
    bytes_fini(&frame);
    wire_envelope_fini(&envelope);
    assert(memory_used() == 0);
    puts("vigil: ok");
    return 0;
}
