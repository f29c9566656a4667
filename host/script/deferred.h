/*
 * deferred.h -- what on_reload sends, starts and cancels: it happens at the commit, in
 * this order, or never.
 *
 * All that can be made before is: what is left to fail then is what may fail
 * of any send, and that is logged.
 */
#ifndef TROUPE_SCRIPT_DEFERRED_H
#define TROUPE_SCRIPT_DEFERRED_H

#include "script/api.h"

struct deferred; /* one of them, in a list */

struct deferred_list {
    struct deferred *first, **end;
};

/* An empty list; it must not move. */
void deferred_init(struct deferred_list *list);
/* Nothing of it happens. */
void deferred_drop(struct deferred_list *list);
/* All of it happens; the list is empty then. */
void deferred_happen(struct deferred_list *list, struct script *script);

/* Takes the message, whatever comes of it; 0 or -ENOMEM. */
int deferred_send(struct deferred_list *list, struct target target, struct message *message);

/* As timer_start(), to be armed `delay_ns` after the commit. */
int deferred_timer(struct deferred_list *list, struct script *script, struct message **message,
                   uint64_t delay_ns, uint64_t interval_ns, struct timer **timer);

/* Whether the timer would come without this; then it will not. -ENOMEM. */
int deferred_cancel(struct deferred_list *list, struct script *script, struct timer *timer,
                    bool *prevented);

#endif
