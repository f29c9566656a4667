/*
 * script_wait.c -- how a handler's wait begins, and all the ways in which it ends.
 */
#include "script/script.h"

#include "actor/statistics.h"
#include "script/api.h"
#include "script/handler.h"
#include "script/interleave.h"

#include <lauxlib.h>

uint64_t script_deadline(struct script *script, uint64_t timeout_ns)
{
    struct clock *clock = &script->world->system->clock;
    if (timeout_ns == UINT64_MAX)
        return UINT64_MAX;
    /* Where a hundredth more does not matter the cheap clock will do. */
    if (timeout_ns >= 100 * CLOCK_COARSE_NS)
        return clock_now_coarse(clock) + (clock->manual ? 0 : CLOCK_COARSE_NS) + timeout_ns;
    return clock_now(clock) + timeout_ns;
}

#define CUT_WAITS 16 /* waits of a handler that end with `stopping`, before it is ended */

bool script_may_wait(lua_State *L, const char *what)
{
    struct script *script = script_of(L);
    char why[200];
    api_refuse_loading(L, what);
    if (!vm_can_wait(L, what, why, sizeof why))
        luaL_error(L, "%s", why);
    if (LIKELY(!script_is_cut(script)))
        return true;
    /* Told so once or a few times it can clean up; in a loop it would spin. */
    if (++script->hand.cut_waits > CUT_WAITS)
        vm_die(L, VM_CUT);
    return false;
}

struct wait *script_wait_begin(struct script *script, enum wait_kind kind, enum appetite appetite,
                               uint64_t timeout_ns)
{
    struct wait *wait = &script->hand.wait;
    message_free(wait->answer);
    uint64_t deadline_ns = script_deadline(script, timeout_ns);
    *wait = (struct wait){ .kind = kind, .timeout_ns = timeout_ns, .deadline_ns = deadline_ns };
    if (UNLIKELY(script->interleave != NULL) && interleave_deadline(script) < deadline_ns)
        deadline_ns = interleave_deadline(script);
    wait->number = (uint32_t)actor_wait_begin(script->actor, appetite, deadline_ns);
    return wait;
}

/* The alarm is for those that still wait. */
static void wait_over(struct script *script)
{
    if (UNLIKELY(script->interleave != NULL))
        alarm_set(script->actor, interleave_deadline(script));
    else
        actor_wait_over(script->actor);
}

bool script_waits_for(struct script *script, actor_id target, uint64_t number, char *circle,
                      size_t room)
{
    if (LIKELY(script->interleave == NULL) || script->hand.type == TYPE_START || script->shutting)
        return waits_begin(script->actor, target, number, circle, room);
    actor_settle(script->actor);
    return true;
}

void script_wait_over(struct script *script)
{
    script->hand.wait.kind = WAIT_NONE;
    wait_over(script);
}

/* What people are told of it. */
static const uint8_t shown_as[] = {
    [WAIT_NONE] = WAITING_FOR_NOTHING, [WAIT_ASK] = WAITING_FOR_ANSWER,
    [WAIT_ALL] = WAITING_FOR_ANSWERS,  [WAIT_ANY] = WAITING_FOR_ANSWERS,
    [WAIT_ROOM] = WAITING_FOR_ROOM,    [WAIT_RECEIVE] = WAITING_FOR_MESSAGE,
    [WAIT_SLEEP] = WAITING_FOR_TIME,   [WAIT_NAME] = WAITING_FOR_NAME,
};

static int wait_at(lua_State *L, struct script *script, const char *what,
                   struct address *elsewhere, lua_KFunction go_on)
{
    const struct wait *wait = &script->hand.wait;
    statistics_waits_at(script->actor, elsewhere == NULL ? wait->target : 0, elsewhere);
    return vm_wait(L, what, go_on, 0);
}

int script_wait_for(lua_State *L, const char *what, struct address *elsewhere, lua_KFunction go_on)
{
    struct script *script = script_of(L);
    struct actor *actor = script->actor;
    const struct wait *wait = &script->hand.wait;
    script->hand.waiting = true;
    statistics_waits(actor, (enum waiting)shown_as[wait->kind], wait->type);
    if (UNLIKELY(elsewhere != NULL || script->interleave != NULL || actor->waits_elsewhere != NULL))
        return wait_at(L, script, what, elsewhere, go_on);
    return vm_wait(L, what, go_on, 0);
}

