/*
 * outcome.c -- what comes of a failure: an actor goes on, restarts, ends, or
 * takes its parent with it (see incarnation.h).
 */
#include "actor/rebirth.h"

#include "actor/actor_log.h"
#include "base/bytes.h"
#include "base/log.h"
#include "base/memory.h"

#include <stdio.h>
#include <string.h>

#define CHAIN_LIMIT 4000

static bool host_stops(const struct system *system)
{
    return atomic_load_explicit(&system->inlet_closed, memory_order_acquire);
}

/* Its failure is its parent's; unless there is nobody to fail any more, or it
 * runs in a sandbox and its parent does not. */
static enum outcome escalates(struct actor *actor, const char *before, char *text, size_t room)
{
    char parent[ADDRESS_NAME_LIMIT + 1];
    if (actor->contained || host_stops(actor->system)) {
        snprintf(text, room, "%sthe actor ends%s", before,
                 actor->contained ? ", and nobody with it: it was in a sandbox" : ", for the host does");
        return OUTCOME_ENDS;
    }
    actor->afterwards = AFTERWARDS_ESCALATE;
    if (actor->parent_id == 0)
        snprintf(text, room, "%sthe actor ends and the host with it", before);
    else
        snprintf(text, room, "%sthe actor ends and %s fails with it", before,
                 registry_name(&actor->system->registry, actor->parent_id, parent, sizeof parent));
    return OUTCOME_ENDS;
}

static enum outcome restarts(struct actor *actor, char *text, size_t room)
{
    struct system *system = actor->system;
    struct rebirth *rebirth = actor->rebirth;
    struct budget *budget = rebirth->budget;
    double within_s = (double)budget->options.within_ns / 1e9;
    if (host_stops(system)) {
        snprintf(text, room, "the actor ends, for the host does");
        return OUTCOME_ENDS;
    }
    if (!budget_spend(budget, clock_now(&system->clock), &rebirth->wait_ns)) {
        char before[80];
        snprintf(before, sizeof before, "%u restart%s in %g s %s not enough: ", budget->options.max,
                 budget->options.max == 1 ? "" : "s", within_s,
                 budget->options.max == 1 ? "was" : "were");
        return escalates(actor, before, text, room);
    }
    actor->afterwards = AFTERWARDS_RESTART;
    snprintf(text, room, "the actor restarts (%u of %u in %g s)", budget_used(budget),
             budget->options.max, within_s);
    return OUTCOME_ENDS;
}

static enum outcome goes_on(char *text, size_t room)
{
    snprintf(text, room, "the actor goes on");
    return OUTCOME_GOES_ON;
}

static enum outcome ends(char *text, size_t room)
{
    snprintf(text, room, "the actor ends");
    return OUTCOME_ENDS;
}

static enum outcome decide(struct actor *actor, enum on_failure on_failure, char *text, size_t room)
{
    switch (on_failure) {
    case ON_FAILURE_CONTINUE:
        return goes_on(text, room);
    case ON_FAILURE_STOP:
        return ends(text, room);
    case ON_FAILURE_RESTART:
        return restarts(actor, text, room);
    case ON_FAILURE_ESCALATE:
        return escalates(actor, "", text, room);
    }
    UNREACHABLE();
}

enum outcome incarnation_failed(struct actor *actor, bool at_start, char *text, size_t room)
{
    enum on_failure on_failure = (enum on_failure)actor->on_failure;
    bool goes_on_else = on_failure == ON_FAILURE_CONTINUE && !at_start;
    if (actor->phase >= PHASE_DRAINING) /* what comes then was arranged before */
        return goes_on_else ? goes_on(text, room) : ends(text, room);
    if (actor->supervised && !goes_on_else) {
        snprintf(text, room, "the actor is halted and its supervisor decides");
        return OUTCOME_ENDS;
    }
    bool first = at_start && actor->restarts == 0;
    if (first && on_failure != ON_FAILURE_ESCALATE) {
        snprintf(text, room, "the actor ends: it could not start");
        return OUTCOME_NOT_BEGUN;
    }
    return decide(actor, on_failure, text, room);
}

void incarnation_child_failed(struct actor *actor, struct message *message)
{
    bool meant = message->request == incarnation_number(actor) && actor->phase == PHASE_RUNNING;
    if (!meant) {
        message_free(message);
        return;
    }
    char text[OUTCOME_ROOM], reason[ACTOR_REASON_ROOM];
    const char *chain = (const char *)message->payload;
    int first_line = (int)strcspn(chain, "\n"); /* its first link is what began it */
    enum on_failure on_failure = (enum on_failure)actor->on_failure;
    if (actor->supervised)
        snprintf(text, sizeof text, "the actor is halted and its supervisor decides");
    else
        decide(actor, on_failure == ON_FAILURE_CONTINUE ? ON_FAILURE_ESCALATE : on_failure, text,
               sizeof text);
    actor_log(actor, LOG_ERROR, "%.*s: %s", first_line, chain, text);
    snprintf(reason, sizeof reason, "error: %.*s", first_line, chain);
    actor_note_end(actor, reason);
    actor->ended = ENDED_BY_ERROR;
    memory_free_text(actor->chain);
    actor->chain = memory_copy_text(chain);
    message_free(message);
    actor->phase = PHASE_DRAINING;
    actor->drain_left = 0;
}

void incarnation_escalate(struct actor *actor)
{
    struct system *system = actor->system;
    struct bytes chain;
    if (actor->afterwards != AFTERWARDS_ESCALATE)
        return;
    bytes_init(&chain, CHAIN_LIMIT);
    if (actor->chain != NULL)
        bytes_printf(&chain, "%s\n%s ended with it", actor->chain, actor->name);
    else
        bytes_printf(&chain, "%s ended: %s", actor->name, actor_end_reason(actor));
    if (actor->parent_id == 0) {
        struct bytes report;
        bytes_init(&report, LOG_BLOCK_LIMIT);
        bytes_printf(&report, "the host ends, for a failure has come to the top of its chain:\n%s",
                     bytes_text(&chain));
        log_block(LOG_ERROR, NULL, bytes_text(&report));
        bytes_fini(&report);
        system_ask_stop(system, 1);
    } else {
        const char *text = bytes_text(&chain);
        struct message *message = message_new(MESSAGE_FAIL, TYPE_NONE, text, strlen(text) + 1);
        if (message == NULL) {
            log_error("incarnation: a parent could not be told that its child failed: out of memory");
        } else {
            message->to = actor->parent_id;
            message->request = actor->parent_incarnation;
            router_send(system, &message, ROUTE_RESERVED);
            message_free(message); /* it has ended, and so this one would have */
        }
    }
    bytes_fini(&chain);
}
