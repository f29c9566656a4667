/*
 * shape.c -- whether a packed message fits a shape; see shape.h.
 *
 * One pass: for each table, where its values are, and then field by field in the
 * order of the shape. Recursion follows the shape, not the message.
 */
#include "message/shape_room.h"

#include "base/suggest.h"
#include "message/json.h"
#include "message/pack.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#define STEP_LIMIT    40 /* bytes of a name that are shown */
#define OFFERED_LIMIT 32 /* names that "did you mean" looks at */

struct fitting {
    const struct shape *shape;
    const char         *names;
    const uint8_t      *packed;
    struct bytes       *out;
    shape_ref_reader   *read_ref;
    void               *context;
    bool                changed;
    struct shape_error *error;
    size_t              path_at; /* the path grows to the left, from the end of error->field */
};

/* ---- What does not fit -------------------------------------------------- */

/* All that fit return where the next value starts; these return NULL. */

static const uint8_t *refuse(struct fitting *fitting, const char *format, ...) PRINTF_LIKE(2, 3);
static const uint8_t *refuse(struct fitting *fitting, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(fitting->error->why, sizeof fitting->error->why, format, arguments);
    va_end(arguments);
    return NULL;
}

/* Puts `step` in front of the path, on the way out. */
static const uint8_t *blame(struct fitting *fitting, const char *format, ...) PRINTF_LIKE(2, 3);
static const uint8_t *blame(struct fitting *fitting, const char *format, ...)
{
    char    step[STEP_LIMIT + 8];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(step, sizeof step, format, arguments);
    va_end(arguments);
    if (size > 0 && (size_t)size < sizeof step && (size_t)size <= fitting->path_at) {
        fitting->path_at -= (size_t)size;
        memcpy(fitting->error->field + fitting->path_at, step, (size_t)size);
    }
    return NULL;
}

/* The bytes of a text that are shown: no part of a character. */
static int shown(const char *text, size_t size)
{
    if (size <= STEP_LIMIT)
        return (int)size;
    size = STEP_LIMIT;
    while (size > 0 && ((uint8_t)text[size] & 0xc0) == 0x80)
        size--;
    return (int)size;
}

static const uint8_t *blame_name(struct fitting *fitting, const char *name, size_t size)
{
    if (!json_is_printable(name, size))
        return blame(fitting, ".?");
    return blame(fitting, ".%.*s", shown(name, size), name);
}

static const uint8_t *blame_field(struct fitting *fitting, const struct shape_field *field)
{
    return blame_name(fitting, fitting->names + field->name, field->name_size);
}

static const uint8_t *refuse_unknown(struct fitting *fitting, const struct shape_field *fields,
                                     unsigned count, const struct pack_item *key)
{
    char name[SUGGEST_NAME_LIMIT + 1], offered[OFFERED_LIMIT][SUGGEST_NAME_LIMIT + 1];
    struct suggest suggest;
    snprintf(name, sizeof name, "%.*s", (int)(key->size < sizeof name ? key->size : 0), key->text);
    suggest_init(&suggest, name);
    for (unsigned i = 0; i < count && i < OFFERED_LIMIT; i++) {
        snprintf(offered[i], sizeof offered[i], "%.*s", fields[i].name_size,
                 fitting->names + fields[i].name);
        suggest_offer(&suggest, offered[i]);
    }
    if (suggest.best != NULL)
        refuse(fitting, "unknown field (did you mean '%s'?)", suggest.best);
    else
        refuse(fitting, "unknown field");
    return blame_name(fitting, key->text, key->size);
}

/* "integer[]", as the declaration has it. */
static const char *wanted_name(const struct shape_field *field, unsigned arrays, char *text,
                               size_t room)
{
    snprintf(text, room, "%s%.*s", shape_kind_name((enum shape_kind)field->kind), (int)(2 * arrays),
             "[][][][]");
    return text;
}

static const char *found_name(const struct pack_item *item, char *text, size_t room)
{
    switch (item->tag) {
    case PACK_NULL:
        return "null";
    case PACK_FALSE:
    case PACK_TRUE:
        return "boolean";
    case PACK_INT64:
        return "integer";
    case PACK_DOUBLE:
        snprintf(text, room, "%.14g", item->number);
        return text;
    case PACK_STRING:
        return "string";
    case PACK_ACTOR:
    case PACK_ADDRESS:
        return "ref";
    case PACK_STREAM:
        return "stream";
    case PACK_MAP:
        return "table";
    default:
        return "array";
    }
}

