/*
 * notice.h -- the message that tells a watcher of an end: made when the watch
 * is, complete but for the reason, so that no end can fail to tell.
 *
 * What travels is a MESSAGE_DOWN whose `request` is the number of its watch;
 * its payload reads {name=, who=, reason=}.
 */
#ifndef TROUPE_ACTOR_NOTICE_H
#define TROUPE_ACTOR_NOTICE_H

#include "message/message.h"

struct system;

/* Reasons that only watches have. */
#define REASON_NORMAL      "normal"
#define REASON_NOBODY      "no such actor"
#define REASON_UNREACHABLE "unreachable"

/* A notice to `watcher` of the end of an actor called `name`, as which it was
 * watched: by the address `text`, or, if that is NULL, as the actor `who`. NULL: no
 * memory. */
struct message *notice_new(actor_id watcher, uint64_t number, const char *name, actor_id who,
                           const char *text);

/* Completes the notice and sends it: at once if it is `urgent`, else it waits
 * with its receiver until no handler is in hand. Takes *notice. A reason that is
 * too long for the room kept for it is cut only when there is no memory. Any thread. */
void notice_send(struct system *system, struct message **notice, const char *reason, bool urgent);

/* What a notice on its way says. *name and *reason point into it. */
void notice_read(const struct message *notice, const char **name, size_t *name_size,
                 const char **reason, size_t *reason_size);

#endif
