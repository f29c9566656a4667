/*
 * json_read.c -- JSON text to packed values, in one pass.
 *
 * Recursion follows the nesting and is bounded by limits->depth.
 */
#include "message/json_reader.h"

#include "base/memory.h"
#include "message/pack.h"

#include <errno.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

/* ---- the reader ---- */

void json_reader_init(struct json_reader *reader, const char *text, size_t size, size_t at,
                      const struct json_limits *limits, struct json_error *error)
{
    reader->start = text;
    reader->at = text + at;
    reader->end = text + size;
    reader->depth = limits->depth < PACK_DEPTH_LIMIT ? limits->depth : PACK_DEPTH_LIMIT;
    reader->values = reader->value_limit = limits->values;
    reader->status = 0;
    reader->error = error != NULL ? error : &reader->unasked;
    json_keys_init(&reader->keys);
}

int json_reader_fini(struct json_reader *reader)
{
    json_keys_fini(&reader->keys);
    return reader->status;
}

bool json_fail(struct json_reader *reader, const char *at, const char *format, ...)
{
    if (reader->status != 0)
        return false;
    reader->status = -EINVAL;
    reader->error->at = (size_t)(at - reader->start);

    char    reason[128];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    snprintf(reader->error->reason, sizeof reader->error->reason, "%s at byte %zu", reason,
             reader->error->at);
    return false;
}

bool json_expected(struct json_reader *reader, const char *what)
{
    if (reader->at == reader->end)
        return json_fail(reader, reader->at, "expected %s, not the end,", what);
    unsigned char c = (unsigned char)*reader->at;
    if (c < 0x20 || c >= 0x7f)
        return json_fail(reader, reader->at, "expected %s, not 0x%02x,", what, c);
    return json_fail(reader, reader->at, "expected %s, not '%c',", what, c);
}

static bool out_of_memory(struct json_reader *reader)
{
    if (reader->status == 0) {
        reader->status = -ENOMEM;
        reader->error->at = (size_t)(reader->at - reader->start);
        snprintf(reader->error->reason, sizeof reader->error->reason, "out of memory");
    }
    return false;
}

/* ---- strings ---- */

/* Decodes into the buffer behind the longest head a string can have, then
 * moves it up to the head it needs. */
static void put_unescaped(struct bytes *out, const struct json_text *text)
{
    if (!bytes_reserve(out, 5 + text->size))
        return;
    char  *room = (char *)out->data + out->size + 5;
    size_t size = json_unescape(text, room);
    if (size < 128) {
        out->data[out->size] = (uint8_t)(PACK_SHORT_STRING | size);
        memmove(out->data + out->size + 1, room, size);
        out->size += 1 + size;
        return;
    }
    uint32_t length = (uint32_t)size;
    if (size > UINT32_MAX) {
        out->failed = true;
        return;
    }
    pack_put_sized(out, PACK_STRING, &length, sizeof length);
    out->size += size;
}

static void put_text(struct bytes *out, const struct json_text *text)
{
    if (LIKELY(!text->escaped))
        pack_put_string(out, text->start, text->size);
    else
        put_unescaped(out, text);
}

/* ---- numbers ---- */

static locale_t c_locale;

static void make_c_locale(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

/* Reads a number whose form has been checked, whatever the locale's decimal
 * point is. False when there is no memory. */
static bool read_double(const char *text, size_t size, double *number)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_c_locale);
    char  few[64];
    char *copy = size < sizeof few ? few : memory_get(size + 1);
    if (copy == NULL || c_locale == (locale_t)0)
        return false;
    memcpy(copy, text, size);
    copy[size] = '\0';
    *number = strtod_l(copy, NULL, c_locale);
    if (copy != few)
        memory_put(copy, size + 1);
    return true;
}

/* A number as it is read: mantissa * 10^exponent, exact unless `lost`. */
struct decimal {
    uint64_t mantissa;
    int      exponent;
    bool     lost; /* more digits than fit, or an absurd exponent */
};

static bool is_digit(const char *at, const char *end)
{
    return at < end && *at >= '0' && *at <= '9';
}

static const char *read_digits(const char *at, const char *end, struct decimal *decimal)
{
    for (; is_digit(at, end); at++) {
        unsigned digit = (unsigned)(*at - '0');
        if (LIKELY(decimal->mantissa < UINT64_MAX / 10 ||
                   (decimal->mantissa == UINT64_MAX / 10 && digit <= UINT64_MAX % 10)))
            decimal->mantissa = decimal->mantissa * 10 + digit;
        else
            decimal->lost = true;
    }
    return at;
}

