/*
 * vigils.h -- watches between hosts: what actors of ours watch on others, and what
 * others watch here. net/vigil.h has the protocol.
 *
 * Outward: one *vigil* for each host on which something is watched, with the ready
 * notices (actor/notice.h) of all its watchers. It pulses each second. A host of
 * ours that is not heard of for VIGIL_LOST_NS, and any peer without a connection
 * for as long, is lost: all its watchers are told `unreachable`, once. A process
 * that was started again is noticed by its epoch: the same, at once. A peer that
 * never answers a pulse is none of ours: of its actors only that is known.
 *
 * Inward: one *guest* for each host that watches here, bounded, forgotten when it
 * was silent for VIGIL_FORGET_NS. A hidden actor watches for all of them, and what
 * it hears is told until the guest says that it knows.
 *
 * Actors begin and end watches on any thread; frames, times and connections are
 * the gateway's thread's. One lock for each direction, under which nothing is
 * called but the peers.
 */
#ifndef TROUPE_NET_VIGILS_H
#define TROUPE_NET_VIGILS_H

#include "actor/system.h"
#include "base/map.h"
#include "net/peers.h"
#include "net/vigil.h"

#define VIGIL_PULSE_NS    NS_PER_SEC
#define VIGIL_LOST_NS     (3 * NS_PER_SEC)
#define VIGIL_PATIENCE_NS (5 * NS_PER_SEC) /* for the first answer on a connection */
#define VIGIL_FORGET_NS   (10 * NS_PER_SEC)

#define VIGILS_MAX        256u    /* hosts on which we watch; and guests */
#define VIGIL_WATCHES_MAX 10000u  /* of one guest */
#define VIGIL_WARDS_MAX   100000u /* of all of them */

struct vigil;
struct guest;
struct ward;

struct vigils_options {
    struct system *system;
    struct peers  *peers;
    int            wake; /* eventfd of the gateway's thread; borrowed */
    /* Asked for a peer at a host that must be looked up first: to be there later.
     * The gateway's thread; never blocks. */
    void         (*look_up)(void *context, const char *endpoint);
    void          *context;
};

struct vigils {
    struct vigils_options options;
    uint64_t         epoch;   /* fixed */
    _Atomic uint64_t wake_ns; /* when to look at all of them; UINT64_MAX: never */

    struct lock    lock;      /* outward: */
    bool           closed;    /* guarded by lock */
    struct vigil  *first;     /* guarded by lock */
    unsigned       count;     /* guarded by lock */
    struct map     by_key;    /* struct vigil_key -> watch; guarded by lock */
    uint64_t       planned_ns; /* when they were to be looked at; guarded by lock */

    struct lock    guests_lock; /* inward: */
    struct guest  *guests;      /* guarded by guests_lock */
    unsigned       guests_count; /* guarded by guests_lock */
    struct map     wards;       /* vigil and key -> ward; guarded by guests_lock */
    struct map     targets;     /* id of an actor -> its first ward; guarded by guests_lock */
    actor_id       warden;      /* the hidden actor; 0: not yet. The gateway's thread */
};

void vigils_init(struct vigils *vigils, const struct vigils_options *options);
/* No more is begun: all that is watched elsewhere is `unreachable`. */
void vigils_close(struct vigils *vigils);
/* The actors have ended. */
void vigils_fini(struct vigils *vigils);

/* ---- any thread ---- */

/* Watches the actor `name` of that peer; answers come to `reply_endpoint`, which
 * must stay. Takes *notice. False, and it stays the caller's: too many hosts, no
 * memory, or closed. */
bool vigils_watch(struct vigils *vigils, struct peer *peer, const char *reply_endpoint,
                  const char *name, struct message **notice);
void vigils_unwatch(struct vigils *vigils, struct vigil_key key);

/* ---- the gateway's thread ---- */

/* How long it may sleep: -1: for ever. */
int  vigils_timeout_ms(struct vigils *vigils);
/* Does what is due; with `stirred` (a connection has changed) looks at all. */
void vigils_tick(struct vigils *vigils, bool stirred);

/* What has come in. The answers to a pulse may go to `to` (normalised). */
void vigils_pulse_in(struct vigils *vigils, const struct vigil_pulse *pulse, const char *to);
void vigils_alive_in(struct vigils *vigils, const struct vigil_alive *alive);
void vigils_watch_in(struct vigils *vigils, struct vigil_reader *list);
void vigils_unwatch_in(struct vigils *vigils, struct vigil_reader *list);
void vigils_down_in(struct vigils *vigils, struct vigil_reader *list);

#endif
