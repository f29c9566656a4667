/*
 * test_json.c -- what message/json.h promises.
 */
#include "message/json.h"

#include "base/fault.h"
#include "base/memory.h"
#include "message/pack.h"

#include <assert.h>
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>

#define TEXT(literal) (literal), (sizeof(literal) - 1)

static const struct json_limits limits = { .depth = 64, .values = 100000 };

/* Reads from a block of the exact size, so that a sanitizer sees a read beyond. */
static int read_tight(const char *text, size_t size, struct bytes *out, struct json_error *error)
{
    char *tight = malloc(size > 0 ? size : 1);
    memcpy(tight, text, size);
    int err = json_read(tight, size, &limits, out, error);
    free(tight);
    return err;
}

/* Whether `text` is read, and written again in `style` gives `expected`. */
static bool becomes(const char *text, size_t size, int style, const char *expected)
{
    struct bytes packed, written;
    bytes_init(&packed, 0);
    bytes_init(&written, 0);
    struct json_error error = { "", 0 };
    bool right = read_tight(text, size, &packed, &error) == 0 &&
                 pack_check(packed.data, packed.size) &&
                 json_write(packed.data, packed.size, style, NULL, NULL, &written, &error) == 0 &&
                 strcmp(bytes_text(&written), expected) == 0;
    if (!right)
        fprintf(stderr, "%s -> %s (%s)\n", text, bytes_text(&written), error.reason);
    bytes_fini(&packed);
    bytes_fini(&written);
    return right;
}

static bool stays(const char *text)
{
    return becomes(text, strlen(text), JSON_COMPACT, text);
}

static bool refused(const char *text, size_t size)
{
    struct bytes out;
    bytes_init(&out, 0);
    bytes_append(&out, "before", 6);
    struct json_error error = { "", 0 };
    int err = read_tight(text, size, &out, &error);
    assert(err == 0 || (err == -EINVAL && out.size == 6 && error.at <= size));
    assert(err == 0 || strstr(error.reason, " at byte ") != NULL);
    assert(json_read(text, size, &limits, &out, NULL) == err);
    bytes_fini(&out);
    return err == -EINVAL;
}

/* What is JSON stays what it is. */
static void test_values(void)
{
    static const char *const same[] = {
        "null", "true", "false", "0", "-1", "63", "64", "127", "128", "-128", "-129", "\"\"",
        "\"a\"", "[]", "{}", "[[]]", "[{}]", "{\"a\":[]}", "{\"\":\"\"}", "[null,true,false]",
        "{\"a\":{\"b\":{\"c\":[1,[2,[3]]]}}}", "[\"12345678\",\"1234567\",\"123456789abcdef0\"]",
        "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"", "\"\\u0000\\u001f\"", "\"\\b\\f\\n\\r\\t\\\"\\\\\"",
        "\"/\"", "\"\x7f\"", "\"\xef\xbf\xbf\"", "\"\xf4\x8f\xbf\xbf\"", "\"\xed\x9f\xbf\"",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(same); i++)
        assert(stays(same[i]));
    assert(becomes(TEXT(" \t\r\n[ 1 , 2 ]\n"), JSON_COMPACT, "[1,2]"));
    assert(becomes(TEXT("{ \"a\" : 1 , \"b\" : { } }"), JSON_COMPACT, "{\"a\":1,\"b\":{}}"));
    assert(becomes(TEXT("{\"a\":[1,2],\"b\":{\"c\":3}}"), JSON_SPACED,
                   "{\"a\": [1, 2], \"b\": {\"c\": 3}}"));
}