/* What follows the digits in front of the point. NULL if it is malformed. */
static const char *read_fraction(struct json_reader *reader, const char *at,
                                 struct decimal *decimal)
{
    const char *end = reader->end;
    if (*at == '.') {
        const char *first = ++at;
        at = read_digits(at, end, decimal);
        if (at == first)
            goto no_digit;
        if (at - first > 400)
            decimal->lost = true;
        else
            decimal->exponent = -(int)(at - first);
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        bool negative = at < end && *at == '-';
        if (at < end && (*at == '-' || *at == '+'))
            at++;
        if (!is_digit(at, end))
            goto no_digit;
        int exponent = 0;
        for (; is_digit(at, end); at++) {
            if (exponent < 10000)
                exponent = exponent * 10 + (*at - '0');
        }
        decimal->exponent += negative ? -exponent : exponent;
    }
    return at;

no_digit:
    reader->at = at;
    json_expected(reader, "a digit");
    return NULL;
}

/* Exact operands and one rounding give what strtod() gives. */
static bool is_quick(const struct decimal *decimal)
{
    return FLT_EVAL_METHOD == 0 && !decimal->lost && decimal->mantissa <= UINT64_C(1) << 53 &&
           decimal->exponent >= -22 && decimal->exponent <= 22;
}

static double quick_double(const struct decimal *decimal, bool negative)
{
    static const double power[] = { 1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22 };
    double number = (double)decimal->mantissa;
    number = decimal->exponent < 0 ? number / power[-decimal->exponent]
                                   : number * power[decimal->exponent];
    return negative ? -number : number;
}

static bool take_number(struct json_reader *reader, struct bytes *out)
{
    const char    *start = reader->at, *at = start, *end = reader->end;
    struct decimal decimal = { 0, 0, false };
    bool           negative = *at == '-';
    at += negative;
    if (!is_digit(at, end)) {
        reader->at = at;
        return json_expected(reader, "a digit");
    }
    if (*at == '0' && is_digit(at + 1, end))
        return json_fail(reader, at, "number with a leading zero");

    at = read_digits(at, end, &decimal);
    bool whole = at == end || (*at != '.' && *at != 'e' && *at != 'E');
    if (!whole) {
        at = read_fraction(reader, at, &decimal);
        if (at == NULL)
            return false;
    } else if (!decimal.lost && decimal.mantissa <= (uint64_t)INT64_MAX + negative) {
        reader->at = at;
        pack_put_integer(out, (int64_t)(negative ? 0 - decimal.mantissa : decimal.mantissa));
        return true;
    }

    double number;
    if (is_quick(&decimal))
        number = quick_double(&decimal, negative);
    else if (!read_double(start, (size_t)(at - start), &number))
        return out_of_memory(reader);
    if (!isfinite(number))
        return json_fail(reader, start, "number beyond the range of a double");
    reader->at = at;
    pack_put_double(out, number);
    return true;
}

/* ---- containers ---- */

static bool enter(struct json_reader *reader)
{
    if (UNLIKELY(reader->depth == 0))
        return json_fail(reader, reader->at, "nested too deep");
    reader->depth--;
    reader->at++;
    json_skip_space(reader);
    return true;
}

/* Steps over the bracket that closes the container, if it comes next, and over
 * nothing behind it: a value ends where it ends. */
static bool leave(struct json_reader *reader, char bracket)
{
    if (reader->at == reader->end || *reader->at != bracket)
        return false;
    reader->at++;
    return true;
}

static bool take_array(struct json_reader *reader, struct bytes *out)
{
    if (!enter(reader))
        return false;
    size_t   head = pack_open(out, PACK_MARKED_ARRAY);
    uint32_t count = 0;
    if (!leave(reader, ']')) {
        do {
            if (!json_take_value(reader, out))
                return false;
            count++;
        } while (json_take(reader, ','));
        if (!leave(reader, ']'))
            return json_expected(reader, "',' or ']'");
    }
    pack_close(out, head, count);
    reader->depth++;
    return true;
}

/* Marks a key that came again later, so that drop_marked() drops it: its tag
 * becomes one that no key has. */
static void mark(struct bytes *out, const struct json_key *key)
{
    out->data[key->at] = PACK_NULL;
}

/* Marks all but the last of each group of equal keys. Returns how many, or -1
 * when there is no memory. */
static ptrdiff_t mark_duplicates(struct bytes *out, const struct json_key *keys, size_t count)
{
    ptrdiff_t marked = 0;
    if (count <= 8) {
        for (size_t i = 0; i + 1 < count; i++) {
            for (size_t j = i + 1; j < count; j++) {
                if (UNLIKELY(keys[i].prefix == keys[j].prefix) &&
                    json_keys_compare(out->data, &keys[i], &keys[j]) == 0) {
                    mark(out, &keys[i]);
                    marked++;
                    break;
                }
            }
        }
        return marked;
    }

    struct json_key *sorted = memory_get(count * sizeof *sorted);
    if (sorted == NULL)
        return -1;
    memcpy(sorted, keys, count * sizeof *sorted);
    if (json_keys_sort(out->data, sorted, count)) {
        for (size_t i = 0; i + 1 < count; i++) {
            if (UNLIKELY(sorted[i].prefix == sorted[i + 1].prefix) &&
                json_keys_compare(out->data, &sorted[i], &sorted[i + 1]) == 0) {
                mark(out, &sorted[i]);
                marked++;
            }
        }
    } else {
        marked = -1;
    }
    memory_put(sorted, count * sizeof *sorted);
    return marked;
}