static const uint8_t *refuse_type(struct fitting *fitting, const struct shape_field *field,
                                  unsigned arrays, const struct pack_item *item)
{
    char wanted[24], found[32];
    return refuse(fitting, "%s expected, not %s", wanted_name(field, arrays, wanted, sizeof wanted),
                  found_name(item, found, sizeof found));
}

/* ---- What fits ---------------------------------------------------------- */

static const uint8_t *fit_fields(struct fitting *fitting, unsigned first, unsigned count,
                                 const uint8_t *at, uint32_t members);

/* Takes the value at `at`, up to `end`, as it is. */
static const uint8_t *keep(struct fitting *fitting, const uint8_t *at, const uint8_t *end)
{
    bytes_append(fitting->out, at, (size_t)(end - at));
    return end;
}

static bool as_integer(double number, int64_t *integer)
{
    if (!(number >= -0x1p63 && number < 0x1p63) || floor(number) != number)
        return false;
    *integer = (int64_t)number;
    return true;
}

static const uint8_t *fit_integer(struct fitting *fitting, const struct shape_field *field,
                                  const struct pack_item *item, const uint8_t *end)
{
    int64_t integer;
    if (item->tag != PACK_DOUBLE || !as_integer(item->number, &integer))
        return refuse_type(fitting, field, 0, item);
    pack_put_integer(fitting->out, integer);
    fitting->changed = true;
    return end;
}

static const uint8_t *fit_ref(struct fitting *fitting, const struct shape_field *field,
                              const struct pack_item *item, const uint8_t *end)
{
    if (item->tag != PACK_STRING || fitting->read_ref == NULL)
        return refuse_type(fitting, field, 0, item);
    if (!fitting->read_ref(fitting->context, item->text, item->size, fitting->out)) {
        if (!json_is_printable(item->text, item->size))
            return refuse_type(fitting, field, 0, item);
        return refuse(fitting, "ref expected, not '%.*s'", shown(item->text, item->size),
                      item->text);
    }
    fitting->changed = true;
    return end;
}

/* A value that is no array by its declaration, if it is what it should be. */
static const uint8_t *fit_single(struct fitting *fitting, const struct shape_field *field,
                                 const uint8_t *at)
{
    struct pack_item item;
    const uint8_t   *end = pack_read(at, &item);
    bool             right = true;
    switch ((enum shape_kind)field->kind) {
    case SHAPE_ANY:
        return keep(fitting, at, pack_skip(at));
    case SHAPE_BOOLEAN:
        right = item.tag == PACK_TRUE || item.tag == PACK_FALSE;
        break;
    case SHAPE_INTEGER:
        if (UNLIKELY(item.tag != PACK_INT64))
            return fit_integer(fitting, field, &item, end);
        break;
    case SHAPE_NUMBER:
        right = item.tag == PACK_INT64 || item.tag == PACK_DOUBLE;
        break;
    case SHAPE_REF:
        if (item.tag != PACK_ACTOR && item.tag != PACK_ADDRESS)
            return fit_ref(fitting, field, &item, end);
        break;
    case SHAPE_STRING:
        right = item.tag == PACK_STRING;
        break;
    case SHAPE_TABLE:
        if (item.tag == PACK_MAP || item.tag == PACK_ARRAY || item.tag == PACK_MARKED_ARRAY)
            return keep(fitting, at, pack_skip(at));
        right = false;
        break;
    case SHAPE_FIELDS:
        if (item.tag == PACK_MAP)
            return fit_fields(fitting, field->first, field->count, end, item.count);
        right = false;
        break;
    }
    if (UNLIKELY(!right))
        return refuse_type(fitting, field, 0, &item);
    return keep(fitting, at, end);
}

/* In Lua an empty array looks like an empty table; it is written as an array. */
static const uint8_t *fit_value(struct fitting *fitting, const struct shape_field *field,
                                unsigned arrays, const uint8_t *at)
{
    if (LIKELY(arrays == 0))
        return fit_single(fitting, field, at);
    struct pack_item item;
    at = pack_read(at, &item);
    if (item.tag != PACK_ARRAY && item.tag != PACK_MARKED_ARRAY &&
        (item.tag != PACK_MAP || item.count > 0))
        return refuse_type(fitting, field, arrays, &item);

    enum pack_tag tag = item.count > 0 ? item.tag : PACK_MARKED_ARRAY;
    pack_close(fitting->out, pack_open(fitting->out, tag), item.count);
    for (uint32_t i = 0; i < item.count; i++) {
        at = fit_value(fitting, field, arrays - 1, at);
        if (UNLIKELY(at == NULL))
            return blame(fitting, "[%" PRIu32 "]", i + 1);
    }
    return at;
}