/* Escapes are decoded; ASCII style writes them as Python does. */
static void test_strings(void)
{
    assert(becomes(TEXT("\"\\u0041\\/\\u00e4\""), JSON_COMPACT, "\"A/\xc3\xa4\""));
    assert(becomes(TEXT("\"\\uD83D\\uDE00\\ud83d\\ude00\""), JSON_COMPACT,
                   "\"\xf0\x9f\x98\x80\xf0\x9f\x98\x80\""));
    assert(becomes(TEXT("\"\\u0000\""), JSON_COMPACT, "\"\\u0000\""));
    assert(becomes(TEXT("\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\x7f\\u0001~\""), JSON_ASCII,
                   "\"\\u00e4\\u20ac\\ud83d\\ude00\\u007f\\u0001~\""));
    assert(becomes(TEXT("\"12345678\\n12345678\xc3\xa4\\t\""), JSON_ASCII,
                   "\"12345678\\n12345678\\u00e4\\t\""));
    assert(becomes(TEXT("\"\\u0800\\uffff\\u07ff\\u0080\""), JSON_ASCII,
                   "\"\\u0800\\uffff\\u07ff\\u0080\""));

    static const char *const bad[] = {
        "\"", "\"a", "\"\\\"", "\"\\", "\"\\x\"", "\"\\u\"", "\"\\u12\"", "\"\\u123g\"",
        "\"\\u 123\"", "\"\\u+123\"", "\"\\U0041\"", "\"\\ud800\"", "\"\\udc00\"", "\"\\ud800a\"",
        "\"\\ud800\\n\"", "\"\\ud800\\ud800\"", "\"\\ud800\\u0041\"", "\"\\udc00\\ud800\"",
        "\"\n\"", "\"\t\"", "\"\x1f\"", "\"\x01\"", "'a'", "\"\xff\"", "\"\x80\"", "\"\xc3\"",
        "\"\xc0\x80\"", "\"\xc1\xbf\"", "\"\xe0\x9f\xbf\"", "\"\xe2\x82\"", "\"\xed\xa0\x80\"",
        "\"\xed\xbf\xbf\"", "\"\xf0\x8f\xbf\xbf\"", "\"\xf4\x90\x80\x80\"", "\"\xf5\x80\x80\x80\"",
        "\"\xf0\x9f\x98\"", "\"12345678\xff\"", "\"1234567\x1f\"", "{\"\xff\":1}", "{\"\\q\":1}",
        "\"\xc3\"\"",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
        assert(refused(bad[i], strlen(bad[i])));
    assert(refused(TEXT("\"a\0b\"")));
}

/* Every byte at every place of a string is found, eight at a time or not. */
static void test_every_byte(void)
{
    for (size_t size = 1; size <= 20; size++) {
        for (size_t at = 0; at < size; at++) {
            for (int byte = 0; byte < 256; byte++) {
                char text[24], packed[24];
                memset(text, 'x', sizeof text);
                text[0] = '"';
                text[1 + at] = (char)byte;
                text[1 + size] = '"';
                bool plain = byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
                assert(refused(text, size + 2) == !plain || (byte == '"' && at + 1 == size) ||
                       byte == '\\');

                struct bytes out;
                bytes_init(&out, 0);
                memcpy(packed, text + 1, size);
                bool valid = json_write_string(packed, size, JSON_ASCII, &out);
                assert(valid == (byte < 0x80));
                bool kept = plain && byte != 0x7f;
                assert(!valid || kept == (out.size == size + 2));
                bytes_fini(&out);
            }
        }
    }
}

/* Integers are exact in 64 bits; beyond they become floats. */
static void test_integers(void)
{
    static const char *const same[] = {
        "9007199254740993", "1700000000123456789", "9223372036854775807", "-9223372036854775808",
        "1000000000000000000", "99999999999", "-64",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(same); i++)
        assert(stays(same[i]));
    assert(becomes(TEXT("-0"), JSON_COMPACT, "0"));
    assert(becomes(TEXT("9223372036854775808"), JSON_COMPACT, "9.223372036854776e+18"));
    assert(becomes(TEXT("-9223372036854775809"), JSON_COMPACT, "-9.223372036854776e+18"));
    assert(becomes(TEXT("18446744073709551615"), JSON_COMPACT, "1.8446744073709552e+19"));
    assert(becomes(TEXT("18446744073709551616"), JSON_COMPACT, "1.8446744073709552e+19"));
    assert(becomes(TEXT("100000000000000000000000000000"), JSON_COMPACT, "1e+29"));
}

/* Floats stay floats, and are laid out as by Python's repr(). */
static void test_floats(void)
{
    static const char *const same[] = {
        "1.0", "-1.0", "0.0", "-0.0", "0.1", "0.5", "123.456", "1700000000.123456", "1e+16",
        "1000000000000000.0", "9999999999999998.0", "1.2345678901234568e+16", "1e-05", "0.0001",
        "0.00012345", "1.5e-07", "1e+22", "1e+23", "1.7976931348623157e+308",
        "2.2250738585072014e-308", "5e-324", "2.5e-323", "0.30000000000000004",
        "0.3333333333333333", "3.141592653589793", "2.718281828459045", "100.0", "1e+100",
        "123456789012345.6", "4.35", "0.000123", "999999999999999.9", "12345678.000001",
        "-1.5e+300", "101.25", "8.41", "1e-323", "6.02214076e+23",
        /* Powers of two whose nearest 16 digits read back to another number. */
        "5.960464477539063e-08", "5.684341886080802e-14", "5.225680706521042e-200",
        "6.189700196426902e+26", "6.386688990511104e+293",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(same); i++)
        assert(stays(same[i]));
    assert(becomes(TEXT("1e0"), JSON_COMPACT, "1.0"));
    assert(becomes(TEXT("1E5"), JSON_COMPACT, "100000.0"));
    assert(becomes(TEXT("1.5e+3"), JSON_COMPACT, "1500.0"));
    assert(becomes(TEXT("-0e0"), JSON_COMPACT, "-0.0"));
    assert(becomes(TEXT("0e999999999999"), JSON_COMPACT, "0.0"));
    assert(becomes(TEXT("1e-99999999999"), JSON_COMPACT, "0.0"));
    assert(becomes(TEXT("0.1000000000000000055511151231257827021181583404541015625"),
                   JSON_COMPACT, "0.1"));
    assert(becomes(TEXT("179769313486231570000e288"), JSON_COMPACT, "1.7976931348623157e+308"));
    assert(becomes(TEXT("9007199254740993.0"), JSON_COMPACT, "9007199254740992.0"));

    static const char *const bad[] = {
        "1e400", "-1e400", "1.8e308", "1e99999999999", "01", "-01", "00", "-", "+1", ".5", "1.",
        "-.5", "1.e5", "1e", "1e+", "1e-", "1.5e", "0x10", "1_000", "1 2", "NaN", "nan",
        "Infinity", "-Infinity", "inf", "-inf", "--1", "1-", "1.2.3", "1e5.5", "1f", "0.", "-e5",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
        assert(refused(bad[i], strlen(bad[i])));

    /* Numbers of any length are read, and the last digit counts. */
    char text[3000] = "9007199254740992.9";
    memset(text + 18, '9', sizeof text - 18);
    assert(!refused(text, sizeof text));
    memset(text, '9', 400);
    assert(refused(text, 400));
    memset(text, '0', sizeof text);
    memcpy(text, "0.", 2);
    memcpy(text + 2002, "1e2000", 6);
    text[2008] = '\0';
    assert(becomes(text, 2008, JSON_COMPACT, "0.1"));
    memset(text, '0', sizeof text);
    text[0] = '1';
    memcpy(text + 401, "e-400", 6);
    assert(becomes(text, 406, JSON_COMPACT, "1.0"));
}

/* A locale with another decimal point changes nothing. */
static void test_locale(void)
{
    static const char *const locales[] = { "de_DE.UTF-8", "de_DE", "fr_FR.UTF-8", "ps_AF.UTF-8" };
    for (size_t i = 0; i < ARRAY_LENGTH(locales); i++) {
        if (setlocale(LC_ALL, locales[i]) != NULL) {
            assert(stays("[0.1,1.2345678901234568e-300,5e-324,3.141592653589793]"));
            assert(refused(TEXT("1,5")));
        }
    }
    setlocale(LC_ALL, "C");
}

/* What is not JSON is refused, and the reason says where. */
static void test_malformed(void)
{
    static const char *const bad[] = {
        "", " ", "\n", "nul", "nulL", "nullx", "truefalse", "tru", "fals", "True", "None", "undefined",
        "[", "]", "{", "}", "[1", "[1,", "[1,]", "[,1]", "[,]", "[1 2]", "[1}", "[1,,2]", "{\"a\"}",
        "{\"a\":}", "{\"a\":1,}", "{,}", "{\"a\":1 \"b\":2}", "{a:1}", "{1:2}", "{null:1}",
        "{\"a\":1]", "{\"a\",1}", "{\"a\":1}}", "{}{}", "{} {}", "1 1", "[] x", "// a\n1", "/* */1",
        "#1", "\xef\xbb\xbf{}", "{\"a\" 1}", "{:1}", "\v1", "\f1", "\302\2401", "(1)", "<1>", "\x80",
        "[\"a\"", "[\"a\",", "{\"a\":{\"b\":1}", "{'a':1}", "[1;2]", "`", "1,", ",", ":",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(bad); i++)
        assert(refused(bad[i], strlen(bad[i])));
    assert(refused(TEXT("1\0")));
    assert(refused(TEXT("\0")));
    assert(refused(TEXT("[\0]")));

    static const struct { const char *text, *reason; size_t at; } cases[] = {
        { "[1,]", "expected a value, not ']', at byte 3", 3 },
        { "{\"a\":tru}", "expected a value, not 't', at byte 5", 5 },
        { "[1", "expected ',' or ']', not the end, at byte 2", 2 },
        { "\x02", "expected a value, not 0x02, at byte 0", 0 },
        { "{} 1", "expected the end, not '1', at byte 3", 3 },
        { "[1e400]", "number beyond the range of a double at byte 1", 1 },
        { "[01]", "number with a leading zero at byte 1", 1 },
        { "[\"ab\xff\"]", "invalid UTF-8 at byte 4", 4 },
        { " \"abc", "string without an end at byte 1", 1 },
        { "\"\\ud800\"", "lone surrogate at byte 1", 1 },
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct bytes out;
        bytes_init(&out, 0);
        struct json_error error;
        assert(read_tight(cases[i].text, strlen(cases[i].text), &out, &error) == -EINVAL);
        assert(strcmp(error.reason, cases[i].reason) == 0 && error.at == cases[i].at);
        bytes_fini(&out);
    }
}

/* Every beginning of a document is refused without a look beyond its end. */
static void test_cut_short(void)
{
    static const char text[] = "{\"a\":[1,-2.5e3,\"x\\u00e4\\ud83d\\ude00\xc3\xa4\",true,false,null,{}],"
                               "\"b\":{\"c\":\"dddddddddddd\"},\"e\":12345678901234567890}";
    for (size_t size = 0; size < sizeof text - 1; size++)
        assert(refused(text, size));
    assert(!refused(text, sizeof text - 1));
}

/* Depth is counted in containers, and the limit holds both ways. */
static void test_depth(void)
{
    static const char *const open[] = { "[", "{\"a\":" };
    static const char *const shut[] = { "]", "}" };
    for (size_t kind = 0; kind < 2; kind++) {
        for (unsigned depth = 63; depth <= 66; depth++) {
            struct bytes text, out;
            bytes_init(&text, 0);
            bytes_init(&out, 0);
            for (unsigned i = 0; i < depth; i++)
                bytes_append_text(&text, open[kind]);
            bytes_append_text(&text, "1");
            for (unsigned i = 0; i < depth; i++)
                bytes_append_text(&text, shut[kind]);
            assert(refused((char *)text.data, text.size) == (depth > 64));

            struct json_limits deeper = { .depth = depth, .values = 1000 };
            assert((json_read((char *)text.data, text.size, &deeper, &out, NULL) == 0) == (depth <= 64));
            deeper.depth = depth - 1;
            out.size = 0;
            assert(json_read((char *)text.data, text.size, &deeper, &out, NULL) == -EINVAL);
            bytes_fini(&text);
            bytes_fini(&out);
        }
    }
    struct bytes flood;
    bytes_init(&flood, 0);
    for (int i = 0; i < 1000000; i++)
        bytes_append_byte(&flood, '[');
    assert(refused((char *)flood.data, flood.size));
    bytes_fini(&flood);

    struct bytes packed, out;
    bytes_init(&packed, 0);
    bytes_init(&out, 0);
    for (int i = 0; i < PACK_DEPTH_LIMIT + 1; i++)
        pack_close(&packed, pack_open(&packed, PACK_ARRAY), i < PACK_DEPTH_LIMIT);
    struct json_error error;
    assert(json_write(packed.data, packed.size, 0, NULL, NULL, &out, &error) == -EINVAL);
    assert(strstr(error.reason, "nested too deep") != NULL && out.size == 0);
    bytes_fini(&packed);
    bytes_fini(&out);
}

/* Values are counted before anything grows; keys are not counted. */
static void test_count(void)
{
    struct bytes out;
    bytes_init(&out, 0);
    struct json_limits few = { .depth = 64, .values = 4 };
    struct json_error  error;
    assert(json_read(TEXT("[1,2,3]"), &few, &out, NULL) == 0);
    assert(json_read(TEXT("{\"a\":1,\"b\":2,\"c\":3}"), &few, &out, NULL) == 0);
    assert(json_read(TEXT("[1,2,3,4]"), &few, &out, &error) == -EINVAL);
    assert(strcmp(error.reason, "more than 4 values at byte 7") == 0);
    few.values = 0;
    assert(json_read(TEXT("1"), &few, &out, NULL) == -EINVAL);
    bytes_fini(&out);

    struct bytes flood;
    bytes_init(&flood, 0);
    bytes_append_byte(&flood, '[');
    for (int i = 0; i < 500000; i++)
        bytes_append_text(&flood, "0,");
    bytes_append_text(&flood, "0]");
    assert(refused((char *)flood.data, flood.size));
    bytes_fini(&flood);
}

/* The output has a limit of its own, reading and writing. */
static void test_full(void)
{
    static const char text[] = "{\"a\":[1,2.5,\"abcdefghijklmnop\"],\"b\":{\"\\u0063\":[]},\"a\":0}";
    struct bytes whole, written;
    bytes_init(&whole, 0);
    bytes_init(&written, 0);
    assert(json_read(TEXT(text), &limits, &whole, NULL) == 0);
    assert(json_write(whole.data, whole.size, 0, NULL, NULL, &written, NULL) == 0);
    assert(strcmp(bytes_text(&written), "{\"a\":0,\"b\":{\"c\":[]}}") == 0);
    for (size_t limit = 1; limit < 100; limit++) {
        struct bytes out;
        bytes_init(&out, limit);
        struct json_error error;
        int err = json_read(TEXT(text), &limits, &out, &error);
        assert(err == 0 || (err == -ENOMEM && out.size == 0));
        assert(err == 0 ? out.size == whole.size : strcmp(error.reason, "out of memory") == 0);
        bytes_fini(&out);
        bytes_init(&out, limit);
        err = json_write(whole.data, whole.size, 0, NULL, NULL, &out, &error);
        assert(err == (limit >= written.size ? 0 : -ENOMEM));
        assert(out.size == (err == 0 ? written.size : 0));
        bytes_fini(&out);
    }
    bytes_fini(&whole);
    bytes_fini(&written);
}

/* Of equal keys the last one wins, in small objects and large. */
static void test_duplicates(void)
{
    assert(becomes(TEXT("{\"a\":1,\"a\":2}"), 0, "{\"a\":2}"));
    assert(becomes(TEXT("{\"a\":1,\"b\":2,\"a\":[3]}"), 0, "{\"a\":[3],\"b\":2}"));
    assert(becomes(TEXT("{\"a\":{\"x\":1,\"x\":2},\"\\u0061\":{\"x\":3,\"y\":4,\"x\":5}}"), 0,
                   "{\"a\":{\"x\":5,\"y\":4}}"));
    assert(becomes(TEXT("{\"a\":1,\"a\":2,\"a\":3,\"b\":4,\"b\":5}"), 0, "{\"a\":3,\"b\":5}"));
    assert(becomes(TEXT("{\"\":1,\"\\u0000\":2,\"\":3}"), 0, "{\"\":3,\"\\u0000\":2}"));
    assert(becomes(TEXT("{\"longer key 1\":1,\"longer key 2\":2,\"longer key 1\":3}"), 0,
                   "{\"longer key 1\":3,\"longer key 2\":2}"));

    for (int keys = 7; keys < 70; keys += 3) {
        struct bytes text, expected, packed;
        bytes_init(&text, 0);
        bytes_init(&expected, 0);
        bytes_init(&packed, 0);
        for (int round = 0; round < 3; round++)
            for (int i = 0; i < keys; i++)
                bytes_printf(&text, "%s\"key %03d\":{\"n\":%d}", text.size > 0 ? "," : "{",
                             i * 7 % keys, round * 1000 + i * 7 % keys);
        bytes_append_text(&text, "}");
        for (int i = 0; i < keys; i++) {
            bool there = keys % 7 != 0 || i % 7 == 0;
            if (there)
                bytes_printf(&expected, "%s\"key %03d\":{\"n\":%d}", expected.size > 0 ? "," : "{",
                             i, 2000 + i);
        }
        bytes_append_text(&expected, "}");
        assert(becomes((char *)text.data, text.size, 0, bytes_text(&expected)));
        bytes_fini(&text);
        bytes_fini(&expected);
        bytes_fini(&packed);
    }
}

/* Keys are written sorted bytewise. */
static void test_order(void)
{
    assert(becomes(TEXT("{\"b\":1,\"a\":2,\"\":3,\"ab\":4,\"B\":5,\"a\\u0000\":6}"), 0,
                   "{\"\":3,\"B\":5,\"a\":2,\"a\\u0000\":6,\"ab\":4,\"b\":1}"));
    assert(becomes(TEXT("{\"\xf0\x9f\x98\x80\":1,\"\xef\xbf\xbf\":2,\"~\":3}"), 0,
                   "{\"~\":3,\"\xef\xbf\xbf\":2,\"\xf0\x9f\x98\x80\":1}"));
    assert(becomes(TEXT("{\"prefix_b\":1,\"prefix_a2\":2,\"prefix_a\":3,\"prefix_\":4}"), 0,
                   "{\"prefix_\":4,\"prefix_a\":3,\"prefix_a2\":2,\"prefix_b\":1}"));
}

/* But for those of ordered maps, at each level. */
static void test_given_order(void)
{
    struct bytes packed, out;
    bytes_init(&packed, 0);
    bytes_init(&out, 0);
    size_t outer = pack_open(&packed, PACK_ORDERED_MAP);
    pack_put_string(&packed, "z", 1);
    size_t plain = pack_open(&packed, PACK_MAP);
    pack_put_string(&packed, "b", 1);
    size_t inner = pack_open(&packed, PACK_ORDERED_MAP);
    pack_put_string(&packed, "y", 1);
    pack_put_integer(&packed, 1);
    pack_put_string(&packed, "x", 1);
    pack_put_integer(&packed, 2);
    pack_close(&packed, inner, 2);
    pack_put_string(&packed, "a", 1);
    pack_put_integer(&packed, 3);
    pack_close(&packed, plain, 2);
    pack_put_string(&packed, "e", 1);
    pack_close(&packed, pack_open(&packed, PACK_ORDERED_MAP), 0);
    pack_put_string(&packed, "c", 1);
    pack_put_double(&packed, NAN);
    pack_close(&packed, outer, 3);

    struct json_error error;
    assert(json_write(packed.data, packed.size, 0, NULL, NULL, &out, &error) == -EINVAL);
    assert(strcmp(error.reason, "msg.c: NaN has no JSON form") == 0);
    memset(packed.data + packed.size - 9, PACK_TRUE, 1);
    packed.size -= 8;
    assert(json_write(packed.data, packed.size, JSON_SPACED, NULL, NULL, &out, &error) == 0);
    assert(strcmp(bytes_text(&out),
                  "{\"z\": {\"a\": 3, \"b\": {\"y\": 1, \"x\": 2}}, \"e\": {}, \"c\": true}") == 0);
    bytes_fini(&packed);
    bytes_fini(&out);
}

/* A hundred thousand keys, in the worst order, equal or nearly so, are no
 * burden; neither are deep towers of wide maps. */
static void test_many_keys(void)
{
    enum { MANY = 99999 };
    static const char *const forms[] = { "%s\"%06d\":0", "%s\"a long common beginning %06d\":0",
                                         "%s\"same\":%d" };
    for (size_t form = 0; form < ARRAY_LENGTH(forms); form++) {
        struct bytes text, packed, written;
        bytes_init(&text, 0);
        bytes_init(&packed, 0);
        bytes_init(&written, 0);
        bytes_append_byte(&text, '{');
        for (int i = 0; i < MANY; i++) {
            char member[64];
            _Pragma("GCC diagnostic push")
            _Pragma("GCC diagnostic ignored \"-Wformat-nonliteral\"")
            snprintf(member, sizeof member, forms[form], i > 0 ? "," : "", i * 7919 % MANY);
            _Pragma("GCC diagnostic pop")
            bytes_append_text(&text, member);
        }
        bytes_append_byte(&text, '}');
        assert(json_read((char *)text.data, text.size, &limits, &packed, NULL) == 0);
        assert(json_write(packed.data, packed.size, 0, NULL, NULL, &written, NULL) == 0);
        assert(form == 2 ? written.size < 20 : written.size == text.size);
        bytes_fini(&text);
        bytes_fini(&packed);
        bytes_fini(&written);
    }
}

/* References are written as text by whoever knows their names. */
static size_t name_actor(void *context, uint64_t actor, char *text, size_t room)
{
    assert(strcmp(context, "context") == 0);
    if (actor == 0)
        return 0;
    return (size_t)snprintf(text, room, "actor\"%u", (unsigned)actor);
}

static void test_references(void)
{
    struct bytes packed, out;
    bytes_init(&packed, 0);
    bytes_init(&out, 0);
    size_t map = pack_open(&packed, PACK_MAP);
    pack_put_string(&packed, "who", 3);
    pack_put_actor(&packed, 7);
    pack_put_string(&packed, "far", 3);
    pack_put_address(&packed, "pong@:1", 7);
    pack_close(&packed, map, 2);
    struct json_error error;
    assert(json_write(packed.data, packed.size, 0, name_actor, "context", &out, &error) == 0);
    assert(strcmp(bytes_text(&out), "{\"far\":\"pong@:1\",\"who\":\"actor\\\"7\"}") == 0);
    assert(json_write(packed.data, packed.size, 0, NULL, NULL, &out, &error) == -EINVAL);
    assert(strncmp(error.reason, "msg.who: ", 9) == 0);
    bytes_clear(&packed, 0);
    pack_put_actor(&packed, 0);
    assert(json_write(packed.data, packed.size, 0, name_actor, "context", &out, &error) == -EINVAL);
    bytes_clear(&packed, 0);
    pack_put_stream(&packed, 1);
    assert(json_write(packed.data, packed.size, 0, name_actor, "context", &out, &error) == -EINVAL);
    assert(strcmp(error.reason, "msg: a stream stays on its host") == 0);
    bytes_fini(&packed);
    bytes_fini(&out);
}

/* What has no JSON form is refused by the name of its field. */
static void test_refused_writing(void)
{
    struct bytes packed, out;
    struct json_error error;
    bytes_init(&packed, 0);
    bytes_init(&out, 0);
    bytes_append_text(&out, "before");
    static const struct { double number; const char *reason; } cases[] = {
        { NAN, "msg.list[2].price: NaN has no JSON form" },
        { INFINITY, "msg.list[2].price: infinity has no JSON form" },
        { -INFINITY, "msg.list[2].price: infinity has no JSON form" },
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        bytes_clear(&packed, 0);
        size_t map = pack_open(&packed, PACK_MAP);
        pack_put_string(&packed, "list", 4);
        size_t array = pack_open(&packed, PACK_ARRAY);
        pack_put_integer(&packed, 1);
        size_t inner = pack_open(&packed, PACK_MAP);
        pack_put_string(&packed, "price", 5);
        pack_put_double(&packed, cases[i].number);
        pack_close(&packed, inner, 1);
        pack_close(&packed, array, 2);
        pack_close(&packed, map, 1);
        assert(json_write(packed.data, packed.size, 0, NULL, NULL, &out, &error) == -EINVAL);
        assert(strcmp(error.reason, cases[i].reason) == 0);
        assert(strcmp(bytes_text(&out), "before") == 0);
    }
    bytes_clear(&packed, 0);
    size_t map = pack_open(&packed, PACK_MAP);
    pack_put_string(&packed, "a\nb", 3);
    pack_put_string(&packed, "\xff", 1);
    pack_close(&packed, map, 1);
    assert(json_write(packed.data, packed.size, 0, NULL, NULL, &out, &error) == -EINVAL);
    assert(strcmp(error.reason, "msg[?]: not valid UTF-8") == 0);
    bytes_clear(&packed, 0);
    map = pack_open(&packed, PACK_MAP);
    pack_put_string(&packed, "\xff", 1);
    pack_put_null(&packed);
    pack_close(&packed, map, 1);
    assert(json_write(packed.data, packed.size, 0, NULL, NULL, &out, &error) == -EINVAL);
    assert(strcmp(error.reason, "msg: a key is not valid UTF-8") == 0);
    assert(json_write(packed.data, packed.size, 0, NULL, NULL, &out, NULL) == -EINVAL);

    /* The empty payload is the empty object. */
    bytes_clear(&out, 0);
    assert(json_write(NULL, 0, 0, NULL, NULL, &out, &error) == 0);
    assert(strcmp(bytes_text(&out), "{}") == 0);
    bytes_fini(&packed);
    bytes_fini(&out);
}

/* One value of a larger text is read, and the position stops behind it. */
static void test_one_of_many(void)
{
    static const char text[] = "  {\"a\":1} [2] x";
    struct bytes out;
    bytes_init(&out, 0);
    size_t position = 0;
    assert(json_read_value(TEXT(text), &position, &limits, &out, NULL) == 0 && position == 9);
    assert(json_read_value(TEXT(text), &position, &limits, &out, NULL) == 0 && position == 13);
    size_t before = out.size;
    struct json_error error;
    assert(json_read_value(TEXT(text), &position, &limits, &out, &error) == -EINVAL);
    assert(position == 13 && error.at == 14 && out.size == before);

    static const char empty[] = "[ ] { } x"; /* the space behind is not theirs */
    position = 0;
    assert(json_read_value(TEXT(empty), &position, &limits, &out, NULL) == 0 && position == 3);
    assert(json_read_value(TEXT(empty), &position, &limits, &out, NULL) == 0 && position == 7);
    bytes_fini(&out);
}

/* UTF-8 is valid or it is not; names are printable besides. */
static void test_utf8(void)
{
    assert(json_valid_utf8("", 0));
    assert(json_valid_utf8(TEXT("12345678\xc3\xa4\0\x1f")));
    assert(!json_valid_utf8(TEXT("12345678\xc3")));
    assert(!json_valid_utf8(TEXT("1234567\xed\xa0\x80")));
    assert(json_is_printable(TEXT("Ping \xc3\xa4~")));
    assert(!json_is_printable(TEXT("a\n")));
    assert(!json_is_printable(TEXT("a\x7f")));
    assert(!json_is_printable(TEXT("a\0")));
    assert(!json_is_printable(TEXT("a\xc2\x80")));
    assert(!json_is_printable(TEXT("a\xc2\x9f")));
    assert(json_is_printable(TEXT("a\xc2\xa0")));
    assert(!json_is_printable(TEXT("a\xff")));
}

/* ---- random values ---- */

static uint64_t random_state = 88172645463325252u;

static uint64_t random_bits(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static unsigned random_below(unsigned limit) { return (unsigned)(random_bits() >> 33) % limit; }

static size_t random_text(char *text, size_t longest)
{
    static const char *const pieces[] = { "a", "Z", "\"", "\\", "\n", "\xc3\xa4", "\xe2\x82\xac",
                                          "\xf0\x9f\x98\x80", " ", "\x01", "/", "\x7f" };
    size_t size = 0, wanted = random_below((unsigned)longest - 4);
    while (size < wanted) {
        const char *piece = random_below(3) ? "x" : pieces[random_below(ARRAY_LENGTH(pieces))];
        memcpy(text + size, piece, strlen(piece));
        size += strlen(piece);
    }
    return size;
}

static double random_double(void)
{
    for (;;) {
        uint64_t bits = random_bits();
        double   number;
        switch (random_below(4)) {
        case 0:  memcpy(&number, &bits, sizeof number); break;
        case 1:  number = (double)(int64_t)(bits >> 40) / 100; break;
        case 2:  number = (double)(bits >> 11) / 9007199254740992.0; break;
        default: number = (double)(int64_t)bits; break;
        }
        if (isfinite(number))
            return number;
    }
}

static void put_random(struct bytes *out, unsigned depth)
{
    char text[200];
    switch (random_below(depth > 0 ? 10 : 7)) {
    case 0: pack_put_null(out); break;
    case 1: pack_put_boolean(out, random_below(2)); break;
    case 2: pack_put_integer(out, (int64_t)random_bits() >> random_below(64)); break;
    case 3: pack_put_double(out, random_double()); break;
    case 4: pack_put_integer(out, random_below(100)); break;
    case 5: pack_put_string(out, text, random_text(text, 20)); break;
    case 6: pack_put_string(out, text, random_text(text, random_below(10) ? 12 : sizeof text)); break;
    case 7: {
        unsigned count = random_below(5);
        size_t   array = pack_open(out, PACK_MARKED_ARRAY);
        for (unsigned i = 0; i < count; i++)
            put_random(out, depth - 1);
        pack_close(out, array, count);
        break;
    }
    default: {
        unsigned count = random_below(random_below(20) ? 4 : 30);
        size_t   map = pack_open(out, PACK_MAP);
        for (unsigned i = 0; i < count; i++) { /* in order, as json_write() will have them */
            size_t size = (size_t)snprintf(text, sizeof text, "%02u", i);
            size += random_text(text + size, 15);
            pack_put_string(out, text, size);
            put_random(out, depth - 1);
        }
        pack_close(out, map, count);
    }
    }
}

/* Any value written and read again is the same, byte for byte. */
static void test_round_trips(void)
{
    struct bytes packed, text, again;
    bytes_init(&packed, 0);
    bytes_init(&text, 0);
    bytes_init(&again, 0);
    for (int round = 0; round < 100000; round++) {
        packed.size = text.size = again.size = 0;
        put_random(&packed, random_below(5));
        int style = (int)random_below(4);
        assert(json_write(packed.data, packed.size, style, NULL, NULL, &text, NULL) == 0);
        assert(json_read((char *)text.data, text.size, &limits, &again, NULL) == 0);
        assert(packed.size == again.size);
        assert(memcmp(packed.data, again.data, packed.size) == 0);
        assert(round % 16 != 0 || pack_check(packed.data, packed.size));
    }
    bytes_fini(&packed);
    bytes_fini(&text);
    bytes_fini(&again);
}

/* Documents with a byte changed are read or refused; what is read is sound. */
static void test_damage(void)
{
    struct bytes packed, text;
    bytes_init(&packed, 0);
    bytes_init(&text, 0);
    for (int round = 0; round < 20000; round++) {
        packed.size = text.size = 0;
        put_random(&packed, 3);
        assert(json_write(packed.data, packed.size, (int)random_below(4), NULL, NULL, &text, NULL) == 0);
        for (int hits = 0; hits < 2; hits++)
            text.data[random_below((unsigned)text.size)] =
                random_below(2) ? (uint8_t)random_bits() : (uint8_t)"[]{}\",:\\u-0e."[random_below(13)];
        packed.size = 0;
        if (read_tight((char *)text.data, text.size, &packed, NULL) == 0)
            assert(pack_check(packed.data, packed.size));
    }
    bytes_fini(&packed);
    bytes_fini(&text);
}

#ifdef TROUPE_FAULTS
/* Whichever allocation fails, the answer is -ENOMEM and nothing leaks. */
static void test_faults(void)
{
    struct bytes text, keep;
    bytes_init(&text, 0);
    bytes_init(&keep, 0);
    bytes_append_text(&text, "{\"number\":0.1234567890123456789012345678901234567890123456789012345"
                             "678901234567890,\"a\":{");
    for (int i = 100; i > 0; i--)
        bytes_printf(&text, "\"k%d\":%d,", i, i);
    bytes_append_text(&text, "\"k1\":[]}}");
    assert(json_read((char *)text.data, text.size, &limits, &keep, NULL) == 0);

    for (int writing = 0; writing < 2; writing++) {
        for (uint64_t n = 1;; n++) {
            size_t before = memory_used();
            struct bytes out;
            struct json_error error;
            bytes_init(&out, 0);
            fault_arm(n);
            int err = writing ? json_write(keep.data, keep.size, 0, NULL, NULL, &out, &error)
                              : json_read((char *)text.data, text.size, &limits, &out, &error);
            bool done = fault_count() < n;
            fault_arm(0);
            assert(err == (done ? 0 : -ENOMEM));
            bytes_fini(&out);
            assert(memory_used() == before);
            if (done)
                break;
        }
    }
    bytes_fini(&text);
    bytes_fini(&keep);
}
#endif

int main(void)
{
    test_values();
    test_strings();
    test_every_byte();
    test_integers();
    test_floats();
    test_locale();
    test_malformed();
    test_cut_short();
    test_depth();
    test_count();
    test_full();
    test_duplicates();
    test_order();
    test_given_order();
    test_many_keys();
    test_references();
    test_refused_writing();
    test_one_of_many();
    test_utf8();
    test_round_trips();
    test_damage();
#ifdef TROUPE_FAULTS
    test_faults();
#endif
    assert(memory_used() == 0);
    return 0;
}
