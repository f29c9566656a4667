/*
 * test_bytes.c -- the promises of bytes.h.
 */
#include "base/bytes.h"
#include "base/fault.h"
#include "base/memory.h"

#include <assert.h>
#include <stdio.h>

/* What is appended is there, in order, however the buffer grows. */
static void test_append(void)
{
    struct bytes bytes;
    bytes_init(&bytes, 0);
    assert(bytes.data == NULL && bytes.size == 0);
    bytes_append(&bytes, NULL, 0);
    for (int i = 0; i < 10000; i++)
        bytes_append_byte(&bytes, (uint8_t)i);
    assert(bytes.size == 10000 && !bytes.failed);
    for (int i = 0; i < 10000; i++)
        assert(bytes.data[i] == (uint8_t)i);

    bytes_append(&bytes, "abc", 3);
    bytes_append_text(&bytes, "def");
    assert(bytes.size == 10006 && memcmp(bytes.data + 10000, "abcdef", 6) == 0);
    bytes_fini(&bytes);
    assert(bytes.data == NULL && bytes.size == 0);
}

/* The limit can be reached to the byte, not passed; passing it is remembered. */
static void test_limit(void)
{
    struct bytes bytes;
    bytes_init(&bytes, 100);
    for (int i = 0; i < 100; i++)
        bytes_append_byte(&bytes, 'x');
    assert(bytes.size == 100 && !bytes.failed && bytes.capacity == 100);
    bytes_append_byte(&bytes, 'y');
    assert(bytes.size == 100 && bytes.failed);
    assert(!bytes_reserve(&bytes, SIZE_MAX));

    bytes_clear(&bytes, 1000);
    assert(!bytes.failed && bytes.size == 0 && bytes.capacity == 100);
    bytes_append(&bytes, "a", 1);
    assert(!bytes_reserve(&bytes, 100) && bytes.failed && bytes.size == 1);
    bytes_fini(&bytes);
    assert(!bytes.failed && bytes.limit == 100);
}

/* Clearing keeps a small buffer and gives a large one back. */
static void test_clear(void)
{
    struct bytes bytes;
    size_t before = memory_used();
    bytes_init(&bytes, 0);
    assert(bytes_reserve(&bytes, 1000));
    bytes_clear(&bytes, 1000);
    assert(bytes.capacity == 1000);
    bytes_clear(&bytes, 999);
    assert(bytes.capacity == 0 && memory_used() == before);
    bytes_fini(&bytes);
}

/* Printing appends the whole text or nothing, short or long, up to the limit. */
static void test_printf(void)
{
    struct bytes bytes;
    bytes_init(&bytes, 600);
    bytes_printf(&bytes, "%d %s;", 17, "apples");
    assert(strcmp(bytes_text(&bytes), "17 apples;") == 0);
    bytes_printf(&bytes, "%*d", 590, 4);
    assert(bytes.size == 600 && bytes.data[599] == '4' && !bytes.failed);
    bytes_printf(&bytes, "%d", 5);
    assert(bytes.size == 600 && bytes.failed);
    bytes_fini(&bytes);
}

/* The text ends with a NUL that does not count; where it does not fit, "". */
static void test_text(void)
{
    struct bytes bytes;
    bytes_init(&bytes, 3);
    assert(strcmp(bytes_text(&bytes), "") == 0);
    bytes_append_text(&bytes, "ab");
    assert(strcmp(bytes_text(&bytes), "ab") == 0 && bytes.size == 2);
    bytes_append_text(&bytes, "c");
    assert(!bytes.failed);
    assert(strcmp(bytes_text(&bytes), "") == 0 && bytes.failed && bytes.size == 3);
    bytes_fini(&bytes);
}

#ifdef TROUPE_FAULTS
/* Without memory an append fails, and what was there before stays. */
static void test_faults(void)
{
    struct bytes bytes;
    bytes_init(&bytes, 0);
    bytes_append_text(&bytes, "kept");
    static const char large[5000];
    fault_arm(1);
    bytes_append(&bytes, large, sizeof large);
    assert(bytes.failed && bytes.size == 4 && memcmp(bytes.data, "kept", 4) == 0);
    fault_arm(1);
    bytes_printf(&bytes, "%1000d", 1);
    assert(bytes.failed && bytes.size == 4);
    fault_arm(0);
    bytes_fini(&bytes);
}
#endif

int main(void)
{
    size_t before = memory_used();
    test_append();
    test_limit();
    test_clear();
    test_printf();
    test_text();
#ifdef TROUPE_FAULTS
    test_faults();
#endif
    assert(memory_used() == before);
    puts("bytes: ok");
    return 0;
}
