/*
 * metrics.h -- what a host has counted: for actor.metrics() and `troupe metrics`.
 */
#ifndef TROUPE_SCRIPT_METRICS_H
#define TROUPE_SCRIPT_METRICS_H

#include "actor/system.h"
#include "base/bytes.h"

/* Appends it as a packed map, as actor.metrics() is documented in lua/troupe/meta.lua.
 * Waits for no actor. Any thread. Without memory `packed` has failed. */
void metrics_measure(struct system *system, struct bytes *packed);

#endif
