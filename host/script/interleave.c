/*
 * interleave.c -- see interleave.h.
 */
#include "script/interleave.h"

#include "base/memory.h"
#include "script/api.h"
#include "script/dispatch.h"
#include "script/evaluate.h"
#include "script/handler.h"
#include "script/held.h"

#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#define SPARE_COROUTINES 16 /* kept for the next handlers; more are garbage */

/* A handler that waits, set aside. */
struct aside {
    struct activation *activation; /* owned */
    uint64_t deadline_ns;
    uint64_t instructions;         /* used of its budget, on the stage */
    uint32_t number;               /* of its wait */
    bool     receives;
};

struct interleave {
    struct aside *asides;          /* in the order in which their waits began */
    unsigned count, room;
    unsigned receives;             /* of these */
    uint64_t deadline_ns;          /* the earliest of these */
    struct activation *spares[SPARE_COROUTINES]; /* idle, each with a coroutine */
    unsigned spare_count;

    bool cutting;                  /* all waits end: the actor stops, or a handler has ended it */
    bool ended;                    /* the latter */
    bool choosing;                 /* the mailbox hands out what interleave_chooses() accepts */
    bool admits;                   /* a new handler may begin */

    bool     any_type;
    unsigned type_count;
    type_id  types[INTERLEAVED_TYPES]; /* folded */
};

/* ---- Opening and closing --------------------------------------------------- */

static void set_types(struct interleave *in, const struct script_options *options)
{
    in->any_type = options->interleave == INTERLEAVE_ALL;
    in->type_count = in->any_type ? 0 : options->interleaved_count;
    for (unsigned i = 0; i < in->type_count; i++)
        in->types[i] = type_alike(options->interleaved[i]);
}

int interleave_open(struct script *script, const struct script_options *options, char *why,
                    size_t room)
{
    if (options->interleave == INTERLEAVE_UNSET || options->interleave == INTERLEAVE_NONE)
        return 0;
    bool some = options->interleave == INTERLEAVE_SOME;
    for (unsigned i = 0; some && i < options->interleaved_count; i++)
        if (!dispatch_handles(script, options->interleaved[i], "interleave", why, room))
            return -EINVAL;

    struct interleave *in = memory_get_zeroed(sizeof *in);
    if (in == NULL) {
        snprintf(why, room, "out of memory");
        return -ENOMEM;
    }
    in->deadline_ns = UINT64_MAX;
    set_types(in, options);
    script->interleave = in;
    return 0;
}

void interleave_reset(struct script *script)
{
    struct interleave *in = script->interleave;
    if (in == NULL)
        return;
    for (unsigned i = 0; i < in->spare_count; i++)
        memory_put(in->spares[i], sizeof *in->spares[i]);
    in->spare_count = 0;
    in->cutting = in->ended = in->choosing = false;
}

void interleave_close(struct script *script)
{
    struct interleave *in = script->interleave;
    if (in == NULL)
        return;
    interleave_reset(script);
    memory_put(in->asides, in->room * sizeof *in->asides);
    memory_put(in, sizeof *in);
    script->interleave = NULL;
}

/* ---- Setting aside and taking up ------------------------------------------- */

static void exchange(struct activation *one, struct activation *other)
{
    struct activation was = *one;
    *one = *other;
    *other = was;
    held_moved(one);
    held_moved(other);
    api_asking_moved(one);
    api_asking_moved(other);
}

static struct activation *take_spare(struct script *script)
{
    struct interleave *in = script->interleave;
    if (in->spare_count > 0)
        return in->spares[--in->spare_count];
    struct activation *spare = memory_get_zeroed(sizeof *spare);
    if (spare == NULL)
        return NULL;
    spare->coroutine = vm_coroutine(&script->vm, &spare->coroutine_reference);
    if (spare->coroutine != NULL)
        return spare;
    memory_put(spare, sizeof *spare);
    return NULL;
}

static void put_spare(struct script *script, struct activation *spare)
{
    struct interleave *in = script->interleave;
    if (in->spare_count < SPARE_COROUTINES) {
        in->spares[in->spare_count++] = spare;
        return;
    }
    luaL_unref(script->vm.L, LUA_REGISTRYINDEX, spare->coroutine_reference);
    memory_put(spare, sizeof *spare);
}

/* Room for one more; false: no memory. */
static bool grow(struct interleave *in)
{
    if (in->count < in->room)
        return true;
    unsigned room = in->room == 0 ? 4 : in->room * 2;
    struct aside *asides =
        memory_resize(in->asides, in->room * sizeof *asides, room * sizeof *asides);
    if (asides == NULL)
        return false;
    in->asides = asides;
    in->room = room;
    return true;
}

