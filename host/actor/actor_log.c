/*
 * actor_log.c -- what the host has to say about an actor.
 */
#include "actor/actor_log.h"

struct log_subject actor_subject(const struct actor *actor)
{
    struct log_subject about = { .actor = actor->name, .own_level = actor_log_level(actor) };
    if (actor->behaviour->describe != NULL)
        actor->behaviour->describe(actor, &about);
    return about;
}

void actor_log(const struct actor *actor, enum log_level level, const char *format, ...)
{
    struct log_subject about = actor_subject(actor);
    va_list arguments;
    va_start(arguments, format);
    log_about_list(level, &about, format, arguments);
    va_end(arguments);
}
