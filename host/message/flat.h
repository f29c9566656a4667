/*
 * flat.h -- flat JSON <-> a message type and a packed payload: how the family
 * speaks with its registry. One object, in which the type stands beside the
 * fields; byte form as Python's json.dumps.
 *
 *   {"message_type": "LookupResult", "actor_name": "pong", "endpoint": null, "online": false}
 *   {"error": "Unknown message type: Bogus"}
 */
#ifndef TROUPE_MESSAGE_FLAT_H
#define TROUPE_MESSAGE_FLAT_H

#include "message/json.h"

#define FLAT_TYPE_ROOM 256 /* a type of at most 255 bytes, with its NUL */

/* Takes one object apart: its "message_type" goes to `type`, "" if there is
 * none; all else is the map that is put into `fields` (which is cleared first).
 * 0; -EINVAL and `error` (which may be NULL): anything but one JSON object, or a
 * message_type that is no string, longer than 255 bytes or not printable; -ENOMEM. */
int flat_read(const char *text, size_t size, const struct json_limits *limits,
              char type[FLAT_TYPE_ROOM], struct bytes *fields, struct json_error *error);

/* The text of the field "error", cut to `room`; false if it has none. */
bool flat_is_error(const struct bytes *fields, char *reason, size_t room);

/* Appends a message: its type first, then the fields of `packed` (a map, or of
 * size 0), sorted bytewise. 0, -EINVAL (error names the field; a field may not be
 * called message_type), -ENOMEM; unless 0, `out` is as before. */
int flat_write(const char *type, const uint8_t *packed, size_t size, struct bytes *out,
               struct json_error *error);

/* Appends {"error": reason}. 0 or -ENOMEM. */
int flat_write_error(const char *reason, struct bytes *out);

#endif
