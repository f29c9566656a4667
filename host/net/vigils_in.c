/*
 * vigils_in.c -- what actors of other hosts watch here.
 *
 * A *ward* is one watch of a guest's. All wards of one actor hang together, and the
 * *warden*, a hidden actor, watches that actor for them: it is told to look at an
 * actor again when its first ward has come or its last one gone. What it hears
 * makes wards *told*: those are said to their guest, with each of its pulses
 * again, until it answers that it knows.
 */
#include "net/vigils_room.h"

#include "actor/notice.h"
#include "actor/watches.h"
#include "base/memory.h"
#include "message/pack.h"

#include <stdio.h>
#include <string.h>

#define WARD_KEY  24
#define NO_MEMORY "unknown: there was no memory to say it"

struct ward {
    struct ward     *before, *after; /* a ring of the guest's */
    struct ward     *next, *previous; /* of the same actor, until it is told */
    struct guest    *guest;
    struct vigil_key key;
    actor_id         target;
    bool             told;
    bool             said;   /* since the last pulse */
    char            *reason; /* owned; NULL: there was no memory for it */
};

struct guest {
    struct guest *next;
    uint64_t      vigil;
    char          to[ADDRESS_ENDPOINT_LIMIT];
    uint64_t      heard_ns;
    struct ward  *wards;
    unsigned      count;
    unsigned      unsaid; /* of these: told and not said */
    bool          answer; /* its pulse is to be answered: */
    uint64_t      pulsed; /* what it said, */
    unsigned      counted; /* and what was true then */
};

/* ---- wards: here `_locked` means vigils->guests_lock ---- */

static void ward_key(uint64_t vigil, struct vigil_key key, char bytes[WARD_KEY])
{
    memcpy(bytes, &vigil, 8);
    memcpy(bytes + 8, &key.watcher, 8);
    memcpy(bytes + 16, &key.number, 8);
}

/* The warden is to look whether the actor is still to be watched. */
static void stir_warden_locked(struct vigils *vigils, actor_id target)
{
    struct message *message = message_new(MESSAGE_WAKE, TYPE_NONE, NULL, 0);
    if (message == NULL)
        return;
    message->to = vigils->warden;
    message->request = target;
    router_send(vigils->options.system, &message, ROUTE_RESERVED);
    message_free(message);
}

static struct ward *wards_of_locked(struct vigils *vigils, actor_id target)
{
    return map_find(&vigils->targets, (const char *)&target, sizeof target);
}

/* Sets the first ward of an actor. False: no memory (only for one that is new). */
static bool set_first_locked(struct vigils *vigils, actor_id target, struct ward *first)
{
    if (first != NULL)
        return map_set(&vigils->targets, (const char *)&target, sizeof target, first) == 0;
    map_remove(&vigils->targets, (const char *)&target, sizeof target);
    return true;
}

static void leave_target_locked(struct vigils *vigils, struct ward *ward)
{
    if (ward->told)
        return;
    if (ward->next != NULL)
        ward->next->previous = ward->previous;
    if (ward->previous != NULL) {
        ward->previous->next = ward->next;
        return;
    }
    set_first_locked(vigils, ward->target, ward->next);
    if (ward->next == NULL)
        stir_warden_locked(vigils, ward->target);
}

static void remove_locked(struct vigils *vigils, struct ward *ward)
{
    struct guest *guest = ward->guest;
    char bytes[WARD_KEY];
    leave_target_locked(vigils, ward);
    ward_key(guest->vigil, ward->key, bytes);
    map_remove(&vigils->wards, bytes, sizeof bytes);
    guest->count--;
    guest->unsaid -= ward->told && !ward->said;
    if (ward->after == ward) {
        guest->wards = NULL;
    } else {
        ward->before->after = ward->after;
        ward->after->before = ward->before;
        if (guest->wards == ward)
            guest->wards = ward->after;
    }
    memory_free_text(ward->reason);
    memory_put(ward, sizeof *ward);
}

/* It hangs with no actor, and is to be said. */
static void tell_locked(struct ward *ward, const char *reason)
{
    ward->reason = memory_copy_text(reason);
    ward->told = true;
    ward->next = ward->previous = NULL;
    ward->guest->unsaid++;
}

static void tell_all_of_locked(struct vigils *vigils, actor_id target, const char *reason)
{
    struct ward *ward = wards_of_locked(vigils, target);
    set_first_locked(vigils, target, NULL);
    while (ward != NULL) {
        struct ward *next = ward->next;
        tell_locked(ward, reason);
        ward = next;
    }
}

