/*
 * shape_draft.c -- shapes in the making; see shape.h.
 */
#include "message/shape_room.h"

#include "base/memory.h"
#include "base/suggest.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const kind_names[] = {
    [SHAPE_ANY] = "any", [SHAPE_BOOLEAN] = "boolean", [SHAPE_INTEGER] = "integer",
    [SHAPE_NUMBER] = "number", [SHAPE_REF] = "ref", [SHAPE_STRING] = "string",
    [SHAPE_TABLE] = "table",
};

const char *shape_kind_name(enum shape_kind kind)
{
    return kind == SHAPE_FIELDS ? "table" : kind_names[kind];
}

/* ---- Types as text ------------------------------------------------------ */

bool shape_parse_suffix(const char *text, size_t size, struct shape_type *type, char *why,
                        size_t room)
{
    size_t at = 0;
    unsigned arrays = 0;
    for (; size - at >= 2 && text[at] == '[' && text[at + 1] == ']'; at += 2)
        arrays++;
    type->optional = at < size && text[at] == '?';
    at += type->optional;
    if (arrays > SHAPE_ARRAY_LIMIT) {
        snprintf(why, room, "arrays in arrays have at most %d levels", SHAPE_ARRAY_LIMIT);
        return false;
    }
    type->arrays = (uint8_t)arrays;
    if (at == size)
        return true;
    snprintf(why, room, "behind a type may stand [] for an array and then ? for optional, not '%.*s'",
             (int)(size - at < 20 ? size - at : 20), text + at);
    return false;
}

static bool refuse_kind(const char *text, size_t size, char *why, size_t room)
{
    char name[SUGGEST_NAME_LIMIT + 1];
    snprintf(name, sizeof name, "%.*s", (int)(size < 40 ? size : 40), text);
    struct suggest suggest;
    suggest_init(&suggest, name);
    for (size_t i = 0; i < ARRAY_LENGTH(kind_names); i++)
        suggest_offer(&suggest, kind_names[i]);
    if (suggest.best != NULL)
        snprintf(why, room, "no type is called '%s' (did you mean '%s'?)", name, suggest.best);
    else
        snprintf(why, room, "no type is called '%s'; there are any, boolean, integer, number, ref, "
                            "string and table", name);
    return false;
}

bool shape_parse_type(const char *text, size_t size, struct shape_type *type, char *why,
                      size_t room)
{
    size_t length = 0;
    while (length < size && text[length] != '[' && text[length] != '?')
        length++;
    for (size_t i = 0; i < ARRAY_LENGTH(kind_names); i++) {
        if (strlen(kind_names[i]) != length || memcmp(kind_names[i], text, length) != 0)
            continue;
        type->kind = (uint8_t)i;
        return shape_parse_suffix(text + length, size - length, type, why, room);
    }
    return refuse_kind(text, length, why, room);
}

const char *shape_type_text(struct shape_type type, char text[SHAPE_TYPE_ROOM])
{
    const char *name = type.kind == SHAPE_FIELDS ? "" : kind_names[type.kind];
    snprintf(text, SHAPE_TYPE_ROOM, "%s%.*s%s", name, 2 * type.arrays, "[][][][]",
             type.optional ? "?" : "");
    return text;
}

/* ---- The draft ---------------------------------------------------------- */

static struct shape_field *fields_of(const struct shape_draft *draft)
{
    return (struct shape_field *)(void *)draft->fields->data;
}

static size_t field_count(const struct shape_draft *draft)
{
    return draft->fields->size / sizeof(struct shape_field);
}

void shape_draft_begin(struct shape_draft *draft, struct bytes *fields, struct bytes *names)
{
    bytes_clear(fields, SIZE_MAX);
    bytes_clear(names, SIZE_MAX);
    *draft = (struct shape_draft){ fields, names };
}

int shape_draft_table(struct shape_draft *draft, unsigned count)
{
    size_t first = field_count(draft), size = count * sizeof(struct shape_field);
    if (count > SHAPE_TABLE_LIMIT || first + count > SHAPE_FIELD_LIMIT)
        return -E2BIG;
    if (!bytes_reserve(draft->fields, size))
        return -ENOMEM;
    if (size > 0)
        memset(draft->fields->data + draft->fields->size, 0, size);
    draft->fields->size += size;
    return (int)first;
}

int shape_draft_field(struct shape_draft *draft, int field, const char *name, size_t size,
                      struct shape_type type)
{
    assert(size > 0 && size <= SHAPE_NAME_LIMIT);
    fields_of(draft)[field] = (struct shape_field){
        .name = (uint32_t)draft->names->size, .name_size = (uint8_t)size,
        .kind = type.kind, .arrays = type.arrays, .optional = type.optional,
    };
    bytes_append(draft->names, name, size);
    return draft->names->failed ? -ENOMEM : 0;
}

