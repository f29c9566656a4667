/*
 * json_string.c -- JSON strings, found, decoded and written, and UTF-8.
 *
 * A string is checked while its end is looked for, so decoding cannot fail.
 */
#include "message/json_reader.h"

/* ---- UTF-8 ---- */

bool json_valid_utf8(const char *text, size_t size)
{
    const char *at = text, *end = text + size;
    while (at < end) {
        if (end - at >= 8 && (text_load(at) & EACH_BYTE(0x80)) == 0) {
            at += 8;
            continue;
        }
        uint32_t code;
        unsigned length = utf8_read(at, end, &code);
        if (length == 0)
            return false;
        at += length;
    }
    return true;
}

bool json_is_printable(const char *text, size_t size)
{
    const char *at = text, *end = text + size;
    while (at < end) {
        uint32_t code;
        unsigned length = utf8_read(at, end, &code);
        if (length == 0 || code < 0x20 || (code >= 0x7f && code < 0xa0))
            return false;
        at += length;
    }
    return true;
}

/* ---- reading ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The code unit of the \uXXXX at `at`, or -1. */
static int read_unit(const char *at, const char *end)
{
    if (end - at < 6 || at[0] != '\\' || at[1] != 'u')
        return -1;
    int unit = 0;
    for (int i = 2; i < 6; i++) {
        int digit = hex_digit(at[i]);
        if (digit < 0)
            return -1;
        unit = unit << 4 | digit;
    }
    return unit;
}

static bool is_high_surrogate(int unit) { return unit >= 0xd800 && unit <= 0xdbff; }
static bool is_low_surrogate(int unit) { return unit >= 0xdc00 && unit <= 0xdfff; }

/* What the letter after a backslash stands for; 0 if for nothing. */
static char short_escape(char letter)
{
    switch (letter) {
    case '"':  return '"';
    case '\\': return '\\';
    case '/':  return '/';
    case 'b':  return '\b';
    case 'f':  return '\f';
    case 'n':  return '\n';
    case 'r':  return '\r';
    case 't':  return '\t';
    default:   return 0;
    }
}

/* Steps over the escape at `at`; NULL if it is none. */
static const char *check_escape(struct json_reader *reader, const char *at)
{
    if (reader->end - at >= 2 && short_escape(at[1]) != 0)
        return at + 2;
    int unit = read_unit(at, reader->end);
    if (unit < 0) {
        json_fail(reader, at, "bad escape");
        return NULL;
    }
    if (is_high_surrogate(unit) && is_low_surrogate(read_unit(at + 6, reader->end)))
        return at + 12;
    if (is_high_surrogate(unit) || is_low_surrogate(unit)) {
        json_fail(reader, at, "lone surrogate");
        return NULL;
    }
    return at + 6;
}

bool json_take_string_slow(struct json_reader *reader, const char *at, struct json_text *text)
{
    text->plain = false;
    text->escaped = false;
    for (;; at = json_plain_end(at, reader->end)) {
        if (at == reader->end)
            return json_fail(reader, text->start - 1, "string without an end");
        if (*at == '"')
            break;
        if (*at == '\\') {
            text->escaped = true;
            at = check_escape(reader, at);
            if (at == NULL)
                return false;
        } else if ((unsigned char)*at < 0x20) {
            return json_fail(reader, at, "control character 0x%02x in a string", *at);
        } else {
            uint32_t code;
            unsigned length = utf8_read(at, reader->end, &code);
            if (length == 0)
                return json_fail(reader, at, "invalid UTF-8");
            at += length;
        }
    }
    text->size = (size_t)(at - text->start);
    reader->at = at + 1;
    return true;
}

static char *put_utf8(char *out, uint32_t code)
{
    if (code < 0x80) {
        *out++ = (char)code;
        return out;
    }
    if (code < 0x800) {
        *out++ = (char)(0xc0 | code >> 6);
    } else {
        if (code < 0x10000) {
            *out++ = (char)(0xe0 | code >> 12);
        } else {
            *out++ = (char)(0xf0 | code >> 18);
            *out++ = (char)(0x80 | (code >> 12 & 0x3f));
        }
        *out++ = (char)(0x80 | (code >> 6 & 0x3f));
    }
    *out++ = (char)(0x80 | (code & 0x3f));
    return out;
}

