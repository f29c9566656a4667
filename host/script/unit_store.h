/*
 * unit_store.h -- what the unit*.c files share: an update, and how its changes
 * are kept. Nobody else includes it.
 */
#ifndef TROUPE_SCRIPT_UNIT_STORE_H
#define TROUPE_SCRIPT_UNIT_STORE_H

#include "script/source_store.h"
#include "script/unit.h"

struct update {
    struct sources *sources;
    uint64_t        number;  /* of the updates of this host; fixed, as is is_undo */
    bool            is_undo; /* reads nothing that is known */

    struct change **changes; /* guarded by sources->lock, as are the next three */
    size_t          count;
    size_t          capacity;
    bool            has_grown; /* a script that it does not affect uses what it changes */
    bool            committed; /* only by the thread that commits and closes */

    struct lock lock;     /* taken before sources->lock; never while that is held */
    struct map  requests; /* guarded by lock: as sources->by_module, for this update */
};

/* A change from what is current to `to`, counted by the change. 0 or -ENOMEM. */
int update_add_locked(struct update *update, struct lineage *lineage, struct source *to,
                      bool is_twin);

/* Whether a script whose present version is not replaced has the file in its unit; with
 * `living`, only scripts with instances count. */
bool unit_is_used_locked(struct sources *sources, const struct lineage *file, bool living);

/* The first member of the unit of `script` that is this file; NULL: none. */
const struct unit_member *unit_member_locked(const struct source *script,
                                             const struct lineage *lineage);

/* It has required `lineage`, which has the text of `hash`, by `name`. 0 or -ENOMEM. */
int unit_add_member_locked(struct source *script, struct lineage *lineage, uint64_t hash,
                           const char *name, bool in_sandbox);

/* Lineages, each counted and once: what is in it has `read_for` == mark. */
struct unit_set {
    struct lineage **lineages;
    size_t           count;
    size_t           capacity;
    uint64_t         mark;
};

/* 0 or -ENOMEM. */
int  unit_set_add_locked(struct unit_set *set, struct lineage *lineage);
void unit_set_fini(struct unit_set *set);

/* Adds the lineages that `paths` mean; NULL: all that are known. 0; -ENOENT and why; -ENOMEM. */
int unit_find(struct sources *sources, const char *const *paths, struct unit_set *set, char *why,
              size_t room);

#endif
