/*
 * handler.h -- what the end of a handler has in common, however it ends.
 */
#ifndef TROUPE_SCRIPT_HANDLER_H
#define TROUPE_SCRIPT_HANDLER_H

#include "script/script.h"

/* Tells everybody who still waits for the handler in hand. */
static inline void handler_end_questions(struct script *script, enum failure_reason reason,
                                         const char *text)
{
    if (UNLIKELY(script->hand.owed || script->hand.held != NULL || script->hand.asking != NULL ||
                 script->hand.asked != NULL)) {
        api_questions_over(script, reason, text);
        api_asking_end(script);
    }
}

/* The handler in hand is over, and so is all that belonged to it alone. */
static inline void handler_end(struct script *script, enum failure_reason reason, const char *text)
{
    handler_end_questions(script, reason, text);
    if (UNLIKELY(script->hand.wait.answer != NULL)) {
        message_free(script->hand.wait.answer);
        script->hand.wait.answer = NULL;
    }
    message_free(script->hand.current);
    script->hand.current = NULL;
    script->hand.content = NULL;
    script->hand.periodic = false;
}

/* Room for what handler_end_text() writes. */
#define HANDLER_END_ROOM (ADDRESS_NAME_LIMIT + 200)

/* "pong has ended: enough", cut. */
const char *handler_end_text(const struct script *script, char *text, size_t room);

/* The handler in hand has died (an error, its memory, its slice, an exit, a
 * stop): reports it, tells who waited for it, and says what becomes of its actor. */
enum verdict handler_failed(struct script *script);

/* Makes the handler coroutine fit for the next handler, after one that did not end by
 * itself; false: no memory. */
bool handler_recover(struct script *script);

/* The actor is to end, for `reason` (NULL: see actor_note_end()); with `over` no
 * handler runs any more. */
enum verdict handler_end_actor(struct script *script, enum ending ending, const char *reason,
                               bool over);

#endif