/* There is room for it. One that was taken up for nothing keeps its place. */
static void add(struct script *script, struct activation *activation)
{
    struct interleave *in = script->interleave;
    const struct wait *wait = &activation->wait;
    unsigned place = in->count++;
    for (; place > 0 && (int32_t)(in->asides[place - 1].number - wait->number) > 0; place--)
        in->asides[place] = in->asides[place - 1];
    in->asides[place] = (struct aside){
        .activation = activation,
        .deadline_ns = wait->deadline_ns,
        .instructions = script->vm.instructions,
        .number = wait->number,
        .receives = wait->kind == WAIT_RECEIVE,
    };
    in->receives += wait->kind == WAIT_RECEIVE;
    if (wait->deadline_ns < in->deadline_ns)
        in->deadline_ns = wait->deadline_ns;
}

static struct aside drop(struct interleave *in, unsigned place)
{
    struct aside aside = in->asides[place];
    in->count--;
    memmove(&in->asides[place], &in->asides[place + 1],
            (in->count - place) * sizeof *in->asides);
    in->receives -= aside.receives;
    if (aside.deadline_ns == in->deadline_ns) {
        in->deadline_ns = UINT64_MAX;
        for (unsigned i = 0; i < in->count; i++)
            if (in->asides[i].deadline_ns < in->deadline_ns)
                in->deadline_ns = in->asides[i].deadline_ns;
    }
    return aside;
}

/* The handler in hand waits: makes place for another, if it can. */
static void set_aside(struct script *script)
{
    struct interleave *in = script->interleave;
    bool alone = script->hand.type == TYPE_START || script->shutting;
    if (alone || in->count + 1 >= INTERLEAVE_HANDLERS || !grow(in))
        return;
    struct activation *spare = take_spare(script);
    if (spare == NULL) {
        script->vm.arena.refused = false; /* that was not the handler's doing */
        return;
    }
    exchange(&script->hand, spare);
    add(script, spare);
}

/* Puts the one at `place` in hand; what is there and waits is set aside. */
static void take_up(struct script *script, unsigned place)
{
    struct interleave *in = script->interleave;
    struct aside aside = drop(in, place);
    exchange(&script->hand, aside.activation);
    if (aside.activation->waiting)
        add(script, aside.activation);
    else
        put_spare(script, aside.activation);
    script->vm.instructions = aside.instructions;
}

bool interleave_take_any(struct script *script)
{
    if (script->interleave->count == 0)
        return false;
    take_up(script, 0);
    return true;
}

struct activation *interleave_find(struct script *script, uint64_t serial)
{
    struct interleave *in = script->interleave;
    if (script->hand.serial == serial)
        return &script->hand;
    for (unsigned i = 0; i < in->count; i++)
        if (in->asides[i].activation->serial == serial)
            return in->asides[i].activation;
    return NULL;
}

struct activation *interleave_at(const struct script *script, unsigned place)
{
    const struct interleave *in = script->interleave;
    return place < in->count ? in->asides[place].activation : NULL;
}

uint64_t interleave_deadline(const struct script *script)
{
    return script->interleave->deadline_ns;
}

/* ---- Whom a message is for -------------------------------------------------- */

static bool wants(const struct activation *activation, type_id alike)
{
    const struct wait *wait = &activation->wait;
    if (!activation->waiting || wait->kind != WAIT_RECEIVE)
        return false;
    for (size_t i = 0; i < wait->type_count; i++)
        if (wait->types[i] == alike)
            return true;
    return false;
}

/* The place of the first that receives that type; `count` if none does. */
static unsigned find_receiver(const struct interleave *in, type_id alike)
{
    unsigned place = 0;
    if (in->receives == 0)
        return in->count;
    while (place < in->count &&
           !(in->asides[place].receives && wants(in->asides[place].activation, alike)))
        place++;
    return place;
}

static unsigned find_number(const struct interleave *in, uint64_t number)
{
    unsigned place = 0;
    while (place < in->count && in->asides[place].number != number)
        place++;
    return place;
}

/* Of an answer: the one that asked and waits for it, or has asked by start_ask. */
static unsigned find_asker(const struct script *script, uint64_t request)
{
    const struct interleave *in = script->interleave;
    unsigned place = find_number(in, request);
    if (place < in->count || api_asking_has(&script->hand, request))
        return place;
    for (place = 0; place < in->count; place++)
        if (api_asking_has(in->asides[place].activation, request))
            break;
    return place;
}

/* The deadline has come of one of them: the earliest, unless it is in hand. */
static unsigned find_earliest(const struct script *script)
{
    const struct interleave *in = script->interleave;
    unsigned place = 0;
    if (script->hand.waiting && script->hand.wait.deadline_ns < in->deadline_ns)
        return in->count;
    while (place < in->count && in->asides[place].deadline_ns != in->deadline_ns)
        place++;
    return place;
}

