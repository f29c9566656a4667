/*
 * json_reader.h -- the parts of json_read(), for message/wire to read a larger
 * grammar in the same single pass. Private to this room.
 *
 * A reader stands at a place in the text. What fails says so in `error`, sets
 * `status`, and every taker then answers false; nothing is read twice.
 */
#ifndef TROUPE_MESSAGE_JSON_READER_H
#define TROUPE_MESSAGE_JSON_READER_H

#include "message/json.h"
#include "message/json_keys.h"
#include "message/json_text.h"

struct json_reader {
    const char        *start, *at, *end;
    unsigned           depth;      /* containers that may still be opened */
    unsigned           values;     /* values that may still come */
    unsigned           value_limit;
    int                status;     /* 0, -EINVAL or -ENOMEM */
    struct json_error *error;
    struct json_error  unasked;    /* where it goes if the caller has none */
    struct json_keys   keys;       /* of the objects we are in */
};

/* A string as it stands between its quotes, already found to be right. */
struct json_text {
    const char *start;
    size_t      size;    /* in the text; decoded it is never longer */
    bool        plain;   /* printable ASCII only, nothing escaped */
    bool        escaped; /* contains a backslash: needs json_unescape() */
};

void json_reader_init(struct json_reader *reader, const char *text, size_t size, size_t at,
                      const struct json_limits *limits, struct json_error *error);

/* Gives back what the reader holds and returns its status. */
int json_reader_fini(struct json_reader *reader);

/* Notes the first failure, "REASON at byte N", and returns false. */
bool json_fail(struct json_reader *reader, const char *at, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* "expected WHAT, not 'x' at byte N", about the place where the reader stands. */
bool json_expected(struct json_reader *reader, const char *what);

static inline void json_skip_space(struct json_reader *reader)
{
    const char *at = reader->at;
    while (at < reader->end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t'))
        at++;
    reader->at = at;
}

/* Steps over `c` and the space around it, if it comes next. */
static inline bool json_take(struct json_reader *reader, char c)
{
    json_skip_space(reader);
    if (reader->at == reader->end || *reader->at != c)
        return false;
    reader->at++;
    json_skip_space(reader);
    return true;
}

bool json_take_string_slow(struct json_reader *reader, const char *at, struct json_text *text);

/* Steps over the string whose opening quote comes next; the caller has looked. */
static inline bool json_take_string(struct json_reader *reader, struct json_text *text)
{
    text->start = reader->at + 1;
    const char *at = json_plain_end(text->start, reader->end);
    if (UNLIKELY(at == reader->end || *at != '"'))
        return json_take_string_slow(reader, at, text);
    text->size = (size_t)(at - text->start);
    text->plain = true;
    text->escaped = false;
    reader->at = at + 1;
    return true;
}

/* Decodes into `out`, which has room for text->size bytes; returns the length. */
size_t json_unescape(const struct json_text *text, char *out);

/* Appends the packed form of the value that comes next. The space before it is gone. */
bool json_take_value(struct json_reader *reader, struct bytes *out);

#endif
