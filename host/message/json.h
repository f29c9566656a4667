/*
 * json.h -- JSON text <-> packed values, in one pass, without a lua_State.
 *
 * Exact: 64-bit integers stay integers, floats keep a `.` or an exponent and
 * read back to the same bits (with the fewest of 15, 16 or 17 digits that do,
 * laid out as by Python's repr()), `[]` and `{}` stay different, null is
 * PACK_NULL. Strict reading: RFC 8259, valid UTF-8 only, no lone surrogates, no
 * NaN or Infinity; integers beyond 64 bits become floats, floats beyond a
 * double's range are refused. Of duplicate keys inside a message the last wins.
 */
#ifndef TROUPE_MESSAGE_JSON_H
#define TROUPE_MESSAGE_JSON_H

#include "base/bytes.h"

struct json_limits {
    unsigned depth;  /* containers in containers; never more than PACK_DEPTH_LIMIT */
    unsigned values; /* in all, keys not counted */
};

#define JSON_LIMITS_DEFAULT ((struct json_limits){ .depth = 64, .values = 100000 })

struct json_error {
    char   reason[160]; /* "expected a value, not ']', at byte 17" */
    size_t at;          /* byte offset in the text */
};

/* Appends the packed form of the one JSON document in `text` to `out`. 0, or
 * -EINVAL with `error` filled (out's size is as before), or -ENOMEM. Arrays
 * become PACK_MARKED_ARRAY. Stack use is bounded by limits->depth. Here and
 * below `error` may be NULL. */
int json_read(const char *text, size_t size, const struct json_limits *limits,
              struct bytes *out, struct json_error *error);

/* Reads one value that starts at text[*position] (space before it allowed),
 * for readers of a larger grammar (message/wire); moves *position behind it. */
int json_read_value(const char *text, size_t size, size_t *position,
                    const struct json_limits *limits, struct bytes *out,
                    struct json_error *error);

/* How json_write() writes. */
enum json_style {
    JSON_COMPACT = 0,
    JSON_SPACED = 1, /* ", " and ": " as Python does */
    JSON_ASCII = 2,  /* non-ASCII as \uXXXX, as Python does */
};

/* Appends the JSON text of the packed value at `packed` (size 0: `{}`), the keys
 * of an ordered map as they lie, those of others sorted bytewise. References to local actors are written as the text that
 * `actor_text` gives; if it is NULL or answers 0 or more than `room`, they are
 * refused. -EINVAL with `error` naming the field ("msg.price: NaN has no JSON
 * form") for NaN, infinities and invalid UTF-8; -ENOMEM when `out` is full or
 * there is no memory; in both cases out's size is as before. */
typedef size_t json_actor_text(void *context, uint64_t actor, char *text, size_t room);
int json_write(const uint8_t *packed, size_t size, int style,
               json_actor_text *actor_text, void *context,
               struct bytes *out, struct json_error *error);

/* Appends a JSON string, quotes and all. False: invalid UTF-8 (then nothing
 * was appended). A full `out` says so by its `failed`. */
bool json_write_string(const char *text, size_t size, int style, struct bytes *out);

/* Whether bytes are valid UTF-8 (no surrogates, no overlong forms). */
bool json_valid_utf8(const char *text, size_t size);

/* The same, and free of control characters (C0, DEL, C1): fit to be a name. */
bool json_is_printable(const char *text, size_t size);

#endif
