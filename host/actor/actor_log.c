/*
 * actor_log.c -- what the host has to say about an actor.
 */
#include "actor/actor_log.h"

#include "actor/subject.h"

/* Whom the line is about: what the actor runs is the subject's to say. */
struct about {
    struct log_subject    log;
    struct subject       *subject; /* counted, or NULL */
    struct subject_report report;
};

/* False: the line is not to be written, and nothing is held. */
static bool about_init(struct about *about, const struct actor *actor, enum log_level level)
{
    about->log = (struct log_subject){ .actor = actor->name, .own_level = actor_log_level(actor) };
    if (!log_enabled_for(about->log.own_level, level))
        return false;
    about->subject = subject_of(actor->system, actor_self(actor));
    if (about->subject == NULL)
        return true;
    subject_read(about->subject, &about->report);
    about->log.script = about->report.path;
    if (about->report.version[0] != '\0')
        about->log.version = about->report.version;
    return true;
}

void actor_log(const struct actor *actor, enum log_level level, const char *format, ...)
{
    struct about about;
    va_list arguments;
    if (!about_init(&about, actor, level))
        return;
    va_start(arguments, format);
    log_about_list(level, &about.log, format, arguments);
    va_end(arguments);
    subject_unref(about.subject);
}

void actor_log_block(const struct actor *actor, enum log_level level, const char *text)
{
    struct about about;
    if (!about_init(&about, actor, level))
        return;
    log_block(level, &about.log, text);
    subject_unref(about.subject);
}
