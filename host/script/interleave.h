/*
 * interleave.h -- actors that handle other messages while a handler waits.
 *
 * A handler of theirs that waits is *set aside*: what belongs to it (struct
 * activation) changes places with an idle one, and the next message starts a
 * handler on another coroutine, with the same self. What ends a wait finds its
 * handler by the number of the wait and takes it up again. Only one of them
 * runs at a time; one that was preempted goes on before anything else happens.
 *
 * on_start and on_shutdown are never set aside: the one is over before the
 * first message is handled, the other begins when all handlers are.
 *
 * Bounded: of INTERLEAVE_HANDLERS handlers in hand, or for want of memory
 * before that, the last to wait stays in hand, and then mail waits for it.
 *
 * No edges (actor/waits.h): an actor that goes on handling messages while it
 * waits is in no circle. Where only some types may interleave nobody knows
 * whether the message that would end a wait is of one of them, so none is
 * published there either, and a real circle lasts until its deadline.
 */
#ifndef TROUPE_SCRIPT_INTERLEAVE_H
#define TROUPE_SCRIPT_INTERLEAVE_H

#include "script/script.h"

#define INTERLEAVE_HANDLERS 1000

/* Reads the option `interleave` at `index`: as script_read_option(). */
int interleave_read(lua_State *L, int index, struct script_options *options, char *why,
                    size_t room);

/* Once the script is loaded: makes script->interleave as `options` wish it.
 * 0; -EINVAL: a type is named that the script has no handler for; -ENOMEM. */
int interleave_open(struct script *script, const struct script_options *options, char *why,
                    size_t room);
/* Frees it; whatever is set aside is over already. NULL is fine. */
void interleave_close(struct script *script);

/* The state of the script has been closed, and nothing is set aside: fit for a new
 * one. */
void interleave_reset(struct script *script);

/* ---- The rest only for scripts that interleave ---- */

/* Takes up the handler that the message is for, if it is for one that waits. */
void interleave_take_up(struct script *script, const struct message *message);

/* A handler has run as far as it goes: what becomes of it and of the others. */
enum verdict interleave_settle(struct script *script, enum verdict verdict);

/* Ends the waits of all of them: reason stopping. */
enum verdict interleave_cut(struct script *script);

/* Which messages may be handed out now (a mailbox_chooser). */
bool interleave_chooses(const struct script *script, const struct message *message);

/* A new version of the script has taken over: what its `options` say of which types may
 * begin while others wait. The rest of the option counts for life. */
void interleave_change(struct script *script, const struct script_options *options);

/* Number `place`, from 0, of those set aside, in the order in which their waits began; NULL:
 * there are no more. */
struct activation *interleave_at(const struct script *script, unsigned place);

/* The earliest deadline of those set aside; UINT64_MAX: none has one. */
uint64_t interleave_deadline(const struct script *script);

/* The handler of that serial that is in hand or set aside, or NULL. */
struct activation *interleave_find(struct script *script, uint64_t serial);

/* Puts one that is set aside in hand, where there is none; false: none is left. */
bool interleave_take_any(struct script *script);

#endif
