/*
 * shape_room.h -- what lies in a shape's block. For shape.c, which fits messages
 * to it, and shape_draft.c, which makes it.
 */
#ifndef TROUPE_MESSAGE_SHAPE_ROOM_H
#define TROUPE_MESSAGE_SHAPE_ROOM_H

#include "message/shape.h"

struct shape_field {
    uint32_t name;  /* where it begins in the names */
    uint16_t first; /* SHAPE_FIELDS: number of the first of its own */
    uint16_t count; /* and how many they are */
    uint16_t nth;   /* of the table that this lies in: its field with the nth name */
    uint8_t  name_size;
    uint8_t  kind;
    uint8_t  arrays;
    bool     optional;
};

/* The names follow the fields. */
struct shape {
    uint32_t           size; /* of the block */
    uint16_t           field_count;
    uint16_t           root_count;
    struct shape_field fields[];
};

static inline const char *shape_names(const struct shape *shape)
{
    return (const char *)(shape->fields + shape->field_count);
}

/* "integer", ... */
const char *shape_kind_name(enum shape_kind kind);

/* Bytewise, as map keys are sorted. */
static inline int shape_compare_names(const char *a, size_t a_size, const char *b, size_t b_size)
{
    int order = memcmp(a, b, a_size < b_size ? a_size : b_size);
    return order != 0 ? order : (a_size > b_size) - (a_size < b_size);
}

#endif
