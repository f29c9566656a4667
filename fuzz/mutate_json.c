/*
 * mutate_json.c -- changes to JSON text that keep most of it right: a value or
 * key is replaced, doubled, dropped, wrapped or taken from elsewhere. Half of
 * the time libFuzzer may do to the bytes what it wants.
 */
#include "base/base.h"

#include <stdio.h>
#include <string.h>

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t room);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *data, size_t size, const uint8_t *other,
                                 size_t other_size, uint8_t *out, size_t room, unsigned seed);

static const char *const interesting[] = {
    "0", "-0", "1", "-1", "63", "64", "127", "128", "-128", "-129", "9007199254740993",
    "9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809",
    "18446744073709551615", "18446744073709551616", "1.0", "-0.0", "0.1", "1e308", "1e309",
    "5e-324", "2.2250738585072011e-308", "1.7976931348623157e308", "1e-400", "123456789.125e-3",
    "1E+22", "1e23", "0.30000000000000004", "4.35", "null", "true", "false", "[]", "{}", "\"\"",
    "\"\\u0000\"", "\"\\ud83d\\ude00\"", "\"\\ud800\"", "\"\\u00e4\xc3\xa4\"", "\"\xe2\x82\xac\"",
    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"12345678\"", "\"\x7f\"", "\"message\"", "\"receiver\"",
    "\"sender_actor\"", "\"sender_endpoint\"", "\"message_type\"", "\"\\u006dessage\"",
    "\"tcp://127.0.0.1:5001\"", "{\"a\":1,\"a\":2}", "{\"b\":1,\"a\":2,\"\":3}", "[[[[[[[[]]]]]]]]",
};

/* Part of a text. */
struct span {
    size_t at, size;
};

static unsigned draw(unsigned *seed, size_t below)
{
    *seed = *seed * 1103515245u + 12345u;
    return (unsigned)((*seed >> 8) % below);
}

static size_t string_end(const uint8_t *text, size_t size, size_t at)
{
    for (at++; at < size; at++) {
        if (text[at] == '\\')
            at++;
        else if (text[at] == '"')
            return at + 1;
    }
    return size;
}

/* Where the token or bracket that starts at `at` ends. */
static size_t span_end(const uint8_t *text, size_t size, size_t at)
{
    static const char ends[] = ",:]}[{\" \t\r\n";
    size_t depth = 0;
    while (at < size) {
        switch (text[at]) {
        case '"':
            at = string_end(text, size, at);
            break;
        case '[':
        case '{':
            depth++;
            at++;
            break;
        case ']':
        case '}':
            at++;
            if (depth > 0)
                depth--;
            break;
        default:
            do {
                at++;
            } while (at < size && memchr(ends, text[at], sizeof ends - 1) == NULL);
        }
        if (depth == 0)
            return at;
    }
    return size;
}

static bool starts_value(uint8_t c)
{
    return c == '"' || c == '[' || c == '{' || c == '-' || (c >= '0' && c <= '9') || c == 't' ||
           c == 'f' || c == 'n';
}

/* One of the keys and values of the text; all of it if there is none. */
static struct span pick(const uint8_t *text, size_t size, unsigned *seed)
{
    struct span found = { 0, size };
    unsigned    count = 0;
    for (size_t at = 0; at < size;) {
        if (!starts_value(text[at])) {
            at++;
            continue;
        }
        bool container = text[at] == '[' || text[at] == '{';
        if (draw(seed, ++count) == 0)
            found.at = at, found.size = 0;
        at = container ? at + 1 : span_end(text, size, at);
    }
    if (count > 0)
        found.size = span_end(text, size, found.at) - found.at;
    return found;
}

/* Puts `with` in the place of the span; the size then, or 0 if there is no room. */
static size_t replace(uint8_t *data, size_t size, size_t room, struct span span,
                      const void *with, size_t with_size)
{
    if (size - span.size + with_size > room)
        return 0;
    memmove(data + span.at + with_size, data + span.at + span.size, size - span.at - span.size);
    memcpy(data + span.at, with, with_size);
    return size - span.size + with_size;
}

static size_t mutate(uint8_t *data, size_t size, size_t room, unsigned *seed)
{
    static uint8_t copy[1 << 16], text[1 << 16];
    struct span    span = pick(data, size, seed), other = pick(data, size, seed);
    int            length;
    if (size > sizeof copy / 4)
        return 0;
    memcpy(copy, data, size);
    const char *here = (const char *)copy + span.at;
    const char *new = interesting[draw(seed, ARRAY_LENGTH(interesting))];
    switch (draw(seed, 8)) {
    case 0:
        return replace(data, size, room, span, new, strlen(new));
    case 1:
        return replace(data, size, room, span, copy + other.at, other.size);
    case 2:
        length = snprintf((char *)text, sizeof text, "[%.*s]", (int)span.size, here);
        break;
    case 3:
        length = snprintf((char *)text, sizeof text, "{\"a\":%.*s}", (int)span.size, here);
        break;
    case 4:
        length = snprintf((char *)text, sizeof text, "%.*s,%s", (int)span.size, here, new);
        break;
    case 5:
        length = snprintf((char *)text, sizeof text, "%.*s,\"%c\":%s", (int)span.size, here,
                          'a' + (int)draw(seed, 3), new);
        break;
    case 6:
        length = snprintf((char *)text, sizeof text, " %.*s\n", (int)span.size, here);
        break;
    default:
        span.size += span.at + span.size < size && data[span.at + span.size] == ',';
        length = 0;
    }
    return replace(data, size, room, span, text, (size_t)length);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed)
{
    if (draw(&seed, 2) == 0)
        return LLVMFuzzerMutate(data, size, room);
    size_t times = 1 + draw(&seed, 3);
    for (size_t i = 0; i < times; i++) {
        size_t changed = mutate(data, size, room, &seed);
        if (changed > 0)
            size = changed;
    }
    return size;
}

size_t LLVMFuzzerCustomCrossOver(const uint8_t *data, size_t size, const uint8_t *other,
                                 size_t other_size, uint8_t *out, size_t room, unsigned seed)
{
    if (size > room)
        return 0;
    memcpy(out, data, size);
    struct span to = pick(data, size, &seed), from = pick(other, other_size, &seed);
    return replace(out, size, room, to, other + from.at, from.size);
}
