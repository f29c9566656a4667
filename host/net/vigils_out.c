/*
 * vigils_out.c -- what actors of ours watch on other hosts.
 *
 * A watch that is over (told, or ended by its watcher) is taken off the list, and
 * its key is said to the other host, if that has it, until there is nobody to say
 * it to. What is to be told is collected under the lock and sent without it.
 */
#include "net/vigils_room.h"

#include "actor/notice.h"
#include "base/log.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>

#define RETRY_NS (20 * NS_PER_MS)
#define AWAY_NS  (500 * NS_PER_MS)

struct far_watch {
    struct far_watch *before, *after;
    struct vigil     *vigil;
    struct vigil_key  key;
    struct message   *notice; /* owned */
    bool              sent;   /* the other host has it, unless the frame was lost */
    size_t            size;   /* of this block */
    char              name[];
};

struct over {
    struct over     *next;
    struct vigil_key key;
};

/* What is known of the host. */
enum standing {
    UNKNOWN,  /* not yet, or not again since the connection was made */
    OURS,     /* it has answered a pulse */
    STRANGER, /* it has not: no host of ours */
};

struct vigil {
    struct vigil *next;
    struct peer  *peer; /* counted, and held */
    const char   *reply_endpoint;
    uint64_t      number;
    uint64_t      epoch;      /* of the other host; 0: not known */
    enum standing standing;
    unsigned      connection; /* that the last pulse went over; 0: none */
    bool          up;         /* connected when it was looked at last */
    bool          resync;     /* the next list is to be the whole */
    uint64_t      heard_ns;   /* the last sign of life */
    uint64_t      pulsed_ns;  /* the first pulse of this connection that was not answered */
    uint64_t      next_ns;    /* when to pulse */
    struct far_watch *watches; /* a ring, oldest first */
    unsigned      count;       /* of them */
    unsigned      sent;        /* of these; the other host should have as many */
    struct over  *over;        /* to be said */
};

/* Watches that are to be told, with one reason. */
struct told {
    struct far_watch *first;
    const char       *reason;
};

/* ---- here `_locked` means vigils->lock ---- */

static void key_bytes(struct vigil_key key, char bytes[16])
{
    memcpy(bytes, &key.watcher, 8);
    memcpy(bytes + 8, &key.number, 8);
}

static struct far_watch *find_locked(struct vigils *vigils, struct vigil_key key)
{
    char bytes[16];
    key_bytes(key, bytes);
    return map_find(&vigils->by_key, bytes, sizeof bytes);
}

static void free_watch(struct far_watch *watch)
{
    message_free(watch->notice);
    memory_put(watch, watch->size);
}

/* Off the list and out of the table. */
static void take_locked(struct vigils *vigils, struct far_watch *watch)
{
    struct vigil *vigil = watch->vigil;
    char bytes[16];
    key_bytes(watch->key, bytes);
    map_remove(&vigils->by_key, bytes, sizeof bytes);
    vigil->count--;
    vigil->sent -= watch->sent;
    if (watch->after == watch) {
        vigil->watches = NULL;
        return;
    }
    watch->before->after = watch->after;
    watch->after->before = watch->before;
    if (vigil->watches == watch)
        vigil->watches = watch->after;
}

static void note_over_locked(struct vigil *vigil, struct vigil_key key)
{
    struct over *over = memory_get(sizeof *over);
    if (over == NULL) {
        vigil->resync = true; /* the whole list says it, too */
        return;
    }
    *over = (struct over){ vigil->over, key };
    vigil->over = over;
}

static void drop_over_locked(struct vigil *vigil)
{
    while (vigil->over != NULL) {
        struct over *over = vigil->over;
        vigil->over = over->next;
        memory_put(over, sizeof *over);
    }
}

static struct vigil *vigil_to_locked(struct vigils *vigils, const struct peer *peer)
{
    struct vigil *vigil = vigils->first;
    while (vigil != NULL && vigil->peer != peer)
        vigil = vigil->next;
    return vigil;
}

static struct vigil *vigil_numbered_locked(struct vigils *vigils, uint64_t number)
{
    struct vigil *vigil = vigils->first;
    while (vigil != NULL && vigil->number != number)
        vigil = vigil->next;
    return vigil;
}

