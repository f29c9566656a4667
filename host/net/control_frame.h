/*
 * control_frame.h -- what Troupe hosts say to each other in control frames (reliable
 * streams, watches): the fields of such a frame, and a frame of them.
 *
 * They go to receivers that begin with `$`, without a sender, so that a peer of the
 * family has nobody to answer. Ids are texts, since not every JSON reader has 64 bits;
 * numbers are at most WIRE_SEQUENCE_MAX.
 */
#ifndef TROUPE_NET_CONTROL_FRAME_H
#define TROUPE_NET_CONTROL_FRAME_H

#include "base/bytes.h"
#include "message/pack.h"

/* Append a member to an open map. */
void control_put_id(struct bytes *packed, const char *key, uint64_t id);
void control_put_number(struct bytes *packed, const char *key, uint64_t number);
void control_put_text(struct bytes *packed, const char *key, const char *text);

/* Makes a frame of the packed map, which it frees. 0 or -errno. */
int control_frame_write(const char *receiver, const char *type, struct bytes *packed,
                   struct bytes *frame);

/* Members of a packed map (checked, from anybody). False: missing, or not one of
 * these; a text also if it is empty, has a NUL, or does not fit into `room`. */
bool control_take_id(const uint8_t *packed, const char *key, uint64_t *id);
bool control_take_number(const uint8_t *packed, const char *key, uint64_t *number);
bool control_take_text(const uint8_t *packed, const char *key, char *text, size_t room);

#endif
