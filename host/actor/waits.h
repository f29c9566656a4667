/*
 * waits.h -- who waits for whom, and whether it is a circle.
 *
 * Each actor has at most one *edge*: the actor that its handler waits for (by
 * a single ask, or for room in a mailbox), with the number of that wait. The
 * edge is published before the question can reach anybody, and whoever ends
 * the wait (an answer, a refusal, room) removes it *before* the waiting actor
 * hears of it. So an edge that is seen means: that actor will not handle a
 * message until its target has done something more.
 *
 * Finding a circle. An actor publishes its edge and then looks at its
 * target's. If the target waits for nobody there is no circle through it, and
 * if it comes to wait later, it will see our edge: both publish before they
 * look, in sequentially consistent order, so of those that close a circle at
 * the same instant the last to publish finds all of it there. Only if the
 * target does wait is the lock taken and the chain walked; under the lock the
 * one that finds the circle withdraws its edge, so that the others, who look
 * after it, go on waiting. Exactly one is refused.
 *
 * No false circle. Edges go while the chain is walked: B waits for C, which
 * answers B and then asks A; having read B's edge early and C's late, A would
 * see A -> B -> C -> A, which never was. So a circle is walked twice, and
 * counts only if every edge is the same. Wait numbers do not come again and an
 * edge is moved only under the lock; so an edge that is the same twice was
 * there all the time between, and at the end of the first walk all of them
 * were there at once. If something did change, nothing was wrong: an edge that
 * came later has a publisher who looks later.
 *
 * Who is who. An edge names its target by slot and generation, so it does not
 * lead to the next tenant of the slot. An actor that ends loses its edge
 * before its id, and a tenant's wait numbers go on where the last one's
 * stopped, so a late answer does not end the wait of somebody else.
 *
 * What the callers owe: whoever has made room in his mailbox gives it back,
 * and tells those who waited for it, before he begins to wait himself; and an
 * edge whose question could not be sent is ended at once.
 */
#ifndef TROUPE_ACTOR_WAITS_H
#define TROUPE_ACTOR_WAITS_H

#include "actor/actor.h"

/* Publishes that `actor` waits for `target` in its wait number `wait` (not 0).
 * True; or false if that closes a circle, also the one of an actor that waits
 * for itself: then nothing is published and `circle` reads "a -> b -> a", cut
 * to `room` bytes. On the actor's worker, before the question is sent. */
bool waits_begin(struct actor *actor, actor_id target, uint64_t wait, char *circle, size_t room);

/* The wait `wait` of the actor `waiter` is over. Any thread; harmless if
 * it is not (or no longer) what the actor waits in. */
void waits_end(struct system *system, actor_id waiter, uint64_t wait);

/* The question is passed on to `target`. False if that closes a circle (the
 * edge stays as it was, and `circle` reads "waiter -> target -> waiter"). True
 * also if the wait is over. To pass it to where no edge leads (another host),
 * call waits_end(). Any thread. */
bool waits_move(struct system *system, actor_id waiter, uint64_t wait, actor_id target,
                char *circle, size_t room);

/* Whom the actor waits for now; 0: nobody here. Any thread; for people to look at. */
actor_id waits_target(struct system *system, const struct actor *actor);

#endif
