/*
 * refs.h -- packed values copied, with their references made others.
 *
 * JSON has no references. Where one is to stand in it, as in the config of an actor
 * that comes from a command line or a topology, it is the object {"$ref": "text"}.
 */
#ifndef TROUPE_MESSAGE_REFS_H
#define TROUPE_MESSAGE_REFS_H

#include "base/bytes.h"

#define REFS_KEY "$ref"

/* Which parts of a value are given to the writer, by their text: */
enum refs_kind {
    REFS_WRITTEN,   /* maps of the one key "$ref", with a text */
    REFS_ADDRESSES, /* PACK_ADDRESS */
};

/* Appends what is to stand there to `out`: one value. False: it cannot, and the copy
 * ends there. */
typedef bool refs_writer(void *context, const char *text, size_t size, struct bytes *out);

/* Whether the packed value may have some of that kind; if not it need not be copied. */
bool refs_may_have(const uint8_t *packed, size_t size, enum refs_kind kind);

/* Appends a copy of the packed value to `out`; nothing if `size` is 0. 0; -EINVAL: the
 * writer said no; -ENOMEM. Unless 0 the size of `out` is as before. */
int refs_copy(const uint8_t *packed, size_t size, enum refs_kind kind, refs_writer *writer,
              void *context, struct bytes *out);

#endif