static struct ward *add_locked(struct vigils *vigils, struct guest *guest, struct vigil_key key)
{
    char bytes[WARD_KEY];
    struct ward *ward = memory_get_zeroed(sizeof *ward);
    if (ward == NULL)
        return NULL;
    ward->guest = guest;
    ward->key = key;
    ward_key(guest->vigil, key, bytes);
    if (map_set(&vigils->wards, bytes, sizeof bytes, ward) != 0) {
        memory_put(ward, sizeof *ward);
        return NULL;
    }
    guest->count++;
    if (guest->wards == NULL) {
        ward->before = ward->after = ward;
        guest->wards = ward;
        return ward;
    }
    ward->after = guest->wards;
    ward->before = ward->after->before;
    ward->before->after = ward;
    ward->after->before = ward;
    return ward;
}

static void watch_locked(struct vigils *vigils, struct guest *guest, struct vigil_key key,
                         const char *name)
{
    struct registry *registry = &vigils->options.system->registry;
    char bytes[WARD_KEY];
    ward_key(guest->vigil, key, bytes);
    if (map_find(&vigils->wards, bytes, sizeof bytes) != NULL)
        return;
    /* (One more than there may be, and some: what is refused is kept until that is known.) */
    struct ward *ward =
        guest->count < 2 * VIGIL_WATCHES_MAX ? add_locked(vigils, guest, key) : NULL;
    if (ward == NULL)
        return; /* its guest will see that it is missing, and come again */
    /* The host's own actors are nobody's to watch. */
    actor_id target = name[0] != '$' ? registry_find_name(registry, name, strlen(name)) : 0;
    if (guest->count > VIGIL_WATCHES_MAX || vigils->wards.count > VIGIL_WARDS_MAX) {
        tell_locked(ward, "refused: its host keeps no more watches for others");
        return;
    }
    if (target == 0) {
        tell_locked(ward, REASON_NOBODY);
        return;
    }
    struct ward *first = wards_of_locked(vigils, target);
    if (!set_first_locked(vigils, target, ward)) {
        tell_locked(ward, NO_MEMORY);
        return;
    }
    ward->target = target;
    ward->next = first;
    if (first != NULL)
        first->previous = ward;
    else
        stir_warden_locked(vigils, target);
}

/* ---- guests ---- */

static struct guest *find_guest_locked(struct vigils *vigils, uint64_t vigil)
{
    struct guest *guest = vigils->guests;
    while (guest != NULL && guest->vigil != vigil)
        guest = guest->next;
    return guest;
}

static void forget_locked(struct vigils *vigils, struct guest *guest)
{
    struct guest **link = &vigils->guests;
    while (*link != guest)
        link = &(*link)->next;
    *link = guest->next;
    vigils->guests_count--;
    while (guest->wards != NULL)
        remove_locked(vigils, guest->wards);
    memory_put(guest, sizeof *guest);
}

/* The guest that was silent longest gives way, if it is late. */
static bool make_room_locked(struct vigils *vigils, uint64_t now_ns)
{
    struct guest *oldest = vigils->guests;
    if (vigils->guests_count < VIGILS_MAX)
        return true;
    for (struct guest *each = oldest; each != NULL; each = each->next)
        if (each->heard_ns < oldest->heard_ns)
            oldest = each;
    if (now_ns < oldest->heard_ns + VIGIL_LOST_NS)
        return false;
    forget_locked(vigils, oldest);
    return true;
}

static struct guest *welcome_locked(struct vigils *vigils, uint64_t vigil, uint64_t now_ns)
{
    struct guest *guest = find_guest_locked(vigils, vigil);
    if (guest != NULL || !make_room_locked(vigils, now_ns))
        return guest;
    guest = memory_get_zeroed(sizeof *guest);
    if (guest == NULL)
        return NULL;
    guest->vigil = vigil;
    guest->next = vigils->guests;
    vigils->guests = guest;
    vigils->guests_count++;
    return guest;
}

/* ---- the warden: on a worker ---- */

static void look_again(struct vigils *vigils, struct actor *warden, actor_id target)
{
    struct watch_target whom = { .id = target };
    lock_acquire(&vigils->guests_lock);
    bool wanted = wards_of_locked(vigils, target) != NULL;
    lock_release(&vigils->guests_lock);
    if (!wanted) {
        watch_end(warden, &whom);
    } else if (watch_begin(warden, &whom) != 0) {
        lock_acquire(&vigils->guests_lock);
        tell_all_of_locked(vigils, target, NO_MEMORY);
        lock_release(&vigils->guests_lock);
    }
}