void interleave_take_up(struct script *script, const struct message *message)
{
    const struct interleave *in = script->interleave;
    unsigned place = in->count;
    switch (message->kind) {
    case MESSAGE_ORDINARY:
    case MESSAGE_ASK:
    case MESSAGE_TIMER:
    case MESSAGE_NOTICE:
    case MESSAGE_ITEM:
    case MESSAGE_STREAM:
        place = find_receiver(in, type_alike(message->type));
        break;
    case MESSAGE_REPLY:
    case MESSAGE_FAILURE:
        place = find_asker(script, message->request);
        break;
    case MESSAGE_WAKE:
        place = message->flags & MESSAGE_KEPT ? find_earliest(script)
                                              : find_number(in, message->request);
        break;
    case MESSAGE_EVALUATE:
        for (place = 0; place < in->count; place++)
            if (evaluate_is_meant(in->asides[place].activation, message))
                break;
        break;
    default:
        break;
    }
    if (place < in->count)
        take_up(script, place);
}

/* ---- What may begin ---------------------------------------------------------- */

static bool may_begin(const struct interleave *in, type_id alike)
{
    if (in->any_type)
        return true;
    for (unsigned i = 0; i < in->type_count; i++)
        if (in->types[i] == alike)
            return true;
    return false;
}

bool interleave_chooses(const struct script *script, const struct message *message)
{
    const struct interleave *in = script->interleave;
    type_id alike = type_alike(message->type);
    if (message->kind == MESSAGE_EVALUATE)
        return in->admits;
    return wants(&script->hand, alike) || find_receiver(in, alike) < in->count ||
           (in->admits && may_begin(in, alike));
}

/* Handlers wait, and none runs: what the mailbox may hand out. */
static void choose_appetite(struct script *script)
{
    struct interleave *in = script->interleave;
    struct actor *actor = script->actor;
    bool admitted = in->choosing && in->admits;
    bool receives = in->receives > 0 ||
                    (script->hand.waiting && script->hand.wait.kind == WAIT_RECEIVE);
    in->admits = !script->hand.waiting &&
                 (actor->phase < PHASE_DRAINING || actor->drain_left > 0);

    bool chooses = in->admits ? !in->any_type : receives;
    if (chooses && (!in->choosing || (in->admits && !admitted)))
        mailbox_reconsider(&actor->box);
    in->choosing = chooses;
    actor->appetite = chooses      ? APPETITE_CHOSEN
                      : in->admits ? APPETITE_ALL
                                   : APPETITE_CONTROL;
}

void interleave_change(struct script *script, const struct script_options *options)
{
    struct interleave *in = script->interleave;
    set_types(in, options);
    if (!script->hand.waiting && in->count == 0)
        return;
    in->choosing = false; /* what was passed over is looked at again */
    choose_appetite(script);
}

/* Nothing of theirs runs any more. */
static void drop_all(struct script *script)
{
    char text[HANDLER_END_ROOM];
    script_drop_handlers(script, FAILURE_DOWN, handler_end_text(script, text, sizeof text));
}

/* ---- How they end ------------------------------------------------------------- */

/* All that wait go on, one after the other, with nothing to wait for. */
static enum verdict cut_all(struct script *script)
{
    struct interleave *in = script->interleave;
    if (script->over)
        drop_all(script);
    while (script->hand.waiting || interleave_take_any(script)) {
        actor_next_handler(script->actor);
        script->hand.stopping = true;
        enum verdict verdict = script_give_up(script, FAILURE_STOPPING);
        if (verdict == VERDICT_PREEMPTED)
            return verdict;
        in->ended = in->ended || verdict == VERDICT_ENDED;
        if (script->over)
            drop_all(script);
    }
    bool ended = in->ended;
    in->cutting = in->ended = in->choosing = false;
    return ended ? VERDICT_ENDED : VERDICT_DONE;
}

enum verdict interleave_cut(struct script *script)
{
    script->interleave->cutting = true;
    return cut_all(script);
}

enum verdict interleave_settle(struct script *script, enum verdict verdict)
{
    struct interleave *in = script->interleave;
    if (verdict == VERDICT_PREEMPTED)
        return verdict;
    if (verdict == VERDICT_ENDED)
        in->cutting = in->ended = true;
    if (in->cutting)
        return cut_all(script);
    if (script->hand.waiting)
        set_aside(script);
    if (!script->hand.waiting && in->count == 0) {
        in->choosing = false;
        return VERDICT_DONE;
    }
    choose_appetite(script);
    return VERDICT_WAITING;
}
