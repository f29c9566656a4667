/*
 * source_store.h -- what source.c, sources.c and the unit_*.c files share: how
 * sources and their versions lie in memory. Nobody else includes it.
 *
 * A *lineage* is all versions of one file, or of one text from memory. It is
 * known to the host from the first time it is used; one from memory until
 * its last instance has ended.
 */
#ifndef TROUPE_SCRIPT_SOURCE_STORE_H
#define TROUPE_SCRIPT_SOURCE_STORE_H

#include "base/bytes.h"
#include "base/map.h"
#include "base/thread.h"
#include "script/source.h"

/* A module that a version of a script has required. Where it lies is part of that version:
 * its instances find the same file by the same name, as long as it lives. */
struct unit_member {
    struct lineage *lineage;  /* counted; it may be there under several names */
    uint64_t        hash;     /* of its text then */
    char           *name;     /* "lib/prices" */
    bool            in_sandbox; /* where the same name may mean another file */
};

struct source {
    _Atomic unsigned references;
    _Atomic unsigned number; /* 0: it was never current; then fixed */
    _Atomic int      state;  /* enum source_state; see source_name_instance() */
    struct lineage  *lineage; /* counted */
    char            *file;    /* "" if from memory */
    uint64_t         hash;
    struct subject  *subject;   /* one reference */
    struct bytes     code;      /* what lua_dump() made of it */
    uint64_t         committed; /* guarded by sources->lock: the commit that made it current; 0: none */

    struct unit_member *members; /* guarded by sources->lock, as are the counts */
    size_t              member_count;
    size_t              member_capacity;

    struct lock             lock;
    struct source_instance *instances; /* guarded by lock, as is what follows */
    size_t                  instance_count;
};

struct lineage {
    _Atomic unsigned references;
    char *path; /* these are fixed */
    char *folder;
    char *stem;
    char *chunk_name;
    bool  from_memory;

    bool            known; /* guarded by sources->lock, as is what follows */
    bool            is_script;
    struct lineage *next, *before; /* of the known ones */
    char           *file;          /* links resolved, as they lead now */
    struct source  *current;       /* counted while it is known */
    struct source  *previous;      /* likewise; NULL: there is none */
    unsigned        last_number;
    size_t          instances; /* of all versions; from memory only */
    struct change  *change;    /* what the open update makes of it; NULL: nothing */
    uint64_t        read_for;  /* the update that has read it last */
    uint64_t        gone_for;  /* the update that has not found its file */
};

/* What an update makes of one lineage. */
struct change {
    struct lineage *lineage; /* counted, as are the sources */
    struct source  *from;
    struct source  *to;
    bool            is_twin; /* the text is the same: a module has changed */
};

struct sources {
    struct lock     lock;
    struct lineage *lineages;   /* guarded by lock, as is what follows: one reference each */
    struct map      by_file;    /* resolved path -> struct lineage, borrowed */
    struct map      by_request; /* "path\nfolder" as a script was asked for -> the same: the
                                   second spawn asks the file system nothing */
    struct map      by_module;  /* likewise, of unit_require(), or &source_elsewhere */
    struct update  *update;     /* the open one */
    uint64_t        updates;    /* how many were opened */
    uint64_t        commits;
    source_file_fn *listener;
    void           *listener_context;
    char          **roots; /* fixed by sources_new(); NULL-terminated */
};

/* Stands in by_module for "in none of the reloadable roots". */
extern struct lineage source_elsewhere;

/* ---- source.c ---- */

struct lineage *lineage_new(const char *chunk_name);
struct lineage *lineage_ref(struct lineage *lineage);
void            lineage_unref(struct lineage *lineage);

/* Compiles `text` as a version of `lineage`, not current yet, from `file`. 0, -EINVAL, -ENOMEM. */
int source_build(struct lineage *lineage, const char *file, const char *text, size_t size,
                 struct source **source, char *why, size_t room);
/* It was or is about to be made current: the number of the version. */
void source_set_number(struct source *source, unsigned number);
/* Another version with the same text; NULL: no memory. */
struct source *source_twin(const struct source *source);
uint64_t       source_hash_of(const char *text, size_t size);
int            source_no_memory(char *why, size_t room);

/* ---- sources.c ---- */

/* Makes it and its lineage known as current; *source may become another reference,
 * to what was known of this file before. 0 or -ENOMEM. Tells the listener. */
int sources_remember(struct sources *sources, struct source **source);
/* The current source of what was found at `path`, read if it is not known: then *is_new
 * (NULL is fine). */
int sources_open(struct sources *sources, const char *path, bool is_script, struct source **source,
                 bool *is_new, char *why, size_t room);
/* In the map of one kind of requests, which is emptied when it is full. */
void sources_note_request_locked(struct map *map, const char *key, size_t size,
                                 struct lineage *lineage);
/* Its path leads to `file` now. */
void sources_move_file_locked(struct sources *sources, struct lineage *lineage, const char *file);
void sources_tell(struct sources *sources, const char *path, const char *file, uint64_t hash);

/* ---- source_read.c ---- */

/* Reads and compiles what is at `path`, which resolves to `file`, as a version of
 * `lineage`; NULL: of a new one. */
int source_read(struct lineage *lineage, const char *path, const char *file,
                struct source **source, char *why, size_t room);
/* The same, but *source is NULL if the text is that of `known`. */
int source_read_if_new(struct lineage *lineage, const char *path, const char *file,
                       const struct source *known, struct source **source, char *why, size_t room);
/* Where `path` leads: `file` has PATH_MAX bytes. 0 or -errno and why. */
int source_resolve(const char *path, char *file, char *why, size_t room);

#endif
