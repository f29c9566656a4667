/*
 * evaluate_room.h -- what evaluate.c (how an evaluation comes and goes) and
 * evaluate_run.c (how it runs) share. Nobody else includes it.
 */
#ifndef TROUPE_SCRIPT_EVALUATE_ROOM_H
#define TROUPE_SCRIPT_EVALUATE_ROOM_H

#include "script/evaluate.h"

#include <string.h>

enum stage {
    STAGE_QUEUED,
    STAGE_BEGUN,
    STAGE_OVER,
};

struct evaluation {
    atomic_int   references;
    _Atomic int  stage;       /* enum stage; who makes it OVER tells the last news */
    _Atomic bool cancelled;   /* pairs with the worker's reads: it is looked at again and again */
    _Atomic bool compiled;    /* its text was a chunk: an error has a traceback worth reading */
    actor_id     actor;
    struct evaluate_request request; /* `text` is the one below */
    size_t       block;       /* bytes of this */
    char         text[];
};

/* What a message of kind EVALUATE carries. */
struct errand {
    struct evaluation *evaluation; /* counted */
    bool               cancels;    /* it is about one that came before */
};

static inline struct errand errand_of(const struct message *message)
{
    struct errand errand;
    memcpy(&errand, message->payload, sizeof errand);
    return errand;
}

/* If the handler in hand is one. */
static inline struct evaluation *evaluation_in_hand(const struct script *script)
{
    return errand_of(script->hand.current).evaluation;
}

/* Tells something that is not the last of it. */
void evaluation_tell(struct evaluation *evaluation, enum evaluate_news news, const char *text,
                     size_t size);

/* The last news of one that has begun; if somebody else was first it tells nothing. */
void evaluation_conclude(struct script *script, struct evaluation *evaluation,
                         const struct evaluate_told *told);

/* The function that begins the evaluation in hand, on the handler coroutine. */
int evaluate_run(lua_State *L);

#endif
