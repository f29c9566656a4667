/*
 * staging_room.h -- what the files that make up staging share: staging.c has the
 * editions, the commit and the abort; staging_prepare.c runs the new version;
 * staging_compare.c looks for what people should be told; staging_calls.c is what
 * scripts notice of it. Nobody else includes it.
 */
#ifndef TROUPE_SCRIPT_STAGING_ROOM_H
#define TROUPE_SCRIPT_STAGING_ROOM_H

#include "script/deferred.h"
#include "script/staging.h"

#include <lauxlib.h>

/* What makes one version of a script differ from another in its `struct script`. */
struct edition {
    struct source *source;           /* counted */
    int            handlers;         /* registry */
    int            environment;      /* registry; of the vm */
    struct declared_types *declared;
    bool           takes_any;
    char           version[sizeof((struct script *)NULL)->version];
};

/* Fields of the staging's table. */
enum staging_slot {
    SLOT_SHARED = 1, /* tables that are not part of the state, each its own value */
    SLOT_BEFORE,     /* those of them that were in package.loaded before */
    SLOT_MEMO,       /* tables of self that are replaced, for migrate_holds_old(); or nil */
    SLOT_SELF,       /* what self will have; nil: what it has */
    SLOT_CLASSES,    /* class.h */
    SLOT_GLOBALS,    /* what the plain globals had before */
    SLOT_LOADED,     /* of module_set_aside() */
    SLOT_COUNT = SLOT_LOADED,
};

enum staging_phase {
    STAGING_NONE,
    STAGING_CHECKING,  /* C code of ours */
    STAGING_LOADING,   /* the new top level runs */
    STAGING_MIGRATING, /* on_reload runs */
    STAGING_READY,
};

struct staging {
    enum staging_phase phase;
    struct edition     other;    /* the version that is not in force: the new one before the commit */
    struct update     *update;
    struct script_options own;   /* settings of the new version; its texts live as long as that */
    bool  changes_interleave;    /* at the commit, as `own` says */
    struct deferred_list deferred;
    int   table;                 /* registry: the slots; LUA_NOREF: none, or the state was closed */
    int   kept;                  /* registry: what self had before the last reload; LUA_NOREF */
    int   next_kept;             /* the same of this one */
    bool  kept_for_trial;        /* and will be let go of when that has passed */
    bool  next_kept_for_trial;
    struct declared *retired;    /* types that values of the script may still refer to */
};

/* ---- staging.c ---- */

/* Makes script->staging, if there is none; false: no memory. And frees it, if there is
 * nothing in it. */
bool staging_open(struct script *script);
void staging_tidy(struct script *script);

/* Pushes the slot; pops a value into it. */
void staging_push_slot(lua_State *L, const struct staging *staging, enum staging_slot slot);
void staging_set_slot(lua_State *L, const struct staging *staging, enum staging_slot slot);

/* The version in force and the other change places. */
void staging_exchange(struct script *script);

/* Makes room for what the new top level has changed in place to be put back. May raise. */
void staging_make_room(lua_State *L, const struct staging *staging);
/* A preparation has failed, and the old version is in force: all is put back. */
void staging_fail(struct script *script);
/* Nothing of it is left but what was kept before. */
void staging_let_go(struct script *script);

static inline bool staging_has_self(const struct script *script)
{
    return script->self_reference != LUA_NOREF;
}

/* ---- staging_compare.c ---- */

/* Compares the new version, in staging->other, with the one in force, and notes what people
 * should know. On a coroutine of the staging; may raise. */
void staging_compare(lua_State *L, struct script *script, struct staging *staging,
                     struct staging_notes *notes);

#endif