static void hear(struct vigils *vigils, const struct message *down)
{
    struct pack_item who, reason;
    char text[ACTOR_REASON_ROOM];
    pack_read(pack_field(down->payload, "who"), &who);
    pack_read(pack_field(down->payload, "reason"), &reason);
    snprintf(text, sizeof text, "%.*s", (int)reason.size, reason.text);
    lock_acquire(&vigils->guests_lock);
    tell_all_of_locked(vigils, who.actor, text);
    lock_release(&vigils->guests_lock);
    vigils_want(vigils, 0);
}

static enum verdict warden_receive(struct actor *actor, struct message *message)
{
    struct vigils *vigils = actor->state;
    if (message->kind == MESSAGE_WAKE)
        look_again(vigils, actor, message->request);
    else if (message->kind == MESSAGE_ORDINARY && message->type == TYPE_DOWN)
        hear(vigils, message);
    else if (message->kind == MESSAGE_ORDINARY || message->kind == MESSAGE_ASK)
        router_refuse(actor->system, &message, FAILURE_REJECTED, "it only watches", NULL);
    message_free(message);
    return VERDICT_DONE;
}

static enum verdict warden_goes_on(struct actor *actor)
{
    (void)actor;
    return VERDICT_DONE;
}

/* The host stops, and all its actors with it. */
static enum verdict warden_shuts_down(struct actor *actor)
{
    struct vigils *vigils = actor->state;
    lock_acquire(&vigils->guests_lock);
    for (struct guest *guest = vigils->guests; guest != NULL; guest = guest->next) {
        struct ward *ward = guest->wards;
        for (unsigned left = guest->count; left > 0; left--) {
            struct ward *after = ward->after;
            if (!ward->told)
                tell_all_of_locked(vigils, ward->target, REASON_NORMAL);
            ward = after;
        }
    }
    lock_release(&vigils->guests_lock);
    vigils_want(vigils, 0);
    return VERDICT_ENDED;
}

static void warden_ends(struct actor *actor)
{
    (void)actor;
}

static const struct behaviour warden_behaviour = {
    .receive = warden_receive, .go_on = warden_goes_on, .cut = warden_goes_on,
    .shut_down = warden_shuts_down, .end = warden_ends,
};

static bool has_warden(struct vigils *vigils)
{
    char why[128];
    struct system *system = vigils->options.system;
    struct spawn spawn = { .stem = "$watch", .behaviour = &warden_behaviour, .state = vigils,
                           .mailbox = MAILBOX_OPTIONS_DEFAULT, .hidden = true };
    if (vigils->warden != 0)
        return registry_find(&system->registry, vigils->warden) != NULL;
    actor_id id;
    if (lifecycle_spawn(system, &spawn, &id, why, sizeof why) != 0)
        return false;
    vigils->warden = id;
    return lifecycle_start(system, id, NULL, 0) == 0;
}

/* ---- the gateway's thread ---- */

/* The peer to answer to, with a reference. NULL: there is none yet. */
static struct peer *way_to(struct vigils *vigils, const char *endpoint)
{
    char         why[160];
    struct peer *peer = peers_find(vigils->options.peers, endpoint);
    if (peer != NULL)
        return peer;
    if (address_endpoint_is_numeric(endpoint))
        return peers_get_answered(vigils->options.peers, endpoint, endpoint, why, sizeof why);
    vigils->options.look_up(vigils->options.context, endpoint);
    return NULL;
}

static bool say(struct peer *peer, struct bytes *frame, int written)
{
    bool said = written == 0 && peer_send_now(peer, frame->data, frame->size) == PEER_SENT;
    bytes_clear(frame, SIZE_MAX);
    return said;
}

/* One frame of what was told; true while there may be more. */
static bool say_some_locked(struct guest *guest, struct peer *peer, struct bytes *frame)
{
    struct ward *said[VIGIL_BATCH];
    struct vigil_list list;
    vigil_list_begin(&list, guest->vigil, false);
    struct ward *ward = guest->wards;
    for (unsigned left = guest->count; left > 0 && list.count < VIGIL_BATCH; left--) {
        if (ward->told && !ward->said) {
            said[list.count] = ward;
            vigil_list_add(&list, ward->key, ward->reason != NULL ? ward->reason : NO_MEMORY);
        }
        ward = ward->after;
    }
    unsigned count = list.count;
    if (!say(peer, frame, vigil_list_end(&list, VIGIL_DOWN, frame)))
        return false;
    for (unsigned i = 0; i < count; i++)
        said[i]->said = true;
    guest->unsaid -= count;
    if (count > 0) /* the search goes on behind these */
        guest->wards = said[count - 1]->after;
    return guest->unsaid > 0;
}

