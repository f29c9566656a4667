/*
 * quote.c -- any bytes as a JSON string that every reader takes.
 */
#include "base/quote.h"

#include <stdio.h>
#include <string.h>

/* The length of the well-formed UTF-8 character at `at`, its code point in *code; 0: there is none. */
static size_t read_character(const unsigned char *at, size_t left, uint32_t *code)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    size_t size = at[0] < 0x80 ? 1 : at[0] < 0xc2 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : at[0] < 0xf5 ? 4 : 0;
    if (size == 0 || size > left)
        return 0;
    uint32_t value = size == 1 ? at[0] : at[0] & (0x7fu >> size);
    for (size_t i = 1; i < size; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (at[i] & 0x3fu);
    }
    if (value < least[size] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
        return 0;
    *code = value;
    return size;
}

/* The character at `at` as it is written in JSON; *eaten bytes of the text. */
static size_t write_character(char piece[8], const unsigned char *at, size_t left, size_t *eaten)
{
    uint32_t code;
    *eaten = read_character(at, left, &code);
    if (*eaten == 0) {
        *eaten = 1;
        memcpy(piece, "\\ufffd", 6);
        return 6;
    }
    if (code == '"' || code == '\\') {
        piece[0] = '\\';
        piece[1] = (char)code;
        return 2;
    }
    if (code == '\n' || code == '\t') {
        piece[0] = '\\';
        piece[1] = code == '\n' ? 'n' : 't';
        return 2;
    }
    if (code < 0x20 || (code >= 0x7f && code < 0xa0))
        return (size_t)snprintf(piece, 8, "\\u%04x", (unsigned)code);
    memcpy(piece, at, *eaten);
    return *eaten;
}

size_t quote_json(char *to, size_t room, const char *text, size_t size)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t used = 0, left = size;
    size_t cut = 1; /* the longest so far that leaves room for "...\"" */
    to[used++] = '"';
    while (left > 0) {
        char piece[8];
        size_t eaten, length = write_character(piece, at, left, &eaten);
        if (used + length + 1 > room) {
            used = cut;
            memcpy(to + used, "...", 3);
            used += 3;
            break;
        }
        memcpy(to + used, piece, length);
        used += length;
        if (used + 4 <= room)
            cut = used;
        at += eaten;
        left -= eaten;
    }
    to[used++] = '"';
    return used;
}
