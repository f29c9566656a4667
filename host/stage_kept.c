/*
 * stage_kept.c -- see stage_kept.h.
 */
#include "stage_kept.h"

#include "base/memory.h"

#include <stdio.h>
#include <string.h>

#define TRACE_LIMIT (256u << 20) /* bytes */

static struct stage *listening; /* whose log it is: the last one opened */

static void lines_init(struct lines *lines)
{
    lines->head = NULL;
    lines->tail = &lines->head;
}

static void lines_add(struct lines *lines, enum log_level level, const char *text, size_t size)
{
    struct line *line = memory_get(sizeof *line + size + 1);
    if (line == NULL)
        return;
    line->next = NULL;
    line->size = size;
    line->level = level;
    memcpy(line->text, text, size);
    line->text[size] = '\0';
    *lines->tail = line;
    lines->tail = &line->next;
}

void stage_lines_drop(struct lines *lines)
{
    while (lines->head != NULL) {
        struct line *line = lines->head;
        lines->head = line->next;
        memory_put(line, sizeof *line + line->size + 1);
    }
    lines->tail = &lines->head;
}

static void keep_print(void *context, const char *line, size_t size)
{
    struct stage *stage = context;
    if (size > 0 && line[size - 1] == '\n')
        size--;
    lines_add(&stage->printed, LOG_INFO, line, size);
}

static void keep_log(void *context, enum log_level level, const char *line)
{
    struct stage *stage = context;
    lines_add(&stage->logged, level, line, strlen(line));
}

static void keep_departed(struct stage *stage, struct message **message, const char *to,
                          const char *from)
{
    struct departed *departed = memory_get(sizeof *departed);
    if (departed == NULL) {
        message_free(*message);
        *message = NULL;
        return;
    }
    departed->next = NULL;
    departed->message = *message;
    *message = NULL;
    snprintf(departed->to, sizeof departed->to, "%s", to);
    snprintf(departed->from, sizeof departed->from, "%s", from != NULL ? from : "");
    *stage->outbox_tail = departed;
    stage->outbox_tail = &departed->next;
}

static enum router_answer carry(void *context, const struct address *to, const char *from_name,
                                struct message **message, char *why, size_t room)
{
    (void)why, (void)room;
    struct stage *stage = context;
    char text[ADDRESS_TEXT_ROOM];
    address_text(to, text, sizeof text);
    keep_departed(stage, message, text, from_name);
    return ROUTER_OK;
}

static const char *no_endpoint(void *context)
{
    (void)context;
    return "";
}

static void observe(struct system *system, const struct actor *actor, const struct message *message)
{
    struct stage *stage = system->remote.context;
    static const char *const kinds[UINT8_MAX + 1] = {
        [MESSAGE_REPLY] = "reply ", [MESSAGE_FAILURE] = "failure ",    [MESSAGE_TIMER] = "timer ",
        [MESSAGE_WAKE] = "wake ",   [MESSAGE_FAIL] = "failed child ", [MESSAGE_HOLD] = "hold ",
        [MESSAGE_EVALUATE] = "evaluate ",
    };
    const char *kind = kinds[message->kind] != NULL ? kinds[message->kind] : "";
    char name[ADDRESS_NAME_LIMIT + 1];
    registry_name(&system->registry, actor_self(actor), name, sizeof name);
    bytes_printf(&stage->trace, "%s %s%s\n", name, kind,
                 message->type != TYPE_NONE ? type_name(message->type) : "");
}

/* ---- the probe ---- */

static enum verdict probe_receive(struct actor *actor, struct message *message)
{
    struct stage *stage = actor->state;
    bool answers = message->kind == MESSAGE_REPLY || message->kind == MESSAGE_FAILURE;
    if (answers && message->request == stage->asked) {
        message_free(stage->answer);
        stage->answer = message;
    } else if (message->kind == MESSAGE_ORDINARY || message->kind == MESSAGE_ASK) {
        char from[ADDRESS_NAME_LIMIT + 1];
        registry_name(&actor->system->registry, message->from, from, sizeof from);
        keep_departed(stage, &message, "stage", from);
    } else {
        message_free(message);
    }
    return VERDICT_DONE;
}

static enum verdict probe_done(struct actor *actor)
{
    (void)actor;
    return VERDICT_DONE;
}

static void probe_end(struct actor *actor)
{
    (void)actor;
}

static const struct behaviour probe_behaviour = {
    .receive = probe_receive,
    .go_on = probe_done,
    .cut = probe_done,
    .shut_down = probe_done,
    .end = probe_end,
};

/* ---- beginning and end ---- */

void stage_kept_init(struct stage *stage)
{
    memset(stage, 0, sizeof *stage);
    lines_init(&stage->printed);
    lines_init(&stage->logged);
    stage->outbox_tail = &stage->outbox_head;
    bytes_init(&stage->trace, TRACE_LIMIT);
}

int stage_kept_begin(struct stage *stage, char *why, size_t room)
{
    struct system *system = stage_system(stage);
    stage->host->world.print = keep_print;
    stage->host->world.print_context = stage;
    system->remote =
        (struct remote_port){ .context = stage, .carry = carry, .own_endpoint = no_endpoint };
    struct spawn spawn = { .name = "stage",
                           .behaviour = &probe_behaviour,
                           .state = stage,
                           .mailbox = { .limit = MAILBOX_LIMIT_MAX, .bytes = UINT64_C(1) << 38 } };
    int error = lifecycle_spawn(system, &spawn, &stage->probe, why, room);
    if (error != 0)
        return error;
    lifecycle_start(system, stage->probe, NULL, 0);
    while (scheduler_step(system))
        continue;
    system->observe = observe;
    listening = stage;
    log_set_sink(keep_log, stage);
    return 0;
}

void stage_kept_end(struct stage *stage)
{
    stage_system(stage)->observe = NULL;
    if (listening == stage) {
        listening = NULL;
        log_set_sink(NULL, NULL);
    }
}

struct departed *stage_kept_departed(struct stage *stage)
{
    struct departed *departed = stage->outbox_head;
    if (departed == NULL)
        return NULL;
    stage->outbox_head = departed->next;
    if (stage->outbox_head == NULL)
        stage->outbox_tail = &stage->outbox_head;
    return departed;
}

void stage_departed_free(struct departed *departed)
{
    message_free(departed->message);
    memory_put(departed, sizeof *departed);
}

static void say_what_was_kept(struct stage *stage)
{
    for (struct line *line = stage->printed.head; line != NULL; line = line->next)
        printf("%s\n", line->text);
    fflush(stdout);
    for (struct line *line = stage->logged.head; line != NULL; line = line->next)
        if (line->level >= LOG_WARN)
            fprintf(stderr, "%s\n", line->text);
}

static void drop_kept(struct stage *stage)
{
    stage_lines_drop(&stage->printed);
    stage_lines_drop(&stage->logged);
    bytes_fini(&stage->trace);
    message_free(stage->answer);
    stage->answer = NULL;
    for (struct departed *each; (each = stage_kept_departed(stage)) != NULL;)
        stage_departed_free(each);
}

void stage_kept_fini(struct stage *stage)
{
    say_what_was_kept(stage);
    drop_kept(stage);
}
