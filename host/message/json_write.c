/*
 * json_write.c -- packed values to JSON text.
 *
 * A map is walked twice if it has more than one key and is not ordered: once for
 * its keys, then in their order. Recursion is bounded by PACK_DEPTH_LIMIT.
 */
#include "message/json.h"
#include "message/json_keys.h"
#include "message/pack.h"

#include <errno.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#define ACTOR_TEXT_ROOM 768 /* a name, an @ and an endpoint */

/* ---- numbers ---- */

#define NUMBER_ROOM 32 /* "-1.2345678901234567e+308" */

static char *put_digits_backwards(char *end, uint64_t number)
{
    do {
        *--end = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    return end;
}

static void write_integer(struct bytes *out, int64_t integer)
{
    char  text[NUMBER_ROOM], *end = text + sizeof text;
    char *at = put_digits_backwards(end, integer < 0 ? 0 - (uint64_t)integer : (uint64_t)integer);
    if (integer < 0)
        *--at = '-';
    bytes_append(out, at, (size_t)(end - at));
}

/* A positive number as 0.DIGITS * 10^point. */
struct digits {
    char text[20];
    int  count;
    int  point;
};

static char *put_run(char *to, const char *from, int count)
{
    memcpy(to, from, (size_t)count);
    return to + count;
}

static char *put_zeros(char *to, int count)
{
    memset(to, '0', (size_t)count);
    return to + count;
}

/* Lays the number out as Python's repr() does and returns the end of the text. */
static char *put_number(char *to, const struct digits *digits)
{
    const char *text = digits->text;
    int         count = digits->count, point = digits->point;

    if (point > 16 || point < -3) {
        *to++ = text[0];
        if (count > 1) {
            *to++ = '.';
            to = put_run(to, text + 1, count - 1);
        }
        return to + sprintf(to, "e%+03d", point - 1);
    }
    if (point <= 0) {
        to = put_run(to, "0.", 2);
        to = put_zeros(to, -point);
        return put_run(to, text, count);
    }
    if (point >= count) {
        to = put_run(to, text, count);
        to = put_zeros(to, point - count);
        return put_run(to, ".0", 2);
    }
    to = put_run(to, text, point);
    *to++ = '.';
    return put_run(to, text + point, count - point);
}

/* Most numbers are a whole number of thousandths or so: then its digits are
 * the shortest, for up to 15 digits survive the way through a double. */
static bool find_digits_quickly(double number, struct digits *digits)
{
    static const double power[] = { 1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6 };
    if (FLT_EVAL_METHOD != 0 || number < 1e-4)
        return false;
    for (int i = 0; i < (int)ARRAY_LENGTH(power); i++) {
        double scaled = number * power[i];
        if (scaled >= 1e15)
            return false;
        uint64_t whole = (uint64_t)(scaled + 0.5);
        if ((double)whole / power[i] == number) {
            char  text[NUMBER_ROOM], *end = text + sizeof text;
            char *at = put_digits_backwards(end, whole);
            digits->count = (int)(end - at);
            digits->point = digits->count - i;
            memcpy(digits->text, at, (size_t)digits->count);
            return true;
        }
    }
    return false;
}

/* The same digits one up in the last place; false if they are all nines. */
static bool count_up(char *text)
{
    for (char *at = strchr(text, 'e'); at-- > text;) {
        if (*at < '0' || *at > '9')
            continue;
        if (*at < '9') {
            ++*at;
            return true;
        }
        *at = '0';
    }
    return false;
}

/* Tries more and more digits until they read back to the same number. A power
 * of two is nearer to the number below than to the one above: there the nearest
 * 16 digits may be too small when the next ones up are not. printf and strtod
 * share the locale's decimal point here; the digits have none. */
static void find_digits(double number, struct digits *digits)
{
    char text[NUMBER_ROOM + 16]; /* a decimal point may be several bytes */
    int  precision = number < DBL_MIN ? 1 : 15, exponent;
    bool found;
    do {
        snprintf(text, sizeof text, "%.*e", precision - 1, number);
        found = strtod(text, NULL) == number;
        if (UNLIKELY(!found && precision == 16 && frexp(number, &exponent) == 0.5))
            found = count_up(text) && strtod(text, NULL) == number;
    } while (!found && precision++ < 17);

    const char *at = text;
    digits->count = 0;
    for (; *at != 'e'; at++)
        if (*at >= '0' && *at <= '9')
            digits->text[digits->count++] = *at;
    digits->point = atoi(at + 1) + 1;
    while (digits->count > 1 && digits->text[digits->count - 1] == '0')
        digits->count--;
}

/* A finite number, always with a point or an exponent. */
static void write_double(struct bytes *out, double number)
{
    char text[NUMBER_ROOM], *to = text;
    if (signbit(number))
        *to++ = '-';
    if (number == 0) {
        to = put_run(to, "0.0", 3);
    } else {
        struct digits digits;
        if (!find_digits_quickly(fabs(number), &digits))
            find_digits(fabs(number), &digits);
        to = put_number(to, &digits);
    }
    bytes_append(out, text, (size_t)(to - text));
}

/* ---- values ---- */

struct writer {
    struct bytes      *out;
    const uint8_t     *packed; /* key offsets count from here */
    size_t             size;
    int                style;
    json_actor_text   *actor_text;
    void              *context;
    unsigned           depth;  /* containers that may still be opened */
    int                status; /* 0, -EINVAL or -ENOMEM */
    const char        *reason; /* what -EINVAL is about */
    char               path[96];
    size_t             path_at; /* the path grows to the left, from its end */
    struct json_keys   keys;
};

/* All writers of a value return where the next one starts, NULL on failure. */
static const uint8_t *write_value(struct writer *writer, const uint8_t *at);

static const uint8_t *refuse(struct writer *writer, const char *reason)
{
    writer->status = -EINVAL;
    writer->reason = reason;
    return NULL;
}

static const uint8_t *out_of_memory(struct writer *writer)
{
    writer->status = -ENOMEM;
    writer->reason = "out of memory";
    return NULL;
}

/* Puts `step` in front of the path of what was refused; on the way out of the
 * containers, so that writing without a fault costs nothing. */
static const uint8_t *blame(struct writer *writer, const char *format, ...) PRINTF_LIKE(2, 3);
static const uint8_t *blame(struct writer *writer, const char *format, ...)
{
    char    step[48];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(step, sizeof step, format, arguments);
    va_end(arguments);
    size_t size = length < 0 ? 0 : (size_t)length;
    if (size >= sizeof step)
        size = sizeof step - 1;
    if (size <= writer->path_at) {
        writer->path_at -= size;
        memcpy(writer->path + writer->path_at, step, size);
    }
    return NULL;
}

static const uint8_t *blame_key(struct writer *writer, const struct pack_item *key)
{
    if (!json_is_printable(key->text, key->size))
        return blame(writer, "[?]");
    return blame(writer, ".%.*s", (int)(key->size < 40 ? key->size : 40), key->text);
}

static void write_comma(struct writer *writer)
{
    if (writer->style & JSON_SPACED)
        bytes_append(writer->out, ", ", 2);
    else
        bytes_append_byte(writer->out, ',');
}

static const uint8_t *write_array(struct writer *writer, const uint8_t *at, uint32_t count)
{
    bytes_append_byte(writer->out, '[');
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            write_comma(writer);
        at = write_value(writer, at);
        if (at == NULL)
            return blame(writer, "[%" PRIu32 "]", i + 1);
    }
    bytes_append_byte(writer->out, ']');
    return at;
}

