/*
 * reference.c -- the plain reader; see reference.h.
 */
#include "reference.h"

#include "message/pack.h"

#include <assert.h>
#include <errno.h>
#include <math.h>

void reference_init(struct reference *reference, const char *text, size_t size,
                    struct json_limits limits)
{
    *reference = (struct reference){ .text = text, .size = size, .limits = limits };
}

/* ---- characters ---- */

size_t reference_utf8(const char *text, size_t size, uint32_t *code)
{
    static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
    size_t  length = 0;
    uint8_t first = size > 0 ? (uint8_t)text[0] : 0xff;
    if (first < 0x80)
        length = 1;
    else if (first >> 5 == 6)
        length = 2;
    else if (first >> 4 == 14)
        length = 3;
    else if (first >> 3 == 30)
        length = 4;
    if (length == 0 || length > size)
        return 0;
    *code = length == 1 ? first : first & (0xffu >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if ((uint8_t)text[i] >> 6 != 2)
            return 0;
        *code = *code * 64 + ((uint8_t)text[i] & 63u);
    }
    bool surrogate = *code >= 0xd800 && *code < 0xe000;
    return *code < smallest[length] || surrogate || *code > 0x10ffff ? 0 : length;
}

bool reference_is_utf8(const char *text, size_t size, bool printable)
{
    for (size_t at = 0; at < size;) {
        uint32_t code;
        size_t   length = reference_utf8(text + at, size - at, &code);
        if (length == 0 || (printable && (code < ' ' || (code >= 0x7f && code <= 0x9f))))
            return false;
        at += length;
    }
    return true;
}

static void put_utf8(struct bytes *out, uint32_t code)
{
    if (code < 0x80) {
        bytes_append_byte(out, (uint8_t)code);
        return;
    }
    int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    uint32_t marker = 0xff00u >> (more + 1) & 0xff;
    bytes_append_byte(out, (uint8_t)(marker | code >> 6 * more));
    while (more-- > 0)
        bytes_append_byte(out, (uint8_t)(0x80 | (code >> 6 * more & 63)));
}

/* ---- tokens ---- */

/* The next byte, or -1 at the end. */
static int next(const struct reference *reference)
{
    return reference->at < reference->size ? (uint8_t)reference->text[reference->at] : -1;
}

void reference_skip_space(struct reference *reference)
{
    while (next(reference) == ' ' || next(reference) == '\t' || next(reference) == '\n' ||
           next(reference) == '\r')
        reference->at++;
}

bool reference_take(struct reference *reference, const char *word)
{
    size_t size = strlen(word);
    if (reference->size - reference->at < size ||
        memcmp(reference->text + reference->at, word, size) != 0)
        return false;
    reference->at += size;
    return true;
}

static bool take_digits(struct reference *reference)
{
    size_t start = reference->at;
    while (next(reference) >= '0' && next(reference) <= '9')
        reference->at++;
    return reference->at > start;
}

static bool take_unit(struct reference *reference, uint32_t *unit)
{
    char digits[5] = "";
    if (!reference_take(reference, "\\u") || reference->size - reference->at < 4)
        return false;
    memcpy(digits, reference->text + reference->at, 4);
    if (strspn(digits, "0123456789abcdefABCDEF") != 4)
        return false;
    *unit = (uint32_t)strtoul(digits, NULL, 16);
    reference->at += 4;
    return true;
}

static bool take_escape(struct reference *reference, struct bytes *out)
{
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    int second = reference->at + 1 < reference->size ? reference->text[reference->at + 1] : 0;
    const char *letter = second > 0 ? strchr(letters, second) : NULL;
    if (letter != NULL) {
        reference->at += 2;
        bytes_append_byte(out, (uint8_t)meanings[letter - letters]);
        return true;
    }
    uint32_t code, low;
    if (!take_unit(reference, &code) || (code >= 0xdc00 && code <= 0xdfff))
        return false;
    if (code >= 0xd800 && code <= 0xdbff) {
        if (!take_unit(reference, &low) || low < 0xdc00 || low > 0xdfff)
            return false;
        code = 0x10000 + (code - 0xd800) * 0x400 + (low - 0xdc00);
    }
    put_utf8(out, code);
    return true;
}

bool reference_string(struct reference *reference, struct bytes *out)
{
    if (!reference_take(reference, "\""))
        return false;
    while (!reference_take(reference, "\"")) {
        uint32_t    code;
        const char *here = reference->text + reference->at;
        size_t      length = reference_utf8(here, reference->size - reference->at, &code);
        if (length == 0 || code < 0x20)
            return false;
        if (code == '\\') {
            if (!take_escape(reference, out))
                return false;
            continue;
        }
        bytes_append(out, here, length);
        reference->at += length;
    }
    return true;
}

/* ---- values ---- */