static struct vigil *begin_locked(struct vigils *vigils, struct peer *peer, const char *endpoint)
{
    if (vigils->count >= VIGILS_MAX)
        return NULL;
    struct vigil *vigil = memory_get_zeroed(sizeof *vigil);
    if (vigil == NULL)
        return NULL;
    vigil->peer = peer_ref(peer);
    peer_hold(peer, true);
    vigil->reply_endpoint = endpoint;
    vigil->number = vigils_random();
    vigil->heard_ns = vigils_now(vigils);
    vigil->next = vigils->first;
    vigils->first = vigil;
    vigils->count++;
    return vigil;
}

/* Nothing is watched there any more. */
static void end_locked(struct vigils *vigils, struct vigil *vigil)
{
    struct vigil **link = &vigils->first;
    while (*link != vigil)
        link = &(*link)->next;
    *link = vigil->next;
    vigils->count--;
    drop_over_locked(vigil);
    peer_hold(vigil->peer, false);
    peer_unref(vigil->peer);
    memory_put(vigil, sizeof *vigil);
}

/* Moves those that are `lost` (or, with `all`, everything) to what is to be told. */
static void lose_locked(struct vigils *vigils, struct vigil *vigil, bool all, struct told *told)
{
    for (unsigned left = vigil->count; left > 0; left--) {
        struct far_watch *watch = vigil->watches;
        vigil->watches = watch->after;
        if (!all && !watch->sent)
            continue;
        take_locked(vigils, watch);
        watch->after = told->first;
        told->first = watch;
    }
}

/* Without the lock. */
static void tell(struct vigils *vigils, struct told *told)
{
    while (told->first != NULL) {
        struct far_watch *watch = told->first;
        told->first = watch->after;
        notice_send(vigils->options.system, &watch->notice, told->reason, false);
        free_watch(watch);
    }
}

/* ---- beginning and ending ---- */

static struct far_watch *watch_new(const char *name, struct message *notice)
{
    size_t size = sizeof(struct far_watch) + strlen(name) + 1;
    struct far_watch *watch = memory_get_zeroed(size);
    if (watch == NULL)
        return NULL;
    watch->size = size;
    watch->key = (struct vigil_key){ notice->to, notice->request };
    memcpy(watch->name, name, strlen(name) + 1);
    return watch;
}

static bool add_locked(struct vigils *vigils, struct vigil *vigil, struct far_watch *watch)
{
    char bytes[16];
    key_bytes(watch->key, bytes);
    if (map_set(&vigils->by_key, bytes, sizeof bytes, watch) != 0)
        return false;
    watch->vigil = vigil;
    vigil->count++;
    if (vigil->watches == NULL) {
        watch->before = watch->after = watch;
        vigil->watches = watch;
        return true;
    }
    watch->after = vigil->watches;
    watch->before = watch->after->before;
    watch->before->after = watch;
    watch->after->before = watch;
    return true;
}

bool vigils_watch(struct vigils *vigils, struct peer *peer, const char *reply_endpoint,
                  const char *name, struct message **notice)
{
    struct far_watch *watch = watch_new(name, *notice);
    bool begun = false;
    if (watch == NULL)
        return false;
    lock_acquire(&vigils->lock);
    if (!vigils->closed) {
        struct vigil *vigil = vigil_to_locked(vigils, peer);
        if (vigil == NULL)
            vigil = begin_locked(vigils, peer, reply_endpoint);
        begun = vigil != NULL && add_locked(vigils, vigil, watch);
    }
    if (begun) {
        watch->notice = *notice;
        *notice = NULL;
    }
    lock_release(&vigils->lock);
    if (!begun)
        free_watch(watch);
    else
        vigils_want(vigils, 0);
    return begun;
}

void vigils_unwatch(struct vigils *vigils, struct vigil_key key)
{
    lock_acquire(&vigils->lock);
    struct far_watch *watch = find_locked(vigils, key);
    if (watch != NULL) {
        if (watch->sent)
            note_over_locked(watch->vigil, key);
        take_locked(vigils, watch);
    }
    lock_release(&vigils->lock);
    if (watch == NULL)
        return; /* it was told, and the notice is on its way */
    free_watch(watch);
    vigils_want(vigils, 0);
}

/* ---- the gateway's thread: saying ---- */

static bool say(struct vigil *vigil, struct bytes *frame, int written)
{
    bool said = written == 0 && peer_send_now(vigil->peer, frame->data, frame->size) == PEER_SENT;
    bytes_clear(frame, SIZE_MAX);
    return said;
}