/* Writes the key at `at` and its value. */
static const uint8_t *write_member(struct writer *writer, const uint8_t *at)
{
    struct pack_item key;
    at = pack_read(at, &key);
    if (!json_write_string(key.text, key.size, writer->style, writer->out)) {
        refuse(writer, "a key is not valid UTF-8");
        return NULL;
    }
    if (writer->style & JSON_SPACED)
        bytes_append(writer->out, ": ", 2);
    else
        bytes_append_byte(writer->out, ':');
    at = write_value(writer, at);
    return at != NULL ? at : blame_key(writer, &key);
}

/* Pushes the keys of the map whose members start at `at`; returns its end. */
static const uint8_t *push_keys(struct writer *writer, const uint8_t *at, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct pack_item key;
        size_t           offset = (size_t)(at - writer->packed);
        at = pack_read(at, &key);
        size_t   readable = writer->size - (size_t)((const uint8_t *)key.text - writer->packed);
        uint64_t prefix = json_key_prefix(key.text, key.size, readable);
        if (!json_keys_push(&writer->keys, prefix, offset))
            return out_of_memory(writer);
        at = pack_skip(at);
    }
    return at;
}

static const uint8_t *write_map(struct writer *writer, const uint8_t *at, uint32_t count,
                                bool ordered)
{
    bytes_append_byte(writer->out, '{');
    if (count == 1 || ordered) {
        for (uint32_t i = 0; i < count && at != NULL; i++) {
            if (i > 0)
                write_comma(writer);
            at = write_member(writer, at);
        }
    } else if (count > 1) {
        size_t first = writer->keys.count;
        at = push_keys(writer, at, count);
        if (at == NULL)
            return NULL;
        if (!json_keys_sort(writer->packed, writer->keys.list + first, count))
            return out_of_memory(writer);
        for (uint32_t i = 0; i < count; i++) {
            if (i > 0)
                write_comma(writer);
            if (write_member(writer, writer->packed + writer->keys.list[first + i].at) == NULL)
                return NULL;
        }
        writer->keys.count = first;
    }
    bytes_append_byte(writer->out, '}');
    return at;
}

