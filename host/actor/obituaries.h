/*
 * obituaries.h -- the actors that are told of dead letters.
 *
 * A listener gets a message DeadLetter {id, type, from, to, reason, text, missed}
 * for each message that dies, in its ordinary lane and under the limits of its
 * mailbox. One for which there is no room is not kept for it, nor does anybody
 * wait: it is counted, and `missed` of the next says how many there were. A
 * DeadLetter is never a dead letter itself, nor is one sent while another is:
 * so no listener, however full or faulty, can make dead letters go in a circle.
 *
 * Only the host can send a DeadLetter. Listeners stay over restarts, until they end.
 */
#ifndef TROUPE_ACTOR_OBITUARIES_H
#define TROUPE_ACTOR_OBITUARIES_H

#include "base/thread.h"
#include "message/message.h"

#define OBITUARY_LISTENERS 16

struct system;

struct obituaries {
    struct lock lock;        /* a leaf */
    _Atomic unsigned count;  /* of listeners; written under lock */
    struct listener {
        actor_id id;
        uint64_t missed;     /* not told since the last that it was told of */
    } listeners[OBITUARY_LISTENERS]; /* guarded by lock */
};

/* After system->letters, of which these two take the listener's place. */
void obituaries_open(struct system *system);
void obituaries_close(struct system *system);

/* The actor is told from now on; nothing changes if it was. 0; -EMFILE: there are
 * OBITUARY_LISTENERS that live. Any thread. */
int  obituaries_listen(struct system *system, actor_id id);
/* It is not any more, but for what lies in its mailbox. False: it was not. */
bool obituaries_leave(struct system *system, actor_id id);

#endif