void shape_draft_nest(struct shape_draft *draft, int field, int first, unsigned count)
{
    fields_of(draft)[field].first = (uint16_t)first;
    fields_of(draft)[field].count = (uint16_t)count;
}

static int compare_fields(const void *a, const void *b, void *names)
{
    const struct shape_field *left = a, *right = b;
    return shape_compare_names((const char *)names + left->name, left->name_size,
                               (const char *)names + right->name, right->name_size);
}

struct order {
    const struct shape_field *fields;
    const char               *names;
};

static int compare_numbers(const void *a, const void *b, void *context)
{
    const struct order *order = context;
    return compare_fields(order->fields + *(const uint16_t *)a,
                          order->fields + *(const uint16_t *)b, (void *)(uintptr_t)order->names);
}

void shape_draft_close(struct shape_draft *draft, int first, unsigned count, bool sorted,
                       char *twice)
{
    twice[0] = '\0';
    if (count == 0)
        return;
    struct shape_field *fields = fields_of(draft) + first;
    const char         *names = (const char *)draft->names->data;
    uint16_t            by_name[SHAPE_TABLE_LIMIT];
    if (sorted)
        qsort_r(fields, count, sizeof *fields, compare_fields, (void *)(uintptr_t)names);
    for (unsigned i = 0; i < count; i++)
        by_name[i] = (uint16_t)i;
    qsort_r(by_name, count, sizeof *by_name, compare_numbers, &(struct order){ fields, names });
    for (unsigned i = 0; i < count; i++) {
        fields[i].nth = by_name[i];
        const struct shape_field *field = &fields[by_name[i]];
        if (i > 0 && compare_fields(&fields[by_name[i - 1]], field, (void *)(uintptr_t)names) == 0)
            snprintf(twice, 64, "%.*s", field->name_size, names + field->name);
    }
}

struct shape *shape_new(const struct shape_draft *draft, unsigned root_count)
{
    size_t size = sizeof(struct shape) + draft->fields->size + draft->names->size;
    struct shape *shape = memory_get_zeroed(size);
    if (shape == NULL)
        return NULL;
    shape->size = (uint32_t)size;
    shape->field_count = (uint16_t)field_count(draft);
    shape->root_count = (uint16_t)root_count;
    if (draft->fields->size > 0) {
        memcpy(shape->fields, draft->fields->data, draft->fields->size);
        memcpy(shape->fields + shape->field_count, draft->names->data, draft->names->size);
    }
    return shape;
}

void shape_free(struct shape *shape)
{
    if (shape != NULL)
        memory_put(shape, shape->size);
}

unsigned shape_root_count(const struct shape *shape)
{
    return shape->root_count;
}

void shape_look(const struct shape *shape, unsigned field, struct shape_look *look)
{
    assert(field < shape->field_count);
    const struct shape_field *found = &shape->fields[field];
    *look = (struct shape_look){
        .name = shape_names(shape) + found->name,
        .name_size = found->name_size,
        .type = { .kind = found->kind, .arrays = found->arrays, .optional = found->optional },
        .first = found->first,
        .count = found->count,
    };
}

size_t shape_size(const struct shape *shape)
{
    return shape->size;
}

struct shape *shape_copy(const struct shape *shape)
{
    struct shape *copy = memory_get(shape->size);
    if (copy != NULL)
        memcpy(copy, shape, shape->size);
    return copy;
}

/* Field number `i` of the table that begins at `first`: as written, or by name. */
static const struct shape_field *field_at(const struct shape *shape, unsigned first, unsigned i,
                                          bool by_name)
{
    return &shape->fields[first + (by_name ? shape->fields[first + i].nth : i)];
}

/* Tables and names lie in the order of the declaration, which need not be that of
 * the fields; so they are compared one by one. */
static bool equal_tables(const struct shape *a, unsigned a_first, const struct shape *b,
                         unsigned b_first, unsigned count, bool by_name)
{
    for (unsigned i = 0; i < count; i++) {
        const struct shape_field *left = field_at(a, a_first, i, by_name);
        const struct shape_field *right = field_at(b, b_first, i, by_name);
        if (shape_compare_names(shape_names(a) + left->name, left->name_size,
                                shape_names(b) + right->name, right->name_size) != 0 ||
            left->kind != right->kind || left->arrays != right->arrays ||
            left->optional != right->optional || left->count != right->count ||
            !equal_tables(a, left->first, b, right->first, left->count, by_name))
            return false;
    }
    return true;
}

bool shape_equal(const struct shape *a, const struct shape *b)
{
    return a->root_count == b->root_count && equal_tables(a, 0, b, 0, a->root_count, false);
}

bool shape_alike(const struct shape *a, const struct shape *b)
{
    return a->root_count == b->root_count && equal_tables(a, 0, b, 0, a->root_count, true);
}
