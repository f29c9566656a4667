/*
 * unit.h -- a script and the modules it requires, and how a new version of them
 * comes to be.
 *
 * A *unit* is a script and those of its modules that lie in reloadable roots: the
 * script's own folder, then lua/ and actors/ in the current folder. Which ones
 * belong to it is learnt by what its instances require; a version starts
 * with none, and the set grows as long as it is current.
 *
 * An *update* is a set of new versions, each file read exactly once, that nobody
 * runs yet: the instances of the scripts that it affects prepare to run them, and
 * then all of it becomes current at once, or nothing does. One at a time on a
 * host. Who holds and prepares the instances is not this file's business.
 */
#ifndef TROUPE_SCRIPT_UNIT_H
#define TROUPE_SCRIPT_UNIT_H

#include "script/source.h"

struct update;

/* ---- The update: one thread opens, commits and closes it -------------------- */

/* Reads anew and compiles the scripts that `paths` name, the modules of their
 * units, and the modules that `paths` name (NULL-terminated; as written for a
 * spawn, by the resolved file, or by a script's bare name "pong"). NULL: all that
 * is known. A file that is not named and that nobody runs is passed over if it cannot be
 * had; a module that is gone is if all whose unit it is in have another text, too: they may
 * require it no more.
 * If something has changed the affected scripts are SOURCE_RELOADING from now on.
 *
 * 0 and *update, to be closed, also if nothing has changed. -ENOENT: a path is not
 * in use here (why names what is); -EBUSY: another update is open; -EINVAL: a new
 * version is refused (why is one line with file:line in front, and has been noted as
 * a failure of the scripts whose units have the file); -ENOMEM. */
int update_open(struct sources *sources, const char *const *paths, struct update **update,
                char *why, size_t room);

/* The same with the unit of one script, of which `source` is or was a version. `text`:
 * its own comes from memory; NULL: its file is read, if it has one. */
int update_open_text(struct sources *sources, struct source *source, const char *text, size_t size,
                     struct update **update, char *why, size_t room);

/* Back to what was before the last update: NULL: all that it changed; `paths`: what the
 * last one that changed these scripts has changed in their units. No file is read but
 * by a require of what was never in use. Once undone, undoing it again brings it back.
 * -ENODATA: there is no version before. */
int update_open_undo(struct sources *sources, const char *const *paths, struct update **update,
                     char *why, size_t room);

/* The same of one script, of which `source` is or was a version. */
int update_open_undo_of(struct sources *sources, struct source *source, struct update **update,
                        char *why, size_t room);

/* False: everything is as it is in use. */
bool update_changes(const struct update *update);

/* The scripts that are affected, by their own text or a module's: start with *position 0,
 * ends with false. Both are borrowed until the close; `to` is never `from`. */
bool update_next(const struct update *update, size_t *position, struct source **from,
                 struct source **to);

/* The same for the files whose text has changed, modules and scripts. */
bool update_next_file(const struct update *update, size_t *position, struct source **from,
                      struct source **to);

/* What will take the place of `source`: borrowed until the close; NULL: nothing. Any thread. */
struct source *update_find(struct update *update, const struct source *source);

/* The new versions are current, each gets its number, the affected ones they replace are
 * SOURCE_SUPERSEDED. 0; -EAGAIN and nothing has changed: since the opening another script
 * has come to use a changed module: close, and open again. It cannot fail otherwise. */
int update_commit(struct update *update);

/* It was refused later, by an instance: noted with all affected scripts. */
void update_fail(struct update *update, const char *why);

/* Without a commit before: nothing has happened, the scripts are SOURCE_CURRENT again.
 * NULL is fine. No instance may be preparing any more. */
void update_close(struct update *update);

/* ---- What a unit consists of ------------------------------------------------ */

/* How a module is asked for. */
struct unit_request {
    struct source *script;  /* whose unit it joins; a version that an update makes, or one in use */
    struct update *update;  /* that one; NULL: what is current */
    const char    *name;    /* "lib.prices", of require */
    const char    *within;  /* a sandbox: nothing but what is in this folder ("/home/x/"),
                             * links resolved, and no other root; NULL: anywhere */
};

enum unit_answer {
    UNIT_FOUND = 0,
    UNIT_NOT_HERE = 1,    /* in none of the roots: `why` says which files were looked for, as Lua does */
    UNIT_ELSEWHERE = 2,   /* it cannot be here, or unit_found_elsewhere() has said so before */
};

/* Finds the module in the reloadable roots, and notes that it belongs to the unit.
 * UNIT_FOUND: *module is counted. Negative: it is there, but cannot be had: -errno, and
 * why in one line. Names of Troupe's own ("troupe.x") are never looked for. Any
 * thread; reads files only the first time, or for an update. */
int unit_require(struct sources *sources, const struct unit_request *request,
                 struct source **module, char *why, size_t room);

/* Such a module was found in another place, where it is looked for at once next time:
 * until an update is committed. */
void unit_found_elsewhere(struct sources *sources, const struct unit_request *request);

#endif
