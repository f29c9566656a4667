/*
 * held.h -- questions and messages that outlive the message in hand, and who
 * is told when nothing comes of them.
 */
#ifndef TROUPE_SCRIPT_HELD_H
#define TROUPE_SCRIPT_HELD_H

#include "script/api.h"

struct held {
    struct held    *next, **link;
    struct env     *env;      /* NULL: it was collected */
    struct message *message;  /* owned; NULL: it is script->hand.current still, or is gone */
    actor_id  from;
    uint64_t  request;
    struct address *origin;   /* counted, or NULL */
    type_id   type;
    bool      owed;           /* a question that nobody has answered */
    bool      in_hand;        /* its message is script->hand.current */
};

struct env {
    const char  *mark;        /* &metatable_key */
    struct held *held;        /* NULL: about the message in hand, or over */
    uint64_t serial;          /* of the handler it was made in */
    actor_id from;
    type_id  type;
    bool     asked;
    bool     remote;
    bool     deferred;        /* its held lies in script->deferred */
    bool     in_hand;         /* it is about script->hand.current */
};

/* Puts a held first in a list of the script, or takes it out. */
void held_link(struct held **list, struct held *held);
void held_unlink(struct held *held);

/* A held for `env` about `message`, first in `list`; NULL: no memory. */
struct held *held_new(struct held **list, struct env *env, const struct message *message,
                      bool owed);
/* Frees one that is in no list any more. */
void held_free(struct held *held);

/* The handler's data lie elsewhere now. */
void held_moved(struct activation *activation);

/* The handler has done with the message it received last: it wants another. */
void held_settle_received(struct script *script);

/* Tells whoever asked, if an answer is owed, that there will be none. */
void held_tell(struct script *script, struct held *held, enum failure_reason reason,
               const char *text);

#endif
