/*
 * actor_log.h -- what the host has to say about an actor.
 */
#ifndef TROUPE_ACTOR_ACTOR_LOG_H
#define TROUPE_ACTOR_ACTOR_LOG_H

#include "actor/actor.h"
#include "base/log.h"

/* Writes "NAME: text", unless it is below the actor's level. Only its worker, with no
 * lock held that comes behind the registry's. */
void actor_log(const struct actor *actor, enum log_level level, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* Several lines that name it themselves: log_block(). Likewise. */
void actor_log_block(const struct actor *actor, enum log_level level, const char *text);

/* Gives the actor a level of its own (LOG_AS_ALL: none). Any thread. */
static inline void actor_set_log_level(struct actor *actor, unsigned own_level)
{
    atomic_store_explicit(&actor->log_level, (uint8_t)own_level, memory_order_relaxed);
}

static inline unsigned actor_log_level(const struct actor *actor)
{
    return atomic_load_explicit(&actor->log_level, memory_order_relaxed);
}

#endif
