/*
 * suggest.h -- "did you mean": the nearest of some names.
 */
#ifndef TROUPE_BASE_SUGGEST_H
#define TROUPE_BASE_SUGGEST_H

#include "base/base.h"

/* Offers candidates one by one; `best` is the nearest so far that is close
 * enough to be meant (of equals the first), or NULL. Distance is
 * Damerau-Levenshtein without regard to case and underscores; at most a third
 * of the longer name, at least 1, and something must be alike. Names longer
 * than SUGGEST_NAME_LIMIT are never meant. */
#define SUGGEST_NAME_LIMIT 64

struct suggest {
    const char *wanted;   /* borrowed by suggest_init() */
    const char *best;     /* borrowed from the candidate */
    unsigned    distance; /* of best */
};

void suggest_init(struct suggest *suggest, const char *wanted);
void suggest_offer(struct suggest *suggest, const char *candidate);

#endif