/* Closes the gaps that marked keys and their values leave at the end of `out`. */
static void drop_marked(struct bytes *out, const struct json_key *keys, size_t count)
{
    size_t to = keys[0].at;
    for (size_t i = 0; i < count; i++) {
        size_t from = keys[i].at;
        size_t size = (i + 1 < count ? keys[i + 1].at : out->size) - from;
        if (out->data[from] == PACK_NULL)
            continue;
        memmove(out->data + to, out->data + from, size);
        to += size;
    }
    out->size = to;
}

static bool take_key(struct json_reader *reader, struct bytes *out)
{
    if (reader->at == reader->end || *reader->at != '"')
        return json_expected(reader, "a key in quotes");
    struct json_text text;
    if (!json_take_string(reader, &text))
        return false;

    size_t at = out->size;
    put_text(out, &text);
    if (UNLIKELY(out->failed))
        return out_of_memory(reader);
    uint64_t prefix;
    if (LIKELY(!text.escaped)) {
        prefix = json_key_prefix(text.start, text.size, (size_t)(reader->end - text.start));
    } else {
        struct pack_item key;
        pack_read(out->data + at, &key);
        prefix = json_key_prefix(key.text, key.size, key.size);
    }
    if (!json_keys_push(&reader->keys, prefix, at))
        return out_of_memory(reader);
    return json_take(reader, ':') || json_expected(reader, "':'");
}

static bool take_object(struct json_reader *reader, struct bytes *out)
{
    if (!enter(reader))
        return false;
    size_t head = pack_open(out, PACK_MAP);
    size_t first = reader->keys.count;
    size_t count = 0;
    if (!leave(reader, '}')) {
        do {
            if (!take_key(reader, out) || !json_take_value(reader, out))
                return false;
        } while (json_take(reader, ','));
        if (!leave(reader, '}'))
            return json_expected(reader, "',' or '}'");

        const struct json_key *keys = reader->keys.list + first;
        count = reader->keys.count - first;
        if (count > 1) {
            ptrdiff_t marked = mark_duplicates(out, keys, count);
            if (marked < 0)
                return out_of_memory(reader);
            if (UNLIKELY(marked > 0))
                drop_marked(out, keys, count);
            count -= (size_t)marked;
        }
        reader->keys.count = first;
    }
    pack_close(out, head, (uint32_t)count);
    reader->depth++;
    return true;
}

/* ---- any value ---- */

static bool take_word(struct json_reader *reader, const char *word, size_t size)
{
    if ((size_t)(reader->end - reader->at) < size || memcmp(reader->at, word, size) != 0)
        return json_expected(reader, "a value");
    reader->at += size;
    return true;
}

static bool take_any(struct json_reader *reader, struct bytes *out)
{
    if (reader->at == reader->end)
        return json_expected(reader, "a value");
    switch (*reader->at) {
    case '"': {
        struct json_text text;
        if (!json_take_string(reader, &text))
            return false;
        put_text(out, &text);
        return true;
    }
    case '{':
        return take_object(reader, out);
    case '[':
        return take_array(reader, out);
    case 't':
        pack_put_boolean(out, true);
        return take_word(reader, "true", 4);
    case 'f':
        pack_put_boolean(out, false);
        return take_word(reader, "false", 5);
    case 'n':
        pack_put_null(out);
        return take_word(reader, "null", 4);
    case '-':
    case '0': case '1': case '2': case '3': case '4':
    case '5': case '6': case '7': case '8': case '9':
        return take_number(reader, out);
    default:
        return json_expected(reader, "a value");
    }
}

bool json_take_value(struct json_reader *reader, struct bytes *out)
{
    if (UNLIKELY(reader->values == 0))
        return json_fail(reader, reader->at, "more than %u values", reader->value_limit);
    reader->values--;
    if (!take_any(reader, out))
        return false;
    return LIKELY(!out->failed) || out_of_memory(reader);
}

int json_read_value(const char *text, size_t size, size_t *position,
                    const struct json_limits *limits, struct bytes *out,
                    struct json_error *error)
{
    struct json_reader reader;
    json_reader_init(&reader, text, size, *position, limits, error);
    size_t before = out->size;
    json_skip_space(&reader);
    if (json_take_value(&reader, out))
        *position = (size_t)(reader.at - text);
    else
        out->size = before;
    return json_reader_fini(&reader);
}

int json_read(const char *text, size_t size, const struct json_limits *limits,
              struct bytes *out, struct json_error *error)
{
    struct json_reader reader;
    json_reader_init(&reader, text, size, 0, limits, error);
    size_t before = out->size;
    json_skip_space(&reader);
    bool whole = json_take_value(&reader, out);
    if (whole) {
        json_skip_space(&reader);
        whole = reader.at == reader.end || json_expected(&reader, "the end");
    }
    if (!whole)
        out->size = before;
    return json_reader_fini(&reader);
}