/* The number within its table of the field with this name, or `count`. */
static unsigned find_field(const struct fitting *fitting, const struct shape_field *fields,
                           unsigned count, unsigned guess, const struct pack_item *key)
{
    if (LIKELY(guess < count && fields[guess].name_size == key->size &&
               memcmp(fitting->names + fields[guess].name, key->text, key->size) == 0))
        return guess;
    unsigned low = 0, high = count;
    while (low < high) {
        unsigned middle = (low + high) / 2, field = fields[middle].nth;
        int order = shape_compare_names(key->text, key->size, fitting->names + fields[field].name,
                                        fields[field].name_size);
        if (order == 0)
            return field;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return count;
}

/* Null means that it is missing, but to a field that takes null. */
static bool may_be_dropped(const struct shape_field *field)
{
    return field->optional && (field->kind != SHAPE_ANY || field->arrays > 0);
}

/* Notes in `places` where the value of each field starts, as far as there is one
 * (0: there is none). Returns where the map ends. */
static const uint8_t *find_values(struct fitting *fitting, const struct shape_field *fields,
                                  unsigned count, const uint8_t *at, uint32_t members,
                                  uint32_t *places)
{
    memset(places, 0, count * sizeof *places);
    unsigned guess = 0;
    for (uint32_t i = 0; i < members; i++) {
        struct pack_item key;
        at = pack_read(at, &key);
        unsigned found = find_field(fitting, fields, count, guess, &key);
        if (UNLIKELY(found == count))
            return refuse_unknown(fitting, fields, count, &key);
        guess = found + 1;
        places[found] = (uint32_t)(at - fitting->packed);
        if (*at == PACK_NULL && may_be_dropped(&fields[found])) {
            places[found] = 0;
            fitting->changed = true;
        }
        at = pack_skip(at);
    }
    return at;
}

static const uint8_t *fit_fields(struct fitting *fitting, unsigned first, unsigned count,
                                 const uint8_t *at, uint32_t members)
{
    const struct shape_field *fields = fitting->shape->fields + first;
    uint32_t                  places[SHAPE_TABLE_LIMIT], written = 0;
    const uint8_t *end = find_values(fitting, fields, count, at, members, places);
    if (UNLIKELY(end == NULL))
        return NULL;

    size_t head = pack_open(fitting->out, PACK_ORDERED_MAP);
    for (unsigned i = 0; i < count; i++) {
        const struct shape_field *field = &fields[i];
        if (places[i] == 0 && field->optional)
            continue;
        if (UNLIKELY(places[i] == 0)) {
            char wanted[24];
            refuse(fitting, "missing, %s expected",
                   wanted_name(field, field->arrays, wanted, sizeof wanted));
            return blame_field(fitting, field);
        }
        pack_put_string(fitting->out, fitting->names + field->name, field->name_size);
        if (UNLIKELY(fit_value(fitting, field, field->arrays, fitting->packed + places[i]) == NULL))
            return blame_field(fitting, field);
        written++;
    }
    pack_close(fitting->out, head, written);
    return end;
}

int shape_fit(const struct shape *shape, const uint8_t *packed, size_t size,
              shape_ref_reader *read_ref, void *context, struct bytes *out, bool *changed,
              struct shape_error *error)
{
    static const uint8_t empty[5] = { PACK_MAP };
    size_t           before = out->size;
    struct pack_item head = { .count = 0 };
    struct fitting   fitting = {
          .shape = shape, .names = shape_names(shape), .packed = size > 0 ? packed : empty,
          .out = out, .read_ref = read_ref, .context = context,
          .error = error, .path_at = sizeof error->field - 1,
    };
    error->field[fitting.path_at] = '\0';
    const uint8_t *at = pack_read(fitting.packed, &head);
    bool fits = fit_fields(&fitting, 0, shape->root_count, at, head.count) != NULL;
    *changed = fitting.changed;
    if (LIKELY(fits && !out->failed)) {
        if (out->size - before == sizeof empty) /* as all empty messages are */
            out->size = before;
        return 0;
    }
    out->size = before;
    if (fits)
        return -ENOMEM;
    const char *path = error->field + fitting.path_at;
    path += *path == '.';
    memmove(error->field, path, strlen(path) + 1);
    return -EINVAL;
}
