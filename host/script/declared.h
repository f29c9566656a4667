/*
 * declared.h -- the message types that a script has declared by actor.message,
 * and the checking of its messages against them: of what it sends, and of what
 * comes to it, from wherever.
 *
 * Each actor has its own: two scripts may declare one name differently. A type is
 * found by whatever spelling (type_alike), as handlers are. A script that has
 * declared nothing has script->declared NULL, and is not asked.
 */
#ifndef TROUPE_SCRIPT_DECLARED_H
#define TROUPE_SCRIPT_DECLARED_H

#include "message/shape.h"
#include "script/script.h"

#define DECLARED_LIMIT 1000 /* types of one actor */

struct declared {
    type_id       type;  /* as it was spelt */
    bool          warned; /* that one did not fit has been said */
    unsigned      versions; /* of the script that have it */
    struct shape *shape;
    struct declared *next; /* among the retired */
};

/* What the script has declared for the type, or NULL; valid until the script ends. */
struct declared *declared_find(const struct script *script, type_id type);

/* Declares a type among `types` (pointing to NULL: there are none yet). 0, and it took
 * the shape; or -EAGAIN (too many), -ENOMEM. If it is declared there already this takes
 * the place of that, which must be one that was given by the spawner. */
int declared_add(struct declared_types **types, type_id type, struct shape *shape,
                 struct declared **declared);

/* A new version has declared the same: it is both's. 0 or as declared_add(). */
int declared_share(struct declared_types **types, struct declared *declared);

/* What a version has declared; NULL: nothing. */
struct declared *declared_in(struct declared_types *types, type_id type);
/* All of it, in no order: *position is 0 at first; NULL: there are no more. */
const struct declared *declared_next(const struct declared_types *types, unsigned *position);

/* The version is over. What no other has is put first in the list, because values of the
 * script may still refer to it. */
void declared_retire(struct declared_types *types, struct declared **retired);
/* No values are left. */
void declared_free_retired(struct declared **retired);

/* Nobody uses them any more: *types becomes NULL. */
void declared_free(struct declared_types **types);

/* ---- Given by the spawner (the spawn option `types`) ---- */

/* Types on their way to another actor are a block of these, each with its shape behind it. */
struct declared_given {
    type_id  type;
    uint32_t shape_size;
};
_Static_assert(sizeof(struct declared_given) == 8, "the shape is aligned");

/* Appends one. */
void declared_put_given(struct bytes *out, type_id type, const struct shape *shape);
/* The one in the block that is the same type in whatever spelling, or NULL. */
const struct declared_given *declared_given_alike(const uint8_t *given, size_t size, type_id type);

/* Makes script->given of a block. 0, -EAGAIN, -ENOMEM: then some may be there. */
int declared_take_given(struct script *script, const uint8_t *given, size_t size);

/* Declares what script->given has, before the script's top level runs. 0 or as declared_add(). */
int declared_give(struct script *script);

/* Reads { Tick = { ... }, ... } at `index` and pushes the block, which is returned, as a
 * userdata. Raises if they cannot be declared, blaming `what`. api_message.c. */
const uint8_t *declared_read_types(lua_State *L, int index, const char *what, size_t *size);

/* ---- Messages ---- */

/* The payload of a message that this script sends: as it is if the type is not
 * declared, else as shape_fit() makes it, in this thread's scratch. Raises, blaming
 * "Ping.pos.x", if it does not fit. `packed` may be the scratch of pack_lua_message(). */
const uint8_t *declared_fit_sent(lua_State *L, struct script *script, type_id type,
                                 const uint8_t *packed, size_t *size);

/* An ORDINARY or ASK has come: returns it, or another in its place. NULL: it does
 * not fit, and was refused: counted, logged once per type, a dead letter; its asker
 * or its sender elsewhere is told "Bad field 'x' in Ping: ...". */
struct message *declared_admit(struct script *script, struct message *message);

/* A REPLY has come: the same, but one that does not fit becomes a FAILURE. */
struct message *declared_admit_answer(struct script *script, struct message *message);

/* Whether the message of a timer of this actor fits: it does, unless the type was
 * declared after the timer was made. If not that is counted and logged. */
bool declared_admits_timer(struct script *script, const struct message *content);

/* ---- As Lua values: api_message.c ---- */

/* What the value at `index` is: a declared type, or (*is_value) a message of one.
 * NULL: neither. Never raises. */
struct declared *declared_at(lua_State *L, int index, bool *is_value);

/* If the value at `index` is a declared type, puts its name there; if it is a
 * message of one, its name before it, which moves up all that follows. Returns the
 * type, or TYPE_NONE: it is neither. */
type_id declared_spread(lua_State *L, int index);

#endif
