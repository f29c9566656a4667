/*
 * json_text.h -- text eight bytes at a time: where a plain run ends, UTF-8.
 * Private to this room.
 *
 * Words are loaded with the first byte lowest, so the lowest bit that a test
 * sets belongs to the first byte that meets it. (Bits above it may be false.)
 */
#ifndef TROUPE_MESSAGE_JSON_TEXT_H
#define TROUPE_MESSAGE_JSON_TEXT_H

#include "base/base.h"

#include <string.h>

#define EACH_BYTE(value) (UINT64_C(0x0101010101010101) * (value))

static inline uint64_t text_load(const char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

/* Marks bytes that need care in a JSON string: control, quote, backslash, DEL,
 * non-ASCII. (DEL is allowed, but Python escapes it and a name may not have it.) */
static inline uint64_t text_special(uint64_t word)
{
    uint64_t quote = word ^ EACH_BYTE('"');
    uint64_t slash = word ^ EACH_BYTE('\\');
    return ((word - EACH_BYTE(0x20)) | (quote - EACH_BYTE(1)) | (slash - EACH_BYTE(1)) | word |
            (word + EACH_BYTE(1))) &
           EACH_BYTE(0x80);
}

/* Where the run of bytes that need no care, beginning at `at`, ends. */
static inline const char *json_plain_end(const char *at, const char *end)
{
    while (end - at >= 8) {
        uint64_t special = text_special(text_load(at));
        if (special != 0)
            return at + (__builtin_ctzll(special) >> 3);
        at += 8;
    }
    while (at < end && *at >= 0x20 && *at != '"' && *at != '\\' && (unsigned char)*at < 0x7f)
        at++;
    return at;
}

/* The bytes of the well-formed UTF-8 sequence at `at`, its code point in
 * `code`; 0 if there is none. (RFC 3629: no surrogates, nothing overlong.) */
static inline unsigned utf8_read(const char *at, const char *end, uint32_t *code)
{
    const unsigned char *byte = (const unsigned char *)at;
    ptrdiff_t            left = end - at;
    if (left < 1)
        return 0;
    if (byte[0] < 0x80) {
        *code = byte[0];
        return 1;
    }
    if (left < 2 || (byte[1] & 0xc0) != 0x80)
        return 0;
    if (byte[0] < 0xe0) {
        *code = (byte[0] & 0x1fu) << 6 | (byte[1] & 0x3fu);
        return byte[0] >= 0xc2 ? 2 : 0;
    }
    if (left < 3 || (byte[2] & 0xc0) != 0x80)
        return 0;
    if (byte[0] < 0xf0) {
        *code = (byte[0] & 0x0fu) << 12 | (byte[1] & 0x3fu) << 6 | (byte[2] & 0x3fu);
        return *code >= 0x800 && (*code < 0xd800 || *code > 0xdfff) ? 3 : 0;
    }
    if (left < 4 || (byte[3] & 0xc0) != 0x80 || byte[0] > 0xf4)
        return 0;
    *code = (byte[0] & 0x07u) << 18 | (byte[1] & 0x3fu) << 12 | (byte[2] & 0x3fu) << 6 |
            (byte[3] & 0x3fu);
    return *code >= 0x10000 && *code <= 0x10ffff ? 4 : 0;
}

#endif
