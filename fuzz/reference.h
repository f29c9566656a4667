/*
 * reference.h -- JSON read the plain and slow way, byte by byte as the grammar
 * of RFC 8259 stands, to compare message/json with. It shares nothing with it
 * but the writing of packed scalars.
 */
#ifndef TROUPE_FUZZ_REFERENCE_H
#define TROUPE_FUZZ_REFERENCE_H

#include "base/bytes.h"
#include "message/json.h"

struct reference {
    const char        *text;
    size_t             size;
    size_t             at;      /* the byte that is looked at next */
    struct json_limits limits;
    size_t             values;  /* so far, keys not counted */
    unsigned           depth;   /* containers we are in */
    unsigned           deepest; /* ... and the most there were */
};

void reference_init(struct reference *reference, const char *text, size_t size,
                    struct json_limits limits);

void reference_skip_space(struct reference *reference);

/* Steps over `word` if it comes next. */
bool reference_take(struct reference *reference, const char *word);

/* Each of these steps over what its name says and appends to `out` its decoded
 * text, or its packed form; false if it is not there or not right. */
bool reference_string(struct reference *reference, struct bytes *out);
bool reference_value(struct reference *reference, struct bytes *out);

/* One value, with nothing but space around it. */
bool reference_document(struct reference *reference, struct bytes *out);

/* The length of the UTF-8 sequence that starts `size` bytes, and what it
 * stands for; 0 if it is malformed. */
size_t reference_utf8(const char *text, size_t size, uint32_t *code);

/* Whether all of it is UTF-8, and, if so asked, has no control characters. */
bool reference_is_utf8(const char *text, size_t size, bool printable);

#endif
