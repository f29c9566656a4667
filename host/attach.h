/*
 * attach.h -- sessions of prompts, for command_attach.c (what is asked) and attach.c
 * (what is told, and how they end).
 */
#ifndef TROUPE_ATTACH_H
#define TROUPE_ATTACH_H

#include "commands.h"

#include "script/evaluate.h"

#define ATTACH_NAME_ROOM (ADDRESS_NAME_LIMIT + 1)

struct attachment {
    struct attachment *next;      /* guarded by attach->lock, as is what is not fixed: */
    struct attach  *attach;
    atomic_int      references;
    uint64_t        session;      /* these are fixed: */
    struct control_client *client; /* counted: who hears what happens */
    actor_id        actor;
    bool            own;          /* the actor was made for it */
    char            name[ATTACH_NAME_ROOM];

    bool            busy;         /* an evaluation is under way: */
    struct evaluation *evaluation; /* counted; NULL for a moment while it begins */
    uint64_t        dropped;      /* lines that found no room */
    struct bytes    last;         /* the end of an evaluation that found none, as a line */
};

struct attach {
    struct host *host;
    struct lock  lock;
    struct attachment *all;       /* guarded by lock, as: */
    uint64_t     sessions;        /* so far */
    _Atomic unsigned count;       /* of these; read without the lock */
    struct incarnation_hook hook;
};

struct attachment *attachment_ref(struct attachment *attachment);
void attachment_unref(void *attachment);

/* Says a row, which it lets go of; if the client does not read, a `last` one is kept for
 * it and others are counted. Any thread. */
void attachment_say(struct attachment *attachment, struct command_row *row, bool last);

/* Room is there again, in the client's buffer. */
void attachment_catch_up(struct attach *attach, struct control_client *client);

/* What is told of an evaluation whose context is the attachment. */
void attachment_tell(void *attachment, const struct evaluate_told *told);

/* The evaluation under way, counted; NULL: there is none. */
struct evaluation *attachment_evaluation(struct attachment *attachment);
/* Ends it where it stands. */
void attachment_interrupt(struct attachment *attachment);

/* Its client is gone, or its actor: what it left in the host goes with it. Twice is fine. */
void attachment_leave(struct attachment *attachment);
/* The same, and the client is told why. */
void attachment_end(struct attachment *attachment, const char *why);

/* An incarnation has ended (actor/incarnation.h). */
void attach_incarnation_ended(void *attach, struct actor *actor);

#endif
