/* test_quote.c -- the promises of quote.h: whatever the bytes, a JSON string. */
#include "base/quote.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static void expect(const char *text, size_t size, size_t room, const char *wanted)
{
    char to[200];
    memset(to, '#', sizeof to);
    size_t used = quote_json(to, room, text, size);
    assert(used <= room && used == strlen(wanted) && memcmp(to, wanted, used) == 0);
    assert(to[used] == '#'); /* not a byte more */
}

/* Letters stay, what would end the string or command a terminal is escaped. */
static void test_escapes(void)
{
    expect("", 0, 100, "\"\"");
    expect("caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80", 14, 100, "\"caf\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80\"");
    expect("a\"b\\c", 5, 100, "\"a\\\"b\\\\c\"");
    expect("\n\t\r\0\x1b\x7f", 6, 100, "\"\\n\\t\\u000d\\u0000\\u001b\\u007f\"");
    expect("\xC2\x9B", 2, 100, "\"\\u009b\"");
    expect("\xC2\xA0", 2, 100, "\"\xC2\xA0\"");
}

/* What is no UTF-8 is shown as that. */
static void test_bad_bytes(void)
{
    expect("\xff", 1, 100, "\"\\ufffd\"");
    expect("a\xC3", 2, 100, "\"a\\ufffd\"");
    expect("\xC0\x80", 2, 100, "\"\\ufffd\\ufffd\"");                 /* overlong */
    expect("\xE0\x80\x80", 3, 100, "\"\\ufffd\\ufffd\\ufffd\"");      /* the same */
    expect("\xED\xA0\x80", 3, 100, "\"\\ufffd\\ufffd\\ufffd\"");      /* a surrogate */
    expect("\xF4\x90\x80\x80", 4, 100, "\"\\ufffd\\ufffd\\ufffd\\ufffd\"");
}

/* What does not fit is cut between characters. */
static void test_cut(void)
{
    expect("abcdef", 6, 8, "\"abcdef\"");
    expect("abcdefg", 7, 8, "\"abc...\"");
    expect("\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC", 9, 10, "\"\xE2\x82\xAC...\"");
    expect("\x01\x01\x01", 3, 18, "\"\\u0001\\u0001...\"");
    expect("abcdefgh", 8, QUOTE_LEAST, "\"abc...\"");
}

int main(void)
{
    test_escapes();
    test_bad_bytes();
    test_cut();
    puts("quote: ok");
    return 0;
}
