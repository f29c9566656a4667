/*
 * type.h -- message type names, interned once per process.
 *
 * A type travels as a small number. Numbers are never given back, so there is
 * a limit (TYPE_LIMIT); and names that were made up outside may have only a part
 * of them, so that no peer can fill the memory, or leave us without a number.
 *
 * Two names are *alike* when they are equal after lower-casing and dropping
 * underscores, as handlers are found (`MarketDepth` and `market_depth`).
 *
 * Any thread; type_name() and friends take no lock.
 */
#ifndef TROUPE_MESSAGE_TYPE_H
#define TROUPE_MESSAGE_TYPE_H

#include "base/base.h"

typedef uint32_t type_id;

#define TYPE_LIMIT         65536
#define TYPE_FOREIGN_LIMIT 16384 /* of these, for names from outside that somebody here takes, */
#define TYPE_STRAY_LIMIT   4096  /* and for names that nobody does */
#define TYPE_NAME_LIMIT    255

/* Built-in types have fixed numbers. */
enum {
    TYPE_NONE = 0,
    TYPE_START,
    TYPE_SHUTDOWN,
    TYPE_TIMEOUT,
    TYPE_REJECT,
    TYPE_DOWN,
    TYPE_RELOAD,
    TYPE_ANY,  /* names a handler, never a message */
    TYPE_CHILD_WAITS,
    TYPE_CHILD_STARTED,
    TYPE_CHILD_HALTED,
    TYPE_DEAD_LETTER,
    TYPE_EVALUATE, /* what a prompt has typed; no handler can have that name */
    TYPE_BUILT_IN_COUNT,
};

/* The number of `name`, made if new. TYPE_NONE: empty, longer than
 * TYPE_NAME_LIMIT, not printable UTF-8, no memory, or TYPE_LIMIT reached. */
type_id type_intern(const char *name, size_t size);

/* The same for a name that came from outside. A new one gets a number as long as
 * there is room for its kind: names that somebody here takes are those alike to
 * one that was interned by type_intern() (as scripts' handlers are), and all that
 * are `wanted` by their receiver. Without room a wanted name has the number of
 * one that is alike to it, if there is one. TYPE_NONE: there is none to be had. */
type_id type_intern_foreign(const char *name, size_t size, bool wanted);

/* The number of `name` if it was ever interned, else TYPE_NONE. */
type_id type_find(const char *name, size_t size);

/* The name as first written ("MarketDepth"), "" for none; valid for ever. */
const char *type_name(type_id type);
size_t      type_name_size(type_id type);

/* The same for all names that are alike: the number of the first of them. */
type_id type_alike(type_id type);

/* Lower-cases (ASCII) and drops underscores: writes at most `room` bytes with
 * the NUL and returns the length that the whole has. */
size_t type_fold(const char *name, size_t size, char *folded, size_t room);

/* Whether `name` is alike to a built-in type that only the host itself may
 * send (all that are built in, but not Reject). */
bool type_is_reserved(const char *name, size_t size);

#endif
