/*
 * deferred.c -- see deferred.h.
 */
#include "script/deferred.h"

#include "base/log.h"
#include "base/memory.h"
#include "script/ref.h"

#include <errno.h>
#include <stdio.h>

enum deferred_kind { DEFERRED_SEND, DEFERRED_ARM, DEFERRED_CANCEL };

struct deferred {
    struct deferred   *next;
    enum deferred_kind kind;
    struct message    *message;  /* SEND: owned */
    struct address    *address;  /* SEND, elsewhere or by name: counted */
    struct timer      *timer;    /* ARM, CANCEL: counted */
    uint64_t           delay_ns; /* ARM */
};

void deferred_init(struct deferred_list *list)
{
    list->first = NULL;
    list->end = &list->first;
}

static struct deferred *add(struct deferred_list *list, enum deferred_kind kind)
{
    struct deferred *deferred = memory_get_zeroed(sizeof *deferred);
    if (deferred == NULL)
        return NULL;
    deferred->kind = kind;
    *list->end = deferred;
    list->end = &deferred->next;
    return deferred;
}

/* Takes the first one out; NULL: there is none. */
static struct deferred *take(struct deferred_list *list)
{
    struct deferred *deferred = list->first;
    if (deferred == NULL)
        return NULL;
    list->first = deferred->next;
    if (list->first == NULL)
        list->end = &list->first;
    return deferred;
}

static void release(struct deferred *deferred)
{
    message_free(deferred->message);
    address_unref(deferred->address);
    timer_unref(deferred->timer);
    memory_put(deferred, sizeof *deferred);
}

void deferred_drop(struct deferred_list *list)
{
    struct deferred *deferred;
    while ((deferred = take(list)) != NULL)
        release(deferred);
}

/* ---- Noting ---------------------------------------------------------------- */

int deferred_send(struct deferred_list *list, struct target target, struct message *message)
{
    struct deferred *deferred = add(list, DEFERRED_SEND);
    if (deferred == NULL) {
        message_free(message);
        return -ENOMEM;
    }
    message->to = target.id;
    deferred->message = message;
    deferred->address = target.address != NULL ? address_ref(target.address) : NULL;
    return 0;
}

int deferred_timer(struct deferred_list *list, struct script *script, struct message **message,
                   uint64_t delay_ns, uint64_t interval_ns, struct timer **timer)
{
    struct timer *made;
    int error = timer_make(script->world->system->timers, message, interval_ns,
                           actor_self(script->actor), &made);
    if (error != 0)
        return error;
    struct deferred *deferred = add(list, DEFERRED_ARM);
    if (deferred == NULL) {
        timer_unref(made);
        return -ENOMEM;
    }
    deferred->timer = timer_ref(made);
    deferred->delay_ns = delay_ns;
    *timer = made;
    return 0;
}

/* The timer is one that was not armed yet: takes it out of the list. */
static bool forget_timer(struct deferred_list *list, const struct timer *timer)
{
    for (struct deferred **link = &list->first; *link != NULL; link = &(*link)->next) {
        struct deferred *deferred = *link;
        if (deferred->kind != DEFERRED_ARM || deferred->timer != timer)
            continue;
        *link = deferred->next;
        if (list->end == &deferred->next)
            list->end = link;
        release(deferred);
        return true;
    }
    return false;
}

static bool is_cancelled(const struct deferred_list *list, const struct timer *timer)
{
    for (const struct deferred *deferred = list->first; deferred != NULL; deferred = deferred->next)
        if (deferred->kind == DEFERRED_CANCEL && deferred->timer == timer)
            return true;
    return false;
}

int deferred_cancel(struct deferred_list *list, struct script *script, struct timer *timer,
                    bool *prevented)
{
    *prevented = forget_timer(list, timer);
    if (*prevented || is_cancelled(list, timer) ||
        !timer_is_pending(timer, actor_self(script->actor)))
        return 0;
    struct deferred *deferred = add(list, DEFERRED_CANCEL);
    if (deferred == NULL)
        return -ENOMEM;
    deferred->timer = timer_ref(timer);
    *prevented = true;
    return 0;
}

/* ---- Happening ------------------------------------------------------------- */

static void send(struct script *script, struct deferred *deferred)
{
    struct system *system = script->world->system;
    char           why[300] = "", target[REF_TEXT_ROOM];
    enum router_answer answer =
        deferred->address != NULL
            ? router_send_address(system, deferred->address, &deferred->message, 0, why, sizeof why)
            : router_send(system, &deferred->message, 0);
    if (answer == ROUTER_OK) {
        scheduler_sent();
        return;
    }
    api_target_text(script, deferred->message->to, deferred->address, target, sizeof target);
    log_warn("%s: its on_reload sent %s to %s, and it was not delivered: %s", script->actor->name,
             type_name(deferred->message->type), target,
             *why != '\0' ? why : answer == ROUTER_FULL ? "the mailbox is full" : "the actor has ended");
    router_refuse(system, &deferred->message,
                  answer == ROUTER_FULL ? FAILURE_FULL : FAILURE_DOWN,
                  "it was sent by on_reload", NULL);
}

static void arm(struct script *script, const struct deferred *deferred)
{
    uint64_t now_ns = clock_now(&script->world->system->clock);
    if (timer_arm(deferred->timer, now_ns + deferred->delay_ns) != 0)
        log_warn("%s: a timer that its on_reload has started is not armed: the host has its limit "
                 "of %u timers", script->actor->name, script->world->system->limits.timers);
}

void deferred_happen(struct deferred_list *list, struct script *script)
{
    struct deferred *deferred;
    while ((deferred = take(list)) != NULL) {
        switch (deferred->kind) {
        case DEFERRED_SEND:
            send(script, deferred);
            break;
        case DEFERRED_ARM:
            arm(script, deferred);
            break;
        case DEFERRED_CANCEL:
            timer_cancel(deferred->timer, actor_self(script->actor));
            break;
        }
        release(deferred);
    }
}