static bool take_packed_string(struct reference *reference, struct bytes *out)
{
    struct bytes text;
    bytes_init(&text, 0);
    bool right = reference_string(reference, &text);
    if (right)
        pack_put_string(out, text.size > 0 ? (const char *)text.data : "", text.size);
    bytes_fini(&text);
    return right;
}

/* A whole number that 64 bits hold is an integer, any other number a double. */
static bool put_number(const char *digits, bool whole, struct bytes *out)
{
    errno = 0;
    long long integer = strtoll(digits, NULL, 10);
    if (whole && errno == 0) {
        pack_put_integer(out, integer);
        return true;
    }
    double number = strtod(digits, NULL);
    pack_put_double(out, number);
    return isfinite(number);
}

static bool take_number(struct reference *reference, struct bytes *out)
{
    size_t start = reference->at;
    bool   whole = true;
    reference_take(reference, "-");
    bool   zero = next(reference) == '0';
    size_t first = reference->at;
    if (!take_digits(reference) || (zero && reference->at - first > 1))
        return false;
    if (reference_take(reference, ".")) {
        whole = false;
        if (!take_digits(reference))
            return false;
    }
    if (reference_take(reference, "e") || reference_take(reference, "E")) {
        whole = false;
        if (!reference_take(reference, "-"))
            reference_take(reference, "+");
        if (!take_digits(reference))
            return false;
    }
    size_t size = reference->at - start;
    char  *digits = malloc(size + 1);
    assert(digits != NULL);
    memcpy(digits, reference->text + start, size);
    digits[size] = '\0';
    bool right = put_number(digits, whole, out);
    free(digits);
    return right;
}

static bool take_array(struct reference *reference, struct bytes *out)
{
    size_t   head = pack_open(out, PACK_MARKED_ARRAY);
    uint32_t count = 0;
    reference_skip_space(reference);
    if (!reference_take(reference, "]")) {
        do {
            reference_skip_space(reference);
            if (!reference_value(reference, out))
                return false;
            count++;
            reference_skip_space(reference);
        } while (reference_take(reference, ","));
        if (!reference_take(reference, "]"))
            return false;
    }
    pack_close(out, head, count);
    return true;
}

/* Takes the member that `key` and what follows it up to `end` are out of `out`. */
static void remove_range(struct bytes *out, size_t from, size_t size)
{
    memmove(out->data + from, out->data + from + size, out->size - from - size);
    out->size -= size;
}

/* Removes the member of the map, whose members begin at `first`, that has the
 * same packed key as the one just read at `key`. Whether there was one. */
static bool remove_earlier(struct bytes *out, size_t first, size_t key, size_t key_size)
{
    for (size_t at = first; at < key;) {
        size_t value = (size_t)(pack_skip(out->data + at) - out->data);
        size_t end = (size_t)(pack_skip(out->data + value) - out->data);
        if (value - at == key_size && memcmp(out->data + at, out->data + key, key_size) == 0) {
            remove_range(out, at, end - at);
            return true;
        }
        at = end;
    }
    return false;
}

static bool take_object(struct reference *reference, struct bytes *out)
{
    size_t   head = pack_open(out, PACK_MAP), first = out->size;
    uint32_t count = 0;
    reference_skip_space(reference);
    if (!reference_take(reference, "}")) {
        do {
            reference_skip_space(reference);
            size_t key = out->size;
            if (!take_packed_string(reference, out))
                return false;
            size_t key_size = out->size - key;
            reference_skip_space(reference);
            if (!reference_take(reference, ":"))
                return false;
            reference_skip_space(reference);
            if (!reference_value(reference, out))
                return false;
            count += !remove_earlier(out, first, key, key_size);
            reference_skip_space(reference);
        } while (reference_take(reference, ","));
        if (!reference_take(reference, "}"))
            return false;
    }
    pack_close(out, head, count);
    return true;
}

static bool take_container(struct reference *reference, struct bytes *out)
{
    if (reference->depth == reference->limits.depth)
        return false;
    if (++reference->depth > reference->deepest)
        reference->deepest = reference->depth;
    bool right = reference_take(reference, "[") ? take_array(reference, out)
                                                : reference_take(reference, "{") &&
                                                      take_object(reference, out);
    reference->depth--;
    return right;
}

bool reference_value(struct reference *reference, struct bytes *out)
{
    if (++reference->values > reference->limits.values)
        return false;
    switch (next(reference)) {
    case '[':
    case '{':
        return take_container(reference, out);
    case '"':
        return take_packed_string(reference, out);
    case 'n':
        pack_put_null(out);
        return reference_take(reference, "null");
    case 't':
        pack_put_boolean(out, true);
        return reference_take(reference, "true");
    case 'f':
        pack_put_boolean(out, false);
        return reference_take(reference, "false");
    default:
        return take_number(reference, out);
    }
}

bool reference_document(struct reference *reference, struct bytes *out)
{
    reference_skip_space(reference);
    if (!reference_value(reference, out))
        return false;
    reference_skip_space(reference);
    return reference->at == reference->size;
}