static bool write_actor(struct writer *writer, uint64_t actor)
{
    char   text[ACTOR_TEXT_ROOM];
    size_t size = 0;
    if (writer->actor_text != NULL)
        size = writer->actor_text(writer->context, actor, text, sizeof text);
    if (size == 0 || size > sizeof text) {
        refuse(writer, "a reference to this actor has no form as text");
        return false;
    }
    if (!json_write_string(text, size, writer->style, writer->out)) {
        refuse(writer, "not valid UTF-8");
        return false;
    }
    return true;
}

static const uint8_t *write_value(struct writer *writer, const uint8_t *at)
{
    struct bytes    *out = writer->out;
    struct pack_item item;
    bool             ordered = *at == PACK_ORDERED_MAP;
    at = pack_read(at, &item);
    switch (item.tag) {
    case PACK_NULL:
        bytes_append(out, "null", 4);
        break;
    case PACK_FALSE:
        bytes_append(out, "false", 5);
        break;
    case PACK_TRUE:
        bytes_append(out, "true", 4);
        break;
    case PACK_INT64:
        write_integer(out, item.integer);
        break;
    case PACK_DOUBLE:
        if (!isfinite(item.number))
            return refuse(writer, isnan(item.number) ? "NaN has no JSON form"
                                                     : "infinity has no JSON form");
        write_double(out, item.number);
        break;
    case PACK_STRING:
    case PACK_ADDRESS:
        if (!json_write_string(item.text, item.size, writer->style, out))
            return refuse(writer, "not valid UTF-8");
        break;
    case PACK_ACTOR:
        if (!write_actor(writer, item.actor))
            return NULL;
        break;
    case PACK_STREAM:
        return refuse(writer, "a stream stays on its host");
    case PACK_ARRAY:
    case PACK_MARKED_ARRAY:
    case PACK_MAP:
        if (writer->depth == 0)
            return refuse(writer, "nested too deep");
        writer->depth--;
        at = item.tag == PACK_MAP ? write_map(writer, at, item.count, ordered)
                                  : write_array(writer, at, item.count);
        writer->depth++;
        break;
    default:
        UNREACHABLE();
    }
    if (UNLIKELY(out->failed))
        return out_of_memory(writer);
    return at;
}

static void explain(const struct writer *writer, struct json_error *error)
{
    if (error == NULL)
        return;
    error->at = 0;
    if (writer->status == -ENOMEM)
        snprintf(error->reason, sizeof error->reason, "%s", writer->reason);
    else
        snprintf(error->reason, sizeof error->reason, "msg%.*s: %s",
                 (int)(sizeof writer->path - writer->path_at), writer->path + writer->path_at,
                 writer->reason);
}

int json_write(const uint8_t *packed, size_t size, int style,
               json_actor_text *actor_text, void *context,
               struct bytes *out, struct json_error *error)
{
    size_t before = out->size;
    struct writer writer;
    writer.out = out;
    writer.packed = packed;
    writer.size = size;
    writer.style = style;
    writer.actor_text = actor_text;
    writer.context = context;
    writer.depth = PACK_DEPTH_LIMIT;
    writer.status = 0;
    writer.path_at = sizeof writer.path;
    json_keys_init(&writer.keys);

    if (size == 0)
        bytes_append(out, "{}", 2);
    else
        write_value(&writer, packed);
    json_keys_fini(&writer.keys);

    if (writer.status == 0 && UNLIKELY(out->failed))
        out_of_memory(&writer);
    if (writer.status != 0) {
        out->size = before;
        explain(&writer, error);
    }
    return writer.status;
}