static void say_pulse_locked(struct vigil *vigil, struct bytes *frame, uint64_t now_ns)
{
    struct vigil_pulse pulse = { .vigil = vigil->number, .count = vigil->sent };
    snprintf(pulse.to, sizeof pulse.to, "%s", vigil->reply_endpoint);
    if (!say(vigil, frame, vigil_write_pulse(&pulse, frame)))
        return;
    unsigned connection = peer_connection(vigil->peer);
    if (vigil->connection != connection)
        vigil->pulsed_ns = now_ns;
    vigil->connection = connection;
    vigil->next_ns = now_ns + VIGIL_PULSE_NS;
}

static bool say_over_locked(struct vigil *vigil, struct bytes *frame)
{
    while (vigil->over != NULL) {
        struct vigil_list list;
        struct over *end = vigil->over;
        vigil_list_begin(&list, vigil->number, false);
        for (; end != NULL && list.count < VIGIL_BATCH; end = end->next)
            vigil_list_add(&list, end->key, NULL);
        if (!say(vigil, frame, vigil_list_end(&list, VIGIL_UNWATCH, frame)))
            return false;
        while (vigil->over != end) {
            struct over *said = vigil->over;
            vigil->over = said->next;
            memory_put(said, sizeof *said);
        }
    }
    return true;
}

/* One frame of watches that were not yet said; true while there may be more. */
static bool say_some_locked(struct vigil *vigil, struct bytes *frame)
{
    struct vigil_list list;
    struct far_watch *said[VIGIL_BATCH];
    vigil_list_begin(&list, vigil->number, vigil->resync);
    struct far_watch *watch = vigil->watches;
    for (unsigned left = vigil->count; left > 0 && list.count < VIGIL_BATCH; left--) {
        if (!watch->sent) {
            said[list.count] = watch;
            vigil_list_add(&list, watch->key, watch->name);
        }
        watch = watch->after;
    }
    unsigned count = list.count;
    if (!say(vigil, frame, vigil_list_end(&list, VIGIL_WATCH, frame)))
        return false;
    vigil->resync = false;
    for (unsigned i = 0; i < count; i++)
        said[i]->sent = true;
    vigil->sent += count;
    if (count > 0) /* the search goes on behind these */
        vigil->watches = said[count - 1]->after;
    return count == VIGIL_BATCH;
}

static void say_all_locked(struct vigil *vigil, struct bytes *frame)
{
    if (vigil->resync) {
        for (unsigned left = vigil->count; left > 0; left--, vigil->watches = vigil->watches->after)
            vigil->watches->sent = false;
        vigil->sent = 0;
        drop_over_locked(vigil);
    }
    if (!say_over_locked(vigil, frame))
        return;
    while ((vigil->resync || vigil->sent < vigil->count) && say_some_locked(vigil, frame))
        ;
}

/* ---- the gateway's thread: what has become of it ---- */

static void become_stranger_locked(struct vigil *vigil)
{
    vigil->standing = STRANGER;
    log_info("gateway: %s does not answer as a Troupe host does: of what is watched there only the "
             "loss of the whole host will be told", vigil->peer->endpoint);
}

/* Says what is to be said now. Whether the host of this vigil is lost. */
static bool look_after_locked(struct vigil *vigil, struct bytes *frame, uint64_t now_ns)
{
    bool connected = peer_state(vigil->peer) == PEER_CONNECTED;
    bool fresh = connected && vigil->connection != peer_connection(vigil->peer);

    if (fresh && vigil->standing == STRANGER)
        vigil->standing = UNKNOWN; /* somebody else may be there now */
    if (connected && vigil->standing == OURS && !fresh)
        say_all_locked(vigil, frame); /* before the pulse, which says how many they are */
    if (fresh || (connected && vigil->standing == OURS && now_ns >= vigil->next_ns))
        say_pulse_locked(vigil, frame, now_ns);
    if (connected && vigil->standing == UNKNOWN && !fresh &&
        now_ns >= vigil->pulsed_ns + VIGIL_PATIENCE_NS)
        become_stranger_locked(vigil);
    if ((connected || vigil->up) && vigil->standing != OURS)
        vigil->heard_ns = now_ns;
    vigil->up = connected;
    return now_ns >= vigil->heard_ns + VIGIL_LOST_NS;
}

