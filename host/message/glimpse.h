/*
 * glimpse.h -- the first bytes of a packed value as JSON, for people who look on.
 *
 * Unlike json_write() it takes what is cut off anywhere and what has no JSON form: a
 * text that is cut ends in "...", what comes behind the cut is left out, bytes that are
 * no UTF-8 and numbers that are none are shown as well as can be. What it writes is JSON.
 */
#ifndef TROUPE_MESSAGE_GLIMPSE_H
#define TROUPE_MESSAGE_GLIMPSE_H

#include "message/json.h"

/* Appends the JSON of what there is in the first `size` bytes at `packed` of a value
 * (0 bytes: `{}`). False: some of it was left out. */
bool glimpse(const uint8_t *packed, size_t size, json_actor_text *actor_text, void *context,
             struct bytes *out);

#endif