size_t json_unescape(const struct json_text *text, char *out)
{
    const char *at = text->start, *end = text->start + text->size;
    char       *to = out;
    while (at < end) {
        const char *escape = memchr(at, '\\', (size_t)(end - at));
        size_t      run = (size_t)((escape != NULL ? escape : end) - at);
        memcpy(to, at, run);
        to += run;
        at += run;
        if (escape == NULL)
            break;
        if (at[1] != 'u') {
            *to++ = short_escape(at[1]);
            at += 2;
            continue;
        }
        uint32_t code = (uint32_t)read_unit(at, end);
        at += 6;
        if (is_high_surrogate((int)code)) {
            uint32_t low = (uint32_t)read_unit(at, end);
            at += 6;
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        }
        to = put_utf8(to, code);
    }
    return (size_t)(to - out);
}

/* ---- writing ---- */

/* Copies a string that needs no escape at all; false if it does. Short words
 * overlap, so that nothing is done byte by byte. */
static bool copy_plain(uint8_t *to, const char *from, size_t size)
{
    uint64_t care = 0, word;
    if (size >= 8) {
        for (size_t i = 0; i < size - 8; i += 8) {
            word = text_load(from + i);
            care |= text_special(word);
            memcpy(to + i, from + i, 8);
        }
        word = text_load(from + size - 8);
        memcpy(to + size - 8, from + size - 8, 8);
        return (care | text_special(word)) == 0;
    }
    if (size >= 4) {
        uint32_t first, last;
        memcpy(&first, from, 4);
        memcpy(&last, from + size - 4, 4);
        memcpy(to, &first, 4);
        memcpy(to + size - 4, &last, 4);
        return text_special((uint64_t)first << 32 | last) == 0;
    }
    for (size_t i = 0; i < size; i++) {
        word = EACH_BYTE((unsigned char)from[i]);
        care |= text_special(word);
        to[i] = (uint8_t)from[i];
    }
    return care == 0;
}

static void put_unit(struct bytes *out, uint32_t unit)
{
    static const char digits[] = "0123456789abcdef";
    char text[6] = { '\\', 'u', digits[unit >> 12 & 15], digits[unit >> 8 & 15],
                     digits[unit >> 4 & 15], digits[unit & 15] };
    bytes_append(out, text, sizeof text);
}

static void put_escaped(struct bytes *out, uint32_t code)
{
    switch (code) {
    case '"':  bytes_append(out, "\\\"", 2); return;
    case '\\': bytes_append(out, "\\\\", 2); return;
    case '\b': bytes_append(out, "\\b", 2); return;
    case '\f': bytes_append(out, "\\f", 2); return;
    case '\n': bytes_append(out, "\\n", 2); return;
    case '\r': bytes_append(out, "\\r", 2); return;
    case '\t': bytes_append(out, "\\t", 2); return;
    default:   break;
    }
    if (code < 0x10000) {
        put_unit(out, code);
    } else {
        put_unit(out, 0xd800 + ((code - 0x10000) >> 10));
        put_unit(out, 0xdc00 + ((code - 0x10000) & 0x3ff));
    }
}

static bool write_with_escapes(const char *text, size_t size, int style, struct bytes *out)
{
    size_t      before = out->size;
    const char *at = text, *end = text + size, *run = text;
    bytes_append_byte(out, '"');
    while (at < end) {
        if (end - at >= 8 && text_special(text_load(at)) == 0) {
            at += 8;
            continue;
        }
        uint32_t code;
        unsigned length = utf8_read(at, end, &code);
        if (length == 0) {
            out->size = before;
            return false;
        }
        bool kept = code >= 0x20 && code != '"' && code != '\\' &&
                    (code < 0x7f || !(style & JSON_ASCII));
        if (!kept) {
            bytes_append(out, run, (size_t)(at - run));
            put_escaped(out, code);
            run = at + length;
        }
        at += length;
    }
    bytes_append(out, run, (size_t)(end - run));
    bytes_append_byte(out, '"');
    return true;
}

bool json_write_string(const char *text, size_t size, int style, struct bytes *out)
{
    if (UNLIKELY(!bytes_reserve(out, size + 2)))
        return json_valid_utf8(text, size);
    uint8_t *to = out->data + out->size;
    if (UNLIKELY(!copy_plain(to + 1, text, size)))
        return write_with_escapes(text, size, style, out);
    to[0] = '"';
    to[size + 1] = '"';
    out->size += size + 2;
    return true;
}