int script_wait(lua_State *L, const char *what, lua_KFunction go_on)
{
    return script_wait_for(L, what, NULL, go_on);
}

/* The wait is over: the handler goes on. */
static enum verdict go_on_with(struct script *script, enum failure_reason failure,
                               struct message *answer)
{
    script->hand.waiting = false;
    statistics_waits_no_more(script->actor);
    wait_over(script);
    script->hand.wait.failure = failure;
    script->hand.wait.answer = answer;
    return script_resume(script);
}

void script_withdraw(struct script *script, enum failure_reason reason)
{
    struct wait *wait = &script->hand.wait;
    struct system *system = script->world->system;
    actor_id self = actor_self(script->actor);

    if (wait->kind == WAIT_ASK || wait->kind == WAIT_ROOM)
        waits_end(system, self, wait->number);
    if (wait->parked) {
        struct actor *target = registry_find(&system->registry, wait->target);
        struct message *message =
            target != NULL ? mailbox_unpark(&target->box, self, wait->number) : NULL;
        wait->unparked = message != NULL;
        message_free(message);
    }
    if (wait->kind == WAIT_ALL || wait->kind == WAIT_ANY)
        api_asking_cut(script, reason);
    if (wait->kind == WAIT_NAME)
        names_forget(script->actor, wait->number);
}

enum verdict script_give_up(struct script *script, enum failure_reason reason)
{
    script_withdraw(script, reason);
    return go_on_with(script, reason, NULL);
}

static enum verdict idle_verdict(const struct script *script)
{
    return script->hand.waiting ? VERDICT_WAITING : VERDICT_DONE;
}

void script_drop_handlers(struct script *script, enum failure_reason reason, const char *text)
{
    do {
        if (script->hand.waiting)
            script_withdraw(script, reason);
        script->hand.waiting = false;
        handler_end(script, reason, text);
    } while (script->interleave != NULL && interleave_take_any(script));
}

/* A REPLY or FAILURE. */
enum verdict script_answered(struct script *script, struct message *message)
{
    struct wait *wait = &script->hand.wait;
    if (LIKELY(script->hand.waiting && wait->kind == WAIT_ASK && message->request == wait->number))
        return go_on_with(script,
                          message->kind == MESSAGE_FAILURE ? (enum failure_reason)message->reason
                                                           : FAILURE_NONE,
                          message);
    if (api_asking_answer(script, message)) {
        bool enough = script->hand.waiting && (wait->kind == WAIT_ALL || wait->kind == WAIT_ANY) &&
                      wait->open == 0;
        return enough ? go_on_with(script, FAILURE_NONE, NULL) : idle_verdict(script);
    }
    atomic_fetch_add_explicit(&script->world->system->counters.late_answers, 1,
                              memory_order_relaxed);
    message_free(message);
    return idle_verdict(script);
}

/* The alarm, or room in a mailbox, or a name that is there now. */
enum verdict script_woken(struct script *script, struct message *message)
{
    struct wait *wait = &script->hand.wait;
    struct actor *actor = script->actor;
    if (message->flags & MESSAGE_KEPT) { /* the alarm's own */
        if (!alarm_rang(actor) || !script->hand.waiting)
            return idle_verdict(script);
        return script_give_up(script, FAILURE_TIMEOUT);
    }
    bool ours = script->hand.waiting && (wait->kind == WAIT_ROOM || wait->kind == WAIT_NAME) &&
                message->request == wait->number;
    enum failure_reason reason = (enum failure_reason)message->reason;
    message_free(message);
    return ours ? go_on_with(script, reason, NULL) : idle_verdict(script);
}

/* What receive() waits for has come. */
enum verdict script_received(struct script *script, struct message *message)
{
    if (message->kind == MESSAGE_TIMER) {
        const struct message *content;
        struct wait *wait = &script->hand.wait;
        if (!timer_deliver(message, &content, &wait->missed, &wait->periodic)) {
            message_free(message);
            return VERDICT_WAITING;
        }
        struct message *copy =
            message_new(MESSAGE_ORDINARY, content->type, content->payload, content->size);
        if (copy != NULL)
            copy->from = content->from;
        message_free(message);
        if (copy != NULL && script->declared != NULL)
            copy = declared_admit(script, copy);
        if (copy == NULL)
            return VERDICT_WAITING;
        message = copy;
    }
    return go_on_with(script, FAILURE_NONE, message);
}