static void say_all_locked(struct vigils *vigils, struct guest *guest, struct bytes *frame)
{
    if (!guest->answer && guest->unsaid == 0)
        return;
    struct peer *peer = way_to(vigils, guest->to);
    if (peer == NULL)
        return;
    struct vigil_alive alive = { guest->vigil, vigils->epoch, guest->pulsed, guest->counted };
    if (guest->answer && say(peer, frame, vigil_write_alive(&alive, frame)))
        guest->answer = false;
    while (guest->unsaid > 0 && say_some_locked(guest, peer, frame))
        ;
    peer_unref(peer);
}

uint64_t vigils_in_tick(struct vigils *vigils, uint64_t now_ns)
{
    struct bytes frame;
    uint64_t     due_ns = UINT64_MAX;
    bytes_init(&frame, 0);
    lock_acquire(&vigils->guests_lock);
    struct guest *next;
    for (struct guest *guest = vigils->guests; guest != NULL; guest = next) {
        next = guest->next;
        say_all_locked(vigils, guest, &frame);
        uint64_t end_ns = guest->heard_ns + VIGIL_FORGET_NS;
        if (now_ns >= end_ns)
            forget_locked(vigils, guest);
        else if (end_ns < due_ns)
            due_ns = end_ns;
    }
    lock_release(&vigils->guests_lock);
    bytes_fini(&frame);
    return due_ns;
}

/* What was told and said, but not answered, is to be said again. */
static void repeat_locked(struct guest *guest)
{
    struct ward *ward = guest->wards;
    for (unsigned left = guest->count; left > 0; left--, ward = ward->after) {
        if (!ward->said)
            continue;
        ward->said = false;
        guest->unsaid++;
    }
}

void vigils_pulse_in(struct vigils *vigils, const struct vigil_pulse *pulse, const char *to)
{
    uint64_t now_ns = vigils_now(vigils);
    lock_acquire(&vigils->guests_lock);
    struct guest *guest = welcome_locked(vigils, pulse->vigil, now_ns);
    if (guest != NULL) {
        guest->heard_ns = now_ns;
        guest->pulsed = pulse->count;
        guest->counted = guest->count;
        guest->answer = true;
        snprintf(guest->to, sizeof guest->to, "%s", to);
        repeat_locked(guest);
    }
    lock_release(&vigils->guests_lock);
    vigils_want(vigils, 0);
}

void vigils_watch_in(struct vigils *vigils, struct vigil_reader *list)
{
    struct vigil_key key;
    char name[ADDRESS_NAME_LIMIT + 1];
    if (!has_warden(vigils))
        return; /* this host stops, or is full: the guest goes on asking */
    lock_acquire(&vigils->guests_lock);
    struct guest *guest = find_guest_locked(vigils, list->vigil);
    if (guest != NULL && list->all) {
        struct ward *ward = guest->wards;
        for (unsigned left = guest->count; left > 0; left--) {
            struct ward *after = ward->after;
            if (!ward->told)
                remove_locked(vigils, ward);
            ward = after;
        }
    }
    while (guest != NULL && vigil_read_next(list, &key, name, sizeof name))
        watch_locked(vigils, guest, key, name);
    lock_release(&vigils->guests_lock);
    vigils_want(vigils, 0);
}

void vigils_unwatch_in(struct vigils *vigils, struct vigil_reader *list)
{
    struct vigil_key key;
    char bytes[WARD_KEY];
    lock_acquire(&vigils->guests_lock);
    while (vigil_read_next(list, &key, NULL, 0)) {
        ward_key(list->vigil, key, bytes);
        struct ward *ward = map_find(&vigils->wards, bytes, sizeof bytes);
        if (ward != NULL)
            remove_locked(vigils, ward);
    }
    lock_release(&vigils->guests_lock);
}

void vigils_in_fini(struct vigils *vigils)
{
    vigils->warden = 0; /* it has ended */
    while (vigils->guests != NULL)
        forget_locked(vigils, vigils->guests);
}