/* When to look at it again. */
static uint64_t due_locked(const struct vigil *vigil, uint64_t now_ns)
{
    uint64_t due_ns = vigil->heard_ns + VIGIL_LOST_NS;
    if (vigil->standing == OURS && peer_state(vigil->peer) == PEER_CONNECTED) {
        if (vigil->next_ns < due_ns)
            due_ns = vigil->next_ns;
    } else if (peer_state(vigil->peer) == PEER_CONNECTED) {
        due_ns = vigil->standing == STRANGER ? UINT64_MAX /* its connection will tell */
                                             : vigil->pulsed_ns + VIGIL_PATIENCE_NS;
    }
    /* What could not be said now is not tried at once again. */
    return due_ns > now_ns + RETRY_NS ? due_ns : now_ns + RETRY_NS;
}

/* Time in which we did not look ourselves (the process was held) is nobody's silence. */
static void excuse_locked(struct vigils *vigils, uint64_t now_ns)
{
    uint64_t late_ns = now_ns > vigils->planned_ns ? now_ns - vigils->planned_ns : 0;
    if (late_ns < AWAY_NS)
        return;
    for (struct vigil *vigil = vigils->first; vigil != NULL; vigil = vigil->next)
        vigil->heard_ns += late_ns;
}

uint64_t vigils_out_tick(struct vigils *vigils, uint64_t now_ns)
{
    struct told told = { .reason = REASON_UNREACHABLE };
    struct bytes frame;
    uint64_t due_ns = UINT64_MAX;
    bytes_init(&frame, 0);
    lock_acquire(&vigils->lock);
    excuse_locked(vigils, now_ns);
    struct vigil *next;
    for (struct vigil *vigil = vigils->first; vigil != NULL; vigil = next) {
        next = vigil->next;
        bool lost = look_after_locked(vigil, &frame, now_ns);
        if (lost && vigil->count > 0)
            log_info("gateway: %s is lost: whoever watches actors there is told",
                     vigil->peer->endpoint);
        if (lost)
            lose_locked(vigils, vigil, true, &told);
        bool said = vigil->over == NULL && !vigil->resync;
        if (lost || (vigil->count == 0 && said)) {
            end_locked(vigils, vigil);
            continue;
        }
        uint64_t its_ns = due_locked(vigil, now_ns);
        due_ns = its_ns < due_ns ? its_ns : due_ns;
    }
    vigils->planned_ns = due_ns;
    lock_release(&vigils->lock);
    bytes_fini(&frame);
    tell(vigils, &told);
    return due_ns;
}

/* ---- the gateway's thread: what has come in ---- */

void vigils_alive_in(struct vigils *vigils, const struct vigil_alive *alive)
{
    struct told told = { .reason = REASON_UNREACHABLE };
    lock_acquire(&vigils->lock);
    struct vigil *vigil = vigil_numbered_locked(vigils, alive->vigil);
    if (vigil != NULL) {
        bool again = vigil->epoch != 0 && vigil->epoch != alive->epoch;
        if (again) { /* another process: what was watched in the last one is gone */
            lose_locked(vigils, vigil, false, &told);
            drop_over_locked(vigil);
        }
        vigil->epoch = alive->epoch;
        vigil->standing = OURS;
        vigil->heard_ns = vigils_now(vigils);
        vigil->resync |= !again && alive->said != alive->count;
    }
    lock_release(&vigils->lock);
    tell(vigils, &told);
    vigils_want(vigils, 0);
}

void vigils_down_in(struct vigils *vigils, struct vigil_reader *list)
{
    struct vigil_key key;
    char reason[ACTOR_REASON_ROOM];
    bool more = true;
    while (more) {
        struct far_watch *watch = NULL;
        lock_acquire(&vigils->lock);
        struct vigil *vigil = vigil_numbered_locked(vigils, list->vigil);
        more = vigil != NULL && vigil_read_next(list, &key, reason, sizeof reason);
        if (more) {
            vigil->heard_ns = vigils_now(vigils);
            watch = find_locked(vigils, key);
            if (watch != NULL && watch->vigil == vigil)
                take_locked(vigils, watch);
            else
                watch = NULL;
            note_over_locked(vigil, key);
        }
        lock_release(&vigils->lock);
        if (watch != NULL) {
            notice_send(vigils->options.system, &watch->notice, reason, false);
            free_watch(watch);
        }
    }
    vigils_want(vigils, 0);
}

void vigils_out_close(struct vigils *vigils)
{
    struct told told = { .reason = REASON_UNREACHABLE };
    lock_acquire(&vigils->lock);
    vigils->closed = true;
    while (vigils->first != NULL) {
        lose_locked(vigils, vigils->first, true, &told);
        end_locked(vigils, vigils->first);
    }
    lock_release(&vigils->lock);
    tell(vigils, &told);
}
