/*
 * shape.h -- the fields of a declared message type, and whether a packed message
 * has them.
 *
 * A shape is one block that never changes. It is made from drafts of fields, one
 * table after the other, and knows nothing of where they were written down.
 */
#ifndef TROUPE_MESSAGE_SHAPE_H
#define TROUPE_MESSAGE_SHAPE_H

#include "base/bytes.h"

#define SHAPE_TABLE_LIMIT 250  /* fields of one table */
#define SHAPE_FIELD_LIMIT 1000 /* fields of a shape, those of nested tables among them */
#define SHAPE_DEPTH_LIMIT 16   /* tables in tables */
#define SHAPE_ARRAY_LIMIT 4    /* arrays in arrays: "integer[][][][]" */
#define SHAPE_NAME_LIMIT  255  /* bytes of a field's name */

enum shape_kind {
    SHAPE_ANY, /* null, too */
    SHAPE_BOOLEAN,
    SHAPE_INTEGER,
    SHAPE_NUMBER,
    SHAPE_REF,
    SHAPE_STRING,
    SHAPE_TABLE, /* of whatever is in it, array or not */
    SHAPE_FIELDS, /* a table with fields of its own */
};

/* What a field is, but for the fields of its own. */
struct shape_type {
    uint8_t kind;     /* enum shape_kind */
    uint8_t arrays;   /* so many levels of arrays of it */
    bool    optional; /* may be missing; null is taken for that */
};

struct shape;

/* ---- Making: a draft is filled from its root inwards ---- */

struct shape_draft {
    struct bytes *fields, *names; /* borrowed; emptied by shape_draft_begin() */
};

/* Reads "integer", "ref[]?", ...; false, and a sentence in `why`, for others. */
bool shape_parse_type(const char *text, size_t size, struct shape_type *type, char *why,
                      size_t room);
/* The same for what may stand behind a type ("[]?", or nothing), of a table with fields. */
bool shape_parse_suffix(const char *text, size_t size, struct shape_type *type, char *why,
                        size_t room);

void shape_draft_begin(struct shape_draft *draft, struct bytes *fields, struct bytes *names);

/* Makes room for a table of `count` fields, at most SHAPE_TABLE_LIMIT; the first
 * such table is the message itself. Its first field's number; -E2BIG; -ENOMEM. */
int shape_draft_table(struct shape_draft *draft, unsigned count);

/* Fills in field number `field`. The name is printable UTF-8 of 1 to
 * SHAPE_NAME_LIMIT bytes. 0 or -ENOMEM. */
int shape_draft_field(struct shape_draft *draft, int field, const char *name, size_t size,
                      struct shape_type type);

/* The fields of field number `field` are the table that begins at `first`. */
void shape_draft_nest(struct shape_draft *draft, int field, int first, unsigned count);

/* All fields of the table that begins at `first` are filled in, and those of the
 * tables in it. They are written in the order of their numbers; `sorted`: in that of
 * their names. A name that two of them have, cut, in `twice` (64 bytes), or "". */
void shape_draft_close(struct shape_draft *draft, int first, unsigned count, bool sorted,
                       char *twice);

/* The shape whose tables were all closed; NULL: no memory. */
struct shape *shape_new(const struct shape_draft *draft, unsigned root_count);
void          shape_free(struct shape *shape); /* NULL is fine */
size_t        shape_size(const struct shape *shape); /* bytes; a shape may be copied as such */
struct shape *shape_copy(const struct shape *shape); /* NULL: no memory */
bool          shape_equal(const struct shape *a, const struct shape *b);
/* The same fields, in whatever order. */
bool          shape_alike(const struct shape *a, const struct shape *b);

/* ---- Looking ---- */

struct shape_look {
    const char       *name; /* name_size bytes, no NUL; the shape's */
    size_t            name_size;
    struct shape_type type;
    unsigned          first, count; /* SHAPE_FIELDS: the numbers of its own fields */
};

/* The message's own fields have the numbers from 0, so many. */
unsigned shape_root_count(const struct shape *shape);
void     shape_look(const struct shape *shape, unsigned field, struct shape_look *look);

/* Writes the type as shape_parse_type() reads it, or of SHAPE_FIELDS as
 * shape_parse_suffix() does; returns `text`. */
#define SHAPE_TYPE_ROOM 24
const char *shape_type_text(struct shape_type type, char text[SHAPE_TYPE_ROOM]);

/* ---- Fitting ---- */

struct shape_error {
    char field[160]; /* "pos.x", "tags[2]" */
    char why[160];   /* "number expected, not string" */
};

/* Appends the reference that a text from outside stands for; false: it is none. */
typedef bool shape_ref_reader(void *context, const char *text, size_t size, struct bytes *out);

/* Appends to `out` the message as it is declared: an ordered map of the fields that
 * are there (nothing, if none is), floats with an integer's value made integers
 * where those are declared, and with `read_ref` texts made references. `packed` is
 * a map, or of size 0. *changed: not only the order is another (or `{}` and `[]`).
 * 0; -EINVAL, with `error` filled; -ENOMEM. */
int shape_fit(const struct shape *shape, const uint8_t *packed, size_t size,
              shape_ref_reader *read_ref, void *context, struct bytes *out, bool *changed,
              struct shape_error *error);

#endif
