/*
 * packed.h -- what a packed value becomes on its way through JSON text, worked
 * out without any text, to compare message/json with.
 */
#ifndef TROUPE_FUZZ_PACKED_H
#define TROUPE_FUZZ_PACKED_H

#include "base/bytes.h"
#include "message/json.h"

/* What json_write() must refuse, and what it must not find behind json_read(). */
struct packed_survey {
    bool     bad_text;     /* a string or key that is not UTF-8 */
    bool     not_finite;   /* NaN, an infinity, or a stream: no JSON form */
    bool     actor;        /* a reference to an actor of this host */
    bool     foreign;      /* a tag that json_read() never writes */
    bool     duplicate;    /* a map with the same key twice */
    size_t   values;       /* keys not counted */
    unsigned depth;
};

/* Appends to `out` what json_read() must make of the text that json_write()
 * makes of the packed value at `at`: keys sorted, unless the map is an ordered
 * one, of equal ones the last; every
 * array a marked one; actors and addresses strings. Fills the survey as well. */
void packed_through_text(const uint8_t *at, struct bytes *out, struct packed_survey *survey);

/* What stands for an actor in the texts of these targets, for json_write(). */
size_t packed_actor_text(void *context, uint64_t actor, char *text, size_t room);

#endif
